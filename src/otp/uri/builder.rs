//! Writing: parts to an [`OtpauthUri`].

use super::{OtpauthUri, Parameter, Part, UriError, UriFlaw, UriKind};
use crate::otp::{Algorithm, Digits, Format, Totp};
use crate::time::Timestamp;

/// Sets what an [`OtpauthUri`] says. From [`OtpauthUri::builder`].
#[derive(Clone, Debug)]
#[must_use = "nothing is made until `build` is called"]
pub struct OtpauthUriBuilder {
    uri: OtpauthUri,
    /// The first reason why there is no such URI, known before it is built.
    refused: Option<UriError>,
}

impl OtpauthUriBuilder {
    pub(super) const fn new(uri: OtpauthUri) -> Self {
        Self { uri, refused: None }
    }

    /// Who issues the token: the name of the service. None by default.
    pub fn issuer(mut self, issuer: &str) -> Self {
        self.uri.issuer = Some(issuer.to_owned()).filter(|issuer| !issuer.is_empty());
        self
    }

    /// The kind; [`UriKind::TOTP`] by default.
    pub const fn kind(mut self, kind: UriKind) -> Self {
        self.uri.kind = kind;
        self
    }

    /// The hash; SHA-1 by default. Some apps ignore any other and show wrong codes.
    pub const fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.uri.algorithm = algorithm;
        self
    }

    /// How many digits; six by default. Some apps ignore any other number.
    pub const fn digits(mut self, digits: Digits) -> Self {
        self.uri.digits = digits;
        self
    }

    /// Kind, hash and digits of this token, which must have been made of the same secret: a [`Totp`] doesn't keep it.
    ///
    /// ```
    /// use skewgate::otp::{OtpauthUri, Secret, Totp, UriKind};
    ///
    /// let secret = Secret::from_bytes(b"12345678901234567890")?;
    /// let totp = Totp::builder(&secret).steam().build()?;
    /// let uri = OtpauthUri::builder("gabe", secret).totp(&totp).build()?;
    /// assert_eq!(uri.kind(), UriKind::Steam);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn totp(mut self, totp: &Totp) -> Self {
        if totp.t0() != Timestamp::from_unix_nanos(0) {
            self.refuse(UriError::T0 { got: totp.t0() });
        }
        self.uri.algorithm = totp.algorithm();
        self.uri.kind = match totp.format() {
            Format::Decimal(digits) => {
                self.uri.digits = digits;
                UriKind::Totp { period: totp.period() }
            }
            Format::Steam => {
                if totp.period() != Totp::DEFAULT_PERIOD {
                    self.refuse(UriError::NotSteam { parameter: Parameter::Period });
                }
                UriKind::Steam
            }
        };
        self
    }

    /// A parameter that the format doesn't have.
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        let taken = self.uri.extra.iter().any(|(known, _)| known == name);
        if taken || Parameter::named(name) != Parameter::Other {
            self.refuse(UriFlaw::Duplicate { parameter: Parameter::Other }.into());
        }
        self.uri.extra.push((name.to_owned(), value.to_owned()));
        self
    }

    fn refuse(&mut self, error: UriError) {
        self.refused.get_or_insert(error);
    }

    /// The URI with these parts.
    ///
    /// # Errors
    ///
    /// [`UriError`] where a name has control characters, the account has a colon and there is no issuer, the period is out of range,
    /// Steam's codes are to have another hash or period, a token's T0 isn't the Unix epoch, a parameter is there twice or is one
    /// of the format's own, or the whole is longer than [`OtpauthUri::MAX_BYTES`].
    ///
    /// ```
    /// use skewgate::otp::{OtpauthUri, Secret, UriError, UriKind};
    /// use std::time::Duration;
    ///
    /// let builder = OtpauthUri::builder("ada", Secret::from_bytes(&[7; 20])?);
    /// let zero = builder.kind(UriKind::Totp { period: Duration::ZERO }).build();
    /// assert!(matches!(zero, Err(UriError::Period(_))));
    /// # Ok::<(), skewgate::otp::SecretError>(())
    /// ```
    pub fn build(self) -> Result<OtpauthUri, UriError> {
        let Self { mut uri, refused } = self;
        if let Some(error) = refused {
            return Err(error);
        }
        // Spaces in front of the account aren't part of it (Key URI format).
        let spaces = uri.account.len() - uri.account.trim_start_matches(' ').len();
        uri.account.drain(..spaces);
        let is_printable = |text: &str| !text.chars().any(char::is_control);
        let extra = uri.extra.iter().all(|(name, value)| is_printable(name) && is_printable(value));
        if !is_printable(&uri.account) || !uri.issuer.as_deref().is_none_or(is_printable) {
            return Err(UriError::ControlCharacter { part: Part::Label });
        }
        if !extra {
            return Err(UriError::ControlCharacter { part: Part::Value(Parameter::Other) });
        }
        if uri.issuer.is_none() && uri.account.contains(':') {
            return Err(UriError::AccountColon);
        }
        match uri.kind {
            UriKind::Steam if uri.algorithm != Algorithm::Sha1 => {
                return Err(UriError::NotSteam { parameter: Parameter::Algorithm });
            }
            // The period is checked where it is always checked.
            UriKind::Totp { .. } => drop(uri.totp()?),
            UriKind::Hotp { .. } | UriKind::Steam => {}
        }
        match uri.expose_uri().len() {
            got if got > OtpauthUri::MAX_BYTES => Err(UriError::TooLong { got }),
            _ => Ok(uri),
        }
    }
}
