//! How a store is made.

use std::sync::Mutex;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, QueueMode, RecyclingMethod};
use tokio_postgres::Config;
use tokio_postgres::Socket;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};

use crate::store::Replaced;

use super::connections::Connections;
use super::lease::session_options;
use super::statements::Statements;
use super::{PostgresError, PostgresStore, SchemaName};

/// How long an operation may take, a connection included.
const DEADLINE: Duration = Duration::from_millis(500);

/// As many as a login page needs that is busy on a few cores: each of them is a process of the server.
const CONNECTIONS: usize = 16;

/// How long what is sent may be without a sign that it has arrived, unless the caller says: a connection that a network swallows doesn't take up room for long.
const SILENCE: Duration = Duration::from_secs(10);

/// How long an answer may take that nobody waits for any more. The store's own sessions end whatever takes longer than the deadline; what is left are commits that
/// wait for a standby.
const OWN_PATIENCE: Duration = Duration::from_secs(3_600);

/// The same in a pool that others need too, whose sessions may end nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes a [`PostgresStore`].
///
/// ```no_run
/// use skewgate::store::postgres::{PostgresStore, SchemaName};
/// use std::time::Duration;
/// use tokio_postgres::NoTls;
///
/// let store = PostgresStore::builder()
///     .schema(SchemaName::new("auth")?)
///     .deadline(Duration::from_millis(300))
///     .synchronous_standbys(true)
///     .connect("host=db.example.org user=login dbname=accounts".parse()?, NoTls)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is made before `connect` or `over`"]
pub struct PostgresBuilder {
    schema: SchemaName,
    deadline: Duration,
    connections: usize,
    standbys: bool,
    promotion: Replaced,
}

impl Default for PostgresBuilder {
    fn default() -> Self {
        Self {
            schema: SchemaName::default(),
            deadline: DEADLINE,
            connections: CONNECTIONS,
            standbys: false,
            promotion: Replaced::Restored,
        }
    }
}

impl PostgresBuilder {
    /// Which schema has the tables. Otherwise `skewgate`.
    pub fn schema(mut self, schema: SchemaName) -> Self {
        self.schema = schema;
        self
    }

    /// How long each operation may take, getting a connection included. Otherwise 500 ms. A login has two operations.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How many connections there may be. Otherwise 16. For [`connect`](Self::connect) alone: a pool of the caller's has its
    /// own limit.
    ///
    /// As many again may wait to be closed: those that were given up on, until the server has answered, for an hour at the most. PostgreSQL ends no commit that
    /// waits for a synchronous standby, neither by a timeout nor because its client is gone. Where a standby stays away and logins go on, a minute's wait frees
    /// a place here, not on the server: as many more may come to wait there each minute. So a second line, for all processes of a service: `ALTER ROLE login CONNECTION LIMIT 100`.
    pub const fn connections(mut self, most: usize) -> Self {
        self.connections = most;
        self
    }

    /// Demands that every write waits for a synchronous standby: that `synchronous_standby_names` isn't empty, and
    /// `synchronous_commit` is `on` or `remote_apply`. Otherwise it is enough that the primary's own disk has it.
    ///
    /// PostgreSQL lets nobody demand more than that it waits. Where the wait is ended, by `pg_cancel_backend` or because `synchronous_standby_names` is
    /// emptied and reloaded, as failover managers do when the standby is lost, it reports the commit as done, with a WARNING alone: no standby has it. If
    /// that standby is promoted then, an accepted code isn't accepted again, since a new timeline makes all codes of until then dead; but the price of a failed
    /// attempt may be forgotten.
    pub const fn synchronous_standbys(mut self, demanded: bool) -> Self {
        self.standbys = demanded;
        self
    }

    /// Takes a new timeline for the promotion of a standby, and no longer for a base backup that was recovered: nothing in the
    /// server tells one from the other. After a promotion codes of until now are dead; after a restore nobody gets in for
    /// six minutes, since a token may have been resynchronised since.
    ///
    /// For servers whose standbys take over by themselves. Whoever recovers from a base backup there has to call
    /// [`Validator::restored`](crate::validator::Validator::restored) before the first login.
    pub const fn promotions_are_failovers(mut self, they_are: bool) -> Self {
        self.promotion = if they_are { Replaced::Failover } else { Replaced::Restored };
        self
    }

    /// A store with connections of its own, made when they are needed. `tls` is [`NoTls`](tokio_postgres::NoTls), or the connector
    /// of a crate such as `tokio-postgres-rustls`.
    ///
    /// Their sessions end statements after the deadline, on the server too.
    ///
    /// # Errors
    ///
    /// [`PostgresError::Build`] where there can't be such a pool.
    pub fn connect<T>(self, mut config: Config, tls: T) -> Result<PostgresStore, PostgresError>
    where
        T: MakeTlsConnect<Socket> + Clone + Sync + Send + 'static,
        T::Stream: Sync + Send,
        T::TlsConnect: Sync + Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        // What the caller sets comes later, and so has the last word.
        let mut options = session_options(self.deadline);
        if let Some(more) = config.get_options() {
            options = format!("{options} {more}");
        }
        config.options(options);
        if config.get_application_name().is_none() {
            config.application_name("skewgate");
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE.max(self.deadline));
        }
        let manager =
            Manager::from_config(config, tls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        // The one that was used last: it is warm at both ends, and those that a rush has made may rest.
        let pool =
            Pool::builder(manager).max_size(self.connections.max(1)).queue_mode(QueueMode::Lifo).build()?;
        Ok(self.on(Connections::new(pool, OWN_PATIENCE)))
    }

    /// A store with the connections of a pool that the service has already. None of them may come back to the pool with a transaction open, as
    /// when a handler is given up between BEGIN and COMMIT: what is answered here would be rolled back later, and an accepted code be accepted again.
    /// `RecyclingMethod::Custom("ROLLBACK".into())` of deadpool-postgres ends such transactions; `DISCARD ALL` doesn't do there, as statements are prepared once for
    /// each connection, and it throws them away. Its sessions must be in READ COMMITTED, which is
    /// PostgreSQL's default, and had better have a `statement_timeout`, and `plan_cache_mode = force_generic_plan`: whichever rows a
    /// statement of this store is about, its plan is the same.
    ///
    /// Its `search_path` may have schemas in which others may make functions and operators: this store's statements name PostgreSQL's own. Not so if the path names
    /// `pg_catalog` behind such a schema.
    #[must_use]
    pub fn over(self, pool: Pool) -> PostgresStore {
        self.on(Connections::new(pool, PATIENCE))
    }

    fn on(self, connections: Connections) -> PostgresStore {
        let Self { schema, deadline, standbys, promotion, .. } = self;
        let statements = Statements::new(&schema);
        PostgresStore {
            connections,
            schema,
            statements,
            deadline,
            standbys,
            promotion,
            memory: Mutex::default(),
        }
    }
}
