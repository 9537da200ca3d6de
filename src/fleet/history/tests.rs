use super::*;
use crate::clock::OffsetInterval;
use crate::fleet::State;
use crate::time::SignedDuration;
use tempfile::TempDir;

const NOON: i64 = 1_795_348_800;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(NOON + seconds).unwrap()
}

fn micros(lo: i64, hi: i64) -> Option<OffsetInterval> {
    OffsetInterval::new(SignedDuration::from_micros(lo), SignedDuration::from_micros(hi))
}

fn seen(host: &str, lo: i64, hi: i64) -> Observed<'_> {
    Observed {
        host,
        state: State::InSync,
        skew: micros(lo, hi),
        delay: Some(SignedDuration::from_micros(hi - lo)),
    }
}

fn silent(host: &str) -> Observed<'_> {
    Observed { host, state: State::Unreachable, skew: None, delay: None }
}

fn history(directory: &TempDir) -> History {
    History::open(directory.path().join("history.redb"), small()).unwrap()
}

/// Four sweeps, three cells of a minute, four of an hour.
fn small() -> Retention {
    Retention::new(4, &[Tier::new(60, 3), Tier::new(3_600, 4)], 64 << 20).unwrap()
}

fn starts(points: &[Point]) -> Vec<i64> {
    points.iter().map(|point| point.at.as_unix_seconds() - NOON).collect()
}

#[test]
fn a_sweep_is_read_back_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let history = history(&directory);
    history.append_observed(at(0), &[seen("a", -5, 7), silent("b")]).unwrap();
    let points = history.host("a", at(0), at(1), 10).unwrap();
    assert_eq!(points.len(), 1);
    let point = points[0];
    assert_eq!((point.at, point.span.as_secs(), point.sweeps, point.missed), (at(0), 1, 1, 0));
    assert_eq!((point.state, point.skew), (State::InSync, micros(-5, 7)));
    assert_eq!(point.typical, Some(SignedDuration::from_micros(1)));
    assert_eq!(point.delay, Some(SignedDuration::from_micros(12)));
    let point = history.host("b", at(0), at(1), 10).unwrap()[0];
    assert_eq!((point.sweeps, point.missed, point.state), (1, 1, State::Unreachable));
    assert_eq!((point.skew, point.typical, point.delay), (None, None, None));
    assert_eq!(history.host("c", at(0), at(1), 10).unwrap(), []);
    // Before it, and behind it.
    assert_eq!(history.host("a", at(-100), at(0), 100).unwrap(), []);
    assert_eq!(history.host("a", at(3_600), at(7_200), 100).unwrap(), []);
    history.append_observed(at(50), &[seen("a", -5, 7)]).unwrap();
    assert_eq!(history.host("a", at(1), at(50), 100).unwrap(), []);
}

#[test]
fn what_is_older_is_in_coarser_cells() {
    let directory = tempfile::tempdir().unwrap();
    let history = history(&directory);
    for sweep in 0..20 {
        history.append_observed(at(30 * sweep), &[seen("a", sweep, sweep + 10)]).unwrap();
    }
    // As fine as it goes: the last four sweeps.
    let sweeps = history.host("a", at(480), at(600), 120).unwrap();
    assert_eq!(starts(&sweeps), [480, 510, 540, 570]);
    // Minutes: each of two sweeps.
    let minutes = history.host("a", at(420), at(600), 3).unwrap();
    assert_eq!(starts(&minutes), [420, 480, 540]);
    assert_eq!((minutes[0].sweeps, minutes[0].skew), (2, micros(14, 25)));
    assert_eq!(minutes[0].typical, Some(SignedDuration::from_nanos(19_500)));
    // Neither of them goes back as far, however many points are wanted.
    for most in [1, 10, 7_200] {
        let hours = history.host("a", at(-3_600), at(3_600), most).unwrap();
        let begins = if most == 1 { 0 } else { 420 };
        assert_eq!(starts(&hours)[0], begins, "{most}");
    }
    for sweep in 0..4 {
        history.append_observed(at(7_200 + 60 * sweep), &[seen("a", sweep, sweep + 10)]).unwrap();
    }
    for most in [1, 10, 10_800] {
        let hours = history.host("a", at(0), at(10_800), most).unwrap();
        assert_eq!((starts(&hours)[0], hours[0].skew), (0, micros(0, 29)), "{most}");
        assert_eq!(hours.iter().map(|point| point.sweeps).sum::<u32>(), 24);
    }
}

#[test]
fn what_alarms_were_said_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let standing = crate::fleet::Alarms::default().standing();
    {
        let history = history(&directory);
        assert_eq!(history.standing().unwrap(), None);
        history.set_standing(&standing).unwrap();
    }
    assert_eq!(history(&directory).standing().unwrap(), Some(standing));
}

#[test]
fn one_process_has_it_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let first = history(&directory);
    let again = History::open(first.path(), small());
    assert!(matches!(again, Err(HistoryError::InUse { .. })), "{again:?}");
}

mod bounds;
mod damage;
mod model;
