//! Agreement with `oathtool` of the OATH Toolkit, whose code shares nothing with ours.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fastrand::Rng;
use skewgate::otp::{Algorithm, Digits, Secret, Totp};
use skewgate::time::Timestamp;

const CASES: usize = 4_000;
/// A process spends most of its time on starting.
const WORKERS: usize = 4;
const SEED: u64 = 0x6f61_7468_746f_6f6c;

#[test]
#[ignore = "needs oathtool: ./tests/run"]
fn agrees_with_oathtool() {
    let checked = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let checked = &checked;
            scope.spawn(move || {
                for case in (worker..CASES).step_by(WORKERS) {
                    checked.fetch_add(agree(case), Ordering::Relaxed);
                }
            });
        }
    });
    let checked = checked.into_inner();
    println!("{checked} codes of {CASES} tokens");
    assert!(checked > 3 * CASES);
}

/// One token, and how many of its codes were compared.
#[expect(clippy::unwrap_used, reason = "a case that can't be made must fail the test")]
fn agree(case: usize) -> usize {
    let mut random = Rng::with_seed(SEED ^ u64::try_from(case).unwrap().wrapping_mul(0x2545_f491_4f6c_dd1d));
    let (algorithm, name) = random
        .choice([(Algorithm::Sha1, "sha1"), (Algorithm::Sha256, "sha256"), (Algorithm::Sha512, "sha512")])
        .unwrap();
    let digits = random.choice([Digits::SIX, Digits::SEVEN, Digits::EIGHT]).unwrap();
    let period_seconds = match random.u64(..3) {
        0 => random.choice([1, 30, 60, 86_400]).unwrap(),
        _ => 1 + random.u64(..600),
    };
    // Up to and beyond a block, where keys are hashed first.
    let length = 16 + random.u64(..150);
    let bytes: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
    // 1970 to 2106, and T0 before it.
    let seconds = random.u64(..1 << 32);
    let earlier = random.u64(..seconds + 1);
    let t0_seconds = random.choice([0, 0, earlier]).unwrap();
    // Some codes after the first, so that one process checks several steps.
    let more = random.u64(..8);

    let at = |seconds| Timestamp::from_unix_seconds(i64::try_from(seconds).unwrap()).unwrap();
    let (time, t0) = (at(seconds), at(t0_seconds));
    let secret = Secret::from_bytes(&bytes).unwrap();
    let totp = Totp::builder(&secret)
        .algorithm(algorithm)
        .digits(digits)
        .period(Duration::from_secs(period_seconds))
        .t0(t0)
        .build()
        .unwrap();
    let first = totp.step_at(time).unwrap();
    let ours: Vec<String> = (0..=u32::try_from(more).unwrap())
        .map(|later| totp.code_at(first.saturating_add(later)).expose().to_string())
        .collect();

    let (form, text) = if case.is_multiple_of(2) {
        (Some("--base32"), secret.expose_base32())
    } else {
        (None, secret.expose_hex())
    };
    let output = Command::new("oathtool")
        .arg(format!("--totp={name}"))
        .args(form)
        .args(["--digits", &digits.to_string()])
        .args(["--time-step-size", &format!("{period_seconds}s")])
        .args(["--start-time", &format!("@{t0_seconds}")])
        .args(["--window", &more.to_string()])
        .args(["--now", &format!("@{seconds}")])
        .arg(text.as_str())
        .output()
        .expect("oathtool can't be run: install the package `oathtool`");
    let text = String::from_utf8_lossy(&output.stdout);
    let theirs: Vec<&str> = text.lines().collect();
    assert!(
        output.status.success() && theirs == ours,
        "case {case} of seed {SEED:#x}: {algorithm}, {digits} digits, {period_seconds} s from {t0:.0}, {length} bytes, \
         at {time:.0}: ours {ours:?}, oathtool's {theirs:?} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    ours.len()
}
