//! What is written to a row.

use crate::otp::TimeStep;
use crate::time::Timestamp;
use crate::token::{Budget, Charge, Drift, TokenState};

/// What a store keeps about a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Its state; `None` where it isn't enrolled.
    pub token: Option<TokenState>,
    /// Its guess budget, or that of its account.
    pub budget: Option<Budget>,
}

/// What a load saw of the store as a whole. What was decided from its row is written only while that is so.
///
/// Between the two, rows may have been restored, or another server may have taken over that lacks the last writes: there, a code that was
/// used meanwhile and forgotten would be accepted once more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// [`Loaded::not_before`](super::Loaded::not_before).
    pub not_before: Option<Timestamp>,
    /// Which server keeps the rows, and since when it does, as the store likes to write it: another one where another one has taken over. Zeros
    /// where there is only one.
    pub lineage: [u8; 20],
}

/// A change of one row: [`apply`](Self::apply) says what it does, and every store does the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Enrols the token, if it isn't yet. A budget that exists is left alone: neither a second token of an account nor one that
    /// was removed and comes back brings a new one.
    Enrol {
        /// What is known about the token.
        state: TokenState,
        /// What may be guessed, if nothing was said of that before.
        budget: Budget,
    },
    /// A failed attempt. It is never refused, neither for want of budget nor for what has changed since: a failure that has
    /// happened is paid for.
    Fail(Failure),
    /// An accepted code, if it may still be. Never where the store isn't the one that it was when that was decided.
    Accept(Acceptance),
    /// Other digits or another period, if the token and the store are still those that it was decided for.
    Renew(Renewal),
    /// An administrator's reset.
    Reset(Reset),
    /// Forgets the token. Its budget is kept.
    Remove,
}

/// What came of a [`Change`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The row is changed.
    Done,
    /// Its condition didn't hold. Nothing was written.
    Refused,
    /// The token isn't enrolled. Nothing was written.
    Missing,
}

impl Change {
    /// Changes `row`, or leaves it alone and says why. `now` is what a load would see of the store at this moment.
    pub fn apply(self, row: &mut Row, now: Seen) -> Written {
        if let Self::Enrol { state, budget } = self {
            if row.token.is_some() {
                return Written::Refused;
            }
            *row = Row { token: Some(state), budget: Some(row.budget.unwrap_or(budget)) };
            return Written::Done;
        }
        let (Some(state), Some(budget)) = (&mut row.token, &mut row.budget) else {
            return Written::Missing;
        };
        match self {
            Self::Enrol { .. } => Written::Refused,
            Self::Fail(failure) => failure.apply(state, budget),
            Self::Accept(acceptance) => acceptance.apply(state, budget, now),
            Self::Renew(renewal) => renewal.apply(state, now),
            Self::Reset(reset) => {
                *budget = reset.budget;
                Written::Done
            }
            Self::Remove => {
                row.token = None;
                Written::Done
            }
        }
    }
}

impl Change {
    /// What the store must still be for this to happen: of an acceptance and a renewal, what they were decided from.
    #[must_use]
    pub const fn seen(&self) -> Option<Seen> {
        match self {
            Self::Accept(acceptance) => Some(acceptance.seen),
            Self::Renew(renewal) => Some(renewal.seen),
            Self::Enrol { .. } | Self::Fail(_) | Self::Reset(_) | Self::Remove => None,
        }
    }
}

/// What a failed attempt changes.
///
/// Price and burnt steps are one atomic write. In two, a moment would be left, or after a crash for ever, in which an
/// attacker could use what the price has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it owes.
    pub charge: Charge,
    /// The bucket counts as full at this time at the earliest, whatever the row says: the present, or later where the row may
    /// have forgotten what was paid.
    pub from: Timestamp,
    /// The step up to which every code is dead from now on, used or not: where some of several codes were right.
    ///
    /// Which bucket paid shows once it is empty, so whoever showed the codes may learn that one of them was right. By
    /// then it must be worth nothing.
    pub burn: Option<TimeStep>,
    /// The enrolment under which it was decided. Under another one nothing is burnt: that one counts other steps, or its codes
    /// are another secret's.
    pub epoch: u64,
}

impl Failure {
    fn apply(self, state: &mut TokenState, budget: &mut Budget) -> Written {
        *budget = budget.charge(self.charge, self.from).one_more_failure();
        if state.epoch == self.epoch {
            // `None` is less than every step.
            state.watermark = state.watermark.max(self.burn);
        }
        Written::Done
    }
}

/// What accepted codes change: the watermark moves up to `step`, and drift and nonce with it, if it is below `first` (or
/// there is none), the epoch is still `epoch`, the store what was `seen` of it, and fewer than `failure_limit` attempts have failed since the last success. The
/// buckets stay as they are: a success refunds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// The step of the code, the first one of several. Each of them must still be unused when this is written: another
    /// process may have accepted one of them since the row was loaded.
    pub first: TimeStep,
    /// The step of the code, the last one of several.
    pub step: TimeStep,
    /// What is now known about the token's clock.
    pub drift: Drift,
    /// The enrolment under which it was decided.
    pub epoch: u64,
    /// The store from which it was decided.
    pub seen: Seen,
    /// By which whoever decided it knows its own write again.
    pub nonce: [u8; 8],
    /// As many failures in a row lock the account: others may have failed since the row was loaded. `u32::MAX` where there is
    /// no limit.
    pub failure_limit: u32,
    /// Whether it lets its user in, which ends a row of failures. Resynchronisation doesn't.
    pub authenticates: bool,
}

impl Acceptance {
    fn apply(self, state: &mut TokenState, budget: &mut Budget, now: Seen) -> Written {
        // `None` is less than every step.
        if self.seen != now
            || state.epoch != self.epoch
            || state.watermark >= Some(self.first)
            || budget.failures() >= self.failure_limit
        {
            return Written::Refused;
        }
        state.watermark = Some(self.step);
        state.drift = self.drift;
        state.nonce = self.nonce;
        if self.authenticates {
            *budget = budget.without_failures();
        }
        Written::Done
    }
}

/// A token whose digits or period changed: its steps are counted anew. It happens if the watermark is still
/// what it was when that was decided, and the epoch, and the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// The enrolment that it was decided under.
    pub epoch: u64,
    /// The watermark that it was decided with, in the old steps.
    pub watermark: Option<TimeStep>,
    /// The store from which it was decided.
    pub seen: Seen,
    /// What is known from now on, with an epoch of its own.
    pub state: TokenState,
}

impl Renewal {
    fn apply(self, state: &mut TokenState, now: Seen) -> Written {
        if (state.epoch, state.watermark, now) != (self.epoch, self.watermark, self.seen) {
            return Written::Refused;
        }
        *state = self.state;
        Written::Done
    }
}

/// What an administrator's reset gives back: the budget is what is given here, without failures. The token stays as it is: its
/// watermark is set down, where it lies ahead, by a [`Renewal`], which happens only if no code was used meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// What may be guessed from now on.
    pub budget: Budget,
}

#[cfg(test)]
mod tests;
