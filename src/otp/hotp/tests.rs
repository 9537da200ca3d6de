use proptest::prelude::*;

use super::*;

/// RFC 4226 §5.4, word for word, with the index that ours must not use.
fn truncate_by_index(mac: &[u8; 20], last_byte: u8) -> u32 {
    let offset = usize::from(last_byte & 0xf);
    u32::from_be_bytes(mac[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff
}

fn digest(mac: &[u8; 20], last_byte: u8) -> Digest {
    Digest { first: std::array::from_fn(|word| u32::from_be_bytes(mac.as_chunks().0[word])), last_byte }
}

#[test]
fn truncation_reads_every_offset_and_ignores_the_rest_of_the_last_byte() {
    let mac: [u8; 20] = std::array::from_fn(|index| 0xf0 - u8::try_from(index).unwrap());
    for last_byte in 0..=u8::MAX {
        assert_eq!(truncate(digest(&mac, last_byte)), truncate_by_index(&mac, last_byte), "{last_byte:#x}");
    }
}

#[test]
fn the_example_of_rfc_4226_section_5_4() {
    let mac = [
        0x1f, 0x86, 0x98, 0x69, 0x0e, 0x02, 0xca, 0x16, 0x61, 0x85, 0x50, 0xef, 0x7f, 0x19, 0xda, 0x8e, 0x94,
        0x5b, 0x55, 0x5a,
    ];
    assert_eq!(truncate(digest(&mac, 0x5a)), 0x50ef_7f19);
    assert_eq!(Digits::SIX.last_of(0x50ef_7f19), 872_921);
}

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

#[test]
fn ten_digits_are_31_bits_after_a_zero_or_not() {
    // RFC 4226, Appendix D, column "decimal" of the truncated values.
    let secret = Secret::from_bytes(b"12345678901234567890").unwrap();
    let hotp = Hotp::new(&secret, Algorithm::Sha1, Digits::TEN);
    assert_eq!(&*hotp.code_at(0).expose(), "1284755224");
    assert_eq!(&*hotp.code_at(3).expose(), "1726969429");
    assert_eq!(&*hotp.code_at(7).expose(), "0082162583");
}

#[test]
fn debug_shows_parameters_only() {
    let secret = Secret::from_bytes(b"12345678901234567890").unwrap();
    let hotp = Hotp::new(&secret, Algorithm::Sha256, Digits::EIGHT);
    assert_eq!(format!("{hotp:?}"), "Hotp { algorithm: Sha256, digits: Digits(8), .. }");
}

proptest! {
    #[test]
    fn truncation_agrees_with_an_index(mac in any::<[u8; 20]>(), last_byte in any::<u8>()) {
        prop_assert_eq!(truncate(digest(&mac, last_byte)), truncate_by_index(&mac, last_byte));
    }

    #[test]
    fn remainders_agree_with_division(number in 0_u32..1 << 31) {
        for digits in ALL {
            prop_assert_eq!(digits.last_of(number), remainder(number, digits));
        }
    }
}
