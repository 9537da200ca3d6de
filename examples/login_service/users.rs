//! The user table: names, password hashes, sealed secrets. A service has its own; this one is a small file.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::Arc;

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

/// Name, then token id, password hash and sealed secret.
const USERS: TableDefinition<'_, &str, (&str, &str, &str)> = TableDefinition::new("users");

/// A user's name: 1 to 40 letters and digits, and `.`, `_`, `-`, `@` within; in lower case, so that Ada is ada.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserName(String);

/// What isn't a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a user name has 1 to 40 letters and digits, and in between . _ - or @")]
pub(crate) struct NoUserName;

impl UserName {
    const MOST: usize = 40;

    pub(crate) fn parse(text: &str) -> Result<Self, NoUserName> {
        let text = text.trim();
        let plain = |byte: u8| byte.is_ascii_alphanumeric();
        let bytes = text.as_bytes();
        let ends = [bytes.first(), bytes.last()].iter().all(|end| end.is_some_and(|&byte| plain(byte)));
        let inner = bytes.iter().all(|&byte| plain(byte) || b"._-@".contains(&byte));
        if ends && inner && bytes.len() <= Self::MOST {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(NoUserName)
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A row.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) name: UserName,
    /// Under which the token store and the log know the token: not the name, so that neither tells it.
    pub(crate) token_id: String,
    pub(crate) password_hash: String,
    pub(crate) sealed: String,
}

/// Why the user table can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the user table failed: {0}; check the disk and that no other process has it open")]
pub(crate) struct UsersError(Box<redb::Error>);

impl<E: Into<redb::Error>> From<E> for UsersError {
    fn from(error: E) -> Self {
        Self(Box::new(error.into()))
    }
}

/// Made where there is none. Password hashes can be guessed at: nobody else on this host may read them, whoever made the directory.
fn file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[derive(Clone)]
pub(crate) struct Users(Arc<Database>);

impl Users {
    /// The table in this file, which is made where there is none; without a file, in memory.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, UsersError> {
        let database = match path {
            Some(path) => Database::builder().create_with_backend(FileBackend::new(file(path)?)?)?,
            None => Database::builder().create_with_backend(InMemoryBackend::new())?,
        };
        let write = database.begin_write()?;
        write.open_table(USERS)?;
        write.commit()?;
        Ok(Self(Arc::new(database)))
    }

    /// An error where it can't be read.
    pub(crate) fn probe(&self) -> Result<(), UsersError> {
        self.0.begin_read()?.open_table(USERS)?.first()?;
        Ok(())
    }

    /// Reads pages that are mostly cached: quick enough for a task's thread.
    pub(crate) fn find(&self, name: &UserName) -> Result<Option<User>, UsersError> {
        let read = self.0.begin_read()?;
        let table = read.open_table(USERS)?;
        let Some(row) = table.get(name.as_str())? else { return Ok(None) };
        let (token_id, password_hash, sealed) = row.value();
        Ok(Some(User {
            name: name.clone(),
            token_id: token_id.into(),
            password_hash: password_hash.into(),
            sealed: sealed.into(),
        }))
    }

    /// All sealed secrets, to see at the start whether they can be opened.
    pub(crate) fn sealed(&self) -> Result<Vec<String>, UsersError> {
        let table = self.0.begin_read()?.open_table(USERS)?;
        table.iter()?.map(|row| Ok(row?.1.value().2.to_owned())).collect()
    }

    /// False where the name is taken; what is true is on the disk. Blocks until then.
    pub(crate) fn insert(&self, user: &User) -> Result<bool, UsersError> {
        let write = self.0.begin_write()?;
        {
            let mut table = write.open_table(USERS)?;
            if table.get(user.name.as_str())?.is_some() {
                return Ok(false);
            }
            table.insert(user.name.as_str(), (&*user.token_id, &*user.password_hash, &*user.sealed))?;
        }
        write.commit()?;
        Ok(true)
    }
}
