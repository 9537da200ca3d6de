//! The responder on real sockets: whom it answers, what, and from which address; and as `skew-check respond`.

mod support;

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::num::NonZeroU32;
use std::time::Duration;

use skewgate::clock::Leap;
use skewgate::ntp::{
    Announcement, Header, KissCode, Measurement, Options, Pace, RateLimit, Responder, Script, Service,
    Source, SourceError, Verdict, measure,
};
use skewgate::time::sim::Pretend;
use skewgate::time::{SignedDuration, Timestamp, os::OsClock};
use support::{chronyd, program::Program};

/// Long enough for a reply on loopback under load.
const PATIENCE: Duration = Duration::from_secs(2);
/// Long enough to believe that there is none.
const SILENCE: Duration = Duration::from_millis(200);

/// A client's request: LI 0, version 4, mode 3.
const V4: u8 = 0x23;
const V3: u8 = 0x1b;

fn unlimited() -> Service {
    Service { rate_limit: None, ..Service::default() }
}

fn serve_at(address: &str, service: Service) -> Responder {
    Responder::serve(address.parse().expect("an address"), service, OsClock).expect("a free port")
}

fn serve(service: Service) -> Responder {
    serve_at("127.0.0.1:0", service)
}

fn client(address: impl Into<IpAddr>) -> UdpSocket {
    UdpSocket::bind((address.into(), 0)).expect("a free port on loopback")
}

fn home() -> UdpSocket {
    client(Ipv4Addr::LOCALHOST)
}

fn request(first_byte: u8, length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..length).map(|index| u8::try_from(index % 251).unwrap_or(0)).collect();
    if let Some(first) = bytes.first_mut() {
        *first = first_byte;
    }
    bytes
}

fn receive(client: &UdpSocket, wait: Duration) -> Option<(Vec<u8>, SocketAddr)> {
    client.set_read_timeout(Some(wait)).expect("a timeout that is not zero");
    let mut buffer = [0; 2_048];
    let (length, from) = client.recv_from(&mut buffer).ok()?;
    Some((buffer[..length].to_vec(), from))
}

fn ask(client: &UdpSocket, server: SocketAddr, datagram: &[u8]) {
    client.send_to(datagram, server).expect("loopback takes every datagram");
}

fn answer(client: &UdpSocket, server: SocketAddr) -> Header {
    ask(client, server, &request(V4, 48));
    let (reply, from) = receive(client, PATIENCE).expect("a reply");
    assert_eq!((reply.len(), from), (48, server));
    Header::parse(&reply).expect("48 bytes")
}

fn options() -> Options {
    let pace = Pace {
        samples: 2,
        interval: Duration::from_millis(5),
        timeout: Duration::from_millis(500),
        retries: 1,
        ..Pace::default()
    };
    Options { pace, allow_single: true, ..Options::default() }
}

fn measure_all(addresses: &[SocketAddr]) -> Measurement {
    let sources: Vec<Source> = addresses.iter().map(|&address| Source::new(address.into())).collect();
    measure(&sources, &options(), &OsClock).expect("rules that make sense")
}

fn announced(stratum: u8, dispersion: Duration) -> Announcement {
    Announcement::synchronised(stratum).expect("a stratum from 1 to 15").with_root_dispersion(dispersion)
}

#[test]
fn versions_3_and_4_are_answered_in_their_own_with_the_time_of_this_host() {
    let server = serve(unlimited());
    let client = home();
    for (first_byte, version) in [(V3, 3), (V4, 4)] {
        let asked = request(first_byte, 48);
        let before = system_clock();
        ask(&client, server.address(), &asked);
        let (reply, from) = receive(&client, PATIENCE).unwrap();
        let after = system_clock();
        assert_eq!(from, server.address());
        assert_eq!(reply.len(), 48);
        let reply = Header::parse(&reply).unwrap();
        assert_eq!((reply.version, reply.mode, reply.stratum, reply.leap), (version, 4, 10, Leap::None));
        assert_eq!(reply.origin, Header::parse(&asked).unwrap().transmit);
        assert_eq!(reply.root_dispersion, Duration::from_secs(1));
        let (t2, t3) = (reply.receive.unfold(), reply.transmit.unfold());
        // The wire cuts a nanosecond off.
        let early = before - SignedDuration::from_nanos(1);
        // T3 is a reading of its own: a copy of T2 would hide how long the request was held.
        assert!(early <= t2 && t2 < t3 && t3 <= after, "{before} {t2} {t3} {after}");
    }
    assert_eq!(server.tally().answered, 2);
}

