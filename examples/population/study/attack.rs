//! A year of attack on one token, whose owner goes on logging in.
//!
//! Two ways of counting, over the same course of events:
//!
//! - *Weighed*: each guess is taken to fail, and the chance that it would have been right is noted: so many live steps
//!   times the chance of one code. What a guesser sees doesn't depend on luck before luck has let him in, so the year's chance is
//!   1 − Π(1 − p), exactly, and a few hundred years tell its mean.
//! - *Drawn*: real random codes against the real search, with a secret of its own for each year, until one is right.

use skewgate::otp::{Code, Consecutive, Match, Totp};
use skewgate::time::TimeInterval;
use skewgate::validator::decide::{Admission, Decision};

use super::chance::{Dice, float};
use super::clock::{seconds, time_step};
use super::gate::{GUESS, Gate};
use super::ours::{Setup, Skewgate, found_by, totp};
use super::people::{Person, Population, YEAR};

/// What an attacker knows and when he comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attacker {
    /// Guesses single codes, whenever one can be paid for.
    Blind,
    /// Also sees each code that the owner uses, and shows it with guesses of the ones before and after it.
    SeesUsedCodes,
    /// Saves the budget up, and spends it right before and right after each of the owner's logins: what a
    /// success would forgive, or an owner's mistake hide, he would have.
    Interleaves,
}

impl Attacker {
    pub(crate) const ALL: [Self; 3] = [Self::Blind, Self::SeesUsedCodes, Self::Interleaves];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Blind => "blind",
            Self::SeesUsedCodes => "sees used codes",
            Self::Interleaves => "interleaves with the owner",
        }
    }
}

/// What came of a year.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Year {
    /// That a guess was right, in logarithms of the chance that none was.
    log_all_wrong: f64,
    /// Guesses that were looked at.
    pub(crate) guesses: u64,
    /// A drawn guess was right.
    pub(crate) broken: bool,
}

impl Year {
    /// That at least one guess was right.
    pub(crate) fn chance(&self) -> f64 {
        -self.log_all_wrong.exp_m1()
    }
}

/// All that happens in one year.
struct Siege<'s> {
    gate: Skewgate<'s>,
    dice: Dice,
    owner: Person,
    /// Where guesses are drawn: the token's codes.
    drawn: Option<Totp>,
    year: Year,
}

/// One year. `drawn` says which way of counting.
pub(crate) fn year(
    setup: &Setup,
    population: &Population,
    attacker: Attacker,
    seed: u64,
    drawn: bool,
) -> Result<Year, Box<dyn std::error::Error>> {
    let mut dice = Dice::new(seed, 0);
    let owner = Person::draw(&mut dice, population);
    let secret: Vec<u8> = (0..20).map(|_| dice.roll().to_le_bytes()[0]).collect();
    let drawn = if drawn { Some(totp(&secret)?) } else { None };
    let year = Year { log_all_wrong: 0.0, guesses: 0, broken: false };
    let mut siege = Siege { gate: Skewgate::new(setup), dice, owner, drawn, year };
    siege.run(population.gap, attacker);
    Ok(siege.year)
}

