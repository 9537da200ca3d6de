//! Many at once.

use super::*;

async fn enrolled(place: &dyn Place, key: &TokenKey) -> Vec<Arc<dyn ManageStore>> {
    let handles = handles(place).await;
    assert_eq!(write(&handles[0], key, enrol()).await.unwrap(), Written::Done);
    handles
}

/// The same write many times, as by somebody who repeats it until there is an answer.
pub(crate) async fn one_of_many_equal_acceptances_wins(place: Arc<dyn Place>) {
    let key = key("token");
    let handles = enrolled(&*place, &key).await;
    for round in 11..21 {
        let written =
            at_once(&handles, (0..TASKS).map(|_| (key.clone(), Change::Accept(acceptance(round, round)))))
                .await;
        assert_eq!((count(&written, Written::Done), count(&written, Written::Missing)), (1, 0), "{round}");
    }
}

/// Many who decided on the same code.
pub(crate) async fn one_of_many_acceptances_of_a_step_wins(place: Arc<dyn Place>) {
    let key = key("token");
    let handles = enrolled(&*place, &key).await;
    for round in 11..21 {
        let all = (0..TASKS).map(|nonce| (key.clone(), Change::Accept(acceptance(round, nonce))));
        let written = at_once(&handles, all).await;
        assert_eq!((count(&written, Written::Done), count(&written, Written::Missing)), (1, 0), "{round}");
        let winner = written.iter().position(|written| *written == Written::Done).unwrap() as u64;
        for store in &handles {
            let kept = load(store, &key).await.row.token.unwrap();
            assert_eq!((kept.watermark, kept.nonce), (Some(step(round)), winner.to_le_bytes()), "{round}");
        }
    }
}

pub(crate) async fn acceptances_only_move_the_watermark_up(place: Arc<dyn Place>) {
    let key = key("token");
    let handles = enrolled(&*place, &key).await;
    for round in 1..11 {
        let steps = |at: u64| round * TASKS + at;
        let all = (0..TASKS).map(|at| (key.clone(), Change::Accept(acceptance(steps(at), steps(at)))));
        let written = at_once(&handles, all).await;
        // Nothing is above the newest: whenever it came, it was accepted.
        assert_eq!(written.last(), Some(&Written::Done), "{round}");
        let newest = steps(TASKS - 1);
        let wanted = TokenState {
            watermark: Some(step(newest)),
            nonce: newest.to_le_bytes(),
            drift: drift(newest),
            ..state(EPOCH)
        };
        assert_eq!(load(&handles[0], &key).await.row.token, Some(wanted), "{round}");
    }
}

/// Failures among successes, on both buckets: none is lost, and none loses a success.
pub(crate) async fn all_failures_are_paid_and_all_that_is_burnt_is_dead(place: Arc<dyn Place>) {
    let (first, second) = (shared("first", "account"), shared("second", "account"));
    let handles = enrolled(&*place, &first).await;
    assert_eq!(write(&handles[0], &second, enrol()).await.unwrap(), Written::Done);
    let mut owed = Budget::full(NOW);
    let changes: Vec<_> = (0..3 * TASKS)
        .map(|at| {
            let token = if at % 2 == 0 { &first } else { &second };
            let bucket = if at % 4 < 2 { Bucket::Blind } else { Bucket::Partial };
            let change = match at % 3 {
                // Doesn't end the row of failures, or they couldn't be counted.
                0 => Change::Accept(Acceptance { authenticates: false, ..acceptance(100 + at, at) }),
                _ => {
                    let burn = Some(step(50 + at % 7));
                    let failure = Failure { burn, ..failure(bucket, at) };
                    owed = owed.charge(failure.charge, NOW).one_more_failure();
                    Change::Fail(failure)
                }
            };
            (token.clone(), change)
        })
        .collect();
    let written = at_once(&handles, changes).await;
    for (at, written) in written.iter().enumerate().filter(|(at, _)| at % 3 != 0) {
        assert_eq!(*written, Written::Done, "{at}");
    }
    for store in &handles {
        for key in [&first, &second] {
            let row = load(store, key).await.row;
            assert_eq!(row.budget, Some(owed));
            assert!(row.token.unwrap().watermark > Some(step(100)), "the newest acceptance can't lose");
        }
    }
    let burning = (0..TASKS).map(|at| {
        (first.clone(), Change::Fail(Failure { burn: Some(step(1_000 + at)), ..failure(Bucket::Partial, 0) }))
    });
    at_once(&handles, burning).await;
    let newest = 1_000 + TASKS - 1;
    assert_eq!(load(&handles[0], &first).await.row.token.unwrap().watermark, Some(step(newest)));
    assert_eq!(
        write(&handles[0], &first, Change::Accept(acceptance(newest, 0))).await.unwrap(),
        Written::Refused
    );
    assert_eq!(
        write(&handles[0], &first, Change::Accept(acceptance(newest + 1, 0))).await.unwrap(),
        Written::Done
    );
}

