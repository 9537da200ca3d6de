//! An estimate of true time that ages.

use std::time::Duration;

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};

use super::{Leap, MaxDrift, NoEstimate, OffsetInterval, RulesError, Selection, SourceBound, select};
use crate::time::{RawInstant, SignedDuration, SystemReading, TimeError, TimeInterval, Timestamp};

/// A difference of BOOTTIME − MONOTONIC below this is the noise of reading two clocks, not a suspend.
pub(crate) const SUSPEND_THRESHOLD: SignedDuration = SignedDuration::from_millis(1);

/// How long and how wide an estimate may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// φ: the rate error of the raw timeline.
    pub max_drift: MaxDrift,
    /// Older than this it is no estimate. Default 24 h: a pause of a virtual machine can hide from every
    /// clock of the guest, so no estimate is trusted for long.
    pub max_age: Duration,
    /// Wider than this to either side it is no estimate. Default 10 s.
    pub max_half_width: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_drift: MaxDrift::default(),
            max_age: Duration::from_secs(86_400),
            max_half_width: Duration::from_secs(10),
        }
    }
}

/// How many sources there are and how many must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    configured: usize,
    quorum: usize,
    tolerated_liars: usize,
    limits: Limits,
}

impl Rules {
    /// The rules for so many configured votes. Without a `quorum` it is ⌊n/2⌋ + 1, a majority.
    ///
    /// # Errors
    ///
    /// [`RulesError`] for no sources, for an impossible quorum, and where one source alone would be believed
    /// although `allow_single` is false.
    pub fn new(
        configured: usize,
        quorum: Option<usize>,
        allow_single: bool,
        limits: Limits,
    ) -> Result<Self, RulesError> {
        if configured == 0 {
            return Err(RulesError::NoSources);
        }
        let quorum = quorum.unwrap_or(configured / 2 + 1);
        if quorum == 0 || quorum > configured {
            return Err(RulesError::ImpossibleQuorum { quorum, configured });
        }
        if quorum == 1 && !allow_single {
            return Err(RulesError::SingleSource);
        }
        Ok(Self { configured, quorum, tolerated_liars: 0, limits })
    }

    /// Demands that so many of the sources that answered may lie without the bound becoming untrue.
    ///
    /// Silence spends tolerance: of five sources two may lie, but where two are silenced only one of the other three. Whoever
    /// can silence honest sources makes the liars among the rest count for more; a service that must not be led astray so
    /// demands its tolerance, and has no time rather than a wrong one.
    #[must_use]
    pub const fn tolerating(mut self, liars: usize) -> Self {
        self.tolerated_liars = liars;
        self
    }

    /// How many votes are configured.
    #[must_use]
    pub const fn configured(&self) -> usize {
        self.configured
    }

    /// How many must agree.
    #[must_use]
    pub const fn quorum(&self) -> usize {
        self.quorum
    }

    /// How long and how wide an estimate may become.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }
}

/// What one source says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Its bound on UTC − raw.
    pub bound: SourceBound,
    /// What it says of the end of this month.
    pub leap: Leap,
}

/// What several sources proved of UTC − raw, at one point of the raw timeline, and how to carry it on.
///
/// Anybody with a reading of the raw clock gets the interval of true time from it, without a lock or the
/// network. It says nothing of the system clock and doesn't use it: setting that clock changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockEstimate {
    anchor: RawInstant,
    suspended: SignedDuration,
    selection: Selection,
    usable: usize,
    configured: usize,
    leap: Option<Timestamp>,
    limits: Limits,
}

