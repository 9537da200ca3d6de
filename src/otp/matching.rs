//! Looking for codes in a window of steps, in constant time.

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroize;

use super::hmac::Span;
use super::{Code, CodeError, Format, Hotp, StepRange, TimeStep, Totp};

/// The most codes that are tried together.
pub const MAX_CONSECUTIVE: usize = 3;

/// One to three codes that a token showed one after the other, the oldest first.
///
/// ```
/// use skewgate::otp::{Code, Consecutive};
///
/// let codes = [Code::parse("755224")?, Code::parse("287082")?];
/// assert_eq!(Consecutive::new(&codes)?.count(), 2);
/// assert!(Consecutive::new(&[]).is_err());
/// # Ok::<(), skewgate::otp::CodeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Consecutive<'c> {
    codes: &'c [Code],
}

impl<'c> Consecutive<'c> {
    /// These codes, the oldest first.
    ///
    /// # Errors
    ///
    /// [`CodeError::ConsecutiveCount`] without any, and above [`MAX_CONSECUTIVE`].
    pub const fn new(codes: &'c [Code]) -> Result<Self, CodeError> {
        match codes.len() {
            1..=MAX_CONSECUTIVE => Ok(Self { codes }),
            got => Err(CodeError::ConsecutiveCount { got }),
        }
    }

    /// How many: 1, 2 or 3.
    #[must_use]
    pub const fn count(self) -> usize {
        self.codes.len()
    }

    /// Each of them alone, the oldest first.
    pub(crate) fn one_by_one(self) -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        self.codes.iter().map(Self::from)
    }
}

/// A single code.
impl<'c> From<&'c Code> for Consecutive<'c> {
    fn from(code: &'c Code) -> Self {
        Self { codes: std::slice::from_ref(code) }
    }
}

/// Two codes, the older one first.
impl<'c> From<&'c [Code; 2]> for Consecutive<'c> {
    fn from(codes: &'c [Code; 2]) -> Self {
        Self { codes }
    }
}

/// Three codes, the oldest first.
impl<'c> From<&'c [Code; 3]> for Consecutive<'c> {
    fn from(codes: &'c [Code; 3]) -> Self {
        Self { codes }
    }
}

/// What [`scan`] found.
///
/// Of several codes, all may fit at a place that straddles the watermark: some of the steps are dead, some
/// aren't. Then `fresh` is `None`, `replayed` is false, and `right_at_best` is their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Match {
    /// The newest step of the last code at which all codes fit and every one of their steps is above the
    /// watermark.
    pub fresh: Option<TimeStep>,
    /// True where all codes fit at a place whose last step, hence every step, is not above the watermark.
    pub replayed: bool,
    /// The largest number of codes that fit at any one place, the watermark ignored.
    pub right_at_best: u8,
}

/// Looks for `codes` at every step of `window`.
///
/// A *position* is the step of the last code; the one before it must be the code of the step before, and so on.
/// Every position is computed, those not above the watermark too: how long it takes shows the window's
/// width, how many codes there are, how many digits and which hash, and nothing else. Positions so close to step 0
/// that the first code would have a negative step don't exist and are left out. A code with another number of digits
/// than the token's fits nowhere; a [`Validator`](crate::validator::Validator) makes it pay like any other wrong code, so that
/// how many digits the token has isn't told for nothing.
///
/// The newest match wins because two steps may have the same code: had the older one won, its watermark would
/// let the code in a second time, or refuse a fresh one as used.
///
/// The ranges should be disjoint; what is found doesn't depend on it, nor on their order.
///
/// ```
/// use skewgate::otp::{Consecutive, Secret, StepRange, TimeStep, Totp, scan};
///
/// let totp = Totp::builder(&Secret::from_bytes(b"12345678901234567890")?).build()?;
/// let step = |number| TimeStep::new(number).ok_or("negative");
/// let window = [StepRange::new(step(10)?, step(12)?).ok_or("reversed")?];
/// let code = totp.code_at(step(11)?);
///
/// let found = scan(&totp, &window, None, Consecutive::from(&code));
/// assert_eq!(found.fresh, Some(step(11)?));
///
/// let again = scan(&totp, &window, found.fresh, Consecutive::from(&code));
/// assert_eq!((again.fresh, again.replayed), (None, true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn scan(totp: &Totp, window: &[StepRange], watermark: Option<TimeStep>, codes: Consecutive<'_>) -> Match {
    let ends = window.iter().map(|range| (number(range.first()), number(range.last())));
    let tally = look(totp.hotp(), ends, watermark.map_or(0, |step| number(step) + 1), codes);
    Match {
        fresh: tally.fresh.checked_sub(1).and_then(|step| TimeStep::new(i64::try_from(step).ok()?)),
        replayed: Choice::from(tally.replayed).into(),
        right_at_best: tally.right_at_best(),
    }
}

