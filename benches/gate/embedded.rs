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
const LOGINS_OF_EACH: usize = 128;
/// In a turn.
const LOGINS: usize = IN_FLIGHT * LOGINS_OF_EACH;
const TRANSACTIONS: usize = 24;
const TURNS: usize = 30;
const ROWS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("rows");

pub(crate) fn beside_a_transaction_each() {
    for count in [LOGINS, 16 * LOGINS] {
        with_tokens(count);
    }
}

#[expect(clippy::expect_used, reason = "what can't be set up can't be measured")]
fn with_tokens(count: usize) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = EmbeddedStore::builder(directory.path().join("tokens.redb"))
        .deadline(Duration::from_secs(60))
        .open()
        .expect("a store");
    let (store, time) = (Arc::new(store), Still::new());
    let gate = Validator::builder(store.clone(), time.0.clone()).build().expect("a validator");
    let tokens: Arc<Vec<Token>> = Arc::new(tokens(u64::try_from(count).unwrap_or(u64::MAX)));
    let runtime = Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let now = time.now();
    for first in (0..count).step_by(LOGINS) {
        let (store, tokens) = (Arc::clone(&store), Arc::clone(&tokens));
        runtime.block_on(at_once(move |at| {
            let (store, tokens) = (Arc::clone(&store), Arc::clone(&tokens));
            async move { enrol(&*store as &dyn StateStore, &tokens[first + at], now).await }
        }));
    }

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

    let (mut own, mut beside) = (Rates::default(), [Rates::default(), Rates::default()]);
    for turn in 0..TURNS {
        time.next();
        let login = {
            let who = move |at| anywhere(turn * LOGINS + at, count);
            let attempts: Vec<_> = (0..LOGINS).map(|at| right(&tokens[who(at)], &*time.0)).collect();
            let (gate, tokens, attempts) = (gate.clone(), Arc::clone(&tokens), Arc::new(attempts));
            move |at: usize| {
                let (gate, tokens, attempts) = (gate.clone(), Arc::clone(&tokens), Arc::clone(&attempts));
                async move { assert!(gate.validate(Some(&tokens[who(at)]), &attempts[at]).await.is_accepted()) }
            }
        };
        own.add(LOGINS, seconds(|| runtime.block_on(at_once(login))));
        for (two_phases, rates) in [true, false].into_iter().zip(&mut beside) {
            let transactions = seconds(|| {
                for at in 0..TRANSACTIONS {
                    let at = anywhere(turn * TRANSACTIONS + at, count);
                    write(&names[at..=at], two_phases);
                }
            });
            rates.add(TRANSACTIONS, transactions);
        }
    }
    println!("embedded, {count} tokens, {IN_FLIGHT} logins at a time: {own}");
    for (phases, rates) in ["two phases", "a single phase"].into_iter().zip(beside) {
        let ratio = own.in_all() / rates.in_all();
        println!("  beside a transaction each in {phases}: {rates}, ratio {ratio:.2}");
    }
}

/// How many a second. What counts is all turns together: some have to do what others have left.
#[derive(Default)]
struct Rates {
    count: f64,
    seconds: f64,
    turns: Vec<f64>,
}

impl Rates {
    fn add(&mut self, count: usize, seconds: f64) {
        let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        self.count += count;
        self.seconds += seconds;
        self.turns.push(count / seconds);
    }

    fn in_all(&self) -> f64 {
        self.count / self.seconds
    }
}

impl std::fmt::Display for Rates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (turns, spread) = (self.turns.len(), spread(self.turns.clone(), ""));
        write!(f, "{:.0} a second in all, {turns} turns {spread}", self.in_all())
    }
}

/// One of so many after the other, but never neighbours: who logs in at the same time isn't kept in the same place.
const fn anywhere(at: usize, count: usize) -> usize {
    at * 1_000_003 % count
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
