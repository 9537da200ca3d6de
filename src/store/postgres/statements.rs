//! What PostgreSQL is told: [`Change::apply`](crate::store::Change::apply) in its language.
//!
//! Every write is one statement, which is its own transaction. PostgreSQL's default isolation is taken for granted (READ
//! COMMITTED): an UPDATE that had to wait for another one looks at its condition and its row again.
//!
//! **Nothing here is looked up where others may write.** A pool of the caller's has the search_path of its role, and in databases made before
//! PostgreSQL 15 everybody may create functions and operators in `public`. One that fits its operands better than PostgreSQL's own would be called with the
//! service's rights, at each login (as in CVE-2018-1058). So functions are named with their schema; and operators, also those behind CASE … WHEN, nullif, IS
//! NOT DISTINCT FROM and comparisons of rows, have operands of the very types that pg_catalog has them for: `pg_catalog` is searched first, and what fits exactly
//! there ends the search. Every parameter says its type, since one that has none yet fits nothing exactly.

use super::SchemaName;

/// The statements, for one schema. `$1` is the token's name, `$2` its budget's.
#[derive(Debug)]
pub(super) struct Statements {
    /// For a token with a budget of its own, on a connection that knows its server; of others it doesn't say which server it is.
    pub(super) load_at_once: String,
    pub(super) load: String,
    pub(super) scan: String,
    pub(super) set_not_before: String,
    pub(super) own: Changes,
    pub(super) shared: Changes,
}

/// What writes. Each answers with a row: what came of it (see [`Outcome`](super::row)), and what it was committed under.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) enrol: String,
    pub(super) fail: Write,
    pub(super) accept: Write,
    pub(super) renew: String,
    pub(super) reset: String,
    pub(super) remove: String,
}

/// What a login writes.
#[derive(Debug)]
pub(super) struct Write {
    /// Does the same as the other where it answers with a row, in three quarters of the time. Without an answer nothing has happened.
    pub(super) at_once: Option<String>,
    /// Says what came of it in any case.
    pub(super) in_full: String,
}

/// A change of a row that is there: what happens to the token's part, when, to the budget's part, when, and on which
/// condition. `tok.` and `bud.` are the parts as they are.
struct Conditional {
    holds: &'static str,
    token: &'static str,
    token_if: &'static str,
    budget: &'static str,
    budget_if: &'static str,
}

/// $3 to $6: from when and how much, blind and partial; $7 the step to burn, $8 the epoch. The sums end at the last nanosecond that there is
/// (`Budget::charge` saturates), and GREATEST takes NULL for less than anything.
const FAIL: Conditional = Conditional {
    holds: "true",
    token: "watermark = CASE t.epoch WHEN $8::bigint THEN greatest(t.watermark, $7::bigint) ELSE t.watermark END",
    token_if: "$7::bigint IS NOT NULL AND t.epoch = $8::bigint",
    budget: "blind_full_at = least(greatest(t.blind_full_at, $3::bigint), 9223372036854775807 - $4::bigint) + $4::bigint,
        partial_full_at = least(greatest(t.partial_full_at, $5::bigint), 9223372036854775807 - $6::bigint) + $6::bigint,
        failures = least(t.failures + 1::numeric, 4294967295::numeric)",
    budget_if: "true",
};

/// $3 the first step, $4 the last, $5 to $8 the drift, $9 the epoch, $10 the nonce, $11 the limit of failures, $12 whether it lets
/// its user in, $13 to $17 what was seen.
const ACCEPT: Conditional = Conditional {
    holds: "tok.epoch = $9::bigint AND (tok.watermark IS NULL OR tok.watermark < $3::bigint)
        AND bud.failures < $11::bigint::numeric",
    token:
        "watermark = $4::bigint, drift_mean = $5::bigint, drift_variance = $6::bigint,
        drift_updated = $7::bigint, drift_outlier = coalesce($8::bigint::numeric, 'NaN'), nonce = $10::bigint",
    token_if: "true",
    budget: "failures = CASE WHEN $12::boolean THEN 0 ELSE t.failures END",
    budget_if: "$12::boolean AND found.failures <> 0::numeric",
};

