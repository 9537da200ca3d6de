//! One account: a message within the message.

use super::wire::{Fields, Value, put_bytes, put_number};
use super::{MigrationError, WireError};
use crate::otp::{Algorithm, Digits, OtpauthUri, Secret, UriKind};

pub(super) fn read_account(index: usize, message: &[u8]) -> Result<OtpauthUri, MigrationError> {
    let (mut secret, mut name, mut issuer) = (None, "", "");
    let (mut algorithm, mut digits, mut kind, mut counter) = (0, 0, 0, 0);
    let utf8 = |bytes| str::from_utf8(bytes).map_err(|_| MigrationError::Utf8 { index });
    let mut fields = Fields(message);
    while let Some(field) = fields.next()? {
        match field {
            (1, Value::Bytes(bytes)) => secret = Some(bytes),
            (2, Value::Bytes(bytes)) => name = utf8(bytes)?,
            (3, Value::Bytes(bytes)) => issuer = utf8(bytes)?,
            (4, Value::Number(number)) => algorithm = number,
            (5, Value::Number(number)) => digits = number,
            (6, Value::Number(number)) => kind = number,
            (7, Value::Number(number)) => counter = number,
            (1..=7, _) => return Err(WireError::Tag.into()),
            _ => {}
        }
    }
    let algorithm = match algorithm {
        0 | 1 => Algorithm::Sha1,
        2 => Algorithm::Sha256,
        3 => Algorithm::Sha512,
        4 => return Err(MigrationError::Md5 { index }),
        got => return Err(MigrationError::Unknown { index, what: "algorithm", got }),
    };
    let digits = match digits {
        0 | 1 => Digits::SIX,
        2 => Digits::EIGHT,
        got => return Err(MigrationError::Unknown { index, what: "number of digits", got }),
    };
    let kind = match kind {
        // A negative counter has its sign extended to 64 bits.
        1 if i64::try_from(counter).is_ok() => UriKind::Hotp { counter },
        1 => return Err(MigrationError::NegativeCounter { index }),
        2 => UriKind::TOTP,
        got => return Err(MigrationError::Unknown { index, what: "type", got }),
    };
    let secret = Secret::short_legacy(secret.unwrap_or_default())
        .map_err(|source| MigrationError::Secret { index, source })?;
    // The name is the label of the URI that was scanned once, often with the issuer in front.
    let (issuer, account) = match name.split_once(':') {
        Some((prefix, account)) if issuer.is_empty() => (prefix, account),
        _ => (issuer, name.strip_prefix(issuer).and_then(|rest| rest.strip_prefix(':')).unwrap_or(name)),
    };
    OtpauthUri::builder(account, secret)
        .issuer(issuer)
        .kind(kind)
        .algorithm(algorithm)
        .digits(digits)
        .build()
        .map_err(|source| MigrationError::Account { index, source })
}

/// Algorithm, digits and type as the format numbers them, and the counter; `None` where it has no number.
pub(super) fn codes_of(account: &OtpauthUri) -> Option<[u64; 4]> {
    let algorithm = match account.algorithm() {
        Algorithm::Sha1 => 1,
        Algorithm::Sha256 => 2,
        Algorithm::Sha512 => 3,
    };
    let digits = match account.digits()? {
        Digits::SIX => 1,
        Digits::EIGHT => 2,
        _ => return None,
    };
    match account.kind() {
        UriKind::TOTP => Some([algorithm, digits, 2, 0]),
        UriKind::Hotp { counter } if i64::try_from(counter).is_ok() => Some([algorithm, digits, 1, counter]),
        _ => None,
    }
}

pub(super) fn write_account(account: &OtpauthUri, out: &mut Vec<u8>) {
    put_bytes(out, 1, account.secret().expose_bytes());
    match account.issuer() {
        Some(issuer) => {
            // The app shows the issuer's prefix of the name once, and its own exports have it.
            put_bytes(out, 2, format!("{issuer}:{}", account.account()).as_bytes());
            put_bytes(out, 3, issuer.as_bytes());
        }
        None => put_bytes(out, 2, account.account().as_bytes()),
    }
    // Only what has numbers gets into a `Migration`.
    let [algorithm, digits, kind, counter] = codes_of(account).unwrap_or_default();
    put_number(out, 4, algorithm);
    put_number(out, 5, digits);
    put_number(out, 6, kind);
    if kind == 1 {
        put_number(out, 7, counter);
    }
}
