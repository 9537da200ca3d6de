//! Whether a server is the one that it was.
//!
//! A primary draws its replication id anew when it starts and when it takes over, and whoever follows it learns it: so
//! a server with a known one has every write that was answered under it. It is read after the row, in the same round trip. If it is
//! known then, the row came from that primary.

use std::collections::HashMap;
use std::sync::Arc;

use ::redis::{Value, cmd};

use crate::otp::TimeStep;
use crate::store::{Change, Row, StoreError};
use crate::time::Timestamp;
use crate::token::{Bucket, TokenKey};

use super::deadline::Deadline;
use super::topology::Reading;
use super::{RedisStore, exactly, failed};

/// The replication id in an answer to `INFO replication`.
///
/// Nothing where the server is a replica: what it says is old.
pub(super) fn of_primary(value: Option<Value>, address: &str) -> Result<Option<String>, StoreError> {
    let text: String = super::read(value.unwrap_or_default())?;
    let field =
        |name: &str| text.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'));
    match (field("role"), field("master_replid")) {
        (Some("master"), Some(id)) if !id.is_empty() => Ok(Some(id.to_owned())),
        (Some("master"), _) => Err(failed(format!("{address} doesn't show its master_replid"))),
        (Some(_), _) => Ok(None),
        (None, _) => Err(failed(format!("{address} doesn't show its role"))),
    }
}

/// A replication id as changes carry it.
pub(super) fn lineage(identity: &str) -> Result<[u8; 20], StoreError> {
    let mut bytes = [0; 20];
    match base16ct::lower::decode(identity, &mut bytes) {
        Ok(decoded) if decoded.len() == 20 => Ok(bytes),
        _ => Err(failed(format!("a master_replid of {identity:?}, expected 40 hexadecimal digits"))),
    }
}

/// Something that this process knows to be in a row since a write of its own.
#[derive(Clone)]
pub(super) struct Evidence {
    pub(super) key: TokenKey,
    pub(super) slot: u16,
    /// Of two, the larger was written later.
    pub(super) number: u64,
    mark: Mark,
}

#[derive(Clone, Copy)]
enum Mark {
    Epoch(u64),
    Watermark { epoch: u64, step: TimeStep },
    FullAt { bucket: Bucket, at: Timestamp },
}

impl Evidence {
    /// What `change` leaves behind; `full_at` is what a charged bucket came to.
    pub(super) fn of(
        key: &TokenKey,
        slot: u16,
        number: u64,
        change: &Change,
        full_at: Option<Timestamp>,
    ) -> Option<Self> {
        let mark = match change {
            Change::Enrol { state, .. } => Mark::Epoch(state.epoch),
            Change::Renew(renewal) => Mark::Epoch(renewal.state.epoch),
            Change::Accept(acceptance) => Mark::Watermark { epoch: acceptance.epoch, step: acceptance.step },
            Change::Fail(failure) => Mark::FullAt { bucket: failure.charge.bucket, at: full_at? },
            Change::Reset(_) | Change::Remove => return None,
        };
        Some(Self { key: key.clone(), slot, number, mark })
    }

    /// True where `row` is as new as that write, or newer.
    pub(super) fn is_in(&self, row: &Row) -> bool {
        match self.mark {
            Mark::Epoch(epoch) => row.token.is_some_and(|state| state.epoch == epoch),
            Mark::Watermark { epoch, step } => {
                row.token.is_some_and(|state| state.epoch == epoch && state.watermark >= Some(step))
            }
            Mark::FullAt { bucket, at } => row.budget.is_some_and(|budget| budget.full_at(bucket) >= at),
        }
    }
}

/// What this process has learned about the servers.
#[derive(Default)]
pub(super) struct Memory {
    /// Unknown identities that were met and reported: known once `set_not_before` was called. True where another node sent us
    /// on to it for a slot that it doesn't have yet.
    pub(super) reported: HashMap<String, bool>,
    /// The latest that was seen, or set with an answer.
    pub(super) not_before: Option<Timestamp>,
    written: u64,
    /// By the address of a server.
    writes: HashMap<Arc<str>, Writes>,
}

