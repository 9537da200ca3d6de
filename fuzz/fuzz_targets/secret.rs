//! Any text as base32 or hex: refused, or the one canonical form of what it decodes to.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skewgate::otp::Secret;

fuzz_target!(|text: &str| {
    if let Ok(secret) = Secret::from_base32(text) {
        assert_eq!(secret.expose_base32().as_str(), text.trim_end_matches('='));
        let lenient =
            Secret::from_base32_lenient(&text.to_lowercase()).expect("lenient takes what strict takes");
        assert_eq!(lenient.expose_bytes(), secret.expose_bytes());
    }
    if let Ok(secret) = Secret::from_base32_lenient(text) {
        let again = Secret::from_base32(&secret.expose_base32()).expect("its own form");
        assert_eq!(again.expose_bytes(), secret.expose_bytes());
    }
    if let Ok(secret) = Secret::short_legacy_hex(text) {
        assert_eq!(secret.expose_hex().as_str(), text.to_lowercase());
    }
});
