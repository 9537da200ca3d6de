//! How much may be guessed at all tokens together.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::time::{SignedDuration, Timestamp};
use crate::token::Odds;

const NANOS_PER_DAY: i128 = 86_400_000_000_000;

/// A leaky bucket for the prices of all single codes that failed in this process, whatever their tokens: it holds a day's worth.
///
/// Each token's budget bounds what can be guessed at it. Who tries a code or two at each of a million tokens stays within all of
/// them, and finds a few a day.
#[derive(Debug)]
pub(super) struct Ceiling {
    per_day: Odds,
    /// When it will be full again, in nanoseconds since the Unix epoch.
    full_at: AtomicI64,
}

impl Ceiling {
    pub(super) const fn new(per_day: Odds) -> Self {
        Self { per_day, full_at: AtomicI64::new(i64::MIN) }
    }

    /// True where nothing is left.
    pub(super) fn is_reached(&self, now: Timestamp) -> bool {
        let full_at = i128::from(self.full_at.load(Ordering::Relaxed));
        full_at - i128::from(now.as_unix_nanos()) >= NANOS_PER_DAY
    }

    /// Pays for a failed attempt.
    pub(super) fn pay(&self, price: Odds, now: Timestamp) {
        let cost = (i128::from(price.units()) * NANOS_PER_DAY)
            .checked_div(self.per_day.units().into())
            .map_or(i64::MAX, |nanos| i64::try_from(nanos).unwrap_or(i64::MAX));
        let cost = SignedDuration::from_nanos(cost);
        let paid = |full_at: i64| (Timestamp::from_unix_nanos(full_at).max(now) + cost).as_unix_nanos();
        // It always gives a value, so it never fails.
        let _ =
            self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| Some(paid(full_at)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_nanos(1_780_000_000_000_000_000);

    fn later(seconds: i64) -> Timestamp {
        NOW + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn a_day_s_worth_can_be_paid_at_once_and_comes_back_in_a_day() {
        let ceiling = Ceiling::new(Odds::from_e12(100));
        for paid in 0..100 {
            assert!(!ceiling.is_reached(NOW), "{paid}");
            ceiling.pay(Odds::from_e12(1), NOW);
        }
        assert!(ceiling.is_reached(NOW));
        ceiling.pay(Odds::from_e12(1), NOW);
        assert!(ceiling.is_reached(later(863)));
        assert!(!ceiling.is_reached(later(2 * 864)));
    }

    #[test]
    fn no_ceiling_is_so_low_that_it_divides_by_nothing() {
        let ceiling = Ceiling::new(Odds::ZERO);
        assert!(!ceiling.is_reached(NOW));
        ceiling.pay(Odds::from_units(1), NOW);
        assert!(ceiling.is_reached(later(1_000_000)));
    }
}
