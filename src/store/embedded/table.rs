//! Rows in the tables of a database.
//!
//! An account is one entry: its budget, and the token of the same name where there is one. So most tokens are one entry. A
//! token that shares a budget is an entry of its own right behind its account's. Ids have no control characters but the one that
//! begins the stand-in's, so byte 0 parts the two names.

use std::ops::ControlFlow;
use std::sync::Arc;

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition};

use crate::store::{Change, Record, Row, Seen, StoreError, Written, row};
use crate::time::Timestamp;
use crate::token::{Budget, TokenId, TokenKey};

use super::STORE;

pub(super) const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
/// `schema`, and `not_before` in nanoseconds since the Unix epoch.
pub(super) const META: TableDefinition<'_, &str, i64> = TableDefinition::new("meta");
pub(super) const SCHEMA: &str = "schema";
pub(super) const NOT_BEFORE: &str = "not_before";

/// What parts the names of an account and of a token on its budget.
const PART: u8 = 0;

/// How many entries are looked at before others on this thread get their turn.
const PAGE: usize = 512;

/// Why an entry can't be read or written.
#[derive(Debug)]
pub(super) enum Fault {
    /// What is there isn't understood. Everything else is as good as it was.
    Entry(String),
    /// The database is of no use any more: what it has done of this isn't known.
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

pub(super) fn read(
    entries: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &TokenKey,
) -> Result<Row, Fault> {
    let account = entry(entries, account_entry(key))?;
    if key.owns_budget() {
        return Ok(account);
    }
    let token = entry(entries, &token_entry(key))?.token;
    if token.is_some() && account.budget.is_none() {
        return Err(Fault::Entry("a token without its budget".into()));
    }
    Ok(Row { token, budget: account.budget })
}

fn entry(entries: &impl ReadableTable<&'static [u8], &'static [u8]>, name: &[u8]) -> Result<Row, Fault> {
    match entries.get(name)? {
        Some(bytes) => parse(name, bytes.value()),
        None => Ok(Row::default()),
    }
}

fn parse(name: &[u8], bytes: &[u8]) -> Result<Row, Fault> {
    let row = row::decode(bytes).map_err(|error| Fault::Entry(error.to_string()))?;
    // An account has a budget, and a token on it has none of its own.
    if row.budget.is_some() == name.contains(&PART) || (row.token.is_none() && row.budget.is_none()) {
        return Err(Fault::Entry("an entry of another kind than its name says".into()));
    }
    Ok(row)
}

/// Changes a row; says what came of it, and whether anything was written.
///
/// An entry that isn't understood is met before anything is written.
pub(super) fn write(
    entries: &mut Table<'_, &'static [u8], &'static [u8]>,
    key: &TokenKey,
    change: Change,
    now: Seen,
) -> Result<(Written, bool), Fault> {
    if key.owns_budget() {
        return write_own(entries, account_entry(key), change, now);
    }
    let before = read(entries, key)?;
    let mut after = before;
    let written = change.apply(&mut after, now);
    if after == before {
        return Ok((written, false));
    }
    let account = Row { budget: after.budget, ..entry(entries, account_entry(key))? };
    if after.token != before.token {
        put(entries, &token_entry(key), Row { budget: None, ..after })?;
    }
    if after.budget != before.budget {
        put(entries, account_entry(key), account)?;
    }
    Ok((written, true))
}

/// A token with a budget of its own. As a rule its entry is there, and is looked for only once.
fn write_own(
    entries: &mut Table<'_, &'static [u8], &'static [u8]>,
    name: &[u8],
    change: Change,
    now: Seen,
) -> Result<(Written, bool), Fault> {
    let mut kept = entries.get_mut(name)?;
    let before = kept.as_ref().map_or(Ok(Row::default()), |bytes| parse(name, bytes.value()))?;
    let mut after = before;
    let written = change.apply(&mut after, now);
    if after == before {
        return Ok((written, false));
    }
    match &mut kept {
        Some(bytes) if after != Row::default() => bytes.insert(row::encode(&after).as_slice())?,
        _ => {
            drop(kept);
            put(entries, name, after)?;
        }
    }
    Ok((written, true))
}

fn put(entries: &mut Table<'_, &'static [u8], &'static [u8]>, name: &[u8], row: Row) -> Result<(), Fault> {
    if row == Row::default() {
        entries.remove(name)?;
    } else {
        entries.insert(name, row::encode(&row).as_slice())?;
    }
    Ok(())
}

pub(super) fn not_before(
    meta: &impl ReadableTable<&'static str, i64>,
) -> Result<Option<Timestamp>, redb::StorageError> {
    let kept = meta.get(NOT_BEFORE)?;
    Ok(kept.map(|nanos| Timestamp::from_unix_nanos(nanos.value())))
}

/// What one transaction has left, for all who read until the next one has: to begin a transaction takes as long as to read a row.
#[derive(Clone)]
pub(super) struct Snapshot {
    pub(super) rows: Arc<ReadOnlyTable<&'static [u8], &'static [u8]>>,
    /// What holds for all rows.
    pub(super) not_before: Option<Timestamp>,
}

impl Snapshot {
    pub(super) fn of(transaction: &ReadTransaction) -> Result<Self, redb::Error> {
        let not_before = not_before(&transaction.open_table(META)?)?;
        Ok(Self { rows: Arc::new(transaction.open_table(ROWS)?), not_before })
    }
}

/// Where a scan has got to.
#[derive(Default)]
pub(super) struct Scan {
    last: Option<Vec<u8>>,
    /// The account of the last entry, and its budget.
    account: Option<(TokenId, Budget)>,
}

impl Scan {
    /// Shows the tokens of the next entries. `Break` where there are no more, or `visit` wants none.
    pub(super) fn page(
        &mut self,
        entries: &impl ReadableTable<&'static [u8], &'static [u8]>,
        visit: &mut (dyn FnMut(Record) -> ControlFlow<()> + Send),
    ) -> Result<ControlFlow<()>, Fault> {
        use std::ops::Bound::{Excluded, Unbounded};
        let last = self.last.take();
        let from = last.as_deref().map_or(Unbounded, Excluded);
        let mut page = entries.range::<&[u8]>((from, Unbounded))?;
        for _ in 0..PAGE {
            let Some(next) = page.next() else { return Ok(ControlFlow::Break(())) };
            let (name, bytes) = next?;
            let row = parse(name.value(), bytes.value())?;
            if let Some(record) = self.record(name.value(), row)?
                && visit(record).is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
            self.last = Some(name.value().to_vec());
        }
        Ok(ControlFlow::Continue(()))
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
