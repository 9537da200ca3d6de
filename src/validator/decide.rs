//! The decision, without any effect: [`admit`] an attempt, [look](Admission::look) for its codes, [`judge`] what was found.
//!
//! `now` is an argument, what has to be written is the answer. So years of logins can be simulated in a test, and the
//! same functions decide there and in a service.
//!
//! | outcome | hashes | pays | writes |
//! | --- | --- | --- | --- |
//! | no window, watermark or budget ahead, throttled, locked | no | nothing | nothing |
//! | [`Decision::Replay`] | yes | nothing | nothing |
//! | [`Decision::Wrong`], no code right | yes | its price | the failure |
//! | [`Decision::Wrong`], some of several codes right | yes | its price | the failure, and all steps up to the newest of them are dead |
//! | [`Decision::Accept`] | yes | nothing | the acceptance |

use std::time::Duration;

use crate::otp::{Consecutive, MAX_CONSECUTIVE, Match, StepRange, TimeStep, Totp, scan};
use crate::store::Failure;
use crate::time::{SignedDuration, TimeInterval, Timestamp};
use crate::token::{Bucket, Budget, Charge, Drift, Measurement, Odds};
use crate::window::{Centre, Window};

use super::{Advice, ClockFault, Policy, Reason, TokenFault};

mod standing;

pub use standing::Standing;

/// How many codes an attempt may show: [`MAX_CONSECUTIVE`](crate::otp::MAX_CONSECUTIVE).
const MOST_CODES: u8 = 3;

/// What consecutive codes are shown for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To be let in.
    LogIn,
    /// To teach where the token's clock is, when it is too far off for that.
    Resynchronise,
}

/// An attempt whose worst case can be paid for: its codes may be looked for.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'p> {
    window: Window,
    case: Case<'p>,
    codes: u8,
}

/// What doesn't change while one attempt is decided on.
#[derive(Clone, Copy, Debug)]
struct Case<'p> {
    epoch: u64,
    drift: Drift,
    /// The newest dead step, whatever it is dead by.
    watermark: Option<TimeStep>,
    /// As full as it may be believed to be.
    budget: Budget,
    /// What a restore has left, if there was one.
    restored: Option<Budget>,
    policy: &'p Policy,
    purpose: Purpose,
    period: Duration,
    t0: Timestamp,
    guess: u32,
    now: TimeInterval,
}

/// What was found of an attempt's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Found {
    /// What the search found, in constant time.
    pub all: Match,
    /// At how many steps of the window one code of several is right, and at how many two are. Nothing where all are at some step.
    pub near: [u64; 2],
    /// The newest step whose own code is among those. Where all fit, but some of them are dead, it is the newest that is dead.
    pub newest_right: Option<TimeStep>,
    /// The newest step at which all codes are right, where all such steps are dead.
    pub replayed_at: Option<TimeStep>,
}

/// What is to be done about an attempt that was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Let the user in, or learn where the token's clock is, once the acceptance is written.
    Accept {
        /// The step of the code, the first one of several.
        first: TimeStep,
        /// The step of the code, the last one of several.
        step: TimeStep,
        /// What is known about the token's clock now.
        drift: Drift,
    },
    /// Refuse: the code was used.
    Replay {
        /// What the user should do.
        advice: Advice,
    },
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
/// The [`Reason`] why not, in this order: the token can't be validated at all, too many attempts have failed, the clock is too
/// uncertain, it is too early for a resynchronisation, the watermark lies ahead, or the budget couldn't pay if the attempt failed
/// in the dearest way.
pub fn admit<'p>(
    standing: &Standing,
    policy: &'p Policy,
    totp: &Totp,
    now: &TimeInterval,
    purpose: Purpose,
    codes: u8,
) -> Result<Admission<'p>, Reason> {
    check_digits(totp).map_err(Reason::TokenUnsuited)?;
    if let Some(limit) = policy.failure_limit() {
        let failures = standing.budget.failures();
        if failures >= limit.get() {
            return Err(Reason::Locked { failures });
        }
    }
    let (period, t0) = (totp.period(), totp.t0());
    // What was paid before a restore may be forgotten.
    let restored = standing.not_before.map(Budget::half_full);
    let case = Case {
        epoch: standing.token.epoch,
        drift: standing.token.drift,
        watermark: standing.newest_dead(policy, totp),
        budget: restored.map_or(standing.budget, |restored| standing.budget.emptier(restored)),
        restored,
        policy,
        purpose,
        period,
        t0,
        guess: totp.format().guess_odds_numerator(),
        now: *now,
    };
    let window = case.window(codes).map_err(|reason| case.or_two(reason, codes))?;
    if purpose == Purpose::Resynchronise {
        if codes < 2 {
            return Err(Reason::ConsecutiveCodesNeeded { count: 2 });
        }
        case.check_resynchronisation(standing.not_before)?;
    }
    if let Some(retry_after) = case.until_above_watermark(&window) {
        // Where the token's own centre was left out and lies elsewhere, the watermark may be where it belongs: a single code isn't looked
        // for up there, two are. Waiting would lead to where only two get in anyway.
        let elsewhere =
            window.learned_left_out() && case.shown_now().is_none_or(|step| !window.contains(step));
        if elsewhere && codes <= 1 && case.until_above_watermark(&case.window(2)?).is_none() {
            case.afford(&case.budget, 2)?;
            return Err(Reason::ConsecutiveCodesNeeded { count: 2 });
        }
        return Err(Reason::WatermarkAhead { retry_after });
    }
    if case.wait_to_pay(&case.budget, &window, codes) != Some(Duration::ZERO) {
        case.afford(&case.budget, codes)?;
    }
    Ok(Admission { window, case, codes })
}

