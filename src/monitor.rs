//! A background thread that keeps one [`ClockEstimate`] fresh.
//!
//! The login path reads what the monitor has published; it never waits for the network to learn the time. A
//! round that fails changes nothing: the last estimate goes on ageing, and widening, until it is too old.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::{ClockEstimate, Rules, RulesError, SUSPEND_THRESHOLD};
use crate::ntp::{Backoff, Measurement, Options, Source, SourceError, measure_except};
use crate::time::os::OsClock;
use crate::time::{LocalClock, SignedDuration, TimeError, TimeInterval, TimeSource, Timestamp};

/// How often the waiting thread looks whether the host has slept meanwhile.
const LOOK_UP: Duration = Duration::from_secs(1);

/// The pause after a round that leaves no interval to give out, or an estimate to be confirmed. It doubles up to the
/// interval: sources that don't answer, or not alike, are not helped by being asked more (RFC 8633 §3).
const HURRY: Duration = Duration::from_secs(5);

/// Asking servers of others more often than this is an attack on them.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// Measures at start and then at an interval, and says what time it is in between.
///
/// It is a [`TimeSource`]: hand it to a validator, in an [`Arc`]. Dropping it ends its thread, after the round
/// that it is in.
///
/// ```no_run
/// use skewgate::{monitor::Monitor, time::TimeSource};
/// use std::time::Duration;
///
/// let monitor = Monitor::builder()
///     .source("ntp1.example.org".parse()?)
///     .source("ntp2.example.org".parse()?)
///     .source("ntp3.example.org".parse()?)
///     .interval(Duration::from_secs(600))
///     .spawn()?;
/// monitor.wait_ready(Duration::from_secs(10))?;
/// println!("true time is in {:?}", monitor.now()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Monitor {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    clock: Arc<dyn LocalClock>,
    estimate: RwLock<Option<ClockEstimate>>,
    progress: Mutex<Progress>,
    /// Notified after every round, and to stop.
    changed: Condvar,
}

#[derive(Default)]
struct Progress {
    last: Option<Arc<Measurement>>,
    stop: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("estimate", &self.estimate()).finish_non_exhaustive()
    }
}

impl Monitor {
    /// Begins with no sources, a majority as quorum, and ten minutes between rounds.
    #[must_use]
    pub fn builder() -> MonitorBuilder {
        MonitorBuilder {
            sources: Vec::new(),
            options: Options::default(),
            interval: Duration::from_secs(600),
            clock: Arc::new(OsClock),
        }
    }

