//! States in this process's memory.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::time::Timestamp;
use crate::token::{TokenId, TokenState};

use super::{Accept, Acceptance, Charged, Enrol, Failure, StateStore, StoreFuture};

/// Enough that logins on a few dozen cores seldom meet at one lock, few enough to cost nothing.
const SHARDS: usize = 64;

/// Keeps states in memory: for tests, and for a single process that can afford to forget.
///
/// When the process ends every token has to be enrolled again: a watermark that is forgotten would let used codes in,
/// so a token without a state is refused.
pub struct MemoryStore {
    shards: Box<[Shard]>,
    hasher: RandomState,
}

type Shard = Mutex<HashMap<TokenId, TokenState>>;

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect(), hasher: RandomState::new() }
    }

    /// How many tokens it knows, the stand-in for unknown ones included once it was needed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// True where it knows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The operation runs when its future is polled: one that is dropped before has done nothing.
    fn on_shard<'a, T: Send + 'a>(
        &'a self,
        id: &'a TokenId,
        run: impl FnOnce(&mut HashMap<TokenId, TokenState>) -> T + Send + 'a,
    ) -> StoreFuture<'a, T> {
        Box::pin(async move {
            let hash = usize::try_from(self.hasher.hash_one(id) % SHARDS as u64).unwrap_or(0);
            Ok(run(&mut lock(&self.shards[hash])))
        })
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

impl StateStore for MemoryStore {
    fn load<'a>(&'a self, id: &'a TokenId) -> StoreFuture<'a, Option<TokenState>> {
        self.on_shard(id, move |states| states.get(id).copied())
    }

    fn enrol<'a>(&'a self, id: &'a TokenId, state: TokenState) -> StoreFuture<'a, Enrol> {
        self.on_shard(id, move |states| match states.entry(id.clone()) {
            Entry::Occupied(_) => Enrol::AlreadyEnrolled,
            Entry::Vacant(place) => {
                place.insert(state);
                Enrol::Created
            }
        })
    }

    fn charge<'a>(&'a self, id: &'a TokenId, failure: Failure, now: Timestamp) -> StoreFuture<'a, Charged> {
        self.on_shard(id, move |states| match states.get_mut(id) {
            Some(state) => {
                failure.apply(state, now);
                Charged::Paid
            }
            None => Charged::NotEnrolled,
        })
    }

    fn accept<'a>(&'a self, id: &'a TokenId, acceptance: Acceptance) -> StoreFuture<'a, Accept> {
        self.on_shard(id, move |states| match states.get_mut(id) {
            Some(state) => acceptance.apply(state),
            None => Accept::Lost,
        })
    }

    fn survives_restart(&self) -> bool {
        false
    }
}

