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

mod laws;

#[test]
fn without_true_time_something_is_said_of_the_fleet_alone() {
    let mut alarms = Alarms::default();
    let names: Vec<String> = (0..1_000).map(|host| format!("host{host}")).collect();
    let sweep = |alarms: &mut Alarms, number: i64, known: bool, severity| {
        alarms.judge_rows(at(number), known, names.iter().map(|name| (&**name, shown(severity))))
    };
    assert_eq!(sweep(&mut alarms, 0, true, Ok), []);
    assert_eq!(sweep(&mut alarms, 1, false, Unknown), []);
    let lost = sweep(&mut alarms, 2, false, Unknown);
    let [lost] = &lost[..] else { panic!("{lost:?}") };
    assert_eq!(
        (&lost.subject, lost.from, lost.to),
        (&Subject::Fleet, Condition::Measured, Condition::NoReference)
    );
    assert_eq!((lost.since, lost.at, lost.to_severity), (at(1), at(2), Unknown));
    // Another reason, as bad.
    assert_eq!(alarms.judge_failure(at(3)), None);
    assert_eq!(alarms.standing_alarms().count(), 1);
    assert_eq!(sweep(&mut alarms, 4, true, Ok), []);
    let found = sweep(&mut alarms, 5, true, Ok);
    let [found] = &found[..] else { panic!("{found:?}") };
    assert_eq!((found.from, found.to, found.to_severity), (Condition::NoReference, Condition::Measured, Ok));
    assert_eq!(alarms.standing_alarms().count(), 0);
}

#[test]
fn sweeps_that_fail_are_said_once_and_judge_no_host() {
    let mut alarms = Alarms::default();
    assert_eq!(said(&mut alarms, 0, &[Critical, Critical]), [(1, Critical)]);
    assert_eq!(alarms.judge_failure(at(2)), None);
    let failed = alarms.judge_failure(at(3)).unwrap();
    assert_eq!((failed.host(), failed.to.name(), failed.since), (None, "sweep-failed", at(2)));
    assert_eq!(alarms.judge_failure(at(4)), None);
    // The host is where it was: one good sweep before the failures and one behind are two in a row.
    assert_eq!(said(&mut alarms, 5, &[Ok]), []);
    assert_eq!(alarms.judge_failure(at(6)), None);
    assert_eq!(said(&mut alarms, 7, &[Ok, Ok]), [(7, Ok), (8, Ok)]);
}

#[test]
fn who_leaves_the_inventory_while_something_is_said_of_it_is_withdrawn_once() {
    let mut alarms = Alarms::default();
    let bad = |host| (host, shown(Critical));
    let mut sweep = |number, hosts: &[&'static str]| {
        let transitions = alarms.judge_rows(at(number), true, hosts.iter().map(|host| bad(*host)));
        transitions
            .into_iter()
            .map(|told| (told.host().unwrap().to_owned(), told.to.name()))
            .collect::<Vec<_>>()
    };
    let told = |host: &str, what| (host.to_owned(), what);
    assert_eq!(sweep(0, &["b", "a"]), []);
    assert_eq!(sweep(1, &["b", "a", "new"]), [told("b", "skewed"), told("a", "skewed")]);
    // "new" was bad once, and nothing was said of it.
    assert_eq!(sweep(2, &["other"]), [told("a", "removed"), told("b", "removed")]);
    assert_eq!(sweep(3, &["other"]), [told("other", "skewed")]);
    // Who comes back is new.
    assert_eq!(sweep(4, &["other", "a"]), []);
    assert_eq!(sweep(5, &["other", "a"]), [told("a", "skewed")]);
}

#[test]
fn since_is_when_it_began_and_at_when_it_was_borne_out() {
    let mut alarms = Alarms::new(NonZeroU32::new(3).unwrap());
    let skew = OffsetInterval::new(SignedDuration::from_millis(-7), SignedDuration::from_millis(-5));
    let bad = Shown { skew, ..shown(Warning) };
    let mut sweep = |number, shown| alarms.judge_rows(at(number), true, [("a", shown)].into_iter());
    for number in 0..9 {
        assert_eq!(sweep(number, shown(Ok)), []);
    }
    assert_eq!((sweep(9, bad), sweep(10, bad)), (vec![], vec![]));
    let told = sweep(11, bad);
    assert_eq!(
        told,
        [Transition {
            subject: Subject::Host("a".into()),
            from: Condition::Host(State::InSync),
            from_severity: Ok,
            to: Condition::Host(State::Skewed),
            to_severity: Warning,
            since: at(9),
            at: at(11),
            skew,
        }]
    );
    assert_eq!((sweep(12, shown(Ok)), sweep(13, shown(Ok))), (vec![], vec![]));
    let told = sweep(14, shown(Ok));
    assert_eq!(
        (told[0].since, told[0].at, told[0].from.name(), told[0].to.name()),
        (at(12), at(14), "skewed", "in-sync")
    );
}

#[test]
fn names_are_stable_and_each_condition_has_its_own() {
    let names = ["removed", "measured", "no-reference", "sweep-failed"];
    let conditions =
        [Condition::Removed, Condition::Measured, Condition::NoReference, Condition::SweepFailed];
    assert_eq!(conditions.map(Condition::name), names);
    assert!(State::ALL.iter().all(|state| Condition::Host(*state).name() == state.name()));
    assert!(State::ALL.iter().all(|state| !names.contains(&state.name())));
}
