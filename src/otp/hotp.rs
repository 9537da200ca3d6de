//! HOTP: a code from a counter (RFC 4226).

use std::fmt;

use subtle::{Choice, ConditionallySelectable};

use super::hmac::{Digest, KeyState, Span};
use super::{Algorithm, Code, Format, Secret};

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
    format: Format,
}

impl Hotp {
    /// The generator of this secret. Its codes have so many [`Digits`](super::Digits), or another [`Format`].
    #[must_use]
    pub fn new(secret: &Secret, algorithm: Algorithm, format: impl Into<Format>) -> Self {
        Self { key: KeyState::new(algorithm, secret.expose_bytes()), format: format.into() }
    }

    /// The code for this counter (RFC 4226 §5.3).
    #[must_use]
    pub fn code_at(&self, counter: u64) -> Code {
        let mut value = 0;
        let only = Span { begin: counter, first: counter, last: counter };
        self.values(std::iter::once(only), |_, _, number| value = number);
        Code::new(value, self.format)
    }

    /// Which hash it uses.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    /// What its codes look like.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Shows `take` each counter of each span, in order, with its code as a number.
    #[inline]
    pub(super) fn values(&self, spans: impl Iterator<Item = Span>, mut take: impl FnMut(&Span, u64, u64)) {
        let format = self.format;
        self.key.macs(spans, |span, counter, digest| take(span, counter, format.last_of(truncate(digest))));
    }
}

impl fmt::Debug for Hotp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hotp")
            .field("algorithm", &self.algorithm())
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// Dynamic truncation (RFC 4226 §5.3): the 31 bits at the offset that the MAC's last four bits name.
///
/// The offset is as secret as the code. Indexing with it would show in the cache, so every byte takes part: the
/// bits of the offset shift the MAC's first 20 bytes by 8, 4, 2 and 1 bytes or by none.
#[inline]
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
