//! Where the state of tokens is kept.
//!
//! A [`StateStore`] has one read and three writes. The writes are *narrow* and *conditional*: what was decided from a
//! state that has changed since is either still right (a charge is owed whatever happened meanwhile) or is refused by
//! the store (a step isn't above the watermark any more). So failures never conflict with a success, nothing is locked
//! between reading and writing, and several processes may share a store.

mod memory;

pub use memory::MemoryStore;

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::otp::TimeStep;
use crate::time::Timestamp;
use crate::token::{Charge, Drift, TokenId, TokenState};

/// What the methods of a [`StateStore`] return. A store that needn't wait returns a future that is ready at once.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Keeps a [`TokenState`] for each enrolled token.
///
/// The validator releases a verdict only after the write that belongs to it; so a write's future must not be ready
/// before the write is durable, to whatever degree the store promises that. An error means "not known to be written":
/// the attempt is refused.
///
/// A store must bring its own deadline for each operation, and end it with [`StoreError::TimedOut`]: the validator reads no
/// clock and has none. A future that never ends holds the token's turn in this process, so that every later attempt waits
/// for it, or is told that the token is busy.
///
/// Among the tokens is one whose id begins with U+0001, which no caller can name: it takes the place of unknown ones,
/// so that an attempt on those costs the same work. Stores treat it like any other.
///
/// ```
/// use skewgate::block_on;
/// use skewgate::store::{Enrol, MemoryStore, StateStore};
/// use skewgate::time::{SignedDuration, Timestamp};
/// use skewgate::token::{Budget, Drift, TokenId, TokenState};
///
/// let store = MemoryStore::new();
/// let (id, now) = (TokenId::new("user-42")?, Timestamp::from_unix_seconds(1_780_000_000)?);
/// let state = TokenState {
///     epoch: 0,
///     watermark: None,
///     nonce: [0; 8],
///     drift: Drift::from_parts(SignedDuration::ZERO, 124_000_000_000_000, now, None),
///     budget: Budget::full(now),
/// };
/// assert_eq!(block_on(store.enrol(&id, state))?, Enrol::Created);
/// assert_eq!(block_on(store.enrol(&id, state))?, Enrol::AlreadyEnrolled);
/// assert_eq!(block_on(store.load(&id))?, Some(state));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait StateStore: Send + Sync {
    /// What is kept about a token; `None` where it was never enrolled.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the state can't be read. A state that can't be understood is an error too, never `None`.
    fn load<'a>(&'a self, id: &'a TokenId) -> StoreFuture<'a, Option<TokenState>>;

    /// Keeps `state` if the token has none yet.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where that isn't known to have happened.
    fn enrol<'a>(&'a self, id: &'a TokenId, state: TokenState) -> StoreFuture<'a, Enrol>;

    /// Changes the token's state as it is now by what a failed attempt changes: [`Failure::apply`], in one atomic step.
    ///
    /// It never fails for want of budget, and doesn't depend on watermark or epoch: a failure that has happened is paid
    /// for. A store that took the price and burnt the steps in two writes would leave a moment, or after a crash for
    /// ever, in which an attacker could use what the price has told.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where that isn't known to have happened.
    fn charge<'a>(&'a self, id: &'a TokenId, failure: Failure, now: Timestamp) -> StoreFuture<'a, Charged>;

    /// Changes the token's state as it is now by what an accepted code changes, if it may: [`Acceptance::apply`], in one
    /// atomic step. That moves the watermark up to `acceptance.step` and keeps drift and nonce with it, if the watermark
    /// is below `acceptance.first` (or there is none) and the epoch is still `acceptance.epoch`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where that isn't known to have happened.
    fn accept<'a>(&'a self, id: &'a TokenId, acceptance: Acceptance) -> StoreFuture<'a, Accept>;

    /// False where all is forgotten when the process ends. Budgets start nearly empty there, so that a restart is no
    /// refill.
    fn survives_restart(&self) -> bool;
}

/// What an accepted code changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// The step of the code, the first one of several. Each of them must still be unused when this is written: another
    /// process may have accepted one of them since the state was loaded.
    pub first: TimeStep,
    /// The step of the code, the last one of several.
    pub step: TimeStep,
    /// What is now known about the token's clock.
    pub drift: Drift,
    /// The enrolment under which it was decided.
    pub epoch: u64,
    /// By which whoever decided it knows its own write again.
    pub nonce: [u8; 8],
}

impl Acceptance {
    /// Moves the watermark and keeps drift and nonce, unless one of the steps was used meanwhile, or the token was enrolled
    /// anew. The budget stays as it is: a success refunds nothing.
    pub fn apply(self, state: &mut TokenState) -> Accept {
        // `None` is less than every step.
        if state.epoch != self.epoch || state.watermark >= Some(self.first) {
            return Accept::Lost;
        }
        state.watermark = Some(self.step);
        state.drift = self.drift;
        state.nonce = self.nonce;
        Accept::Won
    }
}

/// What a failed attempt changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it owes.
    pub charge: Charge,
    /// The step up to which every code is dead from now on, used or not: where some of several codes were right.
    ///
    /// Which bucket paid shows in when it is empty, so whoever showed the codes may learn that one of them was right. By
    /// then it must be worth nothing.
    pub burn: Option<TimeStep>,
}

impl Failure {
    /// Takes the price from the budget, and moves the watermark up to what is burnt; never down.
    pub fn apply(self, state: &mut TokenState, now: Timestamp) {
        state.budget = state.budget.charge(self.charge, now);
        // `None` is less than every step.
        state.watermark = state.watermark.max(self.burn);
    }
}

/// What came of [`StateStore::accept`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// The watermark is now at this step, by this write.
    Won,
    /// The watermark had reached one of the steps already, the epoch is another one, or the token is gone. Nothing was
    /// written.
    Lost,
}

/// What came of [`StateStore::enrol`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enrol {
    /// The token has a state now.
    Created,
    /// It had one, which was left alone.
    AlreadyEnrolled,
}

/// What came of [`StateStore::charge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charged {
    /// The budget is smaller by the charge, and what was to be burnt is dead.
    Paid,
    /// The token has no state, so there is nothing to take from.
    NotEnrolled,
}

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
