use super::*;
use crate::token::TokenState;
use std::sync::LazyLock;

use crate::otp::{Code, Consecutive, Digits, Secret};
use crate::window::WindowError;

/// The beginning of a step.
const NOON: i64 = 1_780_315_200;

fn totp() -> Totp {
    Totp::builder(&Secret::from_bytes(b"12345678901234567890").unwrap()).build().unwrap()
}

fn step(offset: i64) -> TimeStep {
    TimeStep::new(NOON / 30 + offset).unwrap()
}

fn code(offset: i64) -> Code {
    totp().code_at(step(offset))
}

/// Fits none of the steps that are tried here.
fn wrong() -> Code {
    Code::parse("000000").unwrap()
}

fn at(second: i64) -> TimeInterval {
    TimeInterval::around(Timestamp::from_unix_seconds(second).unwrap(), Duration::ZERO)
}

/// Ten seconds into the step of offset 0: the window is −1 to 0.
fn now() -> TimeInterval {
    at(NOON + 10)
}

fn state(watermark: Option<TimeStep>) -> Standing {
    let now = now().midpoint();
    let drift = Drift::from_parts(SignedDuration::ZERO, 1_000_000_000_000, now, None);
    let token = TokenState { epoch: 0, watermark, nonce: [0; 8], drift };
    Standing { token, budget: Budget::full(now), not_before: None }
}

fn with_drift(drift: Drift, standing: Standing) -> Standing {
    Standing { token: TokenState { drift, ..standing.token }, ..standing }
}

fn policy() -> &'static Policy {
    static DEFAULT: LazyLock<Policy> = LazyLock::new(Policy::default);
    &DEFAULT
}

fn admit_at(state: &Standing, now: TimeInterval, codes: u8) -> Result<Admission<'static>, Reason> {
    admit(state, policy(), &totp(), &now, Purpose::LogIn, codes)
}

fn decide_at(state: &Standing, now: TimeInterval, codes: &[Code]) -> Result<Decision, Reason> {
    let admission = admit_at(state, now, u8::try_from(codes.len()).unwrap())?;
    let found = admission.look(&totp(), Consecutive::new(codes).unwrap());
    Ok(judge(&admission, &found))
}

fn decide(state: &Standing, codes: &[Code]) -> Decision {
    decide_at(state, now(), codes).unwrap()
}

fn failure_of(decision: Decision) -> Failure {
    match decision {
        Decision::Wrong { failure, .. } => failure,
        other => panic!("{other:?}"),
    }
}

fn charge_of(decision: Decision) -> Charge {
    failure_of(decision).charge
}

fn advice_of(decision: Decision) -> Advice {
    match decision {
        Decision::Wrong { advice, .. } => advice,
        other => panic!("{other:?}"),
    }
}

fn emptied(bucket: Bucket, parts: u64) -> Standing {
    let state = state(None);
    let charge = Charge { bucket, cost: Odds::from_e12(parts) };
    Standing { budget: state.budget.charge(charge, now().earliest()), ..state }
}

#[test]
fn a_fresh_code_is_accepted_and_teaches() {
    for offset in [-1, 0] {
        let Decision::Accept { first, step: accepted, drift } = decide(&state(None), &[code(offset)]) else {
            panic!()
        };
        assert_eq!((first, accepted), (step(offset), step(offset)));
        assert_ne!(drift, state(None).token.drift);
    }
    assert!(
        matches!(decide(&state(None), &[code(-1), code(0)]), Decision::Accept { first, step: s, .. } if first == step(-1) && s == step(0))
    );
    let three = [code(-2), code(-1), code(0)];
    assert!(
        matches!(decide(&state(None), &three), Decision::Accept { first, step: s, .. } if first == step(-2) && s == step(0))
    );
}

#[test]
fn a_used_code_is_a_replay_and_pays_nothing() {
    let replay = Decision::Replay { advice: Advice::WaitForNextCode };
    assert_eq!(decide(&state(Some(step(0))), &[code(0)]), replay);
    assert_eq!(decide(&state(Some(step(0))), &[code(-1)]), replay);
    assert_eq!(decide(&state(Some(step(0))), &[code(-1), code(0)]), replay);
}

