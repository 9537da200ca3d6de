//! PSKC (RFC 6030): the XML that makers of hardware tokens send with them.
//!
//! What is read: `hotp` and `totp` keys, plain or encrypted with AES in CBC mode under a pre-shared key or a password
//! (PBKDF2), with an HMAC that is checked before anything is decrypted; hash, digits, counter, period, drift, serial number,
//! dates. What isn't: keys encrypted for a certificate or only named, and signatures, which are ignored and **not** verified: a plain file
//! is as good as the way that it came.
//!
//! Where a key or a password is given, every secret must be encrypted with it and have a MAC. But RFC 6030's MAC covers only the
//! secrets, and a key for it that comes with the file is authenticated by nothing. Whoever changes the file on its way can exchange
//! serial numbers, set counters, and, knowing the secret of one token, change the others' (and, seeing which of the files so changed are
//! taken, decrypt them): a file is hardly better than its way. Errors say nothing of what is inside: what can't be opened
//! is [`KeyError::NotAuthentic`], whatever it is that was wrong.

mod error;
mod key;
mod protection;
mod xml;

use std::fmt;

use self::protection::Opener;
use super::DeviceDrift;
use crate::otp::{Algorithm, Digits, OtpauthUri, OtpauthUriBuilder, Secret, TimeStep, UriKind};
use crate::time::Timestamp;

pub use error::{KeyError, PskcError};

/// Reads PSKC files.
///
/// ```
/// use skewgate::otp::import::pskc::PskcReader;
///
/// let file = r#"<KeyContainer Version="1.0" xmlns="urn:ietf:params:xml:ns:keyprov:pskc"><KeyPackage>
///   <DeviceInfo><Manufacturer>TokenVendorAcme</Manufacturer><SerialNo>654321</SerialNo></DeviceInfo>
///   <Key Id="1" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:totp"><Data>
///     <Secret><PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</PlainValue></Secret>
///     <TimeInterval><PlainValue>60</PlainValue></TimeInterval>
///     <TimeDrift><PlainValue>-1</PlainValue></TimeDrift>
///   </Data></Key></KeyPackage></KeyContainer>"#;
/// let tokens = PskcReader::new().read(file)?;
/// assert!(tokens.refused.is_empty());
/// let token = &tokens.keys[0];
/// assert_eq!(token.serial(), Some("654321"));
/// assert_eq!(token.drift().map(|drift| drift.ahead().to_string()).as_deref(), Some("-60.000 s"));
/// let totp = token.uri().build()?.totp()?;
/// # assert_eq!(totp.period().as_secs(), 60);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "nothing is read until `read` is called"]
pub struct PskcReader<'k> {
    protection: Option<Protection<'k>>,
    short_legacy: bool,
}

#[derive(Clone)]
enum Protection<'k> {
    PreShared(&'k [u8]),
    Password(&'k str),
}

impl<'k> PskcReader<'k> {
    /// The longest file that is read: room for some ten thousand tokens.
    pub const MAX_BYTES: usize = 16_777_216;
    /// The most iterations of PBKDF2, a few seconds: a file must not be able to ask for hours.
    pub const MAX_PBKDF2_ITERATIONS: u32 = 10_000_000;

    /// Reads plain values only.
    pub const fn new() -> Self {
        Self { protection: None, short_legacy: false }
    }

    /// With the key that the maker sent on another way: 16, 24 or 32 bytes (RFC 6030 §6.1).
    pub const fn pre_shared_key(mut self, key: &'k [u8]) -> Self {
        self.protection = Some(Protection::PreShared(key));
        self
    }

    /// With the password that the maker sent on another way (RFC 6030 §6.2).
    pub const fn password(mut self, password: &'k str) -> Self {
        self.protection = Some(Protection::Password(password));
        self
    }

    /// Takes secrets as short as [`Secret::short_legacy`] does.
    pub const fn short_legacy(mut self) -> Self {
        self.short_legacy = true;
        self
    }

    /// Reads a file. A key that can't be used doesn't keep the others out: it is among [`Tokens::refused`].
    ///
    /// # Errors
    ///
    /// [`PskcError`] for what concerns the file as a whole. It never holds a part of the text.
    pub fn read(&self, text: &str) -> Result<Tokens, PskcError> {
        let document = xml::parse(text)?;
        let container = document.root_element();
        if !container.has_tag_name((xml::PSKC, "KeyContainer")) {
            return Err(PskcError::NotPskc);
        }
        // RFC 6030 §4.1: another major version is another format.
        if container.attribute("Version").is_none_or(|version| version.trim().split('.').next() != Some("1"))
        {
            return Err(PskcError::Version);
        }
        let opener = Opener::new(container, self.protection.as_ref())?;
        let mut tokens = Tokens { keys: Vec::new(), refused: Vec::new() };
        for (index, package) in xml::children(container, xml::PSKC, "KeyPackage").enumerate() {
            match key::read(package, opener.as_ref(), self.short_legacy) {
                Ok(key) => tokens.keys.push(key),
                Err(reason) => tokens.refused.push(Refused { index, id: key::id(package), reason }),
            }
        }
        Ok(tokens)
    }
}

impl fmt::Debug for PskcReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protection = match self.protection {
            None => "none",
            Some(Protection::PreShared(_)) => "pre-shared key",
            Some(Protection::Password(_)) => "password",
        };
        f.debug_struct("PskcReader")
            .field("protection", &protection)
            .field("short_legacy", &self.short_legacy)
            .finish()
    }
}

