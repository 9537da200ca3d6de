//! How much of the disk a token takes in the embedded store.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::MetadataExt;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use skewgate::block_on;
use skewgate::otp::TimeStep;
use skewgate::store::{Acceptance, Change, EmbeddedStore, Reset, Seen, StateStore, Written};
use skewgate::time::{SignedDuration, Timestamp};
use skewgate::token::{Budget, Drift, TokenId, TokenKey, TokenState};

const NOW: Timestamp = Timestamp::from_unix_nanos(1_780_000_000_000_000_000);
const TOKENS: u64 = 100_000;

/// Ids of 16 bytes, in no order.
fn key(number: u64) -> TokenKey {
    TokenId::new(&format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))).unwrap().into()
}

fn drift(seconds: i64) -> Drift {
    Drift::from_parts(SignedDuration::from_secs(seconds), 124_000_000_000_000, NOW, None)
}

/// Writes all at once.
fn write(store: &EmbeddedStore, changes: impl Iterator<Item = (u64, Change)>) {
    let changes: Vec<_> = changes.map(|(number, change)| (key(number), change)).collect();
    let mut writes: Vec<_> = changes.iter().map(|(key, change)| store.write(key, *change)).collect();
    // Queued by the first poll; some are answered already.
    let mut context = Context::from_waker(Waker::noop());
    writes.retain_mut(|write| match write.as_mut().poll(&mut context) {
        Poll::Ready(answer) => {
            assert_eq!(answer.unwrap(), Written::Done);
            false
        }
        Poll::Pending => true,
    });
    for write in writes {
        assert_eq!(block_on(write).unwrap(), Written::Done);
    }
}

/// Enrolled in random order, as many in a transaction as there can be, and every tenth has logged in.
#[test]
#[ignore = "takes a minute: ./tests/run embedded_size"]
fn a_token_takes_less_than_160_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokens.redb");
    // A test must not fail because other tests keep the disk busy.
    let store = EmbeddedStore::builder(&path).deadline(Duration::from_secs(600)).open().unwrap();
    // 63 bits, as drawn by a validator.
    let epoch = |number: u64| number.wrapping_mul(0xd1b5_4a32_d192_ed03) >> 1;
    let enrol = |number| {
        let (epoch, watermark) = (epoch(number), TimeStep::new(59_333_333));
        let state = TokenState { epoch, watermark, nonce: epoch.to_be_bytes(), drift: drift(-150) };
        (number, Change::Enrol { state, budget: Budget::full(NOW) })
    };
    let step = TimeStep::new(59_333_444).unwrap();
    let accept = |number: u64| {
        let acceptance = Acceptance {
            first: step,
            step,
            drift: drift(-90),
            epoch: epoch(number),
            seen: Seen::default(),
            nonce: number.to_be_bytes(),
            failure_limit: u32::MAX,
            authenticates: true,
        };
        (number, Change::Accept(acceptance))
    };
    for first in (0..TOKENS).step_by(1_000) {
        write(&store, (first..first + 1_000).map(enrol));
    }
    for first in (0..TOKENS).step_by(10_000) {
        write(&store, (first..first + 10_000).step_by(10).map(accept));
    }
    // The file grows ahead: its length is more than what it takes until it is closed.
    let length = || std::fs::metadata(&path).unwrap().len() / TOKENS;
    let taken = || std::fs::metadata(&path).unwrap().blocks() * 512 / TOKENS;
    let (open, open_length) = (taken(), length());
    drop(store);
    let (closed, closed_length) = (taken(), length());
    println!(
        "bytes_per_token: open={open} closed={closed} length_open={open_length} length_closed={closed_length}"
    );
    assert!(open < 160 && closed < 160 && closed_length < 160, "{open} {closed} {closed_length}");
}

/// The journal and what is rewritten don't grow with the number of writes.
#[test]
#[ignore = "takes a minute: ./tests/run embedded_size"]
fn few_tokens_take_a_few_megabytes_however_often_they_log_in() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokens.redb");
    let store = EmbeddedStore::builder(&path).deadline(Duration::from_secs(600)).open().unwrap();
    let state = TokenState { epoch: 1, watermark: None, nonce: [0; 8], drift: drift(0) };
    write(&store, (0..64).map(|number| (number, Change::Enrol { state, budget: Budget::full(NOW) })));
    let mut most = 0;
    for round in 0..2_000 {
        let budget = Budget::full(NOW + SignedDuration::from_millis(round));
        write(&store, (0..64).map(|number| (number, Change::Reset(Reset { budget }))));
        most = most.max(std::fs::metadata(&path).unwrap().blocks() * 512);
    }
    println!("64 tokens, written 2000 times: {most} bytes");
    assert!(most < 8 << 20, "{most}");
}
