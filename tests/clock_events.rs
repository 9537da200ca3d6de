//! What a log gets to see of a monitor. A test of its own process: `tracing` decides for each call site once whether anybody
//! listens, and the monitor has a thread of its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/log.rs"]
mod log;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use log::Log;
use skewgate::monitor::{Changes, Health, Monitor};
use skewgate::ntp::{Options, Pace, Responder, Script, Source};
use skewgate::time::os::OsClock;
use skewgate::time::{LocalClock, RawInstant, SignedDuration, SystemReading};

/// This host's clocks, with steps and suspends that are made up.
#[derive(Default)]
struct Troubled {
    stepped_ms: AtomicI64,
    slept_ms: AtomicI64,
}

impl LocalClock for Troubled {
    fn raw(&self) -> RawInstant {
        OsClock.raw()
    }

    fn suspended(&self) -> SignedDuration {
        OsClock.suspended() + SignedDuration::from_millis(self.slept_ms.load(Ordering::Relaxed))
    }

    fn system(&self) -> SystemReading {
        let step = SignedDuration::from_millis(self.stepped_ms.load(Ordering::Relaxed));
        let reading = OsClock.system();
        SystemReading { realtime: reading.realtime + step, ..reading }
    }
}

/// The first change for which it is so.
fn wait_for(changes: &mut Changes, condition: impl Fn(&Health) -> bool) -> Health {
    loop {
        let health = changes.wait(Duration::from_secs(20)).unwrap().expect("a change within 20 s");
        if condition(&health) {
            return health;
        }
    }
}

#[test]
fn everything_that_the_monitor_notices_is_in_the_log() {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    let honest: Vec<Responder> = (0..2)
        .map(|_| Responder::spawn(([127, 0, 0, 1], 0).into(), Script::default(), OsClock).unwrap())
        .collect();
    let lies = Arc::new(AtomicBool::new(false));
    let fickle = {
        let lies = Arc::clone(&lies);
        Script::rewriting(move |mut reply, _| {
            // 45 s, in units of 2⁻³² s.
            let ahead = if lies.load(Ordering::Relaxed) { 45 << 32 } else { 0 };
            reply.receive.0 += ahead;
            reply.transmit.0 += ahead;
            vec![reply.to_bytes().to_vec()]
        })
    };
    let fickle = Responder::spawn(([127, 0, 0, 1], 0).into(), fickle, OsClock).unwrap();
    let sources: Vec<Source> =
        honest.iter().chain([&fickle]).map(|server| Source::new(server.address().into())).collect();
    let pace = Pace { samples: 1, timeout: Duration::from_millis(300), retries: 0, ..Pace::default() };
    let clock = Arc::new(Troubled::default());
    let monitor = Monitor::builder()
        .sources(sources.clone())
        .options(Options { pace, ..Options::default() })
        .interval(Duration::from_secs(3_600))
        .clock(Arc::clone(&clock) as Arc<dyn LocalClock>)
        .spawn()
        .unwrap();
    let mut changes = monitor.changes();
    monitor.wait_ready(Duration::from_secs(10)).unwrap();

    clock.stepped_ms.store(-40_000, Ordering::Relaxed);
    let rounds = monitor.health().counts.rounds;
    let stepped = wait_for(&mut changes, |health| health.counts.clock_steps == 1);
    assert!(stepped.now.is_ok(), "the estimate stands");
    lies.store(true, Ordering::Relaxed);
    wait_for(&mut changes, |health| health.counts.rounds > rounds);

    let grouped = |(index, source): (usize, &Source)| source.clone().group(format!("operator {index}"));
    monitor.set_sources(sources.iter().enumerate().map(grouped)).unwrap();
    wait_for(&mut changes, |health| health.counts.rounds > rounds + 1);
    lies.store(false, Ordering::Relaxed);

    let rounds = monitor.health().counts.rounds;
    clock.slept_ms.store(5_000, Ordering::Relaxed);
    wait_for(&mut changes, |health| health.counts.suspends == 1);
    wait_for(&mut changes, |health| health.counts.rounds > rounds);

    drop(honest);
    drop(fickle);
    let rounds = monitor.health().counts.rounds;
    clock.slept_ms.store(10_000, Ordering::Relaxed);
    let lost = wait_for(&mut changes, |health| health.counts.rounds > rounds);
    assert!(lost.now.is_err() && lost.last_error.is_some(), "{lost:?}");
    drop(monitor);
    a_round_that_is_broken_off_says_nothing(&log);

    let lines: Vec<String> =
        log.lines().into_iter().filter(|line| line.contains("skewgate::clock")).collect();
    let has = |beginning: &str| {
        assert!(
            lines.iter().any(|line| line.starts_with(beginning)),
            "no {beginning} in\n{}",
            lines.join("\n")
        );
    };
    has("INFO skewgate::clock event=time_found half_width_ns=");
    has("WARN skewgate::clock event=clock_stepped step_ns=-");
    has("INFO skewgate::clock event=sources_replaced sources=3");
    has("WARN skewgate::clock event=host_suspended slept_ns=5");
    has("ERROR skewgate::clock event=time_lost error=this host was suspended for");
    has("WARN skewgate::clock event=round_failed error=none of the 3 configured sources");
    let fickle = sources.last().unwrap().as_given();
    has(&format!(
        "WARN skewgate::clock event=source_changed source={fickle} verdict=falseticker reason=true time would be +8"
    ));
    has(&format!("INFO skewgate::clock event=source_changed source={fickle} verdict=truechimer"));
    has(&format!(
        "WARN skewgate::clock event=source_changed source={fickle} verdict=unreachable reason=no reply"
    ));
}

/// Dropped in the middle of its first round, a monitor has nothing to say of servers that had no time to answer.
fn a_round_that_is_broken_off_says_nothing(log: &Log) {
    let before = log.lines().len();
    let hold = Script { hold: Duration::from_secs(3), ..Script::default() };
    let slow = Responder::spawn(([127, 0, 0, 1], 0).into(), hold, OsClock).unwrap();
    let monitor = Monitor::builder()
        .source(Source::new(slow.address().into()))
        .options(Options { allow_single: true, ..Options::default() })
        .spawn()
        .unwrap();
    while slow.requests() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(monitor);
    assert_eq!(log.lines()[before..], [""; 0]);
}
