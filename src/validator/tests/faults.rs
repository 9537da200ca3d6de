//! A store that fails, forgets, repeats and dawdles on command.

use super::*;
use crate::store::{Acceptance, Change, Failure, Loaded, StoreFuture, Written};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

/// What goes wrong with an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It isn't done, and says so.
    Fails,
    /// It isn't done, and says so at its deadline.
    TimesOut,
    /// It isn't done, and says at its deadline that the store answers, but isn't ready.
    NeverReady,
    /// It is done, but its answer is lost.
    AnswerLost,
    /// It is done, its answer is lost, and it is done once more by a client that believes in retrying.
    Repeated,
    /// Its future waits once before and once after it is done.
    Slow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Load,
    Enrol,
    Charge,
    Accept,
    Renew,
    Other,
}

impl Op {
    const fn of(change: &Change) -> Self {
        match change {
            Change::Enrol { .. } => Self::Enrol,
            Change::Fail(_) => Self::Charge,
            Change::Accept(_) => Self::Accept,
            Change::Renew(_) => Self::Renew,
            _ => Self::Other,
        }
    }
}

#[derive(Default)]
pub(super) struct Scripted {
    inner: MemoryStore,
    faults: Mutex<Vec<(Op, Fault)>>,
    done: Mutex<Vec<Op>>,
    replaced: Mutex<Option<Replaced>>,
}

impl Scripted {
    pub(super) fn slow_loads(&self) {
        self.set(Op::Load, Fault::Slow);
    }

    pub(super) fn slow_acceptances(&self) {
        self.set(Op::Accept, Fault::Slow);
        self.set(Op::Renew, Fault::Slow);
    }

    pub(super) fn time_out_loads(&self) {
        self.set(Op::Load, Fault::TimesOut);
    }

    pub(super) fn fail_loads(&self) {
        self.set(Op::Load, Fault::Fails);
    }

    pub(super) fn fail_charges(&self) {
        self.set(Op::Charge, Fault::Fails);
    }

    /// As if its database had been restored, or another node had taken over.
    pub(super) fn replace(&self, replaced: Replaced) {
        *self.replaced.lock().unwrap() = Some(replaced);
    }

    fn set(&self, op: Op, fault: Fault) {
        self.faults.lock().unwrap().push((op, fault));
    }

    pub(super) fn heal(&self) {
        self.faults.lock().unwrap().clear();
    }

    /// What was done since the last time it was asked.
    fn taken(&self) -> Vec<Op> {
        std::mem::take(&mut self.done.lock().unwrap())
    }

    fn run<'a, T: Send + 'a>(
        &'a self,
        op: Op,
        act: impl Fn() -> StoreFuture<'a, T> + Send + 'a,
    ) -> StoreFuture<'a, T> {
        let fault = self.faults.lock().unwrap().iter().find(|(at, _)| *at == op).map(|(_, fault)| *fault);
        Box::pin(async move {
            let lost = || StoreError::Failed { store: "scripted", source: "connection reset".into() };
            if fault == Some(Fault::Fails) {
                return Err(lost());
            }
            if let Some(Fault::Slow | Fault::TimesOut | Fault::NeverReady) = fault {
                once_later().await;
            }
            let deadline = Duration::from_millis(500);
            if fault == Some(Fault::TimesOut) {
                return Err(StoreError::TimedOut { store: "scripted", deadline });
            }
            if fault == Some(Fault::NeverReady) {
                return Err(StoreError::NotReady { store: "scripted", deadline, said: "LOADING".to_owned() });
            }
            let answer = act().await;
            self.done.lock().unwrap().push(op);
            match fault {
                Some(Fault::AnswerLost) => Err(lost()),
                Some(Fault::Repeated) => act().await,
                Some(Fault::Slow) => {
                    once_later().await;
                    answer
                }
                _ => answer,
            }
        })
    }
}

