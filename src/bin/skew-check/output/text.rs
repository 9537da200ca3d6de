//! For a reader: a table, the interval, and a sentence.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Table};

use skewgate::ntp::{SourceReport, Verdict};

use super::{BAD, Bounded, DOUBTFUL, FAINT, GOOD, STRONG, harmless, length, styled};
use crate::cli::ProbeOptions;
use crate::probe::{Clock, Finding};

/// Prints a finding.
pub(crate) fn print(out: &mut impl Write, finding: &Finding, options: &ProbeOptions) -> io::Result<()> {
    if !options.quiet {
        print_sources(out, &finding.measurement.reports, options.verbose)?;
        writeln!(out)?;
        if let Some(clock) = &finding.clock {
            print_clock(out, clock)?;
        }
    }
    let status = styled(finding.status.style(), finding.status.shout());
    writeln!(out, "{status}: {}", harmless(&finding.reason))
}

/// The sources, one a line, and why those were refused that were.
pub(crate) fn print_sources(out: &mut impl Write, reports: &[SourceReport], verbose: bool) -> io::Result<()> {
    let mut head = vec!["SOURCE", "OFFSET", "± ROOT DISTANCE", "DELAY", "STRATUM", "REFID"];
    if verbose {
        head.extend(["ADDRESS", "SAMPLES", "STAMPED", "LEAP", "ROOT DELAY", "ROOT DISPERSION"]);
    }
    head.push("VERDICT");
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(head.iter().map(|title| Cell::new(styled(FAINT, title))));
    for report in reports {
        table.add_row(row(report, verbose));
    }
    for column in 1..5 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    for report in reports {
        if let Some(why) = why(report) {
            writeln!(out, "  {} {why}", styled(STRONG, format!("{}:", report.source.as_given())))?;
        }
    }
    Ok(())
}

fn row(report: &SourceReport, verbose: bool) -> Vec<Cell> {
    let missing = || "-".to_owned();
    let (header, offset) = (report.header, report.offset.map(Bounded::new));
    let mut cells = vec![
        report.source.as_given().to_owned(),
        offset.as_ref().map_or_else(missing, Bounded::middle),
        offset.as_ref().map_or_else(missing, Bounded::half_width),
        report.bound.map_or_else(missing, |bound| length(bound.delay.unsigned_abs())),
        header.map_or_else(missing, |header| header.stratum.to_string()),
        header.map_or_else(missing, |header| header.reference_id.to_text(header.stratum)),
    ];
    if verbose {
        cells.extend([
            report.address.map_or_else(missing, |address| address.to_string()),
            report.bound.map_or_else(missing, |bound| bound.samples.to_string()),
            report.bound.map_or_else(missing, |bound| bound.kernel_stamped.to_string()),
            header.map_or_else(missing, |header| super::json::leap(header.leap).to_owned()),
            header.map_or_else(missing, |header| length(header.root_delay)),
            header.map_or_else(missing, |header| length(header.root_dispersion)),
        ]);
    }
    cells.push(verdict(report.verdict));
    cells.into_iter().map(Cell::new).collect()
}

fn verdict(verdict: Option<Verdict>) -> String {
    let Some(verdict) = verdict else { return styled(DOUBTFUL, "undecided") };
    let style = match verdict {
        Verdict::Truechimer => GOOD,
        Verdict::Falseticker | Verdict::Inconsistent => BAD,
        _ => DOUBTFUL,
    };
    styled(style, verdict)
}

/// Why a source was not used, or not to the end.
pub(crate) fn why(report: &SourceReport) -> Option<String> {
    match (&report.error, report.verdict) {
        (Some(error), _) => Some(harmless(&error.to_string())),
        (None, Some(Verdict::Falseticker)) => {
            Some("its interval misses the time that the others agree on".to_owned())
        }
        (None, None) => Some("usable, but there is no clock to compare it with".to_owned()),
        _ => None,
    }
}

fn print_clock(out: &mut impl Write, clock: &Clock) -> io::Result<()> {
    let (estimate, offset) = (&clock.estimate, Bounded::new(clock.offset));
    writeln!(out, "true time  between {} and {}", clock.interval.earliest(), clock.interval.latest())?;
    writeln!(
        out,
        "offset     {} ± {} (true time minus this host's; best guess {})",
        offset.middle(),
        offset.half_width(),
        offset.like(clock.best_offset),
    )?;
    let liars = match estimate.tolerated_liars() {
        0 => "holds if none of them is wrong".to_owned(),
        1 => "holds even if one of them is wrong".to_owned(),
        liars => format!("holds even if {liars} of them are wrong"),
    };
    writeln!(
        out,
        "agreement  {} of {} configured sources; with {} usable, the interval {liars}",
        estimate.agreeing(),
        estimate.configured(),
        estimate.usable(),
    )
}
