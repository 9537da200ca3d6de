//! `explain` for a program: `skew-check/explain/1`. The README documents it, and SemVer applies.

use std::io::{self, Write};

use serde::Serialize;

use skewgate::otp::Format;

use super::{Status, nanos};
use crate::explain::{
    Diagnosis, ExplainError, Finding, Fit, Knowledge, Parameters, advice, differences, sentence,
};

const SCHEMA: &str = "skew-check/explain/1";

#[derive(Serialize)]
struct Explanation<'a> {
    schema: &'static str,
    verdict: &'static str,
    cause: Option<&'static str>,
    reason: String,
    advice: Option<String>,
    tried_at: Option<String>,
    clock: Option<ClockObject>,
    token: Option<TokenObject>,
    window: Option<WindowObject>,
    fit: Option<FitObject>,
    alternative: Option<AlternativeObject<'a>>,
    apart: Vec<Option<i64>>,
}

#[derive(Serialize)]
struct ClockObject {
    offset_ns: i64,
    half_width_ns: u64,
    measured: bool,
    earliest: String,
    latest: String,
}

#[derive(Serialize)]
struct TokenObject {
    algorithm: String,
    /// `decimal` or `steam`.
    format: &'static str,
    length: usize,
    period_s: u64,
    t0: String,
    state_known: bool,
    drift_ns: i64,
    drift_deviation_ns: u64,
    /// The newest dead step, whatever it is dead by.
    watermark: Option<i64>,
    /// Until when a restore has declared codes dead for all tokens.
    not_before: Option<String>,
}

#[derive(Serialize)]
struct WindowObject {
    ranges: Vec<[i64; 2]>,
    width: u64,
    learned_left_out: bool,
}

#[derive(Serialize)]
struct FitObject {
    step: i64,
    shown_from: String,
    steps_off: Option<i64>,
    used: bool,
    token_ahead_from_ns: i64,
    token_ahead_to_ns: i64,
    token_ahead_best_ns: i64,
    other_steps: usize,
    luck_e18: u64,
}

#[derive(Serialize)]
struct AlternativeObject<'a> {
    step: i64,
    differences: String,
    algorithm: String,
    /// `decimal` or `steam`.
    format: &'static str,
    length: usize,
    period_s: u64,
    secret_read_as: &'a str,
    luck_e18: u64,
}

/// Prints a finding on one line.
pub(crate) fn print(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let diagnosis = &finding.diagnosis;
    let explanation = Explanation {
        schema: SCHEMA,
        verdict: match finding.status {
            Status::Ok => "accepted",
            Status::Unknown => "unknown",
            Status::Warning | Status::Critical => "refused",
        },
        cause: Some(diagnosis.cause.name()),
        reason: sentence(finding),
        advice: Some(advice(finding)),
        tried_at: Some(finding.tried_at.to_string()),
        clock: clock(finding),
        token: Some(token(finding)),
        window: diagnosis.window.as_ref().map(|window| WindowObject {
            ranges: window.ranges().iter().map(|range| [range.first().get(), range.last().get()]).collect(),
            width: window.width(),
            learned_left_out: window.learned_left_out(),
        }),
        fit: diagnosis.fit.as_ref().map(|found| fit(diagnosis, found)),
        alternative: diagnosis.alternative.as_ref().map(|other| {
            let Parameters { algorithm, format, period, .. } = &other.parameters;
            AlternativeObject {
                step: other.step.get(),
                differences: differences(finding, other),
                algorithm: algorithm.to_string(),
                format: alphabet(*format),
                length: format.length(),
                period_s: period.as_secs(),
                secret_read_as: other.reading.name(),
                luck_e18: other.luck.as_e18(),
            }
        }),
        apart: diagnosis.apart.iter().map(|step| step.map(|step| step.get())).collect(),
    };
    serde_json::to_writer(&mut *out, &explanation)?;
    writeln!(out)
}

/// Prints that nothing could be explained, and why.
pub(crate) fn print_nothing(out: &mut impl Write, error: &ExplainError) -> io::Result<()> {
    let explanation = Explanation {
        schema: SCHEMA,
        verdict: "unknown",
        cause: None,
        reason: error.to_string(),
        advice: None,
        tried_at: None,
        clock: None,
        token: None,
        window: None,
        fit: None,
        alternative: None,
        apart: Vec::new(),
    };
    serde_json::to_writer(&mut *out, &explanation)?;
    writeln!(out)
}

const fn alphabet(format: Format) -> &'static str {
    match format {
        Format::Steam => "steam",
        _ => "decimal",
    }
}

fn clock(finding: &Finding) -> Option<ClockObject> {
    let (offset, time) = (finding.knowledge.offset()?, finding.time?);
    Some(ClockObject {
        offset_ns: offset.midpoint().as_nanos(),
        half_width_ns: nanos(offset.half_width()),
        measured: matches!(finding.knowledge, Knowledge::Measured { .. }),
        earliest: time.earliest().to_string(),
        latest: time.latest().to_string(),
    })
}

fn token(finding: &Finding) -> TokenObject {
    let (parameters, state) = (&finding.parameters, &finding.standing.token);
    let latest = finding.time.map_or(finding.tried_at, |time| time.latest());
    let deviation = state.drift.deviation_at(finding.policy.window().drift_model(), latest);
    TokenObject {
        algorithm: parameters.algorithm.to_string(),
        format: alphabet(parameters.format),
        length: parameters.format.length(),
        period_s: parameters.period.as_secs(),
        t0: parameters.t0.to_string(),
        state_known: finding.state_known,
        drift_ns: state.drift.mean().as_nanos(),
        drift_deviation_ns: nanos(deviation),
        watermark: finding.diagnosis.dead.map(|(step, _)| step.get()),
        not_before: finding.standing.not_before.map(|moment| moment.to_string()),
    }
}

fn fit(diagnosis: &Diagnosis, fit: &Fit) -> FitObject {
    FitObject {
        step: fit.step.get(),
        shown_from: fit.shown_from.to_string(),
        steps_off: fit.steps_off,
        used: fit.dead.is_some(),
        token_ahead_from_ns: fit.ahead.lo().as_nanos(),
        token_ahead_to_ns: fit.ahead.hi().as_nanos(),
        token_ahead_best_ns: fit.ahead_best.as_nanos(),
        other_steps: diagnosis.other_fits,
        luck_e18: diagnosis.luck.as_e18(),
    }
}