impl ClockEstimate {
    /// Selects among the votes. `suspended` is [`LocalClock::suspended`] from *before* the first exchange.
    ///
    /// # Errors
    ///
    /// [`NoEstimate`] where too few sources answered or agree.
    ///
    /// [`LocalClock::suspended`]: crate::time::LocalClock::suspended
    pub fn from_votes(votes: &[Vote], rules: &Rules, suspended: SignedDuration) -> Result<Self, NoEstimate> {
        let nothing = NoEstimate::NothingUsable { configured: rules.configured };
        let anchor = votes.iter().map(|vote| vote.bound.anchor).max().ok_or(nothing)?;
        let limits = rules.limits;
        let moved: Vec<OffsetInterval> =
            votes.iter().map(|vote| moved(vote, anchor, limits.max_drift)).collect();
        let selection = select(&moved, rules.configured, rules.quorum)?;
        if selection.tolerated_liars < rules.tolerated_liars {
            return Err(NoEstimate::ToleratesTooFew {
                usable: votes.len(),
                tolerated: selection.tolerated_liars,
                required: rules.tolerated_liars,
            });
        }
        let believed: Vec<&Vote> = votes
            .iter()
            .zip(&moved)
            .filter_map(|(vote, bound)| selection.is_truechimer(*bound).then_some(vote))
            .collect();
        let leap = announced_leap(&believed, limits.max_drift)?;
        Ok(Self {
            anchor,
            suspended,
            selection,
            usable: votes.len(),
            configured: rules.configured,
            leap,
            limits,
        })
    }

    /// The interval that contains true time when the raw timeline shows `raw` and the host has been
    /// suspended for `suspended` since it booted.
    ///
    /// # Errors
    ///
    /// [`TimeError`] where the host slept since the measurement, or the estimate became too old or too wide.
    pub fn at(&self, raw: RawInstant, suspended: SignedDuration) -> Result<TimeInterval, TimeError> {
        let slept = suspended - self.suspended;
        if slept > SUSPEND_THRESHOLD {
            return Err(TimeError::Suspended { slept: slept.unsigned_abs() });
        }
        let age = self.age(raw);
        if age > self.limits.max_age {
            return Err(TimeError::TooOld { age, max_age: self.limits.max_age });
        }
        let offset = self.offset_at(raw);
        let utc = Timestamp::from_unix_nanos(raw.as_nanos());
        let interval =
            TimeInterval::new(utc + offset.lo(), utc + offset.hi()).map_err(|_| TimeError::OutOfRange)?;
        let half_width = interval.half_width();
        if half_width > self.limits.max_half_width {
            return Err(TimeError::TooWide { half_width, max_half_width: self.limits.max_half_width });
        }
        Ok(interval)
    }

    /// True time minus system clock, for a reading of the latter: positive where this host is behind.
    ///
    /// # Errors
    ///
    /// As [`at`](Self::at), at the time of the reading.
    pub fn system_offset(
        &self,
        reading: &SystemReading,
        suspended: SignedDuration,
    ) -> Result<OffsetInterval, TimeError> {
        self.at(reading.after, suspended)?;
        Ok(self.offset_at(reading.after).minus_system(reading))
    }

    /// The point estimate of true time minus system clock. No promise comes with it; the truth is in
    /// [`system_offset`](Self::system_offset).
    #[must_use]
    pub fn best_system_offset(&self, reading: &SystemReading) -> SignedDuration {
        self.selection.best.minus_system(reading).midpoint()
    }

    /// How long ago the last sample was taken, on the raw timeline.
    #[must_use]
    pub fn age(&self, raw: RawInstant) -> Duration {
        (raw - self.anchor).unsigned_abs()
    }

    /// When the last sample was taken.
    #[must_use]
    pub const fn anchor(&self) -> RawInstant {
        self.anchor
    }

    /// How many sources agree on the best region.
    #[must_use]
    pub const fn agreeing(&self) -> usize {
        self.selection.agreeing
    }

    /// How many sources gave a usable bound.
    #[must_use]
    pub const fn usable(&self) -> usize {
        self.usable
    }

    /// How many sources are configured.
    #[must_use]
    pub const fn configured(&self) -> usize {
        self.configured
    }

    /// How many of the usable sources may lie without the truth leaving the interval.
    #[must_use]
    pub const fn tolerated_liars(&self) -> usize {
        self.selection.tolerated_liars
    }

    /// True where at least two sources agree.
    #[must_use]
    pub const fn corroborated(&self) -> bool {
        self.selection.agreeing >= 2
    }

    /// True where two parties of sources contradict each other: see [`Selection::contested`].
    #[must_use]
    pub const fn contested(&self) -> bool {
        self.selection.contested
    }

