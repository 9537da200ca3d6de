//! Any sequence of clocks and attempts into *admit* and *judge*, under every preset: no step is accepted twice and none that a restore has
//! made dead, only codes that are right are accepted, and what was paid for never exceeds what the buckets held and were refilled with.
#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use skewgate::otp::{Code, Consecutive, Digits, Secret, TimeStep, Totp};
use skewgate::store::{Acceptance, Change, Row, Seen, Written};
use skewgate::time::{SignedDuration, TimeInterval, Timestamp};
use skewgate::token::{Bucket, Budget, Drift, DriftModel, Measurement, TokenState};
use skewgate::validator::Policy;
use skewgate::validator::decide::{Decision, Purpose, Standing, admit, judge};

const NANOS_PER_DAY: i128 = 86_400_000_000_000;

#[derive(Arbitrary, Debug)]
struct Case {
    preset: u8,
    eight_digits: bool,
    a_code_a_minute: bool,
    /// Everything up to so many seconds after the start is dead.
    restored: Option<i16>,
    attempts: Vec<Attempt>,
}

#[derive(Arbitrary, Debug)]
struct Attempt {
    /// The clock moves, either way.
    seconds: i32,
    half_width_ms: u16,
    /// Steps from the present one, and whether the code is spoilt.
    codes: [(i8, bool); 3],
    count: u8,
    resynchronise: bool,
}

fn step(number: i64) -> TimeStep {
    TimeStep::new(number.max(0)).unwrap_or(TimeStep::ZERO)
}

fuzz_target!(|case: Case| {
    let secret = Secret::from_bytes(b"12345678901234567890").expect("a secret");
    let digits = if case.eight_digits { Digits::EIGHT } else { Digits::SIX };
    let period = Duration::from_secs(if case.a_code_a_minute { 60 } else { 30 });
    let totp = Totp::builder(&secret).digits(digits).period(period).build().expect("a token");
    let presets = [Policy::default, Policy::strict, Policy::hardware_tokens, Policy::nist];
    let policy = presets[usize::from(case.preset) % presets.len()]();
    let start = Timestamp::from_unix_nanos(1_800_000_000_000_000_000);
    let began = TimeInterval::around(start, Duration::ZERO);
    let not_before = case.restored.map(|seconds| start + SignedDuration::from_secs(seconds.into()));
    let first = totp.step_at(start).expect("after T0");
    let measured = Measurement::new(&DriftModel::default(), first, totp.period(), totp.t0(), &began);
    let state = TokenState {
        epoch: 0,
        watermark: Some(first),
        nonce: [0; 8],
        drift: Drift::first(&DriftModel::default(), measured),
    };
    let mut row = Row { token: Some(state), budget: Some(Budget::full(start)) };
    let (mut now, mut latest) = (start, start);
    let mut paid = [0_i128; 2];
    for attempt in case.attempts.iter().take(200) {
        now = now + SignedDuration::from_secs(i64::from(attempt.seconds) % 1_000_000);
        let interval = TimeInterval::around(now, Duration::from_millis(attempt.half_width_ms.into()));
        latest = latest.max(interval.earliest());
        let present = totp.step_at(now).map_or(0, TimeStep::get);
        let count = usize::from(attempt.count % 3) + 1;
        let last = step(present + i64::from(attempt.codes[0].0));
        let codes: Vec<Code> = (0..count)
            .map(|index| {
                let right = step(last.get() + index as i64 + 1 - count as i64);
                let right = if index == 0 {
                    right
                } else {
                    step(right.get() + i64::from(attempt.codes[index].0 / 64))
                };
                if attempt.codes[index].1 {
                    totp.code_at(step(right.get() + 1_000_000))
                } else {
                    totp.code_at(right)
                }
            })
            .collect();
        let (Some(state), Some(budget)) = (row.token, row.budget) else { unreachable!("nothing removes it") };
        let standing = Standing { token: state, budget, not_before };
        let purpose = if attempt.resynchronise { Purpose::Resynchronise } else { Purpose::LogIn };
        let Ok(admission) = admit(&standing, &policy, &totp, &interval, purpose, count as u8) else {
            continue;
        };
        let found = admission.look(&totp, Consecutive::new(&codes).expect("one to three"));
        match judge(&admission, &found) {
            Decision::Accept { first, step, drift } => {
                assert!(admission.window().contains(step));
                assert_eq!(first.get(), step.get() + 1 - count as i64);
                assert!(state.watermark.is_none_or(|watermark| watermark < first), "a step twice");
                let dead = not_before.and_then(|moment| totp.step_at(moment));
                assert!(dead.is_none_or(|dead| dead < first), "a step of before the restore");
                for (code, number) in codes.iter().zip(first.get()..) {
                    let right = totp.code_at(TimeStep::new(number).expect("not negative"));
                    assert_eq!(*code.expose(), *right.expose(), "a code that isn't right");
                }
                let accept = Change::Accept(Acceptance {
                    first,
                    step,
                    drift,
                    epoch: 0,
                    seen: Seen::default(),
                    nonce: [0; 8],
                    failure_limit: policy.failure_limit().map_or(u32::MAX, u32::from),
                    authenticates: purpose == Purpose::LogIn,
                });
                assert_eq!(accept.apply(&mut row, Seen::default()), Written::Done);
                assert_eq!(accept.apply(&mut row, Seen::default()), Written::Refused);
            }
            Decision::Replay { .. } => {
                // Only what is dead altogether is free of charge.
                let fits = |last: TimeStep| {
                    codes
                        .iter()
                        .rev()
                        .zip((0..=last.get()).rev())
                        .all(|(code, number)| *code.expose() == *totp.code_at(step(number)).expose())
                };
                let mut steps = admission.window().ranges().iter().flat_map(|range| range.steps());
                assert!(
                    steps.any(|last| Some(last) <= admission.watermark() && fits(last)),
                    "a replay of nothing"
                );
            }
            Decision::Wrong { failure, .. } => {
                assert_eq!(Change::Fail(failure).apply(&mut row, Seen::default()), Written::Done);
                let after = row.token.and_then(|state| state.watermark);
                assert!(after >= state.watermark, "a step came back to life");
                let charge = failure.charge;
                assert_eq!(charge.bucket == Bucket::Partial, failure.burn.is_some());
                // Every code of the attempt that is right somewhere in the window is dead, but for those that are beside used ones alone.
                for last in admission.window().ranges().iter().flat_map(|range| range.steps()) {
                    let right = |index: usize| {
                        let at = last.get() + 1 + index as i64 - count as i64;
                        TimeStep::new(at).filter(|at| *codes[index].expose() == *totp.code_at(*at).expose())
                    };
                    let beside_used = (0..count).all(|index| right(index).is_some());
                    for at in (0..count).filter_map(right) {
                        assert!(
                            count == 1 || beside_used || after >= Some(at),
                            "a code that was confirmed lives"
                        );
                    }
                }
                paid[usize::from(charge.bucket == Bucket::Partial)] += i128::from(charge.cost.units());
            }
        }
        for (bucket, paid) in [Bucket::Blind, Bucket::Partial].into_iter().zip(paid) {
            let elapsed = i128::from((latest - start).as_nanos().max(0));
            let refilled = (i128::from(bucket.refill_per_day().units()) * elapsed) / NANOS_PER_DAY;
            assert!(
                paid <= i128::from(bucket.capacity().units()) + refilled + 1,
                "more was paid than there was"
            );
        }
    }
});
