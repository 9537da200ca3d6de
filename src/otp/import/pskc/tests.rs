use aes::{Aes128, Aes192, Aes256};
use base64ct::{Base64, Encoding};
use cbc::cipher::block_padding::{Iso10126, NoPadding, Padding, Pkcs7};
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use hmac::{Hmac, KeyInit, Mac};

use super::*;
use crate::otp::{CodeError, SecretError, TimeStep, TotpError};
use std::time::Duration;

const SECRET: &[u8] = b"12345678901234567890";
const SECRET_BASE64: &str = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=";
const FIGURE_6: &str = include_str!("../../../../tests/vectors/rfc6030/figure6.xml");
const FIGURE_7: &str = include_str!("../../../../tests/vectors/rfc6030/figure7.xml");
const FIGURE_6_KEY: [u8; 16] = *b"\x12\x34\x56\x78\x90\x12\x34\x56\x78\x90\x12\x34\x56\x78\x90\x12";
const AES: &str = "http://www.w3.org/2001/04/xmlenc#aes";

fn container(inside: &str) -> String {
    format!(
        "<KeyContainer Version=\"1.0\" xmlns=\"urn:ietf:params:xml:ns:keyprov:pskc\" \
         xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" xmlns:xenc=\"http://www.w3.org/2001/04/xmlenc#\">\
         {inside}</KeyContainer>"
    )
}

fn package(algorithm: &str, parameters: &str, data: &str, policy: &str) -> String {
    format!(
        "<KeyPackage><Key Id=\"7\" Algorithm=\"urn:ietf:params:xml:ns:keyprov:pskc:{algorithm}\">\
         <AlgorithmParameters>{parameters}</AlgorithmParameters><Data>{data}</Data>{policy}</Key></KeyPackage>"
    )
}

fn plain_secret() -> String {
    format!("<Secret><PlainValue>{SECRET_BASE64}</PlainValue></Secret>")
}

fn value(element: &str, value: &str) -> String {
    format!("<{element}><PlainValue>{value}</PlainValue></{element}>")
}

fn read(text: &str) -> Result<PskcKey, KeyError> {
    let tokens = PskcReader::new().read(text).expect(text);
    match (&tokens.keys[..], &tokens.refused[..]) {
        ([key], []) => Ok(key.clone()),
        ([], [refused]) => Err(refused.reason),
        _ => panic!("{tokens:?}"),
    }
}

fn totp(parameters: &str, data: &str, policy: &str) -> Result<PskcKey, KeyError> {
    read(&container(&package("totp", parameters, &format!("{}{data}", plain_secret()), policy)))
}

#[test]
fn a_totp_token_with_its_drift() {
    let data = [value("Time", "100"), value("TimeInterval", "60"), value("TimeDrift", "-4")].concat();
    let parameters = "<Suite>HMAC-SHA256</Suite><ResponseFormat Length=\"8\" Encoding=\"DECIMAL\"/>";
    let key = totp(parameters, &data, "").unwrap();
    assert_eq!(key.kind(), UriKind::Totp { period: Duration::from_secs(60) });
    assert_eq!((key.algorithm(), key.digits()), (Algorithm::Sha256, Digits::EIGHT));
    assert_eq!(key.time(), TimeStep::new(100));
    // RFC 6030 §4.2: a device at 8 and a server at 9 are a drift of −1, so that the device is behind.
    assert_eq!(key.drift().unwrap().steps(), -4);
    assert_eq!(key.drift().unwrap().ahead(), crate::time::SignedDuration::from_secs(-240));
    assert_eq!(key.uri().build().unwrap().totp().unwrap().algorithm(), Algorithm::Sha256);
}

