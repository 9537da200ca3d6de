//! What others fell into, and what a phisher, a borrower and a sprayer can do: each trap has a test that is named after what it guards.
//! Most are where the code is:
//!
//! | trap | seen at | test |
//! | --- | --- | --- |
//! | two neighbouring steps have equal codes: the first match refuses a fresh one | Trilium#11448 | `validator`: `equal_adjacent_codes_are_accepted_as_the_newer_step`; `otp::matching`: `of_two_steps_with_one_code_the_newest_is_found` |
//! | a drift that is kept as a fraction gets around the replay guard | multiOTP#261 | here: `no_fraction_of_a_drift_brings_a_used_code_back` |
//! | used codes are forgotten before the window closes | Infisical#6112 | `validator`: `a_used_code_stays_used_for_as_long_as_any_window_could_reach_it`, `no_step_is_accepted_twice_under_any_order_of_calls_and_times` |
//! | the clock is set back, and used codes work again | NodeLite#46 | `validator`: `a_clock_that_is_set_back_brings_no_used_code_back`; `attackers_ntp`: `a_majority_behind_brings_no_used_code_back` |
//! | what is compared is normalised, what is remembered isn't | CVE-2025-6014, CVE-2025-6015, CVE-2025-55003 | `validator`: `another_spelling_of_a_used_code_is_the_used_code` |
//! | no single use | CVE-2025-43798, CVE-2026-33473 | `validator`: `a_right_code_is_accepted_once`, `no_step_is_accepted_twice_under_any_order_of_calls_and_times`, `many_threads_and_two_nodes_accept_one_code_once` |
//! | the count of failures is rolled back with a failed transaction | CVE-2026-35597 | `validator`: `what_a_wrong_code_paid_stays_paid`; `postgres`: `nodes_accept_no_step_twice_and_lose_no_price` |
//! | tries without limit, for three minutes each | AuthQuake (2024) | here: `an_hour_of_tries_is_no_more_than_a_few` |
//! | a URI makes its reader panic | totp-rs 5.7 | `otp::uri`: `what_is_no_such_uri_is_refused`, `bad_escapes_and_bytes_are_refused`; fuzz target `uri` |
//! | `period=0` divides by zero | totp-rs 5.7 | `otp::uri`: `a_period_of_zero_is_refused`; `otp::import::pskc`: `every_number_is_checked` |
//! | a check before the first period underflows | totp-rs 5.7 | here: `before_the_first_steps_nothing_underflows`; `window`: `before_the_first_steps_there_is_no_window` |
//! | `Debug` prints the secret | totp-rs 5.7 | here: `no_debug_text_of_anything_shows_the_secret`; `otp::uri`: `debug_and_errors_show_no_secret` |
//! | a forged future lets a code be harvested, and accepting it puts the watermark ahead of the owner | | `validator`: `a_code_of_the_future_is_not_accepted_before_its_time_and_not_after_a_forged_one`; `attackers_ntp`: `a_majority_an_hour_ahead_keeps_the_owner_out_and_lets_harvested_codes_in` |
//! | a captured code that wasn't used is half of a pair | | `validator::decide`: `a_captured_code_is_no_half_of_a_pair`; `validator`: `a_code_that_was_half_of_a_wrong_pair_is_never_accepted_again` |
//! | a relayed code moves the clock that was learned, and its owner is out | | here: `a_code_relayed_at_the_last_moment_costs_the_owner_no_login` |
//! | a phone is borrowed, and the codes of the next hour written down | | here: `harvested_codes_…` |
//! | a Redis is flushed | | `redis`: `an_emptied_database_brings_no_used_code_back` |
//! | last night's rows come back around the store | | `postgres`: `restores::tables_dropped_and_restored` and those beside it; all stores: `no_used_code_comes_back_with_an_import` |
//! | a few guesses at each of a million tokens | | here: `a_million_tokens_sprayed_…`, `a_ceiling_bounds_what_a_spray_finds` |

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use skewgate::block_on;
use skewgate::otp::{Code, Match, OtpauthUri, Secret, TimeStep, Totp};
use skewgate::store::{Acceptance, Change, MemoryStore, Row, Seen, Written};
use skewgate::time::sim::SimTime;
use skewgate::time::{SignedDuration, TimeInterval, Timestamp};
use skewgate::token::{Budget, Drift, Odds, Token, TokenId, TokenState};
use skewgate::validator::decide::{Decision, Purpose, Standing, admit, judge};
use skewgate::validator::{Advice, Attempt, Policy, Reason, Refused, Validator, ValidatorBuilder, Verdict};

