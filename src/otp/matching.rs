//! Looking for codes in a window of steps, in constant time.

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq, ConstantTimeGreater};
use zeroize::{Zeroize, Zeroizing};

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
/// than the token's fits nowhere.
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
    let mut tally = Tally::new(watermark, codes.count());
    let wanted = Wanted::new(totp, codes);
    for range in window {
        let (first, last) = (number(range.first()), number(range.last()));
        let lead_in = tally.lead_in();
        let mut right_so_far = [0; MAX_CONSECUTIVE];
        for step in first.saturating_sub(lead_in)..=last {
            let right = wanted.extend(&mut right_so_far, &Zeroizing::new(values.at(step)));
            // Public: they depend on the window alone.
            if let (true, Some(oldest)) = (step >= first, step.checked_sub(lead_in)) {
                tally.add(oldest, step, right);
            }
        }
    }
    tally.finish()
}

/// Never negative, so that it is its own absolute value.
fn number(step: TimeStep) -> u64 {
    step.get().unsigned_abs()
}

/// The codes as numbers.
struct Wanted {
    values: [u64; MAX_CONSECUTIVE],
    /// False where a code has another number of digits than the token's.
    possible: [Choice; MAX_CONSECUTIVE],
    count: usize,
}

impl Wanted {
    fn new(totp: &Totp, codes: Consecutive<'_>) -> Self {
        let mut wanted = Self {
            values: [0; MAX_CONSECUTIVE],
            possible: [Choice::from(0); MAX_CONSECUTIVE],
            count: codes.count(),
        };
        for ((value, possible), code) in wanted.values.iter_mut().zip(&mut wanted.possible).zip(codes.codes) {
            *value = code.value();
            *possible = code.digits().ct_eq(&totp.digits());
        }
        wanted
    }

    /// Goes one step on. `right_so_far[i]` is how many of the codes 0 to i fit where code i is at the
    /// present step. Returns how many of all codes fit there.
    fn extend(&self, right_so_far: &mut [u8; MAX_CONSECUTIVE], value: &u64) -> u8 {
        let (mut before, mut right) = (0, 0);
        let places = self.values.iter().zip(&self.possible).zip(right_so_far).take(self.count);
        for ((wanted, possible), place) in places {
            let fits = wanted.ct_eq(value) & *possible;
            right = before + fits.unwrap_u8();
            before = std::mem::replace(place, right);
        }
        right
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
    count: u8,
    /// One more than the newest step at which all codes fit; 0 where there is none.
    fresh: u64,
    replayed: Choice,
    right_at_best: u8,
}

impl Tally {
    fn new(watermark: Option<TimeStep>, count: usize) -> Self {
        Self {
            lowest_alive: watermark.map_or(0, |step| number(step) + 1),
            count: u8::try_from(count).unwrap_or(u8::MAX),
            fresh: 0,
            replayed: Choice::from(0),
            right_at_best: 0,
        }
    }

    /// How many steps a position takes up before its last one.
    fn lead_in(&self) -> u64 {
        u64::from(self.count - 1)
    }

    /// Counts a position: its codes' oldest and newest step, and how many of the codes fit.
    fn add(&mut self, oldest: u64, newest: u64, right: u8) {
        let all = right.ct_eq(&self.count);
        let fresh = all & !self.lowest_alive.ct_gt(&oldest);
        self.replayed |= all & self.lowest_alive.ct_gt(&newest);

        let candidate = u64::conditional_select(&0, &(newest + 1), fresh);
        let newer = candidate.ct_gt(&self.fresh);
        self.fresh.conditional_assign(&candidate, newer);

        let better = right.ct_gt(&self.right_at_best);
        self.right_at_best.conditional_assign(&right, better);
    }

    fn finish(self) -> Match {
        Match {
            fresh: self.fresh.checked_sub(1).and_then(|step| TimeStep::new(i64::try_from(step).ok()?)),
            replayed: self.replayed.into(),
            right_at_best: self.right_at_best,
        }
    }
}

#[cfg(test)]
mod tests;