#[test]
fn hashes_go_by_several_names() {
    for (name, algorithm) in [
        ("HMAC-SHA1", Algorithm::Sha1),
        ("hmac-sha256", Algorithm::Sha256),
        ("SHA-256", Algorithm::Sha256),
        (" HMAC-SHA-512 ", Algorithm::Sha512),
    ] {
        assert_eq!(totp(&format!("<Suite>{name}</Suite>"), "", "").unwrap().algorithm(), algorithm);
    }
    for name in ["HMAC-MD5", "", "HMAC-SHA3-256"] {
        let error = totp(&format!("<Suite>{name}</Suite>"), "", "").unwrap_err();
        assert_eq!(error, KeyError::UnsupportedAlgorithm);
    }
    for algorithm in ["pin", "totp-2", ""] {
        let file = container(&package(algorithm, "", &plain_secret(), ""));
        assert_eq!(read(&file).unwrap_err(), KeyError::UnsupportedAlgorithm);
    }
}

#[test]
fn every_number_is_checked() {
    let data = |element, text| totp("", &value(element, text), "").unwrap_err();
    let wrong = |element| KeyError::Value { element };
    assert_eq!(data("TimeInterval", "0"), TotpError::Period { got: Duration::ZERO }.into());
    assert_eq!(data("TimeInterval", "-1"), TotpError::Period { got: Duration::ZERO }.into());
    let got = Duration::from_secs(86_401);
    assert_eq!(data("TimeInterval", "86401"), TotpError::Period { got }.into());
    assert_eq!(data("TimeInterval", "x"), wrong("TimeInterval"));
    assert_eq!(data("Time", "-1"), wrong("Time"));
    assert_eq!(data("TimeDrift", "2147483648"), wrong("TimeDrift"));
    assert_eq!(totp("", "<TimeDrift/>", "").unwrap_err(), KeyError::EncryptedNumber { element: "TimeDrift" });
    let format = |attributes: &str| totp(&format!("<ResponseFormat {attributes}/>"), "", "").unwrap_err();
    assert_eq!(format("Length=\"5\" Encoding=\"DECIMAL\""), CodeError::DigitCount { got: 5 }.into());
    assert_eq!(format("Length=\"-8\" Encoding=\"DECIMAL\""), wrong("ResponseFormat"));
    assert_eq!(format("Encoding=\"DECIMAL\""), wrong("ResponseFormat"));
    assert_eq!(format("Length=\"8\" Encoding=\"HEXADECIMAL\""), KeyError::UnsupportedFormat);
    assert_eq!(format("Length=\"8\" Encoding=\"DECIMAL\" CheckDigits=\"true\""), KeyError::UnsupportedFormat);
    let hotp =
        |counter| read(&container(&package("hotp", "", &(plain_secret() + &value("Counter", counter)), "")));
    assert_eq!(
        hotp("9223372036854775807").unwrap().kind(),
        UriKind::Hotp { counter: i64::MAX.unsigned_abs() }
    );
    assert_eq!(hotp("-1").unwrap_err(), wrong("Counter"));
}

#[test]
fn a_policy_that_is_not_understood_forbids_the_key() {
    let policy = |inside: &str| totp("", "", &format!("<Policy>{inside}</Policy>"));
    let key = policy(
        "<StartDate>2026-01-01T00:00:00Z</StartDate><ExpiryDate>2031-01-01T00:00:00+01:00</ExpiryDate>\
         <NumberOfTransactions>500</NumberOfTransactions><KeyUsage>OTP</KeyUsage><KeyUsage>CR</KeyUsage>\
         <PINPolicy PINKeyId=\"8\" PINUsageMode=\"Local\"/>",
    )
    .unwrap();
    assert_eq!(key.start(), "2026-01-01T00:00:00Z".parse().ok());
    assert_eq!(key.expiry(), "2030-12-31T23:00:00Z".parse().ok());
    assert_eq!(key.max_transactions(), Some(500));
    assert_eq!(policy("<KeyUsage>Encrypt</KeyUsage>").unwrap_err(), KeyError::Policy);
    assert_eq!(policy("<Moon>full</Moon>").unwrap_err(), KeyError::Policy);
    assert_eq!(policy("<x:y xmlns:x=\"urn:other\"/>").unwrap_err(), KeyError::Policy);
    for mode in ["Prepend", "Append", "Algorithmic"] {
        assert_eq!(policy(&format!("<PINPolicy PINUsageMode=\"{mode}\"/>")).unwrap_err(), KeyError::Pin);
    }
    let date = policy("<StartDate>2026-13-01T00:00:00Z</StartDate>").unwrap_err();
    assert_eq!(date, KeyError::Value { element: "StartDate" });
}

