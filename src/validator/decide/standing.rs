//! What is known before an attempt.

use crate::otp::{TimeStep, Totp};
use crate::store::Loaded;
use crate::time::Timestamp;
use crate::token::{Budget, TokenState};
use crate::validator::parameters::check_parameters;
use crate::validator::{Policy, TokenFault};
use crate::window::Window;

/// What is known about an enrolled token when an attempt is decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What is known of the token.
    pub token: TokenState,
    /// What may still be guessed.
    pub budget: Budget,
    /// Codes that could have been used until then are dead, and budgets were about half full then: the row may be older than
    /// that. See [`Loaded::not_before`].
    pub not_before: Option<Timestamp>,
}

impl Standing {
    /// What a store has said; `None` where the token isn't enrolled.
    #[must_use]
    pub fn of(loaded: &Loaded) -> Option<Self> {
        let Loaded { row, not_before, .. } = *loaded;
        Some(Self { token: row.token?, budget: row.budget?, not_before })
    }

    /// The newest dead step: the token's watermark, or what is dead since the store was restored, whichever is newer.
    #[must_use]
    pub fn newest_dead(&self, policy: &Policy, totp: &Totp) -> Option<TimeStep> {
        let (window, drift) = (policy.window(), &self.token.drift);
        let restored = self
            .not_before
            .and_then(|moment| Window::newest_until(window, totp.period(), totp.t0(), moment, drift));
        // `None` is less than every step.
        self.token.watermark.max(restored)
    }

    /// Whether the token was enrolled with codes that are made like these, but for their secret. A validator looks at that before all else.
    ///
    /// # Errors
    ///
    /// [`TokenFault::OtherParameters`] where it wasn't: its row counts other steps.
    pub fn check_parameters(&self, totp: &Totp) -> Result<(), TokenFault> {
        check_parameters(&self.token, totp)
    }
}
