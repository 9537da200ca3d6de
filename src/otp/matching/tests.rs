use proptest::prelude::*;

use super::*;
use crate::otp::{Algorithm, Digits, Secret};

fn totp() -> Totp {
    Totp::builder(&Secret::from_bytes(b"12345678901234567890").unwrap()).build().unwrap()
}

fn step(number: i64) -> TimeStep {
    TimeStep::new(number).unwrap()
}

fn range(first: i64, last: i64) -> StepRange {
    StepRange::new(step(first), step(last)).unwrap()
}

fn codes(totp: &Totp, steps: &[i64]) -> Vec<Code> {
    steps.iter().map(|&number| totp.code_at(step(number))).collect()
}

fn look(totp: &Totp, window: &[StepRange], watermark: Option<i64>, codes: &[Code]) -> Match {
    scan(totp, window, watermark.map(step), Consecutive::new(codes).unwrap())
}

fn found(fresh: Option<i64>, replayed: bool, right_at_best: u8) -> Match {
    Match { fresh: fresh.map(step), replayed, right_at_best }
}

/// What `scan` promises, said as plainly as possible and with every branch that it must not have.
fn reference(totp: &Totp, window: &[StepRange], watermark: Option<i64>, codes: &[Code]) -> Match {
    let lead_in = i64::try_from(codes.len() - 1).unwrap();
    let mut result = found(None, false, 0);
    for position in window.iter().flat_map(|range| range.steps()).map(TimeStep::get) {
        if position < lead_in {
            continue;
        }
        let fits = |(index, code): (usize, &Code)| {
            let own = totp.code_at(step(position - lead_in + i64::try_from(index).unwrap()));
            *own.expose() == *code.expose()
        };
        let right = codes.iter().enumerate().filter(|&pair| fits(pair)).count();
        result.right_at_best = result.right_at_best.max(u8::try_from(right).unwrap());
        if right == codes.len() {
            let dead = |number| watermark.is_some_and(|watermark| number <= watermark);
            if !dead(position - lead_in) {
                result.fresh = result.fresh.max(Some(step(position)));
            }
            result.replayed |= dead(position);
        }
    }
    result
}

/// The first step of `totp()` with the code of the step before it, found by search: the code is six digits, so a
/// million steps have about one such pair.
const TWIN: i64 = 910_738;

#[test]
fn the_only_the_first_and_the_last_step_match() {
    let totp = totp();
    for (window, at) in [([range(7, 7)], 7), ([range(7, 12)], 7), ([range(7, 12)], 12), ([range(0, 3)], 0)] {
        assert_eq!(look(&totp, &window, None, &codes(&totp, &[at])), found(Some(at), false, 1));
    }
}

#[test]
fn steps_beside_the_window_do_not_match() {
    let totp = totp();
    let window = [range(10, 12), range(20, 22)];
    for outside in [9, 13, 19, 23] {
        assert_eq!(look(&totp, &window, None, &codes(&totp, &[outside])), found(None, false, 0));
    }
    for inside in [10, 11, 12, 20, 21, 22] {
        assert_eq!(look(&totp, &window, None, &codes(&totp, &[inside])), found(Some(inside), false, 1));
    }
    assert_eq!(look(&totp, &[], None, &codes(&totp, &[10])), found(None, false, 0));
}

#[test]
fn of_two_steps_with_one_code_the_newest_is_found() {
    // Trilium#11448: with the older one as the watermark, the same code passes a second time.
    let totp = totp();
    let newer = TWIN;
    let code = codes(&totp, &[newer]);
    assert_eq!(codes(&totp, &[newer - 1])[0].value(), code[0].value());
    let window = [range(newer - 2, newer + 1)];
    assert_eq!(look(&totp, &window, None, &code), found(Some(newer), false, 1));
    // In a window given back to front, too.
    let reversed = [range(newer, newer + 1), range(newer - 2, newer - 1)];
    assert_eq!(look(&totp, &reversed, None, &code), found(Some(newer), false, 1));
    // Used at the older step, fresh at the newer one: both are said, and it's for the validator to judge.
    assert_eq!(look(&totp, &window, Some(newer - 1), &code), found(Some(newer), true, 1));
    assert_eq!(look(&totp, &window, Some(newer), &code), found(None, true, 1));
}

