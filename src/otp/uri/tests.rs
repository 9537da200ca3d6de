use proptest::prelude::*;

use super::*;
use crate::otp::{SecretError, TimeStep, TotpBuilder, TotpError};
use crate::time::Timestamp;

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn secret() -> Secret {
    Secret::from_base32(SECRET).unwrap()
}

fn read(rest: &str) -> Result<OtpauthUri, UriError> {
    OtpauthUri::parse(&format!("otpauth://{rest}"))
}

fn error(rest: &str) -> UriError {
    read(rest).expect_err(rest)
}

fn with(query: &str) -> Result<OtpauthUri, UriError> {
    read(&format!("totp/ada?secret={SECRET}{query}"))
}

fn names(label_and_issuer: &str) -> Result<(Option<String>, String), UriError> {
    let uri = read(&format!("totp/{label_and_issuer}&secret={SECRET}"))?;
    Ok((uri.issuer().map(str::to_owned), uri.account().to_owned()))
}

fn named(issuer: &str, account: &str) -> Result<(Option<String>, String), UriError> {
    Ok((Some(issuer.to_owned()).filter(|issuer| !issuer.is_empty()), account.to_owned()))
}

/// The examples of the Key URI format.
#[test]
fn the_formats_own_examples() {
    let uri = read(
        "totp/ACME%20Co:john.doe@email.com?secret=HXDMVJECJJWSRB3HWIZR4IFUGFTMXBOZ&issuer=ACME%20Co\
         &algorithm=SHA1&digits=6&period=30",
    )
    .unwrap();
    assert_eq!((uri.issuer(), uri.account()), (Some("ACME Co"), "john.doe@email.com"));
    assert_eq!(uri.kind(), UriKind::TOTP);
    assert_eq!((uri.algorithm(), uri.digits()), (Algorithm::Sha1, Some(Digits::SIX)));

    assert_eq!(names("Example:alice@gmail.com?"), named("Example", "alice@gmail.com"));
    assert_eq!(names("Provider1:Alice%20Smith?"), named("Provider1", "Alice Smith"));
    assert_eq!(
        names("Big%20Corporation%3A%20alice%40bigco.com?"),
        named("Big Corporation", "alice@bigco.com")
    );

    // The secret of this one has 80 bits.
    let (uri, flaws) = OtpauthUri::parse_legacy(
        "otpauth://totp/Example:alice@google.com?secret=JBSWY3DPEHPK3PXP&issuer=Example",
    )
    .unwrap();
    assert_eq!(uri.secret().expose_bytes(), b"Hello!\xde\xad\xbe\xef");
    assert_eq!(flaws, [UriFlaw::ShortSecret { got: 10 }]);
}

/// pyotp#174: an issuer with `%3A` in it, and one that `%3A` separates from the account.
#[test]
fn an_escaped_colon_separates_only_where_no_other_does() {
    let issuer = "Text: More Text";
    assert_eq!(names("Text%3A%20More%20Text:Secret?issuer=Text%3A%20More%20Text"), named(issuer, "Secret"));
    assert_eq!(names("Text%3A%20More%20Text:Secret?"), named(issuer, "Secret"));
    assert_eq!(names("Provider%3Auser%40example.com?"), named("Provider", "user@example.com"));
    assert_eq!(names("Text%3A%20More%20Text%3ASecret?issuer=Text%3A%20More%20Text"), named(issuer, "Secret"));
    assert_eq!(names("AWS:arn%3Aaws:iam?"), named("AWS", "arn:aws:iam"));
    // As otplib 13 writes it.
    assert_eq!(names("Text:%20More%20Text:Se:cret?issuer=Text%3A%20More%20Text"), named(issuer, "Se:cret"));
    assert_eq!(names("A:%20B:x?issuer=A%3A+B"), named("A: B", "x"));
    let other = error(&format!("totp/A%3AB:c?issuer=A&secret={SECRET}"));
    assert_eq!(other, UriFlaw::IssuerMismatch.into());
    assert_eq!(names(":ada?issuer=x"), named("x", "ada"));
    assert_eq!(names(":ada%3Ab?"), Err(UriError::AccountColon));

    let printed = OtpauthUri::builder("a:b", secret()).issuer(issuer).build().unwrap().expose_uri();
    assert!(printed.starts_with("otpauth://totp/Text%3A%20More%20Text:a%3Ab?"), "{}", printed.as_str());
}