impl Siege<'_> {
    fn run(&mut self, gap: f64, attacker: Attacker) {
        let (enrolled, step) = self.owner.show(&mut self.dice, 0.0, 2);
        if !self.gate.enrol(&mut self.dice, enrolled, step, 2) {
            return;
        }
        let mut time = enrolled;
        while time < YEAR && !self.year.broken {
            let login = time + self.dice.exponential(gap);
            self.guess_until(login.min(YEAR), time, attacker);
            if attacker == Attacker::Interleaves {
                self.guess_all(login - 1.0, 4);
            }
            let Some((submitted, step)) = self.owner_logs_in(login) else { return };
            time = submitted + 1.0;
            match attacker {
                Attacker::Blind => {}
                Attacker::SeesUsedCodes => self.guess_beside(time, step),
                Attacker::Interleaves => self.guess_all(time, u32::MAX),
            }
        }
    }

    /// What is guessed while the owner is away.
    fn guess_until(&mut self, end: f64, begin: f64, attacker: Attacker) {
        let mut time = begin;
        while !self.year.broken {
            let now = self.now(time);
            // One who saves up guesses only what would flow over.
            let wait = if attacker == Attacker::Interleaves {
                (seconds(self.gate.full_at()) - time).max(0.0)
            } else {
                self.gate.wait_for_single(&now).as_secs_f64()
            };
            if wait > 0.0 {
                // Twice the interval's half-width, so that its earliest end is late enough.
                time += wait + 0.2;
            } else if time < end && self.guess(time) {
                time += 1.0;
            } else {
                return;
            }
            if time >= end {
                return;
            }
        }
    }

    /// Single codes until no more are looked at.
    fn guess_all(&mut self, time: f64, most: u32) {
        for _ in 0..most {
            if self.year.broken || !self.guess(time) {
                return;
            }
        }
    }

    /// One single code. False where it wasn't looked at.
    fn guess(&mut self, time: f64) -> bool {
        let now = self.now(time);
        let Ok(admission) = self.gate.admit(&now, 1) else { return false };
        let live = live_steps(&admission);
        let missed = Match { fresh: None, replayed: false, right_at_best: 0 };
        let code = self.random_code();
        self.look(&admission, live * GUESS, missed, code.as_slice());
        true
    }

    /// The owner's code of `used`, with guesses of its neighbours, until no more pairs are looked at.
    fn guess_beside(&mut self, time: f64, used: i64) {
        for after in [true, false].into_iter().cycle() {
            let now = self.now(time);
            let Ok(admission) = self.gate.admit(&now, 2) else { return };
            // All steps of a pair must be above the watermark, and `used` isn't: what is known is worth nothing. What is
            // left is that both codes of some other pair are right by luck.
            let chance = live_steps(&admission) * GUESS * GUESS;
            let there = admission.window().contains(time_step(used + i64::from(after)));
            let missed = Match { fresh: None, replayed: false, right_at_best: u8::from(there) };
            let mut codes = self.random_code();
            if let Some(totp) = &self.drawn {
                codes.insert(usize::from(!after), totp.code_at(time_step(used)));
            }
            self.look(&admission, chance, missed, &codes);
            if self.year.broken {
                return;
            }
        }
    }

    /// Draws, or weighs what could have been drawn.
    fn look(&mut self, admission: &Admission<'_>, chance: f64, missed: Match, codes: &[Code]) {
        self.year.guesses += 1;
        self.year.log_all_wrong += (-chance).ln_1p();
        let found = match (&self.drawn, Consecutive::new(codes)) {
            (Some(totp), Ok(codes)) => admission.look(totp, codes),
            _ => admission.found(missed),
        };
        self.year.broken |= matches!(self.gate.settle(admission, &found), Decision::Accept { .. });
    }

    /// With as many codes as are asked for, since an attacker may have spent the budget for one. `None` where that fails
    /// however often he tries.
    fn owner_logs_in(&mut self, from: f64) -> Option<(f64, i64)> {
        let (mut from, mut codes) = (from, 1);
        for _ in 0..1_000 {
            let (submitted, step) = self.owner.show(&mut self.dice, from, codes);
            let now = self.now(submitted);
            match self.gate.admit(&now, codes) {
                Ok(admission) => {
                    let found = found_by(&admission, step, codes);
                    if let Decision::Accept { .. } = self.gate.settle(&admission, &found) {
                        return Some((submitted, step));
                    }
                }
                Err(_) if codes < 3 => codes += 1,
                Err(_) => {}
            }
            from = submitted + 60.0;
        }
        None
    }

    fn random_code(&mut self) -> Vec<Code> {
        let drawn = self.drawn.as_ref().map(|_| format!("{:06}", self.dice.roll() % 1_000_000));
        drawn.and_then(|text| Code::parse(&text).ok()).into_iter().collect()
    }

    fn now(&mut self, truth: f64) -> TimeInterval {
        self.gate.setup.clock.interval(&mut self.dice, truth)
    }
}

/// At how many steps a code would still be let in.
fn live_steps(admission: &Admission<'_>) -> f64 {
    let dead = |step| admission.watermark().is_some_and(|watermark| step <= watermark);
    let ranges = admission.window().ranges();
    let live = ranges.iter().flat_map(|range| range.steps()).filter(|step| !dead(*step)).count();
    float(u64::try_from(live).unwrap_or(u64::MAX))
}
