//! One `<KeyPackage>`: a token.

use std::time::Duration;

use roxmltree::Node;
use zeroize::Zeroizing;

use super::protection::Opener;
use super::xml::{self, PSKC};
use super::{KeyError, PskcKey};
use crate::otp::import::DeviceDrift;
use crate::otp::{Algorithm, Digits, Secret, SecretError, TimeStep, Totp, TotpError, UriKind};
use crate::time::Timestamp;

const HOTP: &str = "urn:ietf:params:xml:ns:keyprov:pskc:hotp";
const TOTP: &str = "urn:ietf:params:xml:ns:keyprov:pskc:totp";

pub(super) fn read(
    package: Node<'_, '_>,
    opener: Option<&Opener>,
    short_legacy: bool,
) -> Result<PskcKey, KeyError> {
    let key = xml::required(package, PSKC, "Key")?;
    let is_totp = match key.attribute("Algorithm") {
        Some(HOTP) => false,
        Some(TOTP) => true,
        _ => return Err(KeyError::UnsupportedAlgorithm),
    };
    let (algorithm, digits) = match xml::child(key, PSKC, "AlgorithmParameters")? {
        Some(parameters) => (suite(parameters)?, response_format(parameters)?),
        None => (Algorithm::Sha1, Digits::SIX),
    };
    let data = xml::required(key, PSKC, "Data")?;
    let period = match integer(data, "TimeInterval")? {
        Some(seconds) => Duration::from_secs(u64::try_from(seconds).unwrap_or(0)),
        None => Totp::DEFAULT_PERIOD,
    };
    if !(Duration::from_secs(1)..=Totp::MAX_PERIOD).contains(&period) {
        return Err(TotpError::Period { got: period }.into());
    }
    let kind = if is_totp {
        UriKind::Totp { period }
    } else {
        let counter = integer(data, "Counter")?.unwrap_or(0);
        UriKind::Hotp { counter: u64::try_from(counter).map_err(|_| KeyError::Value { element: "Counter" })? }
    };
    let time = integer(data, "Time")?;
    let time = time.map(|time| TimeStep::new(time).ok_or(KeyError::Value { element: "Time" })).transpose()?;
    let drift = integer(data, "TimeDrift")?
        .map(|steps| i32::try_from(steps).map_err(|_| KeyError::Value { element: "TimeDrift" }))
        .transpose()?;
    let policy = match xml::child(key, PSKC, "Policy")? {
        Some(policy) => Policy::read(policy)?,
        None => Policy::default(),
    };

    let secret = match xml::child(data, PSKC, "Secret")? {
        Some(node) => secret(node, opener)?,
        None if xml::child(key, PSKC, "KeyReference")?.is_some() => return Err(KeyError::SecretElsewhere),
        None => return Err(KeyError::Missing { element: "Secret" }),
    };
    let secret = if short_legacy { Secret::short_legacy(&secret) } else { Secret::from_bytes(&secret) };
    let device = xml::child(package, PSKC, "DeviceInfo")?;
    let of_device = |element| device.map_or(Ok(None), |device| xml::name(device, PSKC, element));
    Ok(PskcKey {
        id: id(package).ok_or(KeyError::Missing { element: "Key Id" })?,
        manufacturer: of_device("Manufacturer")?,
        serial: of_device("SerialNo")?,
        issuer: xml::name(key, PSKC, "Issuer")?,
        user: xml::name(key, PSKC, "UserId")?,
        friendly_name: xml::name(key, PSKC, "FriendlyName")?,
        kind,
        algorithm,
        digits,
        secret: secret?,
        time: time.filter(|_| is_totp),
        drift: drift.filter(|_| is_totp).map(|steps| DeviceDrift::new(steps, period)),
        start: policy.start,
        expiry: policy.expiry,
        max_transactions: policy.max_transactions,
    })
}

/// The key's own name, printable text; the file's word for it where it is refused.
pub(super) fn id(package: Node<'_, '_>) -> Option<String> {
    let id = xml::children(package, PSKC, "Key").next()?.attribute("Id")?;
    (!id.is_empty() && !id.chars().any(char::is_control)).then(|| id.to_owned())
}

