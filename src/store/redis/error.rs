//! Why a store on Redis isn't opened.

use crate::store::StoreError;

use super::Loss;

/// Why [`RedisStore::connect`](super::RedisStore::connect) doesn't give a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedisConnectError {
    /// An address can't be read. It isn't repeated here: there may be a password in it.
    #[error(
        "the address of a Redis server can't be read ({what}): write redis://[user:password@]host[:port][/database]; \
         rediss:// needs the feature redis-tls"
    )]
    Address {
        /// What is wrong with it.
        what: String,
    },
    /// The prefix of keys can't be used.
    #[error("a prefix of keys is 1 to 64 letters, digits and \":-_./\", not {got:?}")]
    Prefix {
        /// What was given.
        got: String,
    },
    /// Several addresses were given, and what is there isn't a Cluster.
    #[error("{node} isn't a node of a Cluster: give one address, that of the primary")]
    NotACluster {
        /// The address that answered.
        node: String,
    },
    /// The server is a replica.
    #[error(
        "the Redis server at {node} is a replica, and states are kept at primaries only: give the address of the primary, or open the store \
         when this one leads there"
    )]
    Replica {
        /// Its address.
        node: String,
    },
    /// The server is set to lose what the store promises to keep.
    #[error(
        "the Redis server at {node} has {setting} {found:?}, so it may lose {what}: CONFIG SET {setting} {wanted} (and write it to \
         its configuration), or accept Loss::{loss:?}", what = loss.what()
    )]
    WouldLose {
        /// Its address.
        node: String,
        /// The setting.
        setting: &'static str,
        /// What it is.
        found: String,
        /// What it should be.
        wanted: &'static str,
        /// What may be lost.
        loss: Loss,
    },
    /// The server doesn't show its settings.
    #[error(
        "the Redis server at {node} doesn't show what it may lose ({said}): allow CONFIG GET, or look for appendonly yes, appendfsync \
         always, no-appendfsync-on-rewrite no and maxmemory-policy noeviction or volatile-… yourself and accept Loss::Unchecked"
    )]
    SettingsUnknown {
        /// Its address.
        node: String,
        /// What it said.
        said: String,
    },
    /// The server doesn't do something that the store needs, maybe later: its user may not, or it can't.
    #[error(
        "the Redis server at {node} refuses a command that the store needs ({said}): the documentation of skewgate::store::redis lists them for \
         ACL SETUSER"
    )]
    CommandRefused {
        /// Its address.
        node: String,
        /// What it said.
        said: String,
    },
    /// The server can't be reached, or isn't one that can be used.
    #[error(
        "no store on Redis, see whether its address is right, with user, password and the number of the database: {0}"
    )]
    Store(#[from] StoreError),
}
