use super::*;
use crate::otp::Digits;

fn with(period: u64, digits: Digits) -> Token {
    let secret = Secret::from_bytes(b"12345678901234567890").unwrap();
    let totp = Totp::builder(&secret).period(Duration::from_secs(period)).digits(digits).build().unwrap();
    Token::new(TokenId::new("user-42").unwrap(), totp)
}

fn code(token: &Token, second: i64) -> Attempt {
    let time = Timestamp::from_unix_seconds(NOON + second).unwrap();
    Attempt::one(token.totp().code_at(token.totp().step_at(time).unwrap()))
}

fn renew(service: &Service<MemoryStore>, to: &Token, attempt: &Attempt) -> Result<Enrolment, Refused> {
    block_on(service.gate.renew(&token(), to, attempt))
}

fn show(service: &Service<MemoryStore>, token: &Token, attempt: &Attempt) -> Verdict {
    block_on(service.gate.validate(Some(token), attempt))
}

#[test]
fn digits_and_period_change_and_what_was_used_stays_used() {
    for (period, digits) in [(30, Digits::EIGHT), (60, Digits::SIX), (20, Digits::SIX), (45, Digits::SEVEN)] {
        let service = service();
        let to = with(period, digits);
        service.set(10);
        assert!(service.show(&one(10)).is_accepted());
        // The code of the same moment in the new form: it could be the used one with a digit more. Of 20 s, the step in which the
        // used one ended hasn't begun, and isn't looked for yet.
        let refused = renew(&service, &to, &code(&to, 10)).unwrap_err();
        assert!(matches!(refused.reason(), Reason::Replay | Reason::WatermarkAhead { .. }), "{refused:?}");
        service.set(100);
        let renewed = renew(&service, &to, &code(&to, 100)).unwrap();
        assert_eq!(renewed.events[0].outcome, Outcome::Renewed);
        assert!(!show(&service, &to, &code(&to, 100)).is_accepted());
        let next = 100 + i64::try_from(period).unwrap();
        service.set(next);
        assert!(show(&service, &to, &code(&to, next)).is_accepted(), "{period}");
    }
}

#[test]
fn a_wrong_code_changes_nothing_but_the_budget() {
    let service = service();
    service.set(10);
    let (before, budget) = (service.state(), service.budget());
    let refused = renew(&service, &with(60, Digits::SIX), &wrong()).unwrap_err();
    assert!(matches!(refused.reason(), Reason::Wrong));
    assert_eq!(service.state(), before);
    assert_ne!(service.budget(), budget);
    assert!(service.show(&one(10)).is_accepted());
}

/// What is burnt is burnt in the steps in which the row counts, which are the old ones.
#[test]
fn half_of_a_pair_burns_what_the_old_token_shows_then_and_no_more() {
    let service = service();
    let to = with(20, Digits::SIX);
    service.set(50);
    let time = |second| to.totp().step_at(Timestamp::from_unix_seconds(NOON + second).unwrap()).unwrap();
    let half = [Code::parse("000000").unwrap(), to.totp().code_at(time(50))];
    let refused = renew(&service, &to, &Attempt::consecutive(half).unwrap()).unwrap_err();
    assert!(matches!(refused.reason(), Reason::Wrong));
    assert!(!service.show(&one(50)).is_accepted());
    service.set(80);
    assert!(service.show(&one(80)).is_accepted());
}

/// Steps that don't begin together: what is dead in the old ones reaches into the new ones, and back.
#[test]
fn whoever_mistypes_one_of_the_codes_of_a_renewal_gets_in_soon_after() {
    for (period, t0) in [(60, 0), (45, 0), (20, 0), (40, 0), (30, 15), (30, 7), (60, 15), (31, 0)] {
        let service = service();
        service.set(1);
        assert!(service.show(&one(0)).is_accepted());
        let t0 = Timestamp::from_unix_seconds(t0).unwrap();
        let secret = Secret::from_bytes(b"12345678901234567890").unwrap();
        let totp = Totp::builder(&secret).period(Duration::from_secs(period)).t0(t0).build().unwrap();
        let to = Token::new(token().id().clone(), totp);
        let shows = |second: i64| {
            let time = Timestamp::from_unix_seconds(NOON + second).unwrap();
            to.totp().code_at(to.totp().step_at(time).unwrap())
        };
        let length = i64::try_from(period).unwrap();
        let mut second = 2 * length;
        let mut attempts = 0;
        loop {
            let older = shows(second);
            second += length;
            service.set(second);
            let newer = if attempts == 0 { Code::parse("000000").unwrap() } else { shows(second) };
            if renew(&service, &to, &Attempt::consecutive([older, newer]).unwrap()).is_ok() {
                break;
            }
            attempts += 1;
            second += 1;
            assert!(attempts <= 3, "{period} s, T0 {t0}");
        }
    }
}

