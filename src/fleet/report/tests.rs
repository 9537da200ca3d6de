use super::*;
use crate::clock::{ClockEstimate, Limits, MaxDrift, Reception, Rules, Sample, SourceBound, Vote};
use crate::fleet::{Thresholds, Upstream};
use crate::ntp::{Measurement, Refusal};
use crate::time::sim::SimClock;
use crate::time::{LocalClock, RawInstant};
use proptest::prelude::*;

const MILLI: i64 = 1_000_000;

fn millis(millis: i64) -> SignedDuration {
    SignedDuration::from_millis(millis)
}

fn interval(lo: i64, hi: i64) -> OffsetInterval {
    OffsetInterval::new(SignedDuration::from_nanos(lo), SignedDuration::from_nanos(hi)).unwrap()
}

/// A round that found that UTC − raw lies in `bound` at `anchor`, or nothing.
fn round(anchor: i64, bound: Option<OffsetInterval>) -> Measurement {
    let clock = SimClock::new("2026-11-22T12:00:00Z".parse().unwrap());
    let rules = Rules::new(1, None, true, Limits::default()).unwrap();
    let anchor = RawInstant::from_nanos(anchor);
    let votes: Vec<Vote> = bound
        .into_iter()
        .map(|bound| Vote {
            bound: SourceBound {
                first: anchor,
                anchor,
                bound,
                delay: SignedDuration::ZERO,
                samples: 1,
                kernel_stamped: 1,
            },
            leap: Leap::None,
            smeared: false,
        })
        .collect();
    Measurement {
        reports: Vec::new(),
        estimate: ClockEstimate::from_votes(&votes, &rules, SignedDuration::ZERO),
        reading: clock.system(),
        suspended: SignedDuration::ZERO,
        warnings: Vec::new(),
    }
}

fn reading(anchor: i64, clock: OffsetInterval) -> Reading {
    let anchor = RawInstant::from_nanos(anchor);
    Reading { anchor, clock, delay: SignedDuration::ZERO, samples: 1, unsteady: false }
}

const SYNCHRONISED: Identity =
    Identity { leap: Leap::None, stratum: 3, reference_id: ReferenceId::from_bytes([192, 0, 2, 1]) };

fn outcome(reading: Reading) -> Outcome {
    Outcome { reading: Some(reading), identity: Some(SYNCHRONISED), ..Outcome::default() }
}

fn inventory(hosts: usize) -> Arc<Inventory> {
    let mut builder = Inventory::builder();
    builder.reference("ntp".parse().unwrap());
    for host in 0..hosts {
        builder.host(format!("host{host}").parse().unwrap());
    }
    Arc::new(builder.build().unwrap())
}

fn report(rounds: Vec<Measurement>, outcomes: Vec<Outcome>) -> Report {
    let now = "2026-11-22T12:00:00Z".parse().unwrap();
    Report::new(inventory(outcomes.len()), Reference::new(rounds), outcomes, &[], now, Duration::ZERO)
}

/// One host that is surely `lo` to `hi` milliseconds ahead.
fn one(lo: i64, hi: i64) -> HostReport {
    let clock = interval(lo * MILLI, hi * MILLI);
    report(vec![round(0, Some(interval(0, 0)))], vec![outcome(reading(0, clock))]).hosts.remove(0)
}

#[test]
fn a_bound_on_both_sides_of_the_threshold_is_inconclusive_and_no_skew() {
    for (lo, hi, state, critical) in [
        (-100, 100, State::InSync, false),
        (-101, 100, State::Inconclusive, false),
        (99, 5_000, State::Inconclusive, false),
        (100, 5_000, State::Inconclusive, false),
        (101, 5_000, State::Skewed, false),
        (-5_000, -101, State::Skewed, false),
        (1_000, 1_002, State::Skewed, false),
        (1_001, 1_002, State::Skewed, true),
        (-9_000, -1_001, State::Skewed, true),
    ] {
        let host = one(lo, hi);
        assert_eq!((host.state(), host.flags.contains(Flag::Critical)), (state, critical), "{lo} {hi}");
        assert_eq!(host.skew, Some(interval(lo * MILLI, hi * MILLI)));
    }
}

#[test]
fn flags_are_independent_of_each_other() {
    let unsynchronised = Identity { leap: Leap::Unsynchronised, stratum: 0, ..SYNCHRONISED };
    let reading = Reading { unsteady: true, ..reading(0, interval(2_000 * MILLI, 2_001 * MILLI)) };
    let outcome = Outcome { identity: Some(unsynchronised), ..outcome(reading) };
    let host = &report(vec![round(0, Some(interval(0, 0)))], vec![outcome]).hosts[0];
    let flags = [Flag::Skewed, Flag::Critical, Flag::Unsynchronised, Flag::Unsteady];
    assert_eq!(host.flags.iter().collect::<Vec<_>>(), flags);
    assert_eq!(host.state(), State::Skewed);
}

