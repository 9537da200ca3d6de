//! What a window may be: the figures behind it, and which of them the guess budget can pay.

use std::time::Duration;

use crate::time::{SignedDuration, Timestamp};
use crate::token::budget::{MAX_STEPS, SIX_DIGITS};
use crate::token::{Bucket, Drift, DriftModel, Odds};

/// How many wrong single codes at the widest window a full budget must be able to pay.
///
/// Three mistakes in a row are common, and a fourth single code should still be looked at. Seven steps of six digits
/// cost 7.002·10⁻⁶, a hair more than 7·10⁻⁶, since a code is a 31-bit number modulo 10⁶: four of them fit into what single
/// codes may spend, 2.9·10⁻⁵, and four times eight steps don't.
const WORST_CASES: u64 = 4;

/// The most standard deviations that may be covered.
const MOST_SIGMAS: u32 = 10;

/// The furthest that a token's clock may be believed to be off.
const MOST_DRIFT: Duration = Duration::from_secs(86_400);

/// The furthest that a token's clock may be believed to run off: twice as fast, or not at all.
const MOST_RATE_ERROR_PPB: u32 = 1_000_000_000;

/// The longest period that is usual.
const LONGEST_PERIOD: Duration = Duration::from_secs(60);

/// The figures that a window is computed from. The default suits six-digit codes on phones and hardware tokens.
///
/// ```
/// use skewgate::window::WindowPolicy;
/// use std::time::Duration;
///
/// // People who read a code to somebody else over a telephone need longer.
/// let policy = WindowPolicy::builder().entry_delay(Duration::from_secs(60)).build()?;
/// assert_eq!(policy.max_steps(), 7);
/// # Ok::<(), skewgate::window::PolicyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowPolicy {
    // No length is negative: with a sign they can be added to times as they are.
    pub(super) entry_delay: SignedDuration,
    pub(super) least_entry_delay: SignedDuration,
    pub(super) repaired_entry_delay: SignedDuration,
    sigmas: u32,
    pub(super) jitter: SignedDuration,
    pub(super) synchronised_slack: SignedDuration,
    max_steps: u32,
    max_steps_consecutive: u32,
    pub(super) max_code_age: SignedDuration,
    drift_model: DriftModel,
}

impl Default for WindowPolicy {
    fn default() -> Self {
        Self {
            entry_delay: SignedDuration::from_secs(37),
            least_entry_delay: SignedDuration::from_secs(3),
            repaired_entry_delay: SignedDuration::from_secs(5),
            sigmas: 2,
            jitter: SignedDuration::from_secs(1),
            synchronised_slack: SignedDuration::from_secs(1),
            max_steps: MAX_STEPS,
            max_steps_consecutive: 19,
            max_code_age: SignedDuration::from_secs(120),
            drift_model: DriftModel::default(),
        }
    }
}

impl WindowPolicy {
    /// The default figures, to be changed.
    pub fn builder() -> WindowPolicyBuilder {
        WindowPolicyBuilder { policy: Self::default() }
    }

    /// These figures, to be changed.
    ///
    /// ```
    /// use skewgate::window::WindowPolicy;
    /// use std::time::Duration;
    ///
    /// let policy = WindowPolicy::strict().to_builder().entry_delay(Duration::from_secs(25)).build()?;
    /// assert_eq!(policy.max_steps(), 5);
    /// # Ok::<(), skewgate::window::PolicyError>(())
    /// ```
    pub const fn to_builder(self) -> WindowPolicyBuilder {
        WindowPolicyBuilder { policy: self }
    }

