//! Any text as an `otpauth:` URI: refused, or printed in the one form that reads back to the same; and any parts that make
//! a URI come back out of it.
#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use skewgate::otp::{Algorithm, Digits, OtpauthUri, Secret, UriKind};

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Text(&'a str),
    Parts(Parts<'a>),
}

#[derive(Arbitrary, Debug)]
struct Parts<'a> {
    issuer: &'a str,
    account: &'a str,
    secret: &'a [u8],
    algorithm: u8,
    digits: u8,
    kind: u8,
    number: u64,
    parameters: Vec<(&'a str, &'a str)>,
}

fuzz_target!(|input: Input| match input {
    Input::Text(text) => read(text),
    Input::Parts(parts) => write(&parts),
});

fn read(text: &str) {
    let strict = OtpauthUri::parse(text);
    let legacy = OtpauthUri::parse_legacy(text);
    if let Ok(uri) = &strict {
        let (same, flaws) = legacy.as_ref().expect("legacy takes what strict takes");
        assert!(flaws.is_empty());
        assert_eq!(same.expose_uri(), uri.expose_uri());
        check(uri);
        assert_eq!(
            OtpauthUri::parse(&uri.expose_uri()).expect("its own form").expose_uri(),
            uri.expose_uri()
        );
    }
    if let Ok((uri, flaws)) = legacy {
        assert_eq!(strict.is_ok(), flaws.is_empty());
        check(&uri);
    }
}

fn write(parts: &Parts<'_>) {
    let Ok(secret) = Secret::short_legacy(parts.secret) else { return };
    let algorithm = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512][usize::from(parts.algorithm % 3)];
    let kind = match parts.kind % 3 {
        0 => UriKind::Totp { period: Duration::from_secs(parts.number) },
        1 => UriKind::Hotp { counter: parts.number },
        _ => UriKind::Steam,
    };
    let mut builder = OtpauthUri::builder(parts.account, secret)
        .issuer(parts.issuer)
        .algorithm(algorithm)
        .digits(Digits::new(usize::from(6 + parts.digits % 5)).expect("6 to 10"))
        .kind(kind);
    for (name, value) in &parts.parameters {
        builder = builder.parameter(name, value);
    }
    let Ok(uri) = builder.build() else { return };
    assert_eq!(uri.issuer().unwrap_or_default(), parts.issuer);
    assert_eq!(uri.account(), parts.account.trim_start_matches(' '));
    check(&uri);
}

/// Every part comes back, and a token can be made.
fn check(uri: &OtpauthUri) {
    let printed = uri.expose_uri();
    assert!(printed.is_ascii() && printed.len() <= OtpauthUri::MAX_BYTES);
    let (again, _) = OtpauthUri::parse_legacy(&printed).expect("its own form");
    assert_eq!(again.expose_uri(), printed);
    assert_eq!(again.kind(), uri.kind());
    assert_eq!((again.issuer(), again.account()), (uri.issuer(), uri.account()));
    assert_eq!(again.secret().expose_bytes(), uri.secret().expose_bytes());
    assert_eq!((again.algorithm(), again.digits()), (uri.algorithm(), uri.digits()));
    assert!(again.parameters().eq(uri.parameters()));
    // Kind, hash and digits can be had from the token, too.
    if let Ok(totp) = uri.totp() {
        let secret = Secret::short_legacy(uri.secret().expose_bytes()).expect("it was one");
        let of_token = OtpauthUri::builder("", secret).totp(&totp).build().expect("a token of a URI");
        assert_eq!((of_token.kind(), of_token.digits()), (uri.kind(), uri.digits()));
        assert_eq!(of_token.algorithm(), uri.algorithm());
    }
    assert_ne!(uri.totp().is_ok(), matches!(uri.kind(), UriKind::Hotp { .. }));
    assert_eq!(uri.hotp().is_ok(), matches!(uri.kind(), UriKind::Hotp { .. }));
}
