//! examples/custom_store.rs, under the laws that hold for every store.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
#[path = "../examples/custom_store.rs"]
#[allow(dead_code, unreachable_pub, reason = "a library of its own")]
mod custom_store;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use conformance::{Opening, Place, conformance};
use custom_store::FileStore;
use skewgate::block_on;
use skewgate::store::{Change, Loaded, ManageStore, Record, StateStore, StoreError, StoreFuture, Written};
use skewgate::time::Timestamp;
use skewgate::token::{TokenId, TokenKey};
use tempfile::TempDir;

struct Directory(TempDir);

impl Place for Directory {
    fn open(&self) -> Opening<'_> {
        Box::pin(async {
            let names = self.0.path().join("names");
            std::fs::create_dir_all(&names).unwrap();
            Arc::new(Listed(FileStore(self.0.path().to_owned()))) as Arc<dyn ManageStore>
        })
    }

    fn is_shared(&self) -> bool {
        true
    }
}

/// The laws look at all rows, so somebody has to know whose files these are.
struct Listed(FileStore);

impl Listed {
    fn names(&self) -> std::path::PathBuf {
        self.0.0.join("names")
    }
}

impl StateStore for Listed {
    fn load<'a>(&'a self, key: &'a TokenKey) -> StoreFuture<'a, Loaded> {
        self.0.load(key)
    }

    fn write<'a>(&'a self, key: &'a TokenKey, change: Change) -> StoreFuture<'a, Written> {
        Box::pin(async move {
            std::fs::write(self.names().join(FileStore::file(key)), key.budget().as_str()).unwrap();
            self.0.write(key, change).await
        })
    }

    fn set_not_before(&self, moment: Timestamp) -> StoreFuture<'_, ()> {
        self.0.set_not_before(moment)
    }

    fn survives_restart(&self) -> bool {
        self.0.survives_restart()
    }
}

impl ManageStore for Listed {
    fn scan<'a>(
        &'a self,
        visit: &'a mut (dyn FnMut(Record) -> ControlFlow<()> + Send),
    ) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            for name in std::fs::read_dir(self.names()).unwrap() {
                // The row of unknown users isn't shown: no caller can make its name.
                let Ok(budget) = TokenId::new(&std::fs::read_to_string(name.unwrap().path()).unwrap()) else {
                    continue;
                };
                let account: BTreeMap<String, _> =
                    self.0.read(&FileStore::file(&budget.clone().into())).unwrap();
                for token in account.keys().filter(|token| !token.is_empty()) {
                    let row = self.0.find(&account, token).unwrap().row;
                    let key = TokenKey::new(TokenId::new(token).unwrap(), budget.clone());
                    let record = |state| Record { key, state, budget: row.budget.unwrap() };
                    if row.token.map(record).is_some_and(|record| visit(record).is_break()) {
                        return Ok(());
                    }
                }
            }
            Ok(())
        })
    }
}

conformance!(file, |_| Directory(tempfile::tempdir().unwrap()));

/// Damage is an error and never an absent row, which would bring used codes back.
#[test]
fn what_is_damaged_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore(directory.path().to_owned());
    let key = TokenKey::from(TokenId::new("ada").unwrap());
    assert_eq!(block_on(store.load(&key)).unwrap(), Loaded::default());
    let refused = |file: &Path, bytes: &str| {
        std::fs::write(file, bytes).unwrap();
        let loaded = block_on(store.load(&key));
        assert!(matches!(loaded, Err(StoreError::Failed { store: "file", .. })), "{bytes}: {loaded:?}");
    };
    let account = directory.path().join(FileStore::file(&key));
    for bytes in ["", "{", r#"{"ada":[]}"#, r#"{"ada":[255]}"#, r#"{"":[16,0]}"#] {
        refused(&account, bytes);
    }
    std::fs::remove_file(&account).unwrap();
    refused(&directory.path().join("not_before"), "7 o'clock");
}

#[test]
fn a_store_of_ones_own_is_less_than_80_lines() {
    assert!(include_str!("../examples/custom_store.rs").lines().count() < 80);
}
