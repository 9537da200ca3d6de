//! Reading XML that a stranger wrote.

use std::collections::HashSet;

use roxmltree::{Document, Node, ParsingOptions};
use zeroize::Zeroizing;

use super::{KeyError, PskcError};

/// RFC 6030 §11.1.
pub(super) const PSKC: &str = "urn:ietf:params:xml:ns:keyprov:pskc";
/// XML Encryption.
pub(super) const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";
/// XML Encryption 1.1: derived keys.
pub(super) const XENC11: &str = "http://www.w3.org/2009/xmlenc11#";
/// XML Signature: key names.
pub(super) const DS: &str = "http://www.w3.org/2000/09/xmldsig#";

/// More than a tag with its text needs. The parser compares each attribute of an element with every other, and this
/// keeps them few. (`<` ends a tag and its text: it can't stand in either.)
const MAX_TAG_BYTES: usize = 8_192;
/// Twice what ten thousand tokens need.
const MAX_NODES: u32 = 1_000_000;

/// Three times what PSKC files use. Each element that declares one copies all that hold there, and compares them with each
/// other.
const MAX_PREFIXES: usize = 32;

/// The document; DTDs, and with them entities, are refused: there is no use for them here, only for
/// those who want a reader to open files or to run out of memory.
pub(super) fn parse(text: &str) -> Result<Document<'_>, PskcError> {
    if text.len() > super::PskcReader::MAX_BYTES {
        return Err(PskcError::TooLong { got: text.len() });
    }
    if text.split('<').any(|tag| tag.len() > MAX_TAG_BYTES) {
        return Err(PskcError::TagTooLong { max: MAX_TAG_BYTES });
    }
    let mut prefixes = HashSet::new();
    for (at, declares) in text.match_indices("xmlns:") {
        let rest = &text[at + declares.len()..];
        prefixes.insert(rest.split(|end: char| end == '=' || end.is_whitespace()).next());
        if prefixes.len() > MAX_PREFIXES {
            return Err(PskcError::TooManyNamespaces { max: MAX_PREFIXES });
        }
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    // The parser's errors quote the text, which has secrets in it.
    Document::parse_with_options(text, options).map_err(|error| match error {
        roxmltree::Error::DtdDetected => PskcError::Dtd,
        roxmltree::Error::NodesLimitReached => PskcError::TooManyNodes,
        _ => PskcError::Xml,
    })
}

pub(super) fn children<'a, 'i>(
    node: Node<'a, 'i>,
    namespace: &'static str,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| child.has_tag_name((namespace, name)))
}

/// The only child of this name. A second one is an error: which of them counts would be anybody's guess.
pub(super) fn child<'a, 'i>(
    node: Node<'a, 'i>,
    namespace: &'static str,
    name: &'static str,
) -> Result<Option<Node<'a, 'i>>, KeyError> {
    let mut found = children(node, namespace, name);
    match (found.next(), found.next()) {
        (first, None) => Ok(first),
        _ => Err(KeyError::Duplicate { element: name }),
    }
}

/// The only child of this name, which must be there.
pub(super) fn required<'a, 'i>(
    node: Node<'a, 'i>,
    namespace: &'static str,
    name: &'static str,
) -> Result<Node<'a, 'i>, KeyError> {
    child(node, namespace, name)?.ok_or(KeyError::Missing { element: name })
}

/// All of an element's text, white space around it left out. A comment in between doesn't cut it off; an element in between is an error.
pub(super) fn text(node: Node<'_, '_>, element: &'static str) -> Result<Zeroizing<String>, KeyError> {
    if node.children().any(|child| child.is_element()) {
        return Err(KeyError::Value { element });
    }
    let pieces = || node.children().filter(Node::is_text).filter_map(|piece| piece.text());
    let mut text = Zeroizing::new(String::with_capacity(pieces().map(str::len).sum()));
    pieces().for_each(|piece| text.push_str(piece));
    Ok(Zeroizing::new(text.trim_matches(WHITE).to_owned()))
}

/// Names that are shown to people.
pub(super) fn name(
    node: Node<'_, '_>,
    namespace: &'static str,
    element: &'static str,
) -> Result<Option<String>, KeyError> {
    // <FriendlyName> and others may come in several languages: the first.
    let Some(found) = children(node, namespace, element).next() else { return Ok(None) };
    let text = text(found, element)?;
    if text.chars().any(char::is_control) {
        return Err(KeyError::Value { element });
    }
    Ok(Some(text.to_string()).filter(|text| !text.is_empty()))
}

/// xs:base64Binary: white space anywhere.
pub(super) fn base64(node: Node<'_, '_>, element: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    use base64ct::{Base64, Encoding};

    let text = text(node, element)?;
    let mut compact = Zeroizing::new(String::with_capacity(text.len()));
    compact.extend(text.chars().filter(|character| !WHITE.contains(character)));
    let mut bytes = Zeroizing::new(vec![0; compact.len()]);
    let length =
        Base64::decode(compact.as_bytes(), &mut bytes).map_err(|_| KeyError::Value { element })?.len();
    bytes.truncate(length);
    Ok(bytes)
}

/// XML's white space.
const WHITE: &[char] = &[' ', '\t', '\r', '\n'];
