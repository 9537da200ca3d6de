//! A token store of one's own, durable and shared by several processes: `Validator::builder(Arc::new(FileStore(directory)), clock)`.
//! A file an account, replaced as a whole, two fsyncs each, on the thread that polls. tests/custom_store.rs has it obey the laws of stores.

use sha2::{Digest, Sha256};
use skewgate::store::{Change, Loaded, Row, StateStore, StoreError, StoreFuture, Written, row};
use skewgate::{time::Timestamp, token::TokenKey};
use std::{collections::BTreeMap, fs, io, io::Write, path::PathBuf};

/// In this directory, which is there.
pub struct FileStore(pub PathBuf);

impl FileStore {
    pub(crate) fn file(key: &TokenKey) -> String {
        Sha256::digest(key.budget().as_str()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn read<V: serde::de::DeserializeOwned + Default>(&self, file: &str) -> io::Result<V> {
        match fs::read(self.0.join(file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(V::default()),
            bytes => Ok(serde_json::from_slice(&bytes?)?),
        }
    }

    /// In an account are its tokens' rows, and that of its guess budget under the one name that no token has.
    pub(crate) fn find(&self, account: &BTreeMap<String, Vec<u8>>, token: &str) -> io::Result<Loaded> {
        let decode = |bytes: &Vec<u8>| row::decode(bytes).map_err(io::Error::other);
        let part = |name| account.get(name).map_or(Ok(Row::default()), decode);
        let row = Row { token: part(token)?.token, budget: part("")?.budget };
        let not_before = self.read::<Option<i64>>("not_before")?.map(Timestamp::from_unix_nanos);
        Ok(Loaded { row, not_before, ..Loaded::default() })
    }

    /// A crash leaves the file of before or the new one; what was answered is the new one.
    fn replace<T>(&self, file: &str, make: impl FnOnce() -> io::Result<(Vec<u8>, T)>) -> io::Result<T> {
        let _locked = fs::File::create(self.0.join("lock")).and_then(|file| file.lock().map(|()| file))?;
        let (bytes, answer) = make()?;
        let mut new = fs::File::create(self.0.join("new"))?;
        new.write_all(&bytes)?;
        new.sync_all()?;
        fs::rename(self.0.join("new"), self.0.join(file))?;
        fs::File::open(&self.0)?.sync_all()?; // the rename, too
        Ok(answer)
    }
}

impl StateStore for FileStore {
    fn load<'a>(&'a self, key: &'a TokenKey) -> StoreFuture<'a, Loaded> {
        when_polled(move || self.find(&self.read(&Self::file(key))?, key.token().as_str()))
    }

    fn write<'a>(&'a self, key: &'a TokenKey, change: Change) -> StoreFuture<'a, Written> {
        let apply = move || {
            let mut account = self.read(&Self::file(key))?;
            let loaded = self.find(&account, key.token().as_str())?;
            let mut row = loaded.row;
            let written = change.apply(&mut row, loaded.seen());
            account.insert(key.token().as_str().into(), row::encode(&Row { budget: None, ..row }));
            account.insert(String::new(), row::encode(&Row { token: None, ..row }));
            Ok((serde_json::to_vec(&account)?, written))
        };
        when_polled(move || self.replace(&Self::file(key), apply))
    }

    fn set_not_before(&self, moment: Timestamp) -> StoreFuture<'_, ()> {
        let later = move || {
            let latest = self.read::<Option<i64>>("not_before")?.max(Some(moment.as_unix_nanos()));
            Ok((serde_json::to_vec(&latest)?, ()))
        };
        when_polled(move || self.replace("not_before", later))
    }

    fn survives_restart(&self) -> bool {
        true
    }
}

fn when_polled<'a, T: Send>(work: impl FnOnce() -> io::Result<T> + Send + 'a) -> StoreFuture<'a, T> {
    Box::pin(async move { work().map_err(|why| StoreError::Failed { store: "file", source: why.into() }) })
}
