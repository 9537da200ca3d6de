//! For a program: `skew-check/fleet/1`. The README documents it, and SemVer applies.

use std::io::{self, Write};

use serde::{Serialize, Serializer};

use skewgate::fleet::{Flag, GroupSummary, Host, HostReport, Labels, Pair, Report, State, Summary};
use skewgate::time::Timestamp;

use super::super::json::{ClockObject, SourceObject, clock, source};
use super::super::{Status, nanos};
use crate::error::CliError;
use crate::fleet::Finding;

const SCHEMA: &str = "skew-check/fleet/1";

#[derive(Serialize)]
struct Fleet<'a> {
    schema: &'static str,
    status: Status,
    reason: &'a str,
    measured_at: String,
    took_ns: u64,
    reference: Option<ClockObject>,
    sources: Vec<SourceObject<'a>>,
    warnings: Vec<String>,
    groups: Vec<GroupObject<'a>>,
    hosts: Hosts<'a>,
    worst_pair: Option<PairObject<'a>>,
    summary: SummaryObject,
}

/// They are written one after the other: of a hundred thousand there is never a second list in memory.
struct Hosts<'a>(Option<&'a Finding>);

impl Serialize for Hosts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let listed = self.0.into_iter().flat_map(|finding| {
            finding.listed().map(|(host, report)| host_object(&finding.report, host, report))
        });
        serializer.collect_seq(listed)
    }
}

#[derive(Serialize)]
struct HostObject<'a> {
    host: &'a str,
    address: Option<String>,
    group: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'a Labels>,
    state: &'static str,
    status: Status,
    flags: Vec<&'static str>,
    reason: Option<String>,
    measures: &'static str,
    skew_ns: Option<i64>,
    half_width_ns: Option<u64>,
    delay_ns: Option<i64>,
    stratum: Option<u8>,
    reference_id: Option<String>,
    samples: u32,
}

/// What is expected of the hosts of a group, and what came of it.
#[derive(Serialize)]
struct GroupObject<'a> {
    group: Option<&'a str>,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    labels: &'a Labels,
    warning_ns: u64,
    critical_ns: u64,
    summary: SummaryObject,
    margin_ns: Option<u64>,
    unmeasured: usize,
}

#[derive(Serialize)]
struct PairObject<'a> {
    a: &'a str,
    b: &'a str,
    skew_ns: i64,
    half_width_ns: u64,
}

struct SummaryObject(Summary);

impl Serialize for SummaryObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(State::ALL.iter().rev().map(|state| (state.name(), self.0.count(*state))))
    }
}

/// Prints a finding on one line.
pub(crate) fn print(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let report = &finding.report;
    // The last that found what time it is.
    let round = report.reference.last();
    write(
        out,
        &Fleet {
            schema: SCHEMA,
            status: finding.status,
            reason: &finding.reason,
            measured_at: report.measured_at.to_string(),
            took_ns: nanos(report.took),
            reference: finding.clock.as_ref().map(clock),
            sources: round.map_or(&[][..], |round| &round.reports).iter().map(source).collect(),
            warnings: round
                .map_or(&[][..], |round| &round.warnings)
                .iter()
                .map(ToString::to_string)
                .collect(),
            groups: report.groups().iter().map(|group| group_object(report, group)).collect(),
            hosts: Hosts(Some(finding)),
            worst_pair: report.worst_pair.as_ref().map(|pair| pair_object(report, pair)),
            summary: SummaryObject(report.summary),
        },
    )
}

/// Prints that nothing was measured, and why.
pub(crate) fn print_nothing(out: &mut impl Write, error: &CliError, now: Timestamp) -> io::Result<()> {
    write(
        out,
        &Fleet {
            schema: SCHEMA,
            status: Status::Unknown,
            reason: &error.to_string(),
            measured_at: now.to_string(),
            took_ns: 0,
            reference: None,
            sources: Vec::new(),
            warnings: Vec::new(),
            groups: Vec::new(),
            hosts: Hosts(None),
            worst_pair: None,
            summary: SummaryObject(Summary::default()),
        },
    )
}

fn write(out: &mut impl Write, fleet: &Fleet<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, fleet)?;
    writeln!(out)
}

fn host_object<'a>(report: &'a Report, host: &'a Host, found: &HostReport) -> HostObject<'a> {
    let group = report.inventory.group_of(host);
    HostObject {
        host: host.as_given(),
        address: found.address.map(|address| address.to_string()),
        group: group.name(),
        labels: host.labels(),
        state: found.state().name(),
        status: super::status(found.flags),
        flags: found.flags.iter().map(Flag::name).collect(),
        reason: super::why(found, group),
        measures: report.measures(host).name(),
        skew_ns: found.skew.map(|skew| skew.midpoint().as_nanos()),
        half_width_ns: found.skew.map(|skew| nanos(skew.half_width())),
        delay_ns: found.reading.map(|reading| reading.delay.as_nanos()),
        stratum: found.identity.map(|identity| identity.stratum),
        reference_id: found.identity.map(|identity| identity.reference_id.to_text(identity.stratum)),
        samples: found.reading.map_or(0, |reading| reading.samples),
    }
}

fn group_object<'a>(report: &'a Report, found: &GroupSummary) -> GroupObject<'a> {
    let group = &report.inventory.groups()[found.group.index()];
    let measured = found.margin.unmeasured < found.summary.hosts();
    GroupObject {
        group: group.name(),
        labels: group.labels(),
        warning_ns: nanos(group.thresholds.warning()),
        critical_ns: nanos(group.thresholds.critical()),
        summary: SummaryObject(found.summary),
        margin_ns: measured.then(|| nanos(found.margin.of_measured)),
        unmeasured: found.margin.unmeasured,
    }
}

fn pair_object<'a>(report: &'a Report, pair: &Pair) -> PairObject<'a> {
    let name = |index: usize| report.inventory.hosts()[index].as_given();
    PairObject {
        a: name(pair.a),
        b: name(pair.b),
        skew_ns: pair.skew.midpoint().as_nanos(),
        half_width_ns: nanos(pair.skew.half_width()),
    }
}
