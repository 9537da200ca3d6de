//! The token's secret and parameters, from a file or standard input. None of it is ever printed.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use zeroize::Zeroizing;

use skewgate::otp::{Algorithm, Digits, Format, OtpauthUri, Secret, SecretError, Totp, UriError, UriKind};
use skewgate::time::Timestamp;

use super::ExplainError;
use super::options::Given;

/// More than any URI has.
const MAX_BYTES: usize = OtpauthUri::MAX_BYTES + 2;

/// What a token's codes are made of.
#[derive(Clone, Debug)]
pub(crate) struct Parameters {
    pub(crate) algorithm: Algorithm,
    pub(crate) format: Format,
    pub(crate) period: std::time::Duration,
    pub(crate) t0: Timestamp,
}

impl Parameters {
    pub(crate) fn totp(&self, secret: &Secret) -> Result<Totp, ExplainError> {
        let builder = Totp::builder(secret).algorithm(self.algorithm).format(self.format);
        Ok(builder.period(self.period).t0(self.t0).build()?)
    }
}

/// How the text of a secret is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Base32,
    Hex,
    /// Not decoded at all: its characters are the key.
    Characters,
}

impl Reading {
    /// For programs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Base32 => "base32",
            Self::Hex => "hex",
            Self::Characters => "characters",
        }
    }
}

/// A token's secret, and how else its text could be meant.
pub(crate) struct Key {
    pub(crate) secret: Secret,
    pub(crate) parameters: Parameters,
    pub(crate) reading: Reading,
    /// The same text read otherwise: mistakes that are made when a secret moves from one system to another.
    pub(crate) others: Vec<(Reading, Secret)>,
    /// What was tolerated.
    pub(crate) warnings: Vec<String>,
}

impl Key {
    /// Reads the file, or standard input where its name is `-`.
    pub(crate) fn read(path: &Path, given: &Given) -> Result<Self, ExplainError> {
        let text = if path == Path::new("-") {
            let stdin = io::stdin();
            if stdin.is_terminal() {
                anstream::eprintln!("type the secret, then Ctrl-D ...");
            }
            read_text(stdin.lock())
        } else {
            File::open(path).map_err(Some).and_then(read_text)
        }
        .map_err(|error| match error {
            Some(error) => ExplainError::SecretFile { path: path.to_owned(), error },
            None => ExplainError::SecretTooLong,
        })?;
        Self::parse(&text, given)
    }

    fn parse(text: &str, given: &Given) -> Result<Self, ExplainError> {
        // Editors on Windows begin a file with a byte order mark.
        let mut lines =
            text.trim_start_matches('\u{feff}').lines().map(str::trim).filter(|line| !line.is_empty());
        let line = match (lines.next(), lines.next()) {
            (Some(line), None) => line,
            (None, _) => return Err(ExplainError::SecretEmpty),
            (Some(_), Some(_)) => return Err(ExplainError::SecretLines),
        };
        if line.contains("://") { Self::from_uri(line, given) } else { Self::from_text(line, given) }
    }

    fn from_uri(line: &str, given: &Given) -> Result<Self, ExplainError> {
        if given.any_of_a_uri() {
            return Err(ExplainError::SaidTwice);
        }
        let (uri, flaws) = OtpauthUri::parse_legacy(line)?;
        let totp = match uri.totp() {
            Err(UriError::OtherKind { .. }) => return Err(ExplainError::CounterBased),
            made => made?,
        };
        debug_assert!(!matches!(uri.kind(), UriKind::Hotp { .. }));
        let parameters = Parameters {
            algorithm: totp.algorithm(),
            format: totp.format(),
            period: totp.period(),
            t0: given.t0.unwrap_or(totp.t0()),
        };
        let warnings = flaws.iter().map(ToString::to_string).collect();
        let secret = uri.secret().clone();
        let others = other_readings(&secret.expose_base32(), Reading::Base32);
        Ok(Self { secret, parameters, reading: Reading::Base32, others, warnings })
    }

    fn from_text(line: &str, given: &Given) -> Result<Self, ExplainError> {
        let mut warnings = Vec::new();
        let (reading, secret) = match Secret::short_legacy_base32(line) {
            Ok(secret) => (Reading::Base32, secret),
            // Only where it can be nothing else: base32 is what apps show.
            Err(error) => match read_hex(line) {
                Ok(secret) => {
                    warnings.push("the secret is no base32: read as hexadecimal".to_owned());
                    (Reading::Hex, secret)
                }
                Err(_) => return Err(error.into()),
            },
        };
        let bytes = secret.expose_bytes().len();
        if bytes < Secret::MIN_BYTES {
            warnings.push(format!(
                "the secret has {bytes} bytes, RFC 4226 asks for at least {}",
                Secret::MIN_BYTES
            ));
        }
        let parameters = Parameters {
            algorithm: given.algorithm.unwrap_or_default(),
            format: if given.steam { Format::Steam } else { given.digits.unwrap_or(Digits::SIX).into() },
            period: given.period.unwrap_or(Totp::DEFAULT_PERIOD),
            t0: given.t0.unwrap_or(Timestamp::from_unix_nanos(0)),
        };
        let others = other_readings(line, reading);
        Ok(Self { secret, parameters, reading, others, warnings })
    }
}

