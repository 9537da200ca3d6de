//! Reading: text to an [`OtpauthUri`].

use std::time::Duration;

use zeroize::Zeroizing;

use super::percent::{self, DecodeError};
use super::{OtpauthUri, Parameter, Part, UriError, UriFlaw, UriKind};
use crate::otp::{Algorithm, Digits, Format, Secret, Totp};

/// How many characters a Steam code has.
const STEAM_CHARACTERS: u64 = Format::Steam.length() as u64;

/// What to do about flaws: refuse the first, or collect them.
pub(super) struct Reader {
    collected: Option<Vec<UriFlaw>>,
}

impl Reader {
    pub(super) const fn strict() -> Self {
        Self { collected: None }
    }

    pub(super) const fn legacy() -> Self {
        Self { collected: Some(Vec::new()) }
    }

    pub(super) fn flaws(self) -> Vec<UriFlaw> {
        self.collected.unwrap_or_default()
    }

    fn flaw(&mut self, flaw: UriFlaw) -> Result<(), UriError> {
        match &mut self.collected {
            Some(collected) => {
                collected.push(flaw);
                Ok(())
            }
            None => Err(UriError::Flawed(flaw)),
        }
    }

    pub(super) fn read(&mut self, text: &str) -> Result<OtpauthUri, UriError> {
        if text.len() > OtpauthUri::MAX_BYTES {
            return Err(UriError::TooLong { got: text.len() });
        }
        self.check_characters(text)?;
        if let Some(secret) = strip_scheme(text, "steam://") {
            let secret = decode(text, secret, Part::Value(Parameter::Secret))?;
            return OtpauthUri::builder("", self.secret(&secret)?).kind(UriKind::Steam).build();
        }
        let rest = strip_scheme(text, "otpauth://").ok_or(UriError::Scheme)?;
        let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (kind, label) = before.split_once('/').unwrap_or((before, ""));
        let parameters = self.parameters(text, query)?;
        let label_issuer = parameters.get(Parameter::Issuer);
        let (prefix, account) = split_label(text, label, label_issuer)?;
        let issuer = self.issuer(prefix, label_issuer)?;

        let kind = if kind.eq_ignore_ascii_case("totp") {
            if parameters.name_steam(issuer.as_deref())? { UriKind::Steam } else { self.totp(&parameters)? }
        } else if kind.eq_ignore_ascii_case("hotp") {
            self.hotp(&parameters)?
        } else if kind.eq_ignore_ascii_case("steam") {
            parameters.name_steam(None)?;
            UriKind::Steam
        } else {
            return Err(UriError::Kind);
        };
        let secret = self.secret(parameters.get(Parameter::Secret).ok_or(UriError::NoSecret)?)?;
        let mut builder = OtpauthUri::builder(&account, secret).kind(kind);
        if kind == UriKind::Steam {
            self.refuse(&parameters, Parameter::Counter)?;
            parameters.check_steam()?;
        } else {
            builder = builder.algorithm(parameters.algorithm()?).digits(parameters.digits()?);
        }
        if let Some(issuer) = issuer {
            builder = builder.issuer(&issuer);
        }
        for (name, value) in parameters.extra.iter() {
            builder = builder.parameter(name, value);
        }
        builder.build()
    }

    fn check_characters(&mut self, text: &str) -> Result<(), UriError> {
        if let Some(position) = text.bytes().position(|byte| byte == b'#') {
            return Err(UriError::Fragment { position });
        }
        match text.bytes().position(|byte| !percent::is_allowed(byte)) {
            Some(position) => self.flaw(UriFlaw::Unencoded { position }),
            None => Ok(()),
        }
    }

