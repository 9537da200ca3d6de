use super::*;
use crate::ntp::packet::{ReferenceId, WireTimestamp};
use crate::time::Timestamp;
use proptest::prelude::*;

const NONCE: u64 = 0x0123_4567_89ab_cdef;
const T1: RawInstant = RawInstant::from_nanos(5_000_000_000);
const T4: RawInstant = RawInstant::from_nanos(5_002_000_000);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// What a healthy server answers a millisecond after T1 at this time.
fn reply_at(received: Timestamp) -> Header {
    Header {
        leap: Leap::None,
        version: 4,
        mode: 4,
        stratum: 2,
        poll: 6,
        precision: -23,
        root_delay: Duration::from_millis(3),
        root_dispersion: Duration::from_millis(2),
        reference_id: ReferenceId::from_bytes([192, 0, 2, 1]),
        reference: WireTimestamp::from_timestamp(received - SignedDuration::from_secs(10)),
        origin: WireTimestamp(NONCE),
        receive: WireTimestamp::from_timestamp(received),
        transmit: WireTimestamp::from_timestamp(received + SignedDuration::from_micros(100)),
    }
}

fn healthy() -> Header {
    reply_at(at("2026-11-22T12:00:00Z"))
}

fn travel(t4: RawInstant, local: Option<IpAddr>) -> Travel {
    Travel { t1: T1, t4, reception: Reception::Process, local }
}

fn judge_from(header: &Header, local: Option<IpAddr>) -> Result<Reply, SourceError> {
    let request = Request::new(NONCE).unwrap();
    request.judge(&header.to_bytes(), &travel(T4, local), &ReplyLimits::default(), MaxDrift::default())
}

fn judge(header: &Header) -> Result<Reply, SourceError> {
    judge_from(header, None)
}

#[test]
fn a_request_with_another_nonce_is_as_if_it_was_built_with_it() {
    let (built, made) = (Request::new(NONCE).unwrap(), Request::new(1).unwrap().with_nonce(NONCE));
    assert_eq!(built.bytes(), made.bytes());
    assert_eq!(Header::from_bytes(made.bytes()).transmit.0, NONCE);
    // Right for this nonce, and a stray for the other; what sntpc compares is in it too.
    let reply = healthy().to_bytes();
    let judge = |request: &Request| {
        request.judge(&reply, &travel(T4, None), &ReplyLimits::default(), MaxDrift::default())
    };
    assert!(judge(&made).is_ok());
    assert_eq!(judge(&made), judge(&built));
    assert!(judge(&made.with_nonce(1)).is_err());
}

#[test]
fn the_true_time_does_not_travel() {
    let request = Request::new(NONCE).unwrap();
    assert_eq!(Header::from_bytes(&request.bytes).origin, WireTimestamp(0));
    assert_eq!(request.bytes[40..], NONCE.to_be_bytes());
    assert_eq!(request.bytes[0], 0b00_100_011, "version 4, client");
    assert!(request.bytes[1..40].iter().all(|&byte| byte == 0), "nothing else of this host");
}

#[test]
fn a_healthy_reply_gives_a_sample_around_the_truth() {
    let reply = judge(&healthy()).unwrap();
    assert_eq!(reply.sample.anchor, T4);
    assert_eq!(
        reply.sample.delay,
        SignedDuration::from_nanos(1_900_001),
        "100 µs are not a whole number of 2⁻³² s"
    );
    // The server's clock showed 12:00 somewhere between T1 and T4.
    let at_t1 = at("2026-11-22T12:00:00Z") - Timestamp::from_unix_nanos(T1.as_nanos());
    assert!(reply.sample.bound.contains(at_t1 - SignedDuration::from_millis(1)));
    // δ/2 + rootdelay/2 + rootdisp: 0.95 + 1.5 + 2 ms, and up to 60 µs of small terms.
    let root_distance = reply.sample.bound.half_width();
    assert!(
        (Duration::from_micros(4_450)..Duration::from_micros(4_510)).contains(&root_distance),
        "{root_distance:?}"
    );
}

