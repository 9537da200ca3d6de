//! What a login costs: a wrong code looked for in every step of a window, beside totp-rs, `ring`, and the floor.
//!
//! - `skewgate`: text to verdict, as a validator does it, its key state kept. `from the secret` makes that anew each
//!   time, as totp-rs must.
//! - `totp-rs`: text to verdict too. A wrong code is its longest way (it returns at the first match), and it is not in
//!   constant time.
//! - `ring`: HMACs alone, from a kept key, and nothing done with them.
//! - `floor`: the compressions alone, each of one chain after the other, and nothing done with them: two for each step.
//!
//! On a machine that others use too, what is measured a second later is measured on another machine. So at the end three steps are
//! measured in turns of a few microseconds, and what is printed is the median of the ratios of neighbours.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use skewgate::otp::{Algorithm, Code, Consecutive, Match, Secret, StepRange, TimeStep, Totp, scan};

const STEP: i64 = 59_000_000;
const PERIOD_SECONDS: u64 = 30;
/// Steps on either side of the present one: windows of 3, 21 and 241 steps.
const REACHES: [u8; 3] = [1, 10, 120];

const HASHES: [(Algorithm, totp_rs::Algorithm, ring::hmac::Algorithm); 3] = [
    (Algorithm::Sha1, totp_rs::Algorithm::SHA1, ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
    (Algorithm::Sha256, totp_rs::Algorithm::SHA256, ring::hmac::HMAC_SHA256),
    (Algorithm::Sha512, totp_rs::Algorithm::SHA512, ring::hmac::HMAC_SHA512),
];

#[expect(clippy::unwrap_used, reason = "what can't be set up can't be measured")]
fn validation(criterion: &mut Criterion) {
    for (ours, theirs, rings) in HASHES {
        let bytes: Vec<u8> = (1..=u8::MAX).cycle().take(ours.secret_bytes()).collect();
        let secret = Secret::from_bytes(&bytes).unwrap();
        let key = ring::hmac::Key::new(rings, &bytes);
        for reach in REACHES {
            let totp = Totp::builder(&secret).algorithm(ours).build().unwrap();
            let peer = totp_rs::Builder::new()
                .with_algorithm(theirs)
                .with_secret(bytes.clone())
                .with_skew(reach.into())
                .build()
                .unwrap();
            let now = STEP.unsigned_abs() * PERIOD_SECONDS;
            let step = |number| TimeStep::new(number).unwrap();
            let (first, last) = (STEP - i64::from(reach), STEP + i64::from(reach));
            let window = [StepRange::new(step(first), step(last)).unwrap()];
            let counters = first.unsigned_abs()..=last.unsigned_abs();

            // They must agree on what they do before it's worth measuring how fast.
            let right = totp.code_at(step(last)).expose().to_string();
            let wrong =
                (0..1000).map(|number| format!("{number:06}")).find(|code| peer.check(code, now).is_none());
            let wrong = wrong.unwrap();
            assert!(peer.check(&right, now).is_some());
            assert_eq!(validate(&totp, &window, &right).fresh, Some(step(last)));
            assert_eq!(validate(&totp, &window, &wrong).right_at_best, 0);

            let steps = 2 * u32::from(reach) + 1;
            let mut group = criterion.benchmark_group(format!("wrong code, {steps} steps, {ours}"));
            group.measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(500));
            group.bench_function("skewgate", |bench| {
                bench.iter(|| validate(black_box(&totp), black_box(&window), black_box(&wrong)));
            });
            group.bench_function("totp-rs", |bench| {
                bench.iter(|| black_box(&peer).check(black_box(&wrong), black_box(now)));
            });
            group.bench_function("floor", |bench| bench.iter(|| chain(ours, 2 * steps)));
            group.bench_function("ring", |bench| {
                bench.iter(|| {
                    for counter in counters.clone() {
                        black_box(ring::hmac::sign(black_box(&key), &counter.to_be_bytes()));
                    }
                });
            });
            group.bench_function("skewgate, from the secret", |bench| {
                bench.iter(|| {
                    let totp = Totp::builder(black_box(&secret)).algorithm(ours).build().unwrap();
                    validate(&totp, black_box(&window), black_box(&wrong))
                });
            });
            group.finish();
        }
    }
}

#[expect(clippy::unwrap_used, reason = "what can't be set up can't be measured")]
fn validate(totp: &Totp, window: &[StepRange], code: &str) -> Match {
    let code = Code::parse(code).unwrap();
    scan(totp, window, None, Consecutive::from(&code))
}

/// So many compressions, each of the state that the one before left.
fn chain(algorithm: Algorithm, count: u32) {
    fn run<S, B>(mut state: S, block: B, count: u32, compress: impl Fn(&mut S, &[B])) {
        let blocks = black_box([block]);
        for _ in 0..count {
            compress(&mut state, &blocks);
        }
        black_box(state);
    }
    match algorithm {
        Algorithm::Sha1 => run([1; 5], [2; 64], count, sha1::block_api::compress),
        Algorithm::Sha256 => run([1; 8], [2; 64], count, sha2::block_api::compress256),
        Algorithm::Sha512 => run([1; 8], [2; 128], count, sha2::block_api::compress512),
    }
}

/// Prints how long three steps take beside totp-rs and the floor, measured in turns.
#[expect(clippy::unwrap_used, reason = "what can't be set up can't be measured")]
fn in_turns(_: &mut Criterion) {
    const TURNS: usize = 20_000;
    for (ours, theirs, _) in HASHES {
        let bytes: Vec<u8> = (1..=u8::MAX).cycle().take(ours.secret_bytes()).collect();
        let totp = Totp::builder(&Secret::from_bytes(&bytes).unwrap()).algorithm(ours).build().unwrap();
        let peer = totp_rs::Builder::new().with_algorithm(theirs).with_secret(bytes).build().unwrap();
        let step = |number| TimeStep::new(number).unwrap();
        let window = [StepRange::new(step(STEP - 1), step(STEP + 1)).unwrap()];
        let now = STEP.unsigned_abs() * PERIOD_SECONDS;
        let (mut to_peer, mut to_floor) = (Vec::with_capacity(TURNS), Vec::with_capacity(TURNS));
        for _ in 0..TURNS {
            let own = seconds(|| validate(black_box(&totp), black_box(&window), black_box("000001")));
            to_peer.push(own / seconds(|| black_box(&peer).check(black_box("000001"), black_box(now))));
            to_floor.push(own / seconds(|| chain(ours, 6)));
        }
        for (name, mut ratios) in [("totp-rs", to_peer), ("floor", to_floor)] {
            ratios.sort_by(f64::total_cmp);
            let at = |percent: usize| ratios[ratios.len() * percent / 100];
            println!(
                "three steps in turns, {ours}: skewgate / {name} = {:.2} (10 % to 90 %: {:.2} to {:.2})",
                at(50),
                at(10),
                at(90)
            );
        }
    }
}

/// How long eight runs take.
#[expect(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]
fn seconds<T>(mut work: impl FnMut() -> T) -> f64 {
    let start = Instant::now();
    for _ in 0..8 {
        black_box(work());
    }
    start.elapsed().as_secs_f64()
}

criterion_group!(benches, validation, in_turns);
criterion_main!(benches);
