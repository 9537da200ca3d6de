//! What is decided, without a socket.

use std::net::SocketAddr;

use super::service::{Decision, Door, measure_precision, rate_kiss};
use super::{AllowList, Announcement, RateLimit};
use crate::clock::Leap;
use crate::ntp::KissCode;
use crate::ntp::packet::{Header, WireTimestamp};
use crate::time::os::OsClock;
use crate::time::{LocalClock, RawInstant, SignedDuration, SystemReading, Timestamp};

const NOW: RawInstant = RawInstant::from_nanos(0);
const NOON: Timestamp = Timestamp::from_unix_nanos(1_800_000_000_000_000_000);

fn home() -> SocketAddr {
    ([127, 0, 0, 1], 40_000).into()
}

fn request(first_byte: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![0x5a; length];
    if let Some(first) = bytes.first_mut() {
        *first = first_byte;
    }
    bytes
}

fn door() -> Door {
    Door::new(AllowList::default(), None)
}

fn parsed(first_byte: u8) -> Header {
    Header::parse(&request(first_byte, 48)).unwrap()
}

#[test]
fn of_all_leap_indicators_versions_and_modes_clients_of_3_and_4_are_answered() {
    for first_byte in 0..=u8::MAX {
        let client = first_byte & 0b111 == 3 && matches!(first_byte >> 3 & 0b111, 3 | 4);
        let decision = door().judge(&request(first_byte, 48), home(), NOW);
        let expected = if client { Decision::Answer(parsed(first_byte)) } else { Decision::Malformed };
        assert_eq!(decision, expected, "{first_byte:#010b}");
    }
}

#[test]
fn what_is_short_or_comes_from_nowhere_is_no_request() {
    for length in 0..48 {
        assert_eq!(door().judge(&request(0x23, length), home(), NOW), Decision::Malformed, "{length}");
    }
    let unreachable = SocketAddr::new(home().ip(), 0);
    assert_eq!(door().judge(&request(0x23, 48), unreachable, NOW), Decision::Malformed);
}

#[test]
fn who_is_not_allowed_is_denied_before_anything_else_and_uses_up_nothing() {
    let stranger: SocketAddr = ([192, 0, 2, 1], 123).into();
    let mut door = Door::new(AllowList::default(), Some(RateLimit::default()));
    for _ in 0..20 {
        assert_eq!(door.judge(&request(0x23, 48), stranger, NOW), Decision::Denied);
    }
    // Neither do datagrams that are no requests: a forger of garbage would mute an honest client.
    for _ in 0..20 {
        assert_eq!(door.judge(&request(0x24, 48), home(), NOW), Decision::Malformed);
    }
    assert!(matches!(door.judge(&request(0x23, 48), home(), NOW), Decision::Answer(_)));
}

#[test]
fn a_reply_is_what_was_announced() {
    let announcement = Announcement::synchronised(4)
        .unwrap()
        .with_root_dispersion(std::time::Duration::from_millis(20))
        .with_root_delay(std::time::Duration::from_millis(3));
    for (first_byte, version) in [(0x1b, 3), (0x23, 4), (0xe3, 4)] {
        let asked = parsed(first_byte);
        let reply = announcement.reply(&asked, NOON, -22);
        assert_eq!((reply.leap, reply.version, reply.mode, reply.stratum), (Leap::None, version, 4, 4));
        assert_eq!((reply.origin, reply.poll, reply.precision), (asked.transmit, asked.poll, -22));
        assert_eq!((reply.root_dispersion.as_millis(), reply.root_delay.as_millis()), (20, 3));
        assert_eq!(reply.reference_id.to_text(reply.stratum), "127.127.1.1");
        assert_eq!(reply.receive.unfold(), NOON);
        assert!(!reply.reference.is_zero());
    }
    assert_eq!(
        Announcement::synchronised(1).unwrap().reply(&parsed(0x23), NOON, 0).reference_id.to_text(1),
        "LOCL"
    );
    for no_stratum in [0, 16, 255] {
        assert_eq!(Announcement::synchronised(no_stratum), None);
    }
}

#[test]
fn unsynchronised_is_no_kiss_and_a_kiss_is_one() {
    let reply = Announcement::unsynchronised().reply(&parsed(0x23), NOON, -22);
    assert_eq!((reply.leap, reply.stratum), (Leap::Unsynchronised, 0));
    assert_eq!(KissCode::from_reference_id(reply.reference_id), None);
    assert_eq!(reply.reference, WireTimestamp::default());
    assert_eq!(reply.receive.unfold(), NOON, "the clock can be read all the same");
    let kiss = rate_kiss(&parsed(0x1b), NOON, -22);
    assert_eq!(KissCode::from_reference_id(kiss.reference_id), Some(KissCode::Rate));
    assert_eq!((kiss.leap, kiss.stratum, kiss.version), (Leap::Unsynchronised, 0, 3));
    assert_eq!(kiss.origin, parsed(0x1b).transmit, "or no client would believe it");
}

/// A clock whose readings are this far apart.
struct Ticking(std::sync::atomic::AtomicI64, i64);

impl LocalClock for Ticking {
    fn raw(&self) -> RawInstant {
        NOW
    }
    fn suspended(&self) -> SignedDuration {
        SignedDuration::ZERO
    }
    fn system(&self) -> SystemReading {
        let nanos = self.0.fetch_add(self.1, std::sync::atomic::Ordering::Relaxed);
        SystemReading {
            before: NOW,
            realtime: Timestamp::from_unix_nanos(nanos),
            boottime: SignedDuration::ZERO,
            after: NOW,
        }
    }
}

#[test]
fn a_precision_is_never_better_than_the_clock() {
    // 2⁻²⁰ s is 953.7 ns, 2⁻⁷ s is 7.8125 ms.
    for (step, precision) in [
        (0, -29),
        (1, -29),
        (2, -28),
        (953, -20),
        (954, -19),
        (7_812_500, -7),
        (7_812_501, -6),
        (2_000_000_000, 0),
    ] {
        assert_eq!(measure_precision(&Ticking(0.into(), step)), precision, "{step} ns");
    }
    let real = measure_precision(&OsClock);
    assert!((-27..=-16).contains(&real), "{real}");
}
