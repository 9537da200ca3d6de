//! What goes wrong with PostgreSQL.

use std::time::Duration;

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

/// What PostgreSQL said, or what is wrong with how it is set up: the source of a [`StoreError`](crate::store::StoreError).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// A commit may be lost when the server crashes.
    #[error(
        "{setting} is {got}, expected {expected}: a code that was used could be used again after a crash. {}",
        remedy(setting)
    )]
    NotDurable {
        /// Which setting of the server or the session.
        setting: &'static str,
        /// What it is.
        got: String,
        /// What it may be.
        expected: &'static str,
    },
    /// Synchronous standbys are demanded, and the server waits for none.
    #[error(
        "synchronous_standby_names is empty, expected the name of a standby: set it on the primary, or don't demand \
         synchronous standbys"
    )]
    NoSynchronousStandby,
    /// The server is a standby.
    #[error("the server is a standby, expected the primary: add target_session_attrs=read-write to its URL")]
    Standby,
    /// The server didn't answer in time.
    #[error("PostgreSQL didn't answer within {deadline:?}: check its address, the network and its load")]
    TimedOut {
        /// How long it had.
        deadline: Duration,
    },
    /// The tables aren't there.
    #[error(
        "schema {schema} has no table skewgate_token, or it is another one: run `PostgresStore::migrate`, or its migration ({})", whole(.source)
    )]
    NotMigrated {
        /// Where they were looked for.
        schema: String,
        /// What the server said.
        source: tokio_postgres::Error,
    },
    /// There is no runtime of tokio.
    #[error(
        "PostgreSQL is reached through tokio, and this thread has none of its runtimes: use the runtime's `block_on`"
    )]
    NoRuntime,
    /// No connection could be had.
    #[error("no connection to PostgreSQL: {}", whole(.0))]
    Pool(#[source] PoolError),
    /// The server or the connection failed.
    #[error("PostgreSQL: {}", whole(.0))]
    Database(#[from] tokio_postgres::Error),
    /// A pool could not be made.
    #[error("no pool of connections: {0}")]
    Build(#[from] deadpool_postgres::BuildError),
}

impl PostgresError {
    pub(super) fn of_statement(error: tokio_postgres::Error, schema: &str) -> Self {
        const ABSENT: [SqlState; 3] =
            [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN, SqlState::INVALID_SCHEMA_NAME];
        match error.code() {
            Some(code) if ABSENT.contains(code) => {
                Self::NotMigrated { schema: schema.to_owned(), source: error }
            }
            _ => Self::Database(error),
        }
    }
}

/// Not every setting can be a role's own.
fn remedy(setting: &str) -> &'static str {
    match setting {
        "fsync" => "Set it for the server: ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf()",
        _ => "Set it for the role: ALTER ROLE … SET synchronous_commit = on",
    }
}

/// An error with what caused it: tokio-postgres keeps what the server said to itself.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Some repeat their cause.
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
