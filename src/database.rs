//! From a path to a [`redb`] database, for all that keep one.

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;

use redb::{Database, WriteTransaction};

/// Why there is no database.
#[derive(Debug)]
pub(crate) enum OpenFault {
    /// Another process has it open, or this one has.
    InUse,
    /// It is damaged, in this way.
    Corrupt(String),
    /// It is something else.
    Foreign,
    /// It can't be read or written.
    Failed(Box<dyn Error + Send + Sync>),
}

impl From<redb::Error> for OpenFault {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::InUse,
            redb::Error::Corrupted(what) => Self::Corrupt(what),
            redb::Error::Io(error) if error.kind() == ErrorKind::InvalidData => Self::Foreign,
            redb::Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Self::Corrupt(error.to_string())
            }
            redb::Error::TableDoesNotExist(_) | redb::Error::TableTypeMismatch { .. } => Self::Foreign,
            error => Self::Failed(error.into()),
        }
    }
}

impl From<io::Error> for OpenFault {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// What `make` puts into an empty database: its tables, and which schema they have.
type Make = fn(&WriteTransaction) -> Result<(), redb::Error>;

/// The database at `path`, which is made if nothing is there, with at most so many bytes of it in memory.
pub(crate) fn open(path: &Path, cache_bytes: usize, make: Make) -> Result<Database, OpenFault> {
    match fs::metadata(path) {
        // One that redb would take for a new database: what was in it is lost.
        Ok(found) if found.len() == 0 => return Err(OpenFault::Corrupt("it is empty".into())),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => create(path, make)?,
        Err(error) => return Err(error.into()),
    }
    let mut builder = Database::builder();
    // A damaged page would be trusted otherwise.
    builder.set_cache_size(cache_bytes).set_check_integrity_on_open(true);
    builder.open(path).map_err(|error| redb::Error::from(error).into())
}

/// Makes an empty one.
///
/// Under another name first: whoever is killed on the way leaves nothing at `path` that couldn't be opened, and of two that
/// make it at once, both find the same one there.
fn create(path: &Path, make: Make) -> Result<(), OpenFault> {
    let mut name =
        path.file_name().ok_or_else(|| OpenFault::Failed("it has no file name".into()))?.to_os_string();
    let random = getrandom::u64().map_err(|_| OpenFault::Failed("the system gave no random bytes".into()))?;
    name.push(format!(".{random:016x}.new"));
    let new = path.with_file_name(name);
    let made = make_at(&new, make).map_err(OpenFault::from).and_then(|()| match fs::hard_link(&new, path) {
        Err(exists) if exists.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => Ok(linked?),
    });
    // Nobody needs it any more, and nothing depends on its being gone.
    let _ = fs::remove_file(&new);
    made?;
    Ok(sync_directory(path)?)
}

fn make_at(path: &Path, make: Make) -> Result<(), redb::Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    // What is in it lets nobody in, but says who logs in when, or which clocks are off.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    let backend = redb::backends::FileBackend::new(file)?;
    let database = Database::builder().create_with_backend(backend)?;
    let transaction = database.begin_write()?;
    make(&transaction)?;
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
