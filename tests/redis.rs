//! The store on Redis, against real servers: what is lost under which setting, who takes over, what a bad network does.
//! What every store must do is in `tests/store_conformance.rs`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test file uses a part of it")]
#[path = "support/redis.rs"]
mod servers;
#[path = "support/tcp_relay.rs"]
mod tcp_relay;

#[path = "redis/commands.rs"]
mod commands;
#[path = "redis/demoted.rs"]
mod demoted;
#[path = "redis/eviction.rs"]
mod eviction;

use std::fs;
use std::future::Future;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use servers::{DURABLE, FORGETFUL, RedisCluster, RedisServer, url};
use skewgate::otp::{Secret, TimeStep, Totp};
use skewgate::store::redis::{Confirmation, Loss, RedisBuilder, RedisConnectError, RedisStore};
use skewgate::store::{
    Acceptance, Change, Failure, Loaded, ManageStore, Renewal, Replaced, Reset, Seen, StateStore, StoreError,
    Written,
};
use skewgate::time::sim::SimTime;
use skewgate::time::{SignedDuration, TimeInterval, TimeSource, Timestamp};
use skewgate::token::{Bucket, Budget, Charge, Drift, Odds, Token, TokenId, TokenKey, TokenState};
use skewgate::validator::{Attempt, Validator};
use tcp_relay::{TcpRelay, Weather};
use tokio::runtime::Builder;

const NOW: Timestamp = Timestamp::from_unix_nanos(1_780_000_000_000_000_000);

fn run<F: Future>(test: F) -> F::Output {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // Not a measurement: what hangs should fail.
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(300), test).await }).unwrap()
}

/// With a deadline for a busy machine.
fn patient(url: &str) -> RedisBuilder {
    RedisStore::builder(url).deadline(Duration::from_secs(20))
}

async fn open(server: &RedisServer) -> RedisStore {
    patient(&server.url()).connect().await.unwrap()
}

async fn open_forgetful(server: &RedisServer) -> RedisStore {
    patient(&server.url()).accept_loss(Loss::AtRestart).connect().await.unwrap()
}

fn key(name: &str) -> TokenKey {
    TokenId::new(name).unwrap().into()
}

fn step(number: u64) -> TimeStep {
    TimeStep::new(i64::try_from(number).unwrap()).unwrap()
}

fn drift() -> Drift {
    Drift::from_parts(SignedDuration::from_secs(5), 124_000_000, NOW, None)
}

fn enrol() -> Change {
    let state = TokenState { epoch: 7, watermark: Some(step(10)), nonce: [1; 8], drift: drift() };
    Change::Enrol { state, budget: Budget::full(NOW) }
}

fn accept(number: u64) -> Change {
    Change::Accept(Acceptance {
        first: step(number),
        step: step(number),
        drift: drift(),
        epoch: 7,
        seen: Seen::default(),
        nonce: number.to_le_bytes(),
        failure_limit: u32::MAX,
        authenticates: false,
    })
}

fn fail() -> Change {
    let charge = Charge { bucket: Bucket::Blind, cost: Odds::from_e12(1_000_000) };
    Change::Fail(Failure { charge, from: NOW, burn: None, epoch: 0 })
}

/// `change` as decided from what the store is now.
async fn decided(store: &RedisStore, name: &str, change: Change) -> Result<Change, StoreError> {
    Ok(match change {
        Change::Accept(acceptance) => {
            let seen = store.load(&key(name)).await?.seen();
            Change::Accept(Acceptance { seen, ..acceptance })
        }
        other => other,
    })
}

/// As a validator does: decided from a load.
async fn put(store: &RedisStore, name: &str, change: Change) -> Result<Written, StoreError> {
    store.write(&key(name), decided(store, name, change).await?).await
}

async fn write(store: &RedisStore, change: Change) -> Written {
    put(store, "ada", change).await.unwrap()
}

async fn load(store: &RedisStore) -> Loaded {
    store.load(&key("ada")).await.unwrap()
}

fn watermark(loaded: &Loaded) -> Option<u64> {
    loaded.row.token.and_then(|state| state.watermark).map(|step| step.get().unsigned_abs())
}

async fn scanned(store: &RedisStore) -> usize {
    let mut count = 0;
    let mut visit = |_| {
        count += 1;
        ControlFlow::Continue(())
    };
    store.scan(&mut visit).await.unwrap();
    count
}

// --- What a server may lose ----------------------------------------------------------------------------------

fn refusal(result: Result<RedisStore, RedisConnectError>) -> (&'static str, Loss) {
    match result {
        Err(RedisConnectError::WouldLose { setting, loss, .. }) => (setting, loss),
        other => panic!("{other:?}"),
    }
}

#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn each_setting_that_loses_has_to_be_accepted_by_name() {
    let settings = [
        (FORGETFUL, ("appendonly", Loss::AtRestart)),
        (&[("appendonly", "yes"), ("appendfsync", "everysec")][..], ("appendfsync", Loss::AtPowerFailure)),
        (
            &[("appendonly", "yes"), ("appendfsync", "always"), ("no-appendfsync-on-rewrite", "yes")],
            ("no-appendfsync-on-rewrite", Loss::AtPowerFailure),
        ),
        (
            &[("appendonly", "yes"), ("appendfsync", "always"), ("maxmemory-policy", "allkeys-lru")],
            ("maxmemory-policy", Loss::ByEviction),
        ),
    ];
    let all = [Loss::AtRestart, Loss::AtPowerFailure, Loss::ByEviction];
    for (settings, (setting, loss)) in settings {
        let server = RedisServer::with(settings);
        run(async {
            assert_eq!(refusal(patient(&server.url()).connect().await), (setting, loss));
            let others = all.into_iter().filter(|other| *other != loss);
            let builder = others.fold(patient(&server.url()), RedisBuilder::accept_loss);
            assert_eq!(refusal(builder.connect().await), (setting, loss), "others were accepted");
            let store = patient(&server.url()).accept_loss(loss).connect().await.unwrap();
            assert_eq!(store.survives_restart(), loss != Loss::AtRestart);
            assert_eq!(write(&store, enrol()).await, Written::Done);
        });
    }
    let server = RedisServer::durable();
    run(async { assert!(open(&server).await.survives_restart()) });
}

