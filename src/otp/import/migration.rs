//! `otpauth-migration:` URIs: what Google Authenticator exports and imports, several accounts in one QR code.
//!
//! `data` is a protobuf message in base64, percent-encoded. Nobody published its schema; this is what the app's own
//! exports hold, and what other apps found in them:
//!
//! ```text
//! 1 repeated account { 1 bytes secret, 2 string name, 3 string issuer, 4 algorithm, 5 digits, 6 type, 7 int64 counter }
//! 2 version, 3 batch_size, 4 batch_index, 5 batch_id
//! algorithm: 0 unspecified, 1 SHA-1, 2 SHA-256, 3 SHA-512, 4 MD5    digits: 0 unspecified, 1 six, 2 eight
//! type: 0 unspecified, 1 HOTP, 2 TOTP
//! ```
//!
//! Its TOTP tokens have a period of 30 s, always.

mod account;
mod error;
mod wire;

use std::fmt;

use base64ct::{Base64Unpadded, Encoding};
use zeroize::Zeroizing;

use self::account::{codes_of, read_account, write_account};
use self::wire::{Fields, Value, put_bytes, put_number};
use crate::otp::uri::percent::{self, DecodeError};
use crate::otp::{OtpauthUri, Secret, SecretError};

pub use error::MigrationError;
pub use wire::WireError;

/// One `otpauth-migration:` URI: accounts, and which part of an export it is.
///
/// ```
/// use skewgate::otp::import::migration::Migration;
///
/// let scanned = "otpauth-migration://offline?data=CjEKCkhlbGxvId6tvu8SGEV4YW1wbGU6YWxpY2VAZ29vZ2xlLmNvbRoHRXhhbXBsZTAC";
/// let export = Migration::parse_legacy(scanned)?; // its secret has 80 bits
/// let account = export.accounts().first().ok_or("empty")?;
/// assert_eq!((account.issuer(), account.account()), (Some("Example"), "alice@google.com"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Migration {
    accounts: Vec<OtpauthUri>,
    batch: Batch,
}

/// Which part of an export a QR code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    id: i32,
    size: u32,
    index: u32,
}

impl Batch {
    /// The most parts of one export.
    pub const MAX_SIZE: u32 = 1_000;
    /// An export of one part.
    pub const WHOLE: Self = Self { id: 0, size: 1, index: 0 };

    /// Part `index`, counted from 0, of `size`; all parts of one export have the same `id`, drawn at random.
    ///
    /// # Errors
    ///
    /// [`MigrationError::Batch`] where there are no parts, more than [`MAX_SIZE`](Self::MAX_SIZE), or fewer than `index` says.
    pub const fn new(id: i32, size: u32, index: u32) -> Result<Self, MigrationError> {
        if index < size && size <= Self::MAX_SIZE {
            Ok(Self { id, size, index })
        } else {
            Err(MigrationError::Batch)
        }
    }

    /// What the parts of one export have in common.
    #[must_use]
    pub const fn id(self) -> i32 {
        self.id
    }

    /// How many parts there are.
    #[must_use]
    pub const fn size(self) -> u32 {
        self.size
    }

    /// Which one this is, counted from 0.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }
}

impl Migration {
    /// The longest text that is read, several times what a QR code can hold.
    pub const MAX_BYTES: usize = 16_384;

    const PREFIX: &str = "otpauth-migration://offline?data=";

