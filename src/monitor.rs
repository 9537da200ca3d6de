//! A background thread that keeps one [`ClockEstimate`] fresh.
//!
//! The login path reads what the monitor has published; it never waits for the network to learn the time. A
//! round that fails changes nothing: the last estimate goes on ageing, and widening, until it is too old.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::{ClockEstimate, Rules, RulesError, SUSPEND_THRESHOLD};
use crate::ntp::{Backoff, Measurement, Options, Source, SourceError, Transport, Udp, measure_except};
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
            transport: Arc::new(Udp),
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
    transport: Arc<dyn Transport>,
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

    /// Another network than this host's: for simulations, or from special sockets.
    #[must_use]
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = transport;
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
        let Self { sources, options, interval, clock, transport } = self;
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
            transport,
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
    transport: Arc<dyn Transport>,
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
        let measurement =
            match measure_except(&*self.transport, &self.sources, &resting, &self.options, clock) {
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
mod tests;