#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn a_server_that_hides_its_settings_has_to_be_accepted_by_name() {
    let server = RedisServer::durable();
    server.cli(&["ACL", "SETUSER", "login", "on", ">pass", "~*", "&*", "+@all", "-config"]);
    let address = format!("redis://login:pass@{}", server.address());
    run(async {
        let hidden = patient(&address).connect().await;
        assert!(matches!(hidden, Err(RedisConnectError::SettingsUnknown { .. })), "{hidden:?}");
        assert!(!format!("{hidden:?} {:?}", patient(&address)).contains("pass"));
        let store = patient(&address).accept_loss(Loss::Unchecked).connect().await.unwrap();
        assert!(!store.survives_restart());
        assert_eq!(write(&store, enrol()).await, Written::Done);
        assert!(!format!("{store:?}").contains("pass"));
    });
}

#[test]
fn what_cannot_be_meant_is_refused_before_any_connection() {
    run(async {
        for prefix in ["", "a b", "{x}", "*", &"x".repeat(65)] {
            let refused = RedisStore::builder("redis://127.0.0.1:1").prefix(prefix).connect().await;
            assert!(matches!(refused, Err(RedisConnectError::Prefix { .. })), "{refused:?}");
        }
        let refused = RedisStore::connect("http://user:pass@127.0.0.1").await;
        let text = format!("{refused:?}");
        assert!(
            matches!(refused, Err(RedisConnectError::Address { .. })) && !text.contains("pass"),
            "{text}"
        );
    });
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let refused = skewgate::block_on(RedisStore::connect("redis://127.0.0.1:1"));
    let text = refused.map(drop).unwrap_err().to_string();
    assert!(text.contains("this thread has none of its runtimes"), "{text}");
}

/// A snapshot is taken, a code is accepted, the server dies: the code is forgotten, and that is noticed.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn without_a_log_an_accepted_code_is_lost_and_the_restart_is_noticed() {
    let mut server = RedisServer::with(FORGETFUL);
    run(async {
        let store = open_forgetful(&server).await;
        assert_eq!(write(&store, enrol()).await, Written::Done);
        server.cli(&["SAVE"]);
        assert_eq!(write(&store, accept(11)).await, Written::Done);
        assert_eq!(watermark(&load(&store).await), Some(11));
        // Killed, not stopped.
        server.restart();
        let loaded = load(&store).await;
        assert_eq!(watermark(&loaded), Some(10), "this is what is lost: step 11 could be used again");
        assert_eq!(loaded.replaced, Some(Replaced::Restored), "and that it is noticed");
        assert_eq!(load(&store).await.replaced, Some(Replaced::Restored), "until it is settled");
        store.set_not_before(NOW).await.unwrap();
        let loaded = load(&store).await;
        assert_eq!((loaded.not_before, loaded.replaced), (Some(NOW), None));
    });
}

#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn with_a_log_that_is_always_synchronised_nothing_is_lost() {
    let mut server = RedisServer::durable();
    run(async {
        let store = Arc::new(open(&server).await);
        for name in ["ada", "eve"] {
            assert_eq!(store.write(&key(name), enrol()).await.unwrap(), Written::Done);
        }
        for round in 0..3 {
            // Killed while writes are on their way; what was answered is known.
            let writer = tokio::spawn({
                let store = store.clone();
                async move {
                    let mut answered = 0;
                    for number in 1_000 * (round + 1).. {
                        // As in a login; and two users, since a write that is on its way says nothing of its own row.
                        if store.load(&key("ada")).await.is_err()
                            || put(&store, "eve", accept(number)).await.is_err()
                            || store.load(&key("ada")).await.is_err()
                        {
                            break;
                        }
                        match put(&store, "ada", accept(number)).await {
                            Ok(Written::Done) => answered = number,
                            // Started anew since the load.
                            Ok(Written::Refused) => break,
                            Ok(other) => panic!("{other:?}"),
                            Err(_) => break,
                        }
                    }
                    answered
                }
            });
            tokio::time::sleep(Duration::from_millis(300)).await;
            tokio::task::block_in_place(|| server.restart());
            let answered = writer.await.unwrap();
            assert!(answered > 1_000 * (round + 1), "some were answered");
            let loaded = load(&store).await;
            assert!(watermark(&loaded) >= Some(answered), "{loaded:?} {answered}");
            assert_eq!(loaded.replaced, Some(Replaced::Failover), "a start, with this process's last write");
            store.set_not_before(NOW).await.unwrap();
            assert_eq!(load(&store).await.replaced, None);
        }
    });
}

/// One user, who logged in last night and comes back after the restart: what let him in is proof enough, though nothing was asked since.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn who_was_let_in_last_is_proof_that_nothing_was_lost() {
    let mut server = RedisServer::durable();
    run(async {
        let store = open(&server).await;
        assert_eq!(write(&store, enrol()).await, Written::Done);
        for number in 11..14 {
            assert_eq!(write(&store, accept(number)).await, Written::Done);
            tokio::task::block_in_place(|| server.restart());
            let loaded = loop {
                // The connection is lost first.
                if let Ok(loaded) = store.load(&key("ada")).await {
                    break loaded;
                }
            };
            assert_eq!((watermark(&loaded), loaded.replaced), (Some(number), Some(Replaced::Failover)));
            store.set_not_before(NOW).await.unwrap();
        }
        // Who was let in by one that nobody knew proves nothing of before.
        tokio::task::block_in_place(|| server.restart());
        while put(&store, "ada", accept(14)).await.is_err() {}
        assert_eq!(load(&store).await.replaced, Some(Replaced::Restored));
    });
}

// --- Who it is that answers ------------------------------------------------------------------------------------

#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn an_emptied_database_is_noticed_and_its_tokens_are_not_enrolled() {
    let server = RedisServer::durable();
    run(async {
        let store = open(&server).await;
        assert_eq!(write(&store, enrol()).await, Written::Done);
        assert_eq!(load(&store).await.replaced, None);
        server.cli(&["FLUSHALL"]);
        let loaded = load(&store).await;
        assert_eq!((loaded.row.token, loaded.replaced), (None, Some(Replaced::Restored)));
        assert_eq!(write(&store, accept(11)).await, Written::Missing);
        store.set_not_before(NOW).await.unwrap();
        let loaded = load(&store).await;
        assert_eq!((loaded.not_before, loaded.replaced), (Some(NOW), None));
    });
}