    /// An export of these accounts, in one part.
    ///
    /// Google's app shows about ten accounts a QR code; more get hard to scan, see [`with_batch`](Self::with_batch).
    ///
    /// # Errors
    ///
    /// [`MigrationError::NotExportable`] for what the format has no word for: a period other than 30 s, other than six
    /// or eight digits, Steam's codes, a counter above 2⁶³ − 1. [`MigrationError::TooLong`] where it is
    /// longer than what is read. Unknown parameters of the accounts are left out.
    ///
    /// ```
    /// use skewgate::otp::import::migration::Migration;
    /// use skewgate::otp::{OtpauthUri, Secret};
    ///
    /// let ada = OtpauthUri::builder("ada", Secret::from_bytes(&[7; 20])?).issuer("Big Corp").build()?;
    /// let exported = Migration::new(vec![ada])?.expose_uri();
    /// assert_eq!(Migration::parse(&exported)?.accounts()[0].issuer(), Some("Big Corp"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(accounts: Vec<OtpauthUri>) -> Result<Self, MigrationError> {
        for (index, account) in accounts.iter().enumerate() {
            codes_of(account).ok_or(MigrationError::NotExportable { index })?;
        }
        let export = Self { accounts, batch: Batch::WHOLE };
        // The batch's numbers may grow by as much when one is set.
        match export.expose_uri().len().saturating_add(64) {
            got if got > Self::MAX_BYTES => Err(MigrationError::TooLong { got }),
            _ => Ok(export),
        }
    }

    /// The same accounts as a part of a larger export.
    #[must_use]
    pub const fn with_batch(mut self, batch: Batch) -> Self {
        self.batch = batch;
        self
    }

    /// Reads such a URI.
    ///
    /// # Errors
    ///
    /// [`MigrationError`], which never holds a part of the text. Many accounts have secrets of 80 bits:
    /// [`parse_legacy`](Self::parse_legacy) takes them.
    pub fn parse(text: &str) -> Result<Self, MigrationError> {
        let export = Self::parse_legacy(text)?;
        for (index, account) in export.accounts.iter().enumerate() {
            match account.secret().expose_bytes().len() {
                got if got < Secret::MIN_BYTES => {
                    return Err(MigrationError::Secret { index, source: SecretError::TooShort { got } });
                }
                _ => {}
            }
        }
        Ok(export)
    }

    /// Reads such a URI, and takes secrets as short as [`Secret::short_legacy`] does.
    ///
    /// # Errors
    ///
    /// [`MigrationError`], which never holds a part of the text.
    pub fn parse_legacy(text: &str) -> Result<Self, MigrationError> {
        if text.len() > Self::MAX_BYTES {
            return Err(MigrationError::TooLong { got: text.len() });
        }
        let (start, data) = text.split_at_checked(Self::PREFIX.len()).ok_or(MigrationError::Scheme)?;
        // Scheme and host have no case, the parameter's name has.
        if !start.eq_ignore_ascii_case(Self::PREFIX) || !start.ends_with("data=") {
            return Err(MigrationError::Scheme);
        }
        let base64 = percent::decode(data).map_err(|error| match error {
            DecodeError::Escape(position) => {
                MigrationError::Escape { position: Self::PREFIX.len() + position }
            }
            DecodeError::Utf8 => MigrationError::Base64,
        })?;
        Self::read(&decode_base64(&base64)?)
    }

    /// The accounts. Their parameters are those that the format has.
    #[must_use]
    pub fn accounts(&self) -> &[OtpauthUri] {
        &self.accounts
    }

    /// Which part of an export it is.
    #[must_use]
    pub const fn batch(&self) -> Batch {
        self.batch
    }

    /// All accounts of an export whose parts were scanned in any order.
    ///
    /// # Errors
    ///
    /// [`MigrationError::Parts`] where parts are missing, there twice, or of another export.
    ///
    /// ```
    /// use skewgate::otp::import::migration::{Batch, Migration};
    /// use skewgate::otp::{OtpauthUri, Secret};
    ///
    /// let part = |name: &str, index| -> Result<Migration, Box<dyn std::error::Error>> {
    ///     let account = OtpauthUri::builder(name, Secret::from_bytes(&[7; 20])?).build()?;
    ///     Ok(Migration::new(vec![account])?.with_batch(Batch::new(-77, 2, index)?))
    /// };
    /// let accounts = Migration::join([part("second", 1)?, part("first", 0)?])?;
    /// assert_eq!(accounts[0].account(), "first");
    /// assert!(Migration::join([part("second", 1)?]).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join(parts: impl IntoIterator<Item = Self>) -> Result<Vec<OtpauthUri>, MigrationError> {
        let mut parts: Vec<_> = parts.into_iter().collect();
        parts.sort_by_key(|part| part.batch.index);
        let Some(Batch { id, size, .. }) = parts.first().map(|part| part.batch) else {
            return Err(MigrationError::Parts);
        };
        let complete = (0..size).eq(parts.iter().map(|part| part.batch.index))
            && parts.iter().all(|part| part.batch.id == id && part.batch.size == size);
        if !complete {
            return Err(MigrationError::Parts);
        }
        Ok(parts.into_iter().flat_map(|part| part.accounts).collect())
    }

    /// The URI, with all of the secrets in it. Wiped when dropped.
    #[must_use]
    pub fn expose_uri(&self) -> Zeroizing<String> {
        let bytes = self.write();
        let mut base64 = Zeroizing::new(vec![0; Base64Unpadded::encoded_len(&bytes)]);
        // The buffer has the length that the encoder asked for: it can't fail.
        let data = Base64Unpadded::encode(&bytes, &mut base64).unwrap_or_default();
        let padding = match data.len() % 4 {
            2 => "%3D%3D",
            3 => "%3D",
            _ => "",
        };
        let length = Self::PREFIX.len() + percent::encoded_len(data) + padding.len();
        let mut out = Zeroizing::new(String::with_capacity(length));
        out.push_str(Self::PREFIX);
        percent::encode_into(&mut out, data);
        out.push_str(padding);
        out
    }

    fn read(message: &[u8]) -> Result<Self, MigrationError> {
        let mut accounts = Vec::new();
        let (mut id, mut size, mut index) = (0, 0, 0);
        let mut fields = Fields(message);
        while let Some(field) = fields.next()? {
            match field {
                (1, Value::Bytes(account)) => accounts.push(read_account(accounts.len(), account)?),
                (3, Value::Number(number)) => size = number,
                (4, Value::Number(number)) => index = number,
                (5, Value::Number(number)) => id = low_32(number),
                (1 | 3 | 4 | 5, _) => return Err(WireError::Tag.into()),
                // The version, which says nothing that the fields don't, and what later versions have.
                _ => {}
            }
        }
        let number = |number: u64| u32::try_from(number).map_err(|_| MigrationError::Batch);
        let batch = if size == 0 { Batch::WHOLE } else { Batch::new(id, number(size)?, number(index)?)? };
        Ok(Self { accounts, batch })
    }

    fn write(&self) -> Zeroizing<Vec<u8>> {
        // More than the numbers take, so that nothing grows and leaves unwiped buffers behind.
        let room = |account: &OtpauthUri| {
            let issuer = account.issuer().map_or(0, str::len);
            account.secret().expose_bytes().len() + account.account().len() + 2 * issuer + 64
        };
        let mut out = Zeroizing::new(Vec::with_capacity(self.accounts.iter().map(room).sum::<usize>() + 64));
        for account in &self.accounts {
            let mut inner = Zeroizing::new(Vec::with_capacity(room(account)));
            write_account(account, &mut inner);
            put_bytes(&mut out, 1, &inner);
        }
        let Batch { id, size, index } = self.batch;
        put_number(&mut out, 2, 1);
        put_number(&mut out, 3, size.into());
        put_number(&mut out, 4, index.into());
        // Negative numbers are written with their sign extended.
        put_number(&mut out, 5, i64::from(id).cast_unsigned());
        out
    }
}

impl fmt::Debug for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Migration").field("accounts", &self.accounts).field("batch", &self.batch).finish()
    }
}

/// Strict on padding and on unused bits, constant in time where it matters.
fn decode_base64(text: &str) -> Result<Zeroizing<Vec<u8>>, MigrationError> {
    let characters = text.trim_end_matches('=');
    let padding = text.len() - characters.len();
    if padding != 0 && (padding > 2 || !text.len().is_multiple_of(4)) {
        return Err(MigrationError::Base64);
    }
    let mut bytes = Zeroizing::new(vec![0; characters.len()]);
    let length = Base64Unpadded::decode(characters, &mut bytes).map_err(|_| MigrationError::Base64)?.len();
    bytes.truncate(length);
    Ok(bytes)
}

/// As protobuf reads an `int32`: what is above is the sign.
const fn low_32(number: u64) -> i32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests;
