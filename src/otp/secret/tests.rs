use proptest::prelude::*;

use super::*;

const ASCII: &[u8] = b"12345678901234567890";
const BASE32: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn strict(text: &str) -> Result<Vec<u8>, SecretError> {
    Secret::from_base32(text).map(|secret| secret.expose_bytes().to_vec())
}

fn lenient(text: &str) -> Result<Vec<u8>, SecretError> {
    Secret::from_base32_lenient(text).map(|secret| secret.expose_bytes().to_vec())
}

#[test]
fn lengths_are_checked() {
    let length = |count| Secret::from_bytes(&vec![1; count]).map(|secret| secret.expose_bytes().len());
    assert_eq!(length(0), Err(SecretError::Empty));
    assert_eq!(length(15), Err(SecretError::TooShort { got: 15 }));
    assert_eq!(length(16), Ok(16));
    assert_eq!(length(1024), Ok(1024));
    assert_eq!(length(1025), Err(SecretError::TooLong { got: 1025 }));
}

#[test]
fn short_secrets_need_their_own_constructor() {
    assert_eq!(strict("JBSWY3DPEHPK3PXP"), Err(SecretError::TooShort { got: 10 }));
    assert_eq!(lenient("JBSWY3DPEHPK3PXP"), Err(SecretError::TooShort { got: 10 }));
    let legacy = Secret::short_legacy_base32("jbsw y3dp-ehpk 3pxp").unwrap();
    assert_eq!(legacy.expose_bytes(), b"Hello!\xde\xad\xbe\xef");
    assert_eq!(Secret::short_legacy(legacy.expose_bytes()).unwrap().expose_bytes(), legacy.expose_bytes());
    assert_eq!(Secret::short_legacy(&[]).unwrap_err(), SecretError::Empty);
    assert_eq!(Secret::short_legacy_base32("").unwrap_err(), SecretError::Empty);
    assert_eq!(Secret::short_legacy(&[1; 1025]).unwrap_err(), SecretError::TooLong { got: 1025 });
}

#[test]
fn strict_base32_is_rfc_4648() {
    assert_eq!(strict(BASE32).as_deref(), Ok(ASCII));
    for wrong in [
        "gezdgnbvgy3tqojqgezdgnbvgy3tqojq",
        "GEZDGNBV GY3TQOJQGEZDGNBVGY3TQO",
        "GEZDGNBVGY3TQ0JQGEZDGNBVGY3TQ0JQ",
    ] {
        assert_eq!(strict(wrong), Err(SecretError::Character), "{wrong}");
    }
    assert_eq!(strict(&format!(" {}", &BASE32[1..])), Err(SecretError::Character));
    assert_eq!(strict(&format!("{}é", &BASE32[2..])), Err(SecretError::Character));
    // Also where the length is wrong, as it is of other things than base32.
    for other in ["0", "!", "3:32", "3132333435363738393"] {
        assert_eq!(strict(other), Err(SecretError::Character), "{other}");
        assert_eq!(lenient(other), Err(SecretError::OtherCharacter), "{other}");
    }
    assert_eq!(strict(&BASE32[..31]), Err(SecretError::TrailingBits));
    for missing in [2, 5, 7] {
        let got = 32 - missing;
        assert_eq!(strict(&BASE32[..got]), Err(SecretError::CharacterCount { got }));
    }
}

#[test]
fn padding_is_optional_but_right() {
    // RFC 4648 §6: 2, 4, 5 and 7 characters are followed by 6, 4, 3 and 1.
    for (bytes, padding) in [(16, 6), (17, 4), (18, 3), (19, 1), (20, 0)] {
        let secret = Secret::from_bytes(&ASCII[..bytes]).unwrap();
        let text = secret.expose_base32();
        for count in 0..10 {
            let result = strict(&format!("{}{}", *text, "=".repeat(count)));
            if count == 0 || count == padding {
                assert_eq!(result.as_deref(), Ok(&ASCII[..bytes]));
            } else {
                let characters = text.len();
                assert_eq!(result, Err(SecretError::Padding { characters, got: count, expected: padding }));
            }
        }
    }
    assert_eq!(strict("GEZDGNB=GY3TQOJQGEZDGNBVGY3TQOJQ"), Err(SecretError::Character));
    assert_eq!(strict("========"), Err(SecretError::Padding { characters: 0, got: 8, expected: 0 }));
}

#[test]
fn one_secret_has_one_text() {
    let bytes = &ASCII[..16];
    let text = Secret::from_bytes(bytes).unwrap().expose_base32();
    let (front, last) = text.split_at(text.len() - 1);
    let readings =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".chars().filter_map(|c| strict(&format!("{front}{c}")).ok());
    // Three of the last character's bits belong to the bytes, two don't: 8 of 32 are canonical.
    assert_eq!(readings.clone().count(), 8);
    assert_eq!(readings.filter(|reading| reading == bytes).count(), 1);
    assert_eq!(strict(&format!("{front}{last}")).as_deref(), Ok(bytes));
}

