//! Tokens and their owners.

use super::chance::{Dice, whole};
use super::clock::step_begins;

pub(crate) const DAY: f64 = 86_400.0;
pub(crate) const YEAR: f64 = 365.0 * DAY;
/// Of every token here, in seconds.
pub(crate) const PERIOD: f64 = 30.0;

/// Who logs in how often, with what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Population {
    /// The share of phones that set their own clock.
    pub(crate) phones: f64,
    /// The share of phones that were set by hand; hardware tokens are the rest.
    pub(crate) set_by_hand: f64,
    /// Between two logins, on average, in seconds.
    pub(crate) gap: f64,
    pub(crate) logins: u32,
    /// At this login something has happened since the one before, and figures are counted from here on.
    pub(crate) since: u32,
    pub(crate) happened: Happened,
}

/// What happens to all tokens of a population.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happened {
    Nothing,
    /// Their clocks were set right.
    SetRight,
    /// The validator's clock went wrong by so many seconds, and nobody measures it: all tokens are off by as much the other way.
    ValidatorWrongBy(f64),
}

impl Population {
    /// What a service for everybody sees.
    pub(crate) const MIXED: Self = Self {
        phones: 0.80,
        set_by_hand: 0.12,
        gap: 3.0 * DAY,
        logins: 20,
        since: 0,
        happened: Happened::Nothing,
    };
    /// Administrators: phones that set their own clock, every day.
    pub(crate) const ADMINISTRATORS: Self = Self { phones: 1.0, set_by_hand: 0.0, gap: DAY, ..Self::MIXED };
    /// Hardware tokens out of a drawer, every four weeks.
    pub(crate) const DRAWER: Self = Self { phones: 0.0, set_by_hand: 0.0, gap: 28.0 * DAY, ..Self::MIXED };
    /// Phones that were set by hand, at the first login after they were set right.
    pub(crate) const REPAIRED: Self = Self {
        phones: 0.0,
        set_by_hand: 1.0,
        logins: 11,
        since: 10,
        happened: Happened::SetRight,
        ..Self::MIXED
    };

    /// A service for everybody whose clock goes wrong, halfway through, without a monitor.
    pub(crate) const fn validator_wrong_by(seconds: f64) -> Self {
        Self { since: 10, happened: Happened::ValidatorWrongBy(seconds), ..Self::MIXED }
    }
}

/// A token's clock, and who uses it. Times are seconds since the study began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Person {
    ahead: f64,
    rate: f64,
    jitter: f64,
}

impl Person {
    /// A phone whose clock the network sets: right, give or take half a second at each login.
    pub(crate) const RIGHT: Self = Self { ahead: 0.0, rate: 0.0, jitter: 0.5 };

    pub(crate) fn draw(dice: &mut Dice, population: &Population) -> Self {
        let kind = dice.uniform(0.0, 1.0);
        if kind < population.phones {
            Self::RIGHT
        } else if kind < population.phones + population.set_by_hand {
            Self { ahead: dice.uniform(-180.0, 180.0), rate: 5e-6 * dice.normal(), jitter: 0.2 }
        } else {
            let (age, rate) = (dice.uniform(0.0, 4.0) * YEAR, 3e-6 * dice.normal());
            Self { ahead: rate * age, rate, jitter: 0.0 }
        }
    }

    pub(crate) fn meet(self, happened: Happened) -> Self {
        match happened {
            Happened::Nothing => self,
            Happened::SetRight => Self::RIGHT,
            Happened::ValidatorWrongBy(seconds) => Self { ahead: self.ahead - seconds, ..self },
        }
    }

    /// Reads `codes` consecutive codes, the first one at `from`, and types them: when they are submitted, and the step of
    /// the last.
    ///
    /// Who is asked for several types one, waits until the next appears, and types that. Who is too slow for it
    /// begins anew.
    pub(crate) fn show(&self, dice: &mut Dice, from: f64, codes: u8) -> (f64, i64) {
        // Drawn once: a clock doesn't jump about within a minute.
        let ahead = self.ahead + self.rate * from + self.jitter * dice.normal();
        let shown_at = |time: f64| whole((time + ahead - step_begins(0)) / PERIOD);
        let mut read = from;
        loop {
            let (mut step, mut submitted) = (shown_at(read), read + delay(dice));
            let last = step + i64::from(codes) - 1;
            while step < last {
                step += 1;
                read = submitted.max(step_begins(step) - ahead + 0.001);
                if shown_at(read) > step {
                    break;
                }
                submitted = read + delay(dice);
            }
            if shown_at(read) <= step {
                return (submitted, last);
            }
        }
    }
}

/// From reading to submitting a code: lognormal, 9 s in the median, never longer than a minute.
fn delay(dice: &mut Dice) -> f64 {
    (9.0_f64.ln() + 0.55 * dice.normal()).exp().min(60.0)
}
