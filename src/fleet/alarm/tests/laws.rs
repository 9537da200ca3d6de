//! What holds whatever hosts do.

use super::*;
use proptest::prelude::*;

fn severity() -> impl Strategy<Value = Severity> {
    prop_oneof![4 => Just(Ok), 1 => Just(Warning), 1 => Just(Unknown), 1 => Just(Critical)]
}

/// Sweeps that often show the same several times in a row.
fn sweeps() -> impl Strategy<Value = Vec<Severity>> {
    let runs = proptest::collection::vec((severity(), 1_usize..6), 1..60);
    runs.prop_map(|runs| runs.into_iter().flat_map(|(severity, times)| vec![severity; times]).collect())
}

fn confirming(confirm: u32) -> Alarms {
    Alarms::new(NonZeroU32::new(confirm).unwrap())
}

fn last(sweeps: &[Severity], end: usize, count: u32) -> &[Severity] {
    &sweeps[(end + 1).saturating_sub(count as usize)..=end]
}

proptest! {
    #[test]
    fn fewer_bad_sweeps_in_a_row_than_it_takes_are_no_alarm(
        gaps in proptest::collection::vec((severity(), 1_usize..4), 1..100),
        confirm in 2_u32..6,
    ) {
        let sweeps: Vec<Severity> = gaps
            .into_iter()
            .flat_map(|(severity, good)| {
                let mut run = vec![severity; confirm as usize - 1];
                run.extend(vec![Ok; good]);
                run
            })
            .collect();
        prop_assert_eq!(said(&mut confirming(confirm), 0, &sweeps), []);
    }

    #[test]
    fn what_lasts_is_said_in_time(before in sweeps(), severity in severity(), confirm in 1_u32..6) {
        let mut alarms = confirming(confirm);
        let begin = i64::try_from(before.len()).unwrap();
        let told = said(&mut alarms, 0, &before);
        let then = told.last().map_or(Ok, |(_, severity)| *severity);
        let lasting = vec![severity; 32 * confirm as usize];
        let told = said(&mut alarms, begin, &lasting);
        if severity > then {
            // At once, whatever happened before; and what is not as bad yet is never said later than that.
            let in_time: Vec<_> =
                told.iter().filter(|(sweep, _)| *sweep < begin + i64::from(confirm)).collect();
            prop_assert_eq!(in_time.last().map(|(_, severity)| *severity), Some(severity));
        }
        // Recovery takes longer where it relapsed, but comes.
        prop_assert_eq!(told.last().map_or(then, |(_, severity)| *severity), severity);
    }

    #[test]
    fn a_first_recovery_takes_no_longer_than_an_alarm(severity in severity(), confirm in 1_u32..6) {
        let mut alarms = confirming(confirm);
        let bad = said(&mut alarms, 0, &[severity; 100]);
        let good = said(&mut alarms, 100, &[Ok; 100]);
        prop_assert_eq!(bad.is_empty(), severity == Ok);
        let expected = if severity == Ok { vec![] } else { vec![(99 + i64::from(confirm), Ok)] };
        prop_assert_eq!(good, expected);
    }

    #[test]
    fn what_is_said_is_borne_out_by_all_of_the_last_sweeps(sweeps in sweeps(), confirm in 1_u32..6) {
        let mut alarms = confirming(confirm);
        let mut before = Ok;
        for (sweep, to) in said(&mut alarms, 0, &sweeps) {
            let window = last(&sweeps, usize::try_from(sweep).unwrap(), confirm);
            prop_assert_eq!(window.len(), confirm as usize);
            prop_assert!(to != before);
            if to > before {
                prop_assert_eq!(window.iter().min(), Some(&to));
            } else {
                prop_assert!(window.iter().all(|shown| *shown <= to));
            }
            before = to;
        }
    }

    #[test]
    fn nobody_floods(sweeps in sweeps(), times in 1_usize..40, confirm in 1_u32..4) {
        let sweeps = sweeps.repeat(times);
        let told = said(&mut confirming(confirm), 0, &sweeps).len();
        // Three up and three down for each relapse, until an all-clear takes 32 times as long.
        let most = 36 * (1 + sweeps.len() / (64 * confirm as usize));
        prop_assert!(told <= most, "{told} of {} sweeps, at most {most}", sweeps.len());
    }

    #[test]
    fn who_flaps_falls_silent(bad in 1_usize..20, good in 1_usize..60, confirm in 2_u32..4) {
        let cycle = [vec![Critical; bad], vec![Ok; good]].concat();
        let mut alarms = confirming(confirm);
        let first = said(&mut alarms, 0, &cycle.repeat(20));
        prop_assert!(first.len() <= 14, "{first:?}");
        let then = said(&mut alarms, 10_000, &cycle.repeat(20));
        prop_assert_eq!(then, []);
        // Forgiven once it is steady.
        said(&mut alarms, 20_000, &[Ok; 64 * 3 + 64 * 3]);
        let bad = said(&mut alarms, 30_000, &[Critical; 10]);
        let well = said(&mut alarms, 40_000, &[Ok; 10]);
        let in_time = i64::from(confirm) - 1;
        prop_assert_eq!((bad, well), (vec![(30_000 + in_time, Critical)], vec![(40_000 + in_time, Ok)]));
    }

    #[test]
    fn a_restart_changes_nothing(sweeps in sweeps(), restarts in any::<u64>(), confirm in 1_u32..6) {
        let (mut steady, mut restarted) = (confirming(confirm), confirming(confirm));
        for (sweep, severity) in (0..).zip(&sweeps) {
            let failed = sweep % 11 == 5;
            let [one, other] = [&mut steady, &mut restarted].map(|alarms| {
                let told = if failed { alarms.judge_failure(at(sweep)).into_iter().collect() } else { vec![] };
                let rows = [("a", shown(*severity)), ("b", shown(Ok))];
                [told, alarms.judge_rows(at(sweep), sweep % 5 != 0, rows.into_iter())].concat()
            });
            prop_assert_eq!(one, other);
            if restarts >> (sweep % 64) & 1 == 1 {
                let bytes = restarted.standing().to_bytes();
                let kept = Standing::from_bytes(&bytes);
                prop_assert_eq!(kept.as_ref(), Result::Ok(&restarted.standing()));
                restarted = Alarms::resumed(NonZeroU32::new(confirm).unwrap(), kept.unwrap());
            }
        }
    }

    #[test]
    fn each_host_is_judged_by_itself(sweeps in sweeps(), others in sweeps()) {
        let mut together = Alarms::default();
        let mut told = Vec::new();
        for (sweep, (severity, other)) in (0..).zip(sweeps.iter().zip(&others)) {
            let rows = [("b", shown(*other)), ("a", shown(*severity))];
            let transitions = together.judge_rows(at(sweep), true, rows.into_iter());
            let of_a = transitions.into_iter().filter(|told| told.host() == Some("a"));
            told.extend(of_a.map(|transition| (sweep, transition.to_severity)));
        }
        let count = sweeps.len().min(others.len());
        prop_assert_eq!(told, said(&mut Alarms::default(), 0, &sweeps[..count]));
    }

    #[test]
    fn bytes_are_a_standing_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Result::Ok(standing) = Standing::from_bytes(&bytes) {
            prop_assert_eq!(standing.to_bytes(), bytes);
        }
    }

    #[test]
    fn a_standing_that_was_changed_is_another_one_or_none(
        sweeps in sweeps(), place in any::<proptest::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut alarms = Alarms::default();
        said(&mut alarms, 0, &sweeps);
        said(&mut alarms, 1_000, &[Critical]);
        let mut bytes = alarms.standing().to_bytes();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Result::Ok(standing) = Standing::from_bytes(&bytes) {
            prop_assert_eq!(standing.to_bytes(), bytes.clone());
            // Whatever it says, it can be gone on from.
            let mut resumed = Alarms::resumed(NonZeroU32::MIN, standing);
            said(&mut resumed, 2_000, &[Ok, Critical, Warning, Unknown, Ok]);
        }
        bytes.pop();
        prop_assert!(Standing::from_bytes(&bytes).is_err());
    }
}

#[test]
fn who_is_well_takes_no_room_in_what_is_kept() {
    let mut alarms = Alarms::default();
    let empty = alarms.standing().to_bytes().len();
    said(&mut alarms, 0, &[Ok, Critical, Critical, Ok, Ok]);
    assert!(alarms.standing().to_bytes().len() > empty);
    said(&mut alarms, 5, &[Ok; 128]);
    assert_eq!(alarms.standing().to_bytes().len(), empty);
}

#[test]
fn who_is_as_before_is_kept_as_before() {
    for severity in Severity::ALL {
        let mut alarms = Alarms::default();
        said(&mut alarms, 0, &[severity; 200]);
        alarms.judge_failure(at(200));
        said(&mut alarms, 201, &[severity; 1]);
        let kept = alarms.standing();
        said(&mut alarms, 202, &[severity; 20]);
        assert_eq!(alarms.standing(), kept, "{severity}");
    }
}
