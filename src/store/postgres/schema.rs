//! The schema that holds the tables, and how they get there.

use std::fmt;

/// The name of the schema with skewgate's tables: 1 to 63 lower-case letters, digits and underscores, the first one no
/// digit.
///
/// What PostgreSQL would allow between quotes isn't allowed here, so that a name that comes from a configuration can't carry a
/// statement.
///
/// ```
/// use skewgate::store::postgres::SchemaName;
///
/// assert_eq!(SchemaName::new("auth_codes")?.as_str(), "auth_codes");
/// assert!(SchemaName::new("x; DROP TABLE users").is_err());
/// # Ok::<(), skewgate::store::postgres::SchemaNameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SchemaName(String);

/// The longest name that PostgreSQL keeps whole (NAMEDATALEN − 1).
const MAX_BYTES: usize = 63;

impl SchemaName {
    /// The schema with this name.
    ///
    /// # Errors
    ///
    /// [`SchemaNameError`] where it is none.
    pub fn new(name: &str) -> Result<Self, SchemaNameError> {
        let allowed = |(at, byte): (usize, u8)| {
            byte.is_ascii_lowercase() || byte == b'_' || (at > 0 && byte.is_ascii_digit())
        };
        if name.is_empty() || name.len() > MAX_BYTES || !name.bytes().enumerate().all(allowed) {
            return Err(SchemaNameError { got: name.chars().take(MAX_BYTES + 1).collect() });
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `skewgate`.
impl Default for SchemaName {
    fn default() -> Self {
        Self("skewgate".to_owned())
    }
}

/// As SQL wants it: between quotes.
impl fmt::Display for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// Why a text names no schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{got:?} can't name a schema: 1 to 63 of a-z, 0-9 and _ are allowed, the first one no digit")]
pub struct SchemaNameError {
    got: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_plain_names() {
        for name in ["a", "_", "public", "a1_", &"x".repeat(63)] {
            assert_eq!(SchemaName::new(name).unwrap().to_string(), format!("\"{name}\""));
        }
        for name in ["", "1a", "A", "a b", "a\"b", "a'b", "a;b", "ä", "a.b", "a\0", "a\nb", &"x".repeat(64)]
        {
            assert!(SchemaName::new(name).is_err(), "{name:?}");
        }
    }
}