/// pyotp#47: most apps show a plus as a plus, so that it must neither be written for a space nor read as one.
#[test]
fn a_space_is_written_as_percent_20_and_a_plus_is_a_plus() {
    let uri = OtpauthUri::builder("ada lovelace+otp", secret()).issuer("A B").build().unwrap();
    assert!(uri.expose_uri().contains("/A%20B:ada%20lovelace%2Botp?"));
    assert!(uri.expose_uri().contains("&issuer=A%20B&"));
    assert_eq!(names("foo+blah@bar.com?issuer=C%2B%2B"), named("C++", "foo+blah@bar.com"));
    assert_eq!(names("ada?issuer=A+B"), named("A+B", "ada"));
    // Form-encoded beyond doubt: the label has the same issuer with a space.
    assert_eq!(names("A%20B:ada?issuer=A+B"), named("A B", "ada"));
    assert_eq!(names("A+B:ada?issuer=A+B"), named("A+B", "ada"));
    assert_eq!(error(&format!("totp/A%20B:ada?issuer=A+C&secret={SECRET}")), UriFlaw::IssuerMismatch.into());
}

/// Authenticator#1546: padding, escaped or not, and lower case.
#[test]
fn secrets_are_read_with_and_without_padding_in_either_case() {
    for text in [
        "GEZDGNBVGY3TQOJQGEZDGNBVGY======",
        "GEZDGNBVGY3TQOJQGEZDGNBVGY%3D%3d%3D%3D%3D%3D",
        "gezdgnbvgy3tqojqgezdgnbvgy",
    ] {
        let uri = read(&format!("totp/ada?secret={text}&digits=8")).expect(text);
        assert_eq!(uri.secret().expose_bytes(), b"1234567890123456");
        assert!(uri.expose_uri().contains("?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY&"));
    }
    assert_eq!(error("totp/ada?digits=6"), UriError::NoSecret);
    assert_eq!(error("totp/ada?secret="), UriError::Secret(SecretError::Empty));
    assert_eq!(error("totp/ada?secret=0189"), UriError::Secret(SecretError::OtherCharacter));
    assert_eq!(error("totp/ada?secret=JBSWY3DPEHPK3PXP"), UriFlaw::ShortSecret { got: 10 }.into());
    assert_eq!(error("totp/ada?secret=GEZD-GNBV%20GY3TQOJQGEZDGNBVGY"), UriFlaw::SecretSeparators.into());
}

/// totp-rs 5.7 divided by the period without looking at it.
#[test]
fn a_period_of_zero_is_refused() {
    let period = |seconds| UriError::Period(TotpError::Period { got: Duration::from_secs(seconds) });
    assert_eq!(with("&period=0").unwrap_err(), period(0));
    assert_eq!(with("&period=86401").unwrap_err(), period(86_401));
    assert_eq!(with("&period=18446744073709551615").unwrap_err(), period(u64::MAX));
    assert_eq!(with("&period=86400").unwrap().totp().unwrap().period(), Totp::MAX_PERIOD);
}

#[test]
fn every_number_is_checked() {
    use Parameter::{Counter, Digits as DigitsOf, Period};
    for (query, parameter) in [
        ("&period=-30", Period),
        ("&period=%2B30", Period),
        ("&period=", Period),
        ("&period=3e1", Period),
        ("&period=18446744073709551616", Period),
        ("&digits=six", DigitsOf),
    ] {
        assert_eq!(with(query).unwrap_err(), UriError::Number { parameter }, "{query}");
    }
    for count in ["0", "5", "11", "18446744073709551615"] {
        assert!(matches!(with(&format!("&digits={count}")), Err(UriError::Digits(_))), "{count}");
    }
    assert_eq!(with("&digits=10").unwrap().digits(), Some(Digits::TEN));
    let hotp = |rest: &str| read(&format!("hotp/ada?secret={SECRET}{rest}"));
    assert_eq!(hotp("&counter=18446744073709551615").unwrap().kind(), UriKind::Hotp { counter: u64::MAX });
    assert_eq!(hotp("&counter=18446744073709551616").unwrap_err(), UriError::Number { parameter: Counter });
    assert_eq!(hotp("").unwrap_err(), UriError::NoCounter);
}

