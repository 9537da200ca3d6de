use proptest::prelude::*;

use super::*;
use crate::otp::{Algorithm, Digits, UriError, UriKind};
use std::time::Duration;

/// From the documentation of several apps: an account as Google Authenticator exports it.
const EXPORTED: &str =
    "otpauth-migration://offline?data=CjEKCkhlbGxvId6tvu8SGEV4YW1wbGU6YWxpY2VAZ29vZ2xlLmNvbRoHRXhhbXBsZTAC";

fn uri(message: &[u8]) -> String {
    let base64 = Base64Unpadded::encode_string(message);
    format!("{}{}", Migration::PREFIX, base64.replace('+', "%2B").replace('/', "%2F"))
}

/// A message of one account, whose fields these are, behind a good secret.
fn account(rest: &[u8]) -> Result<Migration, MigrationError> {
    let mut inner = Vec::new();
    put_bytes(&mut inner, 1, b"12345678901234567890");
    inner.extend_from_slice(rest);
    let mut message = Vec::new();
    put_bytes(&mut message, 1, &inner);
    Migration::parse(&uri(&message))
}

fn numbers(fields: &[(u64, u64)]) -> Vec<u8> {
    let mut out = Vec::new();
    fields.iter().for_each(|&(field, number)| put_number(&mut out, field, number));
    out
}

#[test]
fn googles_own_export_is_read() {
    let export = Migration::parse_legacy(EXPORTED).unwrap();
    let [account] = export.accounts() else { panic!("{export:?}") };
    assert_eq!(account.secret().expose_bytes(), b"Hello!\xde\xad\xbe\xef");
    assert_eq!((account.issuer(), account.account()), (Some("Example"), "alice@google.com"));
    assert_eq!(account.kind(), UriKind::TOTP);
    assert_eq!((account.algorithm(), account.digits()), (Algorithm::Sha1, Some(Digits::SIX)));
    assert_eq!(export.batch(), Batch::WHOLE);

    let short = MigrationError::Secret { index: 0, source: SecretError::TooShort { got: 10 } };
    assert_eq!(Migration::parse(EXPORTED).unwrap_err(), short);
    // With the padding that base64 has, escaped and not.
    assert!(Migration::parse_legacy(&format!("{EXPORTED}%3D")).is_err());
    let padded = uri(&numbers(&[(2, 1), (9, 7)]));
    for end in ["%3D%3D", "==", ""] {
        assert!(Migration::parse(&format!("{padded}{end}")).is_ok(), "{padded}{end}");
    }
}

