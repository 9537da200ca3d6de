//! States in Redis, for several processes and hosts.
//!
//! An account (a guess budget and the tokens on it) is one key, so its parts change together and are in one hash slot of a Cluster,
//! whatever braces a name has. Every change is a script, which the server runs as one atomic step. A login takes two round trips: one
//! that loads, one that writes; in a Cluster three. No key ever expires.
//!
//! ```no_run
//! use skewgate::store::RedisStore;
//! use skewgate::time::os::SystemTime;
//! use skewgate::validator::Validator;
//! use std::{sync::Arc, time::Duration};
//!
//! # async fn open() -> Result<(), Box<dyn std::error::Error>> {
//! // Refuses a server that forgets: it needs `appendonly yes`, `appendfsync always`, `maxmemory-policy noeviction` or `volatile-…`.
//! let store = RedisStore::connect("redis://redis.example.org").await?;
//! let clock = SystemTime::with_max_error(Duration::from_secs(1));
//! let gate = Validator::builder(Arc::new(store), Arc::new(clock)).build()?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises, and what for
//!
//! With one primary that [loses nothing](Loss), an answered write stays, and no code is accepted twice. With replicas, a failover loses what
//! they didn't have yet: [`Confirmation`] asks some of them before a write counts; where fewer answer in time, the write is an error and
//! the attempt is refused. For that promise a failover must choose one that has confirmed: with two replicas, ask both, or let
//! `min-replicas-to-write` and the number of them be such that every possible successor is among those that are asked. It doesn't say more than that: Redis replicates without
//! consensus, so a primary that was cut off from the others goes on answering until it finds out, and accepts codes that its successor accepts too.
//!
//! # What it notices
//!
//! Every load also reads, in the same round trip, who the primary is (`master_replid`), and what the store has written down about all of
//! them. It reports [`Replaced`] where
//!
//! - nothing is written down: the database was emptied. Its tokens aren't enrolled any more;
//! - the primary isn't one of those: another one took over, or it was started anew, maybe with older files. That is a
//!   [failover](Replaced::Failover) where a write of this process is found to be still there, otherwise [restored](Replaced::Restored).
//!   A restart counts as one or the other, since nobody can tell what happened to the files meanwhile. To a process that was in use it is a failover:
//!   the codes of that moment are dead, their users need the next one. To one that was started since, or has let nobody in
//!   and written nothing before its last load, it is a restore: nobody gets in for about six minutes. The same happens where slots of a Cluster move to a node that is new, and where a primary has
//!   been without any replica for an hour (`repl-backlog-ttl`).
//!
//! Each process also remembers the latest `not_before` that it has seen or set. Where a failover has lost that, a load says
//! [restored](Replaced::Restored), and what is set next is no earlier. A process that was started since, or had never heard of it, can't know.
//!
//! It doesn't notice single keys that somebody writes back (`RESTORE`), or one emptied node of a Cluster: whoever does the former calls
//! [`set_not_before`](StateStore::set_not_before); after the latter tokens aren't enrolled.
//!
//! # Cluster
//!
//! Found out by itself; one address is enough. What holds for the whole store (`not_before`, and who the nodes are) is one key, read beside the
//! account, at the same time: at each load, never from a copy, since a `not_before` that one process hasn't heard of lets used codes in.
//! An acceptance or a renewal asks for it once more after it was written, which is a third round trip in a Cluster: where it has changed, or another
//! primary took over, the attempt is refused and its code is used.
//! While the node that has it is down nobody logs in; but neither would they at any other: a Cluster answers to
//! nothing while a slot is uncovered, by its default.
//!
//! # What its user may do
//!
//! All that the store asks for, at one server:
//!
//! ```text
//! ACL SETUSER login on >password ~skewgate:* -@all +get +set +hgetall +hget +hset +hkeys +hdel +exists +scan +eval +evalsha +info +config|get +ping
//! ```
//!
//! Besides that, `+cluster|slots +asking` in a Cluster; `+wait` with [`Confirmation::Replicas`], `+waitaof` with [`Confirmation::ReplicaLogs`]; and `+select` where
//! the address names another database than 0. Another [prefix](RedisBuilder::prefix) takes the place of `skewgate:`. What is needed only now and then, as after a
//! restart of the server, is tried when the store is opened; but for `hset`, `hkeys` and `hdel`, without which no failover and no restart is got over.
//!
//! # When the network fails
//!
//! Each operation ends by its deadline. A connection that breaks, or doesn't answer in time, is replaced when it is needed next. A
//! load whose connection breaks is asked once more, and so is one that a replica answers: a failover leaves connections open, so where it was planned the primary
//! that was is left for whoever its address leads to by then. **A write is never repeated** unless the server has said that it didn't run it: its answer
//! was lost, so the attempt is refused; if it was an acceptance, its code is used.

