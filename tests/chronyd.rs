//! Real time servers: chronyd on loopback. All of them share this machine's clock, so the truth is known: an
//! honest one's offset is zero.

mod support;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use skewgate::clock::NoEstimate;
use skewgate::ntp::{
    Measurement, Options, Pace, ReferenceId, Source, SourceError, SourceReport, Stray, Verdict, measure,
};
use skewgate::time::{SignedDuration, os::OsClock, sim::Pretend};
use support::chronyd::Chronyd;

/// How exact a server that is wrong by a known amount is measured.
const EXACT: Duration = Duration::from_millis(5);

fn options() -> Options {
    let pace = Pace {
        samples: 4,
        interval: Duration::from_millis(20),
        timeout: Duration::from_millis(400),
        retries: 1,
        ..Pace::default()
    };
    Options { pace, allow_single: true, ..Options::default() }
}

fn ask(sources: &[Source]) -> Measurement {
    measure(sources, &options(), &OsClock).expect("rules that make sense")
}

fn sources(servers: &[Chronyd]) -> Vec<Source> {
    servers.iter().map(Chronyd::source).collect()
}

fn verdicts(measurement: &Measurement) -> Vec<Option<Verdict>> {
    measurement.reports.iter().map(|report| report.verdict).collect()
}

/// By how much a source's offset differs from this one.
fn off_by(report: &SourceReport, offset: SignedDuration) -> Duration {
    let measured = report.offset.unwrap_or_else(|| panic!("no offset: {report:?}"));
    (measured.midpoint() - offset).unsigned_abs()
}

/// A bound socket that never answers.
fn silent() -> (UdpSocket, Source) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free UDP port on loopback");
    let address = socket.local_addr().expect("the address of a bound socket");
    (socket, Source::new(address.into()))
}

/// Answers every datagram with the same bytes until it is dropped.
struct Babbler {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Babbler {
    fn saying(words: &'static [u8]) -> Self {
        let (socket, _) = silent();
        let address = socket.local_addr().expect("the address of a bound socket");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout that is not zero");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let mut request = [0; 48];
            while !stopped.load(Ordering::SeqCst) {
                if let Ok((_, from)) = socket.recv_from(&mut request) {
                    // Who has gone needs no answer.
                    let _ = socket.send_to(words, from);
                }
            }
        });
        Self { address, stop, thread: Some(thread) }
    }

    fn source(&self) -> Source {
        Source::new(self.address.into())
    }
}

impl Drop for Babbler {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // It can't panic.
            let _ = thread.join();
        }
    }
}

#[test]
#[ignore = "needs chronyd: ./tests/run"]
fn three_honest_servers_agree_to_within_their_bounds() {
    let servers = [1, 3, 10].map(Chronyd::honest);
    let measurement = ask(&sources(&servers));
    assert_eq!(verdicts(&measurement), [Some(Verdict::Truechimer); 3]);
    for (report, stratum) in measurement.reports.iter().zip([1, 3, 10]) {
        assert_eq!(report.error, None);
        assert_eq!(report.bound.unwrap().samples, 4);
        assert_eq!(report.header.unwrap().stratum, stratum);
        assert!(report.offset.unwrap().contains(SignedDuration::ZERO), "{report:?}");
        for other in &measurement.reports {
            assert!(report.offset.unwrap().overlaps(other.offset.unwrap()), "{report:?}\n{other:?}");
        }
    }
    assert_eq!(measurement.warnings, [], "servers with a clock of their own share no upstream");
    let estimate = measurement.estimate.unwrap();
    assert_eq!((estimate.agreeing(), estimate.usable(), estimate.configured()), (3, 3, 3));
    assert_eq!((estimate.tolerated_liars(), estimate.contested(), estimate.corroborated()), (1, false, true));
    let offset = estimate.system_offset(&measurement.reading, measurement.suspended).unwrap();
    assert!(offset.contains(SignedDuration::ZERO), "{offset:?}");
    assert!(offset.half_width() < EXACT, "on loopback a bound is narrow, this is {offset:?}");
    let best = estimate.best_system_offset(&measurement.reading);
    assert!(offset.contains(best) && best.unsigned_abs() < EXACT, "{best}");
}

