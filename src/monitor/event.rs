//! What a monitor notices.

use std::time::Duration;

use super::RoundError;
use crate::ntp::Verdict;
use crate::time::{SignedDuration, TimeError};

/// The `tracing` target of all events here.
pub const TARGET: &str = "skewgate::clock";

/// What was noticed of this host's clocks and its sources; the fields are those of the [table](super#events).
#[derive(Clone, Debug)]
pub(super) enum ClockEvent<'a> {
    ClockStepped { step: SignedDuration },
    HostSuspended { slept: SignedDuration },
    TimeFound { half_width: Duration },
    TimeLost { error: TimeError },
    RoundFailed { error: &'a RoundError },
    JumpConfirmed,
    Contested,
    SourceChanged { source: &'a str, verdict: Verdict, reason: String },
    SourcesReplaced { sources: usize },
}

impl ClockEvent<'_> {
    pub(super) fn emit(&self) {
        match self {
            Self::ClockStepped { step } => {
                tracing::warn!(target: TARGET, event = "clock_stepped", step_ns = step.as_nanos());
            }
            Self::HostSuspended { slept } => {
                tracing::warn!(target: TARGET, event = "host_suspended", slept_ns = slept.as_nanos());
            }
            Self::TimeFound { half_width } => {
                let half_width_ns = SignedDuration::from(*half_width).as_nanos();
                tracing::info!(target: TARGET, event = "time_found", half_width_ns);
            }
            Self::TimeLost { error } => tracing::error!(target: TARGET, event = "time_lost", %error),
            Self::RoundFailed { error } => tracing::warn!(target: TARGET, event = "round_failed", %error),
            Self::JumpConfirmed => tracing::warn!(target: TARGET, event = "jump_confirmed"),
            Self::Contested => tracing::warn!(target: TARGET, event = "contested"),
            Self::SourceChanged { source, verdict: Verdict::Truechimer, .. } => {
                tracing::info!(target: TARGET, event = "source_changed", source, verdict = "truechimer");
            }
            Self::SourceChanged { source, verdict, reason } => {
                let verdict = verdict.name();
                tracing::warn!(target: TARGET, event = "source_changed", source, verdict, reason);
            }
            Self::SourcesReplaced { sources } => {
                tracing::info!(target: TARGET, event = "sources_replaced", sources);
            }
        }
    }
}
