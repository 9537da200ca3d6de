//! One exchange with a time server, and a burst of them.

use std::time::Duration;

use super::{Inconsistent, MaxDrift, OffsetInterval};
use crate::time::{RawInstant, SignedDuration, Timestamp};

/// What the last places of the two 16.16 "short format" fields of a reply can hide: half a place of the root
/// delay (which counts half) and one of the root dispersion, 22.9 µs together (RFC 5905 §6).
const SHORT_FORMAT_ERROR: SignedDuration = SignedDuration::from_micros(23);

/// What cutting T2 and T3 from 2⁻³² s to whole nanoseconds can hide.
const CUT_NANOSECONDS: SignedDuration = SignedDuration::from_nanos(1);

/// The four timestamps of one exchange and what the server says of its own accuracy (RFC 5905 §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Raw timeline: just before the request was sent.
    pub t1: RawInstant,
    /// Server's clock: when it received the request.
    pub t2: Timestamp,
    /// Server's clock: when it sent the reply.
    pub t3: Timestamp,
    /// Raw timeline: when the reply was received, or later.
    pub t4: RawInstant,
    /// Who saw it arrive.
    pub reception: Reception,
    /// Round trip from the server to its primary reference.
    pub root_delay: Duration,
    /// The server's own bound on its error, without that delay.
    pub root_dispersion: Duration,
    /// ρ of the server: how long it takes to read its clock.
    pub server_precision: Duration,
    /// ρ of this host.
    pub client_precision: Duration,
}

impl Exchange {
    /// δ = (T4 − T1) − (T3 − T2): the time on the way, there and back.
    #[must_use]
    pub fn delay(&self) -> SignedDuration {
        (self.t4 - self.t1) - self.hold()
    }

    /// T3 − T2: how long the server held the request.
    #[must_use]
    pub fn hold(&self) -> SignedDuration {
        self.t3 - self.t2
    }

    /// What this exchange proves, provided that the server's clock is as right as it says.
    ///
    /// At T4 true time is at least T3, because the reply was sent before it arrived; at T1 it was at most T2.
    /// No symmetry of the path is assumed: the whole round trip is part of the bound.
    ///
    /// # Errors
    ///
    /// [`Inconsistent`] where the reply claims to have been sent so long after it was received that no true
    /// time fits: the delay is negative by more than all errors together.
    pub fn sample(&self, max_drift: MaxDrift) -> Result<Sample, Inconsistent> {
        let root = [self.root_delay / 2, self.root_dispersion].map(SignedDuration::from);
        self.widened_by(root.into_iter().sum::<SignedDuration>() + SHORT_FORMAT_ERROR, max_drift)
    }

    /// What this exchange proves of the server's own clock, right or wrong: *that clock − raw* at T4. What the server believes
    /// of its error, the root delay and dispersion, has no part in it. `max_drift` is how far the rates of the two
    /// clocks may differ.
    ///
    /// # Errors
    ///
    /// As [`sample`](Self::sample).
    pub fn clock_reading(&self, max_drift: MaxDrift) -> Result<Sample, Inconsistent> {
        self.widened_by(SignedDuration::ZERO, max_drift)
    }

    /// With an error of the server's own, and with that of reading the clocks.
    fn widened_by(&self, error: SignedDuration, max_drift: MaxDrift) -> Result<Sample, Inconsistent> {
        let precisions = SignedDuration::from(self.server_precision) + self.client_precision.into();
        let error = error + precisions + max_drift.growth(self.hold()) + CUT_NANOSECONDS;
        let lo = utc_minus_raw(self.t3, self.t4) - error;
        let hi = utc_minus_raw(self.t2, self.t1) + error + max_drift.growth(self.t4 - self.t1);
        let bound = OffsetInterval::new(lo, hi).ok_or(Inconsistent)?;
        Ok(Sample { anchor: self.t4, bound, delay: self.delay(), reception: self.reception })
    }
}

