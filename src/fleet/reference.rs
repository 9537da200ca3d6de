//! True time during a sweep. Pure.

use crate::clock::OffsetInterval;
use crate::ntp::Measurement;
use crate::time::{RawInstant, SignedDuration, Timestamp};

/// What several rounds over the reference sources say of true time, from before the first host was asked until after the
/// last.
#[derive(Clone, Debug)]
pub struct Reference {
    rounds: Vec<Measurement>,
    /// Of those that found an estimate: its anchor and their index, in order.
    found: Vec<(RawInstant, usize)>,
}

impl Reference {
    /// From rounds in the order in which they were made, none on the other side of a suspend.
    #[must_use]
    pub fn new(rounds: Vec<Measurement>) -> Self {
        let anchor = |measurement: &Measurement| measurement.estimate.ok().map(|found| found.anchor());
        let mut found: Vec<_> =
            rounds.iter().enumerate().filter_map(|(index, round)| Some((anchor(round)?, index))).collect();
        found.sort_unstable();
        Self { rounds, found }
    }

    /// All rounds, in order.
    #[must_use]
    pub fn rounds(&self) -> &[Measurement] {
        &self.rounds
    }

    /// The last round that found what time it is; where none did, the last.
    #[must_use]
    pub fn last(&self) -> Option<&Measurement> {
        let index = self.found.last().map(|(_, index)| *index);
        index.map_or_else(|| self.rounds.last(), |index| self.rounds.get(index))
    }

    /// UTC − raw when the raw timeline showed `raw`: what the rounds before and after it prove together. `None` where no round
    /// found anything, or that is too long ago.
    ///
    /// Where the two contradict each other, it is all that lies between: at least one of them is wrong, and nobody can say
    /// which.
    #[must_use]
    pub fn offset_at(&self, raw: RawInstant) -> Option<OffsetInterval> {
        let later = self.found.partition_point(|(anchor, _)| *anchor <= raw);
        let neighbours = [later.checked_sub(1), Some(later)];
        let offsets =
            neighbours.into_iter().flatten().filter_map(|at| self.by_round(self.found.get(at)?.1, raw));
        offsets.reduce(|one, other| one.intersection(other).unwrap_or_else(|| hull(one, other)))
    }

    /// By how much UTC − raw differs between two points of the raw timeline, at `a` minus at `b`. The error of the reference
    /// is the same at both but for what the raw timeline's rate may have added meanwhile.
    #[must_use]
    pub(super) fn difference(&self, a: RawInstant, b: RawInstant) -> Option<OffsetInterval> {
        let (at_a, at_b) = (self.offset_at(a)?, self.offset_at(b)?);
        let told = OffsetInterval::new(at_a.lo() - at_b.hi(), at_a.hi() - at_b.lo())?;
        let grown = self.max_growth(a - b)?;
        let drifted = OffsetInterval::new(-grown, grown)?;
        Some(told.intersection(drifted).unwrap_or(told))
    }

    fn max_growth(&self, elapsed: SignedDuration) -> Option<SignedDuration> {
        let drifts = self.rounds.iter().filter_map(|round| Some(round.estimate.ok()?.max_drift()));
        Some(drifts.max()?.growth(elapsed))
    }

    fn by_round(&self, index: usize, raw: RawInstant) -> Option<OffsetInterval> {
        let round = self.rounds.get(index)?;
        let interval = round.estimate.ok()?.at(raw, round.suspended).ok()?;
        let raw = Timestamp::from_unix_nanos(raw.as_nanos());
        OffsetInterval::new(interval.earliest() - raw, interval.latest() - raw)
    }
}

fn hull(one: OffsetInterval, other: OffsetInterval) -> OffsetInterval {
    OffsetInterval::new(one.lo().min(other.lo()), one.hi().max(other.hi())).unwrap_or(one)
}
