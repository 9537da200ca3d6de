//! How results are shown.

pub(crate) mod json;
pub(crate) mod nagios;
pub(crate) mod text;

use std::process::ExitCode;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use skewgate::time::SignedDuration;

/// The result in a word. Ordered: where several hold, the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Ok,
    Warning,
    Unknown,
    Critical,
}

impl Status {
    /// In capitals, as monitoring systems show it.
    pub(crate) const fn shout(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Unknown => "UNKNOWN",
            Self::Critical => "CRITICAL",
        }
    }

    pub(crate) const fn style(self) -> Style {
        match self {
            Self::Ok => GOOD,
            Self::Warning | Self::Unknown => DOUBTFUL,
            Self::Critical => BAD,
        }
    }
}

impl From<Status> for ExitCode {
    /// As the Monitoring Plugins guidelines have it.
    fn from(status: Status) -> Self {
        match status {
            Status::Ok => Self::SUCCESS,
            Status::Warning => Self::from(1),
            Status::Critical => Self::from(2),
            Status::Unknown => Self::from(3),
        }
    }
}

pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const DOUBTFUL: Style = AnsiColor::Yellow.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
pub(crate) const FAINT: Style = Style::new().dimmed();
pub(crate) const STRONG: Style = Style::new().bold();

/// A text in a style. Streams of anstream drop the style where it is not wanted.
pub(crate) fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A length of time for a reader: three digits behind the point of the unit that fits.
pub(crate) fn length(length: Duration) -> String {
    let shown = SignedDuration::from(length).to_string();
    shown.trim_start_matches('+').to_owned()
}

/// What comes from elsewhere (the operating system, the network), made harmless for a terminal.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}