/// The parser gives the first piece of a text alone: a secret with a comment in it would be cut off in silence.
#[test]
fn a_comment_does_not_cut_a_secret_off() {
    let split = format!(
        "<Secret><PlainValue> {}<!-- -->\n{} </PlainValue></Secret>",
        &SECRET_BASE64[..8],
        &SECRET_BASE64[8..]
    );
    let key = read(&container(&package("totp", "", &split, ""))).unwrap();
    assert_eq!(key.secret().expose_bytes(), SECRET);
    let element = format!("<Secret><PlainValue>{SECRET_BASE64}<b/></PlainValue></Secret>");
    let error = read(&container(&package("totp", "", &element, ""))).unwrap_err();
    assert_eq!(error, KeyError::Value { element: "PlainValue" });
}

#[test]
fn what_is_there_twice_or_not_at_all_is_refused() {
    let secret = plain_secret();
    let read = |data: &str| read(&container(&package("totp", "", data, "")));
    assert_eq!(read(&[&*secret, &*secret].concat()).unwrap_err(), KeyError::Duplicate { element: "Secret" });
    assert_eq!(read("").unwrap_err(), KeyError::Missing { element: "Secret" });
    assert_eq!(read("<Secret/>").unwrap_err(), SecretError::Empty.into());
    assert_eq!(read("<Secret><PlainValue/></Secret>").unwrap_err(), SecretError::Empty.into());
    assert_eq!(read("<Secret><EncryptedValue/></Secret>").unwrap_err(), KeyError::NoEncryptionKey);
    assert_eq!(
        read("<Secret><PlainValue>*</PlainValue></Secret>").unwrap_err(),
        KeyError::Value { element: "PlainValue" }
    );
    let no_key = PskcReader::new().read(&container("<KeyPackage/>")).unwrap();
    let reason = KeyError::Missing { element: "Key" };
    assert_eq!(no_key.refused, [Refused { index: 0, id: None, reason }]);
}

#[test]
fn one_bad_key_does_not_keep_the_others_out() {
    let good = package("totp", "", &plain_secret(), "");
    let bad = package("pin", "", &plain_secret(), "");
    let tokens = PskcReader::new().read(&container(&[&*good, &*bad, &*good].concat())).unwrap();
    assert_eq!(tokens.keys.len(), 2);
    let reason = KeyError::UnsupportedAlgorithm;
    assert_eq!(tokens.refused, [Refused { index: 1, id: Some("7".to_owned()), reason }]);
}

// --- Encrypted ---------------------------------------------------------------------------------------------

fn encrypt<C: KeyIvInit + BlockModeEncrypt, P: Padding>(key: &[u8], vector: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut buffer = [plain, &[0; 16]].concat();
    let cipher = C::new_from_slices(key, vector).unwrap();
    [vector, cipher.encrypt_padded::<P>(&mut buffer, plain.len()).unwrap()].concat()
}

/// Seals with the cipher that the key's length chooses.
fn seal(key: &[u8], plain: &[u8]) -> (u16, Vec<u8>) {
    let encrypt = match key.len() {
        16 => encrypt::<cbc::Encryptor<Aes128>, Pkcs7>,
        24 => encrypt::<cbc::Encryptor<Aes192>, Pkcs7>,
        _ => encrypt::<cbc::Encryptor<Aes256>, Pkcs7>,
    };
    (u16::try_from(key.len() * 8).unwrap(), encrypt(key, b"a vector, random", plain))
}

fn sealed_xml((bits, sealed): (u16, Vec<u8>)) -> String {
    format!(
        "<xenc:EncryptionMethod Algorithm=\"{AES}{bits}-cbc\"/><xenc:CipherData><xenc:CipherValue>{}\
         </xenc:CipherValue></xenc:CipherData>",
        Base64::encode_string(&sealed)
    )
}