#[test]
#[ignore = "needs chronyd: ./tests/run"]
fn servers_that_are_wrong_are_falsetickers_and_their_offsets_are_right() {
    let honest = [3, 3, 3].map(Chronyd::honest);
    let liars = [3.2, -90.0].map(|seconds| Chronyd::offset_from(&honest[0], seconds));
    let asked = [sources(&honest), sources(&liars)].concat();
    let measurement = ask(&asked);
    let (right, wrong) = (Some(Verdict::Truechimer), Some(Verdict::Falseticker));
    assert_eq!(verdicts(&measurement), [right, right, right, wrong, wrong]);
    // A server that is ahead says that this host is behind: the offset is positive.
    for (report, known) in measurement.reports.iter().zip([0, 0, 0, 3_200, -90_000]) {
        let off = off_by(report, SignedDuration::from_millis(known));
        assert!(off < EXACT, "off by {off:?}: {report:?}");
    }
    let estimate = measurement.estimate.unwrap();
    assert_eq!((estimate.agreeing(), estimate.usable(), estimate.configured()), (3, 5, 5));
    assert_eq!((estimate.tolerated_liars(), estimate.contested()), (2, false));
    let offset = estimate.system_offset(&measurement.reading, measurement.suspended).unwrap();
    assert!(offset.contains(SignedDuration::ZERO), "{offset:?}");
    assert!(offset.half_width() < EXACT, "the liars did not widen it: {offset:?}");
}

#[test]
#[ignore = "needs chronyd: ./tests/run"]
fn a_host_whose_own_clock_is_wrong_is_told_by_how_much() {
    let servers = [3, 3, 3].map(Chronyd::honest);
    for ahead in [-40_000, 1_500] {
        let clock = Pretend::new(OsClock, SignedDuration::from_millis(ahead));
        let measurement = measure(&sources(&servers), &options(), &clock).unwrap();
        let offset =
            measurement.estimate.unwrap().system_offset(&measurement.reading, measurement.suspended).unwrap();
        assert!(offset.contains(SignedDuration::from_millis(-ahead)), "{ahead} ms ahead: {offset:?}");
    }
}

#[test]
#[ignore = "needs chronyd: ./tests/run"]
fn without_a_quorum_of_the_configured_sources_there_is_no_clock_whoever_agrees() {
    let honest = [3, 3].map(Chronyd::honest);
    // A port where nobody listens any more: the kernel refuses, which is no answer either.
    let (gone, nobody) = silent();
    drop(gone);
    let (_socket, deaf) = silent();
    let unresolved = "nowhere.invalid".parse().unwrap();
    let asked = [sources(&honest), vec![nobody, deaf, unresolved]].concat();
    let measurement = ask(&asked);
    assert_eq!(measurement.estimate, Err(NoEstimate::NoQuorum { agreeing: 2, configured: 5, quorum: 3 }));
    let dead = Some(Verdict::Unreachable);
    assert_eq!(verdicts(&measurement), [None, None, dead, dead, dead], "honest, but nobody can tell");
    for report in &measurement.reports[..2] {
        assert!(report.offset.unwrap().contains(SignedDuration::ZERO), "{report:?}");
    }

    let content_with_two = Options { quorum: Some(2), ..options() };
    let measurement = measure(&asked, &content_with_two, &OsClock).unwrap();
    let offset =
        measurement.estimate.unwrap().system_offset(&measurement.reading, measurement.suspended).unwrap();
    assert!(offset.contains(SignedDuration::ZERO), "{offset:?}");
}

