//! Random numbers that tell exchanges apart, and the table of those that are waited for.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::io;

/// How many are drawn at a time.
const DRAWN: usize = 32;

/// Random numbers of the operating system, drawn many at a time.
pub(super) struct Nonces {
    drawn: [[u8; 8]; DRAWN],
    used: usize,
}

impl Default for Nonces {
    fn default() -> Self {
        Self { drawn: [[0; 8]; DRAWN], used: DRAWN }
    }
}

impl Nonces {
    /// A fresh one. Never zero, which would look like "no origin timestamp".
    pub(super) fn draw(&mut self) -> io::Result<u64> {
        loop {
            if self.used >= DRAWN {
                getrandom::fill(self.drawn.as_flattened_mut()).map_err(io::Error::other)?;
                self.used = 0;
            }
            let nonce = u64::from_ne_bytes(self.drawn[self.used]);
            self.used += 1;
            if nonce != 0 {
                return Ok(nonce);
            }
        }
    }
}

/// What is known by its nonce: 64 random bits that nobody else chose. Others can only look up, which puts nothing
/// into the table, so they can't make it slow.
pub(super) type ByNonce<T> = HashMap<u64, T, BuildHasherDefault<AsItIs>>;

/// A nonce is its own hash.
#[derive(Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write_u64(&mut self, hash: u64) {
        self.0 = self.0.rotate_left(8) ^ hash;
    }

    /// For other keys: they have no place here, and are told apart all the same.
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_nonce_comes_twice_or_is_zero() {
        let mut nonces = Nonces::default();
        let mut seen = ByNonce::default();
        for index in 0..10 * DRAWN {
            assert_eq!(seen.insert(nonces.draw().unwrap(), index), None);
        }
        assert!(!seen.contains_key(&0));
        // A table that hashes badly would still be right, but it shows that they are spread over all bits.
        let bits = seen.keys().fold((0, 0), |(ones, zeros), nonce| (ones | nonce, zeros | !nonce));
        assert_eq!(bits, (u64::MAX, u64::MAX));
    }
}
