//! The file `~/.google_authenticator` of google-authenticator-libpam.
//!
//! Its first line is the secret in base32. Lines that begin with `"` and a space are options, lines of eight digits are
//! emergency ("scratch") codes. Codes always have six digits and SHA-1. (`FILEFORMAT` in its repository, and what its
//! reader does beyond that.)

use std::fmt;
use std::time::Duration;

use super::DeviceDrift;
use crate::otp::{
    Code, Digits, OtpauthUri, OtpauthUriBuilder, Secret, SecretError, TimeStep, Totp, TotpError, UriKind,
};

/// What such a file says.
///
/// ```
/// use skewgate::otp::import::libpam::LibpamFile;
/// use skewgate::otp::UriKind;
///
/// let file = LibpamFile::parse(
///     "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n\" RATE_LIMIT 3 30\n\" DISALLOW_REUSE 59845084 59845086\n\
///      \" TIME_SKEW -1\n\" TOTP_AUTH\n12345678\n",
/// )?;
/// assert_eq!(file.kind(), UriKind::TOTP);
/// // The watermark of the token's new state: codes up to it are used up.
/// assert_eq!(file.newest_used().map(|step| step.get()), Some(59_845_086));
/// assert_eq!(file.drift().map(|drift| drift.steps()), Some(-1));
/// let totp = file.uri("ada").issuer("ssh").build()?.totp()?;
/// # assert_eq!(totp.period().as_secs(), 30);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct LibpamFile {
    secret: Secret,
    kind: UriKind,
    newest_used: Option<TimeStep>,
    single_use: bool,
    drift: Option<DeviceDrift>,
    window: Option<u32>,
    rate_limit: Option<RateLimit>,
    disabled: bool,
    scratch_codes: Vec<Code>,
}

/// `RATE_LIMIT`: how often somebody may try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// So many attempts,
    pub attempts: u32,
    /// in so long a time.
    pub interval: Duration,
}

impl LibpamFile {
    /// The longest file that is read: what libpam itself reads.
    pub const MAX_BYTES: usize = 65_536;

    /// Reads such a file.
    ///
    /// # Errors
    ///
    /// [`LibpamError`], which names lines and never repeats them. Files made before 2016 have secrets of 80 bits:
    /// [`parse_legacy`](Self::parse_legacy).
    pub fn parse(text: &str) -> Result<Self, LibpamError> {
        let file = Self::parse_legacy(text)?;
        match file.secret.expose_bytes().len() {
            got if got < Secret::MIN_BYTES => Err(SecretError::TooShort { got }.into()),
            _ => Ok(file),
        }
    }