/// The offset that a point of UTC and a point of the raw timeline have, taken as simultaneous.
fn utc_minus_raw(utc: Timestamp, raw: RawInstant) -> SignedDuration {
    utc - Timestamp::from_unix_nanos(raw.as_nanos())
}

/// What one exchange proves: at `anchor`, UTC − raw lies within `bound`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The reply's reception on the raw timeline.
    pub anchor: RawInstant,
    /// UTC − raw at the anchor. Half of its width is the root distance Λ.
    pub bound: OffsetInterval,
    /// δ, the round trip.
    pub delay: SignedDuration,
    /// Who saw the reply arrive.
    pub reception: Reception,
}

/// Where T4 comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reception {
    /// The kernel's stamp: the delay does not contain how long this process waited for a processor.
    Kernel,
    /// This process, when it took the reply in: later than it arrived, so the bound is wider, and as true.
    Process,
}

/// What a burst of exchanges with one source proves together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceBound {
    /// The reception of the burst's first reply.
    pub first: RawInstant,
    /// The reception of the burst's last reply.
    pub anchor: RawInstant,
    /// UTC − raw at the anchor.
    pub bound: OffsetInterval,
    /// The smallest round trip of the burst.
    pub delay: SignedDuration,
    /// How many samples there were.
    pub samples: usize,
    /// How many of these have a T4 of the kernel's.
    pub kernel_stamped: usize,
}

impl SourceBound {
    /// Intersects the samples of one source at the time of the last.
    ///
    /// Each is aged to that time first: between two samples the raw clock drifts against true time, and
    /// samples that are not moved miss the truth in most bursts.
    ///
    /// # Errors
    ///
    /// [`Inconsistent`] where no true time fits all of them (the server's clock is not as right as it says,
    /// or was stepped in between), or where there are none.
    pub fn from_samples(samples: &[Sample], max_drift: MaxDrift) -> Result<Self, Inconsistent> {
        let last = samples.iter().max_by_key(|sample| sample.anchor).ok_or(Inconsistent)?;
        let (mut first, mut bound, mut delay) = (last.anchor, last.bound, last.delay);
        for sample in samples {
            first = first.min(sample.anchor);
            let aged = sample.bound.aged(last.anchor - sample.anchor, max_drift);
            bound = bound.intersection(aged).ok_or(Inconsistent)?;
            delay = delay.min(sample.delay);
        }
        let kernel_stamped = samples.iter().filter(|sample| sample.reception == Reception::Kernel).count();
        Ok(Self { first, anchor: last.anchor, bound, delay, samples: samples.len(), kernel_stamped })
    }
}