    /// Waits until there is an interval, at most so long.
    ///
    /// # Errors
    ///
    /// What [`TimeSource::now`] says when the time is up: mostly [`TimeError::NotMeasured`].
    pub fn wait_ready(&self, timeout: Duration) -> Result<TimeInterval, TimeError> {
        let start = self.shared.clock.raw();
        let mut progress = self.shared.progress();
        loop {
            let now = self.now();
            let waited = (self.shared.clock.raw() - start).unsigned_abs();
            if now.is_ok() || waited >= timeout {
                return now;
            }
            progress = self
                .shared
                .changed
                .wait_timeout(progress, timeout - waited)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// The last round, whether it gave an estimate or not; `None` before the first has ended.
    #[must_use]
    pub fn last_measurement(&self) -> Option<Arc<Measurement>> {
        self.shared.progress().last.clone()
    }

    /// The estimate that intervals are made of, however old it is.
    #[must_use]
    pub fn estimate(&self) -> Option<ClockEstimate> {
        self.shared.estimate()
    }
}

impl TimeSource for Monitor {
    fn now(&self) -> Result<TimeInterval, TimeError> {
        let estimate = self.shared.estimate().ok_or(TimeError::NotMeasured)?;
        estimate.at(self.shared.clock.raw(), self.shared.clock.suspended())
    }

    fn system_clock(&self) -> Timestamp {
        self.shared.clock.system().realtime
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.shared.progress().stop = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // Its panic, if there was one, has been printed.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn estimate(&self) -> Option<ClockEstimate> {
        *self.estimate.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, estimate: ClockEstimate) {
        *self.estimate.write().unwrap_or_else(PoisonError::into_inner) = Some(estimate);
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Collects what a [`Monitor`] needs.
#[derive(Clone)]
pub struct MonitorBuilder {
    sources: Vec<Source>,
    options: Options,
    interval: Duration,
    clock: Arc<dyn LocalClock>,
}

impl MonitorBuilder {
    /// Adds a source.
    #[must_use]
    pub fn source(mut self, source: Source) -> Self {
        self.sources.push(source);
        self
    }

    /// Adds sources.
    #[must_use]
    pub fn sources(mut self, sources: impl IntoIterator<Item = Source>) -> Self {
        self.sources.extend(sources);
        self
    }

    /// How many of the configured sources must agree; a majority by default.
    #[must_use]
    pub fn quorum(mut self, quorum: usize) -> Self {
        self.options.quorum = Some(quorum);
        self
    }

    /// The time between two rounds: from a second to less than the time that an estimate lives. A tenth of it is
    /// left to chance, so that hosts that were started together don't ask together for ever.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Everything else about a round; a quorum given before is replaced.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Other clocks than this host's: for simulations and demonstrations.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn LocalClock>) -> Self {
        self.clock = clock;
        self
    }

    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// [`MonitorError`] where sources, quorum and interval make no sense together, or no thread can be had.
    pub fn spawn(self) -> Result<Monitor, MonitorError> {
        let (interval, max_age) = (self.interval, self.options.limits.max_age);
        if interval < SHORTEST_INTERVAL || interval >= max_age {
            return Err(MonitorError::Interval { interval, max_age });
        }
        self.start()
    }

    fn start(self) -> Result<Monitor, MonitorError> {
        let Self { sources, options, interval, clock } = self;
        Rules::new(sources.len(), options.quorum, options.allow_single, options.limits)?;
        let shared = Arc::new(Shared {
            clock,
            estimate: RwLock::new(None),
            progress: Mutex::default(),
            changed: Condvar::new(),
        });
        let worker = Worker {
            backoffs: vec![Backoff::default(); sources.len()],
            sources,
            options,
            interval,
            shared: Arc::clone(&shared),
            unconfirmed: None,
            hurry: HURRY,
        };
        let thread = std::thread::Builder::new()
            .name("skewgate-monitor".into())
            .spawn(move || worker.run())
            .map_err(|error| MonitorError::Thread { detail: error.to_string() })?;
        Ok(Monitor { shared, thread: Some(thread) })
    }
}

/// Why a monitor could not be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MonitorError {
    /// The sources and the quorum make no sense together.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// Too often, or so rarely that there would be no estimate in between.
    #[error(
        "an interval of {interval:?} can't be kept: choose one from {SHORTEST_INTERVAL:?} to less than max_age, {max_age:?}"
    )]
    Interval {
        /// The interval asked for.
        interval: Duration,
        /// How long an estimate lives.
        max_age: Duration,
    },
    /// The operating system gives no thread.
    #[error("the monitor's thread could not be started ({detail}): check this process's limits")]
    Thread {
        /// What the operating system said.
        detail: String,
    },
}

struct Worker {
    sources: Vec<Source>,
    options: Options,
    interval: Duration,
    shared: Arc<Shared>,
    backoffs: Vec<Backoff>,
    /// A new estimate that contradicts the published one.
    unconfirmed: Option<ClockEstimate>,
    /// The pause after the next round that settles nothing.
    hurry: Duration,
}

impl Worker {
    fn run(mut self) {
        loop {
            let suspended = self.shared.clock.suspended();
            let settled = self.round();
            let pause = self.next_pause(settled);
            if self.pause(pause, suspended) {
                return;
            }
        }
    }

    fn next_pause(&mut self, settled: bool) -> Duration {
        if settled {
            self.hurry = HURRY;
            return jittered(self.interval);
        }
        let hurry = self.hurry.min(self.interval);
        self.hurry = hurry.saturating_mul(2);
        jittered(hurry)
    }

