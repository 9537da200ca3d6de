//! The keys that a service has: one seals, all open.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::sealed::{LENGTH_BYTES, NONCE_BYTES, PADDED_TO, TAG_BYTES};
use super::{Binding, KeyId, RingError, SealError, Sealed, SealingKey};
use crate::otp::Secret;
use crate::token::Token;

/// A key that seals, and older ones that only open what they once sealed. `Debug` shows their names.
///
/// ```
/// use skewgate::otp::Secret;
/// use skewgate::seal::{Binding, KeyRing, SealingKey};
/// use skewgate::token::TokenId;
///
/// let ring = KeyRing::new(SealingKey::generate("2026-11")?).with(SealingKey::generate("2025-03")?)?;
/// let binding = Binding::builder(TokenId::new("ada")?, 0).build()?;
/// let sealed = ring.seal(&Secret::from_bytes(b"12345678901234567890")?, &binding)?;
/// assert_eq!(ring.open(&sealed, &binding)?.expose_bytes(), b"12345678901234567890");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeyRing {
    current: SealingKey,
    older: Vec<SealingKey>,
    context: String,
}

impl KeyRing {
    /// The most bytes that a context may have.
    pub const MAX_CONTEXT_BYTES: usize = 255;

    /// The ring whose one key seals and opens.
    #[must_use]
    pub const fn new(current: SealingKey) -> Self {
        Self { current, older: Vec::new(), context: String::new() }
    }

    /// With a key that only opens: one that sealed before the present one did.
    ///
    /// # Errors
    ///
    /// [`RingError::DuplicateId`] where the ring has a key with this id.
    pub fn with(mut self, older: SealingKey) -> Result<Self, RingError> {
        if self.holds(older.id()) {
            return Err(RingError::DuplicateId { id: older.id().clone() });
        }
        self.older.push(older);
        Ok(self)
    }

