//! What is secret is gone from an object's memory once it was dropped: its own bytes, and what it had on the heap.
//!
//! Own bytes are looked at where the object was, in a buffer that outlives it. Heap blocks are looked at by the allocator
//! when they are given back, before anybody else can get them. Not covered: what compilers and the compression
//! functions of `sha1` and `sha2` leave in registers and on the stack.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::mem::{ManuallyDrop, MaybeUninit};

use skewgate::otp::{Algorithm, Code, Digits, Format, Hotp, Secret, Totp};

/// Looks through freed blocks for what this thread is looking for.
struct Searching;

const MOST_NEEDLES: usize = 16;
const NEEDLE_BYTES: usize = 8;

thread_local! {
    /// Any eight bytes in a row of a secret are one too many.
    static NEEDLES: RefCell<([[u8; NEEDLE_BYTES]; MOST_NEEDLES], usize)> =
        const { RefCell::new(([[0; NEEDLE_BYTES]; MOST_NEEDLES], 0)) };
    static BLOCKS_WITH_NEEDLES: Cell<usize> = const { Cell::new(0) };
    static BLOCKS: Cell<usize> = const { Cell::new(0) };
    static LAST_BLOCK: Cell<(*const u8, usize)> = const { Cell::new((std::ptr::null(), 0)) };
}

#[global_allocator]
static ALLOCATOR: Searching = Searching;

// SAFETY: everything is passed on to the system's allocator as it came. Blocks are zeroed at first, so that all of their bytes
// may be read.
unsafe impl GlobalAlloc for Searching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = unsafe { System.alloc_zeroed(layout) };
        LAST_BLOCK.with(|last| last.set((block, layout.size())));
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
        BLOCKS.with(|count| count.set(count.get() + 1));
        if holds_a_needle(bytes) {
            BLOCKS_WITH_NEEDLES.with(|count| count.set(count.get() + 1));
        }
        unsafe { System.dealloc(block, layout) }
    }
}

fn holds_a_needle(bytes: &[u8]) -> bool {
    NEEDLES.with(|needles| {
        let (needles, count) = *needles.borrow();
        let wanted = &needles[..count];
        bytes.windows(NEEDLE_BYTES).any(|window| wanted.iter().any(|needle| needle == window))
    })
}

/// Looks for the beginning of each of `secrets` from now on.
fn look_for(secrets: &[&[u8]]) {
    NEEDLES.with(|needles| {
        let mut needles = needles.borrow_mut();
        for (needle, secret) in needles.0.iter_mut().zip(secrets) {
            needle.copy_from_slice(&secret[..NEEDLE_BYTES]);
        }
        needles.1 = secrets.len();
    });
}

/// What is left of `value` after its drop: whether it had a needle in its own bytes before and after, and how many blocks
/// that were freed by the drop, all in all and with a needle.
fn drop_and_look<T>(value: T) -> (bool, bool, usize, usize) {
    let mut place = Box::new(MaybeUninit::<ManuallyDrop<T>>::zeroed());
    place.write(ManuallyDrop::new(value));
    let start: *const u8 = (&raw const *place).cast();
    // SAFETY: `place` lives until the end. Padding was zeroed with the rest; where a move left it undefined, no test here
    // depends on it, as it holds nothing or an old byte of this very value.
    let bytes = || unsafe { std::slice::from_raw_parts(start, size_of::<T>()) }.to_vec();
    let before = bytes();
    let (freed, found) = (BLOCKS.with(Cell::get), BLOCKS_WITH_NEEDLES.with(Cell::get));
    // SAFETY: it was written above and is dropped once.
    unsafe { ManuallyDrop::drop(place.assume_init_mut()) };
    let (freed, found) = (BLOCKS.with(Cell::get) - freed, BLOCKS_WITH_NEEDLES.with(Cell::get) - found);
    let after = bytes();
    let seen = (holds_a_needle(&before), holds_a_needle(&after), freed, found);
    // These copies would be found when they are freed.
    look_for(&[]);
    seen
}

