//! Time servers and how they are named.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The port of NTP (RFC 5905 §7.2).
pub const NTP_PORT: u16 = 123;

/// Where a time server is: a name or an address, and a port.
///
/// Grammar: `host`, `host:port`, `[v6]:port`; a bare IPv6 address is taken as one without a port. Without a
/// port it is 123. What is printed reads back to the same. An IPv6 zone is not supported; one in a `SocketAddr` is dropped.
///
/// ```
/// use skewgate::ntp::SourceAddr;
///
/// let source: SourceAddr = "ntp.example.org".parse()?;
/// assert_eq!((source.host(), source.port()), ("ntp.example.org".to_string(), 123));
/// assert_eq!("[2001:DB8::1]:11123".parse::<SourceAddr>()?.to_string(), "[2001:db8::1]:11123");
/// assert!("ntp.example.org:99999".parse::<SourceAddr>().is_err());
/// # Ok::<(), skewgate::ntp::SourceAddrError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceAddr {
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Host {
    Address(IpAddr),
    Name(String),
}

impl SourceAddr {
    /// The name or address, an IPv6 address without brackets.
    #[must_use]
    pub fn host(&self) -> String {
        match &self.host {
            Host::Address(address) => address.to_string(),
            Host::Name(name) => name.clone(),
        }
    }

    /// The UDP port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    pub(super) const fn parsed_host(&self) -> &Host {
        &self.host
    }
}

impl From<std::net::SocketAddr> for SourceAddr {
    fn from(address: std::net::SocketAddr) -> Self {
        Self { host: Host::of(address.ip()), port: address.port() }
    }
}

impl Host {
    /// An IPv4 address that is written as an IPv6 address is the same source, not another one.
    const fn of(address: IpAddr) -> Self {
        Self::Address(address.to_canonical())
    }
}

/// The port is always shown, so that what is printed says exactly where packets go.
impl fmt::Display for SourceAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

impl FromStr for SourceAddr {
    type Err = SourceAddrError;

    fn from_str(text: &str) -> Result<Self, SourceAddrError> {
        if text.is_empty() {
            return Err(SourceAddrError::Empty);
        }
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self { host: Host::of(IpAddr::V6(address)), port: NTP_PORT });
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (address, rest) = rest.split_once(']').ok_or(SourceAddrError::UnclosedBracket)?;
            let address = address.parse::<Ipv6Addr>().map_err(|_| SourceAddrError::NotIpv6)?;
            let port = match rest.strip_prefix(':') {
                Some(port) => parse_port(port)?,
                None if rest.is_empty() => NTP_PORT,
                None => return Err(SourceAddrError::AfterBracket),
            };
            return Ok(Self { host: Host::of(IpAddr::V6(address)), port });
        }
        let (host, port) = match text.split_once(':') {
            Some((_, port)) if port.contains(':') => return Err(SourceAddrError::NotIpv6),
            Some((host, port)) => (host, parse_port(port)?),
            None => (text, NTP_PORT),
        };
        Ok(Self { host: parse_host(host)?, port })
    }
}

fn parse_port(text: &str) -> Result<u16, SourceAddrError> {
    // u16's own parser takes a sign.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port != 0 => Ok(port),
        _ => Err(SourceAddrError::Port),
    }
}

fn parse_host(text: &str) -> Result<Host, SourceAddrError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Host::of(address));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let label_is_right = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if name.is_empty() || name.len() > 253 || !name.split('.').all(label_is_right) {
        return Err(SourceAddrError::Name);
    }
    // "10.0.0.256", "1.2.3": resolvers disagree about what these mean.
    if name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(SourceAddrError::NotIpv4);
    }
    Ok(Host::Name(text.to_ascii_lowercase()))
}

/// Why a text names no time server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceAddrError {
    /// There is nothing.
    #[error("a source is missing: write host, host:port or [v6]:port")]
    Empty,
    /// `[` without `]`.
    #[error("the bracket is not closed: write [v6]:port")]
    UnclosedBracket,
    /// Something other than a port follows `]`.
    #[error("only :port may follow the bracket: write [v6]:port")]
    AfterBracket,
    /// Several colons, and not an IPv6 address.
    #[error(
        "this is not an IPv6 address (a zone such as %eth0 is not supported): write [v6]:port, or host:port"
    )]
    NotIpv6,
    /// Digits and dots, and not an IPv4 address.
    #[error("this is not an IPv4 address: four numbers from 0 to 255 with dots between them")]
    NotIpv4,
    /// Not a port.
    #[error("the port must be a number from 1 to 65535")]
    Port,
    /// Not a host name.
    #[error(
        "this is not a host name: labels of letters, digits, hyphens and underscores with dots between them (an international name in its xn-- form)"
    )]
    Name,
}

