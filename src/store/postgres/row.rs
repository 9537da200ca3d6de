//! Rows of the table and what they mean.

use tokio_postgres::Row as PgRow;
use tokio_postgres::types::FromSql;

use crate::otp::TimeStep;
use crate::store::{Record, Replaced, Row, StoreError, Written};
use crate::time::{SignedDuration, Timestamp};
use crate::token::{Budget, Drift, TokenId, TokenKey, TokenState};

use super::NAME;

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

fn corrupt(what: String) -> StoreError {
    StoreError::Corrupt { store: NAME, what }
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
    /// Which server answered; `None` for a standby.
    pub(super) server: Option<Server>,
    /// Which one the tables were last known on, if they still are what they were then.
    pub(super) known: Option<Server>,
}

/// Which PostgreSQL it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Server {
    system: i64,
    timeline: i64,
}

impl Server {
    /// As changes carry it.
    pub(super) fn lineage(self) -> [u8; 20] {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&self.system.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.timeline.to_be_bytes());
        bytes
    }
    /// Its identifier and its timeline, as they were written there.
    pub(super) fn of_lineage(lineage: [u8; 20]) -> [i64; 2] {
        let (numbers, _) = lineage.as_chunks();
        [0, 1].map(|at| numbers.get(at).copied().map_or(0, i64::from_be_bytes))
    }

    fn parse(text: &str) -> Result<Self, StoreError> {
        let parts = text.split_once('/').and_then(|(system, timeline)| {
            Some(Self { system: system.parse().ok()?, timeline: timeline.parse().ok()? })
        });
        parts.ok_or_else(|| corrupt(format!("the server's identity is {text:?}")))
    }

    /// In which way it isn't the one that it was. A new timeline begins where a standby is promoted, and where a base backup
    /// is recovered: nothing tells one from the other.
    pub(super) fn compare(self, known: Option<Self>, promotion: Replaced) -> Option<Replaced> {
        match known {
            Some(known) if known == self => None,
            Some(known) if known.system == self.system && known.timeline < self.timeline => Some(promotion),
            _ => Some(Replaced::Restored),
        }
    }
}

pub(super) fn found(row: &PgRow) -> Result<Found, StoreError> {
    let mut columns = Columns { row, next: 0 };
    let parts = parts(&mut columns)?;
    let not_before = columns.moment("not_before")?;
    let server: Option<&str> = columns.take("server")?;
    let known: Option<&str> = columns.take("known")?;
    let intact: Option<bool> = columns.take("intact")?;
    Ok(Found {
        row: parts,
        not_before,
        server: server.map(Server::parse).transpose()?,
        known: known.filter(|_| intact == Some(true)).map(Server::parse).transpose()?,
    })
}

/// A row of a scan, with both names as they are kept.
pub(super) fn scanned(row: &PgRow) -> Result<(Row, &str, &str), StoreError> {
    let mut columns = Columns { row, next: 0 };
    let parts = parts(&mut columns)?;
    let (id, budget) = (columns.take("id")?, columns.take("budget")?);
    let (Some(id), Some(budget)) = (id, budget) else {
        return Err(corrupt("a token has no name".to_owned()));
    };
    Ok((parts, id, budget))
}

/// What a row of a scan is the record of.
pub(super) fn record(row: Row, id: &str, budget: &str) -> Result<Record, StoreError> {
    let name = |text: &str| TokenId::new(text).map_err(|error| corrupt(format!("{text:?}: {error}")));
    let (Some(state), Some(kept)) = (row.token, row.budget) else {
        return Err(corrupt("a token's columns are NULL in part".to_owned()));
    };
    let token = name(id)?;
    if budget == id {
        return Err(corrupt(format!("{id:?} names itself as its budget")));
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
}

pub(super) fn outcome(row: &PgRow) -> Result<Outcome, StoreError> {
    let mut columns = Columns { row, next: 0 };
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
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_identifier_and_its_timeline() {
        let server = |text: &str| Server::parse(text).unwrap();
        let now = server("7711046875946803446/3");
        let seen = |known: &str, promotion| now.compare(Some(server(known)), promotion);
        for promotion in [Replaced::Failover, Replaced::Restored] {
            assert_eq!(seen("7711046875946803446/3", promotion), None);
            assert_eq!(seen("7711046875946803446/2", promotion), Some(promotion));
            assert_eq!(seen("7711046875946803446/4", promotion), Some(Replaced::Restored), "time ran back");
            assert_eq!(seen("7711046875946803447/3", promotion), Some(Replaced::Restored));
            assert_eq!(seen("7711046875946803447/2", promotion), Some(Replaced::Restored));
            assert_eq!(now.compare(None, promotion), Some(Replaced::Restored), "a lost row is no new one");
        }
        for text in ["", "1", "1/", "/1", "a/1", "1/1/1"] {
            assert!(Server::parse(text).is_err(), "{text}");
        }
    }
}