mod account;
mod builder;
mod deadline;
mod durability;
mod error;
mod identity;
mod marker;
mod node;
mod redirection;
mod scan;
mod script;
mod slot;
mod topology;
mod unreadable;

pub use builder::RedisBuilder;
pub use durability::Loss;
pub use error::RedisConnectError;

use std::error::Error;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redis::{Cmd, FromRedisValue, Pipeline, ServerErrorKind, Value, pipe};
use futures_util::future::join;

use crate::time::Timestamp;
use crate::token::TokenKey;

use super::{Change, Loaded, Replaced, Row, StateStore, StoreError, StoreFuture, Written};
use account::Account;
use deadline::Deadline;
use identity::{Evidence, Memory, lineage};
use node::Node;
use script::{Script, Scripts};
use topology::{Reading, Topology};

const NAME: &str = "redis";

const DEFAULT_DEADLINE: Duration = Duration::from_millis(500);

/// After the prefix: what holds for the whole store. No budget can be named so.
const MARKER: &[u8] = b"\x01store";

/// Who must have a write before it counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Confirmation {
    /// The primary, as durable as it makes it.
    #[default]
    Primary,
    /// And as many replicas, in their memory (`WAIT`).
    Replicas(u16),
    /// And as many replicas, in their logs (`WAITAOF`: Redis 7.2 or later), besides the primary's.
    ReplicaLogs(u16),
}

/// Keeps states in Redis 6.2 or later, or a Cluster; see the [module's documentation](self).
///
/// Needs a tokio runtime; from code that isn't async: [`block_on`](crate::block_on) has an example.
pub struct RedisStore {
    prefix: String,
    marker: Vec<u8>,
    deadline: Duration,
    confirmation: Confirmation,
    remembers: bool,
    topology: Topology,
    scripts: Scripts,
    memory: Mutex<Memory>,
}

impl RedisStore {
    /// The store at `redis://[user:password@]host[:port][/database]`, or with `rediss://` and the feature `redis-tls` over TLS. Any node of a
    /// Cluster will do.
    ///
    /// # Errors
    ///
    /// [`RedisConnectError`] where the server can't be reached, or may [lose](Loss) something.
    pub async fn connect(address: &str) -> Result<Self, RedisConnectError> {
        Self::builder(address).connect().await
    }

