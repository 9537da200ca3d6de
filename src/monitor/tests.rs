use std::sync::Mutex;

use super::*;
use crate::clock::{Leap, Limits, OffsetInterval, Rules, SourceBound, Vote};
use crate::ntp::{Pace, Responder, Script, Sockets, Transport, Udp};
use crate::time::os::OsClock;
use crate::time::sim::{Pretend, SimClock};
use crate::time::{LocalClock, SignedDuration};
use keeper::Spur;
use life::begin;

fn quick() -> MonitorBuilder {
    let pace = Pace {
        samples: 1,
        interval: Duration::from_millis(5),
        timeout: Duration::from_secs(1),
        retries: 0,
        ..Pace::default()
    };
    Monitor::builder()
        .options(Options { pace, allow_single: true, ..Options::default() })
        .interval(Duration::from_millis(20))
}

fn server(script: Script) -> Responder {
    Responder::spawn(([127, 0, 0, 1], 0).into(), script, OsClock).unwrap()
}

#[test]
fn it_says_the_time_whatever_the_system_clock_shows() {
    let server = server(Script::default());
    let slow = Pretend::new(OsClock, SignedDuration::from_secs(-40));
    let monitor = quick().source(Source::new(server.address().into())).clock(Arc::new(slow)).start().unwrap();
    let now = monitor.wait_ready(Duration::from_secs(20)).unwrap();
    let behind = now.midpoint() - monitor.system_clock();
    assert!((behind - SignedDuration::from_secs(40)).unsigned_abs() < Duration::from_secs(1), "{behind}");
}

#[test]
fn before_anything_answered_there_is_no_time() {
    let server = server(Script::silent());
    let monitor = quick().source(Source::new(server.address().into())).start().unwrap();
    assert_eq!(monitor.now(), Err(TimeError::NotMeasured));
    let mut changes = monitor.changes();
    while monitor.health().counts.rounds == 0 {
        changes.wait(Duration::from_secs(20)).unwrap();
    }
    assert_eq!(monitor.wait_ready(Duration::from_millis(50)), Err(TimeError::NotMeasured));
    assert!(monitor.last_measurement().unwrap().estimate.is_err());
}

#[test]
fn an_estimate_outlives_its_sources() {
    let server = server(Script::default());
    let monitor = quick().source(Source::new(server.address().into())).start().unwrap();
    monitor.wait_ready(Duration::from_secs(20)).unwrap();
    drop(server);
    let mut changes = monitor.changes();
    while changes.wait(Duration::from_secs(20)).unwrap().expect("a round").last_error.is_none() {}
    assert!(monitor.last_measurement().unwrap().estimate.is_err(), "the last round failed");
    assert!(monitor.now().is_ok());
}

#[test]
fn a_jump_is_believed_only_when_a_second_round_bears_it_out() {
    let clock = Arc::new(SimClock::new(Timestamp::from_unix_nanos(0)));
    let seconds = SignedDuration::from_secs;
    let estimate = |offset| estimate_of(&clock, seconds(offset), SignedDuration::ZERO, Limits::default());
    let wide = || estimate_of(&clock, seconds(210), seconds(20), Limits::default());
    let mut keeper = keeper(Arc::clone(&clock));
    let right = estimate(0);
    let jumped = estimate(100);
    let elsewhere = estimate(-200);
    let contradicts = |seconds| Err(RoundError::Contradicts { by: SignedDuration::from_secs(seconds) });
    for (new, result, published) in [
        (right, Ok(()), right),                // the first is believed
        (jumped, contradicts(100), right),     // one jump is not
        (right, Ok(()), right),                // back again: the jump is forgotten
        (jumped, contradicts(100), right),     // so this is a first one again
        (elsewhere, contradicts(-200), right), // and another one does not confirm it
        (elsewhere, Ok(()), elsewhere),
    ] {
        assert_eq!((keeper.consider(new), keeper.shared.estimate()), (result, Some(published)));
    }
    // One that is of no use doesn't replace one that is, nor bears out the next.
    let useless = keeper.consider(wide());
    assert!(matches!(useless, Err(RoundError::Useless(TimeError::TooWide { .. }))), "{useless:?}");
    assert_eq!(keeper.shared.estimate(), Some(elsewhere));
    // A published estimate that does not hold any more is nothing to contradict.
    clock.suspend(Duration::from_secs(60));
    let void = keeper.consider(right);
    assert!(matches!(void, Err(RoundError::Useless(TimeError::Suspended { .. }))), "{void:?}");
    let fresh = estimate_of(&clock, SignedDuration::ZERO, SignedDuration::ZERO, Limits::default());
    assert_eq!(keeper.consider(fresh), Ok(()));
    assert_eq!(keeper.shared.estimate(), Some(fresh));
}

