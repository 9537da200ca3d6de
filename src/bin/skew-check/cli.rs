//! The command line.

mod config;
mod fleet;
mod sweeping;
#[cfg(feature = "watch")]
mod watch;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use anstream::ColorChoice;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::explain::ExplainOptions;
use crate::manual::{CompletionsOptions, ManOptions};
pub(crate) use config::{parse, with_environment};
pub(crate) use fleet::{FleetFormat, FleetOptions, SortBy};
use skewgate::ntp::{AllowList, Announcement, Family, Network, Options, Pace, RateLimit, Service, Source};
pub(crate) use sweeping::SweepingOptions;
#[cfg(feature = "watch")]
pub(crate) use watch::{LogFormat, WatchOptions, WebhookUrl};

/// Whose clock is wrong, by how much, and how surely.
#[derive(Debug, Parser)]
#[command(name = "skew-check", version, max_term_width = 110, after_help = EXIT_STATUS)]
pub(crate) struct Cli {
    /// When to use colours. NO_COLOR is respected.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: Color,
    /// A file with values for options, TOML: a table for each command, such as [fleet], with keys such as max-rate.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<std::path::PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_STATUS: &str = "Exit status: 0 ok, 1 warning, 2 critical, 3 unknown (no quorum, nothing reachable, \
                           inconclusive, wrong usage).\n\
                           \n\
                           An option may also be given by the environment: SKEW_CHECK_MAX_RATE for --max-rate. The command line \
                           comes first, then the environment, then the file that --config names.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compare this host's clock with time sources.
    Probe(ProbeOptions),
    /// Say which hosts' clocks are off, by how much and how surely.
    ///
    /// Every host is asked over NTP and compared with the reference sources of the same run: the clock of this host
    /// cancels out. Hosts are read whether or not they are synchronised.
    Fleet(FleetOptions),
    /// Sweep a fleet again and again, keep what was found, and show it: a page, metrics, changes of states.
    ///
    /// Serves a page with every host's interval and history, /metrics for Prometheus, /api/fleet.json, /api/history.json and
    /// /healthz, on loopback unless told otherwise. Changes of states are logged, and posted to a webhook or given to a
    /// program. Runs until SIGINT or SIGTERM.
    #[cfg(feature = "watch")]
    Watch(WatchOptions),
    /// Find out why a one-time code was refused, or whether it would be.
    ///
    /// Looks for the code in the day around the time at which it was tried, computes the window that the validator would
    /// use, and says how far off the token's clock is and what to do about it. Nothing is written anywhere, and nothing is
    /// charged to anybody. The secret is read from a file or standard input, never from the command line.
    Explain(ExplainOptions),
    /// Serve this host's system clock over NTP, so that it can be measured where no NTP server runs.
    ///
    /// Answers clients of NTP versions 3 and 4, and sets no clock. It measures nothing either: how right this
    /// clock is, is what you say with --stratum and --dispersion. Runs until Ctrl-C or SIGTERM.
    Respond(RespondOptions),
    /// Show the whole way from lying time servers to a login, on loopback only.
    ///
    /// Starts three honest time servers, one that lies by 45 s and a silent one, pretends that this host's clock
    /// is 40 s slow, measures, and validates one-time passwords in the window that follows. Nothing is
    /// installed, no clock is touched, no packet leaves this machine.
    Demo,
    /// Print a script that completes commands and options in a shell.
    Completions(CompletionsOptions),
    /// Print a manual page, or write all of them into a directory.
    Man(ManOptions),
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct ProbeOptions {
    /// Time sources: host, host:port or [v6]:port. The port is 123 by default.
    #[expect(rustdoc::broken_intra_doc_links, reason = "a text for readers of --help, not Markdown")]
    #[arg(required_unless_present = "smeared", value_name = "SOURCE")]
    sources: Vec<Source>,
    /// A source that smears leap seconds; repeat it for more. Asked like the others, and believed to a second only within
    /// 24 hours of the end of a month: use sources that all smear, or none that does.
    #[arg(long, value_name = "SOURCE", value_delimiter = ',')]
    smeared: Vec<Source>,
    #[command(flatten)]
    asking: AskingOptions,
    /// An offset beyond this, either way, is a warning.
    #[arg(long, value_name = "DUR", default_value = "100ms", value_parser = duration)]
    pub(crate) warning: humantime::Duration,
    /// An offset beyond this, either way, is critical.
    #[arg(long, value_name = "DUR", default_value = "1s", value_parser = duration)]
    pub(crate) critical: humantime::Duration,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// Show more of what each source says.
    #[arg(short, long, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// Print the last sentence only, and no diagnostics.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

impl ProbeOptions {
    /// Whom to ask: first those that don't smear.
    pub(crate) fn sources(&self) -> Vec<Source> {
        let smeared = self.smeared.iter().cloned().map(|source| source.smeared(true));
        self.sources.iter().cloned().chain(smeared).collect()
    }

    /// How to ask them.
    pub(crate) const fn asking(&self) -> &AskingOptions {
        &self.asking
    }
}

/// How sources are asked, and when they are believed.
#[derive(Debug, Args)]
pub(crate) struct AskingOptions {
    /// How many replies to ask of each source.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    samples: u32,
    /// The pause between two requests to one source.
    #[arg(long, value_name = "DUR", default_value = "200ms", value_parser = pause)]
    interval: humantime::Duration,
    /// How long to wait for a reply; a request without one is sent a second time.
    #[arg(long, value_name = "DUR", default_value = "1s", value_parser = positive)]
    timeout: humantime::Duration,
    /// How many of the sources must agree [default: more than half of them].
    #[arg(long, value_name = "N")]
    quorum: Option<usize>,
    /// Demand that so many of the sources that answer may lie without the interval becoming untrue.
    #[arg(long, value_name = "N", default_value_t = 0)]
    tolerate: usize,
    /// Believe a source that no other bears out.
    #[arg(long)]
    allow_single: bool,
    /// Use IPv4 only.
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,
    /// Use IPv6 only.
    #[arg(short = '6', long)]
    ipv6: bool,
}

impl AskingOptions {
    /// The same for the library.
    pub(crate) fn measurement(&self) -> Options {
        Options {
            pace: Pace {
                samples: self.samples,
                interval: self.interval.into(),
                timeout: self.timeout.into(),
                ..Pace::default()
            },
            family: match (self.ipv4, self.ipv6) {
                (true, _) => Family::V4,
                (_, true) => Family::V6,
                _ => Family::Any,
            },
            quorum: self.quorum,
            allow_single: self.allow_single,
            tolerated_liars: self.tolerate,
            ..Options::default()
        }
    }

    /// How long that takes when every source answers at once.
    pub(crate) fn shortest(&self) -> Duration {
        Duration::from(self.interval).saturating_mul(self.samples - 1)
    }
}

#[derive(Debug, Args)]
pub(crate) struct RespondOptions {
    /// The address and UDP port to answer on. 0.0.0.0 is every IPv4 address of this host, [::] every one.
    #[expect(rustdoc::broken_intra_doc_links, reason = "a text for readers of --help, not Markdown")]
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen_address)]
    pub(crate) listen: SocketAddr,
    /// Answer clients in this network; repeat it for more [default: loopback, private and link-local].
    #[arg(long, value_name = "CIDR")]
    allow: Vec<Network>,
    /// How many requests a second of each client are answered, four times as many at once; or "off".
    #[arg(long, value_name = "N", default_value = "2", value_parser = rate_limit)]
    rate_limit: Rate,
    /// How far from a reference clock this one is said to be, 1 to 15.
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u8).range(1..=15))]
    stratum: u8,
    /// How wrong this clock may be, in either direction; clients add it to what they measure.
    #[arg(long, value_name = "DUR", default_value = "1s", value_parser = duration)]
    dispersion: humantime::Duration,
    /// Say that nobody sets this clock: clients read it and don't follow it.
    #[arg(long, conflicts_with_all = ["stratum", "dispersion"])]
    pub(crate) unsynchronised: bool,
}

