//! For a program: `skew-check/probe/1`. The README documents it, and SemVer applies.

use std::io::{self, Write};

use serde::Serialize;

use skewgate::clock::Leap;
use skewgate::ntp::SourceReport;
use skewgate::time::Timestamp;

use super::{Status, nanos};
use crate::error::CliError;
use crate::probe::{Clock, Finding};

const SCHEMA: &str = "skew-check/probe/1";

#[derive(Serialize)]
struct Probe<'a> {
    schema: &'static str,
    status: Status,
    reason: &'a str,
    measured_at: String,
    clock: Option<ClockObject>,
    sources: Vec<SourceObject<'a>>,
}

#[derive(Serialize)]
pub(crate) struct ClockObject {
    offset_ns: i64,
    half_width_ns: u64,
    best_offset_ns: i64,
    earliest: String,
    latest: String,
    agreeing: usize,
    configured: usize,
    tolerated_liars: usize,
    corroborated: bool,
    contested: bool,
}

#[derive(Serialize)]
pub(crate) struct SourceObject<'a> {
    source: &'a str,
    address: Option<String>,
    verdict: Option<&'static str>,
    reason: Option<String>,
    offset_ns: Option<i64>,
    delay_ns: Option<i64>,
    root_distance_ns: Option<u64>,
    stratum: Option<u8>,
    reference_id: Option<String>,
    leap: Option<&'static str>,
    samples: usize,
    authenticated: bool,
}

/// Prints a finding on one line.
pub(crate) fn print(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let probe = Probe {
        schema: SCHEMA,
        status: finding.status,
        reason: &finding.reason,
        measured_at: finding.measurement.reading.realtime.to_string(),
        clock: finding.clock.as_ref().map(clock),
        sources: finding.measurement.reports.iter().map(source).collect(),
    };
    serde_json::to_writer(&mut *out, &probe)?;
    writeln!(out)
}

/// Prints that nothing was measured, and why.
pub(crate) fn print_nothing(out: &mut impl Write, error: &CliError, now: Timestamp) -> io::Result<()> {
    let probe = Probe {
        schema: SCHEMA,
        status: Status::Unknown,
        reason: &error.to_string(),
        measured_at: now.to_string(),
        clock: None,
        sources: Vec::new(),
    };
    serde_json::to_writer(&mut *out, &probe)?;
    writeln!(out)
}

pub(crate) fn clock(clock: &Clock) -> ClockObject {
    let estimate = &clock.estimate;
    ClockObject {
        offset_ns: clock.offset.midpoint().as_nanos(),
        half_width_ns: nanos(clock.offset.half_width()),
        best_offset_ns: clock.best_offset.as_nanos(),
        earliest: clock.interval.earliest().to_string(),
        latest: clock.interval.latest().to_string(),
        agreeing: estimate.agreeing(),
        configured: estimate.configured(),
        tolerated_liars: estimate.tolerated_liars(),
        corroborated: estimate.corroborated(),
        contested: estimate.contested(),
    }
}

pub(crate) fn source(report: &SourceReport) -> SourceObject<'_> {
    let header = report.header;
    SourceObject {
        source: report.source.as_given(),
        address: report.address.map(|address| address.to_string()),
        verdict: report.verdict.map(skewgate::ntp::Verdict::name),
        reason: super::text::why(report),
        offset_ns: report.offset.map(|offset| offset.midpoint().as_nanos()),
        delay_ns: report.bound.map(|bound| bound.delay.as_nanos()),
        root_distance_ns: report.offset.map(|offset| nanos(offset.half_width())),
        stratum: header.map(|header| header.stratum),
        reference_id: header.map(|header| header.reference_id.to_text(header.stratum)),
        leap: header.map(|header| leap(header.leap)),
        samples: report.bound.map_or(0, |bound| bound.samples),
        authenticated: false,
    }
}

/// The leap indicator's name in reports.
pub(crate) const fn leap(leap: Leap) -> &'static str {
    match leap {
        Leap::None => "none",
        Leap::Insert => "insert",
        Leap::Delete => "delete",
        Leap::Unsynchronised => "unsynchronised",
    }
}
