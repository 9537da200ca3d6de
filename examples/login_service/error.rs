//! What can go wrong, at the start and later.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use skewgate::monitor::MonitorError;
use skewgate::validator::BuildError;

use crate::users::UsersError;
use crate::vault::VaultError;

/// Why the service doesn't start, or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("the clock can't be watched: {0}")]
    Clock(#[from] MonitorError),
    #[error("the directory {path} can't be used ({source}): create it, or name another one with --data")]
    Directory { path: PathBuf, source: io::Error },
    #[error("the token store can't be opened: {0}")]
    Store(Box<dyn std::error::Error + Send + Sync>),
    #[cfg(not(all(feature = "redis", feature = "postgres")))]
    #[error("this build has no {store} store: build it with --features {store}")]
    StoreNotBuilt { store: &'static str },
    #[error(transparent)]
    Users(#[from] UsersError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Validator(#[from] BuildError),
    #[error("the operating system gave no random bytes ({0}): check its entropy source")]
    NoRandomness(#[from] getrandom::Error),
    #[error("no password can be hashed: {0}")]
    Passwords(String),
    #[error("{address} can't be listened on ({source}): choose another one with {option}")]
    Listen { address: SocketAddr, option: &'static str, source: io::Error },
    #[error("the service failed: {0}")]
    Io(#[from] io::Error),
}

impl StartError {
    pub(crate) fn open(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Store(error.into())
    }
}

/// Why a request couldn't be answered. Its visitor is told that it isn't their fault, the log gets the reason.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error(transparent)]
    Users(#[from] UsersError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("no password can be hashed: {0}")]
    Passwords(String),
    #[error("a new token can't be made: {0}")]
    NewToken(Box<dyn std::error::Error + Send + Sync>),
    #[error("the operating system gave no random bytes ({0}): check its entropy source")]
    NoRandomness(#[from] getrandom::Error),
    #[error("a task of this service has ended by a panic, which is a defect")]
    Panicked,
}
