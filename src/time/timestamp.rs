//! Points in time: of UTC, and on this host's raw timeline.

use std::fmt;
use std::ops::{Add, Sub};

use chrono::{DateTime, SecondsFormat, Utc};

use super::{SignedDuration, TimeError};

/// A point of UTC: signed nanoseconds since the Unix epoch, leap seconds not counted (POSIX).
///
/// ```
/// use skewgate::time::{SignedDuration, Timestamp};
///
/// let login: Timestamp = "2026-01-01T00:00:00Z".parse()?;
/// assert_eq!(login.as_unix_nanos(), 1_767_225_600_000_000_000);
/// assert_eq!((login + SignedDuration::from_secs(30)).to_string(), "2026-01-01T00:00:30.000000000Z");
/// # Ok::<(), skewgate::time::TimeError>(())
/// ```
///
/// It does not mix with the raw timeline, which has no date:
///
/// ```compile_fail
/// use skewgate::time::{RawInstant, Timestamp};
///
/// let mixed = Timestamp::from_unix_nanos(0) - RawInstant::from_nanos(0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    unix_nanos: i64,
}

impl Timestamp {
    /// So many nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn from_unix_nanos(unix_nanos: i64) -> Self {
        Self { unix_nanos }
    }

    /// So many seconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// [`TimeError::OutOfRange`] outside of the years 1678 to 2261.
    pub const fn from_unix_seconds(seconds: i64) -> Result<Self, TimeError> {
        match seconds.checked_mul(1_000_000_000) {
            Some(unix_nanos) => Ok(Self { unix_nanos }),
            None => Err(TimeError::OutOfRange),
        }
    }

    /// In nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn as_unix_nanos(self) -> i64 {
        self.unix_nanos
    }

    /// In whole seconds since the Unix epoch, rounded towards the past.
    #[must_use]
    pub const fn as_unix_seconds(self) -> i64 {
        self.unix_nanos.div_euclid(1_000_000_000)
    }
}

impl Add<SignedDuration> for Timestamp {
    type Output = Self;

    fn add(self, length: SignedDuration) -> Self {
        Self::from_unix_nanos(self.unix_nanos.saturating_add(length.as_nanos()))
    }
}

impl Sub<SignedDuration> for Timestamp {
    type Output = Self;

    fn sub(self, length: SignedDuration) -> Self {
        Self::from_unix_nanos(self.unix_nanos.saturating_sub(length.as_nanos()))
    }
}

impl Sub for Timestamp {
    type Output = SignedDuration;

    fn sub(self, earlier: Self) -> SignedDuration {
        SignedDuration::from_nanos(self.unix_nanos.saturating_sub(earlier.unix_nanos))
    }
}

impl From<Timestamp> for DateTime<Utc> {
    fn from(time: Timestamp) -> Self {
        Self::from_timestamp_nanos(time.unix_nanos)
    }
}

impl TryFrom<DateTime<Utc>> for Timestamp {
    type Error = TimeError;

    fn try_from(date: DateTime<Utc>) -> Result<Self, TimeError> {
        date.timestamp_nanos_opt().map(Self::from_unix_nanos).ok_or(TimeError::OutOfRange)
    }
}

/// RFC 3339 in UTC, with nanoseconds; a precision shortens the fraction: `{:.3}` shows milliseconds, `{:.0}`
/// whole seconds.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = match f.precision() {
            Some(0) => SecondsFormat::Secs,
            Some(1..=3) => SecondsFormat::Millis,
            Some(4..=6) => SecondsFormat::Micros,
            _ => SecondsFormat::Nanos,
        };
        f.write_str(&DateTime::<Utc>::from(*self).to_rfc3339_opts(digits, true))
    }
}

impl std::str::FromStr for Timestamp {
    type Err = TimeError;

    /// Reads RFC 3339, with any offset.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        DateTime::parse_from_rfc3339(text).map_err(|_| TimeError::NotRfc3339)?.to_utc().try_into()
    }
}

/// A point on this host's raw timeline (Linux: `CLOCK_MONOTONIC_RAW`): nanoseconds since an unknown start.
///
/// Only differences mean anything, and only within one boot of one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawInstant {
    nanos: i64,
}

impl RawInstant {
    /// So many nanoseconds since the timeline's start.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self { nanos }
    }

    /// In nanoseconds since the timeline's start.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.nanos
    }
}

impl Add<SignedDuration> for RawInstant {
    type Output = Self;

    fn add(self, length: SignedDuration) -> Self {
        Self::from_nanos(self.nanos.saturating_add(length.as_nanos()))
    }
}

impl Sub for RawInstant {
    type Output = SignedDuration;

    fn sub(self, earlier: Self) -> SignedDuration {
        SignedDuration::from_nanos(self.nanos.saturating_sub(earlier.nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_the_epoch_seconds_round_towards_the_past() {
        assert_eq!(Timestamp::from_unix_nanos(-1).as_unix_seconds(), -1);
        assert_eq!(Timestamp::from_unix_nanos(-1).to_string(), "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn precision_shortens_the_fraction() {
        let time = Timestamp::from_unix_nanos(1_234_567_890_123_456_789);
        assert_eq!(format!("{time:.0}"), "2009-02-13T23:31:30Z");
        assert_eq!(format!("{time:.3}"), "2009-02-13T23:31:30.123Z");
    }

    #[test]
    fn dates_that_do_not_fit_are_refused() {
        assert_eq!("2300-01-01T00:00:00Z".parse::<Timestamp>(), Err(TimeError::OutOfRange));
        assert_eq!("not a date".parse::<Timestamp>(), Err(TimeError::NotRfc3339));
        assert_eq!(Timestamp::from_unix_seconds(i64::MAX), Err(TimeError::OutOfRange));
    }

    #[test]
    fn both_ends_of_the_range_can_be_shown() {
        for time in [Timestamp::from_unix_nanos(i64::MIN), Timestamp::from_unix_nanos(i64::MAX)] {
            assert_eq!(time.to_string().parse(), Ok(time));
        }
    }
}
