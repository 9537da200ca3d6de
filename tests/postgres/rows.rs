//! What the table holds.

use std::ops::ControlFlow;

use super::*;
use skewgate::store::{ManageStore, StoreError};

/// Rows that this crate never writes, as somebody with a text editor might: an error, never an absent token, and never another
/// one.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn hostile_rows() {
    let (runtime, server) = (runtime(), Postgres::start());
    let parameters = prepare(&runtime, &server);
    let service = Service::on(runtime, Arc::new(connect(patient(), &parameters)));
    let table = "skewgate.skewgate_token";
    let hostile = [
        "epoch = -1",
        "epoch = NULL",
        "watermark = -1",
        "nonce = NULL",
        "drift_mean = NULL",
        "drift_variance = NULL",
        "drift_updated = NULL",
        "drift_outlier = NULL",
        "drift_outlier = 9223372036854775808",
        "drift_outlier = 9999999999999999999",
        "failures = -1",
        "failures = 4294967296",
        "failures = 'NaN'",
        "failures = NULL",
        "blind_full_at = NULL",
        "partial_full_at = NULL",
        "failures = NULL, blind_full_at = NULL, partial_full_at = NULL",
    ];
    server.psql(&format!("CREATE TABLE kept AS TABLE {table}"));
    // Names that no token has: nobody gets in by them, and they aren't exported.
    let cant_be_exported = |what: &str| {
        let store = connect(patient(), &parameters);
        let error = service.runtime.block_on(store.scan(&mut |_| ControlFlow::Continue(()))).expect_err(what);
        assert!(matches!(error, StoreError::Corrupt { .. }), "{what}: {error}");
        server.psql(&format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept"));
    };
    for set in ["id = ''", "id = repeat('a', 256)", "id = E'\\n'", "budget = id", "budget = repeat('a', 256)"]
    {
        server.psql(&format!("UPDATE {table} SET {set} WHERE id = 'user-42'"));
        assert!(matches!(service.refuses(10, &one(0)).reason(), Reason::NotEnrolled), "{set}");
        cant_be_exported(set);
    }
    server.psql(&format!("UPDATE {table} SET budget = id; INSERT INTO {table} SELECT * FROM kept"));
    cant_be_exported("a second row of a token with a budget of its own");
    let corrupt = |what: &str| {
        let store = connect(patient(), &parameters);
        let error = service.runtime.block_on(store.load(token().key())).expect_err(what);
        assert!(matches!(error, StoreError::Corrupt { .. }), "{what}: {error}");
        assert!(error.to_string().contains("token \"user-42\":"), "{what}: {error}");
        let mut visit = |_| ControlFlow::Continue(());
        // Without a primary key's column there is no row of this name.
        if what != "epoch = NULL" {
            let error = service.runtime.block_on(store.scan(&mut visit)).expect_err(what);
            assert!(matches!(error, StoreError::Corrupt { .. }), "{what}: {error}");
            assert!(error.to_string().contains("token \"user-42\":"), "{what}: {error}");
        }
        assert!(matches!(service.refuses(10, &one(0)).reason(), Reason::StoreFailed(_)), "{what}");
    };
    for set in hostile {
        server.psql(&format!("UPDATE {table} SET {set} WHERE id = 'user-42'"));
        corrupt(set);
        server.psql(&format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept"));
    }
    // Another type is another table.
    server.psql("DROP VIEW skewgate.skewgate_token_view");
    for (column, kind) in [("watermark", "text"), ("blind_full_at", "double precision"), ("nonce", "integer")]
    {
        server.psql(&format!("UPDATE {table} SET nonce = 1; ALTER TABLE {table} ALTER {column} TYPE {kind}"));
        corrupt(column);
        server.psql(&format!("ALTER TABLE {table} ALTER {column} TYPE bigint USING {column}::bigint"));
    }
}

/// Most languages pass over control characters where they compare words: what stands in for unknown tokens is no token there either, or rows
/// that are restored into these tables later would be taken for theirs.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn what_stands_in_enrols_nothing_in_any_language() {
    let (runtime, server) = (runtime(), Postgres::start());
    server.psql("CREATE DATABASE words TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'");
    let config = server.parameters("admin").replace("dbname=postgres", "dbname=words");
    let manager = deadpool_postgres::Manager::new(config.parse().expect("parameters"), NoTls);
    let pool = deadpool_postgres::Pool::builder(manager).build().expect("a pool");
    let store = Arc::new(patient().over(pool.clone()));
    let enrolled = async || {
        let client = pool.get().await.expect("a connection");
        let row = client.query_one("SELECT enrolled FROM skewgate.skewgate_store", &[]).await;
        row.expect("there is one").get::<_, bool>(0)
    };
    runtime.block_on(async {
        store.migrate().await.expect("the tables are made");
        let gate = Validator::builder(store, Arc::new(SimTime::new(at(0)))).build().expect("random bytes");
        assert!(!gate.validate(Some(&token()), &one(90_000)).await.is_accepted());
        let client = pool.get().await.expect("a connection");
        let rows = client.query("SELECT FROM skewgate.skewgate_token", &[]).await.expect("an answer");
        assert_eq!((rows.len(), enrolled().await), (1, false));
        gate.enrol(&token(), &one(0)).await.expect("a right code");
        assert!(enrolled().await);
    });
}

