//! Rows in the tables of a database.
//!
//! An account is one entry: its budget, and the token of the same name where there is one. So most tokens are one entry. A
//! token that shares a budget is an entry of its own right behind its account's. Ids have no control characters but the one that
//! begins the stand-in's, so byte 0 parts the two names.

use std::ops::Bound::{Excluded, Unbounded};
use std::ops::ControlFlow;
use std::sync::Arc;

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition};

use crate::store::{Change, Record, Row, Seen, StoreError, Written, row};
use crate::time::Timestamp;
use crate::token::{Budget, TokenId, TokenKey};

use super::STORE;
use super::pending::{Entries, Pending};

pub(super) const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
/// `schema`, and `not_before` in nanoseconds since the Unix epoch.
pub(super) const META: TableDefinition<'_, &str, i64> = TableDefinition::new("meta");
pub(super) const SCHEMA: &str = "schema";
pub(super) const NOT_BEFORE: &str = "not_before";

/// What parts the names of an account and of a token on its budget.
const PART: u8 = 0;

/// How many entries are looked at before others on this thread get their turn.
const PAGE: usize = if cfg!(test) { 3 } else { 512 };

/// Why an entry can't be read.
#[derive(Debug)]
pub(super) enum Fault {
    /// What is there isn't understood. Everything else is as good as it was.
    Entry(String),
    /// The database can't be read there.
    Database(redb::Error),
}

impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Database(error.into())
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Entry(what) | Fault::Database(redb::Error::Corrupted(what)) => {
                Self::Corrupt { store: STORE, what }
            }
            Fault::Database(error) => Self::Failed { store: STORE, source: error.into() },
        }
    }
}

fn account_entry(key: &TokenKey) -> &[u8] {
    key.budget().as_str().as_bytes()
}

fn token_entry(key: &TokenKey) -> Vec<u8> {
    [account_entry(key), &[PART], key.token().as_str().as_bytes()].concat()
}

fn parse(name: &[u8], bytes: &[u8]) -> Result<Row, Fault> {
    let row = row::decode(bytes).map_err(|error| Fault::Entry(error.to_string()))?;
    // An account has a budget, and a token on it has none of its own.
    if row.budget.is_some() == name.contains(&PART) || (row.token.is_none() && row.budget.is_none()) {
        return Err(Fault::Entry("an entry of another kind than its name says".into()));
    }
    Ok(row)
}

/// Changes a row of what is kept and `changed` since; says what came of it.
///
/// An entry that isn't understood is met before anything is changed.
pub(super) fn write(
    kept: &Snapshot,
    changed: &mut Entries,
    key: &TokenKey,
    change: Change,
    now: Seen,
) -> Result<Written, Fault> {
    let before = kept.row(changed, key)?;
    let mut after = before;
    let written = change.apply(&mut after, now);
    if key.owns_budget() {
        if after != before {
            put(changed, account_entry(key), after);
        }
        return Ok(written);
    }
    if after.budget != before.budget {
        let account = kept.entry(changed, account_entry(key))?;
        put(changed, account_entry(key), Row { budget: after.budget, ..account });
    }
    if after.token != before.token {
        put(changed, &token_entry(key), Row { budget: None, ..after });
    }
    Ok(written)
}

fn put(changed: &mut Entries, name: &[u8], row: Row) {
    changed.insert(name.to_vec(), (row != Row::default()).then(|| row::encode(&row)));
}

pub(super) fn not_before(
    meta: &impl ReadableTable<&'static str, i64>,
) -> Result<Option<Timestamp>, redb::StorageError> {
    let kept = meta.get(NOT_BEFORE)?;
    Ok(kept.map(|nanos| Timestamp::from_unix_nanos(nanos.value())))
}

/// What the transactions so far have left, for all who read until the next one has.
#[derive(Clone)]
pub(super) struct Snapshot {
    /// Kept open: to begin a transaction takes as long as to read a row.
    rows: Arc<ReadOnlyTable<&'static [u8], &'static [u8]>>,
    /// What counts before the rows.
    pub(super) pending: Pending,
    /// What holds for all rows.
    pub(super) not_before: Option<Timestamp>,
}

impl Snapshot {
    pub(super) fn of(transaction: &ReadTransaction, pending: Pending) -> Result<Self, redb::Error> {
        let not_before = not_before(&transaction.open_table(META)?)?;
        Ok(Self { rows: Arc::new(transaction.open_table(ROWS)?), pending, not_before })
    }