/// The same, as a service sees it: no code that was used by then lets anybody in.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn an_emptied_database_brings_no_used_code_back() {
    let server = RedisServer::durable();
    run(async {
        let time = Arc::new(SimTime::new(TimeInterval::around(NOW, Duration::from_millis(100))));
        let store = Arc::new(open(&server).await);
        let gate = Validator::builder(store, time.clone()).build().unwrap();
        let totp = Totp::builder(&Secret::from_bytes(&[7; 20]).unwrap()).build().unwrap();
        let token = Token::new(TokenId::new("user-42").unwrap(), totp.clone());
        let shown = || Attempt::one(totp.code_at(totp.step_at(time.now().unwrap().midpoint()).unwrap()));
        gate.enrol(&token, &shown()).await.unwrap();
        time.advance(Duration::from_secs(60));
        let used = shown();
        assert!(gate.validate(Some(&token), &used).await.is_accepted());
        server.cli(&["FLUSHALL"]);
        for _ in 0..3 {
            assert!(!gate.validate(Some(&token), &used).await.is_accepted());
        }
        // A service that enrols everybody again as they come, by whatever they show.
        gate.enrol(&token, &used).await.unwrap();
        for _ in 0..5 {
            for attempt in [&used, &shown()] {
                assert!(!gate.validate(Some(&token), attempt).await.is_accepted());
            }
            time.advance(Duration::from_secs(60));
        }
        time.advance(Duration::from_secs(120));
        assert!(gate.validate(Some(&token), &shown()).await.is_accepted());
    });
}

/// Rows that were put back without what holds for the whole store aren't taken for a new store.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn accounts_without_a_marker_are_no_new_store() {
    let server = RedisServer::durable();
    run(async {
        assert_eq!(write(&open(&server).await, enrol()).await, Written::Done);
        server.cli(&["DEL", "skewgate:\u{1}store"]);
        assert_eq!(load(&open(&server).await).await.replaced, Some(Replaced::Restored));
        // Another one's keys don't matter.
        let other = patient(&server.url()).prefix("other:").connect().await.unwrap();
        let theirs = load(&other).await;
        assert_eq!((theirs.row, theirs.not_before, theirs.replaced), Default::default());
    });
}

/// The files of last night, put back while nobody looked.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn older_files_are_noticed_by_processes_old_and_new() {
    let mut server = RedisServer::with(FORGETFUL);
    run(async {
        let store = open_forgetful(&server).await;
        assert_eq!(write(&store, enrol()).await, Written::Done);
        server.cli(&["SAVE"]);
        let backup = fs::read(server.dir().join("dump.rdb")).unwrap();
        assert_eq!(write(&store, accept(11)).await, Written::Done);
        load(&store).await;
        server.cli(&["SAVE"]);
        server.kill();
        fs::write(server.dir().join("dump.rdb"), backup).unwrap();
        server.start();
        for store in [&store, &open_forgetful(&server).await] {
            let loaded = load(store).await;
            assert_eq!((watermark(&loaded), loaded.replaced), (Some(10), Some(Replaced::Restored)));
        }
        store.set_not_before(NOW).await.unwrap();
        // The other one finds it settled.
        assert_eq!(load(&open_forgetful(&server).await).await.replaced, None);
    });
}

/// A write that a replaced server took proves nothing: what it shows is as new as itself.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn a_write_after_the_restart_is_no_evidence() {
    let mut server = RedisServer::with(FORGETFUL);
    run(async {
        let store = open_forgetful(&server).await;
        assert_eq!(write(&store, enrol()).await, Written::Done);
        assert_eq!(load(&store).await.replaced, None);
        server.cli(&["SAVE"]);
        assert_eq!(write(&store, accept(11)).await, Written::Done);
        assert_eq!(load(&store).await.replaced, None);
        server.restart();
        // The connection is lost first.
        while put(&store, "ada", accept(12)).await.is_err() {}
        assert_eq!(load(&store).await.replaced, Some(Replaced::Restored), "step 12 says nothing of step 11");
        // The same where another row shows it.
        store.set_not_before(NOW).await.unwrap();
        assert_eq!(store.write(&key("eve"), enrol()).await.unwrap(), Written::Done);
        assert_eq!(load(&store).await.replaced, None);
        server.restart();
        while put(&store, "ada", accept(13)).await.is_err() {}
        assert_eq!(load(&store).await.replaced, Some(Replaced::Restored), "eve is lost, whatever ada has");
    });
}

fn promote(replica: &RedisServer) {
    replica.cli(&["REPLICAOF", "NO", "ONE"]);
}

/// `WAIT` says nothing of what other connections have written.
fn has_ada(replica: &RedisServer) {
    replica.wait_for(&["EXISTS", "skewgate:ada"], "1");
}

/// Whatever the replica didn't have is lost, and nobody was told; but it is noticed that somebody else answers.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn without_confirmation_a_failover_loses_a_code_and_is_noticed() {
    let primary = RedisServer::durable();
    let replica = primary.replica(DURABLE);
    let relay = TcpRelay::to(primary.address(), 1);
    run(async {
        let store = patient(&url(relay.address())).connect().await.unwrap();
        assert_eq!(write(&store, enrol()).await, Written::Done);
        has_ada(&replica);
        // The replica hears nothing more.
        replica.cli(&["REPLICAOF", "127.0.0.1", "1"]);
        assert_eq!(write(&store, accept(11)).await, Written::Done);
        assert_eq!(load(&store).await.replaced, None);
        promote(&replica);
        relay.lead_to(replica.address());
        relay.cut_all();
        let loaded = load(&store).await;
        assert_eq!(watermark(&loaded), Some(10), "step 11 is forgotten");
        assert_eq!(loaded.replaced, Some(Replaced::Restored), "this process misses its write");
    });
}