/// Written with the field numbers and values of the app's own messages, byte by byte.
#[test]
fn what_is_written_is_what_google_writes() {
    let secret = Secret::from_bytes(b"12345678901234567890").unwrap();
    let ada =
        OtpauthUri::builder("ada", secret).issuer("X").kind(UriKind::Hotp { counter: 300 }).build().unwrap();
    let export = Migration::new(vec![ada]).unwrap().with_batch(Batch::new(-1, 2, 1).unwrap());
    let mut expected =
        b"\x0a\x29\x0a\x1412345678901234567890\x12\x05X:ada\x1a\x01X\x20\x01\x28\x01\x30\x01\x38\xac\x02"
            .to_vec();
    expected.extend_from_slice(b"\x10\x01\x18\x02\x20\x01\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    assert_eq!(*export.write(), expected);
    // Python: "otpauth-migration://offline?data=" + quote(b64encode(message), safe="")
    let uri = "otpauth-migration://offline?data=CikKFDEyMzQ1Njc4OTAxMjM0NTY3ODkwEgVYOmFkYRoBWCABKAEwATisAhABGAIgASj%2F%2F%2F%2F%2F%2F%2F%2F%2F%2F%2F8B";
    assert_eq!(export.expose_uri().as_str(), uri);
}

#[test]
fn enums_are_checked_and_md5_is_refused() {
    let read = |fields: &[(u64, u64)]| account(&numbers(fields)).map(|export| export.accounts()[0].clone());
    let sha512 = read(&[(4, 3), (5, 2), (6, 2)]).unwrap();
    assert_eq!((sha512.algorithm(), sha512.digits()), (Algorithm::Sha512, Some(Digits::EIGHT)));
    let unspecified = read(&[(4, 0), (5, 0), (6, 2)]).unwrap();
    assert_eq!((unspecified.algorithm(), unspecified.digits()), (Algorithm::Sha1, Some(Digits::SIX)));
    assert_eq!(read(&[(4, 4), (6, 2)]).unwrap_err(), MigrationError::Md5 { index: 0 });
    for (fields, what, got) in [
        (&[(4, 5), (6, 2)][..], "algorithm", 5),
        (&[(5, 3), (6, 2)], "number of digits", 3),
        (&[(6, 0)], "type", 0),
        (&[(6, 3)], "type", 3),
        (&[], "type", 0),
        (&[(6, u64::MAX)], "type", u64::MAX),
    ] {
        assert_eq!(read(fields).unwrap_err(), MigrationError::Unknown { index: 0, what, got });
    }
    let hotp = |counter| read(&[(6, 1), (7, counter)]);
    assert_eq!(hotp(7).unwrap().kind(), UriKind::Hotp { counter: 7 });
    assert_eq!(hotp(u64::MAX).unwrap_err(), MigrationError::NegativeCounter { index: 0 });
}

#[test]
fn names_with_and_without_an_issuer() {
    let read = |name: &str, issuer: &str| {
        let mut fields = numbers(&[(6, 2)]);
        put_bytes(&mut fields, 2, name.as_bytes());
        put_bytes(&mut fields, 3, issuer.as_bytes());
        let account = account(&fields).unwrap().accounts()[0].clone();
        (account.issuer().map(str::to_owned), account.account().to_owned())
    };
    let named = |issuer: &str, account: &str| (Some(issuer.to_owned()), account.to_owned());
    assert_eq!(read("X:ada", "X"), named("X", "ada"));
    assert_eq!(read("ada", "X"), named("X", "ada"));
    assert_eq!(read("X: ada", ""), named("X", "ada"));
    assert_eq!(read("Y:ada", "X"), named("X", "Y:ada"));
    assert_eq!(read("ada", ""), (None, "ada".to_owned()));
}

#[test]
fn unknown_fields_are_tolerated() {
    let mut fields = numbers(&[(6, 2)]);
    put_bytes(&mut fields, 8, b"a unique id, as newer versions write it");
    put_number(&mut fields, 1000, 1);
    fields.extend_from_slice(b"\x49\0\0\0\0\0\0\0\0\x4d\0\0\0\0"); // field 9, of 64 and of 32 bits
    assert_eq!(account(&fields).unwrap().accounts().len(), 1);
}

#[test]
fn what_is_no_message_is_refused() {
    let error = |bytes: &[u8]| Migration::parse(&uri(bytes)).unwrap_err();
    assert_eq!(error(b"\x0a\x05abc"), WireError::Truncated.into());
    assert_eq!(error(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), WireError::Truncated.into());
    assert_eq!(error(b"\x10"), WireError::Truncated.into());
    assert_eq!(error(b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), WireError::Overflow.into());
    assert_eq!(error(b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), WireError::Overflow.into());
    assert_eq!(error(b"\x0b"), WireError::Tag.into()); // a group
    assert_eq!(error(b"\x02\x00"), WireError::Tag.into()); // field 0
    assert_eq!(error(b"\x08\x00"), WireError::Tag.into()); // an account that is a number
    assert_eq!(error(b"\x18\x02\x20\x02"), MigrationError::Batch);
    assert_eq!(error(b"\x18\xe9\x07"), MigrationError::Batch);
    assert_eq!(account(b"\x12\x01\xff\x30\x02").unwrap_err(), MigrationError::Utf8 { index: 0 });
    let control = MigrationError::Account {
        index: 0,
        source: UriError::ControlCharacter { part: crate::otp::Part::Label },
    };
    assert_eq!(account(b"\x12\x01\n\x30\x02").unwrap_err(), control);
    let empty = MigrationError::Secret { index: 0, source: SecretError::Empty };
    assert_eq!(error(b"\x0a\x02\x30\x02"), empty);
}

#[test]
fn what_is_no_such_uri_is_refused() {
    for text in [
        "",
        "otpauth://totp/x?secret=y",
        "otpauth-migration://offline?DATA=",
        "otpauth-migration://online?data=",
    ] {
        assert_eq!(Migration::parse(text).unwrap_err(), MigrationError::Scheme, "{text}");
    }
    let error = |data: &str| Migration::parse(&format!("{}{data}", Migration::PREFIX)).unwrap_err();
    assert_eq!(error("AA%3"), MigrationError::Escape { position: 35 });
    for data in ["*", "A", "AA=", "AAA==", "AAAA=", "====", "AB", "AA A", "%C3%BC", "%ff"] {
        assert_eq!(error(data), MigrationError::Base64, "{data}");
    }
    let got = Migration::MAX_BYTES + 1;
    assert_eq!(Migration::parse(&"x".repeat(got)).unwrap_err(), MigrationError::TooLong { got });
}

#[test]
fn what_the_format_has_no_word_for_is_not_exported() {
    let builder = || OtpauthUri::builder("ada", Secret::from_bytes(&[7; 20]).unwrap());
    for other in [
        builder().kind(UriKind::Totp { period: Duration::from_secs(60) }),
        builder().kind(UriKind::Steam),
        builder().digits(Digits::SEVEN),
        builder().kind(UriKind::Hotp { counter: 1 << 63 }),
    ] {
        let accounts = vec![builder().build().unwrap(), other.build().unwrap()];
        assert_eq!(Migration::new(accounts).unwrap_err(), MigrationError::NotExportable { index: 1 });
    }
    let many = vec![builder().build().unwrap(); 1_000];
    assert!(matches!(Migration::new(many), Err(MigrationError::TooLong { .. })));
}

#[test]
fn parts_are_joined_only_when_they_are_all_there() {
    let part = |name: &str, id, size, index| {
        let account = OtpauthUri::builder(name, Secret::from_bytes(&[7; 20]).unwrap()).build().unwrap();
        Migration::new(vec![account]).unwrap().with_batch(Batch::new(id, size, index).unwrap())
    };
    let names = |parts: Vec<Migration>| {
        let accounts = Migration::join(parts)?;
        Ok(accounts.iter().map(|account| account.account().to_owned()).collect::<Vec<_>>())
    };
    let three = || vec![part("c", 5, 3, 2), part("a", 5, 3, 0), part("b", 5, 3, 1)];
    assert_eq!(names(three()), Ok(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]));
    let mut other = three();
    other[0] = part("c", 6, 3, 2);
    let mut twice = three();
    twice.push(part("a", 5, 3, 0));
    for parts in [Vec::new(), three()[..2].to_vec(), other, twice] {
        assert_eq!(names(parts), Err(MigrationError::Parts));
    }
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?}", Migration::parse_legacy(EXPORTED).unwrap());
    assert!(shown.contains("alice") && !shown.contains("Hello") && !shown.contains("72, 101"), "{shown}");
}

