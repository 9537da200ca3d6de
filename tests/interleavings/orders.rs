//! The memory store and the queue before it under thousands of orders in which threads may run, drawn by shuttle. Nothing runs without
//! `RUSTFLAGS="--cfg shuttle"`; `.ci/run` does it.
#![cfg(shuttle)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use shuttle::future::block_on;
use shuttle::thread;
use skewgate::otp::{Code, Secret, TimeStep, Totp};
use skewgate::store::{MemoryStore, StateStore};
use skewgate::time::sim::SimTime;
use skewgate::time::{TimeInterval, Timestamp};
use skewgate::token::{Budget, Token, TokenId};
use skewgate::validator::{Attempt, Reason, Validator, Verdict};

const ORDERS: usize = 3_000;

struct Service {
    store: Arc<MemoryStore>,
    time: Arc<SimTime>,
    token: Token,
}

impl Service {
    fn new() -> Self {
        let noon = Timestamp::from_unix_seconds(1_780_315_200).unwrap();
        let time = Arc::new(SimTime::new(TimeInterval::around(noon, Duration::from_millis(10))));
        let secret = Secret::from_bytes(b"12345678901234567890").unwrap();
        let token = Token::new(TokenId::new("ada").unwrap(), Totp::builder(&secret).build().unwrap());
        let service = Self { store: Arc::new(MemoryStore::new()), time, token };
        let enrolled = service.code(-1);
        block_on(service.node().enrol(&service.token, &Attempt::one(enrolled))).unwrap();
        service
    }

    /// A process of its own, as far as its queue goes.
    fn node(&self) -> Validator {
        Validator::builder(self.store.clone(), self.time.clone()).build().unwrap()
    }

    fn code(&self, steps: i64) -> Code {
        self.token.totp().code_at(TimeStep::new(1_780_315_200 / 30 + steps).unwrap())
    }

    fn budget(&self) -> Budget {
        block_on(self.store.load(self.token.key())).unwrap().row.budget.unwrap()
    }
}

/// One right code and one wrong one each from two nodes of two threads: let in once, and every wrong one is paid for.
#[test]
fn a_code_is_let_in_once_and_each_wrong_one_is_paid_for_in_every_order() {
    shuttle::check_random(
        || {
            let service = Arc::new(Service::new());
            let nodes = [service.node(), service.node()];
            let threads: Vec<_> = (0..4)
                .map(|number: usize| {
                    let (service, node) = (Arc::clone(&service), nodes[number % 2].clone());
                    thread::spawn(move || {
                        let right = Attempt::one(service.code(0));
                        let wrong = Attempt::parse("000000").unwrap();
                        let attempts = if number < 2 { [right, wrong] } else { [wrong, right] };
                        let mut seen = (0, 0);
                        for attempt in attempts {
                            match block_on(node.validate(Some(&service.token), &attempt)) {
                                Verdict::Accepted(_) => seen.0 += 1,
                                Verdict::Refused(refused) => {
                                    seen.1 += u32::from(matches!(refused.reason(), Reason::Wrong));
                                }
                            }
                        }
                        seen
                    })
                })
                .collect();
            let seen: Vec<(u32, u32)> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
            assert_eq!(seen.iter().map(|(accepted, _)| accepted).sum::<u32>(), 1, "{seen:?}");
            let wrong: u32 = seen.iter().map(|(_, wrong)| wrong).sum();
            // A success ends a row of failures: those before it are counted by the price alone.
            assert!(service.budget().failures() <= wrong);
            let full = service.time_full_after(wrong);
            assert_eq!(service.budget().full_at(skewgate::token::Bucket::Blind), full, "{wrong} wrong");
        },
        ORDERS,
    );
}

impl Service {
    /// When the blind bucket will be full again after so many wrong single codes on a fresh token.
    fn time_full_after(&self, wrong: u32) -> Timestamp {
        let fresh = Self::new();
        let mut paid = 0;
        while paid < wrong {
            // One process after the other: each has its own queue, none its own budget.
            let verdict =
                block_on(fresh.node().validate(Some(&fresh.token), &Attempt::parse("000000").unwrap()));
            match verdict {
                Verdict::Refused(refused) if matches!(refused.reason(), Reason::Wrong) => paid += 1,
                other => panic!("{other:?}"),
            }
        }
        fresh.budget().full_at(skewgate::token::Bucket::Blind)
    }
}
