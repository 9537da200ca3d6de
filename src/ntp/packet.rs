//! The 48 bytes of an NTP header (RFC 5905 §7.3), and its number formats (§6).

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use md5::{Digest, Md5};

use crate::clock::Leap;
use crate::time::{SignedDuration, Timestamp};

/// The length of a header without extension fields.
pub const HEADER_LENGTH: usize = 48;

/// Wire timestamps hold 32 bits of seconds. They are taken to lie in the 2³² s that begin here, 2026-11-01,
/// never near what the local clock believes: a host that wakes up in 1970 understands replies from era 1.
pub(crate) const UNFOLD_FROM_UNIX_SECONDS: i64 = 1_793_491_200;

/// The Unix epoch in NTP's era 0, which began in 1900.
pub(super) const UNIX_EPOCH_IN_ERA_0: i64 = 2_208_988_800;

const ERA_SECONDS: i64 = 1 << 32;
const BILLION: u64 = 1_000_000_000;

/// What a header says. Nothing is judged yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The leap indicator.
    pub leap: Leap,
    /// The protocol's version.
    pub version: u8,
    /// 3 is a client's request, 4 a server's reply.
    pub mode: u8,
    /// Steps from a reference clock; 0 and 16 upwards mean none.
    pub stratum: u8,
    /// log₂ of the poll interval in seconds.
    pub poll: i8,
    /// log₂ of the clock's precision in seconds.
    pub precision: i8,
    /// Round trip to the reference clock.
    pub root_delay: Duration,
    /// The bound on the error, without that delay.
    pub root_dispersion: Duration,
    /// Who or what the server follows.
    pub reference_id: ReferenceId,
    /// When the server's clock was last set.
    pub reference: WireTimestamp,
    /// What the request carried as its transmit timestamp.
    pub origin: WireTimestamp,
    /// T2.
    pub receive: WireTimestamp,
    /// T3.
    pub transmit: WireTimestamp,
}

impl Header {
    /// Reads the first 48 bytes; `None` where there are fewer. What follows them (extension fields) is left alone.
    #[must_use]
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        datagram.first_chunk().map(Self::from_bytes)
    }

    /// Reads a header.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; HEADER_LENGTH]) -> Self {
        let word = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        let wire = |at: usize| {
            WireTimestamp(
                u64::from(u32::from_be_bytes(word(at))) << 32 | u64::from(u32::from_be_bytes(word(at + 4))),
            )
        };
        Self {
            leap: match bytes[0] >> 6 {
                0 => Leap::None,
                1 => Leap::Insert,
                2 => Leap::Delete,
                _ => Leap::Unsynchronised,
            },
            version: bytes[0] >> 3 & 0b111,
            mode: bytes[0] & 0b111,
            stratum: bytes[1],
            poll: bytes[2].cast_signed(),
            precision: bytes[3].cast_signed(),
            root_delay: from_short(u32::from_be_bytes(word(4))),
            root_dispersion: from_short(u32::from_be_bytes(word(8))),
            reference_id: ReferenceId(word(12)),
            reference: wire(16),
            origin: wire(24),
            receive: wire(32),
            transmit: wire(40),
        }
    }

    /// The 48 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LENGTH] {
        let leap = match self.leap {
            Leap::None => 0,
            Leap::Insert => 1,
            Leap::Delete => 2,
            Leap::Unsynchronised => 3,
        };
        let mut bytes = [0; HEADER_LENGTH];
        bytes[0] = leap << 6 | (self.version & 0b111) << 3 | self.mode & 0b111;
        bytes[1] = self.stratum;
        bytes[2] = self.poll.cast_unsigned();
        bytes[3] = self.precision.cast_unsigned();
        bytes[4..8].copy_from_slice(&to_short(self.root_delay).to_be_bytes());
        bytes[8..12].copy_from_slice(&to_short(self.root_dispersion).to_be_bytes());
        bytes[12..16].copy_from_slice(&self.reference_id.0);
        bytes[16..24].copy_from_slice(&self.reference.0.to_be_bytes());
        bytes[24..32].copy_from_slice(&self.origin.0.to_be_bytes());
        bytes[32..40].copy_from_slice(&self.receive.0.to_be_bytes());
        bytes[40..48].copy_from_slice(&self.transmit.0.to_be_bytes());
        bytes
    }

    /// ρ: 2^precision seconds, rounded up to a nanosecond. Saturates at 2³² s.
    #[must_use]
    pub fn precision_length(&self) -> Duration {
        let exponent = u32::from(self.precision.unsigned_abs());
        if self.precision >= 0 {
            Duration::from_secs(1 << exponent.min(32))
        } else {
            let nanos = BILLION.checked_shr(exponent).unwrap_or(0);
            Duration::from_nanos(nanos + 1)
        }
    }
}