    /// One measurement. False where the next should follow soon.
    fn round(&mut self) -> bool {
        let clock = &*self.shared.clock;
        let now = clock.raw();
        let resting: Vec<_> = self.backoffs.iter().map(|backoff| backoff.obeyed(now)).collect();
        let measurement = match measure_except(&self.sources, &resting, &self.options, clock) {
            Ok(measurement) => measurement,
            Err(error) => {
                tracing::error!(%error, "the monitor's sources and quorum make no sense together");
                return false;
            }
        };
        self.note_kisses(&measurement, &resting);
        let settled = match &measurement.estimate {
            Ok(estimate) => self.consider(*estimate),
            Err(error) => {
                tracing::warn!(%error, "no new time estimate");
                self.holds(self.shared.estimate())
            }
        };
        self.shared.progress().last = Some(Arc::new(measurement));
        self.shared.changed.notify_all();
        settled
    }

    fn note_kisses(&mut self, measurement: &Measurement, resting: &[Option<crate::ntp::KissCode>]) {
        let now = self.shared.clock.raw();
        let max_age = self.options.limits.max_age;
        for ((backoff, report), resting) in self.backoffs.iter_mut().zip(&measurement.reports).zip(resting) {
            let kiss = match report.error {
                Some(SourceError::Kiss(kiss)) => Some(kiss),
                _ => None,
            };
            if resting.is_none() {
                backoff.note(kiss, now, self.interval, max_age);
            }
        }
    }

    /// True where an estimate gives an interval now.
    fn holds(&self, estimate: Option<ClockEstimate>) -> bool {
        let (raw, suspended) = (self.shared.clock.raw(), self.shared.clock.suspended());
        estimate.is_some_and(|estimate| estimate.at(raw, suspended).is_ok())
    }

    /// Publishes an estimate; one that contradicts the published one only when a second round bears it out.
    /// Either the old or the new one is wrong then, and whoever forged the new one must do it twice.
    fn consider(&mut self, new: ClockEstimate) -> bool {
        if !self.holds(Some(new)) && self.holds(self.shared.estimate()) {
            // Delayed packets would do to make one too wide: the last one goes on ageing instead.
            tracing::warn!("the new time estimate is of no use: the last one is kept");
            return true;
        }
        let (raw, suspended) = (self.shared.clock.raw(), self.shared.clock.suspended());
        let disjoint = |old: ClockEstimate| match (old.at(raw, suspended), new.at(raw, suspended)) {
            (Ok(old), Ok(new)) => old.latest() < new.earliest() || new.latest() < old.earliest(),
            // Nothing that still holds is contradicted.
            _ => false,
        };
        let contradicts = self.shared.estimate().is_some_and(disjoint);
        let confirmed = self.unconfirmed.is_some_and(|first| !disjoint(first));
        if contradicts && !confirmed {
            tracing::warn!("the new time estimate contradicts the last one: it waits for a second round");
            self.unconfirmed = Some(new);
            return false;
        }
        self.unconfirmed = None;
        self.shared.publish(new);
        self.holds(Some(new))
    }

    /// Waits; shorter where the host has been suspended since the last round began, when it had been for `suspended`:
    /// what was measured then is void. True: stop.
    fn pause(&self, length: Duration, suspended: SignedDuration) -> bool {
        let clock = &self.shared.clock;
        let end = clock.raw() + SignedDuration::from(length);
        let mut progress = self.shared.progress();
        loop {
            if progress.stop {
                return true;
            }
            let left = end - clock.raw();
            if left <= SignedDuration::ZERO || clock.suspended() - suspended > SUSPEND_THRESHOLD {
                return false;
            }
            let wait = left.unsigned_abs().min(LOOK_UP);
            progress =
                self.shared.changed.wait_timeout(progress, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Between nine and eleven tenths of it. Without randomness, just so long: that must not stop the clock.
fn jittered(interval: Duration) -> Duration {
    let share = getrandom::u32().unwrap_or(100) % 201;
    interval / 1_000 * (900 + share)
}

#[cfg(test)]
mod tests {
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
        let monitor =
            quick().source(Source::new(server.address().into())).clock(Arc::new(slow)).start().unwrap();
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
}
