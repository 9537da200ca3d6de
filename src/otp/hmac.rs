//! HMAC (RFC 2104) of an 8-byte counter.
//!
//! The key's two compression states are computed once; each MAC is then two compressions. The `hmac`
//! crate would do the same, but leaves the padded key on the stack and doesn't wipe a keyed state.

use zeroize::{Zeroize, Zeroizing};

use super::Algorithm;

/// A chaining state of a hash whose blocks have `BLOCK` bytes: what its words are, and how they mix.
trait State<const BLOCK: usize>: Copy + Zeroize {
    /// The state before any input (FIPS 180-4 §5.3).
    const START: Self;
    /// How many bytes it has, which is how long the hash is.
    const BYTES: usize;

    fn compress(&mut self, block: &[u8; BLOCK]);

    /// Writes it big-endian to the front of `block`.
    fn store(&self, block: &mut [u8; BLOCK]);

    fn digest(&self) -> Digest;
}

/// What dynamic truncation reads of a MAC: its last four bits name an offset of at most 15, so it never
/// reads past byte 18, however long the hash is (RFC 6238 §1.2).
#[derive(Clone, Copy)]
pub(super) struct Digest {
    /// The first 20 bytes, big-endian.
    pub(super) first: [u32; 5],
    pub(super) last_byte: u8,
}

impl State<64> for [u32; 5] {
    const START: Self = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    const BYTES: usize = 20;

    fn compress(&mut self, block: &[u8; 64]) {
        sha1::block_api::compress(self, std::slice::from_ref(block));
    }

    fn store(&self, block: &mut [u8; 64]) {
        store_u32(self, block);
    }

    fn digest(&self) -> Digest {
        let [.., last] = self;
        Digest { first: *self, last_byte: last.to_le_bytes()[0] }
    }
}

impl State<64> for [u32; 8] {
    const START: Self = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];
    const BYTES: usize = 32;

    fn compress(&mut self, block: &[u8; 64]) {
        sha2::block_api::compress256(self, std::slice::from_ref(block));
    }

    fn store(&self, block: &mut [u8; 64]) {
        store_u32(self, block);
    }

    fn digest(&self) -> Digest {
        let &[a, b, c, d, e, _, _, last] = self;
        Digest { first: [a, b, c, d, e], last_byte: last.to_le_bytes()[0] }
    }
}

impl State<128> for [u64; 8] {
    const START: Self = [
        0x6a09_e667_f3bc_c908,
        0xbb67_ae85_84ca_a73b,
        0x3c6e_f372_fe94_f82b,
        0xa54f_f53a_5f1d_36f1,
        0x510e_527f_ade6_82d1,
        0x9b05_688c_2b3e_6c1f,
        0x1f83_d9ab_fb41_bd6b,
        0x5be0_cd19_137e_2179,
    ];
    const BYTES: usize = 64;

    fn compress(&mut self, block: &[u8; 128]) {
        sha2::block_api::compress512(self, std::slice::from_ref(block));
    }

    fn store(&self, block: &mut [u8; 128]) {
        for (bytes, word) in block.as_chunks_mut().0.iter_mut().zip(self) {
            *bytes = word.to_be_bytes();
        }
    }

    fn digest(&self) -> Digest {
        let halves = |word: u64| [(word >> 32) as u32, (word & 0xffff_ffff) as u32];
        let &[first, second, third, .., last] = self;
        let ([a, b], [c, d], [e, _]) = (halves(first), halves(second), halves(third));
        Digest { first: [a, b, c, d, e], last_byte: last.to_le_bytes()[0] }
    }
}

fn store_u32<const WORDS: usize>(state: &[u32; WORDS], block: &mut [u8; 64]) {
    for (bytes, word) in block.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
}

/// The states after the padded key: all that is kept of a secret.
#[derive(Clone)]
struct Key<S: Zeroize> {
    inner: S,
    outer: S,
}