/// What was written at a server.
#[derive(Default)]
struct Writes {
    /// The newest one after which the server was seen to be known: it can't have gone to one that has taken its place since.
    confirmed: Option<Evidence>,
    /// Waits to be confirmed. It stays until then: where many write at once, the newest always waits.
    first: Option<Evidence>,
    /// The newest one after that.
    last: Option<Evidence>,
}

impl Memory {
    /// A write to a row may put back what it should have been lost with: it proves nothing of the others any more.
    pub(super) fn about_to_write(&mut self, key: &TokenKey) {
        for writes in self.writes.values_mut() {
            writes.confirmed.take_if(|evidence| evidence.key == *key);
        }
    }

    /// A number for the next write.
    pub(super) fn next(&mut self) -> u64 {
        self.written += 1;
        self.written
    }

    /// How many writes there were, and the latest `not_before`.
    pub(super) const fn so_far(&self) -> (u64, Option<Timestamp>) {
        (self.written, self.not_before)
    }

    /// Whether whoever is called that was unknown when it was met last.
    pub(super) fn has_reported(&self, lineage: [u8; 20]) -> bool {
        self.reported.keys().any(|identity| self::lineage(identity).is_ok_and(|met| met == lineage))
    }

    pub(super) fn remember(&mut self, not_before: Option<Timestamp>) {
        self.not_before = self.not_before.max(not_before);
    }

    pub(super) fn keep(&mut self, address: &Arc<str>, evidence: Evidence) {
        let writes = self.writes.entry(address.clone()).or_default();
        let place = if writes.first.is_none() { &mut writes.first } else { &mut writes.last };
        *place = Some(evidence);
    }

    /// The server was known after so many writes: at a load, or where a script that has written looked for that itself.
    pub(super) fn confirm(&mut self, address: &str, count: u64) {
        let Some(writes) = self.writes.get_mut(address) else { return };
        let is_before = |evidence: &mut Evidence| evidence.number <= count;
        if let Some(first) = writes.first.take_if(is_before) {
            writes.confirmed = Some(first);
            writes.first = writes.last.take();
            if let Some(last) = writes.first.take_if(is_before) {
                writes.confirmed = Some(last);
            }
        }
    }

    /// What is known from before tells nothing of rows that were replaced.
    pub(super) fn forget_writes(&mut self) {
        self.writes.clear();
    }

    /// What must be in the slots for which `is_there` holds, if nothing was lost: the newest write of those that are confirmed, and
    /// those that aren't. Nothing where none is confirmed: then nothing can be proved.
    pub(super) fn should_be_there(&self, is_there: impl Fn(u16) -> bool) -> Vec<Evidence> {
        let all = || self.writes.values();
        let confirmed =
            all().filter_map(|writes| writes.confirmed.as_ref()).filter(|kept| is_there(kept.slot));
        let Some(newest) = confirmed.max_by_key(|evidence| evidence.number) else { return Vec::new() };
        let waiting = all().flat_map(|writes| [&writes.first, &writes.last]).flatten();
        let waiting = waiting.filter(|evidence| is_there(evidence.slot));
        std::iter::once(newest).chain(waiting).cloned().collect()
    }
}

impl RedisStore {
    /// Whether the newest writes of this process that should be at a node are there, which is called `identity` at present.
    pub(super) async fn has_last_writes(
        &self,
        address: &str,
        identity: &str,
        deadline: Deadline,
    ) -> Result<bool, StoreError> {
        let is_there = |slot| self.topology.node_of(slot).is_some_and(|node| *node.address == *address);
        let evidence = self.memory().should_be_there(is_there);
        for write in &evidence {
            let mut get = cmd("GET");
            get.arg(self.key(&write.key));
            let Reading { answer, identity: whose } =
                self.topology.read(write.slot, [&get], deadline).await?;
            if *answer.node.address != *address {
                return Ok(false);
            }
            // What another one has says nothing of the rows of this one.
            if whose != *identity {
                return Err(failed("another primary took over while it was looked for what may be lost"));
            }
            let [account] = exactly(answer.values)?;
            if !write.is_in(&self.row(account, &write.key)?) {
                return Ok(false);
            }
        }
        Ok(!evidence.is_empty())
    }
}
