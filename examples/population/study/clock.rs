//! Times of the study, and what the validator believes about them.

use std::time::Duration;

use skewgate::otp::TimeStep;
use skewgate::time::{SignedDuration, TimeInterval, Timestamp};

use super::chance::{Dice, float, whole};
use super::people::PERIOD;

/// When the study begins: noon of 1 June 2026, which is the beginning of a step.
const BEGIN: Timestamp = Timestamp::from_unix_nanos(1_780_315_200_000_000_000);
const FIRST_STEP: i64 = 1_780_315_200 / 30;

/// How wrong the validator's system clock is where it is wrong: ahead of true time.
const WRONG_BY: f64 = 45.0;
/// Half of the interval that a monitor keeps over a network, with sources far away.
const MONITORED: f64 = 0.050;
/// What is declared about a clock that nobody measures.
const DECLARED: Duration = Duration::from_secs(1);

/// The validator's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    Right,
    /// 45 s ahead, and a monitor measures it.
    WrongMonitored,
    /// 45 s ahead, and declared to be right to a second.
    Wrong,
}

impl Clock {
    pub(crate) const ALL: [Self; 3] = [Self::Right, Self::WrongMonitored, Self::Wrong];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::WrongMonitored => "wrong-monitored",
            Self::Wrong => "wrong",
        }
    }

    /// What a time source says of it. Where one measures, the truth may be anywhere in the interval.
    pub(crate) fn interval(self, dice: &mut Dice, truth: f64) -> TimeInterval {
        match self {
            Self::Right | Self::WrongMonitored => {
                let middle = at(truth + dice.uniform(-MONITORED, MONITORED));
                TimeInterval::around(middle, Duration::from_secs_f64(MONITORED))
            }
            Self::Wrong => TimeInterval::around(at(truth + WRONG_BY), DECLARED),
        }
    }

    /// What the system clock shows: all that a validator without a monitor has.
    pub(crate) fn system(self, truth: f64) -> f64 {
        if self == Self::Right { truth } else { truth + WRONG_BY }
    }
}

/// So many seconds after the study began.
pub(crate) fn at(seconds: f64) -> Timestamp {
    BEGIN + SignedDuration::from_nanos(whole(seconds * 1e9))
}

/// The other way.
pub(crate) fn seconds(time: Timestamp) -> f64 {
    let nanos = (time - BEGIN).as_nanos();
    float(nanos.unsigned_abs()).copysign(if nanos < 0 { -1.0 } else { 1.0 }) / 1e9
}

/// When a step begins that is counted from the study's beginning.
pub(crate) fn step_begins(step: i64) -> f64 {
    float(step.unsigned_abs()).copysign(if step < 0 { -1.0 } else { 1.0 }) * PERIOD
}

/// A step that is counted from the study's beginning, as the library counts it.
pub(crate) fn time_step(step: i64) -> TimeStep {
    TimeStep::new(FIRST_STEP.saturating_add(step)).unwrap_or(TimeStep::ZERO)
}
