//! What is kept, as PostgreSQL's own types.

use tokio_postgres::types::{PgLsn, ToSql};

use crate::otp::TimeStep;
use crate::store::{Seen, StoreError};
use crate::time::{SignedDuration, Timestamp};
use crate::token::{Bucket, Budget, Charge, Drift, TokenState};

use super::NAME;
use super::server::Run;

/// What is drawn with 63 bits.
pub(super) fn signed(epoch: u64) -> Result<i64, StoreError> {
    i64::try_from(epoch).map_err(|_| StoreError::OutOfRange {
        store: NAME,
        what: format!("the epoch {epoch}: at most {} fits", i64::MAX),
    })
}

/// From when a bucket pays, and how much in nanoseconds of its refill: blind, then partial. For the one that doesn't pay,
/// what changes nothing.
pub(super) fn prices(charge: Charge, from: Timestamp) -> [(i64, i64); 2] {
    let epoch = Timestamp::from_unix_nanos(0);
    let cost = Budget::full(epoch).charge(charge, epoch).full_at(charge.bucket).as_unix_nanos();
    [Bucket::Blind, Bucket::Partial]
        .map(|bucket| if bucket == charge.bucket { (from.as_unix_nanos(), cost) } else { (i64::MIN, 0) })
}

/// What a change was decided from.
pub(super) struct SeenColumns {
    not_before: Option<i64>,
    system: i64,
    timeline: i64,
    run: String,
    flushed: PgLsn,
}

impl SeenColumns {
    /// `flushed` is how much log the server must have.
    pub(super) fn new(seen: &Seen, flushed: i64) -> Self {
        let [system, timeline, started] = Run::of_lineage(seen.lineage);
        Self {
            not_before: seen.not_before.map(Timestamp::as_unix_nanos),
            system,
            timeline,
            // What a connection has found out begins like this.
            run: format!("{system}/{timeline}/{started}/"),
            flushed: PgLsn::from(flushed.cast_unsigned()),
        }
    }

    pub(super) const fn parameters(&self) -> [&(dyn ToSql + Sync); 5] {
        [&self.not_before, &self.system, &self.timeline, &self.run, &self.flushed]
    }
}

/// A drift as it is kept.
pub(super) struct DriftColumns {
    mean: i64,
    variance: i64,
    updated: i64,
    outlier: Option<i64>,
}

impl DriftColumns {
    pub(super) fn new(drift: &Drift) -> Self {
        Self {
            mean: drift.mean().as_nanos(),
            variance: drift.variance().cast_signed(),
            updated: drift.updated().as_unix_nanos(),
            outlier: drift.outlier().map(SignedDuration::as_nanos),
        }
    }

    pub(super) const fn parameters(&self) -> [&(dyn ToSql + Sync); 4] {
        [&self.mean, &self.variance, &self.updated, &self.outlier]
    }
}

/// A token as it is kept.
pub(super) struct TokenColumns {
    epoch: i64,
    watermark: Option<i64>,
    nonce: i64,
    drift: DriftColumns,
}

impl TokenColumns {
    pub(super) fn new(state: &TokenState) -> Result<Self, StoreError> {
        Ok(Self {
            epoch: signed(state.epoch)?,
            watermark: state.watermark.map(TimeStep::get),
            nonce: i64::from_le_bytes(state.nonce),
            drift: DriftColumns::new(&state.drift),
        })
    }

    pub(super) const fn parameters(&self) -> [&(dyn ToSql + Sync); 7] {
        let [mean, variance, updated, outlier] = self.drift.parameters();
        [&self.epoch, &self.watermark, &self.nonce, mean, variance, updated, outlier]
    }
}

/// A budget as it is kept.
pub(super) struct BudgetColumns {
    pub(super) blind: i64,
    pub(super) partial: i64,
    pub(super) failures: i64,
}

impl BudgetColumns {
    pub(super) fn new(budget: &Budget) -> Self {
        Self {
            blind: budget.full_at(Bucket::Blind).as_unix_nanos(),
            partial: budget.full_at(Bucket::Partial).as_unix_nanos(),
            failures: i64::from(budget.failures()),
        }
    }
}