fn sealed_container(mac: &str, mac_key: &str, sealed: (u16, Vec<u8>), value_mac: &[u8]) -> String {
    let secret = format!(
        "<Secret><EncryptedValue>{}</EncryptedValue><ValueMAC>{}</ValueMAC></Secret>",
        sealed_xml(sealed),
        Base64::encode_string(value_mac)
    );
    container(&format!(
        "<EncryptionKey><ds:KeyName>k</ds:KeyName></EncryptionKey><MACMethod Algorithm=\"{mac}\">{mac_key}\
         </MACMethod>{}",
        package("totp", "", &secret, "")
    ))
}

fn mac_of<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
    <M as KeyInit>::new_from_slice(key).unwrap().chain_update(message).finalize().into_bytes().to_vec()
}

#[test]
fn every_cipher_and_mac_is_opened() {
    type MacOf = fn(&[u8], &[u8]) -> Vec<u8>;
    let macs: [(&str, MacOf); 3] = [
        ("http://www.w3.org/2000/09/xmldsig#hmac-sha1", mac_of::<Hmac<sha1::Sha1>>),
        ("http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", mac_of::<Hmac<sha2::Sha256>>),
        ("http://www.w3.org/2001/04/xmldsig-more#hmac-sha512", mac_of::<Hmac<sha2::Sha512>>),
    ];
    for key in [&[1; 16][..], &[2; 24], &[3; 32]] {
        for (name, mac) in macs {
            let sealed = seal(key, SECRET);
            let mac_key = format!("<MACKey>{}</MACKey>", sealed_xml(seal(key, b"the key of the MAC")));
            let with_key = mac(b"the key of the MAC", &sealed.1);
            // RFC 6030 §6.1.1: without a MAC key of its own, the encryption key.
            let without = mac(key, &sealed.1);
            for file in [
                sealed_container(name, &mac_key, sealed.clone(), &with_key),
                sealed_container(name, "", sealed.clone(), &without),
            ] {
                let tokens = PskcReader::new().pre_shared_key(key).read(&file).unwrap();
                assert_eq!(tokens.refused, [], "{name}");
                assert_eq!(tokens.keys[0].secret().expose_bytes(), SECRET);
            }
        }
    }
}

fn refusal(text: &str) -> KeyError {
    let tokens = PskcReader::new().pre_shared_key(&FIGURE_6_KEY).read(text).unwrap();
    assert!(tokens.keys.is_empty());
    tokens.refused[0].reason
}

/// What is encrypted, the MAC, or both are changed: nothing is decrypted.
#[test]
fn what_was_tampered_with_is_refused() {
    assert_eq!(refusal(&FIGURE_6.replace("AAECAwQF", "AAECAwQG")), KeyError::NotAuthentic); // the vector
    assert_eq!(refusal(&FIGURE_6.replace("IUqGv", "IUqGw")), KeyError::NotAuthentic); // the last block
    assert_eq!(refusal(&FIGURE_6.replace("Su+NvtQ", "Su+NvtR")), KeyError::NotAuthentic);
    assert_eq!(refusal(&FIGURE_6.replace("Su+NvtQfmvfJzF6bmQiJqoLRExc=", "")), KeyError::NotAuthentic);
    // A truncated MAC is none.
    assert_eq!(
        refusal(&FIGURE_6.replace("Su+NvtQfmvfJzF6bmQiJqoLRExc=", "Su+NvtQfmvfJzF6b")),
        KeyError::NotAuthentic
    );
    let cut =
        FIGURE_6.find("<ValueMAC>").unwrap()..FIGURE_6.find("</ValueMAC>").unwrap() + "</ValueMAC>".len();
    let mut without = FIGURE_6.to_owned();
    without.replace_range(cut, "");
    assert_eq!(refusal(&without), KeyError::NoMac);
    let cut =
        FIGURE_6.find("<MACMethod").unwrap()..FIGURE_6.find("</MACMethod>").unwrap() + "</MACMethod>".len();
    let mut without = FIGURE_6.to_owned();
    without.replace_range(cut, "");
    assert_eq!(refusal(&without), KeyError::NoMac);
}

