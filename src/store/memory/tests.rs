use super::*;
use crate::block_on;
use crate::time::SignedDuration;
use crate::token::Drift;

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
fn names_of_every_kind_are_spread_over_the_locks() {
    let kinds: [fn(u32) -> String; 5] = [
        |number| number.to_string(),
        |number| format!("user-{number:011}"),
        |number| format!("{number}@example.com"),
        |number| format!("{number:08x}-0000-4000-8000-000000000000"),
        |number| format!("CN=user {number},OU=People,DC=example"),
    ];
    for kind in kinds {
        let used: std::collections::HashSet<_> =
            (0..4_096).map(|number| shard_of(kind(number).as_bytes())).collect();
        assert!(used.len() > SHARDS / 2, "{}: {} of {SHARDS}", kind(7), used.len());
        assert!(used.into_iter().all(|shard| shard < SHARDS));
    }
}
