use super::faults::Scripted;
use super::*;
use crate::window::RESYNCHRONISATION_SLACK;
use std::num::NonZeroU32;

fn limited(failures: u32) -> Service<Scripted> {
    let mut service = Service::enrolled(Scripted::default());
    let policy = Policy::default().with_failure_limit(NonZeroU32::new(failures));
    service.gate =
        Validator::builder(service.store.clone(), service.time.clone()).policy(policy).build().unwrap();
    service.set(10);
    service
}

/// SP 800-63B: no more than 100 failures in a row. Here three.
#[test]
fn failures_in_a_row_lock_until_an_administrator_resets() {
    let service = limited(3);
    for _ in 0..3 {
        assert!(matches!(service.refusal(&wrong()).reason(), Reason::Wrong));
    }
    for attempt in [one(10), wrong(), two(10)] {
        let refused = service.refusal(&attempt);
        assert!(matches!(refused.reason(), Reason::Locked { failures: 3 }));
        assert_eq!(refused.advice(), Advice::TellOperator);
        assert_eq!(refused.events()[0].outcome, Outcome::Locked);
    }
    // No time heals it.
    service.set(400 * 86_400);
    assert!(matches!(service.refusal(&one(400 * 86_400)).reason(), Reason::Locked { .. }));
    block_on(service.gate.reset(&token())).unwrap();
    assert!(service.show(&one(400 * 86_400)).is_accepted());
}

/// The preset itself. Single codes are throttled long before; pairs, and those who wait, get there all the same, and no further.
#[test]
fn the_policy_of_nist_locks_after_100_failures() {
    let mut service = Service::enrolled(Scripted::default());
    service.gate = Validator::builder(service.store.clone(), service.time.clone())
        .policy(Policy::nist())
        .build()
        .unwrap();
    let pair = Attempt::parse_consecutive(&["000000", "000000"]).unwrap();
    let (mut second, mut failures) = (10, 0);
    while failures < 100 {
        second += 3_600;
        service.set(second);
        for attempt in [wrong(), pair.clone()] {
            match service.refusal(&attempt).reason() {
                Reason::Wrong => failures += 1,
                Reason::ConsecutiveCodesNeeded { .. } => {}
                other => panic!("after {failures}: {other:?}"),
            }
        }
    }
    assert_eq!(failures, 100, "each hour at least one and at most two");
    for attempt in [one(second), two(second), wrong()] {
        assert!(matches!(service.refusal(&attempt).reason(), Reason::Locked { failures: 100 }));
    }
    block_on(service.gate.reset(&token())).unwrap();
    assert!(service.show(&one(second)).is_accepted());
}

#[test]
fn a_success_ends_the_row() {
    let service = limited(3);
    for round in 0..5 {
        let second = 10 + round * 30;
        service.set(second);
        for _ in 0..2 {
            // As pairs, which the budget hardly notices.
            assert!(!service.show(&Attempt::parse_consecutive(&["000000", "000000"]).unwrap()).is_accepted());
        }
        assert!(service.show(&one(second)).is_accepted(), "{round}");
    }
}

/// Two processes look at the last attempt that is allowed, each at its own.
#[test]
fn what_was_admitted_before_the_limit_is_not_accepted_after_it() {
    use std::future::Future;
    let service = limited(1);
    let other = Validator::builder(service.store.clone(), service.time.clone())
        .policy(Policy::default().with_failure_limit(NonZeroU32::new(1)))
        .build()
        .unwrap();
    let (token, attempt) = (token(), one(10));
    service.store.slow_loads();
    let mut owner = std::pin::pin!(other.validate(Some(&token), &attempt));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..2 {
        assert!(owner.as_mut().poll(&mut context).is_pending());
    }
    service.store.heal();
    assert!(matches!(service.refusal(&wrong()).reason(), Reason::Wrong));
    let Verdict::Refused(refused) = block_on(owner) else { panic!("accepted after the limit") };
    assert!(matches!(refused.reason(), Reason::Locked { failures: 1 }));
}

/// A forged future time lets a code be harvested, and accepting it pushes the watermark ahead of the owner.
#[test]
fn a_reset_brings_a_watermark_of_the_future_down_to_now_and_no_lower() {
    let service = Service::enrolled(Scripted::default());
    service.set(86_400);
    assert!(service.show(&one(86_400)).is_accepted());
    service.set(10);
    assert!(matches!(service.refusal(&one(10)).reason(), Reason::WatermarkAhead { .. }));
    let epoch = service.state().epoch;
    block_on(service.gate.reset(&token())).unwrap();
    assert_ne!(service.state().epoch, epoch);
    // What could be used by now stays used.
    assert!(!service.show(&one(10)).is_accepted());
    service.set(70);
    assert!(service.show(&one(70)).is_accepted());
}

