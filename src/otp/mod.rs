//! One-time passwords: secrets, codes, and matching codes over a window in constant time.
//!
//! ```text
//! Secret ──► Totp ──► code_at(step) ──► Code           what a token does
//!              │
//! &str ─► Code ┴─► scan(window, watermark) ──► Match   what a validator does
//! ```
//!
//! Counter-based tokens have [`Hotp`] and [`scan_ahead`], a pure look-ahead; what throttles is there for [`Totp`] alone.
//!
//! [`OtpauthUri`] is what an app scans at enrolment, `qr` draws it, and [`import`] reads tokens from elsewhere.
//!
//! Everything here is pure: no clock is read, and randomness is drawn in [`Secret::generate`] alone.
//!
//! What an attacker may learn from time: how wide the window is, how many codes were tried, how many digits
//! they have, which hash is used. Not: whether a code fits, where, how nearly, or whether it was used before.
//!
//! What is wiped: secrets, key states, MACs and codes, when they are dropped. What can't be: copies that
//! the compression functions of `sha1` and `sha2` leave on the stack and in registers.

mod algorithm;
mod code;
mod error;
mod format;
mod hmac;
mod hotp;
pub mod import;
mod matching;
#[cfg(feature = "qr")]
#[cfg_attr(docsrs, doc(cfg(feature = "qr")))]
pub mod qr;
mod secret;
#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
pub mod secret_base32;
mod step;
mod totp;
mod uri;

pub use algorithm::Algorithm;
pub use code::{Code, CodeText};
pub use error::{CodeError, SecretError, TotpError};
pub use format::{Digits, Format};
pub use hotp::Hotp;
pub use matching::{Consecutive, CounterMatch, MAX_CONSECUTIVE, Match, scan, scan_ahead};
pub use secret::Secret;
pub use step::{StepRange, TimeStep};
pub use totp::{Totp, TotpBuilder};
pub use uri::{OtpauthUri, OtpauthUriBuilder, Parameter, Part, UriError, UriFlaw, UriKind};
