//! Any bytes as a backup: refused, or imported whole, and exported again to the same tokens.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use skewgate::block_on;
use skewgate::store::{MemoryStore, Record, backup};
use skewgate::time::sim::SimTime;
use skewgate::time::{SignedDuration, TimeInterval, Timestamp};
use skewgate::token::TokenState;

fn by_name(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by(|a, b| (a.key.token(), a.key.budget()).cmp(&(b.key.token(), b.key.budget())));
    records
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(backup::Backup { records, not_before, .. }) = backup::read(&mut &*bytes) else { return };
    let store = MemoryStore::new();
    let now = Timestamp::from_unix_nanos(1_800_000_000_000_000_000);
    let clock = SimTime::new(TimeInterval::around(now, Duration::from_secs(1)));
    let far = not_before.is_some_and(|before| before > now + SignedDuration::from_secs(3_901));
    let imported = block_on(backup::import(&store, &clock, &mut &*bytes));
    assert_eq!(imported.is_err(), far, "it was read");
    let Ok(import) = imported else { return };
    assert_eq!((import.created, import.kept), (records.len(), 0));
    let mut exported = Vec::new();
    assert_eq!(block_on(backup::export(&store, &mut exported)).expect("in memory"), records.len());
    let again = backup::read(&mut exported.as_slice()).expect("its own form").records;
    let names = |records: &[Record]| -> Vec<_> {
        records
            .iter()
            .map(|record| {
                (record.key.clone(), TokenState { epoch: record.state.epoch & 0xffff, ..record.state })
            })
            .collect()
    };
    assert_eq!(names(&by_name(again)), names(&by_name(records)));
});
