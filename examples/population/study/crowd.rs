//! Many users, one after the other: each enrols, and logs in as often as the population does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use skewgate::validator::Advice;

use super::chance::{Dice, Tally, float};
use super::gate::Gate;
use super::people::{DAY, PERIOD, Person, Population};

/// How often somebody tries before he gives up: a login is three attempts at the most.
const TRIES: u32 = 3;
/// From an answer to reading the next code, in seconds.
const PAUSE: f64 = 3.0;

/// What the logins of a crowd came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Crowd {
    pub(crate) logins: u64,
    /// For each user, the share of logins whose first attempt was refused though its code was right.
    pub(crate) false_rejects: Tally,
    /// Logins in which no attempt was let in.
    pub(crate) locked_out: u64,
    /// Steps at which the first attempt's code was accepted.
    pub(crate) codes: Tally,
    /// Users whose token couldn't be enrolled.
    pub(crate) not_enrolled: u64,
}

impl Crowd {
    fn merge(&mut self, other: &Self) {
        self.logins += other.logins;
        self.false_rejects.merge(&other.false_rejects);
        self.locked_out += other.locked_out;
        self.codes.merge(&other.codes);
        self.not_enrolled += other.not_enrolled;
    }

    /// In percent of all logins.
    pub(crate) fn locked_out_percent(&self) -> f64 {
        100.0 * float(self.locked_out) / float(self.logins.max(1))
    }
}

/// Lets a crowd log in, each at a gate of his own.
pub(crate) fn simulate<G: Gate>(
    seed: u64,
    users: u64,
    population: &Population,
    gate: impl Fn() -> G + Sync,
) -> Crowd {
    let parts = in_shares(users, 1_000, |user| {
        let mut dice = Dice::new(seed, user);
        let mut crowd = Crowd::default();
        live(&mut dice, population, &mut gate(), &mut crowd);
        crowd
    });
    let mut all = Crowd::default();
    for part in &parts {
        all.merge(part);
    }
    all
}

fn live(dice: &mut Dice, population: &Population, gate: &mut impl Gate, crowd: &mut Crowd) {
    let mut person = Person::draw(dice, population);
    let mut time = dice.uniform(0.0, DAY);
    // Two consecutive codes, and three where the token is too far off for two.
    let enrolled = [2, 3].into_iter().any(|codes| {
        let (submitted, step) = person.show(dice, time, codes);
        time = submitted + PAUSE;
        gate.enrol(dice, submitted, step, codes)
    });
    if !enrolled {
        crowd.not_enrolled += 1;
        return;
    }
    let mut refused = 0;
    let mut counted = 0;
    for login in 0..population.logins {
        if login == population.since {
            person = person.meet(population.happened);
        }
        time += dice.exponential(population.gap);
        let count = login >= population.since;
        let (mut from, mut codes, mut inside) = (time, 1, false);
        for attempt in 0..TRIES {
            let (submitted, step) = person.show(dice, from, codes);
            let answer = gate.show(dice, submitted, step, codes);
            time = submitted;
            inside = answer.refused.is_none();
            if attempt == 0 && count {
                counted += 1;
                refused += u64::from(!inside);
                if let Some(width) = answer.codes {
                    crowd.codes.add(float(width));
                }
            }
            from = submitted + PAUSE;
            match answer.refused {
                Some(Advice::TryAgain) => codes = 1,
                Some(Advice::WaitForNextCode) => (from, codes) = (submitted + PERIOD, 1),
                Some(Advice::ShowConsecutive(count)) => codes = count,
                Some(Advice::RetryAfter(wait)) if wait < Duration::from_secs(120) => {
                    from = submitted + wait.as_secs_f64();
                }
                _ => break,
            }
        }
        crowd.locked_out += u64::from(count && !inside);
    }
    crowd.logins += counted;
    crowd.false_rejects.add(float(refused) / float(counted.max(1)));
}

/// Does `work` for each of so many subjects, on all processors. What comes out is in order, whatever the number of those.
pub(crate) fn in_shares<T: Send>(subjects: u64, share: u64, work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut shares: Vec<(u64, Vec<T>)> = std::thread::scope(|scope| {
        let worker = || {
            let mut mine = Vec::new();
            loop {
                let first = next.fetch_add(share, Ordering::Relaxed);
                if first >= subjects {
                    return mine;
                }
                mine.push((first, (first..subjects.min(first + share)).map(&work).collect()));
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let joined = workers.into_iter().map(|worker| match worker.join() {
            Ok(mine) => mine,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.flatten().collect()
    });
    shares.sort_by_key(|(first, _)| *first);
    shares.into_iter().flat_map(|(_, share)| share).collect()
}