#[test]
fn strata_and_leap_indicators_that_mean_unsynchronised() {
    for (leap, stratum, synchronised) in [
        (Leap::None, 1, true),
        (Leap::Insert, 15, true),
        (Leap::None, 0, false),
        (Leap::None, 16, false),
        (Leap::None, 255, false),
        (Leap::Unsynchronised, 2, false),
    ] {
        let identity = Identity { leap, stratum, ..SYNCHRONISED };
        assert_eq!(identity.is_synchronised(), synchronised, "{identity:?}");
    }
}

#[test]
fn hosts_without_a_reading_are_unreachable_or_rejected() {
    let failed = |error: SourceError| Outcome { error: Some(error.into()), ..Outcome::default() };
    let outcomes = vec![
        Outcome::default(),
        failed(SourceError::Timeout { requests: 2, timeout: Duration::from_secs(1) }),
        failed(SourceError::Unresolved { detail: String::new() }),
        failed(Refusal::Mode { mode: 3 }.into()),
        failed(SourceError::Kiss(crate::ntp::KissCode::Deny)),
    ];
    let report = report(vec![round(0, Some(interval(0, 0)))], outcomes);
    let states: Vec<_> = report.hosts.iter().map(HostReport::state).collect();
    let (none, bad) = (State::Unreachable, State::Rejected);
    assert_eq!(states, [none, none, none, bad, bad]);
    assert_eq!((report.summary.count(none), report.summary.count(bad), report.summary.hosts()), (3, 2, 5));
    assert_eq!((report.worst_pair, report.margin().whole(), report.margin().unmeasured), (None, None, 5));
}

#[test]
fn without_true_time_nobody_is_called_right_or_wrong() {
    let outcomes = vec![outcome(reading(0, interval(0, 0)))];
    let report = report(vec![round(0, None)], outcomes);
    let host = &report.hosts[0];
    assert_eq!((host.skew, host.state()), (None, State::Inconclusive));
    assert!(report.reference.last().is_some_and(|round| round.estimate.is_err()));
    assert_eq!(report.margin().whole(), None);
}

