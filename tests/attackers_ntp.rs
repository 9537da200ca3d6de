//! Time sources that lie, and the validator behind them: what is promised in each case, and what isn't. Each row of the table in
//! `SECURITY.md` is a test here, named as it is there.
//!
//! In all of them no step is accepted twice: `lied_to` looks. What is *not* promised is tested too: whoever mends one of these things
//! changes a test and a row.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod lied_to;

use std::time::Duration;

use lied_to::{DAY, HOUR, INTERVAL, Lab, MINUTE, SOURCES, Says, TYPING};
use skewgate::block_on;
use skewgate::ntp::Options;
use skewgate::otp::TimeStep;
use skewgate::time::SignedDuration;
use skewgate::token::{Odds, Token};
use skewgate::validator::{Advice, ClockFault, EnrolError, Reason, Refused};

/// In seconds: how long before and after true time a step may begin whose code is let in, where the time is right.
const NEAR: std::ops::RangeInclusive<i64> = -90..=30;

/// Two rounds after the end of an attack, with the pause between them, it is over.
const TWO_ROUNDS: u64 = INTERVAL + MINUTE;

const MINORITY: usize = 2;
const MAJORITY: usize = 3;
const ALL: usize = SOURCES;

/// Of two sizes of lies, one is small enough for a user not to notice.
const LIES: [i64; 6] = [20, 3_600, 400 * 86_400, -20, -3_600, -400 * 86_400];

fn secs(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn off(seconds: i64) -> Says {
    Says::Off(secs(seconds))
}

/// The first `liars` sources are off by so much.
fn liars(liars: usize, seconds: i64) -> impl Fn(usize, SignedDuration) -> Says + Send + 'static {
    move |source, _| if source < liars { off(seconds) } else { Says::Truth }
}

/// The first `liars` sources go away from the truth by so much in each second.
fn pulling(liars: usize, micros: i64) -> impl Fn(usize, SignedDuration) -> Says + Send + 'static {
    move |source, since| {
        let by = SignedDuration::from_nanos(since.as_nanos() / 1_000_000 * micros);
        if source < liars { Says::Off(by) } else { Says::Truth }
    }
}

/// The first `liars` sources are off by so many milliseconds, and say that they may be by as many more.
fn unsure(liars: usize, by: i64, unsure_by: u64) -> impl Fn(usize, SignedDuration) -> Says + Send + 'static {
    let says = Says::OffAndUnsure(SignedDuration::from_millis(by), Duration::from_millis(unsure_by));
    move |source, _| if source < liars { says } else { Says::Truth }
}

fn hour_after_hour(lab: &mut Lab, owner: &Token, hours: u64) -> Vec<Result<TimeStep, Refused>> {
    (0..hours)
        .map(|_| {
            lab.live(HOUR);
            lab.log_in(owner)
        })
        .collect()
}

fn all_in(logins: &[Result<TimeStep, Refused>]) {
    logins.iter().for_each(|login| assert!(login.is_ok(), "{login:?}"));
}

fn assert_near(accepted: Option<(i64, i64)>) {
    let (first, last) = accepted.unwrap();
    assert!(NEAR.contains(&first) && NEAR.contains(&last), "{accepted:?}");
}

/// The attack ends: the time is right within two rounds, and the owner gets in at the first try.
fn over_in_two_rounds(lab: &mut Lab, owner: &Token) {
    lab.end_attack();
    lab.live_until(TWO_ROUNDS, |lab| lab.believes_off(SignedDuration::ZERO));
    lab.live(MINUTE);
    let login = lab.log_in(owner);
    assert!(login.is_ok(), "{login:?}");
}

// --- A minority ----------------------------------------------------------------------------------------------

#[test]
fn a_minority_moves_nothing() {
    for by in LIES {
        let mut lab = Lab::new();
        let (owner, phones) = (lab.enrol("owner"), lab.enrol_many(41));
        lab.attack(liars(MINORITY, by));
        all_in(&hour_after_hour(&mut lab, &owner, 6));
        assert_near(lab.accepted_now(&phones, 20));
        assert_eq!((lab.seen.outside, lab.seen.without), (0, 0), "{by} s");
        assert!(lab.seen.widest < Duration::from_millis(100), "{by} s: {:?}", lab.seen);
        assert!(lab.health().contested(), "they are two, and agree: {by} s");
    }
}

