//! A login with a second factor, from enrolment to the verdict: what to paste into a service.
//!
//! `cargo run --example login`. Time is simulated, so that the example needn't wait for the next code; a service
//! uses `skewgate::time::os::SystemTime::with_max_error(…)` where somebody else watches the clock, or the monitor.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use skewgate::block_on;
use skewgate::otp::{Algorithm, Code, Secret, TimeStep, Totp};
use skewgate::store::MemoryStore;
use skewgate::time::{TimeInterval, TimeSource, sim::SimTime};
use skewgate::token::{Token, TokenId};
use skewgate::validator::{Advice, Attempt, Validator, Verdict};

fn main() -> Result<(), Box<dyn Error>> {
    // At start: a time source, a store, a validator.
    let now = TimeInterval::around("2026-06-01T12:00:10Z".parse()?, Duration::from_millis(50));
    let time = Arc::new(SimTime::new(now));
    let gate = Validator::builder(Arc::new(MemoryStore::new()), time.clone()).build()?;

    // From the user table: who it is, and the secret that the app on the phone has, too.
    let totp = Totp::builder(&Secret::generate(Algorithm::Sha1)?).build()?;
    let token = Token::new(TokenId::new("user-42")?, totp.clone());
    let phone = || -> Result<Code, Box<dyn Error>> {
        Ok(totp.code_at(totp.step_at(time.now()?.midpoint()).unwrap_or(TimeStep::ZERO)))
    };

    // Once, while the user is logged in with a password: the first code shows that the phone has the secret.
    block_on(gate.enrol(&token, &Attempt::one(phone()?)))?;

    // At each login: what the user typed.
    let log_in = |typed: &str| -> Result<(), Box<dyn Error>> {
        println!("{typed} -> {}", answer(&block_on(gate.validate(Some(&token), &Attempt::parse(typed)?))));
        Ok(())
    };
    time.advance(Duration::from_secs(60));
    let code = phone()?.expose().to_string();
    log_in(&code)?;
    log_in(&code)?;
    time.advance(Duration::from_secs(60));
    let (left, right) = code.split_at(3);
    log_in(&format!("{right}{left}"))
}

/// What to tell the user.
fn answer(verdict: &Verdict) -> String {
    let refused = match verdict {
        Verdict::Accepted(accepted) => return format!("welcome (step {}, never again)", accepted.step),
        Verdict::Refused(refused) => refused,
    };
    match refused.advice() {
        Advice::TryAgain => "that code is wrong, please try again".into(),
        Advice::ShowConsecutive(count) => format!("please type {count} codes, one after the other"),
        Advice::WaitForNextCode => "that code was used, please wait for the next one".into(),
        Advice::RetryAfter(wait) => format!("please come back in {} s", wait.as_secs()),
        // The reason is for the operator's log, not for the user.
        _ => format!("please tell the operator ({})", refused.reason()),
    }
}
