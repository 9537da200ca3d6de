//! States in this process's memory.

mod entries;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::PoisonError;

use crate::sync::{AtomicBool, AtomicI64, Mutex, MutexGuard, Ordering};
use crate::time::Timestamp;
use crate::token::TokenKey;

use super::{Change, Loaded, ManageStore, Record, Row, Seen, StateStore, StoreError, StoreFuture, Written};
use entries::Entries;

const STORE: &str = "memory";

/// Enough that logins on a few dozen cores seldom meet at one lock, or at one that another core was the last to use; 128 KiB of them.
/// Each is one more thing to keep in step where shuttle draws the orders.
const SHARDS: usize = if cfg!(shuttle) { 16 } else { 1_024 };

/// Keeps states in memory: for tests, and for a single process that can afford to forget.
///
/// When the process ends every token has to be enrolled again: a watermark that is forgotten would let used codes in,
/// so a token without a state is refused.
///
/// A token takes about 140 bytes with an id of 16, and the locks of an empty store 128 KiB.
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

/// By the hash of their names. Unlike a table of hashes it isn't half empty after it has grown.
type Accounts = BTreeMap<u64, Entries>;

impl Shard {
    /// A panic elsewhere leaves whole states behind: each is written under one lock.
    fn lock(&self) -> MutexGuard<'_, Accounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn records(&self) -> Result<Vec<Record>, StoreError> {
        let records = self.lock().values().map(Entries::records).collect::<Result<Vec<_>, _>>()?;
        Ok(records.into_iter().flatten().collect())
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
        self.shards.iter().map(|shard| shard.records().map_or(0, |records| records.len())).sum()
    }

    /// True where none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Accounts> {
        let shard = usize::try_from(hash % SHARDS as u64).unwrap_or(0);
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
            let hash = key.budget().name_hash();
            let row = self.shard(hash).get(&hash).map_or(Ok(Row::default()), |entries| entries.row(key))?;
            Ok(Loaded { row, not_before: self.not_before.get(), ..Loaded::default() })
        })
    }

    fn write<'a>(&'a self, key: &'a TokenKey, change: Change) -> StoreFuture<'a, Written> {
        Box::pin(async move {
            let hash = key.budget().name_hash();
            let mut accounts = self.shard(hash);
            let now = Seen { not_before: self.not_before.get(), ..Seen::default() };
            let Some(kept) = accounts.get_mut(&hash) else {
                let mut new = Entries::default();
                let written = new.change(key, change, now)?;
                if !new.is_empty() {
                    accounts.insert(hash, new);
                }
                return Ok(written);
            };
            let written = kept.change(key, change, now)?;
            if kept.is_empty() {
                accounts.remove(&hash);
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
                let records = shard.records()?;
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
