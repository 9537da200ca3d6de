use super::*;
use crate::block_on;
use crate::otp::{Code, Secret, TimeStep, Totp};
use crate::store::{MemoryStore, Replaced, StoreError};
use crate::time::sim::SimTime;
use crate::time::{SignedDuration, TimeError, TimeInterval, Timestamp};
use crate::token::{Bucket, Budget, Charge, Odds, TokenId, TokenKey, TokenState};
use crate::window::WindowPolicy;
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

mod abandoned;
mod administer;
mod faults;
mod guesses;
mod health;
mod imported;
mod laws;
mod meanwhile;
mod renew;
mod resynchronise;
mod steam;

/// The beginning of a step.
const NOON: i64 = 1_780_315_200;

fn at(second: i64) -> TimeInterval {
    TimeInterval::around(Timestamp::from_unix_seconds(second).unwrap(), Duration::from_millis(10))
}

fn totp() -> Totp {
    Totp::builder(&Secret::from_bytes(b"12345678901234567890").unwrap()).build().unwrap()
}

fn token() -> Token {
    Token::new(TokenId::new("user-42").unwrap(), totp())
}

/// The code that a right clock shows so many seconds after noon.
fn shown(second: i64) -> Code {
    totp().code_at(TimeStep::new((NOON + second).div_euclid(30)).unwrap())
}

fn one(second: i64) -> Attempt {
    Attempt::one(shown(second))
}

fn two(second: i64) -> Attempt {
    Attempt::consecutive([shown(second - 30), shown(second)]).unwrap()
}

fn wrong() -> Attempt {
    Attempt::parse("000000").unwrap()
}

/// A service: simulated time, a store, a validator.
struct Service<S> {
    time: Arc<SimTime>,
    store: Arc<S>,
    gate: Validator,
}

impl<S: StateStore + 'static> Service<S> {
    fn new(store: S) -> Self {
        let (time, store) = (Arc::new(SimTime::new(at(NOON))), Arc::new(store));
        let gate = Validator::builder(store.clone(), time.clone()).build().unwrap();
        Self { time, store, gate }
    }

    /// Enrolled a quarter of an hour before noon.
    fn enrolled(store: S) -> Self {
        let service = Self::new(store);
        service.set(-900);
        block_on(service.gate.enrol(&token(), &one(-910))).unwrap();
        service.set(0);
        service
    }

    fn set(&self, second: i64) {
        self.time.set(Ok(at(NOON + second)));
    }

    fn show(&self, attempt: &Attempt) -> Verdict {
        block_on(self.gate.validate(Some(&token()), attempt))
    }

    fn refusal(&self, attempt: &Attempt) -> Refused {
        match self.show(attempt) {
            Verdict::Refused(refused) => refused,
            Verdict::Accepted(accepted) => panic!("{accepted:?}"),
        }
    }

    fn state(&self) -> TokenState {
        block_on(self.store.load(token().key())).unwrap().row.token.unwrap()
    }

    fn budget(&self) -> Budget {
        block_on(self.store.load(token().key())).unwrap().row.budget.unwrap()
    }
}

fn service() -> Service<MemoryStore> {
    Service::enrolled(MemoryStore::new())
}

#[test]
fn a_right_code_is_accepted_once() {
    let service = service();
    service.set(10);
    let Verdict::Accepted(accepted) = service.show(&one(0)) else { panic!() };
    assert_eq!(Some(accepted.step), TimeStep::new(NOON / 30));
    assert_eq!(service.state().watermark, Some(accepted.step));
    assert_eq!(service.state().drift, accepted.drift);
    let again = service.refusal(&one(0));
    assert!(matches!(again.reason(), Reason::Replay));
    assert_eq!(again.advice(), Advice::WaitForNextCode);
    service.set(35);
    assert!(service.show(&one(30)).is_accepted());
}

/// No single use: CVE-2025-43798 (Liferay), CVE-2026-33473 (Vikunja).
#[test]
fn a_used_code_stays_used_for_as_long_as_any_window_could_reach_it() {
    // As early as it is let in, and shown again in a pair, whose window is ten minutes wider.
    let used_at = |second| {
        let service = service();
        service.set(second);
        service.show(&one(0)).is_accepted().then_some((second, service))
    };
    let (early, service) = (-120..=0).find_map(used_at).unwrap();
    assert!(early < 0, "{early}");
    for second in -20..800 {
        service.set(second);
        for used in [one(0), two(0)] {
            assert!(!service.show(&used).is_accepted(), "{second} s");
        }
    }
}