    /// For consoles of administrators, whose owners use them daily with phones that set their own clocks: fewer codes at a time,
    /// and no single one that is older than a minute and a quarter.
    ///
    /// - `entry_delay` 30 s: one in 70 takes longer. In a simulation 0.22 % of administrators' right codes are refused at
    ///   2.2 codes accepted on average; by default 0.08 % at 2.5.
    /// - `max_code_age` 75 s and `max_steps` 5: a token that is known to ±10 s and one that isn't fit, one that wasn't seen for
    ///   two weeks and is off needs two codes. Of a mixed population 0.9 % of right codes are refused.
    /// - `max_steps_consecutive` 9: two codes reach two minutes either way, and live four and a half at the most.
    /// - All else is the default's.
    #[must_use]
    pub fn strict() -> Self {
        Self {
            entry_delay: SignedDuration::from_secs(30),
            max_steps: 5,
            max_steps_consecutive: 9,
            max_code_age: SignedDuration::from_secs(75),
            ..Self::default()
        }
    }

    /// For tokens whose clock nobody sets, and that lie in a drawer for weeks: what was learned of them holds longer.
    ///
    /// - `rate_error_ppb` 4,000 (4 ppm), where the default takes 10 ppm: quartzes of tokens are off by some 3 ppm. At 10 ppm a token
    ///   could be anywhere after four weeks, and 43 % of single codes had to be followed by two; so 6 %.
    /// - `entry_delay` 30 s: the steps that this saves are needed for the drift.
    /// - `repaired_entry_delay` 0 s: nobody sets such a clock right. A token that is right, or was replaced by a phone, is still looked for
    ///   in the present step.
    /// - `max_code_age` 240 s: never what limits, `max_steps` is.
    /// - All else is the default's: seven steps are all that the budget pays four mistakes for.
    ///
    /// In a simulation of tokens of up to four years that are used every four weeks, 6.4 % of right codes are refused at first, and 0.13 % of
    /// logins end without success, at 4.3 codes accepted on average; with the default 43 % and 5.4 % at 3.6. Who uses such a token every
    /// three days is as well off with the default.
    #[must_use]
    pub fn hardware_tokens() -> Self {
        Self {
            entry_delay: SignedDuration::from_secs(30),
            repaired_entry_delay: SignedDuration::ZERO,
            max_code_age: SignedDuration::from_secs(240),
            drift_model: DriftModel { rate_error_ppb: 4_000, ..DriftModel::default() },
            ..Self::default()
        }
    }

    /// For services that must state how long a code lives (SP 800-63B: a defined lifetime, for the drift of clocks, the delay
    /// of networks and the entry of the code): two minutes, and three and a half where two consecutive ones are shown.
    ///
    /// - `max_code_age` 90 s: with the 30 s of its step, no centre accepts a single code for longer than two minutes. A token that is known
    ///   to be wrong has two: its codes are also accepted when a right clock shows them, for 35 s.
    /// - `max_steps` 6: two centres of at most four steps each, of which 90 s leave no more than that as a rule.
    /// - `max_steps_consecutive` 7: two codes live for seven steps at the most. Fewer would leave a token that wasn't seen for weeks nothing but
    ///   resynchronisation.
    /// - All else is the default's.
    ///
    /// In a simulation of a mixed population 0.33 % of right codes are refused at 2.8 codes accepted on average, 0.08 % of
    /// logins end without success: tokens that weren't seen for weeks are resynchronised. At most 100 failures in a row, which
    /// the guideline demands too, are [`Policy::nist`](crate::validator::Policy::nist)'s.
    #[must_use]
    pub fn nist() -> Self {
        Self {
            max_steps: 6,
            max_steps_consecutive: 7,
            max_code_age: SignedDuration::from_secs(90),
            ..Self::default()
        }
    }

    /// The longest that a user may take from reading a code to submitting it. 37 s: one in 200 takes longer, and most of
    /// those get in all the same, since a code stays until the end of its step. With slack and jitter, twice each, it must be shorter than
    /// [`max_steps`](Self::max_steps) less one of a minute each.
    #[must_use]
    pub const fn entry_delay(&self) -> Duration {
        self.entry_delay.unsigned_abs()
    }

    /// The shortest that a user takes for that, as seen from what was learned of his token. 3 s: one in forty types six digits
    /// faster. It counts only beyond the deviation that is covered, and at the learned centre only: somebody whose codes are
    /// filled in by a program is at once each time, and what is learned of his token says so; a right clock's codes may come
    /// without any delay.
    #[must_use]
    pub const fn least_entry_delay(&self) -> Duration {
        self.least_entry_delay.unsigned_abs()
    }