async fn once_later() {
    let mut waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl StateStore for Scripted {
    fn load<'a>(&'a self, key: &'a TokenKey) -> StoreFuture<'a, Loaded> {
        self.run(Op::Load, || {
            Box::pin(async {
                let replaced = *self.replaced.lock().unwrap();
                Ok(Loaded { replaced, ..self.inner.load(key).await? })
            })
        })
    }

    fn write<'a>(&'a self, key: &'a TokenKey, change: Change) -> StoreFuture<'a, Written> {
        self.run(Op::of(&change), move || self.inner.write(key, change))
    }

    fn set_not_before(&self, moment: Timestamp) -> StoreFuture<'_, ()> {
        self.run(Op::Other, move || {
            *self.replaced.lock().unwrap() = None;
            self.inner.set_not_before(moment)
        })
    }

    fn survives_restart(&self) -> bool {
        true
    }
}

fn scripted() -> Service<Scripted> {
    let service = Service::enrolled(Scripted::default());
    service.set(10);
    service.store.taken();
    service
}

#[test]
fn a_durable_store_starts_with_a_full_budget() {
    assert_eq!(scripted().budget(), Budget::full(at(NOON - 900).earliest()));
}

#[test]
fn a_store_that_fails_refuses_everybody_and_changes_nothing() {
    for (op, attempt) in
        [(Op::Load, one(10)), (Op::Load, wrong()), (Op::Charge, wrong()), (Op::Accept, one(10))]
    {
        let service = scripted();
        let before = service.state();
        service.store.set(op, Fault::Fails);
        let refused = service.refusal(&attempt);
        assert!(matches!(refused.reason(), Reason::StoreFailed(_)), "{op:?}");
        assert_eq!(refused.advice(), Advice::TellOperator);
        service.store.heal();
        assert_eq!(service.state(), before, "{op:?}");
        assert!(service.show(&one(10)).is_accepted(), "{op:?}: nothing is stuck");
    }
}

#[test]
fn a_lost_answer_is_a_refusal_and_the_code_is_used() {
    let service = scripted();
    service.store.set(Op::Accept, Fault::AnswerLost);
    assert!(matches!(service.refusal(&one(10)).reason(), Reason::StoreFailed(_)));
    service.store.heal();
    assert!(matches!(service.refusal(&one(10)).reason(), Reason::Replay));
    service.set(45);
    assert!(service.show(&one(40)).is_accepted());
}

#[test]
fn a_repeated_write_knows_its_own_win() {
    let service = scripted();
    service.store.set(Op::Accept, Fault::Repeated);
    assert!(
        service.show(&one(10)).is_accepted(),
        "the second write lost against the first one, which was the same"
    );
    assert!(!service.show(&one(10)).is_accepted());

    let service = Service::new(Scripted::default());
    service.store.set(Op::Enrol, Fault::Repeated);
    assert!(block_on(service.gate.enrol(&token(), &one(0))).is_ok());
    assert!(matches!(block_on(service.gate.enrol(&token(), &one(0))), Err(EnrolError::AlreadyEnrolled)));
}

/// The answer to an enrolment is lost, and before the client asks again a wrong code has been paid for.
#[test]
fn a_repeated_enrolment_knows_itself_though_its_budget_has_changed() {
    let service = Service::new(Scripted::default());
    service.store.set(Op::Enrol, Fault::Repeated);
    service.store.set(Op::Load, Fault::Slow);
    let (token, attempt) = (token(), one(0));
    let mut enrolment = pin!(service.gate.enrol(&token, &attempt));
    let mut context = Context::from_waker(Waker::noop());
    while service.store.taken() != [Op::Enrol] {
        assert!(enrolment.as_mut().poll(&mut context).is_pending());
    }
    // It was told that there is a state already, and is about to look at it.
    let charge = Charge { bucket: Bucket::Blind, cost: Odds::from_e12(1_000_000) };
    let failure = Failure { charge, from: at(NOON).earliest(), burn: None, epoch: 0 };
    block_on(service.store.inner.write(token.key(), Change::Fail(failure))).unwrap();
    assert!(block_on(enrolment).is_ok());
}

