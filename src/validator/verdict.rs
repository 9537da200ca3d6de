//! What is answered.

use std::time::Duration;

use crate::event::{Outcome, SecurityEvent};
use crate::otp::TimeStep;
use crate::store::StoreError;
use crate::time::TimeError;
use crate::token::Drift;
use crate::window::WindowError;

/// A watermark or a budget that is further ahead than this is nothing that a user can wait for.
const WORTH_WAITING: Duration = Duration::from_secs(3600);

/// The answer to an attempt.
#[derive(Debug)]
#[must_use = "an attempt that isn't looked at lets everybody in, or nobody"]
pub enum Verdict {
    /// The code is right and has never been accepted before. Let its user in.
    Accepted(Accepted),
    /// Don't.
    Refused(Refused),
}

impl Verdict {
    /// True where the user may come in.
    #[must_use]
    pub const fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted(_))
    }

    /// What a log should remember: already emitted through `tracing`.
    #[must_use]
    pub fn events(&self) -> &[SecurityEvent] {
        match self {
            Self::Accepted(accepted) => &accepted.events,
            Self::Refused(refused) => &refused.events,
        }
    }
}

/// An accepted code.
#[derive(Debug)]
#[non_exhaustive]
pub struct Accepted {
    /// The step of the code, the last one of several. Neither it nor any step before it is accepted again.
    pub step: TimeStep,
    /// What is known about the token's clock now.
    pub drift: Drift,
    /// What a log should remember: already emitted through `tracing`.
    pub events: Vec<SecurityEvent>,
}

/// A token whose clock was learned anew. Its user isn't let in by that.
#[derive(Debug)]
#[non_exhaustive]
pub struct Resynchronised {
    /// The step of the last code. Neither it nor any step before it is accepted.
    pub step: TimeStep,
    /// Where the token's clock is.
    pub drift: Drift,
    /// What a log should remember: already emitted through `tracing`.
    pub events: Vec<SecurityEvent>,
}

/// An attempt that was refused. As an error it says what its reason says: to the operator, not to the user.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    #[source]
    pub(super) reason: Reason,
    pub(super) advice: Advice,
    pub(super) events: Vec<SecurityEvent>,
}

impl Refused {
    /// Why: for the service and its operator. Showing it to the user tells a guesser more than need be.
    #[must_use]
    pub const fn reason(&self) -> &Reason {
        &self.reason
    }

    /// What the user should do.
    #[must_use]
    pub const fn advice(&self) -> Advice {
        self.advice
    }

    /// What a log should remember: already emitted through `tracing`.
    #[must_use]
    pub fn events(&self) -> &[SecurityEvent] {
        &self.events
    }
}

/// What a user should be told to do. It depends on nothing that a guesser would like to know: with several codes it is
/// the same whether some of them were right or none. (Later advice may differ, since those that were right are dead.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// Type the code that the token shows now.
    TryAgain,
    /// Type so many codes that the token shows one after the other, none of which was typed before: those may be dead.
    ShowConsecutive(u8),
    /// This code was used. Wait until the token shows the next one.
    WaitForNextCode,
    /// Come back after this time.
    RetryAfter(Duration),
    /// Nothing that a user can mend.
    TellOperator,
}

