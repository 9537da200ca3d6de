//! What a log gets to see. A test of its own process: `tracing` decides for each call site once whether anybody listens,
//! and other tests on other threads would be there first.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/log.rs"]
mod log;

use std::sync::Arc;
use std::time::Duration;

use log::Log;
use skewgate::block_on;
use skewgate::otp::{Code, Secret, TimeStep, Totp};
use skewgate::store::MemoryStore;
use skewgate::time::sim::SimTime;
use skewgate::time::{TimeInterval, Timestamp};
use skewgate::token::{Token, TokenId};
use skewgate::validator::{Attempt, Validator};

/// The beginning of a step.
const NOON: i64 = 1_780_315_200;

fn at(second: i64) -> TimeInterval {
    TimeInterval::around(Timestamp::from_unix_seconds(NOON + second).unwrap(), Duration::from_millis(10))
}

#[test]
fn events_say_what_happened_when_and_hold_no_code() {
    let time = Arc::new(SimTime::new(at(-900)));
    let gate = Validator::builder(Arc::new(MemoryStore::new()), time.clone()).build().unwrap();
    let totp = Totp::builder(&Secret::from_bytes(b"12345678901234567890").unwrap()).build().unwrap();
    let token = Token::new(TokenId::new("user-42").unwrap(), totp.clone());
    let shown = |second: i64| totp.code_at(TimeStep::new((NOON + second).div_euclid(30)).unwrap());
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        block_on(gate.enrol(&token, &Attempt::one(shown(-910)))).unwrap();
        time.set(Ok(at(10)));
        for code in [shown(0), shown(0), Code::parse("000000").unwrap(), shown(600)] {
            let _ = block_on(gate.validate(Some(&token), &Attempt::one(code)));
        }
        let _ = block_on(gate.validate(None, &Attempt::one(shown(0))));
    });
    let lines = log.lines();
    assert!(
        lines[0].starts_with("INFO skewgate::security outcome=enrolled token=user-42 step_offset=-1 "),
        "{}",
        lines[0]
    );
    assert_eq!(
        lines[1],
        "INFO skewgate::security outcome=accepted token=user-42 step_offset=0 window_width=3 price_e18=0 \
         local_time=2026-06-01T12:00:10.000000000Z true_time=2026-06-01T12:00:10.000000000Z half_width_ns=10000000"
    );
    assert!(lines[2].starts_with("WARN skewgate::security outcome=replay token=user-42 window_width="));
    assert!(lines[3].starts_with("WARN skewgate::security outcome=wrong token=user-42 window_width="));
    assert!(!lines[3].contains("price_e18=0 "), "{}", lines[3]);
    assert!(lines[5].starts_with("WARN skewgate::security outcome=unknown_token window_width="));
    assert_eq!(lines.len(), 6);
    for code in [shown(0), shown(600)] {
        assert!(!lines.iter().any(|line| line.contains(&*code.expose())));
    }
}
