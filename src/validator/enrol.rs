//! Enrolment: the only way in which a token gets a state.

use std::time::Duration;

use crate::event::{Outcome, SecurityEvent};
use crate::otp::{TimeStep, Totp, scan};
use crate::store::{Change, StoreError, Written};
use crate::time::{SignedDuration, TimeInterval};
use crate::token::{Budget, Drift, Measurement, Token, TokenState};
use crate::window::{Window, WindowError};

use super::parameters::epoch;
use super::shell::nonce;
use super::{Attempt, ClockFault, Inner, TokenFault, Trace, Validator, decide};

/// How uncertain the clock of a token is that comes from another system: its standard deviation. What such systems keep is
/// a number of steps, so half a step either way; and what they accept is a step or two.
const IMPORTED_DEVIATION: Duration = Duration::from_secs(15);

/// An enrolled token.
#[derive(Debug)]
#[non_exhaustive]
pub struct Enrolment {
    /// The step of the code that was shown, the last one of several: used now. Of an imported token, the newest step that counts as used.
    pub step: TimeStep,
    /// What its codes taught about the token's clock.
    pub drift: Drift,
    /// What a log should remember: already emitted through `tracing`.
    pub events: Vec<SecurityEvent>,
}

/// What another system knew about a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The newest step that it has accepted: no step up to it is accepted here, nor any that the token could have used here before it
    /// was removed. `None` where it didn't say: then no step is
    /// accepted that could have been used by now, so its user has to wait for a minute or so before the first login.
    pub last_used: Option<TimeStep>,
    /// How far ahead of true time the token's clock is. `None` is taken for a right clock.
    pub ahead: Option<SignedDuration>,
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
    /// The other system has its clock so far off that it couldn't be looked for here.
    #[error(
        "its clock is said to be {ahead} ahead, at most {limit:?} either way can be looked for: check the other system's unit, have the clock set, \
         or enrol it with three of its codes"
    )]
    TooFarOff {
        /// How far ahead it is said to be.
        ahead: SignedDuration,
        /// How far it may be.
        limit: Duration,
    },
    /// The other system says that a code was used that no token shows yet.
    #[error(
        "step {last_used} is said to have been used, which no token has shown yet{}: check that it is a number of steps, not of seconds",
        furthest.map(|step| format!(" (at most {step})")).unwrap_or_default()
    )]
    UsedInTheFuture {
        /// The step that is said to have been used.
        last_used: TimeStep,
        /// The newest that a token can have shown whose clock is as far ahead as any may be. `None` before its first one.
        furthest: Option<TimeStep>,
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
            Self::AlreadyEnrolled
            | Self::NoMatch { .. }
            | Self::TooFarOff { .. }
            | Self::UsedInTheFuture { .. } => Outcome::EnrolmentRefused,
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
    /// Which secrets it is for:
    ///
    /// - New ones. What a secret's codes were used for elsewhere, or here before the store lost them, isn't known.
    /// - For one that is in use at another system, or goes over to a budget that it shares here, there is [`enrol_imported`](Self::enrol_imported).
    /// - One that was [removed](Self::remove) here may be enrolled again: its budget was kept, and none of its codes is accepted that could have been used
    ///   by now, so its user may have to wait for a minute or two. (Unless its clock was more than 30 s ahead, and was set back since, or old codes show it to be
    ///   less so.) The same holds for a second token on one budget.
    ///
    /// # Errors
    ///
    /// [`EnrolError`] where the codes don't fit, the token has a state already, the clock can't be trusted, the token
    /// can't be validated at all, or the store failed.
    pub async fn enrol(&self, token: &Token, attempt: &Attempt) -> Result<Enrolment, EnrolError> {
        let inner = &*self.inner;
        let mut trace = Trace::of(attempt);
        let ended = inner.enrol(token, attempt, &mut trace).await;
        inner.enrolled(token, ended, true, trace)
    }

    /// Enrols a token that its user used at another system, without seeing a code of it.
    ///
    /// ```
    /// use skewgate::otp::{Secret, TimeStep, Totp};
    /// use skewgate::store::MemoryStore;
    /// use skewgate::time::os::SystemTime;
    /// use skewgate::token::{Token, TokenId};
    /// use skewgate::validator::{Imported, Validator};
    /// use std::{sync::Arc, time::Duration};
    ///
    /// let clock = SystemTime::with_max_error(Duration::from_secs(1));
    /// let gate = Validator::builder(Arc::new(MemoryStore::new()), Arc::new(clock)).build()?;
    /// let secret = Secret::from_base32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")?;
    /// let token = Token::new(TokenId::new("ada")?, Totp::builder(&secret).build()?);
    ///
    /// let known = Imported { last_used: TimeStep::new(59_341_234), ahead: None };
    /// skewgate::block_on(gate.enrol_imported(&token, known))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`EnrolError`] where the token has a state already, its clock is further off than can be looked for, a code is said to have been used
    /// that isn't shown yet, true time isn't known, the token
    /// can't be validated at all, or the store failed.
    pub async fn enrol_imported(&self, token: &Token, known: Imported) -> Result<Enrolment, EnrolError> {
        let inner = &*self.inner;
        let mut trace = Trace::default();
        let ended = inner.enrol_imported(token, known, &mut trace).await;
        inner.enrolled(token, ended, false, trace)
    }
}

