//! How wrong the rate of the raw timeline may be.

use crate::time::SignedDuration;

const BILLION: u128 = 1_000_000_000;

/// φ: the largest rate error of the raw timeline, against true time.
///
/// RFC 5905 assumes 15 ppm for a disciplined clock (its PHI). The raw timeline is undisciplined, and quartz
/// over the temperatures of a machine room stays within 100 ppm: the default.
///
/// ```
/// use skewgate::{clock::MaxDrift, time::SignedDuration};
///
/// // A day at 100 ppm: 8.64 s, and a little more because the raw clock may run slow while it measures the day.
/// let a_day = SignedDuration::from_secs(86_400);
/// assert_eq!(MaxDrift::default().growth(a_day).as_nanos(), 8_640_864_087);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MaxDrift {
    ppb: u32,
    /// φ/(1 − φ) in 2⁻⁶⁴, rounded up: a multiplication instead of a division at every login.
    growth: u64,
}

impl MaxDrift {
    /// So many parts in 10⁶. Nothing above 100,000 ppm (a tenth) means anything; that is where it saturates.
    #[must_use]
    pub const fn from_ppm(ppm: u32) -> Self {
        let ppb = if ppm > 100_000 { 100_000_000 } else { ppm * 1_000 };
        // At most a ninth of 2⁶⁴.
        #[expect(clippy::cast_possible_truncation, reason = "a ninth of 2⁶⁴ fits")]
        let growth = ((ppb as u128) << 64).div_ceil(BILLION - ppb as u128) as u64;
        Self { ppb, growth }
    }

    /// In parts in 10⁹.
    #[must_use]
    pub const fn as_ppb(self) -> u32 {
        self.ppb
    }

    /// How far true time and the raw timeline can have drifted apart while the latter counted `elapsed`:
    /// φ/(1 − φ) of it, rounded up. The same forwards and backwards.
    #[must_use]
    pub fn growth(self, elapsed: SignedDuration) -> SignedDuration {
        let grown = u128::from(elapsed.as_nanos().unsigned_abs()) * u128::from(self.growth);
        // At most a ninth of what fits.
        SignedDuration::saturating_from_nanos((grown.div_ceil(1 << 64)).cast_signed())
    }
}

impl MaxDrift {
    /// How long the raw timeline can count before the growth is more than `allowed`; or a little less.
    #[must_use]
    pub fn time_to_grow(self, allowed: SignedDuration) -> SignedDuration {
        let allowed = u128::from(allowed.as_nanos().max(0).unsigned_abs());
        let time = (allowed << 64).checked_div(self.growth.into()).unwrap_or(u128::MAX);
        SignedDuration::saturating_from_nanos(i128::try_from(time).unwrap_or(i128::MAX))
    }
}

impl Default for MaxDrift {
    /// 100 ppm.
    fn default() -> Self {
        Self::from_ppm(100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_rounds_up_and_has_no_sign() {
        let drift = MaxDrift::default();
        assert_eq!(drift.growth(SignedDuration::from_nanos(1)).as_nanos(), 1);
        assert_eq!(drift.growth(SignedDuration::ZERO), SignedDuration::ZERO);
        assert_eq!(drift.growth(SignedDuration::from_secs(-1)), drift.growth(SignedDuration::from_secs(1)));
    }

    #[test]
    fn growth_is_never_too_small_and_a_nanosecond_too_large_at_the_most() {
        for ppm in [0, 1, 15, 100, 500, 83_333, 100_000] {
            let drift = MaxDrift::from_ppm(ppm);
            for nanos in [0, 1, 999_999_999, 1 << 40, 86_400_000_000_000, 1 << 62, i64::MAX.unsigned_abs()] {
                let ppb = u128::from(ppm) * 1_000;
                let exact = (u128::from(nanos) * ppb).div_ceil(1_000_000_000 - ppb);
                let grown = drift.growth(SignedDuration::from_nanos(nanos.cast_signed())).as_nanos();
                let grown = u128::try_from(grown).unwrap();
                assert!((exact..=exact + 1).contains(&grown), "{ppm} ppm, {nanos} ns: {grown}, not {exact}");
            }
        }
    }

    #[test]
    fn the_time_to_grow_is_the_longest() {
        for ppm in [1, 100, 83_333] {
            let drift = MaxDrift::from_ppm(ppm);
            for nanos in [1, 999, 1_000_000, 10_000_000_000] {
                let allowed = SignedDuration::from_nanos(nanos);
                let time = drift.time_to_grow(allowed);
                assert!(drift.growth(time) <= allowed, "{ppm} ppm, {nanos} ns");
                assert!(
                    drift.growth(time + SignedDuration::from_nanos(2)) >= allowed,
                    "{ppm} ppm, {nanos} ns"
                );
            }
        }
        assert_eq!(MaxDrift::from_ppm(0).time_to_grow(SignedDuration::ZERO), SignedDuration::MAX);
        assert_eq!(MaxDrift::default().time_to_grow(SignedDuration::from_secs(-1)), SignedDuration::ZERO);
    }

    #[test]
    fn absurd_rates_saturate() {
        assert_eq!(MaxDrift::from_ppm(u32::MAX), MaxDrift::from_ppm(100_000));
        assert!(!MaxDrift::from_ppm(u32::MAX).growth(SignedDuration::MAX).is_negative());
    }
}
