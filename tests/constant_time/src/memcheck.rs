//! Requests to valgrind's memcheck: what is secret is marked undefined, and memcheck reports every branch and every
//! address that depends on it.
//!
//! A request is a sequence of instructions that does nothing on a processor and that valgrind knows
//! (`valgrind/valgrind.h`, `valgrind/memcheck.h`). This is the only unsafe code.

use std::arch::asm;

const RUNNING_ON_VALGRIND: usize = 0x1001;
const COUNT_ERRORS: usize = 0x1201;
const MEMCHECK: usize = (b'M' as usize) << 24 | (b'C' as usize) << 16;
const MAKE_MEM_UNDEFINED: usize = MEMCHECK + 1;
const MAKE_MEM_DEFINED: usize = MEMCHECK + 2;
const GET_VBITS: usize = MEMCHECK + 8;

/// False on a bare processor: there nothing is checked.
#[must_use]
pub fn is_running() -> bool {
    request(RUNNING_ON_VALGRIND, 0, 0, 0) != 0
}

/// How many times memcheck has reported something so far, each repetition of one report counted too.
#[must_use]
pub fn reports() -> usize {
    request(COUNT_ERRORS, 0, 0, 0)
}

/// From now on these bytes, and whatever is computed from them, are secret. Their values stay.
pub fn classify<T: ?Sized>(secret: &mut T) {
    request(MAKE_MEM_UNDEFINED, (&raw mut *secret).expose_provenance(), size_of_val(secret), 0);
}

/// From now on these bytes are public. Their values stay.
pub fn declassify<T: ?Sized>(public: &mut T) {
    request(MAKE_MEM_DEFINED, (&raw mut *public).expose_provenance(), size_of_val(public), 0);
}

/// True where any bit depends on a secret.
#[must_use]
pub fn is_secret(byte: &u8) -> bool {
    let mut undefined_bits = 0_u8;
    request(
        GET_VBITS,
        (&raw const *byte).expose_provenance(),
        (&raw mut undefined_bits).expose_provenance(),
        1,
    );
    undefined_bits != 0
}

/// The answer; 0 on a bare processor.
fn request(number: usize, first: usize, second: usize, third: usize) -> usize {
    let arguments = [number, first, second, third, 0, 0];
    let mut result = 0_usize;
    // SAFETY: the rotations add up to 128 bits, the exchange is of a register with itself: on a processor,
    // nothing but the flags changes. Valgrind reads the arguments, writes the result, and, for GET_VBITS alone, the byte that
    // the caller gave the address of. `asm!` without `nomem` says that any exposed memory may be read and written.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") arguments.as_ptr(),
            inout("rdx") result,
            options(nostack),
        );
    }
    // SAFETY: as above, with this processor's sequence.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        asm!(
            "ror x12, x12, #3",
            "ror x12, x12, #13",
            "ror x12, x12, #51",
            "ror x12, x12, #61",
            "orr x10, x10, x10",
            in("x4") arguments.as_ptr(),
            inout("x3") result,
            options(nostack),
        );
    }
    result
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!(
    "valgrind's requests are written for x86-64 and aarch64: add this processor's from valgrind/valgrind.h"
);