impl Inner {
    fn enrolled(
        &self,
        token: &Token,
        ended: Result<(TimeStep, Drift), EnrolError>,
        by_code: bool,
        trace: Trace,
    ) -> Result<Enrolment, EnrolError> {
        let (outcome, step) = match &ended {
            Ok((step, _)) => (Outcome::Enrolled, by_code.then_some((*step, token.totp()))),
            Err(error) => (error.outcome(), None),
        };
        let events = trace.end(self, outcome, Some(token.id().clone()), step);
        ended.map(|(step, drift)| Enrolment { step, drift, events })
    }

    async fn enrol(
        &self,
        token: &Token,
        attempt: &Attempt,
        trace: &mut Trace,
    ) -> Result<(TimeStep, Drift), EnrolError> {
        let (now, left) = self.check_new(token, trace).await?;
        let totp = token.totp();
        let (policy, period, t0) = (self.policy.window(), totp.period(), totp.t0());
        let window = Window::for_enrolment(policy, period, t0, &now, attempt.count())
            .map_err(EnrolError::from_window)?;
        trace.width = Some(window.width());
        let step = scan(totp, window.ranges(), None, attempt.codes())
            .fresh
            .ok_or_else(|| EnrolError::NoMatch { reach: Window::enrolment_reach(policy, attempt.count()) })?;
        let model = policy.drift_model();
        let drift = Drift::first(model, Measurement::new(model, step, period, t0, &now));
        let dead = left.and_then(|_| self.may_be_used(totp, &drift, &now));
        self.create(token, dead.map_or(step, |dead| dead.max(step)), drift, &now).await?;
        Ok((step, drift))
    }

    /// The newest step that a token could have used here before it was removed: it may have left a budget, and have shown newer codes
    /// than those that are known.
    fn may_be_used(&self, totp: &Totp, drift: &Drift, now: &TimeInterval) -> Option<TimeStep> {
        let (policy, period, t0) = (self.policy.window(), totp.period(), totp.t0());
        let where_it_is = Window::newest_until(policy, period, t0, now.latest(), drift);
        let nearly_right = Window::for_enrolment(policy, period, t0, now, 1).ok();
        where_it_is.max(nearly_right.map(|window| window.top()))
    }

    async fn enrol_imported(
        &self,
        token: &Token,
        known: Imported,
        trace: &mut Trace,
    ) -> Result<(TimeStep, Drift), EnrolError> {
        let (now, left) = self.check_new(token, trace).await?;
        let totp = token.totp();
        let (policy, period, t0) = (self.policy.window(), totp.period(), totp.t0());
        // Only to see whether it could ever be validated.
        Window::for_enrolment(policy, period, t0, &now, 1).map_err(EnrolError::from_window)?;
        let limit = SignedDuration::from(policy.drift_model().max_drift);
        let ahead = known.ahead.unwrap_or(SignedDuration::ZERO);
        if ahead < -limit || limit < ahead {
            return Err(EnrolError::TooFarOff { ahead, limit: policy.drift_model().max_drift });
        }
        let furthest = totp.step_at(now.latest() + limit);
        if let Some(last_used) = known.last_used.filter(|last_used| furthest < Some(*last_used)) {
            return Err(EnrolError::UsedInTheFuture { last_used, furthest });
        }
        let variance = u64::try_from(IMPORTED_DEVIATION.as_micros().pow(2)).unwrap_or(u64::MAX);
        let drift = Drift::from_parts(ahead, variance, now.midpoint(), None);
        let newest = || Window::newest_until(policy, period, t0, now.latest(), &drift);
        let dead = left.and_then(|_| self.may_be_used(totp, &drift, &now));
        let watermark = known.last_used.or_else(newest).max(dead).unwrap_or(TimeStep::ZERO);
        self.create(token, watermark, drift, &now).await?;
        Ok((watermark, drift))
    }

    /// The time, if the token can be enrolled now, and the budget that somebody has left for it.
    async fn check_new(
        &self,
        token: &Token,
        trace: &mut Trace,
    ) -> Result<(TimeInterval, Option<Budget>), EnrolError> {
        decide::check_digits(token.totp()).map_err(EnrolError::TokenUnsuited)?;
        let row = self.store.load(token.key()).await?.row;
        if row.token.is_some() {
            return Err(EnrolError::AlreadyEnrolled);
        }
        let now = self.time.now().map_err(|error| EnrolError::ClockUntrusted(error.into()))?;
        trace.now = Some(now);
        Ok((now, row.budget))
    }

    async fn create(
        &self,
        token: &Token,
        watermark: TimeStep,
        drift: Drift,
        now: &TimeInterval,
    ) -> Result<(), EnrolError> {
        let state = TokenState {
            epoch: epoch(token.totp()).map_err(|_| EnrolError::NoRandomness)?,
            watermark: Some(watermark),
            nonce: nonce().map_err(|_| EnrolError::NoRandomness)?,
            drift,
        };
        let enrol = Change::Enrol { state, budget: self.fresh_budget(now) };
        if self.store.write(token.key(), enrol).await? == Written::Done {
            return Ok(());
        }
        // As with an acceptance: it may have been this very write, whose answer was lost.
        let kept = self.store.load(token.key()).await?.row.token;
        // The rest of it may have changed since: a wrong code in another process burns at once.
        if kept.is_some_and(|kept| (kept.epoch, kept.nonce) == (state.epoch, state.nonce)) {
            Ok(())
        } else {
            Err(EnrolError::AlreadyEnrolled)
        }
    }

    /// The budget of a token of which nothing was guessed yet.
    pub(super) fn fresh_budget(&self, now: &TimeInterval) -> Budget {
        if self.store.survives_restart() {
            Budget::full(now.earliest())
        } else {
            Budget::half_full(now.earliest())
        }
    }
}
