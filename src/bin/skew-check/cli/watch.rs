//! The command line of `skew-check watch`.

use std::ffi::OsString;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{SweepingOptions, duration, listen_address, positive};

/// Of this host alone, until somebody says otherwise.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9124);

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct WatchOptions {
    /// Hosts, groups, thresholds, sources and approved upstreams, as TOML. Read again when it has changed, and on SIGHUP.
    #[arg(long, value_name = "FILE")]
    pub(crate) inventory: PathBuf,
    /// Where the history is kept: made where there is none.
    #[arg(long, value_name = "FILE")]
    pub(crate) database: PathBuf,
    /// How large that file may become, in MiB; the oldest is forgotten first.
    #[arg(long, value_name = "MIB", default_value_t = 4_096, value_parser = clap::value_parser!(u64).range(16..=1 << 24))]
    database_limit: u64,
    /// The address and TCP port of the page and the metrics. Nobody has to log in there: think before it is no loopback address.
    #[arg(long, value_name = "ADDR:PORT", default_value_t = LISTEN, value_parser = listen_address)]
    pub(crate) listen: SocketAddr,
    /// Another name by which it is asked for, as behind a proxy; repeat it for more. Requests for other names are refused.
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = host_name)]
    pub(crate) allow_host: Vec<String>,
    /// How long it is from the beginning of a sweep to that of the next.
    #[arg(long, value_name = "DUR", default_value = "1m", value_parser = every)]
    every: humantime::Duration,
    /// How many sweeps in a row must find a host in a new state before that counts as a change.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) confirm: u32,
    /// Where changes of states are posted to as JSON: http:// or https://. It may be a secret: SKEW_CHECK_WEBHOOK, or the file
    /// that --config names, shows it to fewer people than the command line.
    #[arg(long, value_name = "URL", value_parser = WebhookUrl::parse)]
    pub(crate) webhook: Option<WebhookUrl>,
    /// A program that is run at changes of states, without a shell: it finds them as JSON on its standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) command: Option<PathBuf>,
    /// An argument for that program; repeat it for more.
    #[arg(long, value_name = "ARG", requires = "command", allow_hyphen_values = true)]
    pub(crate) command_arg: Vec<OsString>,
    /// How long a webhook may take to answer, and the program to end: it is killed then.
    #[arg(long, value_name = "DUR", default_value = "10s", value_parser = positive)]
    notify_timeout: humantime::Duration,
    /// How events are written.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) log_format: LogFormat,
    /// Where to, in place of standard error; what is there already stays.
    #[arg(long, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,
    /// Sweep once, keep and tell what was found, and end with the exit status of `fleet`. Nothing listens.
    #[arg(long)]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) sweeping: SweepingOptions,
}

const AFTER_HELP: &str = "Exit status: 0 when it was told to stop (SIGINT, SIGTERM), 3 where it couldn't start or go on; \
                          with --once that of `fleet`.";

impl WatchOptions {
    pub(crate) fn every(&self) -> Duration {
        self.every.into()
    }

    /// In bytes.
    pub(crate) const fn database_limit(&self) -> u64 {
        self.database_limit << 20
    }

    pub(crate) fn notify_timeout(&self) -> Duration {
        self.notify_timeout.into()
    }
}

/// Hosts are asked without being told why: not more often than somebody could want to know.
fn every(text: &str) -> Result<humantime::Duration, &'static str> {
    let length = duration(text)?;
    if *length < Duration::from_secs(1) { Err("it must be at least 1s") } else { Ok(length) }
}

/// As it stands in `Host`: without a port.
fn host_name(text: &str) -> Result<String, &'static str> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_address = bare.parse::<std::net::IpAddr>().is_ok();
    if !is_address && (bare.is_empty() || !bare.bytes().all(plain)) {
        return Err("write a name or an address, such as fleet.example.org, without a port");
    }
    Ok(bare.trim_end_matches('.').to_ascii_lowercase())
}

/// Where a webhook is. Many of them are their own password: no text that comes from here has more of it than its host.
#[derive(Clone)]
pub(crate) struct WebhookUrl {
    url: String,
    host: String,
}

impl WebhookUrl {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str =
            "write an address such as https://alerts.example.org/hook, without a user or a password in it";
        let url: ureq::http::Uri = text.parse().map_err(|_| EXPECTED)?;
        let known = matches!(url.scheme_str(), Some("http" | "https"));
        let authority = url.authority().filter(|authority| known && !authority.as_str().contains('@'));
        let host = authority.map(|authority| authority.host().to_owned()).ok_or(EXPECTED)?;
        Ok(Self { url: text.to_owned(), host })
    }

    pub(crate) fn as_secret(&self) -> &str {
        &self.url
    }

    /// All of it that may be shown.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({}, …)", self.host)
    }
}

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For a reader: one line each.
    #[default]
    Text,
    /// For a program: one object a line.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_shows_no_more_of_itself_than_its_host() {
        let url = WebhookUrl::parse("https://hooks.example.org:8443/T0/s3cret?key=k3y").unwrap();
        let shown = format!("{url:?}");
        assert!(shown.contains("hooks.example.org") && !shown.contains("s3cret") && !shown.contains("k3y"));
        assert_eq!(url.host(), "hooks.example.org");
        for wrong in ["", "hooks.example.org", "ftp://a/b", "https://", "http://user:pw@a/", "/path"] {
            assert!(WebhookUrl::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_are_compared_as_browsers_send_them() {
        assert_eq!(host_name("Fleet.Example.org."), Ok("fleet.example.org".to_owned()));
        assert_eq!(host_name("[2001:db8::1]"), Ok("2001:db8::1".to_owned()));
        for wrong in ["", "a b", "a:80", "a/b", "[a]:1", "<b>"] {
            assert!(host_name(wrong).is_err(), "{wrong}");
        }
    }
}
