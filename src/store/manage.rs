//! What administrators need of a store.

use std::ops::ControlFlow;

use crate::token::{Budget, TokenKey, TokenState};

use super::{StateStore, StoreFuture};

/// A [`StateStore`] that can show all that it holds: for backups, and for the move to another store.
pub trait ManageStore: StateStore {
    /// Shows every enrolled token to `visit`, each once, in any order, until that says [`ControlFlow::Break`]. What is written
    /// meanwhile may be shown as it was before or after.
    ///
    /// The rows that stand in for unknown tokens, whose ids begin with U+0001, aren't shown.
    ///
    /// # Errors
    ///
    /// [`StoreError`](super::StoreError) where not all could be shown.
    fn scan<'a>(
        &'a self,
        visit: &'a mut (dyn FnMut(Record) -> ControlFlow<()> + Send),
    ) -> StoreFuture<'a, ()>;
}

/// An enrolled token and all that is kept about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Under which names.
    pub key: TokenKey,
    /// What is known of the token.
    pub state: TokenState,
    /// Its guess budget, or that of its account.
    pub budget: Budget,
}