#[test]
fn a_minority_that_pulls_moves_nothing() {
    let mut lab = Lab::new();
    let owner = lab.enrol("owner");
    lab.attack(pulling(MINORITY, 100));
    all_in(&hour_after_hour(&mut lab, &owner, 24));
    assert_eq!((lab.seen.outside, lab.seen.without), (0, 0));
    assert!(lab.seen.widest < Duration::from_millis(100), "{:?}", lab.seen);
    assert!(lab.health().contested());
}

#[test]
fn a_minority_that_claims_to_be_unsure_costs_nobody_a_login() {
    for by in [0, 900, -900] {
        let mut lab = Lab::new();
        let (owner, phones) = (lab.enrol("owner"), lab.enrol_many(41));
        lab.attack(unsure(MINORITY, by, 950));
        all_in(&hour_after_hour(&mut lab, &owner, 6));
        assert_near(lab.accepted_now(&phones, 20));
        assert_eq!((lab.seen.outside, lab.seen.without), (0, 0), "{by} ms");
        assert!(lab.seen.widest < Duration::from_millis(100), "{by} ms: {:?}", lab.seen);
    }
}

/// Two liars stay in touch with the only honest source that isn't silenced.
fn two_and_two(source: usize, _: SignedDuration) -> Says {
    match source {
        0 | 1 => Says::Off(SignedDuration::from_millis(40)),
        2 | 3 => Says::Silence,
        _ => Says::Truth,
    }
}

#[test]
fn silence_gives_a_minority_what_the_last_honest_source_admits() {
    let mut lab = Lab::new();
    let (owner, phones) = (lab.enrol("owner"), lab.enrol_many(41));
    lab.attack(two_and_two);
    all_in(&hour_after_hour(&mut lab, &owner, 30));
    assert_near(lab.accepted_now(&phones, 20));
    assert!(lab.seen.outside > 0, "else something could be promised: {:?}", lab.seen);
    assert!(lab.seen.farthest < Duration::from_millis(50), "{:?}", lab.seen);
}

#[test]
fn silence_gives_a_minority_nothing_where_two_must_be_tolerated() {
    let mut lab = Lab::with(Options { tolerated_liars: 2, ..Options::default() }, |gate| gate);
    let owner = lab.enrol("owner");
    lab.attack(two_and_two);
    // What was measured before is as good as ever, for a day.
    all_in(&hour_after_hour(&mut lab, &owner, 23));
    lab.live(2 * HOUR);
    let refused = lab.log_in(&owner).unwrap_err();
    assert!(matches!(refused.reason(), Reason::ClockUntrusted(ClockFault::Unknown(_))), "{refused:?}");
    assert_eq!(lab.seen.outside, 0);
    over_in_two_rounds(&mut lab, &owner);
}

#[test]
fn silence_is_outlived_for_a_day() {
    let mut lab = Lab::new();
    let owner = lab.enrol("owner");
    lab.attack(|_, _| Says::Silence);
    all_in(&hour_after_hour(&mut lab, &owner, 23));
    lab.live(2 * HOUR);
    let refused = lab.log_in(&owner).unwrap_err();
    assert!(matches!(refused.reason(), Reason::ClockUntrusted(ClockFault::Unknown(_))), "{refused:?}");
    assert_eq!(refused.advice(), Advice::TellOperator);
    assert_eq!(lab.seen.outside, 0);
    over_in_two_rounds(&mut lab, &owner);
}

// --- A majority, or all ----------------------------------------------------------------------------------------