#[test]
fn a_reset_gives_the_budget_back_and_needs_a_token_and_the_time() {
    let service = Service::enrolled(Scripted::default());
    while !matches!(service.refusal(&wrong()).reason(), Reason::ConsecutiveCodesNeeded { .. }) {}
    block_on(service.gate.reset(&token())).unwrap();
    assert_eq!(service.budget(), Budget::full(at(NOON).earliest()));

    let stranger = Token::new(TokenId::new("stranger").unwrap(), totp());
    assert!(matches!(block_on(service.gate.reset(&stranger)), Err(AdministerError::NotEnrolled)));
    service.time.set(Err(TimeError::NotMeasured));
    assert!(matches!(block_on(service.gate.reset(&token())), Err(AdministerError::ClockUntrusted(_))));
}

#[test]
fn who_is_removed_is_refused_and_comes_back_to_the_old_budget() {
    let service = Service::enrolled(Scripted::default());
    service.set(10);
    assert!(!service.show(&wrong()).is_accepted());
    let paid = service.budget();
    block_on(service.gate.remove(&token())).unwrap();
    assert!(matches!(service.refusal(&one(10)).reason(), Reason::NotEnrolled));
    assert!(matches!(block_on(service.gate.remove(&token())), Err(AdministerError::NotEnrolled)));
    block_on(service.gate.enrol(&token(), &one(10))).unwrap();
    assert_eq!(service.budget(), paid);
}

#[test]
fn no_code_that_was_used_before_a_removal_comes_back() {
    let nearly_right = [(0, -20), (0, 10), (20, -20), (20, 10), (20, 30)];
    let far_ahead = [(120, 100), (120, 130)];
    for (ahead, shown) in nearly_right.into_iter().chain(far_ahead) {
        let show = |second| if ahead < 30 { one(second) } else { two(second) };
        let service = Service::new(Scripted::default());
        service.set(-900);
        block_on(service.gate.enrol(&token(), &show(-910 + ahead))).unwrap();
        service.set(10);
        let used = one(10 + ahead);
        assert!(service.show(&used).is_accepted());
        block_on(service.gate.remove(&token())).unwrap();
        let enrolment = block_on(service.gate.enrol(&token(), &show(shown))).unwrap();
        assert_eq!(Some(enrolment.step), totp().step_at(at(NOON + shown).latest()), "the code's own");
        for second in 10..70 {
            service.set(second);
            assert!(!service.show(&used).is_accepted(), "{ahead} s ahead, {shown}, at {second}");
        }
        if ahead == 0 {
            assert!(service.show(&one(70)).is_accepted(), "{shown}");
        }
    }
}

#[test]
fn the_tokens_of_one_account_share_what_may_be_guessed() {
    let service = Service::new(Scripted::default());
    let account = TokenId::new("user-42").unwrap();
    let tokens = ["phone", "watch"]
        .map(|name| Token::new(TokenId::new(name).unwrap(), totp()).sharing_budget(account.clone()));
    service.set(-900);
    for token in &tokens {
        block_on(service.gate.enrol(token, &one(-910))).unwrap();
    }
    service.set(20);
    let show = |token: &Token, attempt: Attempt| block_on(service.gate.validate(Some(token), &attempt));
    let mut wrong_ones = 0;
    let spent = |verdict: Verdict| matches!(verdict, Verdict::Refused(refused) if matches!(refused.reason(), Reason::ConsecutiveCodesNeeded { .. }));
    while !spent(show(&tokens[wrong_ones % 2], wrong())) {
        wrong_ones += 1;
    }
    let single = Service::enrolled(Scripted::default());
    single.set(20);
    let mut alone = 0;
    while !spent(single.show(&wrong())) {
        alone += 1;
    }
    assert!((1..=alone).contains(&wrong_ones), "{wrong_ones} on both, {alone} on one");
    // Each has its own watermark.
    for token in &tokens {
        assert!(show(token, two(50)).is_accepted() || show(token, two(20)).is_accepted());
    }
}

