//! Enrolment: the only way in which a token gets a state.

use std::time::Duration;

use crate::event::{Outcome, SecurityEvent};
use crate::otp::{TimeStep, scan};
use crate::store::{Enrol, StoreError};
use crate::token::{Budget, Drift, Measurement, Token, TokenState};
use crate::window::{Window, WindowError};

use super::{Attempt, ClockFault, Inner, TokenFault, Trace, Validator, decide, epoch, nonce};

/// An enrolled token.
#[derive(Debug)]
#[non_exhaustive]
pub struct Enrolment {
    /// The step of the code that was shown, the last one of several: used now.
    pub step: TimeStep,
    /// What its codes taught about the token's clock.
    pub drift: Drift,
    /// What a log should remember: already emitted through `tracing`.
    pub events: Vec<SecurityEvent>,
}

/// Why a token wasn't enrolled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// It has a state already.
    #[error("this token is enrolled already: give a replacement a new id")]
    AlreadyEnrolled,
    /// The codes don't fit.
    #[error(
        "no step within {reach:?} of now fits: check the secret, and that the codes are consecutive; with more codes a \
         clock that is further off can be learned"
    )]
    NoMatch {
        /// How far off a clock may be with as many codes.
        reach: Duration,
    },
    /// True time isn't known well enough.
    #[error("no clock can be learned without knowing the time: {0}")]
    ClockUntrusted(#[source] ClockFault),
    /// The token could never be validated under this policy.
    #[error("this token could never be validated: {0}")]
    TokenUnsuited(#[source] TokenFault),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: check its entropy source")]
    NoRandomness,
    /// The store failed. The token may have been enrolled.
    #[error(transparent)]
    StoreFailed(#[from] StoreError),
}

impl EnrolError {
    const fn from_window(error: WindowError) -> Self {
        match error {
            WindowError::ClockTooUncertain { .. } => Self::ClockUntrusted(ClockFault::TooUncertain(error)),
            _ => Self::TokenUnsuited(TokenFault::NoWindow(error)),
        }
    }

    const fn outcome(&self) -> Outcome {
        match self {
            Self::AlreadyEnrolled | Self::NoMatch { .. } => Outcome::EnrolmentRefused,
            Self::ClockUntrusted(_) => Outcome::ClockUntrusted,
            Self::TokenUnsuited(_) => Outcome::TokenUnsuited,
            Self::NoRandomness => Outcome::NoRandomness,
            Self::StoreFailed(_) => Outcome::StoreFailed,
        }
    }
}

impl Validator {
    /// Enrols a token whose user shows that it works: one code if its clock is within 30 s of true time, two consecutive
    /// ones within 10 minutes, three within an hour. What they teach about the clock is where the next code is looked for.
    ///
    /// Only at a moment when the service has authenticated its user otherwise: wrong codes cost nothing here.
    ///
    /// # Errors
    ///
    /// [`EnrolError`] where the codes don't fit, the token has a state already, the clock can't be trusted, the token
    /// can't be validated at all, or the store failed.
    pub async fn enrol(&self, token: &Token, attempt: &Attempt) -> Result<Enrolment, EnrolError> {
        let inner = &*self.inner;
        let mut trace = Trace::default();
        let ended = inner.enrol(token, attempt, &mut trace).await;
        let (outcome, step) = match &ended {
            Ok((step, _)) => (Outcome::Enrolled, Some(*step)),
            Err(error) => (error.outcome(), None),
        };
        let event = SecurityEvent::new(outcome, Some(token.id().clone()), inner.time.system_clock());
        let events = trace.emit(event, step, token.totp());
        ended.map(|(step, drift)| Enrolment { step, drift, events })
    }
}

impl Inner {
    async fn enrol(
        &self,
        token: &Token,
        attempt: &Attempt,
        trace: &mut Trace,
    ) -> Result<(TimeStep, Drift), EnrolError> {
        let totp = token.totp();
        decide::check_digits(totp).map_err(EnrolError::TokenUnsuited)?;
        if self.store.load(token.id()).await?.is_some() {
            return Err(EnrolError::AlreadyEnrolled);
        }
        let now = self.time.now().map_err(|error| EnrolError::ClockUntrusted(error.into()))?;
        trace.now = Some(now);
        let (period, t0) = (totp.period(), totp.t0());
        let window = Window::for_enrolment(&self.policy, period, t0, &now, attempt.count())
            .map_err(EnrolError::from_window)?;
        trace.width = Some(window.width());
        let step = scan(totp, window.ranges(), None, attempt.codes()).fresh.ok_or_else(|| {
            EnrolError::NoMatch { reach: Window::enrolment_reach(&self.policy, attempt.count()) }
        })?;
        let model = self.policy.drift_model();
        let drift = Drift::first(model, Measurement::new(model, step, period, t0, &now));
        let state = TokenState {
            epoch: epoch().map_err(|_| EnrolError::NoRandomness)?,
            watermark: Some(step),
            nonce: nonce().map_err(|_| EnrolError::NoRandomness)?,
            drift,
            budget: if self.store.survives_restart() {
                Budget::full(now.earliest())
            } else {
                Budget::nearly_empty(now.earliest())
            },
        };
        if self.store.enrol(token.id(), state).await? == Enrol::Created {
            return Ok((step, drift));
        }
        // As with an acceptance: it may have been this very write, whose answer was lost.
        let kept = self.store.load(token.id()).await?;
        // The rest of it may have changed since: a wrong code in another process pays at once.
        if kept.is_some_and(|kept| (kept.epoch, kept.nonce) == (state.epoch, state.nonce)) {
            Ok((step, drift))
        } else {
            Err(EnrolError::AlreadyEnrolled)
        }
    }
}
