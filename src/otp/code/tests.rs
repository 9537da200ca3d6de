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
        ("12345", Err(CodeError::DigitCount { got: 5 })),
        ("12345678901", Err(CodeError::DigitCount { got: 11 })),
    ] {
        assert_eq!(text(written), refusal, "{written:?}");
    }
}

#[test]
fn a_long_text_is_refused_whatever_it_holds() {
    let digits = "1".repeat(Code::MAX_TEXT_BYTES);
    assert_eq!(text(&digits), Err(CodeError::DigitCount { got: 64 }));
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
}

#[test]
fn neither_debug_nor_an_error_shows_a_digit() {
    let code = Code::parse("987654").unwrap();
    assert_eq!(format!("{code:?}"), "Code(redacted)");
    assert_eq!(format!("{:?}", code.expose()), "CodeText(redacted)");
    for wrong in ["98765x", "98765", "9876543210987", &"9876".repeat(20)] {
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
