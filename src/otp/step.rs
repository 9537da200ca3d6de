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
    /// The last step that there can be.
    pub const MAX: Self = Self(i64::MAX);

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

#[cfg(test)]
mod tests {
    use super::*;

    fn step(number: i64) -> TimeStep {
        TimeStep::new(number).unwrap()
    }

    #[test]
    fn no_step_is_negative() {
        assert_eq!(TimeStep::new(-1), None);
        assert_eq!(TimeStep::new(i64::MIN), None);
        assert_eq!(TimeStep::new(0), Some(TimeStep::ZERO));
        assert_eq!(step(2).checked_sub(2), Some(TimeStep::ZERO));
        assert_eq!(step(2).checked_sub(3), None);
        assert_eq!(TimeStep::ZERO.checked_sub(u32::MAX), None);
    }

    #[test]
    fn the_last_step_has_no_next() {
        assert_eq!(step(i64::MAX).saturating_add(u32::MAX), step(i64::MAX));
        assert_eq!(step(5).saturating_add(2), step(7));
        assert_eq!(step(7).to_string(), "7");
    }

    #[test]
    fn a_range_holds_both_of_its_ends() {
        let range = StepRange::new(step(3), step(5)).unwrap();
        assert_eq!(range.steps().map(TimeStep::get).collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!(range.len(), 3);
        assert_eq!([2, 3, 5, 6].map(|number| range.contains(step(number))), [false, true, true, false]);
        assert_eq!(StepRange::new(step(5), step(3)), None);
        assert_eq!(StepRange::new(step(3), step(3)).unwrap().len(), 1);
    }

    #[test]
    fn the_widest_range_can_be_counted() {
        assert_eq!(StepRange::new(TimeStep::ZERO, step(i64::MAX)).unwrap().len(), 1 << 63);
    }
}
