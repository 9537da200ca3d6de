//! The window: from a time interval and a token's drift to the steps at which a code is looked for.
//!
//! True time lies in `[e, l]`. The token's clock is ahead of it by a mean μ, give or take k·σ, and its user needs
//! up to `entry_delay` from reading a code to submitting it. So the code's step is one of
//! `⌊(e − entry_delay + μ − kσ − j − T0)/P⌋ ..= ⌊(l + μ + kσ + j − T0)/P⌋`, with j for what jitters from one login
//! to the next. Both ends are rounded outward. RFC 6238 §5.2 leaves this range to the validator and recommends one
//! step for the delay; here every second of it has a reason.
//!
//! There are two centres: the clock that the token was seen to have, and a right clock. A phone whose clock was set
//! right again would be locked out by what was learned about the wrong one. A single code costs the more the more steps it
//! is looked for at, and most tokens are right, so for those what was learned counts little, and for one that is known
//! to be elsewhere a right clock does: see `centres.rs`. Several consecutive codes are looked for around both in full.
//!
//! A window that would be too wide is refused or loses its learned centre, and says so
//! ([`WindowError`], [`Window::learned_left_out`]); it is never cut down in silence.

use std::time::Duration;

use crate::otp::{StepRange, TimeStep};
use crate::time::{SignedDuration, TimeInterval, Timestamp};
use crate::token::Drift;

use centres::{Belief, Centres, Reach};

mod centres;
mod policy;
mod reach;

pub use policy::{PolicyError, WindowPolicy, WindowPolicyBuilder};
pub use reach::RESYNCHRONISATION_SLACK;

/// Which of the two centres expects a code at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Centre {
    /// The clock that the token was seen to have, whether or not a right clock would explain it too.
    Learned,
    /// Only a right clock.
    Synchronised,
}

/// The steps at which a code is looked for: one or two runs, disjoint, oldest first.
///
/// Where consecutive codes are shown, a step here is that of the last of them.
///
/// ```
/// use skewgate::time::{SignedDuration, TimeInterval, Timestamp};
/// use skewgate::token::Drift;
/// use skewgate::window::{Window, WindowPolicy};
/// use std::time::Duration;
///
/// // True time is noon, give or take half a second; the token is known to be right, give or take 2 s.
/// let now = TimeInterval::around("2026-06-01T12:00:00Z".parse()?, Duration::from_millis(500));
/// let drift = Drift::from_parts(SignedDuration::ZERO, 4_000_000_000_000, now.latest(), None);
/// let (period, t0) = (Duration::from_secs(30), Timestamp::from_unix_nanos(0));
/// let window = Window::compute(&WindowPolicy::default(), period, t0, &now, &drift, 1)?;
/// // From 11:59:24.5 to 12:00:05.5 on the token's clock: the step of 11:59:00, and two more.
/// assert_eq!(window.width(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    ranges: [StepRange; 2],
    /// How many of `ranges` count: one or two.
    runs: usize,
    learned: Span,
    learned_left_out: bool,
}

impl Window {
    /// The window for an attempt of `codes` consecutive codes by a token with this `period`, `t0` and `drift`.
    ///
    /// # Errors
    ///
    /// [`WindowError`] where the clock is too uncertain, for any token or for one whose clock is where this one's was learned to be, the
    /// period too short for the policy, or the time before the token's first steps.
    pub fn compute(
        policy: &WindowPolicy,
        period: Duration,
        t0: Timestamp,
        now: &TimeInterval,
        drift: &Drift,
        codes: u8,
    ) -> Result<Self, WindowError> {
        let grid = Grid { period: check_clock(policy, period, now)?, t0 };
        let first = i64::from(codes.saturating_sub(1));

        let centres = Centres::of(policy, now, drift, codes);
        let (synchronised, learned) =
            (grid.span(centres.synchronised, first), grid.span(centres.learned, first));
        let too_old = codes <= 1 && centres.learned.length() > policy.max_code_age;

        let most = policy.most_steps(codes);
        let learned_left_out = too_old || Span::union_width(synchronised, learned) > most;
        let (synchronised, scanned) = if learned_left_out {
            if centres.belief == Belief::Elsewhere {
                check_clock_for(drift, policy, grid.period, now, codes)?;
            }
            (grid.span(centres.synchronised_alone, first), Span::EMPTY)
        } else {
            (synchronised, learned)
        };
        let (ranges, runs) = Span::runs(synchronised, scanned)
            .ok_or_else(|| WindowError::BeforeFirstStep { latest: now.latest(), t0, period, codes })?;
        Ok(Self { ranges, runs, learned: grid.span(centres.explained, first), learned_left_out })
    }

