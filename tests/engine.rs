//! The NTP engine against scripted servers on loopback: what is skipped, retried, refused, and reported.

use std::net::UdpSocket;
use std::time::Duration;

use skewgate::clock::{Leap, NoEstimate, RulesError};
use skewgate::ntp::{
    Header, KissCode, Measurement, Options, Pace, ReferenceId, Refusal, Responder, Script, Source,
    SourceError, Stray, Verdict, Warning, measure,
};
use skewgate::time::sim::Pretend;
use skewgate::time::{LocalClock, SignedDuration, os::OsClock};

fn options() -> Options {
    let pace = Pace {
        samples: 2,
        interval: Duration::from_millis(5),
        timeout: Duration::from_millis(150),
        ..Pace::default()
    };
    Options { pace, allow_single: true, ..Options::default() }
}

fn serve(script: Script) -> Responder {
    Responder::spawn(([127, 0, 0, 1], 0).into(), script, OsClock).expect("a port on loopback")
}

fn source(server: &Responder) -> Source {
    Source::new(server.address().into())
}

fn ask(servers: &[&Responder]) -> Measurement {
    let sources: Vec<Source> = servers.iter().map(|server| source(server)).collect();
    measure(&sources, &options(), &OsClock).expect("rules that make sense")
}

fn ask_one(script: Script) -> Measurement {
    ask(&[&serve(script)])
}

fn error_of(script: Script) -> SourceError {
    ask_one(script).reports[0].error.clone().expect("an error")
}

#[test]
fn an_honest_server_gives_the_samples_that_were_asked_for() {
    let measurement = ask_one(Script::default());
    let report = &measurement.reports[0];
    assert_eq!(report.error, None);
    assert_eq!(report.bound.unwrap().samples, 2);
    assert_eq!(report.verdict, Some(Verdict::Truechimer));
    let offset =
        measurement.estimate.unwrap().system_offset(&measurement.reading, measurement.suspended).unwrap();
    assert!(offset.contains(SignedDuration::ZERO), "{offset:?}");
}

#[test]
fn three_outvote_one_and_the_silent_one_counts() {
    let honest = [serve(Script::default()), serve(Script::default()), serve(Script::default())];
    let liar = serve(Script::ahead_by(SignedDuration::from_secs(45)));
    let silent = serve(Script::silent());
    let measurement = ask(&[&honest[0], &honest[1], &honest[2], &liar, &silent]);
    let verdicts: Vec<_> = measurement.reports.iter().map(|report| report.verdict.unwrap().name()).collect();
    assert_eq!(verdicts, ["truechimer", "truechimer", "truechimer", "falseticker", "unreachable"]);
    let estimate = measurement.estimate.unwrap();
    assert_eq!((estimate.agreeing(), estimate.usable(), estimate.configured()), (3, 4, 5));
    assert_eq!((estimate.tolerated_liars(), estimate.contested(), estimate.corroborated()), (1, false, true));
    let off = measurement.reports[3].offset.unwrap().midpoint() - SignedDuration::from_secs(45);
    assert!(off.unsigned_abs() < Duration::from_millis(5), "{off}");
}

#[test]
fn a_slow_host_is_told_that_it_is_behind() {
    let servers = [serve(Script::default()), serve(Script::default())];
    let sources = [source(&servers[0]), source(&servers[1])];
    let slow = Pretend::new(OsClock, SignedDuration::from_secs(-40));
    let measurement = measure(&sources, &options(), &slow).unwrap();
    let offset =
        measurement.estimate.unwrap().system_offset(&measurement.reading, measurement.suspended).unwrap();
    assert!(offset.contains(SignedDuration::from_secs(40)), "{offset:?}");
}

