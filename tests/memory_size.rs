//! How much memory a token takes in the memory store.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use skewgate::block_on;
use skewgate::otp::TimeStep;
use skewgate::store::{Acceptance, Change, MemoryStore, Seen, StateStore, Written};
use skewgate::time::{SignedDuration, Timestamp};
use skewgate::token::{Budget, Drift, TokenId, TokenState};

const NOW: Timestamp = Timestamp::from_unix_nanos(1_780_000_000_000_000_000);

/// What this process has in memory, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    size.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

fn drift(seconds: i64) -> Drift {
    Drift::from_parts(SignedDuration::from_secs(seconds), 124_000_000_000_000, NOW, None)
}

fn enrol(epoch: u64) -> Change {
    let watermark = TimeStep::new(59_333_333);
    let state = TokenState { epoch, watermark, nonce: epoch.to_be_bytes(), drift: drift(-150) };
    Change::Enrol { state, budget: Budget::full(NOW) }
}

/// With other lengths than what is there.
fn accept(epoch: u64) -> Change {
    let step = TimeStep::new(59_333_444).unwrap();
    Change::Accept(Acceptance {
        first: step,
        step,
        drift: drift(-9),
        epoch,
        seen: Seen::default(),
        nonce: epoch.to_le_bytes(),
        failure_limit: u32::MAX,
        authenticates: true,
    })
}

/// However many there are.
#[test]
fn a_token_takes_less_than_160_bytes() {
    let before = resident();
    let store = MemoryStore::new();
    for number in 1..=200_000_u32 {
        // Ids of 16 bytes; an epoch has 63 bits.
        let key = TokenId::new(&format!("user-{number:011}")).unwrap().into();
        let epoch = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1;
        assert_eq!(block_on(store.write(&key, enrol(epoch))).unwrap(), Written::Done);
        if number % 3 == 0 {
            assert_eq!(block_on(store.write(&key, accept(epoch))).unwrap(), Written::Done);
        }
        if number % 10_000 == 0 && number >= 50_000 {
            let bytes = (resident() - before) / u64::from(number);
            println!("{bytes} bytes a token of {number}");
            assert!(bytes < 160, "{bytes} bytes a token of {number}");
        }
    }
}