/// Servers on which nobody may call what isn't needed: all that the migration names is, and nothing else of these.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn a_hardened_server_needs_the_functions_that_the_migration_names() {
    let (runtime, server) = (runtime(), Postgres::start());
    let parameters = prepare(&runtime, &server);
    server.psql(
        "DO $$ DECLARE f regprocedure; BEGIN
             FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ '^pg_(control|wal|current_wal)' LOOP
                 EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
             END LOOP;
         END $$",
    );
    let needed = [
        "pg_control_system()",
        "pg_control_checkpoint()",
        "pg_walfile_name(pg_lsn)",
        "pg_current_wal_insert_lsn()",
        "pg_current_wal_flush_lsn()",
    ];
    for function in needed {
        server.psql(&format!("GRANT EXECUTE ON FUNCTION {function} TO app"));
    }
    let service = Service::on(runtime, Arc::new(connect(patient(), &parameters)));
    service.logs_in(100, &one(90));
    let named =
        skewgate::store::postgres::MIGRATION.split("-- A token with a budget").next().expect("its beginning");
    for function in needed {
        assert!(named.contains(function), "{function}");
        server.psql(&format!("REVOKE EXECUTE ON FUNCTION {function} FROM app"));
        let store = connect(patient(), &parameters);
        service.runtime.block_on(store.load(token().key())).expect_err(function);
        server.psql(&format!("GRANT EXECUTE ON FUNCTION {function} TO app"));
    }
}

/// Times that people can read, and numbers as they are.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn an_operator_can_read_it() {
    let (runtime, server) = (runtime(), Postgres::start());
    let parameters = prepare(&runtime, &server);
    let service = Service::on(runtime, Arc::new(connect(patient(), &parameters)));
    service.logs_in(0, &one(0));
    let columns = "id, budget, enrolled, watermark, drift_updated, failures, drift_outlier_seconds IS NULL";
    let row =
        server.psql(&format!("SET timezone = 'UTC'; SELECT {columns} FROM skewgate.skewgate_token_view"));
    assert_eq!(row, "user-42|user-42|t|59343840|2026-06-01 12:00:00+00|0|t");
    let undescribed = server.psql(
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
         WHERE c.relnamespace = 'skewgate'::regnamespace AND c.relkind = 'r' AND a.attname <> 'one'
         AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid) IS NULL)",
    );
    assert_eq!(undescribed, "", "columns without a comment");
}

/// What a million tokens take is a matter of gigabytes or not. An index that was filled in no order takes 10 bytes more, until it is built
/// anew: ids of 16 bytes take 168 then, as the documents say, and the numbers of rows less than 160 even so.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn a_token_takes_less_than_160_bytes() {
    let (runtime, server) = (runtime(), Postgres::start());
    let parameters = prepare(&runtime, &server);
    // One that the store has written, a hundred thousand times.
    let service = Service::on(runtime, Arc::new(connect(patient(), &parameters)));
    service.logs_in(0, &one(0));
    server.psql("CREATE TABLE written AS TABLE skewgate.skewgate_token");
    let named = "'user-' || lpad(n::text, 11, '0')";
    let size = |id: &str| {
        let size = server.psql("SELECT pg_total_relation_size('skewgate.skewgate_token') / 100000.0");
        let bytes: f64 = size.parse().expect("a number");
        println!("{bytes} bytes a token with ids {id}");
        bytes
    };
    for (id, bytes_of_id, order, most) in [
        (named, 16, "n", 160.0),
        ("(1000000 + n)::text", 7, "md5(n::text)", 160.0),
        (named, 16, "md5(n::text)", 170.0),
    ] {
        server.psql(&format!(
            "TRUNCATE skewgate.skewgate_token;
             INSERT INTO skewgate.skewgate_token (id, epoch, watermark, nonce, drift_mean, drift_variance, drift_updated, drift_outlier,
                blind_full_at, partial_full_at, failures)
             SELECT {id}, epoch, watermark, nonce, drift_mean, drift_variance, drift_updated, drift_outlier,
                blind_full_at, partial_full_at, failures
             FROM written, generate_series(1, 100000) n ORDER BY {order}",
        ));
        server.psql("VACUUM ANALYZE skewgate.skewgate_token");
        let tokens = server.psql(&format!(
            "SELECT count(*) FROM skewgate.skewgate_token WHERE octet_length(id) = {bytes_of_id}"
        ));
        assert_eq!(tokens, "100000");
        assert!(size(&format!("of {bytes_of_id} bytes by {order}")) < most);
    }
    server.psql("REINDEX TABLE skewgate.skewgate_token");
    assert!(size("of 16 bytes, with a new index") < 160.0);
}
