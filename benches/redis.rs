//! Logins over Redis beside a bare loop of the same two round trips: `cargo bench --bench redis --features redis`.
//!
//! Both are timed in turns against one redis-server with `appendfsync always`, one login at a time. The goal is 0.8 of the bare rate.

#[allow(dead_code, reason = "a part of it is used")]
#[path = "../tests/support/redis.rs"]
mod servers;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Client, pipe};
use servers::RedisServer;
use skewgate::otp::{Secret, Totp};
use skewgate::store::redis::RedisStore;
use skewgate::time::sim::SimTime;
use skewgate::time::{LocalClock, SignedDuration, TimeInterval, TimeSource, Timestamp, os::OsClock};
use skewgate::token::{Token, TokenId};
use skewgate::validator::{Attempt, Validator};

const TURNS: usize = 101;
const LOGINS: u32 = 50;
const NOW: Timestamp = Timestamp::from_unix_nanos(1_780_000_000_000_000_000);

type Outcome<T> = Result<T, Box<dyn Error>>;

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
        let time = Arc::new(SimTime::new(TimeInterval::around(NOW, Duration::from_millis(10))));
        let gate = Validator::builder(Arc::new(builder.connect().await?), time.clone()).build()?;
        let totp = Totp::builder(&Secret::from_bytes(b"12345678901234567890")?).build()?;
        let token = Token::new(TokenId::new("user-42")?, totp.clone());
        let code = || -> Outcome<Attempt> {
            let step = totp.step_at(time.now()?.midpoint()).ok_or("before the first step")?;
            Ok(Attempt::one(totp.code_at(step)))
        };
        if gate.enrol(&token, &code()?).await.is_err() {
            return Err("the token isn't enrolled".into());
        }
        let mut connection = Client::open(server.url())?.get_multiplexed_async_connection().await?;
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg("redis.call('SET', KEYS[1], ARGV[1]) return 1");
        let script: String = load.query_async(&mut connection).await?;

        let mut rates = Vec::new();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            let start = OsClock.raw();
            for _ in 0..LOGINS {
                time.advance(Duration::from_secs(30));
                assert!(gate.validate(Some(&token), &code()?).await.is_accepted());
            }
            let middle = OsClock.raw();
            for _ in 0..LOGINS {
                bare(&mut connection, &script, &[7; 69]).await?;
            }
            let end = OsClock.raw();
            let each = |span: SignedDuration| span.unsigned_abs().as_secs_f64() * 1e6 / f64::from(LOGINS);
            ours.push(each(middle - start));
            theirs.push(each(end - middle));
            rates.push(each(end - middle) / each(middle - start));
        }
        for values in [&mut ours, &mut theirs, &mut rates] {
            values.sort_by(f64::total_cmp);
        }
        let median = |values: &[f64]| values[values.len() / 2];
        println!(
            "a login {:.1} µs, bare {:.1} µs; rate: {:.3} of the bare one",
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
