//! Any text as a PSKC file is refused or read, and a file that is written from its parts, plain or encrypted, reads back to
//! them; with one bit of what is encrypted changed it doesn't.
#![no_main]

use aes::Aes128;
use arbitrary::Arbitrary;
use base64ct::{Base64, Encoding};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit};
use hmac::{Hmac, KeyInit, Mac};
use libfuzzer_sys::fuzz_target;
use skewgate::otp::Secret;
use skewgate::otp::import::pskc::PskcReader;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Text(&'a str),
    Parts(Parts<'a>),
}

#[derive(Arbitrary, Debug)]
struct Parts<'a> {
    secret: &'a [u8],
    serial: u64,
    digits: u8,
    period: u32,
    drift: i32,
    protection: Option<([u8; 16], [u8; 16])>,
    flip: Option<(u16, u8)>,
}

fuzz_target!(|input: Input| match input {
    Input::Text(text) => {
        for reader in [
            PskcReader::new().short_legacy(),
            PskcReader::new().pre_shared_key(&[7; 16]),
            PskcReader::new().password("qwerty"),
        ] {
            // PBKDF2 with millions of rounds is slow, not wrong.
            if text.len() > 4096 || text.contains("IterationCount") {
                continue;
            }
            if let Ok(tokens) = reader.read(text) {
                tokens.keys.iter().for_each(|key| drop(key.uri().build()));
            }
        }
    }
    Input::Parts(parts) => write(&parts),
});

fn write(parts: &Parts<'_>) {
    if parts.secret.is_empty() || parts.secret.len() > Secret::MAX_BYTES {
        return;
    }
    let (container, secret) = match &parts.protection {
        None => (String::new(), format!("<PlainValue>{}</PlainValue>", Base64::encode_string(parts.secret))),
        Some((key, vector)) => seal(parts, key, vector),
    };
    let digits = 6 + parts.digits % 5;
    let text = format!(
        "<KeyContainer Version='1.0' xmlns='urn:ietf:params:xml:ns:keyprov:pskc' \
         xmlns:ds='http://www.w3.org/2000/09/xmldsig#' xmlns:xenc='http://www.w3.org/2001/04/xmlenc#'>{container}\
         <KeyPackage><DeviceInfo><SerialNo>{}</SerialNo></DeviceInfo>\
         <Key Id='k' Algorithm='urn:ietf:params:xml:ns:keyprov:pskc:totp'><AlgorithmParameters>\
         <ResponseFormat Length='{digits}' Encoding='DECIMAL'/></AlgorithmParameters><Data><Secret>{secret}</Secret>\
         <TimeInterval><PlainValue>{}</PlainValue></TimeInterval><TimeDrift><PlainValue>{}</PlainValue></TimeDrift>\
         </Data></Key></KeyPackage></KeyContainer>",
        parts.serial, parts.period, parts.drift
    );
    let reader = PskcReader::new().short_legacy();
    let reader = match &parts.protection {
        Some((key, _)) => reader.pre_shared_key(key),
        None => reader,
    };
    let tokens = reader.read(&text).expect("a good container");
    let flipped = parts.protection.is_some() && parts.flip.is_some_and(|(_, bits)| bits != 0);
    if flipped || !(1..=86_400).contains(&parts.period) {
        assert!(tokens.keys.is_empty());
        return;
    }
    assert_eq!(tokens.refused, []);
    let key = &tokens.keys[0];
    assert_eq!(key.secret().expose_bytes(), parts.secret);
    assert_eq!(key.serial(), Some(&*parts.serial.to_string()));
    assert_eq!(key.digits().get(), usize::from(digits));
    assert_eq!(key.drift().map(|drift| drift.steps()), Some(parts.drift));
    let totp = key.uri().build().expect("a good token").totp().expect("TOTP");
    assert_eq!(totp.period().as_secs(), u64::from(parts.period));
}

fn seal(parts: &Parts<'_>, key: &[u8; 16], vector: &[u8; 16]) -> (String, String) {
    let mut buffer = [parts.secret, &[0; 16]].concat();
    let cipher = cbc::Encryptor::<Aes128>::new(key.into(), vector.into());
    let body = cipher.encrypt_padded::<Pkcs7>(&mut buffer, parts.secret.len()).expect("room");
    let mut sealed = [vector, body].concat();
    // Without a key of its own, the MAC has the encryption's.
    let mac = Hmac::<sha1::Sha1>::new_from_slice(key).expect("any length").chain_update(&sealed).finalize();
    if let Some((place, bits)) = parts.flip {
        let place = usize::from(place) % sealed.len();
        sealed[place] ^= bits;
    }
    let container = "<EncryptionKey><ds:KeyName>k</ds:KeyName></EncryptionKey>\
         <MACMethod Algorithm='http://www.w3.org/2000/09/xmldsig#hmac-sha1'/>";
    let secret = format!(
        "<EncryptedValue><xenc:EncryptionMethod Algorithm='http://www.w3.org/2001/04/xmlenc#aes128-cbc'/>\
         <xenc:CipherData><xenc:CipherValue>{}</xenc:CipherValue></xenc:CipherData></EncryptedValue>\
         <ValueMAC>{}</ValueMAC>",
        Base64::encode_string(&sealed),
        Base64::encode_string(&mac.into_bytes())
    );
    (container.to_owned(), secret)
}
