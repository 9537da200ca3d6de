//! What a log gets to see of an import. A test of its own process: `tracing` decides for each call site once whether anybody listens.

#[path = "support/log.rs"]
mod log;

use std::time::Duration;

use log::Log;
use skewgate::block_on;
use skewgate::store::{MemoryStore, backup};
use skewgate::time::{SignedDuration, TimeError, TimeInterval, TimeSource, Timestamp};

/// Knows the time to a second, and has a system clock that is ten seconds slow.
struct SlowHost;

const NOW: Timestamp = Timestamp::from_unix_nanos(1_780_000_000_000_000_000);

impl TimeSource for SlowHost {
    fn now(&self) -> Result<TimeInterval, TimeError> {
        Ok(TimeInterval::around(NOW, Duration::from_secs(1)))
    }

    fn system_clock(&self) -> Timestamp {
        NOW - SignedDuration::from_secs(10)
    }
}

#[test]
fn an_import_says_once_that_everything_until_now_is_dead() {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    let (store, mut file) = (MemoryStore::new(), Vec::new());
    block_on(backup::export(&store, &mut file)).unwrap();
    let import = |mut text: &[u8]| block_on(backup::import(&store, &SlowHost, &mut text));
    // Cut off: nothing is declared.
    assert!(import(&file[..10]).is_err());
    assert_eq!(log.lines(), [""; 0]);
    import(&file).unwrap();
    assert_eq!(
        log.lines(),
        ["WARN skewgate::security outcome=restored price_e18=0 price_total_e15=0 \
          local_time=2026-05-28T20:26:30.000000000Z true_time=2026-05-28T20:26:40.000000000Z half_width_ns=1000000000"]
    );
}
