//! A token store of one's own, durable and shared by several processes: `Validator::builder(Arc::new(FileStore(directory)), clock)`.
//! A file an account, replaced as a whole; each write takes two fsyncs, one write after the other, on the thread that polls.
//! tests/custom_store.rs puts it under every law of stores.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use skewgate::store::{Change, Loaded, Row, StateStore, StoreError, StoreFuture, Written, row};
use skewgate::{time::Timestamp, token::TokenKey};

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
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(V::default()),
            bytes => Ok(serde_json::from_slice(&bytes?)?),
        }
    }

    pub(crate) fn find(&self, account: &Account, token: &str) -> io::Result<Loaded> {
        let part = |name| account.get(name).map_or(Ok(Row::default()), |bytes| row::decode(bytes));
        let (own, shared) = (part(token).map_err(io::Error::other)?, part("").map_err(io::Error::other)?);
        let not_before = self.read::<Option<i64>>("not_before")?.map(Timestamp::from_unix_nanos);
        Ok(Loaded { row: Row { token: own.token, budget: shared.budget }, not_before, ..Loaded::default() })
    }

    /// A crash leaves the file of before or the new one; what was answered is the new one.
    fn replace<T>(&self, file: &str, make: impl FnOnce() -> io::Result<(Vec<u8>, T)>) -> io::Result<T> {
        let lock = File::create(self.0.join("lock"))?;
        lock.lock()?; // until it is dropped
        let (bytes, answer) = make()?;
        let mut new = File::create(self.0.join("new"))?;
        new.write_all(&bytes)?;
        new.sync_all()?;
        fs::rename(self.0.join("new"), self.0.join(file))?;
        File::open(&self.0)?.sync_all()?; // the rename, too
        Ok(answer)
    }
}

impl StateStore for FileStore {
    fn load<'a>(&'a self, key: &'a TokenKey) -> StoreFuture<'a, Loaded> {
        let load = move || self.find(&self.read(&Self::file(key))?, key.token().as_str());
        Box::pin(async move { load().map_err(failed) })
    }

    fn write<'a>(&'a self, key: &'a TokenKey, change: Change) -> StoreFuture<'a, Written> {
        let apply = move || {
            let mut account: Account = self.read(&Self::file(key))?;
            let loaded = self.find(&account, key.token().as_str())?;
            let mut row = loaded.row;
            let written = change.apply(&mut row, loaded.seen());
            account.insert(key.token().as_str().into(), row::encode(&Row { budget: None, ..row }));
            account.insert(String::new(), row::encode(&Row { token: None, ..row }));
            Ok((serde_json::to_vec(&account)?, written))
        };
        Box::pin(async move { self.replace(&Self::file(key), apply).map_err(failed) })
    }

    fn set_not_before(&self, moment: Timestamp) -> StoreFuture<'_, ()> {
        let later = move || {
            let latest = self.read::<Option<i64>>("not_before")?.max(Some(moment.as_unix_nanos()));
            Ok((serde_json::to_vec(&latest)?, ()))
        };
        Box::pin(async move { self.replace("not_before", later).map_err(failed) })
    }

    fn survives_restart(&self) -> bool {
        true
    }
}

fn failed(source: io::Error) -> StoreError {
    StoreError::Failed { store: "file", source: source.into() }
}
