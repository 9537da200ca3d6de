//! Measurements at times that come rarely: leap seconds, announced and smeared, and NTP's next era. The servers are
//! scripted: their clocks are years ahead of this host's.

use std::time::Duration;

use skewgate::clock::{ClockEstimate, Leap, NoEstimate};
use skewgate::ntp::{
    Measurement, Options, Pace, ReferenceId, Responder, Script, Source, Verdict, Warning, measure,
};
use skewgate::time::sim::Pretend;
use skewgate::time::{LocalClock, RawInstant, SignedDuration, Timestamp, os::OsClock};

fn options() -> Options {
    let pace = Pace {
        samples: 2,
        interval: Duration::from_millis(10),
        timeout: Duration::from_secs(1),
        ..Pace::default()
    };
    Options { pace, ..Options::default() }
}

fn at(date: &str) -> Timestamp {
    date.parse().expect("a date")
}

/// How far ahead of this host a clock is that shows `date` now. Servers that are to agree share one: between two calls
/// time passes.
fn ahead(date: &str) -> SignedDuration {
    at(date) - OsClock.system().realtime
}

fn serve(offset: SignedDuration, script: Script) -> Responder {
    Responder::spawn(([127, 0, 0, 1], 0).into(), Script { offset, ..script }, OsClock)
        .expect("a port on loopback")
}

fn honest(offset: SignedDuration) -> Responder {
    serve(offset, Script::default())
}

fn source(server: &Responder) -> Source {
    Source::new(server.address().into())
}

fn ask(sources: &[Source]) -> Measurement {
    measure(sources, &options(), &OsClock).expect("rules that make sense")
}

fn half_width(estimate: &ClockEstimate, raw: RawInstant) -> Duration {
    estimate.at(raw, OsClock.suspended()).expect("young and narrow").half_width()
}

/// More than the width of a measurement on loopback and a minute's drift, far less than a second.
const NARROW: Duration = Duration::from_millis(200);

const HALF_A_SECOND: SignedDuration = SignedDuration::from_millis(500);

#[test]
fn an_announced_leap_second_reaches_the_estimate() {
    for (leap, widens) in [(Leap::Insert, true), (Leap::Delete, true), (Leap::None, false)] {
        // One of three announces it; the others forgot.
        let offset = ahead("2026-12-31T23:59:30Z");
        let announcing = |leap| serve(offset, Script { leap, ..Script::default() });
        let servers = [leap, Leap::None, Leap::None].map(announcing);
        let measurement = ask(&servers.each_ref().map(source));
        let estimate = measurement.estimate.expect("three that agree");
        assert_eq!(measurement.reports[0].vote().expect("usable").leap, leap);
        let after = estimate.anchor() + SignedDuration::from_secs(31);
        assert!(half_width(&estimate, estimate.anchor()) < NARROW, "{leap:?}");
        assert_eq!(half_width(&estimate, after) >= Duration::from_secs(1), widens, "{leap:?}");
    }
}

#[test]
fn a_round_across_a_leap_second_gives_nothing() {
    let offset = ahead("2026-12-31T23:59:59.200Z");
    let servers = [(); 3].map(|()| serve(offset, Script { leap: Leap::Insert, ..Script::default() }));
    assert_eq!(ask(&servers.each_ref().map(source)).estimate, Err(NoEstimate::AcrossLeapSecond));
}

#[test]
fn a_smeared_source_is_believed_to_a_second_around_the_end_of_a_month() {
    // Noon; in the middle of a smear, these servers are half a second behind.
    let truth = ahead("2026-12-31T12:00:00Z");
    let smearing = [(); 3].map(|()| honest(truth - HALF_A_SECOND));
    let measured = |smeared: bool| {
        let measurement = ask(&smearing.each_ref().map(|server| source(server).smeared(smeared)));
        let estimate = measurement.estimate.expect("three that agree");
        let offset = estimate.system_offset(&measurement.reading, measurement.suspended).expect("young");
        let alone = measurement.reports[0].offset.expect("an offset");
        (offset.contains(truth), alone.contains(truth), half_width(&estimate, estimate.anchor()))
    };
    let (inside, alone, width) = measured(true);
    assert!(inside && alone && width >= Duration::from_secs(1), "{width:?}");
    let (inside, alone, width) = measured(false);
    assert!(!inside && !alone && width < NARROW, "{width:?}");
    // In the middle of a month, the declaration costs nothing.
    let calm = honest(ahead("2026-12-16T00:00:00Z"));
    let options = Options { allow_single: true, ..options() };
    let measurement =
        measure(&[source(&calm).smeared(true)], &options, &OsClock).expect("rules that make sense");
    let estimate = measurement.estimate.expect("one is allowed");
    assert!(half_width(&estimate, estimate.anchor()) < NARROW);
}

