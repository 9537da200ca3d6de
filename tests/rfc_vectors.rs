//! The test vectors of RFC 4226, Appendix D, and RFC 6238, Appendix B, the examples of RFC 6030, and codes of Steam's app, from
//! `tests/vectors/`.

use skewgate::otp::{
    Algorithm, Code, Consecutive, Digits, Hotp, OtpauthUri, Secret, StepRange, TimeStep, Totp, scan,
};
use skewgate::time::Timestamp;

/// The fields of each line; empty lines and comments left out.
fn vectors<const FIELDS: usize>(text: &str) -> Vec<[&str; FIELDS]> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split(' ').collect::<Vec<_>>().try_into().expect(line)).collect()
}

fn algorithm(name: &str) -> Algorithm {
    let all = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512];
    all.into_iter().find(|algorithm| algorithm.to_string() == name).expect(name)
}

#[expect(clippy::unwrap_used, reason = "a vector that can't be read must fail the test")]
fn secret(hex: &str) -> Secret {
    Secret::from_hex(hex).unwrap()
}

#[test]
fn rfc_4226_appendix_d() {
    let vectors = vectors::<5>(include_str!("vectors/rfc4226.txt"));
    assert_eq!(vectors.len(), 10);
    for [hash, key, counter, truncated, code] in vectors {
        let counter = counter.parse().unwrap();
        let shown = |digits| {
            let hotp = Hotp::new(&secret(key), algorithm(hash), digits);
            hotp.code_at(counter).expose().to_string()
        };
        assert_eq!(shown(Digits::SIX), code, "counter {counter}");
        // Ten digits are the truncated value itself.
        assert_eq!(shown(Digits::TEN), format!("{truncated:0>10}"), "counter {counter}");
    }
}

#[test]
fn rfc_6238_appendix_b() {
    let vectors = vectors::<6>(include_str!("vectors/rfc6238.txt"));
    assert_eq!(vectors.len(), 18);
    let mut beyond = 0;
    for [hash, key, seconds, date, step, code] in vectors {
        let totp =
            Totp::builder(&secret(key)).algorithm(algorithm(hash)).digits(Digits::EIGHT).build().unwrap();
        let step = TimeStep::new(i64::from_str_radix(step, 16).unwrap()).unwrap();
        assert_eq!(&*totp.code_at(step).expose(), code, "{hash} at {date}");

        match Timestamp::from_unix_seconds(seconds.parse().unwrap()) {
            Ok(time) => {
                assert_eq!(date.parse(), Ok(time));
                assert_eq!(totp.step_at(time), Some(step), "{date}");
            }
            Err(_) => beyond += 1,
        }
    }
    assert_eq!(beyond, 3, "only the year 2603 is beyond a Timestamp");
}

#[test]
fn steam_codes() {
    let vectors = vectors::<3>(include_str!("vectors/steam.txt"));
    assert_eq!(vectors.len(), 26);
    for [key, seconds, code] in vectors {
        // As an app would be given it, and from the key.
        let text = format!("otpauth://steam/gabe?secret={}", secret(key).expose_base32().as_str());
        let scanned = OtpauthUri::parse(&text).unwrap().totp().unwrap();
        let totp = Totp::builder(&secret(key)).steam().build().unwrap();
        let step = totp.step_at(Timestamp::from_unix_seconds(seconds.parse().unwrap()).unwrap()).unwrap();
        assert_eq!(&*totp.code_at(step).expose(), code, "{key} at {seconds}");
        assert_eq!(&*scanned.code_at(step).expose(), code, "{key} at {seconds}");
        let typed = Code::parse(&code.to_lowercase()).unwrap();
        let window = [StepRange::new(step, step).unwrap()];
        assert_eq!(scan(&totp, &window, None, Consecutive::from(&typed)).fresh, Some(step));
    }
}

/// All of RFC 6030's examples (Figure 1 is its schema): their secrets are the one of RFC 4226, Appendix D, so that its codes must come out.
#[cfg(feature = "pskc")]
mod rfc_6030 {
    use skewgate::otp::import::pskc::{KeyError, PskcError, PskcKey, PskcReader, Refused, Tokens};
    use skewgate::otp::{Algorithm, Digits, SecretError, UriKind};

    const PRE_SHARED: [u8; 16] =
        [0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0x34, 0x56, 0x78, 0x90, 0x12];

    #[expect(clippy::unwrap_used, reason = "a key that makes no token must fail the test")]
    fn check_key(key: &PskcKey) {
        assert_eq!(key.secret().expose_bytes(), b"12345678901234567890");
        assert_eq!((key.algorithm(), key.digits()), (Algorithm::Sha1, Digits::EIGHT));
        assert_eq!(key.kind(), UriKind::Hotp { counter: 0 });
        let (hotp, counter) = key.uri().build().unwrap().hotp().unwrap();
        assert_eq!(&*hotp.code_at(counter).expose(), "84755224");
    }

