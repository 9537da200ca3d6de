//! What a history has confirmed it keeps, whatever instant its process is killed at: a prefix of the sweeps, each whole, in every tier, and
//! the alarms that were said.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use fastrand::Rng;
use skewgate::clock::OffsetInterval;
use skewgate::fleet::history::{History, Observed, Point, Retention, Tier};
use skewgate::fleet::{Alarms, Standing, State};
use skewgate::time::{SignedDuration, Timestamp};

const KILLS: u64 = 50;
/// How the child knows what it is: where its history is.
const CHILD: &str = "SKEWGATE_HISTORY_KILLS_CHILD";
/// Several rows a cell.
const HOSTS: i64 = 700;
const NOON: i64 = 1_795_348_800;
/// Between two sweeps, in seconds.
const STEP: i64 = 20;

fn at(sweep: i64) -> Timestamp {
    Timestamp::from_unix_seconds(NOON + STEP * sweep).expect("a date")
}

fn skew(host: i64, sweep: i64) -> (i64, i64) {
    let lo = (host * 7_919 + sweep * 104_729) % 90_001 - 45_000;
    (lo, lo + 1 + (host + sweep) % 500)
}

fn is_silent(host: i64, sweep: i64) -> bool {
    (host + sweep) % 13 == 0
}

fn seen(name: &str, host: i64, sweep: i64) -> Observed<'_> {
    let (lo, hi) = skew(host, sweep);
    if is_silent(host, sweep) {
        return Observed { host: name, state: State::Unreachable, skew: None, delay: None };
    }
    let skew = OffsetInterval::new(SignedDuration::from_micros(lo), SignedDuration::from_micros(hi));
    Observed { host: name, state: State::InSync, skew, delay: Some(SignedDuration::from_micros(hi - lo)) }
}

fn names() -> Vec<String> {
    (0..HOSTS).map(|host| format!("host{host}")).collect()
}

/// What is said after so many sweeps: each is followed by one that fails.
fn standing(sweeps: i64) -> Standing {
    let mut alarms = Alarms::default();
    for sweep in 0..sweeps {
        alarms.judge_failure(at(sweep));
    }
    alarms.standing()
}

fn open(path: &Path) -> History {
    let tiers = [Tier::new(300, 100_000), Tier::new(3_600, 100_000)];
    let retention = Retention::new(100_000, &tiers, 1 << 30).expect("it makes sense");
    History::open(path, retention).expect("a history that can be opened after every kill")
}

/// How many sweeps there are.
fn count(history: &History) -> i64 {
    let points = history.host("host0", at(0), at(1_000_000), 1).expect("it can be read");
    points.iter().map(|point| i64::from(point.sweeps)).sum()
}

/// Not a test of its own: the process that is killed.
#[test]
fn append_until_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    // One line, in one system call: killed or not, it is told whole or not at all.
    let tell = |line: &str, sweep: i64| {
        let line = format!("@{line} {sweep}\n");
        std::io::stdout().lock().write_all(line.as_bytes()).expect("the parent reads");
    };
    let history = open(Path::new(&path));
    let names = names();
    let mut sweep = count(&history);
    tell("ready", sweep);
    loop {
        let seen: Vec<_> = (0..).zip(&names).map(|(host, name)| seen(name, host, sweep)).collect();
        tell("begin", sweep);
        history.append_observed(at(sweep), &seen).expect("it is kept");
        tell("kept", sweep);
        history.set_standing(&standing(sweep + 1)).expect("it is kept");
        tell("said", sweep);
        sweep += 1;
    }
}

/// What a child told before it was killed.
#[derive(Default)]
struct Told {
    ready: bool,
    /// The last sweep that was begun, kept, and followed by what was said.
    begun: Option<i64>,
    kept: Option<i64>,
    said: Option<i64>,
}

fn live_and_die(path: &Path, random: &mut Rng) -> Told {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "append_until_killed", "--nocapture"])
        .env(CHILD, path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut told = Told::default();
    // One in eight dies while it is starting: opening repairs what the kill before has left, and may be killed too.
    let starting = random.u64(..8) == 0;
    while !starting && !told.ready {
        told.hear(&lines.next().expect("a child that tells when it is ready").expect("a line"));
    }
    let wait = Duration::from_micros(random.u64(..if starting { 60_000 } else { 250_000 }));
    let killer = std::thread::spawn(move || {
        std::thread::sleep(wait);
        // SIGKILL.
        child.kill().expect("killed");
        child.wait().expect("its status")
    });
    lines.for_each(|line| told.hear(&line.expect("a line")));
    let status = killer.join().expect("a status");
    assert_eq!(status.code(), None, "the child ended by itself: {status}");
    told
}

