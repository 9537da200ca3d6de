//! The operator's page: one document, which loads nothing from anywhere. Either it has a sweep inside, or it asks the server
//! that it came from.
//!
//! What is on it is whatever hosts and inventories say, so that it is defended twice: the script writes nothing but text, and
//! the Content-Security-Policy knows this one script and this one style by their hashes, requires trusted types and allows
//! none: markup that got in all the same would be dead.

mod escaped;

use std::io::{self, Write};

use base64ct::{Base64, Encoding};
use sha2::{Digest, Sha256};

use escaped::Escaped;

const DOCUMENT: &str = include_str!("index.html");
const STYLE: &str = include_str!("page.css");
/// One script: its parts see each other, and nothing else sees them.
const SCRIPT: &str = concat!(
    "(() => {\n'use strict';\n",
    include_str!("words.js"),
    include_str!("fleet.js"),
    include_str!("draw.js"),
    include_str!("list.js"),
    include_str!("overview.js"),
    include_str!("panels.js"),
    include_str!("host.js"),
    include_str!("heat.js"),
    include_str!("page.js"),
    "})();\n"
);

/// The page for a server: it asks for `api/fleet.json` and `api/history.json` beside it, again and again. A server that tells
/// an `ETag` isn't made to send what the page has already.
#[cfg(any(test, feature = "watch"))]
pub(crate) fn served() -> String {
    // Writing to memory does not fail.
    let mut out = Vec::new();
    let _ = write(&mut out, "; connect-src 'self'", |_| Ok(()));
    String::from_utf8(out).unwrap_or_default()
}

/// The header that goes with [`served`]: as the one inside of it, and no other page may frame it.
#[cfg(any(test, feature = "watch"))]
pub(crate) fn content_security_policy() -> String {
    format!("{}; frame-ancestors 'none'", policy("; connect-src 'self'"))
}

/// Prints the page with what `data` writes inside: a document of the schema `skew-check/fleet/1`.
pub(crate) fn print<W: Write>(
    out: &mut W,
    data: impl FnOnce(&mut Escaped<&mut W>) -> io::Result<()>,
) -> io::Result<()> {
    write(out, "", data)
}

fn write<W: Write>(
    out: &mut W,
    more: &str,
    data: impl FnOnce(&mut Escaped<&mut W>) -> io::Result<()>,
) -> io::Result<()> {
    // In this order they are in the document.
    let mut rest = DOCUMENT;
    for (mark, text) in [("{{policy}}", policy(more).as_str()), ("{{style}}", STYLE)] {
        let (before, after) = rest.split_once(mark).unwrap_or((rest, ""));
        write!(out, "{before}{text}")?;
        rest = after;
    }
    let (before, after) = rest.split_once("{{data}}").unwrap_or((rest, ""));
    out.write_all(before.as_bytes())?;
    data(&mut Escaped(&mut *out))?;
    let (before, after) = after.split_once("{{script}}").unwrap_or((after, ""));
    write!(out, "{before}{SCRIPT}{after}")
}

/// Nothing but what is in the page. Trusted types: a script that would write markup is stopped, whatever it says.
fn policy(more: &str) -> String {
    format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; img-src data:; base-uri 'none'; form-action 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'{more}",
        hash(SCRIPT),
        hash(STYLE)
    )
}

fn hash(text: &str) -> String {
    format!("sha256-{}", Base64::encode_string(&Sha256::digest(text)))
}

#[cfg(test)]
mod tests;
