//! A login's load and write in the store on Redis, beside a bare loop of the same two round trips: `cargo bench --bench redis --features redis`.
//!
//! Both are timed in turns against one redis-server with `appendfsync always`, one login at a time. The goal is 0.8 of the bare rate.

#[allow(dead_code, reason = "a part of it is used")]
#[path = "../tests/support/redis.rs"]
mod servers;

use std::error::Error;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Client, pipe};
use servers::RedisServer;
use skewgate::otp::TimeStep;
use skewgate::store::redis::RedisStore;
use skewgate::store::{Acceptance, Change, StateStore, Written};
use skewgate::time::{LocalClock, SignedDuration, Timestamp, os::OsClock};
use skewgate::token::{Budget, Drift, TokenId, TokenKey, TokenState};

const TURNS: usize = 101;
const LOGINS: i64 = 50;
const NOW: Timestamp = Timestamp::from_unix_nanos(1_780_000_000_000_000_000);

type Outcome<T> = Result<T, Box<dyn Error>>;

fn drift() -> Drift {
    Drift::from_parts(SignedDuration::ZERO, 124_000_000, NOW, None)
}

async fn through_the_store(store: &RedisStore, key: &TokenKey, step: i64) -> Outcome<()> {
    let loaded = store.load(key).await?;
    let step = TimeStep::new(step).ok_or("a negative step")?;
    assert!(loaded.row.token.is_some_and(|state| state.watermark < Some(step)));
    let change = Change::Accept(Acceptance {
        first: step,
        step,
        drift: drift(),
        epoch: 0,
        seen: loaded.seen(),
        nonce: step.get().to_le_bytes(),
        failure_limit: u32::MAX,
        authenticates: true,
    });
    assert_eq!(store.write(key, change).await?, Written::Done);
    Ok(())
}

/// The same commands, as many bytes, a script that only keeps them.
async fn bare(connection: &mut MultiplexedConnection, script: &str, value: &[u8]) -> Outcome<()> {
    let mut load = pipe();
    load.cmd("HGETALL").arg("skewgate:\u{1}store").cmd("GET").arg("bare").cmd("INFO").arg("replication");
    let values = connection.send_packed_commands(&load, 0, 3).await?;
    assert_eq!(values.len(), 3);
    let mut write = pipe();
    write.cmd("EVALSHA").arg(script).arg(1).arg("bare").arg(value);
    connection.send_packed_commands(&write, 0, 1).await?;
    Ok(())
}

fn main() -> Outcome<()> {
    let server = RedisServer::durable();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let builder = RedisStore::builder(&server.url()).deadline(Duration::from_secs(20));
        let store = builder.connect().await?;
        let key = TokenKey::from(TokenId::new("user-42")?);
        let state = TokenState { epoch: 0, watermark: None, nonce: [0; 8], drift: drift() };
        store.write(&key, Change::Enrol { state, budget: Budget::full(NOW) }).await?;
        let mut connection = Client::open(server.url())?.get_multiplexed_async_connection().await?;
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg("redis.call('SET', KEYS[1], ARGV[1]) return 1");
        let script: String = load.query_async(&mut connection).await?;

        let (mut rates, mut step) = (Vec::new(), 0);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            let start = OsClock.raw();
            for _ in 0..LOGINS {
                step += 1;
                through_the_store(&store, &key, step).await?;
            }
            let middle = OsClock.raw();
            for _ in 0..LOGINS {
                bare(&mut connection, &script, &[7; 69]).await?;
            }
            let end = OsClock.raw();
            let each = |span: SignedDuration| span.unsigned_abs().as_secs_f64() * 1e6 / 50.0;
            ours.push(each(middle - start));
            theirs.push(each(end - middle));
            rates.push(each(end - middle) / each(middle - start));
        }
        for values in [&mut ours, &mut theirs, &mut rates] {
            values.sort_by(f64::total_cmp);
        }
        let median = |values: &[f64]| values[values.len() / 2];
        println!(
            "store {:.1} µs, bare {:.1} µs a login; rate of the store: {:.3} of the bare one",
            median(&ours),
            median(&theirs),
            median(&rates)
        );
        if median(&rates) < 0.8 {
            return Err("below 0.8 of the bare rate".into());
        }
        Ok(())
    })
}
