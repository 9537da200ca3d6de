//! Backups of a store, as lines of JSON that hold no secret.
//!
//! [`export`] writes what a [`ManageStore`] holds, [`import`] brings it into another one, or into the same after a loss. A backup is
//! older than the truth: codes were used and guesses paid for since. So [`import`] first declares everything up to now dead
//! ([`StateStore::set_not_before`](super::StateStore::set_not_before)), and is refused where nobody knows what now is.
//! Whoever restores a database by its own means calls [`Validator::restored`](crate::validator::Validator::restored) instead.
//!
//! ```
//! use skewgate::block_on;
//! use skewgate::store::{MemoryStore, backup};
//! use skewgate::time::os::SystemTime;
//! use std::time::Duration;
//!
//! let (old, new) = (MemoryStore::new(), MemoryStore::new());
//! let mut file = Vec::new();
//! let exported = block_on(backup::export(&old, &mut file))?;
//!
//! let clock = SystemTime::with_max_error(Duration::from_secs(1));
//! let imported = block_on(backup::import(&new, &clock, &mut file.as_slice()))?;
//! assert_eq!((exported, imported.created), (0, 0));
//! # Ok::<(), skewgate::store::backup::BackupError>(())
//! ```
//!
//! | line | what it says |
//! | --- | --- |
//! | first | `{"schema":"skewgate/tokens/1","not_before_ns":null}`, and up to when codes were dead for all tokens, if they were |
//! | each token | `token`, `budget` (the name of its guess budget, where that is another), `epoch`, `watermark` (a time step), `mean_ns`, `variance_us2`, `updated_ns`, `outlier_ns` (its clock's drift), `blind_full_at_ns`, `partial_full_at_ns`, `failures` (the budget) |
//! | last | `{"end":true,"tokens":2}`: without it, the file was cut off and nothing is imported |
//!
//! Times are nanoseconds since the Unix epoch. A budget on which no token is any more isn't in it; whoever is enrolled on that again begins with one
//! that is about half full, as everybody does after an import.
//!
//! # The drill
//!
//! 1. Every night, [`export`] to a file, and back up the user table, with its sealed secrets, after that: a token that is in one of them alone
//!    lets nobody in.
//! 2. After a loss, stop every node of the service. Bring the user table back, and make an empty store.
//! 3. See that the clock is right (`skew-check probe`): what is declared dead, is dead until then.
//! 4. [`import`], before the first login. It says how many tokens came back.
//! 5. Start the service. For about six minutes nobody gets in; who was enrolled since the backup is unknown and enrols again; a
//!    resynchronisation has to wait until all that could have been used is out of reach.
//! 6. Try it before it is needed: export, log in, import into an empty store. The code of that login, and those of the next five
//!    minutes, must be refused; after seven one is let in. Every store of this crate is put to that test.
//!
//! A store may come back by other means: the embedded store's file or Redis's files from a copy, a virtual machine's disk from a snapshot. Then put them
//! in their place while every node is stopped, and call [`Validator::restored`](crate::validator::Validator::restored) before the first login.
//! PostgreSQL's has a drill of its own: `store::postgres::restore`.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, Write};
use std::ops::ControlFlow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::{Outcome, SecurityEvent};
use crate::otp::TimeStep;
use crate::time::{SignedDuration, TimeError, TimeSource, Timestamp};
use crate::token::{Bucket, Budget, Drift, TokenId, TokenIdError, TokenKey, TokenState};
use crate::window::RESYNCHRONISATION_SLACK;

use super::{Change, ManageStore, Record, StoreError, Written};

const SCHEMA: &str = "skewgate/tokens/1";

/// How far this host's own clock may be from true time when everything until now is declared dead.
const MOST_APART: Duration = Duration::from_secs(3600);

/// The longest line that is read: two names of 255 characters that are all escaped, and ten numbers.
const LONGEST_LINE: u64 = 8 * 1024;