/// $3 to $5 the budget.
const RESET: Conditional = Conditional {
    holds: "true",
    token: "epoch = t.epoch",
    token_if: "false",
    budget: "blind_full_at = $3::bigint, partial_full_at = $4::bigint, failures = $5::bigint",
    budget_if: "true",
};

/// $3 the epoch and $4 the watermark that it was decided with, $5 to $11 the token, $12 to $16 what was seen.
const RENEW: (&str, &str) = (
    "t.epoch = $3::bigint AND t.watermark IS NOT DISTINCT FROM $4::bigint",
    "epoch = $5::bigint, watermark = $6::bigint, nonce = $7::bigint, drift_mean = $8::bigint,
        drift_variance = $9::bigint, drift_updated = $10::bigint,
        drift_outlier = coalesce($11::bigint::numeric, 'NaN')",
);

/// What is left of a token with a budget of its own.
const NO_TOKEN: &str =
    "epoch = NULL, watermark = NULL, nonce = NULL, drift_mean = NULL, drift_variance = NULL,
    drift_updated = NULL, drift_outlier = NULL";

/// What a write was committed under: read by the statement itself, since a reload of the configuration may change it under an
/// open connection. And where the log ends with what this write has logged until then: once the commit is answered, it is flushed up to there and
/// further. How far it is flushed before the commit says nothing of this write.
const COMMITTED: &str =
    "pg_catalog.current_setting('synchronous_commit'), pg_catalog.current_setting('fsync'),
    pg_catalog.current_setting('synchronous_standby_names'), pg_catalog.pg_current_wal_insert_lsn()";

/// Up to where the server has flushed its log. A standby wouldn't say.
const FLUSHED: &str =
    "CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_flush_lsn() END";

/// Which server this is, on which timeline, when it was started, and from where it would replay its log; NULL on a standby. A connection that once reached
/// a primary stays with it on its timeline, so this is found out once for each connection, and kept in a setting of the session.
const SERVER: &str = "coalesce(nullif(pg_catalog.current_setting('skewgate.server', true), ''),
    CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.set_config('skewgate.server', pg_catalog.concat_ws('/',
        (SELECT system_identifier FROM pg_catalog.pg_control_system()),
        ('x' || pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8))::bit(32)::bigint,
        (extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000::numeric)::bigint,
        (SELECT (redo_lsn - '0/0'::pg_lsn)::bigint FROM pg_catalog.pg_control_checkpoint())), false) END)";

/// The same on a connection that has found it out; NULL on others.
const SERVER_FOUND_OUT: &str = "nullif(pg_catalog.current_setting('skewgate.server', true), '')";

const TOKEN_COLUMNS: &str =
    "t.epoch, t.watermark, t.nonce, t.drift_mean, t.drift_variance, t.drift_updated, t.drift_outlier::text";

const BUDGET_COLUMNS: &str = "b.blind_full_at, b.partial_full_at, b.failures::text";