fn system_clock() -> Timestamp {
    use skewgate::time::LocalClock;
    OsClock.system().realtime
}

#[test]
fn other_modes_and_versions_are_met_with_silence() {
    let server = serve(unlimited());
    let client = home();
    let mut others = 0;
    for first_byte in 0..=u8::MAX {
        if first_byte & 0b111 != 3 || !matches!(first_byte >> 3 & 0b111, 3 | 4) {
            ask(&client, server.address(), &request(first_byte, 48));
            others += 1;
            // Its receive buffer is not what is tested.
            if others % 64 == 0 {
                answer(&client, server.address());
            }
        }
    }
    answer(&client, server.address());
    assert_eq!(receive(&client, SILENCE), None, "one reply to the one request");
    assert_eq!((server.tally().malformed, others), (248, 248));
}

#[test]
fn a_reply_has_48_bytes_and_is_never_longer_than_the_request() {
    let server = serve(unlimited());
    let client = home();
    for length in 0..48 {
        ask(&client, server.address(), &request(V4, length));
    }
    answer(&client, server.address());
    assert_eq!(receive(&client, SILENCE), None, "too short for a request");
    for length in [48, 49, 52, 68, 72, 500, 1_400] {
        ask(&client, server.address(), &request(V4, length));
        assert_eq!(receive(&client, PATIENCE).unwrap().0.len(), 48, "{length}");
    }
}

#[test]
fn who_is_not_on_the_list_gets_no_answer_at_all() {
    let allow = ["127.0.0.5", "127.0.8.0/24"].map(|network| network.parse().unwrap());
    let server = serve(Service { allow: allow.into_iter().collect(), ..unlimited() });
    for stranger in [[127, 0, 0, 1], [127, 0, 0, 4], [127, 0, 9, 0]].map(client) {
        ask(&stranger, server.address(), &request(V4, 48));
        assert_eq!(receive(&stranger, SILENCE), None, "{stranger:?}");
    }
    for friend in [[127, 0, 0, 5], [127, 0, 8, 255]].map(client) {
        answer(&friend, server.address());
    }
    assert_eq!((server.tally().answered, server.tally().denied), (2, 3));
}

#[test]
fn who_asks_too_often_is_told_once_then_met_with_silence_and_answered_again_later() {
    let limit = RateLimit { per_second: NonZeroU32::MIN, burst: NonZeroU32::new(3).unwrap() };
    let server = serve(Service { rate_limit: Some(limit), ..Service::default() });
    let client = home();
    for _ in 0..3 {
        assert_eq!(answer(&client, server.address()).stratum, 10);
    }
    let kiss = answer(&client, server.address());
    assert_eq!((kiss.stratum, kiss.leap), (0, Leap::Unsynchronised));
    assert_eq!(KissCode::from_reference_id(kiss.reference_id), Some(KissCode::Rate));
    for _ in 0..5 {
        ask(&client, server.address(), &request(V4, 48));
    }
    assert_eq!(receive(&client, SILENCE), None);
    answer(&self::client([127, 0, 0, 9]), server.address());
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(answer(&client, server.address()).stratum, 10);
    let tally = server.tally();
    assert_eq!((tally.answered, tally.kissed, tally.limited), (5, 1, 5));
}

#[test]
fn our_own_engine_hears_the_kiss() {
    let limit = RateLimit { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN };
    let server = serve(Service { rate_limit: Some(limit), ..Service::default() });
    answer(&home(), server.address());
    let measurement = measure_all(&[server.address()]);
    let error = measurement.reports[0].error.clone();
    assert_eq!(error, Some(SourceError::Kiss(KissCode::Rate)));
}

