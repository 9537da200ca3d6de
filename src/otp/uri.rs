//! `otpauth:` URIs: what a QR code at enrolment holds (Key URI format).

mod builder;
mod error;
mod parse;
pub(in crate::otp) mod percent;

use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

use self::parse::Reader;
use super::{Algorithm, Digits, Format, Hotp, Secret, Totp};

pub use builder::OtpauthUriBuilder;
pub use error::{Parameter, Part, UriError, UriFlaw};

/// A token as an `otpauth://` URI describes it: what authenticator apps scan at enrolment, and what they export.
///
/// The [Key URI format] leaves much open; this is what is read and written here:
///
/// - Percent-encoding is RFC 3986's. A space is `%20`, a plus is a plus: nearly all apps show a `+` as it is. One
///   exception: a parameter `issuer=Big+Corp` beside the label's `Big%20Corp:` was form-encoded, and is the same.
/// - A colon as it is separates issuer and account, `%3A` is part of one of them; without the former, the latter separates.
/// - Secrets are base32 in either case, with or without padding; printed in upper case without.
/// - What the format doesn't have is kept, see [`parameters`](Self::parameters).
/// - Every number is checked. What contradicts itself is an error for [`parse`](Self::parse) and a
///   [`UriFlaw`] of [`parse_legacy`](Self::parse_legacy).
/// - Steam's codes have three spellings: `otpauth://steam/`, `encoder=steam`, and the issuer `Steam` without
///   another number of digits, as Valve writes it. Bitwarden's `steam://SECRET` is read too.
///
/// What [`expose_uri`](Self::expose_uri) prints, with every parameter spelt out, reads back to the same. `Debug`
/// shows neither the secret nor the values of unknown parameters.
///
/// ```
/// use skewgate::otp::{Digits, OtpauthUri, UriKind};
///
/// let uri: OtpauthUri = "otpauth://totp/ACME%20Co:john@example.com\
///     ?secret=HXDMVJECJJWSRB3HWIZR4IFUGFTMXBOZ&issuer=ACME%20Co&digits=8".parse()?;
/// assert_eq!(uri.issuer(), Some("ACME Co"));
/// assert_eq!(uri.account(), "john@example.com");
/// assert_eq!(uri.totp()?.format(), Digits::EIGHT.into());
/// # Ok::<(), skewgate::otp::UriError>(())
/// ```
///
/// [Key URI format]: https://github.com/google/google-authenticator/wiki/Key-Uri-Format
#[derive(Clone)]
pub struct OtpauthUri {
    kind: UriKind,
    issuer: Option<String>,
    account: String,
    secret: Secret,
    algorithm: Algorithm,
    digits: Digits,
    /// Wiped, since nobody knows what an app puts there: Yandex's has a PIN in it.
    extra: Zeroizing<Vec<(String, String)>>,
}

/// What moves a token on from one code to the next, and what its codes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UriKind {
    /// Time (RFC 6238).
    Totp {
        /// How long a step is: whole seconds, from one to [`Totp::MAX_PERIOD`].
        period: Duration,
    },
    /// A counter (RFC 4226).
    Hotp {
        /// The counter of the next code.
        counter: u64,
    },
    /// Time, and codes in Steam's alphabet: SHA-1, 30 s, five characters of `23456789BCDFGHJKMNPQRTVWXY`.
    Steam,
}

impl UriKind {
    /// TOTP with steps of 30 s.
    pub const TOTP: Self = Self::Totp { period: Totp::DEFAULT_PERIOD };

    const fn name(self) -> &'static str {
        match self {
            Self::Totp { .. } => "totp",
            Self::Hotp { .. } => "hotp",
            Self::Steam => "steam",
        }
    }
}

impl OtpauthUri {
    /// The longest text that is read or printed: more than fits into a QR code.
    pub const MAX_BYTES: usize = 8192;

