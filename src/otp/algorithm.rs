//! The hash under the HMAC.

use std::fmt;

/// The hash that a token's HMAC is made of (RFC 6238 §1.2). SHA-1 where nothing is said.
///
/// SHA-1's broken collision resistance doesn't touch HMAC, and many apps ignore any other choice: it is the
/// default because it is what works everywhere.
///
/// ```
/// use skewgate::otp::Algorithm;
///
/// assert_eq!(Algorithm::default().to_string(), "SHA1"); // as an `otpauth:` URI writes it
/// assert_eq!(Algorithm::Sha512.secret_bytes(), 64);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// HMAC-SHA-1.
    #[default]
    Sha1,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
}

impl Algorithm {
    /// How many bytes a new secret has: as many as the hash puts out (RFC 6238 §5.1).
    #[must_use]
    pub const fn secret_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// As `otpauth:` URIs write it: `SHA1`, `SHA256`, `SHA512`.
impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        })
    }
}
