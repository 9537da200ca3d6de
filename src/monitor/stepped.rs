//! A monitor without a thread.

use std::sync::Arc;
use std::time::Duration;

use super::keeper::{Keeper, Next};
use super::{End, Monitor};

/// A monitor that works when its caller says so: for programs that have a loop of their own, and for simulations, which live
/// through days in a second. Made by [`MonitorBuilder::stepped`](super::MonitorBuilder::stepped).
///
/// It does what [`Monitor`]'s thread does, in the same way; but nothing stretches its pauses at random, so that a
/// simulation can be repeated. Hosts that shall not ask together for ever step at different times.
///
/// ```
/// use skewgate::{monitor::Monitor, ntp::{Responder, Options, Service}, time::{TimeSource, os::OsClock}};
///
/// let server = Responder::serve("127.0.0.1:0".parse()?, Service::default(), OsClock)?;
/// let mut stepped = Monitor::builder()
///     .source(server.address().to_string().parse()?)
///     .options(Options { allow_single: true, ..Options::default() })
///     .stepped()?;
/// let time = stepped.monitor().clone(); // for the validator
/// assert!(time.now().is_err());
/// let pause = stepped.step(); // the first round
/// println!("true time is in {:?}; look again in {pause:?}", time.now()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SteppedMonitor {
    keeper: Keeper,
    monitor: Arc<Monitor>,
    /// Whoever waits for a change learns that there will be none.
    _end: End,
}

impl SteppedMonitor {
    pub(super) fn new(keeper: Keeper, monitor: Monitor) -> Self {
        let end = End(Arc::clone(&keeper.shared));
        Self { keeper, monitor: Arc::new(monitor), _end: end }
    }

    /// What is to be asked for the time, and told of other sources.
    #[must_use]
    pub const fn monitor(&self) -> &Arc<Monitor> {
        &self.monitor
    }

    /// Looks at the clocks, and measures if it is time to. Returns after how long it should be called again, a second at the
    /// most: later, and suspends and steps of the clock are noticed later, or a round is.
    ///
    /// Blocks while it measures: as long as the sources take to answer, or [`Pace`](crate::ntp::Pace) waits for them.
    pub fn step(&mut self) -> Duration {
        match self.keeper.look() {
            Next::Wait(pause) => pause,
            Next::Round => {
                self.keeper.round();
                Duration::ZERO
            }
        }
    }
}

impl std::fmt::Debug for SteppedMonitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SteppedMonitor").field("monitor", &self.monitor).finish_non_exhaustive()
    }
}
