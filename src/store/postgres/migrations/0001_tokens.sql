-- skewgate's tokens. Run once, in one transaction, with the schema that is to hold them first in search_path:
--
--   psql -1 -c 'CREATE SCHEMA skewgate' -c 'SET search_path TO skewgate' -f 0001_tokens.sql
--
-- No secrets and no codes are kept here. Who can write here can bring used codes back: guard it like the user table.
-- A service needs USAGE on the schema, SELECT, INSERT, UPDATE and DELETE on skewgate_token, and SELECT, INSERT and UPDATE on
-- skewgate_store. Where functions were taken from PUBLIC, it needs EXECUTE on pg_control_system(), pg_control_checkpoint(),
-- pg_walfile_name(pg_lsn), pg_current_wal_insert_lsn() and pg_current_wal_flush_lsn() too.
--
-- Nobody else may have CREATE on that schema. What others make in schemas like public, in databases of before PostgreSQL 15,
-- doesn't matter: functions are named with their schema here, as in the service's statements, and operators have operands of
-- the very types that pg_catalog has them for.

-- A token with a budget of its own is one row. One that shares a budget is a row without a budget, which is in the row of that
-- name. The order of columns, and NaN where others would have NULL, keep such a row free of a bitmap of NULLs: with an id of
-- 16 bytes it takes 112 bytes, otherwise 120. There is no CHECK: each would be read and prepared anew for every login that is
-- written. What is in the columns is checked wherever it is read.
CREATE TABLE skewgate_token (
    epoch           bigint,
    watermark       bigint,
    nonce           bigint,
    drift_mean      bigint,
    drift_variance  bigint,
    drift_updated   bigint,
    blind_full_at   bigint,
    partial_full_at bigint,
    failures        numeric(10, 0),
    drift_outlier   numeric(19, 0),
    id              text COLLATE "C" NOT NULL,
    budget          text COLLATE "C" NOT NULL DEFAULT '',
    PRIMARY KEY (id, budget)
);

COMMENT ON TABLE skewgate_token IS
    'Tokens of one-time codes, and their guess budgets. skewgate_token_view shows the times readably. Whoever restores or edits rows calls Validator::restored() before the next login';
COMMENT ON COLUMN skewgate_token.id IS
    'The name of a token, or of an account whose tokens share a budget. Those that begin with U+0001 stand in for unknown tokens';
COMMENT ON COLUMN skewgate_token.budget IS
    'Where the token''s guess budget is: '''' in this row, otherwise in the row with this id and '''' here. Never this row''s own id, as the view shows it';
COMMENT ON COLUMN skewgate_token.epoch IS
    'Which enrolment this is: 63 bits drawn at random. NULL: no token is enrolled, this is a budget alone';
COMMENT ON COLUMN skewgate_token.watermark IS
    'The newest time step that was ever accepted or burnt: no step up to it is accepted again. Never set it down by hand. NULL: none yet';
COMMENT ON COLUMN skewgate_token.nonce IS
    'Eight bytes, little-endian, of whoever moved the watermark last: a repeated write knows itself by it';
COMMENT ON COLUMN skewgate_token.drift_mean IS 'How far ahead of true time the token''s clock is, in nanoseconds';
COMMENT ON COLUMN skewgate_token.drift_variance IS
    'How uncertain that is, in square microseconds: 64 bits without sign, so values from 2^63 on (a deviation of 50 minutes) show as negative';
COMMENT ON COLUMN skewgate_token.drift_updated IS
    'When that was learned, in nanoseconds since 1970 (timestamptz has only microseconds)';
COMMENT ON COLUMN skewgate_token.drift_outlier IS
    'The last measurement that was too far off to be believed, in nanoseconds. NaN: none';
COMMENT ON COLUMN skewgate_token.blind_full_at IS
    'When the bucket for attempts with no right code will be full again, in nanoseconds since 1970';
COMMENT ON COLUMN skewgate_token.partial_full_at IS
    'When the bucket for attempts with some right codes will be full again, in nanoseconds since 1970';
COMMENT ON COLUMN skewgate_token.failures IS 'How many attempts have failed since the last success';

CREATE TABLE skewgate_store (
    one               boolean PRIMARY KEY DEFAULT true CHECK (one),
    not_before        bigint,
    system_identifier bigint NOT NULL,
    timeline          bigint NOT NULL,
    token_file        text COLLATE "C" NOT NULL,
    written_by        bigint NOT NULL,
    enrolled          boolean NOT NULL DEFAULT false
);

COMMENT ON TABLE skewgate_store IS
    'One row: which tables these are. Where it doesn''t say what PostgreSQL says, they were restored, or another server took over. Don''t edit it: a login repairs it and makes used codes dead';
COMMENT ON COLUMN skewgate_store.not_before IS
    'Codes that could have been used by then are dead for all tokens, in nanoseconds since 1970. NULL: no restore yet';
COMMENT ON COLUMN skewgate_store.system_identifier IS 'Of pg_control_system() when this row was written';
COMMENT ON COLUMN skewgate_store.timeline IS 'The timeline that this row was written on';
COMMENT ON COLUMN skewgate_store.token_file IS 'pg_relation_filepath() of skewgate_token when this row was written';
COMMENT ON COLUMN skewgate_store.written_by IS 'The transaction that wrote this row: its xmin, unless it was copied here';
COMMENT ON COLUMN skewgate_store.enrolled IS 'Whether a token was ever enrolled here. Where there are tokens and none was, they were restored';

-- The tables are new: this is what they are.
INSERT INTO skewgate_store (system_identifier, timeline, token_file, written_by)
SELECT system_identifier, ('x' || pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8))::bit(32)::bigint,
    pg_catalog.pg_relation_filepath('skewgate_token'::regclass), pg_catalog.pg_current_xact_id()::xid::text::bigint
FROM pg_catalog.pg_control_system();

CREATE VIEW skewgate_token_view AS
SELECT
    t.id,
    CASE t.budget WHEN '' THEN t.id ELSE t.budget END AS budget,
    t.epoch IS NOT NULL AS enrolled,
    t.watermark,
    t.drift_mean::numeric / 1e9 AS drift_mean_seconds,
    pg_catalog.round(pg_catalog.sqrt(CASE WHEN t.drift_variance < 0 THEN t.drift_variance::numeric + 18446744073709551616
                    ELSE t.drift_variance::numeric END) / 1e6, 6) AS drift_deviation_seconds,
    timestamptz 'epoch' + (t.drift_updated / 1000)::double precision * interval '1 microsecond' AS drift_updated,
    nullif(t.drift_outlier, 'NaN') / 1e9 AS drift_outlier_seconds,
    timestamptz 'epoch' + (t.blind_full_at / 1000)::double precision * interval '1 microsecond' AS blind_full_at,
    timestamptz 'epoch' + (t.partial_full_at / 1000)::double precision * interval '1 microsecond' AS partial_full_at,
    t.failures,
    (SELECT timestamptz 'epoch' + (s.not_before / 1000)::double precision * interval '1 microsecond' FROM skewgate_store s) AS not_before
FROM skewgate_token t;

COMMENT ON VIEW skewgate_token_view IS 'skewgate_token with times and lengths that people can read, rounded';