    /// How long a user may take whose token was known to be wrong and whose clock was set right. 5 s: with what is left
    /// of the step, five in six get in at once, and all others within two or three tries. From then on it is
    /// [`entry_delay`](Self::entry_delay). Each second of it is paid by all whose clocks are wrong.
    #[must_use]
    pub const fn repaired_entry_delay(&self) -> Duration {
        self.repaired_entry_delay.unsigned_abs()
    }

    /// k: how many standard deviations of the token's drift are covered. 2; the rest is what the second centre,
    /// the jitter and a second try are for.
    #[must_use]
    pub const fn sigmas(&self) -> u32 {
        self.sigmas
    }

    /// By how much a token's clock may differ from one login to the next. 1 s: phones correct theirs in jumps.
    #[must_use]
    pub const fn jitter(&self) -> Duration {
        self.jitter.unsigned_abs()
    }

    /// By how much a clock that is called right may be wrong, besides its jitter. 1 s: phones that follow the network's time are
    /// right to about half a second.
    #[must_use]
    pub const fn synchronised_slack(&self) -> Duration {
        self.synchronised_slack.unsigned_abs()
    }

    /// At most so many steps for a single code. 7: two or three are usual, four for a token that is off, and the
    /// rest is for one that wasn't seen for weeks. A full budget pays for four wrong codes at that price.
    #[must_use]
    pub const fn max_steps(&self) -> u32 {
        self.max_steps
    }

    /// At most so many steps for two or three consecutive codes. 19: nine and a half minutes of a token's time, as whoever
    /// relays two codes has until they leave the window. The full [partial](Bucket::Partial) bucket pays for a pair that is half right at
    /// every one of them; what lies further off is for [resynchronisation](super::Window::for_resynchronisation).
    #[must_use]
    pub const fn max_steps_consecutive(&self) -> u32 {
        self.max_steps_consecutive
    }

    /// From the oldest to the newest moment at which a single code may have been read, for each centre. 120 s: a code
    /// that is accepted for longer can be relayed at leisure.
    #[must_use]
    pub const fn max_code_age(&self) -> Duration {
        self.max_code_age.unsigned_abs()
    }

    /// What is assumed about tokens' clocks and their users.
    #[must_use]
    pub const fn drift_model(&self) -> &DriftModel {
        &self.drift_model
    }

    /// How many steps may be looked at for so many codes.
    pub(super) fn most_steps(&self, codes: u8) -> u64 {
        u64::from(if codes <= 1 { self.max_steps } else { self.max_steps_consecutive })
    }

    /// What a window has to cover when the time is known perfectly.
    pub(super) fn least_span(&self) -> SignedDuration {
        self.entry_delay + (self.synchronised_slack + self.jitter).times(2)
    }

    /// kσ: how far from its mean a token with this `drift` is looked for.
    pub(super) fn slack(&self, drift: &Drift, time: Timestamp) -> SignedDuration {
        SignedDuration::of(drift.deviation_at(&self.drift_model, time)).times(self.sigmas)
    }
}

/// Changes the figures of a [`WindowPolicy`]; [`build`](Self::build) checks that they fit together.
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is checked before `build`"]
pub struct WindowPolicyBuilder {
    policy: WindowPolicy,
}

impl WindowPolicyBuilder {
    /// See [`WindowPolicy::entry_delay`].
    pub const fn entry_delay(mut self, entry_delay: Duration) -> Self {
        self.policy.entry_delay = SignedDuration::of(entry_delay);
        self
    }

    /// See [`WindowPolicy::least_entry_delay`].
    pub const fn least_entry_delay(mut self, least_entry_delay: Duration) -> Self {
        self.policy.least_entry_delay = SignedDuration::of(least_entry_delay);
        self
    }

