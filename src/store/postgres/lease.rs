//! A connection for one operation.

use std::time::Duration;

use deadpool_postgres::{Client, ClientWrapper, PoolError};
use tokio::runtime::Handle;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::PostgresError;
use super::connections::Connections;

/// A connection from a pool, which goes back there only if it is to be [kept](Self::keep). One that was given up on, by a deadline or because its
/// future was dropped, is [closed](Connections::give_up): nobody knows what it will say next. So is one whose answer says that it leads to the wrong server, or that
/// its session has the wrong settings: it would say so for ever, also when others wouldn't any more.
pub(super) struct Lease {
    client: Option<Client>,
    /// Whether the server owes an answer.
    waits: bool,
    /// How long that may take.
    patience: Duration,
    connections: Connections,
    runtime: Handle,
}

impl Lease {
    pub(super) const fn new(client: Client, connections: Connections, runtime: Handle) -> Self {
        let patience = connections.patience();
        Self { client: Some(client), waits: false, patience, connections, runtime }
    }

    /// For what only reads: no commit waits for anybody, so what isn't answered soon never will be.
    pub(super) fn for_reading(mut self) -> Self {
        self.patience = self.patience.min(Connections::PATIENCE_OF_READS);
        self
    }

    /// All rows that a statement answers with, and the connection that they came by. It is prepared once for each connection.
    pub(super) async fn ask(
        mut self,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<(Vec<Row>, Self), tokio_postgres::Error> {
        self.waits = true;
        let rows = match &self.client {
            Some(client) => query(client, statement, parameters).await,
            None => Ok(Vec::new()),
        };
        self.waits = false;
        Ok((rows?, self))
    }

    /// The connection, for more than one statement.
    pub(super) fn client(&mut self) -> Result<&mut ClientWrapper, PostgresError> {
        self.waits = true;
        self.client.as_deref_mut().ok_or(PostgresError::Pool(PoolError::Closed))
    }

    /// Gives the connection back to the pool.
    pub(super) fn keep(mut self) {
        drop(self.client.take());
    }

    /// Waits until all that was asked is answered, or the connection is broken.
    pub(super) async fn answered(&self) {
        if let Some(client) = &self.client {
            let _ = client.simple_query("").await;
        }
    }

    /// Whether the connection was made for this operation, and so leads to where a new one leads now.
    pub(super) fn is_new(&self) -> bool {
        self.client.as_ref().is_none_or(|client| Client::metrics(client).recycle_count == 0)
    }
}

async fn query(
    client: &ClientWrapper,
    statement: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let prepared = client.prepare_cached(statement).await?;
    client.query(&prepared, parameters).await
}

impl Drop for Lease {
    fn drop(&mut self) {
        match self.client.take() {
            Some(client) if self.waits => self.connections.give_up(client, self.patience, &self.runtime),
            Some(client) => drop(Client::take(client)),
            None => {}
        }
    }
}

/// How long PostgreSQL itself may work on a statement: as long as it is waited for. Otherwise one that waits for a lock would go on,
/// without anybody to hear its answer, and hold a connection of the server. And no plan is made anew: each statement names its rows by the
/// primary key, whichever they are. Functions and operators are PostgreSQL's own, whatever others have made in the schemas of the role's search_path.
pub(super) fn session_options(deadline: Duration) -> String {
    let millis = deadline.as_millis().max(1);
    format!(
        "-c statement_timeout={millis} -c default_transaction_isolation=read\\ committed -c plan_cache_mode=force_generic_plan -c search_path=pg_catalog"
    )
}
