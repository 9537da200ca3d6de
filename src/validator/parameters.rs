//! What a token's codes are made of, as its epoch says it.

use crate::otp::Totp;
use crate::time::SignedDuration;
use crate::token::TokenState;

use super::{Reason, TokenFault};

/// How many bits of an epoch say what the token's codes were made of.
const PARAMETER_BITS: u32 = TokenState::PARAMETER_BITS;

/// Which enrolment it is, drawn at random: a token that was removed and enrolled again under the same id must not be
/// moved by an acceptance that was decided on before. Counting from 0 would start at the same epoch both times.
///
/// The lowest bits say what its codes are made of, since the row's steps mean nothing under another period: see
/// [`check_parameters`]. 63 bits in all: stores may keep it as a signed integer.
pub(super) fn epoch(totp: &Totp) -> Result<u64, Reason> {
    let random = getrandom::u64().map_err(|_| Reason::NoRandomness)?;
    Ok((random >> 1 >> PARAMETER_BITS << PARAMETER_BITS) | parameters(totp))
}

/// Refuses a token whose steps are counted in another way than its row's: one that was [renewed](super::Validator::renew) under a caller
/// who still has the old one, or whose period was changed behind the validator's back. Steps that are half as many would let
/// used codes in once more, and those that are twice as many lock the token for decades.
pub(super) fn check_parameters(state: &TokenState, totp: &Totp) -> Result<(), TokenFault> {
    if state.epoch & ((1 << PARAMETER_BITS) - 1) == parameters(totp) {
        Ok(())
    } else {
        Err(TokenFault::OtherParameters)
    }
}

/// A hash of what a token's codes are made of besides its secret. It guards against mistakes, not against anybody.
fn parameters(totp: &Totp) -> u64 {
    let parts = [
        SignedDuration::from(totp.period()).as_nanos().cast_unsigned(),
        totp.t0().as_unix_nanos().cast_unsigned(),
        u64::from(totp.format().guess_odds_numerator()),
        totp.format().length() as u64,
        totp.algorithm() as u64,
    ];
    // FNV-1a's numbers, a word at a time, with its upper half folded down after each: a product alone carries nothing downwards.
    let hash = parts.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, part| {
        let product = (hash ^ part).wrapping_mul(0x0100_0000_01b3);
        product ^ (product >> 32)
    });
    (hash ^ (hash >> 16) ^ (hash >> 32) ^ (hash >> 48)) & ((1 << PARAMETER_BITS) - 1)
}
