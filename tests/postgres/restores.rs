//! Yesterday's rows, put back around the store: seen at the next login, in the round trip that it makes anyway.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;
use skewgate::store::{Acceptance, Change, Failure, Replaced, Written};
use skewgate::time::SignedDuration;
use skewgate::token::{Bucket, Budget, Charge, Drift, Odds, TokenKey, TokenState};

fn id(name: &str) -> TokenId {
    TokenId::new(name).expect("a name")
}

fn service(server: &Postgres) -> (Service, Arc<PostgresStore>) {
    let runtime = runtime();
    let parameters = prepare(&runtime, server);
    let store = Arc::new(connect(patient(), &parameters));
    (Service::on(runtime, store.clone()), store)
}

fn replaced(service: &Service, store: &PostgresStore) -> Option<Replaced> {
    service.runtime.block_on(store.load(token().key())).expect("the server answers").replaced
}

/// That the code of this second is accepted, as somebody decides who reads the row now.
fn decided(service: &Service, store: &PostgresStore, second: i64) -> Change {
    let loaded = service.runtime.block_on(store.load(token().key())).expect("the server answers");
    let state = loaded.row.token.expect("it is enrolled");
    let step = TimeStep::new((NOON + second).div_euclid(30)).expect("a step");
    Change::Accept(Acceptance {
        first: step,
        step,
        drift: state.drift,
        epoch: state.epoch,
        seen: loaded.seen(),
        nonce: [7; 8],
        failure_limit: u32::MAX,
        authenticates: true,
    })
}

/// It was decided before the rows were replaced, by which the same code was used and that was forgotten.
fn comes_too_late(service: &Service, store: &PostgresStore, late: Change) {
    let row = || service.runtime.block_on(store.load(token().key())).expect("the server answers").row;
    let before = row();
    let written = service.runtime.block_on(store.write(token().key(), late)).expect("the server answers");
    assert_eq!(written, Written::Refused);
    assert_eq!(row(), before);
}

/// The drill of the documents: a backup, logins after it, the backup restored, and what used codes are worth then.
fn drill(restore: impl FnOnce(&Postgres)) {
    drill_on(&mut Postgres::start(), dump, |server, ()| restore(server));
}

fn dump(server: &mut Postgres) {
    server.dump(&["-n", "skewgate"]);
}

/// The same with another kind of backup.
fn drill_on<B>(
    server: &mut Postgres,
    back_up: impl FnOnce(&mut Postgres) -> B,
    restore: impl FnOnce(&mut Postgres, B),
) {
    let (service, store) = service(server);
    service.logs_in(10, &one(0));
    let late = decided(&service, &store, 90);
    let backup = back_up(server);
    service.logs_in(100, &one(90));
    restore(server, backup);
    comes_too_late(&service, &store, late);
    assert_eq!(replaced(&service, &store), Some(Replaced::Restored));
    // Used after the backup was made, and still in the window. The rows know nothing of it.
    assert!(matches!(service.refuses(105, &one(90)).reason(), Reason::StoreReplaced));
    assert_eq!(replaced(&service, &store), None, "settled");
    comes_too_late(&service, &store, late);
    for second in [105, 106, 120, 180, 300, 400] {
        let refused = service.refuses(second, &one(second - 15));
        assert!(
            matches!(refused.reason(), Reason::WatermarkAhead { .. } | Reason::Replay),
            "{second}: {}",
            refused.reason()
        );
    }
    let resynchronised = service.runtime.block_on(service.gate.resynchronise(&token(), &two(400)));
    let refused = resynchronised.expect_err("it has to wait");
    assert!(matches!(refused.reason(), Reason::TooEarlyToResynchronise { .. }), "{}", refused.reason());
    service.logs_in(600, &one(590));
    service.logs_in(700, &one(690));
}

#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn tables_dropped_and_restored() {
    drill(|server| server.restore(&server.dump_file(), &["--clean", "--if-exists"]));
}

