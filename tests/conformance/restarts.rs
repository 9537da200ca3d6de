//! What is left when a process ends.

use super::model::{Model, sorted};
use super::values::{any_budget, any_state};
use super::*;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use skewgate::store::StoreError;

pub(crate) async fn what_was_answered_is_there_after_a_restart(place: Arc<dyn Place>) {
    let mut store = place.open().await;
    let mut model = Model::default();
    if !store.survives_restart() {
        write(&store, &key("token"), enrol()).await.unwrap();
        drop(store);
        // It must not say so and then remember by chance: a validator gives such stores' tokens less to guess with.
        assert_eq!(scan(&place.open().await).await, []);
        return;
    }
    let mut runner = TestRunner::deterministic();
    for life in 0_i64..4 {
        for number in 0..25 {
            let name = format!("life {life}, token {number}");
            let key =
                if number % 2 == 0 { key(&name) } else { shared(&name, &format!("account {}", number / 4)) };
            let (state, budget) = (any_state(), any_budget()).new_tree(&mut runner).unwrap().current();
            let state = TokenState { epoch: EPOCH, ..state };
            for change in [
                Change::Enrol { state, budget },
                Change::Fail(failure(Bucket::Blind, number)),
                Change::Accept(acceptance(1 << 40, number)),
            ] {
                match write(&store, &key, change).await {
                    Ok(written) => assert_eq!(written, model.write(&key, change), "{change:?}"),
                    Err(StoreError::OutOfRange { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            if number % 5 == 0 {
                assert_eq!(
                    write(&store, &key, Change::Remove).await.unwrap(),
                    model.write(&key, Change::Remove)
                );
            }
        }
        let moment = Timestamp::from_unix_nanos(i64::MIN + life);
        store.set_not_before(moment).await.unwrap();
        // Neither what is shown nor what is kept goes back.
        store.set_not_before(Timestamp::from_unix_nanos(i64::MIN)).await.unwrap();
        drop(store);
        store = place.open().await;
        assert_eq!(sorted(scan(&store).await), model.records());
        for record in model.records() {
            let loaded = load(&store, &record.key).await;
            assert_eq!(loaded.row, model.row(&record.key));
            assert_eq!((loaded.not_before, loaded.replaced), (Some(moment), None));
        }
        // Removed tokens have left their budgets.
        let removed = key(&format!("life {life}, token 0"));
        assert_eq!(load(&store, &removed).await.row, model.row(&removed));
    }
}
