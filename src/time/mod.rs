//! Points in time, lengths of time, and the question "what time is it, and how wrong can that be?".
//!
//! Three types that do not mix by accident: a [`Timestamp`] is a point of UTC, a [`RawInstant`] a point on
//! this host's raw timeline (which has no date), a [`SignedDuration`] a length. All are integers of
//! nanoseconds; `chrono` appears only where a date is shown or read.

mod duration;
mod interval;
pub mod os;
pub mod sim;
mod timestamp;

pub use duration::SignedDuration;
pub use interval::{ReversedInterval, TimeInterval};
pub use timestamp::{RawInstant, Timestamp};

use std::time::Duration;

/// Who can say what time it is.
///
/// An implementation promises that true time lies in the interval that it returns, under the assumptions
/// that its documentation states. One that can't keep the promise returns an error: callers refuse to
/// decide anything that depends on the time rather than guess.
///
/// ```
/// use skewgate::time::{TimeSource, os::SystemTime};
/// use std::time::Duration;
///
/// // The operating system's clock, vouched for to half a second by whoever writes this line.
/// let source = SystemTime::with_max_error(Duration::from_millis(500));
/// let now = source.now()?;
/// assert_eq!(now.half_width(), Duration::from_millis(500));
/// # Ok::<(), skewgate::time::TimeError>(())
/// ```
pub trait TimeSource: Send + Sync {
    /// The interval that contains true time now.
    ///
    /// # Errors
    ///
    /// [`TimeError`] where no interval can be vouched for: nothing measured yet, too old, too wide, or the
    /// host slept.
    fn now(&self) -> Result<TimeInterval, TimeError>;

    /// What this host's system clock shows now: for log lines that say both times. Never used to decide.
    fn system_clock(&self) -> Timestamp {
        os::realtime()
    }
}

impl<T: TimeSource + ?Sized> TimeSource for std::sync::Arc<T> {
    fn now(&self) -> Result<TimeInterval, TimeError> {
        (**self).now()
    }

    fn system_clock(&self) -> Timestamp {
        (**self).system_clock()
    }
}

/// This host's clocks, as the measuring code needs them. [`os::OsClock`] reads the real ones,
/// [`sim::SimClock`] pretends.
///
/// Time-outs are measured on them too: on a clock that nobody advances, whoever waits for a reply waits for ever.
pub trait LocalClock: Send + Sync {
    /// Now on the raw timeline: the clock that no time daemon slews or steps.
    fn raw(&self) -> RawInstant;

    /// How long this host has been suspended since it booted. The raw timeline stands still meanwhile, so
    /// whatever was measured before a suspend is void after it.
    fn suspended(&self) -> SignedDuration;

    /// The system clock, between two readings of the raw timeline.
    fn system(&self) -> SystemReading;
}

impl<T: LocalClock + ?Sized> LocalClock for &T {
    fn raw(&self) -> RawInstant {
        (**self).raw()
    }

    fn suspended(&self) -> SignedDuration {
        (**self).suspended()
    }

    fn system(&self) -> SystemReading {
        (**self).system()
    }
}

impl<T: LocalClock + ?Sized> LocalClock for std::sync::Arc<T> {
    fn raw(&self) -> RawInstant {
        (**self).raw()
    }

    fn suspended(&self) -> SignedDuration {
        (**self).suspended()
    }

    fn system(&self) -> SystemReading {
        (**self).system()
    }
}

/// One reading of the system clock: it showed `realtime` somewhere between `before` and `after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemReading {
    /// The raw timeline just before the system clock was read.
    pub before: RawInstant,
    /// What the system clock showed.
    pub realtime: Timestamp,
    /// How long ago this host booted, suspends included: `CLOCK_BOOTTIME` on Linux. It is slewed like the system
    /// clock and never stepped.
    pub boottime: SignedDuration,
    /// The raw timeline just after.
    pub after: RawInstant,
}

impl SystemReading {
    /// System clock − BOOTTIME. It changes when somebody steps the system clock, and at no other time.
    #[must_use]
    pub fn since_boot(&self) -> SignedDuration {
        (self.realtime - Timestamp::from_unix_nanos(0)) - self.boottime
    }
}

/// Why there is no interval that could be vouched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// Nothing has been measured, or no measurement found a quorum.
    #[error("no time has been measured yet: wait until a quorum of the time sources answers")]
    NotMeasured,
    /// The last good measurement is too long ago.
    #[error(
        "the last measurement is {age:?} old, at most {max_age:?} is allowed: check that the time sources can be reached"
    )]
    TooOld {
        /// How old it is, on the raw timeline.
        age: Duration,
        /// How old it may be.
        max_age: Duration,
    },
    /// The interval is too wide to be of use.
    #[error(
        "true time is known only to ±{half_width:?}, at most ±{max_half_width:?} is allowed: use nearer or better time sources"
    )]
    TooWide {
        /// Half of the interval's width.
        half_width: Duration,
        /// Half of the width that is allowed.
        max_half_width: Duration,
    },
    /// The host was suspended since the last measurement, and the raw timeline did not count meanwhile.
    #[error("this host was suspended for {slept:?} since the last measurement: measure again")]
    Suspended {
        /// How long it slept.
        slept: Duration,
    },
    /// A text is no time.
    #[error("this is no time: write it as RFC 3339 has it, such as 2026-01-01T00:00:00Z")]
    NotRfc3339,
    /// The time can't be represented, or a clock ran backwards.
    #[error("the time is outside of what can be represented (years 1678 to 2261)")]
    OutOfRange,
}
