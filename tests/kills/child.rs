//! The process that is killed.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;
use skewgate::block_on;
use skewgate::store::{Change, EmbeddedStore, Loaded, StateStore, StoreFuture, Written};
use skewgate::time::sim::SimTime;
use skewgate::time::{TimeInterval, TimeSource, Timestamp};
use skewgate::token::{Token, TokenKey};
use skewgate::validator::{Attempt, Reason, Validator, Verdict};

use super::{CHILD, COLD, HOT, THREADS, TOKENS, step, token};

/// After so many attempts on hot tokens the next step begins. More than there are threads: nobody's code gets old while it waits.
const ATTEMPTS_A_STEP: u64 = 3 * THREADS;

pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// One line, in one system call: killed or not, it is told whole or not at all.
fn tell(line: std::fmt::Arguments<'_>) {
    let line = format!("@{line}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).expect("the parent reads");
}

/// A store that tells when a write begins and when it is answered.
struct Watched {
    store: EmbeddedStore,
    writes: AtomicU64,
}

impl StateStore for Watched {
    fn load<'a>(&'a self, key: &'a TokenKey) -> StoreFuture<'a, Loaded> {
        self.store.load(key)
    }

    fn write<'a>(&'a self, key: &'a TokenKey, change: Change) -> StoreFuture<'a, Written> {
        Box::pin(async move {
            let number = self.writes.fetch_add(1, Ordering::Relaxed);
            let accepted = match change {
                Change::Accept(acceptance) => acceptance.step.get(),
                _ => -1,
            };
            let name = key.token().as_str().strip_prefix("token ").unwrap_or("0");
            tell(format_args!("b {number} {name} {accepted}"));
            let written = self.store.write(key, change).await;
            tell(format_args!("e {number}"));
            if accepted >= 0 && matches!(written, Ok(Written::Refused)) {
                // Somebody was admitted for the same step at the same time, and faster.
                tell(format_args!("r"));
            }
            written
        })
    }

    fn set_not_before(&self, moment: Timestamp) -> StoreFuture<'_, ()> {
        self.store.set_not_before(moment)
    }

    fn survives_restart(&self) -> bool {
        self.store.survives_restart()
    }
}

struct Life {
    time: Arc<SimTime>,
    gates: [Validator; 2],
    tokens: Vec<Token>,
    hot_attempts: AtomicU64,
    group: u64,
}

/// Serves until it is killed.
pub(crate) fn live() {
    let told = std::env::var(CHILD).expect("asked for by `is_child`");
    let mut words = told.splitn(4, ';');
    let mut number = || words.next().and_then(|word| word.parse().ok()).expect("a number");
    let (seed, unix_nanos, group): (i64, i64, i64) = (number(), number(), number());
    let path = words.next().expect("a path");
    let store = EmbeddedStore::builder(Path::new(path)).deadline(Duration::from_secs(60)).open();
    let store = Watched {
        store: store.expect("a store that can be opened after every kill"),
        writes: AtomicU64::new(0),
    };
    let now = TimeInterval::around(Timestamp::from_unix_nanos(unix_nanos), Duration::from_millis(10));
    let (store, time) = (Arc::new(store), Arc::new(SimTime::new(now)));
    let gate = || Validator::builder(store.clone(), time.clone()).build().expect("a validator");
    let life = Life {
        time: Arc::clone(&time),
        gates: [gate(), gate()],
        tokens: (0..TOKENS).map(token).collect(),
        hot_attempts: AtomicU64::new(0),
        group: group.unsigned_abs(),
    };
    tell(format_args!("ready"));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let life = &life;
            let random = Rng::with_seed(seed.unsigned_abs().wrapping_mul(1_000).wrapping_add(thread));
            scope.spawn(move || life.serve(thread, random));
        }
    });
}

impl Life {
    fn serve(&self, thread: u64, mut random: Rng) {
        let gate = &self.gates[usize::from(thread.is_multiple_of(2))];
        // What the life before may have accepted, told or not.
        for number in 0..HOT {
            self.show_right(gate, number, random.u64(..2));
        }
        loop {
            if random.u64(..3) == 0 {
                let first = HOT + self.group * COLD;
                self.show_wrong(gate, first + random.u64(..COLD), &mut random);
            } else {
                let number = random.u64(..HOT);
                self.show_right(gate, number, u64::from(random.u64(..8) == 0));
                let attempts = self.hot_attempts.fetch_add(1, Ordering::Relaxed);
                if attempts % ATTEMPTS_A_STEP == ATTEMPTS_A_STEP - 1 {
                    self.time.advance(Duration::from_secs(30));
                    tell(format_args!("t {}", self.now()));
                }
            }
        }
    }

    fn now(&self) -> i64 {
        self.time.now().expect("a simulated time is known").midpoint().as_unix_nanos()
    }

    /// The code that the token shows, or one of so many steps ago.
    fn show_right(&self, gate: &Validator, number: u64, steps_ago: u64) {
        let now = self.now().div_euclid(30_000_000_000);
        let token = &self.tokens[usize::try_from(number).expect("few tokens")];
        let code = token.totp().code_at(step(now - steps_ago.cast_signed()));
        self.show(gate, number, &Attempt::one(code));
    }

    /// A code that the token doesn't show today.
    fn show_wrong(&self, gate: &Validator, number: u64, random: &mut Rng) {
        let now = self.now().div_euclid(30_000_000_000);
        let token = &self.tokens[usize::try_from(number).expect("few tokens")];
        let wrong = loop {
            let text = format!("{:06}", random.u64(..1_000_000));
            let near = (now - 20..now + 20).map(|near| token.totp().code_at(step(near)).expose().to_string());
            if near.into_iter().all(|right| right != text) {
                break text;
            }
        };
        self.show(gate, number, &Attempt::parse(&wrong).expect("six digits"));
    }

    fn show(&self, gate: &Validator, number: u64, attempt: &Attempt) {
        let token = &self.tokens[usize::try_from(number).expect("few tokens")];
        match block_on(gate.validate(Some(token), attempt)) {
            Verdict::Accepted(accepted) => tell(format_args!("a {number} {}", accepted.step.get())),
            Verdict::Refused(refused) => match refused.reason() {
                Reason::Wrong => tell(format_args!("w {number} {}", refused.events()[0].price.units())),
                Reason::StoreFailed(error) => panic!("{error}"),
                _ => tell(format_args!("v")),
            },
        }
    }
}