#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn with_confirmation_a_failover_loses_nothing_that_was_answered() {
    let primary = RedisServer::durable();
    let replica = primary.replica(DURABLE);
    let relay = TcpRelay::to(primary.address(), 1);
    run(async {
        let confirmed = patient(&url(relay.address())).deadline(Duration::from_secs(4));
        let store = confirmed.confirmation(Confirmation::Replicas(1)).connect().await.unwrap();
        assert_eq!(write(&store, enrol()).await, Written::Done);
        assert_eq!(write(&store, accept(11)).await, Written::Done);
        assert_eq!(store.write(&key("eve"), enrol()).await.unwrap(), Written::Done);
        assert_eq!(load(&store).await.replaced, None);
        replica.cli(&["REPLICAOF", "127.0.0.1", "1"]);
        let refused = put(&store, "ada", accept(12)).await;
        assert!(
            matches!(&refused, Err(StoreError::Failed { source, .. }) if source.to_string().contains("0 of 1")),
            "{refused:?}"
        );
        promote(&replica);
        relay.lead_to(replica.address());
        relay.cut_all();
        let loaded = load(&store).await;
        assert_eq!(watermark(&loaded), Some(11), "all that was answered");
        assert_eq!(loaded.replaced, Some(Replaced::Failover));
        store.set_not_before(NOW).await.unwrap_err();
        assert!(load(&store).await.replaced.is_none(), "it was done, but nobody has confirmed it");
    });
}

/// Redis 7.0 has no `WAITAOF`: that is an error, not a write that counts.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn a_server_that_cannot_confirm_is_refused() {
    let server = RedisServer::durable();
    run(async {
        let builder = patient(&server.url()).deadline(Duration::from_secs(2));
        let refused = builder.confirmation(Confirmation::ReplicaLogs(1)).connect().await;
        assert!(
            matches!(&refused, Err(RedisConnectError::CommandRefused { said, .. }) if said.contains("WAITAOF")),
            "{refused:?}"
        );
    });
}

#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn a_replica_is_not_asked_for_states() {
    let primary = RedisServer::durable();
    let replica = primary.replica(DURABLE);
    run(async {
        let refused = patient(&replica.url()).connect().await;
        assert!(
            matches!(&refused, Err(RedisConnectError::Replica { node }) if *node == replica.address().to_string()),
            "{refused:?}"
        );
        let store = open(&primary).await;
        assert_eq!(write(&store, enrol()).await, Written::Done);
        let late = decided(&store, "ada", accept(11)).await.unwrap();
        // Demoted while it is in use.
        promote(&replica);
        primary.cli(&["REPLICAOF", "127.0.0.1", &replica.address().port().to_string()]);
        let refused = store.load(&key("ada")).await;
        assert!(
            matches!(&refused, Err(StoreError::Failed { source, .. }) if source.to_string().contains("primary")),
            "{refused:?}"
        );
        let late = store.write(&key("ada"), late).await;
        assert!(matches!(late, Ok(Written::Refused) | Err(_)), "{late:?}");
    });
}

/// Read from the old primary, written to the new one: an acceptance of this code may be among what is lost.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn nothing_is_accepted_at_a_new_primary_that_was_decided_at_the_old_one() {
    let primary = RedisServer::durable();
    let replica = primary.replica(DURABLE);
    let relay = TcpRelay::to(primary.address(), 1);
    run(async {
        let [here, there] = [patient(&url(relay.address())), patient(&primary.url())];
        let (here, there) = (here.connect().await.unwrap(), there.connect().await.unwrap());
        assert_eq!(write(&there, enrol()).await, Written::Done);
        has_ada(&replica);
        replica.cli(&["REPLICAOF", "127.0.0.1", "1"]);
        let late = decided(&here, "ada", accept(11)).await.unwrap();
        let renewed = TokenState { epoch: 8, watermark: None, nonce: [2; 8], drift: drift() };
        let seen = load(&here).await.seen();
        let renewal = Change::Renew(Renewal { epoch: 7, watermark: Some(step(10)), seen, state: renewed });
        assert_eq!(write(&there, accept(11)).await, Written::Done, "another node lets its user in");
        promote(&replica);
        relay.lead_to(replica.address());
        relay.cut_all();
        for change in [late, renewal] {
            // The connection is found to be lost first.
            let written = loop {
                if let Ok(written) = here.write(&key("ada"), change).await {
                    break written;
                }
            };
            assert_eq!(written, Written::Refused, "{change:?}");
        }
        let loaded = load(&here).await;
        assert_eq!(watermark(&loaded), Some(10), "the new primary knows nothing of it");
        assert!(loaded.replaced.is_some());
        // And whoever asks again is told that it is settled.
        here.set_not_before(NOW).await.unwrap();
        assert_eq!(here.write(&key("ada"), late).await.unwrap(), Written::Refused);
        assert_eq!(write(&here, accept(12)).await, Written::Done);
    });
}

/// The servers that the store knows, as the one says that has what holds for the whole store.
fn known(server: &RedisServer) -> String {
    server.cli(&["HKEYS", "skewgate:\u{1}store"])
}

fn identity(server: &RedisServer) -> String {
    let said = server.cli(&["INFO", "replication"]);
    said.lines().find_map(|line| line.trim().strip_prefix("master_replid:")).unwrap().to_owned()
}

/// Two processes meet the second server; only one of them hears that it was settled, and the third takes over.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn a_server_that_is_no_more_does_not_become_known_again() {
    let first = RedisServer::durable();
    let (second, third) = (first.replica(DURABLE), first.replica(DURABLE));
    let relay = TcpRelay::to(first.address(), 1);
    run(async {
        let [late, prompt] = [patient(&url(relay.address())), patient(&url(relay.address()))];
        let (late, prompt) = (late.connect().await.unwrap(), prompt.connect().await.unwrap());
        assert_eq!(write(&late, enrol()).await, Written::Done);
        has_ada(&second);
        has_ada(&third);
        third.cli(&["REPLICAOF", "127.0.0.1", &second.address().port().to_string()]);
        promote(&second);
        third.wait_for(&["INFO", "replication"], "master_link_status:up");
        relay.lead_to(second.address());
        relay.cut_all();
        assert!(load(&late).await.replaced.is_some());
        assert!(load(&prompt).await.replaced.is_some());
        prompt.set_not_before(NOW).await.unwrap();
        assert_eq!(load(&prompt).await.replaced, None);
        assert!(known(&second).contains(&identity(&second)));
        third.wait_for(&["HKEYS", "skewgate:\u{1}store"], &identity(&second));
        let gone = identity(&second);
        promote(&third);
        relay.lead_to(third.address());
        relay.cut_all();
        assert!(load(&late).await.replaced.is_some());
        late.set_not_before(NOW).await.unwrap();
        assert_eq!((load(&late).await.replaced, load(&prompt).await.replaced), (None, None));
        let known = known(&third);
        assert!(known.contains(&identity(&third)) && !known.contains(&gone), "{known} {gone}");
    });
}