    fn parameters(&mut self, text: &str, query: &str) -> Result<Parameters, UriError> {
        let mut parameters = Parameters::default();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            // At the first `=`: base32 padding is written as it is by some (Authenticator#1546).
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let name = decode(text, name, Part::ParameterName)?;
            let known = Parameter::named(&name);
            let value = decode(text, value, Part::Value(known))?;
            if !parameters.insert(known, &name, value) {
                self.flaw(UriFlaw::Duplicate { parameter: known })?;
            }
        }
        Ok(parameters)
    }

    fn secret(&mut self, text: &str) -> Result<Secret, UriError> {
        let secret = Secret::short_legacy_base32(text)?;
        if text.contains([' ', '-']) {
            self.flaw(UriFlaw::SecretSeparators)?;
        }
        match secret.expose_bytes().len() {
            got if got < Secret::MIN_BYTES => self.flaw(UriFlaw::ShortSecret { got })?,
            _ => {}
        }
        Ok(secret)
    }

    fn issuer(
        &mut self,
        prefix: Option<Zeroizing<String>>,
        parameter: Option<&str>,
    ) -> Result<Option<String>, UriError> {
        let parameter = parameter.filter(|issuer| !issuer.is_empty());
        let Some(prefix) = prefix.filter(|prefix| !prefix.is_empty()) else {
            return Ok(parameter.map(str::to_owned));
        };
        if let Some(parameter) = parameter.filter(|parameter| !is_same_issuer(parameter, &prefix)) {
            self.flaw(UriFlaw::IssuerMismatch)?;
            return Ok(Some(parameter.to_owned()));
        }
        Ok(Some(prefix.to_string()))
    }

    fn totp(&mut self, parameters: &Parameters) -> Result<UriKind, UriError> {
        self.refuse(parameters, Parameter::Counter)?;
        // Its range is checked where the URI is built.
        let seconds = parameters.number(Parameter::Period)?;
        Ok(UriKind::Totp { period: seconds.map_or(Totp::DEFAULT_PERIOD, Duration::from_secs) })
    }

    fn hotp(&mut self, parameters: &Parameters) -> Result<UriKind, UriError> {
        self.refuse(parameters, Parameter::Period)?;
        if parameters.get(Parameter::Encoder).is_some() {
            return Err(UriError::Encoder);
        }
        let counter = parameters.number(Parameter::Counter)?.ok_or(UriError::NoCounter)?;
        Ok(UriKind::Hotp { counter })
    }

    fn refuse(&mut self, parameters: &Parameters, parameter: Parameter) -> Result<(), UriError> {
        match parameters.get(parameter) {
            Some(_) => self.flaw(UriFlaw::Foreign { parameter }),
            None => Ok(()),
        }
    }
}

/// The decoded query.
#[derive(Default)]
struct Parameters {
    known: [Option<Zeroizing<String>>; Parameter::KNOWN.len()],
    extra: Zeroizing<Vec<(String, String)>>,
}

impl Parameters {
    fn get(&self, parameter: Parameter) -> Option<&str> {
        let index = Parameter::KNOWN.iter().position(|known| *known == parameter)?;
        self.known.get(index)?.as_ref().map(|value| value.as_str())
    }

    /// False where it is there already.
    fn insert(&mut self, parameter: Parameter, name: &str, value: Zeroizing<String>) -> bool {
        let index = Parameter::KNOWN.iter().position(|known| *known == parameter);
        match index.and_then(|index| self.known.get_mut(index)) {
            Some(Some(_)) => false,
            Some(place) => {
                *place = Some(value);
                true
            }
            None if self.extra.iter().any(|(known, _)| known == name) => false,
            None => {
                self.extra.push((name.to_owned(), value.to_string()));
                true
            }
        }
    }

    fn number(&self, parameter: Parameter) -> Result<Option<u64>, UriError> {
        let Some(text) = self.get(parameter) else { return Ok(None) };
        // `parse` alone would take a sign.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).map(Some).ok_or(UriError::Number { parameter })
    }

    fn algorithm(&self) -> Result<Algorithm, UriError> {
        let Some(name) = self.get(Parameter::Algorithm) else { return Ok(Algorithm::Sha1) };
        let same = |known: &str| name.eq_ignore_ascii_case(known);
        match name {
            _ if same("SHA1") || same("SHA-1") => Ok(Algorithm::Sha1),
            _ if same("SHA256") || same("SHA-256") => Ok(Algorithm::Sha256),
            _ if same("SHA512") || same("SHA-512") => Ok(Algorithm::Sha512),
            _ => Err(UriError::Algorithm),
        }
    }

    fn digits(&self) -> Result<Digits, UriError> {
        match self.number(Parameter::Digits)? {
            Some(count) => Ok(Digits::new(usize::try_from(count).unwrap_or(usize::MAX))?),
            None => Ok(Digits::SIX),
        }
    }

