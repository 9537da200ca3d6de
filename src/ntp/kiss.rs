//! Kiss codes: a server's ways to say "leave me alone" (RFC 5905 §7.4).

use std::fmt;

use super::ReferenceId;

/// A kiss code that a client must obey. Any other reply of stratum 0 is just an unsynchronised server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KissCode {
    /// RATE: asked too often.
    Rate,
    /// DENY: access denied by the server.
    Deny,
    /// RSTR: access denied by local policy.
    Rstr,
}

impl KissCode {
    /// The kiss code in the reference identifier of a reply of stratum 0.
    #[must_use]
    pub fn from_reference_id(id: ReferenceId) -> Option<Self> {
        match &id.to_bytes() {
            b"RATE" => Some(Self::Rate),
            b"DENY" => Some(Self::Deny),
            b"RSTR" => Some(Self::Rstr),
            _ => None,
        }
    }

    /// What the server wants.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Rate => "it is asked too often, ask more rarely",
            Self::Deny | Self::Rstr => {
                "it refuses to serve this host, ask its operator or use another source"
            }
        }
    }
}

impl fmt::Display for KissCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Rate => "RATE",
            Self::Deny => "DENY",
            Self::Rstr => "RSTR",
        })
    }
}