#[test]
fn a_majority_is_contested_and_believed_when_two_rounds_agree() {
    for (number, contested) in [(MAJORITY, true), (ALL, false)] {
        for by in LIES {
            let mut lab = Lab::new();
            let rounds = lab.health().counts;
            lab.attack(liars(number, by));
            lab.live_until(TWO_ROUNDS, |lab| lab.believes_off(secs(by)));
            let counts = lab.health().counts;
            assert_eq!(counts.failed_rounds - rounds.failed_rounds, 1, "{number} liars, {by} s");
            assert_eq!(lab.health().contested(), contested, "{number} liars, {by} s");
            lab.end_attack();
            lab.live_until(TWO_ROUNDS, |lab| lab.believes_off(SignedDuration::ZERO));
        }
    }
}

#[test]
fn who_starts_under_a_majority_believes_it_at_once() {
    let mut lab = Lab::before_the_first_round(Options::default(), |gate| gate);
    lab.attack(liars(MAJORITY, 3_600));
    lab.live(5);
    assert!(lab.believes_off(secs(3_600)) && lab.health().contested());
    assert_eq!(lab.health().counts.failed_rounds, 0);
}

#[test]
fn a_majority_less_than_a_step_off_is_followed_and_forgotten() {
    for number in [MAJORITY, ALL] {
        for by in [20, -20] {
            let mut lab = Lab::new();
            let (owner, phones) = (lab.enrol("owner"), lab.enrol_many(41));
            all_in(&hour_after_hour(&mut lab, &owner, 6));
            lab.attack(liars(number, by));
            all_in(&hour_after_hour(&mut lab, &owner, 6));
            // Around what is believed.
            let (first, last) = lab.accepted_now(&phones, 20).unwrap();
            assert!(NEAR.contains(&(first - by)) && NEAR.contains(&(last - by)), "{first} {last}, {by} s");
            over_in_two_rounds(&mut lab, &owner);
            all_in(&hour_after_hour(&mut lab, &owner, 6));
        }
    }
}

#[test]
fn a_majority_an_hour_ahead_keeps_the_owner_out_and_lets_harvested_codes_in() {
    for number in [MAJORITY, ALL] {
        let mut lab = Lab::new();
        let (owner, careful) = (lab.enrol("owner"), lab.enrol("careful"));
        lab.attack(liars(number, 3_600));
        lab.live(TWO_ROUNDS);
        for _ in 0..2 {
            assert!(matches!(lab.log_in(&owner).unwrap_err().reason(), Reason::Wrong));
            assert!(matches!(lab.log_in(&careful).unwrap_err().reason(), Reason::Wrong));
            lab.live(MINUTE);
        }
        // Whoever once had the phone in hand with its clock an hour ahead.
        lab.show(&owner, 3_600).unwrap();
        // Both have made two mistakes an hour ahead of time: that is nothing which an hour doesn't bring back.
        over_in_two_rounds(&mut lab, &careful);

        let refused = lab.log_in(&owner).unwrap_err();
        let Reason::WatermarkAhead { retry_after } = refused.reason() else { panic!("{refused:?}") };
        assert!(*retry_after <= Duration::from_secs(HOUR + MINUTE), "{retry_after:?}");
        assert_eq!(refused.advice(), Advice::RetryAfter(*retry_after));
        lab.live(retry_after.as_secs() + MINUTE);
        lab.log_in(&owner).unwrap();
    }
}

#[test]
fn a_code_used_ahead_of_its_time_counts_as_unused_after_a_reset() {
    let mut lab = Lab::new();
    let owner = lab.enrol("owner");
    lab.attack(liars(ALL, 3_600));
    lab.live(TWO_ROUNDS);
    let harvested = lab.show(&owner, 3_600).unwrap();
    let its_time = lab.truth() + secs(3_600);
    lab.end_attack();
    lab.live(TWO_ROUNDS);
    lab.reset(&owner);
    lab.live(2 * MINUTE);
    lab.log_in(&owner).unwrap();
    let until = its_time - lab.truth();
    lab.live(until.unsigned_abs().as_secs());
    assert_eq!(lab.show(&owner, 0).unwrap(), harvested);
}