#[test]
#[ignore = "needs chronyd: ./tests/run"]
fn an_unsynchronised_server_is_no_kiss() {
    let server = Chronyd::unsynchronised();
    let measurement = ask(&[server.source()]);
    let report = &measurement.reports[0];
    assert_eq!(report.verdict, Some(Verdict::Unsynchronised));
    assert!(matches!(report.error, Some(SourceError::Unsynchronised { stratum: 0, .. })), "{report:?}");
    assert_eq!(report.offset, None);
    assert_eq!(measurement.estimate, Err(NoEstimate::NothingUsable { configured: 1 }));
}

#[test]
#[ignore = "needs chronyd: ./tests/run"]
fn silent_and_babbling_servers_are_told_apart_and_do_no_harm() {
    let honest = [3, 3, 3].map(Chronyd::honest);
    let (_socket, silent) = silent();
    let long = Babbler::saying(&[0xa5; 200]);
    let short = Babbler::saying(b"SSH-2.0-OpenSSH_9.2p1\r\n");
    // Three of five: one vote more would be lacking.
    for (bad, verdict) in [
        ([&silent, &long.source()], [Verdict::Unreachable, Verdict::Rejected]),
        ([&silent, &short.source()], [Verdict::Unreachable, Verdict::Rejected]),
    ] {
        let asked = [sources(&honest), bad.map(Source::clone).to_vec()].concat();
        let measurement = ask(&asked);
        assert_eq!(verdicts(&measurement)[3..], verdict.map(Some));
        let error = measurement.reports[3].error.clone();
        assert!(matches!(error, Some(SourceError::Timeout { requests: 2, .. })), "{error:?}");
        let expected =
            if bad[1] == &short.source() { Stray::TooShort { length: 23 } } else { Stray::WrongNonce };
        let error = measurement.reports[4].error.clone();
        assert_eq!(error, Some(SourceError::OnlyStrays { datagrams: 2, stray: expected }));
        let estimate = measurement.estimate.unwrap();
        assert_eq!((estimate.agreeing(), estimate.configured()), (3, 5));
        let offset = estimate.system_offset(&measurement.reading, measurement.suspended).unwrap();
        assert!(offset.contains(SignedDuration::ZERO), "{offset:?}");
    }
}

#[test]
#[ignore = "needs chronyd: ./tests/run"]
fn a_server_at_an_ipv6_address_is_a_server_like_any_other() {
    let servers = [Chronyd::honest(3), Chronyd::honest_v6(3), Chronyd::honest(3)];
    let measurement = ask(&sources(&servers));
    assert_eq!(verdicts(&measurement), [Some(Verdict::Truechimer); 3]);
    let report = &measurement.reports[1];
    assert!(report.address.unwrap().is_ipv6());
    assert!(report.offset.unwrap().contains(SignedDuration::ZERO), "{report:?}");
    assert_eq!(measurement.estimate.unwrap().agreeing(), 3);
}

#[test]
#[ignore = "needs chronyd: ./tests/run"]
fn a_server_that_follows_an_ipv6_address_names_its_hash() {
    let upstream = Chronyd::honest_v6(3);
    let follower = Chronyd::following(upstream.address());
    let header = ask(&[follower.source()]).reports[0].header.unwrap();
    assert_eq!((header.stratum, header.reference_id), (4, ReferenceId::of_address(upstream.address().ip())));
}

#[test]
#[ignore = "needs chronyd: ./tests/run"]
fn two_that_follow_one_wrong_server_agree_and_are_falsetickers_all_the_same() {
    let honest = [3, 3, 3].map(Chronyd::honest);
    let wrong = Chronyd::offset_from(&honest[0], 0.75);
    let followers = [(); 2].map(|()| Chronyd::following(wrong.address()));
    let measurement = ask(&[sources(&honest), sources(&followers)].concat());
    let (right, misled) = (Some(Verdict::Truechimer), Some(Verdict::Falseticker));
    assert_eq!(verdicts(&measurement), [right, right, right, misled, misled]);
    for report in &measurement.reports[3..] {
        let off = off_by(report, SignedDuration::from_millis(750));
        assert!(off < EXACT, "off by {off:?}: {report:?}");
    }
}