impl Statements {
    pub(super) fn new(schema: &SchemaName) -> Self {
        let (tokens, store) = (format!("{schema}.skewgate_token"), format!("{schema}.skewgate_store"));
        let file = format!("pg_catalog.pg_relation_filepath('{tokens}'::regclass)");
        // Whether the row of the store was written here and is about these tables. Tokens that came before any was enrolled were restored.
        let intact = format!(
            "s.token_file = {file} AND s.written_by = s.xmin::text::bigint AND (s.enrolled OR NOT {})",
            any_token(&tokens)
        );
        // Whether the store is what a load saw of it: $first its not_before, then the server, its timeline, both again with its start, and how much log
        // it must have. Another server may have taken over, or rows may have been restored.
        let as_seen = |server: &str, first: usize| {
            format!(
                "EXISTS (SELECT FROM {store} s WHERE s.one AND s.not_before IS NOT DISTINCT FROM ${first}::bigint
                    AND s.system_identifier = ${}::bigint AND s.timeline = ${}::bigint
                    AND pg_catalog.starts_with({server}, ${}::text) AND pg_catalog.pg_current_wal_flush_lsn() >= ${}::pg_lsn
                    AND s.token_file = {file} AND s.written_by = s.xmin::text::bigint)",
                first + 1,
                first + 2,
                first + 3,
                first + 4
            )
        };
        let renew = on_token(
            &format!("UPDATE {tokens} t SET {}", RENEW.1),
            &format!("{} AND {}", RENEW.0, as_seen(SERVER, 12)),
            &tokens,
        );
        Self {
            load_at_once: format!(
                "SELECT {TOKEN_COLUMNS}, {}, s.not_before,
                    {SERVER_FOUND_OUT}, s.system_identifier::text || '/' || s.timeline::text,
                    {intact}, {FLUSHED}
                FROM {store} s LEFT JOIN {tokens} t ON t.id = $1::text AND t.id = $2::text AND t.budget = '' WHERE s.one",
                BUDGET_COLUMNS.replace("b.", "t.")
            ),
            load: format!(
                "SELECT {TOKEN_COLUMNS}, {BUDGET_COLUMNS}, s.not_before,
                    {SERVER}, s.system_identifier::text || '/' || s.timeline::text,
                    {intact}, {FLUSHED}
                FROM (SELECT) AS always
                LEFT JOIN {tokens} t ON t.id = $1::text AND t.budget = coalesce(nullif($2::text, $1::text), '')
                LEFT JOIN {tokens} b ON b.id = $2::text AND b.budget = ''
                LEFT JOIN {store} s ON s.one"
            ),
            scan: format!(
                "SELECT {TOKEN_COLUMNS}, {BUDGET_COLUMNS}, t.id, t.budget
                FROM {tokens} t
                LEFT JOIN {tokens} b ON b.id = CASE t.budget WHEN '' THEN t.id ELSE t.budget END AND b.budget = ''
                WHERE (t.id, t.budget) >= ($1::text, $2::text) AND (t.epoch IS NOT NULL OR t.budget <> '')
                ORDER BY t.id, t.budget LIMIT $3::bigint"
            ),
            set_not_before: format!(
                "INSERT INTO {store} AS s
                    (not_before, system_identifier, timeline, token_file, written_by, enrolled)
                SELECT $1::bigint, pg_catalog.split_part(server, '/', 1)::bigint, pg_catalog.split_part(server, '/', 2)::bigint,
                    {file}, pg_catalog.pg_current_xact_id()::xid::text::bigint, true
                FROM (SELECT {SERVER}) AS now (server)
                ON CONFLICT (one) DO UPDATE SET not_before = greatest(s.not_before, excluded.not_before),
                    system_identifier = excluded.system_identifier, timeline = excluded.timeline,
                    token_file = excluded.token_file, written_by = excluded.written_by, enrolled = true
                RETURNING 0, {COMMITTED}, s.not_before, {SERVER_FOUND_OUT}"
            ),
            own: Changes {
                enrol: enrol_own(&tokens, &store),
                fail: Write {
                    at_once: Some(FAIL.at_once(&tokens, "true")),
                    in_full: FAIL.on_one_row(&tokens, "true"),
                },
                accept: Write {
                    at_once: Some(ACCEPT.at_once(&tokens, &as_seen(SERVER_FOUND_OUT, 13))),
                    in_full: ACCEPT.on_one_row(&tokens, &as_seen(SERVER, 13)),
                },
                renew: renew.clone(),
                reset: RESET.on_one_row(&tokens, "true"),
                remove: on_token(&format!("UPDATE {tokens} t SET {NO_TOKEN}"), "true", &tokens),
            },
            shared: Changes {
                enrol: enrol_shared(&tokens, &store),
                fail: Write { at_once: None, in_full: FAIL.on_two_rows(&tokens, "true") },
                accept: Write { at_once: None, in_full: ACCEPT.on_two_rows(&tokens, &as_seen(SERVER, 13)) },
                renew,
                reset: RESET.on_two_rows(&tokens, "true"),
                remove: on_token(&format!("DELETE FROM {tokens} t"), "true", &tokens),
            },
        }
    }
}

