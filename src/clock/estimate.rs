//! An estimate of true time that ages.

use std::time::Duration;

use super::leap::{self, LEAP_SECOND};
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
    /// clock of the guest, so no estimate is trusted for long. 26 days at the most: an estimate allows for
    /// one leap second, at the next end of a month, and only for one that was announced when it was made. Many servers announce it
    /// on its day, for which the default is just short enough.
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

/// An estimate allows for one leap second, at the next end of a month.
const LONGEST_AGE: Duration = Duration::from_secs(26 * 86_400);

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
    /// [`RulesError`] for no sources, for an impossible quorum, where one source alone would be believed although
    /// `allow_single` is false, and for an estimate that would live across more than one end of a month.
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
        if limits.max_age > LONGEST_AGE {
            return Err(RulesError::MaxAge { max_age: limits.max_age, longest: LONGEST_AGE });
        }
        Ok(Self { configured, quorum, tolerated_liars: 0, limits })
    }

    /// Demands that so many of the sources that answered may lie without the bound becoming untrue.
    ///
    /// Silence spends tolerance: of five sources two may lie, but where two are silenced only one of the other three. Whoever
    /// can silence honest sources makes the liars among the rest count for more; a service that must not be led astray so
    /// demands its tolerance, and has no time rather than a wrong one.
    ///
    /// # Errors
    ///
    /// [`RulesError::ImpossibleTolerance`] where it would be too many although all sources answered.
    pub const fn tolerating(mut self, liars: usize) -> Result<Self, RulesError> {
        let most = (self.configured - 1) / 2;
        if liars > most {
            return Err(RulesError::ImpossibleTolerance { liars, configured: self.configured, most });
        }
        self.tolerated_liars = liars;
        Ok(self)
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
    /// Its operator declared that it smears leap seconds.
    pub smeared: bool,
}

impl Vote {
    /// UTC − raw by this vote alone when the raw timeline shows `raw`.
    ///
    /// A smeared server passes from the count of UTC before a leap second to the one after it, within 24 hours of
    /// it, and is always between the two. It does not say when. So its vote is a second wider at both ends as soon as
    /// its time may lie within 24 hours of the end of a month: it contains both counts then, and so the truth, whether
    /// a leap second comes or not.
    #[must_use]
    pub fn offset_at(&self, raw: RawInstant, max_drift: MaxDrift) -> OffsetInterval {
        let offset = self.bound.bound.aged(raw - self.bound.anchor, max_drift);
        if self.smeared && self.is_near_month_end(raw, offset, max_drift) {
            offset.widened(LEAP_SECOND)
        } else {
            offset
        }
    }

    /// True where some time from its first sample to `raw`, when its offset is `offset`, may be that of a smear.
    fn is_near_month_end(&self, raw: RawInstant, offset: OffsetInterval, max_drift: MaxDrift) -> bool {
        leap::is_near_month_end(self.earliest(max_drift), utc(raw, offset.hi()))
    }

    /// UTC at its first sample, at the earliest.
    pub(super) fn earliest(&self, max_drift: MaxDrift) -> Timestamp {
        let SourceBound { first, anchor, bound, .. } = self.bound;
        utc(first, bound.aged(anchor - first, max_drift).lo())
    }

    /// UTC at its last sample, at the latest.
    pub(super) fn latest(&self) -> Timestamp {
        utc(self.bound.anchor, self.bound.bound.hi())
    }
}

/// UTC when the raw timeline shows `raw` and UTC − raw is `offset`.
fn utc(raw: RawInstant, offset: SignedDuration) -> Timestamp {
    Timestamp::from_unix_nanos(raw.as_nanos()) + offset
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
    /// From when on a second may have come or gone that the bound knows nothing of.
    unsure_from: Option<Timestamp>,
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
            votes.iter().map(|vote| vote.offset_at(anchor, limits.max_drift)).collect();
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
        let announced = leap::announced(&believed, limits.max_drift)?.map(|leap| leap - LEAP_SECOND);
        let smear = smear_to_come(votes, anchor, selection.bound, limits.max_drift);
        Ok(Self {
            anchor,
            suspended,
            selection,
            usable: votes.len(),
            configured: rules.configured,
            unsure_from: announced.into_iter().chain(smear).min(),
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
        // Both limits are compared in nanoseconds: dividing these into a `Duration` would cost more than all the rest.
        let (age, max_age) = (raw - self.anchor, self.limits.max_age);
        if age.max(-age) > max_age.into() {
            return Err(TimeError::TooOld { age: age.unsigned_abs(), max_age });
        }
        let offset = self.offset_at(raw);
        let utc = Timestamp::from_unix_nanos(raw.as_nanos());
        let interval =
            TimeInterval::new(utc + offset.lo(), utc + offset.hi()).map_err(|_| TimeError::OutOfRange)?;
        let max_half_width = self.limits.max_half_width;
        let widest = SignedDuration::from(max_half_width) + max_half_width.into();
        if interval.latest() - interval.earliest() > widest {
            return Err(TimeError::TooWide { half_width: interval.half_width(), max_half_width });
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

    /// Until when on the raw timeline it gives an interval, if the host isn't suspended: then it is too old, or too wide.
    #[must_use]
    pub fn expires(&self) -> RawInstant {
        let Limits { max_drift, max_age, max_half_width } = self.limits;
        let bound = self.selection.bound;
        let second = if self.unsure_from.is_some() { LEAP_SECOND } else { SignedDuration::ZERO };
        let spare = SignedDuration::from(max_half_width) - SignedDuration::from(bound.half_width()) - second;
        self.anchor + max_drift.time_to_grow(spare).min(max_age.into())
    }

    /// How wrong the rate of the raw timeline was taken to be at the most.
    #[must_use]
    pub const fn max_drift(&self) -> MaxDrift {
        self.limits.max_drift
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
        self.selection.is_truechimer(vote.offset_at(self.anchor, self.limits.max_drift))
    }

    /// UTC − raw when the raw timeline shows `raw`.
    fn offset_at(&self, raw: RawInstant) -> OffsetInterval {
        let offset = self.selection.bound.aged(raw - self.anchor, self.limits.max_drift);
        match self.unsure_from {
            Some(from) if utc(raw, offset.hi()) >= from => offset.widened(LEAP_SECOND),
            _ => offset,
        }
    }
}

/// When the next smear may begin, where a smeared vote was taken as it is: it holds only the count of UTC before the
/// leap second that comes then, and announces none. Votes that were widened hold both counts already.
///
/// Counted from the bound that was selected, which contains the truth, and not from the vote's: that may be a liar's.
fn smear_to_come(
    votes: &[Vote],
    anchor: RawInstant,
    bound: OffsetInterval,
    max_drift: MaxDrift,
) -> Option<Timestamp> {
    let as_it_is = |vote: &Vote| {
        let offset = vote.bound.bound.aged(anchor - vote.bound.anchor, max_drift);
        vote.smeared && !vote.is_near_month_end(anchor, offset, max_drift)
    };
    votes.iter().any(as_it_is).then(|| leap::next_near_month_end(utc(anchor, bound.lo()))).flatten()
}

#[cfg(test)]
mod tests;