/// The beginning of a step.
const NOON: i64 = 1_780_315_200;
const PERIOD: i64 = 30;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

fn at(second: i64) -> TimeInterval {
    TimeInterval::around(Timestamp::from_unix_seconds(NOON + second).unwrap(), Duration::from_millis(20))
}

fn totp() -> Totp {
    Totp::builder(&Secret::from_bytes(b"12345678901234567890").unwrap()).build().unwrap()
}

fn token(name: &str) -> Token {
    Token::new(TokenId::new(name).unwrap(), totp())
}

/// What a clock that is right shows so many seconds after noon.
fn shown(second: i64) -> Code {
    totp().code_at(TimeStep::new((NOON + second).div_euclid(PERIOD)).unwrap())
}

fn pair(second: i64) -> Attempt {
    Attempt::consecutive([shown(second - PERIOD), shown(second)]).unwrap()
}

/// A service, and one token whose clock is `ahead` of the truth by so many seconds.
struct Service {
    time: Arc<SimTime>,
    gate: Validator,
    token: Token,
    ahead: i64,
    /// Now, in seconds since noon.
    now: i64,
}

impl Service {
    fn new(ahead: i64) -> Self {
        Self::with(ahead, |gate| gate)
    }

    fn with(ahead: i64, build: impl FnOnce(ValidatorBuilder) -> ValidatorBuilder) -> Self {
        let time = Arc::new(SimTime::new(at(0)));
        let gate = Validator::builder(Arc::new(MemoryStore::new()), time.clone());
        Self { gate: build(gate).build().unwrap(), time, token: token("owner"), ahead, now: 0 }
    }

    /// Enrolled at noon, with so many logins since, one each day.
    fn enrolled(ahead: i64, logins: i64) -> Self {
        let mut service = Self::new(ahead);
        block_on(service.gate.enrol(&service.token, &pair(ahead - 8))).unwrap();
        for day in 1..=logins {
            // At any phase of a step.
            service.set(day * DAY + 7 * day);
            service.log_in(5 + day % 10).unwrap();
        }
        service
    }

    fn set(&mut self, now: i64) {
        self.now = now;
        self.time.set(Ok(at(now)));
    }

    fn pass(&mut self, seconds: i64) {
        self.set(self.now + seconds);
    }

    fn show(&self, attempt: &Attempt) -> Result<TimeStep, Refused> {
        match block_on(self.gate.validate(Some(&self.token), attempt)) {
            Verdict::Accepted(accepted) => Ok(accepted.step),
            Verdict::Refused(refused) => Err(refused),
        }
    }

    /// Its user types what it showed so many seconds ago.
    fn log_in(&self, ago: i64) -> Result<TimeStep, Refused> {
        self.show(&Attempt::one(shown(self.now + self.ahead - ago)))
    }

    fn wrong(&self) -> Refused {
        self.show(&Attempt::parse("000000").unwrap()).unwrap_err()
    }
}

// --- The lists of others ---------------------------------------------------------------------------------------

