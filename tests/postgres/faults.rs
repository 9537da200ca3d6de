//! What is refused, and how.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::thread;

use super::tcp_relay::{TcpRelay, Weather};
use super::*;
use skewgate::store::postgres::{PostgresError, SchemaName};
use skewgate::store::{Change, Failure, ManageStore, StoreError, Written};
use skewgate::time::SignedDuration;
use skewgate::token::{Bucket, Budget, Charge, Drift, Odds, TokenKey, TokenState};

/// What PostgreSQL's store has said.
fn cause(error: &StoreError) -> &PostgresError {
    let source = error.source().and_then(|source| source.downcast_ref());
    source.unwrap_or_else(|| panic!("{error:?}"))
}

fn failure() -> Change {
    let charge = Charge { bucket: Bucket::Blind, cost: Odds::from_e12(1_000_000) };
    Change::Fail(Failure { charge, from: at(0).earliest(), burn: None, epoch: 0 })
}

#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn no_tables_no_login() {
    let (runtime, server) = (runtime(), Postgres::start());
    let store =
        connect(patient().schema(SchemaName::new("elsewhere").expect("a name")), &server.parameters("admin"));
    let error = runtime.block_on(store.load(token().key())).expect_err("there is nothing");
    assert!(matches!(cause(&error), PostgresError::NotMigrated { .. }), "{error}");
    assert!(error.to_string().contains("migrate"), "it says what to do: {error}");
    // Several at a time.
    let made: Vec<bool> = thread::scope(|scope| {
        let tasks: Vec<_> =
            (0..4).map(|_| scope.spawn(|| runtime.block_on(store.migrate()).expect("made"))).collect();
        tasks.into_iter().map(|task| task.join().expect("no panic")).collect()
    });
    assert_eq!(made.iter().filter(|made| **made).count(), 1);
    let loaded = runtime.block_on(store.load(token().key())).expect("there it is");
    assert_eq!((loaded.row, loaded.not_before, loaded.replaced), Default::default());
}

#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn a_commit_that_may_be_lost_is_no_answer() {
    let (runtime, server) = (runtime(), Postgres::start());
    let parameters = prepare(&runtime, &server);
    let store = Arc::new(connect(patient(), &parameters));
    let service = Service::on(runtime, store.clone());
    let refused = |expected: &str| {
        let error =
            service.runtime.block_on(store.write(token().key(), failure())).expect_err("it isn't durable");
        assert!(error.to_string().contains(expected), "{error}");
    };
    // Under connections that are open.
    server.psql("ALTER SYSTEM SET synchronous_commit = off");
    server.reload();
    thread::sleep(Duration::from_millis(300));
    refused("synchronous_commit is off");
    assert!(matches!(service.refuses(100, &one(90)).reason(), Reason::StoreFailed(_)));
    for enough in ["local", "remote_apply", "on"] {
        server.psql(&format!("ALTER SYSTEM SET synchronous_commit = {enough}"));
        server.reload();
        thread::sleep(Duration::from_millis(300));
        let written = service.runtime.block_on(store.write(token().key(), failure()));
        assert_eq!(written.expect("durable"), Written::Done);
    }
    server.psql("ALTER SYSTEM SET fsync = off");
    server.reload();
    thread::sleep(Duration::from_millis(300));
    refused("fsync is off");
    refused("ALTER SYSTEM SET fsync = on");
    server.psql("ALTER SYSTEM RESET fsync");
    server.reload();
    // For this role alone.
    server.psql("ALTER ROLE app SET synchronous_commit = off");
    let fresh = connect(patient(), &parameters);
    let error =
        service.runtime.block_on(fresh.write(token().key(), failure())).expect_err("it isn't durable");
    assert!(
        matches!(cause(&error), PostgresError::NotDurable { setting: "synchronous_commit", .. }),
        "{error}"
    );
    server.psql("ALTER ROLE app RESET synchronous_commit");
    // Where standbys are demanded and there is none, or they aren't waited for.
    let demanding = connect(patient().synchronous_standbys(true), &parameters);
    let error = service.runtime.block_on(demanding.write(token().key(), failure())).expect_err("no standby");
    assert!(matches!(cause(&error), PostgresError::NoSynchronousStandby), "{error}");
    server.psql("ALTER ROLE app SET synchronous_commit = local");
    let demanding = connect(patient().synchronous_standbys(true), &parameters);
    let error = service.runtime.block_on(demanding.write(token().key(), failure())).expect_err("no standby");
    assert!(matches!(cause(&error), PostgresError::NotDurable { .. }), "{error}");
}

