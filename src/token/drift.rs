//! How far a token's clock is off: a scalar Kalman filter in integers.
//!
//! Each accepted code is a measurement. A code of step X, received at t, was read while the token's clock showed
//! something in step X, on average its middle, and was submitted `mean_delay` later: the token is ahead of true
//! time by about `z = (X + ½)·P + T0 − t + mean_delay` (P and T0: RFC 6238 §4.1). The filter weighs each against
//! what is known already, so that one code that was relayed late moves the mean by a few seconds at most.

use std::time::Duration;

use crate::otp::TimeStep;
use crate::time::{SignedDuration, TimeInterval, Timestamp};

/// A measurement further from the mean than this many standard deviations is an outlier.
const OUTLIER_SIGMAS: u128 = 4;

/// What is assumed about tokens and their users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriftModel {
    /// From reading a code to submitting it, on average. 10 s: people type six digits in about that time.
    pub mean_delay: Duration,
    /// The standard deviation of that. 7 s: delays with a median of 9 s and a long tail (lognormal, σ 0.55) have 6.2 s, rounded up.
    pub delay_deviation: Duration,
    /// How far the rate of a token's clock may be off, in parts in 10⁹. 10,000 (10 ppm): twice what a quartz
    /// without temperature compensation does at room temperature, measured against the mean that was learned.
    pub rate_error_ppb: u32,
    /// No token's clock is believed to be further off than this, in either direction. An hour: a summer-time
    /// mistake still fits.
    pub max_drift: Duration,
}

impl Default for DriftModel {
    fn default() -> Self {
        Self {
            mean_delay: Duration::from_secs(10),
            delay_deviation: Duration::from_secs(7),
            rate_error_ppb: 10_000,
            max_drift: Duration::from_secs(3600),
        }
    }
}

/// One measurement of how far ahead of true time a token's clock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measurement {
    ahead: SignedDuration,
    variance: u64,
    at: Timestamp,
}

impl Measurement {
    /// What a code of `step` says that was accepted `now`; `period` and `t0` are the token's.
    #[must_use]
    pub fn new(
        model: &DriftModel,
        step: TimeStep,
        period: Duration,
        t0: Timestamp,
        now: &TimeInterval,
    ) -> Self {
        let at = now.midpoint();
        let period_nanos = i128::from(SignedDuration::from(period).as_nanos());
        let middle_of_step = i128::from(step.get()) * period_nanos + period_nanos / 2;
        let ahead = middle_of_step + i128::from(t0.as_unix_nanos()) - i128::from(at.as_unix_nanos())
            + i128::from(SignedDuration::from(model.mean_delay).as_nanos());
        // Uniform inside of the step: P²/12. True time is only known to lie within the interval, uniform in ±h:
        // h²/3. Without the last term a host with a poor clock would teach its own error as the token's, with
        // confidence.
        let variance = micros_squared(period.into()) / 12
            + micros_squared(model.delay_deviation.into())
            + micros_squared(now.half_width().into()) / 3;
        Self {
            ahead: SignedDuration::saturating_from_nanos(ahead),
            variance: u64::try_from(variance).unwrap_or(u64::MAX).max(1),
            at,
        }
    }

    /// How far ahead the token seems to be.
    #[must_use]
    pub const fn ahead(&self) -> SignedDuration {
        self.ahead
    }
}

/// What has been learned about one token's clock.
///
/// ```
/// use skewgate::otp::TimeStep;
/// use skewgate::time::{TimeInterval, Timestamp};
/// use skewgate::token::{Drift, DriftModel, Measurement};
/// use std::time::Duration;
///
/// let (model, period, t0) = (DriftModel::default(), Duration::from_secs(30), Timestamp::from_unix_nanos(0));
/// // A code of the step whose middle is 30_015 s, received at 30_000 s: read 10 s earlier, so 25 s ahead.
/// let now = TimeInterval::around(Timestamp::from_unix_seconds(30_000)?, Duration::ZERO);
/// let step = TimeStep::new(1_000).ok_or("negative")?;
/// let drift = Drift::first(&model, Measurement::new(&model, step, period, t0, &now));
/// assert_eq!(drift.mean().to_string(), "+25.000 s");
/// assert!(drift.deviation_at(&model, now.latest()) > Duration::from_secs(11));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Drift {
    mean: SignedDuration,
    variance: u64,
    updated: Timestamp,
    outlier: Option<SignedDuration>,
}

impl Drift {
    /// What the first measurement teaches: at enrolment.
    #[must_use]
    pub fn first(model: &DriftModel, measured: Measurement) -> Self {
        Self {
            mean: within(measured.ahead, model.max_drift),
            variance: measured.variance,
            updated: measured.at,
            outlier: None,
        }
    }

    /// The drift that a store has kept: see the methods of the same names.
    #[must_use]
    pub const fn from_parts(
        mean: SignedDuration,
        variance: u64,
        updated: Timestamp,
        outlier: Option<SignedDuration>,
    ) -> Self {
        Self { mean, variance, updated, outlier }
    }

