//! Passwords: argon2id, with the parameters that OWASP asks for (19 MiB, two passes).

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::error::RequestError;

/// So many are hashed at once: each takes 19 MiB and a processor.
const AT_ONCE: usize = 2;

/// What has the length of a password. SP 800-63B-4 asks for 8 characters beside a second factor, and for 64 to be possible.
pub(crate) const SHORTEST: usize = 8;
pub(crate) const LONGEST: usize = 128;

pub(crate) struct Passwords {
    places: Semaphore,
    /// What an unknown user's password is compared with.
    stand_in: String,
}

impl Passwords {
    pub(crate) fn new() -> Result<Self, String> {
        let mut nobodys = Zeroizing::new([0; 16]);
        getrandom::fill(&mut *nobodys).map_err(|error| error.to_string())?;
        Ok(Self { places: Semaphore::new(AT_ONCE), stand_in: hash(&*nobodys)? })
    }

    pub(crate) async fn hash(&self, password: Zeroizing<String>) -> Result<String, RequestError> {
        let _place = self.places.acquire().await.map_err(|_| RequestError::Panicked)?;
        tokio::task::spawn_blocking(move || hash(password.as_bytes()))
            .await
            .map_err(|_| RequestError::Panicked)?
            .map_err(RequestError::Passwords)
    }

    /// Without a `hash` it is wrong, after the same work.
    pub(crate) async fn is_right(
        &self,
        password: Zeroizing<String>,
        hash: Option<&str>,
    ) -> Result<bool, RequestError> {
        let _place = self.places.acquire().await.map_err(|_| RequestError::Panicked)?;
        let (known, hash) = (hash.is_some(), hash.unwrap_or(&self.stand_in).to_owned());
        let fits = tokio::task::spawn_blocking(move || {
            let hash = PasswordHash::new(&hash).map_err(|error| error.to_string())?;
            Ok(Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
        });
        let fits = fits.await.map_err(|_| RequestError::Panicked)?.map_err(RequestError::Passwords)?;
        Ok(fits && known)
    }
}

fn hash(password: &[u8]) -> Result<String, String> {
    let hash = Argon2::default().hash_password(password).map_err(|error| error.to_string())?;
    Ok(hash.to_string())
}