/// Decided on before the token was renewed, or removed and enrolled again: by then its steps may be others.
pub(crate) async fn a_failure_of_another_enrolment_pays_and_burns_nothing(place: Arc<dyn Place>) {
    let renewed = TokenState { epoch: 100, watermark: Some(step(3)), ..state(0) };
    let renewal = Renewal { epoch: EPOCH, watermark: Some(step(10)), seen: Seen::default(), state: renewed };
    let again = Change::Enrol { state: renewed, budget: Budget::full(NOW) };
    for (number, changes) in [vec![Change::Renew(renewal)], vec![Change::Remove, again]].iter().enumerate() {
        for key in [key(&format!("own {number}")), shared(&format!("token {number}"), "account")] {
            let handles = enrolled(&*place, &key).await;
            for change in changes {
                assert_eq!(write(&handles[0], &key, *change).await.unwrap(), Written::Done);
            }
            let before = load(&handles[0], &key).await.row;
            assert_eq!(before.token.unwrap().watermark, Some(step(3)), "{changes:?}");
            let mut owed = before.budget.unwrap();
            let late: Vec<_> = (0..TASKS)
                .map(|at| {
                    let failure = Failure { burn: Some(step(50 + at)), ..failure(Bucket::Partial, at) };
                    owed = owed.charge(failure.charge, NOW).one_more_failure();
                    (key.clone(), Change::Fail(failure))
                })
                .collect();
            let written = at_once(&handles, late).await;
            assert_eq!(count(&written, Written::Done), written.len(), "{changes:?}");
            for store in &handles {
                let row = load(store, &key).await.row;
                assert_eq!((row.token, row.budget), (before.token, Some(owed)), "{changes:?}");
            }
        }
    }
}

pub(crate) async fn one_of_many_enrolments_wins(place: Arc<dyn Place>) {
    let handles = handles(&*place).await;
    for round in 0..10 {
        let key = shared(&format!("token {round}"), "account");
        let all = (0..TASKS).map(|epoch| {
            (key.clone(), Change::Enrol { state: state(epoch), budget: Budget::from_parts(NOW, NOW, round) })
        });
        let written = at_once(&handles, all).await;
        assert_eq!((count(&written, Written::Done), count(&written, Written::Missing)), (1, 0));
        let winner = written.iter().position(|written| *written == Written::Done).unwrap() as u64;
        let row = load(&handles[0], &key).await.row;
        assert_eq!(row.token, Some(state(winner)));
        assert_eq!(row.budget, Some(Budget::from_parts(NOW, NOW, 0)), "the account's first");
    }
}

pub(crate) async fn one_of_many_renewals_wins(place: Arc<dyn Place>) {
    let key = key("token");
    let handles = enrolled(&*place, &key).await;
    // Half of them want to renew, half accept a code of the token as it was: at most one of all succeeds.
    let all = (0..TASKS).map(|at| {
        let renewed = TokenState { epoch: 100 + at, watermark: Some(step(0)), ..state(0) };
        let renewal =
            Renewal { epoch: EPOCH, watermark: Some(step(10)), seen: Seen::default(), state: renewed };
        (key.clone(), if at % 2 == 0 { Change::Renew(renewal) } else { Change::Accept(acceptance(11, at)) })
    });
    let written = at_once(&handles, all).await;
    assert_eq!((count(&written, Written::Done), count(&written, Written::Missing)), (1, 0));
    let winner = written.iter().position(|written| *written == Written::Done).unwrap() as u64;
    let kept = load(&handles[0], &key).await.row.token.unwrap();
    if winner.is_multiple_of(2) {
        assert_eq!(kept.epoch, 100 + winner);
    } else {
        assert_eq!((kept.epoch, kept.nonce), (EPOCH, winner.to_le_bytes()));
    }
}