/// The clock is set back and used codes work again (NodeLite#46).
#[test]
fn a_clock_that_is_set_back_brings_no_used_code_back() {
    let service = service();
    for second in [10, 3_610] {
        service.set(second);
        assert!(service.show(&one(second)).is_accepted());
    }
    service.set(15);
    for second in [10, 15, 40, 3_610] {
        assert!(
            matches!(service.refusal(&one(second)).reason(), Reason::WatermarkAhead { .. }),
            "{second} s"
        );
    }
    service.set(3_640);
    assert!(service.show(&one(3_640)).is_accepted(), "and the next fresh code is let in");
}

/// Two adjacent steps with equal codes: the first match rejects a fresh code (Trilium#11448).
#[test]
fn equal_adjacent_codes_are_accepted_as_the_newer_step() {
    let second = 62_075_368 * 30 - NOON;
    let (older, newer) = (TimeStep::new(62_075_368).unwrap(), TimeStep::new(62_075_369).unwrap());
    assert_eq!(*totp().code_at(older).expose(), *totp().code_at(newer).expose());

    let service = Service::new(MemoryStore::new());
    service.set(second - 900);
    block_on(service.gate.enrol(&token(), &one(second - 910))).unwrap();
    // Used at the older step, and fresh at the newer one.
    service.set(second + 5);
    assert!(service.show(&one(second + 5)).is_accepted());
    assert_eq!(service.state().watermark, Some(older));
    service.set(second + 35);
    assert!(service.show(&one(second + 35)).is_accepted());
    assert_eq!(service.state().watermark, Some(newer));
    assert!(matches!(service.refusal(&one(second + 35)).reason(), Reason::Replay));
}

/// The compared code is normalised, the remembered one isn't: CVE-2025-6014 (Vault), CVE-2025-55003 (OpenBao).
#[test]
fn another_spelling_of_a_used_code_is_the_used_code() {
    let service = service();
    service.set(10);
    let text = shown(0).expose().to_string();
    let (left, right) = text.split_at(3);
    assert!(service.show(&Attempt::parse(&text).unwrap()).is_accepted());
    for spelling in [format!(" {text}\n"), format!("{left} {right}"), format!("{left}-{right}")] {
        let attempt = Attempt::parse(&spelling).unwrap();
        assert!(matches!(service.refusal(&attempt).reason(), Reason::Replay), "{spelling:?}");
    }
}

/// The failure counter rolls back with the failed transaction: CVE-2026-35597 (Vikunja).
#[test]
fn what_a_wrong_code_paid_stays_paid() {
    let service = service();
    service.set(10);
    let before = service.budget();
    let refused = service.refusal(&wrong());
    assert!(matches!(refused.reason(), Reason::Wrong));
    let paid = refused.events()[0].price;
    let charge = Charge { bucket: Bucket::Blind, cost: paid };
    let owed = before.charge(charge, service.time.now().unwrap().earliest());
    assert_eq!(service.budget(), owed.one_more_failure());
    assert!(service.show(&one(10)).is_accepted());
    assert!(matches!(service.refusal(&one(10)).reason(), Reason::Replay));
    assert_eq!(service.budget(), owed, "neither a success nor a replay changes it");
}

/// Throttling without locking the owner out (privacyidea#3741).
#[test]
fn a_flood_of_wrong_codes_does_not_lock_the_owner_out() {
    let service = service();
    service.set(10);
    let mut wrongs = 0;
    while matches!(service.refusal(&wrong()).reason(), Reason::Wrong) {
        wrongs += 1;
    }
    assert!((2..20).contains(&wrongs), "{wrongs}");
    let refused = service.refusal(&one(10));
    assert!(matches!(refused.reason(), Reason::ConsecutiveCodesNeeded { count: 2 }));
    assert_eq!(refused.advice(), Advice::ShowConsecutive(2));
    assert!(service.show(&two(10)).is_accepted());
}

