//! Every reason to refuse a reply, from the bytes on the wire to the report: scripted servers on loopback.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::thread::JoinHandle;
use std::time::Duration;

use skewgate::clock::{Leap, NoEstimate};
use skewgate::ntp::{
    Header, KissCode, Measurement, Options, Pace, ReferenceId, Refusal, ReplyLimits, Responder, Script,
    Source, SourceError, Verdict, Warning, WireTimestamp, measure,
};
use skewgate::time::{LocalClock, os::OsClock};

fn options() -> Options {
    let pace = Pace {
        samples: 2,
        interval: Duration::from_millis(5),
        timeout: Duration::from_secs(1),
        ..Pace::default()
    };
    Options { pace, allow_single: true, ..Options::default() }
}

/// An honest server whose replies are spoiled in one way.
fn spoiled(spoil: fn(&mut Header)) -> Responder {
    let script = Script::rewriting(move |mut reply, _| {
        spoil(&mut reply);
        vec![reply.to_bytes().to_vec()]
    });
    Responder::spawn(([127, 0, 0, 1], 0).into(), script, OsClock).expect("a port on loopback")
}

fn ask_with(server: &Responder, options: &Options) -> Measurement {
    measure(&[Source::new(server.address().into())], options, &OsClock).expect("rules that make sense")
}

fn ask(server: &Responder) -> Measurement {
    ask_with(server, &options())
}

const SECOND: u64 = 1 << 32;

#[test]
fn every_refusal_reaches_the_report_with_its_reason() {
    use SourceError::{Refused, Unsynchronised};
    type Case = (fn(&mut Header), fn(&SourceError) -> bool, Verdict);
    let cases: &[Case] = &[
        (
            |reply| reply.version = 2,
            |error| *error == Refused(Refusal::Version { version: 2 }),
            Verdict::Rejected,
        ),
        (
            |reply| reply.version = 5,
            |error| *error == Refused(Refusal::Version { version: 5 }),
            Verdict::Rejected,
        ),
        // A request sent back, and a broadcast.
        (|reply| reply.mode = 3, |error| *error == Refused(Refusal::Mode { mode: 3 }), Verdict::Rejected),
        (|reply| reply.mode = 5, |error| *error == Refused(Refusal::Mode { mode: 5 }), Verdict::Rejected),
        (
            |reply| reply.leap = Leap::Unsynchronised,
            |error| *error == Unsynchronised { leap: Leap::Unsynchronised, stratum: 2 },
            Verdict::Unsynchronised,
        ),
        (
            |reply| reply.stratum = 16,
            |error| *error == Unsynchronised { leap: Leap::None, stratum: 16 },
            Verdict::Unsynchronised,
        ),
        (
            |reply| reply.stratum = 255,
            |error| *error == Unsynchronised { leap: Leap::None, stratum: 255 },
            Verdict::Unsynchronised,
        ),
        // Stratum 0 without a code that asks for anything; NTSN is none where there is no NTS.
        (
            |reply| (reply.stratum, reply.reference_id) = (0, ReferenceId::from_bytes(*b"INIT")),
            |error| *error == Unsynchronised { leap: Leap::None, stratum: 0 },
            Verdict::Unsynchronised,
        ),
        (
            |reply| (reply.stratum, reply.reference_id) = (0, ReferenceId::from_bytes(*b"NTSN")),
            |error| *error == Unsynchronised { leap: Leap::None, stratum: 0 },
            Verdict::Unsynchronised,
        ),
        (
            |reply| (reply.stratum, reply.reference_id) = (0, ReferenceId::from_bytes([0; 4])),
            |error| *error == Unsynchronised { leap: Leap::None, stratum: 0 },
            Verdict::Unsynchronised,
        ),
        (
            |reply| reply.receive = WireTimestamp(0),
            |error| *error == Refused(Refusal::ZeroTimestamp { which: "receive" }),
            Verdict::Rejected,
        ),
        (
            |reply| reply.transmit = WireTimestamp(0),
            |error| *error == Refused(Refusal::ZeroTimestamp { which: "transmit" }),
            Verdict::Rejected,
        ),
        (
            |reply| reply.receive.0 += SECOND,
            |error| matches!(error, Refused(Refusal::TransmitBeforeReceive { .. })),
            Verdict::Rejected,
        ),
        (
            |reply| reply.transmit.0 += 5 * SECOND,
            |error| matches!(error, Refused(Refusal::HoldTooLong { .. })),
            Verdict::Rejected,
        ),
        (
            |reply| reply.transmit.0 += 3 * SECOND,
            |error| matches!(error, Refused(Refusal::NegativeDelay { .. })),
            Verdict::Rejected,
        ),
        (
            |reply| reply.precision = 1,
            |error| *error == Refused(Refusal::Precision { precision: 1 }),
            Verdict::Rejected,
        ),
        (
            |reply| reply.root_delay = Duration::from_millis(1_001),
            |error| matches!(error, Refused(Refusal::RootDelay { .. })),
            Verdict::Rejected,
        ),
        (
            |reply| reply.root_dispersion = Duration::from_millis(1_001),
            |error| matches!(error, Refused(Refusal::RootDispersion { .. })),
            Verdict::Rejected,
        ),
        (
            |reply| {
                (reply.root_delay, reply.root_dispersion) = (Duration::from_secs(1), Duration::from_secs(1))
            },
            |error| matches!(error, Refused(Refusal::RootDistance { .. })),
            Verdict::Rejected,
        ),
        (
            |reply| reply.reference.0 = reply.transmit.0 + SECOND,
            |error| *error == Refused(Refusal::ReferenceInFuture),
            Verdict::Rejected,
        ),
    ];
    for (index, (spoil, is_meant, verdict)) in cases.iter().enumerate() {
        let server = spoiled(*spoil);
        let measurement = ask(&server);
        let report = &measurement.reports[0];
        assert!(report.error.as_ref().is_some_and(is_meant), "case {index}: {:?}", report.error);
        assert_eq!(report.verdict, Some(*verdict), "case {index}");
        assert!(report.bound.is_none() && report.offset.is_none() && report.vote().is_none(), "case {index}");
        assert!(report.header.is_some(), "case {index}: what was refused is shown");
        assert_eq!(server.requests(), 1, "case {index}: a refusal ends the asking");
        assert_eq!(measurement.estimate, Err(NoEstimate::NothingUsable { configured: 1 }), "case {index}");
    }
}

