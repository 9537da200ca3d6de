//! How often validators refuse a right code, how many codes they accept, and how long they hold out: a population with
//! real clocks and slow fingers, in simulated time.
//!
//! ```text
//! chance.rs    dice, and what their results are worth
//! people.rs    tokens, their clocks, and who types
//! clock.rs     the validator's clock
//! gate.rs      what all validators have in common, and the peers
//! ours.rs      the library's own `admit` and `judge`
//! crowd.rs     many users, twenty logins each
//! attack.rs    a year of attack
//! ```

mod attack;
mod chance;
mod clock;
mod crowd;
mod gate;
mod ours;
mod people;

use std::error::Error;

use skewgate::token::Bucket;
use skewgate::window::WindowPolicy;

pub(crate) use attack::Attacker;
use chance::{Dice, Tally, float, upper_bound};
pub(crate) use clock::Clock;
pub(crate) use crowd::Crowd;
use crowd::{in_shares, simulate};
use gate::{Fixed, Gate, Shift};
use ours::{Setup, Skewgate};
pub(crate) use people::Population;

/// How large a study is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Study {
    pub(crate) seed: u64,
    /// For each validator and clock.
    pub(crate) users: u64,
    /// Years of attack that are weighed, for each attacker and clock.
    pub(crate) years: u64,
    /// Years of attack that are drawn, for each attacker, with a right clock.
    pub(crate) drawn_years: u64,
}

/// A validator with a clock.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) validator: String,
    pub(crate) clock: Clock,
    pub(crate) crowd: Crowd,
    /// What the best attacker has in a year.
    pub(crate) year_break_in: f64,
}

impl Row {
    /// Of all logins, those whose first attempt was refused though its code was right.
    pub(crate) fn false_reject_percent(&self) -> f64 {
        100.0 * self.crowd.false_rejects.mean()
    }

    pub(crate) fn mean_codes(&self) -> f64 {
        self.crowd.codes.mean()
    }

    pub(crate) fn year_break_in_percent(&self) -> f64 {
        100.0 * self.year_break_in
    }
}

/// Years of one attacker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Siege {
    pub(crate) attacker: Attacker,
    pub(crate) clock: Clock,
    /// The chance of a break-in within a year.
    pub(crate) chance: f64,
    /// The upper end of its one-sided 95 % interval.
    pub(crate) upper: f64,
    /// A year, on average.
    pub(crate) guesses: f64,
    pub(crate) years: u64,
    /// Where guesses were drawn: in how many years one was right.
    pub(crate) broken: Option<u64>,
}

/// A policy, and the population that it is measured with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Preset {
    pub(crate) policy: &'static str,
    pub(crate) population: &'static str,
    pub(crate) crowd: Crowd,
}

/// All rows, and all years of attack.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) rows: Vec<Row>,
    pub(crate) sieges: Vec<Siege>,
}

/// All that the two buckets ever pay out within a year: no order of attempts has a better chance. Pairs may bring the blind one into debt by
/// three times what it holds, once.
pub(crate) fn sum_of_prices() -> f64 {
    const DEBT: f64 = 3.0;
    let year = |bucket: Bucket| 365.0 * float(bucket.refill_per_day().as_e18());
    let capacity = |bucket: Bucket| float(bucket.capacity().as_e18());
    let blind = (1.0 + DEBT) * capacity(Bucket::Blind) + year(Bucket::Blind);
    (blind + capacity(Bucket::Partial) + year(Bucket::Partial)) / 1e18
}

impl Study {
    /// The library beside its peers. `begins` is told what is simulated next.
    pub(crate) fn run(&self, begins: &dyn Fn(String)) -> Result<Figures, Box<dyn Error>> {
        let (mut rows, mut sieges) = (Vec::new(), Vec::new());
        let population = Population::MIXED;
        for (name, before, after) in
            [("fixed ±1", 1, 1), ("fixed [-1, 0]", 1, 0), ("fixed ±2", 2, 2), ("fixed ±7", 7, 7)]
        {
            for clock in Clock::ALL {
                begins(format!("{name}, clock {}", clock.name()));
                let crowd = self.crowd(&population, || Fixed { clock, before, after });
                let year_break_in = Fixed::break_in(crowd.codes.mean());
                rows.push(Row { validator: name.to_owned(), clock, crowd, year_break_in });
            }
        }
        for clock in Clock::ALL {
            begins(format!("privacyIDEA-like shift, clock {}", clock.name()));
            let crowd = self.crowd(&population, || Shift::new(clock));
            let (validator, year_break_in) =
                ("privacyIDEA-like shift".to_owned(), Shift::break_in(population.gap));
            rows.push(Row { validator, clock, crowd, year_break_in });
        }
        for clock in Clock::ALL {
            begins(format!("skewgate, clock {}", clock.name()));
            let setup = Setup::new(WindowPolicy::default(), clock)?;
            let crowd = self.crowd(&population, || Skewgate::new(&setup));
            let attacks: Vec<Siege> = Attacker::ALL
                .into_iter()
                .map(|attacker| {
                    begins(format!("a year of attack: {}, clock {}", attacker.name(), clock.name()));
                    self.weigh(&setup, attacker)
                })
                .collect::<Result<_, _>>()?;
            let year_break_in = attacks.iter().map(|siege| siege.upper).fold(0.0, f64::max);
            rows.push(Row { validator: "skewgate".to_owned(), clock, crowd, year_break_in });
            sieges.extend(attacks);
            if clock == Clock::Right && self.drawn_years > 0 {
                for attacker in Attacker::ALL {
                    begins(format!("a year of attack, drawn: {}", attacker.name()));
                    sieges.push(self.draw(&setup, attacker)?);
                }
            }
        }
        Ok(Figures { rows, sieges })
    }