#[test]
fn another_key_opens_nothing() {
    let read =
        |key: &[u8]| PskcReader::new().pre_shared_key(key).read(FIGURE_6).map(|tokens| tokens.keys.len());
    let mut opened = 0;
    for last in 0..=255 {
        let mut key = FIGURE_6_KEY;
        key[15] = last;
        opened += read(&key).unwrap();
    }
    assert_eq!(opened, 1, "the right one");
    assert_eq!(read(&[0; 15]), Err(PskcError::Container(KeyError::KeyLength { got: 15 })));
    assert_eq!(PskcReader::new().read(FIGURE_6).unwrap_err(), PskcError::KeyNeeded);
    assert_eq!(PskcReader::new().password("qwerty").read(FIGURE_6).unwrap_err(), PskcError::KeyNeeded);
    assert_eq!(PskcReader::new().read(FIGURE_7).unwrap_err(), PskcError::PasswordNeeded);
    let wrong = PskcReader::new().password("qwertz").read(FIGURE_7).unwrap();
    assert_eq!((wrong.keys.len(), wrong.refused[0].reason), (0, KeyError::NotAuthentic));
}

#[test]
fn sealed_values_that_are_no_blocks_are_refused() {
    let key = [1; 16];
    let mac = "http://www.w3.org/2000/09/xmldsig#hmac-sha1";
    let padded_wrong = encrypt::<cbc::Encryptor<Aes128>, NoPadding>(&key, &[0; 16], &[0; 32]);
    for sealed in [vec![], vec![0; 15], vec![0; 16], vec![0; 33], padded_wrong] {
        // Its MAC is right: it isn't that which refuses it.
        let value_mac = mac_of::<Hmac<sha1::Sha1>>(&key, &sealed);
        let file = sealed_container(mac, "", (128, sealed), &value_mac);
        let tokens = PskcReader::new().pre_shared_key(&key).read(&file).unwrap();
        assert_eq!(tokens.refused[0].reason, KeyError::NotAuthentic);
    }
    let sealed = seal(&key, SECRET);
    let value_mac = mac_of::<Hmac<sha1::Sha1>>(&key, &sealed.1);
    let wrapped = sealed_container(mac, "", sealed, &value_mac).replace("aes128-cbc", "kw-aes128");
    let tokens = PskcReader::new().pre_shared_key(&key).read(&wrapped).unwrap();
    assert_eq!(tokens.refused[0].reason, KeyError::UnsupportedCipher);
}

#[test]
fn a_file_cannot_ask_for_hours_of_work() {
    let read = |text: &str| PskcReader::new().password("qwerty").read(text).map(|tokens| tokens.keys.len());
    for (iterations, got) in [("0", 0), ("10000001", 10_000_001), ("4294967295", u32::MAX)] {
        let file = FIGURE_7.replace(">1000<", &format!(">{iterations}<"));
        assert_eq!(read(&file), Err(PskcError::Iterations { got }));
    }
    let file = FIGURE_7.replace("<KeyLength>16<", "<KeyLength>4294967296<");
    assert_eq!(read(&file), Err(KeyError::KeyLength { got: 4_294_967_296 }.into()));
    let file = FIGURE_7.replace("#pbkdf2", "#scrypt");
    assert_eq!(read(&file), Err(PskcError::UnsupportedProtection));
    let file = FIGURE_7.replace("<PRF/>", "<PRF Algorithm=\"urn:x#hmac-md5\"/>");
    assert_eq!(read(&file), Err(PskcError::UnsupportedProtection));
}

// --- XML ---------------------------------------------------------------------------------------------------

#[test]
fn entities_and_document_types_are_refused() {
    let body = container("");
    for (document_type, error) in [
        ("<!DOCTYPE KeyContainer>", PskcError::Dtd),
        ("<!DOCTYPE x [<!ENTITY a \"b\">]>", PskcError::Dtd),
        ("<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>", PskcError::Dtd),
        (
            "<!DOCTYPE x [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;\">]>",
            PskcError::Dtd,
        ),
    ] {
        assert_eq!(PskcReader::new().read(&format!("{document_type}{body}")).unwrap_err(), error);
    }
    let entity = container("<KeyPackage><Key Id=\"&a;\"/></KeyPackage>");
    assert_eq!(PskcReader::new().read(&entity).unwrap_err(), PskcError::Xml);
}