#[test]
fn without_a_quorum_of_the_configured_sources_there_is_no_clock() {
    let honest = [serve(Script::default()), serve(Script::default())];
    let silent = [serve(Script::silent()), serve(Script::silent()), serve(Script::silent())];
    let measurement = ask(&[&honest[0], &honest[1], &silent[0], &silent[1], &silent[2]]);
    assert_eq!(measurement.estimate, Err(NoEstimate::NoQuorum { agreeing: 2, configured: 5, quorum: 3 }));
    assert_eq!(measurement.reports[0].verdict, None, "usable, but nothing to compare it with");
}

#[test]
fn a_single_source_must_be_allowed() {
    let server = serve(Script::default());
    let strict = Options { allow_single: false, ..options() };
    assert_eq!(measure(&[source(&server)], &strict, &OsClock).unwrap_err(), RulesError::SingleSource);
    assert_eq!(measure(&[], &strict, &OsClock).unwrap_err(), RulesError::NoSources);
}

#[test]
fn stray_datagrams_do_not_end_a_query() {
    // Before each right reply: garbage, a short one, one with another nonce, and a late reply to nothing.
    let measurement = ask_one(Script::rewriting(|reply, _| {
        let mut forged = reply;
        forged.origin.0 ^= 1;
        vec![vec![0xff; 48], vec![1, 2, 3], forged.to_bytes().to_vec(), Vec::new(), reply.to_bytes().to_vec()]
    }));
    assert_eq!(measurement.reports[0].error, None);
    assert_eq!(measurement.reports[0].bound.unwrap().samples, 2);
}

#[test]
fn a_reply_from_another_address_is_no_reply() {
    let elsewhere = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to_whom = std::sync::Arc::new(std::sync::Mutex::new(None));
    // The server itself never answers; another port answers for it, with the right nonce, first.
    let spy = UdpSocket::bind("127.0.0.1:0").unwrap();
    spy.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let address = spy.local_addr().unwrap();
    let seen = to_whom.clone();
    let thread = std::thread::spawn(move || {
        let mut buffer = [0; 48];
        for _ in 0..2 {
            let (_, from) = spy.recv_from(&mut buffer).unwrap();
            *seen.lock().unwrap() = Some(from);
            let request = Header::from_bytes(&buffer);
            let mut reply = request;
            reply.mode = 4;
            reply.stratum = 2;
            reply.precision = -20;
            reply.origin = request.transmit;
            reply.receive.0 = 0xee00_0000 << 32;
            reply.transmit = reply.receive;
            elsewhere.send_to(&reply.to_bytes(), from).unwrap();
        }
    });
    let measurement = measure(&[Source::new(address.into())], &options(), &OsClock).unwrap();
    thread.join().unwrap();
    assert!(to_whom.lock().unwrap().is_some());
    assert!(
        matches!(measurement.reports[0].error, Some(SourceError::Timeout { requests: 2, .. })),
        "{measurement:?}"
    );
}

#[test]
fn a_server_that_sends_only_garbage_is_rejected_and_says_so() {
    let error = error_of(Script::rewriting(|_, _| vec![vec![0xff; 48]]));
    assert!(matches!(error, SourceError::OnlyStrays { datagrams: 2, stray: Stray::WrongNonce }), "{error:?}");
    assert_eq!(Verdict::from(&error), Verdict::Rejected);
    let error = error_of(Script::rewriting(|_, _| vec![b"HTTP/1.1 400 Bad Request".to_vec()]));
    assert!(
        matches!(error, SourceError::OnlyStrays { stray: Stray::TooShort { length: 24 }, .. }),
        "{error:?}"
    );
}

#[test]
fn a_silent_server_is_asked_again_and_then_given_up() {
    let server = serve(Script::silent());
    let measurement = ask(&[&server]);
    assert!(matches!(measurement.reports[0].error, Some(SourceError::Timeout { requests: 2, .. })));
    assert_eq!(server.requests(), 2, "one request, one retry");
    assert_eq!(measurement.estimate, Err(NoEstimate::NothingUsable { configured: 1 }));
}

