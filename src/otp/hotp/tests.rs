use proptest::prelude::*;

use super::*;
use crate::otp::Digits;

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
    assert_eq!(format!("{hotp:?}"), "Hotp { algorithm: Sha256, format: Decimal(Digits(8)), .. }");
}

proptest! {
    #[test]
    fn truncation_agrees_with_an_index(mac in any::<[u8; 20]>(), last_byte in any::<u8>()) {
        prop_assert_eq!(truncate(digest(&mac, last_byte)), truncate_by_index(&mac, last_byte));
    }
}
