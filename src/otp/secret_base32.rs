//! Secrets in files and databases, written only where a field says so.
//!
//! [`Secret`] implements neither `Serialize` nor `Deserialize`: a struct that holds one can't be logged or stored as JSON
//! by accident. `#[serde(with = "skewgate::otp::secret_base32")]` on its field allows it there, and a reviewer finds it by
//! this name. It is written as [`Secret::expose_base32`] has it and read as [`Secret::from_base32`] does.
//!
//! What is written is not wiped: the buffers are the serialiser's.
//!
//! ```
//! use skewgate::otp::Secret;
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Row {
//!     user: u64,
//!     #[serde(with = "skewgate::otp::secret_base32")]
//!     secret: Secret,
//! }
//!
//! let row: Row = serde_json::from_str(r#"{"user":42,"secret":"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}"#)?;
//! assert_eq!(row.secret.expose_bytes(), b"12345678901234567890");
//! assert_eq!(serde_json::to_string(&row)?, r#"{"user":42,"secret":"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}"#);
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! Without that line it doesn't compile:
//!
//! ```compile_fail,E0277
//! #[derive(serde::Serialize)]
//! struct Row {
//!     secret: skewgate::otp::Secret,
//! }
//! ```

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};
use serde::ser::Serializer;
use zeroize::Zeroizing;

use super::Secret;

/// Writes `secret` as base32.
///
/// # Errors
///
/// Those of the serialiser.
pub fn serialize<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&secret.expose_base32())
}

/// Reads strict base32.
///
/// # Errors
///
/// Those of the deserialiser, and the text of a [`SecretError`](super::SecretError), which shows nothing of the secret.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    // serde's own text for what isn't a string would quote it, and what stands in a secret's place may be one. Formats
    // that say what they have let the visitor find the words.
    if deserializer.is_human_readable() {
        deserializer.deserialize_any(Base32)
    } else {
        deserializer.deserialize_string(Base32)
    }
}

struct Base32;

impl Visitor<'_> for Base32 {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret as base32 text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
        Secret::from_base32(text).map_err(E::custom)
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Secret, E> {
        self.visit_str(&Zeroizing::new(text))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Secret, E> {
        Err(E::custom("expected a secret as base32 text, got a number"))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Secret, E> {
        Err(E::custom("expected a secret as base32 text, got a number"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Secret, E> {
        Err(E::custom("expected a secret as base32 text, got a number"))
    }

    fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<Secret, E> {
        Err(E::custom("expected a secret as base32 text, got bytes"))
    }
}

#[cfg(test)]
mod tests;
