//! Logins over PostgreSQL beside a bare loop of the same two round trips. The server is started for it, on loopback, with its own settings, and
//! has statistics of its tables, as autovacuum makes them wherever they are in use. A turn is short: a disk is slower in one second than in
//! another. Both use one connection: a process of the server that the system has put on another processor is slower to reach, whoever asks.

#[path = "../../tests/support/postgres.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod server;

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, Pool};
use server::Postgres;
use skewgate::store::postgres::PostgresStore;
use skewgate::validator::Validator;
use tokio::runtime::Builder;
use tokio_postgres::{Config, NoTls};

use super::logins::{Beside, Still, enrol, right, tokens};

const TURNS: usize = 300;
const LOGINS: u32 = 8;

#[expect(clippy::expect_used, reason = "what can't be set up can't be measured")]
pub(crate) fn beside_two_round_trips() {
    let server = Postgres::start();
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    // In a task, as a service's handlers are.
    runtime.block_on(runtime.spawn(measure(server.parameters("admin")))).expect("no panic");
}

#[expect(clippy::expect_used, reason = "what can't be set up can't be measured")]
async fn measure(parameters: String) {
    let mut config: Config = parameters.parse().expect("parameters");
    config.options("-c plan_cache_mode=force_generic_plan -c statement_timeout=10000");
    let pool = Pool::builder(Manager::new(config, NoTls)).max_size(1).build().expect("a pool");
    let store = Arc::new(PostgresStore::builder().deadline(Duration::from_secs(10)).over(pool.clone()));
    store.migrate().await.expect("tables");
    let time = Still::new();
    let gate = Validator::builder(store.clone(), time.0.clone()).build().expect("a validator");
    let token = tokens(1).remove(0);
    enrol(&*store, &token, time.now()).await;

    // What a service without a library would do.
    let client = pool.get().await.expect("a connection");
    let table =
        "CREATE TABLE bare (id text PRIMARY KEY, step bigint, mean bigint, variance bigint, updated bigint);
        INSERT INTO bare VALUES ('user-00000000042', 0, 0, 0, 0); ANALYZE";
    client.batch_execute(table).await.expect("a table");
    let select = client.prepare("SELECT * FROM bare WHERE id = $1").await.expect("a statement");
    let update = "UPDATE bare SET step = $2, mean = $2, variance = $2, updated = $2
        WHERE id = $1 AND step < $2 RETURNING 1";
    let update = client.prepare(update).await.expect("a statement");
    drop(client);

    let (mut beside, mut step) = (Beside::default(), 0_i64);
    for _ in 0..TURNS {
        beside.turn();
        for _ in 0..LOGINS {
            time.next();
            assert!(gate.validate(Some(&token), &right(&token, &*time.0)).await.is_accepted());
        }
        let client = pool.get().await.expect("a connection");
        beside.other_half();
        for _ in 0..LOGINS {
            step += 1;
            client.query_one(&select, &[&"user-00000000042"]).await.expect("a row");
            client.query_one(&update, &[&"user-00000000042", &step]).await.expect("a row");
        }
        beside.end(LOGINS);
    }
    println!("postgres: {beside}");
}
