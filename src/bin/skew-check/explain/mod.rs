//! `skew-check explain`: the helpdesk's question, why a code was refused.

mod cause;
mod diagnosis;
mod key;
mod options;
mod search;
mod state;
mod words;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use skewgate::clock::{OffsetInterval, RulesError};
use skewgate::ntp::{Measurement, measure};
use skewgate::otp::{Code, CodeError, Consecutive, SecretError, TotpError, UriError};
use skewgate::store::backup::LineError;
use skewgate::time::os::OsClock;
use skewgate::time::{LocalClock, SignedDuration, TimeInterval, Timestamp};
use skewgate::token::{Budget, Drift, TokenId, TokenState};
use skewgate::validator::Policy;
use skewgate::validator::decide::Standing;

use crate::error::CliError;
use crate::output::{Status, explain_json, explain_text};
use crate::probe::{Clock, clock_of};
use cause::Cause;
use diagnosis::Case;
use key::Key;
use options::Format;

pub(crate) use cause::Death;
pub(crate) use diagnosis::{Diagnosis, Fit, VALIDATORS_CLOCK};
pub(crate) use key::{Parameters, Reading};
pub(crate) use options::ExplainOptions;
pub(crate) use words::{advice, count, differences, drift, looks, sentence, span};

/// Why nothing can be explained. No text repeats any part of a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExplainError {
    #[error("can't read the secret from {}: {error}", path.display())]
    SecretFile { path: PathBuf, error: io::Error },
    #[error("there is more than a secret or a URI in what should hold the secret: is it the right file?")]
    SecretTooLong,
    #[error("there is no secret in what should hold it: is it the right file?")]
    SecretEmpty,
    #[error("there is more than one line in what should hold the secret: leave one of them")]
    SecretLines,
    #[error("{0}")]
    Secret(#[from] SecretError),
    #[error("{0}")]
    Uri(#[from] UriError),
    #[error("the URI is that of a counter-based token (HOTP): its codes have nothing to do with the time")]
    CounterBased,
    #[error(
        "the URI says hash, digits and period already: leave --algorithm, --digits, --steam and --period out"
    )]
    SaidTwice,
    #[error("{0}")]
    Code(#[from] CodeError),
    #[error("{0}")]
    Parameters(#[from] TotpError),
    #[error("can't read the token's state from {}: {error}", path.display())]
    StateFile { path: PathBuf, error: io::Error },
    #[error("the token's state must be an export or a line of one: line {line} {error}")]
    StateLine { line: usize, error: LineError },
    #[error("there is no token in what should hold its state: expected its line of an export")]
    NoState,
    #[error("there is no token `{id}` in the export: either it isn't enrolled, or it has another id")]
    NoSuchToken { id: TokenId },
    #[error("there is more than one token in the export: name the one that is meant with --token")]
    StateOfMany,
    #[error("secret and state can't both come from standard input: name a file for one of them")]
    StdinTwice,
    #[error("{0}")]
    Rules(#[from] RulesError),
}

/// What was found, ready to be printed in any format.
pub(crate) struct Finding {
    pub(crate) status: Status,
    pub(crate) diagnosis: Diagnosis,
    pub(crate) parameters: Parameters,
    pub(crate) reading: Reading,
    pub(crate) codes: Vec<skewgate::otp::Format>,
    pub(crate) policy: Policy,
    pub(crate) standing: Standing,
    /// False where nothing was said of the token's state.
    pub(crate) state_known: bool,
    /// How far it was looked for, either way.
    pub(crate) searched: Duration,
    pub(crate) tried_at: Timestamp,
    pub(crate) knowledge: Knowledge,
    /// True time when the code was tried.
    pub(crate) time: Option<TimeInterval>,
}

/// How this host's clock is known to be off.
pub(crate) enum Knowledge {
    Stated(Duration),
    Measured { measurement: Box<Measurement>, clock: Option<Clock> },
}

impl Knowledge {
    /// True time minus this host's.
    pub(crate) fn offset(&self) -> Option<OffsetInterval> {
        match self {
            Self::Stated(error) => {
                let error = SignedDuration::from(*error);
                OffsetInterval::new(-error, error)
            }
            Self::Measured { clock, .. } => clock.as_ref().map(|clock| clock.offset),
        }
    }
}

/// Looks into it and prints.
pub(crate) fn run(options: &ExplainOptions) -> Result<Status, CliError> {
    let found = explained(options);
    let mut out = anstream::stdout().lock();
    match (&found, options.format) {
        (Ok(finding), Format::Text) => explain_text::print(&mut out, finding, options.quiet)?,
        (Ok(finding), Format::Json) => explain_json::print(&mut out, finding)?,
        // A program that reads the result is told there, too, that there is none.
        (Err(error), Format::Json) => explain_json::print_nothing(&mut out, error)?,
        (Err(_), Format::Text) => {}
    }
    out.flush()?;
    Ok(found?.status)
}

fn explained(options: &ExplainOptions) -> Result<Finding, ExplainError> {
    let began = OsClock.system().realtime;
    let codes = options.codes.iter().map(|text| Code::parse(text)).collect::<Result<Vec<_>, _>>()?;
    Consecutive::new(&codes)?;
    let stdin = Some(Path::new("-"));
    if options.state.as_deref() == stdin && Some(&*options.secret_file) == stdin {
        return Err(ExplainError::StdinTwice);
    }
    let known = options.state.as_ref().map(|path| state::read(path, options.token.as_ref())).transpose()?;
    let key = Key::read(&options.secret_file, &options.given())?;
    let totp = key.parameters.totp(&key.secret)?;
    let (knowledge, unknown) = know(options)?;
    if !options.quiet {
        key.warnings.iter().for_each(|warning| anstream::eprintln!("warning: {warning}"));
        if let Knowledge::Measured { measurement, .. } = &knowledge {
            measurement.warnings.iter().for_each(|warning| anstream::eprintln!("warning: {warning}"));
        }
    }
    let tried_at = options.at.unwrap_or(began);
    let time = match knowledge.offset() {
        Some(offset) => {
            TimeInterval::new(tried_at + offset.lo(), tried_at + offset.hi()).map_err(|_| unknown)
        }
        None => Err(unknown),
    };
    let (policy, state_known) = (options.policy.policy(), known.is_some());
    let standing = known.unwrap_or_else(|| unknown_standing(time.as_ref().ok(), tried_at));
    let case = Case {
        key: &key,
        totp: &totp,
        codes: &codes,
        policy: &policy,
        standing: &standing,
        state_known,
        time: time.clone(),
        host_clock: tried_at,
        search: options.search.into(),
    };
    let diagnosis = case.explain()?;
    Ok(Finding {
        status: diagnosis.cause.status(),
        diagnosis,
        parameters: key.parameters.clone(),
        reading: key.reading,
        codes: codes.iter().map(Code::format).collect(),
        policy,
        standing,
        state_known,
        searched: options.search.into(),
        tried_at,
        knowledge,
        time: time.ok(),
    })
}

/// What is known of this host's clock; and why nothing is, if so.
fn know(options: &ExplainOptions) -> Result<(Knowledge, String), ExplainError> {
    if let Some(error) = options.clock_error {
        return Ok((Knowledge::Stated(error.into()), "the stated error is too large for a clock".into()));
    }
    let measurement = measure(&options.sources(), &options.asking.measurement(), &OsClock)?;
    let (clock, unknown) = match measurement.estimate {
        Ok(estimate) => match clock_of(estimate, &measurement) {
            Ok(clock) => (Some(clock), String::new()),
            Err(error) => (None, error.to_string()),
        },
        Err(error) => (None, error.to_string()),
    };
    Ok((Knowledge::Measured { measurement: Box::new(measurement), clock }, unknown))
}

/// A token of which nothing is known but that it is enrolled: its clock is right, none of its codes was used, and
/// nobody has guessed.
fn unknown_standing(time: Option<&TimeInterval>, host_clock: Timestamp) -> Standing {
    let (earliest, latest) = time.map_or((host_clock, host_clock), |time| (time.earliest(), time.latest()));
    let drift = Drift::from_parts(SignedDuration::ZERO, 0, latest, None);
    let token = TokenState { epoch: 0, watermark: None, nonce: [0; 8], drift };
    Standing { token, budget: Budget::full(earliest), not_before: None }
}