    /// True where a source's vote supports this estimate, false where it is a falseticker.
    #[must_use]
    pub fn is_truechimer(&self, vote: &Vote) -> bool {
        self.selection.is_truechimer(moved(vote, self.anchor, self.limits.max_drift))
    }

    /// UTC − raw when the raw timeline shows `raw`.
    fn offset_at(&self, raw: RawInstant) -> OffsetInterval {
        let offset = self.selection.bound.aged(raw - self.anchor, self.limits.max_drift);
        let latest = Timestamp::from_unix_nanos(raw.as_nanos()) + offset.hi();
        match self.leap {
            // From a second before the leap on: a deleted second begins to count there.
            Some(leap) if latest >= leap - LEAP_SECOND => offset.widened(LEAP_SECOND),
            _ => offset,
        }
    }
}

const LEAP_SECOND: SignedDuration = SignedDuration::from_secs(1);

/// A vote's bound at another point of the raw timeline.
fn moved(vote: &Vote, anchor: RawInstant, max_drift: MaxDrift) -> OffsetInterval {
    vote.bound.bound.aged(anchor - vote.bound.anchor, max_drift)
}

/// When the leap second comes that a truechimer announces: at the end of the month in which the first of their samples was
/// taken. One is enough: the price is a second of width for a moment, and a majority that forgot to announce would
/// otherwise be a second wrong.
///
/// Fails where one of the samples may lie beyond it, or within a second of it: a sample can't be carried across a leap
/// second. Falsetickers have no say, or one of them could spoil every round of a month with a leap second.
fn announced_leap(truechimers: &[&Vote], max_drift: MaxDrift) -> Result<Option<Timestamp>, NoEstimate> {
    if !truechimers.iter().any(|vote| matches!(vote.leap, Leap::Insert | Leap::Delete)) {
        return Ok(None);
    }
    let earliest = |vote: &&Vote| {
        let SourceBound { first, anchor, bound, .. } = vote.bound;
        Timestamp::from_unix_nanos(first.as_nanos()) + bound.aged(anchor - first, max_drift).lo()
    };
    let latest =
        |vote: &&Vote| Timestamp::from_unix_nanos(vote.bound.anchor.as_nanos()) + vote.bound.bound.hi();
    let leap = truechimers.iter().map(earliest).min().and_then(end_of_month);
    let across = |leap: Timestamp| truechimers.iter().map(latest).any(|latest| latest >= leap - LEAP_SECOND);
    if leap.is_some_and(across) { Err(NoEstimate::AcrossLeapSecond) } else { Ok(leap) }
}

