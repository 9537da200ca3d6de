//! May this one-time code in?
//!
//! [`Validator`] is a shell around two pure functions: it loads the token's state, asks [`decide::admit`] whether the
//! attempt may be looked at, looks for its codes in constant time, asks [`decide::judge`] what follows, writes that, and
//! only then answers. Whatever fails on the way, the clock, the store, the caller's patience (a dropped future), ends in a
//! refusal; at worst an attempt was paid for.

mod attempt;
mod builder;
pub mod decide;
mod enrol;
mod turn;
mod verdict;

pub use attempt::Attempt;
pub use builder::{BuildError, ValidatorBuilder};
pub use enrol::{EnrolError, Enrolment};
pub use verdict::{Accepted, Advice, ClockFault, Reason, Refused, TokenFault, Verdict};

use std::hint::black_box;
use std::sync::Arc;

use crate::event::{Outcome, SecurityEvent};
use crate::otp::{TimeStep, Totp, scan};
use crate::store::{Accept, Acceptance, Charged, Failure, StateStore};
use crate::time::{SignedDuration, TimeInterval, TimeSource};
use crate::token::{Budget, Drift, Odds, Token, TokenId, TokenState};
use crate::window::WindowPolicy;

use decide::Decision;
use turn::Turns;

/// Validates one-time codes. Clones are cheap and share one queue for each token.
///
/// ```
/// use skewgate::otp::{Secret, TimeStep, Totp};
/// use skewgate::store::MemoryStore;
/// use skewgate::time::{TimeInterval, sim::SimTime};
/// use skewgate::token::{Token, TokenId};
/// use skewgate::validator::{Advice, Attempt, Validator, Verdict};
/// use std::{sync::Arc, time::Duration};
///
/// # skewgate::block_on(async {
/// let time = Arc::new(SimTime::new(TimeInterval::around("2026-06-01T12:00:00Z".parse()?, Duration::from_millis(50))));
/// let gate = Validator::builder(Arc::new(MemoryStore::new()), time.clone()).build()?;
/// let totp = Totp::builder(&Secret::from_bytes(b"12345678901234567890")?).build()?;
/// let token = Token::new(TokenId::new("user-42")?, totp.clone());
/// let code_at = |when: &str| Ok::<_, Box<dyn std::error::Error>>(totp.code_at(totp.step_at(when.parse()?).unwrap_or(TimeStep::ZERO)));
///
/// gate.enrol(&token, &Attempt::one(code_at("2026-06-01T11:59:50Z")?)).await?;
///
/// time.advance(Duration::from_secs(3600));
/// let attempt = Attempt::one(code_at("2026-06-01T12:59:50Z")?);
/// assert!(gate.validate(Some(&token), &attempt).await.is_accepted());
/// match gate.validate(Some(&token), &attempt).await {
///     Verdict::Accepted(_) => unreachable!("no code is accepted twice"),
///     Verdict::Refused(refused) => assert_eq!(refused.advice(), Advice::WaitForNextCode),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Validator {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn StateStore>,
    time: Arc<dyn TimeSource>,
    policy: WindowPolicy,
    turns: Turns,
    /// What is worked on where there is no token: a secret that nobody knows.
    stand_in: Token,
}

impl Validator {
    /// A validator that keeps states in `store` and takes its time from `time`.
    pub fn builder(store: Arc<dyn StateStore>, time: Arc<dyn TimeSource>) -> ValidatorBuilder {
        ValidatorBuilder::new(store, time)
    }

