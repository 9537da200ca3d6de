//! States in one file of this machine: the store for a service that runs in one process.
//!
//! What was answered is on the disk: it survives the process, killed at any instant, and the machine, as far as its disks keep what
//! they confirm. One thread writes, and all that came while the disk was busy in one transaction; so many logins cost one
//! wait for the disk. A transaction adds to a journal, a page or two wherever the tokens' rows are; the rows are brought up to date
//! by and by. Reads don't wait for writes.
//!
//! # The file
//!
//! It is a [`redb`] database and needs nothing beside it. One process has it at a time ([`OpenError::InUse`]); a copy for a backup is
//! taken while no process has it open, or by [`ManageStore::scan`]. Whatever brings an old copy back, a restored disk or virtual machine
//! included, is followed by [`Validator::restored`](crate::validator::Validator::restored) before the first login: the store
//! can't know that it has gone back in time.
//!
//! Opening it reads it whole and verifies every page's checksum, some tenths of a second for a million tokens: what is damaged is
//! [`OpenError::Corrupt`]. A token takes about 150 bytes of the disk with an id of 16, and 110 once the store is closed. While it
//! is open there are a few megabytes beside that, however few tokens there are; and the file's length may be twice as much: it grows ahead, without using the space.
//! Recent changes are kept in memory too, at some 200 bytes each: one for every eight tokens, but at least 8,192 and at most 65,536; up to twice
//! as many while the rows are brought up to date.
//!
//! After a failed write (the disk is full, or broken) it isn't known what the disk holds, and every operation fails until the
//! store is opened again.

mod answer;
mod journal;
mod open;
mod pending;
mod table;
mod writer;

pub use open::OpenError;

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use redb::Database;

use crate::time::Timestamp;
use crate::token::TokenKey;

use super::{Change, Loaded, ManageStore, Record, StateStore, StoreError, StoreFuture, Written};
use pending::Entries;
use table::{Fault, Scan, Snapshot};
use writer::{Task, Writer};

const STORE: &str = "embedded";

/// Keeps states in a file: see the [module](self).
///
/// Its futures need no particular runtime. A write's waits without a thread; a read's reads on the thread that polls it, from
/// memory where the file has been read before.
///
/// Dropping it writes what is still waiting, brings the rows up to date, gives unused pages of a small file back, and closes it, which takes as long as
/// that.
///
/// ```
/// use skewgate::block_on;
/// use skewgate::store::EmbeddedStore;
/// use skewgate::time::os::SystemTime;
/// use skewgate::validator::{Attempt, Validator};
/// use std::{sync::Arc, time::Duration};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("tokens.redb");
/// let store = EmbeddedStore::open(&path)?;
/// let clock = SystemTime::with_max_error(Duration::from_secs(1));
/// let gate = Validator::builder(Arc::new(store), Arc::new(clock)).build()?;
/// # assert!(!block_on(gate.validate(None, &Attempt::parse("755224")?)).is_accepted());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct EmbeddedStore {
    writer: Writer,
    database: Arc<Database>,
    path: PathBuf,
}

/// Opens an [`EmbeddedStore`] that isn't like most.
#[derive(Clone, Debug)]
#[must_use = "nothing is opened before `open`"]
pub struct EmbeddedStoreBuilder {
    path: PathBuf,
    deadline: Duration,
    cache_bytes: usize,
}

impl EmbeddedStoreBuilder {
    /// How long a write may take before it ends with [`StoreError::TimedOut`]. Otherwise 5 s: a disk that takes longer
    /// is broken or drowned in other work.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How many bytes of the file are kept in memory at the most, beside what was written last. Otherwise 64 MiB, about half a million tokens; what isn't kept
    /// has to be read from the file at a login, which the operating system's own cache makes cheap.
    pub const fn cache_bytes(mut self, cache_bytes: usize) -> Self {
        self.cache_bytes = cache_bytes;
        self
    }

