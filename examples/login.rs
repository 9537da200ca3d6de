//! A login with a second factor, from enrolment to the verdict: `cargo run --example login`.
//!
//! The module `service` is what to paste into a service; `main` plays the user and the phone.

use std::error::Error;
use std::time::Duration;

use skewgate::otp::{Algorithm, Code, Secret, TimeStep, Totp};
use skewgate::time::{SignedDuration, TimeSource, os::SystemTime};
use skewgate::token::{Token, TokenId};

mod service {
    use std::error::Error;
    use std::sync::Arc;
    use std::time::Duration;

    use skewgate::store::MemoryStore;
    use skewgate::time::os::SystemTime;
    use skewgate::token::Token;
    use skewgate::validator::{Advice, Attempt, Validator, Verdict};

    /// At start. The clock is somebody else's job here; a `monitor::Monitor` measures it instead.
    pub(crate) fn gate() -> Result<Validator, Box<dyn Error>> {
        let time = SystemTime::with_max_error(Duration::from_secs(1));
        Ok(Validator::builder(Arc::new(MemoryStore::new()), Arc::new(time)).build()?)
    }

    /// Once for each token, while its user is logged in with a password: a first code shows that the phone has the secret.
    pub(crate) async fn enrol(gate: &Validator, token: &Token, typed: &str) -> Result<(), Box<dyn Error>> {
        gate.enrol(token, &Attempt::parse(typed)?).await?;
        Ok(())
    }

    /// At each login, with `None` for a user who doesn't exist: what to tell whoever typed it.
    pub(crate) async fn log_in(gate: &Validator, token: Option<&Token>, typed: &str, client: &str) -> String {
        let Ok(attempt) = Attempt::parse(typed) else { return "that is no code".into() };
        let refused = match gate.validate(token, &attempt.from_client(client)).await {
            Verdict::Accepted(_) => return "welcome".into(),
            Verdict::Refused(refused) => refused,
        };
        match refused.advice() {
            Advice::TryAgain => "that code is wrong, please try again".into(),
            Advice::ShowConsecutive(count) => {
                format!("please type {count} codes, one after the other, none that you have typed before")
            }
            Advice::WaitForNextCode => "that code was used, please wait for the next one".into(),
            Advice::RetryAfter(wait) => format!("please come back in {} s", wait.as_secs() + 1),
            _ => "please tell the operator".into(), // whose log has the reason
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // From the user table: who it is, and the secret that the app on the phone has, too.
    let totp = Totp::builder(&Secret::generate(Algorithm::Sha1)?).build()?;
    let token = Token::new(TokenId::new("user-42")?, totp.clone());
    // What the phone showed so many seconds ago.
    let phone = |ago: i64| -> Result<Code, Box<dyn Error>> {
        let now = SystemTime::with_max_error(Duration::from_secs(1)).now()?.midpoint();
        Ok(totp.code_at(totp.step_at(now - SignedDuration::from_secs(ago)).unwrap_or(TimeStep::ZERO)))
    };

    skewgate::block_on(async {
        let gate = service::gate()?;
        // Enrolled with the code before, so that nobody has to wait for the next one.
        service::enrol(&gate, &token, &phone(30)?.expose()).await?;
        let code = phone(0)?.expose().to_string();
        // Eight digits are never right where the token has six.
        for (what, typed) in [("a code", &*code), ("it again", &*code), ("another", "0000 0000")] {
            println!("{what}: {}", service::log_in(&gate, Some(&token), typed, "192.0.2.7").await);
        }
        Ok(())
    })
}