#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn tables_emptied_and_filled() {
    drill(|server| {
        server.psql("TRUNCATE skewgate.skewgate_token, skewgate.skewgate_store");
        server.restore(&server.dump_file(), &["--data-only"]);
    });
}

#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn rows_deleted_and_filled() {
    drill(|server| {
        server.psql("DELETE FROM skewgate.skewgate_token; DELETE FROM skewgate.skewgate_store");
        server.restore(&server.dump_file(), &["--data-only"]);
    });
}

#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn the_row_that_knows_the_tables_is_lost() {
    drill(|server| {
        server.psql("TRUNCATE skewgate.skewgate_token, skewgate.skewgate_store");
        server.restore(&server.dump_file(), &["--data-only"]);
        server.psql("DELETE FROM skewgate.skewgate_store");
    });
}

/// The same names, numbers and transactions as in the first one: only the server's own identifier differs.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn a_new_server_with_the_old_rows() {
    let (old, new) = (Postgres::start(), Postgres::start());
    let (service, _) = service(&old);
    service.logs_in(10, &one(0));
    let dump = old.dump(&["-n", "skewgate"]);
    service.logs_in(100, &one(90));
    new.psql("CREATE ROLE app LOGIN NOSUPERUSER");
    new.restore(&dump, &[]);
    let store = Arc::new(connect(patient(), &new.parameters("app")));
    let gate = Validator::builder(store.clone(), service.time.clone()).build().expect("random bytes");
    let moved = Service { runtime: runtime(), time: service.time.clone(), gate };
    assert_eq!(replaced(&moved, &store), Some(Replaced::Restored));
    assert!(matches!(moved.refuses(105, &one(90)).reason(), Reason::StoreReplaced));
    assert!(matches!(moved.refuses(106, &one(90)).reason(), Reason::WatermarkAhead { .. } | Reason::Replay));
    moved.logs_in(600, &one(590));
}

/// The service starts on a new server, makes the tables, and has somebody's attempt who is unknown. Then the rows come in: those of
/// `skewgate_store` can't, as there is one.
fn rows_of_another_server_in_tables_that_are_new(
    bring: impl FnOnce(&Postgres, &Postgres),
    enrol_another: bool,
) {
    let (old, new) = (Postgres::start_with(&["wal_level=logical"]), Postgres::start());
    let (service, _) = service(&old);
    service.logs_in(10, &one(0));
    new.psql("CREATE ROLE app LOGIN NOSUPERUSER");
    let store = Arc::new(connect(patient(), &new.parameters("admin")));
    let runtime = runtime();
    assert!(runtime.block_on(store.migrate()).expect("the tables are made"));
    let gate = Validator::builder(store.clone(), service.time.clone()).build().expect("random bytes");
    let there = Service { runtime, time: service.time.clone(), gate };
    let unknown = there.runtime.block_on(there.gate.validate(None, &one(0)));
    assert!(!unknown.is_accepted());
    bring(&old, &new);
    service.logs_in(100, &one(90));
    if enrol_another {
        let other = Token::new(TokenId::new("another").expect("a name"), totp());
        there.runtime.block_on(there.gate.enrol(&other, &one(90))).expect("a right code");
    }
    assert_eq!(replaced(&there, &store), Some(Replaced::Restored));
    assert!(matches!(there.refuses(105, &one(90)).reason(), Reason::StoreReplaced));
    assert_eq!(replaced(&there, &store), None, "settled");
    assert!(matches!(there.refuses(106, &one(90)).reason(), Reason::WatermarkAhead { .. } | Reason::Replay));
    there.logs_in(600, &one(590));
}

#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn a_dump_in_tables_that_are_new() {
    for enrol_another in [false, true] {
        let bring = |old: &Postgres, new: &Postgres| {
            let row = old.psql("SELECT t FROM skewgate.skewgate_token t WHERE id >= ' '");
            new.psql(&format!(
                "INSERT INTO skewgate.skewgate_token SELECT ('{row}'::skewgate.skewgate_token).*"
            ));
        };
        rows_of_another_server_in_tables_that_are_new(bring, enrol_another);
    }
}

