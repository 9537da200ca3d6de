//! Agreement with `oathtool` of the OATH Toolkit, whose code shares nothing with ours.

use std::process::Command;
use std::time::Duration;

use skewgate::otp::{Algorithm, Digits, Secret, Totp};
use skewgate::time::Timestamp;

const CASES: usize = 600;
const SEED: u64 = 0x6f61_7468_746f_6f6c;

/// splitmix64: enough to spread cases, and the same ones every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    #[expect(clippy::unwrap_used, reason = "choices are few: every index fits")]
    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(u64::try_from(choices.len()).unwrap())).unwrap()]
    }
}

#[test]
#[ignore = "needs oathtool: ./tests/run"]
fn agrees_with_oathtool() {
    let mut random = Random(SEED);
    for case in 0..CASES {
        let (algorithm, name) = random.pick(&[
            (Algorithm::Sha1, "sha1"),
            (Algorithm::Sha256, "sha256"),
            (Algorithm::Sha512, "sha512"),
        ]);
        let digits = random.pick(&[Digits::SIX, Digits::SEVEN, Digits::EIGHT]);
        let period_seconds = random.pick(&[1, 30, 60, 30, 300, 7, 86_400]);
        // Up to and beyond a block, where keys are hashed first.
        let length = 16 + random.below(150);
        let bytes: Vec<u8> = (0..length).map(|_| random.next().to_be_bytes()[0]).collect();
        // 1970 to 2106.
        let time = Timestamp::from_unix_seconds(i64::try_from(random.below(1 << 32)).unwrap()).unwrap();
        // Some codes after the first, so that one process checks several steps.
        let more = random.below(4);

        let secret = Secret::from_bytes(&bytes).unwrap();
        let totp = Totp::builder(&secret)
            .algorithm(algorithm)
            .digits(digits)
            .period(Duration::from_secs(period_seconds))
            .build()
            .unwrap();
        let first = totp.step_at(time).unwrap();
        let ours: Vec<String> = (0..=u32::try_from(more).unwrap())
            .map(|later| totp.code_at(first.saturating_add(later)).expose().to_string())
            .collect();

        let output = Command::new("oathtool")
            .arg(format!("--totp={name}"))
            .args(["--base32", "--digits", &digits.to_string()])
            .args(["--time-step-size", &format!("{period_seconds}s")])
            .args(["--window", &more.to_string()])
            .args(["--now", &format!("@{}", time.as_unix_seconds())])
            .arg(secret.expose_base32().as_str())
            .output()
            .expect("oathtool can't be run: install the package `oathtool`");
        let text = String::from_utf8_lossy(&output.stdout);
        let theirs: Vec<&str> = text.lines().collect();
        assert!(
            output.status.success() && theirs == ours,
            "case {case} of seed {SEED:#x}: {algorithm}, {digits} digits, {period_seconds} s, {length} bytes, \
             at {time:.0}: ours {ours:?}, oathtool's {theirs:?} {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
