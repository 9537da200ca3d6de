//! What is the matter with a code: pure, with the validator's own *admit* and *judge*.

use std::time::Duration;

use skewgate::clock::OffsetInterval;
use skewgate::otp::{Code, Consecutive, TimeStep, Totp};
use skewgate::time::{SignedDuration, TimeInterval, Timestamp};
use skewgate::token::{Measurement, Odds};
use skewgate::validator::decide::{Decision, Purpose, Standing, admit, judge};
use skewgate::validator::{Policy, Reason};
use skewgate::window::Window;

use super::ExplainError;
use super::cause::{Cause, Death};
use super::key::Key;
use super::search::{Alternative, alternative, fits};

/// A fit further off than this may well be luck: what else would explain the code is looked for, too.
const FAR: Duration = Duration::from_secs(3600);

/// A validator is taken to know the time as well as this. Where the clock that is asked here is worse, it isn't known when in between
/// the validator was asked.
pub(crate) const VALIDATORS_CLOCK: Duration = Duration::from_secs(1);

/// Everything that the answer depends on.
pub(crate) struct Case<'c> {
    pub(crate) key: &'c Key,
    pub(crate) totp: &'c Totp,
    pub(crate) codes: &'c [Code],
    pub(crate) policy: &'c Policy,
    pub(crate) standing: &'c Standing,
    /// Whether the standing is that of a store, and not made up.
    pub(crate) state_known: bool,
    /// True time when the code was tried, or why it isn't known.
    pub(crate) time: Result<TimeInterval, String>,
    /// What this host's clock showed then.
    pub(crate) host_clock: Timestamp,
    pub(crate) search: Duration,
}

/// The answer.
#[derive(Debug)]
pub(crate) struct Diagnosis {
    pub(crate) cause: Cause,
    /// The steps at which the validator would look.
    pub(crate) window: Option<Window>,
    /// The newest dead step, and by what.
    pub(crate) dead: Option<(TimeStep, Death)>,
    /// The step at which the codes fit, the nearest to the window of several.
    pub(crate) fit: Option<Fit>,
    /// At how many other steps they fit.
    pub(crate) other_fits: usize,
    /// The chance that codes that somebody made up fit somewhere in the search.
    pub(crate) luck: Odds,
    /// With which other parameters they fit.
    pub(crate) alternative: Option<Alternative>,
    /// The steps of several codes, each for itself, where they don't fit together.
    pub(crate) apart: Vec<Option<TimeStep>>,
    /// What would help against a clock that is off.
    pub(crate) remedy: Option<Remedy>,
}

/// A step at which the codes fit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fit {
    pub(crate) step: TimeStep,
    /// When the token's clock showed it: from here, for a period.
    pub(crate) shown_from: Timestamp,
    /// How many steps before the window (negative) or behind it; `None` without a window.
    pub(crate) steps_off: Option<i64>,
    /// How far ahead of true time the token's clock is, if the code was typed within the policy's entry delay.
    pub(crate) ahead: OffsetInterval,
    /// The same, if it took as long as it does on average.
    pub(crate) ahead_best: SignedDuration,
    /// By what it is dead: where it isn't above the newest dead step.
    pub(crate) dead: Option<Dead>,
}

/// A fit at which no code is accepted, however far the window reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dead {
    pub(crate) by: Death,
    /// If the token's clock is where the fit says: how long until it shows the step after the newest dead one.
    pub(crate) wait: Duration,
}

/// What would let in a token whose clock is that far off, once it shows codes that aren't dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// As many codes as were tried.
    AsMany,
    /// Two consecutive codes.
    TwoCodes,
    /// A resynchronisation, after so long from now: one that comes too early is refused.
    Resynchronise { wait: Duration },
    /// Neither: its clock must be set, or it must be enrolled anew.
    SetClock,
}

