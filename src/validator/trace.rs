//! What an event tells about the way to a verdict.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::event::{Outcome, SecurityEvent, printable};
use crate::otp::{TimeStep, Totp};
use crate::time::TimeInterval;
use crate::token::{Odds, Token, TokenId};

use super::{Attempt, Inner};

/// An attempt that isn't answered yet. Where its caller gives it up, that is told all the same: it may have been paid for.
pub(super) struct Open<'a> {
    inner: &'a Inner,
    pub(super) trace: Trace,
    token: Option<TokenId>,
    answered: bool,
}

impl<'a> Open<'a> {
    pub(super) fn new(inner: &'a Inner, attempt: &Attempt, token: Option<&Token>) -> Self {
        let token = token.map(|token| token.id().clone());
        Self { inner, trace: Trace::of(attempt), token, answered: false }
    }

    /// There is an answer, of which this tells.
    pub(super) fn close(mut self) -> (Trace, Option<TokenId>) {
        self.answered = true;
        (std::mem::take(&mut self.trace), self.token.take())
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let (trace, token) = (std::mem::take(&mut self.trace), self.token.take());
        if let (Some(ceiling), Some(now)) = (&self.inner.ceiling, trace.now) {
            ceiling.pay(trace.price, now.earliest());
        }
        // A clock or a subscriber that panicked may do so again, and no panic may leave here while there is one.
        let _ = catch_unwind(AssertUnwindSafe(|| trace.end(self.inner, Outcome::Abandoned, token, None)));
    }
}

#[derive(Default)]
pub(super) struct Trace {
    pub(super) now: Option<TimeInterval>,
    pub(super) width: Option<u64>,
    pub(super) price: Odds,
    client: Option<Box<str>>,
    codes: Option<u8>,
}

impl Trace {
    pub(super) fn of(attempt: &Attempt) -> Self {
        Self { client: attempt.client().map(printable), codes: Some(attempt.count()), ..Self::default() }
    }

    /// Counts the outcome and emits its event. `matched` is the step of the code, if one was found, of a token with this `totp`.
    pub(super) fn end(
        self,
        inner: &Inner,
        outcome: Outcome,
        token: Option<TokenId>,
        matched: Option<(TimeStep, &Totp)>,
    ) -> Vec<SecurityEvent> {
        // Where nothing had to be known of the time, a log wants to know it all the same.
        let now = self.now.or_else(|| inner.time.now().ok());
        let mut event = SecurityEvent::new(outcome, token, inner.time.system_clock());
        event.client = self.client;
        event.codes = self.codes;
        event.window_width = self.width;
        event.price = self.price;
        event.price_total_e15 = inner.counters.count(outcome, self.price);
        event.true_time = now.map(|now| now.midpoint());
        event.half_width = now.map(|now| now.half_width());
        event.step_offset = matched.zip(event.true_time).and_then(|((matched, totp), time)| {
            // Steps are never negative: their difference fits.
            Some(matched.get() - totp.step_at(time)?.get())
        });
        event.emit();
        vec![event]
    }
}
