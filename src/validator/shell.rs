//! The way from an attempt to what is written: load, admit, look, judge, write.

use std::hint::black_box;
use std::time::Duration;

use crate::event::SecurityEvent;
use crate::otp::{TimeStep, Totp};
use crate::store::{Acceptance, Change, Failure, Loaded, Replaced, Row, Seen, Written};
use crate::time::os::OsClock;
use crate::time::{LocalClock, SignedDuration, TimeInterval, Timestamp};
use crate::token::{Drift, Odds, Token, TokenId, TokenKey, TokenState};
use crate::window::RESYNCHRONISATION_SLACK;

use super::decide::{self, Decision, Purpose, Standing};
use super::stand_in;
use super::turn::Turn;
use super::{Advice, Attempt, ClockFault, Inner, Reason, Refused, Trace};

/// How far this host's own clock may be from true time when something is declared dead for all tokens.
const MOST_APART: Duration = Duration::from_secs(3600);

impl Inner {
    pub(super) async fn attempt(
        &self,
        token: &Token,
        attempt: &Attempt,
        purpose: Purpose,
        trace: &mut Trace,
    ) -> Result<(TimeStep, Drift), Refusal> {
        let turn = self.turns.queue(token.key().budget(), attempt.client()).ok_or(Reason::Busy)?;
        turn.come().await?;
        let ended = self.attempt_in_turn(&turn, token, attempt, purpose, trace).await;
        turn.end(ended)
    }

    async fn attempt_in_turn(
        &self,
        turn: &Turn<'_>,
        token: &Token,
        attempt: &Attempt,
        purpose: Purpose,
        trace: &mut Trace,
    ) -> Result<(TimeStep, Drift), Refusal> {
        let loaded = self.load(token.key(), trace).await?;
        let Some(standing) = self.standing(token, &loaded) else {
            let stand_in = self.stand_ins.of_token(token.key());
            // Whatever that comes to: that the state is missing is what an operator has to know.
            let _ = self.feign(stand_in, token.totp(), attempt, loaded.not_before, trace).await;
            return Err(Reason::NotEnrolled.into());
        };
        standing.check_parameters(token.totp()).map_err(Reason::TokenUnsuited)?;
        // Read after the waiting is over: the interval must contain true time when the code is judged.
        let now = self.now(trace)?;
        match self.decide(&standing, token.totp(), attempt, purpose, &now, trace)? {
            Decision::Accept { first, step, drift } => {
                let acceptance = Acceptance {
                    first,
                    step,
                    drift,
                    epoch: standing.token.epoch,
                    seen: loaded.seen(),
                    nonce: turn.nonce(OsClock.raw()),
                    failure_limit: self.policy.failure_limit().map_or(u32::MAX, u32::from),
                    authenticates: purpose == Purpose::LogIn,
                };
                self.accept(token, acceptance, trace).await?;
                Ok((step, drift))
            }
            Decision::Replay { advice } => Err(Refusal { reason: Reason::Replay, advice }),
            Decision::Wrong { failure, advice } => {
                self.fail(token, failure, &now, trace).await?;
                Err(Refusal { reason: Reason::Wrong, advice })
            }
        }
    }

    /// What is known of an enrolled token, with what attempts owe that were given up.
    pub(super) fn standing(&self, token: &Token, loaded: &Loaded) -> Option<Standing> {
        let standing = Standing::of(loaded)?;
        Some(Standing { budget: self.owed.charge(token.key().budget(), standing.budget), ..standing })
    }

    /// The decision, and the width of the window that it was made in for the `trace`.
    pub(super) fn decide(
        &self,
        standing: &Standing,
        totp: &Totp,
        attempt: &Attempt,
        purpose: Purpose,
        now: &TimeInterval,
        trace: &mut Trace,
    ) -> Result<Decision, Reason> {
        self.check_ceiling(attempt, now)?;
        let admission = decide::admit(standing, &self.policy, totp, now, purpose, attempt.count())?;
        trace.width = Some(admission.window().width());
        let found = admission.look(totp, attempt.codes());
        Ok(decide::judge(&admission, &found))
    }