    /// The same with options.
    ///
    /// ```no_run
    /// use skewgate::store::redis::{Confirmation, Loss, RedisStore};
    /// use std::time::Duration;
    ///
    /// # async fn open() -> Result<(), skewgate::store::redis::RedisConnectError> {
    /// let store = RedisStore::builder("redis://10.0.0.7")
    ///     .prefix("login:")
    ///     .deadline(Duration::from_millis(300))
    ///     .confirmation(Confirmation::Replicas(1))
    ///     .accept_loss(Loss::AtPowerFailure)
    ///     .connect()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn builder(address: &str) -> RedisBuilder {
        RedisBuilder::new(address)
    }

    fn key(&self, key: &TokenKey) -> Vec<u8> {
        [self.prefix.as_bytes(), key.budget().as_str().as_bytes()].concat()
    }

    fn slot(&self, key: &[u8]) -> u16 {
        if self.topology.is_cluster { slot::slot(key) } else { 0 }
    }

    async fn load_now(&self, key: &TokenKey) -> Result<Loaded, StoreError> {
        let deadline = Deadline::after(self.deadline);
        // As of now: what another task of this process learns meanwhile may be later than what this one is told.
        let (count, remembered) = self.memory().so_far();
        let account = self.key(key);
        let (mut marker_of, mut get) = (Cmd::new(), Cmd::new());
        marker_of.arg("HGETALL").arg(&self.marker);
        get.arg("GET").arg(&account);
        let (account, marker, nodes) = if self.topology.is_cluster {
            let (of_account, of_marker) = join(
                self.topology.read(self.slot(&account), [&get], deadline),
                self.topology.read(self.slot(&self.marker), [&marker_of], deadline),
            )
            .await;
            let (Reading { answer, identity: its }, marker) = (of_account?, of_marker?);
            let Reading { answer: marker, identity: marks } = marker;
            let [account] = exactly(answer.values)?;
            let [holds] = exactly(marker.values)?;
            (account, holds, vec![(answer.node, answer.asked, its), (marker.node, marker.asked, marks)])
        } else {
            let Reading { answer, identity } = self.topology.read(0, [&marker_of, &get], deadline).await?;
            let [marker, account] = exactly(answer.values)?;
            (account, marker, vec![(answer.node, answer.asked, identity)])
        };
        let marker = self.read_marker(marker)?;
        let (mut unknown, mut row_from) = (Vec::new(), None);
        for (node, asked, identity) in nodes {
            // The first one is who has the account.
            row_from = row_from.or(Some(lineage(&identity)?));
            if marker.nodes.contains(&identity) {
                let mut memory = self.memory();
                // Somebody else has settled it.
                memory.reported.remove(&identity);
                memory.confirm(&node.address, count);
            } else {
                self.memory().reported.insert(identity.clone(), asked);
                unknown.push((node, identity));
            }
        }
        self.memory().remember(marker.not_before);
        // It never goes back: where it has, what was answered is lost, also if it was settled meanwhile by somebody who can't know that.
        let replaced = if !marker.exists || marker.not_before < remembered {
            Some(Replaced::Restored)
        } else if unknown.is_empty() {
            None
        } else {
            let mut worst = Replaced::Failover;
            for (node, identity) in &unknown {
                if !self.has_last_writes(&node.address, identity, deadline).await? {
                    worst = Replaced::Restored;
                }
            }
            Some(worst)
        };
        let (row, not_before) = (self.row(account, key)?, marker.not_before.max(remembered));
        Ok(Loaded { row, not_before, lineage: row_from.unwrap_or_default(), replaced })
    }

    async fn write_now(&self, key: &TokenKey, change: Change) -> Result<Written, StoreError> {
        let deadline = Deadline::after(self.deadline);
        let account = self.key(key);
        let slot = self.slot(&account);
        self.memory().about_to_write(key);
        let (script, arguments) = account::call(&self.scripts, key, change);
        let (node, value) = match change.seen() {
            None => self.run(script, slot, &[&account], &arguments, deadline).await?,
            Some(_) if !self.topology.is_cluster => {
                self.run(script, slot, &[&account, &self.marker], &arguments, deadline).await?
            }
            // Another node has that, perhaps: asked afterwards, since what is unchanged then was so at the write.
            Some(seen) => {
                let ran = self.run(script, slot, &[&account], &arguments, deadline).await?;
                self.check_unchanged(seen, deadline).await?;
                ran
            }
        };
        let (written, full_at) = match value {
            Value::Int(0) => (Written::Refused, None),
            Value::Int(1) => (Written::Done, None),
            Value::Int(2) => (Written::Missing, None),
            Value::Int(3) => return Err(self.unreadable(&account, "a script can't read it")),
            Value::BulkString(full_at) => (Written::Done, Some(account::moment(&full_at).map_err(corrupt)?)),
            other => return Err(failed(format!("a script answered {other:?}"))),
        };
        if written == Written::Done {
            let mut memory = self.memory();
            let number = memory.next();
            if let Some(evidence) = Evidence::of(key, slot, number, &change, full_at) {
                memory.keep(&node.address, evidence);
            }
            // Its script has looked whether this is still who the decision was made from.
            if change.seen().is_some_and(|seen| !memory.has_reported(seen.lineage)) {
                memory.confirm(&node.address, number);
            }
        }
        Ok(written)
    }

    /// Runs a script that writes, and waits until its write counts.
    async fn run(
        &self,
        script: &Script,
        slot: u16,
        keys: &[&[u8]],
        arguments: &[Vec<u8>],
        deadline: Deadline,
    ) -> Result<(std::sync::Arc<Node>, Value), StoreError> {
        let wait = self.wait();
        let by_name = all([&script.by_name(keys, arguments)].into_iter().chain(&wait));
        let mut answer = self.topology.write(slot, &by_name, deadline).await?;
        if matches!(answer.values.first(), Some(Value::ServerError(error)) if error.kind() == Some(ServerErrorKind::NoScript))
        {
            // It surely hasn't run: the server was started since, or is another one.
            let in_full = all([&script.in_full(keys, arguments)].into_iter().chain(&wait));
            answer = self.topology.write(slot, &in_full, deadline).await?;
        }
        let mut values = answer.values.into_iter();
        let value = match values.next().unwrap_or_default() {
            Value::ServerError(error) if unreadable::is_wrong_type(&error) => {
                return Err(self.of_wrong_type(keys));
            }
            value => value.extract_error().map_err(failed)?,
        };
        if let Some(confirmed) = values.next() {
            self.check_confirmed(confirmed)?;
        }
        Ok((answer.node, value))
    }

    /// What waits for replicas.
    fn wait(&self) -> Option<Cmd> {
        match self.confirmation {
            Confirmation::Primary => None,
            Confirmation::Replicas(count) | Confirmation::ReplicaLogs(count) => self.wait_for(count),
        }
    }

    fn wait_for(&self, count: u16) -> Option<Cmd> {
        // Long before the deadline: a connection whose deadline passes is thrown away.
        let patience = u64::try_from(self.deadline.as_millis()).unwrap_or(u64::MAX) / 2;
        let mut wait = Cmd::new();
        match self.confirmation {
            Confirmation::Primary => return None,
            Confirmation::Replicas(_) => wait.arg("WAIT").arg(count),
            Confirmation::ReplicaLogs(_) => wait.arg("WAITAOF").arg(1).arg(count),
        };
        // Zero would be without end.
        wait.arg(patience.max(1));
        Some(wait)
    }

    fn check_confirmed(&self, value: Value) -> Result<(), StoreError> {
        let value = value.extract_error().map_err(failed)?;
        let (local, replicas): (u64, u64) = match self.confirmation {
            Confirmation::ReplicaLogs(_) => read(value)?,
            _ => (1, read(value)?),
        };
        let (Confirmation::Replicas(wanted) | Confirmation::ReplicaLogs(wanted)) = self.confirmation else {
            return Ok(());
        };
        if local >= 1 && replicas >= wanted.into() {
            return Ok(());
        }
        Err(failed(format!(
            "{replicas} of {wanted} replicas have confirmed the write in time: check their connection and load"
        )))
    }

    fn row(&self, account: Value, key: &TokenKey) -> Result<Row, StoreError> {
        let at = self.key(key);
        let bytes: Option<Vec<u8>> = self.held(&at, account)?;
        let Some(bytes) = bytes else { return Ok(Row::default()) };
        Ok(Account::read(&bytes).map_err(|what| self.unreadable(&at, what))?.row(key))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn all<'a>(commands: impl IntoIterator<Item = &'a Cmd>) -> Pipeline {
    let mut all = pipe();
    for command in commands {
        all.add_command(command.clone());
    }
    all
}