#[test]
fn a_wrong_code_pays_its_odds() {
    // Of two steps: at one of them the codes in `sum` were missing, at the other one all.
    let odds = |missing: u32| Odds::of_guess(1, 2148, missing);
    for (codes, burn, sum) in [
        (vec![wrong()], None, [1, 1]),
        (vec![wrong(), wrong()], None, [2, 2]),
        (vec![code(-1), wrong()], Some(-1), [1, 2]),
        (vec![wrong(), code(0)], Some(0), [1, 2]),
        (vec![code(-2), wrong()], Some(-2), [1, 2]),
        (vec![code(0), code(0)], Some(0), [1, 2]),
        (vec![code(-2), code(0)], Some(0), [1, 1]),
        (vec![wrong(), wrong(), wrong()], None, [3, 3]),
        (vec![code(-2), wrong(), wrong()], Some(-2), [2, 3]),
        (vec![code(-3), wrong(), wrong()], Some(-3), [2, 3]),
        (vec![code(-2), code(-1), wrong()], Some(-1), [1, 3]),
        (vec![code(-3), code(-2), code(0)], Some(0), [1, 2]),
    ] {
        let bucket = if burn.is_none() { Bucket::Blind } else { Bucket::Partial };
        let cost = odds(sum[0]).saturating_add(odds(sum[1]));
        let charge = failure_of(decide(&state(None), &codes)).charge;
        assert_eq!(charge.bucket, bucket, "{codes:?}");
        // Each part of a price is rounded up for itself.
        assert!(
            (-1..=1).contains(&(i128::from(charge.cost.units()) - i128::from(cost.units()))),
            "{codes:?}"
        );
        // What was right, which shows in the buckets, dies, and what came before.
        assert_eq!(failure_of(decide(&state(None), &codes)).burn, burn.map(step), "{codes:?}");
    }
}

#[test]
fn first_right_second_wrong_answers_like_all_wrong() {
    // Also where the budget is about to run out in either bucket, and where the last that a single code could spend is
    // there to the nanosecond, so that the price of a pair, 2·10⁻¹², would take it.
    let tired = emptied(Bucket::Blind, 29_000_000);
    let single = Charge { bucket: Bucket::Blind, cost: Odds::of_guess(2, 2148, 1) };
    let wait = tired.budget.wait_to_pay(single, 1, now().earliest()).unwrap();
    let exact = Budget::from_parts(
        tired.budget.full_at(Bucket::Blind) - SignedDuration::from(wait),
        tired.budget.full_at(Bucket::Partial),
        0,
    );
    for before in [
        state(None),
        Standing { budget: exact, ..tired },
        emptied(Bucket::Blind, 28_000_000),
        emptied(Bucket::Blind, 29_500_000),
        emptied(Bucket::Partial, 16_000_000),
    ] {
        let answers =
            [vec![code(-1), wrong()], vec![wrong(), code(0)], vec![code(0), code(0)], vec![wrong(), wrong()]]
                .map(|codes| advice_of(decide(&before, &codes)));
        assert!(answers.iter().all(|advice| *advice == answers[0]), "{answers:?}");
    }
}

/// Who holds a used code must not have the next one confirmed: half of a pair is dead, so the pair is wrong, whether or
/// not the other half is right.
#[test]
fn a_captured_code_is_no_half_of_a_pair() {
    let used = state(Some(step(-1)));
    let half_right = decide(&used, &[code(-1), code(0)]);
    let guessed = decide(&used, &[code(-1), wrong()]);
    assert_eq!(half_right, guessed);
    assert_eq!(charge_of(guessed).bucket, Bucket::Partial);
    // Nor of three, where two are fresh and right.
    let used = state(Some(step(-2)));
    assert_eq!(charge_of(decide(&used, &[code(-2), code(-1), code(0)])).bucket, Bucket::Partial);
}

