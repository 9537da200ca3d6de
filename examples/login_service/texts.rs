//! What users are told. It follows from the advice of the gate, which tells a guesser of codes nothing; what it tells of passwords is in
//! [`login`](crate::login).

use std::time::Duration;

use axum::http::StatusCode;
use skewgate::validator::Advice;

use crate::html::Message;

/// For what a user can mend at once.
pub(crate) fn slip(text: impl Into<String>) -> (StatusCode, Message) {
    (StatusCode::OK, Message::Failed(text.into()))
}

pub(crate) fn no_code() -> (StatusCode, Message) {
    slip("A code has six digits, as your device shows them. Please type it again.")
}

/// For what no user can mend, and the log says why: a store or a clock may be back in a moment.
pub(crate) fn not_now(what: &str) -> (StatusCode, Message) {
    let text = format!(
        "{what} at present. Please try again in a minute; if that doesn't help, tell whoever runs this service."
    );
    (StatusCode::SERVICE_UNAVAILABLE, Message::Failed(text))
}

/// For an attempt at signing in with `codes` codes.
pub(crate) fn refused(advice: Advice, codes: u8) -> (StatusCode, Message) {
    let (status, text) = match advice {
        Advice::TryAgain if codes == 1 => {
            (StatusCode::OK, "User name, password or code is wrong. Check all three, and type the code that your device shows now.".into())
        }
        Advice::TryAgain => {
            (StatusCode::OK, "That is not right. Please type codes in a row, none of which you have typed yet.".into())
        }
        Advice::WaitForNextCode if codes > 1 => {
            (StatusCode::OK, format!("These codes were used already. Wait until your device shows the next one, and type {} codes in a row from that one on.", in_words(codes)))
        }
        Advice::WaitForNextCode => {
            (StatusCode::OK, "This code was used already. Wait until your device shows the next one, and type that.".into())
        }
        Advice::ShowConsecutive(count) => {
            (StatusCode::OK, format!("That is not right. Please type {} codes in a row, none of which you have typed yet.", in_words(count)))
        }
        // There were too many attempts, or what the device shows counts as used for as long.
        Advice::RetryAfter(wait) => {
            let text = format!("You can't be signed in just now. Please try again in {}.", spoken(wait));
            (StatusCode::TOO_MANY_REQUESTS, text)
        }
        _ => return not_now("You can't be signed in"),
    };
    (status, Message::Failed(text))
}

/// For an attempt at a resynchronisation. All that depends on the token is said at once and to everybody: whoever was told that it is too
/// early, or what else is wrong with the codes, would know that the password is right.
pub(crate) fn not_resynchronised(advice: Advice) -> (StatusCode, Message) {
    if advice == Advice::TellOperator {
        return not_now("Your device's clock can't be learned");
    }
    slip(
        "That is not right, or it is too early. Check user name and password, wait for a code that you have not typed yet, and type it \
         and the next one. After signing in, creating the account or doing this, your device's clock can't be learned for a quarter of \
         an hour.",
    )
}

pub(crate) fn too_many(wait: Duration) -> (StatusCode, Message) {
    let text = format!("There were too many attempts. Please try again in {}.", spoken(wait));
    (StatusCode::TOO_MANY_REQUESTS, Message::Failed(text))
}

/// How many codes: two or three.
pub(crate) fn in_words(codes: u8) -> &'static str {
    if codes == 2 { "two" } else { "three" }
}

/// Rounded up, in words.
pub(crate) fn spoken(wait: Duration) -> String {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    match seconds {
        0 | 1 => "a second".into(),
        2..120 => format!("{seconds} seconds"),
        120..7200 => format!("{} minutes", seconds.div_ceil(60)),
        _ => format!("{} hours", seconds.div_ceil(3600)),
    }
}

/// A fixed text for a word in the address: what was done before this page was asked for.
pub(crate) fn done(word: &str) -> Option<Message> {
    match word {
        "enrolled" => Some(Message::Done(
            "Your account is there. Sign in with the next code that your device shows: the one that you typed is used.",
        )),
        "resynchronised" => {
            Some(Message::Done("Your device's clock is known now. Sign in with the next code that it shows."))
        }
        "signed-out" => Some(Message::Done("You are signed out.")),
        _ => None,
    }
}
