//! A token store of one's own: a file an account, replaced as a whole. `cargo run --example custom_store`, twice.
//!
//! It is durable, and several processes may share it. Each write takes two fsyncs, one after the other for all tokens, on the thread that
//! polls: enough for a few logins a second. `Change::apply` does what there is to decide.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Error, ErrorKind, Result as IoResult, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base16ct::HexDisplay;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use skewgate::otp::{Secret, TimeStep, Totp};
use skewgate::store::{Change, Loaded, Row, StateStore, StoreError, StoreFuture, Written};
use skewgate::time::{SignedDuration, TimeSource, Timestamp, os::SystemTime};
use skewgate::token::{Bucket, Budget, Drift, Token, TokenId, TokenKey, TokenState};
use skewgate::validator::{Attempt, Validator};

/// Epoch, watermark, nonce; and of the drift: mean, variance, of when, outlier.
type State = (u64, Option<i64>, [u8; 8], i64, u64, i64, Option<i64>);
/// Whose it is; the guess budget: when its buckets are full, and failures; and the tokens on it.
pub(crate) type Account = (String, Option<(i64, i64, u32)>, BTreeMap<String, State>);

pub(crate) struct FileStore(pub(crate) PathBuf);

impl FileStore {
    fn file(key: &TokenKey) -> String {
        format!("{:x}.account", HexDisplay(&Sha256::digest(key.budget().as_str())))
    }

    fn read<T: DeserializeOwned + Default>(&self, name: &str) -> IoResult<T> {
        match fs::read(self.0.join(name)) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(T::default()),
            Err(error) => Err(error),
        }
    }

    /// Reads a file, changes it, and puts it back where that is wished for: after a crash it is the old one or the new one.
    fn change<T: Serialize + DeserializeOwned + Default, A>(
        &self,
        name: &str,
        change: impl FnOnce(&mut T) -> IoResult<(A, bool)>,
    ) -> IoResult<A> {
        let lock = File::create(self.0.join("lock"))?;
        lock.lock()?; // until it is dropped
        let mut value = self.read(name)?;
        let (answer, changed) = change(&mut value)?;
        if changed {
            let mut file = File::create(self.0.join("new"))?;
            file.write_all(&serde_json::to_vec(&value)?)?;
            file.sync_all()?;
            fs::rename(self.0.join("new"), self.0.join(name))?;
            File::open(&self.0)?.sync_all()?; // the rename, too
        }
        Ok(answer)
    }
}

pub(crate) fn row((_, budget, tokens): &Account, token: &TokenId) -> IoResult<Row> {
    let time = Timestamp::from_unix_nanos;
    let budget =
        budget.map(|(blind, partial, failures)| Budget::from_parts(time(blind), time(partial), failures));
    let state = |&(epoch, watermark, nonce, mean, variance, updated, outlier): &State| {
        let step =
            |step| TimeStep::new(step).ok_or_else(|| Error::new(ErrorKind::InvalidData, "a negative step"));
        let (mean, outlier) = (SignedDuration::from_nanos(mean), outlier.map(SignedDuration::from_nanos));
        let drift = Drift::from_parts(mean, variance, time(updated), outlier);
        Ok::<_, Error>(TokenState { epoch, watermark: watermark.map(step).transpose()?, nonce, drift })
    };
    Ok(Row { token: tokens.get(token.as_str()).map(state).transpose()?, budget })
}

fn keep(account: &mut Account, key: &TokenKey, row: Row) {
    account.0 = key.budget().as_str().into();
    account.1 = row.budget.map(|budget| {
        let full = |bucket| budget.full_at(bucket).as_unix_nanos();
        (full(Bucket::Blind), full(Bucket::Partial), budget.failures())
    });
    account.2.remove(key.token().as_str());
    account.2.extend(row.token.map(|TokenState { epoch, watermark, nonce, drift }| {
        let (mean, outlier) = (drift.mean().as_nanos(), drift.outlier().map(SignedDuration::as_nanos));
        let (watermark, updated) = (watermark.map(TimeStep::get), drift.updated().as_unix_nanos());
        (key.token().as_str().into(), (epoch, watermark, nonce, mean, drift.variance(), updated, outlier))
    }));
}

fn failed(source: Error) -> StoreError {
    StoreError::Failed { store: "file", source: source.into() }
}

impl StateStore for FileStore {
    fn load<'a>(&'a self, key: &'a TokenKey) -> StoreFuture<'a, Loaded> {
        let load = || {
            let not_before = self.read::<Option<i64>>("not_before")?.map(Timestamp::from_unix_nanos);
            Ok(Loaded { row: row(&self.read(&Self::file(key))?, key.token())?, not_before, replaced: None })
        };
        Box::pin(async move { load().map_err(failed) })
    }

    fn write<'a>(&'a self, key: &'a TokenKey, change: Change) -> StoreFuture<'a, Written> {
        let write = move |account: &mut Account| {
            let mut row = row(account, key.token())?;
            let written = change.apply(&mut row);
            keep(account, key, row);
            Ok((written, written == Written::Done))
        };
        Box::pin(async move { self.change(&Self::file(key), write).map_err(failed) })
    }

    fn set_not_before(&self, moment: Timestamp) -> StoreFuture<'_, ()> {
        let later = move |kept: &mut Option<i64>| {
            *kept = (*kept).max(Some(moment.as_unix_nanos()));
            Ok(((), true))
        };
        Box::pin(async move { self.change("not_before", later).map_err(failed) })
    }

    fn survives_restart(&self) -> bool {
        true
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::temp_dir().join("skewgate-custom-store");
    fs::create_dir_all(&directory)?;
    let clock = SystemTime::with_max_error(Duration::from_secs(1));
    let gate = Validator::builder(Arc::new(FileStore(directory)), Arc::new(clock)).build()?;
    let totp = Totp::builder(&Secret::from_bytes(b"12345678901234567890")?).build()?;
    let token = Token::new(TokenId::new("ada")?, totp.clone());
    let code = totp.code_at(totp.step_at(clock.now()?.midpoint()).unwrap_or(TimeStep::ZERO));
    // The second time it is enrolled already, and whatever was used before is used.
    println!("{:?}", skewgate::block_on(gate.enrol(&token, &Attempt::one(code.clone()))));
    println!("{:?}", skewgate::block_on(gate.validate(Some(&token), &Attempt::one(code))));
    Ok(())
}