#[test]
fn no_subset_of_consecutive_codes_is_accepted() {
    for codes in [
        vec![wrong(), code(0)],
        vec![code(0), wrong()],
        vec![code(0), code(-1)], // not in this order
        vec![code(-1), wrong(), code(0)],
        vec![code(-2), code(0)], // not consecutive
    ] {
        assert!(matches!(decide(&state(None), &codes), Decision::Wrong { .. }), "{codes:?}");
    }
}

/// The clock is set back, used codes work again (NodeLite#46).
#[test]
fn a_watermark_ahead_of_the_window_refuses_everything_and_says_until_when() {
    let used = state(Some(step(120)));
    for codes in [vec![code(0)], vec![code(120)], vec![code(121)], vec![wrong()]] {
        let Err(Reason::WatermarkAhead { retry_after }) = decide_at(&used, now(), &codes) else { panic!() };
        let then = now().midpoint() + SignedDuration::from(retry_after);
        let admission = admit_at(&used, TimeInterval::around(then, Duration::ZERO), 1).unwrap();
        assert!(admission.window().top() > step(120));
        let too_early = then - SignedDuration::from_secs(61);
        assert!(admit_at(&used, TimeInterval::around(too_early, Duration::ZERO), 1).is_err());
    }
}

/// The used-code cache forgets before the window closes (Infisical#6112: 60 s against 90 s).
#[test]
fn a_watermark_outlives_every_window() {
    let used = state(Some(step(0)));
    for second in 0..600 {
        match decide_at(&used, at(NOON + second), &[code(0)]) {
            Ok(Decision::Replay { .. } | Decision::Wrong { .. }) | Err(Reason::WatermarkAhead { .. }) => {}
            other => panic!("{second} s: {other:?}"),
        }
    }
}

#[test]
fn an_empty_blind_bucket_asks_for_two_codes_and_takes_them() {
    let tired = emptied(Bucket::Blind, 29_000_000);
    assert!(matches!(decide_at(&tired, now(), &[code(0)]), Err(Reason::ConsecutiveCodesNeeded { count: 2 })));
    assert!(matches!(decide(&tired, &[code(-1), code(0)]), Decision::Accept { .. }));
}

#[test]
fn where_not_even_two_codes_can_be_paid_for_three_may() {
    // In debt as deep as pairs may go: what is left is more than nothing, and less than pairs leave for three.
    let tired = emptied(Bucket::Blind, 119_999_500);
    for codes in [1, 2] {
        assert!(matches!(admit_at(&tired, now(), codes), Err(Reason::ConsecutiveCodesNeeded { count: 3 })));
    }
    assert!(matches!(decide(&tired, &[code(-2), code(-1), code(0)]), Decision::Accept { .. }));
}

#[test]
fn with_both_buckets_empty_it_waits_just_long_enough() {
    let tired = emptied(Bucket::Blind, 29_000_000);
    let charge = Charge { bucket: Bucket::Partial, cost: Odds::from_e12(20_000_000) };
    let tired = Standing { budget: tired.budget.charge(charge, now().earliest()), ..tired };
    for codes in [1, 2, 3] {
        let Err(Reason::Throttled { retry_after }) = admit_at(&tired, now(), codes) else { panic!() };
        let then = now().midpoint() + SignedDuration::from(retry_after) + SignedDuration::from_secs(60);
        let then = TimeInterval::around(then, Duration::ZERO);
        assert!(
            !matches!(admit_at(&tired, then, codes), Err(Reason::Throttled { .. })),
            "{codes}: {retry_after:?}"
        );
        assert!(retry_after > Duration::from_secs(3600));
    }
}

#[test]
fn the_wrong_code_that_leaves_too_little_is_told_to_bring_two() {
    // Two steps cost 2.0·10⁻⁶ and 10⁻⁶ stays: the last single code is the one that leaves less than 3·10⁻⁶.
    for (spent, advice) in [(24_900_000, Advice::TryAgain), (25_100_000, Advice::ShowConsecutive(2))] {
        assert_eq!(advice_of(decide(&emptied(Bucket::Blind, spent), &[wrong()])), advice);
    }
}