fn exactly<const N: usize>(values: Vec<Value>) -> Result<[Value; N], StoreError> {
    values.try_into().map_err(|_| failed("another number of answers than of questions"))
}

/// A value as what it should be.
fn read<T: FromRedisValue>(value: Value) -> Result<T, StoreError> {
    T::from_redis_value(value.extract_error().map_err(failed)?).map_err(failed)
}

fn failed(source: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
    StoreError::Failed { store: NAME, source: source.into() }
}

fn corrupt(what: impl Into<String>) -> StoreError {
    StoreError::Corrupt { store: NAME, what: what.into() }
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let nodes: Vec<_> = self.topology.primaries().iter().map(|node| node.address.clone()).collect();
        f.debug_struct("RedisStore")
            .field("nodes", &nodes)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl StateStore for RedisStore {
    fn load<'a>(&'a self, key: &'a TokenKey) -> StoreFuture<'a, Loaded> {
        Box::pin(self.load_now(key))
    }

    /// One script, and what waits for replicas, in one round trip; in a Cluster, acceptances and renewals take another one.
    fn write<'a>(&'a self, key: &'a TokenKey, change: Change) -> StoreFuture<'a, Written> {
        Box::pin(self.write_now(key, change))
    }

    fn set_not_before(&self, moment: Timestamp) -> StoreFuture<'_, ()> {
        Box::pin(self.settle(moment))
    }

    /// False where a loss was accepted that a restart brings, or that nobody can name.
    fn survives_restart(&self) -> bool {
        self.remembers
    }
}