    /// See [`WindowPolicy::repaired_entry_delay`].
    pub const fn repaired_entry_delay(mut self, repaired_entry_delay: Duration) -> Self {
        self.policy.repaired_entry_delay = SignedDuration::of(repaired_entry_delay);
        self
    }

    /// See [`WindowPolicy::sigmas`].
    pub const fn sigmas(mut self, sigmas: u32) -> Self {
        self.policy.sigmas = sigmas;
        self
    }

    /// See [`WindowPolicy::jitter`].
    pub const fn jitter(mut self, jitter: Duration) -> Self {
        self.policy.jitter = SignedDuration::of(jitter);
        self
    }

    /// See [`WindowPolicy::synchronised_slack`].
    pub const fn synchronised_slack(mut self, slack: Duration) -> Self {
        self.policy.synchronised_slack = SignedDuration::of(slack);
        self
    }

    /// See [`WindowPolicy::max_steps`].
    pub const fn max_steps(mut self, steps: u32) -> Self {
        self.policy.max_steps = steps;
        self
    }

    /// See [`WindowPolicy::max_steps_consecutive`].
    pub const fn max_steps_consecutive(mut self, steps: u32) -> Self {
        self.policy.max_steps_consecutive = steps;
        self
    }

    /// See [`WindowPolicy::max_code_age`].
    pub const fn max_code_age(mut self, age: Duration) -> Self {
        self.policy.max_code_age = SignedDuration::of(age);
        self
    }

    /// See [`WindowPolicy::drift_model`].
    pub const fn drift_model(mut self, model: DriftModel) -> Self {
        self.policy.drift_model = model;
        self
    }

    /// The policy.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] where no window could be computed from these figures, or the guess budget couldn't pay for it.
    pub fn build(self) -> Result<WindowPolicy, PolicyError> {
        let policy = self.policy;
        if policy.sigmas == 0 {
            return Err(PolicyError::NoSigmas);
        }
        // What follows from them must be searched: within a day that takes milliseconds.
        if policy.sigmas > MOST_SIGMAS {
            return Err(PolicyError::ManySigmas { got: policy.sigmas });
        }
        if policy.drift_model.max_drift > MOST_DRIFT {
            return Err(PolicyError::MaxDrift { got: policy.drift_model.max_drift });
        }
        if policy.drift_model.rate_error_ppb > MOST_RATE_ERROR_PPB {
            return Err(PolicyError::RateError { got: policy.drift_model.rate_error_ppb });
        }
        if policy.least_entry_delay.max(policy.repaired_entry_delay) > policy.entry_delay {
            return Err(PolicyError::EntryDelays {
                least: policy.least_entry_delay(),
                repaired: policy.repaired_entry_delay(),
                longest: policy.entry_delay(),
            });
        }
        let (mean, deviation) = (policy.drift_model.mean_delay, policy.drift_model.delay_deviation);
        if mean.max(deviation) > policy.entry_delay() {
            return Err(PolicyError::Delays { mean, deviation, longest: policy.entry_delay() });
        }
        if policy.least_span() > policy.max_code_age {
            return Err(PolicyError::CodesTooYoung {
                max_code_age: policy.max_code_age(),
                span: policy.least_span().unsigned_abs(),
            });
        }
        let most = most_steps(Bucket::Blind, WORST_CASES);
        if !(2..=most).contains(&policy.max_steps) {
            return Err(PolicyError::MaxSteps { got: policy.max_steps, most });
        }
        // Otherwise each login would be refused as `WindowError::PeriodTooShort`.
        let (max_steps, span) = (policy.max_steps(), policy.least_span().unsigned_abs());
        if span >= LONGEST_PERIOD.saturating_mul(max_steps.saturating_sub(1)) {
            return Err(PolicyError::StepsTooFew { max_steps, span });
        }
        let most = most_steps(Bucket::Partial, 1);
        if !(policy.max_steps..=most).contains(&policy.max_steps_consecutive) {
            let (got, least) = (policy.max_steps_consecutive, policy.max_steps);
            return Err(PolicyError::MaxStepsConsecutive { got, least, most });
        }
        Ok(policy)
    }
}