    /// Begins a URI for this account, which apps show to tell tokens apart; with SHA-1, six digits and 30 s, the only
    /// choice that every app honours.
    ///
    /// ```
    /// use skewgate::otp::{OtpauthUri, Secret};
    ///
    /// let secret = Secret::from_bytes(b"12345678901234567890")?;
    /// let uri = OtpauthUri::builder("ada@example.org", secret).issuer("Big Corp").build()?;
    /// assert_eq!(
    ///     uri.expose_uri().as_str(),
    ///     "otpauth://totp/Big%20Corp:ada%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
    ///      &issuer=Big%20Corp&algorithm=SHA1&digits=6&period=30",
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(account: &str, secret: Secret) -> OtpauthUriBuilder {
        OtpauthUriBuilder::new(Self {
            kind: UriKind::TOTP,
            issuer: None,
            account: account.to_owned(),
            secret,
            algorithm: Algorithm::Sha1,
            digits: Digits::SIX,
            extra: Zeroizing::default(),
        })
    }

    /// Reads a URI that has no flaw.
    ///
    /// # Errors
    ///
    /// [`UriError`], which never holds a part of the text.
    ///
    /// ```
    /// use skewgate::otp::{OtpauthUri, UriError, UriFlaw};
    ///
    /// let contradiction = "otpauth://totp/Ada:x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Eve";
    /// let error = OtpauthUri::parse(contradiction).unwrap_err();
    /// assert_eq!(error, UriError::Flawed(UriFlaw::IssuerMismatch));
    /// ```
    pub fn parse(text: &str) -> Result<Self, UriError> {
        Reader::strict().read(text)
    }

    /// Reads the URI of a token that exists already, as most apps would, and says what it tolerated: short secrets,
    /// parameters that contradict each other, characters that should have been encoded.
    ///
    /// # Errors
    ///
    /// [`UriError`] where there is no telling which codes the token shows.
    ///
    /// ```
    /// use skewgate::otp::{OtpauthUri, UriFlaw};
    ///
    /// let (uri, flaws) = OtpauthUri::parse_legacy("otpauth://totp/ada?secret=JBSWY3DPEHPK3PXP&counter=0")?;
    /// assert_eq!(uri.secret().expose_bytes().len(), 10);
    /// assert_eq!(flaws.len(), 2);
    /// assert!(flaws.contains(&UriFlaw::ShortSecret { got: 10 }));
    /// # Ok::<(), skewgate::otp::UriError>(())
    /// ```
    pub fn parse_legacy(text: &str) -> Result<(Self, Vec<UriFlaw>), UriError> {
        let mut reader = Reader::legacy();
        let uri = reader.read(text)?;
        Ok((uri, reader.flaws()))
    }

    /// What kind of token it is.
    #[must_use]
    pub const fn kind(&self) -> UriKind {
        self.kind
    }

    /// Who issued the token, if it is said.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Whose token it is. May be empty.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The secret.
    #[must_use]
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Which hash it uses.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// How many digits its codes have; `None` for Steam, whose codes have five characters that aren't digits.
    #[must_use]
    pub const fn digits(&self) -> Option<Digits> {
        match self.kind {
            UriKind::Steam => None,
            _ => Some(self.digits),
        }
    }

    /// The parameters that the format doesn't have, in their order: `image`, `color`, what an app needs.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.extra.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The token that makes and validates these codes: TOTP, or Steam's.
    ///
    /// # Errors
    ///
    /// [`UriError::OtherKind`] where it moves on by a counter.
    ///
    /// ```
    /// use skewgate::otp::{OtpauthUri, TimeStep};
    ///
    /// let uri: OtpauthUri = "otpauth://totp/ada?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".parse()?;
    /// assert_eq!(&*uri.totp()?.code_at(TimeStep::ZERO).expose(), "755224");
    /// assert!(uri.hotp().is_err());
    /// # Ok::<(), skewgate::otp::UriError>(())
    /// ```
    pub fn totp(&self) -> Result<Totp, UriError> {
        let builder = Totp::builder(&self.secret);
        let builder = match self.kind {
            UriKind::Totp { period } => builder.algorithm(self.algorithm).digits(self.digits).period(period),
            UriKind::Steam => builder.steam(),
            UriKind::Hotp { .. } => return Err(self.other_kind("totp")),
        };
        Ok(builder.build()?)
    }

