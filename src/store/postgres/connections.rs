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
/// pool's own while there is room, so that a network that swallows answers for a moment doesn't take all connections of the pool with it; and in the
/// pool for no longer than a minute, as nobody gets in meanwhile.
#[derive(Clone)]
pub(super) struct Connections {
    pool: Pool,
    beside: Arc<Semaphore>,
    patience: Duration,
}

impl Connections {
    /// The longest for what only reads: the server ends that itself.
    pub(super) const PATIENCE_OF_READS: Duration = Duration::from_secs(10);

    /// The longest in one of the pool's own places.
    const PATIENCE_IN_POOL: Duration = Duration::from_secs(60);

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

    pub(super) const fn patience(&self) -> Duration {
        self.patience
    }

    /// Closes a connection once the server has answered what it was asked last, or can't any more, or after so long.
    pub(super) fn give_up(&self, client: Client, patience: Duration, runtime: &Handle) {
        // What is asked behind the outstanding statement is answered behind it.
        if let Ok(place) = self.beside.clone().try_acquire_owned() {
            let client = Client::take(client);
            runtime.spawn(async move {
                let _ = tokio::time::timeout(patience, client.simple_query("")).await;
                drop((client, place));
            });
        } else {
            // The pool's own place: whoever wants one waits. Closed even where the runtime ends before that.
            let patience = patience.min(Self::PATIENCE_IN_POOL);
            let lease = Lease::new(client, self.clone(), runtime.clone());
            runtime.spawn(async move {
                let _ = tokio::time::timeout(patience, lease.answered()).await;
                drop(lease);
            });
        }
    }
}
