//! Transitions in logs.

use super::{Condition, Transition};
use crate::event::printable;
use crate::fleet::Severity;

/// The `tracing` target of all events here.
pub const TARGET: &str = "skewgate::fleet";

impl Transition {
    /// Hands it to `tracing`: see the [table](super#events).
    pub fn emit(&self) {
        let event = match (self.host(), self.to) {
            (None, _) => "fleet_changed",
            (_, Condition::Removed) => "host_removed",
            _ => "host_changed",
        };
        let host = self.host().map(printable);
        // The level of a `tracing` event is part of its call site, so each level needs one.
        macro_rules! emit_at {
            ($level:ident) => {
                tracing::event!(
                    target: TARGET,
                    tracing::Level::$level,
                    event,
                    host = host.as_deref(),
                    from = self.from.name(),
                    to = self.to.name(),
                    from_severity = self.from_severity.name(),
                    severity = self.to_severity.name(),
                    since = %self.since,
                    at = %self.at,
                    skew_ns = self.skew.map(|skew| skew.midpoint().as_nanos()),
                    half_width_ns =
                        self.skew.map(|skew| u64::try_from(skew.half_width().as_nanos()).unwrap_or(u64::MAX)),
                )
            };
        }
        match self.to_severity {
            Severity::Ok => emit_at!(INFO),
            Severity::Warning | Severity::Unknown => emit_at!(WARN),
            Severity::Critical => emit_at!(ERROR),
        }
    }
}
