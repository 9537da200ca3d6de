//! Where the state of tokens is kept.
//!
//! A [`StateStore`] reads a token's row and writes [changes](Change) to it. Changes are *narrow* and *conditional*: what was
//! decided from a row that has changed since is either still right (a failure is owed whatever happened meanwhile) or is
//! refused by the store (a step isn't above the watermark any more). So failures never conflict with a success, nothing is
//! locked between reading and writing, and several processes may share a store.
//!
//! [`Change::apply`] says what each change does to a row. A store that can hold a lock or a transaction around it needs nothing
//! else; one that speaks a database's language says the same there.

#[cfg(feature = "backup")]
pub mod backup;
mod change;
#[cfg(feature = "embedded")]
pub mod embedded;
mod error;
mod manage;
mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
pub mod row;

pub use change::{Acceptance, Change, Failure, Renewal, Reset, Row, Seen, Written};
#[cfg(feature = "embedded")]
pub use embedded::EmbeddedStore;
pub use error::StoreError;
pub use manage::{ManageStore, Record};
pub use memory::MemoryStore;
#[cfg(feature = "redis")]
pub use redis::RedisStore;

use std::future::Future;
use std::pin::Pin;

use crate::time::Timestamp;
use crate::token::TokenKey;

/// What the methods of a [`StateStore`] return. A store that needn't wait returns a future that is ready at once.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Keeps a [`Row`] for each token.
///
/// A row has two parts. What is known of the token is kept under [`TokenKey::token`], its guess budget under
/// [`TokenKey::budget`]: the same name, unless several tokens of one account [share a budget](crate::token::Token::sharing_budget).
/// Tokens and budgets have one name space. A name is its bytes: a store neither folds its case nor normalises it.
///
/// A token is known by both names: asked for on another budget it is another token, which may be absent. The budget of an
/// absent token is part of its row all the same where there is one, and outlives its tokens.
///
/// The validator releases a verdict only after the write that belongs to it; so a write's future must not be ready
/// before the write is durable, to whatever degree the store promises that. An error means "not known to be written":
/// the attempt is refused.
///
/// A store must bring its own deadline for each operation, and end it with [`StoreError::TimedOut`] or [`StoreError::NotReady`]: the validator reads no
/// clock and has none. A future that never ends holds the token's turn in this process, so that every later attempt waits
/// for it, or is told that the token is busy.
///
/// A future that was never polled has done nothing. One that is dropped later has done all or nothing, or will: its write may
/// happen after that, once, whole, and in an order with others that every later load agrees with. It should have by ten seconds later: for so long the
/// validator counts what a dropped failure owes. A load that begins after a
/// write was answered sees it, also in another process that uses the same store.
///
/// Every value that a type allows is kept as it is, or refused with [`StoreError::OutOfRange`] and nothing written: it is never
/// changed in silence. Only epochs and variances of 2⁶³ and more may be refused. Arithmetic saturates where that of
/// [`Change::apply`] does.
///
/// Among the tokens are some, 65 at the most, whose ids begin with U+0001, which no caller can name: they take the place of unknown
/// ones, so that an attempt on those costs the same work, and one is for health checks. Stores treat them like any other, and [show](ManageStore::scan) none of them.
///
/// ```
/// use skewgate::block_on;
/// use skewgate::store::{Change, MemoryStore, StateStore, Written};
/// use skewgate::time::{SignedDuration, Timestamp};
/// use skewgate::token::{Budget, Drift, TokenId, TokenKey, TokenState};
///
/// let store = MemoryStore::new();
/// let (key, now) = (TokenKey::from(TokenId::new("user-42")?), Timestamp::from_unix_seconds(1_780_000_000)?);
/// let drift = Drift::from_parts(SignedDuration::ZERO, 124_000_000_000_000, now, None);
/// let state = TokenState { epoch: 0, watermark: None, nonce: [0; 8], drift };
/// let enrol = Change::Enrol { state, budget: Budget::full(now) };
///
/// assert_eq!(block_on(store.write(&key, enrol))?, Written::Done);
/// assert_eq!(block_on(store.write(&key, enrol))?, Written::Refused);
/// assert_eq!(block_on(store.load(&key))?.row.token, Some(state));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait StateStore: Send + Sync {
    /// The row of a token, and what holds for all rows.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where that can't be read. A row that can't be understood is an error too, never an absent one.
    fn load<'a>(&'a self, key: &'a TokenKey) -> StoreFuture<'a, Loaded>;

    /// Changes the row as it is now by [`Change::apply`], both its parts in one atomic step.
    ///
    /// What an acceptance or a renewal [has seen](Seen) of the store is compared with what it is when this is written: what a write sees that begins
    /// after [`set_not_before`](Self::set_not_before) was answered is its moment.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where it isn't known whether that has happened.
    fn write<'a>(&'a self, key: &'a TokenKey, change: Change) -> StoreFuture<'a, Written>;

    /// Declares that rows may be older than what was promised to users until `moment`: they were restored, imported, or
    /// a failover has lost some. [`Loaded::not_before`] is `moment` from now on, unless it is later already; it never goes back.
    ///
    /// That also settles what [`Loaded::replaced`] reports.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where it isn't known whether that has happened.
    fn set_not_before(&self, moment: Timestamp) -> StoreFuture<'_, ()>;

    /// False where all is forgotten when the process ends. Budgets start about half full there, so that a restart is no
    /// refill.
    fn survives_restart(&self) -> bool;
}

/// What [`StateStore::load`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// What is kept about the token and its budget; nothing where it was never enrolled.
    pub row: Row,
    /// For every token of this store: codes that could have been used by then may have been, whatever the rows say.
    pub not_before: Option<Timestamp>,
    /// Who has answered, where several servers may take each other's place: see [`Seen::lineage`].
    pub lineage: [u8; 20],
    /// The store has noticed that it isn't the one that it was. The validator answers with [`StateStore::set_not_before`]
    /// before it judges anything.
    pub replaced: Option<Replaced>,
}

impl Loaded {
    /// What this has seen of the whole store: for changes that are decided from it.
    #[must_use]
    pub const fn seen(&self) -> Seen {
        Seen { not_before: self.not_before, lineage: self.lineage }
    }
}

/// In which way a store isn't the one that it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Replaced {
    /// Another node took over, which may lack what was written last.
    Failover,
    /// Rows were restored, which may be of any age.
    Restored,
}