fn other_readings(text: &str, reading: Reading) -> Vec<(Reading, Secret)> {
    [
        (Reading::Base32, Secret::short_legacy_base32(text)),
        (Reading::Hex, read_hex(text)),
        (Reading::Characters, Secret::short_legacy(text.as_bytes())),
    ]
    .into_iter()
    .filter_map(|(other, secret)| Some((other, secret.ok().filter(|_| other != reading)?)))
    .collect()
}

/// As programs and manuals print it: with 0x before it, and with colons, hyphens or spaces between.
fn read_hex(text: &str) -> Result<Secret, SecretError> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    // Never longer than the text, so that it leaves no copy behind.
    let mut joined = Zeroizing::new(String::with_capacity(digits.len()));
    joined.extend(digits.chars().filter(|character| !matches!(character, ':' | '-' | ' ')));
    Secret::short_legacy_hex(&joined)
}

/// All of it, in a buffer that never grows and so leaves no copy. `None` where it is too long.
fn read_text(from: impl Read) -> Result<Zeroizing<String>, Option<io::Error>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
    // One byte more than is taken tells that there is more.
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut from = from.take(limit);
    let mut chunk = Zeroizing::new([0; 1024]);
    loop {
        match from.read(&mut *chunk) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Some(error)),
        }
    }
    if bytes.len() > MAX_BYTES {
        return Err(None);
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| Some(io::ErrorKind::InvalidData.into()))?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOTHING: Given = Given { algorithm: None, digits: None, steam: false, period: None, t0: None };
    const BASE32: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    const BYTES: &[u8] = b"12345678901234567890";

    fn parse(text: &str) -> Result<Key, ExplainError> {
        Key::parse(text, &NOTHING)
    }

    #[test]
    fn base32_hex_and_uris_are_told_apart() {
        let hex = "3132333435363738393031323334353637383930";
        let uri = format!("otpauth://totp/ada?secret={BASE32}");
        for text in [
            BASE32,
            "\n gezd gnbv gy3t qojq gezd gnbv gy3t qojq \r\n",
            "\u{feff}GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\r\n",
            hex,
            &format!("0x{hex}"),
            "31:32:33:34:35:36:37:38:39:30:31:32:33:34:35:36:37:38:39:30",
            "0X31323334-35363738 39303132-33343536 37383930",
            &uri,
        ] {
            assert_eq!(parse(text).unwrap().secret.expose_bytes(), BYTES, "{text}");
        }
        let key = parse(&format!("{uri}&algorithm=SHA256&digits=8&period=60")).unwrap().parameters;
        assert_eq!((key.algorithm, key.format), (Algorithm::Sha256, Digits::EIGHT.into()));
        assert_eq!(key.period, Duration::from_secs(60));
        let steam = parse(&format!("steam://{BASE32}")).unwrap().parameters;
        assert_eq!(steam.format, Format::Steam);
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_tried_in_both() {
        let readings = |text: &str| {
            let key = parse(text).unwrap();
            (key.reading, key.others.iter().map(|(reading, _)| *reading).collect::<Vec<_>>())
        };
        use Reading::{Base32, Characters, Hex};
        assert_eq!(readings(BASE32), (Base32, vec![Characters]));
        assert_eq!(readings(&"AB23".repeat(8)), (Base32, vec![Hex, Characters]));
        assert_eq!(readings(&"0189".repeat(8)), (Hex, vec![Characters]));
    }

    #[test]
    fn what_is_no_secret_is_refused_and_not_repeated() {
        let text = |result: Result<Key, ExplainError>| result.err().unwrap().to_string();
        assert!(matches!(parse(" \n"), Err(ExplainError::SecretEmpty)));
        assert!(matches!(parse("A\nB"), Err(ExplainError::SecretLines)));
        let wrong = "GEZDGNB!";
        assert!(matches!(parse(wrong), Err(ExplainError::Secret(SecretError::OtherCharacter))));
        assert!(!text(parse(wrong)).contains("GEZ"));
        let uri = format!("otpauth://hotp/ada?secret={BASE32}&counter=1");
        assert!(matches!(parse(&uri), Err(ExplainError::CounterBased)));
        assert!(!text(parse(&format!("otpauth://totp/ada?secret={BASE32}1"))).contains("GEZ"));
        let twice = Given { digits: Some(Digits::EIGHT), ..NOTHING };
        let said = Key::parse(&format!("otpauth://totp/ada?secret={BASE32}"), &twice);
        assert!(matches!(said, Err(ExplainError::SaidTwice)));
    }

    #[test]
    fn a_short_secret_is_read_with_a_warning() {
        let key = parse("JBSWY3DPEHPK3PXP").unwrap();
        assert!(key.warnings[0].contains("10 bytes"), "{:?}", key.warnings);
        let key = parse("otpauth://totp/ada?secret=JBSWY3DPEHPK3PXP").unwrap();
        assert!(key.warnings[0].contains("10 bytes"), "{:?}", key.warnings);
    }

    #[test]
    fn a_file_is_read_to_its_limit() {
        assert_eq!(read_text(&[b'A'; MAX_BYTES][..]).unwrap().len(), MAX_BYTES);
        assert!(matches!(read_text(&[b'A'; MAX_BYTES + 1][..]), Err(None)));
        assert!(matches!(read_text(&[0xff][..]), Err(Some(_))));
    }
}
