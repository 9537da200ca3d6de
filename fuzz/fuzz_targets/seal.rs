//! Any text and any bytes as a sealed secret: refused, or one that prints as it was read and never opens. What is sealed opens in
//! its own row as it was, in no other, and not with a bit changed.
#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use skewgate::otp::{Algorithm, Digits, Format, Secret};
use skewgate::seal::{Binding, KeyId, KeyRing, Sealed, SealingKey};
use skewgate::time::Timestamp;
use skewgate::token::TokenId;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
    Key(&'a str),
    Parts(Parts<'a>),
}

#[derive(Arbitrary, Debug)]
struct Parts<'a> {
    secret: &'a [u8],
    key: [u8; 32],
    key_id: &'a str,
    context: &'a str,
    here: Row<'a>,
    there: Row<'a>,
    place: u16,
    change: u8,
}

#[derive(Arbitrary, Debug)]
struct Row<'a> {
    token: &'a str,
    epoch: u64,
    algorithm: u8,
    format: u8,
    period: u32,
    t0: i64,
}

impl Row<'_> {
    /// What can't be is near to what can: nearly every input is a row.
    fn binding(&self) -> Binding {
        let algorithm =
            [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512][usize::from(self.algorithm % 3)];
        let format = match self.format % 6 {
            0 => Format::Steam,
            count => Format::Decimal(Digits::new(usize::from(count) + 5).expect("6 to 10")),
        };
        let token = TokenId::new(self.token).or_else(|_| TokenId::new("ada")).expect("an id");
        Binding::builder(token, self.epoch)
            .algorithm(algorithm)
            .format(format)
            .period(Duration::from_secs(u64::from(self.period % 86_400) + 1))
            .t0(Timestamp::from_unix_seconds(self.t0 % 9_223_372_036).expect("in range"))
            .build()
            .expect("in range")
    }
}

fuzz_target!(|input: Input| match input {
    Input::Text(text) => {
        if let Ok(sealed) = Sealed::parse(text) {
            assert_eq!(sealed.to_string(), text);
            refused(&sealed);
        }
    }
    Input::Bytes(bytes) => {
        if let Ok(sealed) = Sealed::from_bytes(bytes) {
            assert_eq!(sealed.to_bytes(), bytes);
            assert_eq!(Sealed::parse(&sealed.to_string()).as_ref(), Ok(&sealed));
            refused(&sealed);
        }
    }
    Input::Key(text) => {
        for key in [SealingKey::from_base64("k", text), SealingKey::from_hex("k", text)].into_iter().flatten()
        {
            let again = SealingKey::from_base64("k", &key.expose_base64()).expect("its own form");
            assert_eq!(again.expose_base64(), key.expose_base64());
        }
    }
    Input::Parts(parts) => round_trip(&parts),
});

/// Nobody makes one without the key; and where a key has its id, that key is tried.
fn refused(sealed: &Sealed) {
    let key = SealingKey::from_bytes(sealed.key_id().as_str(), &[7; 32]).expect("a key's id");
    let binding = Binding::builder(TokenId::new("ada").expect("an id"), 0).build().expect("a row");
    assert!(KeyRing::new(key).open(sealed, &binding).is_err());
}

fn round_trip(parts: &Parts<'_>) {
    let Ok(secret) = Secret::short_legacy(parts.secret) else { return };
    let id = if KeyId::new(parts.key_id).is_ok() { parts.key_id } else { "k" };
    let Ok(key) = SealingKey::from_bytes(id, &parts.key) else { return };
    let Ok(ring) = KeyRing::new(key).in_context(parts.context) else { return };
    let here = parts.here.binding();
    let sealed = ring.seal(&secret, &here).expect("random numbers");
    assert!(sealed.to_string().len() <= Sealed::MAX_TEXT_BYTES);
    assert_eq!(Sealed::parse(&sealed.to_string()).as_ref(), Ok(&sealed));
    assert_eq!(ring.open(&sealed, &here).expect("its own row").expose_bytes(), parts.secret);
    let there = parts.there.binding();
    assert_eq!(ring.open(&sealed, &there).is_ok(), here == there);
    let mut bytes = sealed.to_bytes();
    let place = usize::from(parts.place) % bytes.len();
    bytes[place] ^= parts.change;
    let opened = Sealed::from_bytes(&bytes).is_ok_and(|sealed| ring.open(&sealed, &here).is_ok());
    assert_eq!(opened, parts.change == 0);
}
