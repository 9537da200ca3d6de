//! The decision, without any effect: [`admit`] an attempt, look for its codes, [`judge`] what was found.
//!
//! `now` is an argument, what has to be written is the answer. So years of logins can be simulated in a test, and the
//! same functions decide there and in a service.
//!
//! | outcome | hashes | pays | writes |
//! | --- | --- | --- | --- |
//! | no window, watermark or budget ahead, throttled | no | nothing | nothing |
//! | [`Decision::Replay`] | yes | nothing | nothing |
//! | [`Decision::Wrong`], no code right | yes | its price | the charge |
//! | [`Decision::Wrong`], some of several codes right | yes | its price | the charge, and all steps of the window are dead |
//! | [`Decision::Accept`] | yes | nothing | the acceptance |

use std::time::Duration;

use crate::otp::{Match, TimeStep, Totp};
use crate::store::Failure;
use crate::time::{SignedDuration, TimeInterval, Timestamp};
use crate::token::{Bucket, Budget, Charge, Drift, Measurement, Odds, TokenState};
use crate::window::{Centre, Window, WindowPolicy};

use super::{Advice, Reason, TokenFault};

/// How many codes an attempt may show: [`MAX_CONSECUTIVE`](crate::otp::MAX_CONSECUTIVE).
const MOST_CODES: u8 = 3;

/// An attempt whose worst case can be paid for: its codes may be looked for.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    window: Window,
    case: Case,
    codes: u8,
}

/// What doesn't change while one attempt is decided on.
#[derive(Clone, Copy, Debug)]
struct Case {
    state: TokenState,
    policy: WindowPolicy,
    period: Duration,
    t0: Timestamp,
    guess: u32,
    now: TimeInterval,
}

/// What is to be done about an attempt that was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Let the user in, once the acceptance is written.
    Accept {
        /// The step of the code, the first one of several.
        first: TimeStep,
        /// The step of the code, the last one of several.
        step: TimeStep,
        /// What is known about the token's clock now.
        drift: Drift,
    },
    /// Refuse: the code was used.
    Replay,
    /// Refuse, once the failure is written.
    Wrong {
        /// What the attempt owes, and which steps it has used up.
        failure: Failure,
        /// What the user should do.
        advice: Advice,
    },
}

/// Whether an attempt of `codes` consecutive codes may be looked at.
///
/// # Errors
///
/// The [`Reason`] why not, in this order: the token can't be validated at all, the clock is too uncertain, the
/// watermark lies ahead, or the budget couldn't pay if the attempt failed in the dearest way.
pub fn admit(
    state: &TokenState,
    policy: &WindowPolicy,
    totp: &Totp,
    now: &TimeInterval,
    codes: u8,
) -> Result<Admission, Reason> {
    check_digits(totp).map_err(Reason::TokenUnsuited)?;
    let case = Case {
        state: *state,
        policy: *policy,
        period: totp.period(),
        t0: totp.t0(),
        guess: totp.format().guess_odds_numerator(),
        now: *now,
    };
    let window = case.window(codes)?;
    if let Some(retry_after) = case.until_above_watermark(&window) {
        // Where the token's own centre was left out, the watermark may be where it belongs: a single code isn't looked for
        // up there, two are. Waiting would lead to where only two get in anyway.
        if window.learned_left_out() && codes <= 1 && case.until_above_watermark(&case.window(2)?).is_none() {
            case.afford(&state.budget, 2)?;
            return Err(Reason::ConsecutiveCodesNeeded { count: 2 });
        }
        return Err(Reason::WatermarkAhead { retry_after });
    }
    case.afford(&state.budget, codes)?;
    Ok(Admission { window, case, codes })
}

/// What to do about an attempt, given what [`scan`](crate::otp::scan) found in its window above its watermark.
#[must_use]
pub fn judge(admission: &Admission, found: Match) -> Decision {
    let Admission { window, case, codes } = admission;
    if let Some(step) = found.fresh {
        let model = case.policy.drift_model();
        let measured = Measurement::new(model, step, case.period, case.t0, &case.now);
        let explained = window.centre(step) == Centre::Learned;
        let first = step.checked_sub(u32::from(codes.saturating_sub(1))).unwrap_or(TimeStep::ZERO);
        return Decision::Accept { first, step, drift: case.state.drift.learn(model, measured, explained) };
    }
    // All codes fit at a place where every step is dead. Anything less must not be told apart from a wrong guess: who
    // holds a used code could have the one after it confirmed for nothing.
    if found.replayed {
        return Decision::Replay;
    }
    let known = found.right_at_best.min(codes.saturating_sub(1));
    let charge = Charge {
        bucket: if known == 0 { Bucket::Blind } else { Bucket::Partial },
        cost: case.price(window, codes.saturating_sub(known)),
    };
    // Sooner or later the buckets tell from which of them was paid, and so that some of the codes were right: a guesser
    // of pairs would have single codes confirmed at the price of pairs, and show one alone. So they die with the attempt,
    // and with them every step of the window, since nobody knows here at which of them they were right. Steps above it
    // have other codes, of which nothing was told.
    let burn = (known > 0).then(|| window.top());
    Decision::Wrong { failure: Failure { charge, burn }, advice: admission.advice_after(charge) }
}

