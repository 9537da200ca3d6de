//! Runs every case under memcheck and prints, for each, a line of its kind, its name and how many reports it made.

use std::hint::black_box;

use skewgate::otp::{Algorithm, Format};
use skewgate_constant_time::subject::{self, Ahead, Place, Search, Token};
use skewgate_constant_time::{controls, memcheck};

fn main() {
    assert!(memcheck::is_running(), "this runs under valgrind: ./tests/run constant_time");
    for token in Token::all() {
        for search in Search::all() {
            case("silent", &format!("{token}: {search}"), || search.run(token));
        }
        for ahead in Ahead::all() {
            case("silent", &format!("{token}: {ahead}"), || ahead.run(token));
        }
    }
    for key_bytes in [16, 20, 32, 35, 64, 160, 1000] {
        let text = subject::base32(key_bytes);
        case("validity", &format!("base32 of {} characters", text.len()), || subject::read_base32(&text));
        case("silent", &format!("{key_bytes} bytes to base32"), || subject::write_base32(key_bytes));
    }
    control_cases();
}

fn case(kind: &str, name: &str, run: impl FnOnce()) {
    let before = memcheck::reports();
    run();
    println!("{kind}\t{}\t{name}", memcheck::reports() - before);
}

fn control_cases() {
    let token = Token { algorithm: Algorithm::Sha1, format: Format::default(), key_bytes: 20 };
    let search = Search { steps: 21, codes: 1, place: Place::Nowhere, watermark: false };

    case("control", "early exit", || {
        let totp = token.with_secret_key();
        let code = totp.code_at(search.window().last());
        let mut found = controls::early_exit(&totp, search.window(), black_box(&code));
        memcheck::declassify(&mut found);
        assert_eq!(found, Some(search.window().last()));
    });
    case("control", "truncation by index", || {
        let mut mac = std::array::from_fn(|index| index as u8 ^ 0x5a);
        memcheck::classify(&mut mac);
        black_box(controls::truncation_by_index(&mac));
    });
    case("control", "base32 by table", || {
        let mut text = subject::base32(20);
        memcheck::classify(text.as_mut_str());
        black_box(controls::base32_by_table(text.as_bytes(), black_box(&[1; 256])));
    });
    case("control", "totp-rs", || {
        let mut key: Vec<u8> = (1..=20).collect();
        memcheck::classify(key.as_mut_slice());
        let totp = totp_rs::Builder::new().with_secret(key).build_noncompliant();
        let mut found = totp.check(black_box("000000"), black_box(Search::START as u64 * 30));
        memcheck::declassify(&mut found);
        assert_eq!(found, None);
    });
    // Here for the disassembly: memcheck doesn't report it.
    case("unseen", "division", || {
        let mut number = 1_284_755_224;
        memcheck::classify(&mut number);
        let mut digits = controls::divides_in_a_callee(number, black_box(6));
        memcheck::declassify(&mut digits);
        assert_eq!(digits, 755_224);
    });
}
