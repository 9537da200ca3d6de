//! The price of an attempt: two leaky buckets filled with probability.
//!
//! An attempt that fails pays the chance with which it would have succeeded by luck. Prices are added up
//! whatever the order of attempts, so the sum of all that a bucket ever pays out bounds the chance of a
//! break-in (union bound): its capacity, and its refill times the time that passes. With the numbers here
//! that is 0.93 % for a year of attack without pause on one token, with what pairs may owe. It holds because what the buckets tell is worth nothing:
//! a failure of which some codes were right [burns](crate::store::Failure::burn) them in the write that takes its price.
//!
//! Odds are integers in units of 2⁻⁶⁴ and always rounded up: a price may be too high by a unit, never too low.

use std::fmt;
use std::time::Duration;

use crate::otp::Digits;
use crate::time::{SignedDuration, Timestamp};

/// How many times what a bucket holds it may be in debt before that is taken for a clock's fault.
const OVERDRAFT: i128 = 3;

const NANOS_PER_DAY: u128 = 86_400_000_000_000;

/// A probability, in units of 2⁻⁶⁴, rounded up.
///
/// ```
/// use skewgate::token::Odds;
///
/// // One code of six digits against three steps: 2148 / 2³¹ for each.
/// let price = Odds::of_guess(3, 2148, 1);
/// assert_eq!(price.as_e18(), 3_000_721_335_412);
/// assert_eq!(price.to_string(), "3.001e-6");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Odds(u64);

impl Odds {
    /// Impossible; the price of nothing.
    pub const ZERO: Self = Self(0);
    /// As good as certain: 1 − 2⁻⁶⁴, the largest value.
    pub const MAX: Self = Self(u64::MAX);

    /// So many times 2⁻⁶⁴.
    #[must_use]
    pub const fn from_units(units: u64) -> Self {
        Self(units)
    }

    /// So many parts in 10¹², rounded up.
    #[must_use]
    pub const fn from_e12(parts: u64) -> Self {
        let units = ((parts as u128) << 64).div_ceil(1_000_000_000_000);
        if units > u64::MAX as u128 {
            Self::MAX
        } else {
            #[expect(clippy::cast_possible_truncation, reason = "checked in the line above")]
            Self(units as u64)
        }
    }

    /// The chance that random codes fit somewhere: `width · (guess / 2³¹)^unknown`, rounded up, at most
    /// [`MAX`](Self::MAX).
    ///
    /// `width` is the number of positions that are tried; `guess` the chance that one random code fits one
    /// step, in units of 2⁻³¹ (RFC 4226 §5.3: a code is a 31-bit number modulo a power of ten, so its values
    /// aren't quite equally likely, and the likeliest counts); `unknown` how many consecutive codes luck has to
    /// supply.
    #[must_use]
    pub fn of_guess(width: u64, guess: u32, unknown: u32) -> Self {
        let product = u128::from(guess).checked_pow(unknown).and_then(|g| g.checked_mul(u128::from(width)));
        let Some(product) = product else { return Self::MAX };
        // `product` counts units of 2^(−31·unknown); what is wanted counts units of 2⁻⁶⁴.
        let units = match 64_u32.checked_sub(unknown.saturating_mul(31)) {
            Some(up) => product.checked_mul(1_u128 << up.min(127)),
            None => {
                let down = unknown.saturating_mul(31).saturating_sub(64);
                Some(1_u128.checked_shl(down).map_or(1, |divisor| product.div_ceil(divisor)))
            }
        };
        Self(units.and_then(|units| u64::try_from(units).ok()).unwrap_or(u64::MAX))
    }

    /// In units of 2⁻⁶⁴.
    #[must_use]
    pub const fn units(self) -> u64 {
        self.0
    }

    /// In units of 10⁻¹⁸, rounded up: for logs and metrics, which don't count in powers of two.
    #[must_use]
    pub fn as_e18(self) -> u64 {
        let parts = (u128::from(self.0) * 1_000_000_000_000_000_000).div_ceil(1 << 64);
        u64::try_from(parts).unwrap_or(u64::MAX)
    }

    /// The sum, at most [`MAX`](Self::MAX).
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// So many times it, at most [`MAX`](Self::MAX).
    #[must_use]
    pub const fn saturating_mul(self, times: u64) -> Self {
        Self(self.0.saturating_mul(times))
    }
}

/// In scientific notation with three places, rounded up: `3.001e-6`.
impl fmt::Display for Odds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.as_e18();
        if parts == 0 {
            return f.pad("0");
        }
        let mut exponent = i64::from(parts.ilog10()) - 18;
        let mut mantissa = u128::from(parts) * 1000;
        let scale = 10_u128.pow(parts.ilog10());
        mantissa = mantissa.div_ceil(scale);
        if mantissa >= 10_000 {
            mantissa /= 10;
            exponent += 1;
        }
        f.pad(&format!("{}.{:03}e{exponent}", mantissa / 1000, mantissa % 1000))
    }
}

