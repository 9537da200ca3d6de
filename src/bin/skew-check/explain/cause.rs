//! Why a code is accepted, refused, or neither.

use skewgate::validator::{Advice, Reason};

use crate::output::Status;

/// Why the validator would answer as it would.
#[derive(Debug)]
pub(crate) enum Cause {
    Accepted,
    /// Nobody knows what time it is.
    TimeUnknown(String),
    /// At some of the times that it may have been they are accepted, at others not.
    ClockTooPoor,
    /// Not looked at.
    NotAdmitted(Reason),
    /// Fits where codes are dead, and what the validator would tell the user to do.
    Replay(Death, Advice),
    /// Several codes, of which the first are dead.
    PartlyUsed(Death),
    /// Fits below the window.
    TooOld,
    /// Fits above the window.
    TooNew,
    /// Fits with other parameters.
    OtherParameters,
    /// Fits from the last to the first.
    WrongOrder,
    /// Each of them fits, or some do, but not one after the other.
    NotConsecutive,
    /// The token's codes look otherwise.
    OtherFormat,
    FitsNowhere,
}

/// By what a code is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// The token has used it, or one after it.
    Used,
    /// Only since the store was restored, or another node of it took over: it could have been used, and nobody knows.
    Restored,
}

impl Cause {
    /// For programs.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::TimeUnknown(_) => "time_unknown",
            Self::ClockTooPoor => "clock_too_poor",
            Self::NotAdmitted(reason) => match reason {
                Reason::ClockUntrusted(_) => "clock_untrusted",
                Reason::TokenUnsuited(_) => "token_unsuited",
                Reason::Throttled { .. } => "throttled",
                Reason::BudgetAhead { .. } => "budget_ahead",
                Reason::ConsecutiveCodesNeeded { .. } => "consecutive_codes_needed",
                Reason::WatermarkAhead { .. } => "watermark_ahead",
                Reason::Locked { .. } => "locked",
                _ => "not_admitted",
            },
            Self::Replay(..) => "replay",
            Self::PartlyUsed(_) => "partly_used",
            Self::TooOld => "too_old",
            Self::TooNew => "too_new",
            Self::OtherParameters => "other_parameters",
            Self::WrongOrder => "wrong_order",
            Self::NotConsecutive => "not_consecutive",
            Self::OtherFormat => "other_format",
            Self::FitsNowhere => "fits_nowhere",
        }
    }

    pub(crate) const fn status(&self) -> Status {
        match self {
            Self::Accepted => Status::Ok,
            Self::TimeUnknown(_) | Self::ClockTooPoor => Status::Unknown,
            _ => Status::Warning,
        }
    }
}
