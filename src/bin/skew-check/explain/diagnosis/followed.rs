//! Beside a real validator: both answer the same, and whoever does what is explained gets in.

use std::sync::{Arc, Mutex};

use skewgate::block_on;
use skewgate::otp::{Algorithm, Digits, Format, Secret};
use skewgate::store::{MemoryStore, StateStore};
use skewgate::time::{TimeError, TimeSource};
use skewgate::token::{Token, TokenId};
use skewgate::validator::{Advice, Attempt, Validator, Verdict};

use super::super::key::{Parameters, Reading};
use super::*;
use crate::output::Status;

/// Whoever isn't in by then is led in a circle.
const ROUNDS: usize = 8;

struct Clock(Mutex<TimeInterval>);

impl TimeSource for Clock {
    fn now(&self) -> Result<TimeInterval, TimeError> {
        Ok(*self.0.lock().unwrap())
    }

    fn system_clock(&self) -> Timestamp {
        self.0.lock().unwrap().midpoint()
    }
}

/// A token with a past, and its validator.
struct World {
    random: fastrand::Rng,
    clock: Arc<Clock>,
    store: Arc<MemoryStore>,
    validator: Validator,
    token: Token,
    key: Key,
    totp: Totp,
    policy: Policy,
    /// How far ahead the token's clock is, in seconds.
    ahead: i64,
}

impl World {
    /// `None` where its enrolment is refused.
    fn new(seed: u64) -> Option<Self> {
        let mut random = fastrand::Rng::with_seed(seed);
        let digits = Digits::new(if random.u8(0..4) == 0 { 8 } else { 6 }).unwrap();
        let parameters = Parameters {
            algorithm: [Algorithm::Sha1, Algorithm::Sha256][random.usize(0..2)],
            format: Format::Decimal(digits),
            period: Duration::from_secs(if random.u8(0..4) == 0 { 60 } else { 30 }),
            t0: Timestamp::from_unix_nanos(0),
        };
        let policies = [Policy::default(), Policy::strict(), Policy::hardware_tokens(), Policy::nist()];
        let policy = policies[random.usize(0..policies.len())];
        let ahead = match random.u8(0..4) {
            0 => 0,
            1 => random.i64(-20..20),
            2 => random.i64(-120..120),
            _ => random.i64(-600..600),
        };
        let began = Timestamp::from_unix_seconds(1_790_000_000 + random.i64(0..1_000_000)).unwrap();
        let error = Duration::from_millis([50, 500, 1_000][random.usize(0..3)]);
        let clock = Arc::new(Clock(Mutex::new(TimeInterval::around(began, error))));
        let store = Arc::new(MemoryStore::new());
        let validator = Validator::builder(store.clone(), clock.clone()).policy(policy).build().unwrap();
        let secret = Secret::from_bytes(b"12345678901234567890").unwrap();
        let totp = parameters.totp(&secret).unwrap();
        let token = Token::new(TokenId::new("ada").unwrap(), totp.clone());
        let key =
            Key { secret, parameters, reading: Reading::Base32, others: Vec::new(), warnings: Vec::new() };
        let world = Self { random, clock, store, validator, token, key, totp, policy, ahead };
        let count = if ahead.abs() > 100 { 3 } else { 2 };
        let enrolment = Attempt::consecutive(world.shown(count, 0)).unwrap();
        block_on(world.validator.enrol(&world.token, &enrolment)).ok().map(|_| world.grown_old())
    }

