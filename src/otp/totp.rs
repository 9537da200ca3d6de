//! TOTP: a code from the time (RFC 6238).

use std::fmt;
use std::time::Duration;

use crate::time::{TimeInterval, Timestamp};

use super::{Algorithm, Code, Digits, Format, Hotp, Secret, StepRange, TimeStep, TotpError};

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// A token's parameters and key: which step a time falls into, and which code a step has (RFC 6238 §4.2).
///
/// It keeps the HMAC's key state, not the secret, and shows neither in `Debug`. It reads no clock: every time
/// is an argument.
///
/// ```
/// use skewgate::otp::{Algorithm, Digits, Secret, Totp};
///
/// let secret = Secret::from_bytes(b"12345678901234567890")?;
/// let totp = Totp::builder(&secret).digits(Digits::EIGHT).build()?;
///
/// let step = totp.step_at("1970-01-01T00:00:59Z".parse()?).ok_or("before T0")?;
/// assert_eq!(step.get(), 1);
/// assert_eq!(&*totp.code_at(step).expose(), "94287082"); // RFC 6238, Appendix B
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Totp {
    hotp: Hotp,
    period_seconds: i64,
    t0_seconds: i64,
}

impl Totp {
    /// The longest period: a day. Longer ones are mistakes in the unit.
    pub const MAX_PERIOD: Duration = Duration::from_secs(86_400);
    /// The period where nothing is said: 30 s (RFC 6238 §5.2).
    pub const DEFAULT_PERIOD: Duration = Duration::from_secs(30);

    /// Begins with what most tokens have: SHA-1, six digits, 30 s, the Unix epoch.
    ///
    /// ```
    /// use skewgate::otp::{Algorithm, Secret, Totp};
    /// use std::time::Duration;
    ///
    /// let secret = Secret::generate(Algorithm::Sha256)?;
    /// let totp = Totp::builder(&secret).algorithm(Algorithm::Sha256).period(Duration::from_secs(60)).build()?;
    /// assert_eq!(totp.period().as_secs(), 60);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn builder(secret: &Secret) -> TotpBuilder<'_> {
        TotpBuilder {
            secret,
            algorithm: Algorithm::Sha1,
            format: Format::Decimal(Digits::SIX),
            period: Self::DEFAULT_PERIOD,
            t0: Timestamp::from_unix_nanos(0),
        }
    }

    /// The step that `time` falls into; `None` before T0, where there is none.
    ///
    /// ```
    /// use skewgate::otp::{Secret, Totp};
    ///
    /// let totp = Totp::builder(&Secret::from_bytes(&[7; 20])?).build()?;
    /// assert_eq!(totp.step_at("1970-01-01T00:01:00Z".parse()?).map(|step| step.get()), Some(2));
    /// assert_eq!(totp.step_at("1969-12-31T23:59:59Z".parse()?), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn step_at(&self, time: Timestamp) -> Option<TimeStep> {
        // Rounding to seconds first loses nothing: period and T0 are whole seconds. Seconds of a
        // `Timestamp` are far too small to overflow here.
        TimeStep::new((time.as_unix_seconds() - self.t0_seconds).div_euclid(self.period_seconds))
    }

    /// The steps that a time may fall into of which only an interval is known, from step 0 on; `None` where all of it lies
    /// before T0. For display and for tests: a validator computes a [`Window`](crate::window::Window), which knows more.
    ///
    /// ```
    /// use skewgate::otp::{Secret, Totp};
    /// use skewgate::time::TimeInterval;
    /// use std::time::Duration;
    ///
    /// let totp = Totp::builder(&Secret::from_bytes(&[7; 20])?).build()?;
    /// let now = TimeInterval::around("1970-01-01T00:01:00Z".parse()?, Duration::from_millis(1));
    /// let steps = totp.steps_in(&now).ok_or("before T0")?;
    /// assert_eq!((steps.first().get(), steps.last().get()), (1, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn steps_in(&self, interval: &TimeInterval) -> Option<StepRange> {
        let last = self.step_at(interval.latest())?;
        StepRange::new(self.step_at(interval.earliest()).unwrap_or(TimeStep::ZERO), last)
    }

    /// When a step begins. Steps beyond the year 2262 begin at the last time that a [`Timestamp`] can hold.
    ///
    /// ```
    /// use skewgate::otp::{Secret, TimeStep, Totp};
    ///
    /// let totp = Totp::builder(&Secret::from_bytes(&[7; 20])?).build()?;
    /// assert_eq!(totp.step_start(TimeStep::ZERO).as_unix_seconds(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn step_start(&self, step: TimeStep) -> Timestamp {
        let seconds = step.get().saturating_mul(self.period_seconds).saturating_add(self.t0_seconds);
        Timestamp::from_unix_nanos(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    /// The code of a step.
    ///
    /// ```
    /// use skewgate::otp::{Secret, TimeStep, Totp};
    ///
    /// let totp = Totp::builder(&Secret::from_bytes(b"12345678901234567890")?).build()?;
    /// assert_eq!(&*totp.code_at(TimeStep::ZERO).expose(), "755224");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn code_at(&self, step: TimeStep) -> Code {
        self.hotp.code_at(step.get().unsigned_abs())
    }

    /// How long the step that `time` falls into goes on: more than nothing, at most a period. Before T0, how long
    /// until the next multiple of the period.
    ///
    /// ```
    /// use skewgate::otp::{Secret, Totp};
    ///
    /// let totp = Totp::builder(&Secret::from_bytes(&[7; 20])?).build()?;
    /// assert_eq!(totp.time_left("1970-01-01T00:00:29.750Z".parse()?).as_millis(), 250);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn time_left(&self, time: Timestamp) -> Duration {
        // Both remainders are below a day, so that nothing here can overflow.
        let period = self.period_seconds * NANOS_PER_SECOND;
        let t0 = self.t0_seconds.rem_euclid(self.period_seconds) * NANOS_PER_SECOND;
        let elapsed = (time.as_unix_nanos().rem_euclid(period) - t0).rem_euclid(period);
        Duration::from_nanos((period - elapsed).unsigned_abs())
    }

    /// Which hash it uses.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.hotp.algorithm()
    }

    /// What its codes look like.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.hotp.format()
    }

    /// How long a step is: whole seconds.
    #[must_use]
    pub const fn period(&self) -> Duration {
        Duration::from_secs(self.period_seconds.unsigned_abs())
    }

    /// When step 0 begins: a whole second.
    #[must_use]
    pub const fn t0(&self) -> Timestamp {
        Timestamp::from_unix_nanos(self.t0_seconds.saturating_mul(NANOS_PER_SECOND))
    }

    pub(super) const fn hotp(&self) -> &Hotp {
        &self.hotp
    }

    /// Period and T0 in seconds.
    #[cfg(feature = "seal")]
    pub(crate) const fn timing(&self) -> (i64, i64) {
        (self.period_seconds, self.t0_seconds)
    }

    /// With what [`TotpBuilder::timing`] checked.
    pub(crate) fn with_timing(
        secret: &Secret,
        algorithm: Algorithm,
        format: Format,
        (period_seconds, t0_seconds): (i64, i64),
    ) -> Self {
        Self { hotp: Hotp::new(secret, algorithm, format), period_seconds, t0_seconds }
    }
}

