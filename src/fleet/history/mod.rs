//! What sweeps found, kept in one file of this machine.
//!
//! Every sweep is one transaction: it is kept whole or not at all, and what [`History::append`] has confirmed survives the process, killed
//! at any instant, and the machine, as far as its disks keep what they confirm. Reads don't wait for writes.
//!
//! # What is kept
//!
//! [`Retention`] says it in tiers: single sweeps for a day, then cells of five minutes, an hour and six hours, ever longer. A cell holds of
//! each host how many sweeps asked it and how many got no answer, the worst state, the hull of all bounds of its skew, the
//! mean of their middles, and the smallest round trip. Each sweep goes into the present cell of each tier at once; so nothing has to be
//! put together later, and a killed process leaves nothing half done.
//!
//! Time is what the system clock of the host that measured showed ([`Report::measured_at`]). Where it jumps, the history has sweeps at the
//! date that it showed, and what was there before stays: cells are counted, never compared with a clock. A host has its history by the
//! name that its user gave it ([`Host::as_given`](super::Host::as_given)); one that left the inventory is forgotten with its last cell.
//!
//! # What it takes
//!
//! A host takes about 8 bytes of a cell (7 to 12: the farther off a clock is, and the wider its bounds, the more), and its name once. In the
//! default tiers there are 9,232 cells:
//!
//! | cells | for | cells kept | a host | 10,000 hosts |
//! | --- | --- | --- | --- | --- |
//! | single sweeps, one a minute | a day | 1,440 | 12 kB | 115 MB |
//! | 5 min | 14 days | 4,032 | 32 kB | 323 MB |
//! | 1 h | 90 days | 2,160 | 17 kB | 173 MB |
//! | 6 h | 400 days | 1,600 | 13 kB | 128 MB |
//! | | | 9,232 | 74 kB | 739 MB |
//!
//! Measured with 10,000 hosts (`benches/RESULTS.md`): 133 MiB of the disk after the first day, 681 MiB with all tiers full. The file's length may
//! be up to twice that: it grows ahead, without using the space.
//!
//! Where that is more than [`Retention::max_bytes`], the tier that takes most gives up its oldest cells.
//!
//! # The file
//!
//! It is a [`redb`] database and needs nothing beside it. One process has it at a time ([`HistoryError::InUse`]); a copy for a backup is
//! taken while no process has it open. Opening it reads it whole and verifies every page's checksum: what is damaged is
//! [`HistoryError::Corrupt`].
//!
//! ```
//! use skewgate::fleet::State;
//! use skewgate::fleet::history::{History, Observed, Retention};
//! use skewgate::time::{SignedDuration, Timestamp};
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("history.redb");
//! let history = History::open(&path, Retention::default())?;
//! let noon: Timestamp = "2026-11-22T12:00:00Z".parse()?;
//! let minutes = |minutes: i64| SignedDuration::from_secs(60 * minutes);
//! for minute in 0..30 {
//!     let state = if minute == 20 { State::Unreachable } else { State::InSync };
//!     // What `append` makes of a report.
//!     let seen = [Observed { host: "web1", state, skew: None, delay: None }];
//!     history.append_observed(noon + minutes(minute), &seen)?;
//! }
//!
//! let points = history.host("web1", noon, noon + minutes(30), 500)?;
//! assert_eq!(points.len(), 30);
//! let map = history.heat_map(noon, noon + minutes(30), 3)?;
//! assert_eq!(*map.rows[0].states, [Some(State::InSync), Some(State::InSync), Some(State::Unreachable)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod point;
mod read;
mod record;
mod retention;
pub mod row;
mod tables;

pub use error::HistoryError;
pub use point::{HeatMap, HeatRow, Point};
pub use record::Observed;
pub use retention::{Retention, RetentionError, Tier};

use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase};

use super::{Report, Standing};
use crate::database;
use crate::time::Timestamp;
use error::Fault;
use point::Columns;
use tables::{ALARMS, KNOWN_SCHEMA, META, SCHEMA, STANDING, Writing};

/// How many bytes of the file are kept in memory at the most: all that a sweep of 10,000 hosts touches, many times over.
const CACHE_BYTES: usize = 32 << 20;

/// What sweeps found, in a file: see the [module](self).
///
/// It can be shared between threads: one writes at a time, and reading doesn't wait for that.
pub struct History {
    database: Database,
    retention: Retention,
    path: PathBuf,
}