    /// Logins, mistakes, clocks that are set and stores that are restored.
    fn grown_old(mut self) -> Self {
        for _ in 0..self.random.u8(0..6) {
            let pause = [1, 31, 61, 700, 86_400, 86_400 * 30, 86_400 * 300][self.random.usize(0..7)];
            let pause = pause + self.random.u64(0..30);
            self.wait(Duration::from_secs(pause));
            match self.random.u8(0..8) {
                0 => {
                    for _ in 0..self.random.u8(1..20) {
                        let wrong = "0".repeat(self.totp.format().length());
                        drop(self.try_in(&[Code::parse(&wrong).unwrap()]));
                    }
                }
                1 => drop(self.resynchronise()),
                2 if self.random.u8(0..3) == 0 => drop(block_on(self.validator.restored())),
                3 => self.ahead += self.random.i64(-100..100),
                choice => drop(self.try_in(&self.shown(if choice > 6 { 2 } else { 1 }, 0))),
            }
        }
        let pause = [0, 5, 35, 700, 86_400 * 3, 86_400 * 200][self.random.usize(0..6)];
        let pause = pause + self.random.u64(0..40);
        self.wait(Duration::from_secs(pause));
        self
    }

    fn wait(&mut self, length: Duration) {
        let mut now = self.clock.0.lock().unwrap();
        let length = SignedDuration::from(length);
        *now = TimeInterval::new(now.earliest() + length, now.latest() + length).unwrap();
    }

    /// What the token shows, the last of them so many steps ahead of now.
    fn shown(&self, count: usize, steps: i64) -> Vec<Code> {
        let now = self.clock.system_clock() + SignedDuration::from_secs(self.ahead);
        let last = self.totp.step_at(now).unwrap().get() + steps;
        let first = last + 1 - i64::try_from(count).unwrap();
        (first..=last).map(|step| self.totp.code_at(TimeStep::new(step).unwrap())).collect()
    }

    fn try_in(&self, codes: &[Code]) -> Verdict {
        let attempt = Attempt::consecutive(codes.iter().cloned()).unwrap();
        block_on(self.validator.validate(Some(&self.token), &attempt))
    }

    fn resynchronise(&self) -> Result<(), String> {
        let attempt = Attempt::consecutive(self.shown(2, 0)).unwrap();
        let done = block_on(self.validator.resynchronise(&self.token, &attempt));
        done.map(|_| ()).map_err(|refused| refused.reason().to_string())
    }

    fn explain(&self, codes: &[Code]) -> Diagnosis {
        self.explain_at(self.clock.now().unwrap(), codes)
    }

    fn explain_at(&self, now: TimeInterval, codes: &[Code]) -> Diagnosis {
        let loaded = block_on(self.store.load(&TokenId::new("ada").unwrap().into())).unwrap();
        let case = Case {
            key: &self.key,
            totp: &self.totp,
            codes,
            policy: &self.policy,
            standing: &Standing::of(&loaded).unwrap(),
            state_known: true,
            time: Ok(now),
            host_clock: now.midpoint(),
            search: Duration::from_secs(2 * 3_600),
        };
        case.explain().unwrap()
    }

    /// Waits, and until `count` codes were shown from then on.
    fn show_new(&mut self, wait: Duration, count: usize) -> Vec<Code> {
        let rest = self.totp.period() * u32::try_from(count).unwrap();
        self.wait(wait + rest);
        self.shown(count, 0)
    }

    /// What is typed at first, and by how many steps it is another one than the token shows.
    fn typed(&mut self) -> (Vec<Code>, i64) {
        let count = [1, 1, 1, 2, 3][self.random.usize(0..5)];
        let steps = [0, 0, 0, -1, 1, -2, 2, -4, 4, -8, 9, 15, -25, 60, -100][self.random.usize(0..15)];
        let mut codes = self.shown(count, steps);
        match self.random.u8(0..12) {
            0 => codes.reverse(),
            1 => codes[0] = Code::parse(&"1".repeat(self.totp.format().length())).unwrap(),
            _ => {}
        }
        (codes, steps)
    }
}

/// What an event of the validator's calls it.
fn name(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted(_) => "accepted",
        Verdict::Refused(refused) => refused.events()[0].outcome.name(),
    }
}

