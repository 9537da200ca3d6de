//! Logins over PostgreSQL beside a bare loop of the same two round trips, in turns in one run: `cargo bench --bench postgres --features
//! postgres`. The server is started for it, on loopback, with its own settings, and has statistics of its tables, as autovacuum makes them
//! wherever they are in use. A turn is short and the ratio is that of neighbours: a disk is slower in one second than in another. Both use
//! one connection: a process of the server that the system has put on another processor is slower to reach, whoever asks.

#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark fails by panicking, and its figures are rounded"
)]

#[path = "../tests/support/postgres.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod server;

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, Pool};
use server::Postgres;
use skewgate::otp::{Secret, Totp};
use skewgate::store::postgres::PostgresStore;
use skewgate::time::os::OsClock;
use skewgate::time::sim::SimTime;
use skewgate::time::{LocalClock, TimeInterval, TimeSource, Timestamp};
use skewgate::token::{Token, TokenId};
use skewgate::validator::{Attempt, Validator};
use tokio::runtime::Builder;
use tokio_postgres::{Config, NoTls};

const TURNS: usize = 300;
const LOGINS: i64 = 8;

fn main() {
    let server = Postgres::start();
    let parameters = server.parameters("admin");
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    // In a task, as a service's handlers are.
    let login = async move {
        let mut config: Config = parameters.parse().unwrap();
        config.options("-c plan_cache_mode=force_generic_plan -c statement_timeout=10000");
        let pool = Pool::builder(Manager::new(config, NoTls)).max_size(1).build().unwrap();
        let store = PostgresStore::builder().deadline(Duration::from_secs(10)).over(pool.clone());
        let store = Arc::new(store);
        store.migrate().await.unwrap();
        let start = Timestamp::from_unix_seconds(1_780_315_200).unwrap();
        let time = Arc::new(SimTime::new(TimeInterval::around(start, Duration::from_millis(10))));
        let gate = Validator::builder(store, time.clone()).build().unwrap();
        let totp = Totp::builder(&Secret::from_bytes(b"12345678901234567890").unwrap()).build().unwrap();
        let token = Token::new(TokenId::new("user-00000000042").unwrap(), totp.clone());
        let code = || Attempt::one(totp.code_at(totp.step_at(time.now().unwrap().midpoint()).unwrap()));
        gate.enrol(&token, &code()).await.unwrap();

        // What a service without a library would do.
        let client = pool.get().await.unwrap();
        client
            .batch_execute(
                "CREATE TABLE bare (id text PRIMARY KEY, step bigint, mean bigint, variance bigint, updated bigint);
                 INSERT INTO bare VALUES ('user-00000000042', 0, 0, 0, 0)",
            )
            .await
            .unwrap();
        let select = client.prepare("SELECT * FROM bare WHERE id = $1").await.unwrap();
        let update = "UPDATE bare SET step = $2, mean = $2, variance = $2, updated = $2
            WHERE id = $1 AND step < $2 RETURNING 1";
        let update = client.prepare(update).await.unwrap();

        client.batch_execute("ANALYZE").await.unwrap();
        drop(client);

        let (mut ours, mut bare, mut ratios, mut step) = (Vec::new(), Vec::new(), Vec::new(), 0_i64);
        for _ in 0..TURNS {
            let begin = OsClock.raw();
            for _ in 0..LOGINS {
                time.advance(Duration::from_secs(30));
                assert!(gate.validate(Some(&token), &code()).await.is_accepted());
            }
            let client = pool.get().await.unwrap();
            let middle = OsClock.raw();
            for _ in 0..LOGINS {
                step += 1;
                client.query_one(&select, &[&"user-00000000042"]).await.unwrap();
                client.query_one(&update, &[&"user-00000000042", &step]).await.unwrap();
            }
            let end = OsClock.raw();
            let (login, pair) = ((middle - begin).as_nanos() / LOGINS, (end - middle).as_nanos() / LOGINS);
            ours.push(login);
            bare.push(pair);
            ratios.push(pair as f64 / login as f64);
        }
        ours.sort_unstable();
        bare.sort_unstable();
        ratios.sort_by(f64::total_cmp);
        println!(
            "medians of {TURNS} turns of {LOGINS}: a login {} ns, the bare loop {} ns, rate {:.2} ({:.2} to {:.2}) of the bare loop's",
            ours[TURNS / 2],
            bare[TURNS / 2],
            ratios[TURNS / 2],
            ratios[TURNS / 10],
            ratios[TURNS * 9 / 10]
        );
    };
    runtime.block_on(runtime.spawn(login)).unwrap();
}
