//! What a host's replies prove of its clock. Pure.

use crate::clock::{MaxDrift, OffsetInterval, Sample, SourceBound};
use crate::time::{RawInstant, SignedDuration};

/// The seconds after which NTP's timestamps begin anew (RFC 5905 §6), in nanoseconds.
const ERA: i128 = (1 << 32) * 1_000_000_000;

/// One host's clock, as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// When, on the raw timeline of the host that measured.
    pub anchor: RawInstant,
    /// That clock minus the raw timeline, then.
    pub clock: OffsetInterval,
    /// The smallest round trip.
    pub delay: SignedDuration,
    /// How many samples it comes from.
    pub samples: u32,
    /// Its samples contradict each other: the clock was stepped, or is slewed faster than was allowed for. Then `clock` is
    /// what the last of them says alone.
    pub unsteady: bool,
}

impl Reading {
    /// What samples prove together; `None` where there are none. `host_drift` is how far the rate of a host's clock may
    /// differ from that of the raw timeline.
    #[must_use]
    pub fn from_samples(samples: &[Sample], host_drift: MaxDrift) -> Option<Self> {
        let last = samples.iter().max_by_key(|sample| sample.anchor)?;
        let count = u32::try_from(samples.len()).unwrap_or(u32::MAX);
        Some(match SourceBound::from_samples(samples, host_drift) {
            Ok(SourceBound { anchor, bound, delay, .. }) => {
                Self { anchor, clock: bound, delay, samples: count, unsteady: false }
            }
            Err(_) => Self {
                anchor: last.anchor,
                clock: last.bound,
                delay: last.delay,
                samples: count,
                unsteady: true,
            },
        })
    }

    /// Together with one of the same host that was taken later.
    #[must_use]
    pub fn and_later(self, later: Self, host_drift: MaxDrift) -> Self {
        let samples = self.samples.saturating_add(later.samples);
        let aged = self.clock.aged(later.anchor - self.anchor, host_drift);
        let both = later.clock.intersection(aged);
        match both {
            // One that was unsteady on its own tells nothing of how it was before.
            Some(clock) if !self.unsteady && !later.unsteady => {
                Self { clock, delay: later.delay.min(self.delay), samples, ..later }
            }
            _ => Self { samples, unsteady: true, ..later },
        }
    }

    /// How far the clock is off where UTC − raw is `truth`: its time minus true time.
    #[must_use]
    pub fn skew(&self, truth: OffsetInterval) -> Option<OffsetInterval> {
        OffsetInterval::new(self.clock.lo() - truth.hi(), self.clock.hi() - truth.lo())
    }

    /// In the era that is nearest to `truth`. Timestamps don't say their era, and are taken to be after the release of this
    /// crate, which is right for sources; a host's clock may stand at 1970, and isn't 136 years ahead then.
    #[must_use]
    pub(super) fn in_era_of(self, truth: OffsetInterval) -> Self {
        let ahead = i128::from(self.clock.midpoint().as_nanos()) - i128::from(truth.midpoint().as_nanos());
        let eras = (ahead + ERA / 2).div_euclid(ERA);
        let moved = |end: SignedDuration| {
            SignedDuration::saturating_from_nanos(i128::from(end.as_nanos()) - eras * ERA)
        };
        let clock = OffsetInterval::new(moved(self.clock.lo()), moved(self.clock.hi()));
        Self { clock: clock.unwrap_or(self.clock), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Reception;

    const DRIFT: MaxDrift = MaxDrift::from_ppm(1_000);

    fn interval(lo: i64, hi: i64) -> OffsetInterval {
        OffsetInterval::new(SignedDuration::from_millis(lo), SignedDuration::from_millis(hi)).unwrap()
    }

    fn sample(at_ms: i64, lo: i64, hi: i64) -> Sample {
        Sample {
            anchor: RawInstant::from_nanos(at_ms * 1_000_000),
            bound: interval(lo, hi),
            delay: SignedDuration::from_millis(hi - lo),
            reception: Reception::Kernel,
        }
    }

    #[test]
    fn samples_that_agree_are_intersected() {
        let reading = Reading::from_samples(&[sample(0, 10, 50), sample(0, 20, 90)], DRIFT).unwrap();
        assert_eq!((reading.clock, reading.samples, reading.unsteady), (interval(20, 50), 2, false));
        assert_eq!(Reading::from_samples(&[], DRIFT), None);
    }

    #[test]
    fn a_clock_that_was_stepped_between_samples_is_what_it_shows_last() {
        let reading = Reading::from_samples(&[sample(5, 900, 910), sample(0, 10, 20)], DRIFT).unwrap();
        assert_eq!((reading.clock, reading.samples, reading.unsteady), (interval(900, 910), 2, true));
        let earlier = Reading::from_samples(&[sample(0, 10, 20)], DRIFT).unwrap();
        let later = Reading::from_samples(&[sample(1, 30, 40)], DRIFT).unwrap();
        let both = earlier.and_later(later, DRIFT);
        assert_eq!((both.clock, both.samples, both.unsteady), (interval(30, 40), 2, true));
    }

    #[test]
    fn what_is_asked_later_makes_it_narrower_and_never_wrong() {
        let earlier = Reading::from_samples(&[sample(0, 10, 20)], DRIFT).unwrap();
        let later = Reading::from_samples(&[sample(1_000, 15, 40)], DRIFT).unwrap();
        let both = earlier.and_later(later, DRIFT);
        // A second at 1000 ppm is a millisecond and a bit: 20 may have become 21.
        assert_eq!(both.clock.lo(), SignedDuration::from_millis(15));
        let hi = both.clock.hi() - SignedDuration::from_millis(21);
        assert!(hi >= SignedDuration::ZERO && hi < SignedDuration::from_micros(2), "{hi}");
    }

    #[test]
    fn a_clock_in_1970_is_behind_and_not_ahead() {
        let era = SignedDuration::from_secs(1 << 32);
        let truth = interval(0, 1);
        let in_1970 = Reading::from_samples(&[sample(0, -5, 5)], DRIFT).unwrap();
        // 57 years behind, in the era that sources are read in: 79 years ahead.
        let years = SignedDuration::from_secs(57 * 31_556_952);
        let clock = OffsetInterval::new(era - years, era - years + SignedDuration::from_millis(1)).unwrap();
        let moved = Reading { clock, ..in_1970 }.in_era_of(truth);
        assert_eq!(moved.clock.lo(), -years);
        assert_eq!(in_1970.in_era_of(truth), in_1970);
    }
}
