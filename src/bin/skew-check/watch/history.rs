//! The history as it is asked for: `skew-check/history/1`. The README documents it, and SemVer applies.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Serialize, Serializer};

use skewgate::fleet::history::{HeatRow, History, HistoryError, Point, Retention};
use skewgate::fleet::{Report, State};
use skewgate::time::{SignedDuration, Timestamp};

use super::problem::Problem;
use super::query::Stretch;
use super::state::uptime;
use crate::output::nanos;

const SCHEMA: &str = "skew-check/history/1";

/// What is shown where nothing is known.
const NOTHING: u8 = b'.';

/// An opening reads the whole file. Where one after the other fails, so many times what it took passes before the next.
const PAUSE: u32 = 10;

/// The history. A database that failed once has to be opened again before it can be used.
pub(super) struct Keeper {
    file: PathBuf,
    retention: Retention,
    open: Mutex<Option<Arc<History>>>,
    /// Before then it isn't opened again.
    next: Mutex<Option<SignedDuration>>,
}

impl Keeper {
    pub(super) fn open(file: &Path, retention: Retention) -> Result<Self, HistoryError> {
        let history = History::open(file, retention.clone())?;
        Ok(Self {
            file: file.to_owned(),
            retention,
            open: Mutex::new(Some(Arc::new(history))),
            next: Mutex::new(None),
        })
    }

    /// The history, while it is open.
    fn get(&self) -> Option<Arc<History>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Does something with it; opens it again first, where it failed before.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&History) -> Result<T, HistoryError>,
    ) -> Result<T, HistoryError> {
        let history = match self.get() {
            Some(history) => history,
            None => {
                let history = Arc::new(self.open_again()?);
                *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(history.clone());
                history
            }
        };
        let done = work(&history);
        if matches!(done, Err(HistoryError::Failed { .. })) {
            *self.open.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        done
    }

    fn open_again(&self) -> Result<History, HistoryError> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = uptime();
        if next.is_some_and(|next| begun < next) {
            let source = "it failed a while ago, and is tried again later".into();
            return Err(HistoryError::Failed { path: self.file.clone(), source });
        }
        let opened = History::open(&self.file, self.retention.clone());
        let ended = uptime();
        *next = Some(ended + SignedDuration::from((ended - begun).unsigned_abs().saturating_mul(PAUSE)));
        opened
    }

    pub(super) fn append(&self, report: &Report) -> Result<(), HistoryError> {
        self.with(|history| history.append(report))
    }

    fn read<T>(&self, work: impl FnOnce(&History) -> Result<T, HistoryError>) -> Result<T, Problem> {
        let history = self.get().ok_or_else(|| Problem::failed("the history can't be read at the moment"))?;
        work(&history).map_err(|error| Problem::failed(&error.to_string()))
    }
}

#[derive(Serialize)]
struct HeatMapObject {
    schema: &'static str,
    from: i64,
    to: i64,
    step_s: u64,
    columns: usize,
    states: [&'static str; State::ALL.len()],
    hosts: Rows,
}

struct Rows(Vec<HeatRow>);

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|row| RowObject { host: &row.host, row: shown(row) }))
    }
}

#[derive(Serialize)]
struct RowObject<'a> {
    host: &'a str,
    row: String,
}

/// One character a column: the place of the worst state in `states`.
fn shown(row: &HeatRow) -> String {
    let place = |state: State| State::ALL.iter().position(|other| *other == state);
    let digit = |state: &Option<State>| match state.and_then(place).map(u8::try_from) {
        Some(Ok(place)) => char::from(b'0' + place),
        _ => char::from(NOTHING),
    };
    row.states.iter().map(digit).collect()
}

#[derive(Serialize)]
struct HostObject<'a> {
    schema: &'static str,
    host: &'a str,
    from: i64,
    to: i64,
    points: Vec<PointObject>,
}

#[derive(Serialize)]
struct PointObject {
    at: i64,
    span_s: u64,
    sweeps: u32,
    missed: u32,
    state: &'static str,
    earliest_ns: Option<i64>,
    latest_ns: Option<i64>,
    skew_ns: Option<i64>,
    delay_ns: Option<u64>,
}

impl From<&Point> for PointObject {
    fn from(point: &Point) -> Self {
        Self {
            at: point.at.as_unix_seconds(),
            span_s: point.span.as_secs(),
            sweeps: point.sweeps,
            missed: point.missed,
            state: point.state.name(),
            earliest_ns: point.skew.map(|skew| skew.lo().as_nanos()),
            latest_ns: point.skew.map(|skew| skew.hi().as_nanos()),
            skew_ns: point.typical.map(|typical| typical.as_nanos()),
            delay_ns: point.delay.map(|delay| nanos(delay.unsigned_abs())),
        }
    }
}

fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_unix_nanos(seconds.saturating_mul(1_000_000_000))
}

/// The worst states of all hosts.
pub(super) fn heat_map(keeper: &Keeper, stretch: Stretch, columns: usize) -> Result<Vec<u8>, Problem> {
    let Stretch { from_s, to_s } = stretch;
    let map = keeper.read(|history| history.heat_map(moment(from_s), moment(to_s), columns))?;
    written(&HeatMapObject {
        schema: SCHEMA,
        from: map.from.as_unix_seconds(),
        to: to_s,
        step_s: map.step.as_secs(),
        columns: map.columns,
        states: State::ALL.map(State::name),
        hosts: Rows(map.rows),
    })
}

/// What is known of one host; `known`: it is in the inventory, so that nothing is an answer too.
pub(super) fn host(
    keeper: &Keeper,
    stretch: Stretch,
    name: &str,
    points: usize,
    known: bool,
) -> Result<Vec<u8>, Problem> {
    let Stretch { from_s, to_s } = stretch;
    let found = keeper.read(|history| history.host(name, moment(from_s), moment(to_s), points))?;
    if found.is_empty() && !known {
        return Err(Problem::no_such_host(name));
    }
    written(&HostObject {
        schema: SCHEMA,
        host: name,
        from: from_s,
        to: to_s,
        points: found.iter().map(PointObject::from).collect(),
    })
}

fn written(object: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(object).map_err(|error| Problem::failed(&error.to_string()))
}
