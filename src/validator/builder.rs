//! How a validator is made.

use std::sync::Arc;

use crate::otp::{Algorithm, Secret, SecretError, Totp, TotpError};
use crate::store::StateStore;
use crate::time::TimeSource;
use crate::token::Odds;

use super::{Ceiling, Counters, Inner, Owed, Policy, StandIns, Turns, Validator};

/// Makes a [`Validator`].
#[must_use = "nothing is made before `build`"]
pub struct ValidatorBuilder {
    store: Arc<dyn StateStore>,
    time: Arc<dyn TimeSource>,
    policy: Policy,
    ceiling: Option<Odds>,
}

impl ValidatorBuilder {
    pub(super) fn new(store: Arc<dyn StateStore>, time: Arc<dyn TimeSource>) -> Self {
        Self { store, time, policy: Policy::default(), ceiling: None }
    }

    /// Which windows may be, and how many failures. Otherwise [`Policy::default`].
    pub fn policy(mut self, policy: impl Into<Policy>) -> Self {
        self.policy = policy.into();
        self
    }

    /// The most that may be guessed at all tokens together, in break-ins that are to be expected a day. Past it, single codes are
    /// refused for everybody with [`Reason::CeilingReached`](super::Reason::CeilingReached), and two consecutive ones let in.
    ///
    /// Otherwise there is none, and who tries a few codes at each of a million tokens may find 20 a day.
    ///
    /// It counts what this process sees: divide what a whole service may lose by the number of its processes. A day's worth
    /// can be spent at once. For a hundred thousand logins a day of which one in twenty is mistyped at three steps,
    /// 0.015 are spent by honest users: below that the ceiling would be reached every day.
    ///
    /// ```
    /// use skewgate::store::MemoryStore;
    /// use skewgate::time::os::SystemTime;
    /// use skewgate::token::Odds;
    /// use skewgate::validator::Validator;
    /// use std::{sync::Arc, time::Duration};
    ///
    /// let clock = SystemTime::with_max_error(Duration::from_secs(1));
    /// let gate = Validator::builder(Arc::new(MemoryStore::new()), Arc::new(clock))
    ///     .ceiling(Odds::from_e12(100_000_000_000)) // 0.1 a day
    ///     .build()?;
    /// # Ok::<(), skewgate::validator::BuildError>(())
    /// ```
    pub const fn ceiling(mut self, per_day: Odds) -> Self {
        self.ceiling = Some(per_day);
        self
    }

    /// The validator.
    ///
    /// # Errors
    ///
    /// [`BuildError`] where the operating system gives no random bytes.
    pub fn build(self) -> Result<Validator, BuildError> {
        let secret = Secret::generate(Algorithm::Sha1)?;
        let stand_ins = StandIns::new(Totp::builder(&secret).build()?);
        let Self { store, time, policy, ceiling } = self;
        let (turns, counters) = (Turns::new(), Counters::default());
        let ceiling = ceiling.map(Ceiling::new);
        let owed = Owed::default();
        let inner = Inner { store, time, policy, ceiling, turns, owed, counters, stand_ins };
        Ok(Validator { inner: Arc::new(inner) })
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
