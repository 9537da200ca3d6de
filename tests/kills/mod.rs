//! A service whose process is killed again and again, and what must be true of its store afterwards.
//!
//! The child validates real codes in many threads and tells each verdict over a pipe once it has it, as a service would let a
//! user in then. The parent kills it at a random instant, opens the store and compares: what was told must be there.
//!
//! Two validators share the child's store, as two nodes would: what they both admit is decided by the store alone. *Hot*
//! tokens are shown right codes by all threads at once, those of the step before too, and of the life before: time goes on
//! where the last life has ended. *Cold* ones are shown wrong codes.

mod child;
mod parent;

use skewgate::otp::{Secret, TimeStep, Totp};
use skewgate::token::{Token, TokenId};

pub(crate) use child::{is_child, live};
pub(crate) use parent::Service;

/// How the child knows what it is: where the store is, its seed, the time and its group of cold tokens.
const CHILD: &str = "SKEWGATE_KILLS_CHILD";

const THREADS: u64 = 16;
const HOT: u64 = 12;
/// As many cold tokens as one life uses up, and how many such groups there are before time makes a leap that fills
/// their budgets again.
const COLD: u64 = 48;
const GROUPS: u64 = 40;
const TOKENS: u64 = HOT + COLD * GROUPS;

/// Noon, 2026-06-01.
const START_UNIX_SECONDS: i64 = 1_780_315_200;

fn token(number: u64) -> Token {
    let mut bytes = [7; 20];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    let secret = Secret::from_bytes(&bytes).expect("20 bytes");
    let totp = Totp::builder(&secret).build().expect("a token");
    Token::new(TokenId::new(&format!("token {number}")).expect("a name"), totp)
}

fn step(number: i64) -> TimeStep {
    TimeStep::new(number.max(0)).expect("not negative")
}
