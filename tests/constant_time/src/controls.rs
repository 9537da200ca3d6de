//! Code that leaks on purpose, each in the one way that its name says. What doesn't see these sees nothing.

use std::hint::black_box;

use skewgate::otp::{Code, StepRange, TimeStep, Totp};
use subtle::ConstantTimeEq;

/// The first step of the window that has this code: returns as soon as it is found.
#[inline(never)]
#[must_use]
pub fn early_exit(totp: &Totp, window: StepRange, code: &Code) -> Option<TimeStep> {
    window.steps().find(|&step| totp.code_at(step).ct_eq(code).into())
}

/// Dynamic truncation as RFC 4226 §5.4 shows it: where it reads depends on the MAC.
#[inline(never)]
#[must_use]
pub fn truncation_by_index(mac: &[u8; 20]) -> u32 {
    let offset = usize::from(mac[19] & 15);
    u32::from_be_bytes([mac[offset], mac[offset + 1], mac[offset + 2], mac[offset + 3]]) & 0x7fff_ffff
}

/// Base32 by a table: where it reads depends on the text.
#[inline(never)]
#[must_use]
pub fn base32_by_table(text: &[u8], table: &[u8; 256]) -> u8 {
    text.iter().fold(0, |sum, &character| sum ^ table[usize::from(character)])
}

/// Calls what divides.
#[inline(never)]
#[must_use]
pub fn divides_in_a_callee(number: u32, digits: u32) -> u32 {
    black_box(last_digits(number, 10_u32.wrapping_pow(digits)))
}

/// How long it takes depends on the number on many processors. memcheck doesn't report it.
#[inline(never)]
fn last_digits(number: u32, modulus: u32) -> u32 {
    number % modulus.max(1)
}
