//! What `explain` is told on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};

use skewgate::ntp::Source;
use skewgate::otp::{Algorithm, Digits};
use skewgate::time::Timestamp;
use skewgate::token::TokenId;
use skewgate::validator::Policy;

use crate::cli::{AskingOptions, duration, positive};

const EXIT_STATUS: &str = "Exit status: 0 the code would be accepted, 1 it would not, 3 unknown (the time isn't known, or not well \
                           enough to tell; wrong usage).";

/// Longer than any time zone is wide, and short enough that a search takes seconds.
const MAX_SEARCH: Duration = Duration::from_secs(31 * 86_400);

#[derive(Debug, Args)]
#[command(after_help = EXIT_STATUS)]
#[command(group(ArgGroup::new("clock").required(true).multiple(true).args(["sources", "smeared", "clock_error"])))]
pub(crate) struct ExplainOptions {
    /// The code; or two or three that the token showed one after the other, the oldest first.
    // That there are no more is looked at later: clap would repeat the first that is too many.
    #[arg(required = true, num_args = 1.., value_name = "CODE")]
    pub(crate) codes: Vec<String>,
    /// The file with the token's secret, as base32, hexadecimal digits or an otpauth:// URI; - is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: PathBuf,
    /// A time source to compare this host's clock with; repeat it for more. As for `probe`.
    #[arg(long = "source", value_name = "SOURCE")]
    sources: Vec<Source>,
    /// A source that smears leap seconds; repeat it for more.
    #[arg(long, value_name = "SOURCE")]
    smeared: Vec<Source>,
    /// Ask nobody: this host's clock is right to so much. It isn't taken for the validator's, which is taken to know the time to
    /// a second: where the answer depends on so much, it is unknown.
    #[arg(long, value_name = "DUR", conflicts_with_all = ["sources", "smeared"], value_parser = duration)]
    pub(crate) clock_error: Option<humantime::Duration>,
    /// When the code was tried, by this host's clock, such as 2026-01-31T12:00:00Z. The clock is taken to have been as wrong then
    /// as it is now [default: now].
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<Timestamp>,
    /// The token's hash [default: sha1].
    #[arg(long, value_enum, value_name = "HASH")]
    algorithm: Option<Hash>,
    /// How many digits its codes have [default: 6].
    #[arg(long, value_name = "N", value_parser = digits, conflicts_with = "steam")]
    digits: Option<Digits>,
    /// Its codes are Steam's: five characters, SHA-1, 30 s.
    #[arg(long, conflicts_with_all = ["algorithm", "period"])]
    steam: bool,
    /// How long its codes last [default: 30s].
    #[arg(long, value_name = "DUR", value_parser = positive)]
    period: Option<humantime::Duration>,
    /// When its first step began (T0) [default: 1970-01-01T00:00:00Z].
    #[arg(long, value_name = "TIME")]
    t0: Option<Timestamp>,
    /// What the validator lets in: its preset.
    #[arg(long, value_enum, default_value_t, value_name = "NAME")]
    pub(crate) policy: Preset,
    /// The file with the token's line of an export, or with a whole one: what its validator has learned, and which codes
    /// are used. - is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Which token of the export it is.
    #[arg(long, value_name = "ID", requires = "state")]
    pub(crate) token: Option<TokenId>,
    /// How far from the time at which it was tried the code is looked for, either way.
    #[arg(long, value_name = "DUR", default_value = "1d", value_parser = search)]
    pub(crate) search: humantime::Duration,
    #[command(flatten)]
    pub(crate) asking: AskingOptions,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// Print the last sentences only, and no diagnostics.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// What of a token's parameters was said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given {
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) digits: Option<Digits>,
    pub(crate) steam: bool,
    pub(crate) period: Option<Duration>,
    /// The only one that a URI can't say.
    pub(crate) t0: Option<Timestamp>,
}

impl Given {
    /// True where something was said that a URI says.
    pub(crate) const fn any_of_a_uri(&self) -> bool {
        self.algorithm.is_some() || self.digits.is_some() || self.steam || self.period.is_some()
    }
}

impl ExplainOptions {
    /// Whom to ask: first those that don't smear.
    pub(crate) fn sources(&self) -> Vec<Source> {
        let smeared = self.smeared.iter().cloned().map(|source| source.smeared(true));
        self.sources.iter().cloned().chain(smeared).collect()
    }

    pub(crate) fn given(&self) -> Given {
        Given {
            algorithm: self.algorithm.map(|hash| match hash {
                Hash::Sha1 => Algorithm::Sha1,
                Hash::Sha256 => Algorithm::Sha256,
                Hash::Sha512 => Algorithm::Sha512,
            }),
            digits: self.digits,
            steam: self.steam,
            period: self.period.map(Duration::from),
            t0: self.t0,
        }
    }
}

/// A token's hash.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

/// The presets of [`Policy`].
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Preset {
    /// Six digits on phones and hardware tokens.
    #[default]
    Default,
    /// Consoles of administrators: fewer codes at a time.
    Strict,
    /// Hardware tokens that are seldom used.
    HardwareTokens,
    /// NIST SP 800-63B: single codes live two minutes, at most 100 failures in a row.
    Nist,
}

impl Preset {
    pub(crate) fn policy(self) -> Policy {
        match self {
            Self::Default => Policy::default(),
            Self::Strict => Policy::strict(),
            Self::HardwareTokens => Policy::hardware_tokens(),
            Self::Nist => Policy::nist(),
        }
    }
}

/// How to print a result.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Format {
    /// For a reader.
    #[default]
    Text,
    /// For a program: the schema is in the README.
    Json,
}

fn digits(text: &str) -> Result<Digits, &'static str> {
    let count = text.parse().ok().and_then(|count| Digits::new(count).ok());
    count.ok_or("write a number from 6 to 10")
}

fn search(text: &str) -> Result<humantime::Duration, &'static str> {
    let length = positive(text)?;
    if *length > MAX_SEARCH { Err("it must be at most 31d") } else { Ok(length) }
}