/// A panic elsewhere leaves whole states behind: each is written in one assignment or under one lock.
fn lock(shard: &Shard) -> MutexGuard<'_, HashMap<TokenId, TokenState>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block_on;
    use crate::otp::TimeStep;
    use crate::time::SignedDuration;
    use crate::token::{Bucket, Budget, Charge, Drift, Odds};

    const NOW: Timestamp = Timestamp::from_unix_nanos(1_780_000_000_000_000_000);

    fn state() -> TokenState {
        let drift = Drift::from_parts(SignedDuration::ZERO, 1, NOW, None);
        TokenState { epoch: 3, watermark: None, nonce: [0; 8], drift, budget: Budget::full(NOW) }
    }

    fn acceptance(step: i64, epoch: u64) -> Acceptance {
        let drift = Drift::from_parts(SignedDuration::from_secs(5), 2, NOW, None);
        let step = TimeStep::new(step).unwrap();
        Acceptance { first: step, step, drift, epoch, nonce: [7; 8] }
    }

    fn enrolled() -> (MemoryStore, TokenId) {
        let (store, id) = (MemoryStore::new(), TokenId::new("t").unwrap());
        assert_eq!(block_on(store.enrol(&id, state())).unwrap(), Enrol::Created);
        (store, id)
    }

    #[test]
    fn accept_needs_a_higher_step_and_the_same_epoch() {
        let (store, id) = enrolled();
        for (step, epoch, outcome) in [
            (9, 4, Accept::Lost),
            (9, 3, Accept::Won),
            (9, 3, Accept::Lost),
            (8, 3, Accept::Lost),
            (10, 2, Accept::Lost),
            (10, 3, Accept::Won),
        ] {
            assert_eq!(
                block_on(store.accept(&id, acceptance(step, epoch))).unwrap(),
                outcome,
                "{step}/{epoch}"
            );
        }
        let kept = block_on(store.load(&id)).unwrap().unwrap();
        assert_eq!(kept.watermark, TimeStep::new(10));
        assert_eq!(kept.drift, acceptance(10, 3).drift);
        assert_eq!(kept.nonce, [7; 8]);
        assert_eq!(kept.budget, state().budget, "a success refunds nothing");
    }

    #[test]
    fn accept_needs_every_one_of_its_steps_unused() {
        let (store, id) = enrolled();
        for (first, last, outcome) in [
            (8, 9, Accept::Won),
            (9, 10, Accept::Lost),
            (8, 10, Accept::Lost),
            (10, 12, Accept::Won),
            (12, 13, Accept::Lost),
        ] {
            let acceptance = Acceptance { first: TimeStep::new(first).unwrap(), ..acceptance(last, 3) };
            assert_eq!(block_on(store.accept(&id, acceptance)).unwrap(), outcome, "{first}..={last}");
        }
        assert_eq!(block_on(store.load(&id)).unwrap().unwrap().watermark, TimeStep::new(12));
    }

    #[test]
    fn the_failure_counter_is_not_rolled_back_by_what_comes_after() {
        let (store, id) = enrolled();
        let charge = Charge { bucket: Bucket::Blind, cost: Odds::from_e12(1_000_000) };
        let failure = Failure { charge, burn: None };
        assert_eq!(block_on(store.charge(&id, failure, NOW)).unwrap(), Charged::Paid);
        assert_eq!(block_on(store.accept(&id, acceptance(9, 3))).unwrap(), Accept::Won);
        assert_eq!(block_on(store.accept(&id, acceptance(9, 3))).unwrap(), Accept::Lost);
        assert_eq!(block_on(store.enrol(&id, state())).unwrap(), Enrol::AlreadyEnrolled);
        let kept = block_on(store.load(&id)).unwrap().unwrap();
        assert_eq!(kept.budget, Budget::full(NOW).charge(charge, NOW));
    }

    #[test]
    fn what_is_burnt_is_dead_and_no_watermark_is_lowered() {
        let (store, id) = enrolled();
        let charge = Charge { bucket: Bucket::Partial, cost: Odds::from_e12(1_000_000) };
        for (burn, watermark) in [(None, None), (Some(9), Some(9)), (Some(8), Some(9)), (None, Some(9))] {
            let failure = Failure { charge, burn: burn.and_then(TimeStep::new) };
            block_on(store.charge(&id, failure, NOW)).unwrap();
            let kept = block_on(store.load(&id)).unwrap().unwrap();
            assert_eq!(kept.watermark, watermark.and_then(TimeStep::new), "{burn:?}");
        }
        assert_eq!(block_on(store.accept(&id, acceptance(9, 3))).unwrap(), Accept::Lost);
        assert_eq!(block_on(store.accept(&id, acceptance(10, 3))).unwrap(), Accept::Won);
    }

    #[test]
    fn absent_tokens_stay_absent() {
        let (store, id) = (MemoryStore::new(), TokenId::new("t").unwrap());
        let charge = Charge { bucket: Bucket::Blind, cost: Odds::ZERO };
        let failure = Failure { charge, burn: TimeStep::new(9) };
        assert_eq!(block_on(store.charge(&id, failure, NOW)).unwrap(), Charged::NotEnrolled);
        assert_eq!(block_on(store.accept(&id, acceptance(9, 3))).unwrap(), Accept::Lost);
        assert!(store.is_empty());
    }

    #[test]
    fn a_dropped_future_has_written_nothing() {
        let (store, id) = enrolled();
        drop(store.accept(&id, acceptance(9, 3)));
        assert_eq!(block_on(store.load(&id)).unwrap(), Some(state()));
    }
}
