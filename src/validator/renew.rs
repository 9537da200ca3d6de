//! A token whose digits or period change.

use std::time::Duration;

use crate::event::Outcome;
use crate::otp::{TimeStep, Totp};
use crate::store::{Change, Failure, Renewal, Written};
use crate::time::SignedDuration;
use crate::token::{Drift, Token, TokenState};

use super::decide::{Decision, Purpose, Standing};
use super::parameters::{check_parameters, epoch};
use super::shell::{Refusal, nonce};
use super::trace::Open;
use super::{Attempt, Enrolment, Inner, Reason, Refused, TokenFault, Trace, Validator};

impl Validator {
    /// Goes over from the token `from` to `to`, which has the same id and budget but other digits, another period, hash or secret.
    /// `attempt` are codes of `to`, looked for where `from` was seen to be; they are used then.
    ///
    /// What is known about the token's clock and its budget is kept; what was used stays used: with a later T0 its codes come round again, and nothing
    /// is accepted until those that were used have passed. Wrong codes pay. From then on
    /// `from` is refused with [`TokenFault::OtherParameters`] (or its codes are wrong, where only the secret differs): save `to` in the user
    /// table once this has succeeded. Whoever didn't hear that it has may repeat it with the codes that come next.
    ///
    /// Only at a moment when the service has authenticated its user otherwise.
    ///
    /// # Errors
    ///
    /// [`Refused`] as from [`validate`](Self::validate); with [`TokenFault::AnotherToken`] where id or budget differ.
    pub async fn renew(&self, from: &Token, to: &Token, attempt: &Attempt) -> Result<Enrolment, Refused> {
        let inner = &*self.inner;
        let mut open = Open::new(inner, attempt, Some(from));
        let ended = inner.renew(from, to, attempt, &mut open.trace).await;
        let (trace, id) = open.close();
        match ended {
            Ok((step, drift)) => {
                let events = trace.end(inner, Outcome::Renewed, id, Some((step, to.totp())));
                Ok(Enrolment { step, drift, events })
            }
            Err(refusal) => Err(refusal.end(inner, trace, id)),
        }
    }
}

impl Inner {
    async fn renew(
        &self,
        from: &Token,
        to: &Token,
        attempt: &Attempt,
        trace: &mut Trace,
    ) -> Result<(TimeStep, Drift), Refusal> {
        if from.key() != to.key() {
            return Err(Reason::TokenUnsuited(TokenFault::AnotherToken).into());
        }
        let turn = self.turns.queue(from.key().budget(), attempt.client()).ok_or(Reason::Busy)?;
        turn.come().await?;
        let ended = self.renew_in_turn(from, to, attempt, trace).await;
        turn.end(ended)
    }

    async fn renew_in_turn(
        &self,
        from: &Token,
        to: &Token,
        attempt: &Attempt,
        trace: &mut Trace,
    ) -> Result<(TimeStep, Drift), Refusal> {
        let loaded = self.load(from.key(), trace).await?;
        let Some(standing) = self.standing(from, &loaded) else { return Err(Reason::NotEnrolled.into()) };
        let seen = loaded.seen();
        let old = standing.token;
        // Done before, and its caller didn't hear of it: it is done again, with codes that come next.
        let from = if check_parameters(&old, to.totp()).is_ok() { to } else { from };
        check_parameters(&old, from.totp()).map_err(Reason::TokenUnsuited)?;
        let now = self.now(trace)?;
        // What was used is dead in the new steps too, by its time and, where steps are as long as before, by its number.
        let mut watermark = old.watermark.and_then(|step| last_begun_within(from.totp(), step, to.totp()));
        if from.totp().period() == to.totp().period() {
            // A later T0 has the same numbers come round again, with the same codes.
            watermark = watermark.max(old.watermark);
        }
        let counted_anew = Standing { token: TokenState { watermark, ..old }, ..standing };
        match self.decide(&counted_anew, to.totp(), attempt, Purpose::LogIn, &now, trace)? {
            Decision::Accept { step, drift, .. } => {
                let state =
                    TokenState { epoch: epoch(to.totp())?, watermark: Some(step), nonce: nonce()?, drift };
                let renewal = Renewal { epoch: old.epoch, watermark: old.watermark, seen, state };
                if self.store.write(from.key(), Change::Renew(renewal)).await? == Written::Done {
                    return Ok((step, drift));
                }
                // Somebody was faster, or it was this very write whose answer was lost.
                let kept = self.load_again(from, seen, trace).await?.token.ok_or(Reason::NotEnrolled)?;
                if (kept.epoch, kept.nonce) == (state.epoch, state.nonce) {
                    return Ok((step, drift));
                }
                Err(if kept.epoch == old.epoch { Reason::Replay } else { Reason::Busy }.into())
            }
            Decision::Replay { advice } => Err(Refusal { reason: Reason::Replay, advice }),
            Decision::Wrong { failure, advice } => {
                // The row counts in the old steps. What is dead in the new ones is so already: counted there and back it would kill the next
                // one each time.
                let burn = failure.burn.filter(|step| Some(*step) > watermark);
                let burn = burn.and_then(|step| last_begun_within(to.totp(), step, from.totp()));
                self.fail(from, Failure { burn, ..failure }, &now, trace).await?;
                Err(Refusal { reason: Reason::Wrong, advice })
            }
        }
    }
}

/// The last step of `other` that has begun when `step` of `totp` ends.
fn last_begun_within(totp: &Totp, step: TimeStep, other: &Totp) -> Option<TimeStep> {
    let last =
        totp.step_start(step) + SignedDuration::from(totp.period().saturating_sub(Duration::from_nanos(1)));
    other.step_at(last)
}
