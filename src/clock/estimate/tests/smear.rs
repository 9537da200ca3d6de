//! Votes of sources that smear leap seconds.

use super::*;

const DAY: i64 = 86_400;
/// The end of 2026, at which a leap second may come.
const LEAP: &str = "2027-01-01T00:00:00Z";

fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_unix_nanos()
}

/// A smeared source's vote that UTC is `utc` when the raw timeline begins.
fn smeared(utc: i64) -> Vote {
    Vote { smeared: true, ..vote(0, utc, utc, Leap::None) }
}

/// Half of the width after so many seconds, to a second: the drift is left away.
fn widened_at(estimate: &ClockEstimate, seconds: i64) -> bool {
    let half_width = estimate.at(raw(seconds), SignedDuration::ZERO).unwrap().half_width();
    let drift = EXACT.growth(SignedDuration::from_secs(seconds)).unsigned_abs();
    match half_width.checked_sub(drift) {
        Some(Duration::ZERO) => false,
        Some(second) if second == Duration::from_secs(1) => true,
        other => panic!("{other:?} beside the drift"),
    }
}

/// A raw clock this exact: at the default, a second would be lost in the drift of a day.
const EXACT: MaxDrift = MaxDrift::from_ppm(1);

fn patient() -> Limits {
    Limits {
        max_drift: EXACT,
        max_age: Duration::from_secs(7 * 86_400),
        max_half_width: Duration::from_secs(100),
    }
}

#[test]
fn a_smeared_vote_is_a_second_wider_around_the_end_of_a_month() {
    for (time, widened) in [
        ("2026-12-30T12:00:00Z", false),
        ("2026-12-31T00:00:00Z", true),
        ("2026-12-31T23:59:59Z", true),
        ("2027-01-01T23:59:59Z", true),
        ("2027-01-02T12:00:00Z", false),
        ("2026-11-30T12:00:00Z", true),
        ("2026-12-16T00:00:00Z", false),
    ] {
        assert_eq!(widened_at(&estimate(&[smeared(at(time)); 3], patient()), 0), widened, "{time}");
        let plain = vote(0, at(time), at(time), Leap::None);
        assert!(!widened_at(&estimate(&[plain; 3], patient()), 0), "{time}");
    }
}

#[test]
fn ageing_into_a_smear_widens_once_and_for_good() {
    // An hour before the two days begin.
    let before = estimate(&[smeared(at("2026-12-30T23:00:00Z")); 3], patient());
    assert!(!widened_at(&before, 1_800));
    for hours in [2, 24, 26, 60] {
        assert!(widened_at(&before, hours * 3_600), "{hours}");
    }
    // In the middle of them: it holds both counts of UTC already.
    let amid = estimate(&[smeared(at("2026-12-31T12:00:00Z")); 3], patient());
    for hours in [0, 13, 48] {
        assert!(widened_at(&amid, hours * 3_600), "{hours}");
    }
}

#[test]
fn a_burst_that_began_in_a_smear_is_widened() {
    let mut burst = smeared(at("2027-01-02T00:01:00Z"));
    assert!(!widened_at(&estimate(&[burst; 3], patient()), 0));
    burst.bound.first = raw(-120);
    assert!(
        estimate(&[burst; 3], patient()).at(raw(0), SignedDuration::ZERO).unwrap().half_width()
            >= Duration::from_secs(1)
    );
}

#[test]
fn unsmeared_sources_keep_the_bound_narrow_and_announce_what_comes() {
    let time = at("2026-12-31T12:00:00Z");
    let (off, right) = (smeared(time + SECOND / 2), vote(0, time, time, Leap::None));
    let mixed = estimate(&[right, right, right, off], patient());
    assert!(mixed.is_truechimer(&off), "half a second is what a smear explains");
    assert!(!mixed.is_truechimer(&Vote { smeared: false, ..off }));
    assert!(!widened_at(&mixed, 0));
    assert!(!widened_at(&mixed, DAY), "nobody announced a leap second");
    let announcing = Vote { leap: Leap::Insert, ..right };
    let mixed = estimate(&[right, right, announcing, off], patient());
    assert!(!widened_at(&mixed, 0));
    assert!(widened_at(&mixed, DAY));
}

#[test]
fn a_liar_in_another_month_does_not_widen_the_others() {
    let (time, elsewhere) = (at("2026-12-16T00:00:00Z"), at("2026-08-01T00:00:00Z"));
    assert!(!widened_at(&estimate(&[smeared(time), smeared(time), smeared(elsewhere)], patient()), DAY));
}