impl Admission {
    /// The steps at which the codes are to be looked for.
    #[must_use]
    pub const fn window(&self) -> &Window {
        &self.window
    }

    /// No step up to this one may be accepted.
    #[must_use]
    pub const fn watermark(&self) -> Option<TimeStep> {
        self.case.state.watermark
    }

    fn advice_after(&self, charge: Charge) -> Advice {
        let left_out = self.window.learned_left_out();
        let single = if self.codes <= 1 {
            if left_out {
                return Advice::ShowConsecutive(2);
            }
            self.case.state.budget.charge(charge, self.case.now.earliest())
        } else {
            if left_out {
                return Advice::TellOperator;
            }
            // The budget as it was: which bucket pays tells whether some of the codes were right.
            self.case.state.budget
        };
        match self.case.afford(&single, 1) {
            Ok(()) => Advice::TryAgain,
            Err(reason) => reason.advice(),
        }
    }
}

impl Case {
    fn window(&self, codes: u8) -> Result<Window, Reason> {
        Window::compute(&self.policy, self.period, self.t0, &self.now, &self.state.drift, codes)
            .map_err(Reason::from_window)
    }

    /// Where the window lies below the watermark: how long until the token shows a code above it.
    ///
    /// The window reaches further ahead than the token is expected to be, so it opens a little earlier; whoever came then
    /// would be told to wait once more.
    fn until_above_watermark(&self, window: &Window) -> Option<Duration> {
        let watermark = self.state.watermark.filter(|watermark| *watermark > window.top())?;
        let ahead = if window.learned_left_out() { SignedDuration::ZERO } else { self.state.drift.mean() };
        let period = i128::from(SignedDuration::from(self.period).as_nanos());
        let next = (i128::from(watermark.get()) + 1).saturating_mul(period);
        let shown = i128::from((self.now.earliest() + ahead - self.t0).as_nanos());
        Some(SignedDuration::saturating_from_nanos((next - shown).max(0)).unsigned_abs())
    }

    fn price(&self, window: &Window, unknown: u8) -> Odds {
        Odds::of_guess(window.width(), self.guess, u32::from(unknown))
    }

    /// Whether `budget` could pay for a failed attempt of `codes` codes; if not, what could be paid for instead.
    fn afford(&self, budget: &Budget, codes: u8) -> Result<(), Reason> {
        let wait = self.wait_to_pay(budget, codes);
        if wait == Some(Duration::ZERO) {
            return Ok(());
        }
        let mut shortest = wait;
        for count in codes.max(1) + 1..=MOST_CODES {
            match self.wait_to_pay(budget, count) {
                Some(Duration::ZERO) => return Err(Reason::ConsecutiveCodesNeeded { count }),
                wait => shortest = shortest.into_iter().chain(wait).min(),
            }
        }
        let retry_after = shortest.unwrap_or(Duration::MAX);
        // Single codes are paid for by the blind bucket alone, so that one decides how long is shortest.
        let needed: &[Bucket] = if codes <= 1 { &[Bucket::Blind] } else { &[Bucket::Blind, Bucket::Partial] };
        if needed.iter().any(|bucket| budget.ran_ahead(*bucket, self.now.earliest())) {
            return Err(Reason::BudgetAhead { retry_after });
        }
        Err(Reason::Throttled { retry_after })
    }

    /// How long until both buckets could pay for the dearest failure of `codes` codes; `None` where they never could.
    fn wait_to_pay(&self, budget: &Budget, codes: u8) -> Option<Duration> {
        let window = self.window(codes).ok()?;
        let now = self.now.earliest();
        let blind = Charge { bucket: Bucket::Blind, cost: self.price(&window, codes) };
        let mut wait = budget.wait_to_pay(blind, codes, now)?;
        if codes > 1 {
            let partial = Charge { bucket: Bucket::Partial, cost: self.price(&window, 1) };
            wait = wait.max(budget.wait_to_pay(partial, codes, now)?);
        }
        Some(wait)
    }
}

/// Refuses tokens with more digits than vary.
pub(super) const fn check_digits(totp: &Totp) -> Result<(), TokenFault> {
    let format = totp.format();
    if format.fit_for_validation() { Ok(()) } else { Err(TokenFault::Digits { got: format.length() }) }
}

#[cfg(test)]
mod tests;