#[test]
fn a_kissing_source_is_left_alone() {
    let server = server(Script {
        stratum: 0,
        reference_id: crate::ntp::ReferenceId::from_bytes(*b"DENY"),
        ..Script::default()
    });
    let monitor = quick().source(Source::new(server.address().into())).start().unwrap();
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(server.requests(), 1);
    assert_eq!(monitor.now(), Err(TimeError::NotMeasured));
}

#[test]
fn nonsense_is_refused_at_the_start() {
    assert_eq!(Monitor::builder().spawn().unwrap_err(), MonitorError::Rules(RulesError::NoSources));
    let server: Source = "192.0.2.1".parse().unwrap();
    let servers = Monitor::builder().sources([server.clone(), server.clone(), server]);
    let paranoid = Options { tolerated_liars: 2, ..Options::default() };
    assert!(matches!(
        servers.options(paranoid).spawn().unwrap_err(),
        MonitorError::Rules(RulesError::ImpossibleTolerance { liars: 2, configured: 3, most: 1 })
    ));
    let day = Duration::from_secs(86_400);
    for interval in [Duration::ZERO, Duration::from_millis(999), day, Duration::MAX] {
        let refused = quick().source("127.0.0.1".parse().unwrap()).interval(interval).spawn();
        assert_eq!(refused.unwrap_err(), MonitorError::Interval { interval, max_age: day });
    }
}

#[test]
fn rounds_that_settle_nothing_become_rarer() {
    let mut keeper = keeper(Arc::new(SimClock::new(Timestamp::from_unix_nanos(0))));
    let (nothing, day) = (Duration::ZERO, Duration::from_secs(86_400));
    let pauses: Vec<_> = (0..6).map(|_| keeper.next_pause(nothing).as_secs()).collect();
    for (pause, about) in pauses.iter().zip([5, 10, 20, 40, 60, 60]) {
        assert!((about * 9 / 10..=about * 11 / 10).contains(pause), "{pauses:?}");
    }
    assert!(keeper.next_pause(day) > Duration::from_secs(53));
    assert!(keeper.next_pause(nothing) < Duration::from_secs(6), "a settled round begins anew");
}

#[test]
fn after_a_suspend_dead_sources_are_not_flooded() {
    // Right at first; then the host sleeps, and wakes up to a server that doesn't know the time any more.
    let server = server(Script::rewriting(|mut reply, before| {
        if before > 0 {
            reply.stratum = 16;
        }
        vec![reply.to_bytes().to_vec()]
    }));
    let slept = Arc::new(Slept { by: Mutex::new(SignedDuration::ZERO) });
    let monitor = quick()
        .interval(Duration::from_millis(300))
        .source(Source::new(server.address().into()))
        .clock(Arc::clone(&slept) as Arc<dyn LocalClock>)
        .start()
        .unwrap();
    monitor.wait_ready(Duration::from_secs(20)).unwrap();
    *slept.by.lock().unwrap() = SignedDuration::from_secs(5);
    std::thread::sleep(Duration::from_secs(2));
    // One at start, one right after waking up (a look-up comes each second), then at the interval.
    assert!((2..12).contains(&server.requests()), "{}", server.requests());
    assert!(matches!(monitor.now(), Err(TimeError::Suspended { .. })));
}

/// This host's clocks, with suspends that can be made up.
struct Slept {
    by: Mutex<SignedDuration>,
}

impl LocalClock for Slept {
    fn raw(&self) -> crate::time::RawInstant {
        OsClock.raw()
    }

    fn suspended(&self) -> SignedDuration {
        OsClock.suspended() + *self.by.lock().unwrap()
    }

    fn system(&self) -> crate::time::SystemReading {
        OsClock.system()
    }
}

/// With a source that is never asked.
fn keeper(clock: Arc<SimClock>) -> Keeper {
    let mut rolls = 0;
    let dice = move || {
        rolls += 77;
        rolls
    };
    let builder = Monitor::builder()
        .options(Options { allow_single: true, ..Options::default() })
        .source("192.0.2.1".parse().unwrap())
        .interval(Duration::from_secs(60))
        .clock(clock);
    builder.keeper(Box::new(dice)).unwrap()
}

