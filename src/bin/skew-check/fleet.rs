//! `skew-check fleet`: every host's clock against the sources of the same run.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anstream::StripStream;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use skewgate::fleet::{Host, HostReport, Inventory, Phase, Progress, Report, sweep};
use skewgate::time::LocalClock;
use skewgate::time::os::OsClock;

use crate::cli::{FleetFormat, FleetOptions, SortBy};
use crate::error::CliError;
use crate::inventory;
use crate::output::{Status, fleet as output, harmless, nagios, text};
use crate::page;
use crate::probe::{Clock, clock_of};

/// Longer than this without a word, and a person at a terminal wonders.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a sweep found, ready to be printed in any format.
pub(crate) struct Finding {
    pub(crate) status: Status,
    /// One sentence: what it means.
    pub(crate) reason: String,
    /// What is known of this host's clock.
    pub(crate) clock: Option<Clock>,
    pub(crate) report: Arc<Report>,
    /// The places of the hosts to list, in order.
    listed: Vec<usize>,
}

impl Finding {
    /// With those hosts listed whose places are in `listed`, in that order.
    pub(crate) fn new(report: Arc<Report>, listed: Vec<usize>) -> Self {
        let measurement = report.reference.last();
        let estimate = measurement.and_then(|measurement| measurement.estimate.ok());
        let clock = estimate.zip(measurement).and_then(|(estimate, round)| clock_of(estimate, round).ok());
        let mut reason = output::summing_up(&report);
        // The worst host decides.
        let mut status =
            report.hosts.iter().map(|host| output::status(host.flags)).max().unwrap_or(Status::Unknown);
        match estimate {
            Some(estimate) if estimate.contested() => {
                status = status.max(Status::Warning);
                reason.push_str(
                    "; the reference sources contradict each other in two parties, find out which is wrong",
                );
            }
            Some(estimate) if !estimate.corroborated() => {
                reason.push_str("; nothing bears out the only reference source");
            }
            Some(_) => {}
            None => status = status.max(Status::Unknown),
        }
        Self { status, reason, clock, report, listed }
    }

    /// The hosts to list, in order.
    pub(crate) fn listed(&self) -> impl Iterator<Item = (&Host, &HostReport)> {
        let hosts = self.report.inventory.hosts();
        self.listed.iter().filter_map(move |&index| Some((hosts.get(index)?, self.report.hosts.get(index)?)))
    }
}

fn listed(report: &Report, options: &FleetOptions) -> Vec<usize> {
    let (hosts, found) = (report.inventory.hosts(), &report.hosts);
    let mut listed: Vec<usize> =
        (0..found.len()).filter(|&index| options.lists(found[index].state())).collect();
    // The farthest off for certain first; of those that may be right, the least known.
    let skew = |index: usize| std::cmp::Reverse((found[index].least(), found[index].most()));
    match options.sort {
        SortBy::Given => {}
        SortBy::State => listed.sort_by_key(|&index| (found[index].state(), skew(index))),
        SortBy::Skew => listed.sort_by_key(|&index| skew(index)),
        SortBy::Host => listed.sort_by_key(|&index| hosts[index].address().to_string()),
        SortBy::Group => listed.sort_by_key(|&index| hosts[index].group()),
    }
    listed
}

/// Sweeps and prints.
pub(crate) fn run(options: &FleetOptions) -> Result<Status, CliError> {
    let found = swept(options);
    match &options.output {
        Some(file) => write_file(file, |out| print(out, &found, options))?,
        None => {
            let mut out = BufWriter::new(anstream::stdout().lock());
            print(&mut out, &found, options)?;
            out.flush()?;
        }
    }
    found.map(|finding| finding.status)
}

fn print(out: &mut impl Write, found: &Result<Finding, CliError>, options: &FleetOptions) -> io::Result<()> {
    use FleetFormat::{Html, Json, Nagios, Prometheus, Svg, Text};
    match (found, options.format) {
        (Ok(finding), Text) => output::text::print(out, finding, options),
        (Ok(finding), Json) => output::json::print(out, finding),
        (Ok(finding), Nagios) => output::nagios::print(out, finding),
        (Ok(finding), Html) => page::print(out, |out| output::json::print(out, finding)),
        (Ok(finding), Svg) => output::svg::print(out, finding),
        (Ok(finding), Prometheus) => output::prometheus::print(out, finding),
        // A program that reads the result is told there, too, that there is none.
        (Err(error), Json) => output::json::print_nothing(out, error, OsClock.system().realtime),
        (Err(error), Html) => {
            page::print(out, |out| output::json::print_nothing(out, error, OsClock.system().realtime))
        }
        (Err(error), Nagios) => nagios::print_nothing(out, error),
        (Err(_), Text | Svg | Prometheus) => Ok(()),
    }
}

