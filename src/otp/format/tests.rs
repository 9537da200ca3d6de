use proptest::prelude::*;

use super::*;

const ALL: [Digits; 5] = [Digits::SIX, Digits::SEVEN, Digits::EIGHT, Digits::NINE, Digits::TEN];

fn remainder(number: u32, digits: Digits) -> u64 {
    u64::from(number) % 10_u64.pow(u32::try_from(digits.get()).unwrap())
}

#[test]
fn remainders_are_right_where_the_quotient_changes() {
    const LAST: u32 = (1 << 31) - 1;
    for digits in ALL {
        let modulus = 10_u32.checked_pow(u32::try_from(digits.get()).unwrap()).unwrap_or(u32::MAX);
        let edges = (0..=LAST / modulus).map(|quotient| quotient * modulus);
        for number in edges.flat_map(|edge| [edge, edge + 1, edge.saturating_sub(1)]).chain([LAST - 1, LAST])
        {
            assert_eq!(digits.last_of(number), remainder(number, digits), "{number}, {digits} digits");
        }
    }
}

#[test]
fn odds_are_never_below_those_of_the_likeliest_code() {
    for (digits, odds) in ALL.into_iter().zip([2_148, 215, 22, 3, 1]) {
        assert_eq!(digits.guess_odds_numerator(), odds);
        // How many of the 2³¹ values end in zeros, which is the likeliest code.
        let values = (1_u64 << 31).div_ceil(10_u64.pow(u32::try_from(digits.get()).unwrap()));
        assert_eq!(u64::from(odds), values);
    }
}

#[test]
fn digits_outside_of_six_to_ten_do_not_exist() {
    for count in (0..=5).chain(11..300).chain([262, usize::MAX]) {
        assert_eq!(Digits::new(count), Err(CodeError::DigitCount { got: count }));
    }
    for (count, digits) in (6..=10).zip(ALL) {
        assert_eq!(Digits::new(count), Ok(digits));
        assert_eq!(digits.get(), count);
        assert_eq!(digits.fit_for_validation(), count <= 8);
    }
}

const STEAM: &str = "23456789BCDFGHJKMNPQRTVWXY";

fn shown(value: u64) -> String {
    let mut text = [b'?'; 10];
    Format::Steam.write(value, &mut text);
    assert_eq!(text[5..], [b'?'; 5], "more than five characters were written");
    String::from_utf8(text[..5].to_vec()).unwrap()
}

fn read(text: &str) -> Option<u64> {
    steam_value(text.bytes().fold(0, |packed, byte| packed << 8 | u64::from(byte)))
}

/// As Steam's own authenticator does it, index and all.
fn shown_by_index(mut value: u64) -> String {
    let characters: Vec<char> = STEAM.chars().collect();
    (0..5)
        .map(|_| {
            let character = characters[usize::try_from(value % 26).unwrap()];
            value /= 26;
            character
        })
        .collect()
}

#[test]
fn every_steam_character_reads_as_its_place_in_the_alphabet() {
    for (value, character) in (0_u64..).zip(STEAM.chars()) {
        // The first character is the last place in base 26.
        assert_eq!(read(&format!("{character}2222")), Some(value));
        assert_eq!(read(&format!("2222{}", character.to_ascii_lowercase())), Some(value * 26_u64.pow(4)));
        assert!(shown(value).starts_with(character));
    }
}

#[test]
fn no_other_byte_is_a_steam_character() {
    for byte in 0..=u8::MAX {
        let known = STEAM.bytes().any(|character| character == byte.to_ascii_uppercase());
        for place in 0..5 {
            let mut text = *b"23456";
            text[place] = byte;
            let packed = text.iter().fold(0, |packed, byte| packed << 8 | u64::from(*byte));
            assert_eq!(steam_value(packed).is_some(), known, "{byte:#x}");
        }
    }
}

#[test]
fn steam_odds_are_those_of_the_likeliest_code() {
    assert_eq!(Format::Steam.guess_odds_numerator(), 181);
    // How many of the 2³¹ values are shown as 22222, which is the likeliest code.
    assert_eq!((0_u64..1 << 31).step_by(26_usize.pow(5)).count(), 181);
    assert!(Format::Steam.fit_for_validation());
    assert_eq!(Format::from(Digits::SEVEN).guess_odds_numerator(), Digits::SEVEN.guess_odds_numerator());
}

#[test]
fn a_length_belongs_to_one_format() {
    let formats: Vec<Format> = ALL.into_iter().map(Format::from).chain([Format::Steam]).collect();
    for (one, left) in formats.iter().enumerate() {
        for (other, right) in formats.iter().enumerate() {
            assert_eq!(bool::from(left.ct_eq(right)), one == other);
            assert_eq!(left.length() == right.length(), one == other);
        }
    }
    assert_eq!(
        formats.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["6", "7", "8", "9", "10", "Steam"]
    );
}

proptest! {
    #[test]
    fn remainders_agree_with_division(number in 0_u32..1 << 31) {
        for digits in ALL {
            prop_assert_eq!(digits.last_of(number), remainder(number, digits));
        }
        prop_assert_eq!(Format::Steam.last_of(number), u64::from(number) % 11_881_376);
    }

    #[test]
    fn steam_codes_agree_with_an_index_and_read_back(value in 0_u64..11_881_376) {
        let text = shown(value);
        prop_assert_eq!(&text, &shown_by_index(value));
        prop_assert_eq!(read(&text), Some(value));
        prop_assert_eq!(read(&text.to_lowercase()), Some(value));
    }
}
