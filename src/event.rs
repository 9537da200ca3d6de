//! What is said about every verdict: one [`SecurityEvent`], emitted through `tracing` with the target
//! [`TARGET`] and returned to the caller.
//!
//! Names and fields are stable; new ones may be added. No field ever holds a secret or a code.
//!
//! | field | type | what it says |
//! | --- | --- | --- |
//! | `outcome` | text | one of the names below |
//! | `token` | text | the caller's id of the token; absent for an unknown one |
//! | `client` | text | which client showed it, where the caller has said: the first 255 characters, with U+FFFD in place of what a log could take for the end of a line or for a command to a terminal |
//! | `codes` | integer | how many consecutive codes were shown; absent where none were |
//! | `step_offset` | integer | the matched step minus the step of true time (the interval's midpoint); absent without a match |
//! | `window_width` | integer | how many steps were looked at; absent where none were |
//! | `price_e18` | integer | what was paid, in 10⁻¹⁸ |
//! | `price_total_e15` | integer | what was paid for all tokens since this validator was made, in 10⁻¹⁵; 0 for an import of a backup, which has no validator |
//! | `local_time` | RFC 3339 | what this host's system clock showed |
//! | `true_time` | RFC 3339 | the interval's midpoint; absent where the time couldn't be told |
//! | `half_width_ns` | integer | true time is within so many nanoseconds of `true_time` |
//!
//! `true_time` puts the logs of several hosts in one order, as far as their half-widths allow, whatever their system
//! clocks say.
//!
//! What a SIEM should do with it is where to begin: *alert* calls a person, *count* is a graph with a threshold, *ignore* is for
//! the archive.
//!
//! | outcome | level | what happened | what a SIEM should do with it |
//! | --- | --- | --- | --- |
//! | `accepted` | INFO | a code was accepted; it will not be again | **ignore**; keep: it says who came in, when, and from where |
//! | `enrolled` | INFO | a token has a state now | **ignore**; alert where the service has no record of why |
//! | `resynchronised` | INFO | consecutive codes taught where a token's clock is; nobody was let in | **count**; alert where the same token comes back within a week: somebody learns its clock, or it is broken |
//! | `renewed` | INFO | a token has other digits or another period now | **ignore** |
//! | `reset` | WARN | an administrator gave a token its whole budget back | **count** by token; alert where nobody asked for it: it gives a guesser a whole budget |
//! | `removed` | WARN | an administrator made the store forget a token | **ignore**; alert on many in a short time |
//! | `restored` | WARN | an administrator said that the store's rows may be old, or imported a backup: codes of until now are dead | **alert**, unless a restore is going on: nobody gets in for about six minutes |
//! | `wrong` | WARN | no code fitted, or not all of several; it was paid for | **count** by token and by client; alert where `price_total_e15` grows ten times as fast as in a usual week |
//! | `replay` | WARN | a code was shown that was used before, or that is older than one that was | **count** by token; alert where `client` is another one than that of the `accepted` before: a code was read over a shoulder or by a proxy |
//! | `throttled` | WARN | too many wrong codes: nothing was compared | **alert** on one token for more than an hour: it is being guessed at, and its owner waits |
//! | `consecutive_codes_needed` | WARN | two or three codes in a row were asked for: after too many wrong ones, or because the token may be too far off for a single one | **count** by token; alert on many tokens at once, unless they were just imported: somebody sprays |
//! | `watermark_ahead` | WARN | all codes of this window are dead: one from its future was accepted before, or what could have been used was declared dead when the token was enrolled again or imported, or the store restored | **alert** where it goes on for more than two minutes, or seven after `restored` or `store_replaced`: a clock was wrong or forged when that code was accepted |
//! | `budget_ahead` | WARN | a wrong code was charged by a clock that ran ahead of the present one | **alert**: this clock ran ahead before, or was fed a time of the future |
//! | `locked` | WARN | too many failures in a row: nothing is accepted until an administrator resets the token | **alert**: an administrator has to see who failed so often |
//! | `ceiling_reached` | WARN | all tokens together were guessed at so often that everybody has to show two codes | **alert**: an attack on all tokens is going on |
//! | `too_early_to_resynchronise` | WARN | a token was resynchronised, or the store restored, a short time before | **ignore**; count by token |
//! | `busy` | WARN | too many attempts on this token at once, or it was reset, renewed or enrolled anew meanwhile | **count** by token and by client; alert on one token for minutes: it is flooded |
//! | `abandoned` | WARN | nobody waited for the answer any more: the client went away, or the service has less patience than its store. `price_e18` is what was being paid, and counts as owed until it must have been written | **count** by token and by client; alert on one token or client for minutes: it is flooded with attempts that are broken off |
//! | `unknown_token` | WARN | an attempt without a token | **count** by client; alert on many from one client: it tries names |
//! | `enrolment_refused` | WARN | an enrolment's codes didn't fit, or the token has a state already | **ignore**; count by client |
//! | `state_missing` | ERROR | the store knows nothing of a token that the caller knows: never enrolled, or the store was emptied | **alert**: the store lost rows, or a user table has tokens that never were enrolled |
//! | `store_replaced` | ERROR | the store noticed that it was restored, or that another node took over: codes of until now are dead. Also for a right code under which PostgreSQL was started anew: that one alone is refused | **alert**: see that the failover, the restore or the restart was meant |
//! | `clock_untrusted` | ERROR | true time is not known well enough, for anybody or for tokens whose clocks are far off | **alert**: these get in with two codes at most, or nobody does; the events of `skewgate::clock` say why |
//! | `token_unsuited` | ERROR | the token's period, digits or T0 can't be validated under this policy | **alert**: a mistake in the user table or in the policy |
//! | `store_failed` | ERROR | the store failed; nothing was accepted | **alert**: nobody gets in |
//! | `no_randomness` | ERROR | the operating system gave no random bytes; nothing was accepted | **alert**: the host is broken |

