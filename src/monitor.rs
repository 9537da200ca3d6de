//! A background thread that keeps one [`ClockEstimate`] fresh.
//!
//! The login path reads what the monitor has published, without a lock; it never waits for the network to learn the
//! time. A round that fails changes nothing: the last estimate goes on ageing, and widening, until it is too old.
//!
//! Between two rounds the thread looks at this host's clocks each second. A suspend voids the estimate, a step of the
//! system clock doesn't; after both it measures at once.
//!
//! # Events
//!
//! What the monitor notices goes through `tracing`, with the target [`TARGET`]; names and fields are stable.
//!
//! | `event` | level | fields | what happened |
//! | --- | --- | --- | --- |
//! | `time_found` | INFO | `half_width_ns` | there is an interval to give out again |
//! | `time_lost` | ERROR | `error` | there is none any more: no code can be validated |
//! | `round_failed` | WARN | `error` | a round gave no estimate that could be published: see [`RoundError`] |
//! | `jump_confirmed` | WARN | | a second round bore out a new estimate that contradicts the one before: it is believed now |
//! | `contested` | WARN | | the sources are parties that contradict each other |
//! | `source_changed` | WARN, INFO | `source`, `verdict`, `reason` | a source is judged otherwise than before; INFO where it is a truechimer again |
//! | `sources_replaced` | INFO | `sources` | [`Monitor::set_sources`] took effect |
//! | `clock_stepped` | WARN | `step_ns` | somebody set the system clock, by so much; seen from 1 ms on, on Linux |
//! | `host_suspended` | WARN | `slept_ns` | this host slept: what was measured before is void |

mod builder;
mod changes;
mod event;
mod health;
mod keeper;
mod shared;
mod stepped;

pub use builder::{MonitorBuilder, MonitorError};
pub use changes::{Changes, MonitorGone};
pub use event::TARGET;
pub use health::{Counts, Health, RoundError};
pub use stepped::SteppedMonitor;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::{ClockEstimate, RulesError};
use crate::ntp::{Measurement, Options, Source};
use crate::time::{TimeError, TimeInterval, TimeSource, Timestamp};
use keeper::{Keeper, Next};
use shared::Shared;

/// Measures at start and then at an interval, and says what time it is in between.
///
/// It is a [`TimeSource`]: hand it to a validator, in an [`Arc`]. Dropping it ends its thread, also in the
/// middle of a round.
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
    options: Options,
    thread: Option<JoinHandle<()>>,
}

impl Monitor {
    /// Begins with no sources, a majority as quorum, and ten minutes between rounds.
    #[must_use]
    pub fn builder() -> MonitorBuilder {
        MonitorBuilder::new()
    }

    /// Waits until there is an interval, at most so long. From async code, wait for [`changes`](Self::changes)
    /// instead, or where blocking is allowed.
    ///
    /// # Errors
    ///
    /// What [`TimeSource::now`] says when the time is up: mostly [`TimeError::NotMeasured`].
    pub fn wait_ready(&self, timeout: Duration) -> Result<TimeInterval, TimeError> {
        // The state is locked while `now` is asked: no round can end unnoticed in between.
        let _ready = self.shared.wait_while(timeout, |_| self.now().is_err());
        self.now()
    }

    /// How it is doing.
    #[must_use]
    pub fn health(&self) -> Health {
        self.shared.health()
    }

    /// Tells of each round, step and suspend from now on.
    ///
    /// ```no_run
    /// # async fn watch(monitor: &skewgate::monitor::Monitor) -> Result<(), skewgate::monitor::MonitorGone> {
    /// let mut changes = monitor.changes();
    /// loop {
    ///     let health = changes.next().await?;
    ///     println!("{} sources agree", health.agreeing());
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes::of(Arc::clone(&self.shared))
    }

    /// Measures other sources from now on, and at once unless they change again and again; nothing happens where they are the
    /// same in another order. The estimate of those before goes on ageing until there is a new one.
    /// The quorum stays what the options say: where it was left open, it is a majority of the new sources.
    ///
    /// # Errors
    ///
    /// [`RulesError`] where the sources and the quorum make no sense together; the old ones stay then.
    pub fn set_sources(&self, sources: impl IntoIterator<Item = Source>) -> Result<(), RulesError> {
        let sources: Vec<Source> = sources.into_iter().collect();
        self.options.rules(sources.len())?;
        self.shared.change(|state| state.new_sources = Some(sources));
        Ok(())
    }

    /// The last round, whether it gave an estimate or not; `None` before the first has ended.
    #[must_use]
    pub fn last_measurement(&self) -> Option<Arc<Measurement>> {
        self.shared.state().last.clone()
    }

    /// The estimate that intervals are made of, however old it is.
    #[must_use]
    pub fn estimate(&self) -> Option<ClockEstimate> {
        self.shared.estimate()
    }
}

impl TimeSource for Monitor {
    fn now(&self) -> Result<TimeInterval, TimeError> {
        self.shared.now()
    }

    fn system_clock(&self) -> Timestamp {
        self.shared.clock.system().realtime
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.shared.change(|state| state.stop = true);
        if let Some(thread) = self.thread.take() {
            // Its panic, if there was one, has been printed.
            let _ = thread.join();
        }
    }
}

/// What the thread does.
fn run(mut keeper: Keeper) {
    let _end = End(Arc::clone(&keeper.shared));
    let shared = Arc::clone(&keeper.shared);
    loop {
        // A clock or a log of the caller's may panic: that must not end the thread, either.
        let step = AssertUnwindSafe(|| match keeper.look() {
            Next::Round => {
                keeper.round();
                Duration::ZERO
            }
            Next::Wait(pause) => pause,
        });
        let pause = catch_unwind(step);
        let wakes = |new_sources: bool| new_sources && pause.is_ok();
        let length = *pause.as_ref().unwrap_or(&PAUSE_AFTER_PANIC);
        if shared.wait_while(length, |state| !state.stop && !wakes(state.new_sources.is_some())).stop {
            return;
        }
    }
}

const PAUSE_AFTER_PANIC: Duration = Duration::from_secs(5);

/// However the thread ends, nobody waits for it in vain.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.change(|state| state.stop = true);
    }
}

#[cfg(test)]
mod life;
#[cfg(test)]
mod tests;
