//! Any intervals into the selection: no panic, and with at most F liars the truth is inside.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use skewgate::clock::{OffsetInterval, select};
use skewgate::time::SignedDuration;

#[derive(Arbitrary, Debug)]
struct Votes {
    truth: i32,
    /// How far below and above the truth each reaches.
    honest: Vec<(u16, u16)>,
    /// Two ends, in either order.
    liars: Vec<(i64, i64)>,
    quorum: u8,
}

fuzz_target!(|input: Votes| {
    if input.honest.len() + input.liars.len() > 64 {
        return;
    }
    let offset = SignedDuration::from_nanos;
    let truth = offset(input.truth.into());
    let honest = input.honest.iter().filter_map(|&(below, above)| {
        OffsetInterval::new(truth - offset(below.into()), truth + offset(above.into()))
    });
    let liars = input
        .liars
        .iter()
        .filter_map(|&(one, other)| OffsetInterval::new(offset(one.min(other)), offset(one.max(other))));
    let mut votes: Vec<_> = honest.collect();
    let honest_count = votes.len();
    votes.extend(liars);
    let quorum = usize::from(input.quorum % 8).max(1);
    if let Ok(selection) = select(&votes, votes.len().max(quorum), quorum) {
        assert!(selection.agreeing >= quorum);
        assert_eq!(selection.bound.intersection(selection.best), Some(selection.best));
        if votes.len() - honest_count <= selection.tolerated_liars {
            assert!(selection.bound.contains(truth));
        }
    }
});