#[test]
fn what_a_single_code_cannot_reach_is_told_to_bring_two() {
    let seen = now().midpoint() - SignedDuration::from_secs(90 * 86_400);
    let drift = Drift::from_parts(SignedDuration::from_secs(100), 25_000_000_000_000, seen, None);
    let unseen = with_drift(drift, state(None));
    assert_eq!(advice_of(decide(&unseen, &[wrong()])), Advice::ShowConsecutive(2));
    assert!(matches!(decide(&unseen, &[code(2), code(3)]), Decision::Accept { .. }));
    // A phone gets in as ever.
    assert!(matches!(decide(&unseen, &[code(0)]), Decision::Accept { .. }));
}

/// A token that is far ahead: its watermark is where its own steps are, above all that a single code is looked for at.
#[test]
fn who_is_beyond_a_single_code_is_asked_for_two_and_not_told_to_wait() {
    let fast = |deviation: u64| {
        let mean = SignedDuration::from_secs(580);
        let drift =
            Drift::from_parts(mean, deviation * deviation * 1_000_000_000_000, now().midpoint(), None);
        with_drift(drift, state(Some(step(18))))
    };
    assert!(admit_at(&fast(5), now(), 1).is_ok(), "known well enough for a single code");
    let vague = fast(25);
    assert!(matches!(admit_at(&vague, now(), 1), Err(Reason::ConsecutiveCodesNeeded { count: 2 })));
    assert!(matches!(decide(&vague, &[code(19), code(20)]), Decision::Accept { .. }));
    // One that isn't known well, and most likely is right, has to wait for a minute, and then its single code will do.
    let imported =
        Drift::from_parts(SignedDuration::ZERO, 45 * 45 * 1_000_000_000_000, now().midpoint(), None);
    let imported = with_drift(imported, state(Some(step(1))));
    let Err(Reason::WatermarkAhead { retry_after }) = admit_at(&imported, now(), 1) else { panic!() };
    let then = TimeInterval::around(now().midpoint() + SignedDuration::from(retry_after), Duration::ZERO);
    assert!(retry_after <= Duration::from_secs(61) && admit_at(&imported, then, 1).is_ok());
    // What can't be paid for isn't asked for.
    let charge = Charge { bucket: Bucket::Partial, cost: Odds::from_e12(20_000_000) };
    let poor = Standing { budget: vague.budget.charge(charge, now().earliest()), ..vague };
    assert!(matches!(admit_at(&poor, now(), 1), Err(Reason::Throttled { .. })));
    // And what was used ahead of even that has to be waited for.
    let forged = Standing { token: TokenState { watermark: Some(step(400)), ..vague.token }, ..vague };
    assert!(matches!(admit_at(&forged, now(), 1), Err(Reason::WatermarkAhead { .. })));
}

#[test]
fn whom_not_even_two_codes_reach_needs_the_operator() {
    let seen = now().midpoint() - SignedDuration::from_secs(900 * 86_400);
    let drift = Drift::from_parts(SignedDuration::from_secs(100), 25_000_000_000_000, seen, None);
    let lost = with_drift(drift, state(None));
    assert_eq!(advice_of(decide(&lost, &[wrong()])), Advice::ShowConsecutive(2));
    assert_eq!(advice_of(decide(&lost, &[wrong(), wrong()])), Advice::TellOperator);
    assert_eq!(advice_of(decide(&lost, &[code(-1), wrong()])), Advice::TellOperator);
}

