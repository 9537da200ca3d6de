//! A sealed secret as text and as bytes.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};

use super::{KeyId, SealedError};
use crate::otp::Secret;

pub(super) const NONCE_BYTES: usize = 24;
pub(super) const TAG_BYTES: usize = 16;
/// Secrets are padded to a multiple of it, so that lengths within one look alike.
pub(super) const PADDED_TO: usize = 32;
/// In front of the secret, its length.
pub(super) const LENGTH_BYTES: usize = 2;

const NAME: &str = "skewgate";
/// Nonce, the longest ciphertext, tag.
const MAX_BODY_BYTES: usize =
    NONCE_BYTES + (LENGTH_BYTES + Secret::MAX_BYTES).next_multiple_of(PADDED_TO) + TAG_BYTES;

/// A secret that [`KeyRing::seal`](super::KeyRing::seal) encrypted: to be stored as text, or as bytes, which are a quarter shorter.
///
/// Not a secret itself. A `varchar(255)` has room for secrets of up to 94 bytes under any key id; new ones have 20 to 64.
///
/// ```
/// use skewgate::otp::Secret;
/// use skewgate::seal::{Binding, KeyRing, Sealed, SealingKey};
/// use skewgate::token::TokenId;
///
/// let ring = KeyRing::new(SealingKey::generate("2026-11")?);
/// let binding = Binding::builder(TokenId::new("ada")?, 0).build()?;
/// let sealed = ring.seal(&Secret::from_bytes(b"12345678901234567890")?, &binding)?;
///
/// let text = sealed.to_string();
/// assert_eq!((text.len(), Sealed::parse(&text)?), (114, sealed.clone()));
/// assert_eq!(Sealed::from_bytes(&sealed.to_bytes())?, sealed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sealed {
    key: KeyId,
    nonce: [u8; NONCE_BYTES],
    /// Ciphertext and tag.
    body: Box<[u8]>,
}

impl Sealed {
    /// The version of the format that is written, and the only one that is read.
    pub const VERSION: u8 = 1;
    /// The longest text: that of a secret of [`Secret::MAX_BYTES`].
    pub const MAX_TEXT_BYTES: usize =
        NAME.len() + "1.".len() + KeyId::MAX_BYTES + ".".len() + (4 * MAX_BODY_BYTES).div_ceil(3);
    /// The most bytes: those of a secret of [`Secret::MAX_BYTES`].
    pub const MAX_BYTES: usize = 2 + KeyId::MAX_BYTES + MAX_BODY_BYTES;

    /// Reads the text that `Display` writes, and no other: it has one text.
    ///
    /// # Errors
    ///
    /// [`SealedError::UnsupportedVersion`] for what a newer skewgate wrote; another [`SealedError`] for what is no sealed secret.
    ///
    /// ```
    /// use skewgate::seal::{Sealed, SealedError};
    ///
    /// assert_eq!(Sealed::parse("JBSWY3DPEHPK3PXP"), Err(SealedError::NotSealed));
    /// assert_eq!(Sealed::parse("skewgate2.k.AA"), Err(SealedError::UnsupportedVersion { got: 2 }));
    /// ```
    pub fn parse(text: &str) -> Result<Self, SealedError> {
        let rest = text.strip_prefix(NAME).ok_or(SealedError::NotSealed)?;
        let (version, rest) = rest.split_once('.').ok_or(SealedError::NotSealed)?;
        match version.parse() {
            // Digits alone: a number may also have a sign or zeros in front.
            Ok(got) if version.starts_with(|first: char| matches!(first, '1'..='9')) => check_version(got)?,
            _ => return Err(SealedError::NotSealed),
        }
        if text.len() > Self::MAX_TEXT_BYTES {
            return Err(SealedError::TooLong { got: text.len(), max: Self::MAX_TEXT_BYTES });
        }
        let (key, body) = rest.split_once('.').ok_or(SealedError::NotSealed)?;
        let body = Base64UrlUnpadded::decode_vec(body).map_err(|_| SealedError::Base64)?;
        Self::new(KeyId::new(key)?, &body)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) writes.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealedError> {
        let (&version, rest) = bytes.split_first().ok_or(SealedError::NotSealed)?;
        check_version(version.into())?;
        if bytes.len() > Self::MAX_BYTES {
            return Err(SealedError::TooLong { got: bytes.len(), max: Self::MAX_BYTES });
        }
        let (&length, rest) = rest.split_first().ok_or(SealedError::NotSealed)?;
        let (key, body) = rest.split_at_checked(length.into()).ok_or(SealedError::NotSealed)?;
        let key = std::str::from_utf8(key).map_err(|_| SealedError::NotSealed)?;
        Self::new(KeyId::new(key)?, body)
    }

    /// As bytes, for a binary column.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let key = self.key.as_str().as_bytes();
        // An id has at most 32 bytes.
        let length = u8::try_from(key.len()).unwrap_or(u8::MAX);
        [&[Self::VERSION, length], key, &self.nonce, &self.body].concat()
    }

    /// The key that it was sealed with.
    #[must_use]
    pub const fn key_id(&self) -> &KeyId {
        &self.key
    }

    pub(super) const fn from_parts(key: KeyId, nonce: [u8; NONCE_BYTES], body: Box<[u8]>) -> Self {
        Self { key, nonce, body }
    }

    pub(super) const fn nonce(&self) -> &[u8; NONCE_BYTES] {
        &self.nonce
    }

    /// Ciphertext and tag.
    pub(super) const fn body(&self) -> &[u8] {
        &self.body
    }

    fn new(key: KeyId, bytes: &[u8]) -> Result<Self, SealedError> {
        let refused = || SealedError::Length { got: bytes.len() };
        let (&nonce, body) = bytes.split_first_chunk().ok_or_else(refused)?;
        let padded = body.len().checked_sub(TAG_BYTES).ok_or_else(refused)?;
        if padded == 0 || !padded.is_multiple_of(PADDED_TO) || bytes.len() > MAX_BODY_BYTES {
            return Err(refused());
        }
        Ok(Self { key, nonce, body: body.into() })
    }
}

fn check_version(got: u32) -> Result<(), SealedError> {
    if got == u32::from(Sealed::VERSION) { Ok(()) } else { Err(SealedError::UnsupportedVersion { got }) }
}

impl std::str::FromStr for Sealed {
    type Err = SealedError;

    fn from_str(text: &str) -> Result<Self, SealedError> {
        Self::parse(text)
    }
}

/// The text that is stored.
impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = Base64UrlUnpadded::encode_string(&[self.nonce.as_slice(), &self.body].concat());
        f.pad(&format!("{NAME}{}.{}.{body}", Self::VERSION, self.key))
    }
}

/// Nothing that helps to open it, and nothing that fills a log.
impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed")
            .field("key", &self.key.as_str())
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