/// The statement is ended on the server too: it doesn't happen once the lock is gone.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn a_row_that_is_locked() {
    let (runtime, server) = (runtime(), Postgres::start());
    let parameters = prepare(&runtime, &server);
    let store = Arc::new(connect(PostgresStore::builder().deadline(Duration::from_millis(500)), &parameters));
    let service = Service::on(runtime, store.clone());
    thread::scope(|scope| {
        scope.spawn(|| {
            server.psql(
                "BEGIN; SELECT FROM skewgate.skewgate_token WHERE id = 'user-42' FOR UPDATE; SELECT pg_sleep(3); COMMIT",
            );
        });
        thread::sleep(Duration::from_millis(500));
        for _ in 0..2 {
            let error =
                service.runtime.block_on(store.write(token().key(), failure())).expect_err("it is locked");
            assert!(matches!(error, StoreError::TimedOut { .. }), "{error}");
        }
    });
    let row = service.runtime.block_on(store.load(token().key())).expect("it isn't any more").row;
    assert_eq!(row.budget.map(|budget| budget.failures()), Some(0), "nobody pays later");
    service.logs_in(100, &one(90));
}

#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn an_answer_that_does_not_come() {
    let (runtime, server) = (runtime(), Postgres::start());
    let parameters = prepare(&runtime, &server);
    let relay = TcpRelay::to(SocketAddr::from((Ipv4Addr::LOCALHOST, server.port())), 7);
    let through =
        parameters.replace(&format!("port={}", server.port()), &format!("port={}", relay.address().port()));
    let builder = PostgresStore::builder().deadline(Duration::from_millis(500)).connections(1);
    let store = Arc::new(connect(builder, &through));
    let service = Service::on(runtime, store.clone());
    // The statement is known to the connection: what is swallowed next is the answer to the write itself.
    let written = service.runtime.block_on(store.write(token().key(), failure()));
    assert_eq!(written.expect("good weather"), Written::Done);
    relay.set(Weather { swallow_answers: true, ..Weather::default() });
    let error = service.runtime.block_on(store.write(token().key(), failure())).expect_err("it is deaf");
    assert!(matches!(error, StoreError::TimedOut { .. }), "{error}");
    relay.set(Weather::default());
    // With the only connection that there may be: the old one would give the old answer, or none.
    let row = service.runtime.block_on(store.load(token().key())).expect("a new connection").row;
    assert_eq!(row.budget.map(|budget| budget.failures()), Some(2), "it had arrived");
    service.logs_in(100, &one(90));
    // All connections are cut between two logins: what changes nothing is asked for again.
    relay.cut_all();
    thread::sleep(Duration::from_millis(100));
    service.logs_in(200, &one(190));
    // Once more: the connection that was given up on doesn't count any more.
    relay.set(Weather { swallow_answers: true, ..Weather::default() });
    service.runtime.block_on(store.write(token().key(), failure())).expect_err("it is deaf");
    relay.set(Weather::default());
    service.logs_in(300, &one(290));
}

/// A future that is dropped leaves no connection behind whose next answer is another's.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn futures_that_are_dropped() {
    let (runtime, server) = (runtime(), Postgres::start());
    let parameters = prepare(&runtime, &server);
    let store = Arc::new(connect(patient().connections(1), &parameters));
    let service = Service::on(runtime, store.clone());
    for round in 0..60 {
        service.runtime.block_on(async {
            let pause = Duration::from_micros(round * 40);
            let _ = tokio::time::timeout(pause, store.write(token().key(), failure())).await;
            let loaded = store.load(token().key()).await.expect("it answers");
            assert!(loaded.row.token.is_some(), "{round}: the answer to another question");
        });
    }
}