/// What is known for sure although this clock is poor is what a validator says that knows the time to a second.
#[test]
fn a_poor_clock_gives_no_wrong_answer() {
    let (mut known, mut unknown) = (0, 0);
    for seed in 0..1_000 {
        let Some(mut world) = World::new(seed) else { continue };
        let now = TimeInterval::around(world.clock.system_clock(), VALIDATORS_CLOCK);
        *world.clock.0.lock().unwrap() = now;
        let (codes, _) = world.typed();
        let mut longer = || SignedDuration::from_millis(world.random.i64(0..60_000));
        let poor = TimeInterval::new(now.earliest() - longer(), now.latest() + longer()).unwrap();
        let found = world.explain_at(poor, &codes);
        if found.cause.status() == Status::Unknown {
            unknown += 1;
            continue;
        }
        known += 1;
        let accepted = found.cause.status() == Status::Ok;
        assert_eq!(world.try_in(&codes).is_accepted(), accepted, "seed {seed}: {found:#?}");
    }
    assert!(known > 500 && unknown > 100, "{known} {unknown}");
}

/// Does what is explained until the user is in, or nothing is promised him.
fn followed(world: &mut World, seed: u64) {
    let (mut codes, steps) = world.typed();
    let (mut told, mut promised) = (Vec::new(), false);
    for round in 0..ROUNDS {
        let found = world.explain(&codes);
        let verdict = world.try_in(&codes);
        told.push(format!("{} codes: {found:?}", codes.len()));
        let explained = match found.cause.name() {
            "too_old" | "too_new" | "partly_used" | "other_parameters" | "other_format" | "wrong_order"
            | "not_consecutive" | "fits_nowhere" => "wrong",
            other => other,
        };
        assert_eq!(name(&verdict), explained, "seed {seed}: {told:#?}");
        // What was paid for wrong codes isn't known before they are.
        let kept = matches!(found.cause, Cause::Accepted | Cause::NotAdmitted(_));
        assert!(kept || !promised, "seed {seed}: {told:#?}");
        promised = false;
        let next = Duration::ZERO;
        codes = match found.cause {
            Cause::Accepted => return,
            Cause::Replay(_, Advice::RetryAfter(wait)) => world.show_new(wait, codes.len()),
            Cause::Replay(..) | Cause::PartlyUsed(_) => world.show_new(next, codes.len()),
            Cause::NotAdmitted(reason) => match reason.advice() {
                Advice::ShowConsecutive(count) => world.show_new(next, count.into()),
                Advice::RetryAfter(wait) => world.show_new(wait, codes.len()),
                Advice::TellOperator => return,
                other => panic!("seed {seed}: {other:?}"),
            },
            Cause::TooOld | Cause::TooNew => {
                let fit = found.fit.unwrap();
                // An old code is typed again; all others are taken for what the token shows.
                let again = fit.dead.is_some() && steps < 0 && seed.is_multiple_of(2);
                if round == 0 && again {
                    codes = world.show_new(next, codes.len());
                    continue;
                }
                if round == 0 {
                    world.ahead += steps * i64::try_from(world.totp.period().as_secs()).unwrap();
                }
                promised = true;
                let dead_for = fit.dead.map_or(next, |dead| dead.wait);
                match found.remedy.unwrap() {
                    Remedy::AsMany => world.show_new(dead_for, codes.len()),
                    Remedy::TwoCodes => world.show_new(dead_for, 2),
                    Remedy::Resynchronise { wait } => {
                        world.show_new(wait, 2);
                        assert_eq!(world.resynchronise(), Ok(()), "seed {seed}: {told:#?}");
                        return;
                    }
                    Remedy::SetClock => {
                        let codes = world.show_new(next, 2);
                        assert!(!world.try_in(&codes).is_accepted(), "seed {seed}: {told:#?}");
                        return;
                    }
                }
            }
            // Typed as it should be.
            _ => world.show_new(next, codes.len()),
        };
    }
    panic!("seed {seed}: {told:#?}");
}

#[test]
fn whoever_follows_the_advice_gets_in() {
    for seed in 0..1_100 {
        if let Some(mut world) = World::new(seed) {
            followed(&mut world, seed);
        }
    }
}