#[test]
fn every_refusal_has_its_reason() {
    type Case = (fn(&mut Header), SourceError);
    let second = Duration::from_secs(1);
    let cases: &[Case] = &[
        (|reply| reply.version = 2, Refusal::Version { version: 2 }.into()),
        (|reply| reply.version = 5, Refusal::Version { version: 5 }.into()),
        (|reply| reply.mode = 3, Refusal::Mode { mode: 3 }.into()),
        (|reply| reply.mode = 5, Refusal::Mode { mode: 5 }.into()),
        (
            |reply| reply.leap = Leap::Unsynchronised,
            SourceError::Unsynchronised { leap: Leap::Unsynchronised, stratum: 2 },
        ),
        (|reply| reply.stratum = 16, SourceError::Unsynchronised { leap: Leap::None, stratum: 16 }),
        // An unsynchronised chronyd: no kiss.
        (
            |reply| {
                reply.stratum = 0;
                reply.leap = Leap::Unsynchronised;
                reply.reference_id = ReferenceId::from_bytes([0; 4]);
            },
            SourceError::Unsynchronised { leap: Leap::Unsynchronised, stratum: 0 },
        ),
        (
            |reply| {
                reply.stratum = 0;
                reply.reference_id = ReferenceId::from_bytes(*b"INIT");
            },
            SourceError::Unsynchronised { leap: Leap::None, stratum: 0 },
        ),
        (|reply| reply.receive = WireTimestamp(0), Refusal::ZeroTimestamp { which: "receive" }.into()),
        (|reply| reply.transmit = WireTimestamp(0), Refusal::ZeroTimestamp { which: "transmit" }.into()),
        (
            |reply| reply.receive.0 += 1 << 32,
            Refusal::TransmitBeforeReceive { by: Duration::from_nanos(999_900_001) }.into(),
        ),
        (
            |reply| reply.transmit.0 += 20 << 32,
            Refusal::HoldTooLong { hold: Duration::from_nanos(20_000_099_999), max: second * 4 }.into(),
        ),
        (|reply| reply.transmit.0 += 1 << 32, Refusal::NegativeDelay { delay_ns: -998_099_999 }.into()),
        (|reply| reply.precision = 1, Refusal::Precision { precision: 1 }.into()),
        (
            |reply| reply.root_delay = Duration::from_secs(20),
            Refusal::RootDelay { root_delay: second * 20, max: second }.into(),
        ),
        (
            |reply| reply.root_dispersion = Duration::from_secs(2),
            Refusal::RootDispersion { root_dispersion: second * 2, max: second }.into(),
        ),
        (|reply| reply.reference.0 = reply.transmit.0 + 1, Refusal::ReferenceInFuture.into()),
    ];
    for (index, (spoil, reason)) in cases.iter().enumerate() {
        let mut reply = healthy();
        spoil(&mut reply);
        assert_eq!(judge(&reply), Err(reason.clone()), "case {index}");
    }
}

#[test]
fn a_slow_raw_clock_and_a_long_hold_make_a_small_negative_delay() {
    // 90 ppm slow, held for 3.5 s: the raw clock counts 315 µs less than the server, the path takes 100 µs.
    let mut reply = healthy();
    reply.transmit =
        WireTimestamp::from_timestamp(at("2026-11-22T12:00:00Z") + SignedDuration::from_millis(3_500));
    let t4 = T1 + SignedDuration::from_micros(3_500_100 - 315);
    let request = Request::new(NONCE).unwrap();
    let judged =
        request.judge(&reply.to_bytes(), &travel(t4, None), &ReplyLimits::default(), MaxDrift::default());
    assert!(judged.unwrap().sample.delay.is_negative());
}