impl Conditional {
    /// Where the token has a budget of its own. `also` must hold of the store.
    fn update_one_row(&self, tokens: &str, also: &str) -> String {
        let holds = self.holds.replace("tok.", "t.").replace("bud.", "t.");
        let Self { token, budget, .. } = self;
        format!(
            "UPDATE {tokens} t SET {token}, {budget}
            WHERE t.id = $1::text AND t.id = $2::text AND t.epoch IS NOT NULL AND t.budget = '' AND {holds} AND {also}"
        )
    }

    fn at_once(&self, tokens: &str, also: &str) -> String {
        format!("{} RETURNING 0, {COMMITTED}", self.update_one_row(tokens, also))
    }

    fn on_one_row(&self, tokens: &str, also: &str) -> String {
        let update = self.update_one_row(tokens, also);
        format!(
            "WITH w AS ({update} RETURNING 1)
            SELECT CASE WHEN EXISTS (SELECT FROM w) THEN 0
                WHEN EXISTS (SELECT FROM {tokens} t WHERE t.id = $1::text AND t.epoch IS NOT NULL AND t.budget = '') THEN 1
                ELSE 2 END, {COMMITTED}"
        )
    }

    /// Where its budget is in another row. Both rows are locked first, so that what the condition sees is what they are when they
    /// are changed, and always in the same order, so that two of these can't wait for each other.
    fn on_two_rows(&self, tokens: &str, also: &str) -> String {
        let Self { holds, token, token_if, budget, budget_if } = self;
        format!(
            "WITH locked AS MATERIALIZED (
                SELECT budget, epoch, watermark, failures FROM {tokens}
                WHERE (id = $1::text AND budget = $2::text) OR (id = $2::text AND budget = '') ORDER BY id, budget FOR UPDATE),
            found AS MATERIALIZED (
                SELECT ({holds} AND {also}) AS holds, bud.failures FROM locked tok, locked bud
                WHERE tok.budget = $2::text AND tok.epoch IS NOT NULL AND bud.budget = '' AND bud.failures IS NOT NULL),
            w AS (UPDATE {tokens} t SET {token} FROM found
                WHERE t.id = $1::text AND t.budget = $2::text AND found.holds AND {token_if}),
            b AS (UPDATE {tokens} t SET {budget} FROM found
                WHERE t.id = $2::text AND t.budget = '' AND found.holds AND {budget_if})
            SELECT CASE WHEN EXISTS (SELECT FROM found WHERE holds) THEN 0
                WHEN EXISTS (SELECT FROM found) THEN 1 ELSE 2 END, {COMMITTED}"
        )
    }
}

/// What changes nothing about the budget, which must be there.
fn on_token(action: &str, holds: &str, tokens: &str) -> String {
    let enrolled = format!(
        "t.id = $1::text AND t.budget = coalesce(nullif($2::text, $1::text), '') AND t.epoch IS NOT NULL
            AND EXISTS (SELECT FROM {tokens} b WHERE b.id = $2::text AND b.budget = '' AND b.failures IS NOT NULL)"
    );
    format!(
        "WITH w AS ({action} WHERE {enrolled} AND {holds} RETURNING 1)
        SELECT CASE WHEN EXISTS (SELECT FROM w) THEN 0
            WHEN EXISTS (SELECT FROM {tokens} t WHERE {enrolled}) THEN 1 ELSE 2 END, {COMMITTED}"
    )
}

/// $3 to $9 the token, $10 to $12 the budget, which counts only where there is none.
const NEW_TOKEN: &str = "$3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::bigint, $8::bigint,
    coalesce($9::bigint::numeric, 'NaN')";

