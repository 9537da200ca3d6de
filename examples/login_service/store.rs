//! Where the states of tokens are kept, and how quick that is.

use std::path::Path;
use std::sync::Arc;

use skewgate::store::{
    Change, EmbeddedStore, Loaded, MemoryStore, StateStore, StoreError, StoreFuture, Written,
};
use skewgate::time::os::OsClock;
use skewgate::time::{LocalClock, Timestamp};
use skewgate::token::TokenKey;

use crate::arguments::StoreChoice;
use crate::error::StartError;
use crate::metrics::{Operation, StoreMetrics};

pub(crate) async fn open(
    choice: &StoreChoice,
    data: &Path,
    metrics: StoreMetrics,
) -> Result<Arc<Watched>, StartError> {
    let store: Arc<dyn StateStore> = match choice {
        StoreChoice::Memory => Arc::new(MemoryStore::new()),
        StoreChoice::Embedded => {
            Arc::new(EmbeddedStore::open(data.join("tokens.redb")).map_err(StartError::open)?)
        }
        #[cfg(feature = "redis")]
        StoreChoice::Redis(address) => {
            let store = skewgate::store::redis::RedisStore::connect(address).await;
            Arc::new(store.map_err(StartError::open)?)
        }
        #[cfg(not(feature = "redis"))]
        StoreChoice::Redis(_) => return Err(StartError::StoreNotBuilt { store: "redis" }),
        #[cfg(feature = "postgres")]
        StoreChoice::Postgres(address) => {
            let config = address.parse().map_err(StartError::open)?;
            let store =
                skewgate::store::postgres::PostgresStore::connect(config).map_err(StartError::open)?;
            // A role that mustn't make tables finds them made.
            store.migrate().await.map_err(StartError::open)?;
            Arc::new(store)
        }
        #[cfg(not(feature = "postgres"))]
        StoreChoice::Postgres(_) => return Err(StartError::StoreNotBuilt { store: "postgres" }),
    };
    Ok(Arc::new(Watched { store, metrics }))
}

/// A store whose every operation is timed.
pub(crate) struct Watched {
    store: Arc<dyn StateStore>,
    metrics: StoreMetrics,
}

impl Watched {
    async fn timed<T>(&self, operation: Operation, future: StoreFuture<'_, T>) -> Result<T, StoreError> {
        let begun = OsClock.raw();
        let result = future.await;
        self.metrics.observe(operation, (OsClock.raw() - begun).unsigned_abs(), result.is_ok());
        result
    }
}

impl StateStore for Watched {
    fn load<'a>(&'a self, key: &'a TokenKey) -> StoreFuture<'a, Loaded> {
        Box::pin(self.timed(Operation::Load, self.store.load(key)))
    }

    fn write<'a>(&'a self, key: &'a TokenKey, change: Change) -> StoreFuture<'a, Written> {
        Box::pin(self.timed(Operation::Write, self.store.write(key, change)))
    }

    fn set_not_before(&self, moment: Timestamp) -> StoreFuture<'_, ()> {
        Box::pin(self.timed(Operation::SetNotBefore, self.store.set_not_before(moment)))
    }

    fn survives_restart(&self) -> bool {
        self.store.survives_restart()
    }
}