impl RespondOptions {
    /// The same for the library.
    pub(crate) fn service(&self) -> Service {
        let allow =
            if self.allow.is_empty() { AllowList::default() } else { self.allow.iter().copied().collect() };
        let announcement = if self.unsynchronised {
            Announcement::unsynchronised()
        } else {
            // The parser saw to the range.
            Announcement::synchronised(self.stratum)
                .unwrap_or_default()
                .with_root_dispersion(self.dispersion.into())
        };
        Service { allow, rate_limit: self.rate_limit.0, announcement }
    }
}

#[derive(Clone, Copy, Debug)]
struct Rate(Option<RateLimit>);

/// More than a core answers: what is beyond it is a slip of the finger.
const MAX_RATE: u32 = 1_000_000;

fn rate_limit(text: &str) -> Result<Rate, &'static str> {
    if text == "off" {
        return Ok(Rate(None));
    }
    text.parse::<NonZeroU32>()
        .ok()
        .filter(|rate| rate.get() <= MAX_RATE)
        .map(|rate| Rate(Some(RateLimit::per_second(rate))))
        .ok_or("write a number of requests a second from 1 to 1000000, or off")
}

fn listen_address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "write an address and a port, such as 192.0.2.1:123, 0.0.0.0:123 or [::]:123")
}

pub(crate) fn duration(text: &str) -> Result<humantime::Duration, &'static str> {
    text.parse().map_err(|_| "write a whole number and its unit, such as 250ms, 2s or 1m")
}

/// Without any pause, many samples would be a flood.
fn pause(text: &str) -> Result<humantime::Duration, &'static str> {
    let length = duration(text)?;
    if *length < Duration::from_millis(10) { Err("it must be at least 10ms") } else { Ok(length) }
}

pub(crate) fn positive(text: &str) -> Result<humantime::Duration, &'static str> {
    let length = duration(text)?;
    if length.is_zero() { Err("it must be longer than nothing") } else { Ok(length) }
}

/// How to print a result.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Format {
    /// For a reader: a table and a sentence.
    #[default]
    Text,
    /// For a program: the schema is in the README.
    Json,
    /// For a monitoring system: one line with performance data.
    Nagios,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// In a pipe too.
    Always,
    /// Not even on a terminal.
    Never,
}

impl Color {
    /// From here on anstream's streams keep to it.
    pub(crate) fn write_global(self) {
        match self {
            Self::Auto => ColorChoice::Auto,
            Self::Always => ColorChoice::Always,
            Self::Never => ColorChoice::Never,
        }
        .write_global();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_makes_sense() {
        Cli::command().debug_assert();
    }
}
