//! Time steps: the counter of TOTP.

use std::fmt;

/// A time step: how many whole periods have passed since T0 (RFC 6238 §4.2). Never negative.
///
/// A step is a count, not a time: which time it covers depends on the period and T0 of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeStep(i64);

impl TimeStep {
    /// The first step: it begins at T0.
    pub const ZERO: Self = Self(0);

    /// The step with this number; `None` below zero.
    #[must_use]
    pub const fn new(number: i64) -> Option<Self> {
        if number < 0 { None } else { Some(Self(number)) }
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The step `count` later, saturating.
    #[must_use]
    pub const fn saturating_add(self, count: u32) -> Self {
        Self(self.0.saturating_add(count as i64))
    }

    /// The step `count` earlier; `None` where that would lie before the first.
    #[must_use]
    pub const fn checked_sub(self, count: u32) -> Option<Self> {
        Self::new(self.0 - count as i64)
    }
}

impl fmt::Display for TimeStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A run of steps, both ends included. Never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StepRange {
    first: TimeStep,
    last: TimeStep,
}

impl StepRange {
    /// The steps from `first` to `last`; `None` where `last` comes before `first`.
    #[must_use]
    pub const fn new(first: TimeStep, last: TimeStep) -> Option<Self> {
        if first.0 <= last.0 { Some(Self { first, last }) } else { None }
    }

    /// The first step.
    #[must_use]
    pub const fn first(self) -> TimeStep {
        self.first
    }

    /// The last step.
    #[must_use]
    pub const fn last(self) -> TimeStep {
        self.last
    }

    /// How many steps there are: at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a range is never empty")]
    pub const fn len(self) -> u64 {
        self.last.0.abs_diff(self.first.0).saturating_add(1)
    }

    /// True where `step` is one of them.
    #[must_use]
    pub const fn contains(self, step: TimeStep) -> bool {
        self.first.0 <= step.0 && step.0 <= self.last.0
    }

    /// Each step, oldest first.
    pub fn steps(self) -> impl Iterator<Item = TimeStep> + Clone {
        (self.first.0..=self.last.0).map(TimeStep)
    }
}