impl Told {
    fn hear(&mut self, line: &str) {
        // The test harness talks too.
        let Some((_, line)) = line.split_once('@') else { return };
        let (what, sweep) = line.split_once(' ').expect("two words");
        let sweep = Some(sweep.parse().expect("a number"));
        match what {
            "ready" => self.ready = true,
            "begin" => self.begun = sweep,
            "kept" => self.kept = sweep,
            "said" => self.said = sweep,
            _ => panic!("not understood: {line}"),
        }
    }
}

/// What a host's points must be, where each covers so many seconds.
fn check(points: &[Point], host: i64, sweeps: i64, span: i64) {
    let mut expected = Vec::new();
    let mut sweep = 0;
    while sweep < sweeps {
        let start = (NOON + STEP * sweep).div_euclid(span) * span;
        let mut within = Vec::new();
        while sweep < sweeps && NOON + STEP * sweep < start + span {
            within.push(sweep);
            sweep += 1;
        }
        expected.push((start, within));
    }
    assert_eq!(points.len(), expected.len(), "host {host}, cells of {span} s");
    for (point, (start, within)) in points.iter().zip(expected) {
        assert_eq!((point.at.as_unix_seconds(), point.sweeps as usize), (start, within.len()), "host {host}");
        let bounds: Vec<_> =
            within.iter().filter(|sweep| !is_silent(host, **sweep)).map(|sweep| skew(host, *sweep)).collect();
        let micros = |micros: Option<i64>| micros.map(SignedDuration::from_micros);
        let lo = micros(bounds.iter().map(|bound| bound.0).min());
        let hi = micros(bounds.iter().map(|bound| bound.1).max());
        assert_eq!(point.skew, lo.zip(hi).and_then(|(lo, hi)| OffsetInterval::new(lo, hi)), "host {host}");
        assert_eq!(point.missed as usize, within.len() - bounds.len(), "host {host}");
    }
}

#[test]
fn a_killed_process_has_lost_nothing_that_it_confirmed() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("history.redb");
    let mut random = Rng::with_seed(1);
    let (mut kept, mut said) = (0, 0);
    let (mut in_write, mut unconfirmed, mut in_opening) = (0, 0, 0);
    for kill in 0..KILLS {
        let told = live_and_die(&path, &mut random);
        let history = open(&path);
        let sweeps = count(&history);
        // All that was confirmed, and at most the one that was being written.
        let confirmed = told.kept.map_or(kept, |sweep| sweep + 1);
        let begun = told.begun.map_or(confirmed, |sweep| sweep + 1);
        assert!(confirmed <= sweeps && sweeps <= begun, "kill {kill}: {confirmed} <= {sweeps} <= {begun}");
        in_write += u64::from(begun > confirmed);
        unconfirmed += u64::from(sweeps > confirmed);
        in_opening += u64::from(!told.ready);
        // A few hosts from the beginning, all of them as they were last.
        let all = |host: i64, from: i64, points: usize| {
            let name = format!("host{host}");
            history.host(&name, at(from), at(sweeps + 1), points).expect("it can be read")
        };
        let seconds = usize::try_from(STEP * (sweeps + 1)).expect("not many");
        let cells = STEP * sweeps / 300 + 1;
        let end = at(0) + SignedDuration::from_secs(300 * cells);
        for host in [0, 1, 349, HOSTS - 1] {
            check(&all(host, 0, seconds), host, sweeps, 1);
            let cells = usize::try_from(cells).expect("not many");
            let points = history.host(&format!("host{host}"), at(0), end, cells).expect("it can be read");
            check(&points, host, sweeps, 300);
        }
        for host in 0..if sweeps > 0 { HOSTS } else { 0 } {
            let points = all(host, sweeps - 1, 1);
            let (lo, hi) = skew(host, sweeps - 1);
            let last =
                points.last().unwrap_or_else(|| panic!("kill {kill}: host {host} is not in the last sweep"));
            assert_eq!(last.missed == 1, is_silent(host, sweeps - 1));
            if let Some(skew) = last.skew {
                assert_eq!((skew.lo().as_nanos(), skew.hi().as_nanos()), (lo * 1_000, hi * 1_000));
            }
        }
        // What was said is that of the last time that it was confirmed, or of one that was being written.
        let last_said = told.said.map_or(said, |sweep| sweep + 1);
        let found = history.standing().expect("it can be read");
        let possible = (last_said..=sweeps).find(|sweeps| found.as_ref() == Some(&standing(*sweeps)));
        said = possible.unwrap_or_else(|| {
            assert!(found.is_none() && last_said == 0, "kill {kill}: what was said is lost");
            0
        });
        kept = sweeps;
    }
    println!(
        "kills={KILLS} sweeps={kept} killed_in_write={in_write} unconfirmed_kept={unconfirmed} killed_in_opening={in_opening}"
    );
    assert!(in_write > KILLS / 4, "the kills hit nothing");
    assert!(kept > i64::try_from(KILLS).expect("few"), "too little was written");
}