#[test]
fn no_fraction_of_a_drift_brings_a_used_code_back() {
    for ahead in (-280..=280).step_by(17) {
        let mut service = Service::enrolled(ahead, 4);
        for login in 0..12 {
            service.pass(DAY + 13 * login);
            service.log_in(9).unwrap();
            let used = Attempt::one(shown(service.now + ahead - 9));
            // For as long as it is looked for at all.
            while matches!(service.show(&used).unwrap_err().reason(), Reason::Replay) {
                service.pass(1);
            }
        }
    }
}

/// Ten a second, each as soon as it is let be.
#[test]
fn an_hour_of_tries_is_no_more_than_a_few() {
    let mut service = Service::enrolled(0, 10);
    let mut looked_at = 0;
    for _ in 0..HOUR {
        for _ in 0..10 {
            looked_at += u32::from(matches!(service.wrong().reason(), Reason::Wrong));
        }
        service.pass(1);
    }
    // 50 % in 70 minutes is what the unlimited tries were worth.
    let spent = service.gate.totals().price_e15;
    assert!((3..=15).contains(&looked_at), "{looked_at}");
    assert!(spent < 31_000_000_000, "{spent} e-15: no more than a bucket");
}

#[test]
fn before_the_first_steps_nothing_underflows() {
    let secret = Secret::from_bytes(b"12345678901234567890").unwrap();
    let t0 = Timestamp::from_unix_seconds(NOON - 10).unwrap();
    let totp = Totp::builder(&secret).t0(t0).build().unwrap();
    let (time, attempt) = (Arc::new(SimTime::new(at(0))), |code| Attempt::one(code));
    let gate = Validator::builder(Arc::new(MemoryStore::new()), time.clone()).build().unwrap();
    let token = Token::new(TokenId::new("young").unwrap(), totp.clone());
    for second in [-HOUR, -11, -10, -5] {
        time.set(Ok(at(second)));
        let _ = block_on(gate.enrol(&token, &attempt(totp.code_at(TimeStep::ZERO))));
        let _ = block_on(gate.validate(Some(&token), &attempt(totp.code_at(TimeStep::ZERO))));
    }
    time.set(Ok(at(25)));
    let next = attempt(totp.code_at(TimeStep::new(1).unwrap()));
    assert!(
        block_on(gate.validate(Some(&token), &next)).is_accepted(),
        "it was enrolled as soon as it had a step"
    );
}

#[test]
fn no_debug_text_of_anything_shows_the_secret() {
    let secret = Secret::from_bytes(b"12345678901234567890").unwrap();
    let uri = OtpauthUri::builder("ada", secret.clone()).build().unwrap();
    let service = Service::enrolled(0, 1);
    let attempt = Attempt::one(shown(0));
    let shown = format!(
        "{secret:?} {:?} {:?} {uri:?} {:?} {attempt:?} {:?}",
        totp(),
        service.token,
        service.gate,
        service.show(&attempt)
    );
    let code = totp().code_at(TimeStep::new(NOON / PERIOD).unwrap()).expose().to_string();
    for text in ["1234567890", "GEZDGNBV", "313233", "[49, 50, 51", &code] {
        assert!(!shown.contains(text), "{text} in {shown}");
    }
    assert!(shown.contains("Totp") && shown.contains("owner"), "{shown}");
}

// --- A relayed code --------------------------------------------------------------------------------------------

/// The last second at which what the token shows now is let in. A token that is ahead shows now what one that is right shows then: the
/// second centre takes it for that.
fn last_moment(ahead: i64, service: impl Fn() -> Service) -> i64 {
    let accepted = |after: i64| {
        let mut service = service();
        service.pass(after);
        service.log_in(after).is_ok()
    };
    let most = ahead.max(0) + 120;
    assert!(!accepted(most + 1), "{ahead} s ahead");
    (30..=most).rev().find(|after| accepted(*after)).unwrap()
}