#[test]
fn past_the_ceiling_everybody_shows_two_codes() {
    let mut service = Service::new(Scripted::default());
    service.gate = Validator::builder(service.store.clone(), service.time.clone())
        .ceiling(Odds::from_e12(20_000_000))
        .build()
        .unwrap();
    let tokens: Vec<_> =
        (0..30).map(|user| Token::new(TokenId::new(&format!("user-{user}")).unwrap(), totp())).collect();
    for token in &tokens {
        block_on(service.gate.enrol(token, &one(-10))).unwrap();
    }
    service.set(70);
    let show = |token: &Token, attempt: Attempt| block_on(service.gate.validate(Some(token), &attempt));
    let reached = |verdict: &Verdict| matches!(verdict, Verdict::Refused(refused) if matches!(refused.reason(), Reason::CeilingReached { count: 2 }));
    // One wrong code at each token: all within their budgets.
    let tried = tokens.iter().take_while(|token| !reached(&show(token, wrong()))).count();
    assert!((3..20).contains(&tried), "{tried}");
    let last = tokens.last().unwrap();
    let Verdict::Refused(refused) = show(last, one(70)) else { panic!("a single code") };
    assert_eq!(refused.advice(), Advice::ShowConsecutive(2));
    assert!(reached(&block_on(service.gate.validate(None, &wrong()))), "unknown users are told the same");
    assert!(show(last, two(70)).is_accepted());
    // It comes back with the time.
    service.set(86_400);
    assert!(show(&tokens[28], one(86_400)).is_accepted());
}

/// Last night's backup, restored: what was used today must not be used again, and nobody gains a new budget.
#[test]
fn after_a_restore_what_could_have_been_used_is_dead() {
    let service = Service::enrolled(Scripted::default());
    let (backup, budget) = (service.state(), service.budget());
    service.set(10);
    assert!(service.show(&one(10)).is_accepted());
    while !matches!(service.refusal(&wrong()).reason(), Reason::ConsecutiveCodesNeeded { .. }) {}

    let restored = Service::new(Scripted::default());
    let enrol = crate::store::Change::Enrol { state: backup, budget };
    block_on(restored.store.write(token().key(), enrol)).unwrap();
    restored.set(15);
    let moment = block_on(restored.gate.restored()).unwrap();
    assert_eq!(moment, at(NOON + 15).latest() + SignedDuration::from(RESYNCHRONISATION_SLACK));
    for attempt in [one(10), one(15), one(40), two(40)] {
        assert!(matches!(restored.refusal(&attempt).reason(), Reason::WatermarkAhead { .. }));
    }
    let refused = block_on(restored.gate.resynchronise(&token(), &two(200))).unwrap_err();
    assert!(matches!(refused.reason(), Reason::TooEarlyToResynchronise { .. }), "{refused:?}");
    restored.set(400);
    assert!(restored.show(&one(400)).is_accepted());
    // Two single codes at the widest window may be mistyped, as after an enrolment in a store that forgets; seven at two steps.
    let mut wrong_ones = 0;
    while !matches!(restored.refusal(&wrong()).reason(), Reason::ConsecutiveCodesNeeded { .. }) {
        wrong_ones += 1;
    }
    assert!((2..=7).contains(&wrong_ones), "{wrong_ones}");
    restored.set(2_000);
    assert!(block_on(restored.gate.resynchronise(&token(), &two(2_200))).is_ok());
}

#[test]
fn a_store_that_was_replaced_is_told_so_before_anything_is_judged() {
    for (replaced, until) in [(Replaced::Failover, 40), (Replaced::Restored, 330)] {
        let service = Service::enrolled(Scripted::default());
        service.set(10);
        service.store.replace(replaced);
        service.time.set(Err(TimeError::NotMeasured));
        assert!(matches!(service.refusal(&one(10)).reason(), Reason::ClockUntrusted(_)));
        service.set(10);
        let refused = service.refusal(&one(10));
        assert!(matches!(refused.reason(), Reason::StoreReplaced));
        assert_eq!(refused.events()[0].outcome, Outcome::StoreReplaced);
        assert!(!service.show(&one(10)).is_accepted(), "it may have been used");
        service.set(until + 30);
        assert!(service.show(&one(until + 30)).is_accepted(), "{replaced:?}");
    }
}

