//! Several nodes of a service, each a process of its own with a validator over the same store: what must hold of every store
//! that processes share.
//!
//! The test executable runs itself: a test file has a test named `node`, which [`work`]s, and tests that start nodes with
//! [`contend`] and [`flood`]. What a node was answered it writes down once it was released, a line for each verdict, so that
//! what a killed node has still said is known.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod node;
mod parent;

pub(crate) use node::work;
pub(crate) use parent::{Trouble, contend, flood};

use std::time::Duration;

use skewgate::otp::{Code, Secret, TimeStep, Totp};
use skewgate::time::{TimeInterval, Timestamp};
use skewgate::token::{Token, TokenId};
use skewgate::validator::{Attempt, Reason};

/// What a node is told its store by.
const URL: &str = "SKEWGATE_NODE";

/// The test of each test file that is a node.
const NODE: &str = "node";

/// The beginning of a step.
const NOON: i64 = 1_780_315_200;

/// Between two rounds: enough that what a round spent is there again in the next one.
const ROUND: i64 = 2 * 86_400;

/// How many tokens there are: one with its own budget, two that share one.
const TOKENS: usize = 3;

fn token(number: usize) -> Token {
    let id = |text: &str| TokenId::new(text).unwrap();
    let token = Token::new(id(&format!("token {number}")), totp(number));
    if number == 0 { token } else { token.sharing_budget(id("account")) }
}

fn totp(number: usize) -> Totp {
    let key = format!("1234567890123456789{number}");
    Totp::builder(&Secret::from_bytes(key.as_bytes()).unwrap()).build().unwrap()
}

/// The middle of a round's step.
fn now(round: i64) -> TimeInterval {
    let second = Timestamp::from_unix_seconds(NOON + round * ROUND + 15).unwrap();
    TimeInterval::around(second, Duration::from_millis(10))
}

fn current(round: i64) -> i64 {
    (NOON + round * ROUND) / 30
}

fn code(token: usize, step: i64) -> Code {
    totp(token).code_at(TimeStep::new(step).unwrap())
}

/// A code that fits nowhere near.
fn wrong_code(token: usize, round: i64, mut draw: u64) -> Code {
    loop {
        let text = format!("{:06}", draw % 1_000_000);
        if (-40..40).all(|near| *code(token, current(round) + near).expose() != *text) {
            return Code::parse(&text).unwrap();
        }
        draw += 1;
    }
}

/// What an attempt shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// The code of now.
    Current,
    /// The one before: old, where the one of now was accepted.
    Previous,
    /// One that fits nowhere.
    Wrong,
    /// Two codes, of which the first is right.
    Half,
}

impl Shown {
    const fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Previous => "previous",
            Self::Wrong => "wrong",
            Self::Half => "half",
        }
    }

    fn attempt(self, token: usize, round: i64, draw: u64) -> Attempt {
        let wrong = || wrong_code(token, round, draw);
        match self {
            Self::Current => Attempt::one(code(token, current(round))),
            Self::Previous => Attempt::one(code(token, current(round) - 1)),
            Self::Wrong => Attempt::one(wrong()),
            Self::Half => Attempt::consecutive([code(token, current(round) - 1), wrong()]).unwrap(),
        }
    }
}

/// What a node writes of a refusal: a word.
const fn word(reason: &Reason) -> &'static str {
    match reason {
        Reason::Wrong => "wrong",
        Reason::Replay => "replay",
        Reason::Busy => "busy",
        Reason::StoreFailed(_) => "failed",
        Reason::Throttled { .. } | Reason::ConsecutiveCodesNeeded { .. } => "throttled",
        _ => "other",
    }
}