#[test]
fn health_says_what_is_wrong() {
    let honest = [server(Script::default()), server(Script::default())];
    let silent = server(Script::silent());
    let sources = [&honest[0], &honest[1], &silent].map(|server| Source::new(server.address().into()));
    let monitor = quick().sources(sources).start().unwrap();
    let empty = monitor.health();
    assert_eq!((empty.agreeing(), empty.contested(), empty.age.is_none()), (0, false, true));
    monitor.wait_ready(Duration::from_secs(20)).unwrap();
    let health = monitor.health();
    assert!(health.now.is_ok());
    assert_eq!((health.agreeing(), health.contested(), health.last_error), (2, false, None));
    assert!(health.age.unwrap() < Duration::from_secs(60));
    assert_eq!(health.last_measurement.unwrap().reports.len(), 3);
    drop(honest);
    let mut changes = monitor.changes();
    let failed = std::iter::repeat_with(|| changes.wait(Duration::from_secs(5)).unwrap().expect("a round"))
        .find(|health| health.last_error.is_some())
        .unwrap();
    assert!(matches!(failed.last_error, Some(RoundError::NoEstimate(_))), "{failed:?}");
    // The last good estimate is what counts still.
    assert_eq!((failed.now.is_ok(), failed.agreeing()), (true, 2));
    assert!(failed.counts.failed_rounds >= 1 && failed.counts.rounds > failed.counts.failed_rounds);
}

#[test]
fn changes_are_told_to_threads_and_tasks_and_end_with_the_monitor() {
    let server = server(Script::default());
    let monitor =
        quick().interval(Duration::from_secs(3_600)).source(Source::new(server.address().into())).start();
    let monitor = monitor.unwrap();
    let mut changes = monitor.changes();
    let rounds = |health: Health| health.counts.rounds;
    while monitor.health().counts.rounds == 0 {
        assert!(crate::block_on(changes.next()).is_ok());
    }
    // The one round may have ended between two of these lines.
    let _ = changes.wait(Duration::ZERO);
    assert_eq!(changes.wait(Duration::from_millis(50)).map(|health| health.map(rounds)), Ok(None), "no more");
    let waiting = std::thread::spawn(move || {
        let ended = crate::block_on(changes.next()).map(rounds);
        (ended, changes.wait(Duration::from_secs(5)).map(|health| health.map(rounds)))
    });
    std::thread::sleep(Duration::from_millis(50));
    drop(monitor);
    assert_eq!(waiting.join().unwrap(), (Err(MonitorGone), Err(MonitorGone)));
}

#[test]
fn sources_can_be_replaced() {
    let (old, new) = (server(Script::default()), server(Script::ahead_by(SignedDuration::from_millis(5))));
    let monitor =
        quick().interval(Duration::from_secs(3_600)).source(Source::new(old.address().into())).start();
    let monitor = monitor.unwrap();
    monitor.wait_ready(Duration::from_secs(20)).unwrap();
    let mut changes = monitor.changes();
    assert_eq!(monitor.set_sources([]), Err(RulesError::NoSources));
    monitor.set_sources([Source::new(new.address().into())]).unwrap();
    let replaced = std::iter::repeat_with(|| changes.wait(Duration::from_secs(5)).unwrap().expect("a round"))
        .find(|health| health.counts.rounds == 2)
        .unwrap();
    let report = &replaced.last_measurement.unwrap().reports[0];
    assert_eq!(report.address, Some(new.address()));
    assert_eq!(old.requests(), 1);
}

#[test]
fn a_kiss_is_obeyed_whoever_else_is_configured() {
    let rude = server(Script {
        stratum: 0,
        reference_id: crate::ntp::ReferenceId::from_bytes(*b"DENY"),
        ..Script::default()
    });
    let kind = server(Script::default());
    let [rude_one, kind_one] = [&rude, &kind].map(|server| Source::new(server.address().into()));
    let monitor = quick().source(rude_one.clone()).start().unwrap();
    let mut changes = monitor.changes();
    while rude.requests() == 0 {
        changes.wait(Duration::from_secs(5)).unwrap();
    }
    monitor.set_sources([kind_one, rude_one]).unwrap();
    while kind.requests() == 0 {
        changes.wait(Duration::from_secs(5)).unwrap();
    }
    assert_eq!(rude.requests(), 1);
}