    /// Without what is pending of other tokens.
    pub(super) fn of_one(&self, key: &TokenKey) -> Self {
        let pending = if key.owns_budget() {
            self.pending.of(&[account_entry(key)])
        } else {
            self.pending.of(&[account_entry(key), &token_entry(key)])
        };
        Self { rows: Arc::clone(&self.rows), pending, not_before: self.not_before }
    }

    /// How many entries the table has.
    pub(super) fn row_count(&self) -> Result<u64, redb::StorageError> {
        self.rows.len()
    }

    /// The row, where this has `changed` since.
    pub(super) fn row(&self, changed: &Entries, key: &TokenKey) -> Result<Row, Fault> {
        let account = self.entry(changed, account_entry(key))?;
        if key.owns_budget() {
            return Ok(account);
        }
        let token = self.entry(changed, &token_entry(key))?.token;
        if token.is_some() && account.budget.is_none() {
            return Err(Fault::Entry("a token without its budget".into()));
        }
        Ok(Row { token, budget: account.budget })
    }

    fn entry(&self, changed: &Entries, name: &[u8]) -> Result<Row, Fault> {
        let parsed = |bytes: &[u8]| parse(name, bytes);
        if let Some(newer) = changed.get(name).or_else(|| self.pending.get(name)) {
            return newer.as_deref().map_or(Ok(Row::default()), parsed);
        }
        self.rows.get(name)?.map_or(Ok(Row::default()), |bytes| parsed(bytes.value()))
    }

    /// The next entries after this name, in their order, and whether there may be more after them.
    fn page(&self, last: &[u8]) -> Result<(Entries, bool), Fault> {
        let mut page = Entries::new();
        for entry in self.rows.range::<&[u8]>((Excluded(last), Unbounded))?.take(PAGE) {
            let (name, bytes) = entry?;
            page.insert(name.value().to_vec(), Some(bytes.value().to_vec()));
        }
        self.pending.add_to_page(&mut page, last, PAGE);
        let more = page.len() >= PAGE;
        // Of each there are as many as this, so before this one none is missing.
        if let Some(after) = page.keys().nth(PAGE).cloned() {
            page.split_off(&after);
        }
        Ok((page, more))
    }
}

/// Where a scan has got to.
#[derive(Default)]
pub(super) struct Scan {
    last: Vec<u8>,
    /// The account of the last entry, and its budget.
    account: Option<(TokenId, Budget)>,
}

impl Scan {
    /// Shows the tokens of the next entries. `Break` where there are no more, or `visit` wants none.
    pub(super) fn page(
        &mut self,
        kept: &Snapshot,
        visit: &mut (dyn FnMut(Record) -> ControlFlow<()> + Send),
    ) -> Result<ControlFlow<()>, Fault> {
        let (page, more) = kept.page(&self.last)?;
        for (name, bytes) in &page {
            let Some(bytes) = bytes else { continue };
            let row = parse(name, bytes)?;
            if let Some(record) = self.record(name, row)?
                && visit(record).is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
        self.last = page.into_iter().next_back().map(|(name, _)| name).unwrap_or_default();
        Ok(if more { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    }

    fn record(&mut self, name: &[u8], row: Row) -> Result<Option<Record>, Fault> {
        let mut names = name.splitn(2, |byte| *byte == PART);
        let (account, token) = (names.next().unwrap_or_default(), names.next());
        if TokenId::is_stand_in_name(account) {
            return Ok(None);
        }
        if let (None, Some(budget)) = (token, row.budget) {
            self.account = Some((id(account)?, budget));
        }
        let Some((account_id, budget)) = &self.account else {
            return Err(Fault::Entry("a token without its budget".into()));
        };
        if account_id.as_str().as_bytes() != account {
            return Err(Fault::Entry("a token without its budget".into()));
        }
        let Some(state) = row.token else { return Ok(None) };
        let token = token.map_or_else(|| Ok(account_id.clone()), id)?;
        Ok(Some(Record { key: TokenKey::new(token, account_id.clone()), state, budget: *budget }))
    }
}

fn id(name: &[u8]) -> Result<TokenId, Fault> {
    let text = std::str::from_utf8(name).map_err(|error| Fault::Entry(error.to_string()))?;
    TokenId::new(text).map_err(|error| Fault::Entry(error.to_string()))
}