/// What [`scan_ahead`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct CounterMatch {
    /// The counter to go on with, where all codes fit: one more than that of the last code. It must be written before the user
    /// is let in. `None` where they don't fit; then the counter stays.
    pub next_counter: Option<u64>,
    /// The largest number of codes that fit at any one place.
    pub right_at_best: u8,
}

/// Looks for `codes` of a counter-based token from `next_counter` on, for `look_ahead` counters more (RFC 4226 §7.2).
///
/// The first code may be that of any counter from `next_counter` to `next_counter + look_ahead`; of several codes the others
/// follow. Every place is computed, in constant time as in [`scan`]; of two that fit the later one is found, so that no
/// code can come twice. A counter of 2⁶⁴ − 1 is never found, as none comes after it.
///
/// For one code a look-ahead of at most 10 is sensible: each counter more is a chance more for who guesses (§7.3). To
/// synchronise a token again whose button was pressed too often, ask for two codes and look further, some hundreds (§7.4).
///
/// This is the search alone. The caller keeps the counter, writes the new one only if it still is the one that was searched
/// from (else two requests use one code), and limits failed attempts; a [`Validator`](crate::validator::Validator) does
/// that for time-based tokens.
///
/// ```
/// use skewgate::otp::{Algorithm, Code, Consecutive, Digits, Hotp, Secret, scan_ahead};
///
/// let hotp = Hotp::new(&Secret::from_bytes(b"12345678901234567890")?, Algorithm::Sha1, Digits::SIX);
/// let code = Code::parse("338314")?; // the one of counter 4: RFC 4226, Appendix D
///
/// let found = scan_ahead(&hotp, 2, 5, Consecutive::from(&code));
/// assert_eq!(found.next_counter, Some(5));
/// assert_eq!(scan_ahead(&hotp, 5, 5, Consecutive::from(&code)).next_counter, None); // no second time
///
/// // Far out of step: two consecutive codes say where it is.
/// let pair = [hotp.code_at(300), hotp.code_at(301)];
/// assert_eq!(scan_ahead(&hotp, 5, 500, Consecutive::from(&pair)).next_counter, Some(302));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn scan_ahead(hotp: &Hotp, next_counter: u64, look_ahead: u16, codes: Consecutive<'_>) -> CounterMatch {
    // Positions are those of the last code.
    let first = next_counter.saturating_add(lead_in(codes));
    let last = first.saturating_add(look_ahead.into()).min(u64::MAX - 1);
    let tally = look(hotp, std::iter::once((first, last)), next_counter, codes);
    CounterMatch {
        next_counter: (tally.fresh != 0).then_some(tally.fresh),
        right_at_best: tally.right_at_best(),
    }
}

/// Counts every position between each of these ends. Codes below `lowest_alive` are dead.
#[inline]
fn look(
    hotp: &Hotp,
    ends: impl Iterator<Item = (u64, u64)>,
    lowest_alive: u64,
    codes: Consecutive<'_>,
) -> Tally {
    let wanted = Wanted::new(hotp.format(), codes);
    let lead_in = lead_in(codes);
    let spans = ends.map(|(first, last)| Span { begin: first.saturating_sub(lead_in), first, last });
    let mut tally = Tally { lowest_alive, fresh: 0, replayed: 0, right: 0 };
    // What a span leaves here doesn't reach into the next one: each begins with the whole lead-in of its first position.
    let mut places = [Fit::NOTHING_YET; MAX_CONSECUTIVE];
    hotp.values(spans, |span, counter, value| {
        let fit = wanted.extend(&mut places, value);
        // Public, like all that is branched on here: it depends on the window alone.
        if let (true, Some(oldest)) = (counter >= span.first, counter.checked_sub(lead_in)) {
            tally.add(oldest, counter, fit);
        }
    });
    tally
}