#[test]
fn algorithms_are_read_in_every_spelling_and_no_other_is_taken() {
    for (name, algorithm) in
        [("sha1", Algorithm::Sha1), ("SHA-256", Algorithm::Sha256), ("Sha512", Algorithm::Sha512)]
    {
        assert_eq!(with(&format!("&algorithm={name}")).unwrap().algorithm(), algorithm);
    }
    for name in ["MD5", "SHA384", "", "SHA3-256"] {
        assert_eq!(with(&format!("&algorithm={name}")).unwrap_err(), UriError::Algorithm);
    }
}

#[test]
fn contradictions_are_refused_or_reported() {
    use Parameter::{Counter, Digits as DigitsOf, Other, Period};
    let cases = [
        ("totp/Ada:x?issuer=Eve&", vec![UriFlaw::IssuerMismatch]),
        ("totp/x?digits=6&digits=8&", vec![UriFlaw::Duplicate { parameter: DigitsOf }]),
        ("totp/x?a=1&a=2&", vec![UriFlaw::Duplicate { parameter: Other }]),
        ("totp/x?counter=7&", vec![UriFlaw::Foreign { parameter: Counter }]),
        ("hotp/x?counter=7&period=30&", vec![UriFlaw::Foreign { parameter: Period }]),
        ("steam/x?counter=7&", vec![UriFlaw::Foreign { parameter: Counter }]),
        ("totp/J\u{fc}rgen?", vec![UriFlaw::Unencoded { position: 16 }]),
        (
            "totp/My App:x?counter=1&counter=2&",
            vec![
                UriFlaw::Unencoded { position: 17 },
                UriFlaw::Duplicate { parameter: Counter },
                UriFlaw::Foreign { parameter: Counter },
            ],
        ),
    ];
    for (rest, flaws) in cases {
        let text = format!("otpauth://{rest}secret={SECRET}");
        assert_eq!(OtpauthUri::parse(&text).unwrap_err(), UriError::Flawed(flaws[0]), "{rest}");
        let (uri, reported) = OtpauthUri::parse_legacy(&text).expect(rest);
        assert_eq!(reported, flaws, "{rest}");
        // What was tolerated is mended: the strict reader takes what is printed.
        assert_eq!(OtpauthUri::parse(&uri.expose_uri()).expect(rest).expose_uri(), uri.expose_uri());
    }
    let (uri, _) =
        OtpauthUri::parse_legacy(&format!("otpauth://totp/Ada:x?issuer=Eve&secret={SECRET}")).unwrap();
    assert_eq!(uri.issuer(), Some("Eve"));
    let (uri, _) =
        OtpauthUri::parse_legacy(&format!("otpauth://totp/x?digits=6&digits=8&secret={SECRET}")).unwrap();
    assert_eq!(uri.digits(), Some(Digits::SIX));
}

#[test]
fn bad_escapes_and_bytes_are_refused() {
    for (rest, position) in [("totp/a%2", 16), ("totp/a%", 16), ("totp/%zz", 15), ("totp/a?secret=%+1", 24)] {
        assert_eq!(error(rest), UriError::Escape { position }, "{rest}");
    }
    assert_eq!(error("totp/%ff?"), UriError::Utf8 { part: Part::Label });
    assert_eq!(error("totp/%C3?"), UriError::Utf8 { part: Part::Label });
    assert_eq!(error("totp/a?issuer=%80"), UriError::Utf8 { part: Part::Value(Parameter::Issuer) });
    assert_eq!(error("totp/a%0Ab?"), UriError::ControlCharacter { part: Part::Label });
    assert_eq!(error("totp/a?x%00=1"), UriError::ControlCharacter { part: Part::ParameterName });
    assert_eq!(error(&format!("totp/C#:ada?secret={SECRET}")), UriError::Fragment { position: 16 });
    let raw = OtpauthUri::parse_legacy(&format!("otpauth://totp/a\nb?secret={SECRET}"));
    assert_eq!(raw.unwrap_err(), UriError::ControlCharacter { part: Part::Label });
}