#[test]
fn a_step_of_the_system_clock_is_noticed_and_the_estimate_stands() {
    let clock = Arc::new(SimClock::new(begin()));
    let mut keeper = keeper(Arc::clone(&clock));
    keeper.look();
    keeper.due = clock.raw() + SignedDuration::from_secs(3_600);
    let mut steps = |ahead_ms| {
        clock.advance(Duration::from_secs(1));
        clock.set_system_offset(SignedDuration::from_millis(ahead_ms));
        let next = keeper.look();
        (next == Next::Round, keeper.shared.health().counts.clock_steps)
    };
    assert_eq!(steps(0), (false, 0));
    assert_eq!(steps(1), (false, 0), "not told from noise");
    assert_eq!(steps(-40_000), (true, 1));
    assert_eq!(keeper.shared.health().counts.suspends, 0);
}

#[test]
fn a_clock_that_is_stepped_again_and_again_is_no_reason_to_flood_the_sources() {
    let clock = Arc::new(SimClock::new(begin()));
    let (mut spur, mut rounds) = (Spur::default(), Vec::new());
    let mut due = clock.raw();
    for second in 0..600 {
        let now = clock.raw();
        if due <= now {
            spur.take(now, Duration::from_secs(120));
            rounds.push(second);
            due = now + SignedDuration::from_secs(120);
        }
        due = due.min(spur.give(now));
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(rounds, [0, 1, 6, 16, 36, 76, 156, 276, 396, 516]);
}

/// Opens no sockets but panics, for a while.
struct Fragile {
    panics_left: Mutex<u32>,
}

impl Transport for Fragile {
    fn open(&self) -> Box<dyn Sockets> {
        let left = {
            let mut left = self.panics_left.lock().unwrap();
            *left = left.saturating_sub(1);
            *left
        };
        assert!(left == 0, "this panic is part of a test");
        Udp.open()
    }
}

#[test]
fn a_panic_in_a_round_is_not_the_end() {
    let server = server(Script::default());
    let fragile = Arc::new(Fragile { panics_left: Mutex::new(2) });
    let monitor = quick().source(Source::new(server.address().into())).transport(fragile).start().unwrap();
    monitor.wait_ready(Duration::from_secs(20)).unwrap();
    assert!(monitor.health().counts.failed_rounds >= 1);
}

#[test]
fn a_dropped_monitor_does_not_wait_for_its_round_to_end() {
    let silent = server(Script::silent());
    let pace = Pace { timeout: Duration::from_secs(600), ..Pace::default() };
    let monitor = Monitor::builder()
        .source(Source::new(silent.address().into()))
        .options(Options { pace, allow_single: true, ..Options::default() })
        .spawn()
        .unwrap();
    while silent.requests() == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let start = OsClock.raw();
    drop(monitor);
    assert!(OsClock.raw() - start < SignedDuration::from_secs(60), "not the ten minutes of the round");
}

/// An estimate that is `half_width` wide to either side of an offset now.
fn estimate_of(
    clock: &SimClock,
    offset: SignedDuration,
    half_width: SignedDuration,
    limits: Limits,
) -> ClockEstimate {
    let bound = OffsetInterval::new(offset - half_width, offset + half_width).unwrap();
    let bound = SourceBound {
        first: clock.raw(),
        anchor: clock.raw(),
        bound,
        delay: SignedDuration::ZERO,
        samples: 1,
        kernel_stamped: 0,
    };
    let rules = Rules::new(1, None, true, limits).unwrap();
    let vote = Vote { bound, leap: Leap::None, smeared: false };
    ClockEstimate::from_votes(&[vote], &rules, clock.suspended()).unwrap()
}

#[test]
fn an_estimate_that_would_die_soon_does_not_replace_one_that_lasts() {
    let clock = Arc::new(SimClock::new(Timestamp::from_unix_nanos(0)));
    let mut keeper = keeper(Arc::clone(&clock));
    let limits = Limits { max_half_width: Duration::from_millis(100), ..Limits::default() };
    let millis = SignedDuration::from_millis;
    let narrow = estimate_of(&clock, millis(1), millis(1), limits);
    assert_eq!(keeper.consider(narrow), Ok(()));
    clock.advance(Duration::from_secs(60));
    let wide = estimate_of(&clock, millis(1), millis(99), limits);
    assert!(matches!(keeper.consider(wide), Err(RoundError::Wide { .. })));
    assert_eq!(keeper.shared.estimate(), Some(narrow));
    // Once the old one has died, it is better than nothing.
    clock.advance(Duration::from_secs(3_600));
    let wide = estimate_of(&clock, millis(1), millis(99), limits);
    assert_eq!(keeper.consider(wide), Ok(()));
}

#[test]
fn what_is_void_meanwhile_bears_nothing_out() {
    let clock = Arc::new(SimClock::new(Timestamp::from_unix_nanos(0)));
    let mut keeper = keeper(Arc::clone(&clock));
    let limits = Limits { max_half_width: Duration::from_millis(100), ..Limits::default() };
    let millis = SignedDuration::from_millis;
    assert_eq!(keeper.consider(estimate_of(&clock, millis(0), millis(1), limits)), Ok(()));
    let first = estimate_of(&clock, millis(600), millis(100), limits);
    assert!(matches!(keeper.consider(first), Err(RoundError::Contradicts { .. })));
    clock.advance(Duration::from_secs(5));
    let second = estimate_of(&clock, millis(-9_000), millis(1), limits);
    assert!(matches!(keeper.consider(second), Err(RoundError::Contradicts { .. })));
    assert_eq!(keeper.consider(second), Ok(()));
}

#[test]
fn before_an_estimate_expires_there_is_another_round() {
    let mut keeper = keeper(Arc::new(SimClock::new(Timestamp::from_unix_nanos(0))));
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    keeper.interval = hours(23);
    for left in [2, 10, 24] {
        let pause = keeper.next_pause(hours(left));
        assert!(pause < hours(left) && pause > hours(left) / 2, "{left} h left, {pause:?}");
    }
    // One that is about to expire is no reason to flood the sources.
    let pauses: Duration = (0..6).map(|_| keeper.next_pause(Duration::from_secs(20))).sum();
    assert!(pauses > Duration::from_secs(250), "{pauses:?}");
}

#[test]
fn sources_that_change_all_the_time_are_not_flooded() {
    let clock = Arc::new(SimClock::new(begin()));
    let mut keeper = keeper(Arc::clone(&clock));
    let source = |name: &str| -> Source { name.parse().unwrap() };
    let (one, other) = (source("192.0.2.1"), source("192.0.2.2"));
    let mut rounds = 0;
    keeper.interval = Duration::from_secs(3_600);
    for second in 0..100 {
        let sources = if second % 2 == 0 { vec![one.clone()] } else { vec![one.clone(), other.clone()] };
        keeper.shared.change(|state| state.new_sources = Some(sources));
        if keeper.look() == Next::Round {
            rounds += 1;
            keeper.spur.take(clock.raw(), keeper.interval);
            keeper.due = clock.raw() + SignedDuration::from_secs(3_600);
        }
        clock.advance(Duration::from_secs(1));
    }
    assert!((2..=7).contains(&rounds), "{rounds}");
    // In another order they are the same.
    keeper.due = clock.raw() + SignedDuration::from_secs(3_600);
    keeper.shared.change(|state| state.new_sources = Some(vec![other, one]));
    assert!(matches!(keeper.look(), Next::Wait(_)));
}

#[test]
fn a_source_that_comes_back_is_still_left_alone() {
    let rude = server(Script {
        stratum: 0,
        reference_id: crate::ntp::ReferenceId::from_bytes(*b"DENY"),
        ..Script::default()
    });
    let rude_one = Source::new(rude.address().into());
    let mut keeper = keeper(Arc::new(SimClock::new(Timestamp::from_unix_nanos(0))));
    keeper.sources = vec![rude_one.clone()];
    keeper.round();
    assert_eq!(rude.requests(), 1);
    for sources in [vec!["192.0.2.1".parse().unwrap()], vec![rude_one]] {
        keeper.shared.change(|state| state.new_sources = Some(sources));
        keeper.look();
    }
    keeper.round();
    assert_eq!(rude.requests(), 1);
}

#[test]
fn wakers_of_dropped_waits_do_not_pile_up_and_one_that_panics_stops_nothing() {
    use std::future::Future;
    use std::task::{Context, Wake, Waker};

    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("this panic is part of a test");
        }
    }

    let server = server(Script::default());
    let monitor = quick().source(Source::new(server.address().into())).start().unwrap();
    monitor.wait_ready(Duration::from_secs(20)).unwrap();
    let mut changes = monitor.changes();
    let bomb = Waker::from(Arc::new(Bomb));
    for _ in 0..100 {
        let _ = std::pin::pin!(changes.next()).poll(&mut Context::from_waker(&bomb));
        assert!(monitor.shared.state().wakers.len() <= 1);
    }
    drop(changes);
    let mut changes = monitor.changes();
    let mut other = monitor.changes();
    let _ = std::pin::pin!(other.next()).poll(&mut Context::from_waker(&bomb));
    let rounds = monitor.health().counts.rounds;
    while monitor.health().counts.rounds < rounds + 3 {
        changes.wait(Duration::from_secs(20)).unwrap().expect("rounds go on");
    }
    assert!(monitor.health().running);
}