const KEY: &[u8; 20] = b"\x91key of twenty bytes";

/// The chaining states after a padded key, as a 64- or 128-byte block hash keeps them in memory.
fn states(algorithm: Algorithm, key: &[u8]) -> [Vec<u8>; 2] {
    fn block<const N: usize>(key: &[u8], pad: u8) -> [[u8; N]; 1] {
        let mut block = [pad; N];
        block.iter_mut().zip(key).for_each(|(to, from)| *to ^= from);
        [block]
    }
    fn words<const N: usize>(state: impl IntoIterator<Item = [u8; N]>) -> Vec<u8> {
        state.into_iter().flatten().collect()
    }
    [0x36, 0x5c].map(|pad| match algorithm {
        Algorithm::Sha1 => {
            let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
            sha1::block_api::compress(&mut state, &block(key, pad));
            words(state.map(u32::to_ne_bytes))
        }
        Algorithm::Sha256 => {
            let mut state = [
                0x6a09_e667,
                0xbb67_ae85,
                0x3c6e_f372,
                0xa54f_f53a,
                0x510e_527f,
                0x9b05_688c,
                0x1f83_d9ab,
                0x5be0_cd19,
            ];
            sha2::block_api::compress256(&mut state, &block(key, pad));
            words(state.map(u32::to_ne_bytes))
        }
        Algorithm::Sha512 => {
            let mut state = [
                0x6a09_e667_f3bc_c908,
                0xbb67_ae85_84ca_a73b,
                0x3c6e_f372_fe94_f82b,
                0xa54f_f53a_5f1d_36f1,
                0x510e_527f_ade6_82d1,
                0x9b05_688c_2b3e_6c1f,
                0x1f83_d9ab_fb41_bd6b,
                0x5be0_cd19_137e_2179,
            ];
            sha2::block_api::compress512(&mut state, &block(key, pad));
            words(state.map(u64::to_ne_bytes))
        }
    })
}

#[test]
fn what_is_not_wiped_is_found() {
    look_for(&[KEY]);
    assert_eq!(drop_and_look(KEY.to_vec()), (false, false, 1, 1), "on the heap");
    look_for(&[KEY]);
    assert_eq!(drop_and_look(*KEY), (true, true, 0, 0), "in the object");
}

#[test]
fn a_dropped_secret_leaves_no_key() {
    let secret = Secret::from_bytes(KEY).unwrap();
    look_for(&[KEY]);
    assert_eq!(drop_and_look(secret), (false, false, 1, 0));
}

/// Buffers on the way into a secret, too: not one block with a key is given back while it is read.
#[test]
fn reading_a_secret_leaves_no_key_and_no_text() {
    let secret = Secret::from_bytes(KEY).unwrap();
    let (base32, hex) = (secret.expose_base32(), secret.expose_hex());
    let spaced: String = base32.chars().flat_map(|character| [character, '-']).collect();
    let broken = format!("{}1", &base32[..31]);
    let short = KEY[..10].to_vec();
    look_for(&[KEY, base32.as_bytes(), hex.as_bytes(), spaced.as_bytes()]);
    let (freed, found) = (BLOCKS.with(Cell::get), BLOCKS_WITH_NEEDLES.with(Cell::get));
    drop(Secret::from_base32(&base32).unwrap());
    drop(Secret::from_base32_lenient(&spaced).unwrap());
    drop(Secret::from_hex(&hex).unwrap());
    assert!(Secret::from_base32(&broken).is_err());
    assert!(Secret::from_bytes(&short).is_err());
    let (freed, found) = (BLOCKS.with(Cell::get) - freed, BLOCKS_WITH_NEEDLES.with(Cell::get) - found);
    look_for(&[]);
    assert!(freed >= 5, "{freed} blocks: the search is not on the way");
    assert_eq!(found, 0);
}

