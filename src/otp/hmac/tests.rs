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

/// Whole MACs, not only what truncation reads.
fn ours(run: &mut Run<'_>, first: u64, count: usize) -> Vec<Vec<u8>> {
    fn bytes<const N: usize>(words: impl IntoIterator<Item = [u8; N]>) -> Vec<u8> {
        words.into_iter().flatten().collect()
    }
    match &mut run.0 {
        AnyLanes::Sha1(lanes) => {
            lanes.macs(first, count).iter().map(|mac| bytes(mac.map(u32::to_be_bytes))).collect()
        }
        AnyLanes::Sha256(lanes) => {
            lanes.macs(first, count).iter().map(|mac| bytes(mac.map(u32::to_be_bytes))).collect()
        }
        AnyLanes::Sha512(lanes) => {
            lanes.macs(first, count).iter().map(|mac| bytes(mac.map(u64::to_be_bytes))).collect()
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
            assert_eq!(
                ours(&mut key.run(), 1, 1),
                [oracle(algorithm, &secret, 1)],
                "{algorithm}, {length} bytes"
            );
        }
    }
}

#[test]
fn the_longest_key_agrees_with_the_oracle() {
    let secret = [0xa5; crate::otp::Secret::MAX_BYTES];
    for algorithm in ALL {
        let key = KeyState::new(algorithm, &secret);
        assert_eq!(ours(&mut key.run(), u64::MAX, 1), [oracle(algorithm, &secret, u64::MAX)]);
    }
}

proptest! {
    #[test]
    fn macs_in_a_row_agree_with_the_oracle(
        secret in prop::collection::vec(any::<u8>(), 1..200),
        batches in prop::collection::vec((any::<u64>(), 0..=LANES), 1..4),
        algorithm in prop::sample::select(&ALL),
    ) {
        let key = KeyState::new(algorithm, &secret);
        let mut run = key.run();
        for (first, count) in batches {
            let counters = std::iter::successors(Some(first), |counter| Some(counter.wrapping_add(1)));
            let macs: Vec<_> = counters.take(count).map(|counter| oracle(algorithm, &secret, counter)).collect();
            prop_assert_eq!(&ours(&mut run, first, count), &macs);

            let mut digests = Vec::new();
            run.macs(first, count, |digest| digests.push(digest));
            prop_assert_eq!(digests.len(), count);
            for (digest, mac) in digests.iter().zip(&macs) {
                let front: Vec<u8> = digest.first.iter().flat_map(|word| word.to_be_bytes()).collect();
                prop_assert_eq!(&front, &mac[..20]);
                prop_assert_eq!(digest.last_byte, *mac.last().unwrap());
            }
        }
    }
}
