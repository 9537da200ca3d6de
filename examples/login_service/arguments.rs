//! What was asked for on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgGroup, Args, CommandFactory, Parser};
use humantime::parse_duration;
use skewgate::ntp::Source;
use tracing::level_filters::LevelFilter;

/// Sign in with a password and a one-time code.
#[derive(Parser)]
#[command(
    name = "login_service",
    group = ArgGroup::new("time").required(true).args(["sources", "system_clock"]),
    after_help = "SIGTERM and Ctrl-C end it when the requests in flight are answered."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) clock: ClockArguments,

    /// Users, tokens and the sealing key.
    #[arg(long, value_name = "DIR", default_value = "login-service-data", help_heading = "What is kept")]
    pub(crate) data: PathBuf,
    /// Where tokens are kept: embedded (a file in DIR), memory:, redis://... or postgres://... With memory: all is forgotten at the
    /// end, users too. Other users of this host see command lines: what holds a password is better said by the variable.
    #[arg(
        long,
        value_name = "WHERE",
        env = "LOGIN_SERVICE_STORE",
        hide_env_values = true,
        default_value = "embedded",
        help_heading = "What is kept"
    )]
    store: String,

    /// Where browsers look.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080", help_heading = "The network")]
    pub(crate) listen: SocketAddr,
    /// /healthz and /metrics are there, and no longer at --listen.
    #[arg(long, value_name = "ADDR:PORT", help_heading = "The network")]
    pub(crate) internal: Option<SocketAddr>,
    /// A proxy does TLS: cookies are for TLS alone, and the client's address is the last one in X-Forwarded-For.
    #[arg(long, help_heading = "The network")]
    pub(crate) behind_proxy: bool,
    /// What goes to stdout as JSON lines: off, error, warn, info or debug.
    #[arg(long, value_name = "LEVEL", default_value = "info", help_heading = "The network")]
    pub(crate) log: LevelFilter,
}

/// Who says what time it is.
#[derive(Args)]
#[command(next_help_heading = "Time (--source or --system-clock is needed)")]
pub(crate) struct ClockArguments {
    /// An NTP server; give several, best four. They are asked in the background.
    #[arg(long = "source", value_name = "HOST[:PORT]")]
    pub(crate) sources: Vec<Source>,
    /// Ask nobody: this host's clock is right to so much, for example 500ms, because somebody else sees to that.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) system_clock: Option<Duration>,
    /// Believe a single source.
    #[arg(long, conflicts_with = "system_clock")]
    pub(crate) allow_single: bool,
    /// The time between two rounds.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "10m", conflicts_with = "system_clock")]
    pub(crate) interval: Duration,
    /// An answer older than this is none; otherwise 24h.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, conflicts_with = "system_clock")]
    pub(crate) max_age: Option<Duration>,
}

/// Where the states of tokens are kept.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum StoreChoice {
    Embedded,
    Memory,
    Redis(String),
    Postgres(String),
}

impl Arguments {
    /// Those of this process, which ends where they are none.
    pub(crate) fn read() -> (Self, StoreChoice) {
        let arguments = Self::parse();
        match store(&arguments.store) {
            Some(store) => (arguments, store),
            None => {
                let why = "--store (not shown): expected embedded, memory:, redis://... or postgres://...";
                Self::command().error(ErrorKind::InvalidValue, why).exit()
            }
        }
    }
}

/// Not a parser of clap's, which would show what it can't read: the address of a database may hold a password.
fn store(text: &str) -> Option<StoreChoice> {
    match text.split_once(':') {
        None if text == "embedded" => Some(StoreChoice::Embedded),
        Some(("memory", "")) => Some(StoreChoice::Memory),
        Some(("redis" | "rediss", _)) => Some(StoreChoice::Redis(text.into())),
        Some(("postgres" | "postgresql", _)) => Some(StoreChoice::Postgres(text.into())),
        _ => None,
    }
}