#[test]
fn the_limits_can_be_set() {
    let far = spoiled(|reply| {
        (reply.root_delay, reply.root_dispersion) = (Duration::from_secs(3), Duration::from_secs(2));
    });
    let patient = ReplyLimits {
        max_root_delay: Duration::from_secs(4),
        max_root_dispersion: Duration::from_secs(4),
        max_root_distance: Duration::from_secs(4),
        ..ReplyLimits::default()
    };
    let measurement = ask_with(&far, &Options { reply_limits: patient, ..options() });
    assert_eq!(measurement.reports[0].error, None);
    assert!(measurement.reports[0].offset.expect("an offset").half_width() >= Duration::from_millis(3_500));

    let plain = spoiled(|_| {});
    for (limits, is_meant) in [
        (
            ReplyLimits { max_root_delay: Duration::ZERO, ..ReplyLimits::default() },
            (|refusal| matches!(refusal, Refusal::RootDelay { .. })) as fn(&Refusal) -> bool,
        ),
        (ReplyLimits { max_root_dispersion: Duration::ZERO, ..ReplyLimits::default() }, |refusal| {
            matches!(refusal, Refusal::RootDispersion { .. })
        }),
        (ReplyLimits { max_root_distance: Duration::ZERO, ..ReplyLimits::default() }, |refusal| {
            matches!(refusal, Refusal::RootDistance { .. })
        }),
        (ReplyLimits { max_hold: Duration::ZERO, ..ReplyLimits::default() }, |refusal| {
            matches!(refusal, Refusal::HoldTooLong { .. })
        }),
    ] {
        let error = ask_with(&plain, &Options { reply_limits: limits, ..options() }).reports[0].error.clone();
        assert!(matches!(&error, Some(SourceError::Refused(refusal)) if is_meant(refusal)), "{error:?}");
    }
}

