//! The connections there are, and those that were given up on.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Client, Pool};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::PostgresError;
use super::lease::Lease;

/// A pool, and room for as many connections that were given up on.
///
/// To close a connection ends nothing on the server: a commit that waits for a synchronous standby goes on waiting, and keeps one of the server's
/// connections, which are a hundred for all of its services. So what was given up on counts until the server has answered. It counts beside the
/// pool's own while there is room, so that a network that swallows answers for a moment doesn't take all connections of the pool with it.
#[derive(Clone)]
pub(super) struct Connections {
    pool: Pool,
    beside: Arc<Semaphore>,
    patience: Duration,
}

impl Connections {
    /// `patience` is how long an answer may take that nobody waits for.
    pub(super) fn new(pool: Pool, patience: Duration) -> Self {
        let beside = Arc::new(Semaphore::new(pool.status().max_size));
        Self { pool, beside, patience }
    }

    pub(super) async fn lease(&self) -> Result<Lease, PostgresError> {
        // Without a runtime tokio would panic, deep inside of the pool.
        let runtime = Handle::try_current().map_err(|_| PostgresError::NoRuntime)?;
        let client = self.pool.get().await.map_err(PostgresError::Pool)?;
        Ok(Lease::new(client, self.clone(), runtime))
    }

    /// Closes a connection once the server has answered what it was asked last, or can't any more.
    pub(super) fn give_up(&self, client: Client, runtime: &Handle) {
        let patience = self.patience;
        // What is asked behind the outstanding statement is answered behind it.
        if let Ok(place) = self.beside.clone().try_acquire_owned() {
            let client = Client::take(client);
            runtime.spawn(async move {
                let _ = tokio::time::timeout(patience, client.simple_query("")).await;
                drop((client, place));
            });
        } else {
            // Closed even where the runtime ends before that.
            let lease = Lease::new(client, self.clone(), runtime.clone());
            runtime.spawn(async move {
                let _ = tokio::time::timeout(patience, lease.answered()).await;
                drop(lease);
            });
        }
    }
}