/// 65 s ahead, the code of step 0 is one that only a right clock shows; it is no outlier beyond 4 σ of 16 s.
#[test]
fn what_only_a_right_clock_explains_teaches_nothing_at_first() {
    let ahead = SignedDuration::from_secs(65);
    let drift = Drift::from_parts(ahead, 1_000_000_000_000, now().midpoint(), None);
    let off = with_drift(drift, state(None));
    let Decision::Accept { drift: after, .. } = decide(&off, &[code(0)]) else { panic!() };
    assert_eq!((after.mean(), after.outlier().is_some()), (ahead, true));
    let Decision::Accept { drift: after, .. } = decide(&off, &[code(1)]) else { panic!() };
    assert!(after.mean() != ahead && after.outlier().is_none());
}

/// What the documentation of `Drift::learn` says about codes that somebody held back.
#[test]
fn the_oldest_code_that_is_let_in_moves_the_mean_no_further_than_is_said() {
    for (micros, least, most) in [(5_000_000_u64, 6, 9), (11_135_529, 20, 30), (20_500_000, 60, 75)] {
        let mut furthest = Duration::ZERO;
        for second in 0..30 {
            let time = at(NOON + second);
            let drift = Drift::from_parts(SignedDuration::ZERO, micros * micros, time.midpoint(), None);
            let known = with_drift(drift, state(None));
            let admission = admit_at(&known, time, 1).unwrap();
            for step in admission.window().ranges().iter().flat_map(|range| range.steps()) {
                let found = Match { fresh: Some(step), replayed: false, right_at_best: 1 };
                let Decision::Accept { drift, .. } = judge(&admission, &admission.found(found)) else {
                    panic!()
                };
                furthest = furthest.max(drift.mean().unsigned_abs());
            }
        }
        let said = Duration::from_secs(least)..=Duration::from_secs(most);
        assert!(said.contains(&furthest), "{micros} µs: {furthest:?}");
    }
}

/// However late it may be: no uncertainty of a clock refills anything.
#[test]
fn budgets_count_the_earliest_time_that_it_can_be() {
    let (from, until) = (now().midpoint(), now().midpoint() + SignedDuration::from_secs(1));
    let single = Charge { bucket: Bucket::Blind, cost: Odds::of_guess(2, 2148, 1) };
    let tired = emptied(Bucket::Blind, 29_000_000);
    let wait = SignedDuration::from(tired.budget.wait_to_pay(single, 1, from).unwrap());
    let full_at = |bucket| tired.budget.full_at(bucket) - wait;
    let exact = Budget::from_parts(full_at(Bucket::Blind), full_at(Bucket::Partial), 0);
    let exact = Standing { budget: exact, ..tired };
    let admitted = |from| admit_at(&exact, TimeInterval::new(from, until).unwrap(), 1);
    assert_eq!(admitted(from).unwrap().window().width(), 2);
    let early = admitted(from - SignedDuration::from_nanos(1));
    assert!(matches!(early, Err(Reason::ConsecutiveCodesNeeded { .. })));
}

#[test]
fn the_clock_comes_before_watermark_and_budget() {
    let vague = TimeInterval::around(now().midpoint(), Duration::from_secs(60));
    let tired = emptied(Bucket::Blind, 30_000_000);
    let hopeless = Standing { token: state(Some(step(9_000))).token, ..tired };
    assert!(matches!(
        admit_at(&hopeless, vague, 1),
        Err(Reason::ClockUntrusted(super::super::ClockFault::TooUncertain(
            WindowError::ClockTooUncertain { .. }
        )))
    ));
    assert!(matches!(admit_at(&hopeless, now(), 1), Err(Reason::WatermarkAhead { .. })));
}

#[test]
fn tokens_that_no_policy_could_validate_are_refused() {
    let secret = Secret::from_bytes(b"12345678901234567890").unwrap();
    let admit = |totp: Totp| admit(&state(None), policy(), &totp, &now(), Purpose::LogIn, 1);
    let ten = Totp::builder(&secret).digits(Digits::TEN).build().unwrap();
    assert!(matches!(admit(ten), Err(Reason::TokenUnsuited(TokenFault::Digits { got: 10 }))));
    let short = Totp::builder(&secret).period(Duration::from_secs(1)).build().unwrap();
    assert!(matches!(
        admit(short),
        Err(Reason::TokenUnsuited(TokenFault::NoWindow(WindowError::PeriodTooShort { .. })))
    ));
    let future = Totp::builder(&secret).t0(Timestamp::from_unix_seconds(NOON + 60).unwrap()).build().unwrap();
    assert!(matches!(
        admit(future),
        Err(Reason::TokenUnsuited(TokenFault::NoWindow(WindowError::BeforeFirstStep { .. })))
    ));
}