    /// The generator of these codes, and the counter of the next one.
    ///
    /// # Errors
    ///
    /// [`UriError::OtherKind`] where it isn't HOTP.
    ///
    /// ```
    /// use skewgate::otp::OtpauthUri;
    ///
    /// let uri: OtpauthUri = "otpauth://hotp/ada?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&counter=9".parse()?;
    /// let (hotp, counter) = uri.hotp()?;
    /// assert_eq!(&*hotp.code_at(counter).expose(), "520489"); // RFC 4226, Appendix D
    /// # Ok::<(), skewgate::otp::UriError>(())
    /// ```
    pub fn hotp(&self) -> Result<(Hotp, u64), UriError> {
        let UriKind::Hotp { counter } = self.kind else { return Err(self.other_kind("hotp")) };
        Ok((Hotp::new(&self.secret, self.algorithm, self.digits), counter))
    }

    /// The URI, with the secret in it: for the QR code that its owner scans, and for nothing else. Wiped when dropped.
    /// Named so that a reviewer finds every place that takes the secret out.
    ///
    /// ```
    /// use skewgate::otp::OtpauthUri;
    ///
    /// let uri: OtpauthUri = "otpauth://totp/ada?secret=gezdgnbvgy3tqojqgezdgnbvgy3tqojq&image=x".parse()?;
    /// let printed = uri.expose_uri();
    /// assert_eq!(OtpauthUri::parse(&printed)?.expose_uri(), printed);
    /// # Ok::<(), skewgate::otp::UriError>(())
    /// ```
    #[must_use]
    pub fn expose_uri(&self) -> Zeroizing<String> {
        let secret = self.secret.expose_base32();
        // The last term is above what is fixed: names and numbers. The text never grows, so that no part of it is left
        // behind unwiped.
        let mut out = Zeroizing::new(String::with_capacity(self.length_bound(secret.len())));
        out.push_str("otpauth://");
        out.push_str(self.kind.name());
        out.push('/');
        if let Some(issuer) = &self.issuer {
            percent::encode_into(&mut out, issuer);
            out.push(':');
        }
        percent::encode_into(&mut out, &self.account);
        out.push_str("?secret=");
        out.push_str(&secret);
        if let Some(issuer) = &self.issuer {
            out.push_str("&issuer=");
            percent::encode_into(&mut out, issuer);
        }
        let digits = self.digits().map_or(Format::Steam.length(), Digits::get);
        out.push_str(&format!("&algorithm={}&digits={digits}", self.algorithm));
        match self.kind {
            UriKind::Totp { period } => out.push_str(&format!("&period={}", period.as_secs())),
            UriKind::Hotp { counter } => out.push_str(&format!("&counter={counter}")),
            // Aegis goes by the kind, pyotp and KeePassXC by the encoder.
            UriKind::Steam => out.push_str("&period=30&encoder=steam"),
        }
        for (name, value) in self.extra.iter() {
            out.push('&');
            percent::encode_into(&mut out, name);
            out.push('=');
            percent::encode_into(&mut out, value);
        }
        out
    }

    /// At least as long as what is printed: 128 bytes are more than all that is fixed, and the largest numbers.
    fn length_bound(&self, secret: usize) -> usize {
        let issuer = self.issuer.as_deref().map_or(0, percent::encoded_len);
        let extra = self.extra.iter().map(|(name, value)| {
            percent::encoded_len(name).saturating_add(percent::encoded_len(value)).saturating_add(2)
        });
        [128, secret, percent::encoded_len(&self.account), issuer, issuer]
            .into_iter()
            .chain(extra)
            .fold(0, usize::saturating_add)
    }

    const fn other_kind(&self, wanted: &'static str) -> UriError {
        UriError::OtherKind { got: self.kind.name(), wanted }
    }
}

impl std::str::FromStr for OtpauthUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(text)
    }
}

impl fmt::Debug for OtpauthUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtpauthUri")
            .field("kind", &self.kind)
            .field("issuer", &self.issuer)
            .field("account", &self.account)
            .field("algorithm", &self.algorithm)
            .field("digits", &self.digits())
            .field("parameters", &self.extra.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
