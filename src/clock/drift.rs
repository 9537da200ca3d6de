//! How wrong the rate of the raw timeline may be.

use crate::time::SignedDuration;

const BILLION: u64 = 1_000_000_000;

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
}

impl MaxDrift {
    /// So many parts in 10⁶. Nothing above 100,000 ppm (a tenth) means anything; that is where it saturates.
    #[must_use]
    pub const fn from_ppm(ppm: u32) -> Self {
        Self { ppb: if ppm > 100_000 { 100_000_000 } else { ppm * 1_000 } }
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
        let (elapsed, ppb) = (elapsed.as_nanos().unsigned_abs(), u64::from(self.ppb));
        // Two days fit into 64 bits, whose division takes a fifth of the time: this is done at every login.
        let grown = match elapsed.checked_mul(ppb) {
            Some(product) => product.div_ceil(BILLION - ppb),
            None => {
                let grown = (u128::from(elapsed) * u128::from(ppb)).div_ceil(u128::from(BILLION - ppb));
                u64::try_from(grown).unwrap_or(u64::MAX)
            }
        };
        SignedDuration::from_nanos(i64::try_from(grown).unwrap_or(i64::MAX))
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
    fn long_times_grow_like_short_ones() {
        // The first is the longest that fits into 64 bits.
        let drift = MaxDrift::default();
        for nanos in [u64::MAX / 100_000, u64::MAX / 100_000 + 1, 1 << 62] {
            let exact = (u128::from(nanos) * 100_000).div_ceil(999_900_000);
            let elapsed = SignedDuration::from_nanos(i64::try_from(nanos).unwrap());
            assert_eq!(u128::try_from(drift.growth(elapsed).as_nanos()).unwrap(), exact);
        }
    }

    #[test]
    fn absurd_rates_saturate() {
        assert_eq!(MaxDrift::from_ppm(u32::MAX), MaxDrift::from_ppm(100_000));
        assert!(!MaxDrift::from_ppm(u32::MAX).growth(SignedDuration::MAX).is_negative());
    }
}