    /// May the user who shows `attempt` come in?
    ///
    /// `token` is `None` for a user that the service doesn't know. That is refused after the same work that a wrong code
    /// costs, so that how long it takes doesn't tell which users exist. What remains visible to who tries hard: a known
    /// token is throttled in the end, an unknown one never; and a known token has one queue for all clients, while
    /// attempts on unknown users take turns only where [`Attempt::from_client`] names the same client, and never where it
    /// isn't called.
    ///
    /// Several codes of which not all are right are wrong, and use up what they could have been right with: whoever
    /// mistypes half of a pair needs codes that the token shows afterwards.
    ///
    /// An accepted code stays used even where its verdict never arrives, because the future was dropped or the process died
    /// after the write: its user needs the next code then.
    pub async fn validate(&self, token: Option<&Token>, attempt: &Attempt) -> Verdict {
        let inner = &*self.inner;
        let mut trace = Trace::default();
        let ended = match token {
            Some(token) => inner.attempt(token, attempt, &mut trace).await,
            None => inner.attempt_on_nobody(attempt, &mut trace).await,
        };
        let totp = token.map_or(inner.stand_in.totp(), Token::totp);
        let id = token.map(|token| token.id().clone());
        let local_time = inner.time.system_clock();
        match ended {
            Ok((step, drift)) => {
                let event = SecurityEvent::new(Outcome::Accepted, id, local_time);
                let events = trace.emit(event, Some(step), totp);
                Verdict::Accepted(Accepted { step, drift, events })
            }
            Err(Refusal { reason, advice }) => {
                let outcome = if token.is_none() && matches!(reason, Reason::NotEnrolled) {
                    Outcome::UnknownToken
                } else {
                    reason.outcome()
                };
                let events = trace.emit(SecurityEvent::new(outcome, id, local_time), None, totp);
                Verdict::Refused(Refused { reason, advice, events })
            }
        }
    }
}

impl std::fmt::Debug for Validator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Validator").field("policy", &self.inner.policy).finish_non_exhaustive()
    }
}

impl Inner {
    async fn attempt(
        &self,
        token: &Token,
        attempt: &Attempt,
        trace: &mut Trace,
    ) -> Result<(TimeStep, Drift), Refusal> {
        let turn = self.turns.queue(token.id(), attempt.client()).ok_or(Reason::Busy)?;
        turn.come().await;
        let Some(state) = self.load(token).await? else {
            self.feign(token.totp(), attempt, trace).await?;
            return Err(Reason::NotEnrolled.into());
        };
        // Read after the waiting is over: the interval must contain true time when the code is judged.
        let now = self.now(trace)?;
        let admission = decide::admit(&state, &self.policy, token.totp(), &now, attempt.count())?;
        trace.width = Some(admission.window().width());
        let found = scan(token.totp(), admission.window().ranges(), admission.watermark(), attempt.codes());
        match decide::judge(&admission, found) {
            Decision::Accept { first, step, drift } => {
                let acceptance = Acceptance { first, step, drift, epoch: state.epoch, nonce: nonce()? };
                self.accept(token, acceptance).await?;
                Ok((step, drift))
            }
            Decision::Replay => Err(Reason::Replay.into()),
            Decision::Wrong { failure, advice } => {
                self.charge(token, failure, &now).await?;
                trace.price = failure.charge.cost;
                Err(Refusal { reason: Reason::Wrong, advice })
            }
        }
    }

    /// Writes an acceptance; an error unless this attempt is the one that moved the watermark.
    async fn accept(&self, token: &Token, acceptance: Acceptance) -> Result<(), Reason> {
        if self.store.accept(token.id(), acceptance).await? == Accept::Won {
            return Ok(());
        }
        // Somebody was faster, or it was this very write: a store that repeats a write whose answer it never got is told
        // "lost" by its own success.
        // Above the step by now where a failure has burnt some more: that leaves the nonce alone.
        let own = |state: TokenState| {
            state.nonce == acceptance.nonce
                && state.epoch == acceptance.epoch
                && state.watermark >= Some(acceptance.step)
        };
        if self.load(token).await?.is_some_and(own) { Ok(()) } else { Err(Reason::Replay) }
    }

    async fn charge(&self, token: &Token, failure: Failure, now: &TimeInterval) -> Result<(), Reason> {
        match self.store.charge(token.id(), failure, now.earliest()).await? {
            Charged::Paid => Ok(()),
            Charged::NotEnrolled => Err(Reason::NotEnrolled),
        }
    }

