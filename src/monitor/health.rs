//! How a monitor is doing.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{ClockEstimate, NoEstimate};
use crate::ntp::Measurement;
use crate::time::{SignedDuration, TimeError, TimeInterval};

/// How a monitor is doing: what a health check or a metric is made of.
///
/// ```no_run
/// # let monitor = skewgate::monitor::Monitor::builder().spawn()?;
/// let health = monitor.health();
/// match health.now {
///     Ok(now) => println!("true time is known to ±{:?}", now.half_width()),
///     Err(error) => println!("no code can be validated: {error}"),
/// }
/// if let Some(error) = health.last_error {
///     println!("the last round gave nothing: {error}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// What [`TimeSource::now`](crate::time::TimeSource::now) said at that moment.
    pub now: Result<TimeInterval, TimeError>,
    /// What it was made of, however old.
    pub estimate: Option<ClockEstimate>,
    /// How long ago the last sample of that was taken, on the raw timeline.
    pub age: Option<Duration>,
    /// The last round, whether it gave an estimate or not.
    pub last_measurement: Option<Arc<Measurement>>,
    /// Why the last round gave no estimate that could be published; `None` where it did, and before the first.
    pub last_error: Option<RoundError>,
    /// What was counted since the monitor was started.
    pub counts: Counts,
    /// False once the monitor's thread has ended: what is published goes on ageing, and nothing follows.
    pub running: bool,
}

impl Health {
    /// How many sources agree on the published estimate; none where there is none.
    #[must_use]
    pub fn agreeing(&self) -> usize {
        self.estimate.map_or(0, |estimate| estimate.agreeing())
    }

    /// True where the published estimate comes from parties that contradict each other.
    #[must_use]
    pub fn contested(&self) -> bool {
        self.estimate.is_some_and(|estimate| estimate.contested())
    }
}

/// What a monitor has counted since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Rounds, with and without an estimate.
    pub rounds: u64,
    /// Rounds that gave no estimate that could be published.
    pub failed_rounds: u64,
    /// Steps of the system clock.
    pub clock_steps: u64,
    /// Suspends of this host.
    pub suspends: u64,
}

/// Why a round gave no estimate that could be published. The one before goes on ageing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoundError {
    /// Too few sources answered or agree.
    #[error(transparent)]
    NoEstimate(#[from] NoEstimate),
    /// There was an estimate, and it is of no use.
    #[error("what was measured is of no use: {0}")]
    Useless(TimeError),
    /// There was an estimate, and the one before lasts longer: that one is kept.
    #[error(
        "the new estimate, ±{half_width:?}, would soon be too wide, and the last one is kept: look for what delays the replies"
    )]
    Wide {
        /// Half of the new interval's width.
        half_width: Duration,
    },
    /// It says another time than the one before, and no second round has borne it out yet.
    #[error(
        "it contradicts the last estimate by {by} and waits for a second round: one of the two is wrong, look at the sources"
    )]
    Contradicts {
        /// The gap between the two intervals: positive where the new one is later.
        by: SignedDuration,
    },
    /// The round ended by a panic.
    #[error("the round ended by a panic, which is a defect: please report it")]
    Panicked,
}
