//! What every store must do, run against every store that there is: see `tests/conformance`.

mod conformance;
#[cfg(feature = "postgres")]
#[path = "support/postgres.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod postgres;

use std::sync::Arc;

use conformance::{Opening, Place, conformance};
use skewgate::store::{ManageStore, MemoryStore};

/// All that a memory store has is in itself.
struct Memory;

impl Place for Memory {
    fn open(&self) -> Opening<'_> {
        Box::pin(async { Arc::new(MemoryStore::new()) as Arc<dyn ManageStore> })
    }
}

conformance!(memory, |_| Memory);

#[cfg(feature = "postgres")]
mod on_postgres {
    use super::*;
    use crate::postgres::Postgres;
    use skewgate::store::postgres::PostgresStore;
    use std::time::Duration;
    use tokio::runtime::Runtime;

    /// A server of its own for each test.
    pub(super) struct Server(Postgres);

    impl Server {
        pub(super) fn new(runtime: &Runtime) -> Self {
            let server = Self(Postgres::start());
            runtime.block_on(server.store().migrate()).expect("the tables are made");
            server
        }

        fn store(&self) -> PostgresStore {
            let config = self.0.parameters("admin").parse().expect("parameters of a connection");
            // Dozens of tasks at a time, on a machine that does other things too.
            PostgresStore::builder().deadline(Duration::from_secs(30)).connect(config, NoTls).expect("a pool")
        }
    }

    impl Place for Server {
        fn open(&self) -> Opening<'_> {
            Box::pin(async { Arc::new(self.store()) as Arc<dyn ManageStore> })
        }

        fn is_shared(&self) -> bool {
            true
        }
    }

    use tokio_postgres::NoTls;
}

#[cfg(feature = "postgres")]
conformance!(
    #[ignore = "needs PostgreSQL: ./tests/run"]
    postgres_store,
    on_postgres::Server::new
);

#[cfg(feature = "embedded")]
mod embedded_place {
    use super::*;
    use skewgate::store::EmbeddedStore;
    use std::time::Duration;
    use tempfile::TempDir;

    /// A file in a directory of its own.
    pub(super) struct File(TempDir);

    impl File {
        #[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
        pub(super) fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }
    }

    impl Place for File {
        #[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
        fn open(&self) -> Opening<'_> {
            let path = self.0.path().join("tokens.redb");
            // Other tests keep the disk busy.
            let store = EmbeddedStore::builder(path).deadline(Duration::from_secs(60)).open().unwrap();
            Box::pin(async { Arc::new(store) as Arc<dyn ManageStore> })
        }
    }
}

#[cfg(feature = "embedded")]
conformance!(embedded, |_| embedded_place::File::new());

#[cfg(feature = "redis")]
#[allow(dead_code, reason = "each test file uses a part of it")]
#[path = "support/redis.rs"]
mod servers;

#[cfg(feature = "redis")]
mod on_redis {
    use super::servers::{RedisCluster, RedisServer};
    use super::*;
    use skewgate::store::RedisStore;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    /// A server of its own.
    pub(super) struct Single(RedisServer);

    /// Keys of its own in a Cluster that others use, too.
    pub(super) struct Cluster(Arc<RedisCluster>, String);

    impl Single {
        pub(super) fn new() -> Self {
            Self(RedisServer::durable())
        }
    }

    impl Cluster {
        pub(super) fn new() -> Self {
            static NUMBER: AtomicU64 = AtomicU64::new(0);
            Self(RedisCluster::shared(), format!("{}:", NUMBER.fetch_add(1, Ordering::Relaxed)))
        }
    }

    async fn open(url: &str, prefix: &str) -> Arc<dyn ManageStore> {
        // Not a measurement: the machine may be busy.
        let store = RedisStore::builder(url).prefix(prefix).deadline(Duration::from_secs(30));
        Arc::new(store.connect().await.expect("a store"))
    }

    impl Place for Single {
        fn open(&self) -> Opening<'_> {
            Box::pin(async { open(&self.0.url(), "skewgate:").await })
        }

        fn is_shared(&self) -> bool {
            true
        }
    }

    impl Place for Cluster {
        fn open(&self) -> Opening<'_> {
            Box::pin(async { open(&self.0.url(), &self.1).await })
        }

        fn is_shared(&self) -> bool {
            true
        }
    }
}

#[cfg(feature = "redis")]
conformance!(
    #[ignore = "needs redis-server: ./tests/run"]
    redis,
    |_| on_redis::Single::new()
);
#[cfg(feature = "redis")]
conformance!(
    #[ignore = "needs redis-server: ./tests/run"]
    redis_cluster,
    |_| on_redis::Cluster::new()
);
