//! What a validator promises, whichever its store.

use super::*;
use skewgate::otp::{Code, Secret, Totp};
use skewgate::time::TimeInterval;
use skewgate::time::sim::SimTime;
use skewgate::token::Token;
use skewgate::validator::{Advice, Attempt, Reason, Validator, Verdict};

/// Validators on the stores of one place, as several nodes have, and one clock.
struct Site {
    gates: Vec<Validator>,
    time: Arc<SimTime>,
}

impl Site {
    fn on(stores: impl IntoIterator<Item = Arc<dyn ManageStore>>) -> Self {
        let time = Arc::new(SimTime::new(TimeInterval::around(NOW, Duration::from_millis(100))));
        let gate = |store| Validator::builder(store, time.clone()).build().unwrap();
        Self { gates: stores.into_iter().map(|store| gate(store)).collect(), time }
    }

    async fn enrol(&self, name: &str) -> Token {
        let totp = Totp::builder(&Secret::from_bytes(b"12345678901234567890").unwrap()).build().unwrap();
        let token = Token::new(id(name), totp);
        self.gates[0].enrol(&token, &self.shown(&token, 0)).await.unwrap();
        self.time.advance(Duration::from_secs(600));
        token
    }

    /// The code of so many steps after the present one.
    fn code(&self, token: &Token, steps: i64) -> Code {
        let ahead = SignedDuration::from_secs(30 * steps);
        let now = skewgate::time::TimeSource::now(&*self.time).unwrap().midpoint();
        token.totp().code_at(token.totp().step_at(now + ahead).unwrap())
    }

    fn shown(&self, token: &Token, steps: i64) -> Attempt {
        Attempt::one(self.code(token, steps))
    }
}

fn says(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Accepted(accepted) => format!("accepted {}", accepted.step.get()),
        Verdict::Refused(refused) => refused.reason().to_string(),
    }
}

fn is_wrong(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Refused(refused) if matches!(refused.reason(), Reason::Wrong))
}

/// However many guess at a token, on all nodes, from one place, from many, or from who knows where: its owner does once what he is told,
/// and is in.
pub(crate) async fn an_owner_gets_in_within_two_tries_through_a_flood(place: Arc<dyn Place>) {
    const WRONG: i64 = 256;
    let site = Site::on(handles(&*place).await);
    for round in 0..9 {
        let token = site.enrol(&format!("owner {round}")).await;
        let from = |attempt: Attempt, number: i64| match round / 3 {
            0 => attempt.from_client(if number == WRONG { "owner" } else { "flood" }),
            1 => attempt.from_client(&format!("192.0.2.{number}")),
            _ => attempt,
        };
        let flood: Vec<_> = (0..WRONG)
            .zip(site.gates.iter().cycle().cloned())
            .map(|(number, gate)| {
                let (token, wrong) = (token.clone(), from(site.shown(&token, 5_000 + number), number));
                tokio::spawn(async move { gate.validate(Some(&token), &wrong).await })
            })
            .collect();
        // At once, and while it is under way.
        for _ in 0..round % 3 * 8 {
            tokio::task::yield_now().await;
        }
        let (gate, mut attempt) = (site.gates.last().unwrap(), site.shown(&token, 0));
        let mut answers = Vec::new();
        for _ in 0..2 {
            let verdict = gate.validate(Some(&token), &from(attempt.clone(), WRONG)).await;
            answers.push(says(&verdict));
            match verdict {
                Verdict::Accepted(_) => break,
                Verdict::Refused(refused) if refused.advice() == Advice::ShowConsecutive(2) => {
                    attempt = Attempt::consecutive([site.code(&token, -1), site.code(&token, 0)]).unwrap();
                }
                Verdict::Refused(_) => {}
            }
        }
        assert!(answers.last().unwrap().starts_with("accepted"), "round {round}: {answers:?}");
        for wrong in flood {
            assert!(!wrong.await.unwrap().is_accepted());
        }
    }
}

/// Whoever gives up waiting for a verdict, at whichever moment: no code is accepted twice, no wrong one is free, and what comes after it
/// works.
pub(crate) async fn an_attempt_that_is_dropped_lets_nobody_in_twice(place: Arc<dyn Place>) {
    let stores = handles(&*place).await;
    let (site, store) = (Site::on(stores.clone()), &stores[0]);
    for polls in 0..=24 {
        let token = site.enrol(&format!("dropped {polls}")).await;
        let gates = || site.gates.iter().cycle();
        let mut wrong = 0;
        for (gate, number) in gates().zip(0..3) {
            let attempt = site.shown(&token, 5_000 + number);
            let answered = drops::polled(Box::pin(gate.validate(Some(&token), &attempt)), polls).await;
            wrong += u32::from(answered.is_some_and(|verdict| is_wrong(&verdict)));
        }
        let paid = load(store, token.key()).await.row.budget.unwrap().failures();
        assert!(
            wrong <= paid && paid <= 3,
            "after {polls} polls {wrong} were told that they are wrong, {paid} paid"
        );
        let mut accepted = 0;
        for (gate, polls) in gates().zip([polls, polls, polls, usize::MAX]) {
            let attempt = site.shown(&token, 0);
            let answered = drops::polled(Box::pin(gate.validate(Some(&token), &attempt)), polls).await;
            accepted += u32::from(answered.is_some_and(|verdict| verdict.is_accepted()));
        }
        assert!(accepted <= 1, "{accepted} times");
        site.time.advance(Duration::from_secs(60));
        let after = site.gates[0].validate(Some(&token), &site.shown(&token, 0)).await;
        assert!(after.is_accepted(), "after {polls} polls: {}", says(&after));
    }
}

/// A backup of before a login, brought into an empty store: its code stays used.
#[cfg(feature = "backup")]
pub(crate) async fn no_used_code_comes_back_with_an_import(place: Arc<dyn Place>) {
    use skewgate::store::{MemoryStore, backup};

    let own = place.open().await;
    for (from, to, name) in [(own.clone(), memory(), "exported"), (memory(), own, "imported")] {
        let site = Site::on([from.clone(), to.clone()]);
        let [old, new] = &site.gates[..] else { unreachable!("one for each store") };
        let token = site.enrol(name).await;
        let mut file = Vec::new();
        assert_eq!(backup::export(&*from, &mut file).await.unwrap(), 1);
        assert!(old.validate(Some(&token), &site.shown(&token, 0)).await.is_accepted());

        assert_eq!(backup::import(&*to, &*site.time, &mut &file[..]).await.unwrap().created, 1);
        // The one that was used, those that come next, and a resynchronisation.
        for minutes in 0..5 {
            for attempt in [site.shown(&token, 0), site.shown(&token, -1)] {
                let verdict = new.validate(Some(&token), &attempt).await;
                assert!(!verdict.is_accepted(), "after {minutes} minutes: {}", says(&verdict));
            }
            let two = Attempt::consecutive([site.code(&token, -1), site.code(&token, 0)]).unwrap();
            assert!(new.resynchronise(&token, &two).await.is_err());
            site.time.advance(Duration::from_secs(60));
        }
        site.time.advance(Duration::from_secs(120));
        let verdict = new.validate(Some(&token), &site.shown(&token, 0)).await;
        assert!(verdict.is_accepted(), "{}", says(&verdict));
    }

    fn memory() -> Arc<dyn ManageStore> {
        Arc::new(MemoryStore::new())
    }
}