#[test]
fn an_exposed_text_is_wiped() {
    let secret = Secret::from_bytes(KEY).unwrap();
    for expose in [Secret::expose_base32, Secret::expose_hex] {
        let text = expose(&secret);
        let copy = text.to_string();
        look_for(&[copy.as_bytes()]);
        let seen = drop_and_look(text);
        assert_eq!(seen, (false, false, 1, 0));
        // On the way to the text, too.
        look_for(&[copy.as_bytes()]);
        let found = BLOCKS_WITH_NEEDLES.with(Cell::get);
        let text = expose(&secret);
        assert_eq!(BLOCKS_WITH_NEEDLES.with(Cell::get), found);
        look_for(&[]);
        drop(text);
    }
}

#[test]
fn a_dropped_generator_leaves_neither_key_nor_states() {
    for algorithm in [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512] {
        let secret = Secret::from_bytes(KEY).unwrap();
        let [inner, outer] = states(algorithm, KEY);
        // From every part of each state, so that none of it is wiped without the rest.
        let parts: Vec<&[u8]> = [KEY.as_slice()]
            .into_iter()
            .chain(
                [&inner, &outer]
                    .into_iter()
                    .flat_map(|state| [&state[..8], &state[8..16], &state[state.len() - 8..]]),
            )
            .collect();

        let hotp = Hotp::new(&secret, algorithm, Digits::SIX);
        let code = hotp.code_at(1);
        // The states must be what is kept, else nothing is found because nothing is there.
        look_for(&parts);
        let copy = hotp.clone();
        assert_eq!(drop_and_look(hotp), (false, false, 1, 0), "{algorithm}");
        look_for(&parts);
        assert_eq!(drop_and_look(copy), (false, false, 1, 0), "{algorithm}, a clone");

        let totp = Totp::builder(&secret).algorithm(algorithm).build().unwrap();
        look_for(&parts);
        assert_eq!(drop_and_look(totp), (false, false, 1, 0), "{algorithm}");
        drop(code);
    }
}

/// So that the test above can't pass by looking for the wrong states.
#[test]
fn the_states_that_are_looked_for_are_the_ones_that_are_kept() {
    for algorithm in [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512] {
        let secret = Secret::from_bytes(KEY).unwrap();
        let hotp = Hotp::new(&secret, algorithm, Digits::SIX);
        // The last block that was allocated, which `hotp` still has.
        let (start, size) = LAST_BLOCK.with(Cell::get);
        // SAFETY: nothing was freed since.
        let block = unsafe { std::slice::from_raw_parts(start, size) };
        assert_eq!(block, states(algorithm, KEY).concat(), "{algorithm}");
        drop(hotp);
    }
}

#[test]
fn a_dropped_code_leaves_no_digit() {
    // Codes are numbers in memory. They are short: look for the whole eight bytes.
    let code = Code::parse("9876543210").unwrap();
    look_for(&[&9_876_543_210_u64.to_ne_bytes()]);
    assert_eq!(drop_and_look(code), (true, false, 0, 0));

    let code = Code::parse("98765432").unwrap();
    look_for(&[b"98765432"]);
    assert_eq!(drop_and_look(code.expose()), (true, false, 0, 0));

    let pair = [Code::parse("9876543210").unwrap(), Code::parse("YXWVT").unwrap()];
    assert_eq!(pair[1].format(), Format::Steam);
    look_for(&[&9_876_543_210_u64.to_ne_bytes()]);
    assert_eq!(drop_and_look(pair), (true, false, 0, 0));
}

/// A QR code is its secret, drawn: no piece of its path may stay behind in a buffer on the way to the image.
#[cfg(feature = "qr")]
#[test]
fn drawing_a_qr_code_leaves_no_piece_of_it() {
    let uri = "otpauth://totp/ada?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    let image = skewgate::otp::qr::svg(uri).unwrap();
    let (_, path) = image.rsplit_once(" d=\"").unwrap();
    let runs: Vec<&[u8]> = path.match_indices('M').map(|(at, _)| &path.as_bytes()[at..]).collect();
    // From all over the image.
    let every = runs.len() / MOST_NEEDLES;
    let parts: Vec<&[u8]> = runs.into_iter().step_by(every).take(MOST_NEEDLES).collect();
    look_for(&parts);
    let (freed, found) = (BLOCKS.with(Cell::get), BLOCKS_WITH_NEEDLES.with(Cell::get));
    let again = skewgate::otp::qr::svg(uri).unwrap();
    let (freed, found) = (BLOCKS.with(Cell::get) - freed, BLOCKS_WITH_NEEDLES.with(Cell::get) - found);
    assert!(freed > 0, "the search is not on the way");
    assert_eq!(found, 0, "of {freed} blocks");
    let dropped = drop_and_look(again);
    assert_eq!(dropped, (false, false, 1, 0));
}