    /// Reads such a file, and takes secrets as short as [`Secret::short_legacy`] does.
    ///
    /// # Errors
    ///
    /// [`LibpamError`], which names lines and never repeats them.
    ///
    /// ```
    /// use skewgate::otp::import::libpam::LibpamFile;
    ///
    /// let old = "CJEWH6THAJH5FUKI\n\" TOTP_AUTH\n";
    /// assert!(LibpamFile::parse(old).is_err());
    /// assert_eq!(LibpamFile::parse_legacy(old)?.secret().expose_bytes().len(), 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn parse_legacy(text: &str) -> Result<Self, LibpamError> {
        if text.len() > Self::MAX_BYTES {
            return Err(LibpamError::TooLong { got: text.len() });
        }
        let mut lines = (1..).zip(text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)));
        let (_, secret) = lines.next().unwrap_or((1, ""));
        // libpam takes 0, 1 and 8 for O, L and B. A wrong guess makes a token that never works, so they are refused.
        let secret = Secret::short_legacy_base32(secret.trim_matches([' ', '\t']))?;
        let mut options = Options::default();
        let mut scratch_codes = Vec::new();
        for (number, line) in lines {
            if let Some(option) = line.strip_prefix("\" ") {
                options.read(number, option)?;
            } else if line.len() == 8
                && line.bytes().all(|byte| byte.is_ascii_digit())
                && !line.starts_with('0')
            {
                // One with a zero in front is none for libpam, either.
                scratch_codes.push(Code::parse(line).map_err(|_| LibpamError::Line { number })?);
            } else if !line.trim_matches([' ', '\t']).is_empty() {
                return Err(LibpamError::Line { number });
            }
        }
        let period = options.step_size.unwrap_or(Totp::DEFAULT_PERIOD);
        // HOTP wins where both are there, and a counter of 0 means none: both as for libpam.
        let kind = match options.hotp_counter.filter(|&counter| counter > 0) {
            Some(counter) => UriKind::Hotp { counter },
            None if options.totp => UriKind::Totp { period },
            None => return Err(LibpamError::NoKind),
        };
        Ok(Self {
            secret,
            kind,
            newest_used: options.used.flatten(),
            single_use: options.used.is_some(),
            drift: options.time_skew.map(|steps| DeviceDrift::new(steps, period)),
            window: options.window,
            rate_limit: options.rate_limit,
            disabled: options.disabled,
            scratch_codes,
        })
    }

    /// The token as a URI for this account, from which its codes are made.
    pub fn uri(&self, account: &str) -> OtpauthUriBuilder {
        OtpauthUri::builder(account, self.secret.clone()).kind(self.kind).digits(Digits::SIX)
    }

    /// The secret.
    #[must_use]
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// TOTP with its period (`STEP_SIZE`), or HOTP with the counter of the next code.
    #[must_use]
    pub const fn kind(&self) -> UriKind {
        self.kind
    }

    /// The newest step of a code that was used (`DISALLOW_REUSE`): the watermark of the token's new state.
    ///
    /// It is there only where the file asked for single use and somebody has logged in since. A login by three codes that taught
    /// libpam the `TIME_SKEW` leaves no step behind: after such a one, set the watermark to the present step of the token.
    #[must_use]
    pub const fn newest_used(&self) -> Option<TimeStep> {
        self.newest_used
    }

    /// True where a code was good for one login only. It is here in any case.
    #[must_use]
    pub const fn single_use(&self) -> bool {
        self.single_use
    }

    /// How far the token's clock is off, where libpam has learned that (`TIME_SKEW`).
    #[must_use]
    pub const fn drift(&self) -> Option<DeviceDrift> {
        self.drift
    }

    /// How many codes libpam tried at once (`WINDOW_SIZE`). Here it follows from the clock.
    #[must_use]
    pub const fn window(&self) -> Option<u32> {
        self.window
    }

    /// How often somebody might try. Here it follows from the price of an attempt.
    #[must_use]
    pub const fn rate_limit(&self) -> Option<RateLimit> {
        self.rate_limit
    }

    /// True where the second factor was switched off for this user (`OTP_DISABLED`).
    #[must_use]
    pub const fn disabled(&self) -> bool {
        self.disabled
    }

    /// Emergency codes of eight digits, each good for one login. They are no one-time codes of the token: whoever takes them over
    /// keeps them as passwords are kept.
    #[must_use]
    pub fn scratch_codes(&self) -> &[Code] {
        &self.scratch_codes
    }
}

impl fmt::Debug for LibpamFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LibpamFile")
            .field("kind", &self.kind)
            .field("newest_used", &self.newest_used)
            .field("drift", &self.drift)
            .field("scratch_codes", &self.scratch_codes.len())
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Options {
    totp: bool,
    hotp_counter: Option<u64>,
    step_size: Option<Duration>,
    used: Option<Option<TimeStep>>,
    time_skew: Option<i32>,
    window: Option<u32>,
    rate_limit: Option<RateLimit>,
    disabled: bool,
}