#[test]
fn the_watermark_kills_its_own_step_and_those_before() {
    let totp = totp();
    let window = [range(10, 14)];
    for at in 10..=14 {
        for watermark in 8..=16 {
            let expected = if at > watermark { found(Some(at), false, 1) } else { found(None, true, 1) };
            assert_eq!(look(&totp, &window, Some(watermark), &codes(&totp, &[at])), expected);
        }
    }
}

#[test]
fn step_zero_is_dead_below_a_watermark_of_zero() {
    let totp = totp();
    assert_eq!(look(&totp, &[range(0, 1)], Some(0), &codes(&totp, &[0])), found(None, true, 1));
    assert_eq!(look(&totp, &[range(0, 1)], None, &codes(&totp, &[0])), found(Some(0), false, 1));
}

#[test]
fn the_last_step_of_all_can_match_and_die() {
    let totp = totp();
    let code = codes(&totp, &[i64::MAX]);
    let window = [range(i64::MAX - 2, i64::MAX)];
    assert_eq!(look(&totp, &window, Some(i64::MAX - 1), &code), found(Some(i64::MAX), false, 1));
    assert_eq!(look(&totp, &window, Some(i64::MAX), &code), found(None, true, 1));
}

#[test]
fn consecutive_codes_match_at_the_step_of_the_last() {
    let totp = totp();
    for window in [[range(10, 14)], [range(12, 12)]] {
        assert_eq!(look(&totp, &window, None, &codes(&totp, &[11, 12])), found(Some(12), false, 2));
        assert_eq!(look(&totp, &window, None, &codes(&totp, &[10, 11, 12])), found(Some(12), false, 3));
    }
    // The lead-in reaches before the window, the last code doesn't.
    let window = [range(10, 14)];
    assert_eq!(look(&totp, &window, None, &codes(&totp, &[8, 9, 10])), found(Some(10), false, 3));
    assert_eq!(look(&totp, &window, None, &codes(&totp, &[8, 9])), found(None, false, 0));
    // Two ranges that touch are no seam.
    let window = [range(10, 11), range(12, 14)];
    assert_eq!(look(&totp, &window, None, &codes(&totp, &[11, 12])), found(Some(12), false, 2));
}

#[test]
fn steps_on_either_side_of_a_gap_are_not_consecutive() {
    let totp = totp();
    for window in [[range(10, 11), range(20, 22)], [range(20, 22), range(10, 11)]] {
        assert_eq!(look(&totp, &window, None, &codes(&totp, &[11, 20])), found(None, false, 1));
        assert_eq!(look(&totp, &window, None, &codes(&totp, &[22, 10])), found(None, false, 1));
        assert_eq!(look(&totp, &window, None, &codes(&totp, &[10, 11, 20])), found(None, false, 1));
        assert_eq!(look(&totp, &window, None, &codes(&totp, &[18, 19, 20])), found(Some(20), false, 3));
    }
}

#[test]
fn some_right_codes_are_no_match() {
    let totp = totp();
    let window = [range(10, 14)];
    for (steps, right) in [
        (vec![11, 50], 1),     // the first right, the second wrong
        (vec![50, 11], 1),     // and the other way round
        (vec![12, 11], 1),     // swapped
        (vec![11, 11], 1),     // one code twice
        (vec![11, 13], 1),     // not consecutive
        (vec![11, 12, 50], 2), // two of three
        (vec![11, 50, 13], 2), // around a wrong one
        (vec![13, 12, 11], 1), // backwards
        (vec![50, 51, 52], 0), // all wrong
    ] {
        assert_eq!(look(&totp, &window, None, &codes(&totp, &steps)), found(None, false, right), "{steps:?}");
    }
    // The first code's step may be the last of the window only if the second's is in it.
    assert_eq!(look(&totp, &window, None, &codes(&totp, &[14, 15])), found(None, false, 0));
}

#[test]
fn every_one_of_several_steps_must_be_alive() {
    let totp = totp();
    let window = [range(10, 14)];
    let three = codes(&totp, &[10, 11, 12]);
    assert_eq!(look(&totp, &window, Some(9), &three), found(Some(12), false, 3));
    assert_eq!(look(&totp, &window, Some(10), &three), found(None, false, 3));
    assert_eq!(look(&totp, &window, Some(11), &three), found(None, false, 3));
    assert_eq!(look(&totp, &window, Some(12), &three), found(None, true, 3));
}

