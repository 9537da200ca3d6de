//! States in PostgreSQL: for several nodes, or for a service that has it anyway.
//!
//! ```no_run
//! use skewgate::store::postgres::PostgresStore;
//! use skewgate::time::os::SystemTime;
//! use skewgate::validator::Validator;
//! use std::{sync::Arc, time::Duration};
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let store = PostgresStore::connect("host=/run/postgresql user=login dbname=accounts".parse()?)?;
//! store.migrate().await?;
//! // Better: a `monitor::Monitor`.
//! let clock = SystemTime::with_max_error(Duration::from_secs(1));
//! let gate = Validator::builder(Arc::new(store), Arc::new(clock)).build()?;
//! # Ok(())
//! # }
//! ```
//!
//! **A login takes two round trips**: one statement reads the row, one changes it. A new connection has to find out which server it leads
//! to, and of a write that changed nothing it is asked why: one more. Every write is a single conditional statement, its own transaction, which is committed before it is answered; nothing is locked and no transaction is open between the two. Price and
//! burnt steps of a failure are one statement too, also where a token shares the budget of its account.
//!
//! **Durability is checked, not hoped for**: with each write the server says what it was committed under. `synchronous_commit = off`
//! or `fsync = off` is [`PostgresError::NotDurable`], and so a refusal. With standbys, demand that they are waited for
//! ([`PostgresBuilder::synchronous_standbys`]): otherwise a failover forgets what was committed last.
//!
//! **Restores are noticed**, whoever makes them: see [`restore`].
//!
//! **Each operation has a deadline**, 500 ms by default, getting a connection included. A connection that wasn't heard of in time is
//! closed once the server has answered, as is one whose future was dropped: until then it counts, so that commits that wait for a standby that is gone
//! don't fill the server. Connections that were lost are made again. What changes nothing is asked for
//! again when its connection is found to be closed, within the deadline; a write isn't.
//!
//! It needs a runtime of tokio with its timer: from code that isn't async, that runtime's `Handle::block_on`, of which
//! [`block_on`](crate::block_on) has an example. PostgreSQL 15 is tested. The isolation must be READ COMMITTED, which is the default. TLS is the caller's:
//! [`PostgresBuilder::connect`] takes any connector of tokio-postgres.
//!
//! **Through a pooler** such as PgBouncer it must have sessions of its own (`pool_mode = session`). In transaction mode statements are prepared on one
//! connection and run on another: one without `max_prepared_statements` (1.21 and later) has run other processes' statements under this
//! one's names in a test, and a code was accepted twice. The session's options, and what is remembered of the server, are lost there too.
//! PgBouncer takes connections of [`PostgresStore::connect`] only with `ignore_startup_parameters = options` (otherwise: `unsupported startup parameter: options`), and
//! the options don't reach PostgreSQL then. What they say has to be the role's, here with the default deadline:
//!
//! ```sql
//! ALTER ROLE login SET statement_timeout = '500ms';
//! ALTER ROLE login SET search_path = pg_catalog;
//! ALTER ROLE login SET default_transaction_isolation = 'read committed';
//! ALTER ROLE login SET plan_cache_mode = force_generic_plan;
//! ```
//!
//! # The tables
//!
//! [`MIGRATION`] makes them, with comments on every column, and a view with readable times (`skewgate_token_view`); timestamps are bigints
//! of nanoseconds, since PostgreSQL's own have microseconds. A token takes 158 bytes with ids of 16 bytes that come in order, its index
//! included; 168 with ids that are random, until the index is built anew; and 184 to 192 in a table that logins change all the time, as
//! PostgreSQL keeps old versions of rows until it has cleaned up. The role of a service needs
//! no more than the rights that the migration names. The database should be in UTF8: one in LATIN1, say, refuses ids with letters that it doesn't have.
//!
//! Nobody else may have CREATE on the schema that holds the tables. Whoever has it on another one of the database, as everybody had on `public` before PostgreSQL 15,
//! can make functions and operators there that sessions with this schema in their `search_path` run with their own rights. The store's sessions have
//! `search_path=pg_catalog`, and its statements leave nothing to the path of a caller's pool either, unless that path names `pg_catalog` itself, and behind others.

mod builder;
mod columns;
mod connections;
mod error;
mod lease;
mod memory;
mod row;
mod schema;
mod server;
mod statements;
mod write;

pub use builder::PostgresBuilder;
pub use error::PostgresError;
pub use schema::{SchemaName, SchemaNameError};

#[doc = include_str!("RESTORE.md")]
pub mod restore {}

use std::future::Future;
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, NoTls, Row as PgRow};

use crate::time::Timestamp;
use crate::token::TokenKey;

use super::{Change, Loaded, ManageStore, Record, Replaced, StateStore, StoreError, StoreFuture, Written};
use connections::Connections;
use lease::Lease;
use memory::Memory;
use row::Found;
use statements::Statements;

/// What errors call this store.
const NAME: &str = "PostgreSQL";

