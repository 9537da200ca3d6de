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
        put(&mut bytes, zigzag(token.drift.mean()));
        put(&mut bytes, token.drift.variance());
        put_time(&mut bytes, token.drift.updated());
        if let Some(outlier) = token.drift.outlier() {
            put(&mut bytes, zigzag(outlier));
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
    let mut rest = Reader { bytes, at: 0 };
    let [header] = rest.take()?;
    if header >> 4 != VERSION {
        return Err(RowError::Version { found: header >> 4 });
    }
    let has = |flag: u8| header & flag != 0;
    if !has(TOKEN) && (has(WATERMARK) || has(OUTLIER)) {
        return Err(RowError::Invalid { at: 0 });
    }
    let token = if has(TOKEN) {
        let epoch = u64::from_le_bytes(rest.take()?);
        let nonce = rest.take()?;
        let watermark = if has(WATERMARK) { Some(rest.step()?) } else { None };
        let (mean, variance, updated) = (rest.signed()?, rest.integer()?, rest.time()?);
        let outlier = if has(OUTLIER) { Some(rest.signed()?) } else { None };
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
        let (blind, partial) = (rest.time()?, rest.time()?);
        let at = rest.at;
        let failures = u32::try_from(rest.integer()?).map_err(|_| RowError::Invalid { at })?;
        Some(Budget::from_parts(blind, partial, failures))
    } else {
        None
    };
    match bytes.len() - rest.at {
        0 => Ok(Row { token, budget }),
        extra => Err(RowError::TooLong { extra }),
    }
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

fn put(bytes: &mut Vec<u8>, mut value: u64) {
    loop {
        let [lowest, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return bytes.push(lowest & 0x7f);
        }
        bytes.push(lowest | 0x80);
    }
}

fn put_time(bytes: &mut Vec<u8>, time: Timestamp) {
    bytes.extend(time.as_unix_nanos().to_le_bytes());
}

/// Small in either direction is small.
fn zigzag(length: SignedDuration) -> u64 {
    let nanos = length.as_nanos();
    ((nanos << 1) ^ (nanos >> 63)).cast_unsigned()
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], RowError> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk());
        let taken = *taken.ok_or(RowError::TooShort { bytes: self.bytes.len() })?;
        self.at += N;
        Ok(taken)
    }

    fn integer(&mut self) -> Result<u64, RowError> {
        let begin = self.at;
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take()?;
            let bits = u64::from(byte & 0x7f);
            let last = byte & 0x80 == 0;
            // More than 64 bits, or a last byte that adds nothing: the same number could be written shorter.
            if (bits << shift) >> shift != bits || (last && byte == 0 && shift > 0) {
                return Err(RowError::Invalid { at: begin });
            }
            value |= bits << shift;
            if last {
                return Ok(value);
            }
        }
        Err(RowError::Invalid { at: begin })
    }

    fn signed(&mut self) -> Result<SignedDuration, RowError> {
        let value = self.integer()?;
        let sign = (value & 1).cast_signed();
        Ok(SignedDuration::from_nanos((value >> 1).cast_signed() ^ -sign))
    }

    fn step(&mut self) -> Result<TimeStep, RowError> {
        let at = self.at;
        let number = i64::try_from(self.integer()?).ok();
        number.and_then(TimeStep::new).ok_or(RowError::Invalid { at })
    }

    fn time(&mut self) -> Result<Timestamp, RowError> {
        Ok(Timestamp::from_unix_nanos(i64::from_le_bytes(self.take()?)))
    }
}

#[cfg(test)]
mod tests;
