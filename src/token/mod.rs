//! What is known about one token: its identity, how far its clock is off, which step was used last, and how
//! much guessing it has still to give.
//!
//! All of it is plain integers that a [store](crate::store) keeps; nothing here reads a clock or a store.

pub mod budget;
pub mod drift;
mod state;

pub use budget::{Bucket, Budget, Charge, Odds};
pub use drift::{Drift, DriftModel, Measurement};
pub use state::{Token, TokenId, TokenIdError, TokenKey, TokenState};
