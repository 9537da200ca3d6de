//! What administrators see.

use super::model::{Model, sorted};
use super::*;
use skewgate::time::TimeInterval;
use skewgate::time::sim::SimTime;
use skewgate::validator::{Attempt, Validator};

/// More than any store reads at once.
const TOKENS: u64 = 2_500;

pub(crate) async fn a_scan_shows_each_token_once(place: Arc<dyn Place>) {
    let store = place.open().await;
    assert_eq!(scan(&store).await, []);
    let mut model = Model::default();
    let mut changes = Vec::new();
    for number in 0..TOKENS {
        let name = format!("token {number}");
        // Own budgets, those of an account, and some that are removed again.
        let key =
            if number % 3 == 0 { key(&name) } else { shared(&name, &format!("account {}", number / 6)) };
        let enrol = Change::Enrol { state: state(number), budget: Budget::full(NOW) };
        changes.push((key.clone(), enrol));
        model.write(&key, enrol);
    }
    at_once(&[Arc::clone(&store)], changes.clone()).await;
    for (key, _) in changes.iter().step_by(10) {
        model.write(key, Change::Remove);
        assert_eq!(store.write(key, Change::Remove).await.unwrap(), Written::Done);
    }

    // An unknown user's row stands in the store too.
    let time = SimTime::new(TimeInterval::around(NOW, Duration::from_millis(10)));
    let stores = Arc::clone(&store) as Arc<dyn skewgate::store::StateStore>;
    let gate = Validator::builder(stores, Arc::new(time)).build().unwrap();
    for _ in 0..2 {
        let refused = gate.validate(None, &Attempt::parse("000000").unwrap()).await;
        assert!(!refused.is_accepted());
    }

    let shown = sorted(scan(&store).await);
    assert_eq!(shown.len(), model.records().len());
    assert_eq!(shown, model.records());

    for wanted in [1, 2, 1_000, 1_001] {
        let mut seen = 0;
        let mut visit = |_| {
            seen += 1;
            if seen == wanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        store.scan(&mut visit).await.unwrap();
        assert_eq!(seen, wanted, "shown after a break");
    }
}