/// The first instant of the next UTC month: leap seconds come right before it (RFC 5905 §7.3).
fn end_of_month(time: Timestamp) -> Option<Timestamp> {
    let date = DateTime::<Utc>::from(time).date_naive();
    let first = NaiveDate::from_ymd_opt(date.year(), date.month(), 1)?;
    let next = first.checked_add_months(Months::new(1))?;
    Timestamp::try_from(next.and_hms_opt(0, 0, 0)?.and_utc()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: i64 = 1_000_000_000;

    fn vote(anchor: i64, lo: i64, hi: i64, leap: Leap) -> Vote {
        let bound =
            OffsetInterval::new(SignedDuration::from_nanos(lo), SignedDuration::from_nanos(hi)).unwrap();
        let anchor = RawInstant::from_nanos(anchor);
        Vote {
            bound: SourceBound {
                first: anchor,
                anchor,
                bound,
                delay: SignedDuration::ZERO,
                samples: 1,
                kernel_stamped: 0,
            },
            leap,
        }
    }

    fn estimate(votes: &[Vote], limits: Limits) -> ClockEstimate {
        let rules = Rules::new(votes.len(), None, true, limits).unwrap();
        ClockEstimate::from_votes(votes, &rules, SignedDuration::ZERO).unwrap()
    }

    fn raw(seconds: i64) -> RawInstant {
        RawInstant::from_nanos(seconds * SECOND)
    }

    fn reading(before: RawInstant, after: RawInstant) -> SystemReading {
        SystemReading {
            before,
            realtime: Timestamp::from_unix_nanos(0),
            boottime: SignedDuration::ZERO,
            after,
        }
    }

    #[test]
    fn too_old_too_wide_and_slept_are_errors_not_numbers() {
        let limits = Limits::default();
        let fresh = estimate(&[vote(0, 0, 1_000, Leap::None)], limits);
        assert!(fresh.at(raw(86_400), SignedDuration::ZERO).is_ok());
        assert!(matches!(fresh.at(raw(86_401), SignedDuration::ZERO), Err(TimeError::TooOld { .. })));
        assert_eq!(
            fresh.at(raw(1), SignedDuration::from_secs(5)),
            Err(TimeError::Suspended { slept: Duration::from_secs(5) })
        );
        let wide = estimate(&[vote(0, 0, 21 * SECOND, Leap::None)], limits);
        assert!(matches!(wide.at(raw(0), SignedDuration::ZERO), Err(TimeError::TooWide { .. })));
    }

    #[test]
    fn setting_the_system_clock_does_not_move_the_estimate() {
        let estimate = estimate(&[vote(0, 5 * SECOND, 5 * SECOND + 10, Leap::None)], Limits::default());
        let reading = reading(raw(1), raw(1));
        let stepped = SystemReading { realtime: Timestamp::from_unix_nanos(SECOND), ..reading };
        let offset = |reading| estimate.system_offset(reading, SignedDuration::ZERO).unwrap();
        assert_eq!(offset(&reading).lo() - offset(&stepped).lo(), SignedDuration::from_secs(1));
        assert_eq!(
            estimate.best_system_offset(&reading) - estimate.best_system_offset(&stepped),
            SignedDuration::from_secs(1)
        );
    }

    #[test]
    fn a_slow_reading_of_the_system_clock_widens_the_offset() {
        let estimate = estimate(&[vote(0, 0, 0, Leap::None)], Limits::default());
        let reading = reading(raw(0), raw(2));
        let offset = estimate.system_offset(&reading, SignedDuration::ZERO).unwrap();
        assert!(offset.contains(SignedDuration::ZERO) && offset.contains(SignedDuration::from_secs(2)));
    }

    #[test]
    fn an_announced_leap_second_widens_across_the_end_of_the_month() {
        let utc = "2026-12-31T23:59:50Z".parse::<Timestamp>().unwrap().as_unix_nanos();
        for leap in [Leap::Insert, Leap::Delete] {
            let estimate =
                estimate(&[vote(0, utc, utc, leap), vote(0, utc, utc, Leap::None)], Limits::default());
            let before = estimate.at(raw(5), SignedDuration::ZERO).unwrap();
            let after = estimate.at(raw(11), SignedDuration::ZERO).unwrap();
            assert!(before.half_width() < Duration::from_millis(1));
            assert!(after.half_width() >= Duration::from_secs(1));
        }
        let silent = estimate(&[vote(0, utc, utc, Leap::None)], Limits::default());
        assert!(silent.at(raw(11), SignedDuration::ZERO).unwrap().half_width() < Duration::from_millis(2));
    }

    #[test]
    fn across_an_announced_leap_second_there_is_no_estimate() {
        // Two samples from just before a leap second, one from just after: the last one's UTC − raw is a second less.
        let utc = "2026-12-31T23:59:59.900Z".parse::<Timestamp>().unwrap().as_unix_nanos();
        let before = vote(0, utc - 6_000_000, utc + 6_000_000, Leap::Insert);
        let after = vote(SECOND / 5, utc - SECOND, utc - SECOND + 6_000_000, Leap::Insert);
        let across = [before, before, after];
        let rules = Rules::new(3, None, false, Limits::default()).unwrap();
        let measured = |votes: &[Vote]| ClockEstimate::from_votes(votes, &rules, SignedDuration::ZERO);
        assert_eq!(measured(&across), Err(NoEstimate::AcrossLeapSecond));
        // A burst that began before it, too; and a majority that announces nothing is no excuse.
        let mut burst = vote(3 * SECOND, utc, utc, Leap::Insert);
        burst.bound.first = RawInstant::from_nanos(-3 * SECOND);
        assert_eq!(measured(&[burst, burst, burst]), Err(NoEstimate::AcrossLeapSecond));
        let silent = Vote { leap: Leap::None, ..before };
        assert_eq!(measured(&[before, silent, silent]), Err(NoEstimate::AcrossLeapSecond));
        // Where nobody announces one, there is none; and a falseticker of another month has no say.
        assert!(measured(&[silent, silent, silent]).is_ok());
        let calm = vote(0, utc - 3_600 * SECOND, utc - 3_600 * SECOND, Leap::Insert);
        let liar = vote(0, utc - 90 * 86_400 * SECOND, utc - 90 * 86_400 * SECOND, Leap::Insert);
        assert!(measured(&[calm, calm, liar]).is_ok());
    }

    #[test]
    fn silence_spends_tolerance_and_may_be_told_not_to() {
        let rules = Rules::new(5, None, false, Limits::default()).unwrap();
        let votes = [vote(0, 0, 10, Leap::None); 5];
        let measured = |count: usize, rules: Rules| {
            ClockEstimate::from_votes(&votes[..count], &rules, SignedDuration::ZERO)
        };
        assert_eq!(measured(5, rules.tolerating(2)).unwrap().tolerated_liars(), 2);
        assert_eq!(measured(3, rules).unwrap().tolerated_liars(), 1);
        assert_eq!(
            measured(4, rules.tolerating(2)),
            Err(NoEstimate::ToleratesTooFew { usable: 4, tolerated: 1, required: 2 })
        );
    }

    #[test]
    fn a_falseticker_announces_no_leap_second() {
        let utc = "2026-12-31T23:59:50Z".parse::<Timestamp>().unwrap().as_unix_nanos();
        let honest = vote(0, utc, utc, Leap::None);
        let liar = vote(0, utc + SECOND, utc + SECOND, Leap::Insert);
        let estimate = estimate(&[honest, honest, liar], Limits::default());
        assert!(estimate.at(raw(11), SignedDuration::ZERO).unwrap().half_width() < Duration::from_millis(2));
    }

    #[test]
    fn rules_that_would_trust_one_source_must_be_meant() {
        let limits = Limits::default();
        assert_eq!(Rules::new(0, None, true, limits), Err(RulesError::NoSources));
        assert_eq!(Rules::new(1, None, false, limits), Err(RulesError::SingleSource));
        assert_eq!(Rules::new(5, Some(1), false, limits), Err(RulesError::SingleSource));
        assert!(matches!(Rules::new(3, Some(4), true, limits), Err(RulesError::ImpossibleQuorum { .. })));
        assert!(matches!(Rules::new(3, Some(0), true, limits), Err(RulesError::ImpossibleQuorum { .. })));
        assert_eq!(Rules::new(5, None, false, limits).unwrap().quorum(), 3);
        assert_eq!(Rules::new(4, None, false, limits).unwrap().quorum(), 3);
        assert!(!estimate(&[vote(0, 0, 0, Leap::None)], limits).corroborated());
    }

    proptest! {
        /// An interval never narrows by getting older, and truth stays inside at any rate that is allowed.
        #[test]
        fn ageing_never_narrows_and_keeps_the_truth(
            width in 0_i64..SECOND,
            position in 0.0_f64..1.0,
            rate_ppb in -100_000_i64..=100_000,
            ages in prop::collection::vec(0_i64..86_000 * SECOND, 2..6),
        ) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a test's choice")]
            let truth_at_anchor = (width as f64 * position) as i64;
            let estimate = estimate(&[vote(0, 0, width, Leap::None)], Limits::default());
            let mut ages = ages;
            ages.sort_unstable();
            let mut last = Duration::ZERO;
            for elapsed in ages {
                let counted = elapsed + i64::try_from(i128::from(elapsed) * i128::from(rate_ppb) / 1_000_000_000).unwrap();
                let now = estimate.at(RawInstant::from_nanos(counted), SignedDuration::ZERO).unwrap();
                prop_assert!(now.contains(Timestamp::from_unix_nanos(truth_at_anchor + elapsed)));
                prop_assert!(now.half_width() >= last);
                last = now.half_width();
            }
        }
    }
}
