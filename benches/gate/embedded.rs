//! Logins with the embedded store, 64 at a time, beside a bare redb with a transaction for each: one that is as safe as the store's own, in
//! two phases, and one in a single phase, with one wait for the disk.

use std::sync::Arc;
use std::time::Duration;

use redb::{Database, ReadableTable, TableDefinition};
use skewgate::store::{EmbeddedStore, StateStore};
use skewgate::token::Token;
use skewgate::validator::Validator;
use tokio::runtime::Builder;

use super::logins::{Still, enrol, right, seconds, spread, tokens};

const IN_FLIGHT: usize = 64;
const LOGINS_OF_EACH: usize = 32;
const TRANSACTIONS: usize = 24;
const TURNS: usize = 30;
const ROWS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("rows");

#[expect(clippy::expect_used, reason = "what can't be set up can't be measured")]
pub(crate) fn beside_a_transaction_each() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = EmbeddedStore::builder(directory.path().join("tokens.redb"))
        .deadline(Duration::from_secs(60))
        .open()
        .expect("a store");
    let (store, time) = (Arc::new(store), Still::new());
    let gate = Validator::builder(store.clone(), time.0.clone()).build().expect("a validator");
    let tokens: Arc<Vec<Token>> =
        Arc::new(tokens(u64::try_from(IN_FLIGHT * LOGINS_OF_EACH).unwrap_or(u64::MAX)));
    let runtime = Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let now = time.now();
    runtime.block_on(at_once({
        let (store, tokens) = (Arc::clone(&store), Arc::clone(&tokens));
        move |at: usize| {
            let (store, tokens) = (Arc::clone(&store), Arc::clone(&tokens));
            async move { enrol(&*store as &dyn StateStore, &tokens[at], now).await }
        }
    }));

    // The same database, with rows as long under names as long.
    let bare = Database::create(directory.path().join("bare.redb")).expect("a database");
    let name = |token: &Token| token.id().as_str().to_owned();
    let write = |names: &[String], two_phases: bool| {
        let mut transaction = bare.begin_write().expect("a transaction");
        transaction.set_two_phase_commit(two_phases);
        {
            let mut rows = transaction.open_table(ROWS).expect("a table");
            for name in names {
                let before = rows.get(name.as_str()).expect("a row").map_or(0, |row| row.value()[0]);
                rows.insert(name.as_str(), [before.wrapping_add(1); 59].as_slice()).expect("a row");
            }
        }
        transaction.commit().expect("a commit");
    };
    let names: Vec<String> = tokens.iter().map(name).collect();
    write(&names, true);

    let rate = |count: usize, seconds: f64| f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / seconds;
    let (mut own, mut beside) = (Vec::new(), [const { (Vec::new(), Vec::new()) }; 2]);
    for turn in 0..TURNS {
        time.next();
        let login = {
            let attempts: Arc<Vec<_>> = Arc::new(tokens.iter().map(|token| right(token, &*time.0)).collect());
            let (gate, tokens) = (gate.clone(), Arc::clone(&tokens));
            move |at: usize| {
                let (gate, tokens, attempts) = (gate.clone(), Arc::clone(&tokens), Arc::clone(&attempts));
                async move { assert!(gate.validate(Some(&tokens[at]), &attempts[at]).await.is_accepted()) }
            }
        };
        let logins = rate(tokens.len(), seconds(|| runtime.block_on(at_once(login))));
        own.push(logins);
        for (two_phases, (rates, ratios)) in [true, false].into_iter().zip(&mut beside) {
            let transactions = seconds(|| {
                for at in 0..TRANSACTIONS {
                    let at = (turn * TRANSACTIONS + at) % names.len();
                    write(&names[at..=at], two_phases);
                }
            });
            let transactions = rate(TRANSACTIONS, transactions);
            rates.push(transactions);
            ratios.push(logins / transactions);
        }
    }
    println!("embedded, {IN_FLIGHT} logins at a time: {}, {TURNS} turns", spread(own, " a second"));
    for (phases, (rates, ratios)) in ["two phases", "a single phase"].into_iter().zip(beside) {
        println!(
            "  beside a transaction each in {phases}: {}, ratio {}",
            spread(rates, " a second"),
            spread(ratios, "")
        );
    }
}

/// The work on each token, by its place, as many at a time as are in flight.
#[expect(clippy::expect_used, reason = "what can't be set up can't be measured")]
async fn at_once<F: Future<Output = ()> + Send>(work: impl Fn(usize) -> F + Clone + Send + 'static) {
    let lot = |first: usize| {
        let work = work.clone();
        async move {
            for lap in 0..LOGINS_OF_EACH {
                work(lap * IN_FLIGHT + first).await;
            }
        }
    };
    let tasks: Vec<_> = (0..IN_FLIGHT).map(lot).map(tokio::spawn).collect();
    for task in tasks {
        task.await.expect("a login");
    }
}