impl<S: Zeroize> Key<S> {
    /// Boxed before the secret comes in: moving it afterwards moves a pointer and leaves no copy.
    fn new<const BLOCK: usize>(secret: &[u8]) -> Box<Self>
    where
        S: State<BLOCK>,
    {
        let mut block = Zeroizing::new([0; BLOCK]);
        match block.get_mut(..secret.len()) {
            Some(front) => front.copy_from_slice(secret),
            // RFC 2104 §2: a key longer than a block is hashed first.
            None => hash::<S, BLOCK>(secret).store(&mut block),
        }
        let mut key = Box::new(Self { inner: S::START, outer: S::START });
        for byte in block.iter_mut() {
            *byte ^= INNER_PAD;
        }
        key.inner.compress(&block);
        for byte in block.iter_mut() {
            *byte ^= INNER_PAD ^ OUTER_PAD;
        }
        key.outer.compress(&block);
        key
    }
}

impl<S: Zeroize> Drop for Key<S> {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

const INNER_PAD: u8 = 0x36;
const OUTER_PAD: u8 = 0x5c;

/// The hash of `message`.
fn hash<S: State<BLOCK>, const BLOCK: usize>(message: &[u8]) -> Zeroizing<S> {
    let mut state = Zeroizing::new(S::START);
    let (blocks, rest) = message.as_chunks::<BLOCK>();
    for block in blocks {
        state.compress(block);
    }
    let mut last = Zeroizing::new([0; BLOCK]);
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    // The length takes an eighth of a block, the end marker a byte before it.
    if rest.len() >= BLOCK - BLOCK / 8 {
        mark_end(&mut last, rest.len());
        state.compress(&last);
        last.zeroize();
    } else {
        mark_end(&mut last, rest.len());
    }
    write_length(&mut last, message.len());
    state.compress(&last);
    state
}

/// The one bit that ends a message (FIPS 180-4 §5.1).
const fn mark_end<const BLOCK: usize>(block: &mut [u8; BLOCK], length: usize) {
    if length < BLOCK {
        block[length] = 0x80;
    }
}

/// The message's length in bits at the end of its last block (FIPS 180-4 §5.1). Secrets are at most 1024 bytes
/// and blocks 128, so two bytes hold it.
const fn write_length<const BLOCK: usize>(block: &mut [u8; BLOCK], bytes: usize) {
    let [.., a, b] = bytes.saturating_mul(8).to_be_bytes();
    if let Some(end) = block.last_chunk_mut() {
        *end = [a, b];
    }
}

/// The key state of a secret under one of the hashes.
#[derive(Clone)]
pub(super) struct KeyState(AnyKey);

#[derive(Clone)]
enum AnyKey {
    Sha1(Box<Key<[u32; 5]>>),
    Sha256(Box<Key<[u32; 8]>>),
    Sha512(Box<Key<[u64; 8]>>),
}

impl KeyState {
    pub(super) fn new(algorithm: Algorithm, secret: &[u8]) -> Self {
        Self(match algorithm {
            Algorithm::Sha1 => AnyKey::Sha1(Key::new(secret)),
            Algorithm::Sha256 => AnyKey::Sha256(Key::new(secret)),
            Algorithm::Sha512 => AnyKey::Sha512(Key::new(secret)),
        })
    }