#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn a_service_brings_its_own_pool() {
    let (runtime, server) = (runtime(), Postgres::start());
    let parameters = prepare(&runtime, &server);
    let manager = deadpool_postgres::Manager::new(parameters.parse().expect("parameters"), NoTls);
    let pool = deadpool_postgres::Pool::builder(manager).max_size(2).build().expect("a pool");
    let service = Service::on(runtime, Arc::new(PostgresStore::builder().over(pool.clone())));
    service.logs_in(100, &one(90));
    let rows = service.runtime.block_on(async {
        let client = pool.get().await.expect("a connection");
        client.query("SELECT FROM skewgate.skewgate_token", &[]).await.expect("an answer").len()
    });
    assert_eq!(rows, 1);
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let store = connect(patient(), "host=127.0.0.1 port=1 user=nobody");
    let error = skewgate::block_on(store.load(token().key())).expect_err("there is no runtime");
    assert!(matches!(cause(&error), PostgresError::NoRuntime), "{error}");
    let error = skewgate::block_on(store.migrate()).expect_err("there is no runtime");
    assert!(matches!(error, PostgresError::NoRuntime), "{error}");
}

#[test]
fn nobody_there() {
    let store = connect(patient(), "host=127.0.0.1 port=1 user=nobody password=secret-word");
    let error = runtime().block_on(store.load(token().key())).expect_err("there is nobody");
    assert!(matches!(cause(&error), PostgresError::Pool(_)), "{error}");
    assert!(error.to_string().contains("refused"), "it says why: {error}");
    assert!(!format!("{store:?} {error:?} {error}").contains("secret-word"));
}

/// An address that leads to a standby for a moment, as while a service moves.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn a_standby_that_was_met_once() {
    let (runtime, server) = (runtime(), Postgres::start());
    let parameters = prepare(&runtime, &server);
    let standby = server.standby("s1");
    let address = |server: &Postgres| SocketAddr::from((Ipv4Addr::LOCALHOST, server.port()));
    let relay = TcpRelay::to(address(&server), 3);
    let through =
        parameters.replace(&format!("port={}", server.port()), &format!("port={}", relay.address().port()));
    let store = Arc::new(connect(patient(), &through));
    let service = Service::on(runtime, store.clone());
    relay.cut_all();
    relay.lead_to(address(&standby));
    thread::sleep(Duration::from_millis(100));
    let error = service.runtime.block_on(store.load(token().key())).expect_err("a standby");
    assert!(matches!(cause(&error), PostgresError::Standby), "{error}");
    let error = service.runtime.block_on(store.migrate()).expect_err("a standby");
    assert!(matches!(error, PostgresError::Standby), "{error}");
    // Several connections that are kept, as a scan keeps its own, which a standby answers as well.
    let scan = || service.runtime.block_on(store.scan(&mut |_| ControlFlow::Continue(())));
    scan().expect("it only reads");
    relay.lead_to(address(&server));
    service.logs_in(100, &one(90));
    service.logs_in(200, &one(190));
}

/// Settings of a role reach new sessions alone: whoever does what the error says is helped.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn what_an_error_says_helps() {
    let (runtime, server) = (runtime(), Postgres::start());
    let parameters = prepare(&runtime, &server);
    let demanding =
        |demanded| Arc::new(connect(patient().connections(1).synchronous_standbys(demanded), &parameters));
    let service = Service::on(runtime, demanding(false));
    for (store, wrong) in [(demanding(false), "off"), (demanding(true), "local")] {
        server.psql(&format!("ALTER ROLE app SET synchronous_commit = {wrong}"));
        let write = || service.runtime.block_on(store.write(token().key(), failure()));
        let error = write().expect_err("it isn't durable");
        assert!(error.to_string().contains("ALTER ROLE … SET synchronous_commit = on"), "{error}");
        server.psql("ALTER ROLE app SET synchronous_commit = on");
        match write() {
            Ok(written) => assert_eq!((written, wrong), (Written::Done, "off")),
            Err(error) => assert!(matches!(cause(&error), PostgresError::NoSynchronousStandby), "{error}"),
        }
    }
}