#[test]
fn sizes_are_bounded() {
    let got = PskcReader::MAX_BYTES + 1;
    assert_eq!(PskcReader::new().read(&" ".repeat(got)).unwrap_err(), PskcError::TooLong { got });
    // Attributes are compared with each other: they must stay few.
    let attributes: String = (0..2_000).map(|number| format!(" a{number}=''")).collect();
    let many = container(&format!("<KeyPackage{attributes}/>"));
    assert_eq!(PskcReader::new().read(&many).unwrap_err(), PskcError::TagTooLong { max: 8_192 });
    let nodes = container(&"<a/>".repeat(1_000_001));
    assert_eq!(PskcReader::new().read(&nodes).unwrap_err(), PskcError::TooManyNodes);
    // An element that declares a namespace copies all those that hold there, comparing each with each.
    let prefixes: String = (0..400).map(|number| format!(" xmlns:a{number:x}='a'")).collect();
    let namespaces = container(&format!("<b{prefixes}>{}</b>", "<a xmlns:b='c'/>".repeat(200_000)));
    let refused = PskcReader::new().read(&namespaces).unwrap_err();
    assert_eq!(refused, PskcError::TooManyNamespaces { max: 32 });
    // Depth costs no stack.
    let deep = container(&["<a>".repeat(400_000), "</a>".repeat(400_000)].concat());
    assert_eq!(PskcReader::new().read(&deep).unwrap().keys.len(), 0);
}

#[test]
fn where_a_key_is_given_nothing_plain_passes() {
    let plain = package("totp", "", &plain_secret(), "");
    let reader = PskcReader::new().pre_shared_key(&FIGURE_6_KEY);
    assert_eq!(reader.read(&container(&plain)).unwrap_err(), PskcError::NotProtected);
    let reader = PskcReader::new().password("qwerty");
    assert_eq!(reader.read(&container(&plain)).unwrap_err(), PskcError::NotProtected);
    // One secret was exchanged for a plain one.
    let start = FIGURE_6.find("<EncryptedValue>").unwrap();
    let end = FIGURE_6.find("</ValueMAC>").unwrap() + "</ValueMAC>".len();
    let exchanged =
        [&FIGURE_6[..start], "<PlainValue>", SECRET_BASE64, "</PlainValue>", &FIGURE_6[end..]].concat();
    let tokens = PskcReader::new().pre_shared_key(&FIGURE_6_KEY).read(&exchanged).unwrap();
    assert_eq!((tokens.keys.len(), tokens.refused[0].reason), (0, KeyError::PlainSecret));
}

#[test]
fn a_short_key_for_the_mac_is_none() {
    // What an attacker gets who changes the vector before the last block of something known: an empty key.
    let key = [7; 16];
    let mac_key = format!("<MACKey>{}</MACKey>", sealed_xml(seal(&key, b"")));
    let sealed = seal(&key, SECRET);
    let mac = mac_of::<Hmac<sha1::Sha1>>(b"", &sealed.1);
    let forged = sealed_container("http://www.w3.org/2000/09/xmldsig#hmac-sha1", &mac_key, sealed, &mac);
    let tokens = PskcReader::new().pre_shared_key(&key).read(&forged).unwrap();
    assert_eq!((tokens.keys.len(), tokens.refused[0].reason), (0, KeyError::NotAuthentic));
    // Nor does anything fit the key that stands in for it.
    let sealed = seal(&key, SECRET);
    let mac = mac_of::<Hmac<sha1::Sha1>>(&[0; 16], &sealed.1);
    let forged = sealed_container("http://www.w3.org/2000/09/xmldsig#hmac-sha1", &mac_key, sealed, &mac);
    let tokens = PskcReader::new().pre_shared_key(&key).read(&forged).unwrap();
    assert_eq!((tokens.keys.len(), tokens.refused[0].reason), (0, KeyError::NotAuthentic));
}

