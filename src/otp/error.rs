//! What can be wrong with a secret, a code or the parameters of a token.
//!
//! None of these texts holds any part of a secret or a code: they end up in logs.

use std::time::Duration;

use crate::time::Timestamp;

use super::{Code, Digits, Format, MAX_CONSECUTIVE, Secret, Totp};

/// A secret that can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Fewer bytes than RFC 4226 §4 (R6) asks for.
    #[error(
        "the secret has {got} bytes, RFC 4226 asks for at least {min}: enrol the token anew, or accept an \
         old one by name with Secret::short_legacy, short_legacy_base32 or short_legacy_hex",
        min = Secret::MIN_BYTES
    )]
    TooShort {
        /// How many bytes it has.
        got: usize,
    },
    /// No bytes at all, which even a legacy token can't have.
    #[error("the secret is empty: check where it was read from")]
    Empty,
    /// More bytes than any token holds.
    #[error(
        "the secret has {got} bytes, at most {max} are taken: check where it was read from",
        max = Secret::MAX_BYTES
    )]
    TooLong {
        /// How many bytes it has.
        got: usize,
    },
    /// More text than the longest secret needs.
    #[error(
        "the base32 text has {got} bytes, at most {max} are taken: check where it was read from",
        max = Secret::MAX_BASE32_BYTES
    )]
    TextTooLong {
        /// How many bytes of text there are.
        got: usize,
    },
    /// A character that base32 doesn't have, or that the strict reading doesn't take.
    #[error(
        "the base32 text has a character other than A to Z and 2 to 7 (RFC 4648 §6): correct it, or read \
         lower case, spaces and hyphens with Secret::from_base32_lenient"
    )]
    Character,
    /// A character that not even the lenient reading takes.
    #[error(
        "the base32 text has a character other than letters, digits from 2 to 7, spaces and hyphens: correct it, \
         or copy it again"
    )]
    OtherCharacter,
    /// A number of characters that no number of bytes encodes to.
    #[error(
        "{got} base32 characters encode no whole number of bytes: some are missing or too many, copy all \
         of them"
    )]
    CharacterCount {
        /// How many characters there are, without padding.
        got: usize,
    },
    /// Padding of the wrong length.
    #[error("{characters} base32 characters with {got} of padding, expected {expected}, or none: correct it")]
    Padding {
        /// How many characters there are, without padding.
        characters: usize,
        /// How many `=` there are.
        got: usize,
        /// How many RFC 4648 §6 asks for.
        expected: usize,
    },
    /// The last character holds bits that belong to no byte, and they aren't zero.
    #[error(
        "the last base32 character has unused bits that aren't zero (RFC 4648 §3.5): a character is \
         missing or mistyped, copy the secret again"
    )]
    TrailingBits,
    /// A character that isn't a hexadecimal digit.
    #[error("the hexadecimal text has a character other than 0 to 9, a to f and A to F: correct it")]
    HexCharacter,
    /// An odd number of hexadecimal digits.
    #[error(
        "{got} hexadecimal digits encode no whole number of bytes: one is missing or too many, copy all of them"
    )]
    HexCharacterCount {
        /// How many bytes of text there are.
        got: usize,
    },
    /// The operating system gave no random bytes.
    #[error(
        "the operating system gave no random bytes (error code {os_code:?}): no secret was made, repair the \
         host and try again"
    )]
    NoRandomness {
        /// The operating system's error code, where it gave one.
        os_code: Option<i32>,
    },
}

/// A text that isn't a code, or codes that can't be tried together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// Nothing but white space.
    #[error("the code is empty: ask for its digits")]
    Empty,
    /// A text too long to be a code, however it is grouped.
    #[error(
        "the code has {got} bytes, at most {max} are read: ask for the digits alone",
        max = Code::MAX_TEXT_BYTES
    )]
    TooLong {
        /// How many bytes of text there are.
        got: usize,
    },
    /// Something other than an ASCII digit, or than a space or a hyphen between two of them; and what is no part of one of
    /// Steam's codes.
    #[error(
        "byte {position} of the code is neither a digit from 0 to 9 nor a space or hyphen between digits, nor is \
         it one of five characters of 23456789BCDFGHJKMNPQRTVWXY (Steam): ask for the code alone"
    )]
    Character {
        /// Which byte of the text, counted from 0.
        position: usize,
    },
    /// No code has so few or so many digits. From [`Digits::new`].
    #[error(
        "codes have {min} to {max} digits, not {got}: take as many as the token shows, usually {min}",
        min = Digits::MIN.get(),
        max = Digits::MAX.get()
    )]
    DigitCount {
        /// How many digits there are.
        got: usize,
    },
    /// A text with too few or too many characters for any code.
    #[error(
        "the code has {got} characters, expected {min} to {max} digits, or {steam} characters of a Steam code: ask for all \
         of them and nothing else",
        min = Digits::MIN.get(),
        max = Digits::MAX.get(),
        steam = Format::Steam.length()
    )]
    CharacterCount {
        /// How many there are, without separators.
        got: usize,
    },
    /// No code at all, or more than can be tried together.
    #[error("{got} codes at once, expected 1 to {MAX_CONSECUTIVE}: ask for consecutive ones")]
    ConsecutiveCount {
        /// How many codes there are.
        got: usize,
    },
}

/// Parameters that no token has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TotpError {
    /// A period that isn't a whole number of seconds, or out of range.
    #[error(
        "the period is {got:?}, expected whole seconds from 1 s to {max:?}: take the one that the token \
         was made with, usually 30 s",
        max = Totp::MAX_PERIOD
    )]
    Period {
        /// The period.
        got: Duration,
    },
    /// A T0 that isn't at a whole second.
    #[error("T0 is {got}, expected a whole second (RFC 6238 §4.1): leave it at the Unix epoch if in doubt")]
    T0 {
        /// The T0.
        got: Timestamp,
    },
}
