//! Tokens from elsewhere: other servers' files, other apps' exports, and what hardware tokens come with.
//!
//! | from | module | feature |
//! | --- | --- | --- |
//! | any app that shows a QR code | [`OtpauthUri`](super::OtpauthUri) | |
//! | google-authenticator-libpam | [`libpam`] | |
#![cfg_attr(feature = "migration", doc = "| Google Authenticator's export | [`migration`] | `migration` |")]
#![cfg_attr(
    not(feature = "migration"),
    doc = "| Google Authenticator's export | `migration` | `migration` |"
)]
#![cfg_attr(feature = "pskc", doc = "| makers of hardware tokens (RFC 6030) | [`pskc`] | `pskc` |")]
#![cfg_attr(not(feature = "pskc"), doc = "| makers of hardware tokens (RFC 6030) | `pskc` | `pskc` |")]
//!
//! Everything here reads what a stranger may have written: sizes are bounded, nothing panics, and no error repeats a part of its
//! input. Our buffers that held a secret are wiped; the XML parser's copies of text that has character references, CDATA or CRLF in
//! it are not, and the caller's text is the caller's.
//!
//! Some of these know how far the token's clock is off ([`DeviceDrift`]) and which step was used last. Both belong
//! into the new [`TokenState`](crate::token::TokenState), or codes that were used before the move work once more.

pub mod libpam;
#[cfg(feature = "migration")]
#[cfg_attr(docsrs, doc(cfg(feature = "migration")))]
pub mod migration;
#[cfg(feature = "pskc")]
#[cfg_attr(docsrs, doc(cfg(feature = "pskc")))]
pub mod pskc;

use std::time::Duration;

use crate::time::SignedDuration;

/// How far a token's clock was ahead when its last validator looked: whole steps.
///
/// It is what a [`Drift`](crate::token::Drift) begins with. The step was known, not the time within it, so the standard
/// deviation is that of a uniform step at least, period/√12:
///
/// ```
/// use skewgate::otp::import::libpam::LibpamFile;
/// use skewgate::time::Timestamp;
/// use skewgate::token::Drift;
///
/// let file = LibpamFile::parse("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n\" TIME_SKEW 2\n\" TOTP_AUTH\n")?;
/// let ahead = file.drift().ok_or("no drift")?.ahead();
/// assert_eq!(ahead.to_string(), "+60.000 s");
/// let variance = 30_000_000_u64.pow(2) / 12; // square microseconds
/// let drift = Drift::from_parts(ahead, variance, Timestamp::from_unix_seconds(1_795_305_600)?, None);
/// # assert_eq!(drift.mean(), ahead);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceDrift {
    steps: i32,
    period: Duration,
}

impl DeviceDrift {
    pub(in crate::otp) const fn new(steps: i32, period: Duration) -> Self {
        Self { steps, period }
    }

    /// How many steps the token is ahead; behind, where this is negative.
    #[must_use]
    pub const fn steps(self) -> i32 {
        self.steps
    }

    /// How far ahead of true time the token's clock is.
    #[must_use]
    pub fn ahead(self) -> SignedDuration {
        let period = i128::from(SignedDuration::from(self.period).as_nanos());
        SignedDuration::saturating_from_nanos(i128::from(self.steps) * period)
    }
}
