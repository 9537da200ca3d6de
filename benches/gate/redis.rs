//! Logins over Redis, one at a time, beside a bare loop of the same two round trips, against one redis-server with `appendfsync always`,
//! which is started for it.

#[allow(dead_code, reason = "a part of it is used")]
#[path = "../../tests/support/redis.rs"]
mod servers;

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Client, pipe};
use servers::RedisServer;
use skewgate::store::redis::RedisStore;
use skewgate::validator::Validator;
use tokio::runtime::Builder;

use super::logins::{Beside, Still, enrol, right, tokens};

const TURNS: usize = 101;
const LOGINS: u32 = 50;

/// The same commands, as many bytes, a script that only keeps them.
#[expect(clippy::expect_used, reason = "what fails can't be measured")]
async fn bare(connection: &mut MultiplexedConnection, script: &str, value: &[u8]) {
    let mut load = pipe();
    load.cmd("HGETALL").arg("skewgate:\u{1}store").cmd("GET").arg("bare").cmd("INFO").arg("replication");
    let values = connection.send_packed_commands(&load, 0, 3).await.expect("an answer");
    assert_eq!(values.len(), 3);
    let mut write = pipe();
    write.cmd("EVALSHA").arg(script).arg(1).arg("bare").arg(value);
    connection.send_packed_commands(&write, 0, 1).await.expect("an answer");
}

#[expect(clippy::expect_used, reason = "what can't be set up can't be measured")]
pub(crate) fn beside_two_round_trips() {
    let server = RedisServer::durable();
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let builder = RedisStore::builder(&server.url()).deadline(Duration::from_secs(20));
        let (store, time) = (Arc::new(builder.connect().await.expect("a store")), Still::new());
        let gate = Validator::builder(store.clone(), time.0.clone()).build().expect("a validator");
        let token = tokens(1).remove(0);
        enrol(&*store, &token, time.now()).await;
        let client = Client::open(server.url()).expect("a client");
        let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg("redis.call('SET', KEYS[1], ARGV[1]) return 1");
        let script: String = load.query_async(&mut connection).await.expect("a script");

        let mut beside = Beside::default();
        for _ in 0..TURNS {
            beside.turn();
            for _ in 0..LOGINS {
                time.next();
                assert!(gate.validate(Some(&token), &right(&token, &*time.0)).await.is_accepted());
            }
            beside.other_half();
            for _ in 0..LOGINS {
                bare(&mut connection, &script, &[7; 69]).await;
            }
            beside.end(LOGINS);
        }
        println!("redis: {beside}");
    });
}
