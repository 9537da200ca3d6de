//! How much may be guessed at all tokens together.

use std::sync::{Mutex, PoisonError};

use crate::time::Timestamp;
use crate::token::Odds;

/// In nanoseconds.
const DAY: i64 = 86_400_000_000_000;

/// So many attempts at once may overdraw it: more than a process has cores.
const AT_ONCE: i64 = 1_024;

/// A leaky bucket for the prices of all single codes that failed in this process, whatever their tokens: it holds a day's worth.
///
/// Each token's budget bounds what can be guessed at it. Who tries a code or two at each of a million tokens stays within all of
/// them, and finds a few a day.
#[derive(Debug)]
pub(super) struct Ceiling {
    per_day: Odds,
    level: Mutex<Level>,
}

/// When it will be full again, in nanoseconds since the Unix epoch.
#[derive(Debug)]
struct Level {
    full_at: i64,
    /// The same, as a clock that ran ahead has left it: for when that time comes. Time that goes there and back again must refill
    /// nothing.
    ahead: i64,
    /// The most that was paid at once: no debt is much more than a day and some of these.
    dearest: i64,
}

impl Ceiling {
    pub(super) const fn new(per_day: Odds) -> Self {
        Self { per_day, level: Mutex::new(Level { full_at: i64::MIN, ahead: i64::MIN, dearest: 0 }) }
    }

    /// True where nothing is left.
    pub(super) fn is_reached(&self, now: Timestamp) -> bool {
        let now = now.as_unix_nanos();
        self.with_level(|level| level.at(now).saturating_sub(now) >= DAY)
    }

    /// Pays for a failed attempt.
    pub(super) fn pay(&self, price: Odds, now: Timestamp) {
        let cost = (i128::from(price.units()) * i128::from(DAY))
            .checked_div(self.per_day.units().into())
            .map_or(i64::MAX, |nanos| i64::try_from(nanos).unwrap_or(i64::MAX));
        let now = now.as_unix_nanos();
        self.with_level(|level| {
            level.full_at = level.at(now).max(now).saturating_add(cost);
            level.dearest = level.dearest.max(cost);
        });
    }

    fn with_level<T>(&self, look: impl FnOnce(&mut Level) -> T) -> T {
        look(&mut self.level.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Level {
    /// When it will be full again. What was paid by a clock that ran ahead would make everybody show two codes until the truth has
    /// caught up, which may be never: it is empty then, as what was paid in the present isn't known any more.
    fn at(&mut self, now: i64) -> i64 {
        if self.ran_ahead(self.full_at, now) {
            self.ahead = self.ahead.max(self.full_at);
            self.full_at = now.saturating_add(DAY);
        }
        if !self.ran_ahead(self.ahead, now) {
            self.full_at = self.full_at.max(self.ahead);
        }
        self.full_at
    }

    const fn ran_ahead(&self, full_at: i64, now: i64) -> bool {
        full_at.saturating_sub(now) > self.dearest.saturating_mul(AT_ONCE).saturating_add(2 * DAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SignedDuration;

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
    fn a_forged_future_costs_a_day_s_worth_and_refills_nothing() {
        const FUTURE: i64 = 400 * 86_400;
        let ceiling = Ceiling::new(Odds::from_e12(100));
        let spend = |second| {
            (0..)
                .take_while(|_| {
                    let left = !ceiling.is_reached(later(second));
                    if left {
                        ceiling.pay(Odds::from_e12(1), later(second));
                    }
                    left
                })
                .count()
        };
        assert_eq!(spend(FUTURE), 100);
        // Back in the present it is empty, and fills as ever.
        assert_eq!(spend(0), 0);
        assert_eq!(spend(8_640), 10);
        assert_eq!(spend(FUTURE), 0, "there it is as it was left");
        assert_eq!(spend(8_640), 0, "and here too");
        assert_eq!(spend(FUTURE + 86_400), 100);
    }

    #[test]
    fn no_ceiling_is_so_low_that_it_divides_by_nothing() {
        let ceiling = Ceiling::new(Odds::ZERO);
        assert!(!ceiling.is_reached(NOW));
        ceiling.pay(Odds::from_units(1), NOW);
        assert!(ceiling.is_reached(later(1_000_000)));
    }
}
