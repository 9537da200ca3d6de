//! A token, and what a store keeps about it.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

use crate::otp::{TimeStep, Totp};
use crate::text::misleads;

use super::Drift;

/// The caller's name for a token: opaque text, 1 to 255 bytes without control characters and their like. Cheap to clone.
///
/// It appears in events and as the key in stores, so it must not be a secret; a row number or a UUID of the user
/// table is right. A token that is replaced gets a new one: its state must not be the old token's.
///
/// ```
/// use skewgate::token::TokenId;
///
/// let id: TokenId = "user-42/phone".parse()?;
/// assert_eq!(id.as_str(), "user-42/phone");
/// assert!("line\nbreak".parse::<TokenId>().is_err());
/// # Ok::<(), skewgate::token::TokenIdError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenId {
    text: Arc<str>,
    /// Of the text, which is looked up several times in a login, under keys that nobody outside of this process knows.
    hash: u64,
}

impl TokenId {
    /// The most bytes that an id may have: what every store can hold as a key.
    pub const MAX_BYTES: usize = 255;

    /// The token with this name.
    ///
    /// # Errors
    ///
    /// [`TokenIdError`] where it is empty, too long, or has a control character, a line separator, or what turns the direction of
    /// writing: those would let a name forge a line of a log.
    pub fn new(text: &str) -> Result<Self, TokenIdError> {
        if text.is_empty() {
            return Err(TokenIdError::Empty);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(TokenIdError::TooLong { bytes: text.len() });
        }
        match text.char_indices().find(|(_, character)| misleads(*character)) {
            Some((at, _)) => Err(TokenIdError::ControlCharacter { at }),
            None => Ok(Self::named(text)),
        }
    }

    /// One of the rows that stand in for unknown tokens. Its control character keeps callers from naming a token so.
    pub(crate) fn stand_in(number: usize) -> Self {
        Self::named(&format!("\u{1}unknown {number}"))
    }

    /// True for the name, as a store keeps it, of a row that stands in for unknown tokens: a store doesn't show them.
    pub(crate) const fn is_stand_in_name(name: &[u8]) -> bool {
        matches!(name, [1, ..])
    }

    /// The queue in which one client's attempts on unknown tokens wait. Not a row of any store.
    pub(crate) fn stand_in_for(client: &str) -> Self {
        Self::named(&format!("\u{1}unknown/{client}"))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn named(text: &str) -> Self {
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self { text: text.into(), hash: KEYS.hash_one(text) }
    }

    /// The same for equal names, in this process: an attacker who chooses names can't choose it.
    pub(crate) const fn name_hash(&self) -> u64 {
        self.hash
    }
}

impl Hash for TokenId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenId").field(&self.text).finish()
    }
}

impl std::str::FromStr for TokenId {
    type Err = TokenIdError;

    fn from_str(text: &str) -> Result<Self, TokenIdError> {
        Self::new(text)
    }
}

impl TryFrom<&str> for TokenId {
    type Error = TokenIdError;

    fn try_from(text: &str) -> Result<Self, TokenIdError> {
        Self::new(text)
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// Why a text is no [`TokenId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenIdError {
    /// There is no text.
    #[error("a token id can't be empty: use the token's key in your user table")]
    Empty,
    /// It is too long.
    #[error("a token id of {bytes} bytes is too long, at most {max} are allowed: use a shorter key", max = TokenId::MAX_BYTES)]
    TooLong {
        /// How many bytes it has.
        bytes: usize,
    },
    /// It has a control character, a line separator, or one that turns the direction of writing.
    #[error(
        "a token id can't have a character that changes how a line is shown (there is one at byte {at}): use printable text"
    )]
    ControlCharacter {
        /// At which byte the first one is.
        at: usize,
    },
}

/// Under which names a store keeps a token and its guess budget.
///
/// They are one name, unless several tokens share a budget: then it is kept under the name of any one of them, or of their
/// account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenKey {
    token: TokenId,
    budget: TokenId,
}

impl TokenKey {
    /// The token with this id, on the budget of that name.
    #[must_use]
    pub const fn new(token: TokenId, budget: TokenId) -> Self {
        Self { token, budget }
    }

    /// The token's name.
    #[must_use]
    pub const fn token(&self) -> &TokenId {
        &self.token
    }

    /// The name of its budget.
    #[must_use]
    pub const fn budget(&self) -> &TokenId {
        &self.budget
    }

    /// False where the budget has another name than the token.
    #[must_use]
    pub fn owns_budget(&self) -> bool {
        self.token == self.budget
    }
}