#[test]
fn what_is_no_such_uri_is_refused() {
    for text in
        ["", "otpauth:", "otpauth:/totp/a", "https://totp/a", "otpauth-migration://offline?data=x", "ote"]
    {
        assert_eq!(OtpauthUri::parse(text).unwrap_err(), UriError::Scheme, "{text}");
    }
    for rest in ["", "/ada", "motp/ada?secret=x", "totp:80/x", "yaotp/x"] {
        assert_eq!(error(rest), UriError::Kind, "{rest}");
    }
    let got = OtpauthUri::MAX_BYTES + 1;
    assert_eq!(OtpauthUri::parse(&"x".repeat(got)).unwrap_err(), UriError::TooLong { got });
    assert!(OtpauthUri::parse(&format!("OTPAUTH://ToTp/ada?secret={SECRET}")).is_ok());
}

#[test]
fn unknown_parameters_are_kept() {
    let uri = with("&image=https%3A%2F%2Fx.org%2Fi.png&&flag&color=a%26b").unwrap();
    let expected = [("image", "https://x.org/i.png"), ("flag", ""), ("color", "a&b")];
    assert_eq!(uri.parameters().collect::<Vec<_>>(), expected);
    let again = OtpauthUri::parse(&uri.expose_uri()).unwrap();
    assert_eq!(again.parameters().collect::<Vec<_>>(), expected);

    let builder = || OtpauthUri::builder("ada", secret());
    let duplicate = UriError::Flawed(UriFlaw::Duplicate { parameter: Parameter::Other });
    assert_eq!(builder().parameter("secret", "x").build().unwrap_err(), duplicate);
    assert_eq!(builder().parameter("a", "x").parameter("a", "y").build().unwrap_err(), duplicate);
}

#[test]
fn steams_three_spellings_are_one() {
    let printed = format!(
        "otpauth://steam/Steam:gabe?secret={SECRET}&issuer=Steam&algorithm=SHA1&digits=5&period=30&encoder=steam"
    );
    for rest in [
        "steam/Steam:gabe?digits=5&period=30&algorithm=SHA1&issuer=Steam&secret=", // Aegis
        "totp/Steam:gabe?issuer=Steam&encoder=steam&secret=",                      // KeePassXC
        "totp/Steam:gabe?issuer=Steam&digits=5&secret=",                           // WinAuth
        "totp/Steam:gabe?issuer=Steam&secret=",                                    // Valve
    ] {
        let uri = read(&format!("{rest}{SECRET}")).expect(rest);
        assert_eq!((uri.kind(), uri.digits()), (UriKind::Steam, None), "{rest}");
        assert_eq!(uri.expose_uri().as_str(), printed);
        let totp = uri.totp().unwrap();
        assert_eq!((totp.format(), totp.algorithm()), (Format::Steam, Algorithm::Sha1));
        assert_eq!(totp.period(), Totp::DEFAULT_PERIOD);
        assert!(uri.hotp().is_err());
    }
    let bare = OtpauthUri::parse(&format!("steam://{SECRET}")).unwrap(); // Bitwarden
    assert_eq!((bare.kind(), bare.account()), (UriKind::Steam, ""));
    assert_eq!(OtpauthUri::parse(&bare.expose_uri()).unwrap().expose_uri(), bare.expose_uri());

    let six = read(&format!("totp/Steam:gabe?issuer=Steam&digits=6&secret={SECRET}")).unwrap();
    assert_eq!(six.kind(), UriKind::TOTP);
    assert!(matches!(with("&digits=5"), Err(UriError::Digits(_))));
    assert_eq!(with("&encoder=base10").unwrap_err(), UriError::Encoder);
    for (query, parameter) in [
        ("&encoder=steam&digits=6", Parameter::Digits),
        ("&encoder=steam&period=60", Parameter::Period),
        ("&encoder=steam&algorithm=SHA256", Parameter::Algorithm),
    ] {
        assert_eq!(with(query).unwrap_err(), UriError::NotSteam { parameter });
    }
    let hotp = format!("hotp/x?counter=1&encoder=steam&secret={SECRET}");
    assert_eq!(error(&hotp), UriError::Encoder);
}