#[test]
fn positions_that_would_begin_before_step_zero_do_not_exist() {
    let totp = totp();
    let window = [range(0, 3)];
    assert_eq!(look(&totp, &window, None, &codes(&totp, &[0, 1, 2])), found(Some(2), false, 3));
    // Code 1 at step 1 would put code 0 at step −1: not even one code is right there.
    assert_eq!(look(&totp, &[range(0, 1)], None, &codes(&totp, &[50, 0, 1])), found(None, false, 0));
    assert_eq!(look(&totp, &[range(0, 0)], None, &codes(&totp, &[50, 0])), found(None, false, 0));
}

#[test]
fn a_code_with_another_number_of_digits_fits_nowhere() {
    let totp = totp();
    let value = (1..).find(|&number| totp.code_at(step(number)).value() < 100_000).unwrap();
    let shown = totp.code_at(step(value)).expose().to_string();
    for longer in [format!("0{shown}"), format!("00{shown}"), format!("0000{shown}")] {
        let code = [Code::parse(&longer).unwrap()];
        assert_eq!(look(&totp, &[range(value, value)], None, &code), found(None, false, 0));
    }
    let pair = [totp.code_at(step(value - 1)), Code::parse(&format!("0{shown}")).unwrap()];
    assert_eq!(look(&totp, &[range(value, value)], None, &pair), found(None, false, 1));
}

#[test]
fn none_and_four_codes_are_not_tried() {
    let totp = totp();
    assert_eq!(Consecutive::new(&[]).unwrap_err(), CodeError::ConsecutiveCount { got: 0 });
    let four = codes(&totp, &[1, 2, 3, 4]);
    assert_eq!(Consecutive::new(&four).unwrap_err(), CodeError::ConsecutiveCount { got: 4 });
}

#[test]
fn a_steam_code_matches_a_steam_token_alone() {
    let secret = Secret::from_bytes(b"12345678901234567890").unwrap();
    let steam = Totp::builder(&secret).steam().build().unwrap();
    let window = [range(10, 14)];
    let pair = codes(&steam, &[11, 12]);
    assert_eq!(look(&steam, &window, None, &pair), found(Some(12), false, 2));
    assert_eq!(look(&steam, &window, Some(12), &pair), found(None, true, 2));
    assert_eq!(look(&totp(), &window, None, &pair), found(None, false, 0));
    // The same number, shown in the other format.
    let same_value = [Code::new(pair[1].value() % 1_000_000, Digits::SIX.into())];
    assert_eq!(look(&steam, &window, None, &same_value), found(None, false, 0));
}

fn hotp() -> Hotp {
    Hotp::new(&Secret::from_bytes(b"12345678901234567890").unwrap(), Algorithm::Sha1, Digits::SIX)
}

fn ahead(next_counter: u64, look_ahead: u16, counters: &[u64]) -> (Option<u64>, u8) {
    let codes: Vec<Code> = counters.iter().map(|&counter| hotp().code_at(counter)).collect();
    let found = scan_ahead(&hotp(), next_counter, look_ahead, Consecutive::new(&codes).unwrap());
    (found.next_counter, found.right_at_best)
}

#[test]
fn a_counter_is_found_from_the_next_one_to_the_end_of_the_look_ahead() {
    assert_eq!(ahead(5, 3, &[4]), (None, 0));
    for counter in 5..=8 {
        assert_eq!(ahead(5, 3, &[counter]), (Some(counter + 1), 1));
    }
    assert_eq!(ahead(5, 3, &[9]), (None, 0));
    assert_eq!(ahead(5, 0, &[5]), (Some(6), 1));
    assert_eq!(ahead(0, 0, &[0]), (Some(1), 1));
}