/// A phisher has the code that the owner typed, and shows it as late as it is let in. That is as old as it can be, so it teaches as much
/// as one code can; the owner, who knows nothing of it, gets in with the next one, however long it takes to type.
#[test]
fn a_code_relayed_at_the_last_moment_costs_the_owner_no_login() {
    let (mut most, mut logins) = (0, 0);
    for ahead in [-250, -40, 0, 13, 100, 280] {
        for (before, phase) in [(1, 0), (1, 29), (4, 11), (10, 3), (10, 20)] {
            let start = || {
                let mut service = Service::enrolled(ahead, before);
                service.pass(DAY - service.now.rem_euclid(PERIOD) + phase);
                service
            };
            let late = last_moment(ahead, start);
            most = most.max(late);
            for (pause, typing) in
                [(30, 0), (30, 25), (61, 3), (HOUR, 12), (DAY, 1), (3 * DAY, 25), (10 * DAY, 8)]
            {
                let mut service = start();
                service.pass(late);
                service.log_in(late).unwrap();
                // At least the next code: the relayed one is used.
                service.pass(pause);
                let login = service.log_in(typing);
                assert!(login.is_ok(), "{ahead} s ahead, {before} logins, after {pause} s: {login:?}");
                logins += 1;
            }
        }
    }
    assert_eq!(logins, 6 * 5 * 7);
    assert!(most >= 60, "the last moment is late enough to matter: {most} s");
}

// --- A borrowed phone --------------------------------------------------------------------------------------------

/// Codes of the next hour, each by its step.
const HARVESTED: Range<i64> = 1..120;

#[test]
fn harvested_codes_are_not_let_in_before_their_time() {
    for phase in (0..PERIOD).step_by(7) {
        for steps in 3..120 {
            let mut service = Service::enrolled(0, 10);
            service.pass(phase);
            let early = Attempt::one(shown(service.now + steps * PERIOD));
            let refused = service.show(&early).unwrap_err();
            assert!(matches!(refused.reason(), Reason::Wrong), "{steps} steps ahead: {refused:?}");
        }
    }
}

/// What is possible: whoever has a code of a step is as good as the phone at that step.
#[test]
fn harvested_codes_are_let_in_at_their_time_if_the_owner_was_not() {
    let mut service = Service::enrolled(0, 10);
    let harvested = Attempt::one(shown(service.now + HOUR));
    service.pass(HOUR + 5);
    service.show(&harvested).unwrap();
    // And no more often: of an hour's codes each lets somebody in once.
    assert!(matches!(service.show(&harvested).unwrap_err().reason(), Reason::Replay));
}

#[test]
fn harvested_codes_are_dead_once_the_owner_has_logged_in_later() {
    let mut service = Service::enrolled(0, 10);
    let harvested: Vec<Attempt> =
        HARVESTED.map(|step| Attempt::one(shown(service.now + step * PERIOD))).collect();
    service.pass(HOUR + PERIOD);
    service.log_in(2).unwrap();
    for attempt in &harvested[harvested.len() - 2..] {
        assert!(service.show(attempt).is_err());
    }
    let mut accepted = 0;
    for attempt in &harvested {
        accepted += u32::from(service.show(attempt).is_ok());
        // So that none is refused for want of a budget.
        service.pass(DAY);
    }
    assert_eq!(accepted, 0);
}

/// A token that is right, as its store knows it, and the real decisions: whoever shows codes here knows which would be let in.
struct Known {
    row: Row,
    /// In seconds since noon.
    now: i64,
}

impl Known {
    /// Used once a day for so many days, half a year ago the first time.
    fn after(logins: i64) -> Self {
        let drift = Drift::from_parts(SignedDuration::ZERO, 124_000_000_000_000, at(0).latest(), None);
        let state = TokenState { epoch: 0, watermark: None, nonce: [0; 8], drift };
        let row = Row { token: Some(state), budget: Some(Budget::full(at(0).earliest())) };
        let mut known = Self { row, now: 0 };
        for day in 1..=logins {
            known.now = day * DAY + 7 * day;
            known.show(known.step(-5 - day % 10)).unwrap();
        }
        known.now += DAY;
        known
    }