#[test]
fn a_tokens_uri_makes_the_same_token() {
    let secret = secret();
    let builder = || Totp::builder(&secret);
    for (totp, kind) in [
        (builder().steam(), UriKind::Steam),
        (builder(), UriKind::TOTP),
        (
            builder().algorithm(Algorithm::Sha512).digits(Digits::TEN).period(Duration::from_secs(60)),
            UriKind::Totp { period: Duration::from_secs(60) },
        ),
    ] {
        let totp = totp.build().unwrap();
        let uri = OtpauthUri::builder("ada", self::secret()).totp(&totp).build().unwrap();
        assert_eq!(uri.kind(), kind);
        let again = OtpauthUri::parse(&uri.expose_uri()).unwrap().totp().unwrap();
        assert_eq!((again.algorithm(), again.format()), (totp.algorithm(), totp.format()));
        assert_eq!((again.period(), again.t0()), (totp.period(), totp.t0()));
        let step = TimeStep::new(59_000_000).unwrap();
        assert_eq!(*again.code_at(step).expose(), *totp.code_at(step).expose());
    }

    let refused = |totp: TotpBuilder<'_>| {
        OtpauthUri::builder("ada", self::secret()).totp(&totp.build().unwrap()).build().unwrap_err()
    };
    let t0 = Timestamp::from_unix_seconds(30).unwrap();
    assert_eq!(refused(builder().t0(t0)), UriError::T0 { got: t0 });
    let period = builder().steam().period(Duration::from_secs(60));
    assert_eq!(refused(period), UriError::NotSteam { parameter: Parameter::Period });
    let algorithm = builder().steam().algorithm(Algorithm::Sha256);
    assert_eq!(refused(algorithm), UriError::NotSteam { parameter: Parameter::Algorithm });
}

#[test]
fn parts_that_would_not_read_back_are_refused() {
    let builder = |account: &str| OtpauthUri::builder(account, secret());
    assert_eq!(builder("a:b").build().unwrap_err(), UriError::AccountColon);
    assert_eq!(builder("a\u{7f}").build().unwrap_err(), UriError::ControlCharacter { part: Part::Label });
    assert!(matches!(builder(&"\u{20ac}".repeat(1000)).build(), Err(UriError::TooLong { .. })));
    let period = Duration::from_millis(1500);
    assert!(matches!(builder("").kind(UriKind::Totp { period }).build(), Err(UriError::Period(_))));
    assert_eq!(
        builder("").kind(UriKind::Steam).algorithm(Algorithm::Sha256).build().unwrap_err(),
        UriError::NotSteam { parameter: Parameter::Algorithm }
    );
}

