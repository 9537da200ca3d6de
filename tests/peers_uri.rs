//! Agreement with pyotp and with otplib of npm on codes and on `otpauth://` URIs: theirs are read here, and ours there.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use skewgate::otp::{Algorithm, Digits, OtpauthUri, Secret, UriKind};
use skewgate::time::Timestamp;

const CASES: usize = 3_000;
const SEED: u64 = 0x6f74_7061_7574_6821;

/// A name with everything that somebody has stumbled over.
#[expect(clippy::unwrap_used, reason = "there is always a choice")]
fn name(random: &mut Rng, colons: bool) -> String {
    let characters: Vec<char> = "aZ09 +%&=?#/:@~!'()*;,$\"<>\\^`{|}[]üß€漢😀".chars().collect();
    let mut name = String::from(random.choice(['a', 'B', 'é']).unwrap());
    for _ in 0..random.u64(..12) {
        let character = *random.choice(&characters).unwrap();
        name.extend(Some(character).filter(|&character| colons || character != ':'));
    }
    name
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
    let mut random = Rng::with_seed(SEED);
    let mut case = || {
        let bytes: Vec<u8> = (0..16 + random.u64(..49)).map(|_| random.u8(..)).collect();
        let issuer = (random.u64(..8) != 0).then(|| name(&mut random, true));
        let account = name(&mut random, issuer.is_some());
        let algorithm = random.choice([Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512]).unwrap();
        let digits = random.choice([Digits::SIX, Digits::SEVEN, Digits::EIGHT]).unwrap();
        // pyotp takes none above 120 s.
        let period = random.choice([1, 7, 30, 30, 60, 90, 120]).unwrap();
        let (time, most) = (random.u64(..1 << 32), random.choice([4, 20, 50]).unwrap());
        let counter = random.u64(..1 << most);
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