    /// Writes an acceptance; an error unless this attempt is the one that moved the watermark.
    async fn accept(&self, token: &Token, acceptance: Acceptance, trace: &mut Trace) -> Result<(), Reason> {
        if self.store.write(token.key(), Change::Accept(acceptance)).await? == Written::Done {
            return Ok(());
        }
        // Somebody was faster, or it was this very write: a store that repeats a write whose answer it never got is told
        // "refused" by its own success.
        // Above the step by now where a failure has burnt some more: that leaves the nonce alone.
        let own = |state: TokenState| {
            state.nonce == acceptance.nonce
                && state.epoch == acceptance.epoch
                && state.watermark >= Some(acceptance.step)
        };
        let row = self.load_again(token, acceptance.seen, trace).await?;
        let state = row.token.ok_or(Reason::NotEnrolled)?;
        if own(state) {
            return Ok(());
        }
        if state.epoch != acceptance.epoch {
            return Err(Reason::Busy);
        }
        match row.budget {
            Some(budget) if budget.failures() >= acceptance.failure_limit => {
                Err(Reason::Locked { failures: budget.failures() })
            }
            _ => Err(Reason::Replay),
        }
    }

    /// The row as it is after a change was refused that was decided from what was `seen` before: whether the store is another one
    /// by now, which explains the refusal, and no code was used by it.
    pub(super) async fn load_again(
        &self,
        token: &Token,
        seen: Seen,
        trace: &mut Trace,
    ) -> Result<Row, Reason> {
        let loaded = self.load(token.key(), trace).await?;
        if loaded.seen() == seen { Ok(loaded.row) } else { Err(Reason::StoreReplaced) }
    }

    /// Writes a failure.
    pub(super) async fn fail(
        &self,
        token: &Token,
        failure: Failure,
        now: &TimeInterval,
        trace: &mut Trace,
    ) -> Result<(), Reason> {
        let owing = self.owed.while_written(token.key().budget(), &failure);
        trace.price = failure.charge.cost;
        let written = self.store.write(token.key(), Change::Fail(failure)).await;
        if !matches!(written, Ok(Written::Done)) {
            trace.price = Odds::ZERO;
        }
        // After an error it may be written yet: what was dropped now stays owed.
        let written = written?;
        owing.answered();
        match written {
            Written::Done => {
                if let Some(ceiling) = &self.ceiling {
                    ceiling.pay(failure.charge.cost, now.earliest());
                }
                Ok(())
            }
            Written::Missing | Written::Refused => Err(Reason::NotEnrolled),
        }
    }

    pub(super) async fn load(&self, key: &TokenKey, trace: &mut Trace) -> Result<Loaded, Reason> {
        let loaded = self.store.load(key).await?;
        let Some(replaced) = loaded.replaced else { return Ok(loaded) };
        let now = self.agreed_now(trace).map_err(Reason::ClockUntrusted)?;
        self.store.set_not_before(dead_until(replaced, &now)).await?;
        Err(Reason::StoreReplaced)
    }

    pub(super) fn now(&self, trace: &mut Trace) -> Result<TimeInterval, Reason> {
        let now = self.time.now().map_err(|error| Reason::ClockUntrusted(error.into()))?;
        trace.now = Some(now);
        Ok(now)
    }

    /// The time, if no part of it is further than an hour from this host's own clock: what is written for good must not be a time of
    /// the future that somebody fed to this host, nor one that is hardly known.
    pub(super) fn agreed_now(&self, trace: &mut Trace) -> Result<TimeInterval, ClockFault> {
        let now = self.time.now()?;
        trace.now = Some(now);
        let apart = now.furthest_from(self.time.system_clock());
        if apart > MOST_APART {
            return Err(ClockFault::Contradicted { apart });
        }
        Ok(now)
    }

