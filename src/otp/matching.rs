//! Looking for codes in a window of steps, in constant time.

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq, ConstantTimeGreater};
use zeroize::Zeroize;

use super::{Code, CodeError, StepRange, TimeStep, Totp};

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
    let mut values = totp.values();
    let wanted = Wanted::new(totp, codes);
    let mut tally = Tally::new(watermark);
    // How many steps a position takes up before its last one.
    let lead_in = wanted.count - 1;
    for range in window {
        let (first, last) = (number(range.first()), number(range.last()));
        let mut places = [Fit::NOTHING_YET; MAX_CONSECUTIVE];
        values.each(first.saturating_sub(lead_in), last, |step, value| {
            let fit = wanted.extend(&mut places, value);
            // Public: they depend on the window alone.
            if let (true, Some(oldest)) = (step >= first, step.checked_sub(lead_in)) {
                tally.add(oldest, step, fit);
            }
        });
    }
    tally.finish()
}

/// Never negative, so that it is its own absolute value.
fn number(step: TimeStep) -> u64 {
    step.get().unsigned_abs()
}

/// True where `left` is the smaller. `subtle`'s own comparison takes six times as long.
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
    /// False where a code has another number of digits than the token's.
    possible: [Choice; MAX_CONSECUTIVE],
    count: u64,
}

impl Wanted {
    fn new(totp: &Totp, codes: Consecutive<'_>) -> Self {
        let mut wanted =
            Self { values: [0; MAX_CONSECUTIVE], possible: [Choice::from(0); MAX_CONSECUTIVE], count: 0 };
        for ((value, possible), code) in wanted.values.iter_mut().zip(&mut wanted.possible).zip(codes.codes) {
            *value = code.value();
            *possible = code.digits().ct_eq(&totp.digits());
            wanted.count += 1;
        }
        wanted
    }

    /// Goes one step on. `places[i]` is how well codes 0 to i fit with code i at the present step; what is
    /// returned is how well all of them do.
    fn extend(&self, places: &mut [Fit; MAX_CONSECUTIVE], value: &u64) -> Fit {
        let mut before = Fit::NOTHING_YET;
        let mut fit = before;
        for (((wanted, possible), place), _) in
            self.values.iter().zip(&self.possible).zip(places).zip(0..self.count)
        {
            let fits = wanted.ct_eq(value).unwrap_u8() & possible.unwrap_u8();
            fit = Fit { all: before.all & fits, right: before.right + fits };
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
    /// The lowest step above the watermark.
    lowest_alive: u64,
    /// One more than the newest step at which all codes fit; 0 where there is none.
    fresh: u64,
    replayed: u8,
    right_at_best: u8,
}

impl Tally {
    fn new(watermark: Option<TimeStep>) -> Self {
        let lowest_alive = watermark.map_or(0, |step| number(step) + 1);
        Self { lowest_alive, fresh: 0, replayed: 0, right_at_best: 0 }
    }

    /// Counts a position: its codes' oldest and newest step, and how well they fit.
    fn add(&mut self, oldest: u64, newest: u64, fit: Fit) {
        let dead = less(newest, self.lowest_alive).unwrap_u8();
        self.replayed |= fit.all & dead;

        let partly_dead = less(oldest, self.lowest_alive).unwrap_u8();
        let candidate = newest + 1;
        let newer = less(self.fresh, candidate).unwrap_u8();
        self.fresh.conditional_assign(&candidate, Choice::from(fit.all & !partly_dead & newer));

        let better = fit.right.ct_gt(&self.right_at_best);
        self.right_at_best.conditional_assign(&fit.right, better);
    }

    fn finish(self) -> Match {
        Match {
            fresh: self.fresh.checked_sub(1).and_then(|step| TimeStep::new(i64::try_from(step).ok()?)),
            replayed: Choice::from(self.replayed).into(),
            right_at_best: self.right_at_best,
        }
    }
}

#[cfg(test)]
mod tests;
