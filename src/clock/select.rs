//! Which sources to believe: Marzullo's intersection, in the form that can be proved.
//!
//! RFC 5905 §11.2.1 looks for the smallest number of falsetickers that gives a non-empty intersection. That
//! is not sound: honest `[0, 2]` and `[1, 3]` with a liar's `[1.9, 5]` intersect in `[1.9, 2]` while the truth
//! is 1.5. Here a number of liars is assumed beforehand, and the result contains every point that could be
//! the truth then.

use super::{NoEstimate, OffsetInterval};
use crate::time::SignedDuration;

/// What the votes agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Contains the truth unless more than `tolerated_liars` of the votes are wrong.
    pub bound: OffsetInterval,
    /// The best-covered region; its middle is the point estimate. No promise comes with it.
    pub best: OffsetInterval,
    /// How many votes cover that region.
    pub agreeing: usize,
    /// F = ⌊(m − 1)/2⌋ for m usable votes.
    pub tolerated_liars: usize,
    /// Votes that miss the best region agree with each other, two at least, or as many as a quorum less one: somebody lies,
    /// and who can't be told with confidence. A lone dissenter among four or more is a falseticker, no party.
    pub contested: bool,
}

impl Selection {
    /// A vote that misses the best region is a falseticker.
    #[must_use]
    pub fn is_truechimer(&self, vote: OffsetInterval) -> bool {
        vote.overlaps(self.best)
    }
}

/// Selects among the bounds of the usable sources, all moved to one anchor.
///
/// `votes` holds one interval for each source that can be used, `configured` counts the silent and refused
/// ones too, and some point must be covered by at least `quorum`: otherwise whoever silences honest sources
/// could make a minority look like everybody.
///
/// With at most `tolerated_liars` liars, every honest interval contains the truth, so at least m − F do; the
/// hull of all points covered that often contains the truth therefore. A liar may widen it, never move it off.
///
/// # Errors
///
/// [`NoEstimate`]: nothing usable, no quorum, or more disagreement than can be tolerated.
pub fn select(votes: &[OffsetInterval], configured: usize, quorum: usize) -> Result<Selection, NoEstimate> {
    let usable = votes.len();
    let coverage = Coverage::of(votes);
    let Some(&Region { covered_by: agreeing, interval: best }) = coverage.best() else {
        return Err(NoEstimate::NothingUsable { configured });
    };
    if agreeing < quorum {
        return Err(NoEstimate::NoQuorum { agreeing, configured, quorum });
    }
    let tolerated_liars = (usable - 1) / 2;
    let needed = usable - tolerated_liars;
    let Some(bound) = coverage.hull(needed) else {
        return Err(NoEstimate::TooManyDisagree { agreeing, usable, needed });
    };
    // One lone dissenter is a falseticker, unless the others are only one more; two that agree with each other are a party.
    let party = quorum.saturating_sub(1).clamp(1, 2);
    let dissenters: Vec<_> = votes.iter().copied().filter(|vote| !vote.overlaps(best)).collect();
    let contested = Coverage::of(&dissenters).best().is_some_and(|region| region.covered_by >= party);
    Ok(Selection { bound, best, agreeing, tolerated_liars, contested })
}

/// The offset line cut at every end of a vote: maximal pieces with the number of votes that cover each.
struct Coverage {
    /// In ascending order; neighbours share an end.
    regions: Vec<Region>,
}

#[derive(Clone, Copy)]
struct Region {
    interval: OffsetInterval,
    covered_by: usize,
}

