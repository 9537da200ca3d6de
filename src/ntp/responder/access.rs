//! Who may ask: networks in CIDR notation (RFC 4632 §3.1, RFC 4291 §2.3).
//!
//! `contains` is all that is needed of a network, so this is its own forty lines and no dependency.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A network: all addresses that begin with the same bits.
///
/// Grammar: `address/length`, or an address alone. What is printed reads back to the same.
///
/// ```
/// use skewgate::ntp::Network;
///
/// let network: Network = "172.16.0.0/12".parse()?;
/// assert!(network.contains("172.31.255.255".parse()?));
/// assert!(!network.contains("172.32.0.0".parse()?));
/// assert!("172.16.0.1/12".parse::<Network>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// Never an IPv4 address in IPv6's clothes; no bit is set behind the prefix.
    address: IpAddr,
    length: u8,
}

/// Why a text or a pair is no [`Network`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// There is no address before the slash.
    #[error(
        "write a network as an address and the length of its prefix, such as 192.0.2.0/24 or 2001:db8::/32"
    )]
    NoAddress,
    /// The prefix is no number, or longer than an address.
    #[error("the length of the prefix must be a number from 0 to {max}")]
    Length {
        /// The bits of an address of that family.
        max: u8,
    },
    /// Bits are set behind the prefix: which network was meant can only be guessed.
    #[error(
        "there are bits behind the prefix: write {network} for the network, or leave the length away for one host"
    )]
    HostBits {
        /// The network that this address is in.
        network: Network,
    },
}

impl Network {
    /// All addresses that share their first `length` bits with `address`.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Length`] and [`NetworkError::HostBits`].
    pub fn new(address: IpAddr, length: u8) -> Result<Self, NetworkError> {
        let (_, max) = bits(address);
        if length > max {
            return Err(NetworkError::Length { max });
        }
        // Sources of an IPv6 socket that speaks IPv4 too are looked at as IPv4; so must the networks be.
        let (address, length) = match address.to_canonical() {
            canonical @ IpAddr::V4(_) if max == 128 && length >= 96 => (canonical, length - 96),
            _ => (address, length),
        };
        let network = Self { address: masked(address, length), length };
        if network.address == address { Ok(network) } else { Err(NetworkError::HostBits { network }) }
    }

    /// Whether this address, which may be an IPv4 address mapped into IPv6, is in the network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        // An address of the other family stays one and is never equal.
        masked(address.to_canonical(), self.length) == self.address
    }
}

