//! A one-time code: what a user types, and what a token shows.

use std::fmt;
use std::ops::Deref;

use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroize;

use super::format::steam_value;
use super::{CodeError, Digits, Format};

/// A one-time code, wiped when dropped: 6 to 10 digits, or the five characters of Steam's authenticator.
///
/// A text is parsed once; what is compared, counted and remembered afterwards is this one value. (Servers that
/// compared a trimmed code and remembered the untrimmed one let `"123456 "` in after `"123456"`:
/// CVE-2025-6014, CVE-2025-55003.)
///
/// Codes are compared in constant time only, through [`subtle::ConstantTimeEq`]; there is no `==`:
///
/// ```compile_fail
/// use skewgate::otp::Code;
///
/// let same = Code::parse("123456")? == Code::parse("123456")?;
/// # Ok::<(), skewgate::otp::CodeError>(())
/// ```
#[derive(Clone)]
pub struct Code {
    value: u64,
    format: Format,
}

impl Code {
    /// The longest text that is read, in bytes: ten digits with room for any grouping.
    pub const MAX_TEXT_BYTES: usize = 64;

    /// Reads a code as users type it: 6 to 10 ASCII digits, or five of Steam's characters
    /// (`23456789BCDFGHJKMNPQRTVWXY`, in either case), with spaces and hyphens between them, and white space (ASCII)
    /// around them.
    ///
    /// The length tells which [`Format`] it is: no decimal code has five digits. So five of the digits from 2 to 9 are read
    /// as one of Steam's codes, and fit no token that shows decimal ones. Characters are never taken for others that look
    /// like them.
    ///
    /// # Errors
    ///
    /// [`CodeError`] for anything else: other characters (signs, digits of other scripts), too few or too many
    /// digits, a text of more than 64 bytes.
    ///
    /// ```
    /// use skewgate::otp::{Code, CodeError};
    ///
    /// assert_eq!(&*Code::parse(" 755-224\n")?.expose(), "755224");
    /// assert_eq!(&*Code::parse("bc 2y9")?.expose(), "BC2Y9");
    /// assert_eq!(Code::parse("+755224").unwrap_err(), CodeError::Character { position: 0 });
    /// assert_eq!(Code::parse("7552").unwrap_err(), CodeError::CharacterCount { got: 4 });
    /// # Ok::<(), CodeError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        if text.len() > Self::MAX_TEXT_BYTES {
            return Err(CodeError::TooLong { got: text.len() });
        }
        let trimmed = text.as_bytes().trim_ascii();
        // A hyphen in front could be meant as a sign, so it isn't a separator there. Spaces are gone.
        if matches!(trimmed, [b'-', ..] | [.., b'-'] | []) {
            return Err(why_not(text));
        }
        // Both readings at once: which one it is, its length tells in the end. At most 64 characters: numbers may wrap, but
        // then there are too many.
        let (mut decimal, mut packed, mut count, mut digits_alone) = (0_u64, 0_u64, 0, true);
        for byte in trimmed.iter().filter(|byte| !is_separator(**byte)) {
            let digit = byte.wrapping_sub(b'0');
            digits_alone &= digit <= 9;
            decimal = decimal.wrapping_mul(10).wrapping_add(u64::from(digit));
            packed = packed << 8 | u64::from(*byte);
            count += 1;
        }
        let steam = Format::Steam.length();
        match Digits::new(count) {
            Ok(digits) if digits_alone => Ok(Self::new(decimal, Format::Decimal(digits))),
            Err(_) if count == steam => match steam_value(packed) {
                Some(value) => Ok(Self::new(value, Format::Steam)),
                None => Err(why_not(text)),
            },
            _ => Err(why_not(text)),
        }
    }

    /// What it looks like.
    ///
    /// ```
    /// use skewgate::otp::{Code, Digits, Format};
    ///
    /// assert_eq!(Code::parse("0000 0001")?.format(), Format::Decimal(Digits::EIGHT));
    /// assert_eq!(Code::parse("2BC4D")?.format(), Format::Steam);
    /// # Ok::<(), skewgate::otp::CodeError>(())
    /// ```
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The code as text, to show a generated one to whoever owns the token. Named so that a reviewer finds every place that
    /// takes a code out.
    ///
    /// ```
    /// use skewgate::otp::Code;
    ///
    /// assert_eq!(Code::parse("012 345")?.expose().to_string(), "012345");
    /// # Ok::<(), skewgate::otp::CodeError>(())
    /// ```
    #[must_use]
    pub fn expose(&self) -> CodeText {
        let mut text = CodeText { ascii: [b'0'; Digits::MAX.get()], length: self.format.length() };
        self.format.write(self.value, &mut text.ascii);
        text
    }

    /// `value` must be one that `format` can show.
    pub(super) const fn new(value: u64, format: Format) -> Self {
        Self { value, format }
    }

    /// Its characters read as a number.
    pub(super) const fn value(&self) -> u64 {
        self.value
    }
}

/// Between digits.
const fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'-')
}

/// Why a text is no code.
#[cold]
fn why_not(text: &str) -> CodeError {
    let bytes = text.as_bytes();
    let start = bytes.len() - bytes.trim_ascii_start().len();
    let trimmed = bytes.trim_ascii();
    let Some(last) = trimmed.len().checked_sub(1) else { return CodeError::Empty };
    let separates = |index: usize, byte: u8| is_separator(byte) && index != 0 && index != last;
    let characters = || trimmed.iter().enumerate().filter(|&(index, byte)| !separates(index, *byte));
    let at = |refused: &dyn Fn(u8) -> bool| {
        let found = characters().find(|&(_, byte)| refused(*byte));
        found.map(|(index, _)| CodeError::Character { position: start + index })
    };
    let is_letter =
        |byte: u8| byte.is_ascii_alphabetic() && steam_value(u64::from_be_bytes([byte; 8])).is_some();
    let got = characters().count();
    // What no code has, then letters where there is no Steam code, then digits that a Steam code doesn't have.
    at(&|byte| !byte.is_ascii_digit() && !is_letter(byte))
        .or_else(|| if got == Format::Steam.length() { None } else { at(&is_letter) })
        .or_else(|| {
            if characters().any(|(_, byte)| is_letter(*byte)) {
                at(&|byte| matches!(byte, b'0' | b'1'))
            } else {
                None
            }
        })
        .unwrap_or(CodeError::CharacterCount { got })
}

impl ConstantTimeEq for Code {
    /// Equal characters, and equally many of them: `000123` isn't `0000123`.
    fn ct_eq(&self, other: &Self) -> Choice {
        self.value.ct_eq(&other.value) & self.format.ct_eq(&other.format)
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

impl zeroize::ZeroizeOnDrop for Code {}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(redacted)")
    }
}

/// A [`Code`] as text: a `&str` that is wiped when dropped. From [`Code::expose`].
pub struct CodeText {
    ascii: [u8; Digits::MAX.get()],
    length: usize,
}

impl Deref for CodeText {
    type Target = str;

    fn deref(&self) -> &str {
        // Only ASCII is ever written: neither default can be reached.
        self.ascii.get(..self.length).and_then(|ascii| str::from_utf8(ascii).ok()).unwrap_or_default()
    }
}

impl fmt::Display for CodeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for CodeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeText(redacted)")
    }
}

impl Drop for CodeText {
    fn drop(&mut self) {
        self.ascii.zeroize();
    }
}

impl zeroize::ZeroizeOnDrop for CodeText {}

#[cfg(test)]
mod tests;
