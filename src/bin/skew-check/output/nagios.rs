//! For a monitoring system: one line, as the Monitoring Plugins guidelines ask.

use std::io::{self, Write};
use std::time::Duration;

use skewgate::time::SignedDuration;

use super::{Status, harmless};
use crate::error::CliError;
use crate::probe::Finding;

/// Prints a finding: `SKEW STATUS - sentence | performance data`.
pub(crate) fn print(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    // A bar would begin the performance data.
    let reason = harmless(&finding.reason).replace('|', "/");
    let (warning, critical) = (range(finding.thresholds.warning), range(finding.thresholds.critical));
    write!(out, "SKEW {} - {reason} | ", finding.status.shout())?;
    match &finding.clock {
        Some(clock) => writeln!(
            out,
            "offset={}s;{warning};{critical} half_width={}s;;;0 agreeing={};;;0;{}",
            seconds(clock.offset.midpoint()),
            seconds(clock.offset.half_width().into()),
            clock.estimate.agreeing(),
            clock.estimate.configured(),
        ),
        None => writeln!(out, "offset=U;{warning};{critical} half_width=U;;;0 agreeing=U;;;0"),
    }
}

/// Prints that nothing was measured, and why.
pub(crate) fn print_nothing(out: &mut impl Write, error: &CliError) -> io::Result<()> {
    writeln!(out, "SKEW {} - {}", Status::Unknown.shout(), harmless(&error.to_string()).replace('|', "/"))
}

/// Alarm outside of ± this.
fn range(threshold: Duration) -> String {
    let threshold = seconds(threshold.into());
    format!("-{threshold}:{threshold}")
}

/// In seconds, to the nanosecond, without a detour through floating point.
pub(super) fn seconds(length: SignedDuration) -> String {
    let nanos = length.as_nanos().unsigned_abs();
    let sign = if length.is_negative() { "-" } else { "" };
    format!("{sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}