/// An address as a number, flush left in 128 bits, and how many of them it has.
const fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(v4) => ((v4.to_bits() as u128) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

/// The address with every bit behind the first `length` cleared.
fn masked(address: IpAddr, length: u8) -> IpAddr {
    let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
    let kept = bits(address).0 & mask;
    match address {
        IpAddr::V4(_) => {
            let [a, b, c, d, ..] = kept.to_be_bytes();
            IpAddr::from([a, b, c, d])
        }
        IpAddr::V6(_) => Ipv6Addr::from_bits(kept).into(),
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
        let address: IpAddr = address.parse().map_err(|_| NetworkError::NoAddress)?;
        let (_, max) = bits(address);
        let length = match length {
            None => max,
            // `parse` would take a sign.
            Some(length) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                length.parse().map_err(|_| NetworkError::Length { max })?
            }
            Some(_) => return Err(NetworkError::Length { max }),
        };
        Self::new(address, length)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// The networks whose hosts are answered. The default is loopback, the private and the link-local ranges
/// (RFC 1918, RFC 3927, RFC 4193): from elsewhere a server that nobody hardened should not be seen at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowList(Vec<Network>);

impl AllowList {
    /// Whether a host at this address is answered.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

impl Default for AllowList {
    fn default() -> Self {
        let v4 = [([127, 0, 0, 0], 8), ([10, 0, 0, 0], 8), ([172, 16, 0, 0], 12), ([192, 168, 0, 0], 16)];
        let v4 = v4.into_iter().chain([([169, 254, 0, 0], 16)]);
        let v4 = v4.map(|(address, length)| Network { address: IpAddr::from(address), length });
        let v6 = [(Ipv6Addr::LOCALHOST, 128), (Ipv6Addr::from_bits(0xfc << 120), 7)];
        let v6 = v6.into_iter().chain([(Ipv6Addr::from_bits(0xfe80 << 112), 10)]);
        let v6 = v6.map(|(address, length)| Network { address: address.into(), length });
        v4.chain(v6).collect()
    }
}

impl FromIterator<Network> for AllowList {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        Self(networks.into_iter().collect())
    }
}

impl fmt::Display for AllowList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, network) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{network}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_default_is_loopback_private_and_link_local_up_to_the_edges() {
        let allowed = AllowList::default();
        assert_eq!(
            allowed.to_string(),
            "127.0.0.0/8, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16, ::1/128, fc00::/7, fe80::/10"
        );
        for inside in [
            "127.0.0.1",
            "127.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.168.0.0",
            "192.168.255.255",
            "169.254.0.1",
            "::1",
            "fc00::",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "::ffff:10.1.2.3",
        ] {
            assert!(allowed.allows(address(inside)), "{inside}");
        }
        for outside in [
            "126.255.255.255",
            "128.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "169.253.255.255",
            "0.0.0.0",
            "8.8.8.8",
            "::",
            "::2",
            "fbff::",
            "fe00::",
            "fe7f::",
            "fec0::",
            "2001:db8::1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
        ] {
            assert!(!allowed.allows(address(outside)), "{outside}");
        }
    }

    #[test]
    fn nobody_is_in_an_empty_list_and_everybody_of_a_family_in_length_0() {
        assert!(!AllowList::from_iter([]).allows(address("127.0.0.1")));
        assert!(network("0.0.0.0/0").contains(address("255.255.255.255")));
        assert!(!network("0.0.0.0/0").contains(address("::1")));
        assert!(network("::/0").contains(address("2001:db8::1")));
        assert!(!network("::/0").contains(address("127.0.0.1")));
        assert!(!network("::/0").contains(address("::ffff:127.0.0.1")), "IPv4 is IPv4, whatever its clothes");
    }

    #[test]
    fn what_is_no_network() {
        use NetworkError::{HostBits, Length, NoAddress};
        for (text, error) in [
            ("", NoAddress),
            ("/8", NoAddress),
            ("10/8", NoAddress),
            ("example.org/8", NoAddress),
            ("10.0.0.0/33", Length { max: 32 }),
            ("10.0.0.0/", Length { max: 32 }),
            ("10.0.0.0/+8", Length { max: 32 }),
            ("10.0.0.0/8/8", Length { max: 32 }),
            ("10.0.0.0/256", Length { max: 32 }),
            ("10.0.0.0/ 8", Length { max: 32 }),
            ("fc00::/129", Length { max: 128 }),
            ("10.1.0.0/8", HostBits { network: network("10.0.0.0/8") }),
            ("2001:db8::1/32", HostBits { network: network("2001:db8::/32") }),
        ] {
            // An empty length must not become 0, which is everybody.
            assert_eq!(text.parse::<Network>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_mapped_network_is_one_of_ipv4() {
        assert_eq!(network("::ffff:10.0.0.0/104"), network("10.0.0.0/8"));
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1/32"));
    }

    proptest! {
        #[test]
        fn a_network_holds_what_shares_its_prefix_and_prints_what_reads_back(address: u32, other: u32, length in 0_u8..=32) {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            let network = Network::new(IpAddr::V4((address & mask).into()), length).unwrap();
            prop_assert_eq!(network.to_string().parse(), Ok(network));
            prop_assert!(network.contains(IpAddr::V4(address.into())));
            prop_assert_eq!(network.contains(IpAddr::V4(other.into())), (address ^ other) & mask == 0);
        }

        #[test]
        fn the_same_in_ipv6(address: u128, other: u128, length in 0_u8..=128) {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            let (base, other) = (Ipv6Addr::from_bits(address & mask), Ipv6Addr::from_bits(other));
            prop_assume!(base.to_ipv4_mapped().is_none() && other.to_ipv4_mapped().is_none());
            let network = Network::new(base.into(), length).unwrap();
            prop_assert_eq!(network.to_string().parse(), Ok(network));
            prop_assert_eq!(network.contains(other.into()), (address ^ other.to_bits()) & mask == 0);
        }
    }
}
