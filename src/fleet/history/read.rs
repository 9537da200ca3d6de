//! How a history is read.

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable};

use super::error::Fault;
use super::point::{Columns, HeatMap, HeatRow, Point, Points};
use super::record::Record;
use super::retention::Tier;
use super::row::Records;
use super::tables::{CELLS, CellKey, HOSTS};

type Cells = ReadOnlyTable<CellKey, &'static [u8]>;

/// What is known of one host.
pub(super) fn host(
    transaction: &ReadTransaction,
    tiers: &[Tier],
    name: &str,
    columns: Columns,
    to_s: i64,
) -> Result<Vec<Point>, Fault> {
    let Some(number) = transaction.open_table(HOSTS)?.get(name)?.map(|host| host.value().0) else {
        return Ok(Vec::new());
    };
    let cells = transaction.open_table(CELLS)?;
    let tier = suited(&cells, tiers, &columns, to_s)?;
    let span = i64::from(tier.span_s);
    let mut points = Points::new(columns);
    let mut from = tier.start(columns.from_s);
    while let Some(start) = next_cell(&cells, tier, from, to_s)? {
        // The last row that begins at this host or before it.
        let row = cells.range((tier.span_s, start, 0)..=(tier.span_s, start, number))?.next_back();
        if let Some(row) = row {
            let (key, value) = row?;
            if let Some(record) = find(key.value().2, value.value(), number)? {
                points.push(start, start.saturating_add(span), record);
            }
        }
        from = start.saturating_add(1);
    }
    Ok(points.finish())
}

/// The record of one host in a row.
fn find(first: u32, bytes: &[u8], number: u32) -> Result<Option<Record>, Fault> {
    for record in Records::new(first, bytes)?.1 {
        let (host, record) = record?;
        if host >= number {
            return Ok((host == number).then_some(record));
        }
    }
    Ok(None)
}

/// Where the first cell of a tier begins that does so from one second on and before another.
fn next_cell(cells: &Cells, tier: Tier, from: i64, to: i64) -> Result<Option<i64>, Fault> {
    if from >= to {
        return Ok(None);
    }
    let first = cells.range((tier.span_s, from, 0)..(tier.span_s, to, 0))?.next();
    Ok(first.transpose()?.map(|(key, _)| key.value().1))
}

/// The coarsest tier that shows a difference between columns; a coarser one where that reaches further back, by a cell of its own at
/// least.
fn suited(cells: &Cells, tiers: &[Tier], columns: &Columns, to_s: i64) -> Result<Tier, Fault> {
    let fine_enough = tiers.iter().rposition(|tier| i64::from(tier.span_s) <= columns.step_s).unwrap_or(0);
    let mut candidates = tiers.get(fine_enough..).unwrap_or_default();
    while let [tier, coarser @ ..] = candidates {
        let from = tier.start(columns.from_s);
        let begins = next_cell(cells, *tier, from, to_s)?;
        // Where there is nothing in the range, there was nothing: unless it is older than all that there is, or on a date that a clock
        // showed by mistake.
        let mut suits = begins.is_some()
            || (next_cell(cells, *tier, i64::MIN, from)?.is_some()
                && next_cell(cells, *tier, to_s, i64::MAX)?.is_some());
        for coarser in coarser {
            if let Some(start) = next_cell(cells, *coarser, columns.from_s, to_s)? {
                let end = start.saturating_add(i64::from(coarser.span_s));
                suits &= begins.is_some_and(|begins| begins < end);
            }
        }
        if suits {
            return Ok(*tier);
        }
        candidates = coarser;
    }
    Ok(tiers.last().copied().unwrap_or(Tier::new(1, 1)))
}

/// The worst state of each host in each column.
pub(super) fn heat_map(
    transaction: &ReadTransaction,
    tiers: &[Tier],
    columns: Columns,
    to_s: i64,
) -> Result<HeatMap, Fault> {
    let mut names: Vec<(u32, Box<str>)> = Vec::new();
    for entry in transaction.open_table(HOSTS)?.iter()? {
        let (name, host) = entry?;
        names.push((host.value().0, name.value().into()));
    }
    names.sort_unstable_by_key(|(number, _)| *number);
    let mut rows: Vec<Option<HeatRow>> = vec![None; names.len()];
    let cells = transaction.open_table(CELLS)?;
    let tier = suited(&cells, tiers, &columns, to_s)?;
    let (span, from) = (tier.span_s, tier.start(columns.from_s));
    if from < to_s {
        for entry in cells.range((span, from, 0)..(span, to_s, 0))? {
            let (key, value) = entry?;
            let (_, start, first) = key.value();
            let column = columns.of(start);
            // Both are in the order of the hosts' numbers.
            let mut place = names.partition_point(|(number, _)| *number < first);
            for record in Records::new(first, value.value())?.1 {
                let (host, record) = record?;
                while names.get(place).is_some_and(|(number, _)| *number < host) {
                    place += 1;
                }
                if let (Some((number, name)), Some(row)) = (names.get(place), rows.get_mut(place))
                    && *number == host
                {
                    row.get_or_insert_with(|| HeatRow::new(name.clone(), &columns)).add(column, record.state);
                }
            }
        }
    }
    Ok(HeatMap::new(columns, rows.into_iter().flatten().collect()))
}
