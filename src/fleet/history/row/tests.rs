use super::*;
use proptest::prelude::*;

fn any_record() -> impl Strategy<Value = Record> {
    let skew = (1_u32..4, any::<i64>(), any::<i64>(), any::<u64>());
    let counts = (0_u32..4, 0_u32..4, 0..State::ALL.len());
    (counts, proptest::option::of(skew), proptest::option::of(any::<u64>())).prop_map(
        |((more, missed, state), skew, delay_us)| {
            let skew = skew.map(|(compared, one, other, sum_us)| {
                let (lo_us, hi_us) = (one.min(other), one.max(other));
                let sum_us = if compared == 1 { hi_us.abs_diff(lo_us) } else { sum_us };
                Skew { compared, lo_us, hi_us, sum_us }
            });
            let compared = skew.map_or(0, |skew| skew.compared);
            let sweeps = (more + missed + compared).max(1);
            Record { sweeps, missed, state: State::ALL[state], skew, delay_us }
        },
    )
}

fn any_records() -> impl Strategy<Value = Vec<(u32, Record)>> {
    proptest::collection::btree_map(any::<u32>(), any_record(), 1..40)
        .prop_map(|map| map.into_iter().collect())
}

proptest! {
    #[test]
    fn a_row_is_read_back(records in any_records(), sweeps in 1_u32..4) {
        let row = Row { sweeps, records };
        let (first, bytes) = encode(&row).unwrap();
        prop_assert_eq!(decode(first, &bytes), Ok(row));
        for end in 0..bytes.len() {
            // Cut between two records it is a shorter row; anywhere else, none.
            if let Ok(shorter) = decode(first, &bytes[..end]) {
                prop_assert_eq!(encode(&shorter).unwrap(), (first, bytes[..end].to_vec()));
            }
        }
    }

    #[test]
    fn bytes_are_one_row_or_none(first in any::<u32>(), bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(row) = decode(first, &bytes) {
            prop_assert_eq!(encode(&row), Some((first, bytes)));
        }
    }

    #[test]
    fn no_row_is_longer_than_a_page_and_all_hold_what_was_pushed(records in any_records(), times in 1_u32..40) {
        // Many of them, so that there is more than one row.
        let mut pushed: Vec<(u32, Record)> = Vec::new();
        for (number, (_, record)) in records.iter().cycle().take(records.len() * times as usize).enumerate() {
            pushed.push((u32::try_from(number).unwrap() * 3, *record));
        }
        let mut rows = Rows::new(2);
        pushed.iter().for_each(|(host, record)| rows.push(*host, record));
        let mut read = Vec::new();
        for (first, bytes) in rows.finish() {
            prop_assert!(bytes.len() <= MOST_BYTES);
            let row = decode(first, &bytes).unwrap();
            prop_assert_eq!(row.sweeps, 2);
            read.extend(row.records);
        }
        prop_assert_eq!(read, pushed);
    }
}

#[test]
fn a_usual_host_takes_eight_bytes_or_so() {
    let skew = Skew { compared: 1, lo_us: -180, hi_us: 210, sum_us: 390 };
    let record = Record { sweeps: 1, missed: 0, state: State::InSync, skew: Some(skew), delay_us: Some(400) };
    let records: Vec<_> = (0..100).map(|host| (host, record)).collect();
    let (_, bytes) = encode(&Row { sweeps: 1, records }).unwrap();
    assert_eq!(bytes.len(), 2 + 100 * 7);
}

#[test]
fn what_is_no_row_says_so() {
    assert_eq!(decode(0, &[]), Err(RowError::TooShort { bytes: 0 }));
    assert_eq!(decode(0, &[1, 1]), Err(RowError::TooShort { bytes: 2 }));
    assert_eq!(decode(0, &[2, 1, 7]), Err(RowError::Version { found: 2 }));
    // A ninth state; a first host that isn't the one of the key; counts that need not be said; nobody asked it.
    for record in [&[8][..], &[7 | GAP, 1], &[7 | COUNTS, 1, 1, 0], &[7 | COUNTS, 0, 0, 0]] {
        let bytes = [&[1, 1], record].concat();
        assert_eq!(decode(0, &bytes), Err(RowError::Invalid { at: 2 }), "{record:?}");
    }
    // Another one behind the last number that there is.
    assert_eq!(decode(u32::MAX, &[1, 1, 7, 7]), Err(RowError::Invalid { at: 3 }));
}