#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn rows_replicated_into_tables_that_are_new() {
    let bring = |old: &Postgres, new: &Postgres| {
        old.psql("CREATE PUBLICATION moved FOR TABLE skewgate.skewgate_token");
        let from = old.parameters("admin");
        new.psql(&format!("CREATE SUBSCRIPTION moved CONNECTION '{from}' PUBLICATION moved"));
        while new.psql("SELECT count(*) FROM skewgate.skewgate_token WHERE id >= ' '") == "0" {
            std::thread::sleep(Duration::from_millis(50));
        }
        new.psql("ALTER SUBSCRIPTION moved DISABLE");
    };
    rows_of_another_server_in_tables_that_are_new(bring, false);
}

/// Everything in it is as it was, the numbers of files included, but for the database's own.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn a_database_copied_by_template_and_renamed_back() {
    let server = Postgres::start();
    server.psql("CREATE DATABASE live");
    let parameters = server.parameters("admin").replace("dbname=postgres", "dbname=live");
    let store = Arc::new(connect(patient(), &parameters));
    let runtime = runtime();
    assert!(runtime.block_on(store.migrate()).expect("the tables are made"));
    let service = Service::on(runtime, store.clone());
    let everybody_out = || {
        server.psql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'live'");
    };
    service.logs_in(10, &one(0));
    everybody_out();
    server.psql("CREATE DATABASE nightly TEMPLATE live");
    assert_eq!(replaced(&service, &store), None);
    service.logs_in(100, &one(90));
    everybody_out();
    server.psql("DROP DATABASE live");
    server.psql("ALTER DATABASE nightly RENAME TO live");
    assert_eq!(replaced(&service, &store), Some(Replaced::Restored));
    assert!(matches!(service.refuses(105, &one(90)).reason(), Reason::StoreReplaced));
    assert!(matches!(
        service.refuses(106, &one(90)).reason(),
        Reason::WatermarkAhead { .. } | Reason::Replay
    ));
    service.logs_in(600, &one(590));
}

/// A new timeline begins in the same way in both cases: what it is taken for is the operator's to say.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn a_base_backup_is_recovered() {
    let mut server = Postgres::start();
    let (service, store) = service(&server);
    service.logs_in(10, &one(0));
    let backup = server.base_backup();
    let late = decided(&service, &store, 90);
    service.logs_in(100, &one(90));
    server.recover(backup);
    comes_too_late(&service, &store, late);
    assert_eq!(replaced(&service, &store), Some(Replaced::Restored));
    let trusting = connect(patient().promotions_are_failovers(true), &server.parameters("app"));
    assert_eq!(replaced(&service, &trusting), Some(Replaced::Failover));
    assert!(matches!(service.refuses(105, &one(90)).reason(), Reason::StoreReplaced));
    assert!(matches!(
        service.refuses(106, &one(90)).reason(),
        Reason::WatermarkAhead { .. } | Reason::Replay
    ));
    service.logs_in(600, &one(590));
}