#[test]
fn kisses_of_other_requests_are_skipped() {
    // Before each right reply somebody off the path sends a kiss: he knows the addresses and not the nonce.
    for code in [*b"RATE", *b"DENY", *b"RSTR"] {
        let script = Script::rewriting(move |reply, _| {
            let mut kiss = reply;
            (kiss.stratum, kiss.leap, kiss.reference_id) =
                (0, Leap::Unsynchronised, ReferenceId::from_bytes(code));
            kiss.origin.0 ^= 1;
            vec![kiss.to_bytes().to_vec(), reply.to_bytes().to_vec()]
        });
        let server =
            Responder::spawn(([127, 0, 0, 1], 0).into(), script, OsClock).expect("a port on loopback");
        let measurement = ask(&server);
        assert_eq!(measurement.reports[0].error, None);
        assert_eq!(measurement.reports[0].bound.expect("a bound").samples, 2);
    }
}

#[test]
fn a_kiss_is_one_whatever_else_it_says() {
    // Servers fill in the rest as they like: no times, no leap indicator, an absurd root delay.
    let kissing = spoiled(|reply| {
        *reply = Header {
            leap: Leap::None,
            stratum: 0,
            reference_id: ReferenceId::from_bytes(*b"RATE"),
            receive: WireTimestamp(0),
            transmit: WireTimestamp(0),
            root_delay: Duration::from_secs(20),
            ..*reply
        };
    });
    assert_eq!(ask(&kissing).reports[0].error, Some(SourceError::Kiss(KissCode::Rate)));
}

#[test]
fn an_old_or_absent_reference_time_is_a_warning() {
    for (spoil, stale) in [
        ((|reply| reply.reference = WireTimestamp(0)) as fn(&mut Header), true),
        (|reply| reply.reference.0 = reply.transmit.0 - 90_000 * SECOND, true),
        (|reply| reply.reference.0 = reply.transmit.0 - 80_000 * SECOND, false),
    ] {
        let measurement = ask(&spoiled(spoil));
        assert!(measurement.estimate.is_ok());
        let warned =
            measurement.warnings.iter().any(|warning| matches!(warning, Warning::StaleReference { .. }));
        assert_eq!(warned, stale, "{:?}", measurement.warnings);
    }
}

/// A server at this address that names `reference_id` as its upstream, for one request.
fn follower(address: IpAddr, reference_id: ReferenceId) -> (SocketAddr, JoinHandle<()>) {
    let socket = UdpSocket::bind((address, 0)).expect("a port at an address of this host");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout that is not zero");
    let here = socket.local_addr().expect("the address of a bound socket");
    let thread = std::thread::spawn(move || {
        let mut bytes = [0; 48];
        let (_, from) = socket.recv_from(&mut bytes).expect("a request");
        let request = Header::from_bytes(&bytes);
        let now = WireTimestamp::from_timestamp(OsClock.system().realtime);
        let reply = Header {
            mode: 4,
            stratum: 3,
            precision: -20,
            reference_id,
            reference: now,
            origin: request.transmit,
            receive: now,
            transmit: now,
            ..request
        };
        socket.send_to(&reply.to_bytes(), from).expect("a reply");
    });
    (here, thread)
}

/// The address that this host has towards another network, where it has one. Nothing is sent.
fn own_address(towards: &str) -> Option<IpAddr> {
    let towards: SocketAddr = towards.parse().expect("an address");
    let any: IpAddr = if towards.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(towards).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|address| !address.is_loopback())
}

#[test]
fn a_server_that_follows_this_host_is_refused() {
    let options = Options { pace: Pace { samples: 1, ..options().pace }, ..options() };
    let asked = |address, reference_id| {
        let (server, thread) = follower(address, reference_id);
        let measurement = measure(&[Source::new(server.into())], &options, &OsClock).expect("rules");
        thread.join().expect("a server that was asked");
        measurement.reports[0].error.clone()
    };
    // Loopback is everybody's.
    for loopback in ["127.0.0.1", "::1"].map(|text| text.parse::<IpAddr>().expect("an address")) {
        assert_eq!(asked(loopback, ReferenceId::of_address(loopback)), None, "{loopback}");
    }
    // A host without any network has no address that anybody could follow.
    let own = [own_address("198.51.100.1:123"), own_address("[2001:db8::1]:123")];
    for own in own.into_iter().flatten() {
        let refused = Some(Refusal::ReferenceLoop { address: own }.into());
        assert_eq!(asked(own, ReferenceId::of_address(own)), refused);
        assert_eq!(asked(own, ReferenceId::from_bytes([203, 0, 113, 9])), None, "it follows another");
    }
}
