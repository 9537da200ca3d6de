//! The tables of a history, and how a sweep is written.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `cells` | span of the tier, start of the cell, first host | a [row](super::row) |
//! | `order` | span of the tier, number of the sweep that began the cell | start of the cell |
//! | `tiers` | span of the tier | cells, bytes |
//! | `hosts` | name | number; the sweep from which on it was not asked any more |
//! | `meta` | `schema`, `sweeps`, `hosts`, `oldest` | a number |
//! | `alarms` | `standing` | what was said last |
//!
//! Spans and starts are seconds.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

use super::error::Fault;
use super::record::{Observed, Record};
use super::retention::{Retention, Tier};
use super::row::{Records, Rows};

pub(super) type CellKey = (u32, i64, u32);

pub(super) const CELLS: TableDefinition<'_, CellKey, &[u8]> = TableDefinition::new("cells");
const ORDER: TableDefinition<'_, (u32, u64), i64> = TableDefinition::new("order");
const TIERS: TableDefinition<'_, u32, (u64, u64)> = TableDefinition::new("tiers");
pub(super) const HOSTS: TableDefinition<'_, &str, (u32, u64)> = TableDefinition::new("hosts");
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(super) const ALARMS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("alarms");

pub(super) const SCHEMA: &str = "schema";
/// How entries are laid out. A release that changes it reads the older ones too.
pub(super) const KNOWN_SCHEMA: u64 = 1;
pub(super) const STANDING: &str = "standing";
/// How many sweeps were ever appended.
const SWEEPS: &str = "sweeps";
/// The number of the next new host.
const NEXT_HOST: &str = "hosts";
/// The sweep that began the oldest cell of all, when hosts were last looked through.
const OLDEST: &str = "oldest";

/// In place of the sweep from which on a host was not asked any more.
const ASKED: u64 = u64::MAX;

/// Makes the tables of an empty history.
pub(super) fn make(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(CELLS)?;
    transaction.open_table(ORDER)?;
    transaction.open_table(TIERS)?;
    transaction.open_table(HOSTS)?;
    transaction.open_table(ALARMS)?;
    transaction.open_table(META)?.insert(SCHEMA, KNOWN_SCHEMA)?;
    Ok(())
}

/// All rows of a cell.
pub(super) const fn cell(span: u32, start: i64) -> RangeInclusive<CellKey> {
    (span, start, 0)..=(span, start, u32::MAX)
}

/// What a row takes of the file: a page of its own where two don't fit into one, and otherwise twice its length, since pages that are
/// split stay half empty.
fn footprint(length: usize) -> u64 {
    const PAGE: u64 = 4_096;
    let length = u64::try_from(length).unwrap_or(u64::MAX).saturating_add(48);
    if length > PAGE { length.next_multiple_of(PAGE) } else { length.saturating_mul(2).min(PAGE) }
}

/// The tables, open for one sweep.
pub(super) struct Writing<'t> {
    cells: Table<'t, CellKey, &'static [u8]>,
    order: Table<'t, (u32, u64), i64>,
    tiers: Table<'t, u32, (u64, u64)>,
    hosts: Table<'t, &'static str, (u32, u64)>,
    meta: Table<'t, &'static str, u64>,
}

impl<'t> Writing<'t> {
    pub(super) fn new(transaction: &'t WriteTransaction) -> Result<Self, Fault> {
        Ok(Self {
            cells: transaction.open_table(CELLS)?,
            order: transaction.open_table(ORDER)?,
            tiers: transaction.open_table(TIERS)?,
            hosts: transaction.open_table(HOSTS)?,
            meta: transaction.open_table(META)?,
        })
    }

