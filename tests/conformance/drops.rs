//! Futures that nobody waits for any more.

use super::*;
use std::future::poll_fn;
use std::task::Poll;

/// What `future` gives if it is ready within so many polls; otherwise it is dropped.
pub(crate) async fn polled<F: Future + Unpin>(mut future: F, polls: usize) -> Option<F::Output> {
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        Pin::new(&mut future).poll(context).map(Some)
    })
    .await
}

/// A write whose future is dropped happens or doesn't, then or later, and never by half; and the store goes on.
pub(crate) async fn a_dropped_future_did_all_or_nothing(place: Arc<dyn Place>) {
    let store = place.open().await;
    let mut all_ready = 0;
    for polls in 0..=64 {
        let key = shared(&format!("token {polls}"), &format!("account {polls}"));
        store.write(&key, enrol()).await.unwrap();

        let burning = Failure { burn: Some(step(20)), ..failure(Bucket::Partial, 0) };
        let mut writes = Vec::new();
        for _ in 0..4 {
            writes.push(polled(store.write(&key, Change::Fail(burning)), polls).await.is_some());
            polled(store.load(&key), polls).await;
        }
        let answered = u32::try_from(writes.iter().filter(|ready| **ready).count()).unwrap();
        for _ in 0..20 {
            let row = load(&store, &key).await.row;
            let (state, budget) = (row.token.unwrap(), row.budget.unwrap());
            assert!((answered..=4).contains(&budget.failures()), "{answered} were answered: {budget:?}");
            let owed = (0..budget.failures())
                .fold(Budget::full(NOW), |owed, _| owed.charge(burning.charge, NOW).one_more_failure());
            assert_eq!(budget, owed, "price and count go together");
            let burnt = if budget.failures() > 0 { 20 } else { 10 };
            assert_eq!(state.watermark, Some(step(burnt)), "and so do price and burnt steps");
            tokio::task::yield_now().await;
        }
        // A code that is accepted once, however often whoever wrote it gave up.
        let mut done = 0;
        for nonce in 0..4 {
            let accept = decided(&store, &key, Change::Accept(acceptance(30, nonce))).await;
            polled(store.write(&key, accept), polls).await;
        }
        for nonce in 4..8 {
            let written = write(&store, &key, Change::Accept(acceptance(30, nonce))).await.unwrap();
            done += usize::from(written == Written::Done);
        }
        assert!(done <= 1);
        assert_eq!(load(&store, &key).await.row.token.unwrap().watermark, Some(step(30)));
        all_ready += usize::from(writes.iter().all(|ready| *ready));
        // Whatever was given up, nothing hangs.
        polled(store.set_not_before(Timestamp::from_unix_nanos(0)), polls).await;
        polled(store.scan(&mut |_| ControlFlow::Continue(())), polls).await;
    }
    assert!(all_ready <= 65);
    assert_eq!(scan(&store).await.len(), 65);
}
