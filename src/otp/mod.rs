//! One-time passwords: secrets, codes, and matching a code over a window in constant time.

mod step;

pub use step::{StepRange, TimeStep};
