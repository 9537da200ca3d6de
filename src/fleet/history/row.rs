//! A row of a history as bytes: what some hosts were in one cell of a tier.
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | version (1) |
//! | 1–5 | how many sweeps are in the cell |
//! | … | records, by ascending host; the first is that of the host in the row's key |
//!
//! | bytes of a record | what | when |
//! | --- | --- | --- |
//! | 1 | the state's place in [`State::ALL`], and four flags: 16 hosts were left out, 32 a round trip, 64 a skew, 128 its own counts | always |
//! | 1–5 | how many hosts were left out since the record before | flag 16 |
//! | 1–5, 1–5, 1–5 | sweeps that asked it, that did not read it, that compared it | flag 128 |
//! | 1–10 | the smallest round trip | flag 32 |
//! | 1–10, 1–10 | lower end of the skew, its sign in the lowest bit; width | flag 64 |
//! | 1–10 | the sum of the ends, see [`Skew::sum_us`] | flag 64 and not compared just once |
//!
//! Without flag 128 all of the cell's sweeps asked the host, and either all or none read and compared it. Numbers are base-128
//! integers, lowest seven bits first; lengths are microseconds. A row has one encoding and every other sequence of bytes is an
//! error: what was damaged should be noticed, not understood.

pub use super::record::{Record, Skew};
use crate::bytes::{Malformed, Reader, put, zigzag};
use crate::fleet::State;

const VERSION: u8 = 1;
const GAP: u8 = 16;
const DELAY: u8 = 32;
const SKEW: u8 = 64;
const COUNTS: u8 = 128;
const STATE: u8 = 15;

/// The most bytes of a row: with its key and what the database keeps beside it, it fills a page of 4 KiB.
pub(super) const MOST_BYTES: usize = 4_000;

/// The records of some hosts, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// How many sweeps are in the cell.
    pub sweeps: u32,
    /// By ascending host, each once.
    pub records: Vec<(u32, Record)>,
}

/// Writes rows, each as full as it may be.
pub(super) struct Rows {
    sweeps: u32,
    rows: Vec<(u32, Vec<u8>)>,
    last: u32,
}

impl Rows {
    pub(super) const fn new(sweeps: u32) -> Self {
        Self { sweeps, rows: Vec::new(), last: 0 }
    }

    /// One record more, of a host with a greater number.
    pub(super) fn push(&mut self, host: u32, record: &Record) {
        if let Some((_, bytes)) = self.rows.last_mut() {
            let end = bytes.len();
            record_into(bytes, host.saturating_sub(self.last).saturating_sub(1), self.sweeps, record);
            if bytes.len() <= MOST_BYTES {
                self.last = host;
                return;
            }
            bytes.truncate(end);
        }
        let mut bytes = Vec::with_capacity(MOST_BYTES + 64);
        bytes.push(VERSION);
        put(&mut bytes, self.sweeps.into());
        record_into(&mut bytes, 0, self.sweeps, record);
        self.rows.push((host, bytes));
        self.last = host;
    }

    /// Each with its first host.
    pub(super) fn finish(self) -> Vec<(u32, Vec<u8>)> {
        self.rows
    }
}

/// The bytes of a row and the number of its first host; `None` where it has no records.
///
/// ```
/// use skewgate::fleet::State;
/// use skewgate::fleet::history::row::{Record, Row, decode, encode};
///
/// let record = Record { sweeps: 1, missed: 1, state: State::Unreachable, skew: None, delay_us: None };
/// let row = Row { sweeps: 1, records: vec![(7, record), (9, record)] };
/// let (first, bytes) = encode(&row).expect("it has records");
/// assert_eq!((first, bytes.len()), (7, 5));
/// assert_eq!(decode(first, &bytes)?, row);
/// # Ok::<(), skewgate::fleet::history::row::RowError>(())
/// ```
#[must_use]
pub fn encode(row: &Row) -> Option<(u32, Vec<u8>)> {
    let (first, _) = row.records.first()?;
    let mut bytes = vec![VERSION];
    put(&mut bytes, row.sweeps.into());
    let mut next = *first;
    for (host, record) in &row.records {
        record_into(&mut bytes, host.saturating_sub(next), row.sweeps, record);
        next = host.saturating_add(1);
    }
    Some((*first, bytes))
}

/// What a record counts where it doesn't say: sweeps, missed, compared.
const fn counts_unsaid(flags: u8, sweeps: u32) -> (u32, u32, u32) {
    let (read, compared) = (flags & (DELAY | SKEW) != 0, flags & SKEW != 0);
    (sweeps, if read { 0 } else { sweeps }, if compared { sweeps } else { 0 })
}

fn record_into(bytes: &mut Vec<u8>, gap: u32, sweeps: u32, record: &Record) {
    let state = State::ALL.iter().position(|state| *state == record.state);
    let mut flags = state.and_then(|place| u8::try_from(place).ok()).unwrap_or_default();
    flags |= if gap > 0 { GAP } else { 0 };
    flags |= if record.delay_us.is_some() { DELAY } else { 0 };
    flags |= if record.skew.is_some() { SKEW } else { 0 };
    let compared = record.skew.map_or(0, |skew| skew.compared);
    let counts = (record.sweeps, record.missed, compared);
    let unsaid = counts == counts_unsaid(flags, sweeps);
    flags |= if unsaid { 0 } else { COUNTS };
    bytes.push(flags);
    if gap > 0 {
        put(bytes, gap.into());
    }
    if !unsaid {
        [counts.0, counts.1, counts.2].into_iter().for_each(|count| put(bytes, count.into()));
    }
    if let Some(delay) = record.delay_us {
        put(bytes, delay);
    }
    if let Some(skew) = record.skew {
        put(bytes, zigzag(skew.lo_us));
        put(bytes, skew.hi_us.abs_diff(skew.lo_us));
        if skew.compared != 1 {
            put(bytes, skew.sum_us);
        }
    }
}