const NEW_BUDGET: &str = "$10::bigint, $11::bigint, $12::bigint";

const TOKEN_NAMES: &str = "epoch, watermark, nonce, drift_mean, drift_variance, drift_updated, drift_outlier";

const BUDGET_NAMES: &str = "blind_full_at, partial_full_at, failures";

/// Whether there is a token, or the budget of one: their names begin with no control character, as those do that stand in for unknown
/// ones. Compared as the tables do: most languages pass over control characters.
fn any_token(tokens: &str) -> String {
    format!("EXISTS (SELECT FROM {tokens} WHERE id >= ' ')")
}

/// From the first enrolment on there may be tokens. Not where there are some already, which nobody has enrolled here: the next load has to
/// find that out.
fn first_enrolment(tokens: &str, store: &str) -> String {
    format!(
        "first AS (UPDATE {store} s SET enrolled = true, written_by = pg_catalog.pg_current_xact_id()::xid::text::bigint
            WHERE s.one AND NOT s.enrolled AND $1::text COLLATE \"C\" >= ' ' AND NOT {})",
        any_token(tokens)
    )
}

/// The row of this name may be there: the budget of a token that was removed, or of others.
fn enrol_own(tokens: &str, store: &str) -> String {
    let first = first_enrolment(tokens, store);
    format!(
        "WITH {first}, w AS (
            INSERT INTO {tokens} AS t (id, {TOKEN_NAMES}, {BUDGET_NAMES}) VALUES ($1::text, {NEW_TOKEN}, {NEW_BUDGET})
            ON CONFLICT (id, budget) DO UPDATE SET ({TOKEN_NAMES}) = ROW({NEW_TOKEN})
            WHERE t.epoch IS NULL AND t.id = $2::text RETURNING 1)
        SELECT CASE WHEN EXISTS (SELECT FROM w) THEN 0 ELSE 1 END, {COMMITTED}"
    )
}

fn enrol_shared(tokens: &str, store: &str) -> String {
    let first = first_enrolment(tokens, store);
    format!(
        "WITH {first}, w AS (
            INSERT INTO {tokens} (id, budget, {TOKEN_NAMES}) VALUES ($1::text, $2::text, {NEW_TOKEN})
            ON CONFLICT (id, budget) DO NOTHING RETURNING 1),
        b AS (
            INSERT INTO {tokens} (id, {BUDGET_NAMES}) SELECT $2::text, {NEW_BUDGET} FROM w
            ON CONFLICT (id, budget) DO NOTHING)
        SELECT CASE WHEN EXISTS (SELECT FROM w) THEN 0 ELSE 1 END, {COMMITTED}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What has a parenthesis behind it and is no function that is looked up: the language's own words, tables with their columns, and `Some` of
    /// these statements' Debug.
    const WORDS: &str = "AND AS AT BY CASE CHECK EXISTS FROM IN KEY MATERIALIZED NOT OR ROW SELECT SET THEN VALUES WHEN WHERE WITH
        bit coalesce conflict extract greatest least now nullif numeric skewgate_store skewgate_token Some t";

    #[test]
    fn every_function_is_named_with_its_schema() {
        let statements = format!("{:?}", Statements::new(&SchemaName::default())).replace("\\n", "\n");
        let is_code =
            |line: &&str| !["--", "COMMENT ON", "    '"].iter().any(|start| line.starts_with(start));
        let migration = super::super::MIGRATION.lines().filter(is_code).collect::<Vec<_>>().join("\n");
        let code = statements + &migration;
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '.';
        for (at, _) in code.match_indices('(') {
            let before = code[..at].trim_end_matches(' ');
            let name =
                before.rsplit(|letter| !is_part(letter)).next().unwrap_or_default().trim_start_matches('.');
            let known = WORDS.split_whitespace().any(|word| word.eq_ignore_ascii_case(name));
            assert!(name.is_empty() || known || name.starts_with("pg_catalog."), "{name}");
        }
    }
}
