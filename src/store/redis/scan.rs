//! All that the store holds.

use std::collections::HashSet;
use std::ops::ControlFlow;

use ::redis::cmd;

use crate::store::{ManageStore, Record, StoreError, StoreFuture};
use crate::token::{TokenId, TokenKey};

use super::account::Account;
use super::deadline::Deadline;
use super::node::Node;
use super::topology::demoted;
use super::unreadable::quoted;
use super::{RedisStore, corrupt, read};

/// About how many keys a node looks at in one step: some 100 µs, in which it does nothing else.
const PAGE: u32 = 500;

impl RedisStore {
    /// The names of some accounts at a node, after `cursor`; none may be there. The cursor is 0 at the end, and means nothing to another
    /// server than the one that is told with it. Nothing where the node is a replica.
    async fn page(
        &self,
        node: &Node,
        cursor: u64,
        deadline: Deadline,
    ) -> Result<Option<(u64, Vec<Vec<u8>>, String)>, StoreError> {
        let mut scan = cmd("SCAN");
        // No character of a prefix means anything in a pattern.
        scan.arg(cursor).arg("MATCH").arg(format!("{}*", self.prefix)).arg("COUNT").arg(PAGE);
        let Some((values, whose)) = self.topology.read_at(node, [&scan], deadline).await? else {
            return Ok(None);
        };
        let (cursor, mut keys): (String, Vec<Vec<u8>>) = read(values.into_iter().next().unwrap_or_default())?;
        keys.retain(|key| *key != self.marker);
        Ok(Some((cursor.parse().map_err(|_| corrupt("a cursor that is no number"))?, keys, whose)))
    }

    /// Whether there is any account at all.
    pub(super) async fn has_accounts(&self, deadline: Deadline) -> Result<bool, StoreError> {
        for node in self.topology.primaries() {
            let mut cursor = 0;
            loop {
                let page = self.page(&node, cursor, deadline).await?;
                let (next, keys, _) = page.ok_or_else(|| demoted(&node))?;
                if !keys.is_empty() {
                    return Ok(true);
                }
                if next == 0 {
                    break;
                }
                cursor = next;
            }
        }
        Ok(false)
    }

    async fn scan_now(
        &self,
        visit: &mut (dyn FnMut(Record) -> ControlFlow<()> + Send),
    ) -> Result<(), StoreError> {
        // A node may show a key twice while its table grows or shrinks, and two may while it moves.
        let mut shown: HashSet<Vec<u8>> = HashSet::new();
        let mut again = true;
        'all: loop {
            self.topology.refresh(Deadline::after(self.deadline)).await?;
            for node in self.topology.primaries() {
                let (mut cursor, mut whose) = (0, None);
                loop {
                    let deadline = Deadline::after(self.deadline);
                    let page = self.accounts(&node, cursor, &mut whose, &shown, deadline).await?;
                    let Some((next, accounts)) = page else {
                        // Its keys are another one's by now: once more, without what was shown.
                        if std::mem::take(&mut again) {
                            continue 'all;
                        }
                        return Err(demoted(&node));
                    };
                    for (key, account) in accounts {
                        for record in self.records(&key, &account)? {
                            if visit(record).is_break() {
                                return Ok(());
                            }
                        }
                        shown.insert(key);
                    }
                    if next == 0 {
                        break;
                    }
                    cursor = next;
                }
            }
            return Ok(());
        }
    }

    /// Some accounts at a node that weren't `shown` yet, and the next cursor. Nothing where the node isn't the primary any more that `whose` says.
    async fn accounts(
        &self,
        node: &Node,
        cursor: u64,
        whose: &mut Option<String>,
        shown: &HashSet<Vec<u8>>,
        deadline: Deadline,
    ) -> Result<Option<(u64, Vec<(Vec<u8>, Vec<u8>)>)>, StoreError> {
        let Some((next, mut keys, identity)) = self.page(node, cursor, deadline).await? else {
            return Ok(None);
        };
        if *whose.get_or_insert_with(|| identity.clone()) != identity {
            return Ok(None);
        }
        keys.retain(|key| !shown.contains(key));
        keys.sort_unstable();
        keys.dedup();
        let mut accounts = Vec::with_capacity(keys.len());
        if keys.is_empty() {
            return Ok(Some((next, accounts)));
        }
        let get = |key: &Vec<u8>| {
            let mut get = cmd("GET");
            get.arg(key);
            get
        };
        let gets: Vec<_> = keys.iter().map(get).collect();
        let read = self.topology.read_at(node, &gets, deadline).await?;
        let Some((values, _)) = read.filter(|(_, now)| *now == identity) else { return Ok(None) };
        for (key, mut value) in keys.into_iter().zip(values) {
            if matches!(value, ::redis::Value::ServerError(_)) {
                // It has moved to another node meanwhile, perhaps.
                let reading = self.topology.read(self.slot(&key), [&get(&key)], deadline).await?;
                value = reading.answer.values.into_iter().next().unwrap_or_default();
            }
            // Removed meanwhile, perhaps.
            if let Some(account) = self.held::<Option<Vec<u8>>>(&key, value)? {
                accounts.push((key, account));
            }
        }
        Ok(Some((next, accounts)))
    }

    fn records(&self, key: &[u8], account: &[u8]) -> Result<Vec<Record>, StoreError> {
        let unnamed = || {
            let key = quoted(key);
            corrupt(format!(
                "the key {key} names no account: DEL it, or give the store a prefix that nobody else uses"
            ))
        };
        let name = key.strip_prefix(self.prefix.as_bytes()).and_then(|name| std::str::from_utf8(name).ok());
        let name = name.ok_or_else(unnamed)?;
        let mut records = Vec::new();
        // What stands in for unknown tokens.
        if name.starts_with('\u{1}') {
            return Ok(records);
        }
        let budget_id = TokenId::new(name).map_err(|_| unnamed())?;
        let Account { budget, tokens } = Account::read(account).map_err(|what| self.unreadable(key, what))?;
        for (name, state) in tokens {
            let token = if name.is_empty() { Ok(budget_id.clone()) } else { TokenId::new(name) };
            let key = TokenKey::new(token.map_err(|_| unnamed())?, budget_id.clone());
            records.push(Record { key, state, budget });
        }
        Ok(records)
    }
}

impl ManageStore for RedisStore {
    /// Keeps the names of all accounts in memory while it goes on.
    fn scan<'a>(
        &'a self,
        visit: &'a mut (dyn FnMut(Record) -> ControlFlow<()> + Send),
    ) -> StoreFuture<'a, ()> {
        Box::pin(self.scan_now(visit))
    }
}
