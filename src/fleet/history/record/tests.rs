use super::*;
use proptest::prelude::*;

/// One sweep of a host: anything within a thousand years, to the nanosecond.
fn any_seen() -> impl Strategy<Value = Observed<'static>> {
    let ends = (-9_000_000_000_000_000_000_i64..9_000_000_000_000_000_000, 0_i64..200_000_000_000_000_000);
    let near = (-3_000_000_i64..3_000_000, 0_i64..1_000_000);
    let skew = proptest::option::of(prop_oneof![ends, near]);
    (0..State::ALL.len(), skew, proptest::option::of(any::<i64>())).prop_map(|(state, skew, delay)| {
        Observed {
            host: "a",
            state: State::ALL[state],
            skew: skew.and_then(|(lo, width)| {
                let end = |nanos: i64| SignedDuration::from_nanos(nanos);
                OffsetInterval::new(end(lo), end(lo.saturating_add(width)))
            }),
            delay: delay.map(SignedDuration::from_nanos),
        }
    })
}

fn sweeps() -> impl Strategy<Value = Vec<Observed<'static>>> {
    proptest::collection::vec(any_seen(), 1..30)
}

fn all(records: impl IntoIterator<Item = Record>) -> Record {
    records.into_iter().reduce(Record::and).unwrap()
}

proptest! {
    #[test]
    fn the_hull_never_shrinks_the_worst_is_kept_and_counts_add_up(sweeps in sweeps()) {
        let whole = all(sweeps.iter().map(Record::of));
        let count = |keep: fn(&Observed<'_>) -> bool| u32::try_from(sweeps.iter().filter(|seen| keep(seen)).count()).unwrap();
        prop_assert_eq!(whole.sweeps, count(|_| true));
        prop_assert_eq!(whole.missed, count(|seen| seen.skew.is_none() && seen.delay.is_none()));
        prop_assert_eq!(whole.skew.map_or(0, |skew| skew.compared), count(|seen| seen.skew.is_some()));
        prop_assert_eq!(whole.state, sweeps.iter().map(|seen| seen.state).min().unwrap());
        let hull = whole.skew.and_then(|skew| skew.hull());
        let bounds: Vec<_> = sweeps.iter().filter_map(|seen| seen.skew).collect();
        prop_assert_eq!(hull.is_some(), !bounds.is_empty());
        for bound in &bounds {
            let hull = hull.unwrap();
            prop_assert!(hull.lo() <= bound.lo() && bound.hi() <= hull.hi());
        }
        if let Some(hull) = hull {
            // And it is no wider than it has to be: by a microsecond at each end.
            let lo = bounds.iter().map(|bound| bound.lo().as_nanos()).min().unwrap();
            let hi = bounds.iter().map(|bound| bound.hi().as_nanos()).max().unwrap();
            prop_assert!(lo - hull.lo().as_nanos() < 1_000 && hull.hi().as_nanos() - hi < 1_000);
        }
        let delays = sweeps.iter().filter_map(|seen| seen.delay);
        let least = delays.map(|delay| u64::try_from(delay.as_nanos().max(0)).unwrap().div_ceil(1_000)).min();
        prop_assert_eq!(whole.delay_us, least);
    }

    #[test]
    fn it_does_not_matter_what_is_put_together_first(sweeps in sweeps(), parts in 1_usize..10, turn in 0_usize..30) {
        let records: Vec<_> = sweeps.iter().map(Record::of).collect();
        let whole = all(records.iter().copied());
        let in_parts = all(records.chunks(parts).map(|part| all(part.iter().copied())));
        prop_assert_eq!(in_parts, whole);
        let mut turned = records;
        let turn = turn % turned.len();
        turned.rotate_left(turn);
        turned.reverse();
        prop_assert_eq!(all(turned), whole);
    }

    #[test]
    fn what_is_typical_is_the_mean_of_the_middles(sweeps in sweeps()) {
        let Some(skew) = all(sweeps.iter().map(Record::of)).skew else { return Ok(()) };
        let hull = skew.hull().unwrap();
        prop_assert!(hull.contains(skew.typical()));
        let middles: Vec<i128> = sweeps
            .iter()
            .filter_map(|seen| seen.skew)
            .map(|bound| (i128::from(bound.lo().as_nanos()) + i128::from(bound.hi().as_nanos())) / 2)
            .collect();
        let mean = middles.iter().sum::<i128>() / i128::try_from(middles.len()).unwrap();
        prop_assert!((mean - i128::from(skew.typical().as_nanos())).abs() <= 1_001);
    }
}