/// An attempt has read its row. Before it writes, rows are restored and that is declared, by another process: what this one was decided
/// from may be forgotten, an acceptance of the same code among it.
#[test]
fn nothing_is_accepted_or_renewed_that_was_decided_before_a_restore() {
    let to = Token::new(
        token().id().clone(),
        Totp::builder(&Secret::from_bytes(b"12345678901234567890").unwrap())
            .digits(crate::otp::Digits::EIGHT)
            .build()
            .unwrap(),
    );
    let (from, right) = (token(), one(10));
    let eight = Attempt::one(to.totp().code_at(TimeStep::new((NOON + 10) / 30).unwrap()));
    for moment in [at(NOON - 3_600).latest(), at(NOON + 10).latest()] {
        for op in [Op::Accept, Op::Renew] {
            let service = scripted();
            let before = service.state();
            service.store.set(op, Fault::Slow);
            let mut attempt: std::pin::Pin<Box<dyn Future<Output = Option<Refused>>>> = match op {
                Op::Accept => Box::pin(async {
                    match service.gate.validate(Some(&from), &right).await {
                        Verdict::Refused(refused) => Some(refused),
                        Verdict::Accepted(_) => None,
                    }
                }),
                _ => Box::pin(async { service.gate.renew(&from, &to, &eight).await.err() }),
            };
            let mut context = Context::from_waker(Waker::noop());
            assert!(attempt.as_mut().poll(&mut context).is_pending(), "decided on, and not written");
            block_on(service.store.inner.set_not_before(moment)).unwrap();
            let refused = block_on(attempt).expect("not accepted");
            assert!(matches!(refused.reason(), Reason::StoreReplaced), "{}", refused.reason());
            assert_eq!(refused.advice(), Advice::TryAgain);
            assert_eq!(service.state(), before, "the code is as it was");
        }
    }
}

/// Half of a pair was right, and before that is written the token is renewed or reset: its steps may be others by then.
#[test]
fn a_failure_that_comes_after_a_renewal_or_a_reset_pays_and_burns_nothing() {
    let (from, attempt) =
        (token(), Attempt::consecutive([shown(40), Code::parse("000000").unwrap()]).unwrap());
    for renewed in [true, false] {
        let service = scripted();
        service.set(50);
        service.store.set(Op::Charge, Fault::Slow);
        let mut late = pin!(service.gate.validate(Some(&from), &attempt));
        let mut context = Context::from_waker(Waker::noop());
        assert!(late.as_mut().poll(&mut context).is_pending(), "decided on, and not written");
        let (to, watermark) = if renewed {
            let shorter = Totp::builder(&Secret::from_bytes(b"12345678901234567890").unwrap())
                .period(Duration::from_secs(60))
                .build()
                .unwrap();
            let to = Token::new(token().id().clone(), shorter);
            let step = to.totp().step_at(Timestamp::from_unix_seconds(NOON + 50).unwrap()).unwrap();
            // Another node: in this process it would wait for its turn.
            let other = Validator::builder(service.store.clone(), service.time.clone()).build().unwrap();
            let codes = Attempt::one(to.totp().code_at(step));
            assert_eq!(block_on(other.renew(&from, &to, &codes)).unwrap().step, step);
            (to, Some(step))
        } else {
            block_on(service.gate.reset(&from)).unwrap();
            (token(), service.state().watermark)
        };
        let before = block_on(service.store.inner.load(to.key())).unwrap().row.budget.unwrap();
        let verdict = block_on(late);
        assert!(matches!(&verdict, Verdict::Refused(refused) if matches!(refused.reason(), Reason::Wrong)));
        let row = block_on(service.store.inner.load(to.key())).unwrap().row;
        assert_eq!(row.token.unwrap().watermark, watermark, "renewed: {renewed}");
        let partial = row.budget.unwrap().full_at(Bucket::Partial);
        assert!(partial > before.full_at(Bucket::Partial), "its price is paid all the same");
    }
}

#[test]
fn no_two_enrolments_have_one_epoch() {
    let epochs: HashSet<u64> = (0..20).map(|_| scripted().state().epoch).collect();
    assert_eq!(epochs.len(), 20);
    assert!(
        epochs.iter().all(|epoch| i64::try_from(*epoch).is_ok()),
        "some stores have signed integers only"
    );
}