/// A token with a budget of its own.
impl From<TokenId> for TokenKey {
    fn from(id: TokenId) -> Self {
        Self { budget: id.clone(), token: id }
    }
}

/// A token: the caller's name for it, and what its codes are made of. It comes from the caller's user table.
#[derive(Clone, Debug)]
pub struct Token {
    key: TokenKey,
    totp: Totp,
}

impl Token {
    /// The token with this id.
    #[must_use]
    pub fn new(id: TokenId, totp: Totp) -> Self {
        Self { key: id.into(), totp }
    }

    /// Puts the token on the guess budget `id`, which it shares with all tokens that name it: those of one account. Otherwise an
    /// account with three tokens could be guessed at three times as often as one with a single token.
    ///
    /// `id` is the account's, or that of its first token. It must be the same whenever the token is used. All but the first token to be
    /// enrolled on it may have to wait for a minute or two before their first login: see [`enrol`](crate::validator::Validator::enrol).
    ///
    /// ```
    /// use skewgate::otp::{Secret, Totp};
    /// use skewgate::token::{Token, TokenId};
    ///
    /// let totp = Totp::builder(&Secret::from_bytes(b"12345678901234567890")?).build()?;
    /// let account = TokenId::new("user-42")?;
    /// let phone = Token::new(TokenId::new("user-42/phone")?, totp.clone()).sharing_budget(account.clone());
    /// let watch = Token::new(TokenId::new("user-42/watch")?, totp).sharing_budget(account);
    /// assert_eq!(phone.key().budget(), watch.key().budget());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn sharing_budget(self, id: TokenId) -> Self {
        let Self { key: TokenKey { token, .. }, totp } = self;
        Self { key: TokenKey { token, budget: id }, totp }
    }

    /// The caller's name for it.
    #[must_use]
    pub const fn id(&self) -> &TokenId {
        &self.key.token
    }

    /// Under which names a store keeps it and its budget.
    #[must_use]
    pub const fn key(&self) -> &TokenKey {
        &self.key
    }

    /// What its codes are made of.
    #[must_use]
    pub const fn totp(&self) -> &Totp {
        &self.totp
    }
}

/// What a store keeps about a token besides its [budget](super::Budget): no secret, only integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenState {
    /// Which enrolment this is: 63 bits, drawn at random by it, so that one after a removal isn't taken for the one before.
    /// An acceptance that was decided on under another one must not be applied. Its lowest 16 bits aren't random: they say what the
    /// token's codes are made of, and a validator refuses a token whose period, T0, hash or digits are others.
    pub epoch: u64,
    /// The newest step that was ever accepted or [burnt](crate::store::Failure::burn). No step up to it is accepted again, whatever a clock says
    /// (RFC 6238 §5.2: a code must not be accepted twice).
    pub watermark: Option<TimeStep>,
    /// Chosen at random by whoever moved the watermark: a retry whose first answer was lost knows its own win
    /// by it.
    pub nonce: [u8; 8],
    /// How far the token's clock is off.
    pub drift: Drift,
}

impl TokenState {
    /// How many of an epoch's bits say what the token's codes are made of.
    pub(crate) const PARAMETER_BITS: u32 = 16;

    /// An epoch of 63 bits that is another one, made of 64 random bits, for codes that are made as they were.
    #[cfg(feature = "backup")]
    pub(crate) const fn another_epoch(&self, random: u64) -> u64 {
        let drawn = random >> 1 >> Self::PARAMETER_BITS << Self::PARAMETER_BITS;
        drawn | (self.epoch & ((1 << Self::PARAMETER_BITS) - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_bounded_printable_text() {
        assert_eq!(TokenId::new(""), Err(TokenIdError::Empty));
        assert_eq!(TokenId::new(&"x".repeat(256)), Err(TokenIdError::TooLong { bytes: 256 }));
        for misleads in ['\u{85}', '\u{61c}', '\u{200e}', '\u{2028}', '\u{202e}', '\u{2066}'] {
            let text = format!("a{misleads}b");
            assert_eq!(TokenId::new(&text), Err(TokenIdError::ControlCharacter { at: 1 }), "{misleads:?}");
        }
        assert!(TokenId::new("Größe zoë/☎").is_ok());
        assert!(TokenId::new(&"x".repeat(255)).is_ok());
    }

    #[test]
    fn no_caller_can_name_the_stand_in() {
        assert!(TokenId::new(TokenId::stand_in(63).as_str()).is_err());
        assert!(TokenId::new(TokenId::stand_in_for("192.0.2.7").as_str()).is_err());
    }
}
