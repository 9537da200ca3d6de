//! The key that a token and its validator share.

use std::fmt;

use base32ct::{Base32UpperUnpadded, Encoding};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Algorithm, SecretError};

/// A token's shared secret: 16 to 1024 bytes, wiped when dropped.
///
/// The bytes are boxed, so that moving a `Secret` moves a pointer and leaves no copy behind. `Debug` shows
/// nothing of it.
///
/// ```
/// use skewgate::otp::Secret;
///
/// let secret = Secret::from_base32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")?;
/// assert_eq!(secret.expose_bytes(), b"12345678901234567890");
/// assert_eq!(format!("{secret:?}"), "Secret(redacted)");
/// # Ok::<(), skewgate::otp::SecretError>(())
/// ```
#[derive(Clone)]
pub struct Secret {
    bytes: Zeroizing<Box<[u8]>>,
}

impl Secret {
    /// The fewest bytes that RFC 4226 §4 (R6) allows: 128 bits.
    pub const MIN_BYTES: usize = 16;
    /// The most bytes: far above any token, and a bound on the work that a hostile import can ask for.
    pub const MAX_BYTES: usize = 1024;
    /// The longest base32 text that is read, in bytes: room for the longest secret with a separator after every
    /// character.
    pub const MAX_BASE32_BYTES: usize = 4096;

    /// The secret with these bytes.
    ///
    /// # Errors
    ///
    /// [`SecretError::TooShort`] below 16 bytes, [`SecretError::TooLong`] above 1024.
    ///
    /// ```
    /// use skewgate::otp::{Secret, SecretError};
    ///
    /// assert!(Secret::from_bytes(b"12345678901234567890").is_ok());
    /// assert_eq!(Secret::from_bytes(b"short").unwrap_err(), SecretError::TooShort { got: 5 });
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SecretError> {
        Self::short_legacy(bytes)?.refuse_short()
    }

    /// Reads base32 as RFC 4648 §6 writes it: upper case, nothing between the characters, padding optional but
    /// right, unused bits zero.
    ///
    /// # Errors
    ///
    /// [`SecretError`] where the text isn't such base32, or the secret is shorter than 16 bytes or longer
    /// than 1024.
    ///
    /// ```
    /// use skewgate::otp::{Secret, SecretError};
    ///
    /// assert!(Secret::from_base32("GEZDGNBVGY3TQOJQGEZDGNBVGY======").is_ok());
    /// assert_eq!(
    ///     Secret::from_base32("gezdgnbvgy3tqojqgezdgnbvgy").unwrap_err(),
    ///     SecretError::Character,
    /// );
    /// ```
    pub fn from_base32(text: &str) -> Result<Self, SecretError> {
        Self::decode(text)?.refuse_short()
    }

    /// Reads base32 as people type it: in either case, with spaces and hyphens anywhere.
    ///
    /// Digits are never taken for letters that look like them: a `0` may have been an `O` or a `Q`, and a
    /// wrong guess makes a token that never works.
    ///
    /// # Errors
    ///
    /// As [`from_base32`](Self::from_base32), with [`SecretError::OtherCharacter`] for what isn't taken here either.
    ///
    /// ```
    /// use skewgate::otp::Secret;
    ///
    /// let typed = Secret::from_base32_lenient("gezd gnbv-gy3t qojq gezd gnbv gy3t qojq")?;
    /// assert_eq!(typed.expose_bytes(), b"12345678901234567890");
    /// # Ok::<(), skewgate::otp::SecretError>(())
    /// ```
    pub fn from_base32_lenient(text: &str) -> Result<Self, SecretError> {
        Self::decode_lenient(text)?.refuse_short()
    }

    /// The secret with these bytes, even fewer than RFC 4226 §4 (R6) allows: for tokens that exist already.
    ///
    /// Whoever sees one code of an 80-bit secret can't search for it yet, but the margin is gone. Enrol new tokens
    /// with [`generate`](Self::generate).
    ///
    /// # Errors
    ///
    /// [`SecretError::Empty`] without any byte, [`SecretError::TooLong`] above 1024.
    ///
    /// ```
    /// use skewgate::otp::Secret;
    ///
    /// assert!(Secret::short_legacy(b"ten bytes!").is_ok());
    /// assert!(Secret::short_legacy(b"").is_err());
    /// ```
    pub fn short_legacy(bytes: &[u8]) -> Result<Self, SecretError> {
        check_bytes(bytes.len())?;
        Ok(Self { bytes: Zeroizing::new(Box::from(bytes)) })
    }

