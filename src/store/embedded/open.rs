//! From a path to a database that is one of ours.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use redb::{Builder, Database, ReadableDatabase};

use crate::time::Timestamp;

use super::table::{Fault, META, ROWS, SCHEMA, not_before};

/// How entries are laid out. A release that changes it reads the older ones too.
const KNOWN_SCHEMA: i64 = 1;

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

    fn from_redb(path: &Path, error: redb::Error) -> Self {
        let path = path.to_path_buf();
        match error {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::InUse { path },
            redb::Error::Corrupted(what) => Self::Corrupt { path, what },
            redb::Error::Io(error) if error.kind() == ErrorKind::InvalidData => Self::NotAStore { path },
            redb::Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Self::Corrupt { path, what: error.to_string() }
            }
            redb::Error::TableDoesNotExist(_) | redb::Error::TableTypeMismatch { .. } => {
                Self::NotAStore { path }
            }
            error => Self::Failed { path, source: error.into() },
        }
    }
}

/// The database at `path`, which is made if nothing is there, and its `not_before`.
pub(super) fn open(path: &Path, cache_bytes: usize) -> Result<(Database, Option<Timestamp>), OpenError> {
    match fs::metadata(path) {
        Ok(found) if found.len() == 0 => {
            // One that redb would take for a new database: what was in it is lost.
            return Err(OpenError::Corrupt { path: path.into(), what: "it is empty".into() });
        }
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => create(path)?,
        Err(error) => return Err(OpenError::failed(path, error)),
    }
    let database =
        builder(cache_bytes).open(path).map_err(|error| OpenError::from_redb(path, error.into()))?;
    let not_before = check(path, &database)?;
    Ok((database, not_before))
}

fn builder(cache_bytes: usize) -> Builder {
    let mut builder = Database::builder();
    // A damaged page would be trusted otherwise: a token that isn't found there would be "not enrolled", or worse have a watermark
    // that it never had.
    builder.set_cache_size(cache_bytes).set_check_integrity_on_open(true);
    builder
}

fn check(path: &Path, database: &Database) -> Result<Option<Timestamp>, OpenError> {
    let read = || -> Result<_, Fault> {
        let transaction = database.begin_read()?;
        let meta = transaction.open_table(META)?;
        transaction.open_table(ROWS)?;
        let schema = meta.get(SCHEMA)?.map(|schema| schema.value());
        Ok((schema, not_before(&meta)?))
    };
    let (schema, not_before) = read().map_err(|fault| match fault {
        Fault::Database(error) => OpenError::from_redb(path, error),
        Fault::Entry(what) => OpenError::Corrupt { path: path.into(), what },
    })?;
    match schema {
        Some(KNOWN_SCHEMA) => Ok(not_before),
        Some(found) => Err(OpenError::Schema { path: path.into(), found, known: KNOWN_SCHEMA }),
        None => Err(OpenError::NotAStore { path: path.into() }),
    }
}

/// Makes an empty store.
///
/// Under another name first: whoever is killed on the way leaves nothing at `path` that couldn't be opened, and of two that
/// make it at once, both find the same one there.
fn create(path: &Path) -> Result<(), OpenError> {
    let error = |error: io::Error| OpenError::failed(path, error);
    let mut name =
        path.file_name().ok_or_else(|| OpenError::failed(path, "it has no file name"))?.to_os_string();
    let random = getrandom::u64().map_err(|_| OpenError::failed(path, "the system gave no random bytes"))?;
    name.push(format!(".{random:016x}.new"));
    let new = path.with_file_name(name);
    let made =
        make(&new).map_err(|error| OpenError::from_redb(path, error)).and_then(|()| {
            match fs::hard_link(&new, path) {
                Err(exists) if exists.kind() == ErrorKind::AlreadyExists => Ok(()),
                linked => linked.map_err(error),
            }
        });
    // Nobody needs it any more, and nothing depends on its being gone.
    let _ = fs::remove_file(&new);
    made?;
    sync_directory(path).map_err(error)
}

fn make(path: &Path) -> Result<(), redb::Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    // What is in it lets nobody in, but says who logs in when.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    let backend = redb::backends::FileBackend::new(file)?;
    let database = Database::builder().create_with_backend(backend)?;
    let transaction = database.begin_write()?;
    transaction.open_table(ROWS)?;
    transaction.open_table(META)?.insert(SCHEMA, KNOWN_SCHEMA)?;
    transaction.commit()?;
    database.close()?;
    File::open(path)?.sync_all()?;
    Ok(())
}

/// A name is durable once its directory is.
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { File::open(parent)?.sync_all() } else { Ok(()) }
}
