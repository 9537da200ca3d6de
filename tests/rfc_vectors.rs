//! The test vectors of RFC 4226, Appendix D, and RFC 6238, Appendix B, from `tests/vectors/`.

use skewgate::otp::{Algorithm, Digits, Hotp, Secret, TimeStep, Totp};
use skewgate::time::Timestamp;

/// The fields of each line; empty lines and comments left out.
fn vectors<const FIELDS: usize>(text: &str) -> Vec<[&str; FIELDS]> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split(' ').collect::<Vec<_>>().try_into().expect(line)).collect()
}

fn algorithm(name: &str) -> Algorithm {
    let all = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512];
    all.into_iter().find(|algorithm| algorithm.to_string() == name).expect(name)
}

#[expect(clippy::unwrap_used, reason = "a vector that can't be read must fail the test")]
fn secret(hex: &str) -> Secret {
    let bytes =
        hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap());
    Secret::from_bytes(&bytes.collect::<Vec<_>>()).unwrap()
}

#[test]
fn rfc_4226_appendix_d() {
    let vectors = vectors::<5>(include_str!("vectors/rfc4226.txt"));
    assert_eq!(vectors.len(), 10);
    for [hash, key, counter, truncated, code] in vectors {
        let counter = counter.parse().unwrap();
        let shown = |digits| {
            let hotp = Hotp::new(&secret(key), algorithm(hash), digits);
            hotp.code_at(counter).expose().to_string()
        };
        assert_eq!(shown(Digits::SIX), code, "counter {counter}");
        // Ten digits are the truncated value itself.
        assert_eq!(shown(Digits::TEN), format!("{truncated:0>10}"), "counter {counter}");
    }
}

#[test]
fn rfc_6238_appendix_b() {
    let vectors = vectors::<6>(include_str!("vectors/rfc6238.txt"));
    assert_eq!(vectors.len(), 18);
    let mut beyond = 0;
    for [hash, key, seconds, date, step, code] in vectors {
        let totp =
            Totp::builder(&secret(key)).algorithm(algorithm(hash)).digits(Digits::EIGHT).build().unwrap();
        let step = TimeStep::new(i64::from_str_radix(step, 16).unwrap()).unwrap();
        assert_eq!(&*totp.code_at(step).expose(), code, "{hash} at {date}");

        match Timestamp::from_unix_seconds(seconds.parse().unwrap()) {
            Ok(time) => {
                assert_eq!(date.parse(), Ok(time));
                assert_eq!(totp.step_at(time), Some(step), "{date}");
            }
            Err(_) => beyond += 1,
        }
    }
    assert_eq!(beyond, 3, "only the year 2603 is beyond a Timestamp");
}