#[test]
fn a_majority_far_ahead_locks_who_shows_a_code_until_a_reset() {
    for number in [MAJORITY, ALL] {
        let mut lab = Lab::new();
        let [mistaken, harvested, absent] = ["mistaken", "harvested", "absent"].map(|name| lab.enrol(name));
        let ahead = 400 * 86_400;
        lab.attack(liars(number, ahead));
        lab.live(TWO_ROUNDS);
        assert!(matches!(lab.log_in(&mistaken).unwrap_err().reason(), Reason::Wrong));
        lab.show(&harvested, ahead).unwrap();
        over_in_two_rounds(&mut lab, &absent);

        let refused = lab.log_in(&mistaken).unwrap_err();
        assert!(matches!(refused.reason(), Reason::BudgetAhead { .. }), "{refused:?}");
        assert_eq!(refused.advice(), Advice::TellOperator);
        let refused = lab.log_in(&harvested).unwrap_err();
        assert!(matches!(refused.reason(), Reason::WatermarkAhead { .. }), "{refused:?}");
        assert_eq!(refused.advice(), Advice::TellOperator);
        for token in [&mistaken, &harvested] {
            lab.reset(token);
            // What could be used by then stays used.
            lab.live(2 * MINUTE);
            lab.log_in(token).unwrap();
        }
    }
}

#[test]
fn a_majority_behind_brings_no_used_code_back() {
    for number in [MAJORITY, ALL] {
        let mut lab = Lab::new();
        let owner = lab.enrol("owner");
        lab.live(HOUR);
        // Used half an hour ago, and shown but not used an hour and a quarter ago.
        let (used_at, unused_at) = (lab.truth(), lab.truth() - secs(2_700));
        lab.log_in(&owner).unwrap();
        lab.live(1_800 - TWO_ROUNDS);
        lab.attack(liars(number, -3_600));
        lab.live(TWO_ROUNDS);
        for at in [used_at, unused_at, lab.truth()] {
            let after = (at - lab.truth()).as_nanos() / 1_000_000_000 - TYPING;
            let refused = lab.show(&owner, after).unwrap_err();
            assert!(matches!(refused.reason(), Reason::WatermarkAhead { .. }), "{refused:?}");
        }
        over_in_two_rounds(&mut lab, &owner);
    }
}

/// Not promised: what the phone showed then and nobody used lets somebody in who has seen it.
#[test]
fn a_majority_behind_lets_old_unused_codes_in() {
    let mut lab = Lab::new();
    let owner = lab.enrol("owner");
    lab.live(2 * HOUR);
    lab.attack(liars(MAJORITY, -3_600));
    lab.live(TWO_ROUNDS);
    assert!(matches!(lab.log_in(&owner).unwrap_err().reason(), Reason::Wrong));
    lab.show(&owner, -3_600).unwrap();
    over_in_two_rounds(&mut lab, &owner);
}

#[test]
fn all_that_pull_slowly_are_noticed_by_nobody_and_take_the_owner_along() {
    for (number, contested) in [(MAJORITY, true), (ALL, false)] {
        let mut lab = Lab::new();
        let owner = lab.enrol("owner");
        lab.attack(pulling(number, 100));
        let rounds = lab.health().counts;
        all_in(&hour_after_hour(&mut lab, &owner, 24));
        assert_eq!(lab.health().counts.failed_rounds, rounds.failed_rounds, "no round was out of the way");
        assert_eq!(lab.health().contested(), contested);
        let (least, most) = (Duration::from_secs(8), Duration::from_secs(9));
        assert!((least..most).contains(&lab.seen.farthest), "in a day: {:?}", lab.seen);
        over_in_two_rounds(&mut lab, &owner);
        all_in(&hour_after_hour(&mut lab, &owner, 6));
    }
}

#[test]
fn all_that_claim_to_be_unsure_cost_nobody_a_login() {
    for number in [MAJORITY, ALL] {
        // As much as is believed, off by nearly that, and more than is believed: then what was measured before ages, 2.2 s in six hours.
        for (by, unsure_by, widest) in
            [(0, 950, 1_100), (900, 950, 1_100), (-900, 950, 1_100), (0, 2_000, 2_300)]
        {
            let mut lab = Lab::new();
            let (owner, phones) = (lab.enrol("owner"), lab.enrol_many(41));
            lab.attack(unsure(number, by, unsure_by));
            all_in(&hour_after_hour(&mut lab, &owner, 6));
            assert_near(lab.accepted_now(&phones, 20));
            assert_eq!((lab.seen.outside, lab.seen.without), (0, 0), "{by} ms");
            assert!(lab.seen.widest < Duration::from_millis(widest), "{:?}", lab.seen);
        }
    }
}