    /// Writes a sweep that was made at this second, and lets go of what is too much.
    pub(super) fn sweep(
        &mut self,
        retention: &Retention,
        second: i64,
        seen: &[Observed<'_>],
    ) -> Result<(), Fault> {
        let sweep = self.number(SWEEPS)?;
        self.meta.insert(SWEEPS, sweep.saturating_add(1))?;
        let records = self.numbered(sweep, seen)?;
        for tier in retention.tiers() {
            self.add(*tier, second, sweep, &records)?;
        }
        self.shrink(retention, second)?;
        self.forget_hosts()
    }

    fn number(&self, name: &'static str) -> Result<u64, Fault> {
        Ok(self.meta.get(name)?.map_or(0, |number| number.value()))
    }

    /// The records by their hosts' numbers, in order. Hosts that are new get one, and those that are missing are noted.
    fn numbered(&mut self, sweep: u64, seen: &[Observed<'_>]) -> Result<Vec<(u32, Record)>, Fault> {
        let mut known: HashMap<String, (u32, u64)> = HashMap::with_capacity(seen.len());
        for entry in self.hosts.iter()? {
            let (name, host) = entry?;
            known.insert(name.value().to_owned(), host.value());
        }
        let mut next = self.number(NEXT_HOST)?;
        let before = next;
        let mut records: Vec<(u32, Record)> = Vec::with_capacity(seen.len());
        for seen in seen {
            let number = match known.remove(seen.host) {
                Some((number, ASKED)) => number,
                Some((number, _)) => {
                    self.hosts.insert(seen.host, (number, ASKED))?;
                    number
                }
                None => {
                    // Perhaps one that was there a moment ago: twice in one sweep.
                    let again = self.hosts.get(seen.host)?.map(|host| host.value().0);
                    match again {
                        Some(number) => number,
                        None => {
                            let number = u32::try_from(next)
                                .map_err(|_| Fault::Entry("more hosts than there are numbers".into()))?;
                            next += 1;
                            self.hosts.insert(seen.host, (number, ASKED))?;
                            number
                        }
                    }
                }
            };
            records.push((number, Record::of(seen)));
        }
        if next != before {
            self.meta.insert(NEXT_HOST, next)?;
        }
        for (name, (number, left)) in known {
            if left == ASKED {
                self.hosts.insert(name.as_str(), (number, sweep))?;
            }
        }
        records.sort_by_key(|(number, _)| *number);
        records.dedup_by(|again, first| {
            let same = again.0 == first.0;
            if same {
                first.1 = first.1.and(again.1);
            }
            same
        });
        Ok(records)
    }

    /// Puts a sweep into the tier's cell.
    fn add(&mut self, tier: Tier, second: i64, sweep: u64, new: &[(u32, Record)]) -> Result<(), Fault> {
        let (span, start) = (tier.span_s, tier.start(second));
        let (mut sweeps, mut old) = (0, Vec::new());
        let (mut cells, mut bytes) = self.tally(span)?;
        for entry in self.cells.range(cell(span, start))? {
            let (key, value) = entry?;
            bytes = bytes.saturating_sub(footprint(value.value().len()));
            let (of_cell, records) = Records::new(key.value().2, value.value())?;
            sweeps = of_cell;
            for record in records {
                old.push(record?);
            }
        }
        if old.is_empty() {
            cells += 1;
            self.order.insert((span, sweep), start)?;
        } else {
            self.cells.retain_in(cell(span, start), |_, _| false)?;
        }
        let mut rows = Rows::new(sweeps.saturating_add(1));
        both(&old, new, |host, record| rows.push(host, &record));
        for (first, row) in rows.finish() {
            bytes = bytes.saturating_add(footprint(row.len()));
            self.cells.insert((span, start, first), row.as_slice())?;
        }
        self.tiers.insert(span, (cells, bytes))?;
        Ok(())
    }

    /// How many cells a tier has, and what they take.
    fn tally(&self, span: u32) -> Result<(u64, u64), Fault> {
        Ok(self.tiers.get(span)?.map_or((0, 0), |tally| tally.value()))
    }

    /// Removes the oldest cells where a tier has too many, or all together take too much.
    fn shrink(&mut self, retention: &Retention, second: i64) -> Result<(), Fault> {
        let mut spans = Vec::new();
        for entry in self.tiers.iter()? {
            spans.push(entry?.0.value());
        }
        let tier_of = |span: u32| retention.tiers().iter().find(|tier| tier.span_s == span);
        // The cells that the present sweep is in stay.
        let kept = |span: u32| tier_of(span).map(|tier| tier.start(second));
        for span in &spans {
            let most = tier_of(*span).map_or(0, |tier| u64::from(tier.cells));
            while self.tally(*span)?.0 > most && self.remove_oldest(*span, kept(*span))? {}
        }
        loop {
            let mut tallies = Vec::with_capacity(spans.len());
            for span in &spans {
                tallies.push((self.tally(*span)?.1, *span));
            }
            let all = tallies.iter().fold(0_u64, |sum, (bytes, _)| sum.saturating_add(*bytes));
            if all <= retention.bytes_of_cells() {
                return Ok(());
            }
            // The one that takes most gives.
            tallies.sort_unstable();
            let mut removed = false;
            for (_, span) in tallies.into_iter().rev() {
                if self.remove_oldest(span, kept(span))? {
                    removed = true;
                    break;
                }
            }
            if !removed {
                return Ok(());
            }
        }
    }

    /// Removes the cell of a tier that was begun first, but for the one that begins at `kept`. False where there is none.
    fn remove_oldest(&mut self, span: u32, kept: Option<i64>) -> Result<bool, Fault> {
        let mut oldest = None;
        for entry in self.order.range((span, 0)..=(span, u64::MAX))? {
            let (key, start) = entry?;
            if Some(start.value()) != kept {
                oldest = Some((key.value().1, start.value()));
                break;
            }
        }
        let (mut cells, mut bytes) = self.tally(span)?;
        let Some((sweep, start)) = oldest else {
            if cells == 0 || kept.is_none() {
                self.tiers.remove(span)?;
            }
            return Ok(false);
        };
        self.order.remove((span, sweep))?;
        self.cells.retain_in(cell(span, start), |_, value| {
            bytes = bytes.saturating_sub(footprint(value.len()));
            false
        })?;
        cells = cells.saturating_sub(1);
        self.tiers.insert(span, (cells, bytes))?;
        Ok(true)
    }

    /// Forgets hosts that are in no cell any more.
    fn forget_hosts(&mut self) -> Result<(), Fault> {
        let mut oldest = u64::MAX;
        let mut spans = Vec::new();
        for entry in self.tiers.iter()? {
            spans.push(entry?.0.value());
        }
        for span in spans {
            if let Some(first) = self.order.range((span, 0)..=(span, u64::MAX))?.next() {
                oldest = oldest.min(first?.0.value().1);
            }
        }
        // A cell that was begun before a host was last asked may have it.
        if oldest > self.number(OLDEST)? {
            self.meta.insert(OLDEST, oldest)?;
            self.hosts.retain(|_, (_, left)| left > oldest)?;
        }
        Ok(())
    }
}

/// Two lists in the order of their hosts as one.
fn both(old: &[(u32, Record)], new: &[(u32, Record)], mut each: impl FnMut(u32, Record)) {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let (one, two) = (old.peek().copied(), new.peek().copied());
        let (host, record) = match (one, two) {
            (Some(one), Some(two)) if one.0 == two.0 => (one.0, one.1.and(two.1)),
            (Some(one), two) if two.is_none_or(|two| one.0 < two.0) => *one,
            (_, Some(two)) => *two,
            (_, None) => return,
        };
        each(host, record);
        old.next_if(|one| one.0 == host);
        new.next_if(|two| two.0 == host);
    }
}