    /// Opens the store, or makes an empty one where no file is.
    ///
    /// # Errors
    ///
    /// [`OpenError`] where the file is in use, damaged, not a store's, or can't be read and written.
    pub fn open(self) -> Result<EmbeddedStore, OpenError> {
        let Self { path, deadline, cache_bytes } = self;
        let (database, journal, snapshot) = open::open(&path, cache_bytes)?;
        let database = Arc::new(database);
        let writer = Writer::start(Arc::clone(&database), journal, snapshot, deadline)
            .map_err(|error| OpenError::failed(&path, error))?;
        Ok(EmbeddedStore { writer, database, path })
    }
}

impl EmbeddedStore {
    /// Opens the store in this file, or makes an empty one where no file is.
    ///
    /// # Errors
    ///
    /// [`OpenError`] where the file is in use, damaged, not a store's, or can't be read and written.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::builder(path).open()
    }

    /// To set what [`open`](Self::open) leaves at its default.
    pub fn builder(path: impl AsRef<Path>) -> EmbeddedStoreBuilder {
        EmbeddedStoreBuilder {
            path: path.as_ref().into(),
            deadline: Duration::from_secs(5),
            cache_bytes: 64 << 20,
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self, key: &TokenKey) -> Result<Loaded, StoreError> {
        let kept = self.writer.kept(|kept| kept.of_one(key))?;
        let row = kept.row(&Entries::new(), key)?;
        Ok(Loaded { row, not_before: kept.not_before, ..Loaded::default() })
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.writer.close();
        // The writer's own share is gone, unless it is the writer's thread that does this.
        if let Some(database) = Arc::get_mut(&mut self.database) {
            // The rows are safe either way.
            let _ = compact(database, &self.path);
        }
    }
}

/// Gives pages back that the file has ahead, where that is soon done: a file doubles when it is full.
fn compact(database: &mut Database, path: &Path) -> Result<(), Fault> {
    const WORTH_IT: std::ops::RangeInclusive<u64> = 1 << 20..=256 << 20;
    let length = std::fs::metadata(path).map_err(redb::Error::from)?.len();
    if !WORTH_IT.contains(&length) {
        return Ok(());
    }
    let transaction = database.begin_write()?;
    let stats = transaction.stats()?;
    transaction.abort()?;
    let page = u64::try_from(stats.page_size()).unwrap_or(u64::MAX);
    let used = stats.allocated_pages().saturating_mul(page);
    if used.saturating_add(used / 4) < length {
        database.compact()?;
    }
    Ok(())
}

impl std::fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl StateStore for EmbeddedStore {
    fn load<'a>(&'a self, key: &'a TokenKey) -> StoreFuture<'a, Loaded> {
        Box::pin(async move { self.read(key) })
    }

    fn write<'a>(&'a self, key: &'a TokenKey, change: Change) -> StoreFuture<'a, Written> {
        Box::pin(async move { self.writer.write(Task::Change(key.clone(), change)).await })
    }

    fn set_not_before(&self, moment: Timestamp) -> StoreFuture<'_, ()> {
        Box::pin(async move { self.writer.write(Task::NotBefore(moment)).await.map(drop) })
    }

    fn survives_restart(&self) -> bool {
        true
    }
}

impl ManageStore for EmbeddedStore {
    /// Shows the store as it is when this begins.
    fn scan<'a>(
        &'a self,
        visit: &'a mut (dyn FnMut(Record) -> ControlFlow<()> + Send),
    ) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let kept = self.writer.kept(Snapshot::clone)?;
            let mut scan = Scan::default();
            while scan.page(&kept, visit)?.is_continue() {
                let_others_run().await;
            }
            Ok(())
        })
    }
}

/// Gives the executor back its thread for a moment.
async fn let_others_run() {
    let mut again = false;
    poll_fn(|context| {
        if std::mem::replace(&mut again, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests;
