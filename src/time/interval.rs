//! An interval that contains true time.

use std::time::Duration;

use super::{SignedDuration, Timestamp};

/// Two points of UTC with true time between them, ends included.
///
/// ```
/// use skewgate::time::{SignedDuration, TimeInterval, Timestamp};
///
/// let noon: Timestamp = "2026-06-01T12:00:00Z".parse()?;
/// let interval = TimeInterval::new(noon, noon + SignedDuration::from_millis(10))?;
/// assert_eq!(interval.half_width().as_millis(), 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeInterval {
    earliest: Timestamp,
    latest: Timestamp,
}

impl TimeInterval {
    /// The interval between two points.
    ///
    /// # Errors
    ///
    /// [`ReversedInterval`] where `latest` lies before `earliest`.
    pub fn new(earliest: Timestamp, latest: Timestamp) -> Result<Self, ReversedInterval> {
        if earliest <= latest {
            Ok(Self { earliest, latest })
        } else {
            Err(ReversedInterval { earliest, latest })
        }
    }

    /// The interval from `error` before `middle` to `error` after it, saturating at the ends of time.
    #[must_use]
    pub fn around(middle: Timestamp, error: Duration) -> Self {
        let error = SignedDuration::from(error);
        Self { earliest: middle - error, latest: middle + error }
    }

    /// True time is not before this.
    #[must_use]
    pub const fn earliest(&self) -> Timestamp {
        self.earliest
    }

    /// True time is not after this.
    #[must_use]
    pub const fn latest(&self) -> Timestamp {
        self.latest
    }

    /// Half of its width, rounded up: with [`midpoint`](Self::midpoint) it covers the interval.
    #[must_use]
    pub fn half_width(&self) -> Duration {
        let width = (self.latest - self.earliest).unsigned_abs();
        Duration::from_nanos(u64::try_from(width.as_nanos()).unwrap_or(u64::MAX).div_ceil(2))
    }

    /// How far `time` may be from true time.
    pub(crate) fn furthest_from(&self, time: Timestamp) -> Duration {
        (self.earliest - time).unsigned_abs().max((self.latest - time).unsigned_abs())
    }

    /// The point in its middle, rounded towards the past.
    #[must_use]
    pub fn midpoint(&self) -> Timestamp {
        self.earliest + (self.latest - self.earliest).half()
    }

    /// True where `time` lies in it.
    #[must_use]
    pub fn contains(&self, time: Timestamp) -> bool {
        self.earliest <= time && time <= self.latest
    }
}

/// The ends of an interval were given in the wrong order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an interval can't end at {latest} before it begins at {earliest}: swap its ends")]
pub struct ReversedInterval {
    /// The end that was given as the earlier one.
    pub earliest: Timestamp,
    /// The end that was given as the later one.
    pub latest: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn midpoint_and_half_width_cover_odd_widths() {
        let ends = (Timestamp::from_unix_nanos(-3), Timestamp::from_unix_nanos(2));
        let interval = TimeInterval::new(ends.0, ends.1).unwrap();
        let covered = TimeInterval::around(interval.midpoint(), interval.half_width());
        assert!(covered.contains(ends.0) && covered.contains(ends.1));
        assert_eq!(interval.half_width(), Duration::from_nanos(3));
    }

    #[test]
    fn reversed_ends_are_refused() {
        let ends = (Timestamp::from_unix_nanos(1), Timestamp::from_unix_nanos(0));
        assert_eq!(
            TimeInterval::new(ends.0, ends.1),
            Err(ReversedInterval { earliest: ends.0, latest: ends.1 })
        );
    }
}