    fn only(tokens: &Tokens) -> &PskcKey {
        assert_eq!((tokens.keys.len(), &tokens.refused[..]), (1, &[][..]));
        &tokens.keys[0]
    }

    #[test]
    fn figure_2_has_four_bytes_and_is_legacy() {
        let file = include_str!("vectors/rfc6030/figure2.xml");
        let strict = PskcReader::new().read(file).unwrap();
        assert_eq!(strict.refused[0].id.as_deref(), Some("12345678"));
        assert_eq!(strict.refused[0].reason, SecretError::TooShort { got: 4 }.into());
        let tokens = PskcReader::new().short_legacy().read(file).unwrap();
        let key = only(&tokens);
        assert_eq!(key.secret().expose_bytes(), b"1234");
        assert_eq!((key.id(), key.issuer(), key.serial()), ("12345678", Some("Issuer-A"), None));
        assert_eq!(key.digits(), Digits::SIX);
    }

    #[test]
    fn figure_3_names_device_and_user() {
        let tokens = PskcReader::new().read(include_str!("vectors/rfc6030/figure3.xml")).unwrap();
        let key = only(&tokens);
        check_key(key);
        assert_eq!((key.manufacturer(), key.serial()), (Some("Manufacturer"), Some("987654321")));
        assert_eq!(key.user(), Some("UID=jsmith,DC=example-bank,DC=net"));
    }

    /// The secret is with whoever has the master key: nothing here can be made of it.
    #[test]
    fn figure_4_names_a_master_key_and_is_refused() {
        let tokens = PskcReader::new().read(include_str!("vectors/rfc6030/figure4.xml")).unwrap();
        assert!(tokens.keys.is_empty());
        let id = Some("12345678".to_owned());
        assert_eq!(tokens.refused, [Refused { index: 0, id, reason: KeyError::SecretElsewhere }]);
    }

    #[test]
    fn figure_5_has_a_pin_that_is_no_token() {
        let tokens = PskcReader::new().read(include_str!("vectors/rfc6030/figure5.xml")).unwrap();
        assert_eq!(tokens.keys.iter().map(PskcKey::id).collect::<Vec<_>>(), ["12345678"]);
        check_key(&tokens.keys[0]);
        let id = Some("123456781".to_owned());
        assert_eq!(tokens.refused, [Refused { index: 1, id, reason: KeyError::UnsupportedAlgorithm }]);
    }

    #[test]
    fn figure_6_opens_with_the_pre_shared_key() {
        let file = include_str!("vectors/rfc6030/figure6.xml");
        check_key(only(&PskcReader::new().pre_shared_key(&PRE_SHARED).read(file).unwrap()));
    }

    #[test]
    fn figure_7_opens_with_the_password() {
        let file = include_str!("vectors/rfc6030/figure7.xml");
        check_key(only(&PskcReader::new().password("qwerty").read(file).unwrap()));
    }

    /// Whoever is asked for a pre-shared key would look for one that doesn't exist.
    #[test]
    fn figure_8_is_for_a_certificate_and_is_refused() {
        let file = include_str!("vectors/rfc6030/figure8.xml");
        for reader in [
            PskcReader::new(),
            PskcReader::new().pre_shared_key(&PRE_SHARED),
            PskcReader::new().password("qwerty"),
        ] {
            assert_eq!(reader.read(file).unwrap_err(), PskcError::UnsupportedProtection);
        }
    }

    /// As if it had no signature.
    #[test]
    fn figure_9_has_a_signature_that_is_not_verified() {
        let tokens = PskcReader::new().read(include_str!("vectors/rfc6030/figure9.xml")).unwrap();
        let key = only(&tokens);
        assert_eq!((key.serial(), key.digits()), (Some("0755225266"), Digits::SIX));
        let (hotp, counter) = key.uri().build().unwrap().hotp().unwrap();
        assert_eq!(&*hotp.code_at(counter).expose(), "755224");
    }

    #[test]
    fn figure_10_has_four_tokens_with_dates() {
        let tokens = PskcReader::new().read(include_str!("vectors/rfc6030/figure10.xml")).unwrap();
        assert!(tokens.refused.is_empty());
        tokens.keys.iter().for_each(check_key);
        assert_eq!(tokens.keys.iter().map(PskcKey::id).collect::<Vec<_>>(), ["1", "2", "3", "4"]);
        let last = &tokens.keys[3];
        assert_eq!(last.start(), "2006-04-01T00:00:00Z".parse().ok());
        assert_eq!(last.expiry(), "2006-04-30T00:00:00Z".parse().ok());
    }
}