/// The NTP short format, 16.16 bits of seconds (RFC 5905 §6), cut to nanoseconds.
fn from_short(short: u32) -> Duration {
    Duration::from_nanos((u64::from(short) * BILLION) >> 16)
}

/// Rounded up, saturating: a server never claims to be more exact than it is.
fn to_short(length: Duration) -> u32 {
    let units = (length.as_nanos() << 16).div_ceil(u128::from(BILLION));
    u32::try_from(units).unwrap_or(u32::MAX)
}

/// A timestamp as it travels: 32 bits of seconds in an era that is not said, 32 of fraction. Zero: unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireTimestamp(pub u64);

impl WireTimestamp {
    /// How it would be sent.
    #[must_use]
    pub fn from_timestamp(time: Timestamp) -> Self {
        let nanos = i128::from(time.as_unix_nanos()) + i128::from(UNIX_EPOCH_IN_ERA_0) * i128::from(BILLION);
        let units = (nanos << 32).div_euclid(i128::from(BILLION));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the wire cuts the era off"
        )]
        Self(units as u64)
    }

    /// True for the value that means "unknown".
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The point of UTC that it means: the one in the 2³² s from the release date of this crate on.
    #[must_use]
    pub fn unfold(self) -> Timestamp {
        let seconds = i64::from((self.0 >> 32) as u32) - UNIX_EPOCH_IN_ERA_0;
        let since_start = (seconds - UNFOLD_FROM_UNIX_SECONDS).rem_euclid(ERA_SECONDS);
        let fraction = ((self.0 & u64::from(u32::MAX)) * BILLION) >> 32;
        let start = Timestamp::from_unix_nanos(0) + SignedDuration::from_secs(UNFOLD_FROM_UNIX_SECONDS);
        start + SignedDuration::from_secs(since_start) + SignedDuration::from(Duration::from_nanos(fraction))
    }
}

/// Who or what a server follows. Its meaning depends on the stratum (RFC 5905 §7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReferenceId([u8; 4]);

impl ReferenceId {
    /// What chronyd names while it smears (`smoothtime`), and nothing else does.
    pub const CHRONY_SMEAR: Self = Self([127, 127, 1, 255]);

