use proptest::prelude::*;

use super::*;
use crate::otp::{Algorithm, Digits, Format, Secret, TimeStep, Totp, TotpError};
use crate::time::Timestamp;
use crate::token::{Token, TokenId};
use base64ct::{Base64UrlUnpadded, Encoding};
use std::time::Duration;

const SECRET: &[u8] = b"12345678901234567890";

fn key(id: &str, byte: u8) -> SealingKey {
    SealingKey::from_bytes(id, &[byte; 32]).unwrap()
}

fn ring() -> KeyRing {
    KeyRing::new(key("2026-11", 7))
}

fn row(token: &str) -> BindingBuilder {
    Binding::builder(TokenId::new(token).unwrap(), 3)
}

fn binding() -> Binding {
    row("ada").build().unwrap()
}

fn sealed() -> Sealed {
    ring().seal(&Secret::from_bytes(SECRET).unwrap(), &binding()).unwrap()
}

fn seconds(count: i64) -> Timestamp {
    Timestamp::from_unix_seconds(count).unwrap()
}

fn format(text: &str) -> Format {
    let all = [6, 7, 8, 9, 10].map(|count| Format::Decimal(Digits::new(count).unwrap()));
    all.into_iter().chain([Format::Steam]).find(|format| format.to_string() == text).unwrap()
}

/// Both ways, with the keys, nonces and texts of another implementation.
#[test]
fn libsodium_seals_the_same() {
    let text = include_str!("../../tests/vectors/seal.txt");
    let mut lengths = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split(' ').collect();
        let [key, nonce, context, token, epoch, algorithm, codes, period, t0, secret, sealed] = fields[..]
        else {
            panic!("{line}")
        };
        let secret = Secret::short_legacy_hex(secret).unwrap();
        let sealed = Sealed::parse(sealed).unwrap();
        let algorithms = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512];
        let binding = Binding::builder(TokenId::new(token).unwrap(), epoch.parse().unwrap())
            .algorithm(algorithms.into_iter().find(|known| known.to_string() == algorithm).unwrap())
            .format(format(codes))
            .period(Duration::from_secs(period.parse().unwrap()))
            .t0(seconds(t0.parse().unwrap()))
            .build()
            .unwrap();
        let ring = KeyRing::new(SealingKey::from_hex(sealed.key_id().as_str(), key).unwrap());
        let ring = ring.in_context(if context == "-" { "" } else { context }).unwrap();

        assert_eq!(ring.open(&sealed, &binding).unwrap().expose_bytes(), secret.expose_bytes());
        let mut bytes = [0; 24];
        base16ct::lower::decode(nonce, &mut bytes).unwrap();
        assert_eq!(ring.seal_with_nonce(&secret, &binding, bytes).unwrap(), sealed);
        lengths.push(secret.expose_bytes().len());
    }
    assert_eq!(lengths, [1, 10, 16, 20, 30, 31, 32, 62, 63, 64, 94, 95, 128, 1000, 1024]);
}

#[test]
fn every_length_that_a_secret_may_have_opens_as_it_was() {
    for length in 1..=Secret::MAX_BYTES {
        let secret = Secret::short_legacy(&vec![0x5a; length]).unwrap();
        let sealed = ring().seal(&secret, &binding()).unwrap();
        assert_eq!(Sealed::from_bytes(&sealed.to_bytes()).as_ref(), Ok(&sealed));
        assert_eq!(sealed.to_string().parse().as_ref(), Ok(&sealed));
        assert_eq!(ring().open(&sealed, &binding()).unwrap().expose_bytes(), secret.expose_bytes());
    }
}

#[test]
fn a_short_secret_cannot_be_told_from_a_longer_one() {
    let text_length = |secret: usize| {
        let secret = Secret::short_legacy(&vec![1; secret]).unwrap();
        ring().seal(&secret, &binding()).unwrap().to_string().len()
    };
    assert_eq!([1, 10, 20, 30].map(text_length), [114; 4]);
    assert_eq!([31, 32, 62].map(text_length), [157; 3]);
    assert_eq!([63, 64, 94].map(text_length), [200; 3]);
}

