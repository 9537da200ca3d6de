//! Percent-encoding (RFC 3986 §2.1) as authenticator apps expect it.
//!
//! Written out instead of taken from a crate: what is decoded may be a secret, so every buffer is wiped, and a
//! bad escape is an error instead of passing for itself.

use zeroize::Zeroizing;

/// What RFC 3986 §2.3 calls unreserved: nobody encodes these, and nobody has to.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// True for what may stand in a path or a query as it is (RFC 3986 §§3.3, 3.4), `%` included.
pub(super) const fn is_allowed(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'%' | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
                | b'/'
                | b'?'
        )
}

/// Writes `text` with everything but unreserved characters escaped: a space is `%20`, since apps show a `+`
/// as it is (pyotp#47), a plus `%2B`, since some take it for a space, and a colon `%3A` (pyotp#174).
pub(in crate::otp) fn encode_into(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(hex_digit(byte >> 4));
            out.push(hex_digit(byte & 15));
        }
    }
}

/// How many bytes [`encode_into`] writes.
pub(in crate::otp) fn encoded_len(text: &str) -> usize {
    text.bytes().map(|byte| if is_unreserved(byte) { 1 } else { 3 }).sum()
}

/// Why a part can't be decoded.
pub(in crate::otp) enum DecodeError {
    /// A bad escape, at this byte of the part.
    Escape(usize),
    /// What comes out is no UTF-8.
    Utf8,
}

/// Undoes the encoding. A `+` is a plus: the Key URI format is percent-encoded, not form-encoded.
pub(in crate::otp) fn decode(part: &str) -> Result<Zeroizing<String>, DecodeError> {
    // Never longer than the part, so that it never grows and leaves an unwiped buffer behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(part.len()));
    let mut rest = part.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let position = part.len() - rest.len() - 1;
        let [high, low, behind @ ..] = rest else { return Err(DecodeError::Escape(position)) };
        let (Some(high), Some(low)) = (hex_value(*high), hex_value(*low)) else {
            return Err(DecodeError::Escape(position));
        };
        bytes.push(high << 4 | low);
        rest = behind;
    }
    let text = str::from_utf8(&bytes).map_err(|_| DecodeError::Utf8)?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn hex_digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0').to_ascii_uppercase()
}

const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