    /// Reads base32 as [`from_base32_lenient`](Self::from_base32_lenient) does, and takes secrets as short
    /// as [`short_legacy`](Self::short_legacy) does.
    ///
    /// # Errors
    ///
    /// [`SecretError`] where the text isn't base32, or encodes no byte or more than 1024.
    ///
    /// ```
    /// use skewgate::otp::Secret;
    ///
    /// // The 80 bits that many services handed out for years.
    /// assert_eq!(Secret::short_legacy_base32("jbsw y3dp ehpk 3pxp")?.expose_bytes().len(), 10);
    /// # Ok::<(), skewgate::otp::SecretError>(())
    /// ```
    pub fn short_legacy_base32(text: &str) -> Result<Self, SecretError> {
        Self::decode_lenient(text)
    }

    /// Reads hexadecimal digits (base16, RFC 4648 §8) in either case, nothing between them.
    ///
    /// # Errors
    ///
    /// [`SecretError`] where the text isn't that, or the secret is shorter than 16 bytes or longer than 1024.
    ///
    /// ```
    /// use skewgate::otp::{Secret, SecretError};
    ///
    /// let secret = Secret::from_hex("3132333435363738393031323334353637383930")?;
    /// assert_eq!(secret.expose_bytes(), b"12345678901234567890");
    /// assert_eq!(Secret::from_hex("0x31").unwrap_err(), SecretError::HexCharacter);
    /// # Ok::<(), SecretError>(())
    /// ```
    pub fn from_hex(text: &str) -> Result<Self, SecretError> {
        Self::short_legacy_hex(text)?.refuse_short()
    }

    /// Reads hexadecimal digits as [`from_hex`](Self::from_hex) does, and takes secrets as short as
    /// [`short_legacy`](Self::short_legacy) does.
    ///
    /// # Errors
    ///
    /// [`SecretError`] where the text isn't hexadecimal, or encodes no byte or more than 1024.
    ///
    /// ```
    /// use skewgate::otp::Secret;
    ///
    /// assert_eq!(Secret::short_legacy_hex("48656c6C6F21DEADBEEF")?.expose_bytes().len(), 10);
    /// # Ok::<(), skewgate::otp::SecretError>(())
    /// ```
    pub fn short_legacy_hex(text: &str) -> Result<Self, SecretError> {
        if !text.len().is_multiple_of(2) {
            return Err(SecretError::HexCharacterCount { got: text.len() });
        }
        check_bytes(text.len() / 2)?;
        let mut bytes = wiped_buffer(text.len() / 2);
        base16ct::mixed::decode(text, &mut bytes).map_err(|_| SecretError::HexCharacter)?;
        Ok(Self { bytes })
    }

    /// A new secret from the operating system's random numbers, as long as the hash puts out: 20, 32 or 64 bytes
    /// (RFC 6238 §5.1).
    ///
    /// # Errors
    ///
    /// [`SecretError::NoRandomness`] where the operating system has none to give.
    ///
    /// ```
    /// use skewgate::otp::{Algorithm, Secret};
    ///
    /// let secret = Secret::generate(Algorithm::Sha256)?;
    /// assert_eq!(secret.expose_bytes().len(), 32);
    /// # Ok::<(), skewgate::otp::SecretError>(())
    /// ```
    pub fn generate(algorithm: Algorithm) -> Result<Self, SecretError> {
        Self::generate_from(algorithm, getrandom::fill)
    }

    /// The bytes themselves. Named so that a reviewer finds every place that takes them out.
    ///
    /// ```
    /// use skewgate::otp::Secret;
    ///
    /// assert_eq!(Secret::from_bytes(&[7; 20])?.expose_bytes(), [7; 20]);
    /// # Ok::<(), skewgate::otp::SecretError>(())
    /// ```
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The secret as base32, upper case and without padding, as `otpauth:` URIs have it. Wiped when dropped.
    ///
    /// ```
    /// use skewgate::otp::Secret;
    ///
    /// let secret = Secret::from_bytes(b"12345678901234567890")?;
    /// assert_eq!(secret.expose_base32().as_str(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    /// # Ok::<(), skewgate::otp::SecretError>(())
    /// ```
    #[must_use]
    pub fn expose_base32(&self) -> Zeroizing<String> {
        let mut buffer = wiped_buffer(Base32UpperUnpadded::encoded_len(&self.bytes));
        // The buffer has the length that the encoder asked for: it can't fail.
        let text = Base32UpperUnpadded::encode(&self.bytes, &mut buffer).unwrap_or_default();
        Zeroizing::new(text.to_owned())
    }

