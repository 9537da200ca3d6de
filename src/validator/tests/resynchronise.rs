use super::*;

/// Four minutes ahead, and then set right: what it shows until the time that it had shown before counts as used.
#[test]
fn a_token_that_ran_ahead_and_was_set_right_is_told_how_long_its_codes_are_used() {
    const AHEAD: i64 = 240;
    let service = Service::new(MemoryStore::new());
    service.set(15);
    block_on(service.gate.enrol(&token(), &two(15 + AHEAD))).unwrap();
    service.set(1_005);
    assert!(service.show(&one(1_005 + AHEAD)).is_accepted());
    assert_eq!(service.refusal(&one(1_005 + AHEAD)).advice(), Advice::WaitForNextCode, "its next one is new");
    service.set(1_015);
    // The code of 1005 + 240 is the watermark's: a right clock is above it when that step has ended.
    let free_at = (1_005 + AHEAD) / 30 * 30 + 30;
    let refused = service.refusal(&one(1_015));
    assert!(matches!(refused.reason(), Reason::Replay));
    let Advice::RetryAfter(wait) = refused.advice() else { panic!("{:?}", refused.advice()) };
    assert_eq!(i64::try_from(wait.as_secs()).unwrap(), free_at - 1_015);
    // A reset changes none of that: what could have been used by a clock that is so far ahead stays used.
    block_on(service.gate.reset(&token())).unwrap();
    assert_eq!(service.refusal(&one(1_015)).advice(), refused.advice());
    service.set(free_at - 40);
    let late = service.refusal(&one(free_at - 40));
    assert!(matches!(late.advice(), Advice::RetryAfter(wait) if wait < Duration::from_secs(41)), "{late:?}");
    service.set(free_at - 20);
    assert_eq!(service.refusal(&one(free_at - 20)).advice(), Advice::WaitForNextCode);
    service.set(free_at + 5);
    assert!(service.show(&one(free_at + 5)).is_accepted());
}
use crate::window::RESYNCHRONISATION_SLACK;

/// A token whose clock somebody has set ahead since it was enrolled.
fn resynchronise(service: &Service<MemoryStore>, attempt: &Attempt) -> Result<Resynchronised, Refused> {
    block_on(service.gate.resynchronise(&token(), attempt))
}

#[test]
fn two_codes_teach_the_clock_and_the_next_one_logs_in() {
    for off in [-290, -100, 100, 290] {
        let service = service();
        service.set(10);
        assert!(!service.show(&one(10 + off)).is_accepted(), "{off}: out of reach");
        let taught = resynchronise(&service, &two(10 + off)).unwrap();
        assert_eq!(taught.events[0].outcome, Outcome::Resynchronised);
        assert_eq!(service.state().watermark, Some(taught.step));
        assert!(
            (taught.drift.mean() - SignedDuration::from_secs(off)).unsigned_abs() < Duration::from_secs(40)
        );
        // Neither of them lets in, now or ever.
        for used in [one(10 + off), one(off - 20), two(10 + off)] {
            assert!(!service.show(&used).is_accepted(), "{off}");
        }
        service.set(40);
        assert!(service.show(&one(40 + off)).is_accepted(), "{off}");
    }
}

#[test]
fn what_lies_beyond_the_reach_is_wrong_and_pays() {
    for off in [-420, 420] {
        let service = service();
        service.set(10);
        let before = service.budget();
        let refused = resynchronise(&service, &two(10 + off)).unwrap_err();
        assert!(matches!(refused.reason(), Reason::Wrong), "{off}");
        assert_ne!(service.budget(), before);
    }
}

#[test]
fn one_code_is_too_few_and_costs_nothing() {
    let service = service();
    service.set(10);
    let before = service.budget();
    let refused = resynchronise(&service, &one(110)).unwrap_err();
    assert_eq!(refused.advice(), Advice::ShowConsecutive(2));
    assert_eq!(service.budget(), before);
}