#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn a_standby_takes_over() {
    let mut server = Postgres::start();
    let (service, first) = service(&server);
    let standby = server.standby("second");
    server.psql("ALTER SYSTEM SET synchronous_standby_names = 'second'");
    server.reload();
    let builder = patient().synchronous_standbys(true).promotions_are_failovers(true);
    let synchronous = Arc::new(connect(builder.clone(), &server.parameters("app")));
    let gate = Validator::builder(synchronous, service.time.clone()).build().expect("random bytes");
    let service = Service { gate, ..service };
    let late = decided(&service, &first, 120);
    service.logs_in(100, &one(90));
    server.crash();

    let second = Arc::new(connect(builder, &standby.parameters("app")));
    let gate = Validator::builder(second.clone(), service.time.clone()).build().expect("random bytes");
    let service = Service { gate, ..service };
    let refused = service.refuses(105, &one(90));
    assert!(refused.reason().to_string().contains("standby, expected the primary"), "{}", refused.reason());
    standby.promote();
    assert_eq!(replaced(&service, &second), Some(Replaced::Failover));
    let unsure = connect(patient(), &standby.parameters("app"));
    comes_too_late(&service, &unsure, late);
    // It has no standby itself, as yet: nothing that it is told is on two disks.
    let refused = service.refuses(106, &one(90));
    let text = refused.reason().to_string();
    assert!(text.contains("synchronous_standby_names is empty"), "{text}");

    let alone = Arc::new(connect(patient().promotions_are_failovers(true), &standby.parameters("app")));
    let gate = Validator::builder(alone.clone(), service.time.clone()).build().expect("random bytes");
    let service = Service { gate, ..service };
    assert_eq!(replaced(&service, &alone), None, "it was written down for all that");
    assert!(matches!(
        service.refuses(108, &one(90)).reason(),
        Reason::WatermarkAhead { .. } | Reason::Replay
    ));
    // A minute or two, not five: nothing was resynchronised that the new primary doesn't know of.
    service.logs_in(250, &one(240));
}

/// As those of a virtual machine are: of a server that was stopped, or of one that was running.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn files_put_back() {
    let copies: [fn(&mut Postgres); 2] = [Postgres::stop, Postgres::crash];
    for stop in copies {
        let copy = |server: &mut Postgres| copy_of(server, stop);
        drill_on(&mut Postgres::start(), copy, Postgres::put_back);
    }
}

fn copy_of(server: &mut Postgres, stop: fn(&mut Postgres)) -> tempfile::TempDir {
    stop(server);
    let files = server.copy_files();
    server.run();
    files
}

/// Without `recovery.signal`. Its own recovery writes nearly as much as a login.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn a_base_backup_started_as_it_is() {
    drill_on(&mut Postgres::start(), |server| server.base_backup(), Postgres::put_back);
}

/// It was started when it was, says the server: all that tells is how far its log is.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn a_machine_put_back_with_its_memory() {
    let mut server = Postgres::start();
    server.psql(
        "CREATE SCHEMA hibernating;
         CREATE FUNCTION hibernating.pg_postmaster_start_time() RETURNS timestamptz LANGUAGE sql
            AS $$ SELECT timestamptz '2026-01-01' $$;
         GRANT USAGE ON SCHEMA hibernating TO public;
         ALTER DATABASE postgres SET search_path = hibernating, pg_catalog",
    );
    drill_on(&mut server, |server| copy_of(server, Postgres::stop), Postgres::put_back);
}

/// Others have written more to it since than what is missing.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn a_process_that_comes_late() {
    let put_back = |server: &mut Postgres, files| {
        server.put_back(files);
        server.psql("SELECT pg_logical_emit_message(true, 'skewgate', repeat('x', 1000000))");
    };
    drill_on(&mut Postgres::start(), |server| copy_of(server, Postgres::stop), put_back);
    drill_on(&mut Postgres::start(), |server| server.base_backup(), put_back);
}

/// No load comes after it: the answer to the write itself is all that this process has heard of it.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn what_was_accepted_last() {
    for key in [token().key().clone(), TokenKey::new(id("user-42"), id("account"))] {
        let mut server = Postgres::start();
        let (service, store) = service(&server);
        let (step, now) = (TimeStep::new(NOON / 30).expect("a step"), at(0).earliest());
        let state = TokenState {
            epoch: 1,
            watermark: None,
            nonce: [0; 8],
            drift: Drift::from_parts(SignedDuration::ZERO, 1, now, None),
        };
        let write = |change| service.runtime.block_on(store.write(&key, change)).expect("the server answers");
        write(Change::Enrol { state, budget: Budget::full(now) });
        let backup = server.base_backup();
        let loaded = service.runtime.block_on(store.load(&key)).expect("the server answers");
        let acceptance = Acceptance {
            first: step,
            step,
            drift: state.drift,
            epoch: loaded.row.token.expect("it is enrolled").epoch,
            seen: loaded.seen(),
            nonce: [7; 8],
            failure_limit: u32::MAX,
            authenticates: true,
        };
        assert_eq!(write(Change::Accept(acceptance)), Written::Done);
        server.put_back(backup);
        assert_eq!(replaced(&service, &store), Some(Replaced::Restored), "{key:?}");
    }
}

