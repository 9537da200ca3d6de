//! How much is kept, for how long, and what clocks that jump do to it.

use super::model::hosts;
use super::*;

const YEAR: i64 = 365 * 86_400;

#[test]
fn a_clock_that_jumps_far_ahead_and_returns_wipes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let history = history(&directory);
    for minute in 0..3 {
        history.append_observed(at(60 * minute), &[seen("a", 0, 9)]).unwrap();
    }
    let before = history.host("a", at(0), at(180), 100).unwrap();
    history.append_observed(at(14 * YEAR), &[seen("a", 0, 9)]).unwrap();
    assert_eq!(history.host("a", at(0), at(180), 100).unwrap(), before);
    assert_eq!(starts(&history.host("a", at(14 * YEAR), at(14 * YEAR + 1), 1).unwrap()), [14 * YEAR]);
    // Back again: what is new is kept as if nothing had been, and what is from 2040 makes room in its turn.
    for minute in 3..10 {
        history.append_observed(at(60 * minute), &[seen("a", 0, 9)]).unwrap();
        let points = history.host("a", at(60 * minute), at(60 * minute + 1), 1).unwrap();
        assert_eq!(starts(&points), [60 * minute]);
    }
    assert_eq!(starts(&history.host("a", at(360), at(600), 240).unwrap()), [360, 420, 480, 540]);
    let last = history.host("a", at(14 * YEAR - 86_400), at(14 * YEAR + 86_400), 1_000_000).unwrap();
    // Only its hour is left of it: four hours would have to be begun.
    assert_eq!(last.iter().map(|point| point.span.as_secs()).collect::<Vec<_>>(), [3_600]);
}

#[test]
fn a_clock_that_has_fallen_back_to_1970_is_recorded_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let history = history(&directory);
    for minute in 0..20 {
        history.append_observed(at(60 * minute), &[seen("a", 0, 9)]).unwrap();
    }
    for minute in 0..4 {
        history.append_observed(at(60 * minute - NOON), &[seen("a", 5, 9)]).unwrap();
    }
    let points = history.host("a", at(-NOON), at(240 - NOON), 240).unwrap();
    assert_eq!(starts(&points), [0, 60, 120, 180].map(|second| second - NOON));
    // What the hours of today are, they still are.
    assert_eq!(history.host("a", at(0), at(3_600), 1).unwrap()[0].sweeps, 20);
}

#[test]
fn a_date_at_either_end_of_what_there_is_can_be_kept_and_read() {
    let directory = tempfile::tempdir().unwrap();
    let history = history(&directory);
    let ends = [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX].map(Timestamp::from_unix_nanos);
    for end in ends {
        history.append_observed(end, &[seen("a", 0, 9)]).unwrap();
    }
    let (first, last) = (ends[0], ends[4]);
    for points in [0, 1, 7, usize::MAX] {
        history.host("a", first, last, points).unwrap();
        assert_eq!(history.host("a", last, first, points).unwrap().len(), 0);
    }
    assert_eq!(history.heat_map(first, last, 3).unwrap().rows.len(), 1);
    assert_eq!(history.heat_map(last, first, 3).unwrap().rows.len(), 0);
}

#[test]
fn a_host_that_left_is_forgotten_with_its_last_cell_and_one_that_comes_back_is_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let history = history(&directory);
    history.append_observed(at(0), &[seen("stays", 0, 9), seen("left", 0, 9), seen("back", 0, 9)]).unwrap();
    let numbers = hosts(&history);
    for hour in 1..=3 {
        history.append_observed(at(3_600 * hour), &[seen("stays", 0, 9)]).unwrap();
        assert_eq!(hosts(&history), numbers, "{hour}");
    }
    history.append_observed(at(3_600 * 3 + 60), &[seen("stays", 0, 9), seen("back", 0, 9)]).unwrap();
    // Four hours are kept.
    history.append_observed(at(3_600 * 4), &[seen("stays", 0, 9)]).unwrap();
    let left: Vec<_> = hosts(&history).into_values().collect();
    assert_eq!(left, ["stays", "back"]);
    assert_eq!(hosts(&history).keys().collect::<Vec<_>>(), [&0, &2]);
    assert_eq!(history.host("left", at(0), at(86_400), 10).unwrap(), []);
    let back = history.host("back", at(0), at(86_400), 24).unwrap();
    assert_eq!(starts(&back), [3 * 3_600]);
}

#[test]
fn a_file_stays_below_its_bound_and_what_is_newest_stays_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let bound = 16 << 20;
    let retention =
        Retention::new(100_000, &[Tier::new(60, 100_000), Tier::new(3_600, 100_000)], bound).unwrap();
    let path = directory.path().join("history.redb");
    let history = History::open(&path, retention).unwrap();
    let names: Vec<String> = (0..8_000).map(|host| format!("host{host}")).collect();
    let mut longest = 0;
    for minute in 0..180 {
        let sweep: Vec<_> =
            names.iter().map(|name| seen(name, minute * 1_000, minute * 1_000 + 250)).collect();
        history.append_observed(at(60 * minute), &sweep).unwrap();
        longest = longest.max(taken(&path));
    }
    println!("at most {longest} bytes of {bound}");
    assert!(longest <= bound, "{longest}");
    // Without a bound it would have been more than twice as much: sweeps and minutes have made room, in turns.
    let recent = |seconds: i64, points: usize| {
        history.host("host7", at(10_800 - seconds), at(10_800), points).unwrap()
    };
    assert_eq!(
        starts(&recent(1_800, 1_800)),
        (0..30_i64).map(|minute| 9_000 + 60 * minute).collect::<Vec<_>>()
    );
    // Nobody has to give up the hours.
    for points in [3, 10_800] {
        assert_eq!(recent(10_800, points).iter().map(|point| point.sweeps).collect::<Vec<_>>(), [60; 3]);
    }
}