/// How many counters a position takes up before its last one.
fn lead_in(codes: Consecutive<'_>) -> u64 {
    const { [0, 0, 1, 2] }.get(codes.count()).copied().unwrap_or_default()
}

/// Never negative, so that it is its own absolute value.
fn number(step: TimeStep) -> u64 {
    step.get().unsigned_abs()
}

/// True where `left` is the smaller. `subtle`'s own comparison takes six times as long.
#[inline]
fn less(left: u64, right: u64) -> Choice {
    let [sign, ..] = u128::from(left).wrapping_sub(u128::from(right)).to_be_bytes();
    Choice::from(sign & 1)
}

/// How well the first codes fit, up to the one that is at the present step.
///
/// Both fields are sums and products of what [`Choice`] made opaque: the compiler doesn't know that they are
/// small, so it has nothing to branch on.
#[derive(Clone, Copy)]
struct Fit {
    /// 1 where all of them fit, otherwise 0.
    all: u8,
    /// How many of them fit.
    right: u8,
}

impl Fit {
    const NOTHING_YET: Self = Self { all: 1, right: 0 };
}

/// The codes as numbers.
struct Wanted {
    values: [u64; MAX_CONSECUTIVE],
    count: usize,
}

/// What stands for a code of another format than the token's: more than any code's value.
const IMPOSSIBLE: u64 = u64::MAX;

impl Wanted {
    fn new(format: Format, codes: Consecutive<'_>) -> Self {
        let mut wanted = Self { values: [IMPOSSIBLE; MAX_CONSECUTIVE], count: codes.count() };
        for (value, code) in wanted.values.iter_mut().zip(codes.codes) {
            value.conditional_assign(&code.value(), code.format().ct_eq(&format));
        }
        wanted
    }

    /// Goes one step on. `places[i]` is how well codes 0 to i fit with code i at the present step; what is
    /// returned is how well all of them do.
    #[inline]
    fn extend(&self, places: &mut [Fit; MAX_CONSECUTIVE], value: u64) -> Fit {
        let mut before = Fit::NOTHING_YET;
        let mut fit = before;
        for (wanted, place) in self.values.iter().zip(places).take(self.count) {
            let fits = wanted.ct_eq(&value).unwrap_u8();
            fit = Fit { all: before.all & fits, right: before.right.wrapping_add(fits) };
            before = std::mem::replace(place, fit);
        }
        fit
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.values.zeroize();
    }
}

/// What was found so far, without a branch on it.
struct Tally {
    /// The lowest counter above the watermark.
    lowest_alive: u64,
    /// One more than the newest counter at which all codes fit; 0 where there is none.
    fresh: u64,
    replayed: u8,
    /// Bit n is set where n codes fitted at some place.
    right: u8,
}

impl Tally {
    /// Counts a position: its codes' oldest and newest counter, and how well they fit. There must be a next counter.
    #[inline]
    fn add(&mut self, oldest: u64, newest: u64, fit: Fit) {
        let dead = less(newest, self.lowest_alive).unwrap_u8();
        self.replayed |= fit.all & dead;

        let partly_dead = less(oldest, self.lowest_alive).unwrap_u8();
        let candidate = newest + 1;
        let newer = less(self.fresh, candidate).unwrap_u8();
        self.fresh.conditional_assign(&candidate, Choice::from(fit.all & !partly_dead & newer));

        self.right |= 1_u8.wrapping_shl(fit.right.into());
    }

    /// The largest number of codes that fitted at any one place.
    fn right_at_best(&self) -> u8 {
        let [best, ..] = self.right.checked_ilog2().unwrap_or_default().to_le_bytes();
        best
    }
}

#[cfg(test)]
mod tests;
