//! What others do while an attempt is under way, and what it is told then.

use super::faults::Scripted;
use super::*;
use std::pin::Pin;
use std::task::{Context, Waker};

fn scripted() -> Service<Scripted> {
    let service = Service::enrolled(Scripted::default());
    service.set(10);
    service
}

/// `first` is judged, and before that is written `then` is done.
fn between<T>(service: &Service<Scripted>, first: impl Future<Output = T>, then: impl FnOnce()) -> T {
    service.store.slow_acceptances();
    let mut first = Box::pin(first);
    assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    service.store.heal();
    then();
    block_on(first)
}

/// A code that is right was used by nobody where the token was removed or reset under it.
#[test]
fn a_token_that_is_changed_under_a_right_code_was_not_used_before() {
    let service = scripted();
    let (gate, token, code) = (&service.gate, token(), one(10));

    let reset = || block_on(gate.reset(&token)).unwrap();
    let reason = between(&service, refusal(gate.validate(Some(&token), &code)), reset);
    assert!(matches!(reason, Reason::Busy), "{reason:?}");

    let use_it = || assert!(block_on(gate.validate(Some(&token), &code)).is_accepted());
    // One validator has one turn for each token: the other attempt is another process's.
    let elsewhere = Validator::builder(service.store.clone(), service.time.clone()).build().unwrap();
    let reason = between(&service, refusal(elsewhere.validate(Some(&token), &code)), use_it);
    assert!(matches!(reason, Reason::Replay), "{reason:?}");

    service.set(40);
    let remove = || block_on(gate.remove(&token)).unwrap();
    let reason = between(&service, refusal(gate.validate(Some(&token), &one(40))), remove);
    assert!(matches!(reason, Reason::NotEnrolled), "{reason:?}");
}

#[test]
fn a_renewal_is_told_the_same() {
    let service = scripted();
    let (gate, token, code) = (&service.gate, token(), one(10));
    // A reset is a renewal to the store, too.
    let elsewhere = Validator::builder(service.store.clone(), service.time.clone()).build().unwrap();
    let reset = || block_on(elsewhere.reset(&token)).unwrap();
    let refused = between(&service, gate.renew(&token, &token, &code), reset).unwrap_err();
    assert!(matches!(refused.reason(), Reason::Busy), "{refused:?}");
    let use_it = || assert!(block_on(elsewhere.validate(Some(&token), &code)).is_accepted());
    let refused = between(&service, gate.renew(&token, &token, &code), use_it).unwrap_err();
    assert!(matches!(refused.reason(), Reason::Replay), "{refused:?}");
    let remove = || block_on(elsewhere.remove(&token)).unwrap();
    service.set(40);
    let refused = between(&service, gate.renew(&token, &token, &one(40)), remove).unwrap_err();
    assert!(matches!(refused.reason(), Reason::NotEnrolled), "{refused:?}");
}

/// Each would wait as long for a store that is gone: by that unknown users could be told from known ones, too.
#[test]
fn whoever_waits_behind_a_store_that_does_not_answer_is_sent_away() {
    let service = scripted();
    service.store.time_out_loads();
    let (gate, token, attempt) = (&service.gate, token(), wrong().from_client("192.0.2.7"));
    for kind in ["known", "unknown", "renewed"] {
        let one = || -> Pin<Box<dyn Future<Output = Reason> + '_>> {
            match kind {
                "known" => Box::pin(refusal(gate.validate(Some(&token), &attempt))),
                "unknown" => Box::pin(refusal(gate.validate(None, &attempt))),
                _ => Box::pin(async { gate.renew(&token, &token, &attempt).await.unwrap_err().reason }),
            }
        };
        let mut all: Vec<_> = (0..5).map(|_| one()).collect();
        for future in &mut all {
            assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        let reasons: Vec<_> = all.into_iter().map(block_on).collect();
        assert!(
            matches!(reasons[0], Reason::StoreFailed(StoreError::TimedOut { .. })),
            "{kind}: {reasons:?}"
        );
        assert!(reasons[1..].iter().all(|reason| matches!(reason, Reason::Busy)), "{kind}: {reasons:?}");
    }
}

async fn refusal(verdict: impl Future<Output = Verdict>) -> Reason {
    match verdict.await {
        Verdict::Refused(refused) => refused.reason,
        Verdict::Accepted(accepted) => panic!("{accepted:?}"),
    }
}