#[test]
fn the_longest_fits_exactly() {
    let id = "k".repeat(KeyId::MAX_BYTES);
    let ring = KeyRing::new(key(&id, 1));
    let longest = ring.seal(&Secret::from_bytes(&[1; 1024]).unwrap(), &binding()).unwrap();
    assert_eq!(longest.to_string().len(), Sealed::MAX_TEXT_BYTES);
    assert_eq!(longest.to_bytes().len(), Sealed::MAX_BYTES);
    assert_eq!(Sealed::parse(&longest.to_string()), Ok(longest));
    // What the documentation of `Sealed` says of a column.
    let in_column = |bytes| ring.seal(&Secret::from_bytes(&vec![1; bytes]).unwrap(), &binding()).unwrap();
    assert!(in_column(94).to_string().len() <= 255);
    assert!(in_column(95).to_string().len() > 255);
}

#[test]
fn no_two_are_alike() {
    assert_ne!(sealed(), sealed());
    assert_ne!(sealed().nonce(), sealed().nonce());
}

#[test]
fn every_changed_field_of_the_row_is_refused() {
    let sealed = sealed();
    let other = |binding: Binding| ring().open(&sealed, &binding).map(drop);
    assert_eq!(other(binding()), Ok(()));
    let changed = [
        row("adb"),
        row("ad"),
        Binding::builder(TokenId::new("ada").unwrap(), 2),
        row("ada").algorithm(Algorithm::Sha256),
        row("ada").algorithm(Algorithm::Sha512),
        row("ada").digits(Digits::SEVEN),
        row("ada").digits(Digits::TEN),
        row("ada").format(Format::Steam),
        row("ada").period(Duration::from_secs(60)),
        row("ada").period(Duration::from_secs(86_400)),
        row("ada").t0(seconds(1)),
        row("ada").t0(seconds(-1)),
    ];
    for binding in changed.map(|builder| builder.build().unwrap()) {
        let token = binding.token_id().clone();
        let refused = SealError::Refused { token, key: "2026-11".parse().unwrap() };
        assert_eq!(other(binding), Err(refused));
    }
    for ring in [
        ring().in_context("x").unwrap(),
        // Another key of this name.
        KeyRing::new(key("2026-11", 8)),
    ] {
        assert!(matches!(ring.open(&sealed, &binding()), Err(SealError::Refused { .. })));
    }
}

/// Fields that run together read as others would; their lengths keep them apart.
#[test]
fn no_text_of_one_field_is_taken_for_another() {
    let id = |text: &str| text.parse::<KeyId>().unwrap();
    let data = |context: &str, key: &str, token: &str| {
        row(token).build().unwrap().additional_data(context, &id(key))
    };
    let all = [data("", "ab", "c"), data("", "a", "bc"), data("a", "b", "c"), data("\u{1}", "a", "bc")];
    for (index, one) in all.iter().enumerate() {
        assert!(all.iter().skip(index + 1).all(|other| one != other));
    }
    let mut expected =
        b"\0\x16skewgate sealed secret\0\x01x\0\x01\x01\0\x02ab\0\x03ada\0\x04SHA1\0\x016".to_vec();
    expected.extend_from_slice(b"\0\x08\0\0\0\0\0\0\0\x1e\0\x08\0\0\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\x03");
    assert_eq!(data("x", "ab", "ada"), expected);
}

#[test]
fn every_flipped_bit_is_refused() {
    let bytes = sealed().to_bytes();
    for (place, bit) in (0..bytes.len()).flat_map(|place| (0..8).map(move |bit| (place, bit))) {
        let mut changed = bytes.clone();
        changed[place] ^= 1 << bit;
        let opened = Sealed::from_bytes(&changed).map(|sealed| ring().open(&sealed, &binding()).map(drop));
        assert!(!matches!(opened, Ok(Ok(()))), "byte {place}, bit {bit}");
        // Behind the key's id there is nothing to say but that it doesn't open.
        if place >= 9 {
            assert!(matches!(opened, Ok(Err(SealError::Refused { .. }))), "byte {place}, bit {bit}");
        }
    }
}

#[test]
fn every_length_that_is_cut_off_or_added_is_refused() {
    let bytes = sealed().to_bytes();
    for length in 0..bytes.len() {
        let cut = Sealed::from_bytes(&bytes[..length]);
        assert!(cut.is_err(), "{length}");
        let longer = [bytes.as_slice(), &vec![0; length + 1]].concat();
        let opened = Sealed::from_bytes(&longer).map(|sealed| ring().open(&sealed, &binding()).map(drop));
        assert!(!matches!(opened, Ok(Ok(()))), "{length} more");
    }
}