    /// What a server names that follows the one at `address`: an IPv4 address itself, and the first four bytes of
    /// the MD5 hash of an IPv6 address (RFC 5905 §7.3).
    ///
    /// ```
    /// use skewgate::ntp::ReferenceId;
    ///
    /// let upstream = ReferenceId::of_address("2001:db8::1".parse()?);
    /// assert_eq!(upstream.to_bytes(), [0x39, 0xab, 0x9b, 0x37]);
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    #[must_use]
    pub fn of_address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..]: [u8; 16] = Md5::digest(address.octets()).into();
                Self([a, b, c, d])
            }
        }
    }

    /// The four bytes as they travel.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// The four bytes as they travel.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        self.0
    }

    /// The address of the upstream server, as strata from 2 on have it. For an IPv6 upstream these are bytes
    /// of a hash, which look the same.
    #[must_use]
    pub const fn as_ipv4(self) -> Ipv4Addr {
        let [a, b, c, d] = self.0;
        Ipv4Addr::new(a, b, c, d)
    }

    /// For a reader. Strata 0 and 1 carry a name of up to four characters (a kiss code, a reference clock);
    /// from 2 on, and where that name is not made of letters, digits, `-`, `_` and `.`, four numbers with
    /// dots. Bytes from the network never get through as they are: they could drive a terminal.
    #[must_use]
    pub fn to_text(self, stratum: u8) -> String {
        let length = self.0.iter().position(|&byte| byte == 0).unwrap_or(self.0.len());
        let (name, rest) = self.0.split_at(length);
        let plain = name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte));
        if stratum < 2 && !name.is_empty() && plain && rest.iter().all(|&byte| byte == 0) {
            name.iter().copied().map(char::from).collect()
        } else {
            self.as_ipv4().to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RELEASE: i64 = UNFOLD_FROM_UNIX_SECONDS;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds).unwrap()
    }

    #[test]
    fn era_1_is_understood() {
        // The first second of era 1: 2036-02-07T06:28:16Z (RFC 5905, figure 4).
        let rollover = WireTimestamp(1 << 32);
        assert_eq!(WireTimestamp(1).unfold().as_unix_seconds(), 2_085_978_496);
        assert_eq!(rollover.unfold().to_string(), "2036-02-07T06:28:17.000000000Z");
    }

    #[test]
    fn the_release_date_is_the_first_second_that_can_be_told() {
        assert_eq!(WireTimestamp::from_timestamp(at(RELEASE)).unfold(), at(RELEASE));
        assert_eq!(WireTimestamp::from_timestamp(at(RELEASE - 1)).unfold(), at(RELEASE - 1 + ERA_SECONDS));
    }

    #[test]
    fn ipv6_upstreams_are_named_by_their_hash() {
        // python3: hashlib.md5(ipaddress.ip_address(text).packed).hexdigest()
        for (address, bytes) in [
            ("192.0.2.1", [192, 0, 2, 1]),
            ("::ffff:192.0.2.1", [192, 0, 2, 1]),
            ("2001:db8::1", [0x39, 0xab, 0x9b, 0x37]),
            ("2001:db8::b3", [0x7f, 0xc2, 0x51, 0x9b]),
            ("fe80::1", [0x89, 0xe5, 0x30, 0x1f]),
            ("::1", [0xcf, 0x40, 0x4d, 0xc8]),
        ] {
            assert_eq!(ReferenceId::of_address(address.parse().unwrap()).to_bytes(), bytes, "{address}");
        }
    }

    #[test]
    fn hostile_reference_ids_are_shown_as_numbers() {
        for (bytes, stratum, text) in [
            (*b"GPS\0", 1, "GPS"),
            (*b"RATE", 0, "RATE"),
            (*b"GPS\0", 2, "71.80.83.0"),
            ([127, 127, 1, 1], 3, "127.127.1.1"),
            (*b"\x1b[2J", 1, "27.91.50.74"),
            (*b"<b>\0", 1, "60.98.62.0"),
            (*b"A\0B\0", 1, "65.0.66.0"),
            ([0; 4], 0, "0.0.0.0"),
        ] {
            assert_eq!(ReferenceId::from_bytes(bytes).to_text(stratum), text);
        }
    }

    #[test]
    fn precisions_at_both_ends() {
        let mut header = Header::parse(&[0; 48]).unwrap();
        for (precision, length) in [
            (0, Duration::from_secs(1)),
            (-20, Duration::from_nanos(954)),
            (i8::MIN, Duration::from_nanos(1)),
            (i8::MAX, Duration::from_secs(1 << 32)),
        ] {
            header.precision = precision;
            assert_eq!(header.precision_length(), length);
        }
    }

    #[test]
    fn forty_seven_bytes_are_no_header() {
        assert_eq!(Header::parse(&[0; 47]), None);
    }

    proptest! {
        #[test]
        fn bytes_read_and_written_again_are_the_same(bytes: [[u8; 16]; 3]) {
            let bytes = bytes.concat();
            let header = Header::parse(&bytes).unwrap();
            // Short formats are cut to nanoseconds and rounded up again: within one place.
            let again = header.to_bytes();
            prop_assert_eq!(&again[..4], &bytes[..4]);
            prop_assert_eq!(&again[12..], &bytes[12..]);
            prop_assert_eq!(Header::parse(&again).map(|header| header.stratum), Some(header.stratum));
        }

        #[test]
        fn short_formats_survive(short: u32) {
            prop_assert_eq!(to_short(from_short(short)), short);
        }

        #[test]
        fn timestamps_survive_to_the_nanosecond(seconds in RELEASE..RELEASE + ERA_SECONDS, nanos in 0_i64..1_000_000_000) {
            let time = at(seconds) + SignedDuration::from_nanos(nanos);
            let back = WireTimestamp::from_timestamp(time).unfold();
            prop_assert!((time - back).as_nanos() <= 1 && time >= back);
        }
    }
}