    /// Whether such a window looks for the learned centre wherever in a step the time is.
    pub(crate) fn fits_anywhere(
        policy: &WindowPolicy,
        period: Duration,
        now: &TimeInterval,
        drift: &Drift,
        codes: u8,
    ) -> bool {
        check_clock(policy, period, now)
            .is_ok_and(|period| Centres::of(policy, now, drift, codes).fit_anywhere(policy, period, codes))
    }

    /// The window of an enrolment: nothing is known about the token's clock yet, so it may be off by what the
    /// number of codes pays for: ±30 s with one, ±10 min with two, ±1 h with three, and never more than the
    /// policy's `max_drift`.
    ///
    /// # Errors
    ///
    /// As [`compute`](Self::compute).
    pub fn for_enrolment(
        policy: &WindowPolicy,
        period: Duration,
        t0: Timestamp,
        now: &TimeInterval,
        codes: u8,
    ) -> Result<Self, WindowError> {
        let grid = Grid { period: check_clock(policy, period, now)?, t0 };
        let reach = SignedDuration::from(Self::enrolment_reach(policy, codes));
        let whole = Reach { from: now.earliest() - reach, to: now.latest() + reach };
        let span = grid.span(whole, i64::from(codes.saturating_sub(1)));
        let (ranges, runs) = Span::runs(span, Span::EMPTY).ok_or_else(|| WindowError::BeforeFirstStep {
            latest: now.latest(),
            t0,
            period,
            codes,
        })?;
        Ok(Self { ranges, runs, learned: span, learned_left_out: false })
    }

    /// How far off a token's clock may be when it is enrolled with so many consecutive codes.
    ///
    /// Wrong codes cost nothing there, and one that fits by luck teaches a wrong clock. With six digits and steps of 30 s, ±30 s are 3 steps,
    /// for clocks that set themselves: one wrong code fits with 3.0·10⁻⁶. ±10 min are 41, what 4 ppm come to in 4.8 years: one
    /// would fit with 4.1·10⁻⁵, more than a full budget pays for single codes (2.9·10⁻⁵), two with 4.1·10⁻¹¹. ±1 h are 241, a mistaken
    /// summer time: three fit with 2.4·10⁻¹⁶.
    #[must_use]
    pub fn enrolment_reach(policy: &WindowPolicy, codes: u8) -> Duration {
        let reach = match codes {
            0 | 1 => Duration::from_secs(30),
            2 => Duration::from_secs(600),
            _ => Duration::from_secs(3600),
        };
        reach.min(policy.drift_model().max_drift)
    }

    /// The runs of steps, oldest first: one or two, not touching each other.
    #[must_use]
    pub fn ranges(&self) -> &[StepRange] {
        self.ranges.get(..self.runs).unwrap_or(&self.ranges)
    }

    /// How many steps there are: what an attempt pays for.
    #[must_use]
    pub fn width(&self) -> u64 {
        self.ranges().iter().map(|range| range.len()).fold(0, u64::saturating_add)
    }

    /// The newest step.
    #[must_use]
    pub fn top(&self) -> TimeStep {
        let [first, second] = self.ranges;
        if self.runs == 2 { second.last() } else { first.last() }
    }

    /// True where `step` is one of them.
    #[must_use]
    pub fn contains(&self, step: TimeStep) -> bool {
        self.ranges().iter().any(|range| range.contains(step))
    }

    /// Which centre expects a code at `step`.
    #[must_use]
    pub const fn centre(&self, step: TimeStep) -> Centre {
        if self.learned.first <= step.get() && step.get() <= self.learned.last {
            Centre::Learned
        } else {
            Centre::Synchronised
        }
    }

    /// True where the token wasn't seen for so long, or its clock is so far off, that its own centre would have made
    /// the window too wide: only a right clock gets in, more consecutive codes reach further.
    #[must_use]
    pub const fn learned_left_out(&self) -> bool {
        self.learned_left_out
    }
}

/// Why there is no window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WindowError {
    /// The time is known too poorly: the window would be too wide, while with the time known exactly it would not.
    #[error(
        "true time is known to ±{half_width:?}, this token's codes need ±{allowed:?} or better: check the time sources"
    )]
    ClockTooUncertain {
        /// How well the time is known.
        half_width: Duration,
        /// How well it must be known.
        allowed: Duration,
    },
    /// The token's steps are so short that even a perfect clock would need more of them than the policy allows.
    #[error(
        "a period of {period:?} is too short: at most {max_steps} steps must span {span:?}; use a token with a longer \
         period, or a policy with a shorter entry delay"
    )]
    PeriodTooShort {
        /// The token's period.
        period: Duration,
        /// How many steps the policy allows.
        max_steps: u32,
        /// What has to be covered when the time is known perfectly.
        span: Duration,
    },
    /// The token has no steps yet, or fewer than there are codes.
    #[error(
        "it is {latest} at the latest, and with T0 = {t0} and a period of {period:?} the token hasn't had {codes} \
         {} by then: check T0",
        if *codes == 1 { "step" } else { "steps" }
    )]
    BeforeFirstStep {
        /// The latest that it can be.
        latest: Timestamp,
        /// When the token's first step begins.
        t0: Timestamp,
        /// The token's period.
        period: Duration,
        /// How many consecutive codes were shown.
        codes: u8,
    },
}

