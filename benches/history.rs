//! A history of 10,000 hosts: what a sweep takes to be kept, what it takes of the disk, and what it takes to read one host's day and
//! everybody's. Beside it, in the same run and file system, the layout that comes to mind first: a row for each host and sweep, by host
//! and time, and nothing coarser.
//!
//! `cargo bench --bench history --features watch`. `HOSTS` (10,000), `SWEEPS` (1,440; a minute apart) and `ROWS_SWEEPS` (120; of
//! the other layout) change how much is done. `FULL=1` then fills every tier and says what the file takes.

use std::path::Path;
use std::time::Duration;

use fastrand::Rng;
use redb::{Database, ReadableDatabase, TableDefinition};
use skewgate::clock::OffsetInterval;
use skewgate::fleet::State;
use skewgate::fleet::history::{History, Observed, Retention};
use skewgate::time::os::OsClock;
use skewgate::time::{LocalClock, SignedDuration, Timestamp};

const MINUTE: i64 = 60;
const NOON: i64 = 1_795_348_800;
/// Host, second; the state, the ends of the skew and the round trip in nanoseconds.
const ROWS: TableDefinition<'_, (u32, i64), [u8; 25]> = TableDefinition::new("rows");

fn number(name: &str, otherwise: i64) -> i64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_seconds(NOON + second).expect("a date")
}

fn timed<T>(what: impl FnOnce() -> T) -> (T, Duration) {
    let start = OsClock.raw();
    let done = what();
    (done, (OsClock.raw() - start).unsigned_abs())
}

/// A fleet as it is: clocks within some milliseconds, bounds of some hundred microseconds, one host in a hundred silent.
fn sweep<'a>(names: &'a [String], random: &mut Rng) -> Vec<Observed<'a>> {
    names
        .iter()
        .enumerate()
        .map(|(index, host)| {
            let own = i64::try_from(index % 2_000).expect("it is small") * 1_000 - 1_000_000;
            let (middle, half) = (own + random.i64(0..400_000), 80_000 + random.i64(0..600_000));
            if random.u8(..100) == 0 {
                return Observed { host, state: State::Unreachable, skew: None, delay: None };
            }
            let end = |sign: i64| SignedDuration::from_nanos(middle + sign * half);
            let delay = Some(SignedDuration::from_nanos(2 * half));
            Observed { host, state: State::InSync, skew: OffsetInterval::new(end(-1), end(1)), delay }
        })
        .collect()
}

/// What a file is long, and what it takes of the disk.
fn size(path: &Path) -> (u64, u64) {
    let found = std::fs::metadata(path).expect("a file");
    (found.len(), std::os::unix::fs::MetadataExt::blocks(&found) * 512)
}

fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

fn main() {
    let (hosts, sweeps) = (number("HOSTS", 10_000), number("SWEEPS", 1_440));
    let names: Vec<String> = (0..hosts).map(|host| format!("host{host:05}.example.org")).collect();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("history.redb");
    let history = History::open(&path, Retention::default()).expect("a history");
    let mut random = Rng::with_seed(1);
    let mut took: Vec<Duration> = (0..sweeps)
        .map(|minute| {
            let seen = sweep(&names, &mut random);
            timed(|| history.append_observed(at(MINUTE * minute), &seen).expect("kept")).1
        })
        .collect();
    took.sort();
    let median = took[took.len() / 2];
    println!("{hosts} hosts, {sweeps} sweeps: median {median:?} a sweep, at most {:?}", took[took.len() - 1]);
    let (length, disk) = size(&path);
    println!("file {} MiB long, {} MiB of the disk", mib(length), mib(disk));
    let end = MINUTE * sweeps;
    for (what, length, points) in [
        ("hour", 3_600, 60),
        ("day", 86_400, 500),
        ("day, each sweep", 86_400, 1_440),
        ("14 days", 14 * 86_400, 500),
    ] {
        let name = &names[names.len() / 2];
        let ((), first) =
            timed(|| drop(history.host(name, at(end - length), at(end), points).expect("points")));
        let (found, again) =
            timed(|| history.host(name, at(end - length), at(end), points).expect("points").len());
        let (map, heat) = timed(|| history.heat_map(at(end - length), at(end), 120).expect("a map"));
        println!(
            "{what}: one host {first:?}, {again:?} again, {found} points; heat map {heat:?}, {} rows",
            map.rows.len()
        );
    }
    drop(history);
    let (history, opening) = timed(|| History::open(&path, Retention::default()).expect("it is whole"));
    println!("opening: {opening:?}");

    rows_beside(&names, directory.path(), median);

    if number("FULL", 0) > 0 {
        fill(&history, &names, &path, end);
    }
}