    /// With a name for what the secrets are for, where several services or tables share keys: what was sealed in one context doesn't
    /// open in another. Empty unless set, and never to be changed afterwards.
    ///
    /// # Errors
    ///
    /// [`RingError::ContextTooLong`] above 255 bytes.
    ///
    /// ```
    /// use skewgate::seal::{KeyRing, SealingKey};
    ///
    /// let ring = KeyRing::new(SealingKey::generate("2026-11")?).in_context("example.org/staff")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn in_context(mut self, context: &str) -> Result<Self, RingError> {
        if context.len() > Self::MAX_CONTEXT_BYTES {
            return Err(RingError::ContextTooLong { got: context.len() });
        }
        context.clone_into(&mut self.context);
        Ok(self)
    }

    /// Seals a secret, however short, for the row that `binding` describes.
    ///
    /// # Errors
    ///
    /// [`SealError::NoRandomness`] where the operating system has no random numbers for a nonce.
    pub fn seal(&self, secret: &Secret, binding: &Binding) -> Result<Sealed, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce)
            .map_err(|error| SealError::NoRandomness { os_code: error.raw_os_error() })?;
        self.seal_with_nonce(secret, binding, nonce)
    }

    /// The secret that was sealed for this row, byte by byte: a short one too.
    ///
    /// # Errors
    ///
    /// [`SealError::UnknownKey`] with the id of the key that is missing; [`SealError::Refused`] where it doesn't belong to this
    /// row or isn't what was sealed.
    pub fn open(&self, sealed: &Sealed, binding: &Binding) -> Result<Secret, SealError> {
        let key = self.key_of(sealed)?;
        let refused = || SealError::Refused { token: binding.token_id().clone(), key: key.id().clone() };
        // Both are as long as a `Sealed` has them.
        let (ciphertext, tag) = sealed.body().split_last_chunk::<TAG_BYTES>().ok_or_else(refused)?;
        let mut buffer = Zeroizing::new(Box::<[u8]>::from(ciphertext));
        cipher(key)
            .decrypt_inout_detached(
                &XNonce::from(*sealed.nonce()),
                &binding.additional_data(&self.context, key.id()),
                (&mut **buffer).into(),
                &Tag::from(*tag),
            )
            .map_err(|_| refused())?;
        unpad(&buffer).ok_or_else(refused)
    }

    /// The token of this row, made of what was opened and of the parameters that it is bound to. Which budget it
    /// [shares](Token::sharing_budget) is said afterwards.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    ///
    /// ```
    /// use skewgate::otp::{Digits, Secret};
    /// use skewgate::seal::{Binding, KeyRing, SealingKey};
    /// use skewgate::token::TokenId;
    ///
    /// let ring = KeyRing::new(SealingKey::generate("2026-11")?);
    /// let binding = Binding::builder(TokenId::new("ada")?, 0).digits(Digits::EIGHT).build()?;
    /// let sealed = ring.seal(&Secret::from_bytes(&[7; 20])?, &binding)?;
    /// let token = ring.open_token(&sealed, &binding)?;
    /// assert_eq!(token.totp().format(), Digits::EIGHT.into());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_token(&self, sealed: &Sealed, binding: &Binding) -> Result<Token, SealError> {
        Ok(binding.token(&self.open(sealed, binding)?))
    }

    /// True where another key than the one that seals now has sealed it: [`reseal`](Self::reseal) it, and store that.
    #[must_use]
    pub fn needs_reseal(&self, sealed: &Sealed) -> bool {
        sealed.key_id() != self.current.id()
    }

    /// Opens it, and seals it with the key that seals now.
    ///
    /// Where the row's parameters change ([`Validator::renew`](crate::validator::Validator::renew)), [`open`](Self::open) it with the
    /// old binding and [`seal`](Self::seal) it with the new.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open) and [`seal`](Self::seal).
    pub fn reseal(&self, sealed: &Sealed, binding: &Binding) -> Result<Sealed, SealError> {
        self.seal(&self.open(sealed, binding)?, binding)
    }

    /// True where a key has this id: what it sealed can be opened. To be asked of all key ids in the table at start, for example.
    ///
    /// ```
    /// use skewgate::seal::{KeyRing, SealingKey};
    ///
    /// let ring = KeyRing::new(SealingKey::generate("2026-11")?);
    /// assert!(ring.holds(&"2026-11".parse()?) && !ring.holds(&"2025-03".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn holds(&self, id: &KeyId) -> bool {
        self.keys().any(|key| key.id() == id)
    }

    fn keys(&self) -> impl Iterator<Item = &SealingKey> {
        std::iter::once(&self.current).chain(&self.older)
    }

    /// By its id alone: trying others would let a text be made that opens under several keys.
    fn key_of(&self, sealed: &Sealed) -> Result<&SealingKey, SealError> {
        self.keys().find(|key| key.id() == sealed.key_id()).ok_or_else(|| SealError::UnknownKey {
            missing: sealed.key_id().clone(),
            present: self.keys().map(|key| key.id().clone()).collect(),
        })
    }

    pub(super) fn seal_with_nonce(
        &self,
        secret: &Secret,
        binding: &Binding,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<Sealed, SealError> {
        let mut buffer = pad(secret);
        let id = self.current.id();
        // It fails above 256 GB alone.
        let tag = cipher(&self.current)
            .encrypt_inout_detached(
                &XNonce::from(nonce),
                &binding.additional_data(&self.context, id),
                (&mut **buffer).into(),
            )
            .map_err(|_| SealError::Refused { token: binding.token_id().clone(), key: id.clone() })?;
        let body = [&**buffer, tag.as_slice()].concat().into_boxed_slice();
        Ok(Sealed::from_parts(id.clone(), nonce, body))
    }
}

fn cipher(key: &SealingKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.bytes().into())
}

/// Length, secret, zeros.
fn pad(secret: &Secret) -> Zeroizing<Box<[u8]>> {
    let bytes = secret.expose_bytes();
    let length = (LENGTH_BYTES + bytes.len()).next_multiple_of(PADDED_TO);
    let mut buffer = Zeroizing::new(vec![0; length].into_boxed_slice());
    // A secret has at most 1024 bytes.
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
    buffer.iter_mut().zip(length.iter().chain(bytes)).for_each(|(to, from)| *to = *from);
    buffer
}

/// `None` where [`pad`] didn't write it.
fn unpad(buffer: &[u8]) -> Option<Secret> {
    let (length, rest) = buffer.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (bytes, padding) = rest.split_at_checked(length)?;
    let minimal = padding.len() < PADDED_TO && padding.iter().all(|&byte| byte == 0);
    // Sealed as it was, short or not: whoever sealed it has made that choice.
    Secret::short_legacy(bytes).ok().filter(|_| minimal)
}
