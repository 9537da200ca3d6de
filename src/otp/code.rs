//! A one-time code: what a user types, and what a token shows.

use std::fmt;
use std::ops::Deref;

use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, Zeroizing};

use super::{CodeError, Digits};

/// A one-time code of 6 to 10 digits, wiped when dropped.
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
    digits: Digits,
}

impl Code {
    /// The longest text that is read, in bytes: ten digits with room for any grouping.
    pub const MAX_TEXT_BYTES: usize = 64;

    /// Reads a code as users type it: 6 to 10 ASCII digits, with spaces and hyphens between them, and white space
    /// (ASCII) around them.
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
    /// assert_eq!(Code::parse("+755224").unwrap_err(), CodeError::Character { position: 0 });
    /// assert_eq!(Code::parse("75522").unwrap_err(), CodeError::DigitCount { got: 5 });
    /// # Ok::<(), CodeError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        if text.len() > Self::MAX_TEXT_BYTES {
            return Err(CodeError::TooLong { got: text.len() });
        }
        let bytes = text.as_bytes();
        let start = bytes.len() - bytes.trim_ascii_start().len();
        let trimmed = bytes.trim_ascii();
        let Some(last) = trimmed.len().checked_sub(1) else { return Err(CodeError::Empty) };

        let mut value = Zeroizing::new(0_u64);
        let mut count = 0;
        for (index, byte) in trimmed.iter().enumerate() {
            match byte {
                b'0'..=b'9' => {
                    // At most 64 digits: it may wrap, but then the count is refused below.
                    *value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
                    count += 1;
                }
                // A hyphen in front could be meant as a sign, so it isn't a separator there.
                b' ' | b'-' if index != 0 && index != last => {}
                _ => return Err(CodeError::Character { position: start + index }),
            }
        }
        Ok(Self::new(*value, Digits::new(count)?))
    }

    /// How many digits it has.
    ///
    /// ```
    /// use skewgate::otp::{Code, Digits};
    ///
    /// assert_eq!(Code::parse("0000 0001")?.digits(), Digits::EIGHT);
    /// # Ok::<(), skewgate::otp::CodeError>(())
    /// ```
    #[must_use]
    pub const fn digits(&self) -> Digits {
        self.digits
    }

    /// The digits as text, to show a generated code to whoever owns the token. Named so that a reviewer finds
    /// every place that takes a code out.
    ///
    /// ```
    /// use skewgate::otp::Code;
    ///
    /// assert_eq!(Code::parse("012 345")?.expose().to_string(), "012345");
    /// # Ok::<(), skewgate::otp::CodeError>(())
    /// ```
    #[must_use]
    pub fn expose(&self) -> CodeText {
        let mut text = CodeText { ascii: [b'0'; Digits::MAX.get()], length: self.digits.get() };
        let mut rest = Zeroizing::new(self.value);
        for place in text.ascii.iter_mut().take(text.length).rev() {
            let [.., digit] = (*rest % 10).to_be_bytes();
            *place = b'0' + digit;
            *rest /= 10;
        }
        text
    }

    /// `value` must have no more digits than `digits`.
    pub(super) const fn new(value: u64, digits: Digits) -> Self {
        Self { value, digits }
    }

    /// Its digits read as a number.
    pub(super) const fn value(&self) -> u64 {
        self.value
    }
}

impl ConstantTimeEq for Code {
    /// Equal digits, and equally many of them: `000123` isn't `0000123`.
    fn ct_eq(&self, other: &Self) -> Choice {
        self.value.ct_eq(&other.value) & self.digits.ct_eq(&other.digits)
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

/// The digits of a [`Code`] as text: a `&str` that is wiped when dropped. From [`Code::expose`].
pub struct CodeText {
    ascii: [u8; Digits::MAX.get()],
    length: usize,
}

impl Deref for CodeText {
    type Target = str;

    fn deref(&self) -> &str {
        // Only ASCII digits are ever written: neither default can be reached.
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
