//! Secrets at rest: sealed with a key that isn't in the user table, so that whoever steals the table has no codes.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use skewgate::otp::Secret;
use skewgate::seal::{
    Binding, KeyRing, RingError, SealError, Sealed, SealedError, SealingKey, SealingKeyError,
};
use skewgate::token::{Token, TokenId, TokenIdError};
use zeroize::Zeroizing;

/// Why a secret can't be kept, or read again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VaultError {
    #[error("the sealing key {path} can't be read or made: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error(
        "{path} holds no sealing key: expected its name, a space, and 32 bytes as base64; restore it from a backup"
    )]
    NoKey { path: PathBuf },
    #[error(
        "secrets in the user table were sealed with {id}, which isn't the key in sealing.key: restore that file"
    )]
    KeyLost { id: String },
    #[error(transparent)]
    Key(#[from] SealingKeyError),
    #[error(transparent)]
    Ring(#[from] RingError),
    #[error("a new key can't be named: {0}")]
    NoRandomness(#[from] getrandom::Error),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("a secret in the user table can't be read: {0}")]
    Sealed(#[from] SealedError),
    #[error(transparent)]
    Id(#[from] TokenIdError),
    #[error(transparent)]
    Totp(#[from] skewgate::otp::TotpError),
}

pub(crate) struct Vault(KeyRing);

impl Vault {
    /// The key in this directory is made at the first start. A service that has a place for keys takes it from there. Without a
    /// directory there is one for as long as the process lives.
    pub(crate) fn open(directory: Option<&Path>) -> Result<Self, VaultError> {
        let key = match directory {
            Some(directory) => stored(&directory.join("sealing.key"))?,
            None => new_key()?,
        };
        Ok(Self(KeyRing::new(key).in_context("login_service")?))
    }

    /// Sees at the start, and not when somebody wants to sign in, that there is a key for every secret of the table.
    pub(crate) fn check(&self, sealed: impl IntoIterator<Item = String>) -> Result<(), VaultError> {
        for text in sealed {
            let sealed = Sealed::parse(&text)?;
            if !self.0.holds(sealed.key_id()) {
                return Err(VaultError::KeyLost { id: sealed.key_id().as_str().into() });
            }
        }
        Ok(())
    }

    /// For the row of this token, and for no other.
    pub(crate) fn seal(&self, token_id: &str, secret: &Secret) -> Result<String, VaultError> {
        Ok(self.0.seal(secret, &binding(token_id)?)?.to_string())
    }

    pub(crate) fn token(&self, token_id: &str, sealed: &str) -> Result<Token, VaultError> {
        Ok(self.0.open_token(&Sealed::parse(sealed)?, &binding(token_id)?)?)
    }
}

/// A token has one secret for all of its life: each enrolment makes a new token.
fn binding(token_id: &str) -> Result<Binding, VaultError> {
    Ok(Binding::builder(TokenId::new(token_id)?, 0).build()?)
}

/// Its name tells it from every other: one that is lost is missed, and not mistaken.
fn new_key() -> Result<SealingKey, VaultError> {
    Ok(SealingKey::generate(&format!("key-{:08x}", getrandom::u32()?))?)
}

fn stored(path: &Path) -> Result<SealingKey, VaultError> {
    let failed = |source| VaultError::File { path: path.to_owned(), source };
    match fs::read_to_string(path).map(Zeroizing::new) {
        Ok(text) => {
            let no_key = || VaultError::NoKey { path: path.to_owned() };
            let (id, key) = text.trim_end().split_once(' ').ok_or_else(no_key)?;
            Ok(SealingKey::from_base64(id, key)?)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = new_key()?;
            write(path, &key).map_err(failed)?;
            Ok(key)
        }
        Err(error) => Err(failed(error)),
    }
}

/// On the disk before anything is sealed with it.
fn write(path: &Path, key: &SealingKey) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let text = Zeroizing::new(format!("{} {}\n", key.id().as_str(), key.expose_base64().as_str()));
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