// --- Budgets ---------------------------------------------------------------------------------------------------

/// Whatever the sources do, what was guessed is no more than the budget and its refill until the latest time that was believed.
fn assert_paid_for(lab: &Lab, start: skewgate::time::Timestamp, latest: SignedDuration) {
    let days = u64::try_from((lab.truth() + latest - start).as_nanos() / 86_400_000_000_000).unwrap() + 1;
    let most = 30_000_000_000 + 20_000_000_000 * days;
    let spent = lab.gate.totals().price_e15;
    assert!(spent <= most, "{spent} e-15, at most {most} in {days} days");
}

#[test]
fn a_future_refills_as_if_it_had_passed_and_is_owed_afterwards() {
    let mut lab = Lab::new();
    let (start, owner) = (lab.truth(), lab.enrol("owner"));
    lab.live(2 * DAY);
    assert!((4..=9).contains(&lab.guesses(&owner)));
    assert_eq!(lab.guesses(&owner), 0);
    lab.attack(liars(ALL, 3 * 86_400));
    lab.live(TWO_ROUNDS);
    assert!((4..=9).contains(&lab.guesses(&owner)), "not promised: a budget believes what time it is told");
    assert_eq!(lab.guesses(&owner), 0);
    assert_paid_for(&lab, start, secs(3 * 86_400));

    lab.end_attack();
    lab.live(TWO_ROUNDS);
    assert_eq!(lab.guesses(&owner), 0);
    let refused = lab.log_in(&owner).unwrap_err();
    assert!(matches!(refused.reason(), Reason::ConsecutiveCodesNeeded { count: 2 }), "{refused:?}");
    lab.log_in_with_two(&owner).unwrap();
}

#[test]
fn going_there_and_back_refills_nothing() {
    let mut lab = Lab::new();
    let (start, owner) = (lab.truth(), lab.enrol("owner"));
    lab.live(2 * DAY);
    let ahead = secs(3 * 86_400);
    let mut guesses = Vec::new();
    for _ in 0..4 {
        lab.attack(move |_, _| Says::Off(ahead));
        lab.live(TWO_ROUNDS);
        guesses.push(lab.guesses(&owner));
        lab.end_attack();
        lab.live(TWO_ROUNDS);
        guesses.push(lab.guesses(&owner));
        lab.attack(move |_, _| Says::Off(-ahead));
        lab.live(TWO_ROUNDS);
        guesses.push(lab.guesses(&owner));
    }
    assert!((4..=9).contains(&guesses[0]), "{guesses:?}");
    // What flows in during the hours that this takes pays for one more.
    assert!(guesses[1..].iter().sum::<usize>() <= 1, "{guesses:?}");
    assert_paid_for(&lab, start, ahead);
}

#[test]
fn a_ceiling_that_was_paid_ahead_of_time_is_empty_and_fills_again() {
    // 10⁻⁴ a day: some thirty wrong codes.
    let per_day = Odds::from_e12(100_000_000);
    let mut lab = Lab::with(Options::default(), |gate| gate.ceiling(per_day));
    let (owner, guessed) = (lab.enrol("owner"), lab.enrol("guessed"));
    lab.attack(liars(ALL, 400 * 86_400));
    lab.live(TWO_ROUNDS);
    assert!(lab.guesses(&guessed) > 0);
    lab.end_attack();
    lab.live(TWO_ROUNDS);
    let refused = lab.log_in(&owner).unwrap_err();
    assert!(matches!(refused.reason(), Reason::CeilingReached { count: 2 }), "{refused:?}");
    assert_eq!(refused.advice(), Advice::ShowConsecutive(2));
    lab.log_in_with_two(&owner).unwrap();
    lab.live(HOUR);
    lab.log_in(&owner).unwrap();
}