impl Coverage {
    /// Intervals are closed, so at equal offsets beginnings count before endings: two that touch overlap.
    fn of(votes: &[OffsetInterval]) -> Self {
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        enum End {
            Begins,
            Ends,
        }
        let mut ends: Vec<(SignedDuration, End)> =
            votes.iter().flat_map(|vote| [(vote.lo(), End::Begins), (vote.hi(), End::Ends)]).collect();
        ends.sort_unstable();
        let mut covered_by = 0;
        let mut regions = Vec::with_capacity(ends.len());
        for pair in ends.windows(2) {
            let [(from, end), (to, _)] = pair else { continue };
            match end {
                End::Begins => covered_by += 1,
                End::Ends => covered_by -= 1,
            }
            if covered_by > 0
                && let Some(interval) = OffsetInterval::new(*from, *to)
            {
                regions.push(Region { interval, covered_by });
            }
        }
        Self { regions }
    }

    /// The region that most votes cover, the earliest of several.
    fn best(&self) -> Option<&Region> {
        self.regions.iter().rev().max_by_key(|region| region.covered_by)
    }

    /// From the first to the last point covered by at least `count`.
    fn hull(&self, count: usize) -> Option<OffsetInterval> {
        let mut covered = self.regions.iter().filter(|region| region.covered_by >= count);
        let first = covered.next()?;
        let last = covered.next_back().unwrap_or(first);
        OffsetInterval::new(first.interval.lo(), last.interval.hi())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offset(lo: i64, hi: i64) -> OffsetInterval {
        OffsetInterval::new(SignedDuration::from_nanos(lo), SignedDuration::from_nanos(hi)).unwrap()
    }

    #[test]
    fn the_classic_counterexample_keeps_the_truth() {
        // Honest [0, 20], [10, 30]; a liar's [19, 50]; the truth is 15. The classic rule answers [19, 20].
        let selection = select(&[offset(0, 20), offset(10, 30), offset(19, 50)], 3, 2).unwrap();
        assert_eq!(selection.bound, offset(10, 30));
        assert_eq!((selection.tolerated_liars, selection.agreeing), (1, 3));
    }

    #[test]
    fn touching_intervals_agree() {
        let selection = select(&[offset(0, 10), offset(10, 20)], 2, 2).unwrap();
        assert_eq!((selection.bound, selection.best), (offset(10, 10), offset(10, 10)));
    }

    #[test]
    fn two_sources_tolerate_no_liar() {
        assert_eq!(
            select(&[offset(0, 1), offset(5, 6)], 2, 1),
            Err(NoEstimate::TooManyDisagree { agreeing: 1, usable: 2, needed: 2 })
        );
    }

    #[test]
    fn silence_of_the_others_makes_no_quorum() {
        // Two that agree out of five configured, the rest silent.
        assert_eq!(
            select(&[offset(0, 10), offset(0, 10)], 5, 3),
            Err(NoEstimate::NoQuorum { agreeing: 2, configured: 5, quorum: 3 })
        );
        assert_eq!(select(&[], 5, 3), Err(NoEstimate::NothingUsable { configured: 5 }));
    }

    #[test]
    fn a_lone_falseticker_is_seen_and_contests_nothing() {
        let liar = offset(100, 110);
        let selection = select(&[offset(0, 10), offset(1, 11), offset(2, 12), liar], 5, 3).unwrap();
        assert!(!selection.contested && !selection.is_truechimer(liar));
        assert!(selection.is_truechimer(offset(0, 10)));
    }

    #[test]
    fn one_against_two_contests_and_so_do_two_against_many() {
        let (here, there) = (offset(0, 10), offset(50, 60));
        assert!(select(&[here, here, there], 3, 2).unwrap().contested);
        assert!(!select(&[here, here, here, there], 4, 3).unwrap().contested);
        let seven = [[here; 5].as_slice(), &[there; 2]].concat();
        assert!(select(&seven, 7, 4).unwrap().contested);
        // Two falsetickers that don't agree with each other are no party.
        let scattered = [[here; 5].as_slice(), &[there, offset(90, 99)]].concat();
        assert!(!select(&scattered, 7, 4).unwrap().contested);
    }

    #[test]
    fn wide_votes_between_two_parties_do_not_hide_them() {
        let contested = |votes: &[(usize, i64, i64)], quorum| {
            let votes: Vec<_> = votes
                .iter()
                .flat_map(|&(count, lo, hi)| std::iter::repeat_n(offset(lo, hi), count))
                .collect();
            select(&votes, votes.len(), quorum).unwrap().contested
        };
        assert!(contested(&[(2, 0, 1), (3, 5, 6), (2, 0, 6)], 4));
        // A lone one that is apart from the others is a falseticker, also where a wide vote covers both.
        assert!(!contested(&[(1, 0, 1), (2, 0, 60), (3, 50, 60)], 4));
        assert!(contested(&[(2, 0, 1), (2, 0, 60), (4, 50, 60)], 5));
        assert!(contested(&[(2, 0, 1), (2, 0, 60), (5, 50, 60)], 5));
        // Honest votes of all widths around one truth are one party.
        assert!(!contested(&[(1, 0, 60), (1, 20, 25), (1, 22, 40), (1, 10, 23), (1, 21, 24)], 3));
    }

    #[test]
    fn a_second_party_contests() {
        let selection =
            select(&[offset(0, 10), offset(1, 11), offset(2, 12), offset(50, 60), offset(50, 60)], 5, 3)
                .unwrap();
        assert!(selection.contested);
    }

    /// A few honest intervals around a truth, and liars that know both the truth and every honest interval.
    fn votes() -> impl Strategy<Value = (i64, Vec<OffsetInterval>, Vec<OffsetInterval>)> {
        (1_usize..8).prop_flat_map(|honest| {
            let honest_votes = prop::collection::vec((0_i64..1_000, 0_i64..1_000), honest);
            // At most F = ⌊(m − 1)/2⌋ liars among m = honest + liars: one fewer than there are honest.
            let liar_votes =
                prop::collection::vec((any::<prop::sample::Index>(), -50_i64..50, 0_i64..2_000), 0..honest);
            (-5_000_i64..5_000, honest_votes, liar_votes).prop_map(|(truth, honest, liars)| {
                let honest: Vec<_> =
                    honest.iter().map(|(below, above)| offset(truth - below, truth + above)).collect();
                // An informed liar begins or ends right at somebody's end, the truth itself among them.
                let mut ends: Vec<i64> =
                    honest.iter().flat_map(|vote| [vote.lo().as_nanos(), vote.hi().as_nanos()]).collect();
                ends.push(truth);
                let liars = liars
                    .iter()
                    .map(|(end, beside, width)| {
                        let from = ends[end.index(ends.len())] + beside;
                        if width % 2 == 0 { offset(from, from + width) } else { offset(from - width, from) }
                    })
                    .collect();
                (truth, honest, liars)
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn truth_is_inside_with_at_most_f_liars((truth, honest, liars) in votes()) {
            let all: Vec<_> = honest.iter().chain(&liars).copied().collect();
            // The honest alone cover the truth m − F times, so there is always a selection at quorum 1.
            let selection = select(&all, all.len(), 1).unwrap();
            prop_assert!(liars.len() <= selection.tolerated_liars);
            prop_assert!(selection.bound.contains(SignedDuration::from_nanos(truth)));
        }

        #[test]
        fn any_votes_give_a_bound_that_covers_the_best_region_or_an_error(
            ends in prop::collection::vec((any::<i32>(), 0_i64..1_000_000), 0..12),
            quorum in 1_usize..12,
        ) {
            let votes: Vec<_> = ends.iter().map(|&(lo, width)| offset(lo.into(), i64::from(lo) + width)).collect();
            if let Ok(selection) = select(&votes, votes.len().max(quorum), quorum) {
                prop_assert!(selection.agreeing >= quorum);
                prop_assert_eq!(selection.bound.intersection(selection.best), Some(selection.best));
                let truechimers = votes.iter().filter(|vote| selection.is_truechimer(**vote)).count();
                prop_assert_eq!(truechimers, selection.agreeing);
            }
        }
    }
}