fn any_account() -> impl Strategy<Value = OtpauthUri> {
    let kind =
        prop_oneof![Just(UriKind::TOTP), (0..=u64::MAX / 2).prop_map(|counter| UriKind::Hotp { counter })];
    let algorithm = prop::sample::select(vec![Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512]);
    let secret = prop::collection::vec(any::<u8>(), 16..70);
    ("\\PC{0,12}", "\\PC{0,12}", secret, kind, algorithm, any::<bool>()).prop_filter_map(
        "a colon needs an issuer",
        |(account, issuer, secret, kind, algorithm, eight)| {
            OtpauthUri::builder(&account, Secret::from_bytes(&secret).unwrap())
                .issuer(&issuer)
                .kind(kind)
                .algorithm(algorithm)
                .digits(if eight { Digits::EIGHT } else { Digits::SIX })
                .build()
                .ok()
        },
    )
}

proptest! {
    #[test]
    fn an_export_reads_back_to_itself(
        accounts in prop::collection::vec(any_account(), 0..5),
        id in any::<i32>(),
        size in 1..=Batch::MAX_SIZE,
        index in any::<u32>(),
    ) {
        let batch = Batch::new(id, size, index % size).unwrap();
        let export = Migration::new(accounts).unwrap().with_batch(batch);
        let uri = export.expose_uri();
        let again = Migration::parse(&uri).unwrap();
        prop_assert_eq!(again.batch(), batch);
        prop_assert_eq!(again.accounts().len(), export.accounts().len());
        for (ours, theirs) in export.accounts().iter().zip(again.accounts()) {
            prop_assert_eq!(ours.expose_uri(), theirs.expose_uri());
        }
        prop_assert_eq!(again.expose_uri(), uri);
    }

    #[test]
    fn no_message_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Migration::parse(&uri(&bytes));
        let _ = account(&bytes);
    }
}
