//! For a monitoring system: one line, as the Monitoring Plugins guidelines ask.

use std::io::{self, Write};

use skewgate::fleet::State;

use super::super::harmless;
use super::super::nagios::seconds;
use crate::fleet::Finding;

/// Prints a finding: `SKEW STATUS - sentence | performance data`.
pub(crate) fn print(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    // A bar would begin the performance data.
    let reason = harmless(&finding.reason).replace('|', "/");
    let report = &finding.report;
    write!(out, "SKEW {} - {reason} | hosts={};;;0", finding.status.shout(), report.summary.hosts())?;
    for state in State::ALL.iter().rev() {
        write!(out, " {}={};;;0", state.name().replace('-', "_"), report.summary.count(*state))?;
    }
    match report.worst_pair {
        Some(pair) => write!(out, " worst_pair={}s", seconds(pair.skew.midpoint()))?,
        None => write!(out, " worst_pair=U")?,
    }
    let margin = report.margin();
    match margin.unmeasured < report.hosts.len() {
        true => writeln!(out, " margin={}s;;;0", seconds(margin.of_measured.into())),
        false => writeln!(out, " margin=U;;;0"),
    }
}