/// A reset is computed from a row that changes before it is written: what was used since must stay used.
#[test]
fn a_reset_is_computed_anew_where_the_token_was_used_meanwhile() {
    use std::future::Future;
    let service = Service::enrolled(Scripted::default());
    service.set(10);
    let other = Validator::builder(service.store.clone(), service.time.clone()).build().unwrap();
    service.store.slow_loads();
    let token = token();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut reset = std::pin::pin!(other.reset(&token));
    for _ in 0..2 {
        assert!(reset.as_mut().poll(&mut context).is_pending());
    }
    service.store.heal();
    block_on(service.gate.resynchronise(&token, &two(250))).unwrap();
    assert!(service.show(&one(280)).is_accepted());
    block_on(reset).unwrap();
    assert!(!service.show(&one(280)).is_accepted(), "used");
    assert_eq!(service.budget(), Budget::full(at(NOON + 10).earliest()));
}

/// The top of the window as it was when the reset began would set a code free that was used since.
#[test]
fn a_reset_that_takes_long_sets_no_used_code_free() {
    use std::future::Future;
    let service = Service::enrolled(Scripted::default());
    service.set(10);
    let other = Validator::builder(service.store.clone(), service.time.clone()).build().unwrap();
    service.store.slow_loads();
    let token = token();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut reset = std::pin::pin!(other.reset(&token));
    assert!(reset.as_mut().poll(&mut context).is_pending());
    service.store.heal();
    service.set(400);
    assert!(service.show(&one(400)).is_accepted());
    block_on(reset).unwrap();
    assert!(!service.show(&one(400)).is_accepted(), "used");
}

/// Single codes of several processes at once overdraw the bucket: two codes are looked at all the same.
#[test]
fn an_overdrawn_bucket_keeps_no_owner_out_who_shows_two_codes() {
    let service = Service::enrolled(Scripted::default());
    service.set(10);
    let charge = Charge { bucket: Bucket::Blind, cost: Odds::from_e12(7_000_000) };
    let failure = crate::store::Failure { charge, from: at(NOON + 10).earliest(), burn: None, epoch: 0 };
    for _ in 0..12 {
        block_on(service.store.write(token().key(), crate::store::Change::Fail(failure))).unwrap();
    }
    assert!(matches!(service.refusal(&one(10)).reason(), Reason::ConsecutiveCodesNeeded { count: 2 }));
    assert!(service.show(&two(10)).is_accepted());
}

#[test]
fn nothing_is_declared_dead_for_good_by_a_clock_that_the_host_contradicts() {
    struct Forged(Arc<crate::time::sim::SimTime>);
    impl TimeSource for Forged {
        fn now(&self) -> Result<TimeInterval, TimeError> {
            self.0.now()
        }
        fn system_clock(&self) -> Timestamp {
            at(NOON).midpoint()
        }
    }
    let service = Service::enrolled(Scripted::default());
    let gate =
        Validator::builder(service.store.clone(), Arc::new(Forged(service.time.clone()))).build().unwrap();
    service.set(400 * 86_400);
    let refused = block_on(gate.restored()).unwrap_err();
    assert!(matches!(refused, AdministerError::ClockUntrusted(ClockFault::Contradicted { .. })));
    service.store.replace(Replaced::Restored);
    let Verdict::Refused(refused) = block_on(gate.validate(Some(&token()), &one(0))) else { panic!() };
    assert!(matches!(refused.reason(), Reason::ClockUntrusted(ClockFault::Contradicted { .. })));
    assert_eq!(block_on(service.store.load(token().key())).unwrap().not_before, None);
    // Nor one that is hardly known.
    let month = TimeInterval::around(at(NOON).midpoint(), Duration::from_secs(30 * 86_400));
    service.time.set(Ok(month));
    let refused = block_on(gate.restored()).unwrap_err();
    assert!(matches!(refused, AdministerError::ClockUntrusted(ClockFault::Contradicted { .. })));
    service.set(1_800);
    assert!(block_on(gate.restored()).is_ok());
}

#[test]
fn after_a_restore_unknown_users_are_told_what_known_ones_are() {
    let service = Service::enrolled(Scripted::default());
    service.set(10);
    block_on(service.gate.restored()).unwrap();
    let known = service.refusal(&wrong());
    let Verdict::Refused(unknown) = block_on(service.gate.validate(None, &wrong())) else { panic!() };
    let (Advice::RetryAfter(known), Advice::RetryAfter(unknown)) = (known.advice(), unknown.advice()) else {
        panic!("{known:?} {unknown:?}")
    };
    assert!(known.abs_diff(unknown) < Duration::from_secs(60), "{known:?} {unknown:?}");
}