#[cfg(feature = "seal")]
mod seal {
    use super::*;
    use skewgate::seal::{Binding, KeyRing, Sealed, SealingKey};
    use skewgate::token::TokenId;

    const SEALING_KEY: &[u8; 32] = b"\x92sealing key of thirty-two bytes";

    /// How many blocks `work` gave back, and how many of them had one of `secrets`.
    fn blocks_of<T>(secrets: &[&[u8]], work: impl FnOnce() -> T) -> (usize, usize) {
        look_for(secrets);
        let (freed, found) = (BLOCKS.with(Cell::get), BLOCKS_WITH_NEEDLES.with(Cell::get));
        drop(work());
        let seen = (BLOCKS.with(Cell::get) - freed, BLOCKS_WITH_NEEDLES.with(Cell::get) - found);
        look_for(&[]);
        seen
    }

    #[test]
    fn a_dropped_key_leaves_no_byte() {
        let key = SealingKey::from_bytes("k", SEALING_KEY).unwrap();
        // From both ends, so that no part is wiped without the other.
        let parts = [&SEALING_KEY[..], &SEALING_KEY[24..]];
        let copy = key.clone();
        look_for(&parts);
        // The name is shared with the copy.
        assert_eq!(drop_and_look(key), (false, false, 1, 0));
        let ring = KeyRing::new(copy).with(SealingKey::from_bytes("old", SEALING_KEY).unwrap()).unwrap();
        look_for(&parts);
        // Two keys, two names, the list of older ones.
        assert_eq!(drop_and_look(ring), (false, false, 5, 0));
    }

    #[test]
    fn reading_and_printing_a_key_leaves_no_key_and_no_text() {
        let key = SealingKey::from_bytes("k", SEALING_KEY).unwrap();
        let base64 = key.expose_base64().to_string();
        let hex: String = SEALING_KEY.iter().map(|byte| format!("{byte:02x}")).collect();
        let wrong = format!("{}*", &base64[..42]);
        let (freed, found) = blocks_of(&[SEALING_KEY, base64.as_bytes(), hex.as_bytes()], || {
            drop(SealingKey::from_base64("k", &base64).unwrap());
            drop(SealingKey::from_hex("k", &hex).unwrap());
            drop(key.expose_base64());
            assert!(SealingKey::from_base64("k", &wrong).is_err());
        });
        assert!(freed >= 4, "{freed} blocks: the search is not on the way");
        assert_eq!(found, 0);
    }

    #[test]
    fn sealing_and_opening_leave_neither_secret_nor_key() {
        let ring = KeyRing::new(SealingKey::from_bytes("k", SEALING_KEY).unwrap());
        let secret = Secret::from_bytes(KEY).unwrap();
        let binding = Binding::builder(TokenId::new("ada").unwrap(), 0).build().unwrap();
        let sealed = ring.seal(&secret, &binding).unwrap();
        let text = sealed.to_string();
        let (freed, found) = blocks_of(&[SEALING_KEY, KEY, &KEY[12..]], || {
            drop(ring.seal(&secret, &binding).unwrap());
            drop(ring.open(&Sealed::parse(&text).unwrap(), &binding).unwrap());
            drop(ring.open_token(&sealed, &binding).unwrap());
            drop(ring.reseal(&sealed, &binding).unwrap());
        });
        assert!(freed >= 10, "{freed} blocks: the search is not on the way");
        assert_eq!(found, 0);
    }
}
