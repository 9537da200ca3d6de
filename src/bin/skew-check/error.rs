//! What can go wrong in the binary itself, with a hint for its user.

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use skewgate::clock::RulesError;

use crate::output::Status;

/// Why a command could not do its work. Findings about clocks are results, not errors.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error("{0}")]
    Rules(#[from] RulesError),
    #[error("--warning ({warning}) is above --critical ({critical}): the warning must come first")]
    Thresholds { warning: humantime::Duration, critical: humantime::Duration },
    #[error("the demonstration could not {step}: {detail}")]
    Demo { step: &'static str, detail: String },
    #[error("writing the result failed: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    /// What to try, where that isn't said already.
    const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Rules(RulesError::SingleSource) => Some("--allow-single allows it"),
            Self::Rules(RulesError::ImpossibleQuorum { .. }) => Some("--quorum sets it"),
            Self::Demo { .. } => Some("it needs nothing but UDP and threads on 127.0.0.1"),
            _ => None,
        }
    }

    /// Tells the user, on standard error.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            // Whoever read the output has seen enough; there is nobody left to tell.
            Self::Output(error) if error.kind() == ErrorKind::BrokenPipe => {}
            _ => {
                anstream::eprintln!("skew-check: {self}");
                if let Some(hint) = self.hint() {
                    anstream::eprintln!("hint: {hint}");
                }
            }
        }
        Status::Unknown.into()
    }
}
