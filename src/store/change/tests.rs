use super::*;
use crate::time::SignedDuration;
use crate::token::{Bucket, Odds};

const NOW: Timestamp = Timestamp::from_unix_nanos(1_780_000_000_000_000_000);

fn step(number: i64) -> TimeStep {
    TimeStep::new(number).unwrap()
}

fn state() -> TokenState {
    let drift = Drift::from_parts(SignedDuration::ZERO, 1, NOW, None);
    TokenState { epoch: 3, watermark: None, nonce: [0; 8], drift }
}

fn enrolled() -> Row {
    let mut row = Row::default();
    let enrol = Change::Enrol { state: state(), budget: Budget::full(NOW) };
    assert_eq!(enrol.apply(&mut row, Seen::default()), Written::Done);
    row
}

fn acceptance(number: i64, epoch: u64) -> Acceptance {
    let drift = Drift::from_parts(SignedDuration::from_secs(5), 2, NOW, None);
    let (first, nonce) = (step(number), [7; 8]);
    let (seen, failure_limit) = (Seen::default(), u32::MAX);
    Acceptance { first, step: first, drift, epoch, seen, nonce, failure_limit, authenticates: true }
}

fn failure(bucket: Bucket, burn: Option<i64>) -> Failure {
    let charge = Charge { bucket, cost: Odds::from_e12(1_000_000) };
    Failure { charge, from: NOW, burn: burn.and_then(TimeStep::new), epoch: 3 }
}

fn apply(row: &mut Row, change: Change) -> Written {
    let before = *row;
    let written = change.apply(row, Seen::default());
    assert!(written == Written::Done || *row == before, "{written:?} and yet changed");
    written
}

#[test]
fn accept_needs_a_higher_step_and_the_same_epoch() {
    let mut row = enrolled();
    for (number, epoch, outcome) in [
        (9, 4, Written::Refused),
        (9, 3, Written::Done),
        (9, 3, Written::Refused),
        (8, 3, Written::Refused),
        (10, 2, Written::Refused),
        (10, 3, Written::Done),
    ] {
        assert_eq!(apply(&mut row, Change::Accept(acceptance(number, epoch))), outcome, "{number}/{epoch}");
    }
    let kept = row.token.unwrap();
    assert_eq!(kept.watermark, TimeStep::new(10));
    assert_eq!(kept.drift, acceptance(10, 3).drift);
    assert_eq!(kept.nonce, [7; 8]);
    assert_eq!(row.budget, enrolled().budget, "a success refunds nothing");
}

#[test]
fn accept_needs_every_one_of_its_steps_unused() {
    let mut row = enrolled();
    for (first, last, outcome) in [
        (8, 9, Written::Done),
        (9, 10, Written::Refused),
        (8, 10, Written::Refused),
        (10, 12, Written::Done),
        (12, 13, Written::Refused),
    ] {
        let acceptance = Acceptance { first: step(first), ..acceptance(last, 3) };
        assert_eq!(apply(&mut row, Change::Accept(acceptance)), outcome, "{first}..={last}");
    }
    assert_eq!(row.token.unwrap().watermark, TimeStep::new(12));
}

/// The failure counter rolls back with the failed transaction: CVE-2026-35597 (Vikunja).
#[test]
fn the_failure_counter_is_not_rolled_back_by_what_comes_after() {
    let mut row = enrolled();
    let failure = failure(Bucket::Blind, None);
    assert_eq!(apply(&mut row, Change::Fail(failure)), Written::Done);
    let paid = Budget::full(NOW).charge(failure.charge, NOW);
    assert_eq!(row.budget, Some(paid.one_more_failure()));
    assert_eq!(apply(&mut row, Change::Accept(acceptance(9, 3))), Written::Done);
    assert_eq!(apply(&mut row, Change::Accept(acceptance(9, 3))), Written::Refused);
    let enrol = Change::Enrol { state: state(), budget: Budget::full(NOW) };
    assert_eq!(apply(&mut row, enrol), Written::Refused);
    assert_eq!(row.budget, Some(paid), "the count of failures begins anew, the price stays paid");
}

#[test]
fn what_is_burnt_is_dead_and_no_watermark_is_lowered() {
    let mut row = enrolled();
    for (burn, watermark) in [(None, None), (Some(9), Some(9)), (Some(8), Some(9)), (None, Some(9))] {
        assert_eq!(apply(&mut row, Change::Fail(failure(Bucket::Partial, burn))), Written::Done);
        assert_eq!(row.token.unwrap().watermark, watermark.and_then(TimeStep::new), "{burn:?}");
    }
    assert_eq!(apply(&mut row, Change::Accept(acceptance(9, 3))), Written::Refused);
    assert_eq!(apply(&mut row, Change::Accept(acceptance(10, 3))), Written::Done);
}

