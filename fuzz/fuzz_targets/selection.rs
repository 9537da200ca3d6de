//! Any intervals into the selection: no panic, and with at most F liars the truth is inside.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skewgate::clock::{OffsetInterval, select};
use skewgate::time::SignedDuration;

fuzz_target!(|input: (i32, Vec<(u16, u16)>, Vec<(i64, i64)>, u8)| {
    let (truth, honest, liars, quorum) = input;
    if honest.len() + liars.len() > 64 {
        return;
    }
    let truth = SignedDuration::from_nanos(truth.into());
    let offset = SignedDuration::from_nanos;
    let honest = honest.iter().filter_map(|&(below, above)| {
        OffsetInterval::new(truth - offset(below.into()), truth + offset(above.into()))
    });
    let liars = liars.iter().filter_map(|&(one, other)| OffsetInterval::new(offset(one.min(other)), offset(one.max(other))));
    let mut votes: Vec<_> = honest.collect();
    let honest_count = votes.len();
    votes.extend(liars);
    let quorum = usize::from(quorum % 8).max(1);
    if let Ok(selection) = select(&votes, votes.len().max(quorum), quorum) {
        assert!(selection.agreeing >= quorum);
        assert_eq!(selection.bound.intersection(selection.best), Some(selection.best));
        if votes.len() - honest_count <= selection.tolerated_liars {
            assert!(selection.bound.contains(truth));
        }
    }
});
