//! The PostgreSQL store against real servers.

mod nodes;
#[path = "support/postgres.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod server;
#[path = "support/tcp_relay.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod tcp_relay;

use std::sync::Arc;
use std::time::Duration;

use nodes::Trouble;
use server::Postgres;
use skewgate::store::StateStore;
use skewgate::store::postgres::PostgresStore;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::NoTls;

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// On a machine that does other things too.
fn open(parameters: &str) -> PostgresStore {
    let config = parameters.parse().expect("parameters of a connection");
    PostgresStore::builder().deadline(Duration::from_secs(5)).connect(config, NoTls).expect("a pool")
}

/// Tables are made as the role that uses them.
fn migrated(runtime: &Runtime, parameters: &str) -> Arc<PostgresStore> {
    let store = open(parameters);
    assert!(runtime.block_on(store.migrate()).expect("the tables are made"));
    Arc::new(store)
}

#[test]
#[ignore = "a node of the tests below"]
fn node() {
    nodes::work(|parameters| Box::pin(async move { Arc::new(open(&parameters)) as Arc<dyn StateStore> }));
}

#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn nodes_accept_no_step_twice_and_lose_no_price() {
    let (runtime, server) = (runtime(), Postgres::start());
    let parameters = server.parameters("admin");
    let store: Arc<dyn StateStore> = migrated(&runtime, &parameters);
    let befall = |round| if round % 2 == 0 { Trouble::Deaths } else { Trouble::None };
    nodes::contend(&runtime, &parameters, &store, 1, 30, befall, |_| ());
}

#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn an_owner_gets_in_within_two_tries_through_a_flood() {
    let (runtime, server) = (runtime(), Postgres::start());
    let parameters = server.parameters("admin");
    let store: Arc<dyn StateStore> = migrated(&runtime, &parameters);
    nodes::flood(&runtime, &parameters, &store, 2, 10, 1);
}