/// A forged future time lets a code be harvested, and accepting it pushes the watermark ahead of the owner.
#[test]
fn a_code_of_the_future_is_not_accepted_before_its_time_and_not_after_a_forged_one() {
    let service = service();
    service.set(10);
    assert!(matches!(service.refusal(&one(600)).reason(), Reason::Wrong));
    service.set(600);
    assert!(service.show(&one(600)).is_accepted(), "this host was made to believe it");
    service.set(20);
    let refused = service.refusal(&one(20));
    let Advice::RetryAfter(wait) = refused.advice() else { panic!("{refused:?}") };
    assert!((Duration::from_secs(590)..Duration::from_secs(620)).contains(&wait), "{wait:?}");
    // The drift is known to some seconds: a step later, to be sure, and a few seconds to read and type the code.
    let then = 20 + i64::try_from(wait.as_secs()).unwrap() + 30;
    service.set(then + 10);
    assert!(service.show(&one(then)).is_accepted(), "{wait:?}");
}

/// And a wrong code of then leaves a budget that will be full a month from now.
#[test]
fn what_was_charged_by_a_forged_future_is_named_and_not_payable() {
    const MONTH: i64 = 30 * 86_400;
    let service = service();
    service.set(10 + MONTH);
    assert!(matches!(service.refusal(&wrong()).reason(), Reason::Wrong));
    service.set(20);
    for attempt in [one(10), two(10)] {
        let refused = service.refusal(&attempt);
        let Reason::BudgetAhead { retry_after } = *refused.reason() else { panic!("{refused:?}") };
        assert!(retry_after > Duration::from_secs(24 * 86_400), "{retry_after:?}");
        assert_eq!(refused.advice(), Advice::TellOperator);
        assert_eq!(refused.events()[0].outcome.name(), "budget_ahead");
    }
    service.set(20 + MONTH);
    assert!(service.show(&two(10 + MONTH)).is_accepted(), "or by then");
}

#[test]
fn no_time_no_verdict_on_a_code() {
    let service = service();
    service.time.set(Err(TimeError::NotMeasured));
    let refused = service.refusal(&one(0));
    assert!(matches!(refused.reason(), Reason::ClockUntrusted(ClockFault::Unknown(TimeError::NotMeasured))));
    assert_eq!(refused.advice(), Advice::TellOperator);
    let noon = Timestamp::from_unix_seconds(NOON).unwrap();
    service.time.set(Ok(TimeInterval::around(noon, Duration::from_secs(60))));
    assert!(matches!(service.refusal(&one(0)).reason(), Reason::ClockUntrusted(ClockFault::TooUncertain(_))));
}

/// Its own clock is known, this host's isn't: nothing is looked for, and nothing is charged.
#[test]
fn a_clock_too_poor_for_one_code_of_a_token_that_is_elsewhere_asks_for_two() {
    let service = Service::new(MemoryStore::new());
    service.set(0);
    let known = Imported { last_used: TimeStep::new(1), ahead: Some(SignedDuration::from_secs(240)) };
    block_on(service.gate.enrol_imported(&token(), known)).unwrap();
    service.set(10);
    assert!(service.show(&one(250)).is_accepted(), "with a good clock");
    let before = service.budget();
    let middle = Timestamp::from_unix_seconds(NOON + 100).unwrap();
    service.time.set(Ok(TimeInterval::around(middle, Duration::from_secs(35))));
    let refused = service.refusal(&one(340));
    assert!(
        matches!(refused.reason(), Reason::ClockUntrusted(ClockFault::TooUncertainForOne(_))),
        "{refused:?}"
    );
    assert_eq!(refused.advice(), Advice::ShowConsecutive(2));
    assert_eq!(service.budget(), before);
    assert!(service.show(&two(340)).is_accepted());
}

/// The first minutes after a store was emptied: what else is wrong hides it from nobody.
#[test]
fn a_missing_state_is_named_whatever_else_is_refused() {
    let service = Service::new(MemoryStore::new());
    block_on(service.gate.restored()).unwrap();
    let refused = service.refusal(&one(0));
    assert!(matches!(refused.reason(), Reason::NotEnrolled), "{refused:?}");
    service.time.set(Err(TimeError::NotMeasured));
    assert_eq!(service.refusal(&one(0)).events()[0].outcome, Outcome::StateMissing);
}

#[test]
fn only_enrolment_makes_a_state() {
    let service = Service::new(MemoryStore::new());
    let refused = service.refusal(&one(0));
    assert!(matches!(refused.reason(), Reason::NotEnrolled));
    assert_eq!(refused.events()[0].outcome, Outcome::StateMissing);
    assert_eq!(block_on(service.store.load(token().key())).unwrap().row.token, None);
}

