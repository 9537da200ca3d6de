//! The command line of `skew-check fleet`.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{AskingOptions, EXIT_STATUS, duration};
use skewgate::fleet::{State, SweepOptions};
use skewgate::ntp::{Pace, Source};

#[derive(Debug, Args)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct FleetOptions {
    /// Hosts: host, host:port or [v6]:port. The port is 123 by default. "-" reads them from standard input, one a line.
    #[expect(rustdoc::broken_intra_doc_links, reason = "a text for readers of --help, not Markdown")]
    #[arg(value_name = "HOST")]
    pub(crate) hosts: Vec<String>,
    /// A time source that hosts are compared with; repeat it for more. In place of those of the inventory.
    #[arg(long, value_name = "SOURCE", value_delimiter = ',')]
    reference: Vec<Source>,
    /// The same for one that smears leap seconds.
    #[arg(long, value_name = "SOURCE", value_delimiter = ',')]
    smeared: Vec<Source>,
    /// Hosts, groups, thresholds, sources and approved upstreams, as TOML.
    #[arg(long, value_name = "FILE")]
    pub(crate) inventory: Option<PathBuf>,
    #[command(flatten)]
    asking: AskingOptions,
    /// A skew beyond this, either way, is a warning. In place of what the inventory says [default: 100ms].
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub(crate) warning: Option<humantime::Duration>,
    /// A skew beyond this, either way, is critical. In place of what the inventory says [default: 1s].
    #[arg(long, value_name = "DUR", value_parser = duration)]
    pub(crate) critical: Option<humantime::Duration>,
    /// How many packets to send a second, over all hosts; or "off".
    #[arg(long, value_name = "N", default_value = "5000", value_parser = max_rate)]
    max_rate: MaxRate,
    /// How many replies to wait for at once.
    #[arg(long, value_name = "N", default_value_t = 4_096, value_parser = at_least_one)]
    max_in_flight: usize,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: FleetFormat,
    /// Write the result there, and not before it is complete.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// In which order to list the hosts.
    #[arg(long, value_enum, default_value_t, value_name = "ORDER")]
    pub(crate) sort: SortBy,
    /// List only hosts in this state; repeat it for more. What sums up is about all of them.
    #[arg(long, value_enum, value_name = "STATE", value_delimiter = ',')]
    only: Vec<OnlyState>,
    /// Show more of what each host says.
    #[arg(short, long, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// Print the last sentence only, and no diagnostics.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

impl FleetOptions {
    /// The sources that were named here: first those that don't smear.
    pub(crate) fn references(&self) -> Vec<Source> {
        let smeared = self.smeared.iter().cloned().map(|source| source.smeared(true));
        self.reference.iter().cloned().chain(smeared).collect()
    }

    /// The same for the library.
    pub(crate) fn sweep(&self) -> SweepOptions {
        let reference = self.asking.measurement();
        SweepOptions {
            pace: Pace { max_rate: self.max_rate.0, max_in_flight: self.max_in_flight, ..reference.pace },
            family: reference.family,
            reference,
            ..SweepOptions::default()
        }
    }

    /// How long it takes when every one of so many hosts answers at once.
    pub(crate) fn shortest(&self, hosts: usize) -> Duration {
        let samples = u64::from(self.asking.samples);
        let packets = u64::try_from(hosts).unwrap_or(u64::MAX).saturating_mul(samples);
        let paced = self.max_rate.0.map_or(0, |rate| packets / u64::from(rate.get()));
        let pauses = Duration::from(self.asking.interval).saturating_mul(self.asking.samples - 1);
        Duration::from_secs(paced).max(pauses)
    }

    /// Whether a host in this state is listed.
    pub(crate) fn lists(&self, state: State) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only.state() == state)
    }
}

#[derive(Clone, Copy, Debug)]
struct MaxRate(Option<NonZeroU32>);

fn max_rate(text: &str) -> Result<MaxRate, &'static str> {
    if text == "off" {
        return Ok(MaxRate(None));
    }
    text.parse()
        .map(|rate| MaxRate(Some(rate)))
        .map_err(|_| "write a number of packets a second from 1, or off")
}

fn at_least_one(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|count| *count > 0).ok_or("write a number from 1")
}

/// How to print a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum FleetFormat {
    /// For a reader: a table with a plot, and a sentence.
    #[default]
    Text,
    /// For a program: the schema is in the README.
    Json,
    /// For a monitoring system: one line with performance data.
    Nagios,
    /// A picture: every host's interval against its thresholds.
    Svg,
    /// For Prometheus: OpenMetrics.
    Prometheus,
}

/// In which order hosts are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SortBy {
    /// As they were given.
    #[default]
    Given,
    /// By state, the worst first; then by skew.
    State,
    /// By how far they are off for certain, the farthest first.
    Skew,
    /// By name.
    Host,
    /// By group, then as they were given.
    Group,
}

/// A state, as an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnlyState {
    Unreachable,
    Rejected,
    Skewed,
    Unsynchronised,
    Inconclusive,
    ForeignReference,
    ReferenceUnknown,
    InSync,
}

impl OnlyState {
    const fn state(self) -> State {
        match self {
            Self::Unreachable => State::Unreachable,
            Self::Rejected => State::Rejected,
            Self::Skewed => State::Skewed,
            Self::Unsynchronised => State::Unsynchronised,
            Self::Inconclusive => State::Inconclusive,
            Self::ForeignReference => State::ForeignReference,
            Self::ReferenceUnknown => State::ReferenceUnknown,
            Self::InSync => State::InSync,
        }
    }
}