    /// How far ahead of true time the token's clock is believed to be.
    #[must_use]
    pub const fn mean(&self) -> SignedDuration {
        self.mean
    }

    /// How uncertain that was at the last update: the variance in square microseconds. It saturates at a standard
    /// deviation of 71 minutes, beyond which nothing is looked for anyway.
    #[must_use]
    pub const fn variance(&self) -> u64 {
        self.variance
    }

    /// When a measurement was last believed.
    #[must_use]
    pub const fn updated(&self) -> Timestamp {
        self.updated
    }

    /// A measurement that didn't fit and waits for a second one that agrees.
    #[must_use]
    pub const fn outlier(&self) -> Option<SignedDuration> {
        self.outlier
    }

    /// The standard deviation at a later time, rounded up: between measurements it grows with what the token's
    /// rate may be off.
    #[must_use]
    pub fn deviation_at(&self, model: &DriftModel, time: Timestamp) -> Duration {
        let variance = self.variance_at(model, time);
        let root = variance.isqrt();
        Duration::from_micros(if root * root < variance { root + 1 } else { root })
    }

    /// The drift after an accepted code.
    ///
    /// How far one code moves the mean depends on how well it was known, K = σ²/(σ² + R) with R = 124 s² for a period of
    /// 30 s. A relayed code that comes as late as a window lets it in moves a settled token (σ = 5 s) by 9 s at most, one that was
    /// just enrolled with a single code (σ = 11 s) by half a minute, and one that wasn't seen for so long that its window is
    /// the widest of all (σ = 20 s) by more than a minute. Each later code is weighed against it again.
    ///
    /// `explained` says whether the code lies where this drift expected one. A code that only a right clock
    /// explains (a phone whose clock was set right), and an outlier beyond 4 σ, change nothing at first: one may
    /// be a code that somebody relayed late. A second one in a row that agrees with it starts the filter anew.
    #[must_use]
    pub fn learn(self, model: &DriftModel, measured: Measurement, explained: bool) -> Self {
        let variance = self.variance_at(model, measured.at);
        let innovation = measured.ahead - self.mean;
        let total = u128::from(variance) + u128::from(measured.variance);
        if !explained || is_beyond(innovation, total) {
            return self.doubt(model, measured);
        }
        // μ += y·V/S and V' = V·R/S, S = V + R. The products fit 128 bits: |y| ≤ 2⁶³, V and R < 2⁶⁴.
        let step = i128::from(innovation.as_nanos()) * i128::from(variance)
            / i128::try_from(total).unwrap_or(i128::MAX);
        let mean = self.mean + SignedDuration::saturating_from_nanos(step);
        let left = (u128::from(variance) * u128::from(measured.variance)).div_ceil(total);
        Self {
            mean: within(mean, model.max_drift),
            variance: u64::try_from(left).unwrap_or(u64::MAX),
            // The time of this measurement even where it is the earlier one: after a clock that was far ahead, a
            // maximum would stop the growth until the truth has caught up.
            updated: measured.at,
            outlier: None,
        }
    }

    fn doubt(self, model: &DriftModel, measured: Measurement) -> Self {
        let twice = u128::from(measured.variance) * 2;
        match self.outlier {
            Some(before) if !is_beyond(measured.ahead - before, twice) => {
                let middle = before + (measured.ahead - before).half();
                Self::first(model, Measurement { ahead: middle, ..measured })
            }
            _ => Self { outlier: Some(measured.ahead), ..self },
        }
    }

    /// A time before the last update adds nothing: a clock that ran backwards is no knowledge.
    fn variance_at(&self, model: &DriftModel, time: Timestamp) -> u64 {
        const PER_MICRO: u64 = 1_000_000_000_000;
        let passed = u64::try_from((time - self.updated).as_nanos()).unwrap_or(0);
        let rate = u64::from(model.rate_error_ppb);
        // 64 bits are enough for three weeks at 10 ppm, and divided in a tenth of the time.
        let growth_micros = match passed.checked_mul(rate) {
            Some(parts) => u128::from(parts.div_ceil(PER_MICRO)),
            None => (u128::from(passed) * u128::from(rate)).div_ceil(u128::from(PER_MICRO)),
        };
        let growth = growth_micros.saturating_mul(growth_micros);
        u64::try_from(growth.saturating_add(u128::from(self.variance))).unwrap_or(u64::MAX)
    }
}

/// True where `distance` is more than [`OUTLIER_SIGMAS`] standard deviations.
fn is_beyond(distance: SignedDuration, variance: u128) -> bool {
    micros_squared(distance) > variance.saturating_mul(OUTLIER_SIGMAS * OUTLIER_SIGMAS)
}

fn micros_squared(length: SignedDuration) -> u128 {
    u128::from(length.as_nanos().unsigned_abs().div_ceil(1_000)).pow(2)
}

fn within(mean: SignedDuration, max_drift: Duration) -> SignedDuration {
    let limit = SignedDuration::from(max_drift);
    mean.clamp(-limit, limit)
}

#[cfg(test)]
mod tests;
