//! Sealed secrets: a token's [`Secret`](crate::otp::Secret), encrypted for the column of a user table.
//!
//! Whoever steals the table then has no codes, and whoever can write to it can't put one user's secret into another's row.
//!
//! ```
//! use skewgate::otp::{Algorithm, Secret, Totp};
//! use skewgate::seal::{Binding, KeyRing, Sealed, SealingKey};
//! use skewgate::token::{Token, TokenId};
//!
//! // Once: a key. Its text belongs where the service's other keys are, never into the database.
//! let key_text = SealingKey::generate("2026-11")?.expose_base64();
//!
//! // At every start.
//! let ring = KeyRing::new(SealingKey::from_base64("2026-11", &key_text)?);
//!
//! // At enrolment: `sealed` goes into the row, and so do the token's id, its parameters, and the enrolment number.
//! let secret = Secret::generate(Algorithm::Sha1)?;
//! let token = Token::new(TokenId::new("user-42/phone")?, Totp::builder(&secret).build()?);
//! let sealed = ring.seal(&secret, &Binding::of(&token, 0))?.to_string();
//! assert!(sealed.starts_with("skewgate1.2026-11."));
//!
//! // At a login, from the row: the token, made with the very parameters that are bound to its secret.
//! let binding = Binding::builder(TokenId::new("user-42/phone")?, 0).build()?;
//! let token = ring.open_token(&Sealed::parse(&sealed)?, &binding)?;
//! # assert_eq!(token.id().as_str(), "user-42/phone");
//!
//! // In another row it is worth nothing.
//! let eve = Binding::builder(TokenId::new("eve")?, 0).build()?;
//! assert!(ring.open(&Sealed::parse(&sealed)?, &eve).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The enrolment number
//!
//! A [`Binding`] has a number that the caller keeps in its user table: 0 for the first secret of a token id, one more whenever it
//! gets a new secret. It says which of a token's secrets the row means, so that an old sealed text (of a phone that was
//! stolen, from last year's backup) doesn't open where a newer one belongs. It can't help against somebody who can write
//! the number, too: a row that is put back whole opens. Where that counts, give a new secret a new token id, whose
//! state in the [store](crate::store) the old one doesn't have.
//!
//! # Rotation
//!
//! A new key seals, and the old ones only open until nothing needs them. A key's id is in each sealed text, in front and as it is:
//! `SELECT count(*) … WHERE sealed LIKE 'skewgate1.2025-03.%'` says how many are left.
//!
//! ```
//! use skewgate::otp::Secret;
//! use skewgate::seal::{Binding, KeyRing, SealError, SealingKey};
//! use skewgate::token::TokenId;
//!
//! let old = SealingKey::generate("2025-03")?;
//! let binding = Binding::builder(TokenId::new("user-42/phone")?, 0).build()?;
//! let mut sealed = KeyRing::new(old.clone()).seal(&Secret::from_bytes(&[7; 20])?, &binding)?;
//!
//! let ring = KeyRing::new(SealingKey::generate("2026-11")?).with(old)?;
//! if ring.needs_reseal(&sealed) {
//!     sealed = ring.reseal(&sealed, &binding)?; // at a login, or in a job that goes over all rows
//! }
//! assert_eq!(sealed.key_id().as_str(), "2026-11");
//!
//! // A ring that lacks a key says which one.
//! let lost = KeyRing::new(SealingKey::generate("2027-01")?);
//! let error = lost.open(&sealed, &binding).unwrap_err();
//! assert!(matches!(&error, SealError::UnknownKey { missing, .. } if missing.as_str() == "2026-11"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is written
//!
//! ```text
//! text    skewgate1.KEYID.BASE64URL(nonce ‖ ciphertext ‖ tag)                 base64url without padding, RFC 4648 §5
//! bytes   01 ‖ length of KEYID (1 byte) ‖ KEYID ‖ nonce ‖ ciphertext ‖ tag
//! ```
//!
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) under the key that the id names, with a nonce of 24 bytes from the operating
//! system's random numbers: 2⁸⁰ secrets under one key leave a chance of 2⁻³³ that a nonce comes twice. Authenticated with it, each field behind its length
//! in two bytes (big-endian, as all numbers), so that no two bindings read the same:
//!
//! | field | |
//! | --- | --- |
//! | `skewgate sealed secret` | so that nothing else under the same key is taken for one |
//! | context | the [ring's](KeyRing::in_context); empty where none is set |
//! | version | one byte: 1 |
//! | key id, token id | as they are |
//! | algorithm, format | as `otpauth:` URIs have them: `SHA1`; `6` to `10`, or `Steam` |
//! | period, T0, enrolment number | eight bytes each: seconds, seconds since 1970 (signed), a count |
//!
//! What is encrypted is the secret's length in two bytes, the secret, and zeros up to a multiple of 32 bytes. So a stolen table doesn't
//! say whose secrets are short legacy ones: up to 30 bytes look alike, and up to 62. It costs at most 31 bytes.
//!
//! A key is chosen by its id alone, and no other is tried: this cipher doesn't commit to a key, so a text can be made that
//! opens under several. Sealed text is untrusted: its size is bounded ([`Sealed::MAX_TEXT_BYTES`]), and nothing is decrypted before
//! its tag was checked. Keys, secrets and buffers are wiped; what the cipher leaves on the stack and in registers can't be. Counter-based tokens have no
//! binding here.

mod binding;
mod error;
mod keys;
mod ring;
mod sealed;

pub use binding::{Binding, BindingBuilder};
pub use error::{KeyIdError, RingError, SealError, SealedError, SealingKeyError};
pub use keys::{KeyId, SealingKey};
pub use ring::KeyRing;
pub use sealed::Sealed;

#[cfg(test)]
mod tests;
