//! How much memory a token takes in the memory store.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use skewgate::block_on;
use skewgate::store::{Change, MemoryStore, StateStore, Written};
use skewgate::time::{SignedDuration, Timestamp};
use skewgate::token::{Budget, Drift, TokenId, TokenState};

const NOW: Timestamp = Timestamp::from_unix_nanos(1_780_000_000_000_000_000);
const TOKENS: u32 = 100_000;

/// What this process has in memory, in KiB.
fn resident() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    size.trim().trim_end_matches(" kB").parse().unwrap()
}

/// More than the stores that keep their rows take: it is made to be fast.
#[test]
fn a_token_takes_less_than_400_bytes() {
    let store = MemoryStore::new();
    let before = resident();
    for number in 0..TOKENS {
        let drift = Drift::from_parts(SignedDuration::ZERO, 124_000_000_000_000, NOW, None);
        let state = TokenState { epoch: number.into(), watermark: None, nonce: [0; 8], drift };
        let enrol = Change::Enrol { state, budget: Budget::full(NOW) };
        let key = TokenId::new(&format!("user-{number:011}")).unwrap().into();
        assert_eq!(block_on(store.write(&key, enrol)).unwrap(), Written::Done);
    }
    let bytes = f64::from(resident() - before) * 1_024.0 / f64::from(TOKENS);
    println!("{bytes} bytes a token");
    assert!(bytes < 400.0, "{bytes} bytes a token");
}