#[test]
#[cfg(target_os = "linux")]
fn one_process_answers_for_all_of_loopback_from_the_address_that_was_asked() {
    for any in ["0.0.0.0:0", "[::]:0"] {
        let server = serve_at(any, unlimited());
        let port = server.address().port();
        let client = home();
        let mut asked = [[127, 0, 0, 5], [127, 0, 0, 1], [127, 1, 2, 3], [127, 255, 255, 254]]
            .map(|address| SocketAddr::from((address, port)));
        // All at once, so that an answer to one may not go by what the one before asked.
        for address in asked {
            ask(&client, address, &request(V4, 48));
        }
        let mut answered = asked.map(|_| receive(&client, PATIENCE).expect("a reply").1);
        asked.sort();
        answered.sort();
        assert_eq!(answered, asked, "bound to {any}");
        // A connected socket hears nobody else: this is what most clients do.
        let connected = home();
        connected.connect(SocketAddr::from(([127, 0, 0, 77], port))).unwrap();
        connected.send(&request(V4, 48)).unwrap();
        assert!(receive(&connected, PATIENCE).is_some());

        let many: Vec<SocketAddr> = (1..=100).map(|host| ([127, 0, 7, host], port).into()).collect();
        let measurement = measure_all(&many);
        for report in &measurement.reports {
            assert_eq!(report.verdict, Some(Verdict::Truechimer), "{report:?}");
        }
        assert_eq!(server.tally().failed, 0);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn ipv6_is_answered_on_the_same_socket() {
    let server = serve_at("[::]:0", unlimited());
    let client = client(std::net::Ipv6Addr::LOCALHOST);
    let asked = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, server.address().port()));
    answer(&client, asked);
    // An IPv4 client is looked up as IPv4.
    let only_v6 = Service { allow: ["::/0".parse().unwrap()].into_iter().collect(), ..unlimited() };
    let server = serve_at("[::]:0", only_v6);
    let stranger = home();
    ask(&stranger, ([127, 0, 0, 1], server.address().port()).into(), &request(V4, 48));
    assert_eq!(receive(&stranger, SILENCE), None);
    assert_eq!(server.tally().denied, 1);
}

#[test]
#[cfg(target_os = "linux")]
fn a_broadcast_is_answered_by_nobody() {
    for any in ["0.0.0.0:0", "[::]:0"] {
        let server = serve_at(any, unlimited());
        let client = home();
        client.set_broadcast(true).unwrap();
        ask(&client, ([127, 255, 255, 255], server.address().port()).into(), &request(V4, 48));
        assert_eq!(receive(&client, SILENCE), None);
        let tally = server.tally();
        // An IPv6 socket isn't told what is a broadcast; there the kernel refuses to send from such an address.
        assert_eq!(tally.answered, tally.failed, "{tally:?}");
        assert_eq!(tally.malformed + tally.failed, 1, "{tally:?}");
    }
}

#[test]
fn our_own_engine_measures_it_with_the_truth_inside() {
    let exact = Service { announcement: announced(3, Duration::from_millis(2)), ..Service::default() };
    let ahead = SignedDuration::from_secs(7);
    let right = serve(exact.clone());
    let fast = Responder::serve(anywhere(), exact, Pretend::new(OsClock, ahead)).unwrap();
    let measurement = measure_all(&[right.address(), fast.address()]);
    for (report, truth) in measurement.reports.iter().zip([SignedDuration::ZERO, ahead]) {
        let offset = report.offset.unwrap_or_else(|| panic!("{report:?}"));
        assert!(offset.contains(truth), "{report:?}");
        assert!(offset.half_width() < Duration::from_millis(20), "{report:?}");
    }
    assert_eq!(measurement.warnings, [], "clocks of their own are no common upstream");
}

fn anywhere() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

#[test]
fn by_default_it_claims_no_more_than_a_second_and_clients_believe_it() {
    let server = serve(Service::default());
    let measurement = measure_all(&[server.address()]);
    let report = &measurement.reports[0];
    assert_eq!(report.error, None);
    let offset = report.offset.unwrap();
    assert!(
        offset.contains(SignedDuration::ZERO) && offset.half_width() >= Duration::from_secs(1),
        "{report:?}"
    );
}

#[test]
fn unsynchronised_is_said_so_and_the_clock_can_be_read() {
    let server = serve(Service { announcement: Announcement::unsynchronised(), ..unlimited() });
    let measurement = measure_all(&[server.address()]);
    assert_eq!(measurement.reports[0].verdict, Some(Verdict::Unsynchronised));
    let reply = answer(&home(), server.address());
    assert_eq!((reply.leap, reply.stratum), (Leap::Unsynchronised, 0));
    assert!(!reply.receive.is_zero() && !reply.transmit.is_zero());
}