/// totp-rs 5.7 printed the secret with `{:?}`.
#[test]
fn debug_and_errors_show_no_secret() {
    let uri = with("&pin=4711").unwrap();
    for shown in [format!("{uri:?}"), format!("{:?}", OtpauthUri::builder("x", secret()))] {
        assert!(!shown.contains("4711") && !shown.contains(SECRET) && !shown.contains("[49, 50"), "{shown}");
        assert!(shown.contains("OtpauthUri"), "{shown}");
    }
    // A secret everywhere where it doesn't belong.
    for text in [
        SECRET.to_owned(),
        format!("otpauth://{SECRET}/x"),
        format!("otpauth://totp/x?secret={SECRET}1"),
        format!("otpauth://totp/{SECRET}%0A?"),
        format!("otpauth://totp/x?{SECRET}=1&{SECRET}=2&secret={SECRET}"),
        format!("otpauth://totp/x?algorithm={SECRET}&secret={SECRET}"),
        format!("otpauth://totp/x?digits={SECRET}&secret={SECRET}"),
        format!("otpauth://totp/{SECRET}:x?issuer={SECRET}x&secret={SECRET}"),
    ] {
        let error = OtpauthUri::parse(&text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
    }
}

#[test]
fn a_uris_token_shows_the_codes_of_its_secret() {
    let uri = with("&algorithm=SHA512&digits=8&period=60").unwrap();
    let totp = uri.totp().unwrap();
    let same = Totp::builder(&secret())
        .algorithm(Algorithm::Sha512)
        .digits(Digits::EIGHT)
        .period(Duration::from_secs(60))
        .build()
        .unwrap();
    assert_eq!(totp.period(), same.period());
    for step in [0, 1, 59_845_086].map(|step| TimeStep::new(step).unwrap()) {
        assert_eq!(*totp.code_at(step).expose(), *same.code_at(step).expose());
    }
    assert_eq!(uri.hotp().unwrap_err(), UriError::OtherKind { got: "totp", wanted: "hotp" });
}

fn any_kind() -> impl Strategy<Value = UriKind> {
    prop_oneof![
        (1_u64..=86_400).prop_map(|period| UriKind::Totp { period: Duration::from_secs(period) }),
        any::<u64>().prop_map(|counter| UriKind::Hotp { counter }),
        Just(UriKind::Steam),
    ]
}

proptest! {
    #[test]
    fn a_printed_uri_parses_back_to_itself(
        kind in any_kind(),
        issuer in "\\PC{0,20}",
        account in "\\PC{0,20}",
        bytes in prop::collection::vec(any::<u8>(), 16..80),
        algorithm in prop::sample::select(vec![Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512]),
        digits in 6_usize..=10,
        extra in prop::collection::btree_map("\\PC{0,8}", "\\PC{0,12}", 0..3),
    ) {
        let algorithm = if kind == UriKind::Steam { Algorithm::Sha1 } else { algorithm };
        let mut builder = OtpauthUri::builder(&account, Secret::from_bytes(&bytes).unwrap())
            .kind(kind)
            .issuer(&issuer)
            .algorithm(algorithm)
            .digits(Digits::new(digits).unwrap());
        for (name, value) in &extra {
            builder = builder.parameter(name, value);
        }
        let uri = match builder.build() {
            Ok(uri) => uri,
            Err(error) => {
                prop_assert_eq!(error, UriError::AccountColon);
                prop_assert!(issuer.is_empty() && account.contains(':'));
                return Ok(());
            }
        };
        let printed = uri.expose_uri();
        prop_assert!(printed.capacity() >= printed.len() && uri.length_bound(0) < printed.capacity());
        let again = OtpauthUri::parse(&printed);
        prop_assert!(again.is_ok(), "{:?}: {}", again, printed.as_str());
        let again = again.unwrap();
        prop_assert_eq!(again.kind(), kind);
        prop_assert_eq!(again.issuer(), uri.issuer());
        prop_assert_eq!(again.account(), account.trim_start_matches(' '));
        prop_assert_eq!(again.secret().expose_bytes(), &bytes[..]);
        prop_assert_eq!((again.algorithm(), again.digits()), (uri.algorithm(), uri.digits()));
        prop_assert_eq!(again.parameters().collect::<Vec<_>>(), uri.parameters().collect::<Vec<_>>());
        prop_assert_eq!(again.expose_uri(), printed);
    }

    #[test]
    fn no_text_makes_it_panic(text in "(otpauth://(totp|hotp|steam)/)?[ -~\u{80}\u{20ac}]{0,40}(\\?secret=[A-Z2-7=%]{0,40})?") {
        let strict = OtpauthUri::parse(&text);
        let legacy = OtpauthUri::parse_legacy(&text);
        // Strict is a part of legacy.
        if let Ok(uri) = strict {
            let (same, flaws) = legacy.unwrap();
            prop_assert!(flaws.is_empty());
            prop_assert_eq!(same.expose_uri(), uri.expose_uri());
        }
    }
}