    /// Shown so many seconds after now.
    fn step(&self, after: i64) -> i64 {
        (NOON + self.now + after).div_euclid(PERIOD)
    }

    fn standing(&self) -> Standing {
        Standing { token: self.row.token.unwrap(), budget: self.row.budget.unwrap(), not_before: None }
    }

    /// Shows the code of a step, unless it would be wrong.
    fn show(&mut self, step: i64) -> Option<()> {
        let (standing, policy) = (self.standing(), Policy::default());
        let admission = admit(&standing, &policy, &totp(), &at(self.now), Purpose::LogIn, 1).ok()?;
        let step = TimeStep::new(step).filter(|step| admission.window().contains(*step))?;
        let fresh = Some(step).filter(|step| Some(*step) > admission.watermark())?;
        let found = admission.found(Match { fresh: Some(fresh), replayed: false, right_at_best: 1 });
        let Decision::Accept { first, step, drift } = judge(&admission, &found) else { return None };
        let acceptance = Acceptance {
            first,
            step,
            drift,
            epoch: 0,
            seen: Seen::default(),
            nonce: [0; 8],
            failure_limit: u32::MAX,
            authenticates: true,
        };
        (Change::Accept(acceptance).apply(&mut self.row, Seen::default()) == Written::Done).then_some(())
    }
}

/// Each harvested code, shown as early as it is let in, teaches that the token is ahead of what it was.
#[test]
fn harvested_codes_shown_early_keep_the_owner_out_for_minutes() {
    for logins in [0, 1, 3, 10, 30] {
        let mut known = Known::after(logins);
        let (begin, mut next, mut lead, mut shown) = (known.now, known.step(0) + 1, 0, 0);
        let last = next + 120;
        while known.now < begin + HOUR && next <= last {
            // The furthest that is let in.
            if let Some(step) = (next..=last.min(next + 8)).rev().find(|step| known.show(*step).is_some()) {
                lead = lead.max(step * PERIOD - NOON - known.now);
                next = step + 1;
                shown += 1;
            }
            known.now += 1;
        }
        let end = known.now;
        while known.show(known.step(-5)).is_none() {
            known.now += 1;
        }
        assert!(shown >= 100, "{logins} logins: {shown} shown");
        assert!((60..=125).contains(&lead), "{logins} logins: {lead} s ahead");
        assert!(known.now - end <= 200, "{logins} logins: {} s", known.now - end);
    }
}

/// Nor does a resynchronisation take it further in leaps: that takes eleven minutes each, and an authentication besides. At the end the
/// owner waits no longer than until the last harvested code has had its time.
#[test]
fn harvested_codes_in_resynchronisations_keep_the_owner_out_for_no_longer_than_their_hour() {
    let mut service = Service::enrolled(0, 10);
    let begin = service.now;
    let last = begin + HOUR;
    let (mut leaps, mut lead) = (0, 0);
    while service.now < last {
        // The furthest that is let in.
        let pairs = (service.now..=last).rev().step_by(30);
        for second in pairs.filter(|second| second - service.now <= 1_200) {
            match block_on(service.gate.resynchronise(&service.token, &pair(second))) {
                Ok(_) => {
                    leaps += 1;
                    lead = lead.max(second - service.now);
                    break;
                }
                Err(refused) if matches!(refused.reason(), Reason::Wrong) => {}
                Err(_) => break,
            }
        }
        service.pass(60);
    }
    assert!((2..=6).contains(&leaps), "{leaps}");
    assert!((600..=1_200).contains(&lead), "{lead} s ahead");
    // Out while it goes on; now the newest used code is that of an hour's end.
    let wait = (0..HOUR).find(|_| {
        let login = service.log_in(5);
        service.pass(1);
        login.is_ok()
    });
    assert!(wait.is_some_and(|wait| wait <= 60), "{wait:?} s");
}