/// All or nothing: whoever reads the file meanwhile sees the one that was there before. Where nothing was found and the format
/// has no way to say so, that one stays.
fn write_file(
    file: &Path,
    write: impl FnOnce(&mut BufWriter<StripStream<File>>) -> io::Result<()>,
) -> Result<(), CliError> {
    let failed = |error| CliError::WriteFile { file: file.to_owned(), error };
    let mut name = file.file_name().ok_or_else(|| failed(io::ErrorKind::IsADirectory.into()))?.to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = file.with_file_name(name);
    let written = File::create_new(&temporary).and_then(|file| {
        // No file is a terminal: what would colour one is left out.
        let mut out = BufWriter::new(StripStream::new(file));
        write(&mut out)?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?.into_inner();
        // On the disk before its name is: a crash must not leave an empty file in place of a full one.
        file.sync_all()?;
        Ok(file.metadata()?.len())
    });
    let done = written.and_then(|length| match length {
        0 => std::fs::remove_file(&temporary),
        _ => std::fs::rename(&temporary, file),
    });
    done.map_err(|error| {
        // There may be nothing to remove.
        let _ = std::fs::remove_file(&temporary);
        failed(error)
    })
}

fn swept(options: &FleetOptions) -> Result<Finding, CliError> {
    let inventory = Arc::new(inventory(options)?);
    let mut bar = Bar::new(options, inventory.hosts().len());
    let report = sweep(&inventory, &options.sweeping.sweep(), &OsClock, &mut |progress| bar.show(progress));
    bar.clear();
    let report = report?;
    if !options.quiet {
        for warning in report.reference.last().map_or(&[][..], |round| &round.warnings) {
            anstream::eprintln!("warning: {}", harmless(&warning.to_string()));
        }
        for source in report.reference.last().map_or(&[][..], |round| &round.reports) {
            if let Some(why) = text::why(source) {
                anstream::eprintln!("reference {}: {why}", source.source.as_given());
            }
        }
    }
    let listed = listed(&report, options);
    Ok(Finding::new(Arc::new(report), listed))
}

fn inventory(options: &FleetOptions) -> Result<Inventory, CliError> {
    let mut inventory = Inventory::builder();
    if let Some(file) = &options.inventory {
        inventory::add_file(&mut inventory, file)?;
    }
    for (index, host) in options.hosts.iter().enumerate() {
        if host == "-" {
            let mut text = String::new();
            let input = PathBuf::from("standard input");
            let read = io::stdin().lock().read_to_string(&mut text);
            read.map_err(|error| CliError::ReadFile { file: input.clone(), error })?;
            let place = inventory::shown(&input);
            inventory.lines(&text).map_err(|error| CliError::Inventory { place, error })?;
        } else {
            let place = || format!("host {} of the command line", index + 1);
            let host = host.parse().map_err(|error| CliError::Host { place: place(), error })?;
            inventory.host(host);
        }
    }
    inventory::finish(inventory, &options.sweeping)
}

/// How far a long sweep has come, for a person at a terminal.
struct Bar {
    bar: ProgressBar,
    phase: Option<Phase>,
}

impl Bar {
    fn new(options: &FleetOptions, hosts: usize) -> Self {
        let wanted =
            options.sweeping.shortest(hosts) >= PATIENCE && !options.quiet && io::stderr().is_terminal();
        let target = if wanted { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { bar: ProgressBar::with_draw_target(None, target), phase: None }
    }

    fn show(&mut self, Progress { phase, done, of, .. }: Progress) {
        if self.phase.replace(phase) != Some(phase) {
            let (what, counted) = match phase {
                Phase::Names => ("looking up names", true),
                Phase::Hosts => ("asking hosts", true),
                Phase::MoreSamples => ("asking undecided hosts again", true),
                _ => ("asking the reference sources", false),
            };
            let template = match counted {
                true => "{msg} {wide_bar} {pos}/{len}, {eta} left",
                false => "{msg} ...",
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.bar.set_style(style);
            }
            self.bar.set_length(u64::try_from(of).unwrap_or(u64::MAX));
            self.bar.set_message(what);
            self.bar.reset_eta();
        }
        self.bar.set_position(u64::try_from(done).unwrap_or(u64::MAX));
    }

    /// Nothing of it is left on the terminal.
    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skewgate::fleet::{Flag, Flags};

    #[test]
    fn the_flag_that_matters_most_decides() {
        let status = |flags: &[Flag]| output::status(flags.iter().copied().collect::<Flags>());
        assert_eq!(status(&[]), Status::Ok);
        assert_eq!(status(&[Flag::Unsteady]), Status::Ok);
        assert_eq!(status(&[Flag::Skewed]), Status::Warning);
        assert_eq!(status(&[Flag::Unsynchronised, Flag::Inconclusive]), Status::Unknown);
        assert_eq!(status(&[Flag::Skewed, Flag::Critical, Flag::ReferenceUnknown]), Status::Critical);
        for flag in [Flag::Unreachable, Flag::Rejected, Flag::Inconclusive, Flag::ReferenceUnknown] {
            assert_eq!(status(&[flag]), Status::Unknown, "{flag}");
        }
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("out.json");
        let say = |text: &'static [u8]| write_file(&file, move |out| out.write_all(text));
        say(b"one").unwrap();
        say(b"two").unwrap();
        let failed = write_file(&file, |out| {
            out.write_all(b"half of thr")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(matches!(failed, Err(CliError::WriteFile { .. })));
        say(b"").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left there");
    }
}
