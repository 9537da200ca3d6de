//! Keys that seal, and their names.

use std::fmt;
use std::sync::Arc;

use base64ct::{Base64, Base64Unpadded, Encoding};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{KeyIdError, SealingKeyError};

/// A key's name, in front of everything that it sealed: 1 to 32 of `A`–`Z`, `a`–`z`, `0`–`9`, `-` and `_`. Not a secret.
///
/// ```
/// use skewgate::seal::KeyId;
///
/// let id: KeyId = "2026-11".parse()?;
/// assert_eq!(id.as_str(), "2026-11");
/// assert!("2026.11".parse::<KeyId>().is_err());
/// # Ok::<(), skewgate::seal::KeyIdError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// The most bytes that an id may have.
    pub const MAX_BYTES: usize = 32;

    /// The key with this name.
    ///
    /// # Errors
    ///
    /// [`KeyIdError`] where it is empty, too long, or has another character.
    pub fn new(text: &str) -> Result<Self, KeyIdError> {
        if text.is_empty() {
            return Err(KeyIdError::Empty);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(KeyIdError::TooLong { got: text.len() });
        }
        match text.bytes().position(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_')) {
            Some(position) => Err(KeyIdError::Character { position }),
            None => Ok(Self(text.into())),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        Self::new(text)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A key that seals secrets and opens them: 32 bytes and a name, wiped when dropped.
///
/// Keep it where the database isn't: in a file that only the service can read, or with whatever keeps its other keys. Back it
/// up, too: without it, what it sealed is lost. Read texts are decoded in constant time, and `Debug` shows the name alone.
///
/// ```
/// use skewgate::seal::SealingKey;
///
/// // Made with `openssl rand -base64 32`.
/// let key = SealingKey::from_base64("2026-11", "XvGx3J8/AAv2VJW5bpN9gJq9Uyc0LW8dVtBpzAi9DbA=\n")?;
/// assert_eq!(key.id().as_str(), "2026-11");
/// assert_eq!(format!("{key:?}"), "SealingKey(\"2026-11\", redacted)");
/// # Ok::<(), skewgate::seal::SealingKeyError>(())
/// ```
#[derive(Clone)]
pub struct SealingKey {
    id: KeyId,
    /// Boxed, so that moves leave no copies.
    bytes: Box<Zeroizing<[u8; SealingKey::BYTES]>>,
}

impl SealingKey {
    /// How many bytes a key has.
    pub const BYTES: usize = 32;

    const BASE64_CHARACTERS: usize = 43;

    /// A new key from the operating system's random numbers.
    ///
    /// # Errors
    ///
    /// [`SealingKeyError::Id`], and [`SealingKeyError::NoRandomness`] where the operating system has none to give.
    ///
    /// ```
    /// use skewgate::seal::SealingKey;
    ///
    /// let key = SealingKey::generate("2026-11")?;
    /// let same = SealingKey::from_base64("2026-11", &key.expose_base64())?;
    /// assert_eq!(same.expose_base64(), key.expose_base64());
    /// # Ok::<(), skewgate::seal::SealingKeyError>(())
    /// ```
    pub fn generate(id: &str) -> Result<Self, SealingKeyError> {
        Self::read(id, |bytes| {
            getrandom::fill(bytes)
                .map_err(|error| SealingKeyError::NoRandomness { os_code: error.raw_os_error() })
        })
    }

    /// The key with these bytes, which must come from a random number generator, not from a password.
    ///
    /// # Errors
    ///
    /// [`SealingKeyError::Id`], and [`SealingKeyError::Zero`] where all of them are zero.
    ///
    /// ```
    /// use skewgate::seal::{SealingKey, SealingKeyError};
    ///
    /// assert!(SealingKey::from_bytes("2026-11", &[7; 32]).is_ok());
    /// assert_eq!(SealingKey::from_bytes("2026-11", &[0; 32]).unwrap_err(), SealingKeyError::Zero);
    /// ```
    pub fn from_bytes(id: &str, bytes: &[u8; Self::BYTES]) -> Result<Self, SealingKeyError> {
        Self::read(id, |key| {
            key.copy_from_slice(bytes);
            Ok(())
        })
    }

    /// Reads base64 (RFC 4648 §4), with its padding or without; white space around it, such as a file's last line end, is
    /// left out.
    ///
    /// # Errors
    ///
    /// [`SealingKeyError`] where it isn't that, has other than 32 bytes, or is all zeros.
    pub fn from_base64(id: &str, text: &str) -> Result<Self, SealingKeyError> {
        let text = text.trim_ascii();
        let text = text.strip_suffix('=').unwrap_or(text);
        check_length(text, Self::BASE64_CHARACTERS)?;
        Self::read(id, |key| Base64Unpadded::decode(text, key).map(drop).map_err(|_| SealingKeyError::Base64))
    }

    /// Reads 64 hexadecimal digits in either case, as `openssl rand -hex 32` prints them; white space around them is left out.
    ///
    /// # Errors
    ///
    /// As [`from_base64`](Self::from_base64).
    ///
    /// ```
    /// use skewgate::seal::{SealingKey, SealingKeyError};
    ///
    /// assert!(SealingKey::from_hex("2026-11", &"a5".repeat(32)).is_ok());
    /// let error = SealingKey::from_hex("2026-11", "a5").unwrap_err();
    /// assert_eq!(error, SealingKeyError::Length { got: 2, expected: 64 });
    /// ```
    pub fn from_hex(id: &str, text: &str) -> Result<Self, SealingKeyError> {
        let text = text.trim_ascii();
        check_length(text, 2 * Self::BYTES)?;
        Self::read(id, |key| base16ct::mixed::decode(text, key).map(drop).map_err(|_| SealingKeyError::Hex))
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// The key as base64 with padding, to be kept. Named so that a reviewer finds every place that takes it out. Wiped when
    /// dropped.
    #[must_use]
    pub fn expose_base64(&self) -> Zeroizing<String> {
        let mut buffer = Zeroizing::new([0; Self::BASE64_CHARACTERS + 1]);
        // The buffer has the length of 32 bytes in base64: it can't fail.
        let text = Base64::encode(self.bytes(), &mut *buffer).unwrap_or_default();
        Zeroizing::new(text.to_owned())
    }

    pub(super) fn bytes(&self) -> &[u8; Self::BYTES] {
        &self.bytes
    }

    /// The key that `fill` writes to where it stays.
    fn read(
        id: &str,
        fill: impl FnOnce(&mut [u8]) -> Result<(), SealingKeyError>,
    ) -> Result<Self, SealingKeyError> {
        let mut key = Self { id: KeyId::new(id)?, bytes: Box::new(Zeroizing::new([0; Self::BYTES])) };
        fill(key.bytes.as_mut_slice())?;
        if key.bytes().ct_eq(&[0; Self::BYTES]).into() { Err(SealingKeyError::Zero) } else { Ok(key) }
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({:?}, redacted)", self.id.as_str())
    }
}

fn check_length(text: &str, expected: usize) -> Result<(), SealingKeyError> {
    match text.len() {
        got if got == expected => Ok(()),
        got => Err(SealingKeyError::Length { got, expected }),
    }
}
