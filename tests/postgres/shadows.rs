//! Functions and operators that others have made, in a schema that the service's sessions search: as in CVE-2018-1058.

use std::ops::ControlFlow;

use super::*;
use skewgate::store::postgres::SchemaName;
use skewgate::store::{Acceptance, Change, Failure, ManageStore, Renewal, Reset, Written};
use skewgate::time::SignedDuration;
use skewgate::token::{Bucket, Budget, Charge, Drift, Odds, TokenKey, TokenState};

/// Whatever doesn't fit exactly in `pg_catalog` fits better here. Nobody else may call what is behind it: a statement that has one of these
/// anywhere fails at its beginning, also where it wouldn't come to that.
const SHADOWS: &str = r#"
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
DO $do$
DECLARE
    types text[] := ARRAY['int2', 'int4', 'int8', 'numeric', 'float8', 'text', 'varchar', 'name', 'bpchar', '"char"', 'bool', 'pg_lsn', 'xid',
        'oid', 'regclass', 'timestamptz', 'interval'];
    l text; r text; o text; result text;
BEGIN
    FOREACH l IN ARRAY types LOOP
        FOREACH r IN ARRAY types LOOP
            FOREACH result IN ARRAY ARRAY['bool', 'numeric', 'text'] LOOP
                EXECUTE format('CREATE FUNCTION public.shadowed_%s(%s, %s) RETURNS %s LANGUAGE plpgsql AS $$ BEGIN RAISE ''shadowed''; END $$',
                    result, l, r, result);
            END LOOP;
            FOREACH o IN ARRAY ARRAY['=', '<>', '<', '<=', '>', '>=', '+', '-', '*', '/', '||'] LOOP
                result := CASE WHEN o = '||' THEN 'text' WHEN o IN ('+', '-', '*', '/') THEN 'numeric' ELSE 'bool' END;
                IF NOT EXISTS (SELECT FROM pg_operator WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprname = o
                        AND oprleft = l::regtype AND oprright = r::regtype) THEN
                    EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.shadowed_%s)', o, l, r, result);
                END IF;
            END LOOP;
        END LOOP;
    END LOOP;
    FOREACH o IN ARRAY ARRAY['concat_ws(text, bigint, bigint, bigint, bigint)', 'starts_with(varchar, varchar)', 'current_setting(varchar)',
            'current_setting(varchar, boolean)', 'set_config(varchar, text, boolean)', 'split_part(text, text, bigint)', 'left(text, bigint)',
            'pg_walfile_name(text)', 'pg_relation_filepath(text)', 'to_regclass(varchar)', 'pg_advisory_xact_lock(numeric)'] LOOP
        EXECUTE format('CREATE FUNCTION public.%s RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE ''shadowed''; END $$', o);
    END LOOP;
END $do$"#;

