//! Whom a host should follow.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::ntp::{ReferenceId, SourceAddr, SourceAddrError};

/// Somebody whom hosts may follow: a server, or a kind of clock, which is written `clock:GPS`.
///
/// ```
/// use skewgate::fleet::Upstream;
///
/// for text in ["ntp1.example.org", "192.0.2.1", "clock:PPS"] {
///     text.parse::<Upstream>()?;
/// }
/// assert!("clock:ANTENNA".parse::<Upstream>().is_err());
/// # Ok::<(), skewgate::fleet::UpstreamError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// A server: by each of its addresses. Its port is of no account, a reference identifier doesn't tell it.
    Server(SourceAddr),
    /// What servers of stratum 1 name as their reference.
    Clock(ReferenceId),
}

impl FromStr for Upstream {
    type Err = UpstreamError;

    fn from_str(text: &str) -> Result<Self, UpstreamError> {
        let Some(name) = text.strip_prefix("clock:") else { return Ok(Self::Server(text.parse()?)) };
        let plain = name.bytes().all(|byte| byte.is_ascii_graphic());
        if name.is_empty() || name.len() > 4 || !plain {
            return Err(UpstreamError::Clock);
        }
        let mut bytes = [0; 4];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        Ok(Self::Clock(ReferenceId::from_bytes(bytes)))
    }
}

/// Why a text names nobody to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// Not a server.
    #[error(transparent)]
    Server(#[from] SourceAddrError),
    /// Not the name of a clock.
    #[error("the name of a reference clock has one to four characters: write clock:GPS")]
    Clock,
}

/// What a reference identifier says of whom its host follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// One of the approved, or it is one itself; or nobody asks.
    Approved,
    /// None of them.
    Foreign,
    /// It can't be told.
    Unknown,
}

/// The upstreams of a group, as reference identifiers.
#[derive(Clone, Debug, Default)]
pub(super) struct Approved {
    servers: Vec<ReferenceId>,
    clocks: Vec<ReferenceId>,
    /// A server's name did not resolve: whoever follows it looks like anybody.
    incomplete: bool,
}

impl Approved {
    /// From upstreams, and what `resolve` says of the addresses of a server.
    pub(super) fn new<'a>(
        upstreams: &[Upstream],
        mut resolve: impl FnMut(&SourceAddr) -> Option<&'a [SocketAddr]>,
    ) -> Self {
        let mut approved = Self::default();
        for upstream in upstreams {
            match upstream {
                Upstream::Clock(name) => approved.clocks.push(*name),
                Upstream::Server(server) => match resolve(server) {
                    Some(addresses) => approved
                        .servers
                        .extend(addresses.iter().map(|address| ReferenceId::of_address(address.ip()))),
                    None => approved.incomplete = true,
                },
            }
        }
        approved
    }

    /// What a synchronised host at this address says with its stratum and reference identifier (RFC 5905 §7.3).
    pub(super) fn judge(&self, address: Option<IpAddr>, stratum: u8, id: ReferenceId) -> Follows {
        if self.servers.is_empty() && self.clocks.is_empty() && !self.incomplete {
            return Follows::Approved;
        }
        let itself = address.is_some_and(|address| self.servers.contains(&ReferenceId::of_address(address)));
        let named = if stratum == 1 { &self.clocks } else { &self.servers };
        if itself || named.contains(&id) {
            return Follows::Approved;
        }
        // Some servers hide whom they follow; others follow a relay on the host itself; who smears shows nothing else.
        let hidden = id.to_bytes()[0] == 0 || id == ReferenceId::CHRONY_SMEAR;
        let here = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
        let relayed = || here.iter().any(|address| id == ReferenceId::of_address(*address));
        if hidden || (stratum > 1 && (self.incomplete || relayed())) {
            Follows::Unknown
        } else {
            Follows::Foreign
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(server) => server.fmt(f),
            Self::Clock(name) => write!(f, "clock:{}", name.to_text(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approved(texts: &[&str], addresses: &[SocketAddr]) -> Approved {
        let upstreams: Vec<Upstream> = texts.iter().map(|text| text.parse().unwrap()).collect();
        Approved::new(&upstreams, |server| {
            addresses
                .iter()
                .position(|address| server.host() == address.ip().to_string())
                .map(|at| &addresses[at..=at])
        })
    }

    fn id(bytes: [u8; 4]) -> ReferenceId {
        ReferenceId::from_bytes(bytes)
    }

    #[test]
    fn a_reference_identifier_tells_whom_a_host_follows() {
        let addresses: [SocketAddr; 2] =
            ["192.0.2.1:123".parse().unwrap(), "[2001:db8::1]:123".parse().unwrap()];
        let group = approved(&["192.0.2.1", "2001:db8::1", "clock:GPS"], &addresses);
        for (stratum, bytes, follows) in [
            (2, [192, 0, 2, 1], Follows::Approved),
            (3, [0x39, 0xab, 0x9b, 0x37], Follows::Approved),
            (1, *b"GPS\0", Follows::Approved),
            (1, *b"PPS\0", Follows::Foreign),
            (2, *b"GPS\0", Follows::Foreign),
            (2, [192, 0, 2, 2], Follows::Foreign),
            // Its own undisciplined clock.
            (10, [127, 127, 1, 1], Follows::Foreign),
            (3, [127, 0, 0, 1], Follows::Unknown),
            // ::1
            (3, [0xcf, 0x40, 0x4d, 0xc8], Follows::Unknown),
            (3, [0; 4], Follows::Unknown),
            (3, [127, 127, 1, 255], Follows::Unknown),
        ] {
            assert_eq!(group.judge(None, stratum, id(bytes)), follows, "{stratum} {bytes:?}");
        }
        // It is one of the approved itself.
        assert_eq!(group.judge(Some(addresses[0].ip()), 2, id([198, 51, 100, 1])), Follows::Approved);
    }

    #[test]
    fn nothing_is_foreign_while_somebody_approved_is_not_known() {
        let group = approved(&["ntp.example.org"], &[]);
        assert_eq!(group.judge(None, 2, id([192, 0, 2, 1])), Follows::Unknown);
        assert_eq!(group.judge(None, 1, id(*b"GPS\0")), Follows::Foreign);
    }

    #[test]
    fn without_upstreams_everybody_is_approved() {
        assert_eq!(Approved::default().judge(None, 5, id([0; 4])), Follows::Approved);
    }
}
