//! What is read from a history. Pure.

use std::time::Duration;

use super::record::Record;
use crate::clock::OffsetInterval;
use crate::fleet::State;
use crate::time::{SignedDuration, Timestamp};

/// What was seen of a host in some stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Point {
    /// Where the stretch begins, by the system clock of the host that measured.
    pub at: Timestamp,
    /// How long it is: a second for a single sweep.
    pub span: Duration,
    /// How many sweeps asked the host.
    pub sweeps: u32,
    /// In how many of them it was not read.
    pub missed: u32,
    /// The worst of its states: the first in the order of [`State::ALL`].
    pub state: State,
    /// Its time minus true time: all that the bounds of any of the sweeps allowed, rounded outward to microseconds. `None` where it was
    /// not compared with true time.
    pub skew: Option<OffsetInterval>,
    /// The mean of the middles of those bounds.
    pub typical: Option<SignedDuration>,
    /// The smallest round trip, where it was read.
    pub delay: Option<SignedDuration>,
}

impl Point {
    /// From a record of what happened between two seconds.
    pub(super) fn new(start_s: i64, end_s: i64, record: &Record) -> Self {
        let delay = |micros: u64| SignedDuration::from_micros(i64::try_from(micros).unwrap_or(i64::MAX));
        Self {
            at: timestamp(start_s),
            span: Duration::from_secs(end_s.saturating_sub(start_s).max(0).unsigned_abs()),
            sweeps: record.sweeps,
            missed: record.missed,
            state: record.state,
            skew: record.skew.and_then(|skew| skew.hull()),
            typical: record.skew.map(|skew| skew.typical()),
            delay: record.delay_us.map(delay),
        }
    }
}

fn timestamp(second: i64) -> Timestamp {
    let nanos = SignedDuration::saturating_from_nanos(i128::from(second) * 1_000_000_000);
    Timestamp::from_unix_nanos(nanos.as_nanos())
}

/// Equal parts of a range of time, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) from_s: i64,
    pub(super) step_s: i64,
    pub(super) count: usize,
}

impl Columns {
    /// At most so many, and at least one, from a second until before another.
    pub(super) fn new(from_s: i64, to_s: i64, most: usize) -> Self {
        let most = i64::try_from(most).unwrap_or(i64::MAX).max(1);
        let length = to_s.saturating_sub(from_s).max(1);
        let step_s = length / most + i64::from(length % most > 0);
        let count = length / step_s + i64::from(length % step_s > 0);
        Self { from_s, step_s, count: usize::try_from(count).unwrap_or(usize::MAX) }
    }

    /// That in which a second lies; the first for those before it, the last for those behind it.
    pub(super) fn of(&self, second: i64) -> usize {
        let column = second.saturating_sub(self.from_s).max(0) / self.step_s;
        usize::try_from(column).unwrap_or(usize::MAX).min(self.count.saturating_sub(1))
    }
}

/// One host's cells, put together such that there are no more than asked for.
#[derive(Debug)]
pub(super) struct Points {
    columns: Columns,
    points: Vec<Point>,
    /// Of the column that is being filled: its place, its start and end, and what was there.
    open: Option<(usize, i64, i64, Record)>,
}

impl Points {
    pub(super) const fn new(columns: Columns) -> Self {
        Self { columns, points: Vec::new(), open: None }
    }

    /// One cell more; they come in the order of time.
    pub(super) fn push(&mut self, start_s: i64, end_s: i64, record: Record) {
        let column = self.columns.of(start_s);
        self.open = match self.open.take() {
            Some((place, start, end, before)) if place == column => {
                Some((place, start, end.max(end_s), before.and(record)))
            }
            before => {
                self.close(before);
                Some((column, start_s, end_s, record))
            }
        };
    }

    fn close(&mut self, open: Option<(usize, i64, i64, Record)>) {
        if let Some((_, start, end, record)) = open {
            self.points.push(Point::new(start, end, &record));
        }
    }

    pub(super) fn finish(mut self) -> Vec<Point> {
        let open = self.open.take();
        self.close(open);
        self.points
    }
}

/// The worst state of each host in equal parts of a range of time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeatMap {
    /// Where the first column begins, by the system clock of the host that measured.
    pub from: Timestamp,
    /// How much time a column covers.
    pub step: Duration,
    /// How many there are.
    pub columns: usize,
    /// The hosts of which anything is known in that time, in the order in which they came into the history.
    pub rows: Vec<HeatRow>,
}

/// One host of a [`HeatMap`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeatRow {
    /// What its user calls it.
    pub host: Box<str>,
    /// Its worst state in each column: the first in the order of [`State::ALL`]. `None` where nothing is known.
    pub states: Box<[Option<State>]>,
}

impl HeatMap {
    pub(super) fn new(columns: Columns, rows: Vec<HeatRow>) -> Self {
        Self {
            from: timestamp(columns.from_s),
            step: Duration::from_secs(columns.step_s.unsigned_abs()),
            columns: columns.count,
            rows,
        }
    }
}

impl HeatRow {
    /// With nothing known yet.
    pub(super) fn new(host: Box<str>, columns: &Columns) -> Self {
        Self { host, states: vec![None; columns.count].into() }
    }

    /// A state that it had in a column.
    pub(super) fn add(&mut self, column: usize, state: State) {
        if let Some(cell) = self.states.get_mut(column) {
            *cell = Some(cell.map_or(state, |before| before.min(state)));
        }
    }
}