// --- A million tokens --------------------------------------------------------------------------------------------

/// The chance with which one of the attempts of a day on one token is right, for each day, where as much is guessed as is admitted.
fn sprayed(days: i64) -> Vec<Vec<Odds>> {
    let mut known = Known::after(30);
    let begin = known.now;
    let mut each_day = vec![Vec::new(); usize::try_from(days).unwrap()];
    while known.now < begin + days * DAY {
        let (standing, policy) = (known.standing(), Policy::default());
        if let Ok(admission) = admit(&standing, &policy, &totp(), &at(known.now), Purpose::LogIn, 1) {
            let nothing = admission.found(Match { fresh: None, replayed: false, right_at_best: 0 });
            let Decision::Wrong { failure, .. } = judge(&admission, &nothing) else { panic!("it is wrong") };
            let day = usize::try_from((known.now - begin) / DAY).unwrap();
            each_day[day].push(Odds::of_guess(admission.window().width(), 2_148, 1));
            assert_eq!(Change::Fail(failure).apply(&mut known.row, Seen::default()), Written::Done);
        } else {
            known.now += 60;
        }
    }
    each_day
}

/// All tokens are alike until one is guessed, so one is attacked by the real decisions, and dice fall for each of a million.
#[test]
fn a_million_tokens_sprayed_lose_fifty_on_the_first_day_and_twenty_on_each_after() {
    const TOKENS: u32 = 1_000_000;
    let mut dice = fastrand::Rng::with_seed(11);
    let (mut expected, mut fallen) = (Vec::new(), Vec::new());
    for attempts in sprayed(5) {
        // In thousandths: a million times what is counted in 10⁻¹⁸.
        expected.push(attempts.iter().map(|odds| odds.as_e18()).sum::<u64>() / 1_000_000_000);
        fallen.push((0..TOKENS).filter(|_| attempts.iter().any(|odds| dice.u64(..) < odds.units())).count());
    }
    assert!((45_000..=50_000).contains(&expected[0]), "{expected:?}");
    assert!(expected[1..].iter().all(|day| (18_000..=22_000).contains(day)), "{expected:?}");
    // Five standard deviations: the dice are always the same, the decisions may change.
    assert!((13..=83).contains(&fallen[0]), "{fallen:?} of {expected:?}");
    assert!((35..=125).contains(&fallen[1..].iter().sum::<usize>()), "{fallen:?} of {expected:?}");
}

#[test]
fn a_ceiling_bounds_what_a_spray_finds() {
    // A thousandth of a break-in a day: some three hundred wrong codes.
    let per_day = Odds::from_e12(1_000_000_000);
    let mut service = Service::with(0, |gate| gate.ceiling(per_day));
    let tokens: Vec<Token> = (0..200).map(|number| token(&format!("user-{number}"))).collect();
    for token in tokens.iter().chain([&service.token]) {
        block_on(service.gate.enrol(token, &Attempt::one(shown(-5)))).unwrap();
    }
    let wrong = Attempt::parse("000000").unwrap();
    for hour in 0..48 {
        service.set(hour * HOUR + 60);
        for token in &tokens {
            assert!(!block_on(service.gate.validate(Some(token), &wrong)).is_accepted());
        }
    }
    // A day's worth at once, and two days'; and the last code each time, which is paid for when it is wrong.
    let spent = service.gate.totals().price_e15;
    assert!((2_900_000_000_000..=3_100_000_000_000).contains(&spent), "{spent} e-15");
    let refused = service.log_in(5).unwrap_err();
    assert!(matches!(refused.reason(), Reason::CeilingReached { count: 2 }), "{refused:?}");
    assert_eq!(refused.advice(), Advice::ShowConsecutive(2));
    service.show(&pair(service.now - 5)).unwrap();
}
