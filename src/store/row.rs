//! A row as bytes, for stores that keep bytes.
//!
//! | bytes | what | when |
//! | --- | --- | --- |
//! | 1 | version (1) times 16, and four flags: 1 a token, 2 a budget, 4 the token has a watermark, 8 it has an outlier | always |
//! | 8 | epoch | token |
//! | 8 | nonce | token |
//! | 1–10 | watermark | flag 4 |
//! | 1–10 | drift: mean, in nanoseconds, its sign in the lowest bit | token |
//! | 1–10 | drift: variance | token |
//! | 8 | drift: time of the last update | token |
//! | 1–10 | drift: outlier, as the mean | flag 8 |
//! | 8, 8 | when the blind and the partial bucket will be full | budget |
//! | 1–5 | failures since the last success | budget |
//!
//! What has eight bytes is little-endian, times in nanoseconds since the Unix epoch. What has a variable number is a base-128
//! integer, its lowest seven bits first, the top bit of each byte saying whether there is another. A row has one encoding and
//! every other sequence of bytes is an error: what was damaged should be noticed, not understood.
//!
//! A token that shares a budget and that budget are two rows, one without a budget and one without a token.

use crate::bytes::{Malformed, Reader, put, zigzag};
use crate::otp::TimeStep;
use crate::time::{SignedDuration, Timestamp};
use crate::token::{Bucket, Budget, Drift, TokenState};

use super::Row;

const VERSION: u8 = 1;
const TOKEN: u8 = 1;
const BUDGET: u8 = 2;
const WATERMARK: u8 = 4;
const OUTLIER: u8 = 8;

/// The bytes of a row, about 60 for a token with its budget.
///
/// ```
/// use skewgate::store::{Row, row};
///
/// let bytes = row::encode(&Row::default());
/// assert_eq!(row::decode(&bytes)?, Row::default());
/// assert!(row::decode(&[]).is_err());
/// # Ok::<(), row::RowError>(())
/// ```
#[must_use]
pub fn encode(row: &Row) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(80);
    let mut header = VERSION << 4;
    if let Some(token) = &row.token {
        header |= TOKEN;
        header |= if token.watermark.is_some() { WATERMARK } else { 0 };
        header |= if token.drift.outlier().is_some() { OUTLIER } else { 0 };
    }
    header |= if row.budget.is_some() { BUDGET } else { 0 };
    bytes.push(header);
    if let Some(token) = &row.token {
        bytes.extend(token.epoch.to_le_bytes());
        bytes.extend(token.nonce);
        if let Some(watermark) = token.watermark {
            // Steps are never negative.
            put(&mut bytes, watermark.get().unsigned_abs());
        }
        put(&mut bytes, zigzag(token.drift.mean().as_nanos()));
        put(&mut bytes, token.drift.variance());
        put_time(&mut bytes, token.drift.updated());
        if let Some(outlier) = token.drift.outlier() {
            put(&mut bytes, zigzag(outlier.as_nanos()));
        }
    }
    if let Some(budget) = &row.budget {
        put_time(&mut bytes, budget.full_at(Bucket::Blind));
        put_time(&mut bytes, budget.full_at(Bucket::Partial));
        put(&mut bytes, budget.failures().into());
    }
    bytes
}

/// The row that these bytes are.
///
/// # Errors
///
/// [`RowError`] where [`encode`] gives them for no row.
pub fn decode(bytes: &[u8]) -> Result<Row, RowError> {
    let mut rest = Reader::new(bytes);
    let short = |error| RowError::of(error, bytes.len());
    let [header] = rest.take().map_err(short)?;
    if header >> 4 != VERSION {
        return Err(RowError::Version { found: header >> 4 });
    }
    let row = body(header, &mut rest).map_err(short)?;
    match rest.left() {
        0 => Ok(row),
        extra => Err(RowError::TooLong { extra }),
    }
}

fn body(header: u8, rest: &mut Reader<'_>) -> Result<Row, Malformed> {
    let has = |flag: u8| header & flag != 0;
    if !has(TOKEN) && (has(WATERMARK) || has(OUTLIER)) {
        return Err(Malformed::Invalid { at: 0 });
    }
    let token = if has(TOKEN) {
        let epoch = u64::from_le_bytes(rest.take()?);
        let nonce = rest.take()?;
        let watermark = if has(WATERMARK) { Some(step(rest)?) } else { None };
        let (mean, variance, updated) = (length(rest)?, rest.integer()?, time(rest)?);
        let outlier = if has(OUTLIER) { Some(length(rest)?) } else { None };
        Some(TokenState {
            epoch,
            watermark,
            nonce,
            drift: Drift::from_parts(mean, variance, updated, outlier),
        })
    } else {
        None
    };
    let budget = if has(BUDGET) {
        let (blind, partial) = (time(rest)?, time(rest)?);
        let at = rest.at;
        let failures = u32::try_from(rest.integer()?).map_err(|_| Malformed::Invalid { at })?;
        Some(Budget::from_parts(blind, partial, failures))
    } else {
        None
    };
    Ok(Row { token, budget })
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
    #[error("a row that ends after {bytes} bytes, in the middle of a value")]
    TooShort {
        /// How many there are.
        bytes: usize,
    },
    /// There are more of them.
    #[error("a row with {extra} bytes after its end")]
    TooLong {
        /// How many too many.
        extra: usize,
    },
    /// There is a value that is none, or one that is written in another way than it would be.
    #[error("a row with an invalid value at byte {at}")]
    Invalid {
        /// Where it begins.
        at: usize,
    },
}

fn put_time(bytes: &mut Vec<u8>, time: Timestamp) {
    bytes.extend(time.as_unix_nanos().to_le_bytes());
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

fn step(rest: &mut Reader<'_>) -> Result<TimeStep, Malformed> {
    let at = rest.at;
    let number = i64::try_from(rest.integer()?).ok();
    number.and_then(TimeStep::new).ok_or(Malformed::Invalid { at })
}

fn length(rest: &mut Reader<'_>) -> Result<SignedDuration, Malformed> {
    rest.signed().map(SignedDuration::from_nanos)
}

fn time(rest: &mut Reader<'_>) -> Result<Timestamp, Malformed> {
    Ok(Timestamp::from_unix_nanos(i64::from_le_bytes(rest.take()?)))
}

#[cfg(test)]
mod tests;
