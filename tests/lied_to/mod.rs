//! A service in simulated time whose time sources lie: five servers, a monitor that asks them, a validator that takes its time
//! from it, a store, and users with phones that are right. Everything but the clocks and the network is what runs in a service.

mod net;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use skewgate::block_on;
use skewgate::monitor::{Health, Monitor, SteppedMonitor};
use skewgate::ntp::{Options, Source};
use skewgate::otp::{Code, Secret, TimeStep, Totp};
use skewgate::store::MemoryStore;
use skewgate::time::sim::SimClock;
use skewgate::time::{SignedDuration, TimeInterval, TimeSource, Timestamp};
use skewgate::token::{Token, TokenId};
use skewgate::validator::{Attempt, Reason, Refused, Validator, ValidatorBuilder, Verdict};

use net::Net;
pub(crate) use net::{SOURCES, Says};

pub(crate) const MINUTE: u64 = 60;
pub(crate) const HOUR: u64 = 3_600;
pub(crate) const DAY: u64 = 24 * HOUR;

/// The monitor's default, and its pauses in a simulation.
pub(crate) const INTERVAL: u64 = 600;

const PERIOD: i64 = 30;

/// From reading a code to submitting it.
pub(crate) const TYPING: i64 = 8;

pub(crate) struct Lab {
    clock: Arc<SimClock>,
    net: Net,
    stepped: SteppedMonitor,
    pub(crate) gate: Validator,
    /// The steps that were accepted, of each token.
    used: HashMap<TokenId, Vec<i64>>,
    pub(crate) seen: Seen,
}

/// What the monitor said, looked at each second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// Looks at which true time was in the interval, and at which it wasn't.
    pub(crate) inside: u64,
    pub(crate) outside: u64,
    /// Looks without an interval.
    pub(crate) without: u64,
    /// Looks at which the estimate said that it is contested.
    pub(crate) contested: u64,
    pub(crate) widest: Duration,
    /// How far the interval was from true time.
    pub(crate) farthest: Duration,
}

impl Lab {
    /// Honest sources, and an hour that has passed.
    pub(crate) fn new() -> Self {
        Self::with(Options::default(), |gate| gate)
    }

    /// Likewise, with other options.
    pub(crate) fn with(options: Options, gate: impl FnOnce(ValidatorBuilder) -> ValidatorBuilder) -> Self {
        let mut lab = Self::before_the_first_round(options, gate);
        lab.live(HOUR);
        lab
    }

    pub(crate) fn before_the_first_round(
        options: Options,
        gate: impl FnOnce(ValidatorBuilder) -> ValidatorBuilder,
    ) -> Self {
        // Long after the release that is tested, so that more than a year before it is still the past.
        let clock = Arc::new(SimClock::new("2034-06-01T12:00:00Z".parse().expect("a time")));
        // As wrong as it may be.
        clock.set_rate_error_ppb(80_000);
        let net = Net::new(Arc::clone(&clock));
        let stepped = Monitor::builder()
            .sources(net.addresses().map(|address| Source::new(address.into())))
            .options(options)
            .clock(Arc::clone(&clock) as Arc<_>)
            .transport(Arc::new(net.clone()))
            .stepped()
            .expect("five sources");
        let time = Arc::clone(stepped.monitor());
        let gate = gate(Validator::builder(Arc::new(MemoryStore::new()), time)).build().expect("randomness");
        Self { clock, net, stepped, gate, used: HashMap::new(), seen: Seen::default() }
    }

    /// What each source says from now on, and how long after now.
    pub(crate) fn attack(&mut self, says: impl Fn(usize, SignedDuration) -> Says + Send + 'static) {
        let start = self.truth();
        self.net.set(move |source, now| says(source, now - start));
        self.seen = Seen::default();
    }

    pub(crate) fn end_attack(&mut self) {
        self.net.set(|_, _| Says::Truth);
        self.seen = Seen::default();
    }

    /// Lets true time pass.
    pub(crate) fn live(&mut self, seconds: u64) {
        let end = self.truth() + SignedDuration::from(Duration::from_secs(seconds));
        loop {
            let pause = self.stepped.step();
            self.look();
            let left = end - self.truth();
            if left <= SignedDuration::ZERO {
                return;
            }
            self.clock.advance(pause.min(left.unsigned_abs()));
        }
    }

    /// Lives on until it is so; how long that took.
    ///
    /// # Panics
    ///
    /// Where it isn't within `most` seconds.
    pub(crate) fn live_until(&mut self, most: u64, so: impl Fn(&Self) -> bool) -> u64 {
        (0..=most)
            .find(|_| {
                let now = so(self);
                if !now {
                    self.live(1);
                }
                now
            })
            .unwrap_or_else(|| panic!("not within {most} s: {:?}", self.health()))
    }

    fn look(&mut self) {
        let (now, truth) = (self.stepped.monitor().now(), self.truth());
        let seen = &mut self.seen;
        seen.contested += u64::from(self.stepped.monitor().health().contested());
        match now {
            Ok(now) => {
                let off = (now.earliest() - truth).max(truth - now.latest()).max(SignedDuration::ZERO);
                seen.outside += u64::from(!now.contains(truth));
                seen.inside += u64::from(now.contains(truth));
                seen.widest = seen.widest.max(now.half_width());
                seen.farthest = seen.farthest.max(off.unsigned_abs());
            }
            Err(_) => seen.without += 1,
        }
    }

    pub(crate) fn truth(&self) -> Timestamp {
        self.clock.truth()
    }