/// The period in nanoseconds, if the clock is good enough for it.
///
/// The limits don't depend on where in a step the time is: a service whose clock is borderline should be refused
/// always, not now and then.
fn check_clock(policy: &WindowPolicy, period: Duration, now: &TimeInterval) -> Result<i64, WindowError> {
    let one = SignedDuration::from(period);
    let span = policy.least_span();
    // A stretch shorter than n periods touches at most n + 1 steps.
    let longest = one.times(policy.max_steps().saturating_sub(1)) - SignedDuration::from_nanos(1);
    let allowed = longest.min(policy.max_code_age) - span;
    if one <= SignedDuration::ZERO || allowed.is_negative() {
        let (max_steps, span) = (policy.max_steps(), span.unsigned_abs());
        return Err(WindowError::PeriodTooShort { period, max_steps, span });
    }
    if now.latest() - now.earliest() > allowed {
        let allowed = allowed.half().unsigned_abs();
        return Err(WindowError::ClockTooUncertain { half_width: now.half_width(), allowed });
    }
    Ok(one.as_nanos())
}

/// An error where it is `now` that makes the window of a token with this `drift` too wide, and not what was learned of it. For a token that is
/// known to be elsewhere: without what was learned its right codes would be taken for wrong ones.
fn check_clock_for(
    drift: &Drift,
    policy: &WindowPolicy,
    period: i64,
    now: &TimeInterval,
    codes: u8,
) -> Result<(), WindowError> {
    let fits = |half_width: i64| {
        let now = TimeInterval::around(now.midpoint(), Duration::from_nanos(half_width.unsigned_abs()));
        Centres::of(policy, &now, drift, codes).fit_anywhere(policy, period, codes)
    };
    if !fits(0) {
        return Ok(());
    }
    let (mut allowed, mut too_wide) = (0, SignedDuration::from(now.half_width()).as_nanos());
    while too_wide - allowed > 1_000_000 {
        let middle = i64::midpoint(allowed, too_wide);
        if fits(middle) { allowed = middle } else { too_wide = middle }
    }
    let allowed = Duration::from_nanos(allowed.unsigned_abs());
    Err(WindowError::ClockTooUncertain { half_width: now.half_width(), allowed })
}

/// Where a token's steps begin.
#[derive(Clone, Copy)]
struct Grid {
    /// In nanoseconds, at least one.
    period: i64,
    t0: Timestamp,
}

impl Grid {
    /// The steps that a stretch touches, from the step `least` on: n consecutive codes can't end before step n − 1.
    fn span(self, reach: Reach, least: i64) -> Span {
        // Rounding down is outward at both ends: a step contains its beginning.
        let step_at = |time: Timestamp| (time - self.t0).as_nanos().div_euclid(self.period);
        let (first, last) = (step_at(reach.from).max(least), step_at(reach.to));
        if last < least { Span::EMPTY } else { Span { first, last } }
    }
}

/// Steps from `first` to `last`, none where `last` comes before `first`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    first: i64,
    last: i64,
}

impl Span {
    const EMPTY: Self = Self { first: 0, last: -1 };

    const fn is_empty(self) -> bool {
        self.last < self.first
    }

    fn range(self) -> Option<StepRange> {
        StepRange::new(TimeStep::new(self.first)?, TimeStep::new(self.last)?)
    }

    /// How many steps both have together; runs that don't touch are not bridged.
    fn union_width(a: Self, b: Self) -> u64 {
        Self::runs(a, b).map_or(0, |(ranges, runs)| ranges.iter().take(runs).map(|range| range.len()).sum())
    }

    /// Both as runs that don't touch, oldest first, and how many there are; `None` where both are empty.
    fn runs(a: Self, b: Self) -> Option<([StepRange; 2], usize)> {
        let (low, high) = match (a.is_empty(), b.is_empty()) {
            (true, true) => return None,
            (true, false) => (b, b),
            (false, true) => (a, a),
            (false, false) if a.first <= b.first => (a, b),
            (false, false) => (b, a),
        };
        if high.first <= low.last.saturating_add(1) {
            let merged = Self { first: low.first, last: low.last.max(high.last) }.range()?;
            Some(([merged, merged], 1))
        } else {
            Some(([low.range()?, high.range()?], 2))
        }
    }
}

#[cfg(test)]
mod tests;