    /// Each ready-made policy, with a right clock, for those whom it is meant for and for others.
    pub(crate) fn presets(&self, begins: &dyn Fn(String)) -> Result<Vec<Preset>, Box<dyn Error>> {
        let policies = [
            ("default", WindowPolicy::default()),
            ("strict", WindowPolicy::strict()),
            ("hardware_tokens", WindowPolicy::hardware_tokens()),
            ("nist", WindowPolicy::nist()),
        ];
        let populations = [
            ("mixed, every three days", Population::MIXED),
            ("phones, daily", Population::ADMINISTRATORS),
            ("hardware tokens, every four weeks", Population::DRAWER),
            ("just set right", Population::REPAIRED),
            ("validator 45 s ahead since the tenth login", Population::validator_wrong_by(45.0)),
            ("validator 45 s behind since the tenth login", Population::validator_wrong_by(-45.0)),
        ];
        let mut presets = Vec::new();
        for (policy, window) in policies {
            for (population, people) in &populations {
                begins(format!("policy {policy}: {population}"));
                let crowd = self.measure(window, people)?;
                presets.push(Preset { policy, population, crowd });
            }
        }
        Ok(presets)
    }

    /// One policy and population, with a right clock.
    pub(crate) fn measure(
        &self,
        policy: WindowPolicy,
        population: &Population,
    ) -> Result<Crowd, Box<dyn Error>> {
        let setup = Setup::new(policy, Clock::Right)?;
        Ok(self.crowd(population, || Skewgate::new(&setup)))
    }

    fn crowd<G: Gate>(&self, population: &Population, gate: impl Fn() -> G + Sync) -> Crowd {
        simulate(self.seed, self.users, population, gate)
    }

    fn weigh(&self, setup: &Setup, attacker: Attacker) -> Result<Siege, Box<dyn Error>> {
        let (mut chances, mut guesses) = (Tally::default(), Tally::default());
        for year in self.years_of(setup, attacker, self.years, false)? {
            chances.add(year.chance());
            guesses.add(float(year.guesses));
        }
        let (chance, upper) = (chances.mean(), chances.upper_bound());
        let guesses = guesses.mean();
        Ok(Siege { attacker, clock: setup.clock, chance, upper, guesses, years: self.years, broken: None })
    }

    fn draw(&self, setup: &Setup, attacker: Attacker) -> Result<Siege, Box<dyn Error>> {
        let (mut broken, mut guesses) = (0, Tally::default());
        for year in self.years_of(setup, attacker, self.drawn_years, true)? {
            broken += u64::from(year.broken);
            guesses.add(float(year.guesses));
        }
        let years = self.drawn_years;
        let chance = float(broken) / float(years.max(1));
        let (upper, guesses) = (upper_bound(broken, years), guesses.mean());
        Ok(Siege { attacker, clock: setup.clock, chance, upper, guesses, years, broken: Some(broken) })
    }

    fn years_of(
        &self,
        setup: &Setup,
        attacker: Attacker,
        years: u64,
        drawn: bool,
    ) -> Result<Vec<attack::Year>, Box<dyn Error>> {
        // Seeds of its own for each year of each attacker and clock.
        let mut dice =
            Dice::new(self.seed, (attacker as u64) << 8 | (setup.clock as u64) << 4 | u64::from(drawn));
        let base = dice.roll();
        in_shares(years, 4, |year| {
            attack::year(setup, &Population::MIXED, attacker, base.wrapping_add(year), drawn)
                .map_err(|error| error.to_string())
        })
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(Into::into)
    }
}
