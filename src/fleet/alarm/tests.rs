use super::*;
use crate::time::SignedDuration;

const START: i64 = 1_795_348_800_000_000_000;

/// When a sweep was made: one a minute.
fn at(sweep: i64) -> Timestamp {
    Timestamp::from_unix_nanos(START) + SignedDuration::from_secs(60 * sweep)
}

fn shown(severity: Severity) -> Shown {
    let state = match severity {
        Severity::Ok => State::InSync,
        Severity::Warning | Severity::Critical => State::Skewed,
        Severity::Unknown => State::Unreachable,
    };
    Shown { state, severity, skew: None }
}

/// What one host's severities, one a sweep, make it say: in which sweep, and what.
fn said(alarms: &mut Alarms, from: i64, severities: &[Severity]) -> Vec<(i64, Severity)> {
    let sweeps = (from..).zip(severities);
    sweeps
        .flat_map(|(sweep, severity)| {
            let rows = [("a", shown(*severity))];
            let transitions = alarms.judge_rows(at(sweep), true, rows.into_iter());
            transitions.into_iter().map(move |transition| (sweep, transition.to_severity))
        })
        .collect()
}

use Severity::{Critical, Ok, Unknown, Warning};

#[test]
fn one_noisy_sample_is_no_alarm_and_two_are() {
    let mut alarms = Alarms::default();
    assert_eq!(said(&mut alarms, 0, &[Ok, Critical, Ok, Ok, Warning, Ok]), []);
    assert_eq!(said(&mut alarms, 6, &[Critical, Critical, Critical, Ok, Critical]), [(7, Critical)]);
    assert_eq!(said(&mut alarms, 11, &[Ok, Ok, Ok, Ok]), [(12, Ok)]);
}

#[test]
fn worse_is_what_all_were_at_the_least() {
    let mut alarms = Alarms::default();
    let severities = [Warning, Critical, Unknown, Critical, Critical, Warning, Warning];
    assert_eq!(said(&mut alarms, 0, &severities), [(1, Warning), (2, Unknown), (4, Critical), (6, Warning)]);
}
