//! Real time servers behind a bad network: whatever the path does, the truth stays inside the bound. The
//! servers share this machine's clock, so the truth is an offset of zero.

mod support;

use std::time::Duration;

use fastrand::Rng;
use skewgate::ntp::{Measurement, Options, Pace, Source, SourceReport, Verdict, measure};
use skewgate::time::{SignedDuration, os::OsClock};
use support::chronyd::Chronyd;
use support::relay::{Relay, Route, Way};

/// How many random networks are tried.
const ROUTES: usize = 48;

/// What waking up a thread may add to a delay.
const SCHEDULING: Duration = Duration::from_millis(4);

/// Patient enough for a third of the exchanges to be lost.
fn options() -> Options {
    let pace = Pace {
        samples: 4,
        interval: Duration::from_millis(50),
        timeout: Duration::from_millis(300),
        retries: 15,
        ..Pace::default()
    };
    Options { pace, allow_single: true, ..Options::default() }
}

fn ask(sources: &[Source]) -> Measurement {
    measure(sources, &options(), &OsClock).expect("rules that make sense")
}

/// The same on every run, unless `SKEWGATE_TEST_SEED` says otherwise.
fn seed() -> u64 {
    match std::env::var("SKEWGATE_TEST_SEED") {
        Ok(text) => text.parse().expect("SKEWGATE_TEST_SEED: a number"),
        Err(_) => 5905,
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn is_near(measured: SignedDuration, expected_millis: i64, tolerance: Duration) -> bool {
    (measured - SignedDuration::from_millis(expected_millis)).unsigned_abs() < tolerance
}

fn assert_truth_inside(report: &SourceReport, route: &Route) {
    let offset = report.offset.unwrap_or_else(|| panic!("nothing measured\n{route:?}\n{report:?}"));
    assert!(offset.contains(SignedDuration::ZERO), "{offset:?} misses the truth\n{route:?}\n{report:?}");
}

#[test]
#[ignore = "needs chronyd: ./tests/run"]
fn an_asymmetric_path_moves_the_middle_by_half_and_keeps_the_truth_inside() {
    let server = Chronyd::honest(3);
    // The request takes longer: the server reads its clock later than half-way, which looks as if it were
    // ahead and this host behind. That is positive.
    for (out, back, shift) in [(30, 10, 10), (10, 30, -10), (0, 60, -30)] {
        let route = Route::delays(millis(out), millis(back));
        let relay = Relay::to(server.address(), &route);
        let measurement = ask(&[relay.source()]);
        let report = &measurement.reports[0];
        let (offset, bound) = (report.offset.unwrap(), report.bound.unwrap());
        let round_trip = i64::try_from(out + back).unwrap();
        assert!(is_near(offset.midpoint(), shift, SCHEDULING), "{route:?}\n{report:?}");
        assert!(is_near(bound.delay, round_trip, SCHEDULING), "{route:?}\n{report:?}");
        assert!(bound.delay >= SignedDuration::from_millis(round_trip), "{route:?}\n{report:?}");
        // No symmetry is assumed: the bound reaches from the way back to the way out.
        let (back, out) = (i64::try_from(back).unwrap(), i64::try_from(out).unwrap());
        assert!(is_near(offset.lo(), -back, SCHEDULING), "{route:?}\n{report:?}");
        assert!(is_near(offset.hi(), out, SCHEDULING), "{route:?}\n{report:?}");
        assert_truth_inside(report, &route);
        let estimate =
            measurement.estimate.unwrap().system_offset(&measurement.reading, measurement.suspended).unwrap();
        assert!(estimate.contains(SignedDuration::ZERO), "{estimate:?}");
    }
}

#[test]
#[ignore = "needs chronyd: ./tests/run"]
fn what_a_server_got_wrong_over_its_own_bad_path_is_inside_its_root_distance() {
    // It serves a time that is 10 ms off and says so only through its root delay: without the root terms the
    // bound would be a fraction of a millisecond around the wrong time.
    let upstream = Chronyd::honest(3);
    let route = Route::delays(millis(30), millis(10));
    let relay = Relay::to(upstream.address(), &route);
    let follower = Chronyd::following(relay.address());
    let measurement = ask(&[follower.source()]);
    let report = &measurement.reports[0];
    assert!(is_near(report.offset.unwrap().midpoint(), 10, millis(5)), "{report:?}");
    assert!(report.bound.unwrap().delay < SignedDuration::from_millis(5), "{report:?}");
    assert_truth_inside(report, &route);
}

#[test]
#[ignore = "needs chronyd: ./tests/run"]
fn through_any_network_the_truth_is_inside() {
    let servers = [2, 3, 4].map(Chronyd::honest);
    let seed = seed();
    let mut seeds = Rng::with_seed(seed);
    let routes: Vec<Route> = (0..ROUTES).map(|_| Route::random(seeds.u64(..))).collect();
    let relays: Vec<Relay> = routes
        .iter()
        .zip(servers.iter().cycle())
        .map(|(route, server)| Relay::to(server.address(), route))
        .collect();
    let sources: Vec<Source> = relays.iter().map(Relay::source).collect();
    let measurement = ask(&sources);
    println!("SKEWGATE_TEST_SEED={seed}");
    for (report, route) in measurement.reports.iter().zip(&routes) {
        assert_truth_inside(report, route);
        assert_eq!(report.verdict, Some(Verdict::Truechimer), "{route:?}\n{report:?}");
        assert_eq!((report.bound.unwrap().samples, &report.error), (4, &None), "{route:?}\n{report:?}");
        let round_trip = SignedDuration::from(route.out.delay + route.back.delay);
        assert!(report.bound.unwrap().delay >= round_trip, "{route:?}\n{report:?}");
    }
    let estimate = measurement.estimate.unwrap();
    assert_eq!(estimate.agreeing(), ROUTES);
    let offset = estimate.system_offset(&measurement.reading, measurement.suspended).unwrap();
    assert!(offset.contains(SignedDuration::ZERO), "SKEWGATE_TEST_SEED={seed}: {offset:?}");
}

#[test]
#[ignore = "needs chronyd: ./tests/run"]
fn one_of_three_behind_a_lossy_network_does_not_move_the_estimate() {
    let servers = [3, 3, 3].map(Chronyd::honest);
    let way = Way { delay: millis(25), jitter: millis(40), loss: 40, duplication: 20, reordering: 20 };
    let route = Route { seed: seed(), out: way, back: Way { delay: millis(5), ..way } };
    let relay = Relay::to(servers[2].address(), &route);
    let measurement = ask(&[servers[0].source(), servers[1].source(), relay.source()]);
    assert_truth_inside(&measurement.reports[2], &route);
    let estimate = measurement.estimate.unwrap();
    assert_eq!((estimate.agreeing(), estimate.usable()), (3, 3), "{route:?}");
    let offset = estimate.system_offset(&measurement.reading, measurement.suspended).unwrap();
    assert!(offset.contains(SignedDuration::ZERO), "{route:?}\n{offset:?}");
}
