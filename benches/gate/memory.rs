//! `validate` with the memory store, beside a bare scan of the same window and a reading of the same clock.

use std::hint::{black_box, spin_loop};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use skewgate::block_on;
use skewgate::otp::{Code, Consecutive, StepRange, TimeStep, scan};
use skewgate::store::MemoryStore;
use skewgate::time::os::SystemTime;
use skewgate::time::{TimeSource, Timestamp};
use skewgate::token::Token;
use skewgate::validator::{Attempt, Validator};
use skewgate::window::Window;

use super::logins::{enrol, forget, instants, right, seconds, spread, tokens, wrong};

const TOKENS: u64 = 256;
const TURNS: usize = 400;

struct Bench {
    time: Arc<SystemTime>,
    store: Arc<MemoryStore>,
    gate: Validator,
    tokens: Vec<Token>,
}

impl Bench {
    #[expect(clippy::expect_used, reason = "what can't be set up can't be measured")]
    fn new() -> Self {
        let time = Arc::new(SystemTime::with_max_error(Duration::from_millis(50)));
        let store = Arc::new(MemoryStore::new());
        let gate = Validator::builder(store.clone(), time.clone()).build().expect("a validator");
        let bench = Self { time, store, gate, tokens: tokens(TOKENS) };
        for token in &bench.tokens {
            block_on(enrol(&*bench.store, token, bench.now()));
        }
        bench
    }

    #[expect(clippy::expect_used, reason = "what can't be set up can't be measured")]
    fn now(&self) -> Timestamp {
        self.time.now().expect("a clock").midpoint()
    }

    fn forget(&self) {
        for token in &self.tokens {
            block_on(forget(&*self.store, token, self.now()));
        }
    }

    fn attempts(&self, kind: fn(&Token, &dyn TimeSource) -> Attempt) -> Vec<(&Token, Attempt)> {
        self.tokens.iter().map(|token| (token, kind(token, &*self.time))).collect()
    }
}

fn validate_all(gate: &Validator, attempts: &[(&Token, Attempt)]) -> usize {
    let accepted =
        |(token, attempt): &&(&Token, Attempt)| block_on(gate.validate(Some(token), attempt)).is_accepted();
    attempts.iter().filter(accepted).count()
}

#[expect(clippy::expect_used, reason = "what can't be set up can't be measured")]
pub(crate) fn beside_a_bare_scan() {
    let bench = Bench::new();
    for (name, kind, accepted) in
        [("right", right as fn(&Token, &dyn TimeSource) -> Attempt, bench.tokens.len()), ("wrong", wrong, 0)]
    {
        let (mut own, mut bare, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..TURNS {
            bench.forget();
            let attempts = bench.attempts(kind);
            let mut let_in = 0;
            let validating = seconds(|| let_in = validate_all(&bench.gate, &attempts));
            // A new step may have begun in between.
            if let_in != accepted {
                continue;
            }
            // The same codes at the same steps, above the same watermark.
            let now = bench.time.now().expect("a clock");
            let state = block_on(skewgate::store::StateStore::load(&*bench.store, bench.tokens[0].key()));
            let drift = state.expect("a store").row.token.expect("enrolled").drift;
            let first = bench.tokens[0].totp();
            let policy = skewgate::window::WindowPolicy::default();
            let window =
                Window::compute(&policy, first.period(), first.t0(), &now, &drift, 1).expect("a window");
            let watermark = TimeStep::new(1);
            let codes: Vec<Code> = bench.tokens.iter().map(|token| code(token, &*bench.time)).collect();
            let ranges: &[StepRange] = window.ranges();
            let scanning = seconds(|| {
                for (token, code) in bench.tokens.iter().zip(&codes) {
                    let _ = black_box(bench.time.now());
                    let code = Consecutive::from(black_box(code));
                    let _ = black_box(scan(token.totp(), black_box(ranges), watermark, code));
                }
            });
            let each = 1e9 / f64::from(u32::try_from(TOKENS).unwrap_or(u32::MAX));
            own.push(validating * each);
            bare.push(scanning * each);
            ratio.push(validating / scanning);
        }
        println!(
            "memory, {name} code: validate {}, bare scan and clock {}, ratio {}, {} turns",
            spread(own, " ns"),
            spread(bare, " ns"),
            spread(ratio, ""),
            TURNS
        );
    }
}

#[expect(clippy::expect_used, reason = "what can't be set up can't be measured")]
fn code(token: &Token, time: &dyn TimeSource) -> Code {
    let now = time.now().expect("a clock").midpoint();
    token.totp().code_at(TimeStep::new(now.as_unix_seconds() / 30).expect("after 1970"))
}

/// As many logins on two threads at once, each on tokens of its own, as on one after the other; and the same of bare scans, which share
/// nothing at all: what two threads of this machine can do.
#[expect(clippy::expect_used, reason = "what can't be set up can't be measured")]
pub(crate) fn two_threads() {
    const ROUNDS: usize = 48;
    let bench = Bench::new();
    let (mut gains, mut scans, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        // Nothing is let in, so that nothing has to be forgotten in between: replays after the first round.
        bench.forget();
        let attempts = bench.attempts(right);
        let validate = |share: &[(&Token, Attempt)]| {
            for _ in 0..ROUNDS {
                black_box(validate_all(&bench.gate, share));
            }
        };
        let present = TimeStep::new(bench.now().as_unix_seconds() / 30).expect("after 1970");
        let before = TimeStep::new(present.get() - 2).expect("after 1970");
        let range = StepRange::new(before, present).expect("three steps");
        let code = code(&bench.tokens[0], &*bench.time);
        let scan = |share: &[(&Token, Attempt)]| {
            for _ in 0..ROUNDS * 4 {
                for (token, _) in share {
                    let code = Consecutive::from(black_box(&code));
                    let _ = black_box(scan(token.totp(), black_box(&[range]), None, code));
                }
            }
        };
        validate(&attempts);
        let (own, bare) = (gain(&attempts, validate), gain(&attempts, scan));
        gains.push(own);
        scans.push(bare);
        shares.push(own / bare);
    }
    println!(
        "memory, two threads on tokens of their own: {} times one; bare scans {} times; {} of theirs",
        spread(gains, ""),
        spread(scans, ""),
        spread(shares, "")
    );
}

/// How much faster two threads do half each than one does both.
#[expect(clippy::expect_used, reason = "what panics can't be measured")]
fn gain<T: Sync>(all: &[T], work: impl Fn(&[T]) + Sync) -> f64 {
    let (first, second) = all.split_at(all.len() / 2);
    let (work, ready) = (&work, &AtomicUsize::new(0));
    // From the first one's start to the last one's end, in threads that are awake already.
    let times = std::thread::scope(|scope| {
        let run = |share| {
            scope.spawn(move || {
                ready.fetch_add(1, Ordering::AcqRel);
                while ready.load(Ordering::Acquire) < 2 {
                    spin_loop();
                }
                instants(|| work(share))
            })
        };
        [run(first), run(second)].map(|thread| thread.join().expect("nothing panics"))
    });
    let [(first_began, first_ended), (second_began, second_ended)] = times;
    let together = (first_ended.max(second_ended) - first_began.min(second_began)).as_secs_f64();
    let alone = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            seconds(|| {
                work(first);
                work(second);
            })
        });
        thread.join().expect("nothing panics")
    });
    alone / together
}