#[test]
fn a_lost_packet_is_sent_again() {
    let measurement =
        ask_one(Script::rewriting(
            |reply, before| {
                if before == 0 { Vec::new() } else { vec![reply.to_bytes().to_vec()] }
            },
        ));
    assert_eq!(measurement.reports[0].bound.unwrap().samples, 2);
}

#[test]
fn a_server_that_dies_in_the_middle_leaves_what_it_said() {
    let measurement =
        ask_one(Script::rewriting(
            |reply, before| {
                if before == 0 { vec![reply.to_bytes().to_vec()] } else { Vec::new() }
            },
        ));
    assert_eq!(measurement.reports[0].bound.unwrap().samples, 1);
    assert!(matches!(measurement.reports[0].error, Some(SourceError::Timeout { .. })));
    assert!(measurement.estimate.is_ok());
}

#[test]
fn a_kiss_after_a_good_reply_takes_nothing_back() {
    // The first reply announces a leap second; the second is a kiss of stratum 0 and LI 3.
    let measurement = ask_one(Script::rewriting(|mut reply, before| {
        reply.leap = Leap::Insert;
        if before > 0 {
            reply.leap = Leap::Unsynchronised;
            reply.stratum = 0;
            reply.reference_id = ReferenceId::from_bytes(*b"RATE");
        }
        vec![reply.to_bytes().to_vec()]
    }));
    let report = &measurement.reports[0];
    assert_eq!(report.error, Some(SourceError::Kiss(KissCode::Rate)));
    assert_eq!((report.header.unwrap().stratum, report.vote().unwrap().leap), (2, Leap::Insert));
}

#[test]
fn what_was_wrong_before_a_reply_is_forgotten() {
    // A stray, then a right reply, then silence: it did answer, and two requests were left without a reply.
    let measurement = ask_one(Script::rewriting(|reply, before| match before {
        0 => vec![vec![0xff; 48], reply.to_bytes().to_vec()],
        _ => Vec::new(),
    }));
    assert!(
        matches!(measurement.reports[0].error, Some(SourceError::Timeout { requests: 2, .. })),
        "{measurement:?}"
    );
    assert!(measurement.reports[0].bound.is_some());
}

#[test]
fn a_kiss_ends_the_asking() {
    for (code, kiss) in [(*b"RATE", KissCode::Rate), (*b"DENY", KissCode::Deny), (*b"RSTR", KissCode::Rstr)] {
        let server = serve(Script {
            stratum: 0,
            leap: Leap::Unsynchronised,
            reference_id: ReferenceId::from_bytes(code),
            ..Script::default()
        });
        let measurement = ask(&[&server]);
        assert_eq!(measurement.reports[0].error, Some(SourceError::Kiss(kiss)));
        assert_eq!(measurement.reports[0].verdict, Some(Verdict::Kiss));
        assert_eq!(server.requests(), 1);
    }
}

#[test]
fn refusals_reach_the_report_with_the_header_that_was_refused() {
    let measurement = ask_one(Script { root_delay: Duration::from_secs(20), ..Script::default() });
    let report = &measurement.reports[0];
    assert!(matches!(report.error, Some(SourceError::Refused(Refusal::RootDelay { .. }))));
    assert_eq!(report.verdict, Some(Verdict::Rejected));
    assert_eq!(report.header.unwrap().stratum, 2);

    let measurement = ask_one(Script { stratum: 0, leap: Leap::Unsynchronised, ..Script::default() });
    assert_eq!(measurement.reports[0].verdict, Some(Verdict::Unsynchronised));
}

#[test]
fn a_server_whose_clock_is_stepped_meanwhile_is_inconsistent() {
    let measurement = ask_one(Script::rewriting(|mut reply, before| {
        reply.receive.0 += u64::from(before) << 33;
        reply.transmit.0 += u64::from(before) << 33;
        vec![reply.to_bytes().to_vec()]
    }));
    assert_eq!(measurement.reports[0].verdict, Some(Verdict::Inconsistent));
}