impl History {
    /// Opens the history in this file, or begins one where no file is.
    ///
    /// Tiers that are not in `retention` any more are removed with the next sweep.
    ///
    /// # Errors
    ///
    /// [`HistoryError`] where the file is in use, damaged, not a history, of a later release, or can't be read and written.
    pub fn open(path: impl AsRef<Path>, retention: Retention) -> Result<Self, HistoryError> {
        let path = path.as_ref();
        let open = || -> Result<Database, Fault> {
            let database = database::open(path, CACHE_BYTES, tables::make).map_err(Fault::Database)?;
            let transaction = database.begin_read()?;
            let schema = transaction.open_table(META)?.get(SCHEMA)?.map(|schema| schema.value());
            match schema {
                Some(KNOWN_SCHEMA) => {}
                Some(found) => return Err(Fault::Schema { found, known: KNOWN_SCHEMA }),
                None => return Err(Fault::Database(database::OpenFault::Foreign)),
            }
            drop(transaction);
            Ok(database)
        };
        let database = open().map_err(|fault| HistoryError::new(path, fault))?;
        Ok(Self { database, retention, path: path.into() })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is kept.
    #[must_use]
    pub const fn retention(&self) -> &Retention {
        &self.retention
    }

    /// Adds a sweep. Once this returns, it is on the disk.
    ///
    /// # Errors
    ///
    /// [`HistoryError`] where it can't be written. Then nothing of the sweep is kept.
    pub fn append(&self, report: &Report) -> Result<(), HistoryError> {
        let seen: Vec<Observed<'_>> =
            report.rows().map(|(host, report)| Observed::new(host.as_given(), report)).collect();
        self.append_observed(report.measured_at, &seen)
    }

    /// Adds a sweep that was made elsewhere, or of which there is no report any more. One without hosts leaves nothing.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    pub fn append_observed(&self, measured_at: Timestamp, seen: &[Observed<'_>]) -> Result<(), HistoryError> {
        if seen.is_empty() {
            return Ok(());
        }
        self.write(|transaction| {
            Writing::new(transaction)?.sweep(&self.retention, measured_at.as_unix_seconds(), seen)
        })
    }

    fn write(
        &self,
        change: impl FnOnce(&redb::WriteTransaction) -> Result<(), Fault>,
    ) -> Result<(), HistoryError> {
        let write = || {
            let mut transaction = self.database.begin_write()?;
            // With one phase, an opening after a crash takes the transaction before where the last one doesn't look whole, for whatever
            // reason: a confirmed sweep would be forgotten.
            transaction.set_two_phase_commit(true);
            change(&transaction)?;
            Ok(transaction.commit()?)
        };
        write().map_err(|fault| HistoryError::new(&self.path, fault))
    }

    /// What is known of a host from one moment until before another, in at most so many points, one at the least; none where
    /// nothing is known of it.
    ///
    /// It is read from the coarsest tier that still has that many, or from a coarser one where that reaches further back.
    ///
    /// # Errors
    ///
    /// [`HistoryError`] where the file can't be read.
    pub fn host(
        &self,
        name: &str,
        from: Timestamp,
        to: Timestamp,
        most_points: usize,
    ) -> Result<Vec<Point>, HistoryError> {
        let (from_s, to_s) = seconds(from, to);
        let columns = Columns::new(from_s, to_s, most_points);
        self.read(|transaction| read::host(transaction, self.retention.tiers(), name, columns, to_s))
    }

    /// The worst state of each host in equal parts of the time from one moment until before another: at most so many, and one at
    /// the least. A cell that is in two parts counts for the earlier one.
    ///
    /// # Errors
    ///
    /// [`HistoryError`] where the file can't be read.
    pub fn heat_map(
        &self,
        from: Timestamp,
        to: Timestamp,
        most_columns: usize,
    ) -> Result<HeatMap, HistoryError> {
        let (from_s, to_s) = seconds(from, to);
        let columns = Columns::new(from_s, to_s, most_columns);
        self.read(|transaction| read::heat_map(transaction, self.retention.tiers(), columns, to_s))
    }

    /// What alarms were last said, as [`set_standing`](Self::set_standing) was told; `None` where it never was.
    ///
    /// # Errors
    ///
    /// [`HistoryError`] where the file can't be read.
    pub fn standing(&self) -> Result<Option<Standing>, HistoryError> {
        self.read(|transaction| {
            let kept = transaction.open_table(ALARMS)?.get(STANDING)?;
            let standing = kept.map(|bytes| Standing::from_bytes(bytes.value())).transpose();
            standing.map_err(|error| Fault::Entry(error.to_string()))
        })
    }

    /// Keeps what alarms were last said. Nothing is written where that is kept already.
    ///
    /// # Errors
    ///
    /// [`HistoryError`] where it can't be written.
    pub fn set_standing(&self, standing: &Standing) -> Result<(), HistoryError> {
        let bytes = standing.to_bytes();
        let same = self.read(|transaction| {
            let kept = transaction.open_table(ALARMS)?.get(STANDING)?;
            Ok(kept.is_some_and(|kept| kept.value() == bytes))
        })?;
        if same {
            return Ok(());
        }
        self.write(|transaction| {
            transaction.open_table(ALARMS)?.insert(STANDING, bytes.as_slice())?;
            Ok(())
        })
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&redb::ReadTransaction) -> Result<T, Fault>,
    ) -> Result<T, HistoryError> {
        let begin = self.database.begin_read().map_err(Fault::from);
        begin.and_then(|transaction| read(&transaction)).map_err(|fault| HistoryError::new(&self.path, fault))
    }
}

/// A range of time in whole seconds: from the one in which it begins, until before another.
fn seconds(from: Timestamp, to: Timestamp) -> (i64, i64) {
    let to = to.as_unix_seconds() + i64::from(to.as_unix_nanos().rem_euclid(1_000_000_000) > 0);
    (from.as_unix_seconds(), to)
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
