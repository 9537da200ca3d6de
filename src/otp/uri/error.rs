//! Why a text is no `otpauth:` URI.
//!
//! No text here repeats any part of the URI: a secret in the wrong place would end up in a log.

use std::fmt;

use crate::otp::{CodeError, OtpauthUri, SecretError, TotpError};
use crate::time::Timestamp;

/// A text that isn't an `otpauth:` URI, or parts that make none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// More text than any such URI needs.
    #[error(
        "the URI has {got} bytes, at most {max} are taken: check where it was read from, or shorten its names",
        max = OtpauthUri::MAX_BYTES
    )]
    TooLong {
        /// How many bytes it has.
        got: usize,
    },
    /// It begins with neither `otpauth://` nor `steam://`.
    #[error("this is no `otpauth://` URI: copy all of it, or scan the QR code again")]
    Scheme,
    /// Between `otpauth://` and the label there is something else than `totp`, `hotp` or `steam`.
    #[error("the kind of token in the URI is unknown, expected `totp`, `hotp` or `steam`")]
    Kind,
    /// A `%` without two hexadecimal digits behind it.
    #[error(
        "byte {position} of the URI begins a bad escape, expected `%` and two hexadecimal digits (RFC 3986 §2.1)"
    )]
    Escape {
        /// Which byte, counted from 0.
        position: usize,
    },
    /// Escapes that decode to something else than UTF-8.
    #[error("escapes of the URI decode to bytes that are no UTF-8: {part}")]
    Utf8 {
        /// Where.
        part: Part,
    },
    /// A control character, escaped or not: it could forge a line of a log.
    #[error("there is a control character in the URI: {part}")]
    ControlCharacter {
        /// Where.
        part: Part,
    },
    /// A `#`, which would begin a fragment and cut off what follows.
    #[error("byte {position} of the URI is a `#`: write it `%23`")]
    Fragment {
        /// Which byte, counted from 0.
        position: usize,
    },
    /// No secret.
    #[error("the URI has no parameter `secret`: copy all of it")]
    NoSecret,
    /// A secret that can't be used.
    #[error("the secret in the URI: {0}")]
    Secret(#[from] SecretError),
    /// A hash that isn't known.
    #[error("the algorithm in the URI is none of SHA1, SHA256 and SHA512: the token can't be used here")]
    Algorithm,
    /// A value that should be a number.
    #[error("the value of {parameter} in the URI is no decimal number below 2⁶⁴")]
    Number {
        /// Of which parameter.
        parameter: Parameter,
    },
    /// A number of digits that no token has.
    #[error("the digits in the URI: {0}")]
    Digits(#[from] CodeError),
    /// A period that no token has.
    #[error("the period in the URI: {0}")]
    Period(#[from] TotpError),
    /// An HOTP token without its counter, which no default can stand in for.
    #[error("the URI of an HOTP token has no `counter`: add the one that the token is at")]
    NoCounter,
    /// An encoder other than `steam`.
    #[error("the `encoder` in the URI is unknown, expected `steam` or none: its codes can't be made here")]
    Encoder,
    /// Parameters that Steam's codes don't have.
    #[error("Steam's codes are made with SHA-1, five characters and 30 s, and {parameter} says otherwise")]
    NotSteam {
        /// Which parameter.
        parameter: Parameter,
    },
    /// A token whose steps are counted from another time, which no app would know.
    #[error("the token's steps begin at {got}, and a URI can't say so: use the Unix epoch as T0")]
    T0 {
        /// When its step 0 begins.
        got: Timestamp,
    },
    /// A colon in an account without issuer: what is before it would be read as the issuer.
    #[error(
        "an account with a colon needs an issuer, or what is before the colon is taken for one: name the issuer"
    )]
    AccountColon,
    /// Something that a strict reader doesn't let pass.
    #[error("{0}: correct the URI, or read it with OtpauthUri::parse_legacy, which says what it tolerated")]
    Flawed(#[from] UriFlaw),
    /// A token of another kind was asked for.
    #[error("the URI is that of {got}, and {wanted} was asked for")]
    OtherKind {
        /// What it is.
        got: &'static str,
        /// What was asked for.
        wanted: &'static str,
    },
}

/// What [`OtpauthUri::parse`] refuses and [`OtpauthUri::parse_legacy`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriFlaw {
    /// Two issuers. The parameter is taken.
    #[error("the issuer in the label and the parameter `issuer` differ")]
    IssuerMismatch,
    /// A parameter that is there more than once. The first is taken.
    #[error("{parameter} is there more than once")]
    Duplicate {
        /// Which parameter.
        parameter: Parameter,
    },
    /// A parameter of another kind of token. It is left out.
    #[error("{parameter} doesn't belong to this kind of token")]
    Foreign {
        /// Which parameter.
        parameter: Parameter,
    },
    /// A character that a URI can't have. It is taken for itself.
    #[error("byte {position} of the URI has to be percent-encoded (RFC 3986 §2)")]
    Unencoded {
        /// Which byte, counted from 0. The first one.
        position: usize,
    },
    /// Spaces or hyphens in the secret. They are left out.
    #[error("the secret in the URI has spaces or hyphens in it, which base32 has not (RFC 4648 §6)")]
    SecretSeparators,
    /// A secret of fewer bits than RFC 4226 allows.
    #[error("the secret in the URI has {got} bytes, RFC 4226 asks for at least 16")]
    ShortSecret {
        /// How many bytes it has.
        got: usize,
    },
}

/// A part of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// What names the account, and its issuer's prefix.
    Label,
    /// A parameter's value.
    Value(Parameter),
    /// The name of a parameter.
    ParameterName,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label => f.write_str("in the label"),
            Self::Value(parameter) => write!(f, "in {parameter}"),
            Self::ParameterName => f.write_str("in the name of a parameter"),
        }
    }
}

/// A parameter of an `otpauth:` URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Parameter {
    /// `secret`.
    Secret,
    /// `issuer`.
    Issuer,
    /// `algorithm`.
    Algorithm,
    /// `digits`.
    Digits,
    /// `period`, of TOTP.
    Period,
    /// `counter`, of HOTP.
    Counter,
    /// `encoder`, which names Steam's alphabet.
    Encoder,
    /// One that the Key URI format doesn't have.
    Other,
}

impl Parameter {
    pub(super) const KNOWN: [Self; 7] = [
        Self::Secret,
        Self::Issuer,
        Self::Algorithm,
        Self::Digits,
        Self::Period,
        Self::Counter,
        Self::Encoder,
    ];

    pub(super) fn named(name: &str) -> Self {
        Self::KNOWN.into_iter().find(|known| known.name() == name).unwrap_or(Self::Other)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Issuer => "issuer",
            Self::Algorithm => "algorithm",
            Self::Digits => "digits",
            Self::Period => "period",
            Self::Counter => "counter",
            Self::Encoder => "encoder",
            Self::Other => "",
        }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other => f.write_str("another parameter"),
            known => write!(f, "the parameter `{}`", known.name()),
        }
    }
}