    pub(super) const fn algorithm(&self) -> Algorithm {
        match self.0 {
            AnyKey::Sha1(_) => Algorithm::Sha1,
            AnyKey::Sha256(_) => Algorithm::Sha256,
            AnyKey::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Shows `take` each counter of each span, in order, with its MAC. A counter goes in as eight bytes, big-endian
    /// (RFC 4226 §5.2).
    #[inline]
    pub(super) fn macs(&self, spans: impl Iterator<Item = Span>, take: impl FnMut(&Span, u64, Digest)) {
        match &self.0 {
            AnyKey::Sha1(key) => key.macs(spans, take),
            AnyKey::Sha256(key) => key.macs(spans, take),
            AnyKey::Sha512(key) => key.macs(spans, take),
        }
    }
}

/// Counters in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// The first one that a MAC is made of.
    pub(super) begin: u64,
    /// The first one that counts: those before lead up to it.
    pub(super) first: u64,
    pub(super) last: u64,
}

/// How many MACs are made side by side. The rounds of a compression wait for each other; compressions that don't
/// wait for each other, one right after the other, give the processor something to do meanwhile.
const LANES: usize = 4;

/// For each lane two blocks whose padding never changes, as a counter and a hash always have the same length: only these
/// are written for each MAC, and everything is wiped once for all of them.
///
/// Each lane has its own blocks, and all are written before the first is hashed. A processor that loads 16 bytes right
/// after they were stored in smaller pieces has to wait for the stores; by the time that a lane's turn comes they are done.
struct Lanes<S: State<BLOCK>, const BLOCK: usize> {
    counters: [[u8; BLOCK]; LANES],
    inner_hashes: [[u8; BLOCK]; LANES],
    states: [S; LANES],
}

impl<S: Zeroize> Key<S> {
    /// See [`KeyState::macs`].
    #[inline]
    fn macs<const BLOCK: usize>(
        &self,
        spans: impl Iterator<Item = Span>,
        mut take: impl FnMut(&Span, u64, Digest),
    ) where
        S: State<BLOCK>,
    {
        let mut lanes = Lanes::<S, BLOCK>::BEGIN;
        for span in spans {
            let mut next = Some(span.begin);
            while let Some(begin) = next.filter(|&begin| begin <= span.last) {
                let count = usize::try_from(span.last - begin)
                    .map_or(LANES, |more| more.saturating_add(1).min(LANES));
                let mut counter = begin;
                for mac in lanes.macs(self, begin, count) {
                    take(&span, counter, mac.digest());
                    counter = counter.wrapping_add(1);
                }
                next = u64::try_from(count).ok().and_then(|count| begin.checked_add(count));
            }
        }
    }
}

impl<S: State<BLOCK>, const BLOCK: usize> Lanes<S, BLOCK> {
    /// One constant: put together at run time, it was copied about right after it was written.
    const BEGIN: Self = Self {
        counters: [padded_after_key(size_of::<u64>()); LANES],
        inner_hashes: [padded_after_key(S::BYTES); LANES],
        states: [S::START; LANES],
    };

    /// The MACs of at most [`LANES`] counters.
    #[inline]
    fn macs(&mut self, key: &Key<S>, first: u64, count: usize) -> &[S] {
        let (Some(states), Some(counters), Some(inner_hashes)) = (
            self.states.get_mut(..count),
            self.counters.get_mut(..count),
            self.inner_hashes.get_mut(..count),
        ) else {
            return &[];
        };
        let mut counter = first;
        for block in counters.iter_mut() {
            if let Some(front) = block.first_chunk_mut() {
                *front = counter.to_be_bytes();
            }
            counter = counter.wrapping_add(1);
        }
        for (state, block) in states.iter_mut().zip(counters) {
            *state = key.inner;
            state.compress(block);
        }
        for (state, block) in states.iter_mut().zip(inner_hashes.iter_mut()) {
            state.store(block);
            *state = key.outer;
        }
        for (state, block) in states.iter_mut().zip(inner_hashes) {
            state.compress(block);
        }
        states
    }
}

impl<S: State<BLOCK>, const BLOCK: usize> Drop for Lanes<S, BLOCK> {
    fn drop(&mut self) {
        // Not byte by byte, as `zeroize` would: that took as long as a hash.
        self.inner_hashes = [[0; BLOCK]; LANES];
        self.states = [S::START; LANES];
        zeroize::optimization_barrier(self);
    }
}

/// The padding of a message of `length` bytes that follows a block of key.
const fn padded_after_key<const BLOCK: usize>(length: usize) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    mark_end(&mut block, length);
    write_length(&mut block, BLOCK + length);
    block
}

#[cfg(test)]
mod tests;
