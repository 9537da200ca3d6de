//! What a user shows.

use crate::otp::{Code, CodeError, Consecutive};

/// One code, or two or three consecutive ones of the same token, the oldest first.
///
/// ```
/// use skewgate::validator::Attempt;
///
/// let one = Attempt::parse("755 224")?;
/// let two = Attempt::parse_consecutive(&["755224", "287082"])?.from_client("192.0.2.7");
/// assert_eq!((one.count(), two.count()), (1, 2));
/// assert_eq!(two.client(), Some("192.0.2.7"));
/// # Ok::<(), skewgate::otp::CodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Attempt {
    codes: Codes,
    client: Option<Box<str>>,
}

#[derive(Clone, Debug)]
enum Codes {
    One(Code),
    Two([Code; 2]),
    Three([Code; 3]),
}

impl Attempt {
    /// A single code.
    #[must_use]
    pub const fn one(code: Code) -> Self {
        Self { codes: Codes::One(code), client: None }
    }

    /// One to three consecutive codes, the oldest first.
    ///
    /// # Errors
    ///
    /// [`CodeError::ConsecutiveCount`] for none, and for more than three.
    pub fn consecutive(codes: impl IntoIterator<Item = Code>) -> Result<Self, CodeError> {
        let mut codes = codes.into_iter();
        let (first, second, third) = (codes.next(), codes.next(), codes.next());
        let more = codes.count();
        let codes = match (first, second, third, more) {
            (Some(first), None, ..) => Codes::One(first),
            (Some(first), Some(second), None, _) => Codes::Two([first, second]),
            (Some(first), Some(second), Some(third), 0) => Codes::Three([first, second, third]),
            (None, ..) => return Err(CodeError::ConsecutiveCount { got: 0 }),
            (_, _, _, more) => return Err(CodeError::ConsecutiveCount { got: more.saturating_add(3) }),
        };
        Ok(Self { codes, client: None })
    }

    /// Reads a single code as users type it; see [`Code::parse`].
    ///
    /// # Errors
    ///
    /// [`CodeError`] where it isn't one.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        Code::parse(text).map(Self::one)
    }

    /// Reads one to three consecutive codes, the oldest first.
    ///
    /// # Errors
    ///
    /// [`CodeError`] where one of them isn't a code, or there are none or too many.
    pub fn parse_consecutive(texts: &[&str]) -> Result<Self, CodeError> {
        Self::consecutive(texts.iter().map(|text| Code::parse(text)).collect::<Result<Vec<_>, _>>()?)
    }

    /// Says which client shows it: an address, a session. Anything that tells one client from another will do, but a
    /// client must not be able to choose it.
    ///
    /// Four of one client's attempts on a token may wait for their turn, behind one that has it; 256 of those that don't say; 512 in
    /// all. The rest are told [`Reason::Busy`](super::Reason::Busy), and so are all who wait behind one whose store doesn't answer in time.
    #[must_use]
    pub fn from_client(mut self, client: &str) -> Self {
        self.client = Some(client.into());
        self
    }

    /// Which client shows it.
    #[must_use]
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// How many codes there are: 1, 2 or 3.
    #[must_use]
    pub const fn count(&self) -> u8 {
        match self.codes {
            Codes::One(_) => 1,
            Codes::Two(_) => 2,
            Codes::Three(_) => 3,
        }
    }

    /// The codes, to be looked for.
    pub(super) fn codes(&self) -> Consecutive<'_> {
        match &self.codes {
            Codes::One(code) => code.into(),
            Codes::Two(codes) => codes.into(),
            Codes::Three(codes) => codes.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_three_codes_make_an_attempt() {
        let attempt =
            |count| Attempt::parse_consecutive(&["123456"; 4][..count]).map(|attempt| attempt.count());
        assert_eq!(attempt(0), Err(CodeError::ConsecutiveCount { got: 0 }));
        assert_eq!([attempt(1), attempt(2), attempt(3)], [Ok(1), Ok(2), Ok(3)]);
        assert_eq!(attempt(4), Err(CodeError::ConsecutiveCount { got: 4 }));
    }

    #[test]
    fn no_debug_text_shows_a_code() {
        let text = format!("{:?}", Attempt::parse_consecutive(&["123456", "654321"]).unwrap());
        assert!(!text.contains("123456") && !text.contains("654321"), "{text}");
    }
}
