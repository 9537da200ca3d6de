use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;

use super::*;

fn oracle(algorithm: Algorithm, secret: &[u8], counter: u64) -> Vec<u8> {
    let message = counter.to_be_bytes();
    match algorithm {
        Algorithm::Sha1 => Hmac::<sha1::Sha1>::new_from_slice(secret)
            .unwrap()
            .chain_update(message)
            .finalize()
            .as_bytes()
            .to_vec(),
        Algorithm::Sha256 => Hmac::<sha2::Sha256>::new_from_slice(secret)
            .unwrap()
            .chain_update(message)
            .finalize()
            .as_bytes()
            .to_vec(),
        Algorithm::Sha512 => Hmac::<sha2::Sha512>::new_from_slice(secret)
            .unwrap()
            .chain_update(message)
            .finalize()
            .as_bytes()
            .to_vec(),
    }
}

fn from(first: u64, count: usize) -> Span {
    Span { begin: first, first, last: first.wrapping_add(u64::try_from(count).unwrap() - 1) }
}

/// Whole MACs, not only what truncation reads.
fn ours(key: &KeyState, first: u64, count: usize) -> Vec<Vec<u8>> {
    fn bytes<const N: usize>(words: impl IntoIterator<Item = [u8; N]>) -> Vec<u8> {
        words.into_iter().flatten().collect()
    }
    match &key.0 {
        AnyKey::Sha1(key) => {
            let mut lanes = Lanes::BEGIN;
            lanes.macs(key, first, count).iter().map(|mac| bytes(mac.map(u32::to_be_bytes))).collect()
        }
        AnyKey::Sha256(key) => {
            let mut lanes = Lanes::BEGIN;
            lanes.macs(key, first, count).iter().map(|mac| bytes(mac.map(u32::to_be_bytes))).collect()
        }
        AnyKey::Sha512(key) => {
            let mut lanes = Lanes::BEGIN;
            lanes.macs(key, first, count).iter().map(|mac| bytes(mac.map(u64::to_be_bytes))).collect()
        }
    }
}

const ALL: [Algorithm; 3] = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512];

#[test]
fn every_key_length_agrees_with_the_oracle() {
    // Beyond a block the key is hashed, and the hash's padding may need a block of its own: both change with the
    // length, for blocks of 64 and of 128 bytes.
    for length in 0..=300 {
        let secret: Vec<u8> = (0..=u8::MAX).cycle().skip(length).take(length).collect();
        for algorithm in ALL {
            let key = KeyState::new(algorithm, &secret);
            assert_eq!(ours(&key, 1, 1), [oracle(algorithm, &secret, 1)], "{algorithm}, {length} bytes");
        }
    }
}

#[test]
fn the_longest_key_agrees_with_the_oracle() {
    let secret = [0xa5; crate::otp::Secret::MAX_BYTES];
    for algorithm in ALL {
        let key = KeyState::new(algorithm, &secret);
        assert_eq!(ours(&key, u64::MAX, 1), [oracle(algorithm, &secret, u64::MAX)]);
    }
}

proptest! {
    #[test]
    fn macs_in_a_row_agree_with_the_oracle(
        secret in prop::collection::vec(any::<u8>(), 1..200),
        starts in prop::collection::vec((prop_oneof![any::<u64>(), Just(u64::MAX - 3)], 1..=3 * LANES), 1..4),
        algorithm in prop::sample::select(&ALL),
    ) {
        let key = KeyState::new(algorithm, &secret);
        for &(first, count) in &starts {
            let counters = std::iter::successors(Some(first), |counter| Some(counter.wrapping_add(1)));
            let macs: Vec<_> = counters.take(count.min(LANES)).map(|counter| oracle(algorithm, &secret, counter)).collect();
            prop_assert_eq!(ours(&key, first, count.min(LANES)), macs);
        }

        // All spans with the same lanes: nothing of one MAC may be left in the next.
        let spans = starts.iter().map(|&(first, count)| {
            Span { last: first.saturating_add(u64::try_from(count - 1).unwrap()), ..from(first, 1) }
        });
        let mut expected = spans.clone().flat_map(|span| (span.begin..=span.last).map(move |counter| (span, counter)));
        let mut differ = Vec::new();
        key.macs(spans.clone(), |span, counter, digest| {
            let mac = oracle(algorithm, &secret, counter);
            let front: Vec<u8> = digest.first.iter().flat_map(|word| word.to_be_bytes()).collect();
            let same = front == mac[..20] && digest.last_byte == *mac.last().unwrap();
            if expected.next() != Some((*span, counter)) || !same {
                differ.push(counter);
            }
        });
        prop_assert_eq!(differ, Vec::<u64>::new());
        prop_assert_eq!(expected.next(), None);
    }
}