/// How many rows are shown between two round trips of a scan.
const PAGE: i64 = 1_000;

/// How long all of a migration may take, the wait for another process that is at it included.
const MIGRATION_DEADLINE: Duration = Duration::from_secs(30);

/// What makes the tables, views and comments: to be run once, in the schema that is to hold them.
/// [`PostgresStore::migrate`] does that; its first lines say how without it.
pub const MIGRATION: &str = include_str!("migrations/0001_tokens.sql");

/// Keeps states in PostgreSQL (15 or newer): see the [module](self).
pub struct PostgresStore {
    connections: Connections,
    schema: SchemaName,
    statements: Statements,
    deadline: Duration,
    /// Whether a write must have reached a synchronous standby.
    standbys: bool,
    /// What a new timeline is taken for.
    promotion: Replaced,
    /// What this process was told of the server's log.
    memory: Mutex<Memory>,
}

impl PostgresStore {
    /// A store in the schema `skewgate`, reached without TLS: on this host, or in a network that is trusted. Otherwise:
    /// [`builder`](Self::builder).
    ///
    /// # Errors
    ///
    /// [`PostgresError::Build`] where there can't be such a pool. Nothing is connected to yet.
    pub fn connect(config: Config) -> Result<Self, PostgresError> {
        Self::builder().connect(config, NoTls)
    }

    /// A store with another schema, a deadline, TLS, or a pool that is there already.
    pub fn builder() -> PostgresBuilder {
        PostgresBuilder::default()
    }

    /// Makes schema and tables, unless the tables are there: true where it has made them. Several processes may call it at the
    /// same time.
    ///
    /// Its role must be allowed to do that. Where a service's role isn't, an administrator runs [`MIGRATION`].
    ///
    /// A server must say something within ten times the deadline, and all must be done within 30 s.
    ///
    /// # Errors
    ///
    /// [`PostgresError`] where that fails; then nothing was made. Where it is [`PostgresError::TimedOut`], all of it
    /// may have been made even so: call it again.
    pub async fn migrate(&self) -> Result<bool, PostgresError> {
        tokio::runtime::Handle::try_current().map_err(|_| PostgresError::NoRuntime)?;
        in_time(MIGRATION_DEADLINE, async {
            // An address may take connections and never say a word.
            let mut lease = in_time(self.deadline.saturating_mul(10), self.of_primary()).await?;
            let made = self.migrate_on(lease.client()?).await?;
            lease.keep();
            Ok(made)
        })
        .await
    }

    async fn of_primary(&self) -> Result<Lease, PostgresError> {
        let lease = self.connections.lease().await?.for_reading();
        let (rows, lease) = lease.ask("SELECT pg_catalog.pg_is_in_recovery()", &[]).await?;
        match rows.first() {
            Some(row) if row.try_get(0)? => Err(PostgresError::Standby),
            _ => Ok(lease),
        }
    }

    async fn migrate_on(&self, client: &mut ClientWrapper) -> Result<bool, PostgresError> {
        let schema = &self.schema;
        let transaction = client.transaction().await?;
        let millis = MIGRATION_DEADLINE.as_millis();
        transaction.batch_execute(&format!("SET LOCAL statement_timeout TO {millis}")).await?;
        // Whoever comes second finds the tables. The key is "skewgate" in ASCII.
        transaction.execute("SELECT pg_catalog.pg_advisory_xact_lock(8317704352364978277)", &[]).await?;
        let table = format!("{schema}.skewgate_token");
        if transaction
            .query_one("SELECT pg_catalog.to_regclass($1::text) IS NOT NULL", &[&table])
            .await?
            .try_get(0)?
        {
            return Ok(false);
        }
        // Asked first: CREATE SCHEMA IF NOT EXISTS needs a right even where it does nothing.
        let named = "SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1::name";
        let there = transaction.query_opt(named, &[&schema.as_str()]).await?.is_some();
        let create = if there { String::new() } else { format!("CREATE SCHEMA {schema};") };
        let script = format!("{create} SET LOCAL search_path TO {schema}; {MIGRATION}");
        transaction.batch_execute(&script).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Runs an operation that may take as long as the deadline.
    async fn within<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        // Without a runtime there is no timer either.
        tokio::runtime::Handle::try_current().map_err(|_| failed(PostgresError::NoRuntime))?;
        match tokio::time::timeout(self.deadline, work).await {
            Ok(ended) => ended,
            Err(_) => Err(self.timed_out()),
        }
    }

    const fn timed_out(&self) -> StoreError {
        StoreError::TimedOut { store: NAME, deadline: self.deadline }
    }

