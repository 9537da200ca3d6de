//! Text that others chose and that is shown to people.

/// What makes a viewer show another line than the one that was written: control characters, and what is none to Unicode but separates
/// lines or paragraphs, or turns the direction of writing.
pub(crate) fn misleads(character: char) -> bool {
    let turns = matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || turns || matches!(character, '\u{2028}' | '\u{2029}')
}