    /// The secret as lower-case hexadecimal digits, as command-line tools take it. Wiped when dropped.
    ///
    /// ```
    /// use skewgate::otp::Secret;
    ///
    /// assert_eq!(Secret::from_bytes(&[0xa5; 16])?.expose_hex().as_str(), "a5".repeat(16));
    /// # Ok::<(), skewgate::otp::SecretError>(())
    /// ```
    #[must_use]
    pub fn expose_hex(&self) -> Zeroizing<String> {
        let mut buffer = wiped_buffer(2 * self.bytes.len());
        // The buffer is long enough: it can't fail.
        let text = base16ct::lower::encode_str(&self.bytes, &mut buffer).unwrap_or_default();
        Zeroizing::new(text.to_owned())
    }

    fn generate_from(
        algorithm: Algorithm,
        fill: impl FnOnce(&mut [u8]) -> Result<(), getrandom::Error>,
    ) -> Result<Self, SecretError> {
        let mut bytes = wiped_buffer(algorithm.secret_bytes());
        fill(&mut bytes).map_err(|error| SecretError::NoRandomness { os_code: error.raw_os_error() })?;
        Ok(Self { bytes })
    }

    fn decode(text: &str) -> Result<Self, SecretError> {
        if text.len() > Self::MAX_BASE32_BYTES {
            return Err(SecretError::TextTooLong { got: text.len() });
        }
        // Where both are wrong, what isn't base32 at all isn't told to be a character short.
        let characters = without_padding(text.as_bytes())
            .map_err(|error| if is_base32(text) { error } else { SecretError::Character })?;
        let mut bytes = wiped_buffer(characters.len() * 5 / 8);
        Base32UpperUnpadded::decode(characters, &mut bytes).map_err(|_| SecretError::Character)?;
        check_bytes(bytes.len())?;

        // Two texts for one secret would let a list of used secrets be passed by, and a last character that
        // can't be right means that something was lost. The decoder lets both through.
        let mut again = wiped_buffer(characters.len());
        let same = Base32UpperUnpadded::encode(&bytes, &mut again)
            .is_ok_and(|canonical| canonical.as_bytes().ct_eq(characters).into());
        if same { Ok(Self { bytes }) } else { Err(SecretError::TrailingBits) }
    }

    fn decode_lenient(text: &str) -> Result<Self, SecretError> {
        if text.len() > Self::MAX_BASE32_BYTES {
            return Err(SecretError::TextTooLong { got: text.len() });
        }
        // Never longer than the text, so that it never grows and leaves an unwiped buffer behind.
        let mut upper = Zeroizing::new(String::with_capacity(text.len()));
        for character in text.chars().filter(|character| !matches!(character, ' ' | '-')) {
            upper.push(character.to_ascii_uppercase());
        }
        Self::decode(&upper).map_err(|error| match error {
            SecretError::Character => SecretError::OtherCharacter,
            other => other,
        })
    }

    fn refuse_short(self) -> Result<Self, SecretError> {
        match self.bytes.len() {
            got if got < Self::MIN_BYTES => Err(SecretError::TooShort { got }),
            _ => Ok(self),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

fn check_bytes(got: usize) -> Result<(), SecretError> {
    match got {
        0 => Err(SecretError::Empty),
        1..=Secret::MAX_BYTES => Ok(()),
        _ => Err(SecretError::TooLong { got }),
    }
}

fn wiped_buffer(length: usize) -> Zeroizing<Box<[u8]>> {
    Zeroizing::new(vec![0; length].into_boxed_slice())
}

fn is_base32(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7' | b'='))
}

/// The text without its padding, which must be absent or complete (RFC 4648 §6).
fn without_padding(text: &[u8]) -> Result<&[u8], SecretError> {
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    let (characters, _) = text.split_at(text.len() - padding);
    let expected = match characters.len() % 8 {
        0 => 0,
        2 => 6,
        4 => 4,
        5 => 3,
        7 => 1,
        _ => return Err(SecretError::CharacterCount { got: characters.len() }),
    };
    if padding == 0 || padding == expected {
        Ok(characters)
    } else {
        Err(SecretError::Padding { characters: characters.len(), got: padding, expected })
    }
}

#[cfg(test)]
mod tests;