/// Which of the two buckets pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// For attempts of which no code was right: what a stranger can try. 3·10⁻⁵, refilled by 2·10⁻⁵ a day:
    /// nine wrong codes at three steps each before a second code is asked for.
    Blind,
    /// For attempts of which some but not all consecutive codes were right: what somebody can try who has seen a
    /// code. 2·10⁻⁵: a pair that is half right in a window of 19 steps. Refilled by 0.5·10⁻⁵ a day, which with the other's is
    /// 0.92 % in a year, under a hundredth. Apart from the other so that a flood of blind guesses by a
    /// stranger doesn't use up the owner's mistakes with two codes.
    ///
    /// Which bucket has paid shows once it is empty, so what it paid for must have become worthless: see
    /// [`Failure::burn`](crate::store::Failure::burn).
    Partial,
}

impl Bucket {
    /// What the full bucket can pay.
    #[must_use]
    pub const fn capacity(self) -> Odds {
        const BLIND: Odds = Odds::from_e12(30_000_000);
        const PARTIAL: Odds = Odds::from_e12(20_000_000);
        match self {
            Self::Blind => BLIND,
            Self::Partial => PARTIAL,
        }
    }

    /// What flows in within a day.
    #[must_use]
    pub const fn refill_per_day(self) -> Odds {
        const BLIND: Odds = Odds::from_e12(20_000_000);
        const PARTIAL: Odds = Odds::from_e12(5_000_000);
        match self {
            Self::Blind => BLIND,
            Self::Partial => PARTIAL,
        }
    }

    /// What an attempt of `codes` consecutive codes must leave in this bucket.
    ///
    /// Single codes leave 10⁻⁶ of the blind bucket, so that a flood of them can't keep the owner from getting in
    /// with two codes; pairs leave 10⁻⁹ for three.
    #[must_use]
    pub const fn reserve(self, codes: u8) -> Odds {
        const FOR_PAIRS: Odds = Odds::from_e12(1_000_000);
        const FOR_THREE: Odds = Odds::from_e12(1_000);
        match (self, codes) {
            (Self::Blind, 0 | 1) => FOR_PAIRS,
            (Self::Blind, 2) => FOR_THREE,
            _ => Odds::ZERO,
        }
    }

    /// How long the refill takes to bring `odds`, in nanoseconds, rounded up.
    fn time_to_refill(self, odds: Odds) -> i128 {
        let nanos =
            (u128::from(odds.units()) * NANOS_PER_DAY).div_ceil(u128::from(self.refill_per_day().units()));
        i128::try_from(nanos).unwrap_or(i128::MAX)
    }

    /// The same for what it holds when full, rounded down: the one figure where rounding up would give away
    /// what isn't there.
    fn depth(self) -> i128 {
        let nanos =
            u128::from(self.capacity().units()) * NANOS_PER_DAY / u128::from(self.refill_per_day().units());
        i128::try_from(nanos).unwrap_or(0)
    }
}

/// What a failed attempt owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Charge {
    /// Who pays.
    pub bucket: Bucket,
    /// How much.
    pub cost: Odds,
}

/// What a token's two buckets hold, each kept as one time: that at which it will be full again (the *theoretical
/// arrival time* of GCRA, the generic cell rate algorithm).
///
/// The time that budgets are told is [`TimeInterval::earliest`](crate::time::TimeInterval::earliest): never
/// ahead of the truth, so that no uncertainty of a clock refills anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    blind_full_at: Timestamp,
    partial_full_at: Timestamp,
    failures: u32,
}

impl Budget {
    /// Both buckets full, and no failure.
    #[must_use]
    pub const fn full(now: Timestamp) -> Self {
        Self { blind_full_at: now, partial_full_at: now, failures: 0 }
    }

    /// Enough for two single codes of six digits at seven steps above their reserve, and for two pairs at as many
    /// steps whose maker knew one code of each.
    ///
    /// Where a store forgets on restart, a full bucket for whoever enrols again would make every restart a
    /// refill.
    #[must_use]
    pub fn half_full(now: Timestamp) -> Self {
        let mistake = Odds::of_guess(u64::from(MAX_STEPS), SIX_DIGITS, 1);
        let full_at = |bucket: Bucket| {
            let held = 2 * bucket.time_to_refill(mistake) + bucket.time_to_refill(bucket.reserve(1));
            now + SignedDuration::saturating_from_nanos((bucket.depth() - held).max(0))
        };
        Self { blind_full_at: full_at(Bucket::Blind), partial_full_at: full_at(Bucket::Partial), failures: 0 }
    }

