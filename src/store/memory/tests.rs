use super::*;
use crate::block_on;
use crate::time::SignedDuration;
use crate::token::{Budget, Drift, TokenId, TokenState};

const NOW: Timestamp = Timestamp::from_unix_nanos(1_780_000_000_000_000_000);

fn id(text: &str) -> TokenId {
    TokenId::new(text).unwrap()
}

fn enrol() -> Change {
    let drift = Drift::from_parts(SignedDuration::ZERO, 1, NOW, None);
    let state = TokenState { epoch: 3, watermark: None, nonce: [0; 8], drift };
    Change::Enrol { state, budget: Budget::full(NOW) }
}

#[test]
fn a_dropped_future_has_written_nothing() {
    let (store, key) = (MemoryStore::new(), TokenKey::from(id("t")));
    drop(store.write(&key, enrol()));
    assert!(store.is_empty());
    assert_eq!(block_on(store.load(&key)).unwrap(), Loaded::default());
}

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let (store, key) = (MemoryStore::new(), TokenKey::from(id("t")));
    assert_eq!(block_on(store.write(&key, Change::Remove)).unwrap(), Written::Missing);
    assert!(store.shards.iter().all(|shard| shard.lock().is_empty()));
}

#[test]
fn tokens_are_spread_over_the_locks() {
    let store = MemoryStore::new();
    for number in 0..4_096 {
        block_on(store.write(&TokenKey::from(id(&number.to_string())), enrol())).unwrap();
    }
    assert_eq!(store.len(), 4_096);
    let used = store.shards.iter().filter(|shard| !shard.lock().is_empty()).count();
    assert!(used > SHARDS / 2, "{used} of {SHARDS}");
}