/// What a file takes of the disk: it grows ahead, without using the space.
fn taken(path: &Path) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(path).unwrap()) * 512
}

#[test]
fn tiers_that_are_not_wanted_any_more_are_given_up() {
    let directory = tempfile::tempdir().unwrap();
    {
        let history = history(&directory);
        for minute in 0..5 {
            history.append_observed(at(60 * minute), &[seen("a", 0, 9)]).unwrap();
        }
    }
    let path = directory.path().join("history.redb");
    let other = Retention::new(2, &[Tier::new(600, 2)], 64 << 20).unwrap();
    let history = History::open(path, other).unwrap();
    history.append_observed(at(300), &[seen("a", 0, 9)]).unwrap();
    assert_eq!(starts(&history.host("a", at(200), at(301), 200).unwrap()), [240, 300]);
    let tiers = history.read(|transaction| {
        let cells = transaction.open_table(tables::CELLS)?;
        let mut spans = Vec::new();
        for entry in redb::ReadableTable::iter(&cells)? {
            spans.push(entry?.0.value().0);
        }
        Ok(spans)
    });
    assert_eq!(tiers.unwrap(), [1, 1, 600]);
}

#[test]
fn a_host_twice_in_a_sweep_is_one_host() {
    let directory = tempfile::tempdir().unwrap();
    let history = history(&directory);
    for _ in 0..2 {
        history.append_observed(at(0), &[seen("a", 0, 9), seen("b", 0, 9), seen("a", 5, 20)]).unwrap();
    }
    let points = history.host("a", at(0), at(1), 1).unwrap();
    assert_eq!((points[0].sweeps, points[0].skew), (4, micros(0, 20)));
}

#[test]
fn a_sweep_without_hosts_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let history = history(&directory);
    history.append_observed(at(0), &[]).unwrap();
    history.append_observed(at(0), &[seen("a", 0, 9)]).unwrap();
    assert_eq!(history.heat_map(at(0), at(60), 1).unwrap().rows.len(), 1);
}

#[test]
fn what_makes_no_sense_is_not_kept_like_that() {
    let tiers = |spans: &[u32]| spans.iter().map(|span| Tier::new(*span, 2)).collect::<Vec<_>>();
    let new = |spans: &[u32]| Retention::new(2, &tiers(spans), 64 << 20).map(|_| ());
    assert_eq!(new(&[]), Ok(()));
    assert_eq!(new(&[60, 120]), Ok(()));
    for (finer, coarser, spans) in [(60, 90, &[60, 90][..]), (60, 60, &[60, 60]), (1, 1, &[1]), (1, 0, &[0])]
    {
        assert_eq!(new(spans), Err(RetentionError::Spans { finer, coarser }));
    }
    let many = new(&[2, 4, 8, 16, 32, 64, 128, 256]);
    assert_eq!(many, Err(RetentionError::TooManyTiers { most: 7, found: 8 }));
    let usual = Retention::default();
    assert_eq!(usual.with_sweeps(1), Err(RetentionError::TooFewCells));
    assert!(matches!(usual.with_max_bytes(1), Err(RetentionError::TooFewBytes { .. })));
    assert_eq!(usual.with_sweeps(1_440).unwrap().with_max_bytes(4 << 30).unwrap(), usual);
}

#[test]
fn a_heat_map_has_the_worst_of_each_host_in_each_column() {
    let directory = tempfile::tempdir().unwrap();
    let history = History::open(directory.path().join("history.redb"), Retention::default()).unwrap();
    for minute in 0..60 {
        let mut sweep = vec![seen("a", 0, 9)];
        if minute >= 30 {
            sweep.push(if minute == 45 { silent("b") } else { seen("b", 0, 9) });
        }
        history.append_observed(at(60 * minute), &sweep).unwrap();
    }
    let map = history.heat_map(at(-1_800), at(3_600), 6).unwrap();
    assert_eq!((map.from, map.step.as_secs(), map.columns), (at(-1_800), 900, 6));
    let names: Vec<_> = map.rows.iter().map(|row| &*row.host).collect();
    assert_eq!(names, ["a", "b"]);
    let (good, bad) = (Some(State::InSync), Some(State::Unreachable));
    assert_eq!(*map.rows[0].states, [None, None, good, good, good, good]);
    assert_eq!(*map.rows[1].states, [None, None, None, None, good, bad]);
    // Columns that aren't whole seconds are a little longer, and fewer.
    let map = history.heat_map(at(0), at(100), 60).unwrap();
    assert_eq!((map.step.as_secs(), map.columns), (2, 50));
}