/// The row that these bytes are, if its key says that this is its first host.
///
/// # Errors
///
/// [`RowError`] where [`encode`] gives them for no row.
pub fn decode(first: u32, bytes: &[u8]) -> Result<Row, RowError> {
    let (sweeps, records) = Records::new(first, bytes)?;
    Ok(Row { sweeps, records: records.collect::<Result<_, _>>()? })
}

/// Reads the records of a row one after the other; none after an error.
pub(super) struct Records<'a> {
    rest: Reader<'a>,
    bytes: usize,
    sweeps: u32,
    /// The host of the next record, if none is left out; `None` after the greatest that there is.
    next: Option<u32>,
    begun: bool,
}

impl<'a> Records<'a> {
    /// Of a row, and how many sweeps its cell has.
    pub(super) fn new(first: u32, bytes: &'a [u8]) -> Result<(u32, Self), RowError> {
        let mut rest = Reader::new(bytes);
        let short = |error| RowError::of(error, bytes.len());
        let [version] = rest.take().map_err(short)?;
        if version != VERSION {
            return Err(RowError::Version { found: version });
        }
        let sweeps = count(&mut rest).map_err(short)?;
        if rest.left() == 0 {
            return Err(RowError::TooShort { bytes: bytes.len() });
        }
        Ok((sweeps, Self { rest, bytes: bytes.len(), sweeps, next: Some(first), begun: false }))
    }

    fn record(&mut self) -> Result<(u32, Record), Malformed> {
        let at = self.rest.at;
        let invalid = Malformed::Invalid { at };
        let [flags] = self.rest.take()?;
        let state = *State::ALL.get(usize::from(flags & STATE)).ok_or(invalid)?;
        let mut host = self.next.ok_or(invalid)?;
        if flags & GAP != 0 {
            let gap = count(&mut self.rest)?;
            // The first record's host is in the key.
            if gap == 0 || !self.begun {
                return Err(invalid);
            }
            host = host.checked_add(gap).ok_or(invalid)?;
        }
        let unsaid = counts_unsaid(flags, self.sweeps);
        let (sweeps, missed, compared) = if flags & COUNTS != 0 {
            let rest = &mut self.rest;
            (count(rest)?, count(rest)?, count(rest)?)
        } else {
            unsaid
        };
        let said_in_vain = flags & COUNTS != 0 && (sweeps, missed, compared) == unsaid;
        let too_many = missed.checked_add(compared).is_none_or(|both| both > sweeps);
        if said_in_vain || too_many || sweeps == 0 || (compared > 0) != (flags & SKEW != 0) {
            return Err(invalid);
        }
        let delay_us = if flags & DELAY != 0 { Some(self.rest.integer()?) } else { None };
        let skew = if flags & SKEW != 0 { Some(self.skew(compared)?) } else { None };
        self.next = host.checked_add(1);
        self.begun = true;
        Ok((host, Record { sweeps, missed, state, skew, delay_us }))
    }

    fn skew(&mut self, compared: u32) -> Result<Skew, Malformed> {
        let at = self.rest.at;
        let (lo_us, width) = (self.rest.signed()?, self.rest.integer()?);
        let hi_us = lo_us.checked_add_unsigned(width).ok_or(Malformed::Invalid { at })?;
        let sum_us = if compared == 1 { width } else { self.rest.integer()? };
        Ok(Skew { compared, lo_us, hi_us, sum_us })
    }
}

impl Iterator for Records<'_> {
    type Item = Result<(u32, Record), RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.left() == 0 {
            return None;
        }
        let record = self.record().map_err(|error| RowError::of(error, self.bytes));
        if record.is_err() {
            self.rest = Reader::new(&[]);
        }
        Some(record)
    }
}

fn count(rest: &mut Reader<'_>) -> Result<u32, Malformed> {
    let at = rest.at;
    u32::try_from(rest.integer()?).map_err(|_| Malformed::Invalid { at })
}

/// Why bytes are no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// They were written in another way.
    #[error("a row of version {found}, only {known} is known: use the release of skewgate that wrote it", known = VERSION)]
    Version {
        /// Which version they say.
        found: u8,
    },
    /// They end too early.
    #[error("a row that ends after {bytes} bytes, in the middle of a value or without a record")]
    TooShort {
        /// How many there are.
        bytes: usize,
    },
    /// There is a value that is none, or one that is written in another way than it would be.
    #[error("a row with an invalid value at byte {at}")]
    Invalid {
        /// Where it begins.
        at: usize,
    },
}

impl RowError {
    /// Of a row of so many bytes.
    const fn of(error: Malformed, bytes: usize) -> Self {
        match error {
            Malformed::TooShort => Self::TooShort { bytes },
            Malformed::Invalid { at } => Self::Invalid { at },
        }
    }
}

#[cfg(test)]
mod tests;