#[test]
fn lenient_base32_takes_case_spaces_and_hyphens_and_never_a_zero_for_an_o() {
    assert_eq!(lenient(" gezd-gnbv GY3T qojq\u{20}gezd gnbv gy3t-qojq ").as_deref(), Ok(ASCII));
    for guess in ["0", "1", "8", "9", "\t", "_", "ß"] {
        let text = format!("{}{guess}", &BASE32[guess.len()..]);
        assert_eq!(lenient(&text), Err(SecretError::OtherCharacter), "{guess:?}");
    }
    // Whoever was lenient already isn't told to be.
    assert!(!SecretError::OtherCharacter.to_string().contains("lenient"));
}

#[test]
fn long_texts_are_refused_before_they_are_read() {
    let got = Secret::MAX_BASE32_BYTES + 1;
    assert_eq!(strict(&"A".repeat(got)), Err(SecretError::TextTooLong { got }));
    assert_eq!(lenient(&" ".repeat(got)), Err(SecretError::TextTooLong { got }));
    // 1024 bytes are 1639 characters.
    let longest = Secret::from_bytes(&[0xff; 1024]).unwrap().expose_base32();
    assert_eq!(strict(&longest).unwrap().len(), 1024);
    assert_eq!(strict(&"A".repeat(1640)), Err(SecretError::TooLong { got: 1025 }));
    let spaced: String = longest.chars().flat_map(|character| [character, ' ']).collect();
    assert_eq!(lenient(&spaced).unwrap().len(), 1024);
}

#[test]
fn hex_is_read_in_either_case_and_nothing_else_is() {
    let hex = |text: &str| Secret::from_hex(text).map(|secret| secret.expose_bytes().to_vec());
    let text = "3132333435363738393031323334353637383930";
    assert_eq!(hex(text).as_deref(), Ok(ASCII));
    assert_eq!(hex("DEADBEEFdeadbeefDeAdBeEfdeadbeef"), Ok([0xde, 0xad, 0xbe, 0xef].repeat(4)));
    for wrong in
        ["0x3132333435363738393031323334353637", "31 32333435363738393031323334353637383", "3g3233", "é"]
    {
        assert_eq!(hex(wrong), Err(SecretError::HexCharacter), "{wrong}");
    }
    assert_eq!(hex(&text[1..]), Err(SecretError::HexCharacterCount { got: 39 }));
    assert_eq!(hex(&text[..30]), Err(SecretError::TooShort { got: 15 }));
    assert_eq!(Secret::short_legacy_hex(&text[..30]).unwrap().expose_bytes(), &ASCII[..15]);
    assert_eq!(hex(""), Err(SecretError::Empty));
    assert_eq!(hex(&"ab".repeat(1024)).unwrap().len(), 1024);
    // Refused for its length before it is read.
    assert_eq!(hex(&"zz".repeat(1025)), Err(SecretError::TooLong { got: 1025 }));
}

#[test]
fn generated_secrets_have_the_length_of_the_hash_and_differ() {
    for (algorithm, bytes) in [(Algorithm::Sha1, 20), (Algorithm::Sha256, 32), (Algorithm::Sha512, 64)] {
        let [one, other] = [(); 2].map(|()| Secret::generate(algorithm).unwrap());
        assert_eq!(one.expose_bytes().len(), bytes);
        assert_ne!(one.expose_bytes(), other.expose_bytes());
    }
}

#[test]
fn without_randomness_there_is_no_secret() {
    let failed = Secret::generate_from(Algorithm::Sha1, |_| Err(getrandom::Error::UNSUPPORTED));
    assert!(matches!(failed, Err(SecretError::NoRandomness { .. })));
}

#[test]
fn neither_debug_nor_an_error_shows_it() {
    let secret = Secret::from_base32(BASE32).unwrap();
    assert_eq!(format!("{secret:?}"), "Secret(redacted)");
    for wrong in [&BASE32[..10], &BASE32[..9], &BASE32[..31], "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJ0", "GEZDGNBV="]
    {
        let error = Secret::from_base32(wrong).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("GEZ"), "{error}");
        let error = Secret::from_hex(wrong).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("GEZ"), "{error}");
    }
}

proptest! {
    #[test]
    fn base32_reads_back(bytes in prop::collection::vec(any::<u8>(), 16..100)) {
        let secret = Secret::from_bytes(&bytes).unwrap();
        let text = secret.expose_base32();
        prop_assert_eq!(strict(&text).unwrap(), bytes.clone());
        prop_assert_eq!(lenient(&text.to_lowercase()).unwrap(), bytes.clone());
        let text = secret.expose_hex();
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        prop_assert_eq!(text.as_str(), digits);
        let again = Secret::from_hex(&text).unwrap();
        prop_assert_eq!(again.expose_bytes(), &bytes);
    }

    #[test]
    fn what_strict_reads_is_canonical(text in "[A-Z2-7]{26,40}={0,6}") {
        if let Ok(secret) = Secret::from_base32(&text) {
            let shown = secret.expose_base32();
            prop_assert_eq!(shown.as_str(), text.trim_end_matches('='));
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC*|[A-Za-z2-7= -]*") {
        let _ = Secret::from_base32(&text);
        let _ = Secret::from_base32_lenient(&text);
        let _ = Secret::short_legacy_base32(&text);
        let _ = Secret::short_legacy_hex(&text);
    }
}
