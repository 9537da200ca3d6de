//! When to say that a host's state has changed, and when not to. Pure.
//!
//! One noisy sample is no alarm: what counts is what several sweeps in a row show, `confirm` of them (2, unless said otherwise).
//!
//! - **Worse** is what all of the last `confirm` sweeps were at the least: a host that is in a warning and in a critical state by turns is in
//!   a warning state for certain.
//! - **Better** is what all of the last sweeps were at the most: of `confirm` sweeps at first, of twice as many after each relapse, up to 32
//!   times. So a host that flaps is said to be bad a few times, and then stays bad until it is steadily well; only a hundred or so
//!   good sweeps in a row (64 times `confirm`) make it like any other. Alarms come fast, all-clears slowly.
//! - What is compared is the [severity](Severity): from one state to another of the same severity is no transition.
//! - A host that is new is taken to be well until it shows otherwise. One that leaves the inventory while something is said of it is
//!   [withdrawn](Condition::Removed), once.
//! - Without true time nothing is judged of any host: it is the *fleet* that something is said of, once, rather than of each of ten
//!   thousand hosts.
//!
//! What was said survives a restart as a [`Standing`], which a history keeps. Keep it once the transitions were told: a process that is killed in
//! between tells them again after some sweeps, and none is lost.
//!
//! # Events
//!
//! [`Transition::emit`] hands one to `tracing`, with the target [`TARGET`]; names and fields are stable.
//!
//! | `event` | level | fields | what happened |
//! | --- | --- | --- | --- |
//! | `host_changed` | INFO, WARN, ERROR | `host`, `from`, `to`, `from_severity`, `severity`, `since`, `at`, `skew_ns`, `half_width_ns` | a host's state changed, and stayed: INFO where it is well again, ERROR where it is critical |
//! | `host_removed` | INFO | as above | it left the inventory while it was not well |
//! | `fleet_changed` | INFO, WARN | `from`, `to`, `from_severity`, `severity`, `since`, `at` | sweeps have no true time to compare with (`no-reference`), or fail (`sweep-failed`), or work again (`measured`) |
//!
//! `from` and `to` are names of [`State`]s, or those above, or `removed`; `since` is when the first of the sweeps was made that show it, `at` the
//! last; `skew_ns` is the middle of what that one measured, give or take `half_width_ns`, absent where it measured nothing. Host names
//! are shown with U+FFFD in place of what a log could take for the end of a line or for a command to a terminal.
//!
//! ```
//! use skewgate::fleet::{Alarms, Report, Transition};
//!
//! fn after(report: &Report, alarms: &mut Alarms) -> Vec<Transition> {
//!     let transitions = alarms.judge(report);
//!     transitions.iter().for_each(Transition::emit);
//!     transitions
//! }
//! ```

mod event;
mod standing;
mod track;

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;

use super::{HostReport, Report, Severity, State};
use crate::clock::OffsetInterval;
use crate::time::Timestamp;
pub use event::TARGET;
pub use standing::{Standing, StandingError};
use track::Track;

/// What can be said of a host, or of the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Condition {
    /// Of a host: its state.
    Host(State),
    /// Of a host: it is in the inventory no more.
    Removed,
    /// Of the fleet: its hosts are compared with true time.
    Measured,
    /// Of the fleet: true time is not known, the hosts are compared with nothing.
    NoReference,
    /// Of the fleet: sweeps end without a report.
    SweepFailed,
}

impl Condition {
    /// The name in reports: stable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host(state) => state.name(),
            Self::Removed => "removed",
            Self::Measured => "measured",
            Self::NoReference => "no-reference",
            Self::SweepFailed => "sweep-failed",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Of whom something is said.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// All hosts together.
    Fleet,
    /// One of them, by the name that its user gave it.
    Host(Box<str>),
}

/// Something that changed, and stayed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transition {
    /// Of whom it is said.
    pub subject: Subject,
    /// What was said before, or would have been.
    pub from: Condition,
    /// How much that mattered.
    pub from_severity: Severity,
    /// What is said now.
    pub to: Condition,
    /// How much it matters.
    pub to_severity: Severity,
    /// When the first sweep was made that shows it.
    pub since: Timestamp,
    /// When the last one was.
    pub at: Timestamp,
    /// A host's time minus true time, as the last sweep measured it.
    pub skew: Option<OffsetInterval>,
}

impl Transition {
    /// The host that it is about, unless it is about the fleet.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match &self.subject {
            Subject::Host(host) => Some(host),
            Subject::Fleet => None,
        }
    }
}

/// Something that was said and still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Alarm<'a> {
    /// The host that it is about; `None` where it is the fleet.
    pub host: Option<&'a str>,
    /// What was said.
    pub condition: Condition,
    /// How much it matters.
    pub severity: Severity,
    /// When the first sweep was made that showed it.
    pub since: Timestamp,
}

/// Two: a single sweep may be wrong, a second one bears it out.
const CONFIRM: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);

