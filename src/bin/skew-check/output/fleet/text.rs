//! For a reader: a table with a plot beside each host, and a sentence.

use std::io::{self, Write};

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use skewgate::fleet::{Host, HostReport, State};

use super::super::{BAD, Bounded, DOUBTFUL, FAINT, GOOD, STRONG, harmless, length, styled};
use super::{plot, status};
use crate::cli::FleetOptions;
use crate::fleet::Finding;
use crate::output::Status;

/// So many hosts are told about in words unless all are asked for: a page that nobody reads warns nobody.
const TOLD: usize = 20;

/// Prints a finding.
pub(crate) fn print(out: &mut impl Write, finding: &Finding, options: &FleetOptions) -> io::Result<()> {
    if !options.quiet {
        if finding.listed().next().is_some() {
            print_hosts(out, finding, options.verbose)?;
            print_reasons(out, finding, options.verbose)?;
            writeln!(out)?;
        }
        print_reference(out, finding)?;
        let margin = finding.report.margin();
        match (margin.whole(), margin.unmeasured < finding.report.hosts.len()) {
            (Some(whole), _) => writeln!(out, "margin     no host is more than {} off", length(whole))?,
            (None, true) => writeln!(
                out,
                "margin     no host that was measured is more than {} off; {} were not",
                length(margin.of_measured),
                margin.unmeasured
            )?,
            (None, false) => {}
        }
    }
    let status = styled(finding.status.style(), finding.status.shout());
    writeln!(out, "{status}: {}", harmless(&finding.reason))
}

/// One row of the table, and in which column the state is.
struct Table {
    head: Vec<&'static str>,
    verbose: bool,
    grouped: bool,
}

const STATE: usize = 1;

/// Those that hold numbers.
const RIGHT: std::ops::RangeInclusive<usize> = 2..=5;

impl Table {
    fn of(finding: &Finding, verbose: bool) -> Self {
        let grouped = finding.listed().any(|(host, _)| super::group_name(&finding.report, host).is_some());
        let mut head = vec!["HOST", "STATE", "SKEW", "±", "DELAY", "STRATUM", "REFID"];
        if grouped {
            head.push("GROUP");
        }
        if verbose {
            head.extend(["ADDRESS", "SAMPLES", "LEAP", "MEASURES", "FLAGS"]);
        }
        Self { head, verbose, grouped }
    }

    fn row(&self, finding: &Finding, host: &Host, found: &HostReport) -> Vec<String> {
        let missing = || "-".to_owned();
        let (identity, reading, skew) = (found.identity, found.reading, found.skew.map(Bounded::new));
        let mut cells = vec![
            host.as_given().to_owned(),
            found.state().to_string(),
            skew.as_ref().map_or_else(missing, Bounded::middle),
            skew.as_ref().map_or_else(missing, Bounded::half_width),
            reading.map_or_else(missing, |reading| length(reading.delay.unsigned_abs())),
            identity.map_or_else(missing, |identity| identity.stratum.to_string()),
            identity.map_or_else(missing, |identity| identity.reference_id.to_text(identity.stratum)),
        ];
        if self.grouped {
            cells.push(super::group_name(&finding.report, host).map_or_else(missing, harmless));
        }
        if self.verbose {
            let flags: Vec<&str> = found.flags.iter().map(skewgate::fleet::Flag::name).collect();
            cells.extend([
                found.address.map_or_else(missing, |address| address.to_string()),
                reading.map_or(0, |reading| reading.samples).to_string(),
                identity.map_or_else(missing, |identity| super::super::json::leap(identity.leap).to_owned()),
                finding.report.measures(host).to_string(),
                if flags.is_empty() { missing() } else { flags.join(",") },
            ]);
        }
        cells
    }
}

/// Twice over the hosts, to know how wide the columns are: no table of a hundred thousand rows is held.
fn print_hosts(out: &mut impl Write, finding: &Finding, verbose: bool) -> io::Result<()> {
    let table = Table::of(finding, verbose);
    let mut widths: Vec<usize> = table.head.iter().map(|title| title.width()).collect();
    for (host, found) in finding.listed() {
        for (width, cell) in widths.iter_mut().zip(table.row(finding, host, found)) {
            *width = cell.width().max(*width);
        }
    }
    let head: Vec<String> = table.head.iter().map(|title| (*title).to_owned()).collect();
    let plain = vec![FAINT; head.len()];
    write_row(out, &head, &widths, &plain, &styled(FAINT, plot::HEAD))?;
    for (host, found) in finding.listed() {
        let cells = table.row(finding, host, found);
        let mut styles = vec![Style::new(); cells.len()];
        styles[STATE] = style(found);
        let thresholds = finding.report.inventory.group_of(host).thresholds;
        let drawn = plot::plot(found.skew, thresholds);
        write_row(out, &cells, &widths, &styles, &styled(style(found), drawn))?;
    }
    Ok(())
}

/// The plot comes first behind the numbers that it shows.
fn write_row(
    out: &mut impl Write,
    cells: &[String],
    widths: &[usize],
    styles: &[Style],
    plot: &str,
) -> io::Result<()> {
    for (index, ((cell, width), style)) in cells.iter().zip(widths).zip(styles).enumerate() {
        if index == 4 {
            write!(out, " {plot} ")?;
        }
        let padding = " ".repeat(width.saturating_sub(cell.width()));
        let last = index + 1 == cells.len();
        match RIGHT.contains(&index) {
            true => write!(out, " {padding}{} ", styled(*style, cell))?,
            false if last => write!(out, " {}", styled(*style, cell))?,
            false => write!(out, " {}{padding} ", styled(*style, cell))?,
        }
    }
    writeln!(out)
}

fn style(found: &HostReport) -> Style {
    match (found.state(), status(found.flags)) {
        (State::InSync, Status::Ok) => GOOD,
        (_, Status::Critical) => BAD,
        _ => DOUBTFUL,
    }
}

/// Why those are not in sync that aren't.
fn print_reasons(out: &mut impl Write, finding: &Finding, verbose: bool) -> io::Result<()> {
    let mut left = 0;
    let mut told = 0;
    for (host, found) in finding.listed() {
        let Some(why) = super::why(found, finding.report.inventory.group_of(host)) else { continue };
        if told < TOLD || verbose {
            told += 1;
            writeln!(out, "  {} {}", styled(STRONG, format!("{}:", host.as_given())), harmless(&why))?;
        } else {
            left += 1;
        }
    }
    if left > 0 {
        writeln!(out, "  and {left} more, which --verbose shows")?;
    }
    Ok(())
}

fn print_reference(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    match &finding.clock {
        Some(clock) => {
            let (estimate, offset) = (&clock.estimate, Bounded::new(clock.offset));
            writeln!(
                out,
                "reference  {} of {} sources agree; this host's own clock is {} ± {} off, which has no part in the above",
                estimate.agreeing(),
                estimate.configured(),
                // True time minus this host's: the other way round than skews are.
                Bounded::new(clock.offset).flipped(),
                offset.half_width(),
            )
        }
        None => writeln!(out, "reference  not known"),
    }
}
