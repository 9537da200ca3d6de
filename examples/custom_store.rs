//! A token store of one's own, durable and shared by several processes: `Validator::builder(Arc::new(FileStore(directory)), clock)`.
//! A file an account, replaced as a whole; each write takes two fsyncs, one write after the other, on the thread that polls.
//! tests/custom_store.rs puts it under every law of stores.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use skewgate::store::{Change, Loaded, Row, Seen, StateStore, StoreError, StoreFuture, Written, row};
use skewgate::time::Timestamp;
use skewgate::token::TokenKey;

/// The rows of an account's tokens, and of its guess budget under the one name that no token has.
pub(crate) type Account = BTreeMap<String, Vec<u8>>;

/// In this directory, which is there.
pub struct FileStore(pub PathBuf);

impl FileStore {
    /// A name in a table may be longer than a file's may be, and have slashes in it.
    pub(crate) fn file(key: &TokenKey) -> String {
        Sha256::digest(key.budget().as_str()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn read<V: DeserializeOwned + Default>(&self, file: &str) -> io::Result<V> {
        match fs::read(self.0.join(file)) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(V::default()),
            Err(error) => Err(error),
        }
    }

    fn not_before(&self) -> io::Result<Option<Timestamp>> {
        Ok(self.read::<Option<i64>>("not_before")?.map(Timestamp::from_unix_nanos))
    }

    /// A crash leaves the file of before or the changed one; what was answered is the changed one.
    fn change<V, T>(&self, file: &str, change: impl FnOnce(&mut V) -> io::Result<T>) -> io::Result<T>
    where
        V: Serialize + DeserializeOwned + Default,
    {
        let lock = File::create(self.0.join("lock"))?;
        lock.lock()?; // until it is dropped
        let mut value = self.read(file)?;
        let answer = change(&mut value)?;
        let mut new = File::create(self.0.join("new"))?;
        new.write_all(&serde_json::to_vec(&value)?)?;
        new.sync_all()?;
        fs::rename(self.0.join("new"), self.0.join(file))?;
        File::open(&self.0)?.sync_all()?; // the rename, too
        Ok(answer)
    }
}

pub(crate) fn find(account: &Account, token: &str) -> io::Result<Row> {
    let part = |name| account.get(name).map_or(Ok(Row::default()), |bytes| row::decode(bytes));
    let parts = (part(token).map_err(io::Error::other)?, part("").map_err(io::Error::other)?);
    Ok(Row { token: parts.0.token, budget: parts.1.budget })
}

impl StateStore for FileStore {
    fn load<'a>(&'a self, key: &'a TokenKey) -> StoreFuture<'a, Loaded> {
        Box::pin(async move {
            let not_before = self.not_before().map_err(failed)?;
            let row =
                find(&self.read(&Self::file(key)).map_err(failed)?, key.token().as_str()).map_err(failed)?;
            Ok(Loaded { row, not_before, ..Loaded::default() })
        })
    }

    fn write<'a>(&'a self, key: &'a TokenKey, change: Change) -> StoreFuture<'a, Written> {
        let apply = move |account: &mut Account| {
            let mut row = find(account, key.token().as_str())?;
            let now = Seen { not_before: self.not_before()?, ..Seen::default() };
            let written = change.apply(&mut row, now);
            account.insert(key.token().as_str().into(), row::encode(&Row { budget: None, ..row }));
            account.insert(String::new(), row::encode(&Row { token: None, ..row }));
            Ok(written)
        };
        Box::pin(async move { self.change(&Self::file(key), apply).map_err(failed) })
    }

    fn set_not_before(&self, moment: Timestamp) -> StoreFuture<'_, ()> {
        let later = move |latest: &mut Option<i64>| {
            *latest = (*latest).max(Some(moment.as_unix_nanos()));
            Ok(())
        };
        Box::pin(async move { self.change("not_before", later).map_err(failed) })
    }

    fn survives_restart(&self) -> bool {
        true
    }
}

fn failed(source: io::Error) -> StoreError {
    StoreError::Failed { store: "file", source: source.into() }
}
