//! The PostgreSQL store against real servers, by a role that may do nothing but what the migration names.

mod nodes;
#[path = "support/postgres.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod server;
#[path = "support/tcp_relay.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod tcp_relay;

#[path = "postgres/faults.rs"]
mod faults;
#[path = "postgres/on_nodes.rs"]
mod on_nodes;
#[path = "postgres/restores.rs"]
mod restores;
#[path = "postgres/rows.rs"]
mod rows;
#[path = "postgres/shadows.rs"]
mod shadows;

use std::sync::Arc;
use std::time::Duration;

use server::Postgres;
use skewgate::otp::{Secret, TimeStep, Totp};
use skewgate::store::StateStore;
use skewgate::store::postgres::{PostgresBuilder, PostgresStore};
use skewgate::time::sim::SimTime;
use skewgate::time::{TimeInterval, Timestamp};
use skewgate::token::{Token, TokenId};
use skewgate::validator::{Attempt, Reason, Refused, Validator, Verdict};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::NoTls;

/// The beginning of a step.
const NOON: i64 = 1_780_315_200;

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// On a machine that does other things too.
fn patient() -> PostgresBuilder {
    PostgresStore::builder().deadline(Duration::from_secs(5))
}

fn connect(builder: PostgresBuilder, parameters: &str) -> PostgresStore {
    builder.connect(parameters.parse().expect("parameters of a connection"), NoTls).expect("a pool")
}

/// The tables, and the role `app` that may use them and do nothing else: how to connect as that.
fn prepare(runtime: &Runtime, server: &Postgres) -> String {
    let admin = connect(patient(), &server.parameters("admin"));
    assert!(runtime.block_on(admin.migrate()).expect("the tables are made"));
    assert!(!runtime.block_on(admin.migrate()).expect("they are there"));
    server.psql("CREATE ROLE app LOGIN NOSUPERUSER");
    grant(server);
    server.parameters("app")
}

fn grant(server: &Postgres) {
    server.psql(
        "GRANT USAGE ON SCHEMA skewgate TO app;
         GRANT SELECT, INSERT, UPDATE, DELETE ON skewgate.skewgate_token TO app;
         GRANT SELECT, INSERT, UPDATE ON skewgate.skewgate_store TO app",
    );
}

fn totp() -> Totp {
    Totp::builder(&Secret::from_bytes(b"12345678901234567890").expect("a key")).build().expect("a token")
}

fn token() -> Token {
    Token::new(TokenId::new("user-42").expect("a name"), totp())
}

/// The code that a right clock shows so many seconds after noon.
fn one(second: i64) -> Attempt {
    let step = TimeStep::new((NOON + second).div_euclid(30)).expect("a step");
    Attempt::one(totp().code_at(step))
}

fn two(second: i64) -> Attempt {
    let code = |second: i64| totp().code_at(TimeStep::new((NOON + second).div_euclid(30)).expect("a step"));
    Attempt::consecutive([code(second - 30), code(second)]).expect("two codes")
}

/// A service with a token that was enrolled an hour before noon.
struct Service {
    runtime: Runtime,
    time: Arc<SimTime>,
    gate: Validator,
}

impl Service {
    fn on(runtime: Runtime, store: Arc<dyn StateStore>) -> Self {
        let time = Arc::new(SimTime::new(at(-3_600)));
        let gate = Validator::builder(store, time.clone()).build().expect("random bytes");
        runtime.block_on(gate.enrol(&token(), &one(-3_610))).expect("a right code");
        Self { runtime, time, gate }
    }

    fn show(&self, second: i64, attempt: &Attempt) -> Verdict {
        self.time.set(Ok(at(second)));
        self.runtime.block_on(self.gate.validate(Some(&token()), attempt))
    }

    fn logs_in(&self, second: i64, attempt: &Attempt) {
        let verdict = self.show(second, attempt);
        assert!(verdict.is_accepted(), "{second}: {verdict:?}");
    }

    fn refuses(&self, second: i64, attempt: &Attempt) -> Refused {
        match self.show(second, attempt) {
            Verdict::Refused(refused) => refused,
            Verdict::Accepted(accepted) => panic!("{second}: {accepted:?}"),
        }
    }
}

fn at(second: i64) -> TimeInterval {
    let moment = Timestamp::from_unix_seconds(NOON + second).expect("a year in range");
    TimeInterval::around(moment, Duration::from_millis(10))
}

#[test]
#[ignore = "a node of the tests below"]
fn node() {
    nodes::work(|parameters| {
        Box::pin(async move { Arc::new(connect(patient(), &parameters)) as Arc<dyn StateStore> })
    });
}
