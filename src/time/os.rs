//! The operating system's clocks. This is the only file that reads one.
//!
//! On Linux the raw timeline is `CLOCK_MONOTONIC_RAW`, which no time daemon slews (chrony slews
//! `CLOCK_MONOTONIC` by up to 83,333 ppm), and suspends are seen as `CLOCK_BOOTTIME − CLOCK_MONOTONIC`.
//! Elsewhere the standard library's monotonic clock stands in for it: a daemon that slews that clock by more
//! than the estimate's `max_drift`, or a suspend that it does not count, goes unnoticed there.

use std::time::Duration;

use super::{
    LocalClock, RawInstant, SignedDuration, SystemReading, TimeError, TimeInterval, TimeSource, Timestamp,
};

/// How many times a bracketed reading is tried at the most; the narrowest bracket counts. One interrupted reading (a
/// context switch between two clocks) must not look like a step or a suspend.
const BRACKETS: usize = 3;

/// A bracket this narrow was not interrupted: no other is tried. Reading three clocks takes a tenth of it.
const NARROW: SignedDuration = SignedDuration::from_micros(2);

/// The clocks of this host.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsClock;

impl LocalClock for OsClock {
    fn raw(&self) -> RawInstant {
        platform::raw()
    }

    fn suspended(&self) -> SignedDuration {
        platform::suspended()
    }

    fn system(&self) -> SystemReading {
        narrowest(
            || {
                let before = platform::raw();
                let (realtime, boottime) = (platform::realtime(), platform::boottime());
                SystemReading { before, realtime, boottime, after: platform::raw() }
            },
            |reading| reading.after - reading.before,
        )
    }
}

/// What the system clock shows, where it doesn't matter what the raw timeline shows at that moment.
pub(super) fn realtime() -> Timestamp {
    platform::realtime()
}

/// The narrowest of a few bracketed readings, or the first that is narrow enough.
fn narrowest<T>(read: impl Fn() -> T, width: impl Fn(&T) -> SignedDuration) -> T {
    let mut best = read();
    for _ in 1..BRACKETS {
        if width(&best) <= NARROW {
            break;
        }
        let again = read();
        if width(&again) < width(&best) {
            best = again;
        }
    }
    best
}

/// The system clock with an error that the caller vouches for: for hosts whose clock somebody else
/// disciplines and watches.
///
/// Nothing is measured. If the clock is further off than declared, codes are refused or accepted at the
/// wrong time; a `Monitor` (feature `ntp`) measures instead.
#[derive(Clone, Copy, Debug)]
pub struct SystemTime {
    max_error: Duration,
}

impl SystemTime {
    /// The system clock, at most `max_error` off in either direction.
    #[must_use]
    pub const fn with_max_error(max_error: Duration) -> Self {
        Self { max_error }
    }
}

impl TimeSource for SystemTime {
    fn now(&self) -> Result<TimeInterval, TimeError> {
        Ok(TimeInterval::around(platform::realtime(), self.max_error))
    }
}

#[cfg(target_os = "linux")]
mod platform {
    use rustix::time::{ClockId, Timespec, clock_gettime};

    use super::{RawInstant, SignedDuration, Timestamp, narrowest};

    #[expect(clippy::disallowed_methods, reason = "this file is where clocks are read")]
    fn read(clock: ClockId) -> i64 {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
        tv_sec.saturating_mul(1_000_000_000).saturating_add(tv_nsec)
    }

    pub(super) fn raw() -> RawInstant {
        RawInstant::from_nanos(read(ClockId::MonotonicRaw))
    }

    pub(super) fn realtime() -> Timestamp {
        Timestamp::from_unix_nanos(read(ClockId::Realtime))
    }

    pub(super) fn boottime() -> SignedDuration {
        SignedDuration::from_nanos(read(ClockId::Boottime))
    }

    pub(super) fn suspended() -> SignedDuration {
        let (before, boottime, after) = narrowest(
            || (read(ClockId::Monotonic), read(ClockId::Boottime), read(ClockId::Monotonic)),
            |(before, _, after)| SignedDuration::from_nanos(after - before),
        );
        SignedDuration::from_nanos(boottime - before.midpoint(after))
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::sync::OnceLock;
    use std::time::{Instant, SystemTime, UNIX_EPOCH};

    use super::{RawInstant, SignedDuration, Timestamp};

    static START: OnceLock<Instant> = OnceLock::new();

    #[expect(clippy::disallowed_methods, reason = "this file is where clocks are read")]
    pub(super) fn raw() -> RawInstant {
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(*START.get_or_init(|| now));
        RawInstant::from_nanos(SignedDuration::from(elapsed).as_nanos())
    }

    #[expect(clippy::disallowed_methods, reason = "this file is where clocks are read")]
    pub(super) fn realtime() -> Timestamp {
        let since_epoch = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => SignedDuration::from(after),
            Err(before) => -SignedDuration::from(before.duration()),
        };
        Timestamp::from_unix_nanos(since_epoch.as_nanos())
    }

    pub(super) fn boottime() -> SignedDuration {
        raw() - RawInstant::from_nanos(0)
    }

    pub(super) fn suspended() -> SignedDuration {
        SignedDuration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_never_runs_backwards() {
        let mut last = OsClock.raw();
        for _ in 0..1_000 {
            let now = OsClock.raw();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn suspended_stands_still_while_awake() {
        let first = OsClock.suspended();
        for _ in 0..1_000 {
            assert!((OsClock.suspended() - first).unsigned_abs() < Duration::from_millis(1));
        }
    }

    #[test]
    fn the_narrowest_bracket_counts_and_a_narrow_one_at_once() {
        for (widths, read, best) in [
            (vec![1_000], 1, 1_000),
            (vec![9_000_000, 500], 2, 500),
            (vec![9_000, 3_000, 5_000], 3, 3_000),
            (vec![3_000, 9_000, 5_000], 3, 3_000),
        ] {
            let count = std::cell::Cell::new(0);
            let next = || {
                count.set(count.get() + 1);
                widths[count.get() - 1]
            };
            assert_eq!(narrowest(next, |width| SignedDuration::from_nanos(*width)), best, "{widths:?}");
            assert_eq!(count.get(), read, "{widths:?}");
        }
    }

    #[test]
    fn the_system_clock_is_read_inside_its_bracket() {
        let reading = OsClock.system();
        assert!(reading.before <= reading.after);
        assert!(SystemTime::with_max_error(Duration::from_secs(1)).now().unwrap().contains(reading.realtime));
    }
}
