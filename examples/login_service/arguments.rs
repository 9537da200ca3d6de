//! What was asked for on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use skewgate::ntp::Source;

/// What `--help` says.
pub(crate) const HELP: &str = "\
login_service: sign in with a password and a one-time code

  login_service --source HOST [--source HOST]... [options]

Time: one of these is needed
  --source HOST[:PORT]   an NTP server; give several, best four. They are asked in the background
  --system-clock DUR     ask nobody: this host's clock is right to DUR, for example 500ms, because somebody else sees to that

Time: how sources are used
  --allow-single         believe a single source
  --interval DUR         the time between two rounds, default 10m
  --max-age DUR          an answer older than this is none, default 24h

What is kept
  --data DIR             users, tokens and the sealing key, default ./login-service-data
  --store WHERE          where tokens are kept: embedded (the default: a file in DIR), memory:, redis://... or postgres://...
                         With memory: all is forgotten at the end, users too

The network
  --listen ADDR:PORT     default 127.0.0.1:8080
  --internal ADDR:PORT   /healthz and /metrics are there, and no longer at --listen
  --behind-proxy         a proxy does TLS: cookies are for TLS alone, and the client's address is the last one in X-Forwarded-For
  --log FILTER           what goes to stdout as JSON lines: off, error, warn, info (the default), debug

  --help                 this text

DUR is a number with a unit: ms, s, m, h. SIGTERM and Ctrl-C end it when the requests in flight are answered.";

/// Where the states of tokens are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreChoice {
    Embedded,
    Memory,
    Redis(String),
    Postgres(String),
}

/// Who says what time it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClockChoice {
    Sources { sources: Vec<Source>, allow_single: bool, interval: Duration, max_age: Option<Duration> },
    System { max_error: Duration },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) clock: ClockChoice,
    pub(crate) store: StoreChoice,
    pub(crate) data: PathBuf,
    pub(crate) listen: SocketAddr,
    /// Where machines look, if that is elsewhere.
    pub(crate) internal: Option<SocketAddr>,
    pub(crate) behind_proxy: bool,
    pub(crate) log: tracing::level_filters::LevelFilter,
}

/// Why the command line isn't one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgumentError {
    #[error("there is no option {0}")]
    Unknown(String),
    #[error("{0} needs a value")]
    NoValue(&'static str),
    #[error("{option} {got}: {why}")]
    Value { option: &'static str, got: String, why: String },
    #[error("nobody says what time it is: give --source several times, or --system-clock")]
    NoClock,
    #[error(
        "--source and --system-clock exclude each other: measure the time, or vouch for this host's clock"
    )]
    TwoClocks,
}

impl Arguments {
    /// `None` where help was asked for.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>, ArgumentError> {
        let (mut sources, mut allow_single, mut interval, mut max_age) =
            (Vec::new(), false, Duration::from_secs(600), None);
        let mut max_error = None;
        let mut arguments = Self {
            clock: ClockChoice::System { max_error: Duration::ZERO },
            store: StoreChoice::Embedded,
            data: "login-service-data".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            internal: None,
            behind_proxy: false,
            log: tracing::level_filters::LevelFilter::INFO,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--help" | "-h" => return Ok(None),
                "--source" => sources.push(value("--source", &mut words, |text| text.parse::<Source>())?),
                "--system-clock" => max_error = Some(value("--system-clock", &mut words, duration)?),
                "--allow-single" => allow_single = true,
                "--interval" => interval = value("--interval", &mut words, duration)?,
                "--max-age" => max_age = Some(value("--max-age", &mut words, duration)?),
                "--data" => arguments.data = words.next().ok_or(ArgumentError::NoValue("--data"))?.into(),
                "--store" => arguments.store = value("--store", &mut words, store)?,
                "--listen" => arguments.listen = value("--listen", &mut words, |text| text.parse())?,
                "--internal" => {
                    arguments.internal = Some(value("--internal", &mut words, |text| text.parse())?);
                }
                "--behind-proxy" => arguments.behind_proxy = true,
                "--log" => arguments.log = value("--log", &mut words, |text| text.parse())?,
                _ => return Err(ArgumentError::Unknown(word)),
            }
        }
        arguments.clock = match (sources.is_empty(), max_error) {
            (true, None) => return Err(ArgumentError::NoClock),
            (false, Some(_)) => return Err(ArgumentError::TwoClocks),
            (true, Some(max_error)) => ClockChoice::System { max_error },
            (false, None) => ClockChoice::Sources { sources, allow_single, interval, max_age },
        };
        Ok(Some(arguments))
    }
}

/// The next word, read by `parse`.
fn value<T, E: std::fmt::Display>(
    option: &'static str,
    words: &mut impl Iterator<Item = String>,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, ArgumentError> {
    let got = words.next().ok_or(ArgumentError::NoValue(option))?;
    parse(&got).map_err(|why| {
        // An address of a database may hold a password.
        let got = if option == "--store" { "(not shown)".into() } else { got };
        ArgumentError::Value { option, got, why: why.to_string() }
    })
}

fn store(text: &str) -> Result<StoreChoice, &'static str> {
    match text.split_once(':') {
        None if text == "embedded" => Ok(StoreChoice::Embedded),
        Some(("memory", "")) => Ok(StoreChoice::Memory),
        Some(("redis" | "rediss", _)) => Ok(StoreChoice::Redis(text.into())),
        Some(("postgres" | "postgresql", _)) => Ok(StoreChoice::Postgres(text.into())),
        _ => Err("expected embedded, memory:, redis://... or postgres://..."),
    }
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    const EXPECTED: &str = "expected a number with a unit, for example 500ms, 10s, 5m or 24h";
    let digits = text.find(|character: char| !character.is_ascii_digit()).ok_or(EXPECTED)?;
    let (number, unit) = text.split_at(digits);
    let number: u32 = number.parse().map_err(|_| EXPECTED)?;
    let unit = match unit {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        _ => return Err(EXPECTED),
    };
    unit.checked_mul(number).ok_or(EXPECTED)
}
