//! The command line of `skew-check fleet`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{EXIT_STATUS, SweepingOptions};
use skewgate::fleet::State;

#[derive(Debug, Args)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct FleetOptions {
    /// Hosts: host, host:port or [v6]:port. The port is 123 by default. "-" reads them from standard input, one a line.
    #[expect(rustdoc::broken_intra_doc_links, reason = "a text for readers of --help, not Markdown")]
    #[arg(value_name = "HOST")]
    pub(crate) hosts: Vec<String>,
    /// Hosts, groups, thresholds, sources and approved upstreams, as TOML.
    #[arg(long, value_name = "FILE")]
    pub(crate) inventory: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sweeping: SweepingOptions,
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
    /// Whether a host in this state is listed.
    pub(crate) fn lists(&self, state: State) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only.state() == state)
    }
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
    /// A page with the result in it, to look at in a browser: it needs nothing else, and asks nobody for anything.
    Html,
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