#[test]
fn smeared_and_unsmeared_sources_that_disagree_are_warned_about() {
    let noon = ahead("2026-12-31T12:00:00Z");
    let right = [(); 3].map(|()| honest(noon));
    let smearing = honest(noon - HALF_A_SECOND);
    let [one, two, three] = right.each_ref().map(source);
    let declared = source(&smearing).smeared(true);
    let measurement = ask(&[one.clone(), two.clone(), three.clone(), declared.clone()]);
    assert_eq!(measurement.reports[3].verdict, Some(Verdict::Truechimer), "a smear explains half a second");
    let expected = Warning::MixedSmear {
        smeared: vec![declared.as_given().to_owned()],
        others: [&one, &two, &three].map(|source| source.as_given().to_owned()).to_vec(),
    };
    assert!(measurement.warnings.contains(&expected), "{:?}", measurement.warnings);
    assert!(expected.to_string().contains("use sources that all smear, or none that does"));

    let mixed = |sources: &[Source]| {
        ask(sources).warnings.iter().any(|warning| matches!(warning, Warning::MixedSmear { .. }))
    };
    // No declaration, or nothing else; agreement; and a liar, whom no smear explains.
    assert!(!mixed(&[one.clone(), two.clone(), three.clone(), source(&smearing)]));
    assert!(!mixed(&[one.clone().smeared(true), declared]));
    assert!(!mixed(&[one.clone(), two.clone().smeared(true), three.clone()]));
    let liar = honest(noon + SignedDuration::from_millis(1_500));
    assert!(!mixed(&[one, two, three, source(&liar).smeared(true)]));
    // In the middle of a month there is no agreement, and the declaration may be wrong; ahead is as bad as behind.
    let calm = ahead("2026-12-16T00:00:00Z");
    let (right, fast) = (honest(calm), honest(calm + HALF_A_SECOND));
    assert!(mixed(&[source(&right), source(&fast).smeared(true)]));
    assert!(mixed(&[source(&right).smeared(true), source(&fast)]));
}

#[test]
fn a_chronyd_that_smears_and_was_not_declared_is_warned_about() {
    let offset = ahead("2026-12-31T12:00:00Z");
    let smearing = serve(offset, Script { reference_id: ReferenceId::CHRONY_SMEAR, ..Script::default() });
    let plain = honest(offset);
    let undeclared = source(&smearing);
    let expected = Warning::UndeclaredSmear { source: undeclared.as_given().to_owned() };
    let measurement = ask(&[undeclared, source(&plain)]);
    assert!(measurement.warnings.contains(&expected), "{:?}", measurement.warnings);
    assert!(expected.to_string().contains("127.127.1.255"), "{expected}");
    let measurement = ask(&[source(&smearing).smeared(true), source(&plain)]);
    assert!(!measurement.warnings.contains(&expected), "{:?}", measurement.warnings);
}

#[test]
fn every_era_is_measured_whatever_this_host_believes() {
    // Both sides of the end of era 0, the middle of era 1, and the end of the 2³² s from the release on.
    let dates = [
        "2036-02-07T06:28:00Z",
        "2036-02-07T06:28:17Z",
        "2050-06-15T12:00:00Z",
        "2100-12-31T12:00:00Z",
        "2162-12-01T00:00:00Z",
    ];
    // The year of the release; 1970, as with an empty battery; and a year in era 1.
    let beliefs = ["2026-11-22T12:00:00Z", "1970-01-01T00:00:10Z", "2037-01-01T00:00:00Z"].map(ahead);
    for date in dates {
        let server_ahead = ahead(date);
        let servers = [(); 2].map(|()| honest(server_ahead));
        for belief in beliefs {
            let host = Pretend::new(OsClock, belief);
            let measurement =
                measure(&servers.each_ref().map(source), &options(), &host).expect("rules that make sense");
            let estimate = measurement.estimate.unwrap_or_else(|error| panic!("{date}, {belief}: {error}"));
            let offset = estimate.system_offset(&measurement.reading, measurement.suspended).expect("young");
            assert!(offset.contains(server_ahead - belief), "{date}, {belief}: {offset:?}");
            assert!(offset.half_width() < NARROW, "{date}, {belief}: {offset:?}");
            let now = estimate.at(measurement.reading.after, measurement.suspended).expect("young");
            let since = (now.midpoint() - at(date)).unsigned_abs();
            assert!(since < Duration::from_secs(60), "{date}, {belief}: {now:?}");
        }
    }
}

#[test]
fn a_clock_that_crosses_into_the_next_era_during_a_burst_is_consistent() {
    let pace = Pace { samples: 8, ..options().pace };
    let offset = ahead("2036-02-07T06:28:15.970Z");
    let servers = [(); 2].map(|()| honest(offset));
    let sources = servers.each_ref().map(source);
    let measurement =
        measure(&sources, &Options { pace, ..options() }, &OsClock).expect("rules that make sense");
    for report in &measurement.reports {
        assert_eq!((report.error.clone(), report.bound.expect("a bound").samples), (None, 8));
        let last = report.header.expect("a reply").transmit;
        assert!(last.0 >> 63 == 0, "the last reply is of era 1: {last:?}");
    }
    assert!(measurement.estimate.is_ok());
}
