//! QR codes of URIs: as SVG, as PNG, and as text for a terminal.
//!
//! ```
//! use skewgate::otp::{OtpauthUri, Secret, qr};
//!
//! let secret = Secret::from_bytes(b"12345678901234567890")?;
//! let uri = OtpauthUri::builder("ada@example.org", secret).issuer("Big Corp").build()?;
//! println!("{}", qr::terminal(&uri.expose_uri())?.as_str());
//! let image = qr::svg(&uri.expose_uri())?; // into the page, never into a cache or a log
//! assert!(image.starts_with("<svg "));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Whoever sees the picture has the secret. What is returned here is wiped when dropped; buffers within the crates that draw are not.

use std::fmt::Write;

use qrcode::types::QrError as DrawError;
use qrcode::{Color, EcLevel, QrCode};
use zeroize::Zeroizing;

/// How many light modules are around (ISO/IEC 18004 §6.3.8).
const QUIET: usize = 4;
/// How many pixels a module is wide and high in a PNG. Eight make it a byte of a row of bits.
const PIXELS: usize = 8;

/// A text that makes no QR code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QrError {
    /// More than the largest QR code holds.
    #[error(
        "{got} bytes don't fit into a QR code, which holds 2953 at most: shorten the names, or export fewer accounts at once"
    )]
    TooLong {
        /// How many bytes the text has.
        got: usize,
    },
    /// The drawing failed in a way that it shouldn't.
    #[error("the QR code can't be drawn: please report this")]
    Drawing,
}

/// The QR code as an SVG image that scales to any size: black on white, with its margin.
///
/// # Errors
///
/// [`QrError::TooLong`] where the text doesn't fit.
pub fn svg(text: &str) -> Result<Zeroizing<String>, QrError> {
    let modules = Modules::draw(text)?;
    let runs = modules.dark_runs();
    // 32 bytes are more than a run takes, so that the text never grows and leaves nothing unwiped.
    let mut out = Zeroizing::new(String::with_capacity(runs.len() * 32 + 256));
    let side = modules.side();
    // Straight into it: a piece that is formatted for itself stays behind.
    let written = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
         <path fill=\"#fff\" d=\"M0 0h{side}v{side}h-{side}z\"/><path d=\""
    );
    let written = written
        .and_then(|()| {
            runs.iter().try_for_each(|(x, y, length)| write!(out, "M{x} {y}h{length}v1h-{length}z"))
        })
        .and_then(|()| out.write_str("\"/></svg>"));
    written.map_err(|_| QrError::Drawing)?;
    Ok(out)
}

/// The QR code as a PNG image: black on white, with its margin, 8 pixels a module.
///
/// # Errors
///
/// [`QrError::TooLong`] where the text doesn't fit.
///
/// ```
/// let image = skewgate::otp::qr::png("otpauth://totp/ada?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")?;
/// assert!(image.starts_with(b"\x89PNG"));
/// # Ok::<(), skewgate::otp::qr::QrError>(())
/// ```
pub fn png(text: &str) -> Result<Zeroizing<Vec<u8>>, QrError> {
    let modules = Modules::draw(text)?;
    let side = modules.side();
    let pixels = u32::try_from(side * PIXELS).map_err(|_| QrError::Drawing)?;
    // A bit a pixel: eight pixels of a module are a byte.
    let mut bits = Zeroizing::new(Vec::with_capacity(side * side * PIXELS));
    for y in 0..side {
        for _ in 0..PIXELS {
            bits.extend((0..side).map(|x| if modules.is_dark(x, y) { 0 } else { u8::MAX }));
        }
    }
    // What can't be compressed grows by a few bytes.
    let mut out = Zeroizing::new(Vec::with_capacity(bits.len() + bits.len() / 8 + 1024));
    let mut encoder = png::Encoder::new(&mut *out, pixels, pixels);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(&bits)?;
        writer.finish()
    });
    written.map_err(|_| QrError::Drawing)?;
    Ok(out)
}

/// The QR code as text: half blocks, two modules a character, a line feed at the end of each line.
///
/// Light modules are drawn and dark ones are left out, for terminals with a dark background. Most readers understand
/// the inverse on a light one.
///
/// # Errors
///
/// [`QrError::TooLong`] where the text doesn't fit.
pub fn terminal(text: &str) -> Result<Zeroizing<String>, QrError> {
    let modules = Modules::draw(text)?;
    let side = modules.side();
    let mut out = Zeroizing::new(String::with_capacity((side * '█'.len_utf8() + 1) * side.div_ceil(2)));
    for y in (0..side).step_by(2) {
        for x in 0..side {
            // Below an odd last line there is nothing to draw.
            let below = y + 1 < side && !modules.is_dark(x, y + 1);
            out.push(match (!modules.is_dark(x, y), below) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        out.push('\n');
    }
    Ok(out)
}

/// Dark and light, margin not included.
struct Modules {
    width: usize,
    dark: Zeroizing<Vec<bool>>,
}

impl Modules {
    fn draw(text: &str) -> Result<Self, QrError> {
        // Level M survives a smudge; L holds more.
        let code = QrCode::with_error_correction_level(text, EcLevel::M)
            .or_else(|_| QrCode::with_error_correction_level(text, EcLevel::L))
            .map_err(|error| match error {
                DrawError::DataTooLong => QrError::TooLong { got: text.len() },
                _ => QrError::Drawing,
            })?;
        let width = code.width();
        let dark = code.into_colors().into_iter().map(|color| color == Color::Dark).collect();
        Ok(Self { width, dark: Zeroizing::new(dark) })
    }

    /// How many modules it is wide and high, with its margin.
    const fn side(&self) -> usize {
        self.width + 2 * QUIET
    }

    fn is_dark(&self, x: usize, y: usize) -> bool {
        let inside = |place: usize| place.checked_sub(QUIET).filter(|&place| place < self.width);
        let index = inside(x).zip(inside(y)).map(|(x, y)| y * self.width + x);
        index.and_then(|index| self.dark.get(index)).is_some_and(|&dark| dark)
    }

    /// Dark modules side by side: where they begin, and how many they are.
    fn dark_runs(&self) -> Zeroizing<Vec<(usize, usize, usize)>> {
        let mut runs = Zeroizing::new(Vec::with_capacity(self.dark.len()));
        for y in 0..self.side() {
            let mut x = 0;
            while x < self.side() {
                let length = (x..self.side()).take_while(|&x| self.is_dark(x, y)).count();
                if length > 0 {
                    runs.push((x, y, length));
                }
                x += length.max(1);
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests;
