//! States in this process's memory.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::ops::ControlFlow;
use std::sync::PoisonError;

use crate::hash::AsItIs;
use crate::sync::{AtomicBool, AtomicI64, Mutex, MutexGuard, Ordering};
use crate::time::Timestamp;
use crate::token::{Budget, TokenId, TokenKey, TokenState};

use super::{Change, Loaded, ManageStore, Record, Row, Seen, StateStore, StoreFuture, Written};

/// Enough that logins on a few dozen cores seldom meet at one lock, or at one that another core was the last to use; 128 KiB of them.
/// Each is one more thing to keep in step where shuttle draws the orders.
const SHARDS: usize = if cfg!(shuttle) { 16 } else { 1_024 };

/// Keeps states in memory: for tests, and for a single process that can afford to forget.
///
/// When the process ends every token has to be enrolled again: a watermark that is forgotten would let used codes in,
/// so a token without a state is refused.
pub struct MemoryStore {
    shards: Box<[Shard]>,
    not_before: NotBefore,
}

/// What only grows, and is read at each login by all of them: without a lock.
struct NotBefore {
    is_set: AtomicBool,
    /// Since the Unix epoch.
    nanos: AtomicI64,
}

impl NotBefore {
    const fn never() -> Self {
        Self { is_set: AtomicBool::new(false), nanos: AtomicI64::new(i64::MIN) }
    }

    fn get(&self) -> Option<Timestamp> {
        let is_set = self.is_set.load(Ordering::Acquire);
        is_set.then(|| Timestamp::from_unix_nanos(self.nanos.load(Ordering::Acquire)))
    }

    fn raise(&self, moment: Timestamp) {
        self.nanos.fetch_max(moment.as_unix_nanos(), Ordering::AcqRel);
        self.is_set.store(true, Ordering::Release);
    }
}

/// By the name of the budget: both parts of a row are under one lock. On cache lines of its own: processors that work on different
/// tokens don't wait for each other's memory.
#[derive(Default)]
#[repr(align(128))]
struct Shard(Mutex<Accounts>);

type Accounts = HashMap<TokenId, Account, BuildHasherDefault<AsItIs>>;

impl Shard {
    /// A panic elsewhere leaves whole states behind: each is written under one lock.
    fn lock(&self) -> MutexGuard<'_, Accounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A budget and the tokens on it.
#[derive(Default)]
struct Account {
    budget: Option<Budget>,
    /// The token of the same name.
    own: Option<TokenState>,
    /// Those that share its budget: a handful.
    others: Vec<(TokenId, TokenState)>,
}

impl Account {
    fn row(&self, key: &TokenKey) -> Row {
        let token = if key.owns_budget() {
            self.own
        } else {
            self.others.iter().find(|(id, _)| id == key.token()).map(|(_, state)| *state)
        };
        Row { token, budget: self.budget }
    }

    fn keep(&mut self, key: &TokenKey, row: Row) {
        self.budget = row.budget;
        if key.owns_budget() {
            self.own = row.token;
            return;
        }
        let at = self.others.iter().position(|(id, _)| id == key.token());
        match (at, row.token) {
            (Some(at), Some(state)) => {
                if let Some((_, kept)) = self.others.get_mut(at) {
                    *kept = state;
                }
            }
            (None, Some(state)) => self.others.push((key.token().clone(), state)),
            (Some(at), None) => {
                self.others.swap_remove(at);
            }
            (None, None) => {}
        }
    }

    fn records<'a>(&'a self, id: &'a TokenId) -> impl Iterator<Item = Record> + 'a {
        let own = self.own.map(|state| (id, state));
        let others = self.others.iter().map(|(token, state)| (token, *state));
        own.into_iter().chain(others).filter_map(move |(token, state)| {
            let key = TokenKey::new(token.clone(), id.clone());
            Some(Record { key, state, budget: self.budget? })
        })
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect(), not_before: NotBefore::never() }
    }

    /// How many tokens are enrolled.
    #[must_use]
    pub fn len(&self) -> usize {
        // Not those that stand in for unknown ones.
        let tokens = |(id, account): (&TokenId, &Account)| {
            if id.is_stand_in() { 0 } else { usize::from(account.own.is_some()) + account.others.len() }
        };
        self.shards.iter().map(|shard| shard.lock().iter().map(tokens).sum::<usize>()).sum()
    }

    /// True where none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, key: &TokenKey) -> MutexGuard<'_, Accounts> {
        // The maps look at the lowest bits and at the highest ones.
        let shard = usize::try_from(key.budget().name_hash() >> 32).unwrap_or(0) % SHARDS;
        self.shards[shard].lock()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").field("tokens", &self.len()).finish_non_exhaustive()
    }
}

/// Every operation runs when its future is polled: one that is dropped before has done nothing.
impl StateStore for MemoryStore {
    fn load<'a>(&'a self, key: &'a TokenKey) -> StoreFuture<'a, Loaded> {
        Box::pin(async move {
            let row = self.shard(key).get(key.budget()).map(|account| account.row(key)).unwrap_or_default();
            Ok(Loaded { row, not_before: self.not_before.get(), ..Loaded::default() })
        })
    }

    fn write<'a>(&'a self, key: &'a TokenKey, change: Change) -> StoreFuture<'a, Written> {
        Box::pin(async move {
            let mut shard = self.shard(key);
            let now = Seen { not_before: self.not_before.get(), ..Seen::default() };
            if let Some(account) = shard.get_mut(key.budget()) {
                let mut row = account.row(key);
                let written = change.apply(&mut row, now);
                account.keep(key, row);
                return Ok(written);
            }
            let mut row = Row::default();
            let written = change.apply(&mut row, now);
            if row != Row::default() {
                shard.entry(key.budget().clone()).or_default().keep(key, row);
            }
            Ok(written)
        })
    }

    fn set_not_before(&self, moment: Timestamp) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            self.not_before.raise(moment);
            Ok(())
        })
    }

    fn survives_restart(&self) -> bool {
        false
    }
}

impl ManageStore for MemoryStore {
    fn scan<'a>(
        &'a self,
        visit: &'a mut (dyn FnMut(Record) -> ControlFlow<()> + Send),
    ) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            for shard in &self.shards {
                // Out of the lock before anybody else's code runs.
                let records: Vec<_> = shard
                    .lock()
                    .iter()
                    .filter(|(id, _)| !id.is_stand_in())
                    .flat_map(|(id, account)| account.records(id))
                    .collect();
                for record in records {
                    if visit(record).is_break() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