#[test]
fn two_codes_synchronise_a_counter_and_one_of_them_does_not() {
    // The first of them lies in the look-ahead; the second follows.
    assert_eq!(ahead(5, 100, &[105, 106]), (Some(107), 2));
    assert_eq!(ahead(5, 100, &[106, 107]), (None, 0));
    assert_eq!(ahead(5, 100, &[105, 107]), (None, 1));
    assert_eq!(ahead(5, 100, &[5, 6, 7]), (Some(8), 3));
    // A code that was used, and the one after it.
    assert_eq!(ahead(5, 100, &[4, 5]), (None, 0));
    assert_eq!(ahead(5, 100, &[50, 52]), (None, 1));
    assert_eq!(ahead(5, 100, &[51, 50]), (None, 1));
}

#[test]
fn of_two_counters_with_one_code_the_later_is_found() {
    // With the earlier one the same code would pass again.
    let twin = TWIN.unsigned_abs();
    assert_eq!(hotp().code_at(twin).value(), hotp().code_at(twin - 1).value());
    assert_eq!(ahead(twin - 3, 10, &[twin - 1]), (Some(twin + 1), 1));
}

#[test]
fn the_last_counter_of_all_is_never_found() {
    assert_eq!(ahead(u64::MAX - 2, 10, &[u64::MAX - 1]), (Some(u64::MAX), 1));
    assert_eq!(ahead(u64::MAX - 2, 10, &[u64::MAX]), (None, 0));
    assert_eq!(ahead(u64::MAX, 10, &[u64::MAX]), (None, 0));
    assert_eq!(ahead(u64::MAX - 1, u16::MAX, &[u64::MAX - 1, u64::MAX]), (None, 0));
    assert_eq!(ahead(u64::MAX - 3, u16::MAX, &[u64::MAX - 3, u64::MAX - 2]), (Some(u64::MAX - 1), 2));
}

/// Codes near a window, some of them spoilt.
#[derive(Clone, Debug)]
struct Case {
    window: Vec<(i64, i64)>,
    watermark: Option<i64>,
    /// How far from the window's start each code's step is.
    steps: Vec<i64>,
    spoilt: Vec<bool>,
    algorithm: Algorithm,
    digits: usize,
}

fn case() -> impl Strategy<Value = Case> {
    let start = prop_oneof![0_i64..4, 1_000_i64..2_000, Just(i64::MAX - 20), Just(TWIN - 3)];
    let shape = (start, 0_i64..5, 1_i64..4, prop::option::of(0_i64..5));
    (
        shape,
        prop::option::of(-3_i64..12),
        1_usize..=3,
        any::<bool>(),
        prop::collection::vec((-3_i64..12, any::<bool>()), 3),
    )
        .prop_flat_map(|((start, first, gap, second), mark, count, in_order, picks)| {
            let mut window = vec![(start, start + first)];
            window.extend(second.map(|length| (start + first + gap, start + first + gap + length)));
            let near = move |offset: i64| start.saturating_add(offset).max(0);
            let steps = (0..count).map(|index| {
                if in_order { near(picks[0].0) + i64::try_from(index).unwrap() } else { near(picks[index].0) }
            });
            let spoilt: Vec<bool> = picks.iter().take(count).map(|pick| pick.1 && picks[0].1).collect();
            let steps: Vec<i64> = steps.collect();
            let algorithms =
                prop::sample::select(vec![Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512]);
            (algorithms, 6_usize..=10).prop_map(move |(algorithm, digits)| Case {
                window: window.clone(),
                watermark: mark.map(near),
                steps: steps.clone(),
                spoilt: spoilt.clone(),
                algorithm,
                digits,
            })
        })
}

proptest! {
    #[test]
    fn it_finds_what_the_reference_finds(case in case()) {
        let secret = Secret::from_bytes(b"12345678901234567890").unwrap();
        let digits = Digits::new(case.digits).unwrap();
        let totp = Totp::builder(&secret).algorithm(case.algorithm).digits(digits).build().unwrap();
        let window: Vec<_> = case.window.iter().map(|&(first, last)| range(first, last)).collect();
        let codes: Vec<_> = case.steps.iter().zip(&case.spoilt).map(|(&number, &spoilt)| {
            let code = totp.code_at(step(number));
            if spoilt { Code::new(code.value() ^ 1, digits.into()) } else { code }
        }).collect();
        let expected = reference(&totp, &window, case.watermark, &codes);
        prop_assert_eq!(look(&totp, &window, case.watermark, &codes), expected);
    }
}