impl Case<'_> {
    /// True time as well as it is known; without an answer, what this host's clock showed.
    fn now(&self) -> TimeInterval {
        match self.time {
            Ok(now) => now,
            Err(_) => TimeInterval::around(self.host_clock, Duration::ZERO),
        }
    }

    /// The time as a validator would know it, in the middle of what it may have been.
    fn judged(&self) -> TimeInterval {
        let now = self.now();
        if now.half_width() <= VALIDATORS_CLOCK { now } else { judged_at(now.midpoint()) }
    }

    fn count(&self) -> u8 {
        u8::try_from(self.codes.len()).unwrap_or(u8::MAX)
    }

    fn window(&self, now: &TimeInterval, codes: u8) -> Option<Window> {
        let drift = &self.standing.token.drift;
        let (period, t0) = (self.totp.period(), self.totp.t0());
        Window::compute(self.policy.window(), period, t0, now, drift, codes).ok()
    }

    fn newest_dead(&self) -> Option<TimeStep> {
        self.standing.newest_dead(self.policy, self.totp)
    }

    /// By what a step is dead.
    fn death(&self, step: TimeStep) -> Death {
        if self.standing.token.watermark < Some(step) { Death::Restored } else { Death::Used }
    }

    /// The same for as many codes as there are, of which the last is at `step`: by what the first of them is.
    fn death_of_codes(&self, step: TimeStep) -> Death {
        let before = u32::from(self.count().saturating_sub(1));
        self.death(step.checked_sub(before).unwrap_or(TimeStep::ZERO))
    }

    pub(crate) fn explain(&self) -> Result<Diagnosis, ExplainError> {
        let now = self.now();
        let window = self.window(&self.judged(), self.count());
        // Where its codes are expected: what was learned of the token is the middle of the search.
        let centre = now.midpoint() + self.standing.token.drift.mean();
        let found = fits(self.totp, self.codes, centre, self.search)?;
        let fit = self.nearest(&found.steps, window.as_ref(), centre);
        let decided = self.decide(&found.steps)?;

        let far = fit.is_none_or(|fit| (fit.shown_from - centre).unsigned_abs() > FAR);
        let undecided = matches!(decided, Cause::FitsNowhere);
        let alternative =
            if undecided && far { alternative(self.key, self.codes, centre, self.search)? } else { None };
        let mut apart = Vec::new();
        let cause = match (decided, fit, &alternative) {
            (Cause::FitsNowhere, Some(fit), _) => self.why_outside(&fit),
            (Cause::FitsNowhere, None, Some(_)) => Cause::OtherParameters,
            (Cause::FitsNowhere, None, None) => self.why_nowhere(centre, &mut apart)?,
            (decided, ..) => decided,
        };
        let remedy =
            fit.filter(|_| matches!(cause, Cause::TooOld | Cause::TooNew)).map(|fit| self.remedy(&fit));
        Ok(Diagnosis {
            cause,
            window,
            dead: self.newest_dead().map(|step| (step, self.death(step))),
            fit,
            other_fits: found.steps.len().saturating_sub(1),
            luck: found.luck,
            alternative,
            apart,
            remedy,
        })
    }

    /// What the validator would say, if it says the same whenever in between it was asked.
    fn decide(&self, fits: &[TimeStep]) -> Result<Cause, ExplainError> {
        if self.state_known
            && let Err(fault) = self.standing.check_parameters(self.totp)
        {
            return Ok(Cause::NotAdmitted(Reason::TokenUnsuited(fault)));
        }
        let now = match &self.time {
            Ok(now) => now,
            Err(why) => return Ok(Cause::TimeUnknown(why.clone())),
        };
        let decided = self.decide_at(&self.judged())?;
        if now.half_width() <= VALIDATORS_CLOCK {
            return Ok(decided);
        }
        let accepted = matches!(decided, Cause::Accepted);
        for moment in self.moments(now, fits) {
            let other = self.decide_at(&judged_at(moment))?;
            if matches!(other, Cause::Accepted) != accepted {
                return Ok(Cause::ClockTooPoor);
            }
        }
        Ok(decided)
    }

    /// Both ends, and when a right clock shows what fits, and one that is where this token's was learned to be.
    fn moments(&self, now: &TimeInterval, fits: &[TimeStep]) -> Vec<Timestamp> {
        let inside = SignedDuration::from(VALIDATORS_CLOCK);
        let half = SignedDuration::from(self.totp.period()).half();
        let shown = fits.iter().map(|step| self.totp.step_start(*step) + half);
        let shown = shown.flat_map(|shown| [shown, shown - self.standing.token.drift.mean()]);
        let mut moments = vec![now.earliest() + inside, now.latest() - inside];
        moments.extend(shown.filter(|shown| now.contains(*shown)));
        moments
    }

    /// What it would say then; [`Cause::FitsNowhere`] for what is wrong to it, whatever the reason.
    fn decide_at(&self, now: &TimeInterval) -> Result<Cause, ExplainError> {
        let admitted = admit(self.standing, self.policy, self.totp, now, Purpose::LogIn, self.count());
        let admission = match admitted {
            Ok(admission) => admission,
            Err(reason) => return Ok(Cause::NotAdmitted(reason)),
        };
        let found = admission.look(self.totp, Consecutive::new(self.codes)?);
        Ok(match judge(&admission, &found) {
            Decision::Accept { .. } => Cause::Accepted,
            Decision::Replay { advice } => {
                let death = found.replayed_at.map_or(Death::Used, |step| self.death_of_codes(step));
                Cause::Replay(death, advice)
            }
            Decision::Wrong { .. } => Cause::FitsNowhere,
        })
    }

    fn why_outside(&self, fit: &Fit) -> Cause {
        match fit.steps_off {
            Some(off) if off > 0 => Cause::TooNew,
            Some(off) if off < 0 => Cause::TooOld,
            // Inside of the window and refused: a step of theirs is dead.
            _ => Cause::PartlyUsed(self.death_of_codes(fit.step)),
        }
    }

    fn why_nowhere(
        &self,
        centre: Timestamp,
        apart: &mut Vec<Option<TimeStep>>,
    ) -> Result<Cause, ExplainError> {
        if self.codes.len() > 1 {
            let reversed: Vec<Code> = self.codes.iter().rev().cloned().collect();
            if !fits(self.totp, &reversed, centre, self.search)?.steps.is_empty() {
                return Ok(Cause::WrongOrder);
            }
            for code in self.codes {
                let found = fits(self.totp, std::slice::from_ref(code), centre, self.search.min(FAR))?;
                let nearest =
                    |step: &&TimeStep| (self.totp.step_start(**step) - centre).as_nanos().unsigned_abs();
                apart.push(found.steps.iter().min_by_key(nearest).copied());
            }
            if apart.iter().any(Option::is_some) {
                return Ok(Cause::NotConsecutive);
            }
            apart.clear();
        }
        let format = self.totp.format();
        Ok(if self.codes.iter().all(|code| code.format() == format) {
            Cause::FitsNowhere
        } else {
            Cause::OtherFormat
        })
    }

    fn nearest(&self, steps: &[TimeStep], window: Option<&Window>, centre: Timestamp) -> Option<Fit> {
        let away = |step: &TimeStep| {
            let off = window.map_or(0, |window| steps_off(window, *step).unsigned_abs());
            (off, (self.totp.step_start(*step) - centre).as_nanos().unsigned_abs())
        };
        let step = *steps.iter().min_by_key(|step| away(step))?;
        let (now, model) = (self.now(), self.policy.window().drift_model());
        let (period, t0) = (self.totp.period(), self.totp.t0());
        let shown_from = self.totp.step_start(step);
        let shown_until = shown_from + SignedDuration::from(period);
        // Read between as early as the user may have and the moment at which it was tried.
        let read_from = now.earliest() - SignedDuration::from(self.policy.window().entry_delay());
        let ahead = OffsetInterval::new(shown_from - now.latest(), shown_until - read_from)?;
        Some(Fit {
            step,
            shown_from,
            steps_off: window.map(|window| steps_off(window, step)),
            ahead,
            ahead_best: Measurement::new(model, step, period, t0, &now).ahead(),
            dead: self.dead(step, ahead),
        })
    }

    fn dead(&self, step: TimeStep, ahead: OffsetInterval) -> Option<Dead> {
        let newest = self.newest_dead().filter(|newest| *newest >= step)?;
        let next = self.totp.step_start(newest) + SignedDuration::from(self.totp.period());
        // It can't have been read later than it was tried; and a right clock tells itself how long.
        let right = ahead.contains(SignedDuration::ZERO);
        let shown = if right { self.now().earliest() } else { self.totp.step_start(step) };
        Some(Dead { by: self.death(step), wait: (next - shown).max(SignedDuration::ZERO).unsigned_abs() })
    }

    fn remedy(&self, fit: &Fit) -> Remedy {
        let drift = &self.standing.token.drift;
        let (period, t0) = (self.totp.period(), self.totp.t0());
        let (now, step, dead_for) = match fit.dead.zip(self.newest_dead()) {
            Some((dead, newest)) => (later(self.judged(), dead.wait), next(newest), dead.wait),
            None => (self.judged(), fit.step, Duration::ZERO),
        };
        let lets_in = |codes| self.window(&now, codes).is_some_and(|window| window.contains(step));
        if lets_in(self.count()) {
            return Remedy::AsMany;
        }
        if self.count() < 2 && lets_in(2) {
            return Remedy::TwoCodes;
        }
        let reach = Window::for_resynchronisation(self.policy.window(), period, t0, &now, drift, 2);
        if reach.is_ok_and(|window| window.contains(step)) {
            Remedy::Resynchronise { wait: dead_for.max(self.wait_to_resynchronise()) }
        } else {
            Remedy::SetClock
        }
    }

    fn wait_to_resynchronise(&self) -> Duration {
        match admit(self.standing, self.policy, self.totp, &self.judged(), Purpose::Resynchronise, 2) {
            Err(Reason::TooEarlyToResynchronise { retry_after }) => retry_after,
            _ => Duration::ZERO,
        }
    }
}

fn judged_at(moment: Timestamp) -> TimeInterval {
    TimeInterval::around(moment, VALIDATORS_CLOCK)
}

fn later(now: TimeInterval, wait: Duration) -> TimeInterval {
    TimeInterval::around(now.midpoint() + SignedDuration::from(wait), now.half_width())
}

fn next(step: TimeStep) -> TimeStep {
    TimeStep::new(step.get().saturating_add(1)).unwrap_or(step)
}

/// How many steps before the nearest end of the window (negative) or behind it; 0 inside.
fn steps_off(window: &Window, step: TimeStep) -> i64 {
    let off = window.ranges().iter().map(|range| match step.get() {
        number if number < range.first().get() => number - range.first().get(),
        number if number > range.last().get() => number - range.last().get(),
        _ => 0,
    });
    off.min_by_key(|off| off.unsigned_abs()).unwrap_or(0)
}

#[cfg(test)]
mod followed;
#[cfg(test)]
mod tests;
