//! Rows of the table and what they mean.

use tokio_postgres::Row as PgRow;
use tokio_postgres::types::{FromSql, PgLsn};

use crate::otp::TimeStep;
use crate::store::{Record, Row, StoreError, Written};
use crate::time::{SignedDuration, Timestamp};
use crate::token::{Budget, Drift, TokenId, TokenKey, TokenState};

use super::NAME;
use super::memory::Word;
use super::server::{Run, Server};

/// Reads columns one after the other.
struct Columns<'a> {
    row: &'a PgRow,
    next: usize,
}

impl<'a> Columns<'a> {
    /// The next column. What has another type than it should is not what this crate has made.
    fn take<T: FromSql<'a>>(&mut self, name: &str) -> Result<Option<T>, StoreError> {
        let at = self.next;
        self.next += 1;
        self.row.try_get(at).map_err(|_| corrupt(format!("{name} has another type than it should")))
    }

    fn moment(&mut self, name: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.take(name)?.map(Timestamp::from_unix_nanos))
    }
}

pub(super) fn corrupt(what: String) -> StoreError {
    StoreError::Corrupt { store: NAME, what }
}

/// Which row it is, and what helps: such a row is in the way of an enrolment too.
fn named(id: &str, budget: &str, error: StoreError) -> StoreError {
    let StoreError::Corrupt { what, .. } = error else { return error };
    let shared = if budget.is_empty() { String::new() } else { format!(" with the budget of {budget:?}") };
    corrupt(format!(
        "token {id:?}{shared}: {what}; without a backup, delete its row by hand first, and give the token a new secret, as its used codes are \
         forgotten with the row"
    ))
}

/// What `numeric` shows: PostgreSQL's own text of it.
fn whole<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| corrupt(format!("{name} is {text:?}, expected a whole number in its range")))
}

/// The columns of a token and those of its budget.
fn parts(columns: &mut Columns<'_>) -> Result<Row, StoreError> {
    let row = Row { token: token(columns)?, budget: budget(columns)? };
    if row.token.is_some() && row.budget.is_none() {
        return Err(corrupt("a token's budget is gone".to_owned()));
    }
    Ok(row)
}

fn token(columns: &mut Columns<'_>) -> Result<Option<TokenState>, StoreError> {
    let epoch: Option<i64> = columns.take("epoch")?;
    let watermark: Option<i64> = columns.take("watermark")?;
    let nonce: Option<i64> = columns.take("nonce")?;
    let mean: Option<i64> = columns.take("drift_mean")?;
    let variance: Option<i64> = columns.take("drift_variance")?;
    let updated = columns.moment("drift_updated")?;
    let outlier: Option<&str> = columns.take("drift_outlier")?;
    let (epoch, nonce, mean, variance, updated, outlier) =
        match (epoch, nonce, mean, variance, updated, outlier) {
            (Some(epoch), Some(nonce), Some(mean), Some(variance), Some(updated), Some(outlier)) => {
                (epoch, nonce, mean, variance, updated, outlier)
            }
            (None, None, None, None, None, None) if watermark.is_none() => return Ok(None),
            _ => return Err(corrupt("a token's columns are NULL in part".to_owned())),
        };
    let outlier = match outlier {
        "NaN" => None,
        text => Some(SignedDuration::from_nanos(whole("drift_outlier", text)?)),
    };
    let step = |step| {
        TimeStep::new(step).ok_or_else(|| corrupt(format!("watermark is {step}, expected a step from 0 on")))
    };
    Ok(Some(TokenState {
        epoch: u64::try_from(epoch)
            .map_err(|_| corrupt(format!("epoch is {epoch}, expected no negative number")))?,
        watermark: watermark.map(step).transpose()?,
        nonce: nonce.to_le_bytes(),
        drift: Drift::from_parts(
            SignedDuration::from_nanos(mean),
            variance.cast_unsigned(),
            updated,
            outlier,
        ),
    }))
}

fn budget(columns: &mut Columns<'_>) -> Result<Option<Budget>, StoreError> {
    let blind = columns.moment("blind_full_at")?;
    let partial = columns.moment("partial_full_at")?;
    let failures: Option<&str> = columns.take("failures")?;
    match (blind, partial, failures) {
        (Some(blind), Some(partial), Some(failures)) => {
            Ok(Some(Budget::from_parts(blind, partial, whole("failures", failures)?)))
        }
        (None, None, None) => Ok(None),
        _ => Err(corrupt("a budget's columns are NULL in part".to_owned())),
    }
}

