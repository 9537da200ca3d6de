//! Any message as Google Authenticator's export: refused, or read to accounts whose own export reads back to the same.
#![no_main]

use base64ct::{Base64Unpadded, Encoding};
use libfuzzer_sys::fuzz_target;
use skewgate::otp::import::migration::Migration;

fuzz_target!(|message: &[u8]| {
    if let Ok(text) = str::from_utf8(message) {
        let _ = Migration::parse(text);
    }
    let data = Base64Unpadded::encode_string(message).replace('+', "%2B").replace('/', "%2f");
    let Ok(read) = Migration::parse_legacy(&format!("otpauth-migration://offline?data={data}")) else {
        return;
    };
    // Everything that is read can be written, but for what grows beyond what is read.
    let Ok(written) = Migration::new(read.accounts().to_vec()) else {
        assert!(message.len() > 2_000);
        return;
    };
    let written = written.with_batch(read.batch());
    let again = Migration::parse_legacy(&written.expose_uri()).expect("its own form");
    assert_eq!(again.batch(), read.batch());
    assert_eq!(again.accounts().len(), read.accounts().len());
    for (ours, theirs) in again.accounts().iter().zip(read.accounts()) {
        assert_eq!(ours.expose_uri(), theirs.expose_uri());
    }
    assert_eq!(again.expose_uri(), written.expose_uri());
});
