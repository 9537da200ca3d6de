use super::*;
use crate::clock::{Leap, Limits, OffsetInterval, SourceBound, Vote};
use crate::ntp::{Pace, Responder, Script};
use crate::time::sim::{Pretend, SimClock};

fn quick() -> MonitorBuilder {
    let pace = Pace {
        samples: 1,
        interval: Duration::from_millis(5),
        timeout: Duration::from_millis(200),
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
    let now = monitor.wait_ready(Duration::from_secs(5)).unwrap();
    let behind = now.midpoint() - monitor.system_clock();
    assert!((behind - SignedDuration::from_secs(40)).unsigned_abs() < Duration::from_secs(1), "{behind}");
}

#[test]
fn before_anything_answered_there_is_no_time() {
    let server = server(Script::silent());
    let monitor = quick().source(Source::new(server.address().into())).start().unwrap();
    assert_eq!(monitor.now(), Err(TimeError::NotMeasured));
    assert_eq!(monitor.wait_ready(Duration::from_millis(300)), Err(TimeError::NotMeasured));
    assert!(monitor.last_measurement().unwrap().estimate.is_err());
}

#[test]
fn an_estimate_outlives_its_sources() {
    let server = server(Script::default());
    let monitor = quick().source(Source::new(server.address().into())).start().unwrap();
    monitor.wait_ready(Duration::from_secs(5)).unwrap();
    drop(server);
    std::thread::sleep(Duration::from_millis(500));
    assert!(monitor.last_measurement().unwrap().estimate.is_err(), "the last round failed");
    assert!(monitor.now().is_ok());
}

#[test]
fn a_jump_is_believed_only_when_a_second_round_bears_it_out() {
    let clock = Arc::new(SimClock::new(Timestamp::from_unix_nanos(0)));
    let between = |from: i64, to: i64| {
        let bound =
            OffsetInterval::new(SignedDuration::from_secs(from), SignedDuration::from_secs(to)).unwrap();
        let bound = SourceBound {
            first: clock.raw(),
            anchor: clock.raw(),
            bound,
            delay: SignedDuration::ZERO,
            samples: 1,
            kernel_stamped: 0,
        };
        let rules = Rules::new(1, None, true, Limits::default()).unwrap();
        let vote = Vote { bound, leap: Leap::None };
        ClockEstimate::from_votes(&[vote], &rules, SignedDuration::ZERO).unwrap()
    };
    let (estimate, wide) = (|seconds| between(seconds, seconds), || between(190, 230));
    let mut worker = worker(Arc::clone(&clock));
    let right = estimate(0);
    let jumped = estimate(100);
    let elsewhere = estimate(200);
    for (new, settled, published) in [
        (right, true, right),      // the first is believed
        (jumped, false, right),    // one jump is not
        (right, true, right),      // back again: the jump is forgotten
        (jumped, false, right),    // so this is a first one again
        (elsewhere, false, right), // and another one does not confirm it
        (elsewhere, true, elsewhere),
    ] {
        assert_eq!((worker.consider(new), worker.shared.estimate()), (settled, Some(published)));
    }
    // One that is of no use doesn't replace one that is.
    let useless = wide();
    assert!(worker.consider(useless));
    assert_eq!(worker.shared.estimate(), Some(elsewhere));
    // A published estimate that does not hold any more is nothing to contradict.
    clock.suspend(Duration::from_secs(60));
    worker.consider(right);
    assert_eq!(worker.shared.estimate(), Some(right));
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
    let day = Duration::from_secs(86_400);
    for interval in [Duration::ZERO, Duration::from_millis(999), day, Duration::MAX] {
        let refused = quick().source("127.0.0.1".parse().unwrap()).interval(interval).spawn();
        assert_eq!(refused.unwrap_err(), MonitorError::Interval { interval, max_age: day });
    }
}

#[test]
fn rounds_that_settle_nothing_become_rarer() {
    let mut worker = worker(Arc::new(SimClock::new(Timestamp::from_unix_nanos(0))));
    worker.interval = Duration::from_secs(60);
    let pauses: Vec<_> = (0..6).map(|_| worker.next_pause(false).as_secs()).collect();
    for (pause, about) in pauses.iter().zip([5, 10, 20, 40, 60, 60]) {
        assert!((about * 9 / 10..=about * 11 / 10).contains(pause), "{pauses:?}");
    }
    worker.next_pause(true);
    assert!(worker.next_pause(false) < Duration::from_secs(6), "a settled round begins anew");
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
    monitor.wait_ready(Duration::from_secs(5)).unwrap();
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

fn worker(clock: Arc<SimClock>) -> Worker {
    Worker {
        sources: Vec::new(),
        options: Options::default(),
        interval: Duration::ZERO,
        transport: Arc::new(Udp),
        shared: Arc::new(Shared {
            clock,
            estimate: RwLock::new(None),
            progress: Mutex::default(),
            changed: Condvar::new(),
        }),
        backoffs: Vec::new(),
        unconfirmed: None,
        hurry: HURRY,
    }
}