/// A load that begins after a write was answered sees it, through every handle, whatever else is going on.
pub(crate) async fn what_was_answered_is_seen_by_all(place: Arc<dyn Place>) {
    let handles = handles(&*place).await;
    let tasks: Vec<_> = (0..TASKS)
        .map(|number| {
            let handles = handles.clone();
            tokio::spawn(async move {
                let key = shared(&format!("token {number}"), &format!("account {}", number % 5));
                write(&handles[0], &key, enrol()).await.unwrap();
                for round in 11..31 {
                    let at = round as usize % handles.len();
                    let written =
                        write(&handles[at], &key, Change::Accept(acceptance(round, round))).await.unwrap();
                    assert_eq!(written, Written::Done);
                    for store in &handles {
                        let kept = load(store, &key).await.row.token.unwrap();
                        assert_eq!(kept.watermark, Some(step(round)), "{number}");
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

pub(crate) async fn not_before_never_goes_back(place: Arc<dyn Place>) {
    let handles = handles(&*place).await;
    let (known, unknown) = (key("known"), key("unknown"));
    write(&handles[0], &known, enrol()).await.unwrap();
    assert_eq!(load(&handles[0], &known).await.not_before, None);
    for (moment, expected) in
        [(i64::MIN, i64::MIN), (-5, -5), (-6, -5), (0, 0), (7, 7), (6, 7), (i64::MIN, 7), (7, 7)]
    {
        handles[0].set_not_before(Timestamp::from_unix_nanos(moment)).await.unwrap();
        for store in &handles {
            for key in [&known, &unknown] {
                let loaded = load(store, key).await;
                assert_eq!(loaded.not_before, Some(Timestamp::from_unix_nanos(expected)), "{moment}");
                assert_eq!(loaded.replaced, None);
            }
        }
    }
    let tasks: Vec<_> = (0..i64::try_from(TASKS).unwrap())
        .zip(handles.iter().cycle().cloned())
        .map(|(at, store)| {
            let moment = Timestamp::from_unix_nanos(1_000 + (at * 17) % 48);
            let known = known.clone();
            tokio::spawn(async move {
                store.set_not_before(moment).await.unwrap();
                assert!(load(&store, &known).await.not_before >= Some(moment));
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for store in &handles {
        assert_eq!(load(store, &known).await.not_before, Some(Timestamp::from_unix_nanos(1_047)));
    }
    handles[0].set_not_before(Timestamp::from_unix_nanos(i64::MAX)).await.unwrap();
    assert_eq!(load(&handles[0], &known).await.not_before, Some(Timestamp::from_unix_nanos(i64::MAX)));
    assert_eq!(load(&handles[0], &known).await.row.token, Some(state(EPOCH)), "rows stay as they are");
}

/// An attempt that has read its row, and writes after everything was declared restored, or after another server took over.
pub(crate) async fn nothing_is_accepted_that_was_decided_before_a_restore(place: Arc<dyn Place>) {
    let price = Change::Fail(failure(Bucket::Blind, 0));
    for (number, key) in [key("own"), shared("token", "account")].iter().enumerate() {
        let handles = enrolled(&*place, key).await;
        let renewed = TokenState { epoch: 100, watermark: Some(step(3)), ..state(0) };
        let renewal =
            Renewal { epoch: EPOCH, watermark: Some(step(10)), seen: Seen::default(), state: renewed };
        let changes = [Change::Accept(acceptance(11, 0)), Change::Renew(renewal)];
        for store in &handles {
            let before = load(store, key).await;
            let mut other = before.seen();
            other.lineage[15] ^= 1;
            for change in changes {
                let refused = store.write(key, having_seen(other, change)).await.unwrap();
                assert_eq!(refused, Written::Refused, "{change:?} at another server");
            }
            assert_eq!(load(store, key).await.row, before.row);
        }
        for (at, change) in changes.into_iter().enumerate() {
            for (which, store) in handles.iter().enumerate() {
                let late = decided(store, key, change).await;
                let moment =
                    Timestamp::from_unix_nanos(i64::try_from(100 * number + 10 * at + which).unwrap());
                handles[(which + 1) % handles.len()].set_not_before(moment).await.unwrap();
                match store.write(key, late).await {
                    Ok(written) => assert_eq!(written, Written::Refused, "{late:?}"),
                    // It isn't known what was written: a refusal, too, of a code that may be used now.
                    Err(StoreError::Failed { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
        assert_eq!(write(&handles[0], key, price).await.unwrap(), Written::Done, "what has failed is owed");
        let now = load(&handles[0], key).await.row.token.unwrap();
        if now.epoch == EPOCH {
            let next = Change::Accept(acceptance(12, 0));
            assert_eq!(write(&handles[0], key, next).await.unwrap(), Written::Done, "what is decided now");
        }
    }
}