    async fn ask(
        &self,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<(Vec<PgRow>, Lease), StoreError> {
        let lease = self.connections.lease().await.map_err(failed)?;
        lease.ask(statement, parameters).await.map_err(|error| self.of_statement(error))
    }

    /// Asks for what changes nothing. Connections of before a restart of the server are found to be closed only when they are
    /// used.
    async fn read(
        &self,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<(Vec<PgRow>, Lease), StoreError> {
        loop {
            let lease = self.connections.lease().await.map_err(failed)?.for_reading();
            match lease.ask(statement, parameters).await {
                // Ends at the latest with the deadline, in which connections are made anew or not at all.
                Err(error) if error.is_closed() => {}
                ended => return ended.map_err(|error| self.of_statement(error)),
            }
        }
    }

    /// What a load sees.
    async fn find(&self, key: &TokenKey) -> Result<Found, StoreError> {
        let names: [&(dyn ToSql + Sync); 2] = [&key.token().as_str(), &key.budget().as_str()];
        if key.owns_budget() {
            let (rows, lease) = self.read(&self.statements.load_at_once, &names).await?;
            lease.keep();
            let found = rows.first().map(|row| row::found(row, key)).transpose()?;
            // Without a row of the store, or on a new connection, more has to be asked.
            if let Some(found) = found.filter(|found| found.word.is_some()) {
                return Ok(found);
            }
        }
        loop {
            let (rows, lease) = self.read(&self.statements.load, &names).await?;
            let Some(row) = rows.first() else {
                return Err(row::corrupt("a load without an answer".to_owned()));
            };
            let found = row::found(row, key);
            if !found.as_ref().is_ok_and(|found| found.word.is_none()) {
                lease.keep();
                return found;
            }
            // One of before may lead to what was the primary then, or to a standby that an address led to for a moment; a new one says where it
            // leads now.
            if lease.is_new() {
                return found;
            }
        }
    }

    fn of_statement(&self, error: tokio_postgres::Error) -> StoreError {
        // The session's own timeout is the same deadline.
        if error.code() == Some(&SqlState::QUERY_CANCELED) {
            return self.timed_out();
        }
        failed(PostgresError::of_statement(error, self.schema.as_str()))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without the connections' secrets.
impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore")
            .field("schema", &self.schema.as_str())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Needs a runtime of tokio. An operation that is dropped may have happened or not; its connection isn't used again.
impl StateStore for PostgresStore {
    fn load<'a>(&'a self, key: &'a TokenKey) -> StoreFuture<'a, Loaded> {
        Box::pin(self.within(async move {
            let asked = *self.memory();
            let Found { row, not_before, word, known } = self.find(key).await?;
            let word = word.ok_or_else(|| failed(PostgresError::Standby))?;
            // What its rows don't know of is settled first.
            let replaced = match word.run.server.compare(known, self.promotion) {
                None => self.memory().hear(&asked, word, self.promotion),
                replaced => replaced,
            };
            Ok(Loaded { row, not_before, lineage: word.run.lineage(), replaced })
        }))
    }

    fn write<'a>(&'a self, key: &'a TokenKey, change: Change) -> StoreFuture<'a, Written> {
        Box::pin(self.within(self.change(key, change)))
    }

    fn set_not_before(&self, moment: Timestamp) -> StoreFuture<'_, ()> {
        Box::pin(self.within(async move {
            let (rows, lease) = self.ask(&self.statements.set_not_before, &[&moment.as_unix_nanos()]).await?;
            let (outcome, word) = row::declared(&rows)?;
            self.committed(outcome)?;
            lease.keep();
            if let Some(word) = word {
                self.memory().settle(word);
            }
            Ok(())
        }))
    }

    fn survives_restart(&self) -> bool {
        true
    }
}

/// In the order of their ids. Each thousand of tokens is an operation of its own, with its own deadline; no transaction is
/// held between them.
impl ManageStore for PostgresStore {
    fn scan<'a>(
        &'a self,
        visit: &'a mut (dyn FnMut(Record) -> ControlFlow<()> + Send),
    ) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let (mut last, mut last_budget, mut begun) = (String::new(), String::new(), false);
            loop {
                // From the last one on: there is no name that comes before all others.
                let parameters: [&(dyn ToSql + Sync); 3] = [&last, &last_budget, &PAGE];
                let (rows, lease) = self.within(self.read(&self.statements.scan, &parameters)).await?;
                lease.keep();
                let mut more = false;
                for row in &rows {
                    let (parts, id, budget) = row::scanned(row)?;
                    if begun && (id, budget) == (last.as_str(), last_budget.as_str()) {
                        continue;
                    }
                    // What stands in for unknown tokens: no caller has named it.
                    if !id.starts_with('\u{1}') && visit(row::record(parts, id, budget)?).is_break() {
                        return Ok(());
                    }
                    id.clone_into(&mut last);
                    budget.clone_into(&mut last_budget);
                    (begun, more) = (true, true);
                }
                if !more {
                    return Ok(());
                }
            }
        })
    }
}

async fn in_time<T>(
    deadline: Duration,
    work: impl Future<Output = Result<T, PostgresError>>,
) -> Result<T, PostgresError> {
    tokio::time::timeout(deadline, work).await.unwrap_or(Err(PostgresError::TimedOut { deadline }))
}

fn failed(error: PostgresError) -> StoreError {
    StoreError::Failed { store: NAME, source: Box::new(error) }
}