/// What was declared was answered by a server alone, which died; another process, that has never heard of it, settles for less.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn what_was_declared_restored_is_not_lost_with_a_server() {
    let later = |seconds| NOW + SignedDuration::from_secs(seconds);
    let primary = RedisServer::durable();
    let replica = primary.replica(DURABLE);
    let relay = TcpRelay::to(primary.address(), 1);
    run(async {
        let open = || async { patient(&url(relay.address())).connect().await.unwrap() };
        let (declarer, witness, stranger) = (open().await, open().await, open().await);
        assert_eq!(write(&declarer, enrol()).await, Written::Done);
        assert_eq!((load(&declarer).await.replaced, load(&stranger).await.replaced), (None, None));
        has_ada(&replica);
        replica.cli(&["REPLICAOF", "127.0.0.1", "1"]);
        declarer.set_not_before(later(300)).await.unwrap();
        assert_eq!(load(&witness).await.not_before, Some(later(300)));
        promote(&replica);
        relay.lead_to(replica.address());
        relay.cut_all();
        let loaded = load(&declarer).await;
        let lost = (Some(Replaced::Restored), Some(later(300)));
        assert_eq!(
            (loaded.replaced, loaded.not_before),
            lost,
            "its last write is there, the declaration isn't"
        );
        assert!(load(&stranger).await.replaced.is_some());
        stranger.set_not_before(NOW).await.unwrap();
        assert_eq!(load(&stranger).await.not_before, Some(NOW));
        for store in [&declarer, &witness] {
            let loaded = load(store).await;
            assert_eq!((loaded.replaced, loaded.not_before), lost, "though the server is known by now");
        }
        let late = decided(&witness, "ada", accept(11)).await.unwrap();
        assert_eq!(
            witness.write(&key("ada"), late).await.unwrap(),
            Written::Refused,
            "it isn't written down"
        );
        witness.set_not_before(later(1)).await.unwrap();
        for store in [&declarer, &witness, &stranger] {
            let loaded = load(store).await;
            assert_eq!((loaded.replaced, loaded.not_before), (None, Some(later(300))));
        }
        // What was set by this process, and seen by no load of it.
        declarer.set_not_before(later(600)).await.unwrap();
        replica.cli(&["HDEL", "skewgate:\u{1}store", "not_before"]);
        assert_eq!(load(&declarer).await.replaced, Some(Replaced::Restored));
        declarer.set_not_before(NOW).await.unwrap();
        assert_eq!(load(&stranger).await.not_before, Some(later(600)));
    });
}

// --- The network ---------------------------------------------------------------------------------------------------

#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn a_lost_connection_is_replaced_and_a_load_does_not_notice() {
    let server = RedisServer::durable();
    let relay = TcpRelay::to(server.address(), 1);
    run(async {
        let store = patient(&url(relay.address())).connect().await.unwrap();
        assert_eq!(write(&store, enrol()).await, Written::Done);
        for number in 11..31 {
            relay.cut_all();
            assert_eq!(watermark(&load(&store).await), Some(number - 1));
            assert_eq!(write(&store, accept(number)).await, Written::Done, "on the connection of the load");
            server.cli(&["SCRIPT", "FLUSH"]);
        }
    });
}

#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn a_server_that_says_nothing_is_waited_for_until_the_deadline() {
    let server = RedisServer::durable();
    let relay = TcpRelay::to(server.address(), 1);
    run(async {
        let deadline = Duration::from_millis(700);
        let builder = RedisStore::builder(&url(relay.address())).deadline(deadline);
        let store = builder.connect().await.unwrap();
        assert_eq!(write(&store, enrol()).await, Written::Done);
        // The server knows the script: otherwise nothing is written before the second question.
        assert_eq!(write(&store, accept(11)).await, Written::Done);
        let late = decided(&store, "ada", accept(12)).await.unwrap();
        relay.set(Weather { swallow_answers: true, ..Weather::default() });
        let timed_out = |error: &StoreError| matches!(error, StoreError::TimedOut { deadline: was, .. } if *was == deadline);
        let lost = store.write(&key("ada"), late).await.unwrap_err();
        assert!(timed_out(&lost), "{lost}");
        let lost = store.load(&key("ada")).await.unwrap_err();
        assert!(timed_out(&lost), "{lost}");
        relay.set(Weather::default());
        // On a new connection: the old one is as silent as before.
        let loaded = loop {
            if let Ok(loaded) = store.load(&key("ada")).await {
                break loaded;
            }
        };
        assert_eq!(watermark(&loaded), Some(12), "it was written once, without anybody knowing");
        while store.write(&key("ada"), fail()).await.is_err() {}
        assert_eq!(load(&store).await.row.budget.unwrap().failures(), 1);
    });
}

/// It answers, at once: what it says is what an operator needs to know.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn a_server_that_is_not_ready_is_asked_until_the_deadline_and_quoted() {
    let deadline = Duration::from_millis(500);
    let asked = |server: &RedisServer, said: &str, unready: &dyn Fn(), ready: &dyn Fn()| {
        run(async {
            let builder = RedisStore::builder(&server.url()).deadline(deadline);
            let store = builder.connect().await.unwrap();
            assert_eq!(write(&store, enrol()).await, Written::Done);
            let late = decided(&store, "ada", accept(11)).await.unwrap();
            unready();
            let refused = [
                store.load(&key("ada")).await.map(drop).unwrap_err(),
                store.write(&key("ada"), late).await.map(drop).unwrap_err(),
            ];
            for error in refused {
                assert!(
                    matches!(&error, StoreError::NotReady { deadline: was, .. } if *was == deadline),
                    "{error}"
                );
                assert!(error.to_string().contains(said), "{error}");
                assert!(error.to_string().contains(&server.address().to_string()), "{error}");
            }
            ready();
            assert_eq!(watermark(&load(&store).await), Some(10), "it was not done");
        });
    };
    let node = RedisCluster::node(DURABLE);
    node.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    node.wait_for(&["CLUSTER", "INFO"], "cluster_state:ok");
    // Nobody has that slot, so nobody answers to anything: the default of a Cluster.
    let uncovered = || drop(node.cli(&["CLUSTER", "DELSLOTS", "0"]));
    let covered = || {
        node.cli(&["CLUSTER", "ADDSLOTS", "0"]);
        node.wait_for(&["CLUSTER", "INFO"], "cluster_state:ok");
    };
    asked(&node, "CLUSTERDOWN", &uncovered, &covered);

    let server = RedisServer::with(&[DURABLE, &[("replica-serve-stale-data", "no")]].concat());
    let demoted = || drop(server.cli(&["REPLICAOF", "127.0.0.1", "1"]));
    asked(&server, "MASTERDOWN", &demoted, &|| promote(&server));
}

