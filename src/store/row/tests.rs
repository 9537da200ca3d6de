use super::*;
use proptest::prelude::*;

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), Just(-1), Just(i64::MIN), Just(i64::MAX), -300..300_i64, any::<i64>()]
}

prop_compose! {
    fn token()(
        epoch in any::<u64>(),
        watermark in proptest::option::of(prop_oneof![0..200_i64, Just(i64::MAX), 0..=i64::MAX]),
        nonce in any::<[u8; 8]>(),
        mean in number(),
        variance in prop_oneof![Just(0), Just(u64::MAX), any::<u64>()],
        updated in number(),
        outlier in proptest::option::of(number()),
    ) -> TokenState {
        let drift = Drift::from_parts(
            SignedDuration::from_nanos(mean),
            variance,
            Timestamp::from_unix_nanos(updated),
            outlier.map(SignedDuration::from_nanos),
        );
        TokenState { epoch, watermark: watermark.and_then(TimeStep::new), nonce, drift }
    }
}

prop_compose! {
    fn budget()(blind in number(), partial in number(), failures in prop_oneof![0..300_u32, any::<u32>()]) -> Budget {
        let time = Timestamp::from_unix_nanos;
        Budget::from_parts(time(blind), time(partial), failures)
    }
}

fn row() -> impl Strategy<Value = Row> {
    (proptest::option::of(token()), proptest::option::of(budget()))
        .prop_map(|(token, budget)| Row { token, budget })
}

proptest! {
    #[test]
    fn what_is_written_is_read(row in row()) {
        prop_assert_eq!(decode(&encode(&row)), Ok(row));
    }

    #[test]
    fn what_is_read_is_written_so(bytes in proptest::collection::vec(any::<u8>(), 0..80), flags in 0..16_u8) {
        let mut bytes = bytes;
        if let Some(header) = bytes.first_mut() {
            *header = VERSION << 4 | flags;
        }
        if let Ok(row) = decode(&bytes) {
            prop_assert_eq!(encode(&row), bytes);
        }
    }

    #[test]
    fn what_is_cut_or_longer_is_no_row(row in row(), cut in any::<proptest::sample::Index>(), byte: u8) {
        let mut bytes = encode(&row);
        let cut = &bytes[..cut.index(bytes.len())];
        prop_assert_eq!(decode(cut), Err(RowError::TooShort { bytes: cut.len() }));
        bytes.push(byte);
        prop_assert_eq!(decode(&bytes), Err(RowError::TooLong { extra: 1 }));
    }
}

/// A change of the encoding needs a version of its own: rows that were written are read.
#[test]
fn the_bytes_are_these() {
    let drift = Drift::from_parts(
        SignedDuration::from_nanos(-3),
        300,
        Timestamp::from_unix_nanos(1),
        Some(SignedDuration::from_nanos(64)),
    );
    let state =
        TokenState { epoch: 0x0807_0605_0403_0201, watermark: TimeStep::new(127), nonce: [9; 8], drift };
    let time = Timestamp::from_unix_nanos;
    let row = Row { token: Some(state), budget: Some(Budget::from_parts(time(-1), time(2), 128)) };
    let expected = [
        &[0x1f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9, 9, 9, 9, 9, 127, 5, 0xac, 2][..],
        &[1, 0, 0, 0, 0, 0, 0, 0, 0x80, 1, 255, 255, 255, 255, 255, 255, 255, 255],
        &[2, 0, 0, 0, 0, 0, 0, 0, 0x80, 1],
    ]
    .concat();
    assert_eq!(encode(&row), expected);
    assert_eq!(decode(&expected), Ok(row));
}

#[test]
fn other_ways_to_write_a_value_are_refused() {
    let budget = |failures: &[u8]| decode(&[&[0x12][..], &[0; 16], failures].concat());
    assert!(budget(&[0x7f]).is_ok());
    for failures in [
        &[0x80, 0][..],                                    // 0 in two bytes
        &[0xff, 0x80, 0],                                  // 127 in three
        &[0x80, 0x80, 0x80, 0x80, 0x10],                   // 2³²
        &[255, 255, 255, 255, 255, 255, 255, 255, 255, 2], // 2⁶⁵ − …
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1],
    ] {
        assert_eq!(budget(failures), Err(RowError::Invalid { at: 17 }), "{failures:?}");
    }
    assert_eq!(decode(&[0x20]), Err(RowError::Version { found: 2 }));
    assert_eq!(decode(&[0x14]), Err(RowError::Invalid { at: 0 }), "a watermark without a token");
}

/// What is kept for most tokens: a store's promise of 160 bytes for each hangs on it.
#[test]
fn a_common_row_is_short() {
    let now = Timestamp::from_unix_nanos(1_780_000_000_000_000_000);
    let drift = Drift::from_parts(SignedDuration::from_secs(-150), 124_000_000_000_000, now, None);
    let state =
        TokenState { epoch: u64::MAX >> 1, watermark: TimeStep::new(59_333_333), nonce: [7; 8], drift };
    let row = Row { token: Some(state), budget: Some(Budget::full(now)) };
    assert_eq!(encode(&row).len(), 59);
}