#[test]
fn who_loses_the_race_is_a_replay() {
    // Both nodes have loaded the same state before either writes.
    let service = scripted();
    let other = Validator::builder(service.store.clone(), service.time.clone()).build().unwrap();
    service.store.set(Op::Load, Fault::Slow);
    let (token, attempt) = (token(), one(10));
    let mut first = pin!(service.gate.validate(Some(&token), &attempt));
    let mut second = pin!(other.validate(Some(&token), &attempt));
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..2 {
        assert!(first.as_mut().poll(&mut context).is_pending());
        assert!(second.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(service.store.taken(), [Op::Load, Op::Load]);
    assert!(block_on(first).is_accepted());
    let Verdict::Refused(refused) = block_on(second) else { panic!() };
    assert!(matches!(refused.reason(), Reason::Replay));
}

/// Two processes: one accepts a code while the other looks at the pair of which it is the first half, with a state that was
/// loaded before.
#[test]
fn no_step_is_accepted_twice_across_processes() {
    let service = scripted();
    let other = Validator::builder(service.store.clone(), service.time.clone()).build().unwrap();
    service.set(35);
    let (token, pair) = (token(), two(30));
    service.store.set(Op::Load, Fault::Slow);
    let mut paired = pin!(other.validate(Some(&token), &pair));
    for _ in 0..2 {
        assert!(paired.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert_eq!(service.store.taken(), [Op::Load], "it has read the state and not yet gone on");
    service.store.heal();
    assert!(service.show(&one(0)).is_accepted());
    let Verdict::Refused(refused) = block_on(paired) else { panic!("one step twice") };
    assert!(matches!(refused.reason(), Reason::Replay));
    assert!(service.show(&one(30)).is_accepted());
}

/// Dropped at every await, and after every number of polls.
#[test]
fn a_dropped_attempt_leaves_no_acceptance_without_its_write() {
    for (op, attempt) in [(Op::Load, one(10)), (Op::Accept, one(10)), (Op::Charge, wrong())] {
        for polls in 0..4 {
            let service = scripted();
            let (before, paid) = (service.state(), service.budget());
            service.store.set(op, Fault::Slow);
            let mut verdict = None;
            {
                let token = token();
                let mut future = pin!(service.gate.validate(Some(&token), &attempt));
                for _ in 0..polls {
                    if let Poll::Ready(ready) = future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
                    {
                        verdict = Some(ready);
                        break;
                    }
                }
            }
            service.store.heal();
            let (wrote, after) = (service.store.taken().contains(&Op::Accept), service.state());
            assert_eq!(after.watermark != before.watermark, wrote, "{op:?} after {polls}");
            assert!(wrote || !verdict.as_ref().is_some_and(Verdict::is_accepted));
            let refused_as_wrong = matches!(&verdict, Some(Verdict::Refused(refused)) if matches!(refused.reason(), Reason::Wrong));
            assert!(!refused_as_wrong || service.budget() != paid, "no verdict without its price");
            // The turn isn't lost with the future, and a code that was written is used.
            assert_eq!(service.show(&one(10)).is_accepted(), !wrote, "{op:?} after {polls}");
        }
    }
}

#[test]
fn one_attempt_at_a_time_then_a_short_queue_then_busy() {
    let service = scripted();
    service.store.set(Op::Load, Fault::Slow);
    let (token, attempt) = (token(), wrong().from_client("192.0.2.7"));
    let mut context = Context::from_waker(Waker::noop());
    let mut waiting: Vec<_> =
        (0..5).map(|_| Box::pin(service.gate.validate(Some(&token), &attempt))).collect();
    for future in &mut waiting {
        assert!(future.as_mut().poll(&mut context).is_pending());
    }
    let refused = service.refusal(&attempt);
    assert!(matches!(refused.reason(), Reason::Busy));
    assert_eq!(refused.advice(), Advice::RetryAfter(Duration::from_secs(1)));
    assert_eq!(service.store.taken(), [], "nobody has got further than the first load");
    drop(waiting);
    assert!(matches!(service.refusal(&attempt).reason(), Reason::Wrong));
}

/// Otherwise hundreds would wait for a store that is gone, each for as long as all before it.
#[test]
fn who_waits_behind_an_attempt_whose_store_does_not_answer_is_sent_away() {
    for (op, fault) in
        [Op::Load, Op::Charge].into_iter().flat_map(|op| [(op, Fault::TimesOut), (op, Fault::NeverReady)])
    {
        let service = scripted();
        service.store.set(op, fault);
        let (token, attempt) = (token(), wrong());
        let mut all: Vec<_> =
            (0..50).map(|_| Box::pin(service.gate.validate(Some(&token), &attempt))).collect();
        let mut context = Context::from_waker(Waker::noop());
        for future in &mut all {
            assert!(future.as_mut().poll(&mut context).is_pending());
        }
        service.store.taken();
        let refused =
            |verdict| if let Verdict::Refused(refused) = verdict { refused } else { panic!("accepted") };
        let refused: Vec<_> = all.into_iter().map(|future| refused(block_on(future))).collect();
        assert!(
            matches!(
                refused[0].reason(),
                Reason::StoreFailed(StoreError::TimedOut { .. } | StoreError::NotReady { .. })
            ),
            "{refused:?}"
        );
        assert!(refused[1..].iter().all(|refused| matches!(refused.reason(), Reason::Busy)));
        assert_eq!(service.store.taken(), [], "nobody else has asked");
        service.store.heal();
        assert!(matches!(service.refusal(&wrong()).reason(), Reason::Wrong));
    }
}

/// Attempts on unknown users are too many when as many on one known token would be, if one client shows them; and those of
/// different clients are nothing to each other.
#[test]
fn unknown_users_are_busy_like_known_ones() {
    let service = scripted();
    service.store.set(Op::Load, Fault::Slow);
    let token = token();
    let from = |client: Option<&str>| client.map_or_else(wrong, |client| wrong().from_client(client));
    let mut context = Context::from_waker(Waker::noop());
    for (token, client, waiting) in
        [(Some(&token), Some("a"), 5), (None, Some("a"), 5), (Some(&token), None, 20), (None, None, 20)]
    {
        let attempt = from(client);
        let mut held: Vec<_> = (0..20).map(|_| Box::pin(service.gate.validate(token, &attempt))).collect();
        let mut pending = 0;
        for future in &mut held {
            pending += usize::from(future.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!(pending, waiting, "{client:?}, known: {}", token.is_some());
        let attempt = from(Some("b"));
        let mut another = pin!(service.gate.validate(token, &attempt));
        assert!(another.as_mut().poll(&mut context).is_pending(), "refused for what others do");
    }
}

/// Attempts side by side would all be admitted on the same budget.
#[test]
fn each_attempt_on_a_token_begins_after_the_one_before_has_paid() {
    let service = scripted();
    for op in [Op::Load, Op::Charge] {
        service.store.set(op, Fault::Slow);
    }
    let (token, attempt) = (token(), wrong());
    let mut running: Vec<_> =
        (0..3).map(|_| Box::pin(service.gate.validate(Some(&token), &attempt))).collect();
    let mut context = Context::from_waker(Waker::noop());
    for future in &mut running {
        assert!(future.as_mut().poll(&mut context).is_pending());
    }
    while !running.is_empty() {
        running.retain_mut(|future| future.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(service.store.taken(), [Op::Load, Op::Charge].repeat(3));
}

/// Says that every acceptance was lost, and shows another state from then on.
struct Elsewhere {
    inner: MemoryStore,
    change: fn(Acceptance, &mut TokenState),
    refused: Mutex<Option<Acceptance>>,
}

impl StateStore for Elsewhere {
    fn load<'a>(&'a self, key: &'a TokenKey) -> StoreFuture<'a, Loaded> {
        Box::pin(async move {
            let mut loaded = self.inner.load(key).await?;
            if let (Some(state), Some(acceptance)) = (&mut loaded.row.token, *self.refused.lock().unwrap()) {
                (self.change)(acceptance, state);
            }
            Ok(loaded)
        })
    }

    fn write<'a>(&'a self, key: &'a TokenKey, change: Change) -> StoreFuture<'a, Written> {
        if let Change::Accept(acceptance) = change {
            *self.refused.lock().unwrap() = Some(acceptance);
            return Box::pin(async { Ok(Written::Refused) });
        }
        self.inner.write(key, change)
    }

    fn set_not_before(&self, moment: Timestamp) -> StoreFuture<'_, ()> {
        self.inner.set_not_before(moment)
    }

    fn survives_restart(&self) -> bool {
        true
    }
}

#[test]
fn a_write_is_ones_own_by_nonce_epoch_and_watermark() {
    type Edit = fn(Acceptance, &mut TokenState);
    fn written(acceptance: Acceptance, state: &mut TokenState) {
        (state.nonce, state.epoch, state.watermark) =
            (acceptance.nonce, acceptance.epoch, Some(acceptance.step));
    }
    let changes: [(&str, bool, Edit); 6] = [
        ("as written", true, written),
        ("with more burnt since", true, |own, state| {
            written(own, state);
            state.watermark = Some(own.step.saturating_add(1));
        }),
        ("not written", false, |_, _| {}),
        ("another's nonce", false, |own, state| {
            written(own, state);
            state.nonce[0] ^= 1;
        }),
        ("another enrolment", false, |own, state| {
            written(own, state);
            state.epoch ^= 1;
        }),
        ("set back since", false, |own, state| {
            written(own, state);
            state.watermark = own.step.checked_sub(1);
        }),
    ];
    for (what, own, change) in changes {
        let store = Elsewhere { inner: MemoryStore::new(), change, refused: Mutex::default() };
        let service = Service::enrolled(store);
        service.set(10);
        assert_eq!(service.show(&one(10)).is_accepted(), own, "{what}");
    }
}

#[test]
fn an_unknown_token_costs_the_same_work() {
    let service = scripted();
    let ops = |verdict: Verdict| {
        let event = verdict.events()[0].clone();
        (service.store.taken(), event.window_width)
    };
    let known = ops(service.show(&wrong()));
    let nobody = || block_on(service.gate.validate(None, &wrong().from_client("192.0.2.7")));
    let stranger = Token::new(TokenId::new("stranger").unwrap(), totp());
    let first = ops(nobody());
    assert_eq!(first.0, [Op::Load, Op::Charge, Op::Enrol], "the row is made when it is first needed");
    let unknown = ops(nobody());
    let strange = || block_on(service.gate.validate(Some(&stranger), &wrong()));
    let _first = ops(strange());
    let not_enrolled = ops(strange());
    assert_eq!(known.0, [Op::Load, Op::Charge]);
    assert_eq!(unknown.0, known.0);
    assert_eq!(not_enrolled.0, known.0);
    assert_eq!(unknown.1, not_enrolled.1);
}

/// Whoever names no client has nothing in common with others, and waits for no row that these use.
#[test]
fn unknown_users_are_spread_over_many_rows_and_none_is_shown() {
    let service = scripted();
    for _ in 0..200 {
        assert!(!block_on(service.gate.validate(None, &wrong())).is_accepted());
    }
    let ops = service.store.taken();
    assert_eq!(ops.iter().filter(|op| **op == Op::Enrol).count(), 64, "as many rows");
    assert_eq!(ops.iter().filter(|op| **op == Op::Charge).count(), 200);
    assert_eq!(service.store.inner.len(), 1, "the one token that is enrolled");
    let mut shown = 0;
    let mut visit = |_| {
        shown += 1;
        std::ops::ControlFlow::Continue(())
    };
    block_on(crate::store::ManageStore::scan(&service.store.inner, &mut visit)).unwrap();
    assert_eq!(shown, 1);
}

/// A flushed store: absent state is a refusal, never "a new token".
#[test]
fn a_store_that_was_emptied_lets_nobody_in() {
    let before = scripted();
    assert!(before.show(&one(10)).is_accepted());
    let flushed = Service::new(Scripted::default());
    flushed.set(10);
    for _ in 0..3 {
        let refused = flushed.refusal(&one(10));
        assert!(matches!(refused.reason(), Reason::NotEnrolled));
        assert_eq!(refused.events()[0].outcome, Outcome::StateMissing);
    }
}
