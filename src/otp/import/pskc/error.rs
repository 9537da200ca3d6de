//! Why a file or one of its keys can't be read. No text here repeats any part of the input.

use super::PskcReader;
use crate::otp::{CodeError, SecretError, TotpError};

/// A file that can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PskcError {
    /// More text than is read.
    #[error("the file has {got} bytes, at most {max} are taken: split it", max = PskcReader::MAX_BYTES)]
    TooLong {
        /// How many bytes it has.
        got: usize,
    },
    /// A tag, with the text behind it, that is longer than any should be.
    #[error("a tag with the text behind it has more than {max} bytes: no PSKC file has such")]
    TagTooLong {
        /// How many are taken.
        max: usize,
    },
    /// More elements than are read.
    #[error("the file has too many elements: split it")]
    TooManyNodes,
    /// A document type definition, which can make a reader open files or run out of memory.
    #[error("the file has a document type definition: no PSKC file needs one, ask for it without")]
    Dtd,
    /// No well-formed XML.
    #[error("the file is no well-formed XML: was it cut off?")]
    Xml,
    /// Some other XML.
    #[error(
        "this is no PSKC file: expected <KeyContainer> of the namespace `urn:ietf:params:xml:ns:keyprov:pskc`"
    )]
    NotPskc,
    /// A version that isn't 1.
    #[error("the file's version isn't 1.x: ask for RFC 6030's")]
    Version,
    /// Encrypted values, and no key to open them.
    #[error("the file is encrypted with a pre-shared key: give it with PskcReader::pre_shared_key")]
    KeyNeeded,
    /// Encrypted values, and no password to open them.
    #[error("the file is encrypted with a password: give it with PskcReader::password")]
    PasswordNeeded,
    /// A key or password was given, and the file has nothing encrypted.
    #[error(
        "a key was given and the file is plain: it may have been exchanged on its way; read it without a key if it should be plain"
    )]
    NotProtected,
    /// More namespaces than are read.
    #[error("the file declares more than {max} prefixes for namespaces: no PSKC file needs them")]
    TooManyNamespaces {
        /// How many are taken.
        max: usize,
    },
    /// Encryption for a certificate, or a derivation other than PBKDF2.
    #[error("the file is protected in another way than by a pre-shared key or PBKDF2: ask for one of these")]
    UnsupportedProtection,
    /// A MAC other than HMAC with SHA-1, SHA-256 or SHA-512.
    #[error("the file's MAC is none of HMAC-SHA1, HMAC-SHA256 and HMAC-SHA512: ask for one of these")]
    UnsupportedMac,
    /// More work than a file may ask for, or none.
    #[error("the file asks for {got} iterations of PBKDF2, expected 1 to {max}", max = PskcReader::MAX_PBKDF2_ITERATIONS)]
    Iterations {
        /// How many.
        got: u32,
    },
    /// Something else that is wrong with how the file is protected.
    #[error("how the file is protected: {0}")]
    Container(#[from] KeyError),
}

/// A key that can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// An element or attribute that has to be there.
    #[error("<{element}> is missing")]
    Missing {
        /// Which.
        element: &'static str,
    },
    /// An element that is there more than once, or in two forms.
    #[error("<{element}> is there more than once")]
    Duplicate {
        /// Which.
        element: &'static str,
    },
    /// An element whose text isn't what it should be.
    #[error("<{element}> holds something else than it should")]
    Value {
        /// Which.
        element: &'static str,
    },
    /// Neither `hotp` nor `totp` (a PIN, for example), or another hash than SHA-1, SHA-256 and SHA-512.
    #[error("the algorithm is neither HOTP nor TOTP with SHA-1, SHA-256 or SHA-512")]
    UnsupportedAlgorithm,
    /// Codes that aren't decimal, or have a check digit.
    #[error("the codes aren't plain decimal digits")]
    UnsupportedFormat,
    /// A number of digits that no code has.
    #[error("the response format: {0}")]
    Digits(#[from] CodeError),
    /// A period that no token has.
    #[error("the time interval: {0}")]
    Period(#[from] TotpError),
    /// A secret that can't be used.
    #[error("{0}")]
    Secret(#[from] SecretError),
    /// The file names a master key that its secret is derived from (`<KeyReference>`), and has no secret.
    #[error(
        "the secret is derived from a key that the file only names: ask for a file with the secret in it"
    )]
    SecretElsewhere,
    /// A PIN that is typed with the codes or mixed into them.
    #[error("a PIN belongs to the codes, expected one that only unlocks the device")]
    Pin,
    /// A policy that isn't understood or isn't for one-time passwords: such a key must not be used (RFC 6030 §5).
    #[error(
        "the key's policy isn't understood, or not for one-time passwords, so that RFC 6030 §5 forbids its use"
    )]
    Policy,
    /// A counter or time that is encrypted.
    #[error("<{element}> is encrypted, expected a plain value")]
    EncryptedNumber {
        /// Which.
        element: &'static str,
    },
    /// A plain value in a file that says that its values are encrypted.
    #[error(
        "the secret is plain in a file whose secrets are encrypted: it may have been put there on its way"
    )]
    PlainSecret,
    /// An encrypted value in a file that doesn't say with what.
    #[error("the secret is encrypted, and the file has no <EncryptionKey>")]
    NoEncryptionKey,
    /// An encrypted value without a MAC.
    #[error(
        "the secret is encrypted without a MAC, which RFC 6030 §6.1 asks for: it may have been tampered with"
    )]
    NoMac,
    /// The MAC doesn't fit, or its key or the secret can't be decrypted. Which of these it was is not told: it would help to decrypt
    /// secrets without the key.
    #[error(
        "the secret can't be authenticated: another pre-shared key or password, or the file is damaged or was tampered with"
    )]
    NotAuthentic,
    /// Another cipher than AES in CBC mode.
    #[error("the cipher is none of aes128-cbc, aes192-cbc and aes256-cbc")]
    UnsupportedCipher,
    /// A key of the wrong length for its cipher.
    #[error("the pre-shared or derived key has {got} bytes, and the cipher takes another number")]
    KeyLength {
        /// How many bytes it has.
        got: usize,
    },
}
