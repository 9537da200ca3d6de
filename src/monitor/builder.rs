//! What a monitor needs to begin.

use std::sync::Arc;
use std::time::Duration;

use super::keeper::Keeper;
use super::shared::Shared;
use super::{Monitor, SteppedMonitor};
use crate::clock::RulesError;
use crate::ntp::{Options, Sockets, Source, Transport, Udp};
use crate::time::LocalClock;
use crate::time::os::OsClock;

/// Asking servers of others more often than this is an attack on them.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

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
    pub(super) fn new() -> Self {
        Self {
            sources: Vec::new(),
            options: Options::default(),
            interval: Duration::from_secs(600),
            clock: Arc::new(OsClock),
            transport: Arc::new(Udp),
        }
    }

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

    /// Another network than this host's: for simulations, or to send from special sockets.
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
        self.check_interval()?;
        self.start()
    }

    /// Starts no thread: the caller says when it works.
    ///
    /// # Errors
    ///
    /// [`MonitorError`] where sources, quorum and interval make no sense together.
    pub fn stepped(self) -> Result<SteppedMonitor, MonitorError> {
        self.check_interval()?;
        let options = self.options;
        // The middle of what chance would choose from.
        let keeper = self.keeper(Box::new(|| 100))?;
        let monitor = Monitor { shared: Arc::clone(&keeper.shared), options, thread: None };
        Ok(SteppedMonitor::new(keeper, monitor))
    }

    fn check_interval(&self) -> Result<(), MonitorError> {
        let (interval, max_age) = (self.interval, self.options.limits.max_age);
        if interval < SHORTEST_INTERVAL || interval >= max_age {
            return Err(MonitorError::Interval { interval, max_age });
        }
        Ok(())
    }

    /// Whatever the interval is: tests have little time.
    pub(super) fn start(self) -> Result<Monitor, MonitorError> {
        let options = self.options;
        let keeper = self.keeper(Box::new(os_randomness))?;
        let shared = Arc::clone(&keeper.shared);
        let thread = std::thread::Builder::new()
            .name("skewgate-monitor".into())
            .spawn(move || super::run(keeper))
            .map_err(|error| MonitorError::Thread { detail: error.to_string() })?;
        Ok(Monitor { shared, options, thread: Some(thread) })
    }

    /// What the thread would do, without the thread. `dice` shortens and stretches its pauses.
    pub(super) fn keeper(self, dice: Box<dyn FnMut() -> u32 + Send>) -> Result<Keeper, RulesError> {
        let Self { sources, options, interval, clock, transport } = self;
        options.rules(sources.len())?;
        let shared = Arc::new(Shared::new(clock));
        let transport = WhileWanted { transport, shared: Arc::clone(&shared) };
        Ok(Keeper::new(sources, options, interval, Box::new(transport), shared, dice))
    }
}

/// A transport whose rounds end when the monitor does.
struct WhileWanted {
    transport: Arc<dyn Transport>,
    shared: Arc<Shared>,
}

impl Transport for WhileWanted {
    fn open(&self) -> Box<dyn Sockets> {
        self.transport.open()
    }

    fn cancelled(&self) -> bool {
        self.shared.state().stop || self.transport.cancelled()
    }
}

/// Without randomness the pauses are all equally long: that must not stop the clock.
fn os_randomness() -> u32 {
    getrandom::u32().unwrap_or(100)
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