/// An address that takes connections and never says a word.
#[test]
fn a_migration_ends_where_nobody_answers() {
    let listener =
        std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free TCP port on loopback");
    let port = listener.local_addr().expect("the address of a bound socket").port();
    let builder = PostgresStore::builder().deadline(Duration::from_millis(50));
    let store = connect(builder, &format!("host=127.0.0.1 port={port} user=nobody"));
    let patience = Duration::from_secs(10);
    let ended = runtime().block_on(async { tokio::time::timeout(patience, store.migrate()).await });
    let error = ended.expect("it ends by itself").expect_err("nobody answers");
    assert!(matches!(error, PostgresError::TimedOut { .. }), "{error}");
}

/// A commit that waits for a standby that is gone is ended by nothing, and its connection is one of the hundred that the server has for everybody.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn a_standby_that_is_waited_for_fills_no_server() {
    let (runtime, server) = (runtime(), Postgres::start());
    let parameters = prepare(&runtime, &server);
    let builder = PostgresStore::builder().deadline(Duration::from_millis(300)).connections(4);
    let store = Arc::new(connect(builder, &parameters));
    let service = Service::on(runtime, store.clone());
    server.psql("ALTER SYSTEM SET synchronous_standby_names = 's1'");
    server.reload();
    thread::sleep(Duration::from_millis(300));
    let backends = || {
        let count = server.psql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'");
        count.parse::<usize>().expect("a number")
    };
    let state = || TokenState {
        epoch: 1,
        watermark: None,
        nonce: [0; 8],
        drift: Drift::from_parts(SignedDuration::ZERO, 1, at(0).earliest(), None),
    };
    // Rows of their own: none waits for another's lock. Every other future is dropped before its deadline.
    let write = |number: u64| {
        let store = store.clone();
        async move {
            let key = TokenKey::from(TokenId::new(&format!("user-{number}")).expect("a name"));
            let enrol = Change::Enrol { state: state(), budget: Budget::full(at(0).earliest()) };
            let pause = Duration::from_millis(if number.is_multiple_of(2) { 100 } else { 5_000 });
            let written = tokio::time::timeout(pause, store.write(&key, enrol)).await;
            assert!(!matches!(written, Ok(Ok(_))), "no standby has it: {written:?}");
        }
    };
    let mut most = 0;
    for batch in 0..8 {
        service.runtime.block_on(async {
            let tasks: Vec<_> =
                (0..10).map(|number| tokio::spawn(write(100 + batch * 10 + number))).collect();
            for task in tasks {
                task.await.expect("no panic");
            }
        });
        most = most.max(backends());
    }
    assert!((5..=8).contains(&most), "{most} connections, of 4 and 4 that were given up on");
    server.psql("ALTER SYSTEM RESET synchronous_standby_names");
    server.reload();
    for _ in 0..100 {
        if backends() <= 4 {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    assert!(backends() <= 4, "what was given up on is closed once it is answered");
    service.logs_in(100, &one(90));
    service.logs_in(200, &one(190));
}

/// What swallowed an answer may go on for ever: it must not keep the places of those who come later.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn two_short_silences_are_over_in_seconds() {
    let (runtime, server) = (runtime(), Postgres::start());
    let parameters = prepare(&runtime, &server);
    let relay = TcpRelay::to(SocketAddr::from((Ipv4Addr::LOCALHOST, server.port())), 3);
    let through =
        parameters.replace(&format!("port={}", server.port()), &format!("port={}", relay.address().port()));
    let builder = PostgresStore::builder().deadline(Duration::from_millis(500)).connections(2);
    let store = connect(builder, &through);
    let key = token().key().clone();
    let load_twice = || {
        runtime.block_on(async {
            let (one, other) = tokio::join!(store.load(&key), store.load(&key));
            one.is_ok() && other.is_ok()
        })
    };
    for _ in 0..2 {
        assert!(load_twice());
        relay.set(Weather { swallow_answers: true, ..Weather::default() });
        assert!(!load_twice());
        relay.set(Weather::default());
        let mut tries = 0;
        while !load_twice() {
            tries += 1;
            assert!(tries < 30, "still down");
            thread::sleep(Duration::from_millis(500));
        }
    }
}
