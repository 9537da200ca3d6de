//! What goes wrong in stores.

use std::error::Error;
use std::time::Duration;

/// Why a store didn't do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store can't be reached or answered with an error.
    #[error("the {store} store failed: {source}; nothing is accepted until it works again")]
    Failed {
        /// Which kind of store.
        store: &'static str,
        /// What it said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The store didn't answer in time.
    #[error("the {store} store didn't answer within {deadline:?}: check its load and the network")]
    TimedOut {
        /// Which kind of store.
        store: &'static str,
        /// How long it had.
        deadline: Duration,
    },
    /// The store answered, but wasn't ready until the deadline.
    #[error("the {store} store wasn't ready within {deadline:?} ({said}): nothing is accepted until it is")]
    NotReady {
        /// Which kind of store.
        store: &'static str,
        /// How long it had.
        deadline: Duration,
        /// Who said what, last.
        said: String,
    },
    /// More is to be written than the store keeps up with. Nothing was written.
    #[error(
        "the {store} store has {waiting} writes waiting and takes no more: check the disk, and who sends so much"
    )]
    Overloaded {
        /// Which kind of store.
        store: &'static str,
        /// How many wait.
        waiting: usize,
    },
    /// The store can't hold a value exactly: one that no validator writes. Nothing was written.
    #[error("the {store} store can't hold {what}: nothing was written")]
    OutOfRange {
        /// Which kind of store.
        store: &'static str,
        /// Which value it is, and what could be held.
        what: String,
    },
    /// What the store holds can't be understood.
    #[error(
        "the {store} store holds a state that can't be read ({what}): restore it, or enrol the token again"
    )]
    Corrupt {
        /// Which kind of store.
        store: &'static str,
        /// What is wrong with it.
        what: String,
    },
}