    /// What the monitor says.
    pub(crate) fn believed(&self) -> Option<TimeInterval> {
        self.stepped.monitor().now().ok()
    }

    /// Whether what is believed is as long after the truth as this.
    pub(crate) fn believes_off(&self, by: SignedDuration) -> bool {
        self.believed().is_some_and(|now| now.contains(self.truth() + by))
    }

    pub(crate) fn health(&self) -> Health {
        self.stepped.monitor().health()
    }

    // --- Users -----------------------------------------------------------------------------------------------

    /// Enrols a phone that shows the right time.
    pub(crate) fn enrol(&mut self, name: &str) -> Token {
        let token = token(name);
        let attempt = Attempt::one(code(&token, self.truth() - SignedDuration::from_secs(TYPING)));
        let enrolled = block_on(self.gate.enrol(&token, &attempt)).expect(name);
        self.use_up(&token, enrolled.step);
        token
    }

    /// Many of them.
    pub(crate) fn enrol_many(&mut self, count: usize) -> Vec<Token> {
        (0..count).map(|number| self.enrol(&format!("user-{number}"))).collect()
    }

    /// The user of a phone that is right types the code that it shows.
    pub(crate) fn log_in(&mut self, token: &Token) -> Result<TimeStep, Refused> {
        self.show(token, -TYPING)
    }

    /// Shows the code that a right phone shows so many seconds after now.
    pub(crate) fn show(&mut self, token: &Token, after: i64) -> Result<TimeStep, Refused> {
        self.attempt(token, &self.one(token, after))
    }

    /// The owner waits for two codes of a right phone.
    pub(crate) fn log_in_with_two(&mut self, token: &Token) -> Result<TimeStep, Refused> {
        self.attempt(token, &self.two(token, -TYPING))
    }

    /// The code that a right phone shows so many seconds after now.
    pub(crate) fn one(&self, token: &Token, after: i64) -> Attempt {
        Attempt::one(code(token, self.truth() + SignedDuration::from_secs(after)))
    }

    /// Two codes, the second of which a right phone shows so many seconds after now.
    pub(crate) fn two(&self, token: &Token, after: i64) -> Attempt {
        let shown = |after| code(token, self.truth() + SignedDuration::from_secs(after));
        Attempt::consecutive([shown(after - PERIOD), shown(after)]).expect("two")
    }

    /// A code that is right at no step for a day around any time in these tests.
    pub(crate) fn wrong(&mut self, token: &Token) -> Refused {
        self.attempt(token, &Attempt::parse(WRONG).expect("a code")).expect_err("it is wrong")
    }

    pub(crate) fn attempt(&mut self, token: &Token, attempt: &Attempt) -> Result<TimeStep, Refused> {
        match block_on(self.gate.validate(Some(token), attempt)) {
            Verdict::Accepted(accepted) => {
                self.use_up(token, accepted.step);
                // What was let in once is shown again at once, at the same time of whatever kind.
                let again = block_on(self.gate.validate(Some(token), attempt));
                assert!(!again.is_accepted(), "{again:?}");
                Ok(accepted.step)
            }
            Verdict::Refused(refused) => Err(refused),
        }
    }

    /// The promise that holds whatever the clock says.
    fn use_up(&mut self, token: &Token, step: TimeStep) {
        match self.used.entry(token.id().clone()) {
            Entry::Vacant(first) => drop(first.insert(vec![step.get()])),
            Entry::Occupied(mut used) => {
                let used = used.get_mut();
                assert!(!used.contains(&step.get()), "step {step:?} of {} twice", token.id());
                used.push(step.get());
            }
        }
    }

    /// An administrator's reset: steps that were used ahead of their time are forgotten.
    pub(crate) fn reset(&mut self, token: &Token) {
        block_on(self.gate.reset(token)).expect("it is enrolled, and the time is known");
        let now = self.believed().expect("as it was for the reset").latest().as_unix_seconds();
        self.used.entry(token.id().clone()).or_default().retain(|step| step * PERIOD <= now + PERIOD);
    }

    /// How many wrong codes are looked at before one isn't.
    pub(crate) fn guesses(&mut self, token: &Token) -> usize {
        (0..100).take_while(|_| matches!(self.wrong(token).reason(), Reason::Wrong)).count()
    }

    /// Which codes are let in now: shows codes of steps up to `reach` before and after now, one to each of as many phones. How long
    /// before and after now the steps begin that were accepted, in seconds.
    pub(crate) fn accepted_now(&mut self, phones: &[Token], reach: i64) -> Option<(i64, i64)> {
        let steps = -reach..=reach;
        assert_eq!(phones.len(), steps.clone().count(), "a phone for each step");
        let now = self.truth().as_unix_seconds();
        let accepted: Vec<i64> = steps
            .zip(phones)
            .filter_map(|(steps, phone)| self.show(phone, steps * PERIOD).ok())
            .map(|step| step.get() * PERIOD - now)
            .collect();
        accepted.first().copied().zip(accepted.last().copied())
    }
}

/// A name's secret is its own.
pub(crate) fn token(name: &str) -> Token {
    let mut key = [0x2a; 20];
    key.iter_mut().zip(name.bytes()).for_each(|(byte, of_name)| *byte ^= of_name);
    let totp = Totp::builder(&Secret::from_bytes(&key).expect("160 bits")).build().expect("the usual");
    Token::new(TokenId::new(name).expect("a name"), totp)
}

fn code(token: &Token, at: Timestamp) -> Code {
    token.totp().code_at(token.totp().step_at(at).expect("after 1970"))
}

const WRONG: &str = "000000";
