//! May this one-time code in?
//!
//! [`Validator`] is a shell around two pure functions: it loads the token's state, asks [`decide::admit`] whether the
//! attempt may be looked at, looks for its codes in constant time, asks [`decide::judge`] what follows, writes that, and
//! only then answers. Whatever fails on the way, the clock, the store, the caller's patience (a dropped future), ends in a
//! refusal; at worst an attempt was paid for.

mod administer;
mod attempt;
mod builder;
mod ceiling;
pub mod decide;
mod enrol;
mod health;
mod owed;
mod parameters;
mod policy;
mod renew;
mod shell;
mod stand_in;
mod totals;
mod trace;
mod turn;
mod verdict;

pub use administer::AdministerError;
pub use attempt::Attempt;
pub use builder::{BuildError, ValidatorBuilder};
pub use enrol::{EnrolError, Enrolment, Imported};
pub use policy::Policy;
pub use totals::Totals;
pub use verdict::{Accepted, Advice, ClockFault, Reason, Refused, Resynchronised, TokenFault, Verdict};

use std::sync::Arc;

use crate::event::Outcome;
use crate::store::StateStore;
use crate::time::TimeSource;
use crate::token::Token;

use ceiling::Ceiling;
use decide::Purpose;
use owed::Owed;
use shell::Refusal;
use stand_in::StandIns;
use totals::Counters;
use trace::{Open, Trace};
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
    policy: Policy,
    ceiling: Option<Ceiling>,
    turns: Turns,
    owed: Owed,
    counters: Counters,
    stand_ins: StandIns,
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
    /// isn't called; and a token that wasn't seen for months is asked for two codes after a wrong one, an unknown user never.
    ///
    /// One that is known but never was enrolled here is told to call the operator ([`Reason::NotEnrolled`]): where that may happen, as between
    /// two pages of an enrolment, give `None` until it is done.
    ///
    /// Several codes of which not all are right are wrong, and those that were right are used up: whoever mistypes half of a
    /// pair needs codes that were not typed before.
    ///
    /// Attempts on one token take turns, in the order of arrival. Where the store doesn't answer one of them by its deadline, all that wait
    /// behind it end as [`Reason::Busy`]. Who has less patience drops the future: that gives its place back.
    ///
    /// **Poll it to its end, or drop it.** One that is kept and not polled keeps its turn, and nobody else gets in with that token in this process: so don't
    /// wait for a second attempt on a token in the task that has a first one under way and doesn't poll it, as a loop over `buffer_unordered` does whose
    /// body waits, or the other arm of a `select!`.
    ///
    /// An accepted code stays used even where its verdict never arrives, because the future was dropped or the process died
    /// after the write: its user needs the next code then. What a dropped attempt owes counts all the same, and it is told as
    /// [`Outcome::Abandoned`].
    pub async fn validate(&self, token: Option<&Token>, attempt: &Attempt) -> Verdict {
        let inner = &*self.inner;
        let mut open = Open::new(inner, attempt, token);
        let ended = match token {
            Some(token) => inner.attempt(token, attempt, Purpose::LogIn, &mut open.trace).await,
            None => inner.attempt_on_nobody(attempt, &mut open.trace).await,
        };
        let (trace, id) = open.close();
        match ended {
            Ok((step, drift)) => {
                let matched = token.map(|token| (step, token.totp()));
                let events = trace.end(inner, Outcome::Accepted, id, matched);
                Verdict::Accepted(Accepted { step, drift, events })
            }
            Err(Refusal { reason, advice }) => {
                let outcome = if token.is_none() && matches!(reason, Reason::NotEnrolled) {
                    Outcome::UnknownToken
                } else {
                    reason.outcome()
                };
                let events = trace.end(inner, outcome, id, None);
                Verdict::Refused(Refused { reason, advice, events })
            }
        }
    }

    /// Learns where a token's clock is that is too far off to log in: from two or three consecutive codes, within what its drift
    /// could have grown to and 300 s more.
    ///
    /// **Nobody is let in by it.** The codes are used; the next one logs in, which is looked for where these were. RFC 6238 §6 asks
    /// for an authentication besides: a password, a session, or somebody at the helpdesk who knows the user.
    ///
    /// Wrong codes pay as they do at [`validate`](Self::validate). A token is moved at most once in eleven minutes, and not for about
    /// that long after a login or an enrolment.
    ///
    /// # Errors
    ///
    /// [`Refused`] as from [`validate`](Self::validate); a single code is refused with
    /// [`Reason::ConsecutiveCodesNeeded`].
    pub async fn resynchronise(&self, token: &Token, attempt: &Attempt) -> Result<Resynchronised, Refused> {
        let inner = &*self.inner;
        let mut open = Open::new(inner, attempt, Some(token));
        let ended = inner.attempt(token, attempt, Purpose::Resynchronise, &mut open.trace).await;
        let (trace, id) = open.close();
        match ended {
            Ok((step, drift)) => {
                let events = trace.end(inner, Outcome::Resynchronised, id, Some((step, token.totp())));
                Ok(Resynchronised { step, drift, events })
            }
            Err(refusal) => Err(refusal.end(inner, trace, id)),
        }
    }

    /// What was decided since this validator was made, its clones included: for metrics.
    ///
    /// ```
    /// use skewgate::event::Outcome;
    /// use skewgate::store::MemoryStore;
    /// use skewgate::time::os::SystemTime;
    /// use skewgate::validator::{Attempt, Validator};
    /// use std::{sync::Arc, time::Duration};
    ///
    /// let clock = SystemTime::with_max_error(Duration::from_secs(1));
    /// let gate = Validator::builder(Arc::new(MemoryStore::new()), Arc::new(clock)).build()?;
    /// let _ = skewgate::block_on(gate.validate(None, &Attempt::parse("755224")?));
    /// let totals = gate.totals();
    /// assert!(totals.outcomes.contains(&(Outcome::UnknownToken, 1)));
    /// assert_eq!(totals.price_e15, 0, "nobody can be guessed at who doesn't exist");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.inner.counters.totals()
    }
}

impl std::fmt::Debug for Validator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Validator").field("policy", &self.inner.policy).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