#[test]
fn a_failure_of_another_enrolment_pays_and_burns_nothing() {
    let mut row = enrolled();
    let state = TokenState { epoch: 8, ..state() };
    let renewal = Renewal { epoch: 3, watermark: None, seen: Seen::default(), state };
    assert_eq!(apply(&mut row, Change::Renew(renewal)), Written::Done);
    let failure = failure(Bucket::Partial, Some(9));
    assert_eq!(apply(&mut row, Change::Fail(failure)), Written::Done);
    assert_eq!(row.token.unwrap().watermark, None);
    assert_eq!(row.budget, Some(Budget::full(NOW).charge(failure.charge, NOW).one_more_failure()));
}

#[test]
fn a_bucket_is_never_fuller_than_the_failure_says() {
    let mut row = enrolled();
    let later = NOW + SignedDuration::from_secs(1_000);
    apply(&mut row, Change::Fail(Failure { from: later, ..failure(Bucket::Blind, None) }));
    apply(&mut row, Change::Fail(failure(Bucket::Blind, None)));
    let charge = failure(Bucket::Blind, None).charge;
    let expected = Budget::full(NOW).charge(charge, later).charge(charge, NOW);
    assert_eq!(row.budget.unwrap().full_at(Bucket::Blind), expected.full_at(Bucket::Blind));
    assert!(expected.full_at(Bucket::Blind) > later);
}

#[test]
fn failures_in_a_row_lock_and_only_a_login_ends_the_row() {
    let mut row = enrolled();
    for _ in 0..2 {
        apply(&mut row, Change::Fail(failure(Bucket::Blind, None)));
    }
    let limited = |number, failure_limit| Acceptance { failure_limit, ..acceptance(number, 3) };
    assert_eq!(apply(&mut row, Change::Accept(limited(9, 2))), Written::Refused);
    let resynchronisation = Acceptance { authenticates: false, ..limited(9, 3) };
    assert_eq!(apply(&mut row, Change::Accept(resynchronisation)), Written::Done);
    assert_eq!(row.budget.unwrap().failures(), 2);
    assert_eq!(apply(&mut row, Change::Accept(limited(10, 3))), Written::Done);
    assert_eq!(row.budget.unwrap().failures(), 0);
}

#[test]
fn a_renewal_needs_the_epoch_and_the_watermark_that_it_was_decided_with() {
    let renewed = TokenState { epoch: 4, watermark: Some(step(5)), nonce: [1; 8], ..state() };
    for (epoch, watermark, outcome) in [
        (3, Some(step(9)), Written::Done),
        (2, Some(step(9)), Written::Refused),
        (3, Some(step(8)), Written::Refused),
        (3, None, Written::Refused),
    ] {
        let mut row = enrolled();
        apply(&mut row, Change::Accept(acceptance(9, 3)));
        let renewal = Renewal { epoch, watermark, seen: Seen::default(), state: renewed };
        assert_eq!(apply(&mut row, Change::Renew(renewal)), outcome, "{epoch} {watermark:?}");
        assert_eq!(row.token == Some(renewed), outcome == Written::Done);
    }
}

#[test]
fn a_reset_gives_the_budget_back_and_leaves_the_token_alone() {
    let mut row = enrolled();
    apply(&mut row, Change::Accept(acceptance(9, 3)));
    apply(&mut row, Change::Fail(failure(Bucket::Blind, None)));
    let token = row.token;
    assert_eq!(apply(&mut row, Change::Reset(Reset { budget: Budget::full(NOW) })), Written::Done);
    assert_eq!(row, Row { token, budget: Some(Budget::full(NOW)) });
}

#[test]
fn who_comes_back_finds_the_old_budget() {
    let mut row = enrolled();
    apply(&mut row, Change::Fail(failure(Bucket::Blind, None)));
    let paid = row.budget;
    assert_eq!(apply(&mut row, Change::Remove), Written::Done);
    assert_eq!(row, Row { token: None, budget: paid });
    assert_eq!(apply(&mut row, Change::Enrol { state: state(), budget: Budget::full(NOW) }), Written::Done);
    assert_eq!(row.budget, paid);
}

#[test]
fn absent_tokens_stay_absent() {
    let changes = [
        Change::Fail(failure(Bucket::Blind, Some(9))),
        Change::Accept(acceptance(9, 3)),
        Change::Renew(Renewal { epoch: 3, watermark: None, seen: Seen::default(), state: state() }),
        Change::Reset(Reset { budget: Budget::full(NOW) }),
        Change::Remove,
    ];
    for budget in [None, Some(Budget::full(NOW))] {
        for change in changes {
            let mut row = Row { token: None, budget };
            assert_eq!(apply(&mut row, change), Written::Missing, "{change:?}");
        }
    }
}