#[test]
fn one_server_named_twice_has_one_vote() {
    let servers = [serve(Script::default()), serve(Script::default())];
    let sources = [source(&servers[0]), source(&servers[0]), source(&servers[1])];
    let measurement = measure(&sources, &options(), &OsClock).unwrap();
    assert_eq!(measurement.estimate.unwrap().configured(), 2);
    assert!(
        measurement
            .warnings
            .iter()
            .any(|warning| matches!(warning, Warning::SharedVote { sources } if sources.len() == 2))
    );

    let strict = Options { allow_single: false, ..options() };
    let measurement = measure(&sources[..2], &strict, &OsClock).unwrap();
    assert_eq!(measurement.estimate, Err(NoEstimate::TooFewVotes(RulesError::SingleSource)));
}

#[test]
fn a_group_has_one_vote() {
    let servers: Vec<_> = (0..4).map(|_| serve(Script::default())).collect();
    let mut sources: Vec<_> = servers.iter().map(source).collect();
    for grouped in &mut sources[..3] {
        *grouped = grouped.clone().group("one operator");
    }
    let measurement = measure(&sources, &options(), &OsClock).unwrap();
    let estimate = measurement.estimate.unwrap();
    assert_eq!((estimate.configured(), estimate.agreeing()), (2, 2));
}

#[test]
fn groups_and_addresses_join_into_one_vote() {
    // One address alone, a group elsewhere, and a member of that group at the first address: all of them are one.
    let servers = [serve(Script::default()), serve(Script::default()), serve(Script::default())];
    let sources = [
        source(&servers[0]),
        source(&servers[1]).group("g"),
        source(&servers[0]).group("g"),
        source(&servers[2]),
    ];
    let measurement = measure(&sources, &options(), &OsClock).unwrap();
    assert_eq!(measurement.estimate.unwrap().configured(), 2);
}

#[test]
fn sources_with_one_upstream_are_warned_about() {
    let follower = || {
        serve(Script {
            stratum: 3,
            reference_id: ReferenceId::from_bytes([203, 0, 113, 9]),
            ..Script::default()
        })
    };
    let (one, other, third) = (follower(), follower(), serve(Script::default()));
    let measurement = ask(&[&one, &other, &third]);
    let [Warning::CommonUpstream { reference_id, sources }] = measurement.warnings.as_slice() else {
        panic!("{:?}", measurement.warnings);
    };
    assert_eq!((reference_id.to_text(3).as_str(), sources.len()), ("203.0.113.9", 2));
}

#[test]
fn a_name_that_does_not_resolve_is_one_sources_error() {
    let server = serve(Script::default());
    let sources = ["nowhere.invalid".parse().unwrap(), source(&server)];
    let measurement = measure(&sources, &Options { quorum: Some(1), ..options() }, &OsClock).unwrap();
    assert_eq!(measurement.reports[0].verdict, Some(Verdict::Unreachable));
    assert_eq!(measurement.reports[0].address, None);
    assert!(measurement.estimate.is_ok());
}

#[test]
fn both_families_work_side_by_side() {
    let v4 = serve(Script::default());
    let v6 = Responder::spawn("[::1]:0".parse().unwrap(), Script::default(), OsClock).unwrap();
    let measurement = ask(&[&v4, &v6]);
    assert_eq!(measurement.estimate.unwrap().agreeing(), 2);
}

#[test]
fn a_flood_of_datagrams_keeps_no_measurement_from_ending() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    let (flooding, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let flooder = UdpSocket::bind("127.0.0.1:0").unwrap();
    flooder.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let address = flooder.local_addr().unwrap();
    let thread = std::thread::spawn({
        let (flooding, done) = (Arc::clone(&flooding), Arc::clone(&done));
        move || {
            let (_, from) = flooder.recv_from(&mut [0; 48]).unwrap();
            flooding.store(true, Ordering::SeqCst);
            // Until it is told to stop, which a measurement that doesn't end never does.
            while !done.load(Ordering::SeqCst) {
                flooder.send_to(&[0xff; 48], from).unwrap();
            }
        }
    });
    let measurement = measure(&[Source::new(address.into())], &options(), &OsClock).unwrap();
    assert!(flooding.load(Ordering::SeqCst));
    done.store(true, Ordering::SeqCst);
    thread.join().unwrap();
    assert!(matches!(measurement.reports[0].error, Some(SourceError::OnlyStrays { .. })), "{measurement:?}");
}

