//! Agreement with pyotp and with otplib of npm on codes and on `otpauth://` URIs: theirs are read here, and ours there.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use skewgate::otp::{Algorithm, Digits, OtpauthUri, Secret, UriKind};
use skewgate::time::Timestamp;

const CASES: usize = 3_000;
const SEED: u64 = 0x6f74_7061_7574_6821;

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

    /// A name with everything that somebody has stumbled over.
    fn name(&mut self, colons: bool) -> String {
        let characters: Vec<char> = "aZ09 +%&=?#/:@~!'()*;,$\"<>\\^`{|}[]üß€漢😀".chars().collect();
        let mut name = String::from(self.pick(&['a', 'B', 'é']));
        for _ in 0..self.below(12) {
            let character = self.pick(&characters);
            name.extend(Some(character).filter(|&character| colons || character != ':'));
        }
        name
    }
}

struct Case {
    totp: OtpauthUri,
    hotp: OtpauthUri,
    time: u64,
    counter: u64,
    period: u64,
    totp_code: String,
    hotp_code: String,
}

#[expect(clippy::unwrap_used, reason = "a case that can't be made must fail the test")]
fn cases() -> Vec<Case> {
    let mut random = Random(SEED);
    let mut case = || {
        let bytes: Vec<u8> = (0..16 + random.below(49)).map(|_| random.next().to_be_bytes()[0]).collect();
        let issuer = (random.below(8) != 0).then(|| random.name(true));
        let account = random.name(issuer.is_some());
        let algorithm = random.pick(&[Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512]);
        let digits = random.pick(&[Digits::SIX, Digits::SEVEN, Digits::EIGHT]);
        // pyotp takes none above 120 s.
        let period = random.pick(&[1, 7, 30, 30, 60, 90, 120]);
        let (time, most) = (random.below(1 << 32), random.pick(&[4, 20, 50]));
        let counter = random.below(1 << most);
        let uri = |kind| {
            OtpauthUri::builder(&account, Secret::from_bytes(&bytes).unwrap())
                .issuer(issuer.as_deref().unwrap_or_default())
                .algorithm(algorithm)
                .digits(digits)
                .kind(kind)
                .build()
                .unwrap()
        };
        let totp = uri(UriKind::Totp { period: Duration::from_secs(period) });
        let hotp = uri(UriKind::Hotp { counter });
        let token = totp.totp().unwrap();
        let step =
            token.step_at(Timestamp::from_unix_seconds(i64::try_from(time).unwrap()).unwrap()).unwrap();
        let (generator, _) = hotp.hotp().unwrap();
        Case {
            time,
            counter,
            period,
            totp_code: token.code_at(step).expose().to_string(),
            hotp_code: generator.code_at(counter).expose().to_string(),
            totp,
            hotp,
        }
    };
    (0..CASES).map(|_| case()).collect()
}

fn question(case: &Case) -> Value {
    json!({
        "secret": case.totp.secret().expose_base32().as_str(),
        "issuer": case.totp.issuer(),
        "account": case.totp.account(),
        "algorithm": case.totp.algorithm().to_string().to_lowercase(),
        "digits": case.totp.digits().map(Digits::get),
        "period": case.period,
        "counter": case.counter,
        "time": case.time,
        "totp_uri": case.totp.expose_uri().as_str(),
        "hotp_uri": case.hotp.expose_uri().as_str(),
    })
}

/// Where `tests/run` has put them.
fn peers() -> PathBuf {
    PathBuf::from(std::env::var_os("SKEWGATE_PEERS").unwrap_or_else(|| "target/peers".into()))
}

/// All cases in one process.
#[expect(clippy::unwrap_used, reason = "a peer that can't be asked must fail the test")]
fn ask(command: &mut Command, cases: &[Case]) -> Vec<Value> {
    let questions = serde_json::to_vec(&cases.iter().map(question).collect::<Vec<_>>()).unwrap();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the peer can't be run: ./tests/run installs it");
    let mut stdin = child.stdin.take().unwrap();
    // It answers once it has read all of them: nothing can get stuck.
    stdin.write_all(&questions).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?} failed, see above");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn check(cases: &[Case], answers: &[Value], splits_labels: bool) {
    assert_eq!(answers.len(), CASES);
    for (number, (case, answer)) in cases.iter().zip(answers).enumerate() {
        let context = || format!("case {number} of seed {SEED:#x}: {} {answer}", question(case));
        let text = |field: &str| answer[field].as_str().unwrap_or_else(|| panic!("{field}: {}", context()));
        assert_eq!(text("totp_code"), case.totp_code, "{}", context());
        assert_eq!(text("hotp_code"), case.hotp_code, "{}", context());
        // Ours there.
        assert_eq!(text("our_totp_code"), case.totp_code, "{}", context());
        assert_eq!(text("our_hotp_code"), case.hotp_code, "{}", context());
        let (issuer, account) = (case.totp.issuer(), case.totp.account());
        let name = match issuer.filter(|_| !splits_labels) {
            Some(issuer) => format!("{issuer}:{account}"),
            None => account.to_owned(),
        };
        assert_eq!(answer["our_names"], json!([[issuer, name], [issuer, name]]), "{}", context());
        // Theirs here: the same in every part, as what is printed has them all.
        for (field, ours) in [("totp_uri", &case.totp), ("hotp_uri", &case.hotp)] {
            let theirs =
                OtpauthUri::parse(text(field)).unwrap_or_else(|error| panic!("{error}: {}", context()));
            assert_eq!(theirs.expose_uri(), ours.expose_uri(), "{}", context());
        }
    }
}

#[test]
#[ignore = "needs pyotp: ./tests/run"]
fn agrees_with_pyotp() {
    let cases = cases();
    let mut python = Command::new(peers().join("python/bin/python"));
    check(&cases, &ask(python.arg("tests/peers/pyotp_answers.py"), &cases), true);
}

#[test]
#[ignore = "needs otplib: ./tests/run"]
fn agrees_with_otplib() {
    let cases = cases();
    let mut node = Command::new("node");
    check(&cases, &ask(node.arg("tests/peers/otplib_answers.cjs").arg(peers()), &cases), false);
}