    /// Whether single codes are looked at for the time being.
    pub(super) fn check_ceiling(&self, attempt: &Attempt, now: &TimeInterval) -> Result<(), Reason> {
        match &self.ceiling {
            Some(ceiling) if attempt.count() == 1 && ceiling.is_reached(now.earliest()) => {
                Err(Reason::CeilingReached { count: 2 })
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn attempt_on_nobody(
        &self,
        attempt: &Attempt,
        trace: &mut Trace,
    ) -> Result<(TimeStep, Drift), Refusal> {
        // One client's attempts on unknown users take turns, and are too many, like its attempts on one known token. What
        // no client is named for has nothing in common: it waits for nobody.
        let own_queue = attempt.client().map(TokenId::stand_in_for);
        let turn = match &own_queue {
            Some(id) => Some(self.turns.queue(id, attempt.client()).ok_or(Reason::Busy)?),
            None => None,
        };
        if let Some(turn) = &turn {
            turn.come().await?;
        }
        let ended = self.attempt_on_stand_in(attempt, trace).await;
        match turn {
            Some(turn) => turn.end(ended),
            None => ended,
        }
    }

    async fn attempt_on_stand_in(
        &self,
        attempt: &Attempt,
        trace: &mut Trace,
    ) -> Result<(TimeStep, Drift), Refusal> {
        let stand_in = self.stand_ins.of_client(attempt.client());
        let not_before = self.load(stand_in, trace).await?.not_before;
        self.feign(stand_in, self.stand_ins.totp(), attempt, not_before, trace).await?;
        // To whoever asks for them, unknown users look like anybody who typed a wrong code.
        Err(Refusal { reason: Reason::NotEnrolled, advice: Advice::TryAgain })
    }

    /// The work of a wrong code, on a row that stands in for the one that isn't there.
    async fn feign(
        &self,
        key: &TokenKey,
        totp: &Totp,
        attempt: &Attempt,
        not_before: Option<Timestamp>,
        trace: &mut Trace,
    ) -> Result<(), Reason> {
        let now = self.now(trace)?;
        let standing = stand_in::standing(&now, not_before);
        let decision = self.decide(&standing, totp, attempt, Purpose::LogIn, &now, trace)?;
        // What was found must not matter, and must not be seen not to matter by the compiler.
        if let Decision::Wrong { failure, .. } = black_box(decision)
            && self.store.write(key, Change::Fail(failure)).await? == Written::Missing
        {
            // The first time that this row is needed.
            let Standing { token: state, budget, .. } = standing;
            self.store.write(key, Change::Enrol { state, budget }).await?;
        }
        Ok(())
    }
}

/// Up to when codes may have been used that a store which was [replaced](Replaced) knows nothing of.
pub(super) fn dead_until(replaced: Replaced, now: &TimeInterval) -> Timestamp {
    match replaced {
        Replaced::Failover => now.latest(),
        // A token may have been resynchronised since the rows were saved, and have used codes up to there.
        Replaced::Restored => now.latest() + SignedDuration::from(RESYNCHRONISATION_SLACK),
    }
}

/// Eight bytes that no other write has. Not counted: a copy of this process, by a fork or a snapshot of its machine, would go on
/// counting from the same place, and take the other one's writes for its own.
pub(super) fn nonce() -> Result<[u8; 8], Reason> {
    getrandom::u64().map(u64::to_le_bytes).map_err(|_| Reason::NoRandomness)
}

/// A reason and what to do about it, where the reason alone doesn't say.
pub(super) struct Refusal {
    pub(super) reason: Reason,
    pub(super) advice: Advice,
}

impl Refusal {
    pub(super) fn end(self, inner: &Inner, trace: Trace, token: Option<TokenId>) -> Refused {
        let events: Vec<SecurityEvent> = trace.end(inner, self.reason.outcome(), token, None);
        Refused { reason: self.reason, advice: self.advice, events }
    }
}

impl<R: Into<Reason>> From<R> for Refusal {
    fn from(reason: R) -> Self {
        let reason = reason.into();
        Self { advice: reason.advice(), reason }
    }
}
