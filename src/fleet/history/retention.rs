//! How much of a history is kept, and how finely. Pure.

use std::time::Duration;

/// Cells of one length, and how many of them are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// How much time a cell covers, in seconds.
    pub span_s: u32,
    /// So many cells are kept: the newest ones.
    pub cells: u32,
}

impl Tier {
    /// So many cells of so many seconds each.
    #[must_use]
    pub const fn new(span_s: u32, cells: u32) -> Self {
        Self { span_s, cells }
    }

    /// The time that it covers where no cell is missing.
    #[must_use]
    pub const fn covers(self) -> Duration {
        Duration::from_secs(self.span_s as u64 * self.cells as u64)
    }

    /// The start of the cell in which a second lies, in Unix seconds.
    pub(super) const fn start(self, second: i64) -> i64 {
        let span = self.span_s as i64;
        second.saturating_sub(second.rem_euclid(span))
    }
}

/// How much is kept: the newest sweeps one by one, older ones in ever longer cells, and so many bytes at the most.
///
/// What is kept is counted in cells, not told by a clock: the cells that were *begun* last stay, whatever date they have. So a system
/// clock that jumps to 2040 and returns wipes nothing, and one that jumps to 1970 is recorded all the same. Where sweeps are made
/// without a break a tier covers its [time](Tier::covers); after a break it reaches further back.
///
/// ```
/// use skewgate::fleet::history::{Retention, Tier};
/// use std::time::Duration;
///
/// let every = Duration::from_secs(60);
/// // Each sweep of a day, then what is there by default.
/// let usual = Retention::default();
/// // Each sweep of a day, hours for a year, 100 MiB.
/// let small = Retention::new(1_440, &[Tier::new(3_600, 8_760)], 100 << 20)?;
/// # assert!(Retention::new(1_440, &[Tier::new(3_600, 8_760), Tier::new(60, 60)], 1 << 30).is_err());
/// # let _ = (every, usual, small);
/// # Ok::<(), skewgate::fleet::history::RetentionError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// From the finest on; the first is that of single sweeps.
    tiers: Vec<Tier>,
    max_bytes: u64,
}

/// Single sweeps are told apart by the second.
const SWEEPS_SPAN_S: u32 = 1;

/// The most tiers beside that of single sweeps: each is written with each sweep.
const MOST_TIERS: usize = 7;

/// What an empty history and what every transaction needs beside the cells.
const LEAST_BYTES: u64 = 16 << 20;

/// The least of these that aren't for cells.
const RESERVE_BYTES: u64 = 8 << 20;

impl Default for Retention {
    /// A day of a sweep a minute, five-minute cells for 14 days, hours for 90 days, six hours for 400 days; and 4 GiB.
    fn default() -> Self {
        let tiers = [
            Tier::new(SWEEPS_SPAN_S, 1_440),
            Tier::new(300, 14 * 288),
            Tier::new(3_600, 90 * 24),
            Tier::new(6 * 3_600, 400 * 4),
        ];
        Self { tiers: tiers.into(), max_bytes: 4 << 30 }
    }
}

impl Retention {
    /// So many single sweeps, these tiers of ever longer cells, and at most so many bytes of the disk.
    ///
    /// # Errors
    ///
    /// [`RetentionError`] where that makes no sense.
    pub fn new(sweeps: u32, tiers: &[Tier], max_bytes: u64) -> Result<Self, RetentionError> {
        if tiers.len() > MOST_TIERS {
            return Err(RetentionError::TooManyTiers { most: MOST_TIERS, found: tiers.len() });
        }
        if max_bytes < LEAST_BYTES {
            return Err(RetentionError::TooFewBytes { least: LEAST_BYTES, found: max_bytes });
        }
        let tiers: Vec<Tier> = [Tier::new(SWEEPS_SPAN_S, sweeps)].iter().chain(tiers).copied().collect();
        if tiers.iter().any(|tier| tier.cells < 2) {
            return Err(RetentionError::TooFewCells);
        }
        for pair in tiers.windows(2) {
            let (finer, coarser) = (pair[0].span_s, pair[1].span_s);
            if coarser <= finer || coarser % finer != 0 {
                return Err(RetentionError::Spans { finer, coarser });
            }
        }
        Ok(Self { tiers, max_bytes })
    }

    /// With so many single sweeps: a day's are 86,400 seconds by the interval between two.
    ///
    /// # Errors
    ///
    /// [`RetentionError::TooFewCells`] for fewer than two.
    pub fn with_sweeps(&self, sweeps: u32) -> Result<Self, RetentionError> {
        Self::new(sweeps, &self.tiers[1..], self.max_bytes)
    }

    /// With at most so many bytes of the disk.
    ///
    /// # Errors
    ///
    /// [`RetentionError::TooFewBytes`] for fewer than 16 MiB.
    pub fn with_max_bytes(&self, max_bytes: u64) -> Result<Self, RetentionError> {
        Self::new(self.tiers[0].cells, &self.tiers[1..], max_bytes)
    }

    /// From the finest on; the first is that of single sweeps, which are told apart by the second.
    #[must_use]
    pub fn tiers(&self) -> &[Tier] {
        &self.tiers
    }

    /// So many of them for cells: the rest is for hosts, the inner pages of the trees, and what a transaction writes anew before it
    /// lets go of the old.
    pub(super) const fn bytes_of_cells(&self) -> u64 {
        let rest = self.max_bytes / 8;
        self.max_bytes - if rest > RESERVE_BYTES { rest } else { RESERVE_BYTES }
    }

    /// So many bytes of the disk at the most.
    #[must_use]
    pub const fn max_bytes(&self) -> u64 {
        self.max_bytes
    }
}

/// Why nothing can be kept like that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RetentionError {
    /// Too many tiers.
    #[error("{found} tiers, at most {most} are possible: each is written with each sweep")]
    TooManyTiers {
        /// How many are possible.
        most: usize,
        /// How many there are.
        found: usize,
    },
    /// Too few bytes.
    #[error("{found} bytes, at least {least} are needed")]
    TooFewBytes {
        /// How many are needed.
        least: u64,
        /// How many there are.
        found: u64,
    },
    /// A tier that keeps less than two cells.
    #[error("a tier keeps at least two cells: the one that is being filled, and the one before")]
    TooFewCells,
    /// Cells that don't fit into the next tier's.
    #[error(
        "cells of {coarser} s after cells of {finer} s: each tier's must be a multiple of the one's before, and longer"
    )]
    Spans {
        /// Of the finer tier, in seconds.
        finer: u32,
        /// Of the coarser tier, in seconds.
        coarser: u32,
    },
}
