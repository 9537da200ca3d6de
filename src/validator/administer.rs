//! What an administrator does.

use crate::event::Outcome;
use crate::otp::TimeStep;
use crate::store::{Change, Renewal, Replaced, Reset, StoreError, Written};
use crate::time::Timestamp;
use crate::token::{Budget, Token, TokenState};
use crate::window::Window;

use super::parameters::{check_parameters, epoch};
use super::shell::{dead_until, nonce};
use super::{ClockFault, Inner, TokenFault, Trace, Validator};

/// How often a reset is computed anew because the token was used meanwhile.
const TRIES: usize = 16;

/// Why an administrator's wish wasn't done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdministerError {
    /// There is no such token.
    #[error("there is no state for this token: nothing to change")]
    NotEnrolled,
    /// True time isn't known.
    #[error("that can't be done without knowing the time: {0}")]
    ClockUntrusted(#[source] ClockFault),
    /// The token isn't as it was enrolled.
    #[error("this token can't be changed: {0}")]
    TokenUnsuited(#[source] TokenFault),
    /// The token is being used all the time.
    #[error("the token was used by somebody each time that it was to be changed: try again")]
    Contended,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: check its entropy source")]
    NoRandomness,
    /// The store failed. It may have been done.
    #[error(transparent)]
    StoreFailed(#[from] StoreError),
}

impl AdministerError {
    const fn outcome(&self) -> Outcome {
        match self {
            Self::NotEnrolled => Outcome::StateMissing,
            Self::TokenUnsuited(_) => Outcome::TokenUnsuited,
            Self::Contended => Outcome::Busy,
            Self::ClockUntrusted(_) => Outcome::ClockUntrusted,
            Self::NoRandomness => Outcome::NoRandomness,
            Self::StoreFailed(_) => Outcome::StoreFailed,
        }
    }
}

/// For the service's own administration, never for what a user or a client asks for.
impl Validator {
    /// Gives a token, and all that share its budget, the whole budget back and ends its row of failures; a watermark that lies ahead of the present window is set
    /// down to its top, never lower: what could be used by now stays used.
    ///
    /// Not while the time may be wrong: if it lies *behind*, the watermark is set down to a time that has passed, and codes that were used since then are
    /// accepted once more. The same happens where time was known much less well when the newest code was accepted than it is now.
    ///
    /// After a restore neither is given back at once: what is dead for all tokens stays dead, for about six minutes, and for 18 hours (single codes; pairs a little
    /// more than a day) the budget is no fuller than a restore has left it.
    ///
    /// For an account that is locked, or that is throttled and whose owner is known to ask; and for a token that was used at a time
    /// of the future. What guessers may try counts from nothing again: each reset is worth a day and a half of guessing.
    ///
    /// # Errors
    ///
    /// [`AdministerError`] where there is no such token, the time isn't known, or the store failed.
    pub async fn reset(&self, token: &Token) -> Result<(), AdministerError> {
        let inner = &*self.inner;
        let mut trace = Trace::default();
        let ended = inner.reset(token, &mut trace).await;
        inner.administered(ended, Outcome::Reset, Some(token), trace)
    }

    /// Makes the store forget a token: its codes are refused from now on. Its budget stays, so that nothing is won by removing and
    /// [enrolling](Self::enrol) a token again: no guesses, and no code that was used, but for what is said there.
    ///
    /// # Errors
    ///
    /// [`AdministerError`] where there is no such token, or the store failed.
    pub async fn remove(&self, token: &Token) -> Result<(), AdministerError> {
        let inner = &*self.inner;
        let ended = match inner.store.write(token.key(), Change::Remove).await {
            Ok(Written::Done) => Ok(()),
            Ok(_) => Err(AdministerError::NotEnrolled),
            Err(error) => Err(error.into()),
        };
        inner.administered(ended, Outcome::Removed, Some(token), Trace::default())
    }

    /// Tells that the store's rows may be older than what users were promised: after every restore, import by other means, and
    /// change of stores, before the first login.
    ///
    /// For every token, codes that could have been used by now are refused, those within reach of one
    /// resynchronisation since the rows were saved included: nobody gets in for about six minutes, nor a token whose clock is behind for as much longer. (A token that was moved twice since then, or enrolled anew under the
    /// same id with a clock that is further off, may have used codes that lie further ahead: those work once more at their time.) Nothing is resynchronised until all that could
    /// have been used has come out of reach; and as budgets may have forgotten what was paid, all count as about half full.
    ///
    /// Until when, is returned.
    ///
    /// # Errors
    ///
    /// [`AdministerError`] where the time isn't known, or the store failed.
    pub async fn restored(&self) -> Result<Timestamp, AdministerError> {
        let inner = &*self.inner;
        let mut trace = Trace::default();
        let ended = inner.restored(&mut trace).await;
        inner.administered(ended, Outcome::Restored, None, trace)
    }
}

impl Inner {
    fn administered<T>(
        &self,
        ended: Result<T, AdministerError>,
        done: Outcome,
        token: Option<&Token>,
        trace: Trace,
    ) -> Result<T, AdministerError> {
        let outcome = ended.as_ref().map_or_else(AdministerError::outcome, |_| done);
        trace.end(self, outcome, token.map(|token| token.id().clone()), None);
        ended
    }

    async fn reset(&self, token: &Token, trace: &mut Trace) -> Result<(), AdministerError> {
        let (policy, totp) = (self.policy.window(), token.totp());
        for _ in 0..TRIES {
            let loaded = self.store.load(token.key()).await?;
            if let Some(replaced) = loaded.replaced {
                let now = self.agreed_now(trace).map_err(AdministerError::ClockUntrusted)?;
                self.store.set_not_before(dead_until(replaced, &now)).await?;
                continue;
            }
            let state = loaded.row.token.ok_or(AdministerError::NotEnrolled)?;
            check_parameters(&state, totp).map_err(AdministerError::TokenUnsuited)?;
            // After what was used by then: the top of an earlier moment may lie below it.
            let now = self.time.now().map_err(|error| AdministerError::ClockUntrusted(error.into()))?;
            trace.now = Some(now);
            let top = Window::newest_until(policy, totp.period(), totp.t0(), now.latest(), &state.drift);
            let lowered = TokenState {
                epoch: epoch(totp).map_err(|_| AdministerError::NoRandomness)?,
                watermark: state.watermark.map(|watermark| watermark.min(top.unwrap_or(TimeStep::ZERO))),
                nonce: nonce().map_err(|_| AdministerError::NoRandomness)?,
                ..state
            };
            // Only if the row is still what it was computed from: since then a code may have been used that lies above.
            let TokenState { epoch, watermark, .. } = state;
            let lower = Renewal { epoch, watermark, seen: loaded.seen(), state: lowered };
            match self.store.write(token.key(), Change::Renew(lower)).await? {
                Written::Done => {}
                Written::Refused => continue,
                Written::Missing => return Err(AdministerError::NotEnrolled),
            }
            let reset = Reset { budget: Budget::full(now.earliest()) };
            return match self.store.write(token.key(), Change::Reset(reset)).await? {
                Written::Done => {
                    self.owed.forget(token.key().budget());
                    Ok(())
                }
                Written::Missing | Written::Refused => Err(AdministerError::NotEnrolled),
            };
        }
        Err(AdministerError::Contended)
    }

    async fn restored(&self, trace: &mut Trace) -> Result<Timestamp, AdministerError> {
        let now = self.agreed_now(trace).map_err(AdministerError::ClockUntrusted)?;
        let moment = dead_until(Replaced::Restored, &now);
        self.store.set_not_before(moment).await?;
        Ok(moment)
    }
}