/// The first one that looks declares it for both, and nobody is kept out for another five minutes.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn of_two_processes_one_declares_it() {
    let mut server = Postgres::start();
    let (service, first) = service(&server);
    let second = Arc::new(connect(patient(), &server.parameters("app")));
    let gate = Validator::builder(second.clone(), service.time.clone()).build().expect("random bytes");
    let other = Service { runtime: runtime(), time: service.time.clone(), gate };
    let not_before = |server: &Postgres| server.psql("SELECT not_before FROM skewgate.skewgate_store");
    // Each of them is once the one that looks first.
    for (start, [(one_of, its), (the_other, others)]) in
        [(0, [(&service, &first), (&other, &second)]), (3_000, [(&other, &second), (&service, &first)])]
    {
        let files = copy_of(&mut server, Postgres::stop);
        service.logs_in(start + 10, &one(start));
        other.logs_in(start + 100, &one(start + 90));
        for (service, store) in [(&service, &first), (&other, &second)] {
            assert_eq!(replaced(service, store), None);
        }
        server.put_back(files);
        assert!(matches!(one_of.refuses(start + 105, &one(start + 90)).reason(), Reason::StoreReplaced));
        let declared = not_before(&server);
        assert_eq!(replaced(the_other, others), None);
        for service in [the_other, one_of] {
            let refused = service.refuses(start + 200, &one(start + 200));
            assert!(matches!(refused.reason(), Reason::WatermarkAhead { .. }), "{}", refused.reason());
        }
        the_other.logs_in(start + 600, &one(start + 590));
        one_of.logs_in(start + 700, &one(start + 690));
        assert_eq!(replaced(one_of, its), None);
        assert_eq!(not_before(&server), declared);
    }
}

/// Where what is dead is so for longer already than any alarm says.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn an_alarm_that_changes_nothing_ends_too() {
    let mut server = Postgres::start();
    let (service, store) = service(&server);
    let declare = |second| {
        let declared = service.runtime.block_on(store.set_not_before(at(second).latest()));
        declared.expect("the server answers");
    };
    declare(3_000);
    let files = copy_of(&mut server, Postgres::stop);
    assert!(matches!(service.refuses(100, &one(90)).reason(), Reason::WatermarkAhead { .. }));
    declare(3_000);
    server.put_back(files);
    assert!(matches!(service.refuses(105, &one(105)).reason(), Reason::StoreReplaced));
    assert!(matches!(service.refuses(110, &one(105)).reason(), Reason::WatermarkAhead { .. }));
    service.logs_in(4_000, &one(3_990));
}

/// Of before a recovery, by which the server is on another timeline: its rows are of the same one as its files.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn files_of_an_earlier_timeline_put_back() {
    let mut server = Postgres::start();
    let (service, store) = service(&server);
    service.logs_in(10, &one(0));
    let files = copy_of(&mut server, Postgres::stop);
    let backup = server.base_backup();
    server.recover(backup);
    assert!(matches!(service.refuses(105, &one(90)).reason(), Reason::StoreReplaced));
    service.logs_in(600, &one(590));
    server.put_back(files);
    // As long as it ever was, and the end that it had is forgotten.
    server.psql("SELECT pg_logical_emit_message(true, '', repeat('x', 50000000))");
    server.psql("CHECKPOINT");
    assert_eq!(replaced(&service, &store), Some(Replaced::Restored));
    assert!(matches!(service.refuses(605, &one(590)).reason(), Reason::StoreReplaced));
    assert!(matches!(service.refuses(606, &one(590)).reason(), Reason::WatermarkAhead { .. }));
    service.logs_in(1_200, &one(1_190));
}