#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn a_server_that_reads_its_files_is_waited_for_when_the_store_is_opened() {
    let slow = [
        ("enable-debug-command", "yes"),
        ("key-load-delay", "500"),
        ("loading-process-events-interval-bytes", "1024"),
    ];
    let server = RedisServer::with(&[DURABLE, &slow[..]].concat());
    server.cli(&["DEBUG", "POPULATE", "4000"]);
    run(async {
        let is_loading = || server.cli(&["GET", "key:1"]).contains("LOADING");
        std::thread::scope(|scope| {
            scope.spawn(|| server.cli(&["DEBUG", "RELOAD"]));
            while !is_loading() {}
            let store = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(patient(&server.url()).connect())
            });
            assert!(store.is_ok(), "{store:?}");
            assert!(!is_loading());
        });
    });
}

/// Connections end in the middle of questions and of answers. Nothing that was answered is lost, nothing is done twice, and nobody waits
/// for an answer that can't come.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn no_write_is_lost_or_done_twice_where_connections_are_cut() {
    let server = RedisServer::durable();
    for seed in 0..3 {
        let relay = TcpRelay::to(server.address(), seed);
        run(async {
            let prefix = format!("{seed}:");
            let builder = patient(&url(relay.address())).prefix(&prefix);
            let store = Arc::new(builder.connect().await.unwrap());
            for name in ["ada", "eve", "bob", "mallory"] {
                assert_eq!(store.write(&key(name), enrol()).await.unwrap(), Written::Done);
            }
            relay.set(Weather { cut_per_mille: 60, delay: Duration::from_millis(2), ..Weather::default() });
            let tasks: Vec<_> = ["ada", "eve", "bob", "mallory"]
                .map(|name| {
                    let store = store.clone();
                    tokio::spawn(async move {
                        let (mut tried, mut paid, mut accepted, mut failed) = (0, 0, 10, 0);
                        for number in 11..91 {
                            tried += 1;
                            match store.write(&key(name), fail()).await {
                                Ok(written) => {
                                    assert_eq!(written, Written::Done);
                                    paid += 1;
                                }
                                Err(error) => failed += expected(&error),
                            }
                            match put(&store, name, accept(number)).await {
                                Ok(written) => {
                                    assert_eq!(
                                        written,
                                        Written::Done,
                                        "nobody else writes here: it was done twice"
                                    );
                                    accepted = number;
                                }
                                Err(error) => failed += expected(&error),
                            }
                            if let Ok(loaded) = store.load(&key(name)).await {
                                assert!(watermark(&loaded) >= Some(accepted));
                                assert_eq!(loaded.replaced, None);
                            }
                        }
                        (name, tried, paid, accepted, failed)
                    })
                })
                .into();
            let mut ended = Vec::new();
            for task in tasks {
                ended.push(task.await.unwrap());
            }
            relay.set(Weather::default());
            let mut all_failed = 0;
            for (name, tried, paid, accepted, failed) in ended {
                all_failed += failed;
                let loaded = store.load(&key(name)).await.unwrap();
                let failures = loaded.row.budget.unwrap().failures();
                assert!((paid..=tried).contains(&failures), "{name}: {paid} ≤ {failures} ≤ {tried}");
                assert!(watermark(&loaded) >= Some(accepted));
            }
            assert!(relay.cuts() > 10, "{} cuts", relay.cuts());
            // A connection that has ended fails each of the four once, then it is replaced, however many come at once.
            assert!(all_failed <= 4 * relay.cuts(), "{all_failed} failures, {} cuts", relay.cuts());
        });
    }
}

/// One more failure of the kind that a bad network makes.
fn expected(error: &StoreError) -> u64 {
    assert!(matches!(error, StoreError::Failed { .. }), "{error}");
    1
}

// --- How it is kept ------------------------------------------------------------------------------------------------