impl Options {
    fn read(&mut self, number: usize, option: &str) -> Result<(), LibpamError> {
        let value_error = LibpamError::Value { number };
        let mut words = option.split([' ', '\t']).filter(|word| !word.is_empty());
        let name = words.next().ok_or(LibpamError::Line { number })?;
        let mut duplicate = false;
        match name {
            "TOTP_AUTH" => self.totp = true,
            "OTP_DISABLED" => self.disabled = true,
            "HOTP_COUNTER" => {
                let counter = decimal(words.next()).ok_or(value_error)?;
                duplicate = self.hotp_counter.replace(counter).is_some();
            }
            "STEP_SIZE" => {
                let period = Duration::from_secs(decimal(words.next()).ok_or(value_error)?);
                if !(Duration::from_secs(1)..=Totp::MAX_PERIOD).contains(&period) {
                    return Err(TotpError::Period { got: period }.into());
                }
                duplicate = self.step_size.replace(period).is_some();
            }
            "DISALLOW_REUSE" => {
                let mut newest = None;
                for word in &mut words {
                    let step = decimal(Some(word)).and_then(|step| i64::try_from(step).ok());
                    newest = newest.max(Some(step.and_then(TimeStep::new).ok_or(value_error)?));
                }
                duplicate = self.used.replace(newest).is_some();
            }
            "TIME_SKEW" => {
                let word = words.next().ok_or(value_error)?;
                let magnitude = word.strip_prefix(['-', '+']).unwrap_or(word);
                let steps = decimal(Some(magnitude))
                    .and_then(|steps| i32::try_from(steps).ok())
                    .ok_or(value_error)?;
                duplicate =
                    self.time_skew.replace(if word.starts_with('-') { -steps } else { steps }).is_some();
            }
            "WINDOW_SIZE" => {
                let window =
                    decimal(words.next()).and_then(|window| window.try_into().ok()).ok_or(value_error)?;
                duplicate = self.window.replace(window).is_some();
            }
            "RATE_LIMIT" => {
                let attempts = decimal(words.next()).and_then(|attempts| attempts.try_into().ok());
                let interval = decimal(words.next()).map(Duration::from_secs);
                let (Some(attempts), Some(interval)) = (attempts, interval) else { return Err(value_error) };
                duplicate = self.rate_limit.replace(RateLimit { attempts, interval }).is_some();
            }
            // Half-learned skews (RESETTING_TIME_SKEW), last logins (LAST0 and so on), and what is yet to come.
            _ => {}
        }
        if duplicate { Err(LibpamError::Duplicate { number }) } else { Ok(()) }
    }
}

/// `parse` alone would take a sign.
fn decimal(word: Option<&str>) -> Option<u64> {
    word.filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

/// A text that is no such file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LibpamError {
    /// More text than libpam reads.
    #[error("the file has {got} bytes, at most {max} are taken: is it a `.google_authenticator`?", max = LibpamFile::MAX_BYTES)]
    TooLong {
        /// How many bytes it has.
        got: usize,
    },
    /// A first line that is no secret.
    #[error("line 1, the secret: {0}")]
    Secret(#[from] SecretError),
    /// A line that is neither an option nor an emergency code.
    #[error("line {number} is neither an option (`\" NAME …`) nor eight digits")]
    Line {
        /// Which line, counted from 1.
        number: usize,
    },
    /// An option whose values aren't what it takes.
    #[error("line {number}: the option lacks a number, or it is out of range")]
    Value {
        /// Which line, counted from 1.
        number: usize,
    },
    /// An option that was there before.
    #[error("line {number}: the option was there before, and libpam would take the first: keep one")]
    Duplicate {
        /// Which line, counted from 1.
        number: usize,
    },
    /// A period that no token has.
    #[error("STEP_SIZE: {0}")]
    Period(#[from] TotpError),
    /// Neither `TOTP_AUTH` nor `HOTP_COUNTER`: libpam lets nobody in with such a file.
    #[error(
        "the file has neither `\" TOTP_AUTH` nor `\" HOTP_COUNTER`, so there is no telling what the token counts"
    )]
    NoKind,
}

#[cfg(test)]
mod tests;