/// Why there is no backup, or nothing was imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The file can't be read or written.
    #[error("the backup can't be read or written: {0}")]
    Io(#[from] io::Error),
    /// A line isn't what it should be. Nothing was imported.
    #[error("line {line} of the backup {flaw}; nothing was imported")]
    Line {
        /// Which line, counted from 1.
        line: usize,
        /// What is wrong with it.
        flaw: LineError,
    },
    /// The last line is missing. Nothing was imported.
    #[error(
        "the backup ends after line {lines} without its last line: it was cut off, and nothing was imported; use a whole one"
    )]
    CutOff {
        /// How many lines there are.
        lines: usize,
    },
    /// True time isn't known. Nothing was imported.
    #[error("nothing can be imported without knowing the time: {0}")]
    ClockUntrusted(#[from] TimeError),
    /// This host's own clock may be more than an hour from true time, and what is declared dead is so for good. Nothing was imported.
    #[error(
        "this host's clock is up to {apart:.1?} from what its time sources say, at most an hour is allowed here: set it, or mend the sources"
    )]
    ClockContradicted {
        /// How far they may be apart.
        apart: Duration,
    },
    /// The operating system gave no random bytes. Nothing was imported.
    #[error("the operating system gave no random bytes: check its entropy source; nothing was imported")]
    NoRandomness,
    /// The store failed. What was imported until then stays; a second run goes on.
    #[error("after {created} tokens: {source}; run the import again, what is there is left alone")]
    StoreFailed {
        /// How many tokens were created.
        created: usize,
        /// What went wrong.
        source: StoreError,
    },
}

/// What is wrong with a line of a backup.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// It is no JSON, or has other fields than it should.
    #[error("can't be understood: {}", without_line(.0))]
    Syntax(#[from] serde_json::Error),
    /// The file is something else, or of another version.
    #[error("says that this is {got:?}, expected {SCHEMA:?}: use the version of skewgate that wrote it")]
    Schema {
        /// What it says.
        got: String,
    },
    /// A name is none.
    #[error("names no token: {0}")]
    Name(#[from] TokenIdError),
    /// A number can't be what it stands for.
    #[error("has a {field} that can't be: {got}")]
    Number {
        /// Which field.
        field: &'static str,
        /// Its value.
        got: String,
    },
    /// The same token twice.
    #[error("names the token {token} for the second time")]
    Twice {
        /// Which one.
        token: TokenId,
    },
    /// The number of tokens isn't what the last line says.
    #[error("counts {said} tokens, and there are {found}: the file was changed")]
    Count {
        /// What it says.
        said: usize,
        /// How many there are.
        found: usize,
    },
    /// It comes after the last line, or is too long.
    #[error("doesn't belong there: it is longer than any, or comes after the last one")]
    Surplus,
}

/// What [`import`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Import {
    /// How many tokens are new.
    pub created: usize,
    /// How many were there already, and were left alone.
    pub kept: usize,
    /// Codes that could have been used by then are dead.
    pub not_before: Timestamp,
}