fn secret(node: Node<'_, '_>, opener: Option<&Opener>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let plain = xml::child(node, PSKC, "PlainValue")?;
    let encrypted = xml::child(node, PSKC, "EncryptedValue")?;
    match (plain, encrypted, opener) {
        (Some(_), Some(_), _) => Err(KeyError::Duplicate { element: "Secret" }),
        // Among encrypted ones, or where the caller gave a key, a plain one was put there by somebody else.
        (Some(_), None, Some(_)) => Err(KeyError::PlainSecret),
        (Some(plain), None, None) => xml::base64(plain, "PlainValue"),
        (None, Some(_), Some(opener)) => opener.open(node),
        (None, Some(_), None) => Err(KeyError::NoEncryptionKey),
        (None, None, _) => Err(SecretError::Empty.into()),
    }
}

/// A number that moves the token on. RFC 6030 lets it be encrypted, which nobody does.
fn integer(data: Node<'_, '_>, element: &'static str) -> Result<Option<i64>, KeyError> {
    let Some(node) = xml::child(data, PSKC, element)? else { return Ok(None) };
    let Some(plain) = xml::child(node, PSKC, "PlainValue")? else {
        return Err(KeyError::EncryptedNumber { element });
    };
    let value = xml::text(plain, element)?.parse().map_err(|_| KeyError::Value { element })?;
    Ok(Some(value))
}

/// The hash: SHA-1 where nothing is said.
fn suite(parameters: Node<'_, '_>) -> Result<Algorithm, KeyError> {
    let Some(suite) = xml::child(parameters, PSKC, "Suite")? else { return Ok(Algorithm::Sha1) };
    let name = xml::text(suite, "Suite")?.to_ascii_uppercase().replace('-', "");
    match name.strip_prefix("HMAC").unwrap_or(&name) {
        "SHA1" => Ok(Algorithm::Sha1),
        "SHA256" => Ok(Algorithm::Sha256),
        "SHA512" => Ok(Algorithm::Sha512),
        _ => Err(KeyError::UnsupportedAlgorithm),
    }
}

/// RFC 6030 §4.3.4: decimal digits, no check digit. Six of them where nothing is said.
fn response_format(parameters: Node<'_, '_>) -> Result<Digits, KeyError> {
    let Some(format) = xml::child(parameters, PSKC, "ResponseFormat")? else { return Ok(Digits::SIX) };
    let checked = matches!(format.attribute("CheckDigits"), Some("true" | "1"));
    if format.attribute("Encoding") != Some("DECIMAL") || checked {
        return Err(KeyError::UnsupportedFormat);
    }
    let length = format.attribute("Length").and_then(|length| length.trim().parse().ok());
    Ok(Digits::new(length.ok_or(KeyError::Value { element: "ResponseFormat" })?)?)
}

#[derive(Default)]
struct Policy {
    start: Option<Timestamp>,
    expiry: Option<Timestamp>,
    max_transactions: Option<u64>,
}

impl Policy {
    /// RFC 6030 §5: whoever doesn't understand a part of a policy must not use the key.
    fn read(policy: Node<'_, '_>) -> Result<Self, KeyError> {
        let mut read = Self::default();
        let mut usages = 0;
        let mut otp = false;
        for element in ["StartDate", "ExpiryDate", "NumberOfTransactions"] {
            xml::child(policy, PSKC, element)?;
        }
        for node in policy.children().filter(Node::is_element) {
            if node.tag_name().namespace() != Some(PSKC) {
                return Err(KeyError::Policy);
            }
            match node.tag_name().name() {
                "StartDate" => read.start = Some(date(node, "StartDate")?),
                "ExpiryDate" => read.expiry = Some(date(node, "ExpiryDate")?),
                "NumberOfTransactions" => {
                    let element = "NumberOfTransactions";
                    let number =
                        xml::text(node, element)?.parse().map_err(|_| KeyError::Value { element })?;
                    read.max_transactions = Some(number);
                }
                "KeyUsage" => {
                    usages += 1;
                    otp |= xml::text(node, "KeyUsage")?.as_str() == "OTP";
                }
                // A PIN that only unlocks the device doesn't change its codes. The others are typed with them, or mixed into them.
                "PINPolicy" if matches!(node.attribute("PINUsageMode"), None | Some("Local")) => {}
                "PINPolicy" => return Err(KeyError::Pin),
                _ => return Err(KeyError::Policy),
            }
        }
        if usages > 0 && !otp { Err(KeyError::Policy) } else { Ok(read) }
    }
}

/// xs:dateTime in UTC (RFC 6030 §4.3.5).
fn date(node: Node<'_, '_>, element: &'static str) -> Result<Timestamp, KeyError> {
    xml::text(node, element)?.parse().map_err(|_| KeyError::Value { element })
}