/// The leap indicator (RFC 5905 §7.3): what becomes of the last minute of this UTC month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leap {
    /// It has 60 seconds.
    #[default]
    None,
    /// It has 61: a leap second is inserted.
    Insert,
    /// It has 59: a second is deleted.
    Delete,
    /// The server is not synchronised.
    Unsynchronised,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{LocalClock, sim::SimClock};
    use proptest::prelude::*;

    /// An exchange on a simulated host: its clock runs at its own rate while the packets travel.
    fn exchange(host: &SimClock, out: u64, hold: u64, back: u64) -> Exchange {
        let t1 = host.raw();
        host.advance(Duration::from_nanos(out));
        let t2 = host.truth();
        host.advance(Duration::from_nanos(hold));
        let t3 = host.truth();
        host.advance(Duration::from_nanos(back));
        Exchange {
            t1,
            t2,
            t3,
            t4: host.raw(),
            reception: Reception::Process,
            root_delay: Duration::ZERO,
            root_dispersion: Duration::ZERO,
            server_precision: Duration::ZERO,
            client_precision: Duration::ZERO,
        }
    }

    fn host(rate_error_ppb: i64) -> SimClock {
        let host = SimClock::new("2026-11-22T12:00:00Z".parse().unwrap());
        host.set_rate_error_ppb(rate_error_ppb);
        host
    }

    fn truth(host: &SimClock) -> SignedDuration {
        utc_minus_raw(host.truth(), host.raw())
    }

    #[test]
    fn an_asymmetric_path_moves_the_middle_and_stays_inside() {
        // 30 ms out, 10 ms back: the middle is 10 ms off, the delay 40 ms.
        let host = host(0);
        let sample = exchange(&host, 30_000_000, 0, 10_000_000).sample(MaxDrift::default()).unwrap();
        assert_eq!(sample.delay, SignedDuration::from_millis(40));
        let error = sample.bound.midpoint() - truth(&host);
        assert!(
            (error - SignedDuration::from_millis(10)).unsigned_abs() < Duration::from_micros(10),
            "{error}"
        );
        assert!(sample.bound.contains(truth(&host)));
    }

    #[test]
    fn a_delay_more_negative_than_its_errors_is_inconsistent() {
        let host = host(0);
        let mut late = exchange(&host, 1_000, 0, 1_000);
        late.t3 = late.t3 + SignedDuration::from_secs(1);
        assert_eq!(late.sample(MaxDrift::default()), Err(Inconsistent));
    }

    #[test]
    fn a_server_that_is_stepped_during_a_burst_is_inconsistent() {
        let host = host(0);
        let first = exchange(&host, 1_000, 0, 1_000).sample(MaxDrift::default()).unwrap();
        let mut second = exchange(&host, 1_000, 0, 1_000);
        second.t2 = second.t2 + SignedDuration::from_secs(2);
        second.t3 = second.t3 + SignedDuration::from_secs(2);
        let second = second.sample(MaxDrift::default()).unwrap();
        assert_eq!(SourceBound::from_samples(&[first, second], MaxDrift::default()), Err(Inconsistent));
        assert_eq!(SourceBound::from_samples(&[], MaxDrift::default()), Err(Inconsistent));
    }

    #[test]
    fn unmoved_the_intersection_of_a_burst_misses_the_truth() {
        // Why samples are aged before they are intersected: 50 ppm over 16 s are 800 µs, more than the bounds.
        let host = host(50_000);
        let samples: Vec<Sample> = (0..4)
            .map(|_| {
                host.advance(Duration::from_secs(4));
                exchange(&host, 50_000, 0, 50_000).sample(MaxDrift::default()).unwrap()
            })
            .collect();
        let unmoved = samples.iter().try_fold(samples[0].bound, |all, sample| all.intersection(sample.bound));
        assert!(unmoved.is_none_or(|bound| !bound.contains(truth(&host))));
        let moved = SourceBound::from_samples(&samples, MaxDrift::default()).unwrap();
        assert!(moved.bound.contains(truth(&host)));
    }

    /// Often nothing at all: then one side of the bound has no slack but the error terms.
    fn travel() -> impl Strategy<Value = u64> {
        prop_oneof![Just(0), 0_u64..2_000_000_000]
    }

    proptest! {
        #[test]
        fn a_burst_on_a_wrong_rate_keeps_the_truth_inside(
            rate_ppb in prop::sample::select(vec![-100_000_i64, -50_000, 0, 50_000, 100_000]),
            packets in prop::collection::vec((travel(), travel(), travel(), 0_u64..64_000_000_000), 1..9),
        ) {
            let host = host(rate_ppb);
            let mut samples = Vec::new();
            for (out, hold, back, gap) in packets {
                host.advance(Duration::from_nanos(gap));
                samples.push(exchange(&host, out, hold, back).sample(MaxDrift::default()).unwrap());
                prop_assert!(samples[samples.len() - 1].bound.contains(truth(&host)));
            }
            let burst = SourceBound::from_samples(&samples, MaxDrift::default()).unwrap();
            prop_assert!(burst.bound.contains(truth(&host)));
            prop_assert!(samples.iter().all(|sample| sample.delay >= burst.delay));
        }
    }
}
