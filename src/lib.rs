//! skewgate
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::panic))]

mod block_on;
pub mod clock;
pub mod event;
#[cfg(feature = "ntp")]
pub mod monitor;
#[cfg(feature = "ntp")]
pub mod ntp;
pub mod otp;
pub mod store;
pub mod time;
pub mod token;
pub mod validator;
pub mod window;

pub use block_on::block_on;
