//! What a sealed secret is tied to: the rest of its row.

use std::time::Duration;

use crate::otp::{Algorithm, Digits, Format, Secret, Totp, TotpBuilder, TotpError};
use crate::time::Timestamp;
use crate::token::{Token, TokenId};

use super::{KeyId, Sealed};

/// Everything of a token's row but its secret: the secret is sealed for it, and opens with nothing else.
///
/// [`of`](Self::of) makes it from a token at enrolment, [`builder`](Self::builder) from the row at each login. It also makes the
/// [`Token`] of what was opened ([`KeyRing::open_token`](super::KeyRing::open_token)), so that no token has other parameters
/// than those that its secret is bound to.
///
/// The last part is the enrolment number, 0 for a token id's first secret and one more for each that follows: see
/// [the module](super#the-enrolment-number).
///
/// ```
/// use skewgate::otp::{Algorithm, Digits, Secret, Totp};
/// use skewgate::seal::Binding;
/// use skewgate::token::{Token, TokenId};
///
/// let totp = Totp::builder(&Secret::from_bytes(&[7; 20])?).digits(Digits::EIGHT).build()?;
/// let at_enrolment = Binding::of(&Token::new(TokenId::new("ada")?, totp), 0);
/// let from_the_row = Binding::builder(TokenId::new("ada")?, 0).digits(Digits::EIGHT).build()?;
/// assert_eq!(at_enrolment, from_the_row);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Binding {
    token: TokenId,
    epoch: u64,
    algorithm: Algorithm,
    format: Format,
    /// Period and T0 in seconds.
    timing: (i64, i64),
}

impl Binding {
    /// What the secret of this token is bound to, with the enrolment number.
    #[must_use]
    pub fn of(token: &Token, epoch: u64) -> Self {
        let totp = token.totp();
        Self {
            token: token.id().clone(),
            epoch,
            algorithm: totp.algorithm(),
            format: totp.format(),
            timing: totp.timing(),
        }
    }

    /// Begins with what most tokens have: SHA-1, six digits, 30 s, the Unix epoch.
    pub const fn builder(token: TokenId, epoch: u64) -> BindingBuilder {
        BindingBuilder {
            token,
            epoch,
            algorithm: Algorithm::Sha1,
            format: Format::Decimal(Digits::SIX),
            period: Totp::DEFAULT_PERIOD,
            t0: Timestamp::from_unix_nanos(0),
        }
    }

    /// Whose secret it is.
    #[must_use]
    pub const fn token_id(&self) -> &TokenId {
        &self.token
    }

    /// The enrolment number.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The token with this secret and these parameters.
    #[must_use]
    pub fn token(&self, secret: &Secret) -> Token {
        let totp = Totp::with_timing(secret, self.algorithm, self.format, self.timing);
        Token::new(self.token.clone(), totp)
    }

    /// The additional data: see [the module](super#what-is-written).
    pub(super) fn additional_data(&self, context: &str, key: &KeyId) -> Vec<u8> {
        let (period_seconds, t0_seconds) = self.timing;
        let mut data = Vec::new();
        for field in [
            b"skewgate sealed secret".as_slice(),
            context.as_bytes(),
            &[Sealed::VERSION],
            key.as_str().as_bytes(),
            self.token.as_str().as_bytes(),
            self.algorithm.to_string().as_bytes(),
            self.format.to_string().as_bytes(),
            &period_seconds.to_be_bytes(),
            &t0_seconds.to_be_bytes(),
            &self.epoch.to_be_bytes(),
        ] {
            // The longest fields, context and token id, are bounded to 255 bytes.
            let length = u16::try_from(field.len()).unwrap_or(u16::MAX);
            data.extend_from_slice(&length.to_be_bytes());
            data.extend_from_slice(field);
        }
        data
    }
}

/// Sets a [`Binding`]'s parameters, each as [`TotpBuilder`] does. From [`Binding::builder`].
#[derive(Clone, Debug)]
#[must_use = "nothing is made until `build` is called"]
pub struct BindingBuilder {
    token: TokenId,
    epoch: u64,
    algorithm: Algorithm,
    format: Format,
    period: Duration,
    t0: Timestamp,
}

impl BindingBuilder {
    /// The hash; SHA-1 by default.
    pub const fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// How many digits; six by default.
    pub const fn digits(self, digits: Digits) -> Self {
        self.format(Format::Decimal(digits))
    }

    /// What codes look like; six digits by default.
    pub const fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// How long a step is; 30 s by default. Whole seconds, from one to [`Totp::MAX_PERIOD`].
    pub const fn period(mut self, period: Duration) -> Self {
        self.period = period;
        self
    }

    /// When step 0 begins; the Unix epoch by default. A whole second.
    pub const fn t0(mut self, t0: Timestamp) -> Self {
        self.t0 = t0;
        self
    }

    /// What the secret is bound to.
    ///
    /// # Errors
    ///
    /// [`TotpError::Period`] and [`TotpError::T0`] where these aren't whole seconds or out of range: no token has such.
    pub fn build(self) -> Result<Binding, TotpError> {
        let timing = TotpBuilder::timing(self.period, self.t0)?;
        Ok(Binding {
            token: self.token,
            epoch: self.epoch,
            algorithm: self.algorithm,
            format: self.format,
            timing,
        })
    }
}
