//! What can go wrong in the binary itself, with a hint for its user.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use skewgate::clock::RulesError;
use skewgate::fleet::{InventoryError, SweepError};
use skewgate::ntp::SourceAddrError;

use crate::explain::ExplainError;
use crate::output::{Status, harmless};

/// Why a command could not do its work. Findings about clocks are results, not errors.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error("{0}")]
    Rules(#[from] RulesError),
    #[error("--warning ({warning}) is above --critical ({critical}): the warning must come first")]
    Thresholds { warning: humantime::Duration, critical: humantime::Duration },
    #[error("{0}")]
    Explain(#[from] ExplainError),
    #[error("the demonstration could not {step}: {detail}")]
    Demo { step: &'static str, detail: String },
    #[error("can't answer on {address}: {error}")]
    Listen { address: SocketAddr, error: io::Error },
    #[error("can't be told to stop by a signal: {0}")]
    Signals(String),
    #[error("the server ended by itself, and should not: this is a bug in skew-check")]
    ServerEnded,
    #[error("{0}")]
    Sweep(#[from] SweepError),
    #[error("{0}")]
    Fleet(#[from] InventoryError),
    #[error("{place}: {error}")]
    Inventory { place: String, error: InventoryError },
    #[error("{place}: {error}")]
    Host { place: String, error: SourceAddrError },
    #[error("can't read {}: {error}", harmless(&file.display().to_string()))]
    ReadFile { file: PathBuf, error: io::Error },
    #[error("can't write {}: {error}", harmless(&file.display().to_string()))]
    WriteFile { file: PathBuf, error: io::Error },
    #[cfg(feature = "watch")]
    #[error("can't listen on {address}, TCP: {error}")]
    ListenTcp { address: SocketAddr, error: io::Error },
    #[cfg(feature = "watch")]
    #[error("{0}")]
    History(#[from] skewgate::fleet::HistoryError),
    #[cfg(feature = "watch")]
    #[error("the history can't be kept like that: {0}")]
    Retention(#[from] skewgate::fleet::history::RetentionError),
    #[cfg(feature = "watch")]
    #[error("threads and timers can't be had: {0}")]
    Runtime(io::Error),
    #[cfg(feature = "watch")]
    #[error("the sweeps ended by themselves, and should not: this is a bug in skew-check")]
    SweepsEnded,
    #[error("writing the result failed: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    /// What to try, where that isn't said already.
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Listen { address, error } => listen_hint(*address, error.kind()),
            #[cfg(feature = "watch")]
            Self::ListenTcp { address, error } => match error.kind() {
                ErrorKind::AddrInUse => {
                    Some("another program has this port, skew-check itself perhaps: --listen takes another")
                }
                kind => listen_hint(*address, kind),
            },
            #[cfg(feature = "watch")]
            Self::History(skewgate::fleet::HistoryError::InUse { .. }) => {
                Some("another skew-check watch runs with this --database: each needs one of its own")
            }
            Self::Rules(RulesError::SingleSource)
            | Self::Explain(ExplainError::Rules(RulesError::SingleSource))
            | Self::Sweep(SweepError::Rules(RulesError::SingleSource)) => Some("--allow-single allows it"),
            Self::Rules(RulesError::ImpossibleQuorum { .. })
            | Self::Explain(ExplainError::Rules(RulesError::ImpossibleQuorum { .. }))
            | Self::Sweep(SweepError::Rules(RulesError::ImpossibleQuorum { .. })) => Some("--quorum sets it"),
            Self::Fleet(InventoryError::NoReferences) => Some(
                "--reference names one, and so does reference = [\"…\"] in the file that --inventory names",
            ),
            Self::Fleet(InventoryError::NoHosts) => {
                Some("name them as arguments, as - for standard input, or in the file that --inventory names")
            }
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

fn listen_hint(address: SocketAddr, error: ErrorKind) -> Option<&'static str> {
    match error {
        ErrorKind::AddrInUse => Some(
            "another program has this port, a time server such as chronyd perhaps: ask that one, or listen on another port",
        ),
        ErrorKind::PermissionDenied if address.port() < 1024 => Some(
            "ports below 1024 need a privilege: run it as root, give the file the capability \
             (setcap cap_net_bind_service=+ep), or listen on a port from 1024 on",
        ),
        ErrorKind::AddrNotAvailable => {
            Some("this host has no such address; 0.0.0.0 stands for every IPv4 address, [::] for every one")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_privileged_port_has_a_way_out_and_another_has_none_to_offer() {
        let hint = |port| listen_hint(([127, 0, 0, 1], port).into(), ErrorKind::PermissionDenied);
        assert!(hint(123).is_some_and(|hint| hint.contains("cap_net_bind_service")));
        assert_eq!(hint(11_123), None);
    }
}
