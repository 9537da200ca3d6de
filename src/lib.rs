//! skewgate
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::panic))]

pub mod clock;
#[cfg(feature = "ntp")]
pub mod monitor;
#[cfg(feature = "ntp")]
pub mod ntp;
pub mod otp;
pub mod time;
pub mod token;
pub mod window;
