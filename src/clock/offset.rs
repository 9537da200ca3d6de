//! An interval of offsets between two timelines.

use std::time::Duration;

use super::MaxDrift;
use crate::time::{RawInstant, SignedDuration, SystemReading, Timestamp};

/// Bounds on the difference of two timelines, ends included. In this module: UTC − raw, or, once a reading
/// of the system clock was taken off, true time − system clock.
///
/// It always has `lo ≤ hi`: two that don't overlap have no intersection rather than a reversed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetInterval {
    lo: SignedDuration,
    hi: SignedDuration,
}

impl OffsetInterval {
    /// From `lo` to `hi`; `None` where `hi` lies below `lo`.
    #[must_use]
    pub fn new(lo: SignedDuration, hi: SignedDuration) -> Option<Self> {
        (lo <= hi).then_some(Self { lo, hi })
    }

    /// From one offset to another, in whichever order.
    pub(super) fn spanning(one: SignedDuration, other: SignedDuration) -> Self {
        Self { lo: one.min(other), hi: one.max(other) }
    }

    /// The lower end.
    #[must_use]
    pub const fn lo(self) -> SignedDuration {
        self.lo
    }

    /// The upper end.
    #[must_use]
    pub const fn hi(self) -> SignedDuration {
        self.hi
    }

    /// The middle, rounded down.
    #[must_use]
    pub fn midpoint(self) -> SignedDuration {
        self.lo + (self.hi - self.lo).half()
    }

    /// Half of the width, rounded up.
    #[must_use]
    pub fn half_width(self) -> Duration {
        let width = (self.hi - self.lo).unsigned_abs();
        Duration::from_nanos(u64::try_from(width.as_nanos()).unwrap_or(u64::MAX).div_ceil(2))
    }

    /// True where `offset` lies in it.
    #[must_use]
    pub fn contains(self, offset: SignedDuration) -> bool {
        self.lo <= offset && offset <= self.hi
    }

    /// What both contain; `None` where they don't overlap.
    #[must_use]
    pub fn intersection(self, other: Self) -> Option<Self> {
        Self::new(self.lo.max(other.lo), self.hi.min(other.hi))
    }

    /// True where some offset lies in both.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.intersection(other).is_some()
    }

    /// The same knowledge after the raw timeline moved by `elapsed` (either way): wider by the drift that is
    /// possible meanwhile, never narrower.
    #[must_use]
    pub fn aged(self, elapsed: SignedDuration, max_drift: MaxDrift) -> Self {
        self.widened(max_drift.growth(elapsed))
    }

    /// From UTC − raw to true time minus system clock, by a reading of the latter. It showed its value somewhere
    /// between the reading's ends: each end of the result takes the one that makes it wider.
    #[must_use]
    pub fn minus_system(self, reading: &SystemReading) -> Self {
        let system_minus = |raw: RawInstant| reading.realtime - Timestamp::from_unix_nanos(raw.as_nanos());
        Self::spanning(self.lo - system_minus(reading.before), self.hi - system_minus(reading.after))
    }

    /// Wider by `margin` at both ends. `margin` is not negative.
    pub(super) fn widened(self, margin: SignedDuration) -> Self {
        debug_assert!(!margin.is_negative());
        Self { lo: self.lo - margin, hi: self.hi + margin }
    }
}