#[test]
fn groups_have_their_own_thresholds_upstreams_and_sums() {
    let mut builder = Inventory::builder();
    builder.reference("ntp".parse().unwrap());
    let mut strict = Group::named("strict", &Group::default()).unwrap();
    strict.thresholds = Thresholds::new(Duration::from_millis(1), Duration::from_millis(2)).unwrap();
    let mut watched = Group::named("watched", &Group::default()).unwrap();
    watched.upstreams = vec!["10.0.0.1".parse::<Upstream>().unwrap()];
    let (strict, watched) = (builder.group(strict).unwrap(), builder.group(watched).unwrap());
    for (name, group) in [("a", GroupId::default()), ("b", strict), ("c", watched), ("d", watched)] {
        builder.host(name.parse::<Host>().unwrap().in_group(group));
    }
    let inventory = Arc::new(builder.build().unwrap());
    let outcomes = vec![outcome(reading(0, interval(3 * MILLI, 4 * MILLI))); 4];
    let known = ["10.0.0.1:123".parse().unwrap()];
    let approved: Vec<_> =
        inventory.groups().iter().map(|group| Approved::new(&group.upstreams, |_| Some(&known))).collect();
    let reference = Reference::new(vec![round(0, Some(interval(0, 0)))]);
    let now = "2026-11-22T12:00:00Z".parse().unwrap();
    let report = Report::new(inventory, reference, outcomes, &approved, now, Duration::ZERO);
    let states: Vec<_> = report.hosts.iter().map(HostReport::state).collect();
    assert_eq!(states, [State::InSync, State::Skewed, State::ForeignReference, State::ForeignReference]);
    let groups = report.groups();
    assert_eq!(groups.iter().map(|group| group.group.index()).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(groups[2].summary.count(State::ForeignReference), 2);
    assert_eq!(groups[1].margin.whole(), Some(Duration::from_millis(4)));
    let policy =
        crate::window::WindowPolicy::builder().synchronised_slack(report.margin().whole().unwrap()).build();
    assert_eq!(policy.unwrap().synchronised_slack(), Duration::from_millis(4));
}

#[test]
fn a_host_that_is_right_in_a_wrong_era_is_in_the_right_one() {
    let era = 4_294_967_296 * 1_000 * MILLI;
    let host = &report(
        vec![round(0, Some(interval(-MILLI, MILLI)))],
        vec![outcome(reading(0, interval(era - 2 * MILLI, era - MILLI)))],
    )
    .hosts[0];
    assert_eq!(host.skew, Some(interval(-3 * MILLI, 0)));
    assert_eq!(host.state(), State::InSync);
}

#[test]
fn both_neighbours_of_a_host_count() {
    // Exact to 1 ms from above and from below, 100 s apart: each alone is 20 ms wide at the other's end.
    let second = 1_000 * MILLI;
    let rounds = vec![
        round(0, Some(interval(-10 * MILLI, MILLI))),
        round(100 * second, Some(interval(-MILLI, 10 * MILLI))),
    ];
    let reference = Reference::new(rounds);
    let at = |raw: i64| reference.offset_at(RawInstant::from_nanos(raw)).unwrap();
    assert_eq!(at(0), interval(-10 * MILLI, MILLI));
    // 50 s at 100 ppm are 5 ms and a little more.
    let middle = at(50 * second);
    assert!(middle.lo() <= millis(-6) && middle.lo() > SignedDuration::from_micros(-6_001), "{middle:?}");
    assert!(middle.hi() >= millis(6) && middle.hi() < SignedDuration::from_micros(6_001), "{middle:?}");
    // Where they contradict each other, nobody knows which is wrong.
    let rounds = vec![round(0, Some(interval(0, MILLI))), round(1, Some(interval(500 * MILLI, 501 * MILLI)))];
    let both = Reference::new(rounds).offset_at(RawInstant::from_nanos(0)).unwrap();
    assert!(both.contains(SignedDuration::ZERO) && both.contains(millis(501)), "{both:?}");
}

/// A sweep of a simulated world: the host that measures has a raw clock of a wrong rate, and every host a clock of its own.
#[derive(Clone, Debug)]
struct Sim {
    raw_rate_ppb: i64,
    /// Pauses before each, in ns; then each host's clock ahead, its rate, and the ways of its packets.
    hosts: Vec<SimHost>,
    /// A round over the reference before so many hosts.
    rounds_every: usize,
    reference_error: (i64, i64),
}

#[derive(Clone, Debug)]
struct SimHost {
    pause: u64,
    ahead: i64,
    rate_ppb: i64,
    out: u64,
    back: u64,
}

fn sim_host() -> impl Strategy<Value = SimHost> {
    let ahead = prop_oneof![-300 * MILLI..300 * MILLI, -90_000 * MILLI..90_000 * MILLI];
    let way = prop_oneof![Just(0), 0_u64..1_000_000, 0_u64..900_000_000];
    (0_u64..4_000_000_000, ahead, -900_000_i64..900_000, way.clone(), way)
        .prop_map(|(pause, ahead, rate_ppb, out, back)| SimHost { pause, ahead, rate_ppb, out, back })
}

fn sim() -> impl Strategy<Value = Sim> {
    (
        prop::sample::select(vec![-100_000_i64, 0, 100_000]),
        prop::collection::vec(sim_host(), 1..12),
        1_usize..8,
        (0_i64..20 * MILLI, 0_i64..20 * MILLI),
    )
        .prop_map(|(raw_rate_ppb, hosts, rounds_every, reference_error)| Sim {
            raw_rate_ppb,
            hosts,
            rounds_every,
            reference_error,
        })
}

const HOST_DRIFT: MaxDrift = MaxDrift::from_ppm(1_000);

impl Sim {
    /// The report, and each host's true skew when it was read.
    fn run(&self, raw_start: u64) -> (Report, Vec<SignedDuration>) {
        let start: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let world = SimClock::new(start);
        world.advance(Duration::from_nanos(raw_start));
        world.set_rate_error_ppb(self.raw_rate_ppb);
        // All that happens happens at the same times, whatever this clock shows.
        let began = world.truth();
        let utc_minus_raw = || world.truth() - Timestamp::from_unix_nanos(world.raw().as_nanos());
        let (mut rounds, mut outcomes, mut skews) = (Vec::new(), Vec::new(), Vec::new());
        let mut measure = || {
            let truth = utc_minus_raw().as_nanos();
            let bound = interval(truth - self.reference_error.0, truth + self.reference_error.1);
            rounds.push(round(world.raw().as_nanos(), Some(bound)));
        };
        for (index, host) in self.hosts.iter().enumerate() {
            if index % self.rounds_every == 0 {
                measure();
            }
            let skew = || {
                let since = (world.truth() - began).as_nanos();
                let drifted = i128::from(since) * i128::from(host.rate_ppb) / 1_000_000_000;
                SignedDuration::saturating_from_nanos(i128::from(host.ahead) + drifted)
            };
            let mut samples = Vec::new();
            for _ in 0..3 {
                world.advance(Duration::from_nanos(host.pause));
                let t1 = world.raw();
                world.advance(Duration::from_nanos(host.out));
                let t2 = world.truth() + skew();
                let t3 = t2;
                world.advance(Duration::from_nanos(host.back));
                let exchange = crate::clock::Exchange {
                    t1,
                    t2,
                    t3,
                    t4: world.raw(),
                    reception: Reception::Process,
                    // What it says of itself has no part in it.
                    root_delay: Duration::from_secs(1_000),
                    root_dispersion: Duration::from_secs(1_000),
                    server_precision: Duration::from_nanos(1),
                    client_precision: Duration::from_nanos(1),
                };
                samples.push(exchange.clock_reading(HOST_DRIFT).unwrap());
            }
            let last: Sample = samples[2];
            assert_eq!(last.anchor, world.raw());
            outcomes.push(outcome(Reading::from_samples(&samples, HOST_DRIFT).unwrap()));
            skews.push(skew());
        }
        measure();
        (report(rounds, outcomes), skews)
    }
}

proptest! {
    #[test]
    fn the_true_skew_is_inside_every_bound(sim in sim()) {
        let (report, skews) = sim.run(0);
        for (host, skew) in report.hosts.iter().zip(&skews) {
            prop_assert!(host.skew.is_some_and(|bound| bound.contains(*skew)), "{skew} {host:?}");
            prop_assert!(!host.reading.unwrap().unsteady);
            // Nothing is called skewed that isn't, and nothing right that is off.
            let off = skew.unsigned_abs() > Duration::from_millis(100);
            match host.state() {
                State::Skewed => prop_assert!(off),
                State::InSync => prop_assert!(!off),
                state => prop_assert_eq!(state, State::Inconclusive),
            }
        }
        let margin = report.margin().whole().unwrap();
        prop_assert!(skews.iter().all(|skew| skew.unsigned_abs() <= margin));
        if let Some(Pair { a, b, skew }) = report.worst_pair {
            prop_assert!(skew.contains(skews[a] - skews[b]), "{:?} {} {}", skew, skews[a], skews[b]);
        }
    }

    #[test]
    fn the_clock_of_the_host_that_measures_cancels_out(sim in sim(), raw_start in 0_u64..1 << 50) {
        let sim = Sim { raw_rate_ppb: 0, ..sim };
        let (one, _) = sim.run(0);
        let (other, _) = sim.run(raw_start);
        for (one, other) in one.hosts.iter().zip(&other.hosts) {
            prop_assert_eq!(one.skew, other.skew);
        }
        prop_assert_eq!(one.worst_pair, other.worst_pair);
    }

    #[test]
    fn the_worst_pair_is_that_of_a_search_over_all(
        hosts in prop::collection::vec((-50_i64..50, 0_i64..40, 0_i64..20), 0..9),
        reference in (0_i64..30, 0_i64..30),
    ) {
        // One point of time, so that the reference is the same for all, and its error has no part in it.
        let truth = interval(-2 * reference.0 * MILLI, 2 * reference.1 * MILLI);
        let outcomes: Vec<_> = hosts
            .iter()
            .map(|(middle, wide, _)| outcome(reading(0, interval((middle - wide) * MILLI, (middle + wide) * MILLI))))
            .collect();
        if outcomes.is_empty() {
            return Ok(());
        }
        let report = report(vec![round(0, Some(truth))], outcomes);
        let certain = |a: usize, b: usize| hosts[a].0 - hosts[a].1 - hosts[b].0 - hosts[b].1;
        let mut best: Option<(i64, usize, usize)> = None;
        for a in 0..hosts.len() {
            for b in 0..hosts.len() {
                if a != b && best.is_none_or(|(apart, ..)| certain(a, b) > apart) {
                    best = Some((certain(a, b), a, b));
                }
            }
        }
        let found = report.worst_pair;
        prop_assert_eq!(found.is_some(), hosts.len() >= 2);
        if let (Some((apart, ..)), Some(Pair { a, b, skew })) = (best, found) {
            prop_assert!(a != b);
            prop_assert_eq!(certain(a, b), apart);
            prop_assert_eq!(skew.lo(), millis(apart));
            prop_assert_eq!(skew.hi(), millis(hosts[a].0 + hosts[a].1 - hosts[b].0 + hosts[b].1));
        }
    }
}