/// Why an attempt was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The code fits nowhere, or not all of several do.
    #[error("the code fits no step of the window, or not all of several codes do")]
    Wrong,
    /// The code fits, but only where codes were used already.
    #[error("the code was used before, or is older than one that was: wait for the next one")]
    Replay,
    /// The store has no state for the token, or there is no token. Also where a token is named without the budget that it was enrolled on
    /// ([`Token::sharing_budget`](crate::token::Token::sharing_budget)).
    #[error(
        "there is no state for this token: enrol it if it never was; if it was enrolled on a budget that it shares, name that \
         (`Token::sharing_budget`); otherwise the store has lost data and must be restored: a new enrolment would bring used codes back"
    )]
    NotEnrolled,
    /// True time isn't known well enough to judge any code.
    #[error("no code can be judged without knowing the time: {0}")]
    ClockUntrusted(#[source] ClockFault),
    /// The token can't be validated under this policy, whatever the time.
    #[error("this token can't be validated: {0}")]
    TokenUnsuited(#[source] TokenFault),
    /// Too many wrong codes. Nothing was compared.
    #[error("too many wrong codes: one more can be tried in {retry_after:.1?}")]
    Throttled {
        /// When the next attempt can be paid for.
        retry_after: Duration,
    },
    /// The guess budget was charged at a time that lies so far ahead that no number of wrong codes explains it: this host's
    /// clock ran ahead, or somebody fed it a time of the future. Nothing was compared.
    #[error(
        "a wrong code was charged at a time of the future: wait for {retry_after:.1?}, or have an administrator reset the \
         token"
    )]
    BudgetAhead {
        /// When the next attempt can be paid for.
        retry_after: Duration,
    },
    /// Fewer codes aren't looked at: there were too many wrong ones, the token may be too far off for a single one, or its clock is to be
    /// learned. Nothing was compared.
    #[error("{count} consecutive codes are needed, fewer aren't looked at now")]
    ConsecutiveCodesNeeded {
        /// How many codes an attempt must show now.
        count: u8,
    },
    /// All that could be right now is dead. For a minute or two where the token was enrolled again or imported, and about six after a restore. Otherwise a
    /// step was accepted before that lies ahead: the token or this host's clock ran ahead, or somebody fed this host a time of the future.
    #[error(
        "codes of up to {retry_after:.1?} ahead of now are dead, as if one of them was accepted: wait, or have an administrator reset the token, which \
         helps unless the store was restored"
    )]
    WatermarkAhead {
        /// When the token shows a code above it. The window reaches there a little earlier.
        retry_after: Duration,
    },
    /// Too many failures in a row: the policy's limit. Nothing was compared.
    #[error("{failures} attempts in a row have failed: an administrator must reset the token")]
    Locked {
        /// How many have failed since the last success.
        failures: u32,
    },
    /// So much was guessed at all tokens together that single codes aren't looked at for the time being. Nothing was compared.
    #[error(
        "all tokens together were guessed at too often for single codes: {count} consecutive codes are needed"
    )]
    CeilingReached {
        /// How many codes an attempt must show now.
        count: u8,
    },
    /// The token's clock was learned a short time before, or the store was restored. Nothing was compared.
    #[error(
        "this token's clock was learned just before, or the store was restored: try again in {retry_after:.1?}"
    )]
    TooEarlyToResynchronise {
        /// When it can be resynchronised.
        retry_after: Duration,
    },
    /// The store has noticed that it was restored, or that another node took over. Codes of until now are dead since; the next
    /// attempt is judged as ever. Also where the store's server was started anew under this very attempt: then this alone is refused.
    #[error(
        "the store was restored, or another node of it took over: codes that could have been used by now are dead"
    )]
    StoreReplaced,
    /// Too many attempts on this token at once. Or it was reset, renewed or enrolled anew while this one was judged.
    #[error("too many attempts on this token at once, or it was changed meanwhile: try again")]
    Busy,
    /// The store failed. The attempt may have been paid for; nothing was accepted that a later verdict doesn't know of.
    #[error(transparent)]
    StoreFailed(#[from] StoreError),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: check its entropy source")]
    NoRandomness,
}

/// Why the time is no ground to judge on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClockFault {
    /// The time source has no interval to offer.
    #[error(transparent)]
    Unknown(#[from] TimeError),
    /// This host's own clock may be more than an hour from true time, and something would be written for good.
    #[error(
        "this host's clock is up to {apart:.1?} from what its time sources say, at most an hour is allowed here: set it, or mend the sources"
    )]
    Contradicted {
        /// How far they may be apart.
        apart: Duration,
    },
    /// Its interval is too wide for this token.
    #[error(transparent)]
    TooUncertain(WindowError),
    /// Its interval is too wide to look for a single code of this token, whose own clock is far from right. Two are looked for.
    #[error("{0}; or have two consecutive codes shown")]
    TooUncertainForOne(WindowError),
}