/// Writes all tokens of `store` to `out`, and returns how many there were. While logins go on each is written as it was before
/// or after.
///
/// # Errors
///
/// [`BackupError`] where the store failed or `out` can't be written: then the last line is missing.
pub async fn export(store: &dyn ManageStore, out: &mut (dyn Write + Send)) -> Result<usize, BackupError> {
    let failed = |source| BackupError::StoreFailed { created: 0, source };
    // What holds for all tokens comes with any.
    let not_before = store.load(&TokenId::stand_in(0).into()).await.map_err(failed)?.not_before;
    let first = First { schema: SCHEMA.to_owned(), not_before_ns: not_before.map(Timestamp::as_unix_nanos) };
    let (mut tokens, mut ended) = (0, write_line(out, &first));
    let mut visit = |record: Record| {
        if ended.is_ok() {
            ended = write_line(out, &Line::from(&record));
            tokens += 1;
        }
        if ended.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    store.scan(&mut visit).await.map_err(failed)?;
    ended?;
    write_line(out, &Last { end: true, tokens })?;
    out.flush()?;
    Ok(tokens)
}

/// Brings the tokens of a backup into `store`. Those that it has already are left alone: they know more. Each one that is new there gets an
/// epoch of its own, so that nothing is written to it that was decided before.
///
/// Tokens of one account that were written while it was guessed at may say different things of its budget: the emptier one counts.
///
/// Nothing is written before the whole backup has been read. Afterwards nobody gets in for about six minutes, see
/// [`Validator::restored`](crate::validator::Validator::restored). As there, a security event [`Outcome::Restored`] says so, once that is
/// declared and before the first token is written. It has no price: nothing was paid here.
///
/// # Errors
///
/// [`BackupError`] where the backup isn't whole, the time isn't known, or the store failed.
pub async fn import(
    store: &dyn ManageStore,
    time: &dyn TimeSource,
    input: &mut (dyn BufRead + Send),
) -> Result<Import, BackupError> {
    let Backup { records, not_before: before } = read(input)?;
    let (now, local_time) = (time.now()?, time.system_clock());
    let apart = now.furthest_from(local_time);
    if apart > MOST_APART {
        return Err(BackupError::ClockContradicted { apart });
    }
    let not_before = now.latest() + SignedDuration::from(RESYNCHRONISATION_SLACK);
    if let Some(before) = before.filter(|before| *before > not_before + SignedDuration::from(MOST_APART)) {
        let got = before.as_unix_nanos().to_string();
        let flaw = LineError::Number { field: "not_before_ns", got };
        return Err(BackupError::Line { line: 1, flaw });
    }
    let not_before = not_before.max(before.unwrap_or(not_before));
    let mut budgets: HashMap<TokenId, Budget> = HashMap::new();
    for Record { key, budget, .. } in &records {
        let kept = budgets.entry(key.budget().clone()).or_insert(*budget);
        *kept = kept.emptier(*budget);
    }
    let (mut created, mut kept) = (0, 0);
    let failed = |created, source| BackupError::StoreFailed { created, source };
    random()?;
    store.set_not_before(not_before).await.map_err(|source| failed(0, source))?;
    let mut event = SecurityEvent::new(Outcome::Restored, None, local_time);
    event.true_time = Some(now.midpoint());
    event.half_width = Some(now.half_width());
    event.emit();
    for Record { key, state, budget } in records {
        let budget = budgets.get(key.budget()).copied().unwrap_or(budget);
        let state = TokenState { epoch: state.another_epoch(random()?), ..state };
        let enrol = Change::Enrol { state, budget };
        match store.write(&key, enrol).await.map_err(|source| failed(created, source))? {
            Written::Done => created += 1,
            Written::Refused | Written::Missing => kept += 1,
        }
    }
    Ok(Import { created, kept, not_before })
}

fn random() -> Result<u64, BackupError> {
    getrandom::u64().map_err(|_| BackupError::NoRandomness)
}

/// A whole backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// Its tokens.
    pub records: Vec<Record>,
    /// Codes that could have been used by then were dead in the store that it was made of.
    pub not_before: Option<Timestamp>,
}

/// Reads a whole backup.
///
/// # Errors
///
/// [`BackupError`] where a line can't be understood, is there twice or is missing.
pub fn read(input: &mut dyn BufRead) -> Result<Backup, BackupError> {
    let (mut records, mut not_before, mut names) = (Vec::new(), None, HashSet::new());
    let (mut line, mut text) = (0, String::new());
    let mut ended = false;
    while next_line(input, &mut text)? > 0 {
        line += 1;
        let flaw = |flaw| BackupError::Line { line, flaw };
        if ended || text.len() as u64 >= LONGEST_LINE {
            return Err(flaw(LineError::Surplus));
        }
        if line == 1 {
            let First { schema, not_before_ns } =
                serde_json::from_str(&text).map_err(|error| flaw(error.into()))?;
            if schema != SCHEMA {
                return Err(flaw(LineError::Schema { got: schema }));
            }
            not_before = not_before_ns.map(Timestamp::from_unix_nanos);
        } else if let Ok(Last { tokens, end: true }) = serde_json::from_str(&text) {
            if tokens != records.len() {
                return Err(flaw(LineError::Count { said: tokens, found: records.len() }));
            }
            ended = true;
        } else {
            let record = match read_line(&text) {
                // What ends in the middle of a line was cut there.
                Err(_) if !text.ends_with('\n') => return Err(BackupError::CutOff { lines: line - 1 }),
                record => record.map_err(flaw)?,
            };
            if !names.insert(record.key.clone()) {
                return Err(flaw(LineError::Twice { token: record.key.token().clone() }));
            }
            records.push(record);
        }
    }
    if ended { Ok(Backup { records, not_before }) } else { Err(BackupError::CutOff { lines: line }) }
}

