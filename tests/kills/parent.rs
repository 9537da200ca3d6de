//! Who kills, and looks.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use skewgate::block_on;
use skewgate::store::{EmbeddedStore, StateStore};
use skewgate::time::sim::SimTime;
use skewgate::time::{TimeInterval, Timestamp};
use skewgate::token::{Bucket, Budget, Charge, Odds};
use skewgate::validator::{Attempt, Validator};
use tempfile::TempDir;

use super::{CHILD, GROUPS, START_UNIX_SECONDS, TOKENS, step, token};

/// In which every budget is full again.
const LEAP_SECONDS: i64 = 10 * 86_400;

/// What was seen in all lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// How often the process was killed.
    pub(crate) kills: u64,
    /// How many verdicts were told.
    pub(crate) released: u64,
    /// How many of them were acceptances, and how many were wrong codes.
    pub(crate) accepted: u64,
    pub(crate) wrong: u64,
    /// Acceptances that the store forgot, steps that were accepted twice, and prices that it forgot.
    pub(crate) lost: u64,
    /// How many kills fell while a write had begun and was not answered.
    pub(crate) killed_in_write: u64,
    /// Acceptances whose write wasn't answered when the kill came, and which the store had afterwards; and which it hadn't.
    pub(crate) unanswered_kept: u64,
    pub(crate) unanswered_gone: u64,
    /// Kills before the store was open.
    pub(crate) killed_in_opening: u64,
    /// How often two were admitted for one step at the same time, and the store let one in.
    pub(crate) races: u64,
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "kills={} released={} lost={} killed_in_write={} races={} accepted={} wrong={} unanswered_kept={} \
             unanswered_gone={} killed_in_opening={}",
            self.kills,
            self.released,
            self.lost,
            self.killed_in_write,
            self.races,
            self.accepted,
            self.wrong,
            self.unanswered_kept,
            self.unanswered_gone,
            self.killed_in_opening
        )
    }
}

/// A service, its store and its lives so far.
pub(crate) struct Service {
    directory: TempDir,
    random: Rng,
    seed: u64,
    unix_nanos: i64,
    accepted: HashSet<(u64, i64)>,
    /// The newest accepted step of each token.
    newest: HashMap<u64, i64>,
    pub(crate) seen: Seen,
}

/// What one life told.
#[derive(Default)]
struct Told {
    ready: bool,
    accepted: Vec<(u64, i64)>,
    wrong: Vec<(u64, u64)>,
    begun: HashMap<u64, (u64, i64)>,
}

