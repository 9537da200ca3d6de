use super::*;
use crate::otp::TimeStep;
use crate::store::Failure;
use crate::time::{SignedDuration, Timestamp};
use crate::token::{Bucket, Budget, Charge, Drift, Odds, TokenState};
use proptest::prelude::*;
use std::collections::HashMap;

const NOW: Timestamp = Timestamp::from_unix_nanos(1_780_000_000_000_000_000);

/// Accounts and tokens with names of all lengths; one begins with another.
fn key() -> impl Strategy<Value = TokenKey> {
    let name =
        || proptest::sample::select(vec!["a".to_owned(), "aa".into(), "é".repeat(64), "b".repeat(255)]);
    (name(), name()).prop_map(|(token, budget)| {
        TokenKey::new(TokenId::new(&token).unwrap(), TokenId::new(&budget).unwrap())
    })
}

/// Those that make a row longer and shorter, and that remove it.
fn change() -> impl Strategy<Value = Change> {
    let enrol =
        (any::<u64>(), proptest::option::of(0..i64::MAX), any::<i64>()).prop_map(|(epoch, step, mean)| {
            let drift = Drift::from_parts(SignedDuration::from_nanos(mean), epoch, NOW, None);
            let state = TokenState { epoch, watermark: step.and_then(TimeStep::new), nonce: [7; 8], drift };
            Change::Enrol { state, budget: Budget::full(NOW) }
        });
    let fail = (1..u64::from(u32::MAX)).prop_map(|units| {
        let charge = Charge { bucket: Bucket::Blind, cost: Odds::from_units(units) };
        Change::Fail(Failure { charge, from: NOW, burn: None, epoch: 0 })
    });
    prop_oneof![2 => enrol, 2 => fail, 1 => Just(Change::Remove)]
}

proptest! {
    /// However their hashes collide.
    #[test]
    fn every_row_is_what_was_done_to_it(changes in proptest::collection::vec((key(), change()), 1..40)) {
        let mut entries = Entries::default();
        let (mut tokens, mut budgets) = (HashMap::new(), HashMap::new());
        for (key, change) in changes {
            let mut row = Row {
                token: tokens.get(&key).copied(),
                budget: budgets.get(key.budget()).copied(),
            };
            let expected = change.apply(&mut row, Seen::default());
            prop_assert_eq!(entries.change(&key, change, Seen::default()).unwrap(), expected);
            match row.token {
                Some(token) => drop(tokens.insert(key.clone(), token)),
                None => drop(tokens.remove(&key)),
            }
            match row.budget {
                Some(budget) => drop(budgets.insert(key.budget().clone(), budget)),
                None => drop(budgets.remove(key.budget())),
            }
            for key in tokens.keys().chain([&key]) {
                let row = Row { token: tokens.get(key).copied(), budget: budgets.get(key.budget()).copied() };
                prop_assert_eq!(entries.row(key).unwrap(), row);
            }
            let shown: HashMap<_, _> = entries.records().unwrap().into_iter().map(|record| (record.key, record.state)).collect();
            prop_assert_eq!(&shown, &tokens);
            prop_assert_eq!(entries.is_empty(), tokens.is_empty() && budgets.is_empty());
        }
    }
}