impl fmt::Debug for Totp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Totp")
            .field("algorithm", &self.algorithm())
            .field("format", &self.format())
            .field("period", &self.period())
            .field("t0", &self.t0())
            .finish_non_exhaustive()
    }
}

/// Sets a [`Totp`]'s parameters. From [`Totp::builder`].
#[derive(Clone, Debug)]
#[must_use = "nothing is made until `build` is called"]
pub struct TotpBuilder<'s> {
    secret: &'s Secret,
    algorithm: Algorithm,
    format: Format,
    period: Duration,
    t0: Timestamp,
}

impl TotpBuilder<'_> {
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

    /// What Steam's authenticator uses: its [`Format`], SHA-1, 30 s.
    ///
    /// ```
    /// use skewgate::otp::{Code, Format, Secret, Totp};
    ///
    /// let totp = Totp::builder(&Secret::from_bytes(b"12345678901234567890")?).steam().build()?;
    /// let step = totp.step_at("2026-01-01T00:00:00Z".parse()?).ok_or("before T0")?;
    /// assert_eq!(&*totp.code_at(step).expose(), "R5BQ4");
    /// assert_eq!(Code::parse("r5bq4")?.format(), Format::Steam);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn steam(mut self) -> Self {
        self.algorithm = Algorithm::Sha1;
        self.period = Totp::DEFAULT_PERIOD;
        self.format(Format::Steam)
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

    /// The token with these parameters.
    ///
    /// # Errors
    ///
    /// [`TotpError::Period`] and [`TotpError::T0`] where these aren't whole seconds or out of range.
    ///
    /// ```
    /// use skewgate::otp::{Secret, Totp, TotpError};
    /// use std::time::Duration;
    ///
    /// let secret = Secret::from_bytes(&[7; 20])?;
    /// let mistake = Totp::builder(&secret).period(Duration::ZERO).build();
    /// assert_eq!(mistake.unwrap_err(), TotpError::Period { got: Duration::ZERO });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn build(self) -> Result<Totp, TotpError> {
        let timing = Self::timing(self.period, self.t0)?;
        Ok(Totp::with_timing(self.secret, self.algorithm, self.format, timing))
    }

    /// Period and T0 in seconds, where a token can have them.
    pub(crate) fn timing(period: Duration, t0: Timestamp) -> Result<(i64, i64), TotpError> {
        let in_range = (Duration::from_secs(1)..=Totp::MAX_PERIOD).contains(&period);
        if !in_range || period.subsec_nanos() != 0 {
            return Err(TotpError::Period { got: period });
        }
        let period_seconds =
            i64::try_from(period.as_secs()).map_err(|_| TotpError::Period { got: period })?;
        if t0.as_unix_nanos() % NANOS_PER_SECOND != 0 {
            return Err(TotpError::T0 { got: t0 });
        }
        Ok((period_seconds, t0.as_unix_seconds()))
    }
}

#[cfg(test)]
mod tests;