/// What to do about an attempt, given what was found in its window above its watermark.
#[must_use]
pub fn judge(admission: &Admission<'_>, found: &Found) -> Decision {
    let Admission { window, case, codes } = admission;
    let Found { all, near, newest_right, replayed_at } = found;
    if let Some(step) = all.fresh {
        let model = case.policy.window().drift_model();
        let measured = Measurement::new(model, step, case.period, case.t0, &case.now);
        let drift = match case.purpose {
            Purpose::LogIn => {
                let explained = window.centre(step) == Centre::Learned;
                case.drift.learn(model, measured, explained)
            }
            // Its user says that it isn't where it was believed to be.
            Purpose::Resynchronise => Drift::first(model, measured),
        };
        let first = step.checked_sub(u32::from(codes.saturating_sub(1))).unwrap_or(TimeStep::ZERO);
        return Decision::Accept { first, step, drift };
    }
    // All codes fit at a place where every step is dead. Anything less must not be told apart from a wrong guess: who
    // holds a used code could have the one after it confirmed for nothing.
    if all.replayed {
        return Decision::Replay { advice: case.advice_after_replay(window, *replayed_at) };
    }
    let charge = case.price(window, *codes, *near);
    // Sooner or later the buckets tell from which of them was paid, and so that some of the codes were right: a guesser
    // of pairs would have single codes confirmed at the price of pairs, and show one alone. So they die with the attempt,
    // and every step up to them. Steps above have other codes, of which nothing was told. Nor was anything told of a right code beside a
    // used one: a wrong one would have cost the same. So who shows a code again that died goes on with the next one.
    let (from, epoch) = (case.paid_from(charge.bucket), case.epoch);
    let failure = Failure { charge, from, burn: *newest_right, epoch };
    Decision::Wrong { failure, advice: admission.advice_after(charge) }
}

impl Admission<'_> {
    /// The steps at which the codes are to be looked for.
    #[must_use]
    pub const fn window(&self) -> &Window {
        &self.window
    }

    /// No step up to this one may be accepted.
    #[must_use]
    pub const fn watermark(&self) -> Option<TimeStep> {
        self.case.watermark
    }

    /// Looks for `codes`. Of as many as were admitted: others fit nowhere.
    ///
    /// The search takes the same time whatever is found, see [`scan`]. Where some but not all of several codes are right it is
    /// told at which steps, by searching each of them again; that takes longer, as it takes from another bucket. So does a search for where
    /// used codes are from. What either tells is told of codes that are dead, or die with the attempt: a right code beside a used one makes
    /// no more work than a wrong one.
    pub fn look(&self, totp: &Totp, codes: Consecutive<'_>) -> Found {
        if codes.count() != usize::from(self.codes) {
            // Fewer than what was admitted would be a cheaper guess than was thought.
            let nothing = Match { fresh: None, replayed: false, right_at_best: 0 };
            return Found { all: nothing, near: [0; 2], newest_right: None, replayed_at: None };
        }
        let all = scan(totp, self.window.ranges(), self.watermark(), codes);
        let mut found = Found { all, near: [0; 2], newest_right: None, replayed_at: None };
        if all.replayed {
            found.replayed_at = scan(totp, self.window.ranges(), None, codes).fresh;
            return found;
        }
        if all.fresh.is_some() || all.right_at_best == 0 || self.codes <= 1 {
            return found;
        }
        for last in self.window.ranges().iter().flat_map(|range| range.steps()) {
            let right = right_at(totp, last, codes);
            let count = right.iter().flatten().count();
            let all_fit = count == codes.count();
            let newest = right.into_iter().flatten().find(|step| !all_fit || Some(*step) <= self.watermark());
            found.newest_right = found.newest_right.max(newest);
            if let Some(index) = near_index(count.min(codes.count().saturating_sub(1))) {
                found.near[index] += 1;
            }
        }
        found
    }

    /// What is taken for granted where only the search's own answer is known: that so many codes are right at one step, the
    /// newest. For simulations, which needn't hash.
    pub fn found(&self, all: Match) -> Found {
        let mut found = Found { all, near: [0; 2], newest_right: None, replayed_at: None };
        let known = all.right_at_best.min(self.codes.saturating_sub(1));
        if let (None, false, Some(count)) = (all.fresh, all.replayed, near_index(known.into())) {
            found.near[count] = 1;
            found.newest_right = Some(self.window.top());
        }
        found
    }

    fn advice_after(&self, charge: Charge) -> Advice {
        let left_out = self.window.learned_left_out();
        let single = if self.codes <= 1 {
            if left_out {
                return Advice::ShowConsecutive(2);
            }
            let budget = self.case.budget.charge(charge, self.case.now.earliest());
            // As a rule, and known without another window.
            if self.case.wait_to_pay(&budget, &self.window, self.codes) == Some(Duration::ZERO) {
                return Advice::TryAgain;
            }
            budget
        } else {
            if left_out {
                return Advice::TellOperator;
            }
            // A single code would only be followed by this again.
            if self.case.window(1).is_ok_and(|window| window.learned_left_out()) {
                return Advice::ShowConsecutive(self.codes);
            }
            // The budget as it was: which bucket pays tells whether some of the codes were right.
            self.case.budget
        };
        match self.case.afford(&single, 1) {
            Ok(()) => Advice::TryAgain,
            Err(reason) => reason.advice(),
        }
    }
}

