//! A change on its way to a statement, and what came of it.

use tokio_postgres::Row as PgRow;
use tokio_postgres::types::ToSql;

use crate::otp::TimeStep;
use crate::store::{Change, StoreError, Written};
use crate::token::TokenKey;

use super::columns::{BudgetColumns, DriftColumns, SeenColumns, TokenColumns, prices, signed};
use super::lease::Lease;
use super::row::{self, Outcome};
use super::statements::{Changes, Statements, Write};
use super::{PostgresError, PostgresStore, failed};

impl PostgresStore {
    /// What came of a write, if it is as durable as it has to be.
    pub(super) fn committed(&self, outcome: Outcome) -> Result<Written, StoreError> {
        let Outcome { written, synchronous_commit, fsync, standbys, .. } = outcome;
        let not_durable =
            |setting, got, expected| Err(failed(PostgresError::NotDurable { setting, got, expected }));
        match (self.standbys, synchronous_commit.as_str()) {
            (_, "off") => return not_durable("synchronous_commit", synchronous_commit, "on"),
            (true, "on" | "remote_apply") | (false, _) => {}
            (true, _) => return not_durable("synchronous_commit", synchronous_commit, "on or remote_apply"),
        }
        if fsync != "on" {
            return not_durable("fsync", fsync, "on");
        }
        if self.standbys && standbys.trim().is_empty() {
            return Err(failed(PostgresError::NoSynchronousStandby));
        }
        Ok(written)
    }

    /// Does it, and asks why where nothing has happened.
    async fn write_by(
        &self,
        write: &Write,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<(Vec<PgRow>, Lease), StoreError> {
        if let Some(at_once) = &write.at_once {
            let (rows, lease) = self.ask(at_once, parameters).await?;
            if !rows.is_empty() {
                return Ok((rows, lease));
            }
            lease.keep();
        }
        self.ask(&write.in_full, parameters).await
    }

    pub(super) async fn change(&self, key: &TokenKey, change: Change) -> Result<Written, StoreError> {
        let (token, budget) = (key.token().as_str(), key.budget().as_str());
        // As of now: what another task of this process learns meanwhile may be later than what this one is told.
        let asked = *self.memory();
        let Statements { own, shared, .. } = &self.statements;
        let Changes { enrol, fail, accept, renew, reset, remove } =
            if key.owns_budget() { own } else { shared };
        let (rows, lease) = match change {
            Change::Enrol { state, budget: full } => {
                let (state, full) = (TokenColumns::new(&state)?, BudgetColumns::new(&full));
                let [epoch, watermark, nonce, mean, variance, updated, outlier] = state.parameters();
                let BudgetColumns { blind, partial, failures } = &full;
                #[rustfmt::skip]
                let parameters: [&(dyn ToSql + Sync); 12] = [
                    &token, &budget, epoch, watermark, nonce, mean, variance, updated, outlier, blind, partial, failures,
                ];
                self.ask(enrol, &parameters).await?
            }
            Change::Fail(failure) => {
                let (burn, epoch) = (failure.burn.map(TimeStep::get), signed(failure.epoch)?);
                let [blind, partial] = prices(failure.charge, failure.from);
                #[rustfmt::skip]
                let parameters: [&(dyn ToSql + Sync); 8] =
                    [&token, &budget, &blind.0, &blind.1, &partial.0, &partial.1, &burn, &epoch];
                self.write_by(fail, &parameters).await?
            }
            Change::Accept(acceptance) => {
                let (first, step) = (acceptance.first.get(), acceptance.step.get());
                let drift = DriftColumns::new(&acceptance.drift);
                let [mean, variance, updated, outlier] = drift.parameters();
                let (epoch, nonce) = (signed(acceptance.epoch)?, i64::from_le_bytes(acceptance.nonce));
                let (limit, lets_in) = (i64::from(acceptance.failure_limit), acceptance.authenticates);
                let seen = SeenColumns::new(&acceptance.seen, asked.flushed());
                let [not_before, system, timeline, run, flushed] = seen.parameters();
                #[rustfmt::skip]
                let parameters: [&(dyn ToSql + Sync); 17] = [
                    &token, &budget, &first, &step, mean, variance, updated, outlier, &epoch, &nonce, &limit, &lets_in,
                    not_before, system, timeline, run, flushed,
                ];
                self.write_by(accept, &parameters).await?
            }
            Change::Renew(renewal) => {
                let (old_epoch, old) = (signed(renewal.epoch)?, renewal.watermark.map(TimeStep::get));
                let state = TokenColumns::new(&renewal.state)?;
                let [epoch, watermark, nonce, mean, variance, updated, outlier] = state.parameters();
                let seen = SeenColumns::new(&renewal.seen, asked.flushed());
                let [not_before, system, timeline, run, flushed] = seen.parameters();
                #[rustfmt::skip]
                let parameters: [&(dyn ToSql + Sync); 16] = [
                    &token, &budget, &old_epoch, &old, epoch, watermark, nonce, mean, variance, updated, outlier,
                    not_before, system, timeline, run, flushed,
                ];
                self.ask(renew, &parameters).await?
            }
            Change::Reset(change) => {
                let BudgetColumns { blind, partial, failures } = BudgetColumns::new(&change.budget);
                self.ask(reset, &[&token, &budget, &blind, &partial, &failures]).await?
            }
            Change::Remove => self.ask(remove, &[&token, &budget]).await?,
        };
        let outcome = row::outcome(&rows)?;
        let flushed = outcome.flushed;
        // Where it isn't durable, a new connection may have other settings: those of a role reach only new ones.
        let written = self.committed(outcome)?;
        lease.keep();
        // What changed nothing is committed without a wait for the log. What was decided from rows is written where they were read, or not at all.
        if let (Written::Done, Some(seen), Some(flushed)) = (written, change.seen(), flushed) {
            self.memory().hear_of_write(&asked, seen.lineage, flushed);
        }
        Ok(written)
    }
}