#[test]
fn a_replacement_is_no_renewal() {
    let service = service();
    service.set(10);
    let other = Token::new(TokenId::new("user-43").unwrap(), totp());
    let shared = token().sharing_budget(TokenId::new("account").unwrap());
    for to in [other, shared] {
        let refused = renew(&service, &to, &one(10)).unwrap_err();
        assert!(matches!(refused.reason(), Reason::TokenUnsuited(TokenFault::AnotherToken)));
    }
    assert!(service.show(&one(10)).is_accepted());
}

/// The caller never heard that it was done, or another request still holds the old row of the user table.
#[test]
fn a_token_that_was_renewed_is_refused_as_it_was_before() {
    let service = service();
    let to = with(60, Digits::SIX);
    service.set(50);
    assert!(service.show(&one(50)).is_accepted());
    service.set(61);
    renew(&service, &to, &code(&to, 61)).unwrap();
    let refused = service.refusal(&one(50));
    assert!(matches!(refused.reason(), Reason::TokenUnsuited(TokenFault::OtherParameters)), "{refused:?}");
    assert!(matches!(block_on(service.gate.reset(&token())), Err(AdministerError::TokenUnsuited(_))));
    // It is done once more, with the codes that come next.
    service.set(130);
    renew(&service, &to, &code(&to, 130)).unwrap();
    service.set(190);
    assert!(show(&service, &to, &code(&to, 190)).is_accepted());
}

/// A used code's step ends in the middle of one of the new steps, whose code is dead with it.
#[test]
fn a_new_step_that_a_used_one_reaches_into_is_dead() {
    let service = service();
    let to = with(20, Digits::SIX);
    service.set(25);
    assert!(service.show(&one(25)).is_accepted());
    assert!(matches!(renew(&service, &to, &code(&to, 25)).unwrap_err().reason(), Reason::Replay));
    service.set(45);
    assert!(renew(&service, &to, &code(&to, 45)).is_ok());
}

#[test]
fn each_enrolment_has_an_epoch_of_its_own() {
    let service = service();
    let before = service.state().epoch;
    service.set(10);
    renew(&service, &with(30, Digits::EIGHT), &code(&with(30, Digits::EIGHT), 10)).unwrap();
    assert_ne!(service.state().epoch >> 16, before >> 16);
}

/// The same numbers, and so the same codes, come round again.
#[test]
fn a_later_t0_brings_no_used_code_back() {
    let service = service();
    service.set(100);
    assert!(service.show(&one(90)).is_accepted());
    let later = Totp::builder(&Secret::from_bytes(b"12345678901234567890").unwrap())
        .t0(Timestamp::from_unix_seconds(120).unwrap())
        .build()
        .unwrap();
    let to = Token::new(token().id().clone(), later.clone());
    let at = |second: i64| Timestamp::from_unix_seconds(NOON + second).unwrap();
    let code = |second| Attempt::one(later.code_at(later.step_at(at(second)).unwrap()));
    service.set(130);
    assert!(block_on(service.gate.renew(&token(), &to, &code(125))).is_err(), "not before it shows new ones");
    service.set(245);
    assert!(block_on(service.gate.renew(&token(), &to, &code(245))).is_ok());
    assert!(!block_on(service.gate.validate(Some(&to), &one(90))).is_accepted());
    service.set(275);
    assert!(block_on(service.gate.validate(Some(&to), &code(275))).is_accepted());
}
