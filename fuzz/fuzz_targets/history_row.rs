//! Rows of a history: any bytes are a row or an error, a row has one encoding, and that is read back; the alarms that are kept beside them
//! too.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use skewgate::fleet::history::row::{self, Record, Row, Skew};
use skewgate::fleet::{Standing, State};

#[derive(Arbitrary, Debug)]
struct Seen {
    host: u32,
    silent: u16,
    missed: u16,
    state: u8,
    skew: Option<(u16, i64, i64, u64)>,
    delay_us: Option<u64>,
}

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Bytes(u32, &'a [u8]),
    Row(u32, Vec<Seen>),
    Standing(&'a [u8]),
}

fn record(seen: &Seen) -> Record {
    let skew = seen.skew.map(|(compared, one, other, sum_us)| {
        let compared = u32::from(compared).max(1);
        let (lo_us, hi_us) = (one.min(other), one.max(other));
        let sum_us = if compared == 1 { hi_us.abs_diff(lo_us) } else { sum_us };
        Skew { compared, lo_us, hi_us, sum_us }
    });
    let missed = u32::from(seen.missed);
    let sweeps = missed + u32::from(seen.silent) + skew.map_or(0, |skew| skew.compared);
    let state = State::ALL[usize::from(seen.state) % State::ALL.len()];
    Record { sweeps: sweeps.max(1), missed, state, skew, delay_us: seen.delay_us }
}

fuzz_target!(|input: Input<'_>| match input {
    Input::Bytes(first, bytes) => {
        if let Ok(read) = row::decode(first, bytes) {
            assert_eq!(row::encode(&read), Some((first, bytes.to_vec())));
            // Whatever was read can be put together and shown.
            let all = read.records.iter().map(|(_, record)| *record).reduce(Record::and);
            if let Some(skew) = all.and_then(|record| record.skew) {
                assert!(skew.hull().is_some_and(|hull| hull.lo() <= skew.typical()));
            }
        }
    }
    Input::Row(sweeps, mut seen) => {
        seen.sort_by_key(|seen| seen.host);
        seen.dedup_by_key(|seen| seen.host);
        let written = Row { sweeps, records: seen.iter().map(|seen| (seen.host, record(seen))).collect() };
        match row::encode(&written) {
            Some((first, bytes)) => assert_eq!(row::decode(first, &bytes), Ok(written)),
            None => assert!(written.records.is_empty()),
        }
    }
    Input::Standing(bytes) => {
        if let Ok(standing) = Standing::from_bytes(bytes) {
            assert_eq!(standing.to_bytes(), bytes);
        }
    }
});