    /// The budget that a store has kept: when each bucket will be full again, and how many attempts have failed since the last
    /// success.
    #[must_use]
    pub const fn from_parts(blind_full_at: Timestamp, partial_full_at: Timestamp, failures: u32) -> Self {
        Self { blind_full_at, partial_full_at, failures }
    }

    /// How many attempts have failed since the last one that let its user in.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// One failure more, at most `u32::MAX`.
    #[must_use]
    pub const fn one_more_failure(self) -> Self {
        Self { failures: self.failures.saturating_add(1), ..self }
    }

    /// No failure since the last success.
    #[must_use]
    pub const fn without_failures(self) -> Self {
        Self { failures: 0, ..self }
    }

    /// In each bucket as much as in the emptier one of both budgets.
    #[must_use]
    pub fn emptier(self, other: Self) -> Self {
        Self {
            blind_full_at: self.blind_full_at.max(other.blind_full_at),
            partial_full_at: self.partial_full_at.max(other.partial_full_at),
            failures: self.failures.max(other.failures),
        }
    }

    /// When `bucket` will be full again; a time in the past means that it is.
    #[must_use]
    pub const fn full_at(&self, bucket: Bucket) -> Timestamp {
        match bucket {
            Bucket::Blind => self.blind_full_at,
            Bucket::Partial => self.partial_full_at,
        }
    }

    /// True where `charge` could be paid now by an attempt of `codes` consecutive codes, its
    /// [reserve](Bucket::reserve) left alone.
    #[must_use]
    pub fn could_pay(&self, charge: Charge, codes: u8, now: Timestamp) -> bool {
        self.wait_to_pay(charge, codes, now) == Some(Duration::ZERO)
    }

    /// How long until `charge` could be paid by an attempt of `codes` consecutive codes: zero where it can be paid
    /// now, `None` where not even the full bucket could.
    ///
    /// Several codes may be paid for while the blind bucket is in debt, up to three times what it holds. Single codes in several
    /// processes at once can bring it there (each of them was admitted on its own), and their flood must not keep the owner out who shows
    /// two. It adds what pairs can pay in debt to what is ever paid, once: 9·10⁻⁵ at the most.
    #[must_use]
    pub fn wait_to_pay(&self, charge: Charge, codes: u8, now: Timestamp) -> Option<Duration> {
        let bucket = charge.bucket;
        let depth = match bucket {
            Bucket::Blind if codes > 1 => bucket.depth() * (1 + OVERDRAFT),
            _ => bucket.depth(),
        };
        let room = depth - bucket.time_to_refill(bucket.reserve(codes));
        let cost = bucket.time_to_refill(charge.cost);
        let now = i128::from(now.as_unix_nanos());
        let owed = (i128::from(self.full_at(bucket).as_unix_nanos()) - now).max(0);
        if cost > room {
            return None;
        }
        let wait = (owed + cost - room).max(0);
        Some(Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX)))
    }

    /// True where `bucket` will be full so late that no debt explains it: a charge was made by a clock that ran ahead.
    ///
    /// The deepest debt is what attempts in several processes at once overdraw an empty bucket by: each is admitted on
    /// its own, and at most one in each process. As much as three times what the bucket holds is taken for that; a dozen
    /// wrong codes of the dearest kind at once.
    #[must_use]
    pub fn ran_ahead(&self, bucket: Bucket, now: Timestamp) -> bool {
        let owed = i128::from(self.full_at(bucket).as_unix_nanos()) - i128::from(now.as_unix_nanos());
        owed > bucket.depth() * (1 + OVERDRAFT)
    }

    /// The budget after paying. Nothing stops it from going into debt: a failure that has happened is paid for.
    ///
    /// Charges at one time may come in any order. Of two times, the later one coming first leaves the bucket as
    /// full or emptier than in order, never fuller.
    #[must_use]
    pub fn charge(self, charge: Charge, now: Timestamp) -> Self {
        let full_at = self.full_at(charge.bucket).max(now);
        let cost = SignedDuration::saturating_from_nanos(charge.bucket.time_to_refill(charge.cost));
        match charge.bucket {
            Bucket::Blind => Self { blind_full_at: full_at + cost, ..self },
            Bucket::Partial => Self { partial_full_at: full_at + cost, ..self },
        }
    }
}

/// The chance that one random code of six digits fits, in units of 2⁻³¹. Six digits are the fewest that there are
/// (RFC 4226 §4 R4), and Steam's five characters are worth seven, so no other code is easier to guess.
pub(crate) const SIX_DIGITS: u32 = Digits::SIX.guess_odds_numerator();

/// At how many steps a single code is looked for at the most by default. Two or three are usual and four for a token that
/// is off; seven is what four mistakes can be paid for.
pub(crate) const MAX_STEPS: u32 = 7;

#[cfg(test)]
mod tests;