impl Case<'_> {
    fn window(&self, codes: u8) -> Result<Window, Reason> {
        let (policy, period, t0) = (self.policy.window(), self.period, self.t0);
        match self.purpose {
            Purpose::LogIn => Window::compute(policy, period, t0, &self.now, &self.drift, codes),
            Purpose::Resynchronise => {
                Window::for_resynchronisation(policy, period, t0, &self.now, &self.drift, codes)
            }
        }
        .map_err(Reason::from_window)
    }

    /// Why one code isn't looked for; where the clock is good enough for two, now and in a moment, that says so.
    fn or_two(&self, reason: Reason, codes: u8) -> Reason {
        match reason {
            Reason::ClockUntrusted(ClockFault::TooUncertain(error))
                if codes <= 1
                    && Window::fits_anywhere(
                        self.policy.window(),
                        self.period,
                        &self.now,
                        &self.drift,
                        2,
                    )
                    && self.window(2).is_ok()
                    && self.afford(&self.budget, 2).is_ok() =>
            {
                Reason::ClockUntrusted(ClockFault::TooUncertainForOne(error))
            }
            other => other,
        }
    }

    /// A token may be moved once in a while, not again and again: whoever had a phone for a moment and read codes of the next hour from it
    /// could otherwise go there in leaps. And after a restore it may have been anywhere within reach: codes that it has used
    /// there must have come out of reach.
    fn check_resynchronisation(&self, not_before: Option<Timestamp>) -> Result<(), Reason> {
        let (now, drift, policy) = (&self.now, &self.drift, self.policy.window());
        let reach = Window::resynchronisation_reach(policy, now.latest(), drift);
        // It may have been learned by a host whose interval has its middle ahead of this one's end. What is further ahead than any
        // interval is wide that was judged on, is a time of the future that somebody fed to a host.
        let updated = Some(drift.updated())
            .filter(|updated| *updated <= now.latest() + SignedDuration::from(policy.max_code_age()));
        let updated = updated.map(|updated| updated.min(now.latest()));
        let Some(since) = updated.max(not_before) else { return Ok(()) };
        let from = since + SignedDuration::from(reach.saturating_mul(2).saturating_add(policy.entry_delay()));
        let wait = from - now.earliest();
        if wait > SignedDuration::ZERO {
            return Err(Reason::TooEarlyToResynchronise { retry_after: wait.unsigned_abs() });
        }
        Ok(())
    }

    /// Where the window lies below the watermark: how long until the token shows a code above it.
    ///
    /// The window reaches further ahead than the token is expected to be, so it opens a little earlier; whoever came then
    /// would be told to wait once more.
    fn until_above_watermark(&self, window: &Window) -> Option<Duration> {
        let watermark = self.watermark.filter(|watermark| *watermark > window.top())?;
        let ahead = if window.learned_left_out() { SignedDuration::ZERO } else { self.drift.mean() };
        Some(self.until_shown(watermark, ahead))
    }

    /// The step whose code the token most likely shows.
    fn shown_now(&self) -> Option<TimeStep> {
        let shown = (self.now.midpoint() + self.drift.mean() - self.t0).as_nanos();
        let period = i64::try_from(self.period.as_nanos()).ok()?;
        shown.checked_div_euclid(period).and_then(TimeStep::new)
    }

    /// How long until a clock that is ahead by so much has passed `step`.
    fn until_shown(&self, step: TimeStep, ahead: SignedDuration) -> Duration {
        let period = i128::from(SignedDuration::from(self.period).as_nanos());
        let next = (i128::from(step.get()) + 1).saturating_mul(period);
        let shown = i128::from((self.now.earliest() + ahead - self.t0).as_nanos());
        SignedDuration::saturating_from_nanos((next - shown).max(0)).unsigned_abs()
    }

    /// A used code's successor is new, as a rule. Not where the token ran ahead and was set right: until a right clock is above the
    /// watermark, all that it shows counts as used.
    fn advice_after_replay(&self, window: &Window, at: Option<TimeStep>) -> Advice {
        let (Some(watermark), Some(at)) = (self.watermark, at) else { return Advice::WaitForNextCode };
        let ahead = match window.centre(at) {
            Centre::Learned => self.drift.mean(),
            Centre::Synchronised => SignedDuration::ZERO,
        };
        let wait = self.until_shown(watermark, ahead);
        if wait <= self.period { Advice::WaitForNextCode } else { Advice::RetryAfter(wait) }
    }

    /// What a failed attempt of `codes` codes owes of which at `near[0]` steps one was right, at `near[1]` two.
    ///
    /// The chance of success is at most the sum, over all steps of the window, of the chance that luck supplies the codes that
    /// aren't known for that step. Whoever knows m of the codes of a step and shows them has m right there; so what is right
    /// tells, for each step, how many luck had to supply at least.
    fn price(&self, window: &Window, codes: u8, near: [u64; 2]) -> Charge {
        let odds =
            |width: u64, known: u8| Odds::of_guess(width, self.guess, u32::from(codes.saturating_sub(known)));
        let [one, two] = near;
        let blind = odds(window.width().saturating_sub(one.saturating_add(two)), 0);
        if one == 0 && two == 0 {
            return Charge { bucket: Bucket::Blind, cost: blind };
        }
        let cost = blind.saturating_add(odds(one, 1)).saturating_add(odds(two, 2));
        Charge { bucket: Bucket::Partial, cost }
    }

    /// When a bucket is full at the earliest: now, or when a restore's would be.
    fn paid_from(&self, bucket: Bucket) -> Timestamp {
        let now = self.now.earliest();
        self.restored.map_or(now, |restored| now.max(restored.full_at(bucket)))
    }

    /// Whether `budget` could pay for a failed attempt of `codes` codes; if not, what could be paid for instead.
    fn afford(&self, budget: &Budget, codes: u8) -> Result<(), Reason> {
        let wait_for =
            |codes| self.window(codes).ok().and_then(|window| self.wait_to_pay(budget, &window, codes));
        let wait = wait_for(codes);
        if wait == Some(Duration::ZERO) {
            return Ok(());
        }
        let mut shortest = wait;
        for count in codes.max(1) + 1..=MOST_CODES {
            match wait_for(count) {
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
    ///
    /// With several codes that is one where each is right at a step of its own, all but one of them at one step: whoever knows
    /// codes of this token can bring no more about, unless some of them are equal. What that costs beyond it is owed all the same.
    fn wait_to_pay(&self, budget: &Budget, window: &Window, codes: u8) -> Option<Duration> {
        let now = self.now.earliest();
        let blind = self.price(window, codes, [0; 2]);
        let mut wait = budget.wait_to_pay(blind, codes, now)?;
        if codes > 1 {
            let near = if codes == 2 { [2, 0] } else { [2, 1] };
            wait = wait.max(budget.wait_to_pay(self.price(window, codes, near), codes, now)?);
        }
        Some(wait)
    }
}

/// Where the last of the codes is looked for at `last` and the others at the steps before: at which of these steps the code is right, the
/// newest first.
fn right_at(totp: &Totp, last: TimeStep, codes: Consecutive<'_>) -> [Option<TimeStep>; MAX_CONSECUTIVE] {
    let mut right = [None; MAX_CONSECUTIVE];
    for ((code, before), place) in codes.one_by_one().rev().zip(0..).zip(&mut right) {
        let step = last.checked_sub(before);
        let alone = step.and_then(|step| StepRange::new(step, step));
        *place = step.filter(|_| scan(totp, alone.as_slice(), None, code).right_at_best > 0);
    }
    right
}

/// Where in [`Found::near`] steps with so many right codes are counted.
fn near_index(right: usize) -> Option<usize> {
    match right {
        1 => Some(0),
        2 => Some(1),
        _ => None,
    }
}

/// Refuses tokens with more digits than vary.
pub(super) const fn check_digits(totp: &Totp) -> Result<(), TokenFault> {
    let format = totp.format();
    if format.fit_for_validation() { Ok(()) } else { Err(TokenFault::Digits { got: format.length() }) }
}

#[cfg(test)]
mod tests;
