//! Attempts that are given up while they are written: the client went away.

use super::faults::Scripted;
use super::*;
use crate::event::Outcome;
use crate::store::{Change, Loaded, StoreFuture, Written};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

/// A store that does what it is told a while later, as one does that waits for its disk: nobody who gives a write up hears of it.
#[derive(Default)]
struct Late {
    inner: MemoryStore,
    waits: Mutex<Option<Vec<(TokenKey, Change)>>>,
}

impl Late {
    fn wait(&self) {
        *self.waits.lock().unwrap() = Some(Vec::new());
    }

    /// Does all that was waiting, and says how much that was.
    fn go_on(&self) -> usize {
        let waiting = self.waits.lock().unwrap().take().unwrap_or_default();
        for (key, change) in &waiting {
            assert_eq!(block_on(self.inner.write(key, *change)).unwrap(), Written::Done);
        }
        waiting.len()
    }
}

impl StateStore for Late {
    fn load<'a>(&'a self, key: &'a TokenKey) -> StoreFuture<'a, Loaded> {
        self.inner.load(key)
    }

    fn write<'a>(&'a self, key: &'a TokenKey, change: Change) -> StoreFuture<'a, Written> {
        Box::pin(async move {
            let waits = match &mut *self.waits.lock().unwrap() {
                Some(waiting) => {
                    waiting.push((key.clone(), change));
                    true
                }
                None => false,
            };
            if waits { pending().await } else { self.inner.write(key, change).await }
        })
    }

    fn set_not_before(&self, moment: Timestamp) -> StoreFuture<'_, ()> {
        self.inner.set_not_before(moment)
    }

    fn survives_restart(&self) -> bool {
        true
    }
}

fn give_up(service: &Service<Late>, attempt: &Attempt) {
    let token = token();
    let verdict = pin!(service.gate.validate(Some(&token), attempt));
    let _ = verdict.poll(&mut Context::from_waker(Waker::noop()));
}

fn count(service: &Service<Late>, outcome: Outcome) -> u64 {
    service.gate.totals().outcomes.into_iter().find(|(known, _)| *known == outcome).unwrap().1
}

/// All of them would be admitted on a budget that knows of none, and the owner be kept out for weeks when all are paid for.
#[test]
fn a_flood_of_broken_off_attempts_is_admitted_as_far_as_the_budget_goes() {
    let service = Service::enrolled(Late::default());
    service.store.wait();
    for _ in 0..300 {
        give_up(&service, &wrong());
    }
    let written = service.store.go_on();
    assert!((4..20).contains(&written), "{written}");
    let told = count(&service, Outcome::Abandoned);
    assert_eq!(told, u64::try_from(written).unwrap(), "the others were answered");
    assert!(service.gate.totals().price_e15 > 0);
    let refused = service.refusal(&one(0));
    assert_eq!(refused.advice(), Advice::ShowConsecutive(2), "{refused:?}");
    assert!(service.show(&two(0)).is_accepted(), "the owner gets in as after any other flood");
}

/// Its tries are given back by an administrator, whatever was owed.
#[test]
fn a_reset_forgets_what_was_owed() {
    let service = Service::enrolled(Late::default());
    service.store.wait();
    for _ in 0..300 {
        give_up(&service, &wrong());
    }
    service.store.go_on();
    block_on(service.gate.reset(&token())).unwrap();
    assert!(service.show(&one(0)).is_accepted());
}

/// An attempt that waits for its turn, or for the store's first word, is told of too; it owes nothing.
#[test]
fn who_gives_up_earlier_owes_nothing() {
    let service = Service::enrolled(Late::default());
    let token = token();
    let attempt = wrong();
    service.store.wait();
    {
        let mut first = pin!(service.gate.validate(Some(&token), &attempt));
        let mut second = Box::pin(service.gate.validate(Some(&token), &attempt));
        block_on(poll_fn(|context| {
            assert!(first.as_mut().poll(context).is_pending() && second.as_mut().poll(context).is_pending());
            Poll::Ready(())
        }));
        drop(second);
        assert_eq!((count(&service, Outcome::Abandoned), service.gate.totals().price_e15), (1, 0));
    }
    assert_eq!(count(&service, Outcome::Abandoned), 2);
    assert!(service.gate.totals().price_e15 > 0);
    assert_eq!(service.store.go_on(), 1);
}

/// A clock that panics once may do so again, while the attempt that it has ended is told.
#[test]
fn a_time_source_that_panics_ends_the_attempt_alone() {
    struct Broken;
    impl TimeSource for Broken {
        fn now(&self) -> Result<TimeInterval, TimeError> {
            panic!("as if there were a mistake in it");
        }
        fn system_clock(&self) -> Timestamp {
            panic!("here too");
        }
    }
    let service = service();
    let gate = Validator::builder(service.store.clone(), Arc::new(Broken)).build().unwrap();
    let attempt = || catch_unwind(AssertUnwindSafe(|| block_on(gate.validate(Some(&token()), &one(0)))));
    assert!(attempt().is_err());
    assert!(attempt().is_err(), "and its turn was given back");
}

/// Nobody knows what comes of a write that failed, so its price is owed for a while; and the ceiling of all tokens isn't emptied by one that can't be
/// charged.
#[test]
fn writes_that_fail_let_nobody_guess_on() {
    let service = Service::enrolled(Scripted::default());
    let builder = Validator::builder(service.store.clone(), service.time.clone());
    let gate = builder.ceiling(Odds::from_e12(100_000_000)).build().unwrap();
    service.store.fail_charges();
    let reasons: Vec<_> = (0..300)
        .map(|_| match block_on(gate.validate(Some(&token()), &wrong())) {
            Verdict::Refused(refused) => refused.reason,
            Verdict::Accepted(accepted) => panic!("{accepted:?}"),
        })
        .collect();
    let admitted = reasons.iter().filter(|reason| matches!(reason, Reason::StoreFailed(_))).count();
    assert!((4..20).contains(&admitted), "{admitted}");
    assert!(matches!(reasons.last(), Some(Reason::ConsecutiveCodesNeeded { .. })), "{reasons:?}");
    let ceiling = gate.inner.ceiling.as_ref().unwrap();
    assert!(!ceiling.is_reached(at(NOON).earliest()));
    assert_eq!(gate.totals().price_e15, 0);
}
