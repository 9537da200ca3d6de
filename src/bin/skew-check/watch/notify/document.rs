//! What is told: `skew-check/changes/1`, one document for all that a sweep changed. The README documents it, and SemVer applies.
//!
//! One a sweep and not one a change: where a thousand hosts are lost at once, nobody is called a thousand times.

use std::collections::HashMap;

use serde::Serialize;

use skewgate::fleet::{Host, HostReport, Report, Severity, State, Transition};
use skewgate::time::Timestamp;

use crate::output::{fleet as output, harmless, nanos};

/// So many changes are told one by one; of the others it is said how many there are. The worst come first.
const MOST_CHANGES: usize = 1_000;

/// All that a sweep changed.
#[derive(Debug)]
pub(in super::super) struct Document {
    pub(super) json: Vec<u8>,
    pub(super) changes: usize,
    variables: Vec<(&'static str, String)>,
}

#[derive(Serialize)]
struct DocumentObject<'a> {
    schema: &'static str,
    at: String,
    /// The worst of what it has become.
    severity: &'static str,
    changes: Vec<ChangeObject<'a>>,
    omitted: usize,
    /// All hosts, by state; `None` where the sweep found out nothing.
    summary: Option<Summary<'a>>,
}

#[derive(Serialize)]
struct ChangeObject<'a> {
    /// `None`: of the fleet.
    host: Option<&'a str>,
    group: Option<&'a str>,
    from: &'static str,
    from_severity: &'static str,
    to: &'static str,
    severity: &'static str,
    since: String,
    skew_ns: Option<i64>,
    half_width_ns: Option<u64>,
    reason: Option<String>,
}

struct Summary<'a>(&'a Report);

impl Serialize for Summary<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(State::ALL.iter().map(|state| (state.name(), self.0.summary.count(*state))))
    }
}

impl Document {
    /// Of what changed at `at`; with the report, where there is one.
    pub(in super::super) fn new(
        transitions: &[Transition],
        at: Timestamp,
        report: Option<&Report>,
    ) -> Option<Self> {
        let mut worst_first: Vec<&Transition> = transitions.iter().collect();
        worst_first.sort_by_key(|transition| std::cmp::Reverse(transition.to_severity));
        let first = *worst_first.first()?;
        worst_first.truncate(MOST_CHANGES);
        let rows: HashMap<&str, (&Host, &HostReport)> = report
            .into_iter()
            .flat_map(Report::rows)
            .map(|(host, found)| (host.as_given(), (host, found)))
            .collect();
        let object = DocumentObject {
            schema: "skew-check/changes/1",
            at: at.to_string(),
            severity: first.to_severity.name(),
            changes: worst_first.iter().map(|transition| change(transition, report, &rows)).collect(),
            omitted: transitions.len() - worst_first.len(),
            summary: report.map(Summary),
        };
        let mut json = serde_json::to_vec(&object).ok()?;
        json.push(b'\n');
        Some(Self { json, changes: transitions.len(), variables: variables(first, transitions.len()) })
    }

    /// The same in short, for a program: about the worst change, and how many there are.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.variables.iter().map(|(name, value)| (*name, value.as_str()))
    }
}

fn change<'a>(
    transition: &'a Transition,
    report: Option<&'a Report>,
    rows: &HashMap<&str, (&'a Host, &'a HostReport)>,
) -> ChangeObject<'a> {
    let row = transition.host().and_then(|host| rows.get(host)).copied();
    let group = row.zip(report).map(|((host, _), report)| report.inventory.group_of(host));
    ChangeObject {
        host: transition.host(),
        group: group.and_then(skewgate::fleet::Group::name),
        from: transition.from.name(),
        from_severity: transition.from_severity.name(),
        to: transition.to.name(),
        severity: transition.to_severity.name(),
        since: transition.since.to_string(),
        skew_ns: transition.skew.map(|skew| skew.midpoint().as_nanos()),
        half_width_ns: transition.skew.map(|skew| nanos(skew.half_width())),
        reason: row.zip(group).and_then(|((_, found), group)| output::why(found, group)),
    }
}

fn variables(first: &Transition, changes: usize) -> Vec<(&'static str, String)> {
    let host = first.host().unwrap_or_default();
    let whom = if host.is_empty() { "the fleet" } else { host };
    let severity = match first.to_severity {
        Severity::Ok => String::new(),
        severity => format!(" ({severity})"),
    };
    let more = match changes {
        0 | 1 => String::new(),
        changes => format!(", and {} more", changes - 1),
    };
    let summary = format!("{whom}: {} -> {}{severity}{more}", first.from, first.to);
    vec![
        ("SKEW_CHECK_CHANGES", changes.to_string()),
        ("SKEW_CHECK_HOST", host.to_owned()),
        ("SKEW_CHECK_FROM", first.from.name().to_owned()),
        ("SKEW_CHECK_TO", first.to.name().to_owned()),
        ("SKEW_CHECK_SEVERITY", first.to_severity.name().to_owned()),
        ("SKEW_CHECK_SUMMARY", harmless(&summary)),
    ]
}
