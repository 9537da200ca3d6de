use super::*;

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn with(rest: &str) -> Result<LibpamFile, LibpamError> {
    LibpamFile::parse(&format!("{SECRET}\n{rest}"))
}

/// As libpam leaves it after a few logins.
const LIVED_IN: &str = "CJEWH6THAJH5FUKI\n\
    \" RESETTING_TIME_SKEW 47822956-958 47823967-958 47823452-959\n\
    \" RATE_LIMIT 3 30 1439976483 1439976496\n\
    \" WINDOW_SIZE 17\n\
    \" TIME_SKEW -958\n\
    \" DISALLOW_REUSE 47959316 47959312 47959315\n\
    \" TOTP_AUTH\n\
    \" LAST0 192.0.2.7 1439976496\n\
    52449723\n\
    11133056\n";

#[test]
fn a_lived_in_file_is_read() {
    assert_eq!(LibpamFile::parse(LIVED_IN).unwrap_err(), SecretError::TooShort { got: 10 }.into());
    for text in [LIVED_IN.to_owned(), LIVED_IN.replace('\n', "\r\n")] {
        let file = LibpamFile::parse_legacy(&text).unwrap();
        assert_eq!(file.secret().expose_base32().as_str(), "CJEWH6THAJH5FUKI");
        assert_eq!(file.kind(), UriKind::TOTP);
        assert_eq!(file.newest_used(), TimeStep::new(47_959_316));
        assert!(file.single_use() && !file.disabled());
        assert_eq!(file.drift().unwrap().ahead(), crate::time::SignedDuration::from_secs(-958 * 30));
        assert_eq!(file.window(), Some(17));
        let interval = Duration::from_secs(30);
        assert_eq!(file.rate_limit(), Some(RateLimit { attempts: 3, interval }));
        let codes: Vec<_> = file.scratch_codes().iter().map(|code| code.expose().to_string()).collect();
        assert_eq!(codes, ["52449723", "11133056"]);
    }
}

#[test]
fn hotp_wins_over_totp_and_its_counter_is_the_next() {
    let file = with("\" HOTP_COUNTER 9\n\" TOTP_AUTH\n").unwrap();
    assert_eq!(file.kind(), UriKind::Hotp { counter: 9 });
    let (hotp, counter) = file.uri("ada").build().unwrap().hotp().unwrap();
    assert_eq!(&*hotp.code_at(counter).expose(), "520489"); // RFC 4226, Appendix D
}

#[test]
fn the_step_size_is_the_period_and_the_unit_of_the_skew() {
    let file = with("\" STEP_SIZE 60\n\" TIME_SKEW 3\n\" TOTP_AUTH\n").unwrap();
    assert_eq!(file.kind(), UriKind::Totp { period: Duration::from_secs(60) });
    assert_eq!(file.drift().unwrap().ahead(), crate::time::SignedDuration::from_secs(180));
    assert_eq!(file.uri("").build().unwrap().totp().unwrap().period(), Duration::from_secs(60));
    for seconds in [0, 86_401] {
        let got = Duration::from_secs(seconds);
        let error = with(&format!("\" STEP_SIZE {seconds}\n\" TOTP_AUTH\n")).unwrap_err();
        assert_eq!(error, TotpError::Period { got }.into());
    }
}

#[test]
fn single_use_without_a_used_code_has_no_watermark() {
    let file = with("\" DISALLOW_REUSE\n\" TOTP_AUTH").unwrap();
    assert!(file.single_use());
    assert_eq!(file.newest_used(), None);
    assert!(!with("\" TOTP_AUTH").unwrap().single_use());
}

#[test]
fn what_is_not_understood_is_refused_with_its_line() {
    let value = LibpamError::Value { number: 3 };
    for line in [
        "\" TIME_SKEW",
        "\" TIME_SKEW x",
        "\" TIME_SKEW --1",
        "\" TIME_SKEW 2147483648",
        "\" HOTP_COUNTER -1",
        "\" HOTP_COUNTER 18446744073709551616",
        "\" DISALLOW_REUSE 1 -2",
        "\" DISALLOW_REUSE 9223372036854775808",
        "\" WINDOW_SIZE +3",
        "\" RATE_LIMIT 3",
        "\" STEP_SIZE",
    ] {
        assert_eq!(with(&format!("\" TOTP_AUTH\n{line}")).unwrap_err(), value, "{line}");
    }
    for line in ["1234567", "123456789", "1234567x", "\"TOTP_AUTH", "TOTP_AUTH", "\" "] {
        let error = with(&format!("\" TOTP_AUTH\n{line}\n")).unwrap_err();
        assert_eq!(error, LibpamError::Line { number: 3 }, "{line}");
    }
    let twice = with("\" DISALLOW_REUSE 5\n\" TOTP_AUTH\n\" DISALLOW_REUSE 9");
    assert_eq!(twice.unwrap_err(), LibpamError::Duplicate { number: 4 });
    assert_eq!(with("").unwrap_err(), LibpamError::NoKind);
    assert_eq!(LibpamFile::parse("").unwrap_err(), SecretError::Empty.into());
    let got = LibpamFile::MAX_BYTES + 1;
    assert_eq!(LibpamFile::parse(&"\n".repeat(got)).unwrap_err(), LibpamError::TooLong { got });
}

/// libpam reads `0` as `O`: a guess that makes a token which never works where it is wrong.
#[test]
fn digits_are_not_taken_for_letters() {
    let error = LibpamFile::parse("GEZDGNBVGY3TQ0JQGEZDGNBVGY3TQ0JQ\n\" TOTP_AUTH").unwrap_err();
    assert_eq!(error, SecretError::OtherCharacter.into());
}

#[test]
fn debug_shows_neither_secret_nor_scratch_codes() {
    let shown = format!("{:?}", LibpamFile::parse_legacy(LIVED_IN).unwrap());
    assert!(shown.contains("scratch_codes: 2"), "{shown}");
    assert!(!shown.contains("52449723") && !shown.contains("CJEWH6"), "{shown}");
}

#[test]
fn what_libpam_does_not_take_is_not_taken() {
    // A counter of 0 means none.
    assert_eq!(with("\" HOTP_COUNTER 0\n\" TOTP_AUTH\n").unwrap().kind(), UriKind::TOTP);
    assert!(matches!(with("\" HOTP_COUNTER 0\n"), Err(LibpamError::NoKind)));
    // An emergency code begins with 1 to 9.
    assert!(matches!(with("\" TOTP_AUTH\n01234567\n"), Err(LibpamError::Line { number: 3 })));
}