/// A world with a leap second, or none, at the end of 2026. Its raw timeline is exact, and shows zero a number of nanoseconds
/// before it.
#[derive(Clone, Copy, Debug)]
struct World {
    before_leap: i64,
    /// What UTC loses or gains: −1 s where a second is inserted, 1 s where one is deleted.
    step: i64,
    /// When the smear begins and ends, on the old count of UTC, relative to the leap second.
    begins: i64,
    ends: i64,
}

impl World {
    /// The old count of UTC.
    fn old(self, raw: i64) -> i64 {
        at(LEAP) - self.before_leap + raw
    }

    /// UTC: both values within the second that is inserted, which POSIX counts twice.
    fn truth(self, raw: i64) -> Vec<i64> {
        let (old, leap) = (self.old(raw), at(LEAP));
        let new = old + self.step;
        if self.step < 0 && (leap..leap + SECOND).contains(&old) {
            vec![old, new]
        } else if old >= leap - self.step.max(0) {
            vec![new]
        } else {
            vec![old]
        }
    }

    /// A server that passes evenly from the old count to the new one.
    fn smeared(self, raw: i64) -> i64 {
        let passed = (self.old(raw) - at(LEAP)).clamp(self.begins, self.ends) - self.begins;
        let share = i128::from(self.step) * i128::from(passed) / i128::from(self.ends - self.begins);
        self.old(raw) + i64::try_from(share).unwrap()
    }

    /// What two samples of that server prove, to `error`.
    fn vote(self, first: i64, last: i64, error: i64) -> Option<Vote> {
        let bound = |time: i64| {
            let offset = self.smeared(time) - time;
            OffsetInterval::new(
                SignedDuration::from_nanos(offset - error),
                SignedDuration::from_nanos(offset + error),
            )
        };
        let elapsed = SignedDuration::from_nanos(last - first);
        let bound = bound(first)?.aged(elapsed, EXACT).intersection(bound(last)?)?;
        let mut vote = vote(last, bound.lo().as_nanos(), bound.hi().as_nanos(), Leap::None);
        vote.bound.first = RawInstant::from_nanos(first);
        vote.smeared = true;
        Some(vote)
    }
}

/// Around the leap second, and often right at it or at an end of what a smear reaches.
fn moment() -> impl Strategy<Value = i64> {
    (
        prop::sample::select(vec![-DAY, 0, DAY]),
        prop_oneof![-2_000_000_i64..2_000_000, -3 * DAY * 1_000..3 * DAY * 1_000],
    )
        .prop_map(|(day, millis)| day * SECOND + millis * 1_000_000)
}

/// From when to when: as they are in use, as steep and as far off as they may be, and any.
fn smear() -> impl Strategy<Value = (i64, i64)> {
    let known =
        [(-DAY / 2, DAY / 2), (0, 62_500), (-1_000, 0), (-DAY, DAY), (-DAY, 1_000 - DAY), (DAY - 1_000, DAY)];
    let any = (-DAY..DAY - 1_000).prop_flat_map(|begins| (Just(begins), begins + 1_000..=DAY));
    prop_oneof![prop::sample::select(known.to_vec()), any]
        .prop_map(|(begins, ends)| (begins * SECOND, ends * SECOND))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever the smear, and whether a second is inserted, deleted or neither: true time is inside, at once and later.
    #[test]
    fn truth_is_inside_whatever_is_smeared(
        measured in moment(),
        step in prop::sample::select(vec![-SECOND, 0, SECOND]),
        (begins, ends) in smear(),
        burst in 0..20 * SECOND,
        error in 0..50_000_000_i64,
        ages in prop::collection::vec(0..3 * DAY * 1_000, 4),
    ) {
        let world = World { before_leap: -measured, step, begins, ends };
        // A burst on a steep smear may be at odds with itself: then there is no vote.
        let Some(vote) = world.vote(-burst, 0, error) else { return Ok(()) };
        let estimate = estimate(&[vote; 3], patient());
        let mut ages = ages;
        ages.push(0);
        ages.sort_unstable();
        let mut last = Duration::ZERO;
        for millis in ages {
            let later = millis * 1_000_000;
            let now = estimate.at(RawInstant::from_nanos(later), SignedDuration::ZERO).unwrap();
            for truth in world.truth(later) {
                prop_assert!(now.contains(Timestamp::from_unix_nanos(truth)), "{world:?} after {millis} ms: {now:?}");
            }
            prop_assert!(now.half_width() >= last, "it narrowed");
            last = now.half_width();
        }
    }
}