/// What `load` has found.
pub(super) struct Found {
    pub(super) row: Row,
    pub(super) not_before: Option<Timestamp>,
    /// What the server says of itself; `None` for a standby.
    pub(super) word: Option<Word>,
    /// Which one the tables were last known on, if they still are what they were then.
    pub(super) known: Option<Server>,
}

pub(super) fn found(row: &PgRow, key: &TokenKey) -> Result<Found, StoreError> {
    let mut columns = Columns { row, next: 0 };
    let budget = if key.owns_budget() { "" } else { key.budget().as_str() };
    let parts = parts(&mut columns).map_err(|error| named(key.token().as_str(), budget, error))?;
    let not_before = columns.moment("not_before")?;
    let run = run(&mut columns)?;
    let known: Option<&str> = columns.take("known")?;
    let intact: Option<bool> = columns.take("intact")?;
    let flushed = position(&mut columns)?;
    Ok(Found {
        row: parts,
        not_before,
        word: run.zip(flushed).map(|(run, flushed)| Word { run, flushed, not_before }),
        known: known.filter(|_| intact == Some(true)).map(Server::parse).transpose()?,
    })
}

fn run(columns: &mut Columns<'_>) -> Result<Option<Run>, StoreError> {
    let run: Option<&str> = columns.take("server")?;
    run.map(Run::parse).transpose()
}

/// A place in the server's log, in bytes since its beginning.
fn position(columns: &mut Columns<'_>) -> Result<Option<i64>, StoreError> {
    let position: Option<PgLsn> = columns.take("position")?;
    Ok(position.map(|position| u64::from(position).cast_signed()))
}

/// A row of a scan, with both names as they are kept.
pub(super) fn scanned(row: &PgRow) -> Result<(Row, &str, &str), StoreError> {
    let mut names = Columns { row, next: row.len().saturating_sub(2) };
    let (id, budget) = (names.take("id")?, names.take("budget")?);
    let (Some(id), Some(budget)) = (id, budget) else {
        return Err(corrupt("a token has no name".to_owned()));
    };
    let parts = parts(&mut Columns { row, next: 0 }).map_err(|error| named(id, budget, error))?;
    Ok((parts, id, budget))
}

/// What a row of a scan is the record of.
pub(super) fn record(row: Row, id: &str, budget: &str) -> Result<Record, StoreError> {
    let corrupt = |what: String| named(id, budget, corrupt(what));
    let name = |text: &str| TokenId::new(text).map_err(|error| corrupt(format!("{text:?}: {error}")));
    let (Some(state), Some(kept)) = (row.token, row.budget) else {
        return Err(corrupt("its columns are NULL in part".to_owned()));
    };
    let token = name(id)?;
    if budget == id {
        return Err(corrupt("it names itself as its budget".to_owned()));
    }
    let key = if budget.is_empty() { token.into() } else { TokenKey::new(token, name(budget)?) };
    Ok(Record { key, state, budget: kept })
}

/// What came of a write, and what it was committed under.
pub(super) struct Outcome {
    pub(super) written: Written,
    pub(super) synchronous_commit: String,
    pub(super) fsync: String,
    pub(super) standbys: String,
    /// Up to where the log is flushed once this is answered, if anything was written.
    pub(super) flushed: Option<i64>,
}

pub(super) fn outcome(rows: &[PgRow]) -> Result<Outcome, StoreError> {
    outcome_of(&mut answer(rows)?)
}

/// What came of a declaration, and what the server says of itself since.
pub(super) fn declared(rows: &[PgRow]) -> Result<(Outcome, Option<Word>), StoreError> {
    let mut columns = answer(rows)?;
    let outcome = outcome_of(&mut columns)?;
    let not_before = columns.moment("not_before")?;
    let word =
        run(&mut columns)?.zip(outcome.flushed).map(|(run, flushed)| Word { run, flushed, not_before });
    Ok((outcome, word))
}

fn answer(rows: &[PgRow]) -> Result<Columns<'_>, StoreError> {
    let row = rows.first().ok_or_else(|| corrupt("a write without an answer".to_owned()))?;
    Ok(Columns { row, next: 0 })
}

fn outcome_of(columns: &mut Columns<'_>) -> Result<Outcome, StoreError> {
    let written = match columns.take::<i32>("outcome")? {
        Some(0) => Written::Done,
        Some(1) => Written::Refused,
        Some(2) => Written::Missing,
        other => return Err(corrupt(format!("a write answered {other:?}"))),
    };
    let mut text = |name| Ok::<String, StoreError>(columns.take(name)?.unwrap_or_default());
    Ok(Outcome {
        written,
        synchronous_commit: text("synchronous_commit")?,
        fsync: text("fsync")?,
        standbys: text("synchronous_standby_names")?,
        flushed: position(columns)?,
    })
}
