//! JSON that may stand inside of a page.

use std::io::{self, ErrorKind, Write};

use crate::output::is_unseen;

/// Writes JSON with what could end a script element, what ends a line of a script, and what isn't seen as `\u` escapes. All of
/// these stand only in strings of JSON, where an escape means the same.
pub(crate) struct Escaped<W>(pub(super) W);

impl<W: Write> Write for Escaped<W> {
    /// Whole characters only, as `serde_json` writes them.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text =
            std::str::from_utf8(bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        let mut rest = text;
        let special = |c: char| c != '\n' && (matches!(c, '<' | '>' | '&') || is_unseen(c));
        while let Some(at) = rest.find(special) {
            let (before, after) = rest.split_at(at);
            self.0.write_all(before.as_bytes())?;
            let mut chars = after.chars();
            let mut units = [0; 2];
            for unit in chars.next().unwrap_or_default().encode_utf16(&mut units) {
                write!(self.0, "\\u{unit:04x}")?;
            }
            rest = chars.as_str();
        }
        self.0.write_all(rest.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
