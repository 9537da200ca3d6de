//! A signed length of time.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub};
use std::time::Duration;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// A length of time in nanoseconds that may be negative: an offset, a skew, a drift.
///
/// Arithmetic saturates at ±292 years, which is wider than anything that two [`Timestamp`]s can be apart in
/// practice; nothing wraps.
///
/// [`Timestamp`]: super::Timestamp
///
/// ```
/// use skewgate::time::SignedDuration;
///
/// let behind = SignedDuration::from_millis(40_001);
/// assert_eq!(behind.to_string(), "+40.001 s");
/// assert_eq!((-behind).as_nanos(), -40_001_000_000);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignedDuration {
    nanos: i64,
}

impl SignedDuration {
    /// No time at all.
    pub const ZERO: Self = Self::from_nanos(0);
    /// The longest: about 292 years.
    pub const MAX: Self = Self::from_nanos(i64::MAX);
    /// The most negative: about −292 years.
    pub const MIN: Self = Self::from_nanos(i64::MIN);

    /// So many nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self { nanos }
    }

    /// So many microseconds, saturating.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self::from_nanos(micros.saturating_mul(1_000))
    }

    /// So many milliseconds, saturating.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self::from_nanos(millis.saturating_mul(1_000_000))
    }

    /// So many seconds, saturating.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Self::from_nanos(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    /// The nearest value to a number of nanoseconds that may be out of range.
    #[must_use]
    pub const fn saturating_from_nanos(nanos: i128) -> Self {
        if nanos > i64::MAX as i128 {
            Self::MAX
        } else if nanos < i64::MIN as i128 {
            Self::MIN
        } else {
            #[expect(clippy::cast_possible_truncation, reason = "both ends were checked above")]
            Self::from_nanos(nanos as i64)
        }
    }

    /// In nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.nanos
    }

    /// Its length without its sign.
    #[must_use]
    pub const fn unsigned_abs(self) -> Duration {
        Duration::from_nanos(self.nanos.unsigned_abs())
    }

    /// True below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// So long, at most [`MAX`](Self::MAX).
    pub(crate) const fn of(length: Duration) -> Self {
        Self::saturating_from_nanos(length.as_nanos().cast_signed())
    }

    /// So many times it, at most [`MAX`](Self::MAX).
    pub(crate) const fn times(self, count: u32) -> Self {
        Self::from_nanos(self.nanos.saturating_mul(count as i64))
    }

    /// Half of it, rounded towards negative infinity.
    #[must_use]
    pub const fn half(self) -> Self {
        Self::from_nanos(self.nanos.div_euclid(2))
    }
}

impl From<Duration> for SignedDuration {
    /// Saturates at 292 years.
    fn from(length: Duration) -> Self {
        Self::from_nanos(i64::try_from(length.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl Add for SignedDuration {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::from_nanos(self.nanos.saturating_add(other.nanos))
    }
}

impl AddAssign for SignedDuration {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for SignedDuration {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self::from_nanos(self.nanos.saturating_sub(other.nanos))
    }
}

impl Neg for SignedDuration {
    type Output = Self;

    fn neg(self) -> Self {
        Self::from_nanos(self.nanos.saturating_neg())
    }
}

impl Sum for SignedDuration {
    fn sum<I: Iterator<Item = Self>>(lengths: I) -> Self {
        lengths.fold(Self::ZERO, Self::add)
    }
}

/// With its sign, in the largest unit that leaves a digit before the point, three digits behind it.
impl fmt::Display for SignedDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_negative() { '-' } else { '+' };
        let nanos = self.nanos.unsigned_abs();
        let (whole, thousandths, unit) = match nanos {
            0..1_000 => return f.pad(&format!("{sign}{nanos} ns")),
            1_000..1_000_000 => (nanos / 1_000, nanos % 1_000, "µs"),
            1_000_000..1_000_000_000 => (nanos / 1_000_000, nanos / 1_000 % 1_000, "ms"),
            _ => (nanos / 1_000_000_000, nanos / 1_000_000 % 1_000, "s"),
        };
        f.pad(&format!("{sign}{whole}.{thousandths:03} {unit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(SignedDuration::MAX + SignedDuration::from_nanos(1), SignedDuration::MAX);
        assert_eq!(SignedDuration::MIN - SignedDuration::from_nanos(1), SignedDuration::MIN);
        assert_eq!(-SignedDuration::MIN, SignedDuration::MAX);
        assert_eq!(SignedDuration::from_secs(i64::MAX), SignedDuration::MAX);
        assert_eq!(SignedDuration::saturating_from_nanos(i128::MAX), SignedDuration::MAX);
        assert_eq!(SignedDuration::saturating_from_nanos(i128::MIN), SignedDuration::MIN);
        assert_eq!(SignedDuration::from(Duration::MAX), SignedDuration::MAX);
    }

    #[test]
    fn shown_in_a_unit_that_fits() {
        for (nanos, text) in [
            (0, "+0 ns"),
            (-999, "-999 ns"),
            (1_500, "+1.500 µs"),
            (-2_000_001, "-2.000 ms"),
            (40_001_000_000, "+40.001 s"),
            (i64::MIN, "-9223372036.854 s"),
        ] {
            assert_eq!(SignedDuration::from_nanos(nanos).to_string(), text);
        }
    }
}