use std::time::Duration;

use crate::text::misleads;
use crate::time::Timestamp;
use crate::token::{Odds, TokenId};

/// The `tracing` target of all events here.
pub const TARGET: &str = "skewgate::security";

/// What happened; see the table in the [module's documentation](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is a row of the module's table")]
pub enum Outcome {
    Accepted,
    Enrolled,
    Resynchronised,
    Renewed,
    Reset,
    Removed,
    Restored,
    Wrong,
    Replay,
    Throttled,
    ConsecutiveCodesNeeded,
    WatermarkAhead,
    BudgetAhead,
    Locked,
    CeilingReached,
    TooEarlyToResynchronise,
    Busy,
    Abandoned,
    UnknownToken,
    EnrolmentRefused,
    StateMissing,
    StoreReplaced,
    ClockUntrusted,
    TokenUnsuited,
    StoreFailed,
    NoRandomness,
}

impl Outcome {
    /// Every outcome that there is.
    pub const ALL: [Self; 26] = [
        Self::Accepted,
        Self::Enrolled,
        Self::Resynchronised,
        Self::Renewed,
        Self::Reset,
        Self::Removed,
        Self::Restored,
        Self::Wrong,
        Self::Replay,
        Self::Throttled,
        Self::ConsecutiveCodesNeeded,
        Self::WatermarkAhead,
        Self::BudgetAhead,
        Self::Locked,
        Self::CeilingReached,
        Self::TooEarlyToResynchronise,
        Self::Busy,
        Self::Abandoned,
        Self::UnknownToken,
        Self::EnrolmentRefused,
        Self::StateMissing,
        Self::StoreReplaced,
        Self::ClockUntrusted,
        Self::TokenUnsuited,
        Self::StoreFailed,
        Self::NoRandomness,
    ];

    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Enrolled => "enrolled",
            Self::Resynchronised => "resynchronised",
            Self::Renewed => "renewed",
            Self::Reset => "reset",
            Self::Removed => "removed",
            Self::Restored => "restored",
            Self::Wrong => "wrong",
            Self::Replay => "replay",
            Self::Throttled => "throttled",
            Self::ConsecutiveCodesNeeded => "consecutive_codes_needed",
            Self::WatermarkAhead => "watermark_ahead",
            Self::BudgetAhead => "budget_ahead",
            Self::Locked => "locked",
            Self::CeilingReached => "ceiling_reached",
            Self::TooEarlyToResynchronise => "too_early_to_resynchronise",
            Self::Busy => "busy",
            Self::Abandoned => "abandoned",
            Self::UnknownToken => "unknown_token",
            Self::EnrolmentRefused => "enrolment_refused",
            Self::StateMissing => "state_missing",
            Self::StoreReplaced => "store_replaced",
            Self::ClockUntrusted => "clock_untrusted",
            Self::TokenUnsuited => "token_unsuited",
            Self::StoreFailed => "store_failed",
            Self::NoRandomness => "no_randomness",
        }
    }

    const fn severity(self) -> Severity {
        match self {
            Self::Accepted | Self::Enrolled | Self::Resynchronised | Self::Renewed => Severity::Info,
            Self::StateMissing
            | Self::StoreReplaced
            | Self::ClockUntrusted
            | Self::TokenUnsuited
            | Self::StoreFailed
            | Self::NoRandomness => Severity::Error,
            _ => Severity::Warn,
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

enum Severity {
    Info,
    Warn,
    Error,
}

/// So many characters of what a caller calls a client are kept: an address or a session has fewer.
const MOST_CLIENT_CHARACTERS: usize = 255;

/// What a caller calls a client, so that it can't forge a line of a log: callers take it from headers, too.
pub(crate) fn printable(client: &str) -> Box<str> {
    let replaced = |character| if misleads(character) { char::REPLACEMENT_CHARACTER } else { character };
    client.chars().take(MOST_CLIENT_CHARACTERS).map(replaced).collect::<String>().into()
}

/// One verdict, as a log should remember it; see the [module's documentation](self) for its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecurityEvent {
    /// What happened.
    pub outcome: Outcome,
    /// The token, unless it is unknown.
    pub token: Option<TokenId>,
    /// Which client showed it; what isn't printable is replaced, see the table.
    pub client: Option<Box<str>>,
    /// How many consecutive codes were shown.
    pub codes: Option<u8>,
    /// The matched step minus the step of true time.
    pub step_offset: Option<i64>,
    /// How many steps were looked at.
    pub window_width: Option<u64>,
    /// What was paid.
    pub price: Odds,
    /// What was paid for all tokens since this validator was made, in 10⁻¹⁵.
    pub price_total_e15: u64,
    /// What this host's system clock showed.
    pub local_time: Timestamp,
    /// The middle of the interval that contains true time.
    pub true_time: Option<Timestamp>,
    /// Half of that interval's width.
    pub half_width: Option<Duration>,
}

impl SecurityEvent {
    /// An event of which nothing else is known yet.
    pub(crate) const fn new(outcome: Outcome, token: Option<TokenId>, local_time: Timestamp) -> Self {
        Self {
            outcome,
            token,
            client: None,
            codes: None,
            step_offset: None,
            window_width: None,
            price: Odds::ZERO,
            price_total_e15: 0,
            local_time,
            true_time: None,
            half_width: None,
        }
    }

    /// Hands the event to `tracing`.
    pub(crate) fn emit(&self) {
        // The level of a `tracing` event is part of its call site, so each level needs one.
        macro_rules! emit_at {
            ($level:ident) => {
                tracing::event!(
                    target: TARGET,
                    tracing::Level::$level,
                    outcome = self.outcome.name(),
                    token = self.token.as_ref().map(TokenId::as_str),
                    client = self.client.as_deref(),
                    codes = self.codes,
                    step_offset = self.step_offset,
                    window_width = self.window_width,
                    price_e18 = self.price.as_e18(),
                    price_total_e15 = self.price_total_e15,
                    local_time = %self.local_time,
                    true_time = self.true_time.map(tracing::field::display),
                    half_width_ns = self.half_width.map(|half| u64::try_from(half.as_nanos()).unwrap_or(u64::MAX)),
                )
            };
        }
        match self.outcome.severity() {
            Severity::Info => emit_at!(INFO),
            Severity::Warn => emit_at!(WARN),
            Severity::Error => emit_at!(ERROR),
        }
    }
}