/// Vaudenay's attack: a block that is to be decrypted stands in the MAC's key behind each of 256 vectors, so that its padding is right
/// behind some of them. Nor do right MACs tell more (with the encryption key as the MAC's, so that this test can make them).
#[test]
fn no_error_tells_whether_a_padding_was_right() {
    let key = [9; 16];
    let (mac_method, other_key) = ("http://www.w3.org/2000/09/xmldsig#hmac-sha1", b"some other key of a MAC");
    let value = seal(&key, SECRET);
    let value_mac = mac_of::<Hmac<sha1::Sha1>>(other_key, &value.1);
    let target = seal(&key, b"sixteen bytes ..and some more").1;
    let reader = PskcReader::new().pre_shared_key(&key);
    let mut paddings = 0;
    for last in 0..=u8::MAX {
        let mut blocks = target.clone();
        let before = blocks.len() - 17;
        blocks[before] = last;
        paddings += u32::from(decrypts(&key, &blocks));
        let mac_key = format!("<MACKey>{}</MACKey>", sealed_xml((128, blocks.clone())));
        let in_mac_key = sealed_container(mac_method, &mac_key, value.clone(), &value_mac);
        let refused = reader.read(&in_mac_key).unwrap().refused;
        assert_eq!(refused.iter().map(|key| key.reason).collect::<Vec<_>>(), [KeyError::NotAuthentic]);

        if !decrypts(&key, &blocks) {
            let mac = mac_of::<Hmac<sha1::Sha1>>(&key, &blocks);
            let in_value = sealed_container(mac_method, "", (128, blocks), &mac);
            assert_eq!(reader.read(&in_value).unwrap().refused[0].reason, KeyError::NotAuthentic);
        }
    }
    assert_eq!(paddings, 16, "lengths of 1 to 16 in the last byte are right paddings");
}

fn decrypts(key: &[u8; 16], sealed: &[u8]) -> bool {
    let (vector, body) = sealed.split_at(16);
    let cipher = cbc::Decryptor::<Aes128>::new_from_slices(key, vector).unwrap();
    cipher.decrypt_padded::<Iso10126>(&mut body.to_vec()).is_ok()
}

#[test]
fn two_dates_of_one_kind_are_refused() {
    let dates = "<Policy><ExpiryDate>2020-01-01T00:00:00Z</ExpiryDate>\
                 <ExpiryDate>2099-01-01T00:00:00Z</ExpiryDate></Policy>";
    assert_eq!(totp("", "", dates).unwrap_err(), KeyError::Duplicate { element: "ExpiryDate" });
}

#[test]
fn what_is_no_such_file_is_refused() {
    let error = |text: &str| PskcReader::new().read(text).unwrap_err();
    assert_eq!(error(""), PskcError::Xml);
    assert_eq!(error("<KeyContainer"), PskcError::Xml);
    assert_eq!(error("<KeyContainer Version=\"1.0\"/>"), PskcError::NotPskc);
    assert_eq!(error("<a xmlns=\"urn:ietf:params:xml:ns:keyprov:pskc\"/>"), PskcError::NotPskc);
    let version = "<KeyContainer xmlns=\"urn:ietf:params:xml:ns:keyprov:pskc\"/>";
    assert_eq!(error(version), PskcError::Version);
    assert_eq!(error(&container("").replace("1.0", "2.0")), PskcError::Version);
    let certificate = "<EncryptionKey><ds:X509Data/></EncryptionKey>";
    let sealed = PskcReader::new().pre_shared_key(&[0; 16]).read(&container(certificate));
    assert_eq!(sealed.unwrap_err(), PskcError::UnsupportedProtection);
    let mac = "<EncryptionKey><ds:KeyName>k</ds:KeyName></EncryptionKey><MACMethod Algorithm=\"urn:x\"/>";
    let unknown = PskcReader::new().pre_shared_key(&[0; 16]).read(&container(mac));
    assert_eq!(unknown.unwrap_err(), PskcError::UnsupportedMac);
}

#[test]
fn debug_shows_no_secret() {
    let reader = PskcReader::new().pre_shared_key(&FIGURE_6_KEY);
    let shown =
        format!("{reader:?} {:?} {:?}", PskcReader::new().password("qwerty"), reader.read(FIGURE_6).unwrap());
    assert!(shown.contains("987654321") && shown.contains("PskcReader"), "{shown}");
    for secret in ["qwerty", "1234567890", "[18, 52", "[49, 50"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