/// What an administrator does from day to day is no restore, but for what writes all rows anew.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn what_is_no_restore() {
    let server = Postgres::start();
    let (service, store) = service(&server);
    for script in [
        "VACUUM skewgate.skewgate_token",
        "VACUUM FREEZE skewgate.skewgate_token",
        "VACUUM FREEZE skewgate.skewgate_store",
        "ANALYZE",
        "REINDEX TABLE skewgate.skewgate_token",
        "ALTER TABLE skewgate.skewgate_token SET (fillfactor = 90)",
        "CHECKPOINT",
    ] {
        server.psql(script);
        assert_eq!(replaced(&service, &store), None, "{script}");
    }
    server.psql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'app'");
    assert_eq!(replaced(&service, &store), None, "connections ended");
    server.psql("VACUUM FULL skewgate.skewgate_token");
    assert_eq!(replaced(&service, &store), Some(Replaced::Restored), "a false alarm, and a safe one");
    assert!(matches!(service.refuses(105, &one(90)).reason(), Reason::StoreReplaced));
    service.logs_in(600, &one(590));
}

/// Says so when it is dropped, also by a panic: nobody waits for those who wait for it.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// In the midst of logins, and of what is written beside them: a crash loses nothing that anybody was told of, and a stop doesn't either.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn no_way_to_stop_is_a_restore() {
    let mut server = Postgres::start();
    let (service, store) = service(&server);
    let ways: [(_, fn(&mut Postgres)); 4] = [
        ("a stop", Postgres::stop),
        ("a crash", Postgres::crash),
        ("a kill", Postgres::kill),
        ("a crash of one connection", |server| server.kill_one_who_serves("app")),
    ];
    for round in 0..16 {
        let (way, end) = ways[round % ways.len()];
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let end_of_round = Over(&over);
            for _ in 0..3 {
                let (service, store, over) = (&service, &store, &over);
                scope.spawn(move || {
                    let mut answered = false;
                    // Once at least, also where the thread began late.
                    while !answered || !over.load(Ordering::Relaxed) {
                        let loaded = service.runtime.block_on(store.load(token().key()));
                        if let Ok(loaded) = loaded {
                            assert_eq!(loaded.replaced, None, "{way}, {round}");
                            answered = true;
                        }
                        let charge = Charge { bucket: Bucket::Blind, cost: Odds::from_e12(1) };
                        let failure = Failure { charge, from: at(0).earliest(), burn: None, epoch: 0 };
                        let _ = service.runtime.block_on(store.write(token().key(), Change::Fail(failure)));
                    }
                });
            }
            // Records that are longer than a page, so that some end where the next one is torn.
            let (service, beside) = (&service, server.parameters("admin"));
            scope.spawn(move || {
                let client = service.runtime.block_on(async {
                    let (client, connection) = tokio_postgres::connect(&beside, NoTls).await.expect("it runs");
                    tokio::spawn(connection);
                    client
                });
                let emit = "SELECT pg_logical_emit_message(random() < 0.5, '', repeat('x', (random() * 30000)::int))";
                while service.runtime.block_on(client.batch_execute(emit)).is_ok() {}
            });
            thread::sleep(Duration::from_millis(100 + 20 * u64::try_from(round).expect("it is small")));
            end(&mut server);
            if way != "a crash of one connection" {
                server.run();
            }
            thread::sleep(Duration::from_millis(200));
            drop(end_of_round);
        });
        assert_eq!(replaced(&service, &store), None, "{way}, {round}");
    }
    assert_eq!(server.psql("SELECT not_before FROM skewgate.skewgate_store"), "");
}
