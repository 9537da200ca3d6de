//! What can be wrong with keys and with what they sealed. No text here holds any part of a key or a secret.

use super::{KeyId, KeyRing, Sealed, SealingKey};
use crate::token::TokenId;

/// Why a text is no [`KeyId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyIdError {
    /// There is no text.
    #[error("a key id can't be empty: name the key, by its date for example, as in `2026-11`")]
    Empty,
    /// It is too long.
    #[error("a key id of {got} bytes is too long, at most {max} are taken: use a shorter name", max = KeyId::MAX_BYTES)]
    TooLong {
        /// How many bytes it has.
        got: usize,
    },
    /// A character that isn't allowed.
    #[error("byte {position} of the key id is none of A to Z, a to z, 0 to 9, `-` and `_`: use these")]
    Character {
        /// Which byte, counted from 0.
        position: usize,
    },
}

/// A key that can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealingKeyError {
    /// Its id is no id.
    #[error("the key's id can't be used: {0}")]
    Id(#[from] KeyIdError),
    /// A text of the wrong length.
    #[error(
        "the key's text has {got} characters, expected {expected} for {bytes} bytes: copy all of it, or make one with \
         `openssl rand -base64 32`",
        bytes = SealingKey::BYTES
    )]
    Length {
        /// How many characters it has, without padding and white space around it.
        got: usize,
        /// How many 32 bytes have in this encoding.
        expected: usize,
    },
    /// Not base64.
    #[error(
        "the key's text isn't base64 (RFC 4648 §4: A to Z, a to z, 0 to 9, `+`, `/`): is it hexadecimal? Then read it with \
         SealingKey::from_hex"
    )]
    Base64,
    /// Not hexadecimal.
    #[error(
        "the key's text isn't hexadecimal (0 to 9, a to f): is it base64? Then read it with SealingKey::from_base64"
    )]
    Hex,
    /// All zeros.
    #[error(
        "the key is all zeros, as a placeholder is: make one with SealingKey::generate or `openssl rand -base64 32`"
    )]
    Zero,
    /// The operating system gave no random bytes.
    #[error(
        "the operating system gave no random bytes (error code {os_code:?}): no key was made, repair the host and try again"
    )]
    NoRandomness {
        /// The operating system's error code, where it gave one.
        os_code: Option<i32>,
    },
}

/// Keys that don't go together, or a context that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// Two keys with one id.
    #[error("two keys have the id `{id}`, and an id must name one: give the newer one another id")]
    DuplicateId {
        /// The id.
        id: KeyId,
    },
    /// A context that is too long.
    #[error("the context has {got} bytes, at most {max} are taken: use a shorter name", max = KeyRing::MAX_CONTEXT_BYTES)]
    ContextTooLong {
        /// How many bytes it has.
        got: usize,
    },
}

/// A text, or bytes, that aren't a sealed secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealedError {
    /// Something else.
    #[error(
        "this is no sealed secret: expected `skewgate1.KEYID.…`; was the secret stored as it is, or the wrong column read?"
    )]
    NotSealed,
    /// From a newer skewgate.
    #[error(
        "the secret was sealed in version {got} of the format, this skewgate reads version {supported}: use a newer one",
        supported = Sealed::VERSION
    )]
    UnsupportedVersion {
        /// The version.
        got: u32,
    },
    /// More than the longest sealed secret has.
    #[error("the sealed secret has {got} bytes, at most {max} are taken: was the wrong column read?")]
    TooLong {
        /// How many bytes it has.
        got: usize,
        /// How many are taken in this form.
        max: usize,
    },
    /// The key's id is none.
    #[error("the sealed secret's key id is none: {0}")]
    KeyId(#[from] KeyIdError),
    /// Not base64url.
    #[error(
        "the sealed secret isn't base64url without padding (RFC 4648 §5): was it changed, or cut off by a short column?"
    )]
    Base64,
    /// No sealed secret has this length.
    #[error("a sealed secret with {got} bytes behind its key id can't be: was it cut off by a short column?")]
    Length {
        /// How many bytes there are: nonce, ciphertext and tag.
        got: usize,
    },
}

/// A secret that wasn't sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The key isn't in the ring.
    #[error(
        "this secret was sealed with the key `{missing}`, which is not among the given ones ({}): give it with KeyRing::with",
        names(.present)
    )]
    UnknownKey {
        /// The id of the key that is needed.
        missing: KeyId,
        /// The ids of the keys that there are.
        present: Vec<KeyId>,
    },
    /// It doesn't belong here, or isn't what was sealed. Which of these can't be told.
    #[error(
        "the sealed secret of token `{token}` doesn't open with the key `{key}`: its row was changed (id, algorithm, digits, \
         period, T0, enrolment number), it belongs to another row or context, it was damaged, or another key has this id"
    )]
    Refused {
        /// The token of the binding.
        token: TokenId,
        /// The key that was tried.
        key: KeyId,
    },
    /// The operating system gave no random bytes.
    #[error(
        "the operating system gave no random bytes (error code {os_code:?}): nothing was sealed, repair the host and try again"
    )]
    NoRandomness {
        /// The operating system's error code, where it gave one.
        os_code: Option<i32>,
    },
}

fn names(ids: &[KeyId]) -> String {
    ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")
}
