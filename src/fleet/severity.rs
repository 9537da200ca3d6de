//! How much a state matters to whoever is called for it. Pure.

use std::fmt;

use super::{Flag, Flags};

/// What a host's flags come to for a monitoring system. Ordered: where several hold, the greatest counts, as the Monitoring Plugins
/// guidelines have it.
///
/// ```
/// use skewgate::fleet::{Flag, Flags, Severity};
///
/// let flags = Flags::default().with(Flag::Skewed);
/// assert_eq!(Severity::of(flags), Severity::Warning);
/// assert_eq!(Severity::of(flags.with(Flag::Critical)), Severity::Critical);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// All is as it should be.
    #[default]
    Ok,
    /// Something has to be seen to, by day.
    Warning,
    /// It can't be told whether something has.
    Unknown,
    /// Something has to be seen to at once.
    Critical,
}

impl Severity {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Warning, Self::Unknown, Self::Critical];

    /// What matters most of these flags, whatever the state is called.
    #[must_use]
    pub fn of(flags: Flags) -> Self {
        let severity = |flag| match flag {
            Flag::Critical => Self::Critical,
            Flag::Skewed | Flag::Unsynchronised | Flag::ForeignReference => Self::Warning,
            Flag::Unreachable | Flag::Rejected | Flag::Inconclusive | Flag::ReferenceUnknown => Self::Unknown,
            Flag::Unsteady => Self::Ok,
        };
        flags.iter().map(severity).max().unwrap_or_default()
    }

    /// The name in reports: stable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