#[test]
fn one_sealed_secret_has_one_text() {
    let text = sealed().to_string();
    assert!(text.starts_with("skewgate1.2026-11."));
    let readings = (0..text.len()).flat_map(|place| {
        let text = &text;
        (0x20_u8..0x7f).filter_map(move |byte| {
            let mut changed = text.clone().into_bytes();
            changed[place] = byte;
            Sealed::parse(std::str::from_utf8(&changed).unwrap()).ok()
        })
    });
    assert_eq!(readings.filter(|reading| reading.to_string() == text).count(), text.len());
    for wrong in [format!("{text}="), format!(" {text}"), format!("{text}\n"), text.to_uppercase()] {
        assert!(Sealed::parse(&wrong).is_err(), "{wrong}");
    }
    // 104 bytes, and no multiple of three: the last character has unused bits.
    let ring = KeyRing::new(key("k", 1));
    let text = ring.seal(&Secret::from_bytes(&[1; 32]).unwrap(), &binding()).unwrap().to_string();
    let (front, last) = text.split_at(text.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let readings: Vec<String> = alphabet
        .chars()
        .map(|character| format!("{front}{character}"))
        .filter(|text| Sealed::parse(text).is_ok())
        .collect();
    assert!(readings.contains(&text), "{last}");
    assert!(readings.iter().all(|text| Sealed::parse(text).unwrap().to_string() == *text));
}

#[test]
fn what_is_no_sealed_secret_is_refused_for_what_it_is() {
    let body = Base64UrlUnpadded::encode_string(&[0; 72]);
    for (text, error) in [
        ("".to_owned(), SealedError::NotSealed),
        ("JBSWY3DPEHPK3PXP".into(), SealedError::NotSealed),
        ("skewgate1".into(), SealedError::NotSealed),
        ("skewgate1.k".into(), SealedError::NotSealed),
        (format!("skewgate+1.k.{body}"), SealedError::NotSealed),
        (format!("skewgate01.k.{body}"), SealedError::NotSealed),
        (format!("skewgate.k.{body}"), SealedError::NotSealed),
        (format!("skewgate99999999999.k.{body}"), SealedError::NotSealed),
        (format!("skewgate2.k.{body}"), SealedError::UnsupportedVersion { got: 2 }),
        ("skewgate10.what it is then".into(), SealedError::UnsupportedVersion { got: 10 }),
        (format!("skewgate1..{body}"), SealedError::KeyId(KeyIdError::Empty)),
        (format!("skewgate1.{}.{body}", "k".repeat(33)), SealedError::KeyId(KeyIdError::TooLong { got: 33 })),
        (format!("skewgate1.2026 11.{body}"), SealedError::KeyId(KeyIdError::Character { position: 4 })),
        (format!("skewgate1.k.{body}="), SealedError::Base64),
        (format!("skewgate1.k.{body}.x"), SealedError::Base64),
        (format!("skewgate1.k.+{}", &body[1..]), SealedError::Base64),
        ("skewgate1.k.".into(), SealedError::Length { got: 0 }),
        (format!("skewgate1.k.{}", &body[4..]), SealedError::Length { got: 69 }),
        (format!("skewgate1.k.{}", &body[..52]), SealedError::Length { got: 39 }),
        (format!("skewgate1.k.{}", "A".repeat(1504)), SealedError::TooLong { got: 1516, max: 1505 }),
    ] {
        assert_eq!(Sealed::parse(&text), Err(error), "{text}");
    }
    assert!(Sealed::parse(&format!("skewgate1.k.{body}")).is_ok());
    let got = 2 + 32 + 24 + 1056 + 16 + 1;
    let too_long = SealedError::TooLong { got, max: got - 1 };
    assert_eq!(Sealed::from_bytes(&vec![1; got]), Err(too_long));
    assert_eq!(Sealed::from_bytes(b"\x02"), Err(SealedError::UnsupportedVersion { got: 2 }));
    assert_eq!(Sealed::from_bytes(b"\x01\x02\xff\xfe"), Err(SealedError::NotSealed));
    // No plaintext at all.
    assert_eq!(
        Sealed::from_bytes(&[&b"\x01\x01k"[..], &[0; 40]].concat()),
        Err(SealedError::Length { got: 40 })
    );
}

#[test]
fn the_key_that_is_missing_is_named() {
    let sealed = sealed();
    let ring = KeyRing::new(key("2027-01", 1)).with(key("2025-03", 7)).unwrap();
    let error = ring.open(&sealed, &binding()).unwrap_err();
    // Not tried with the key of the other name, which has the right bytes.
    let present = vec!["2027-01".parse().unwrap(), "2025-03".parse().unwrap()];
    assert_eq!(error, SealError::UnknownKey { missing: "2026-11".parse().unwrap(), present });
    assert_eq!(
        error.to_string(),
        "this secret was sealed with the key `2026-11`, which is not among the given ones (`2027-01`, `2025-03`): give it \
         with KeyRing::with"
    );
    assert_eq!(ring.reseal(&sealed, &binding()).unwrap_err(), error);
    assert!(!ring.holds(sealed.key_id()));
    assert!(ring.needs_reseal(&sealed));
}

#[test]
fn a_new_key_takes_over() {
    let sealed = sealed();
    let ring = KeyRing::new(key("2027-01", 1)).with(key("2026-11", 7)).unwrap();
    assert!(ring.needs_reseal(&sealed));
    assert_eq!(ring.open(&sealed, &binding()).unwrap().expose_bytes(), SECRET);
    let anew = ring.reseal(&sealed, &binding()).unwrap();
    assert_eq!(anew.key_id().as_str(), "2027-01");
    assert!(!ring.needs_reseal(&anew));
    let only_new = KeyRing::new(key("2027-01", 1));
    assert_eq!(only_new.open(&anew, &binding()).unwrap().expose_bytes(), SECRET);
    // What doesn't open isn't sealed anew.
    let elsewhere = row("eve").build().unwrap();
    assert!(matches!(ring.reseal(&sealed, &elsewhere), Err(SealError::Refused { .. })));
}

#[test]
fn an_id_names_one_key() {
    let id: KeyId = "2026-11".parse().unwrap();
    assert_eq!(ring().with(key("2026-11", 7)).unwrap_err(), RingError::DuplicateId { id });
    let twice = ring().with(key("a", 1)).unwrap().with(key("a", 2));
    assert_eq!(twice.unwrap_err(), RingError::DuplicateId { id: "a".parse().unwrap() });
    let got = 256;
    assert_eq!(ring().in_context(&"c".repeat(got)).unwrap_err(), RingError::ContextTooLong { got });
}

/// What only the owner of the key can make, and no version wrote.
#[test]
fn other_plaintexts_are_refused() {
    use chacha20poly1305::aead::AeadInOut;
    use chacha20poly1305::{KeyInit, XChaCha20Poly1305};

    let open = |plain: &[u8]| {
        let (mut body, id) = (plain.to_vec(), "2026-11".parse().unwrap());
        let data = binding().additional_data("", &id);
        let cipher = XChaCha20Poly1305::new(&[7; 32].into());
        let tag = cipher.encrypt_inout_detached(&[1; 24].into(), &data, body.as_mut_slice().into()).unwrap();
        body.extend_from_slice(&tag);
        ring()
            .open(&Sealed::from_parts(id, [1; 24], body.into()), &binding())
            .map(|secret| secret.expose_bytes().len())
    };
    let plain = |length: u8, bytes: usize| [vec![0, length], vec![1; bytes], vec![0; 64]].concat();
    assert_eq!(open(&plain(20, 20)[..32]), Ok(20));
    for wrong in [
        &plain(0, 0)[..32],   // no secret
        &plain(20, 21)[..32], // padding that isn't zero
        &plain(20, 20)[..64], // more of it than needed
        &plain(31, 30)[..32], // longer than there is
        &[0; 0],
        &[0; 1],
    ] {
        assert!(matches!(open(wrong), Err(SealError::Refused { .. })), "{wrong:?}");
    }
}

#[test]
fn keys_are_read_and_printed() {
    let bytes: [u8; 32] = std::array::from_fn(|place| u8::try_from(place * 8).unwrap());
    let base64 = "AAgQGCAoMDhASFBYYGhweICIkJigqLC4wMjQ2ODo8Pg=";
    let hex = "0008101820283038404850586068707880889098a0a8b0b8c0c8d0d8e0e8f0f8";
    let shown = |key: Result<SealingKey, SealingKeyError>| key.map(|key| key.expose_base64().to_string());
    assert_eq!(shown(SealingKey::from_bytes("k", &bytes)).as_deref(), Ok(base64));
    for text in [base64, base64.trim_end_matches('='), &format!("{base64}\r\n"), &format!("  {base64}\t")] {
        assert_eq!(shown(SealingKey::from_base64("k", text)).as_deref(), Ok(base64), "{text:?}");
    }
    for text in [hex, &hex.to_uppercase(), &format!("{hex}\n")] {
        assert_eq!(shown(SealingKey::from_hex("k", text)).as_deref(), Ok(base64), "{text:?}");
    }
    let error = |key: Result<SealingKey, SealingKeyError>| key.unwrap_err();
    let length = |got, expected| SealingKeyError::Length { got, expected };
    assert_eq!(error(SealingKey::from_base64("k", hex)), length(64, 43));
    assert_eq!(error(SealingKey::from_base64("k", "")), length(0, 43));
    assert_eq!(error(SealingKey::from_base64("k", &format!("{base64}="))), length(44, 43));
    assert_eq!(error(SealingKey::from_hex("k", base64)), length(44, 64));
    // 43 characters with bits that belong to no byte, of the other alphabet, and others.
    for last in ["Ph", "P_", "P-", " P", "P."] {
        let text = format!("{}{last}", &base64[..41]);
        assert_eq!(error(SealingKey::from_base64("k", &text)), SealingKeyError::Base64, "{text}");
    }
    assert_eq!(error(SealingKey::from_hex("k", &hex.replace('8', "g"))), SealingKeyError::Hex);
    for zero in [
        SealingKey::from_bytes("k", &[0; 32]),
        SealingKey::from_base64("k", &"A".repeat(43)),
        SealingKey::from_hex("k", &"0".repeat(64)),
    ] {
        assert_eq!(error(zero), SealingKeyError::Zero);
    }
    assert_eq!(error(SealingKey::from_bytes("", &[1; 32])), SealingKeyError::Id(KeyIdError::Empty));
    assert!(SealingKey::from_bytes("k", &[&[0; 31][..], &[1]].concat().try_into().unwrap()).is_ok());
}

#[test]
fn new_keys_differ() {
    let [one, other] = [(); 2].map(|()| SealingKey::generate("k").unwrap());
    assert_ne!(one.expose_base64(), other.expose_base64());
}

#[test]
fn neither_debug_nor_an_error_shows_a_key_or_a_secret() {
    let key = key("k", b'K');
    let ring = KeyRing::new(key.clone()).with(self::key("old", b'O')).unwrap().in_context("c").unwrap();
    let secret = Secret::from_bytes(SECRET).unwrap();
    let sealed = ring.seal(&secret, &binding()).unwrap();
    let refused = ring.open(&sealed, &row("eve").build().unwrap()).unwrap_err();
    let missing = KeyRing::new(self::key("x", 1)).open(&sealed, &binding()).unwrap_err();
    let wrong = SealingKey::from_base64("k", "not my key, but nearly").unwrap_err();
    let shown =
        format!("{ring:?} {key:?} {sealed:?} {refused} {refused:?} {missing} {missing:?} {wrong} {wrong:?}");
    for hint in ["KK", "S0tL", "75, 75", "4b4b", "OO", "79, 79", "nearly", "12345", "49, 50"] {
        assert!(!shown.contains(hint), "{hint}: {shown}");
    }
    assert!(shown.contains(r#"KeyRing { current: SealingKey("k", redacted)"#), "{shown}");
}

#[test]
fn a_binding_is_what_its_token_is_made_of() {
    let secret = Secret::from_bytes(SECRET).unwrap();
    let totp = Totp::builder(&secret)
        .algorithm(Algorithm::Sha256)
        .digits(Digits::EIGHT)
        .period(Duration::from_secs(60))
        .t0(seconds(-5))
        .build()
        .unwrap();
    let binding = Binding::of(&Token::new(TokenId::new("ada").unwrap(), totp.clone()), 3);
    let same = row("ada").algorithm(Algorithm::Sha256).digits(Digits::EIGHT);
    let same = same.period(Duration::from_secs(60)).t0(seconds(-5)).build().unwrap();
    assert_eq!(binding, same);
    assert_eq!((binding.token_id().as_str(), binding.epoch()), ("ada", 3));

    let sealed = ring().seal(&secret, &binding).unwrap();
    let token = ring().open_token(&sealed, &binding).unwrap();
    assert_eq!(token.id().as_str(), "ada");
    assert_eq!(format!("{:?}", token.totp()), format!("{totp:?}"));
    let code = |totp: &Totp| totp.code_at(TimeStep::ZERO).expose().to_string();
    assert_eq!(code(token.totp()), code(&totp));

    let period = Duration::from_millis(30_500);
    assert_eq!(row("ada").period(period).build(), Err(TotpError::Period { got: period }));
    let t0 = Timestamp::from_unix_nanos(1);
    assert_eq!(row("ada").t0(t0).build(), Err(TotpError::T0 { got: t0 }));
}

prop_compose! {
    fn rows()(
        token in "[ -~]{1,255}", epoch: u64, algorithm in 0..3_usize, codes in 5..=10_usize, period in 1..=86_400_u64,
        t0 in -9_223_372_036_i64..=9_223_372_036,
    ) -> Binding {
        let format = Digits::new(codes).map_or(Format::Steam, Format::Decimal);
        Binding::builder(TokenId::new(&token).unwrap(), epoch)
            .algorithm([Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512][algorithm])
            .format(format)
            .period(Duration::from_secs(period))
            .t0(seconds(t0))
            .build()
            .unwrap()
    }
}

proptest! {
    #[test]
    fn what_is_sealed_opens_in_its_row_and_in_no_other(
        secret in prop::collection::vec(any::<u8>(), 1..200),
        key in prop::array::uniform32(1_u8..), id in "[A-Za-z0-9_-]{1,32}", context in "\\PC{0,40}",
        here in rows(), there in rows(),
    ) {
        let ring = KeyRing::new(SealingKey::from_bytes(&id, &key).unwrap()).in_context(&context).unwrap();
        let sealed = ring.seal(&Secret::short_legacy(&secret).unwrap(), &here).unwrap();
        let sealed = Sealed::parse(&sealed.to_string()).unwrap();
        let opened = ring.open(&sealed, &here).unwrap();
        prop_assert_eq!(opened.expose_bytes(), &secret);
        prop_assert_eq!(ring.open(&sealed, &there).is_ok(), here == there);
    }

    #[test]
    fn two_rows_have_two_texts(one in rows(), other in rows(), ids in prop::array::uniform2("[ab]{1,3}"), contexts in prop::array::uniform2("[ab]{0,3}")) {
        let [first, second] = ids.each_ref().map(|id| id.parse::<KeyId>().unwrap());
        let same = one == other && first == second && contexts[0] == contexts[1];
        let [data, others] = [(&one, &contexts[0], &first), (&other, &contexts[1], &second)]
            .map(|(row, context, id)| row.additional_data(context, id));
        prop_assert_eq!(data == others, same);
    }

    #[test]
    fn a_changed_byte_never_opens(secret in prop::collection::vec(any::<u8>(), 1..100), place: prop::sample::Index, change in 1_u8..) {
        let mut bytes = ring().seal(&Secret::short_legacy(&secret).unwrap(), &binding()).unwrap().to_bytes();
        let place = place.index(bytes.len());
        bytes[place] ^= change;
        if let Ok(sealed) = Sealed::from_bytes(&bytes) {
            prop_assert!(ring().open(&sealed, &binding()).is_err());
        }
    }

    #[test]
    fn no_text_and_no_bytes_make_it_panic(text in "\\PC*|skewgate1\\.[a-z.]{0,40}[A-Za-z0-9_-]{0,200}", bytes: Vec<u8>) {
        if let Ok(sealed) = Sealed::parse(&text) {
            prop_assert_eq!(sealed.to_string(), text);
            prop_assert!(ring().open(&sealed, &binding()).is_err());
        }
        if let Ok(sealed) = Sealed::from_bytes(&bytes) {
            prop_assert_eq!(sealed.to_bytes(), bytes);
        }
    }
}
