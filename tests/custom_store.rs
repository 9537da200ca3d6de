//! examples/custom_store.rs, under the laws that hold for every store.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
#[path = "../examples/custom_store.rs"]
#[allow(dead_code, unreachable_pub, reason = "its `main` is for people")]
mod custom_store;

use std::ops::ControlFlow;
use std::sync::Arc;

use conformance::{Opening, Place, conformance};
use custom_store::{Account, FileStore};
use skewgate::store::{ManageStore, Record, StoreFuture};
use skewgate::token::{TokenId, TokenKey};
use tempfile::TempDir;

struct Directory(TempDir);

impl Place for Directory {
    fn open(&self) -> Opening<'_> {
        Box::pin(async { Arc::new(FileStore(self.0.path().to_owned())) as Arc<dyn ManageStore> })
    }

    fn is_shared(&self) -> bool {
        true
    }
}

/// The laws look at all rows.
impl ManageStore for FileStore {
    fn scan<'a>(
        &'a self,
        visit: &'a mut (dyn FnMut(Record) -> ControlFlow<()> + Send),
    ) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            for record in self.records() {
                if visit(record).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }
}

impl FileStore {
    fn records(&self) -> Vec<Record> {
        let files = std::fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path());
        let accounts = files.filter(|path| path.extension().is_some_and(|extension| extension == "account"));
        let mut records = Vec::new();
        for path in accounts {
            let account: Account = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            let budget = TokenId::new(&account.0);
            // The row of unknown users isn't shown: its name can't be made here.
            let Ok(budget) = budget else { continue };
            for name in account.2.keys() {
                let token = TokenId::new(name).unwrap();
                let row = custom_store::row(&account, &token).unwrap();
                let key = TokenKey::new(token, budget.clone());
                records.push(Record { key, state: row.token.unwrap(), budget: row.budget.unwrap() });
            }
        }
        records
    }
}

conformance!(file, |_| Directory(tempfile::tempdir().unwrap()));