#[test]
fn a_root_distance_over_the_limit_is_refused() {
    let mut reply = healthy();
    reply.root_delay = Duration::from_secs(1);
    reply.root_dispersion = Duration::from_secs(1);
    // 0.5 + 1 s, and a little.
    assert!(matches!(judge(&reply), Err(SourceError::Refused(Refusal::RootDistance { .. }))));
}

fn read(header: &Header) -> Result<Reply, SourceError> {
    let request = Request::new(NONCE).unwrap();
    request.read_clock(&header.to_bytes(), &travel(T4, None), &ReplyLimits::default(), MaxDrift::default())
}

#[test]
fn a_clock_is_read_whatever_its_server_believes() {
    let healthy = healthy();
    let narrow = read(&healthy).unwrap().sample.bound;
    let zero = WireTimestamp(0);
    for odd in [
        Header {
            leap: Leap::Unsynchronised,
            stratum: 0,
            reference_id: ReferenceId::from_bytes([0; 4]),
            ..healthy
        },
        Header { stratum: 16, ..healthy },
        Header { stratum: 255, ..healthy },
        Header {
            root_delay: Duration::from_secs(60_000),
            root_dispersion: Duration::from_secs(60_000),
            ..healthy
        },
        Header { reference: WireTimestamp(u64::MAX), ..healthy },
        Header { reference: zero, ..healthy },
        // Decades off, either way.
        reply_at(at("2030-01-01T00:00:00Z")),
        reply_at(at("2100-01-01T00:00:00Z")),
    ] {
        let sample = read(&odd).unwrap().sample;
        assert_eq!(sample.bound.half_width(), narrow.half_width(), "{odd:?}");
    }
    // The way took 2 ms less a tenth: no root distance is in it.
    assert!(narrow.half_width() < Duration::from_micros(955), "{narrow:?}");
    for malformed in [
        Header { version: 2, ..healthy },
        Header { mode: 3, ..healthy },
        Header { precision: 1, ..healthy },
        Header { receive: zero, ..healthy },
        Header { transmit: zero, ..healthy },
        Header { receive: healthy.transmit, transmit: healthy.receive, ..healthy },
        Header { stratum: 0, reference_id: ReferenceId::from_bytes(*b"RATE"), ..healthy },
        Header { origin: WireTimestamp(NONCE ^ 1), ..healthy },
    ] {
        assert!(read(&malformed).is_err(), "{malformed:?}");
    }
}

/// To sntpc, which compares timestamps as they are on the wire, a reference at the receive timestamp would lie after the transmission.
#[test]
fn a_clock_is_read_whose_timestamps_are_one_nanosecond_or_lie_on_both_sides_of_an_era() {
    let mut header = healthy();
    header.receive.0 += 2;
    header.transmit.0 = header.receive.0 - 1;
    read(&header).unwrap();
    let header = reply_at(at("2036-02-07T06:28:15.99995Z"));
    assert!(header.transmit.0 < header.receive.0);
    read(&header).unwrap();
}

#[test]
fn kisses_are_known_by_stratum_and_code() {
    for (code, kiss) in [(*b"RATE", KissCode::Rate), (*b"DENY", KissCode::Deny), (*b"RSTR", KissCode::Rstr)] {
        let mut reply = healthy();
        reply.stratum = 0;
        reply.leap = Leap::Unsynchronised;
        reply.reference_id = ReferenceId::from_bytes(code);
        assert_eq!(judge(&reply), Err(SourceError::Kiss(kiss)));
        // The same four letters at another stratum are an address.
        reply.stratum = 2;
        reply.leap = Leap::None;
        assert!(judge(&reply).is_ok());
    }
}

#[test]
fn a_server_that_follows_this_host_is_refused() {
    let own: IpAddr = [192, 0, 2, 1].into();
    assert_eq!(judge_from(&healthy(), Some(own)), Err(Refusal::ReferenceLoop { address: own }.into()));
    assert!(judge_from(&healthy(), Some([192, 0, 2, 2].into())).is_ok());
    let mut local_clock = healthy();
    local_clock.reference_id = ReferenceId::from_bytes([127, 0, 0, 1]);
    assert!(judge_from(&local_clock, Some([127, 0, 0, 1].into())).is_ok());
}

