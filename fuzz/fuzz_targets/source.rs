//! Any text as a source: refused, or printed so that it reads back to itself and is harmless on a terminal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skewgate::ntp::{Source, SourceAddr};

fuzz_target!(|text: &str| {
    if let Ok(address) = text.parse::<SourceAddr>() {
        let shown = address.to_string();
        assert!(shown.bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(shown.parse::<SourceAddr>().as_ref(), Ok(&address));
        assert_ne!(address.port(), 0);
        let source: Source = text.parse().expect("the same grammar");
        assert!(source.as_given().bytes().all(|byte| byte.is_ascii_graphic()));
    }
});
