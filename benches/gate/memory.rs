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

use super::logins::{enrol, forget, right, seconds, spread, tokens, wrong};

const TOKENS: u64 = 256;
const TURNS: usize = 400;
/// For each reading of a rate, in seconds.
const LONG_ENOUGH: f64 = 0.006;

struct Bench {
    time: Arc<SystemTime>,
    store: Arc<MemoryStore>,
    gate: Validator,
    tokens: Vec<Token>,
}

impl Bench {
    #[expect(clippy::expect_used, reason = "what can't be set up can't be measured")]
    fn new(count: u64) -> Self {
        let time = Arc::new(SystemTime::with_max_error(Duration::from_millis(50)));
        let store = Arc::new(MemoryStore::new());
        let gate = Validator::builder(store.clone(), time.clone()).build().expect("a validator");
        let bench = Self { time, store, gate, tokens: tokens(count) };
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

    fn logins(&self, kind: fn(&Token, &dyn TimeSource) -> Attempt) -> Vec<Login<'_>> {
        self.tokens.iter().map(|token| (&self.gate, token, kind(token, &*self.time))).collect()
    }
}

type Login<'a> = (&'a Validator, &'a Token, Attempt);

fn validate_all(logins: &[Login<'_>]) -> usize {
    let accepted =
        |(gate, token, attempt): &&Login<'_>| block_on(gate.validate(Some(token), attempt)).is_accepted();
    logins.iter().filter(accepted).count()
}

#[expect(clippy::expect_used, reason = "what can't be set up can't be measured")]
pub(crate) fn beside_a_bare_scan() {
    let bench = Bench::new(TOKENS);
    for (name, kind, accepted) in
        [("right", right as fn(&Token, &dyn TimeSource) -> Attempt, bench.tokens.len()), ("wrong", wrong, 0)]
    {
        let (mut own, mut bare, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..TURNS {
            bench.forget();
            let logins = bench.logins(kind);
            let mut let_in = 0;
            let validating = seconds(|| let_in = validate_all(&logins));
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

/// How many more logins two threads do than one, each on tokens of its own. Beside it, what two threads of this machine can do: with a
/// validator and a store for each of them, and in bare scans.
#[expect(clippy::expect_used, reason = "what can't be set up can't be measured")]
pub(crate) fn two_threads() {
    let (one, two) = ([Bench::new(TOKENS)], [Bench::new(TOKENS / 2), Bench::new(TOKENS / 2)]);
    let [mut gains, mut gains_apart, mut scans] = [const { Vec::new() }; 3];
    for _ in 0..TURNS {
        // Nothing is let in, so that nothing has to be forgotten in between: replays after the first round.
        let [together, apart] = [&one[..], &two[..]].map(|benches| -> Vec<Login<'_>> {
            benches.iter().for_each(Bench::forget);
            benches.iter().flat_map(|bench| bench.logins(right)).collect()
        });
        let validate = |logins: &[Login<'_>]| {
            black_box(validate_all(logins));
        };
        let present = TimeStep::new(one[0].now().as_unix_seconds() / 30).expect("after 1970");
        let before = TimeStep::new(present.get() - 2).expect("after 1970");
        let range = StepRange::new(before, present).expect("three steps");
        let code = code(&one[0].tokens[0], &*one[0].time);
        let scan = |tokens: &[Token]| {
            for token in tokens {
                let code = Consecutive::from(black_box(&code));
                let _ = black_box(scan(token.totp(), black_box(&[range]), None, code));
            }
        };
        validate(&together);
        validate(&apart);
        gains.push(gain(&together, validate));
        gains_apart.push(gain(&apart, validate));
        scans.push(gain(&one[0].tokens, scan));
    }
    println!(
        "memory, two threads: {} times one; with a validator and a store for each {} times; bare scans {} times",
        spread(gains, ""),
        spread(gains_apart, ""),
        spread(scans, "")
    );
}

/// How many times as much two threads do that have half each as one that has both.
#[expect(clippy::expect_used, reason = "what panics can't be measured")]
fn gain<T: Sync>(all: &[T], work: impl Fn(&[T]) + Sync) -> f64 {
    let (first, second) = all.split_at(all.len() / 2);
    let (work, ready) = (&work, &AtomicUsize::new(0));
    let together: f64 = std::thread::scope(|scope| {
        let run = |half| {
            scope.spawn(move || {
                // Both are awake when they begin.
                ready.fetch_add(1, Ordering::AcqRel);
                while ready.load(Ordering::Acquire) < 2 {
                    spin_loop();
                }
                rate(&[half], work)
            })
        };
        [run(first), run(second)].map(|thread| thread.join().expect("nothing panics")).iter().sum()
    });
    let alone = std::thread::scope(|scope| {
        scope.spawn(|| rate(&[first, second], work)).join().expect("nothing panics")
    });
    together / alone
}

/// How many are done in a second.
fn rate<T>(parts: &[&[T]], work: impl Fn(&[T])) -> f64 {
    let (mut done, mut took) = (0, 0.0);
    while took < LONG_ENOUGH {
        took += seconds(|| parts.iter().for_each(|part| work(part)));
        done += parts.iter().map(|part| part.len()).sum::<usize>();
    }
    f64::from(u32::try_from(done).unwrap_or(u32::MAX)) / took
}