/// Each statement that there is.
async fn lives(store: &PostgresStore) {
    let drift = |step: i64| Drift::from_parts(SignedDuration::from_nanos(step), 1, at(step).earliest(), None);
    let state = |epoch| TokenState { epoch, watermark: None, nonce: [0; 8], drift: drift(0) };
    let full = Budget::full(at(0).earliest());
    let name = |name: &str| TokenId::new(name).expect("a name");
    for (epoch, key) in [(1, name("own").into()), (2, TokenKey::new(name("shared"), name("account")))] {
        let write = async |change| store.write(&key, change).await.expect("nothing of others is called");
        let load = async || store.load(&key).await.expect("nothing of others is called");
        let step = |step| TimeStep::new(step).expect("a step");
        // On a connection that has just been made, and on one that knows its server.
        assert_eq!((load().await.row.token, load().await.replaced), (None, None));
        assert_eq!(write(Change::Enrol { state: state(epoch), budget: full }).await, Written::Done);
        assert_eq!(write(Change::Enrol { state: state(epoch), budget: full }).await, Written::Refused);
        let charge = Charge { bucket: Bucket::Blind, cost: Odds::from_e12(1_000_000) };
        let failure = Failure { charge, from: at(0).earliest(), burn: Some(step(1)), epoch };
        assert_eq!(write(Change::Fail(failure)).await, Written::Done);
        let acceptance = Acceptance {
            first: step(2),
            step: step(2),
            drift: drift(2),
            epoch,
            seen: load().await.seen(),
            nonce: [7; 8],
            failure_limit: 9,
            authenticates: true,
        };
        assert_eq!(write(Change::Accept(acceptance)).await, Written::Done);
        assert_eq!(write(Change::Accept(acceptance)).await, Written::Refused, "no step twice");
        let loaded = load().await;
        assert_eq!(loaded.row.token.expect("it is enrolled").watermark, Some(step(2)));
        assert_eq!(loaded.row.budget.expect("it has one").failures(), 0);
        let renewal =
            Renewal { epoch, watermark: Some(step(2)), seen: loaded.seen(), state: state(epoch + 8) };
        assert_eq!(write(Change::Renew(renewal)).await, Written::Done);
        assert_eq!(write(Change::Reset(Reset { budget: full })).await, Written::Done);
        store.set_not_before(at(0).earliest()).await.expect("nothing of others is called");
    }
    let mut seen = Vec::new();
    let mut visit = |record: skewgate::store::Record| {
        seen.push(record.key.token().as_str().to_owned());
        ControlFlow::Continue(())
    };
    store.scan(&mut visit).await.expect("nothing of others is called");
    assert_eq!(seen, ["own", "shared"]);
    for key in [name("own").into(), TokenKey::new(name("shared"), name("account"))] {
        assert_eq!(store.write(&key, Change::Remove).await.expect("it answers"), Written::Done);
    }
}

/// Over a pool whose sessions search what PostgreSQL's do by themselves; the tables are made there too, also beside the shadows.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn nothing_of_others_is_called() {
    let (runtime, server) = (runtime(), Postgres::start());
    server.psql(
        "CREATE ROLE mallory LOGIN; CREATE ROLE app LOGIN; GRANT CREATE ON SCHEMA public TO mallory, app;
         GRANT CREATE ON DATABASE postgres TO app",
    );
    server.psql_as("mallory", SHADOWS);
    assert!(!server.allows("app", "SELECT 1::bigint || '/'"), "shadows are in the way of others");
    assert_eq!(server.psql_as("app", "SHOW search_path"), "\"$user\", public");
    for schema in ["skewgate", "public"] {
        let config = server.parameters("app").parse().expect("parameters");
        let pool = deadpool_postgres::Pool::builder(deadpool_postgres::Manager::new(config, NoTls));
        let pool = pool.max_size(2).build().expect("a pool");
        let store = patient().schema(SchemaName::new(schema).expect("a name")).over(pool);
        assert!(runtime.block_on(store.migrate()).expect("nothing of others is called"));
        runtime.block_on(lives(&store));
        // What people read is made of PostgreSQL's own too.
        server.psql_as("app", &format!("TABLE {schema}.skewgate_token_view"));
    }
}

/// Who may do nothing but make functions in `public`, as everybody could before PostgreSQL 15, makes one that forgets with the service's rights
/// which codes were used.
#[test]
#[ignore = "needs PostgreSQL: ./tests/run"]
fn no_code_twice_through_an_operator_of_others() {
    let (runtime, server) = (runtime(), Postgres::start());
    let parameters = prepare(&runtime, &server);
    server.psql("CREATE ROLE mallory LOGIN; GRANT CREATE ON SCHEMA public TO mallory");
    server.psql_as(
        "mallory",
        "CREATE FUNCTION public.cat(bigint, text) RETURNS text LANGUAGE plpgsql AS $$
         BEGIN
             IF current_user = 'app' THEN
                 UPDATE skewgate.skewgate_token SET watermark = NULL, failures = 0, blind_full_at = 0;
             END IF;
             RETURN $1::text OPERATOR(pg_catalog.||) $2;
         END $$;
         CREATE OPERATOR public.|| (LEFTARG = bigint, RIGHTARG = text, FUNCTION = public.cat)",
    );
    let service = Service::on(runtime, Arc::new(connect(patient(), &parameters)));
    service.logs_in(100, &one(100));
    // What the operator does in a login's first statement is seen by the next one.
    for _ in 0..3 {
        assert!(matches!(service.refuses(100, &one(100)).reason(), Reason::Replay));
    }
}
