//! What a login costs: a wrong code looked for in three steps, beside totp-rs.
//!
//! Both sides read the text, and both are wrong everywhere, which is totp-rs's longest way (it returns at
//! the first match). Ours has its key state ready, as a validator that keeps its tokens would;
//! `from the secret` makes it anew each time, as totp-rs does.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use skewgate::otp::{Algorithm, Code, Consecutive, Match, Secret, StepRange, TimeStep, Totp, scan};

const STEP: i64 = 59_000_000;
const PERIOD_SECONDS: u64 = 30;

#[expect(clippy::unwrap_used, reason = "what can't be set up can't be measured")]
fn validation(criterion: &mut Criterion) {
    let pairs = [
        (Algorithm::Sha1, totp_rs::Algorithm::SHA1),
        (Algorithm::Sha256, totp_rs::Algorithm::SHA256),
        (Algorithm::Sha512, totp_rs::Algorithm::SHA512),
    ];
    for (ours, theirs) in pairs {
        let bytes: Vec<u8> = (1..=u8::MAX).cycle().take(ours.secret_bytes()).collect();
        let secret = Secret::from_bytes(&bytes).unwrap();
        let totp = Totp::builder(&secret).algorithm(ours).build().unwrap();
        let peer = totp_rs::Builder::new().with_algorithm(theirs).with_secret(bytes).build().unwrap();
        let now = STEP.unsigned_abs() * PERIOD_SECONDS;
        let step = |number| TimeStep::new(number).unwrap();
        let window = [StepRange::new(step(STEP - 1), step(STEP + 1)).unwrap()];

        // They must agree on what they do before it's worth measuring how fast.
        let right = totp.code_at(step(STEP)).expose().to_string();
        let wrong = (0..10).map(|number| format!("{number:06}")).find(|code| peer.check(code, now).is_none());
        let wrong = wrong.unwrap();
        assert!(peer.check(&right, now).is_some());
        assert_eq!(validate(&totp, &window, &right).fresh, Some(step(STEP)));
        assert_eq!(validate(&totp, &window, &wrong).right_at_best, 0);

        let mut group = criterion.benchmark_group(format!("wrong code, three steps, {ours}"));
        group.measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
        group.bench_function("skewgate", |bench| {
            bench.iter(|| validate(black_box(&totp), black_box(&window), black_box(&wrong)));
        });
        group.bench_function("skewgate, from the secret", |bench| {
            bench.iter(|| {
                let totp = Totp::builder(black_box(&secret)).algorithm(ours).build().unwrap();
                validate(&totp, black_box(&window), black_box(&wrong))
            });
        });
        group.bench_function("totp-rs", |bench| {
            bench.iter(|| black_box(&peer).check(black_box(&wrong), black_box(now)));
        });
        group.finish();
    }
}

#[expect(clippy::unwrap_used, reason = "what can't be set up can't be measured")]
fn validate(totp: &Totp, window: &[StepRange], code: &str) -> Match {
    let code = Code::parse(code).unwrap();
    scan(totp, window, None, Consecutive::from(&code))
}

criterion_group!(benches, validation);
criterion_main!(benches);
