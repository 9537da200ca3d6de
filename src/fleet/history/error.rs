//! What goes wrong with a history.

use std::error::Error;
use std::path::{Path, PathBuf};

use super::row::RowError;
use crate::database::OpenFault;

/// Why a history can't be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// Another process has it open, or this one has.
    #[error("{} is open already: one process has it at a time, and one history in that", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is damaged.
    #[error("{} is damaged ({what}): restore it, or move it away, and a new one is begun", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// It is something else.
    #[error("{} is not a history of skewgate: name another file, or one that doesn't exist yet", path.display())]
    NotAHistory {
        /// The file.
        path: PathBuf,
    },
    /// It was written by a later release.
    #[error("{} has schema {found}, only {known} is known: use the release of skewgate that wrote it", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u64,
        /// The latest that is understood.
        known: u64,
    },
    /// It can't be read or written. After a failed write nothing works before it is opened again: what is on the disk isn't known until
    /// then.
    #[error("{} failed: {source}; check its directory's permissions and the space on the disk, then open it again", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl HistoryError {
    pub(super) fn new(path: &Path, fault: Fault) -> Self {
        let path = path.to_path_buf();
        match fault {
            Fault::Entry(what) => Self::Corrupt { path, what },
            Fault::Schema { found, known } => Self::Schema { path, found, known },
            Fault::Database(fault) => match fault {
                OpenFault::InUse => Self::InUse { path },
                OpenFault::Corrupt(what) => Self::Corrupt { path, what },
                OpenFault::Foreign => Self::NotAHistory { path },
                OpenFault::Failed(source) => Self::Failed { path, source },
            },
        }
    }
}

/// As [`HistoryError`], before the path is known.
#[derive(Debug)]
pub(super) enum Fault {
    /// What is there isn't understood.
    Entry(String),
    /// It was written by a later release.
    Schema { found: u64, known: u64 },
    /// The database failed.
    Database(OpenFault),
}

impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Database(error.into().into())
    }
}

impl From<RowError> for Fault {
    fn from(error: RowError) -> Self {
        Self::Entry(error.to_string())
    }
}
