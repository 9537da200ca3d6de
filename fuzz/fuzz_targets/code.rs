//! Any text as a code: refused, or printed in the one form that reads back to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skewgate::otp::{Code, Format};

fuzz_target!(|text: &str| {
    if let Ok(code) = Code::parse(text) {
        let shown = code.expose().to_string();
        assert_eq!(shown.len(), code.format().length());
        let characters: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
        assert_eq!(shown, characters.to_uppercase());
        assert_eq!(code.format() == Format::Steam, shown.len() == 5);
        assert_eq!(Code::parse(&shown).expect("its own form").expose().to_string(), shown);
        assert!(!format!("{code:?}").contains(&shown));
    }
});