/// The trap of `budget`'s year of attack, but through the real decisions: whatever is shown whenever it is admitted, the
/// sum of prices stays below 1 % in a year.
#[test]
fn a_year_of_attack_through_admission_stays_below_one_percent() {
    let (mut state, mut paid, mut attempts) = (state(None), Odds::ZERO, 0_u32);
    let mut second = NOON + 10;
    while second < NOON + 365 * 86_400 {
        for codes in [1, 2] {
            let Ok(admission) = admit_at(&state, at(second), codes) else { continue };
            // One code wrong, or the first of a pair known: the dearest that can be shown.
            let found = Match { fresh: None, replayed: false, right_at_best: codes - 1 };
            let failure = failure_of(judge(&admission, &admission.found(found)));
            state.budget = state.budget.charge(failure.charge, failure.from);
            paid = paid.saturating_add(failure.charge.cost);
            attempts += 1;
        }
        second += 607;
    }
    assert!(paid < Odds::from_e12(10_000_000_000), "{paid} in {attempts} attempts");
    assert!(paid > Odds::from_e12(8_000_000_000), "{paid}: the attack was not at full strength");
}

/// Whoever knows two codes of the window can be half right at two steps.
#[test]
fn a_pair_is_looked_at_only_if_two_half_right_steps_can_be_paid_for() {
    let half = Odds::of_guess(1, 2148, 1).as_e18() / 1_000_000;
    for (left, admitted) in [(half + half / 2, false), (2 * half + half / 2, true)] {
        let poor = emptied(Bucket::Partial, 20_000_000 - left);
        assert_eq!(admit_at(&poor, now(), 2).is_ok(), admitted, "{left}");
    }
}

#[test]
fn fewer_codes_than_were_admitted_fit_nowhere() {
    let admission = admit_at(&state(None), now(), 3).unwrap();
    let found = admission.look(&totp(), (&code(0)).into());
    assert!(matches!(judge(&admission, &found), Decision::Wrong { .. }));
}

/// Whoever is asked for two codes because of the clock gets in with them, however long it takes to wait for them.
#[test]
fn two_codes_that_a_poor_clock_asks_for_are_looked_at_in_a_moment_too() {
    let (policies, mut asked) = ([Policy::default(), Policy::strict(), Policy::nist()], 0);
    for (policy, ahead) in
        policies.iter().flat_map(|policy| (-300..300).step_by(9).map(move |ahead| (policy, ahead)))
    {
        let off =
            |variance| Drift::from_parts(SignedDuration::from_secs(ahead), variance, now().midpoint(), None);
        for (variance, half_width) in
            [(1, 5), (9, 12), (4, 25), (16, 5), (36, 5), (64, 5), (144, 5), (400, 5)]
        {
            let standing = with_drift(off(variance * 1_000_000_000_000), state(None));
            let admit = |second: i64, codes| {
                let middle = Timestamp::from_unix_seconds(NOON + 10 + second).unwrap();
                let now = TimeInterval::around(middle, Duration::from_secs(half_width));
                admit(&standing, policy, &totp(), &now, Purpose::LogIn, codes).map(drop)
            };
            for second in 0..30 {
                if matches!(admit(second, 1), Err(Reason::ClockUntrusted(ClockFault::TooUncertainForOne(_))))
                {
                    asked += 1;
                    for later in second..second + 30 {
                        let looked = admit(later, 2);
                        assert!(looked.is_ok(), "{ahead} s ± {half_width} s, {variance}: {looked:?}");
                    }
                }
            }
        }
    }
    assert!(asked > 100, "{asked}");
}