#[test]
fn an_unknown_user_is_refused_like_one_who_typed_a_wrong_code() {
    let service = service();
    service.set(10);
    let Verdict::Refused(unknown) = block_on(service.gate.validate(None, &wrong())) else { panic!() };
    assert_eq!(unknown.advice(), service.refusal(&wrong()).advice());
    let event = &unknown.events()[0];
    assert_eq!((event.outcome, &event.token, event.price), (Outcome::UnknownToken, &None, Odds::ZERO));
}

#[test]
fn enrolment_learns_as_far_as_its_codes_pay_for() {
    for (off, needed) in [(0, 1), (-15, 1), (-25, 1), (90, 2), (-580, 2), (640, 3), (-3_500, 3)] {
        let codes =
            |count: i64| Attempt::consecutive((0..count).rev().map(|back| shown(off - 30 * back))).unwrap();
        for count in 1..=3 {
            let service = Service::new(MemoryStore::new());
            let enrolled = block_on(service.gate.enrol(&token(), &codes(count)));
            if count < needed {
                assert!(matches!(enrolled, Err(EnrolError::NoMatch { .. })), "{off} s with {count}");
            } else {
                let learned = enrolled.unwrap().drift.mean() - SignedDuration::from_secs(off);
                assert!(learned.unsigned_abs() <= Duration::from_secs(26), "{off} s with {count}: {learned}");
                // The code of enrolment is used, and the next one is found where it belongs.
                assert!(matches!(service.refusal(&codes(1)).reason(), Reason::Replay));
                service.set(70);
                assert!(service.show(&one(70 + off - 5)).is_accepted(), "{off} s with {count}");
            }
        }
    }
}

#[test]
fn a_token_is_enrolled_once_and_starts_half_full_where_the_store_forgets() {
    let service = service();
    let before = service.state();
    assert!(matches!(block_on(service.gate.enrol(&token(), &one(0))), Err(EnrolError::AlreadyEnrolled)));
    assert_eq!(service.state(), before);
    let enrolled_at = at(NOON - 900).earliest();
    assert_eq!(service.budget(), Budget::half_full(enrolled_at));
}

#[test]
fn enrolment_needs_the_time_and_a_token_that_can_be_validated() {
    let service = Service::new(MemoryStore::new());
    let noon = Timestamp::from_unix_seconds(NOON).unwrap();
    service.time.set(Ok(TimeInterval::around(noon, Duration::from_secs(60))));
    assert!(matches!(
        block_on(service.gate.enrol(&token(), &one(0))),
        Err(EnrolError::ClockUntrusted(ClockFault::TooUncertain(_)))
    ));
    service.set(0);
    let short =
        Totp::builder(&Secret::from_bytes(&[7; 20]).unwrap()).period(Duration::from_secs(1)).build().unwrap();
    let short = Token::new(TokenId::new("short").unwrap(), short);
    assert!(matches!(block_on(service.gate.enrol(&short, &one(0))), Err(EnrolError::TokenUnsuited(_))));
    assert!(service.store.is_empty());
}

#[test]
fn many_threads_and_two_nodes_accept_one_code_once() {
    for round in 0..20 {
        let service = service();
        let other = Validator::builder(service.store.clone(), service.time.clone()).build().unwrap();
        service.set(10 + 60 * round);
        let attempt = one(10 + 60 * round);
        let accepted = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let gate = if thread % 2 == 0 { &service.gate } else { &other };
                let (attempt, accepted) = (&attempt, &accepted);
                scope.spawn(move || {
                    if block_on(gate.validate(Some(&token()), attempt)).is_accepted() {
                        accepted.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(accepted.load(Ordering::SeqCst), 1);
    }
}

/// Handlers of multi-threaded runtimes need futures that may move between threads.
#[test]
fn validators_and_their_futures_can_be_sent() {
    fn sent<T: Send>(value: T) -> T {
        value
    }
    fn shared<T: Clone + Send + Sync>(_: &T) {}
    let service = service();
    shared(&service.gate);
    let (token, attempt) = (token(), wrong());
    let verdict = sent(service.gate.validate(Some(&token), &attempt));
    assert!(!block_on(verdict).is_accepted());
    let enrolled = sent(service.gate.enrol(&token, &attempt));
    assert!(block_on(enrolled).is_err());
}