#[test]
fn a_kiss_is_heard_from_a_source_that_contradicts_itself_too() {
    let script = |kiss: bool| {
        Script::rewriting(move |mut reply, before| {
            let ahead = u64::from(before) << 32;
            (reply.receive.0, reply.transmit.0) = (reply.receive.0 + ahead, reply.transmit.0 + ahead);
            if kiss && before == 2 {
                (reply.stratum, reply.reference_id) = (0, ReferenceId::from_bytes(*b"RATE"));
            }
            vec![reply.to_bytes().to_vec()]
        })
    };
    let pace = Pace { samples: 3, ..options().pace };
    for (kiss, verdict) in [(false, Verdict::Inconsistent), (true, Verdict::Kiss)] {
        let server = serve(script(kiss));
        let measurement = measure(&[source(&server)], &Options { pace, ..options() }, &OsClock).unwrap();
        let report = &measurement.reports[0];
        assert_eq!((report.verdict, report.bound), (Some(verdict), None), "{report:?}");
        assert_eq!(report.error == Some(SourceError::Kiss(KissCode::Rate)), kiss, "{report:?}");
    }
}

#[test]
fn no_more_is_sent_than_the_rate_allows() {
    let server = serve(Script::default());
    // One vote, but sixty sources that are asked: ten at once at the most, the others at 100 a second.
    let sources: Vec<_> = (0..60).map(|_| source(&server)).collect();
    let pace = Pace { samples: 1, max_rate: std::num::NonZeroU32::new(100), ..options().pace };
    let start = OsClock.raw();
    let measurement = measure(&sources, &Options { pace, ..options() }, &OsClock).unwrap();
    let took = (OsClock.raw() - start).unsigned_abs();
    assert!(took >= Duration::from_millis(490), "{took:?}");
    assert!(measurement.reports.iter().all(|report| report.bound.is_some()));
}

#[test]
fn no_more_replies_are_waited_for_than_may_be() {
    let silent: Vec<_> = (0..4).map(|_| serve(Script::silent())).collect();
    let sources: Vec<_> = silent.iter().map(source).collect();
    let pace = Pace { timeout: Duration::from_millis(50), max_in_flight: 1, ..options().pace };
    let start = OsClock.raw();
    let measurement = measure(&sources, &Options { pace, ..options() }, &OsClock).unwrap();
    // One after the other: four sources, two requests each.
    let took = (OsClock.raw() - start).unsigned_abs();
    assert!(took >= Duration::from_millis(8 * 50), "{took:?}");
    assert!(
        measurement
            .reports
            .iter()
            .all(|report| matches!(report.error, Some(SourceError::Timeout { requests: 2, .. })))
    );
}

#[test]
fn many_sources_at_once_all_get_their_answers() {
    let servers: Vec<_> = (0..4).map(|_| serve(Script::default())).collect();
    let sources: Vec<_> = (0..500).map(|index| source(&servers[index % 4])).collect();
    let pace = Pace { max_rate: None, timeout: Duration::from_secs(5), ..options().pace };
    let measurement = measure(&sources, &Options { pace, ..options() }, &OsClock).unwrap();
    assert!(measurement.reports.iter().all(|report| report.bound.is_some_and(|bound| bound.samples == 2)));
    if cfg!(target_os = "linux") {
        assert!(
            measurement
                .reports
                .iter()
                .any(|report| report.bound.is_some_and(|bound| bound.kernel_stamped > 0))
        );
    }
}
