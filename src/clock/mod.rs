//! From exchanges with time servers to an interval that contains true time. Pure: no socket, no clock.
//!
//! ```text
//! Exchange -> Sample -> (a burst) SourceBound -> (a vote) select -> ClockEstimate -> TimeInterval
//! ```
//!
//! Everything is measured against this host's raw timeline: what is known is an [`OffsetInterval`] that
//! contains *UTC − raw*. It widens with age, because the raw clock's rate may be wrong by [`MaxDrift`], and
//! never narrows by itself.

mod drift;
mod error;
mod estimate;
mod leap;
mod offset;
mod sample;
mod select;

pub use drift::MaxDrift;
pub use error::{Inconsistent, NoEstimate, RulesError};
#[cfg(feature = "ntp")]
pub(crate) use estimate::SUSPEND_THRESHOLD;
pub use estimate::{ClockEstimate, Limits, Rules, Vote};
pub use offset::OffsetInterval;
pub use sample::{Exchange, Leap, Reception, Sample, SourceBound};
pub use select::{Selection, select};
