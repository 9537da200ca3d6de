//! HOTP: a code from a counter (RFC 4226).

use std::fmt;

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

use super::hmac::{Digest, KeyState, LANES, Run};
use super::{Algorithm, Code, CodeError, Secret};

/// How many digits a code has: 6 to 10. Six where nothing is said.
///
/// Tokens may show up to ten, but a code is made of 31 bits: above eight digits the first of them hardly
/// varies, and a validator that promises odds must not promise those. Codes are validated with 6 to 8,
/// see [`fit_for_validation`](Self::fit_for_validation).
///
/// ```
/// use skewgate::otp::Digits;
///
/// assert_eq!(Digits::new(8)?, Digits::EIGHT);
/// assert!(Digits::new(5).is_err());
/// # Ok::<(), skewgate::otp::CodeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digits(u8);

impl Digits {
    /// Six: what nearly every app shows.
    pub const SIX: Self = Self(6);
    /// Seven.
    pub const SEVEN: Self = Self(7);
    /// Eight.
    pub const EIGHT: Self = Self(8);
    /// Nine: to generate, not to validate.
    pub const NINE: Self = Self(9);
    /// Ten: to generate, not to validate.
    pub const TEN: Self = Self(10);
    /// The fewest (RFC 4226 §5.3).
    pub const MIN: Self = Self::SIX;
    /// The most: 31 bits have no more.
    pub const MAX: Self = Self::TEN;

    /// So many digits.
    ///
    /// # Errors
    ///
    /// [`CodeError::DigitCount`] below 6 and above 10.
    pub const fn new(count: usize) -> Result<Self, CodeError> {
        Ok(match count {
            6 => Self::SIX,
            7 => Self::SEVEN,
            8 => Self::EIGHT,
            9 => Self::NINE,
            10 => Self::TEN,
            got => return Err(CodeError::DigitCount { got }),
        })
    }

    /// How many.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }

    /// True for 6, 7 and 8: enough digits, and all of them vary.
    ///
    /// ```
    /// use skewgate::otp::Digits;
    ///
    /// assert!(Digits::EIGHT.fit_for_validation());
    /// assert!(!Digits::TEN.fit_for_validation());
    /// ```
    #[must_use]
    pub const fn fit_for_validation(self) -> bool {
        self.0 <= Self::EIGHT.0
    }

    /// The chance that one random code fits one step, as a numerator over 2³¹: `ceil(2³¹ / 10^digits)`.
    ///
    /// Truncation yields 31 bits, and 10^digits doesn't divide 2³¹: some codes come up once more than others.
    /// A guesser takes those, so the odds are rounded up: to 0.02 % above one in a million for six digits, but 4.7
    /// times one in 10¹⁰ for ten.
    ///
    /// ```
    /// use skewgate::otp::Digits;
    ///
    /// assert_eq!(Digits::SIX.guess_odds_numerator(), 2_148); // 1 in 999,759
    /// assert_eq!(Digits::EIGHT.guess_odds_numerator(), 22); // 1 in 97,612,893
    /// ```
    #[must_use]
    pub const fn guess_odds_numerator(self) -> u32 {
        const VALUES: u32 = 1 << 31;
        match self.0 {
            6 => VALUES.div_ceil(1_000_000),
            7 => VALUES.div_ceil(10_000_000),
            8 => VALUES.div_ceil(100_000_000),
            9 => VALUES.div_ceil(1_000_000_000),
            _ => 1,
        }
    }

    /// The last digits of a 31-bit number, so many as there are.
    fn last_of(self, number: u32) -> u64 {
        match self.0 {
            6 => const { Modulus::of(1_000_000) }.reduce(number),
            7 => const { Modulus::of(10_000_000) }.reduce(number),
            8 => const { Modulus::of(100_000_000) }.reduce(number),
            9 => const { Modulus::of(1_000_000_000) }.reduce(number),
            // 31 bits are at most 2,147,483,647: all of it is shown, after a zero or not.
            _ => u64::from(number),
        }
    }
}