/// What a file holds.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The tokens that can be used, in the file's order.
    pub keys: Vec<PskcKey>,
    /// The key packages that can't.
    pub refused: Vec<Refused>,
}

/// A key package that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which package of the file, counted from 0.
    pub index: usize,
    /// The key's id, if it has a printable one.
    pub id: Option<String>,
    /// Why.
    pub reason: KeyError,
}

/// A token.
#[derive(Clone)]
pub struct PskcKey {
    id: String,
    manufacturer: Option<String>,
    serial: Option<String>,
    issuer: Option<String>,
    user: Option<String>,
    friendly_name: Option<String>,
    kind: UriKind,
    algorithm: Algorithm,
    digits: Digits,
    secret: Secret,
    time: Option<TimeStep>,
    drift: Option<DeviceDrift>,
    start: Option<Timestamp>,
    expiry: Option<Timestamp>,
    max_transactions: Option<u64>,
}

impl PskcKey {
    /// The token as a URI, from which its codes are made. The account is its serial number, or else the key's id.
    pub fn uri(&self) -> OtpauthUriBuilder {
        let account = self.serial.as_deref().unwrap_or(&self.id);
        let builder = OtpauthUri::builder(account, self.secret.clone());
        builder
            .issuer(self.issuer.as_deref().unwrap_or_default())
            .kind(self.kind)
            .algorithm(self.algorithm)
            .digits(self.digits)
    }

    /// The key's id, unique within its file.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Who made the token.
    #[must_use]
    pub fn manufacturer(&self) -> Option<&str> {
        self.manufacturer.as_deref()
    }

    /// The number on its back.
    #[must_use]
    pub fn serial(&self) -> Option<&str> {
        self.serial.as_deref()
    }

    /// Who issued the key.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Whose key it is: a distinguished name (RFC 6030 §4.2).
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// What to show people.
    #[must_use]
    pub fn friendly_name(&self) -> Option<&str> {
        self.friendly_name.as_deref()
    }

    /// TOTP with its period, or HOTP with the counter of the next code: 0 where the file says none, as RFC 6030's own examples do.
    /// A token that was in use already is ahead of that: resynchronise it with two codes before its first login.
    #[must_use]
    pub const fn kind(&self) -> UriKind {
        self.kind
    }

    /// Which hash it uses (`<Suite>`).
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// How many digits its codes have (`<ResponseFormat>`).
    #[must_use]
    pub const fn digits(&self) -> Digits {
        self.digits
    }

    /// The secret.
    #[must_use]
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The step that the token was at when the file was written (`<Time>`); mostly zero, which says nothing.
    #[must_use]
    pub const fn time(&self) -> Option<TimeStep> {
        self.time
    }

    /// How far its clock was off at the last login (`<TimeDrift>`): with the token at step 8 when its validator was at
    /// 9, −1 (RFC 6030 §4.2).
    #[must_use]
    pub const fn drift(&self) -> Option<DeviceDrift> {
        self.drift
    }

    /// From when on it may be used.
    #[must_use]
    pub const fn start(&self) -> Option<Timestamp> {
        self.start
    }

    /// Until when it may be used.
    #[must_use]
    pub const fn expiry(&self) -> Option<Timestamp> {
        self.expiry
    }

    /// How often it may be used. Nothing here counts that.
    #[must_use]
    pub const fn max_transactions(&self) -> Option<u64> {
        self.max_transactions
    }
}

impl fmt::Debug for PskcKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PskcKey")
            .field("id", &self.id)
            .field("serial", &self.serial)
            .field("kind", &self.kind)
            .field("algorithm", &self.algorithm)
            .field("digits", &self.digits)
            .field("drift", &self.drift)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
