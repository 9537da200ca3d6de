//! What is kept of one host in one cell of a tier. Pure.

use crate::clock::OffsetInterval;
use crate::fleet::{HostReport, State};
use crate::time::SignedDuration;

const NANOS_PER_MICRO: i64 = 1_000;

/// What one sweep saw of one host, by its name.
///
/// ```
/// use skewgate::clock::OffsetInterval;
/// use skewgate::fleet::State;
/// use skewgate::fleet::history::Observed;
/// use skewgate::time::SignedDuration;
///
/// let millis = SignedDuration::from_millis;
/// let skew = OffsetInterval::new(millis(1), millis(2));
/// let seen = Observed { host: "web1", state: State::InSync, skew, delay: Some(millis(3)) };
/// let silent = Observed { host: "web2", state: State::Unreachable, skew: None, delay: None };
/// # let _ = (seen, silent);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed<'a> {
    /// What its user calls it.
    pub host: &'a str,
    /// The first thing to know of it.
    pub state: State,
    /// Its time minus true time, where both were known.
    pub skew: Option<OffsetInterval>,
    /// The smallest round trip, where it was read.
    pub delay: Option<SignedDuration>,
}

impl<'a> Observed<'a> {
    /// What a report says of a host of this name.
    #[must_use]
    pub fn new(host: &'a str, report: &HostReport) -> Self {
        let delay = report.reading.map(|reading| reading.delay);
        Self { host, state: report.state(), skew: report.skew, delay }
    }
}

/// What the sweeps in one cell saw of one host: lengths in microseconds, bounds rounded outward.
///
/// [`and`](Self::and) puts two together. It doesn't matter in which order, nor what was put together first: so a cell of an hour is
/// what its sixty sweeps are, and what its twelve cells of five minutes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// How many sweeps asked it.
    pub sweeps: u32,
    /// In how many of them it was not read.
    pub missed: u32,
    /// The worst of its states: the first in the order of [`State::ALL`].
    pub state: State,
    /// Its skew, where it was compared with true time.
    pub skew: Option<Skew>,
    /// The smallest round trip, where it was read.
    pub delay_us: Option<u64>,
}

/// The skew of one host in one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    /// In how many sweeps it was compared with true time.
    pub compared: u32,
    /// The least of the lower ends.
    pub lo_us: i64,
    /// The greatest of the upper ends.
    pub hi_us: i64,
    /// The sum of both ends of all sweeps, as seen from the least: `Σ (loᵢ + hiᵢ − 2·lo)`. It is exact however often records were
    /// put together, as a mean would not be; it saturates, which puts the mean lower, inside of the bounds.
    pub sum_us: u64,
}

impl Record {
    /// From one sweep.
    #[must_use]
    pub fn of(seen: &Observed<'_>) -> Self {
        let read = seen.skew.is_some() || seen.delay.is_some();
        Self {
            sweeps: 1,
            missed: u32::from(!read),
            state: seen.state,
            skew: seen.skew.map(Skew::of),
            // Rounded up, and never below zero: two clocks of coarse resolution can measure a little less than nothing.
            delay_us: seen.delay.map(|delay| delay.as_nanos().max(0).unsigned_abs().div_ceil(1_000)),
        }
    }

    /// Together with another one of the same host.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            sweeps: self.sweeps.saturating_add(other.sweeps),
            missed: self.missed.saturating_add(other.missed),
            state: self.state.min(other.state),
            skew: match (self.skew, other.skew) {
                (Some(one), Some(two)) => Some(one.and(two)),
                (one, two) => one.or(two),
            },
            delay_us: match (self.delay_us, other.delay_us) {
                (Some(one), Some(two)) => Some(one.min(two)),
                (one, two) => one.or(two),
            },
        }
    }
}

impl Skew {
    fn of(skew: OffsetInterval) -> Self {
        let lo_us = skew.lo().as_nanos().div_euclid(NANOS_PER_MICRO);
        let hi = skew.hi().as_nanos();
        let hi_us = hi.div_euclid(NANOS_PER_MICRO) + i64::from(hi.rem_euclid(NANOS_PER_MICRO) > 0);
        Self { compared: 1, lo_us, hi_us, sum_us: hi_us.abs_diff(lo_us) }
    }

    fn and(self, other: Self) -> Self {
        let lo_us = self.lo_us.min(other.lo_us);
        // All ends lie further above a lower end.
        let moved = |part: Self| {
            let twice = part.lo_us.abs_diff(lo_us).saturating_mul(2);
            part.sum_us.saturating_add(twice.saturating_mul(part.compared.into()))
        };
        Self {
            compared: self.compared.saturating_add(other.compared),
            lo_us,
            hi_us: self.hi_us.max(other.hi_us),
            sum_us: moved(self).saturating_add(moved(other)),
        }
    }

    /// All skews that the bounds allow.
    #[must_use]
    pub fn hull(&self) -> Option<OffsetInterval> {
        let end = |micros: i64| {
            SignedDuration::saturating_from_nanos(i128::from(micros) * i128::from(NANOS_PER_MICRO))
        };
        OffsetInterval::new(end(self.lo_us), end(self.hi_us))
    }

    /// The mean of the middles.
    #[must_use]
    pub fn typical(&self) -> SignedDuration {
        let nanos =
            i128::from(self.sum_us) * i128::from(NANOS_PER_MICRO) / (2 * i128::from(self.compared.max(1)));
        SignedDuration::saturating_from_nanos(i128::from(self.lo_us) * i128::from(NANOS_PER_MICRO) + nanos)
    }
}

#[cfg(test)]
mod tests;
