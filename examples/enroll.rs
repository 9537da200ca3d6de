//! An authenticator app is enrolled: a new secret, its QR code, and a first code that shows the app has it.
//!
//! `cargo run --example enroll --features qr -- ada@example.org`. Where stdin is no terminal, a phone is played.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use skewgate::otp::{Algorithm, OtpauthUri, Secret, TimeStep, qr};
use skewgate::store::MemoryStore;
use skewgate::time::{TimeSource, os::SystemTime};
use skewgate::token::{DriftModel, Token, TokenId};
use skewgate::validator::{Attempt, Validator};

fn main() -> Result<(), Box<dyn Error>> {
    let account = std::env::args().nth(1).unwrap_or_else(|| "ada@example.org".into());
    let clock = SystemTime::with_max_error(Duration::from_secs(1));
    let gate = Validator::builder(Arc::new(MemoryStore::new()), Arc::new(clock)).build()?;

    // SHA-1, six digits, 30 s: what every app understands. The secret goes into the user table, encrypted.
    let secret = Secret::generate(Algorithm::Sha1)?;
    let uri = OtpauthUri::builder(&account, secret).issuer("skewgate example").build()?;
    let token = Token::new(TokenId::new(&account)?, uri.totp()?);

    print!("{}", qr::terminal(&uri.expose_uri())?.as_str());
    println!(
        "Scan this with an authenticator app, or type the secret: {}",
        uri.secret().expose_base32().as_str()
    );

    for _ in 0..3 {
        let typed = if std::io::stdin().is_terminal() { ask()? } else { play_the_phone(&uri)? };
        let enrolled = match Attempt::parse(typed.trim()) {
            Ok(attempt) => {
                skewgate::block_on(gate.enrol(&token, &attempt)).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match enrolled {
            Ok(enrolled) => {
                let (drift, model) = (enrolled.drift, DriftModel::default());
                let unsure = drift.deviation_at(&model, drift.updated()).as_secs();
                println!(
                    "{account} is enrolled at step {}, {} off, give or take {unsure} s",
                    enrolled.step,
                    drift.mean()
                );
                return Ok(());
            }
            Err(error) => println!("not enrolled: {error}"),
        }
    }
    Err("three codes didn't fit: is the phone's clock right?".into())
}

fn ask() -> Result<String, Box<dyn Error>> {
    print!("The code that it shows: ");
    std::io::stdout().flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line)
}

/// What an app makes of the QR code: it reads the URI, and shows the code of its own clock.
fn play_the_phone(uri: &OtpauthUri) -> Result<String, Box<dyn Error>> {
    let scanned = OtpauthUri::parse(&uri.expose_uri())?.totp()?;
    let now = SystemTime::with_max_error(Duration::from_secs(1)).now()?.midpoint();
    let code = scanned.code_at(scanned.step_at(now).unwrap_or(TimeStep::ZERO)).expose().to_string();
    println!("The code that it shows: {code}");
    Ok(code)
}
