//! The two hosts that are farthest apart. Pure.

use super::{Reading, Reference};
use crate::clock::OffsetInterval;
use crate::time::SignedDuration;

/// Two hosts of one sweep, and how far apart they are: what a message between them, or a lock that they share, has to live
/// with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pair {
    /// The place in [`Report::hosts`](super::Report::hosts) of the one whose clock is ahead.
    pub a: usize,
    /// Of the one whose clock is behind.
    pub b: usize,
    /// The first one's skew minus the other's, each as it was when that host was read. The reference's error is the same for both, and
    /// has no part in it.
    pub skew: OffsetInterval,
}

impl Pair {
    /// Of the hosts that were read, the two that are surely farthest apart; where none surely are, the two that are known
    /// best not to be. Each comes with its place.
    ///
    /// Takes one walk over the hosts, not one over all pairs: what is certain of a pair is the lower end of one host's
    /// interval less the upper end of the other's, so the greatest and the smallest make the pair.
    pub(super) fn worst<'a>(
        hosts: impl Iterator<Item = (usize, &'a Reading, OffsetInterval)>,
        reference: &Reference,
    ) -> Option<Self> {
        // Two of each: the greatest and the smallest may be one host.
        let (mut ahead, mut behind) = (Best::default(), Best::default());
        let mut readings = Vec::new();
        for (index, reading, skew) in hosts {
            let relative = relative(reading, skew);
            ahead.offer(relative.lo(), readings.len());
            behind.offer(-relative.hi(), readings.len());
            readings.push((index, *reading));
        }
        let (a, b) = ahead.pair_with(&behind)?;
        let ((a, at_a), (b, at_b)) = (readings[a], readings[b]);
        let truth = reference.difference(at_a.anchor, at_b.anchor)?;
        let apart = OffsetInterval::new(
            at_a.clock.lo() - at_b.clock.hi() - truth.hi(),
            at_a.clock.hi() - at_b.clock.lo() - truth.lo(),
        )?;
        Some(Self { a, b, skew: apart })
    }
}

/// A host's interval around the middle of the reference: as wide as its reading alone.
fn relative(reading: &Reading, skew: OffsetInterval) -> OffsetInterval {
    let reference = ((reading.clock.hi() - skew.hi()) + (reading.clock.lo() - skew.lo())).half();
    let (lo, hi) = (reading.clock.lo() - reference, reading.clock.hi() - reference);
    OffsetInterval::new(lo, hi).unwrap_or(skew)
}

/// The greatest and the second greatest that were offered; of equal ones, the first.
#[derive(Default)]
struct Best {
    first: Option<(SignedDuration, usize)>,
    second: Option<(SignedDuration, usize)>,
}

impl Best {
    fn offer(&mut self, value: SignedDuration, index: usize) {
        let beats = |other: Option<(SignedDuration, usize)>| other.is_none_or(|(other, _)| value > other);
        if beats(self.first) {
            self.second = self.first.replace((value, index));
        } else if beats(self.second) {
            self.second = Some((value, index));
        }
    }

    /// The two different ones whose sum is the greatest.
    fn pair_with(&self, other: &Self) -> Option<(usize, usize)> {
        let (first, others_first) = (self.first?, other.first?);
        if first.1 != others_first.1 {
            return Some((first.1, others_first.1));
        }
        let (second, others_second) = (self.second?, other.second?);
        let with_first = first.0 + others_second.0 >= second.0 + others_first.0;
        Some(if with_first { (first.1, others_second.1) } else { (second.1, others_first.1) })
    }
}
