//! Reading codes and looking for them allocates nothing: a login can't be slowed down by the allocator, nor leave a code in
//! freed memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use skewgate::otp::{
    Algorithm, Code, Consecutive, Digits, Format, Hotp, Secret, StepRange, TimeStep, Totp, scan, scan_ahead,
};

/// Counts what this thread asks for.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }
}

fn allocations<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATIONS.with(Cell::get);
    let result = work();
    (result, ALLOCATIONS.with(Cell::get) - before)
}

const FIRST: i64 = 59_000_000;

#[expect(clippy::unwrap_used, reason = "no step here is negative")]
fn step(number: i64) -> TimeStep {
    TimeStep::new(number).unwrap()
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| black_box(Box::new(7_u64))).1, 1);
    assert_eq!(allocations(|| black_box("text".to_owned())).1, 1);
    assert_eq!(allocations(|| black_box(7_u64)).1, 0);
}

#[test]
fn reading_and_looking_for_codes_allocates_nothing() {
    let secret = Secret::from_bytes(&[0xa5; 64]).unwrap();
    for algorithm in [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512] {
        for format in [Format::Decimal(Digits::SIX), Format::Decimal(Digits::EIGHT), Format::Steam] {
            let totp = Totp::builder(&secret).algorithm(algorithm).format(format).build().unwrap();
            let hotp = Hotp::new(&secret, algorithm, format);
            for width in [3, 21, 241] {
                let last = step(FIRST + width - 1);
                let window = [StepRange::new(step(FIRST), last).unwrap()];
                for count in 1..=3 {
                    let texts: Vec<String> = (0..count)
                        .map(|index| totp.code_at(step(last.get() + 1 - count + index)).expose().to_string())
                        .collect();
                    // A caller keeps as many codes as it was shown in whatever it likes: here an array.
                    let texts: [Option<&str>; 3] =
                        std::array::from_fn(|index| texts.get(index).map(String::as_str));
                    let ((found, ahead), allocated) = allocations(|| {
                        let codes = texts.map(|text| Code::parse(text.unwrap_or("000000")).unwrap());
                        let count = texts.iter().flatten().count();
                        let codes = Consecutive::new(&codes[..count]).unwrap();
                        let reach = u16::try_from(width).unwrap();
                        let from = FIRST.unsigned_abs();
                        (scan(&totp, &window, None, codes), scan_ahead(&hotp, from, reach, codes))
                    });
                    assert_eq!(
                        found.fresh,
                        Some(last),
                        "{algorithm}, {format}, {width} steps, {count} codes"
                    );
                    assert_eq!(ahead.next_counter, Some(last.get().unsigned_abs() + 1));
                    assert_eq!(allocated, 0, "{algorithm}, {format}, {width} steps, {count} codes");
                }
            }
        }
    }
}

#[test]
fn refusing_and_showing_a_code_allocates_nothing() {
    for text in ["", "12345", "1234567890123", "2BC0D", "12345x", &"1".repeat(100)] {
        assert_eq!(allocations(|| black_box(Code::parse(text)).is_err()), (true, 0), "{text}");
    }
    let secret = Secret::from_bytes(&[0xa5; 20]).unwrap();
    let totp = Totp::builder(&secret).build().unwrap();
    let (shown, allocated) = allocations(|| totp.code_at(step(FIRST)).expose());
    assert_eq!((shown.len(), allocated), (6, 0));
}