#[test]
fn a_server_that_follows_this_hosts_ipv6_address_is_refused() {
    // The hash of the second begins like a loopback address.
    for (own, hash) in [("2001:db8::1", [0x39, 0xab, 0x9b, 0x37]), ("2001:db8::b3", [127, 194, 81, 155])] {
        let own: IpAddr = own.parse().unwrap();
        let mut reply = healthy();
        reply.reference_id = ReferenceId::from_bytes(hash);
        assert_eq!(judge_from(&reply, Some(own)), Err(Refusal::ReferenceLoop { address: own }.into()));
        assert!(judge_from(&reply, Some("2001:db8::2".parse().unwrap())).is_ok());
        assert!(judge_from(&reply, None).is_ok());
        // At stratum 1 these four bytes are a name.
        reply.stratum = 1;
        assert!(judge_from(&reply, Some(own)).is_ok());
    }
    // ::1 is every host's.
    let mut neighbour = healthy();
    neighbour.reference_id = ReferenceId::from_bytes([0xcf, 0x40, 0x4d, 0xc8]);
    assert!(judge_from(&neighbour, Some("::1".parse().unwrap())).is_ok());
}

#[test]
fn what_is_just_within_the_limits_is_accepted() {
    let within: &[fn(&mut Header)] = &[
        |reply| reply.stratum = 1,
        |reply| reply.stratum = 15,
        |reply| reply.precision = 0,
        |reply| reply.root_delay = Duration::from_secs(1),
        |reply| reply.root_dispersion = Duration::from_secs(1),
        |reply| reply.reference = reply.transmit,
    ];
    for (index, change) in within.iter().enumerate() {
        let mut reply = healthy();
        change(&mut reply);
        assert!(judge(&reply).is_ok(), "case {index}: {:?}", judge(&reply));
    }
    // A hold of 4 s, to the 2⁻³² s that the wire can say.
    let (mut reply, request) = (healthy(), Request::new(NONCE).unwrap());
    reply.transmit.0 = reply.receive.0 + (4 << 32);
    let travel = travel(T1 + SignedDuration::from_secs(5), None);
    let judged = |reply: &Header| {
        request.judge(&reply.to_bytes(), &travel, &ReplyLimits::default(), MaxDrift::default())
    };
    assert!(judged(&reply).is_ok(), "{:?}", judged(&reply));
    reply.transmit.0 += 1 << 12;
    assert!(matches!(judged(&reply), Err(SourceError::Refused(Refusal::HoldTooLong { .. }))));
}

#[test]
fn version_3_and_an_absent_reference_time_are_fine() {
    let mut reply = healthy();
    reply.version = 3;
    reply.reference = WireTimestamp(0);
    assert!(judge(&reply).is_ok());
}

#[test]
fn a_host_that_believes_it_is_1970_understands_every_era() {
    // Nothing here knows the local date: T1 is 5 s on the raw timeline, and only the wire says the rest.
    for date in [
        "2026-11-02T00:00:00Z",
        "2036-02-07T06:28:15Z",
        "2036-02-07T06:28:17Z",
        "2094-11-01T00:00:00Z",
        "2162-01-01T00:00:00Z",
    ] {
        let now = at(date);
        let reply = judge(&reply_at(now)).unwrap_or_else(|error| panic!("{date}: {error}"));
        let there = reply.sample.bound.midpoint() + (T4 - RawInstant::from_nanos(0));
        let seen = Timestamp::from_unix_nanos(there.as_nanos());
        assert!((seen - now).unsigned_abs() < Duration::from_millis(10), "{date}: {seen}");
    }
}