/// The widest window of which a full bucket can pay `attempts` failures with one unknown code of six digits.
fn most_steps(bucket: Bucket, attempts: u64) -> u32 {
    let held = bucket.capacity().units().saturating_sub(bucket.reserve(1).units());
    let step = Odds::of_guess(1, SIX_DIGITS, 1).units().saturating_mul(attempts);
    u32::try_from(held.checked_div(step).unwrap_or(0)).unwrap_or(u32::MAX)
}

/// Why figures make no [`WindowPolicy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// No deviation is to be covered.
    #[error("sigmas = 0 would expect every token's clock to be exactly where it was last seen: use 2")]
    NoSigmas,
    /// Nobody could be both as fast and as slow as that.
    #[error(
        "least_entry_delay is {least:?} and repaired_entry_delay {repaired:?}, but entry_delay only {longest:?}: it is the \
         longest of the three"
    )]
    EntryDelays {
        /// `least_entry_delay`.
        least: Duration,
        /// `repaired_entry_delay`.
        repaired: Duration,
        /// `entry_delay`.
        longest: Duration,
    },
    /// More deviations than any clock has.
    #[error("sigmas is {got}, at most {MOST_SIGMAS} are of use: use 2")]
    ManySigmas {
        /// What was given.
        got: u32,
    },
    /// Clocks so far off that looking for them takes long.
    #[error("max_drift is {got:?}, at most {MOST_DRIFT:?} can be looked for: use an hour")]
    MaxDrift {
        /// What was given.
        got: Duration,
    },
    /// Clocks that could as well stand still.
    #[error(
        "rate_error_ppb is {got}, at most {MOST_RATE_ERROR_PPB} is an error and not another clock: use 10000"
    )]
    RateError {
        /// What was given.
        got: u32,
    },
    /// Right tokens would be learned to be ahead by more than anybody takes to type.
    #[error(
        "the drift model's mean_delay is {mean:?} and its delay_deviation {deviation:?}, but entry_delay only {longest:?}, which is the \
         longest of the three: give a model with shorter ones, too"
    )]
    Delays {
        /// `mean_delay`, of the drift model.
        mean: Duration,
        /// `delay_deviation`, of the drift model.
        deviation: Duration,
        /// `entry_delay`.
        longest: Duration,
    },
    /// The window would be refused for its age even with a perfect clock.
    #[error(
        "max_code_age is {max_code_age:?}, but entry_delay, slack and jitter alone need {span:?}: raise it or shorten \
         those"
    )]
    CodesTooYoung {
        /// The limit that was given.
        max_code_age: Duration,
        /// What has to be covered when the time is known perfectly.
        span: Duration,
    },
    /// Too few steps for any window, or more than the budget can pay.
    #[error(
        "max_steps is {got}: at least 2 are needed, as every wait crosses into another step, and at most {most}, so that \
         four wrong codes of six digits can be paid for"
    )]
    MaxSteps {
        /// What was given.
        got: u32,
        /// The most that the budget can pay.
        most: u32,
    },
    /// So few steps that tokens with any usual period would be refused as [too short](super::WindowError::PeriodTooShort).
    #[error(
        "max_steps is {max_steps}, but entry_delay, slack and jitter alone need {span:?}, which so many steps don't span even \
         where they are {LONGEST_PERIOD:?} long: shorten those, or allow more steps"
    )]
    StepsTooFew {
        /// The limit that was given.
        max_steps: u32,
        /// What has to be covered when the time is known perfectly.
        span: Duration,
    },
    /// Fewer steps than for one code, or more than the budget can pay in the worst case.
    #[error(
        "max_steps_consecutive is {got}: at least {least} are needed (max_steps), and at most {most}, so that a pair \
         that is half right at all of them can be paid for"
    )]
    MaxStepsConsecutive {
        /// What was given.
        got: u32,
        /// `max_steps`.
        least: u32,
        /// The most that the budget can pay.
        most: u32,
    },
}
