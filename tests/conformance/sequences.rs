//! Any changes in any order, each compared with the model.

use super::model::Model;
use super::values::{any_change, may_be_refused};
use super::*;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use skewgate::store::StoreError;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::runtime::Handle;

/// Each on a few tokens of its own: a store is slow to make.
const CASES: u32 = 100;

/// Every kind of row is met: absent, enrolled, removed with its budget left; on a budget of its own, on another token's, on one that is no
/// token's; a token that is asked for on another budget.
fn keys(case: u64) -> Vec<TokenKey> {
    let name = |text: &str| format!("case {case}/{text}");
    let long = format!("{}{case}", "x".repeat(TokenId::MAX_BYTES - 6 - case.to_string().len()));
    vec![
        key(&name("a")),
        key(&name("b")),
        shared(&name("c"), &name("a")),
        shared(&name("d"), &format!("{long}budget")),
        shared(&format!("{long}tokens"), &format!("{long}budget")),
        shared(&name("a"), &name("b")),
    ]
}

pub(crate) async fn every_change_does_what_apply_does(place: Arc<dyn Place>) {
    let store = place.open().await;
    let cases = AtomicU64::new(0);
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let sequence = proptest::collection::vec((any::<Index>(), any_change()), 1..40);
    let checked = tokio::task::block_in_place(|| {
        TestRunner::new(config).run(&sequence, |changes| {
            // A shrunken case needs tokens of its own too.
            let keys = keys(cases.fetch_add(1, Ordering::Relaxed));
            Handle::current().block_on(check(&store, &keys, &changes))
        })
    });
    checked.unwrap();
}

async fn check(
    store: &Arc<dyn ManageStore>,
    keys: &[TokenKey],
    changes: &[(Index, Change)],
) -> Result<(), TestCaseError> {
    let mut model = Model::default();
    for (which, change) in changes {
        let key = which.get(keys);
        match write(store, key, *change).await {
            Ok(written) => prop_assert_eq!(written, model.write(key, *change), "{:?} {:?}", key, change),
            Err(StoreError::OutOfRange { .. }) => prop_assert!(may_be_refused(change), "{:?}", change),
            Err(error) => prop_assert!(false, "{} at {:?}", error, change),
        }
        for other in keys {
            prop_assert_eq!(load(store, other).await.row, model.row(other), "{:?} after {:?}", other, change);
        }
    }
    let own = |record: &Record| keys.contains(&record.key);
    let shown: Vec<_> = scan(store).await.into_iter().filter(own).collect();
    prop_assert_eq!(model::sorted(shown), model.records());
    Ok(())
}