/// `SKEWGATE_TOKENS=100000 ./tests/run bytes_a_token -- --nocapture` prints what RESULTS.md says.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn a_token_takes_fewer_than_160_bytes_a_token_and_never_expires() {
    let tokens: u64 = std::env::var("SKEWGATE_TOKENS").map_or(5_000, |number| number.parse().unwrap());
    let server = RedisServer::with(FORGETFUL);
    run(async {
        let store = Arc::new(open_forgetful(&server).await);
        let tasks: Vec<_> = (0..50)
            .map(|first| {
                let store = store.clone();
                tokio::spawn(async move {
                    for number in (first..tokens).step_by(50) {
                        let key = key(&format!("{number:016}"));
                        store.write(&key, enrol()).await.unwrap();
                        store.write(&key, fail()).await.unwrap();
                        let accepted =
                            put(&store, &format!("{number:016}"), accept(59_000_000 + number)).await;
                        assert_eq!(accepted.unwrap(), Written::Done);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(scanned(&store).await as u64, tokens);
        let mut sum = 0;
        let samples = 200;
        for number in 0..samples {
            let name = format!("skewgate:{:016}", number * tokens / samples);
            let bytes: u64 = server.cli(&["MEMORY", "USAGE", &name]).trim().parse().unwrap();
            assert_eq!(server.cli(&["TTL", &name]).trim(), "-1");
            sum += bytes;
        }
        println!("{} bytes a token by MEMORY USAGE, {tokens} tokens", sum / samples);
        println!(
            "{}",
            server
                .cli(&["INFO", "memory"])
                .lines()
                .find(|line| line.starts_with("used_memory_dataset:"))
                .unwrap()
        );
        assert!(sum / samples < 160);
        assert_eq!(server.cli(&["TTL", "skewgate:\u{1}store"]).trim(), "-1");
    });
}

#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn what_cannot_be_read_is_an_error_and_stays_as_it_is() {
    let server = RedisServer::durable();
    run(async {
        let store = open(&server).await;
        for broken in ["", "short", "twenty bytes of text", "twenty bytes of text and a token"] {
            let unreadable = broken.len() != 20;
            server.cli(&["SET", "skewgate:ada", broken]);
            let loaded = store.load(&key("ada")).await;
            assert_eq!(
                matches!(loaded, Err(StoreError::Corrupt { .. })),
                unreadable,
                "{broken:?} {loaded:?}"
            );
            for change in [enrol(), fail(), accept(11), Change::Remove] {
                if unreadable {
                    let refused = store.write(&key("ada"), change).await;
                    assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{broken:?} {refused:?}");
                }
            }
            assert_eq!(server.cli(&["GET", "skewgate:ada"]).trim_end_matches('\n'), broken);
        }
        server.cli(&["DEL", "skewgate:ada"]);
        server.cli(&["LPUSH", "skewgate:ada", "1"]);
        assert!(store.load(&key("ada")).await.is_err());
        server.cli(&["HSET", "skewgate:\u{1}store", "format", "2"]);
        assert!(matches!(store.load(&key("eve")).await, Err(StoreError::Corrupt { .. })));
    });
}

fn assert_names(error: &StoreError, key: &str) {
    let text = error.to_string();
    assert!(matches!(error, StoreError::Corrupt { .. }) && text.contains(&format!("{key:?}")), "{text}");
}

/// An operator who has a million keys is told which one it is, and what helps.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn a_key_that_cannot_be_read_is_named_and_deleting_it_helps() {
    let server = RedisServer::durable();
    run(async {
        let store = open(&server).await;
        for how in [&["SET", "skewgate:a \"b\"", "short"], &["LPUSH", "skewgate:a \"b\"", "1"]] {
            server.cli(how);
            let (name, at) = ("a \"b\"", "skewgate:a \"b\"");
            assert_names(&store.load(&key(name)).await.map(drop).unwrap_err(), at);
            for change in [enrol(), fail(), Change::Remove] {
                assert_names(&store.write(&key(name), change).await.unwrap_err(), at);
            }
            // Both keys are the script's, and it doesn't say which it is.
            let accepted = store.write(&key(name), accept(11)).await.unwrap_err();
            assert_names(&accepted, at);
            let mut visit = |_| ControlFlow::Continue(());
            let error = store.scan(&mut visit).await.unwrap_err();
            assert_names(&error, at);
            assert!(error.to_string().contains("DEL it"), "{error}");
            server.cli(&["DEL", at]);
            assert_eq!(store.write(&key(name), enrol()).await.unwrap(), Written::Done);
            server.cli(&["DEL", at]);
        }
        server.cli(&["SET", "skewgate:a\nb", "another program's"]);
        let error = store.scan(&mut |_| ControlFlow::Continue(())).await.unwrap_err();
        assert_names(&error, "skewgate:a\nb");
        server.cli(&["DEL", "skewgate:a\nb"]);

        assert_eq!(write(&store, enrol()).await, Written::Done);
        let marker = "skewgate:\u{1}store";
        for how in [
            &["HSET", marker, "format", "2"][..],
            &["HSET", marker, "not_before", "x"],
            &["SET", marker, "x"],
        ] {
            server.cli(how);
            let mut errors = vec![load_error(&store).await];
            if how[0] == "SET" {
                errors.push(store.set_not_before(NOW).await.unwrap_err());
            }
            for error in errors {
                let text = error.to_string();
                assert!(text.contains(r#""skewgate:\x01store""#) && text.contains("DEL it"), "{text}");
            }
            server.cli(&["DEL", marker]);
            assert_eq!(load(&store).await.replaced, Some(Replaced::Restored), "what it says");
            store.set_not_before(NOW).await.unwrap();
            assert_eq!(load(&store).await.replaced, None);
        }
    });
}

async fn load_error(store: &RedisStore) -> StoreError {
    store.load(&key("ada")).await.map(drop).unwrap_err()
}

// --- Cluster -----------------------------------------------------------------------------------------------------------

#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn slots_that_move_take_their_tokens_along() {
    let cluster = RedisCluster::new(DURABLE);
    run(async {
        let store = Arc::new(patient(&cluster.url()).connect().await.unwrap());
        let names: Vec<_> = (0..40).map(|number| format!("token {number}")).collect();
        for name in &names {
            assert_eq!(store.write(&key(name), enrol()).await.unwrap(), Written::Done);
        }
        let ids: Vec<_> =
            cluster.nodes.iter().map(|node| node.cli(&["CLUSTER", "MYID"]).trim().to_owned()).collect();
        let mover = std::thread::spawn({
            let (first, [from, to, _]) = (cluster.nodes[0].address().to_string(), ids.try_into().unwrap());
            move || {
                let (from, to): (String, String) = (from, to);
                let reshard = std::process::Command::new("redis-cli")
                    .args(["--cluster", "reshard", &first, "--cluster-from", &from, "--cluster-to", &to])
                    .args(["--cluster-slots", "2000", "--cluster-yes"])
                    .output()
                    .unwrap();
                assert!(reshard.status.success(), "{}", String::from_utf8_lossy(&reshard.stdout));
            }
        });
        let mut number = 10;
        while !mover.is_finished() || number < 12 {
            number += 1;
            for name in &names {
                // Where it moves between the load and the write, another node has it.
                while put(&store, name, accept(number)).await.unwrap() != Written::Done {}
                let loaded = store.load(&key(name)).await.unwrap();
                assert_eq!((watermark(&loaded), loaded.replaced), (Some(number), None));
            }
        }
        mover.join().unwrap();
        assert_eq!(scanned(&store).await, names.len());
        let moved = cluster.nodes[0].cli(&["CLUSTER", "SLOTS"]);
        assert!(!moved.is_empty());
    });
}

/// One of three dies and comes back: the others' users log in as soon as the Cluster lets them, and the start is noticed for its own.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn a_node_that_was_restarted_is_noticed_for_its_own_slots_and_settled_for_all() {
    let mut cluster = RedisCluster::new(DURABLE);
    run(async {
        let stores = [
            patient(&cluster.url()).connect().await.unwrap(),
            patient(&cluster.nodes[1].url()).node(&cluster.url()).connect().await.unwrap(),
        ];
        let names: Vec<_> = (0..20).map(|number| format!("token {number}")).collect();
        for name in &names {
            assert_eq!(stores[0].write(&key(name), enrol()).await.unwrap(), Written::Done);
            assert_eq!(stores[0].load(&key(name)).await.unwrap().replaced, None);
        }
        tokio::task::block_in_place(|| {
            cluster.nodes[2].restart();
            for node in &cluster.nodes {
                node.wait_for(&["CLUSTER", "INFO"], "cluster_state:ok");
            }
        });
        let mut replaced = 0;
        for name in &names {
            let loaded = stores[0].load(&key(name)).await.unwrap();
            assert_eq!(watermark(&loaded), Some(10));
            assert!(matches!(loaded.replaced, None | Some(Replaced::Failover)), "{loaded:?}");
            replaced += usize::from(loaded.replaced.is_some());
        }
        assert!(replaced > 0, "some are at every node");
        stores[0].set_not_before(NOW).await.unwrap();
        for name in &names {
            for store in &stores {
                let loaded = store.load(&key(name)).await.unwrap();
                assert_eq!(
                    (loaded.not_before, loaded.replaced),
                    (Some(NOW), None),
                    "also where it wasn't read before"
                );
            }
        }
    });
}

/// The node that has what holds for the whole store, and a token that another one has.
fn apart(cluster: &RedisCluster) -> (&RedisServer, String) {
    let has = |node: &&RedisServer| node.cli(&["HGET", "skewgate:\u{1}store", "format"]).trim() == "1";
    let node = cluster.nodes.iter().find(has).unwrap();
    let elsewhere = |name: &String| node.cli(&["GET", &format!("skewgate:{name}")]).contains("MOVED");
    (node, (0..).map(|number| format!("token {number}")).find(elsewhere).unwrap())
}

/// The script waits at its node while the store is declared restored at another one.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn nothing_is_accepted_in_a_cluster_after_it_was_declared_restored() {
    let cluster = RedisCluster::new(DURABLE);
    run(async {
        let store = Arc::new(patient(&cluster.url()).connect().await.unwrap());
        let other = patient(&cluster.url()).connect().await.unwrap();
        let (node, name) = apart(&cluster);
        assert_eq!(store.write(&key(&name), enrol()).await.unwrap(), Written::Done);
        assert_eq!(put(&store, &name, accept(11)).await.unwrap(), Written::Done);
        let late = decided(&store, &name, accept(12)).await.unwrap();
        let paused = || cluster.nodes.iter().filter(|paused| paused.address() != node.address());
        for paused in paused() {
            paused.cli(&["CLIENT", "PAUSE", "15000", "WRITE"]);
        }
        let writing = tokio::spawn({
            let (store, name) = (store.clone(), name.clone());
            async move { store.write(&key(&name), late).await }
        });
        // Long enough to be asked beside it.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!writing.is_finished(), "it is held up");
        other.set_not_before(NOW).await.unwrap();
        for paused in paused() {
            paused.cli(&["CLIENT", "UNPAUSE"]);
        }
        let written = writing.await.unwrap();
        assert!(
            matches!(&written, Err(StoreError::Failed { source, .. }) if source.to_string().contains("declared restored")),
            "{written:?}"
        );
        assert_eq!(watermark(&store.load(&key(&name)).await.unwrap()), Some(12), "its code is used");
        assert_eq!(put(&store, &name, accept(13)).await.unwrap(), Written::Done);
    });
}

/// A process has met a node that another one has settled and that has started anew since; a third node is down, so that nobody
/// can say who is there.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn a_node_that_is_no_more_does_not_become_known_again_while_another_is_down() {
    let mut cluster = RedisCluster::new(DURABLE);
    run(async {
        let open = || async {
            let builder =
                cluster.nodes.iter().fold(patient(&cluster.url()), |some, node| some.node(&node.url()));
            builder.connect().await.unwrap()
        };
        let (late, prompt) = (open().await, open().await);
        let (node, name) = apart(&cluster);
        let marked = node.address();
        let key = key(&name);
        assert_eq!(late.write(&key, enrol()).await.unwrap(), Written::Done);
        let holds = |node: &RedisServer| node.cli(&["EXISTS", &format!("skewgate:{name}")]).trim() == "1";
        let at = cluster.nodes.iter().position(holds).unwrap();
        let place = cluster.nodes.iter().position(|node| node.address() == marked).unwrap();
        let restart = |cluster: &mut RedisCluster| {
            tokio::task::block_in_place(|| {
                cluster.nodes[at].restart();
                for node in &cluster.nodes {
                    node.wait_for(&["CLUSTER", "INFO"], "cluster_state:ok");
                }
            });
        };
        restart(&mut cluster);
        let gone = identity(&cluster.nodes[at]);
        assert!(late.load(&key).await.unwrap().replaced.is_some());
        assert!(prompt.load(&key).await.unwrap().replaced.is_some());
        prompt.set_not_before(NOW).await.unwrap();
        assert_eq!(late.load(&key).await.unwrap().replaced, None, "it hears of it");
        restart(&mut cluster);
        while prompt.load(&key).await.map_or(true, |loaded| loaded.replaced.is_none()) {}
        prompt.set_not_before(NOW).await.unwrap();
        assert!(!known(&cluster.nodes[place]).contains(&gone));
        for node in &cluster.nodes {
            node.cli(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
        }
        cluster.nodes[3 - at - place].kill();
        while late.set_not_before(NOW).await.is_err() {}
        let known = known(&cluster.nodes[place]);
        assert!(known.contains(&identity(&cluster.nodes[at])) && !known.contains(&gone), "{known} {gone}");
    });
}

/// Two addresses are a Cluster's.
#[test]
#[ignore = "needs redis-server: ./tests/run"]
fn several_addresses_of_single_servers_are_refused() {
    let servers = [RedisServer::durable(), RedisServer::durable()];
    run(async {
        let refused = patient(&servers[0].url()).node(&servers[1].url()).connect().await;
        assert!(matches!(refused, Err(RedisConnectError::NotACluster { .. })), "{refused:?}");
    });
}