    async fn load(&self, token: &Token) -> Result<Option<TokenState>, Reason> {
        Ok(self.store.load(token.id()).await?)
    }

    fn now(&self, trace: &mut Trace) -> Result<TimeInterval, Reason> {
        let now = self.time.now().map_err(|error| Reason::ClockUntrusted(error.into()))?;
        trace.now = Some(now);
        Ok(now)
    }

    async fn attempt_on_nobody(
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
            turn.come().await;
        }
        self.load(&self.stand_in).await?;
        self.feign(self.stand_in.totp(), attempt, trace).await?;
        // To whoever asks for them, unknown users look like anybody who typed a wrong code.
        Err(Refusal { reason: Reason::NotEnrolled, advice: Advice::TryAgain })
    }

    /// The work of a wrong code, on a row that stands in for the one that isn't there.
    async fn feign(&self, totp: &Totp, attempt: &Attempt, trace: &mut Trace) -> Result<(), Reason> {
        let now = self.now(trace)?;
        let state = stand_in_state(&now);
        let admission = decide::admit(&state, &self.policy, totp, &now, attempt.count())?;
        trace.width = Some(admission.window().width());
        let found = scan(totp, admission.window().ranges(), admission.watermark(), attempt.codes());
        // What was found must not matter, and must not be seen not to matter by the compiler.
        if let Decision::Wrong { failure, .. } = black_box(decide::judge(&admission, found)) {
            let row = self.stand_in.id();
            if self.store.charge(row, failure, now.earliest()).await? == Charged::NotEnrolled {
                // The first time that this store meets an unknown token.
                self.store.enrol(row, state).await?;
            }
        }
        Ok(())
    }
}

/// A token that was enrolled long ago with a clock like most.
fn stand_in_state(now: &TimeInterval) -> TokenState {
    const VARIANCE_OF_FIVE_SECONDS: u64 = 25_000_000_000_000;
    TokenState {
        epoch: 0,
        watermark: None,
        nonce: [0; 8],
        drift: Drift::from_parts(SignedDuration::ZERO, VARIANCE_OF_FIVE_SECONDS, now.latest(), None),
        budget: Budget::full(now.earliest()),
    }
}

/// Eight bytes that nobody else draws.
fn nonce() -> Result<[u8; 8], Reason> {
    let mut nonce = [0; 8];
    getrandom::fill(&mut nonce).map_err(|_| Reason::NoRandomness)?;
    Ok(nonce)
}

/// Which enrolment it is, drawn at random: a token that was removed and enrolled again under the same id must not be
/// moved by an acceptance that was decided on before. Counting from 0 would start at the same epoch both times.
///
/// 63 bits: stores may keep it as a signed integer.
fn epoch() -> Result<u64, Reason> {
    Ok(u64::from_le_bytes(nonce()?) >> 1)
}

/// A reason and what to do about it, where the reason alone doesn't say.
struct Refusal {
    reason: Reason,
    advice: Advice,
}

impl<R: Into<Reason>> From<R> for Refusal {
    fn from(reason: R) -> Self {
        let reason = reason.into();
        Self { advice: reason.advice(), reason }
    }
}

/// What an event tells about the way to a verdict.
#[derive(Default)]
struct Trace {
    now: Option<TimeInterval>,
    width: Option<u64>,
    price: Odds,
}

impl Trace {
    fn emit(&self, mut event: SecurityEvent, matched: Option<TimeStep>, totp: &Totp) -> Vec<SecurityEvent> {
        event.window_width = self.width;
        event.price = self.price;
        event.true_time = self.now.map(|now| now.midpoint());
        event.half_width = self.now.map(|now| now.half_width());
        let present = event.true_time.and_then(|time| totp.step_at(time));
        // Steps are never negative: their difference fits.
        event.step_offset = matched.zip(present).map(|(matched, present)| matched.get() - present.get());
        event.emit();
        vec![event]
    }
}

#[cfg(test)]
mod tests;