/// Reads the line of one token.
///
/// # Errors
///
/// [`LineError`] where it can't be understood.
pub fn read_line(line: &str) -> Result<Record, LineError> {
    let line: Line = serde_json::from_str(line)?;
    line.try_into()
}

/// The parser sees one line, which it counts as the first: whoever tells this error knows better.
fn without_line(error: &serde_json::Error) -> String {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    text.strip_suffix(&place).map_or(text.clone(), |what| format!("{what} at column {}", error.column()))
}

/// At most [`LONGEST_LINE`] bytes.
fn next_line(input: &mut dyn BufRead, text: &mut String) -> io::Result<usize> {
    text.clear();
    io::Read::take(input, LONGEST_LINE).read_line(text)
}

fn write_line(out: &mut (dyn Write + Send), line: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    out.write_all(&text)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct First {
    schema: String,
    #[serde(default)]
    not_before_ns: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    end: bool,
    tokens: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    token: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    budget: Option<String>,
    epoch: u64,
    watermark: Option<i64>,
    mean_ns: i64,
    variance_us2: u64,
    updated_ns: i64,
    outlier_ns: Option<i64>,
    blind_full_at_ns: i64,
    partial_full_at_ns: i64,
    failures: u32,
}

impl From<&Record> for Line {
    fn from(Record { key, state, budget }: &Record) -> Self {
        Self {
            token: key.token().as_str().to_owned(),
            budget: (!key.owns_budget()).then(|| key.budget().as_str().to_owned()),
            epoch: state.epoch,
            watermark: state.watermark.map(TimeStep::get),
            mean_ns: state.drift.mean().as_nanos(),
            variance_us2: state.drift.variance(),
            updated_ns: state.drift.updated().as_unix_nanos(),
            outlier_ns: state.drift.outlier().map(SignedDuration::as_nanos),
            blind_full_at_ns: budget.full_at(Bucket::Blind).as_unix_nanos(),
            partial_full_at_ns: budget.full_at(Bucket::Partial).as_unix_nanos(),
            failures: budget.failures(),
        }
    }
}

impl TryFrom<Line> for Record {
    type Error = LineError;

    fn try_from(line: Line) -> Result<Self, LineError> {
        let number = |field, got: String| LineError::Number { field, got };
        let token = TokenId::new(&line.token)?;
        let budget = line.budget.as_deref().map_or_else(|| Ok(token.clone()), TokenId::new)?;
        let watermark = line
            .watermark
            .map(|step| TimeStep::new(step).ok_or_else(|| number("watermark", step.to_string())))
            .transpose()?;
        if i64::try_from(line.epoch).is_err() {
            return Err(number("epoch", line.epoch.to_string()));
        }
        let drift = Drift::from_parts(
            SignedDuration::from_nanos(line.mean_ns),
            line.variance_us2,
            Timestamp::from_unix_nanos(line.updated_ns),
            line.outlier_ns.map(SignedDuration::from_nanos),
        );
        Ok(Self {
            key: TokenKey::new(token, budget),
            // Whoever made the last write isn't waiting for its answer any more.
            state: TokenState { epoch: line.epoch, watermark, nonce: [0; 8], drift },
            budget: Budget::from_parts(
                Timestamp::from_unix_nanos(line.blind_full_at_ns),
                Timestamp::from_unix_nanos(line.partial_full_at_ns),
                line.failures,
            ),
        })
    }
}

#[cfg(test)]
mod tests;
