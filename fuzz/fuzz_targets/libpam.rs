//! Any text as libpam's file is refused or read, and a file that is written from its parts reads back to them.
#![no_main]

use std::fmt::Write;
use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use skewgate::otp::import::libpam::LibpamFile;
use skewgate::otp::{Secret, UriKind};

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Text(&'a str),
    Parts(Parts<'a>),
}

#[derive(Arbitrary, Debug)]
struct Parts<'a> {
    secret: &'a [u8],
    counter: Option<u64>,
    period: u32,
    used: Option<Vec<u32>>,
    skew: Option<i32>,
    window: Option<u32>,
    scratch_codes: Vec<u32>,
    carriage_returns: bool,
}

fuzz_target!(|input: Input| match input {
    Input::Text(text) => {
        if let Ok(file) = LibpamFile::parse(text) {
            let legacy = LibpamFile::parse_legacy(text).expect("legacy takes what strict takes");
            assert_eq!(legacy.kind(), file.kind());
            assert!(file.secret().expose_bytes().len() >= Secret::MIN_BYTES);
            assert!(file.uri("").build().is_ok());
        }
    }
    Input::Parts(parts) => write(&parts),
});

fn write(parts: &Parts<'_>) {
    let Ok(secret) = Secret::short_legacy(parts.secret) else { return };
    let mut text =
        format!("{}\n\" TOTP_AUTH\n\" STEP_SIZE {}\n", secret.expose_base32().as_str(), parts.period);
    let mut line = |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("a string takes all");
    if let Some(counter) = parts.counter {
        line(format_args!("\" HOTP_COUNTER {counter}"));
    }
    if let Some(used) = &parts.used {
        let used: String = used.iter().map(|step| format!(" {step}")).collect();
        line(format_args!("\" DISALLOW_REUSE{used}"));
    }
    if let Some(skew) = parts.skew {
        line(format_args!("\" TIME_SKEW {skew}"));
    }
    if let Some(window) = parts.window {
        line(format_args!("\" WINDOW_SIZE {window}"));
    }
    // None begins with a zero.
    let codes: Vec<String> =
        parts.scratch_codes.iter().map(|code| (code % 90_000_000 + 10_000_000).to_string()).collect();
    codes.iter().for_each(|code| line(format_args!("{code}")));
    if parts.carriage_returns {
        text = text.replace('\n', "\r\n");
    }
    let file = match LibpamFile::parse_legacy(&text) {
        Ok(file) => file,
        Err(_) => {
            let good = (1..=86_400).contains(&parts.period)
                && parts.skew != Some(i32::MIN)
                && text.len() <= LibpamFile::MAX_BYTES;
            assert!(!good, "refused: {text}");
            return;
        }
    };
    assert_eq!(file.secret().expose_bytes(), parts.secret);
    let period = Duration::from_secs(parts.period.into());
    // A counter of 0 is none.
    let counter = parts.counter.filter(|&counter| counter > 0);
    let kind = counter.map_or(UriKind::Totp { period }, |counter| UriKind::Hotp { counter });
    assert_eq!(file.kind(), kind);
    let newest = parts.used.as_ref().and_then(|used| used.iter().max());
    assert_eq!(file.newest_used().map(|step| step.get()), newest.map(|&step| i64::from(step)));
    assert_eq!(file.single_use(), parts.used.is_some());
    assert_eq!(file.drift().map(|drift| drift.steps()), parts.skew);
    assert_eq!(file.window(), parts.window);
    let read: Vec<String> = file.scratch_codes().iter().map(|code| code.expose().to_string()).collect();
    assert_eq!(read, codes);
}