/// A configured time source: an address, whom it votes with, and whether it smears leap seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    address: SourceAddr,
    given: String,
    group: Option<String>,
    smeared: bool,
}

impl Source {
    /// A source that has a vote of its own.
    #[must_use]
    pub fn new(address: SourceAddr) -> Self {
        Self { given: address.to_string(), address, group: None, smeared: false }
    }

    /// Puts it into a group: all of a group have one vote together. For servers of one operator, or that
    /// follow one upstream, which would be wrong together.
    #[must_use]
    pub fn group(mut self, name: impl Into<String>) -> Self {
        self.group = Some(name.into());
        self
    }

    /// Declares that it smears leap seconds, or that it doesn't, which is the default. A server that smears spreads
    /// them over some hours and announces none. Its replies don't show it; its operator's documentation does.
    ///
    /// What is declared: the server shows UTC until 24 hours before the end of a month and from 24 hours after it on,
    /// and in between it is nowhere outside of the count of UTC before the leap second and the one after it. So it
    /// may be a second off, and its vote is a second wider at both ends within 24 hours of the end of *every* UTC
    /// month: leap seconds may come in each (ITU-R TF.460), and nobody says in which.
    ///
    /// Use sources that all smear, or none that does. The former cost a second of doubt for two days a month.
    ///
    /// ```
    /// use skewgate::ntp::Source;
    ///
    /// let source = "time.example.org".parse::<Source>()?.smeared(true);
    /// assert!(source.is_smeared());
    /// # Ok::<(), skewgate::ntp::SourceAddrError>(())
    /// ```
    #[must_use]
    pub const fn smeared(mut self, smeared: bool) -> Self {
        self.smeared = smeared;
        self
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> &SourceAddr {
        &self.address
    }

    /// How its user wrote it.
    #[must_use]
    pub fn as_given(&self) -> &str {
        &self.given
    }

    /// The group that it votes with.
    #[must_use]
    pub fn group_name(&self) -> Option<&str> {
        self.group.as_deref()
    }

    /// True where it was declared to smear leap seconds.
    #[must_use]
    pub const fn is_smeared(&self) -> bool {
        self.smeared
    }
}

impl From<std::net::SocketAddr> for Source {
    fn from(address: std::net::SocketAddr) -> Self {
        Self::new(address.into())
    }
}

impl FromStr for Source {
    type Err = SourceAddrError;

    fn from_str(text: &str) -> Result<Self, SourceAddrError> {
        let address = text.parse()?;
        Ok(Self { address, given: text.to_owned(), group: None, smeared: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_reads_as_meant() {
        for (text, shown) in [
            ("ntp", "ntp:123"),
            ("NTP.Example.org.:1", "ntp.example.org.:1"),
            ("127.0.0.2", "127.0.0.2:123"),
            ("127.0.0.2:11123", "127.0.0.2:11123"),
            ("::1", "[::1]:123"),
            ("[::1]", "[::1]:123"),
            ("[fe80::0001]:65535", "[fe80::1]:65535"),
            ("::ffff:192.0.2.1", "192.0.2.1:123"),
            ("[::ffff:192.0.2.1]:7", "192.0.2.1:7"),
            ("_ntp._udp.example", "_ntp._udp.example:123"),
        ] {
            assert_eq!(text.parse::<SourceAddr>().unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn wrong_forms_say_what_is_wrong() {
        for (text, error) in [
            ("", SourceAddrError::Empty),
            ("[::1", SourceAddrError::UnclosedBracket),
            ("[::1]123", SourceAddrError::AfterBracket),
            ("[127.0.0.1]:123", SourceAddrError::NotIpv6),
            ("fe80::1%eth0", SourceAddrError::NotIpv6),
            ("a:b:c", SourceAddrError::NotIpv6),
            ("10.0.0.256", SourceAddrError::NotIpv4),
            ("host:", SourceAddrError::Port),
            ("host:0", SourceAddrError::Port),
            ("host:+1", SourceAddrError::Port),
            ("host:65536", SourceAddrError::Port),
            (":123", SourceAddrError::Name),
            ("a..b", SourceAddrError::Name),
            ("-a", SourceAddrError::Name),
            ("uhr.österreich", SourceAddrError::Name),
            ("a b", SourceAddrError::Name),
            ("ntp\u{1b}[2J", SourceAddrError::Name),
        ] {
            assert_eq!(text.parse::<SourceAddr>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(text in "[a-z0-9.:\\\\[\\\\]-]{0,24}") {
            if let Ok(source) = text.parse::<SourceAddr>() {
                prop_assert_eq!(source.to_string().parse::<SourceAddr>(), Ok(source));
            }
        }

        #[test]
        fn anything_is_read_or_refused(text: String) {
            if let Ok(source) = text.parse::<SourceAddr>() {
                prop_assert!(source.to_string().chars().all(|c| c.is_ascii_graphic()));
            }
        }
    }
}