    /// True where the codes are Steam's: `encoder=steam` says so, or, as in Valve's own URIs, the issuer
    /// `Steam` and no other number of digits.
    fn name_steam(&self, issuer: Option<&str>) -> Result<bool, UriError> {
        match self.get(Parameter::Encoder) {
            Some(encoder) if encoder.eq_ignore_ascii_case("steam") => Ok(true),
            Some(_) => Err(UriError::Encoder),
            None => {
                let digits = self.number(Parameter::Digits)?;
                Ok(issuer == Some("Steam") && digits.is_none_or(|count| count == STEAM_CHARACTERS))
            }
        }
    }

    fn check_steam(&self) -> Result<(), UriError> {
        let period = self.number(Parameter::Period)?.map(Duration::from_secs);
        if self.algorithm()? != Algorithm::Sha1 {
            Err(UriError::NotSteam { parameter: Parameter::Algorithm })
        } else if self.number(Parameter::Digits)?.is_some_and(|count| count != STEAM_CHARACTERS) {
            Err(UriError::NotSteam { parameter: Parameter::Digits })
        } else if period.is_some_and(|period| period != Totp::DEFAULT_PERIOD) {
            Err(UriError::NotSteam { parameter: Parameter::Period })
        } else {
            Ok(())
        }
    }
}

fn strip_scheme<'t>(text: &'t str, scheme: &str) -> Option<&'t str> {
    let (start, rest) = text.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// The issuer's prefix and the account.
///
/// A colon as it is separates them, and `%3A` belongs to one of them (pyotp#174); of several such colons it is the one behind what the
/// parameter names (otplib leaves an issuer's colons as they are), or else the first. Where there is only `%3A`, it
/// separates (that is how Microsoft writes it), by the same rule. Spaces before the account aren't part of
/// it (Key URI format).
fn split_label(
    text: &str,
    label: &str,
    issuer: Option<&str>,
) -> Result<(Option<Zeroizing<String>>, String), UriError> {
    let is_issuer = |prefix: &str| issuer.is_some_and(|issuer| is_same_issuer(issuer, prefix));
    let account = |account: &str| account.trim_start_matches(' ').to_owned();
    let mut first = None;
    for (colon, _) in label.match_indices(':') {
        let (prefix, rest) = label.split_at(colon);
        let prefix = decode(text, prefix, Part::Label)?;
        let found = is_issuer(&prefix);
        if found || first.is_none() {
            first = Some((prefix, rest));
        }
        if found {
            break;
        }
    }
    if let Some((prefix, rest)) = first {
        let rest = decode(text, rest.strip_prefix(':').unwrap_or(rest), Part::Label)?;
        return Ok((Some(prefix), account(&rest)));
    }
    let label = decode(text, label, Part::Label)?;
    let mut colons = label.match_indices(':').map(|(colon, _)| label.split_at(colon));
    let split = colons.clone().find(|(prefix, _)| is_issuer(prefix)).or_else(|| colons.next());
    Ok(match split {
        Some((prefix, rest)) => {
            (Some(Zeroizing::new(prefix.to_owned())), account(rest.strip_prefix(':').unwrap_or(rest)))
        }
        None => (None, account(&label)),
    })
}

/// True for equal ones, and for one in form encoding, which JavaScript and PHP write by default: beside the label there is no
/// doubt that the plus was meant as a space, without it that would be guessing.
fn is_same_issuer(parameter: &str, prefix: &str) -> bool {
    parameter == prefix || parameter.replace('+', " ") == prefix
}

/// `part` must be a slice of `text`: errors say where in the whole of it.
fn decode(text: &str, part: &str, which: Part) -> Result<Zeroizing<String>, UriError> {
    let decoded = percent::decode(part).map_err(|error| match error {
        DecodeError::Escape(position) => {
            let start = part.as_ptr().addr().saturating_sub(text.as_ptr().addr());
            UriError::Escape { position: start.saturating_add(position) }
        }
        DecodeError::Utf8 => UriError::Utf8 { part: which },
    })?;
    // A secret with one is no base32, and says so.
    if which != Part::Value(Parameter::Secret) && decoded.chars().any(char::is_control) {
        return Err(UriError::ControlCharacter { part: which });
    }
    Ok(decoded)
}
