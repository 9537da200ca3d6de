use proptest::prelude::*;

use super::*;

fn text(code: &str) -> Result<String, CodeError> {
    Code::parse(code).map(|code| code.expose().to_string())
}

#[test]
fn grouping_and_white_space_around_change_nothing() {
    for written in
        ["123456", "123 456", "123-456", "12 34 56", "123 - 456", " 123456", "123456 \r\n", "\t1 2-3 4 5 6"]
    {
        assert_eq!(text(written).as_deref(), Ok("123456"), "{written:?}");
    }
}

#[test]
fn zeros_in_front_are_digits() {
    assert_eq!(text("000000").as_deref(), Ok("000000"));
    assert_eq!(text("0000 000 042").as_deref(), Ok("0000000042"));
    assert_eq!(text("9999999999").as_deref(), Ok("9999999999"));
}

#[test]
fn five_characters_are_a_steam_code_in_either_case() {
    for written in ["2BC4Y", "2bc4y", "2b-C 4y", " 2Bc4Y\n"] {
        assert_eq!(text(written).as_deref(), Ok("2BC4Y"), "{written:?}");
        assert_eq!(Code::parse(written).unwrap().format(), Format::Steam);
    }
    // Digits alone, too: no decimal code has five.
    assert_eq!(Code::parse("23 456").unwrap().format(), Format::Steam);
    assert_eq!(Code::parse("023456").unwrap().format(), Format::Decimal(Digits::SIX));
}

#[test]
fn anything_else_is_refused() {
    let character = |position| Err(CodeError::Character { position });
    for (written, refusal) in [
        ("", Err(CodeError::Empty)),
        (" \t\n", Err(CodeError::Empty)),
        ("-", character(0)),
        ("+123456", character(0)),
        (" -123456", character(1)),
        ("123456-", character(6)),
        ("123.456", character(3)),
        ("123\t456", character(3)),
        ("123\u{a0}456", character(3)),
        ("１２３４５６", character(0)),
        ("١٢٣٤٥٦", character(0)),
        ("12345O", character(5)),
        ("1234\u{0}56", character(4)),
        // Five digits, but 1 is none of Steam's characters.
        ("12345", Err(CodeError::CharacterCount { got: 5 })),
        ("7552", Err(CodeError::CharacterCount { got: 4 })),
        ("12345678901", Err(CodeError::CharacterCount { got: 11 })),
        // Letters only where there are five characters.
        ("BCDF", character(0)),
        ("23BCDF", character(2)),
        (" 2-3 4 5 6 bc", character(11)),
        // No character is taken for one that looks like it.
        ("O3456", character(0)),
        ("2BC0D", character(3)),
        ("2bc1d", character(3)),
        ("2BCSD", character(3)),
        ("2BC\u{212a}D", character(3)),
        ("-BCDFG", character(0)),
        ("BCDFG-", character(5)),
    ] {
        assert_eq!(text(written), refusal, "{written:?}");
    }
}

#[test]
fn a_long_text_is_refused_whatever_it_holds() {
    let digits = "1".repeat(Code::MAX_TEXT_BYTES);
    assert_eq!(text(&digits), Err(CodeError::CharacterCount { got: 64 }));
    assert_eq!(text(&(digits + "1")), Err(CodeError::TooLong { got: 65 }));
    assert_eq!(text(&format!("123456{}", " ".repeat(59))), Err(CodeError::TooLong { got: 65 }));
}

#[test]
fn the_number_of_digits_is_part_of_the_code() {
    let same = |left: &str, right: &str| -> bool {
        Code::parse(left).unwrap().ct_eq(&Code::parse(right).unwrap()).into()
    };
    assert!(same("123 456", "123456"));
    assert!(!same("123456", "123457"));
    assert!(!same("000123", "0000123"));
    assert!(same("2bc4y", "2BC4Y"));
    // 22222 and 000000 are both zero.
    assert!(!same("22222", "000000"));
}

#[test]
fn neither_debug_nor_an_error_shows_a_digit() {
    let code = Code::parse("987654").unwrap();
    assert_eq!(format!("{code:?}"), "Code(redacted)");
    assert_eq!(format!("{:?}", code.expose()), "CodeText(redacted)");
    for wrong in ["98765x", "98760", "9876z", "9876543210987", &"9876".repeat(20)] {
        let error = Code::parse(wrong).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("987"), "{error}");
    }
}

proptest! {
    #[test]
    fn what_is_shown_reads_back_as_itself(written in "[ -]{0,2}[0-9]{1,4}([ -]{0,2}[0-9]{1,4}){1,3}[ \\n]?") {
        if let Ok(code) = Code::parse(&written) {
            let shown = code.expose();
            let digits: String = written.chars().filter(char::is_ascii_digit).collect();
            prop_assert_eq!(&*shown, digits.as_str());
            let again = Code::parse(&shown).unwrap();
            prop_assert!(bool::from(again.ct_eq(&code)));
        }
    }

    #[test]
    fn no_text_makes_it_panic(written in "\\PC*") {
        let _ = Code::parse(&written);
    }
}