/// Why a token can't be validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFault {
    /// It has no window: its period is too short, or T0 lies in the future.
    #[error(transparent)]
    NoWindow(WindowError),
    /// It was enrolled with another hash, period, T0 or number of digits, so its row counts other steps.
    #[error(
        "this token was enrolled with another hash, period, T0 or number of digits: use those of the user table's newest row, or go \
         over from one to the other with `Validator::renew`"
    )]
    OtherParameters,
    /// It is to be renewed as a token with another id or budget.
    #[error("a renewed token keeps its id and its budget: enrol a replacement under an id of its own")]
    AnotherToken,
    /// Its codes have more digits than a truncated hash can fill (RFC 4226 §5.3: 31 bits).
    #[error("its codes have {got} digits, expected 6 to 8: with more the first ones hardly vary")]
    Digits {
        /// How many digits its codes have.
        got: usize,
    },
}

impl Reason {
    pub(super) const fn from_window(error: WindowError) -> Self {
        match error {
            WindowError::ClockTooUncertain { .. } => Self::ClockUntrusted(ClockFault::TooUncertain(error)),
            _ => Self::TokenUnsuited(TokenFault::NoWindow(error)),
        }
    }

    /// What the user should do, where the reason alone decides it: what a [`Refused`] says may depend on more.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match *self {
            Self::Wrong | Self::StoreReplaced => Advice::TryAgain,
            Self::Replay => Advice::WaitForNextCode,
            Self::Throttled { retry_after } | Self::TooEarlyToResynchronise { retry_after } => {
                Advice::RetryAfter(retry_after)
            }
            Self::ConsecutiveCodesNeeded { count } | Self::CeilingReached { count } => {
                Advice::ShowConsecutive(count)
            }
            Self::ClockUntrusted(ClockFault::TooUncertainForOne(_)) => Advice::ShowConsecutive(2),
            Self::WatermarkAhead { retry_after } | Self::BudgetAhead { retry_after }
                if retry_after <= WORTH_WAITING =>
            {
                Advice::RetryAfter(retry_after)
            }
            Self::Busy => Advice::RetryAfter(Duration::from_secs(1)),
            Self::NotEnrolled
            | Self::ClockUntrusted(_)
            | Self::TokenUnsuited(_)
            | Self::WatermarkAhead { .. }
            | Self::BudgetAhead { .. }
            | Self::Locked { .. }
            | Self::StoreFailed(_)
            | Self::NoRandomness => Advice::TellOperator,
        }
    }

    /// True where nobody's codes can be judged for now, whoever types them: the store, the clock or the operating system fails. A service answers
    /// such an attempt like a failure of its own (HTTP 503), and its [health check](super::Validator::check) fails too.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        match self {
            Self::ClockUntrusted(fault) => !matches!(fault, ClockFault::TooUncertainForOne(_)),
            Self::StoreFailed(_) | Self::NoRandomness => true,
            _ => false,
        }
    }

    pub(super) const fn outcome(&self) -> Outcome {
        match self {
            Self::Wrong => Outcome::Wrong,
            Self::Replay => Outcome::Replay,
            Self::NotEnrolled => Outcome::StateMissing,
            Self::ClockUntrusted(_) => Outcome::ClockUntrusted,
            Self::TokenUnsuited(_) => Outcome::TokenUnsuited,
            Self::Throttled { .. } => Outcome::Throttled,
            Self::ConsecutiveCodesNeeded { .. } => Outcome::ConsecutiveCodesNeeded,
            Self::WatermarkAhead { .. } => Outcome::WatermarkAhead,
            Self::BudgetAhead { .. } => Outcome::BudgetAhead,
            Self::Locked { .. } => Outcome::Locked,
            Self::CeilingReached { .. } => Outcome::CeilingReached,
            Self::TooEarlyToResynchronise { .. } => Outcome::TooEarlyToResynchronise,
            Self::StoreReplaced => Outcome::StoreReplaced,
            Self::Busy => Outcome::Busy,
            Self::StoreFailed(_) => Outcome::StoreFailed,
            Self::NoRandomness => Outcome::NoRandomness,
        }
    }
}
