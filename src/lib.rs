//! skewgate
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::panic))]

pub mod clock;
pub mod otp;
pub mod time;
