//! What all validators have in common, and the peers.

use skewgate::validator::Advice;

use super::chance::{Dice, float, whole};
use super::clock::{Clock, step_begins};
use super::people::{DAY, PERIOD};

/// The chance that a code of six digits is guessed.
pub(crate) const GUESS: f64 = 2148.0 / 2_147_483_648.0;

/// A validator that looks after one token.
pub(crate) trait Gate {
    /// Two consecutive codes, the last one of `step`, arrive at `truth`. False where they don't suffice.
    fn enrol(&mut self, dice: &mut Dice, truth: f64, step: i64, codes: u8) -> bool;

    /// So many consecutive codes, the last one of `step`, arrive at `truth`.
    fn show(&mut self, dice: &mut Dice, truth: f64, step: i64, codes: u8) -> Answer;
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    /// What the owner is to do, or `None`: come in.
    pub(crate) refused: Option<Advice>,
    /// At how many steps the codes were looked for; `None` where they weren't.
    pub(crate) codes: Option<u64>,
}

impl Answer {
    /// What a validator says that has no advice.
    fn plain(accepted: bool, codes: u64) -> Self {
        Self { refused: (!accepted).then_some(Advice::TryAgain), codes: Some(codes) }
    }
}

/// A window of fixed steps around the system clock, as in most libraries. Codes aren't remembered, so that a second login
/// in one step gets in.
pub(crate) struct Fixed {
    pub(crate) clock: Clock,
    pub(crate) before: i64,
    pub(crate) after: i64,
}

impl Gate for Fixed {
    fn enrol(&mut self, _: &mut Dice, _: f64, _: i64, _: u8) -> bool {
        true
    }

    fn show(&mut self, _: &mut Dice, truth: f64, step: i64, _: u8) -> Answer {
        let distance = step - whole(self.clock.system(truth) / PERIOD);
        Answer::plain(
            (-self.before..=self.after).contains(&distance),
            (self.before + self.after + 1).unsigned_abs(),
        )
    }
}

impl Fixed {
    /// Nothing throttles: a guess every ten seconds, as no operator would notice, for a year.
    pub(crate) fn break_in(codes: f64) -> f64 {
        chance_of_one(codes, 365.0 * DAY / 10.0)
    }
}

/// What privacyIDEA does (`TotpTokenClass` in its `totptoken.py`), with its defaults: ±180 s around the system clock plus
/// a shift, which is where the step of the last right code begins, minus the time when it was accepted; a newer step
/// than the last one only. Two codes set the shift at first, to where the second one's step is half over, and are found
/// within 1000 steps (`resync`). Its automatic resynchronisation is off by default.
pub(crate) struct Shift {
    pub(crate) clock: Clock,
    pub(crate) shift: f64,
    pub(crate) last: i64,
}

impl Shift {
    const STEPS: i64 = 180 / 30;
    const RESYNC_STEPS: i64 = 1000;

    pub(crate) const fn new(clock: Clock) -> Self {
        Self { clock, shift: 0.0, last: i64::MIN }
    }

    fn distance(&self, truth: f64, step: i64) -> i64 {
        step - whole((self.clock.system(truth) + self.shift) / PERIOD)
    }

    /// Ten failures lock a token, and a success forgives them: who comes between the owner's logins has nine guesses
    /// each time.
    pub(crate) fn break_in(gap: f64) -> f64 {
        chance_of_one(float((2 * Self::STEPS + 1).unsigned_abs()), 9.0 * 365.0 * DAY / gap)
    }
}

impl Gate for Shift {
    fn enrol(&mut self, _: &mut Dice, truth: f64, step: i64, _: u8) -> bool {
        let found = self.distance(truth, step).abs() <= Self::RESYNC_STEPS;
        if found {
            self.shift = step_begins(step) + PERIOD / 2.0 - self.clock.system(truth);
            self.last = step;
        }
        found
    }

    fn show(&mut self, _: &mut Dice, truth: f64, step: i64, _: u8) -> Answer {
        let accepted = self.distance(truth, step).abs() <= Self::STEPS && step > self.last;
        if accepted {
            self.shift = step_begins(step) - self.clock.system(truth);
            self.last = step;
        }
        Answer::plain(accepted, (2 * Self::STEPS + 1).unsigned_abs())
    }
}

/// That one of so many guesses at so many steps is right.
fn chance_of_one(width: f64, guesses: f64) -> f64 {
    -(width * guesses * (-GUESS).ln_1p()).exp_m1()
}