impl Service {
    /// With all tokens enrolled.
    pub(crate) fn new(seed: u64) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let start = Timestamp::from_unix_seconds(START_UNIX_SECONDS).expect("a date");
        let service = Self {
            directory,
            random: Rng::with_seed(seed),
            seed,
            unix_nanos: start.as_unix_nanos() + 600_000_000_000,
            accepted: HashSet::new(),
            newest: HashMap::new(),
            seen: Seen::default(),
        };
        let store = Arc::new(EmbeddedStore::open(service.path()).expect("a new store"));
        let time = Arc::new(SimTime::new(TimeInterval::around(start, Duration::from_millis(10))));
        let gate = Validator::builder(store, time).build().expect("a validator");
        std::thread::scope(|scope| {
            for thread in 0..64 {
                let gate = &gate;
                scope.spawn(move || {
                    for number in (thread..TOKENS).step_by(64) {
                        let token = token(number);
                        let code = token.totp().code_at(step(START_UNIX_SECONDS.div_euclid(30)));
                        block_on(gate.enrol(&token, &Attempt::one(code))).expect("enrolled");
                    }
                });
            }
        });
        service
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("tokens.redb")
    }

    /// Starts the child by `command`, kills it, and looks. What is wrong is counted, and told by the text.
    pub(crate) fn live_and_die(&mut self, mut command: Command) -> Result<(), String> {
        let life = self.seen.kills;
        let group = life % GROUPS;
        if life > 0 && group == 0 {
            self.unix_nanos += LEAP_SECONDS * 1_000_000_000;
        }
        let began = self.unix_nanos;
        let path = self.path();
        let seed = (self.seed.wrapping_mul(1_000_003).wrapping_add(life)) >> 16;
        command.env(CHILD, format!("{seed};{began};{group};{}", path.display()));
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
        let output = child.stdout.take().ok_or("no pipe")?;
        // One in eight dies while it is starting: opening repairs what the kill before has left, and may be killed too.
        let after = if self.random.u64(..8) == 0 {
            Some(Duration::from_micros(self.random.u64(..60_000)))
        } else {
            None
        };
        let mut told = Told::default();
        let mut lines = BufReader::new(output).lines();
        if after.is_none() {
            for line in lines.by_ref() {
                self.hear(&line.map_err(|error| error.to_string())?, &mut told)?;
                if told.ready {
                    break;
                }
            }
        }
        let wait = after.unwrap_or_else(|| Duration::from_micros(self.random.u64(..250_000)));
        let killer = std::thread::spawn(move || {
            std::thread::sleep(wait);
            // SIGKILL.
            let killed = child.kill();
            (killed, child.wait())
        });
        for line in lines {
            self.hear(&line.map_err(|error| error.to_string())?, &mut told)?;
        }
        let (killed, status) = killer.join().map_err(|_| "the killer panicked")?;
        killed.map_err(|error| error.to_string())?;
        let status = status.map_err(|error| error.to_string())?;
        if status.code().is_some() {
            return Err(format!("the child ended by itself: {status}"));
        }
        self.seen.kills += 1;
        self.seen.killed_in_opening += u64::from(!told.ready);
        self.seen.killed_in_write += u64::from(!told.begun.is_empty());
        self.look(began, &told)
    }

    fn hear(&mut self, line: &str, told: &mut Told) -> Result<(), String> {
        // The test harness talks too.
        let Some((_, line)) = line.split_once('@') else { return Ok(()) };
        let mut words = line.split(' ');
        let kind = words.next().unwrap_or_default();
        let numbers: Vec<i64> = words.filter_map(|word| word.parse().ok()).collect();
        let unsigned = |at: usize| numbers.get(at).map_or(0, |number| number.unsigned_abs());
        match (kind, numbers.as_slice()) {
            ("ready", []) => told.ready = true,
            ("t", [nanos]) => self.unix_nanos = self.unix_nanos.max(*nanos),
            ("a", [_, step]) => told.accepted.push((unsigned(0), *step)),
            ("w", [_, _]) => told.wrong.push((unsigned(0), unsigned(1))),
            ("b", [_, _, step]) => {
                told.begun.insert(unsigned(0), (unsigned(1), *step));
            }
            ("e", [_]) => {
                told.begun.remove(&unsigned(0));
            }
            ("r", []) => self.seen.races += 1,
            ("v", []) => {}
            _ => return Err(format!("not understood: {line}")),
        }
        self.seen.released += u64::from(matches!(kind, "a" | "w" | "v"));
        Ok(())
    }

    fn look(&mut self, began: i64, told: &Told) -> Result<(), String> {
        let store = EmbeddedStore::open(self.path()).map_err(|error| error.to_string())?;
        let load = |number: u64| {
            let loaded = block_on(store.load(token(number).key())).map_err(|error| error.to_string())?;
            loaded.row.token.zip(loaded.row.budget).ok_or(format!("token {number} is gone"))
        };
        let mut wrongs = Vec::new();
        for (number, step) in &told.accepted {
            self.seen.accepted += 1;
            if !self.accepted.insert((*number, *step)) {
                wrongs.push(format!("step {step} of token {number} was accepted twice"));
            }
            let newest = self.newest.entry(*number).or_insert(*step);
            *newest = (*newest).max(*step);
        }
        for (number, newest) in &self.newest {
            let kept = load(*number)?.0.watermark.map(|watermark| watermark.get());
            if kept < Some(*newest) {
                wrongs
                    .push(format!("token {number} has watermark {kept:?} after step {newest} was accepted"));
            }
        }
        // Full at its beginning at best; each price takes hours to refill, and no life lasts that long.
        let began = Timestamp::from_unix_nanos(began);
        let mut owed: HashMap<u64, Budget> = HashMap::new();
        for (number, price) in &told.wrong {
            self.seen.wrong += 1;
            let owed = owed.entry(*number).or_insert(Budget::full(began));
            *owed = owed.charge(Charge { bucket: Bucket::Blind, cost: Odds::from_units(*price) }, began);
        }
        // A hundredth of a second: the budget counts from the earliest end of the interval.
        for (number, owed) in owed {
            let kept = load(number)?.1.full_at(Bucket::Blind).as_unix_nanos();
            if kept + 20_000_000 < owed.full_at(Bucket::Blind).as_unix_nanos() {
                wrongs.push(format!("token {number} owes less than it was told"));
            }
        }
        for (number, step) in told.begun.values().filter(|(_, step)| *step >= 0) {
            if load(*number)?.0.watermark.map(|watermark| watermark.get()) >= Some(*step) {
                self.seen.unanswered_kept += 1;
            } else {
                self.seen.unanswered_gone += 1;
            }
        }
        self.seen.lost += u64::try_from(wrongs.len()).unwrap_or(u64::MAX);
        if wrongs.is_empty() { Ok(()) } else { Err(wrongs.join("; ")) }
    }
}