impl Default for Digits {
    fn default() -> Self {
        Self::SIX
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ConstantTimeEq for Digits {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

/// Remainders of 31-bit numbers without a division, whose duration depends on the operands on many processors.
///
/// `number % 1_000_000` compiles to the same multiplication, but to a division in builds that aren't optimised for
/// speed.
#[derive(Clone, Copy)]
struct Modulus {
    modulus: u64,
    /// `ceil(2^shift / modulus)`.
    reciprocal: u64,
    shift: u32,
}

impl Modulus {
    /// With `2^shift ≥ modulus · 2³¹` the quotient is exact for every 31-bit number (Granlund and
    /// Montgomery 1994, theorem 4.2), and the product stays under 2⁶⁴.
    const fn of(modulus: u64) -> Self {
        let shift = 31 + modulus.next_power_of_two().trailing_zeros();
        Self { modulus, reciprocal: (1_u64 << shift).div_ceil(modulus), shift }
    }

    const fn reduce(self, number: u32) -> u64 {
        let number = number as u64;
        number - ((number * self.reciprocal) >> self.shift) * self.modulus
    }
}

/// A counter-based generator (RFC 4226): what a [`Totp`](super::Totp) turns steps into codes with.
///
/// It keeps the HMAC's key state, not the secret; both are worth the same to a thief, so the state is wiped on
/// drop and `Debug` shows nothing of it.
///
/// ```
/// use skewgate::otp::{Algorithm, Digits, Hotp, Secret};
///
/// let secret = Secret::from_bytes(b"12345678901234567890")?;
/// let hotp = Hotp::new(&secret, Algorithm::Sha1, Digits::SIX);
/// assert_eq!(&*hotp.code_at(0).expose(), "755224"); // RFC 4226, Appendix D
/// # Ok::<(), skewgate::otp::SecretError>(())
/// ```
#[derive(Clone)]
pub struct Hotp {
    key: KeyState,
    digits: Digits,
}

impl Hotp {
    /// The generator of this secret.
    #[must_use]
    pub fn new(secret: &Secret, algorithm: Algorithm, digits: Digits) -> Self {
        Self { key: KeyState::new(algorithm, secret.expose_bytes()), digits }
    }

    /// The code for this counter (RFC 4226 §5.3).
    #[must_use]
    pub fn code_at(&self, counter: u64) -> Code {
        let mut code = Code::new(0, self.digits);
        self.values().each(counter, counter, |_, &value| code = Code::new(value, self.digits));
        code
    }

    /// Which hash it uses.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    /// How many digits its codes have.
    #[must_use]
    pub const fn digits(&self) -> Digits {
        self.digits
    }

    /// The values of many counters, one buffer for all of them.
    pub(super) fn values(&self) -> Values<'_> {
        Values { run: self.key.run(), digits: self.digits }
    }
}

impl fmt::Debug for Hotp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hotp")
            .field("algorithm", &self.algorithm())
            .field("digits", &self.digits)
            .finish_non_exhaustive()
    }
}

/// Codes as numbers.
pub(super) struct Values<'k> {
    run: Run<'k>,
    digits: Digits,
}

impl Values<'_> {
    /// Shows `take` each counter from `first` to `last`, in order, with its value.
    pub(super) fn each(&mut self, first: u64, last: u64, mut take: impl FnMut(u64, &u64)) {
        let mut next = Some(first);
        while let Some(counter) = next.filter(|&counter| counter <= last) {
            let count =
                usize::try_from(last - counter).map_or(LANES, |more| more.saturating_add(1).min(LANES));
            let mut here = counter;
            self.run.macs(counter, count, |digest| {
                take(here, &Zeroizing::new(self.digits.last_of(truncate(digest))));
                here = here.wrapping_add(1);
            });
            next = u64::try_from(count).ok().and_then(|count| counter.checked_add(count));
        }
    }
}

/// Dynamic truncation (RFC 4226 §5.3): the 31 bits at the offset that the MAC's last four bits name.
///
/// The offset is as secret as the code. Indexing with it would show in the cache, so every byte takes part: the
/// bits of the offset shift the MAC's first 20 bytes by 8, 4, 2 and 1 bytes or by none.
fn truncate(digest: Digest) -> u32 {
    let [a, b, c, d, e] = digest.first;
    let shift_by = |bit: u32| Choice::from((digest.last_byte >> bit) & 1);

    let eight = shift_by(3);
    let a = u32::conditional_select(&a, &c, eight);
    let b = u32::conditional_select(&b, &d, eight);
    let c = u32::conditional_select(&c, &e, eight);

    let four = shift_by(2);
    let a = u32::conditional_select(&a, &b, four);
    let b = u32::conditional_select(&b, &c, four);

    let window = u64::from(a) << 32 | u64::from(b);
    let window = u64::conditional_select(&window, &(window << 16), shift_by(1));
    let window = u64::conditional_select(&window, &(window << 8), shift_by(0));

    (window >> 32) as u32 & 0x7fff_ffff
}

#[cfg(test)]
mod tests;