/// The other layout.
fn rows_beside(names: &[String], directory: &Path, ours: Duration) {
    let sweeps = number("ROWS_SWEEPS", 120);
    let path = directory.join("rows.redb");
    let database = Database::create(&path).expect("a database");
    let mut random = Rng::with_seed(1);
    let mut took: Vec<Duration> = (0..sweeps)
        .map(|minute| {
            let seen = sweep(names, &mut random);
            timed(|| {
                let mut transaction = database.begin_write().expect("a transaction");
                transaction.set_two_phase_commit(true);
                {
                    let mut rows = transaction.open_table(ROWS).expect("a table");
                    for (host, seen) in (0_u32..).zip(&seen) {
                        let mut row = [0; 25];
                        row[0] = seen.state as u8;
                        if let (Some(skew), Some(delay)) = (seen.skew, seen.delay) {
                            let values = [skew.lo(), skew.hi(), delay];
                            for (place, value) in row[1..].chunks_exact_mut(8).zip(values) {
                                place.copy_from_slice(&value.as_nanos().to_le_bytes());
                            }
                        }
                        rows.insert((host, NOON + MINUTE * minute), row).expect("inserted");
                    }
                }
                transaction.commit().expect("committed");
            })
            .1
        })
        .collect();
    took.sort();
    let theirs = took[took.len() / 2];
    let (length, disk) = size(&path);
    println!(
        "a row for each host and sweep: {sweeps} sweeps, median {theirs:?} a sweep, {:.1} times ours; file {} MiB long, {} MiB of the disk",
        theirs.as_secs_f64() / ours.as_secs_f64(),
        mib(length),
        mib(disk)
    );
    let transaction = database.begin_read().expect("a transaction");
    let rows = transaction.open_table(ROWS).expect("a table");
    let host = u32::try_from(names.len() / 2).expect("few hosts");
    let (found, one) = timed(|| rows.range((host, i64::MIN)..(host + 1, i64::MIN)).expect("a range").count());
    let (all, map) = timed(|| {
        let rows = rows.range::<(u32, i64)>(..).expect("a range");
        rows.filter(|row| row.as_ref().is_ok_and(|(_, row)| row.value()[0] != State::InSync as u8)).count()
    });
    println!("one host {one:?} ({found} rows), all of all {map:?} ({all} not in sync)");
}

/// Years in a few thousand sweeps: every tier as full as it gets.
fn fill(history: &History, names: &[String], path: &Path, mut second: i64) {
    let mut random = Rng::with_seed(2);
    let tiers = history.retention().tiers().to_vec();
    for tier in tiers.iter().rev().filter(|tier| tier.span_s > 1) {
        for _ in 0..tier.cells {
            second += i64::from(tier.span_s);
            history.append_observed(at(second), &sweep(names, &mut random)).expect("kept");
        }
        let (length, disk) = size(path);
        println!(
            "cells of {} s filled: file {} MiB long, {} MiB of the disk",
            tier.span_s,
            mib(length),
            mib(disk)
        );
    }
    for (what, length) in [("90 days", 90 * 86_400), ("400 days", 400 * 86_400)] {
        let name = &names[names.len() / 2];
        let (found, one) =
            timed(|| history.host(name, at(second - length), at(second), 500).expect("points").len());
        let (_, map) = timed(|| history.heat_map(at(second - length), at(second), 120).expect("a map"));
        println!("{what}: one host {one:?}, {found} points; heat map {map:?}");
    }
}
