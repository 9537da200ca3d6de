//! From a path to a database that is one of ours.

use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, WriteTransaction};

use crate::database::{self, OpenFault};

use super::journal::{JOURNAL, Journal, SETTLING};
use super::table::{META, ROWS, SCHEMA, Snapshot};
use super::writer::durably;

/// How entries are laid out. A release that changes it reads the older ones too.
const KNOWN_SCHEMA: i64 = 2;

/// The one before it, which had no journal.
const WITHOUT_JOURNAL: i64 = 1;

/// Why there is no [`EmbeddedStore`](super::EmbeddedStore).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open, or this one has.
    #[error("{} is open already: one process has it at a time, and one store in that", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is damaged.
    #[error("{} is damaged ({what}): restore it, then call `Validator::restored`", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// It is something else.
    #[error("{} is not a store of skewgate: name another file, or one that doesn't exist yet", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// It was written by a later release.
    #[error("{} has schema {found}, only {known} is known: use the release of skewgate that wrote it", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The latest that is understood.
        known: i64,
    },
    /// It can't be read or written.
    #[error("{} can't be opened: {source}; check its directory's permissions and the space on the disk", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl OpenError {
    pub(super) fn failed(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Failed { path: path.into(), source: source.into() }
    }

    fn new(path: &Path, fault: OpenFault) -> Self {
        let path = path.to_path_buf();
        match fault {
            OpenFault::InUse => Self::InUse { path },
            OpenFault::Corrupt(what) => Self::Corrupt { path, what },
            OpenFault::Foreign => Self::NotAStore { path },
            OpenFault::Failed(source) => Self::Failed { path, source },
        }
    }
}

/// The database at `path`, which is made if nothing is there, and what is in it.
pub(super) fn open(path: &Path, cache_bytes: usize) -> Result<(Database, Journal, Snapshot), OpenError> {
    let database = database::open(path, cache_bytes, make).map_err(|fault| OpenError::new(path, fault))?;
    let failed = |error: redb::Error| OpenError::new(path, error.into());
    match schema(&database).map_err(failed)? {
        Some(KNOWN_SCHEMA) => {}
        Some(WITHOUT_JOURNAL) => durably(&database, make_journal).map_err(failed)?,
        Some(found) => return Err(OpenError::Schema { path: path.into(), found, known: KNOWN_SCHEMA }),
        None => return Err(OpenError::NotAStore { path: path.into() }),
    }
    let (journal, snapshot) = read(&database).map_err(failed)?;
    Ok((database, journal, snapshot))
}

fn schema(database: &Database) -> Result<Option<i64>, redb::Error> {
    Ok(database.begin_read()?.open_table(META)?.get(SCHEMA)?.map(|schema| schema.value()))
}

fn read(database: &Database) -> Result<(Journal, Snapshot), redb::Error> {
    let transaction = database.begin_read()?;
    let (mut journal, pending) = Journal::read(&transaction)?;
    let mut snapshot = Snapshot::of(&transaction, pending)?;
    // Now, and not after the first transaction: there may be no second one before the process ends.
    if journal.is_long(snapshot.row_count()?) {
        journal.begin_settling(&mut snapshot.pending);
    }
    Ok((journal, snapshot))
}

/// Makes an empty store of an empty database.
fn make(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(ROWS)?;
    make_journal(transaction)
}

/// From now on a release that doesn't look into it doesn't open this.
fn make_journal(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(JOURNAL)?;
    transaction.open_table(SETTLING)?;
    transaction.open_table(META)?.insert(SCHEMA, KNOWN_SCHEMA)?;
    Ok(())
}