/// Looks at one report after the other and says what changed; see the [module](self) for its rules.
#[derive(Clone, Debug)]
pub struct Alarms {
    confirm: NonZeroU32,
    fleet: Track,
    hosts: HashMap<Box<str>, Seen>,
    reports: u64,
}

#[derive(Clone, Debug)]
struct Seen {
    track: Track,
    /// In which report it was last.
    report: u64,
}

impl Default for Alarms {
    /// With two sweeps in a row.
    fn default() -> Self {
        Self::new(CONFIRM)
    }
}

impl Alarms {
    /// A state counts once so many sweeps in a row show it.
    #[must_use]
    pub fn new(confirm: NonZeroU32) -> Self {
        Self { confirm, fleet: Track::new(Condition::Measured), hosts: HashMap::new(), reports: 0 }
    }

    /// Goes on where another one was.
    #[must_use]
    pub fn resumed(confirm: NonZeroU32, standing: Standing) -> Self {
        let Standing { fleet, hosts } = standing;
        let hosts = hosts.into_iter().map(|(host, track)| (host, Seen { track, report: 0 })).collect();
        Self { confirm, fleet, hosts, reports: 0 }
    }

    /// What one report more changes: the fleet first, then hosts in the order of the inventory, then those that left it by name.
    pub fn judge(&mut self, report: &Report) -> Vec<Transition> {
        let known = report.reference.last().is_some_and(|round| round.estimate.is_ok());
        let rows = report.rows().map(|(host, report)| (host.as_given(), report));
        self.judge_rows(report.measured_at, known, rows.map(|(host, report)| (host, Shown::of(report))))
    }

    fn judge_rows<'a>(
        &mut self,
        at: Timestamp,
        known: bool,
        rows: impl Iterator<Item = (&'a str, Shown)>,
    ) -> Vec<Transition> {
        self.reports += 1;
        let (severity, condition) = match known {
            true => (Severity::Ok, Condition::Measured),
            false => (Severity::Unknown, Condition::NoReference),
        };
        let mut transitions: Vec<Transition> =
            self.judge_fleet(at, severity, condition).into_iter().collect();
        for (host, shown) in rows {
            if !self.hosts.contains_key(host) {
                let track = Track::new(Condition::Host(State::InSync));
                self.hosts.insert(host.into(), Seen { track, report: 0 });
            }
            let Some(seen) = self.hosts.get_mut(host) else { continue };
            seen.report = self.reports;
            if known {
                let condition = Condition::Host(shown.state);
                let change = seen.track.show(self.confirm, shown.severity, condition, at);
                transitions.extend(change.map(|change| Transition {
                    subject: Subject::Host(host.into()),
                    skew: shown.skew,
                    ..change
                }));
            }
        }
        let reports = self.reports;
        let gone = self.hosts.extract_if(|_, seen| seen.report != reports);
        let mut gone: Vec<_> = gone
            .filter(|(_, seen)| seen.track.severity() > Severity::Ok)
            .map(|(host, seen)| Transition {
                subject: Subject::Host(host),
                from: seen.track.condition(),
                from_severity: seen.track.severity(),
                to: Condition::Removed,
                to_severity: Severity::Ok,
                since: at,
                at,
                skew: None,
            })
            .collect();
        gone.sort_by(|one, other| one.host().cmp(&other.host()));
        transitions.extend(gone);
        transitions
    }

    /// What it changes that a sweep ended without a report.
    pub fn judge_failure(&mut self, at: Timestamp) -> Option<Transition> {
        self.judge_fleet(at, Severity::Unknown, Condition::SweepFailed)
    }

    fn judge_fleet(&mut self, at: Timestamp, severity: Severity, condition: Condition) -> Option<Transition> {
        self.fleet.show(self.confirm, severity, condition, at)
    }

    /// All that was said and still holds: of the fleet, then of hosts in no order.
    pub fn standing_alarms(&self) -> impl Iterator<Item = Alarm<'_>> {
        let hosts = self.hosts.iter().map(|(host, seen)| seen.track.alarm(Some(&**host)));
        std::iter::once(self.fleet.alarm(None)).chain(hosts).filter(|alarm| alarm.severity > Severity::Ok)
    }

    /// What has to be known to [go on](Self::resumed) after a restart.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let hosts = self.hosts.iter().filter(|(_, seen)| !seen.track.is_quiet());
        let hosts = hosts.map(|(host, seen)| (host.clone(), seen.track)).collect();
        let fleet = if self.fleet.is_quiet() { Track::new(Condition::Measured) } else { self.fleet };
        Standing { fleet, hosts }
    }
}

/// What a sweep showed of a host.
#[derive(Clone, Copy, Debug)]
struct Shown {
    state: State,
    severity: Severity,
    skew: Option<OffsetInterval>,
}

impl Shown {
    fn of(report: &HostReport) -> Self {
        Self { state: report.state(), severity: Severity::of(report.flags), skew: report.skew }
    }
}

#[cfg(test)]
mod tests;