// --- What was learned --------------------------------------------------------------------------------------------

/// Its user shows a code, and two where that is asked for.
fn as_advised(lab: &mut Lab, token: &Token, ahead: i64) -> Result<TimeStep, Refused> {
    lab.show(token, ahead - TYPING).or_else(|refused| {
        if refused.advice() != Advice::ShowConsecutive(2) {
            return Err(refused);
        }
        lab.live(MINUTE);
        let two = lab.two(token, ahead - TYPING);
        lab.attempt(token, &two)
    })
}

#[test]
fn a_token_that_is_off_needs_a_resynchronisation_at_the_most() {
    for (number, by) in [(ALL, 90), (MAJORITY, -90)] {
        let mut lab = Lab::new();
        let (token, ahead) = (lied_to::token("hardware"), 240);
        block_on(lab.gate.enrol(&token, &lab.two(&token, ahead - TYPING))).unwrap();
        for _ in 0..12 {
            lab.live(HOUR);
            lab.show(&token, ahead - TYPING).unwrap();
        }
        lab.attack(liars(number, by));
        lab.live(TWO_ROUNDS);
        out_then_resynchronised(&mut lab, &token, ahead);
        lab.end_attack();
        lab.live(TWO_ROUNDS);
        out_then_resynchronised(&mut lab, &token, ahead);
    }
}

fn out_then_resynchronised(lab: &mut Lab, token: &Token, ahead: i64) {
    let refused = as_advised(lab, token, ahead).unwrap_err();
    assert!(matches!(refused.reason(), Reason::Wrong), "{refused:?}");
    lab.live(HOUR);
    let two = lab.two(token, ahead - TYPING);
    block_on(lab.gate.resynchronise(token, &two)).unwrap();
    lab.live(MINUTE);
    as_advised(lab, token, ahead).unwrap();
    lab.live(HOUR);
    as_advised(lab, token, ahead).unwrap();
}

#[test]
fn who_was_enrolled_at_a_false_time_gets_in_at_the_true_one() {
    let mut lab = Lab::new();
    lab.attack(liars(ALL, 400));
    lab.live(TWO_ROUNDS);
    // With one code nobody is, who is seven minutes off.
    let phone = lied_to::token("phone");
    let one = lab.one(&phone, -TYPING);
    let error = block_on(lab.gate.enrol(&phone, &one)).unwrap_err();
    assert!(matches!(error, EnrolError::NoMatch { .. }), "{error:?}");
    let two = lab.two(&phone, -TYPING);
    block_on(lab.gate.enrol(&phone, &two)).unwrap();
    lab.live(HOUR);
    lab.log_in(&phone).unwrap();
    over_in_two_rounds(&mut lab, &phone);
    all_in(&hour_after_hour(&mut lab, &phone, 6));
}

/// What is declared dead is so for good: a host whose own clock contradicts the time by more than an hour doesn't do it. Within
/// an hour everybody is out until then, and there is no way back but in the store itself.
#[test]
fn a_restore_that_is_told_of_at_a_false_time_keeps_everybody_out_for_an_hour_at_most() {
    let mut lab = Lab::new();
    let owner = lab.enrol("owner");
    lab.attack(liars(ALL, 7_200));
    lab.live(TWO_ROUNDS);
    let refused = block_on(lab.gate.restored()).unwrap_err();
    assert!(refused.to_string().contains("set it, or mend the sources"), "{refused}");
    lab.end_attack();
    lab.live(TWO_ROUNDS);
    lab.log_in(&owner).unwrap();

    lab.attack(liars(ALL, 3_500));
    lab.live(TWO_ROUNDS);
    block_on(lab.gate.restored()).unwrap();
    lab.end_attack();
    lab.live(TWO_ROUNDS);
    for _ in 0..2 {
        let refused = lab.log_in(&owner).unwrap_err();
        assert!(matches!(refused.reason(), Reason::WatermarkAhead { .. }), "{refused:?}");
        lab.reset(&owner);
    }
    lab.live(3_500 + 10 * MINUTE);
    lab.log_in(&owner).unwrap();
}