#[test]
fn a_script_can_drift_and_lose() {
    let drifting = Script { drift_ppm: 500_000, ..Script::default() };
    let server = Responder::spawn(anywhere(), drifting, OsClock).unwrap();
    let client = home();
    let show = || {
        let reply = answer(&client, server.address());
        (reply.transmit.unfold(), system_clock())
    };
    let (first, first_real) = show();
    std::thread::sleep(Duration::from_millis(400));
    let (second, second_real) = show();
    let (gained, passed) = ((second - first).as_nanos(), (second_real - first_real).as_nanos());
    // Half as fast again; the replies' way back is in `passed`.
    assert!((gained - passed * 3 / 2).abs() < 50_000_000, "{gained} in {passed}");

    let lossy = Script { lose_one_in: NonZeroU32::new(2), ..Script::default() };
    let server = Responder::spawn(anywhere(), lossy, OsClock).unwrap();
    for _ in 0..40 {
        ask(&client, server.address(), &request(V4, 48));
    }
    let replies = std::iter::from_fn(|| receive(&client, SILENCE)).count();
    assert!((8..=32).contains(&replies), "{replies} of 40");
    assert_eq!(server.requests(), 40);
}

#[test]
fn the_program_serves_until_it_is_told_to_stop_and_says_what_it_did() {
    for signal in ["INT", "TERM"] {
        let mut program =
            Program::start(&["--listen", "127.0.0.1:0", "--stratum", "3", "--dispersion", "20ms"]);
        let (address, mut stderr) = program.listening();
        let reply = answer(&home(), address);
        assert_eq!((reply.stratum, reply.root_dispersion.as_millis()), (3, 20));
        assert_eq!(program.signal(signal).code(), Some(0));
        let mut said = String::new();
        stderr.read_to_string(&mut said).unwrap();
        for expected in [
            "stratum 3, right to 20 ms",
            "to 127.0.0.0/8, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16, ::1/128, fc00::/7, fe80::/10",
            "at most 2 requests a second of each client, 8 at once",
            "stopped; 1 answered, 0 told",
        ] {
            assert!(said.contains(expected), "{expected}: {said}");
        }
    }
}

#[test]
fn the_program_does_as_its_options_say() {
    let options =
        ["--listen", "127.0.0.1:0", "--allow", "127.0.0.5", "--rate-limit", "off", "--unsynchronised"];
    let mut program = Program::start(&options);
    let (address, _stderr) = program.listening();
    let friend = client([127, 0, 0, 5]);
    for _ in 0..50 {
        assert_eq!(answer(&friend, address).leap, Leap::Unsynchronised);
    }
    let stranger = home();
    ask(&stranger, address, &request(V4, 48));
    assert_eq!(receive(&stranger, SILENCE), None);
}

#[test]
fn a_port_that_is_taken_is_an_error_that_says_what_to_do() {
    let taken = home();
    let mut program = Program::start(&["--listen", &taken.local_addr().unwrap().to_string()]);
    let mut said = String::new();
    program.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(program.0.wait().unwrap().code(), Some(3));
    assert!(said.contains("can't answer on 127.0.0.1:") && said.contains("listen on another port"), "{said}");
}

#[test]
#[ignore = "needs chronyd: ./tests/run"]
fn chronyd_measures_it_as_a_client() {
    let service = || Service { announcement: announced(3, Duration::from_millis(2)), ..Service::default() };
    let any = || SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    std::thread::scope(|scope| {
        for (ahead, expected) in [(0, 0.0), (3_200, 3.2), (-90_000, -90.0)] {
            scope.spawn(move || {
                let clock = Pretend::new(OsClock, SignedDuration::from_millis(ahead));
                let server = Responder::serve(any(), service(), clock).unwrap();
                // Another address than the route back prefers: chronyd's socket is connected to it.
                let asked = ([127, 0, 0, 5], server.address().port()).into();
                let wrong = chronyd::query(asked).unwrap_or_else(|log| panic!("{log}"));
                assert!((wrong - expected).abs() < 0.005, "{wrong}, not {expected}");
                assert_eq!(server.tally().kissed + server.tally().limited, 0, "{}", server.tally());
            });
        }
        scope.spawn(|| {
            let unsynchronised =
                Service { announcement: Announcement::unsynchronised(), ..Service::default() };
            let server = Responder::serve(any(), unsynchronised, OsClock).unwrap();
            let log = chronyd::query(([127, 0, 0, 5], server.address().port()).into()).unwrap_err();
            assert!(log.contains("No suitable source"), "{log}");
            assert!(server.tally().answered > 0);
        });
    });
}
