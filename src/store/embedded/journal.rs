//! What was written last, until there is enough of it to be put where it belongs.
//!
//! Those who log in together are no neighbours: each row of a transaction would have a page of its own rewritten, which in a large store takes
//! several times as long as the wait for the disk. So a transaction adds its changes to a journal, in a page or two. What is in the
//! journal is in memory too, and counts before what is in the table.
//!
//! Once the journal is long, it is settled: put into the table in the order of the names, a page once for all its rows. Each
//! transaction does a little of that beside its own, so nobody waits for the whole. Until all is settled the journal keeps it; what
//! is written meanwhile is for the next time.

use std::ops::RangeInclusive;
use std::sync::Arc;

use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use super::pending::{Entries, Pending};
use super::table::ROWS;

/// Names of entries and what they say now; `None` for one that is removed.
type Changes = Vec<(&'static [u8], Option<&'static [u8]>)>;

/// The changes of each transaction that isn't settled, by its number.
pub(super) const JOURNAL: TableDefinition<'_, u64, Changes> = TableDefinition::new("journal");

/// While the journal is settled: what the transactions before this one have written is, as far as this name.
pub(super) const SETTLING: TableDefinition<'_, (), (u64, &[u8])> = TableDefinition::new("settling");

/// So many changes make a journal long: one for every eight rows, so that some five share a page, and no fewer and no more than
/// these. They are in memory too, at some 200 bytes each.
const LONG: RangeInclusive<u64> = if cfg!(test) { 50..=200 } else { 8_192..=65_536 };
const ROWS_FOR_EACH: u64 = 8;

/// How far the journal has got.
#[derive(Default)]
pub(super) struct Journal {
    /// The number of the next transaction.
    next: u64,
    /// How many changes aren't being settled.
    changes: u64,
    settling: Option<Settling>,
}

/// How far settling has got.
struct Settling {
    /// What the transactions before this one have written is settled.
    until: u64,
    /// The last name that is. An empty one comes before all.
    last: Vec<u8>,
}

impl Journal {
    /// What a journal says.
    pub(super) fn read(transaction: &ReadTransaction) -> Result<(Self, Pending), redb::Error> {
        let settling = transaction.open_table(SETTLING)?.get(())?.map(|kept| {
            let (until, last) = kept.value();
            Settling { until, last: last.to_vec() }
        });
        let mut journal = Self { settling, ..Self::default() };
        let (mut newer, mut older) = (Entries::new(), Entries::new());
        for entry in transaction.open_table(JOURNAL)?.iter()? {
            let (number, changes) = entry?;
            let (number, changes) = (number.value(), changes.value());
            if number > u64::MAX / 2 {
                return Err(redb::Error::Corrupted("a journal without end".into()));
            }
            journal.next = number + 1;
            let is_older = journal.settling.as_ref().is_some_and(|settling| number < settling.until);
            if !is_older {
                journal.changes += count(changes.len());
            }
            let entries = if is_older { &mut older } else { &mut newer };
            entries
                .extend(changes.into_iter().map(|(name, bytes)| (name.to_vec(), bytes.map(<[u8]>::to_vec))));
        }
        Ok((journal, Pending::new(newer, older)))
    }

    /// Adds these changes, if there are any.
    pub(super) fn add(
        &mut self,
        transaction: &WriteTransaction,
        changed: &Entries,
    ) -> Result<(), redb::Error> {
        if changed.is_empty() {
            return Ok(());
        }
        let entry: Vec<_> = changed.iter().map(|(name, bytes)| (name.as_slice(), bytes.as_deref())).collect();
        transaction.open_table(JOURNAL)?.insert(self.next, entry)?;
        self.next += 1;
        self.changes += count(changed.len());
        Ok(())
    }

    /// While it is being settled, puts so many more of what is pending where they belong, and says whether that was all.
    pub(super) fn settle(
        &mut self,
        transaction: &WriteTransaction,
        pending: &Pending,
        most: usize,
    ) -> Result<bool, redb::Error> {
        let Some(Settling { until, last }) = &mut self.settling else { return Ok(false) };
        let after = last.clone();
        let mut entries = pending.unsettled(&after);
        let mut rows = transaction.open_table(ROWS)?;
        for (name, bytes) in entries.by_ref().take(most) {
            match bytes {
                Some(bytes) => rows.insert(name.as_slice(), bytes.as_slice())?,
                None => rows.remove(name.as_slice())?,
            };
            last.clone_from(name);
        }
        let mut settling = transaction.open_table(SETTLING)?;
        if entries.next().is_some() {
            // Who is killed again and again comes to an end all the same.
            settling.insert((), (*until, last.as_slice()))?;
            return Ok(false);
        }
        settling.remove(())?;
        transaction.open_table(JOURNAL)?.retain_in(..*until, |_, _| false)?;
        Ok(true)
    }

    /// Begins settling, if it isn't under way.
    pub(super) fn begin_settling(&mut self, pending: &mut Pending) {
        if self.settling.is_none() {
            self.settling = Some(Settling { until: self.next, last: Vec::new() });
            self.changes = 0;
            pending.begin_settling();
        }
    }

    /// All is settled, and that is durable. Gives what isn't pending any more.
    pub(super) fn end_settling(&mut self, pending: &mut Pending) -> Arc<Entries> {
        self.settling = None;
        pending.end_settling()
    }

    /// Whether it is worth settling beside a table of so many rows.
    pub(super) fn is_long(&self, rows: u64) -> bool {
        self.changes >= (rows / ROWS_FOR_EACH).clamp(*LONG.start(), *LONG.end())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.changes == 0 && self.settling.is_none()
    }
}

fn count(changes: usize) -> u64 {
    u64::try_from(changes).unwrap_or(u64::MAX)
}