proptest! {
    /// Whatever a server answers, judging it ends in a reply or an error; a reply's bound is in order, and
    /// sntpc never contradicts what was accepted.
    #[test]
    fn any_reply_is_accepted_or_refused(bytes: [[u8; 16]; 3], flags in prop::option::of(0_u8..8), nanos in 0_i64..3_000_000_000) {
        let mut datagram = [0; HEADER_LENGTH];
        datagram.copy_from_slice(&bytes.concat());
        if let Some(leap_and_version) = flags {
            // Let more of them get past the first checks.
            datagram[0] = leap_and_version << 5 & 0b1100_0000 | 0b00_100_100;
            datagram[1] = datagram[1] % 15 + 1;
            datagram[3] = 0xe9;
            datagram[4..12].fill(0);
        }
        datagram[24..32].copy_from_slice(&NONCE.to_be_bytes());
        let t4 = T1 + SignedDuration::from_nanos(nanos);
        let request = Request::new(NONCE).unwrap();
        let judged = request.judge(&datagram, &travel(t4, None), &ReplyLimits::default(), MaxDrift::default());
        let defect = matches!(judged, Err(SourceError::Refused(Refusal::CrossCheck { .. } | Refusal::Sntpc { .. })));
        prop_assert!(!defect, "{judged:?}");
        let read = request.read_clock(&datagram, &travel(t4, None), &ReplyLimits::default(), MaxDrift::default());
        let defect = matches!(
            read,
            Err(SourceError::Refused(
                Refusal::CrossCheck { .. } | Refusal::Sntpc { .. } | Refusal::ReferenceInFuture
            ))
        );
        prop_assert!(!defect, "{read:?}");
        prop_assert!(judged.is_err() || read.is_ok(), "{read:?}");
    }

    /// The server's clock, at any time of any era, and any path: the truth is inside, and sntpc agrees.
    #[test]
    fn truth_is_inside_for_an_honest_server(
        seconds in 0_i64..(1 << 32) - 10,
        nanos in 0_i64..1_000_000_000,
        out in 0_i64..700_000_000,
        hold in 0_i64..700_000_000,
        back in 0_i64..700_000_000,
    ) {
        let received = at("2026-11-01T00:00:00Z") + SignedDuration::from_secs(seconds) + SignedDuration::from_nanos(nanos);
        let mut header = reply_at(received);
        let hold = SignedDuration::from_nanos(hold);
        header.transmit = WireTimestamp::from_timestamp(received + hold);
        header.reference = WireTimestamp(0);
        let t4 = T1 + SignedDuration::from_nanos(out) + hold + SignedDuration::from_nanos(back);
        let request = Request::new(NONCE).unwrap();
        let reply = request.judge(&header.to_bytes(), &travel(t4, None), &ReplyLimits::default(), MaxDrift::default());
        let reply = reply.unwrap_or_else(|error| panic!("{error}"));
        let truth = received + hold + SignedDuration::from_nanos(back);
        prop_assert!(reply.sample.bound.contains(truth - Timestamp::from_unix_nanos(t4.as_nanos())));
    }
}

#[test]
fn a_reply_to_another_request_is_a_stray() {
    let mut reply = healthy();
    reply.origin.0 ^= 1;
    assert_eq!(judge(&reply), Err(SourceError::OnlyStrays { datagrams: 1, stray: Stray::WrongNonce }));
}

#[test]
fn a_reference_that_was_set_before_an_era_began_is_none_of_the_future() {
    for after in ["2036-02-07T06:28:16.5Z", "2036-02-07T06:28:21Z", "2036-02-07T06:28:30Z"] {
        judge(&reply_at(at(after))).unwrap();
    }
    let mut header = reply_at(at("2036-02-07T06:28:21Z"));
    header.reference = WireTimestamp::from_timestamp(at("2036-02-07T06:28:22Z"));
    assert_eq!(judge(&header), Err(Refusal::ReferenceInFuture.into()));
}
