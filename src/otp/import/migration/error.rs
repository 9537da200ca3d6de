//! Why a text is no export, or accounts make none. No text here repeats any part of the input.

use super::{Batch, Migration, WireError};
use crate::otp::{SecretError, UriError};

/// A text that is no such URI, or accounts that none can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MigrationError {
    /// More text than an export has.
    #[error("the URI has {got} bytes, at most {max} are taken: export fewer accounts at once", max = Migration::MAX_BYTES)]
    TooLong {
        /// How many bytes it has.
        got: usize,
    },
    /// It doesn't begin as such URIs do.
    #[error("this is no `otpauth-migration://offline?data=` URI: scan the export's QR code again")]
    Scheme,
    /// A `%` without two hexadecimal digits behind it.
    #[error(
        "byte {position} of the URI begins a bad escape, expected `%` and two hexadecimal digits (RFC 3986 §2.1)"
    )]
    Escape {
        /// Which byte, counted from 0.
        position: usize,
    },
    /// `data` isn't base64.
    #[error("`data` is no base64 (RFC 4648 §4): copy all of it")]
    Base64,
    /// `data` isn't a protobuf message.
    #[error("`data` is no protobuf message: {0}")]
    Wire(#[from] WireError),
    /// A text that isn't UTF-8.
    #[error("account {index}: a name is no UTF-8")]
    Utf8 {
        /// Which account, counted from 0.
        index: usize,
    },
    /// A secret that can't be used.
    #[error("account {index}: {source}")]
    Secret {
        /// Which account, counted from 0.
        index: usize,
        /// Why.
        source: SecretError,
    },
    /// HMAC-MD5, which no server here knows.
    #[error("account {index} uses MD5, expected SHA-1, SHA-256 or SHA-512: enrol the token anew")]
    Md5 {
        /// Which account, counted from 0.
        index: usize,
    },
    /// A number that has no meaning here.
    #[error("account {index} has an unknown {what}, number {got}: it can't be told which codes it shows")]
    Unknown {
        /// Which account, counted from 0.
        index: usize,
        /// What is unknown.
        what: &'static str,
        /// Its number.
        got: u64,
    },
    /// A counter below zero.
    #[error("account {index} has a negative counter")]
    NegativeCounter {
        /// Which account, counted from 0.
        index: usize,
    },
    /// Names that can't be used.
    #[error("account {index}: {source}")]
    Account {
        /// Which account, counted from 0.
        index: usize,
        /// Why.
        source: UriError,
    },
    /// A part number that can't be.
    #[error("the part's number isn't below the number of parts, or these are more than {max}", max = Batch::MAX_SIZE)]
    Batch,
    /// Parts that make no whole.
    #[error("these aren't all parts of one export, each once: scan all of its QR codes again")]
    Parts,
    /// What the format has no word for.
    #[error(
        "account {index} can't be exported: the format has 30 s, six or eight digits, and no Steam codes"
    )]
    NotExportable {
        /// Which account, counted from 0.
        index: usize,
    },
}
