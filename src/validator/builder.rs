//! How a validator is made.

use std::sync::Arc;

use crate::otp::{Algorithm, Secret, SecretError, Totp, TotpError};
use crate::store::StateStore;
use crate::time::TimeSource;
use crate::token::{Token, TokenId};
use crate::window::WindowPolicy;

use super::{Inner, Turns, Validator};

/// Makes a [`Validator`].
#[must_use = "nothing is made before `build`"]
pub struct ValidatorBuilder {
    store: Arc<dyn StateStore>,
    time: Arc<dyn TimeSource>,
    policy: WindowPolicy,
}

impl ValidatorBuilder {
    pub(super) fn new(store: Arc<dyn StateStore>, time: Arc<dyn TimeSource>) -> Self {
        Self { store, time, policy: WindowPolicy::default() }
    }

    /// Which windows may be. Otherwise [`WindowPolicy::default`].
    pub const fn window_policy(mut self, policy: WindowPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The validator.
    ///
    /// # Errors
    ///
    /// [`BuildError`] where the operating system gives no random bytes.
    pub fn build(self) -> Result<Validator, BuildError> {
        let secret = Secret::generate(Algorithm::Sha1)?;
        let stand_in = Token::new(TokenId::stand_in(), Totp::builder(&secret).build()?);
        let Self { store, time, policy } = self;
        Ok(Validator { inner: Arc::new(Inner { store, time, policy, turns: Turns::new(), stand_in }) })
    }
}

impl std::fmt::Debug for ValidatorBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ValidatorBuilder").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// Why there is no [`Validator`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No secret could be made for the row that stands in for unknown tokens.
    #[error("a validator needs random bytes to begin with: {0}")]
    NoRandomness(#[from] SecretError),
    /// That secret makes no token.
    #[error("the token that stands in for unknown ones could not be made: {0}")]
    StandIn(#[from] TotpError),
}