/// A phone that was borrowed for a moment shows codes of the whole next hour to who sets its clock. They must not be used up in leaps.
#[test]
fn a_token_is_moved_once_in_a_while_only() {
    let service = service();
    service.set(10);
    assert!(resynchronise(&service, &two(250)).is_ok());
    let refused = resynchronise(&service, &two(500)).unwrap_err();
    let Reason::TooEarlyToResynchronise { retry_after } = *refused.reason() else { panic!("{refused:?}") };
    assert_eq!(refused.advice(), Advice::RetryAfter(retry_after));
    assert!(retry_after > 2 * RESYNCHRONISATION_SLACK && retry_after < 3 * RESYNCHRONISATION_SLACK);
    let then = 10 + i64::try_from(retry_after.as_secs()).unwrap() + 1;
    service.set(then - 10);
    assert!(resynchronise(&service, &two(then + 250)).is_err());
    service.set(then);
    assert!(resynchronise(&service, &two(then + 500)).is_ok());
}

#[test]
fn a_clock_of_the_future_does_not_forbid_it_for_as_long() {
    let service = service();
    service.set(7 * 86_400);
    assert!(service.show(&one(7 * 86_400)).is_accepted());
    block_on(service.gate.reset(&token())).unwrap();
    service.set(10);
    block_on(service.gate.reset(&token())).unwrap();
    service.set(40);
    assert!(resynchronise(&service, &two(240)).is_ok());
}

#[test]
fn it_ends_no_row_of_failures_and_a_locked_account_is_not_taught() {
    let limited = Policy::default().with_failure_limit(std::num::NonZeroU32::new(2));
    let service = Service::enrolled(faults::Scripted::default());
    let gate =
        Validator::builder(service.store.clone(), service.time.clone()).policy(limited).build().unwrap();
    service.set(10);
    assert!(!service.show(&wrong()).is_accepted());
    assert!(block_on(gate.resynchronise(&token(), &two(110))).is_ok());
    assert_eq!(service.budget().failures(), 1);
    assert!(!service.show(&wrong()).is_accepted());
    service.set(2_000);
    let refused = block_on(gate.resynchronise(&token(), &two(2_000))).unwrap_err();
    assert!(matches!(refused.reason(), Reason::Locked { failures: 2 }));
    assert_eq!(refused.advice(), Advice::TellOperator);
}

#[test]
fn nobody_is_resynchronised_who_is_not_enrolled() {
    let service = Service::new(MemoryStore::new());
    let refused = block_on(service.gate.resynchronise(&token(), &two(0))).unwrap_err();
    assert!(matches!(refused.reason(), Reason::NotEnrolled));
    assert_eq!(block_on(service.store.load(token().key())).unwrap().row.token, None);
}

/// Two intervals that both hold true time: what one host has learned is later than anything that the other believes.
#[test]
fn another_host_s_clock_forgets_no_move() {
    for (one, other) in [((11, 1), (9, 1)), ((40, 35), (7, 1))] {
        let service = service();
        let known = |(middle, half_width): (i64, u64)| {
            let middle = Timestamp::from_unix_seconds(NOON + middle).unwrap();
            service.time.set(Ok(TimeInterval::around(middle, Duration::from_secs(half_width))));
        };
        known(one);
        assert!(resynchronise(&service, &two(one.0 + 240)).is_ok());
        known(other);
        let refused = resynchronise(&service, &two(other.0 + 500)).unwrap_err();
        assert!(matches!(refused.reason(), Reason::TooEarlyToResynchronise { .. }), "{refused:?}");
    }
}

/// Beyond that it would be learned to be somewhere else than where it is, and its own used codes would be above a reset's watermark.
#[test]
fn no_token_is_moved_beyond_what_any_may_be_off() {
    let service = Service::new(MemoryStore::new());
    service.set(0);
    let known = Imported { last_used: TimeStep::new(1), ahead: Some(SignedDuration::from_secs(3_580)) };
    block_on(service.gate.enrol_imported(&token(), known)).unwrap();
    service.set(3_000);
    assert!(matches!(resynchronise(&service, &two(3_000 + 3_880)).unwrap_err().reason(), Reason::Wrong));
}
