use proptest::prelude::*;

use super::*;

fn secret() -> Secret {
    Secret::from_bytes(b"12345678901234567890").unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds).unwrap()
}

fn totp(period_seconds: u64, t0: Timestamp) -> Totp {
    Totp::builder(&secret()).period(Duration::from_secs(period_seconds)).t0(t0).build().unwrap()
}

#[test]
fn the_defaults_are_what_most_tokens_have() {
    let totp = Totp::builder(&secret()).build().unwrap();
    assert_eq!((totp.algorithm(), totp.format()), (Algorithm::Sha1, Format::Decimal(Digits::SIX)));
    assert_eq!((totp.period(), totp.t0()), (Duration::from_secs(30), at(0)));
}

#[test]
fn what_was_set_is_what_is_got() {
    let totp = Totp::builder(&secret())
        .algorithm(Algorithm::Sha512)
        .digits(Digits::EIGHT)
        .period(Duration::from_secs(60))
        .t0(at(-7))
        .build()
        .unwrap();
    assert_eq!((totp.algorithm(), totp.format()), (Algorithm::Sha512, Format::Decimal(Digits::EIGHT)));
    assert_eq!((totp.period(), totp.t0()), (Duration::from_secs(60), at(-7)));
}

#[test]
fn periods_are_whole_seconds_in_range() {
    let period = |got| Totp::builder(&secret()).period(got).build().map(|totp| totp.period());
    for right in [Duration::from_secs(1), Totp::MAX_PERIOD] {
        assert_eq!(period(right), Ok(right));
    }
    for got in [
        Duration::ZERO,
        Duration::from_millis(999),
        Duration::from_millis(30_500),
        Totp::MAX_PERIOD + Duration::from_nanos(1),
        Totp::MAX_PERIOD + Duration::from_secs(1),
        Duration::MAX,
    ] {
        assert_eq!(period(got), Err(TotpError::Period { got }));
    }
}

#[test]
fn t0_is_a_whole_second() {
    let got = Timestamp::from_unix_nanos(-1);
    assert_eq!(Totp::builder(&secret()).t0(got).build().unwrap_err(), TotpError::T0 { got });
}

#[test]
fn a_step_is_half_open() {
    let totp = totp(30, at(0));
    let step = |nanos| totp.step_at(Timestamp::from_unix_nanos(nanos)).map(TimeStep::get);
    assert_eq!(step(0), Some(0));
    assert_eq!(step(29_999_999_999), Some(0));
    assert_eq!(step(30_000_000_000), Some(1));
}

#[test]
fn there_is_no_step_before_t0() {
    // Truncating division would put the whole period before T0 into step 0.
    for t0 in [at(0), at(100), at(-100)] {
        let totp = totp(30, t0);
        let before = Timestamp::from_unix_nanos(t0.as_unix_nanos() - 1);
        assert_eq!(totp.step_at(before), None);
        assert_eq!(totp.step_at(t0), Some(TimeStep::ZERO));
        assert_eq!(totp.step_at(Timestamp::from_unix_nanos(i64::MIN)), None);
    }
}

#[test]
fn an_interval_has_the_steps_of_both_ends_and_none_before_t0() {
    let totp = totp(30, at(100));
    let steps = |middle, half| {
        let interval = TimeInterval::around(at(middle), Duration::from_secs(half));
        totp.steps_in(&interval).map(|steps| (steps.first().get(), steps.last().get()))
    };
    assert_eq!(steps(130, 0), Some((1, 1)));
    assert_eq!(steps(130, 1), Some((0, 1)));
    assert_eq!(steps(145, 45), Some((0, 3)));
    // Only its end is a time that the token has steps for.
    assert_eq!(steps(100, 29), Some((0, 0)));
    assert_eq!(steps(100, 1_000), Some((0, 33)));
    assert_eq!(steps(50, 49), None);
    assert_eq!(steps(50, 50), Some((0, 0)));
}

#[test]
fn the_last_step_begins_at_the_end_of_time() {
    let last = TimeStep::new(i64::MAX).unwrap();
    for t0 in [at(0), at(9_000_000_000), at(-9_000_000_000)] {
        assert_eq!(totp(86_400, t0).step_start(last), Timestamp::from_unix_nanos(i64::MAX));
    }
}

#[test]
fn time_left_counts_down_to_the_next_step() {
    let totp = totp(30, at(7));
    assert_eq!(totp.time_left(at(7)), Duration::from_secs(30));
    assert_eq!(totp.time_left(Timestamp::from_unix_nanos(36_999_999_999)), Duration::from_nanos(1));
    assert_eq!(totp.time_left(at(37)), Duration::from_secs(30));
    assert_eq!(totp.time_left(at(0)), Duration::from_secs(7));
}

#[test]
fn it_can_be_shared_and_shows_no_secret() {
    fn shared<T: Send + Sync + Clone + 'static>(_: &T) {}
    let totp = Totp::builder(&secret()).build().unwrap();
    shared(&totp);
    assert_eq!(
        format!("{totp:?}"),
        "Totp { algorithm: Sha1, format: Decimal(Digits(6)), period: 30s, t0: Timestamp { unix_nanos: 0 }, .. }"
    );
    assert!(!format!("{:?}", Totp::builder(&secret())).contains("49"));
}

proptest! {
    #[test]
    fn a_time_lies_in_its_step(
        nanos in any::<i64>(),
        period in 1_u64..=86_400,
        t0 in -4_000_000_000_i64..4_000_000_000,
    ) {
        let (totp, time) = (totp(period, at(t0)), Timestamp::from_unix_nanos(nanos));
        let left = totp.time_left(time);
        prop_assert!(left > Duration::ZERO && left <= totp.period());
        if let Some(step) = totp.step_at(time) {
            let start = i128::from(totp.step_start(step).as_unix_nanos());
            let end = start + i128::try_from(totp.period().as_nanos()).unwrap();
            prop_assert!(start <= i128::from(nanos) && i128::from(nanos) < end);
            prop_assert_eq!(end - i128::from(nanos), i128::try_from(left.as_nanos()).unwrap());
        } else {
            prop_assert!(time < totp.t0());
        }
    }

    #[test]
    fn the_code_is_the_one_of_the_counter(step in 0..=i64::MAX) {
        let totp = Totp::builder(&secret()).digits(Digits::EIGHT).build().unwrap();
        let hotp = Hotp::new(&secret(), Algorithm::Sha1, Digits::EIGHT);
        let (code, expected) = (totp.code_at(TimeStep::new(step).unwrap()), hotp.code_at(step.unsigned_abs()));
        prop_assert_eq!(&*code.expose(), &*expected.expose());
    }
}
