//! What a code looks like: so many decimal digits, or Steam's five characters.

use std::fmt;

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

use super::CodeError;

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
    pub(super) fn last_of(self, number: u32) -> u64 {
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

/// How a code is written: what of the 31 bits (RFC 4226 §5.3) is shown, and in which characters.
///
/// ```
/// use skewgate::otp::{Digits, Format};
///
/// assert_eq!(Format::default(), Format::Decimal(Digits::SIX));
/// assert_eq!((Format::Steam.length(), Format::Steam.guess_odds_numerator()), (5, 181)); // 1 in 11,864,550
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// The number's last digits (RFC 4226 §5.3).
    Decimal(Digits),
    /// What Steam's authenticator shows: five of the 26 characters `23456789BCDFGHJKMNPQRTVWXY`. The number's last five
    /// digits in base 26, the last one in front.
    Steam,
}

/// Steam's characters in the order of their values, which is that of ASCII.
const STEAM_ALPHABET: [u8; 26] = *b"23456789BCDFGHJKMNPQRTVWXY";
const STEAM_LENGTH: usize = 5;
const STEAM_CODES: u32 = 26_u32.pow(5);

impl Format {
    /// How many characters a code has: 5 to 10. No two formats have codes of one length, so a code's length tells its
    /// format.
    #[must_use]
    pub const fn length(self) -> usize {
        match self {
            Self::Decimal(digits) => digits.get(),
            Self::Steam => STEAM_LENGTH,
        }
    }

    /// True where guessing is hard enough, and all characters vary: for Steam's codes, and for 6, 7 and 8 digits.
    #[must_use]
    pub const fn fit_for_validation(self) -> bool {
        match self {
            Self::Decimal(digits) => digits.fit_for_validation(),
            Self::Steam => true,
        }
    }

    /// The chance that one random code fits one step, as a numerator over 2³¹, rounded up; see
    /// [`Digits::guess_odds_numerator`]. For Steam's codes `ceil(2³¹ / 26⁵)`.
    #[must_use]
    pub const fn guess_odds_numerator(self) -> u32 {
        match self {
            Self::Decimal(digits) => digits.guess_odds_numerator(),
            Self::Steam => (1_u32 << 31).div_ceil(STEAM_CODES),
        }
    }

    /// What of a 31-bit number is shown, as a number.
    pub(super) fn last_of(self, number: u32) -> u64 {
        match self {
            Self::Decimal(digits) => digits.last_of(number),
            Self::Steam => const { Modulus::of(STEAM_CODES as u64) }.reduce(number),
        }
    }

    /// Writes a value's characters over the first [`length`](Self::length) bytes of `text`.
    pub(super) fn write(self, value: u64, text: &mut [u8; Digits::MAX.get()]) {
        let mut rest = Zeroizing::new(value);
        match self {
            Self::Decimal(digits) => {
                for place in text.iter_mut().take(digits.get()).rev() {
                    let [digit, ..] = (*rest % 10).to_le_bytes();
                    *place = b'0' + digit;
                    *rest /= 10;
                }
            }
            Self::Steam => {
                for place in text.iter_mut().take(STEAM_LENGTH) {
                    let [digit, ..] = (*rest % 26).to_le_bytes();
                    // Looked at one by one: an index would show in the cache.
                    for (value, character) in (0_u8..).zip(STEAM_ALPHABET) {
                        place.conditional_assign(&character, value.ct_eq(&digit));
                    }
                    *rest /= 26;
                }
            }
        }
    }
}

/// The value of five of Steam's characters in either case, the last one in the lowest byte of `packed`; `None` where one
/// of them isn't one.
///
/// What was typed may be right, so neither a branch nor an index depends on it, but for whether it is a code at all.
pub(super) fn steam_value(mut packed: u64) -> Option<u64> {
    /// Bit k is set where `'0' + k` is one of the characters.
    const MEMBERS: u64 = {
        let (mut members, mut rest) = (0, STEAM_ALPHABET.as_slice());
        while let [character, tail @ ..] = rest {
            members |= 1 << (*character - b'0');
            rest = tail;
        }
        members
    };
    let (mut value, mut wrong) = (0_u64, 0_u64);
    for _ in 0..STEAM_LENGTH {
        let [character, ..] = packed.to_le_bytes();
        let place = u32::from(character.to_ascii_uppercase().wrapping_sub(b'0'));
        wrong |= u64::from(place >> 6) | (!MEMBERS.wrapping_shr(place) & 1);
        // A character's value is how many come before it.
        let before = MEMBERS & 1_u64.wrapping_shl(place).wrapping_sub(1);
        value = value * 26 + u64::from(before.count_ones());
        packed >>= 8;
    }
    (wrong == 0).then_some(value)
}

impl From<Digits> for Format {
    fn from(digits: Digits) -> Self {
        Self::Decimal(digits)
    }
}

impl Default for Format {
    fn default() -> Self {
        Self::Decimal(Digits::SIX)
    }
}

/// `6` to `10`, or `Steam`.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal(digits) => digits.fmt(f),
            Self::Steam => f.pad("Steam"),
        }
    }
}

/// Formats are told apart by their lengths.
impl ConstantTimeEq for Format {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.length().ct_eq(&other.length())
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

#[cfg(test)]
mod tests;
