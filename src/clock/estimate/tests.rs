mod smear;

use super::*;
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;

fn vote(anchor: i64, lo: i64, hi: i64, leap: Leap) -> Vote {
    let bound = OffsetInterval::new(SignedDuration::from_nanos(lo), SignedDuration::from_nanos(hi)).unwrap();
    let anchor = RawInstant::from_nanos(anchor);
    Vote {
        bound: SourceBound {
            first: anchor,
            anchor,
            bound,
            delay: SignedDuration::ZERO,
            samples: 1,
            kernel_stamped: 0,
        },
        leap,
        smeared: false,
    }
}

fn estimate(votes: &[Vote], limits: Limits) -> ClockEstimate {
    let rules = Rules::new(votes.len(), None, true, limits).unwrap();
    ClockEstimate::from_votes(votes, &rules, SignedDuration::ZERO).unwrap()
}

fn raw(seconds: i64) -> RawInstant {
    RawInstant::from_nanos(seconds * SECOND)
}

fn reading(before: RawInstant, after: RawInstant) -> SystemReading {
    SystemReading { before, realtime: Timestamp::from_unix_nanos(0), boottime: SignedDuration::ZERO, after }
}

#[test]
fn too_old_too_wide_and_slept_are_errors_not_numbers() {
    let limits = Limits::default();
    let fresh = estimate(&[vote(0, 0, 1_000, Leap::None)], limits);
    assert!(fresh.at(raw(86_400), SignedDuration::ZERO).is_ok());
    assert!(matches!(fresh.at(raw(86_401), SignedDuration::ZERO), Err(TimeError::TooOld { .. })));
    assert_eq!(
        fresh.at(raw(1), SignedDuration::from_secs(5)),
        Err(TimeError::Suspended { slept: Duration::from_secs(5) })
    );
    let wide = estimate(&[vote(0, 0, 21 * SECOND, Leap::None)], limits);
    assert!(matches!(wide.at(raw(0), SignedDuration::ZERO), Err(TimeError::TooWide { .. })));
}

#[test]
fn it_expires_when_it_is_too_old_or_too_wide() {
    let limits = Limits { max_half_width: Duration::from_millis(100), ..Limits::default() };
    for (half_width_ms, seconds) in [(0, 999), (50, 499), (99, 9), (101, 0)] {
        let width = 2 * half_width_ms * 1_000_000;
        let estimate = estimate(&[vote(0, 0, width, Leap::None)], limits);
        let left = estimate.expires() - raw(0);
        assert_eq!(left.as_nanos() / SECOND, seconds, "{half_width_ms} ms");
        let at = |nanos| estimate.at(RawInstant::from_nanos(left.as_nanos() + nanos), SignedDuration::ZERO);
        assert_eq!(at(0).is_ok(), seconds > 0);
        assert!(at(20_000).is_err());
    }
    let narrow = estimate(&[vote(0, 0, 0, Leap::None)], Limits::default());
    assert_eq!(narrow.expires(), raw(86_400));
}

#[test]
fn setting_the_system_clock_does_not_move_the_estimate() {
    let estimate = estimate(&[vote(0, 5 * SECOND, 5 * SECOND + 10, Leap::None)], Limits::default());
    let reading = reading(raw(1), raw(1));
    let stepped = SystemReading { realtime: Timestamp::from_unix_nanos(SECOND), ..reading };
    let offset = |reading| estimate.system_offset(reading, SignedDuration::ZERO).unwrap();
    assert_eq!(offset(&reading).lo() - offset(&stepped).lo(), SignedDuration::from_secs(1));
    assert_eq!(
        estimate.best_system_offset(&reading) - estimate.best_system_offset(&stepped),
        SignedDuration::from_secs(1)
    );
}

#[test]
fn a_slow_reading_of_the_system_clock_widens_the_offset() {
    let estimate = estimate(&[vote(0, 0, 0, Leap::None)], Limits::default());
    let reading = reading(raw(0), raw(2));
    let offset = estimate.system_offset(&reading, SignedDuration::ZERO).unwrap();
    assert!(offset.contains(SignedDuration::ZERO) && offset.contains(SignedDuration::from_secs(2)));
}

#[test]
fn an_announced_leap_second_widens_across_the_end_of_the_month() {
    let utc = "2026-12-31T23:59:50Z".parse::<Timestamp>().unwrap().as_unix_nanos();
    for leap in [Leap::Insert, Leap::Delete] {
        let estimate = estimate(&[vote(0, utc, utc, leap), vote(0, utc, utc, Leap::None)], Limits::default());
        let before = estimate.at(raw(5), SignedDuration::ZERO).unwrap();
        let after = estimate.at(raw(11), SignedDuration::ZERO).unwrap();
        assert!(before.half_width() < Duration::from_millis(1));
        assert!(after.half_width() >= Duration::from_secs(1));
    }
    let silent = estimate(&[vote(0, utc, utc, Leap::None)], Limits::default());
    assert!(silent.at(raw(11), SignedDuration::ZERO).unwrap().half_width() < Duration::from_millis(2));
}

#[test]
fn across_an_announced_leap_second_there_is_no_estimate() {
    // Two samples from just before a leap second, one from just after: the last one's UTC − raw is a second less.
    let utc = "2026-12-31T23:59:59.900Z".parse::<Timestamp>().unwrap().as_unix_nanos();
    let before = vote(0, utc - 6_000_000, utc + 6_000_000, Leap::Insert);
    let after = vote(SECOND / 5, utc - SECOND, utc - SECOND + 6_000_000, Leap::Insert);
    let across = [before, before, after];
    let rules = Rules::new(3, None, false, Limits::default()).unwrap();
    let measured = |votes: &[Vote]| ClockEstimate::from_votes(votes, &rules, SignedDuration::ZERO);
    assert_eq!(measured(&across), Err(NoEstimate::AcrossLeapSecond));
    // A burst that began before it, too; and a majority that announces nothing is no excuse.
    let mut burst = vote(3 * SECOND, utc, utc, Leap::Insert);
    burst.bound.first = RawInstant::from_nanos(-3 * SECOND);
    assert_eq!(measured(&[burst, burst, burst]), Err(NoEstimate::AcrossLeapSecond));
    let silent = Vote { leap: Leap::None, ..before };
    assert_eq!(measured(&[before, silent, silent]), Err(NoEstimate::AcrossLeapSecond));
    // Where nobody announces one, there is none; and a falseticker of another month has no say.
    assert!(measured(&[silent, silent, silent]).is_ok());
    let calm = vote(0, utc - 3_600 * SECOND, utc - 3_600 * SECOND, Leap::Insert);
    let liar = vote(0, utc - 90 * 86_400 * SECOND, utc - 90 * 86_400 * SECOND, Leap::Insert);
    assert!(measured(&[calm, calm, liar]).is_ok());
}

#[test]
fn silence_spends_tolerance_and_may_be_told_not_to() {
    let rules = Rules::new(5, None, false, Limits::default()).unwrap();
    let votes = [vote(0, 0, 10, Leap::None); 5];
    let measured =
        |count: usize, rules: Rules| ClockEstimate::from_votes(&votes[..count], &rules, SignedDuration::ZERO);
    assert_eq!(measured(5, rules.tolerating(2).unwrap()).unwrap().tolerated_liars(), 2);
    assert_eq!(measured(3, rules).unwrap().tolerated_liars(), 1);
    assert_eq!(
        measured(4, rules.tolerating(2).unwrap()),
        Err(NoEstimate::ToleratesTooFew { usable: 4, tolerated: 1, required: 2 })
    );
}

#[test]
fn a_falseticker_announces_no_leap_second() {
    let utc = "2026-12-31T23:59:50Z".parse::<Timestamp>().unwrap().as_unix_nanos();
    let honest = vote(0, utc, utc, Leap::None);
    let liar = vote(0, utc + SECOND, utc + SECOND, Leap::Insert);
    let estimate = estimate(&[honest, honest, liar], Limits::default());
    assert!(estimate.at(raw(11), SignedDuration::ZERO).unwrap().half_width() < Duration::from_millis(2));
}

#[test]
fn rules_that_would_trust_one_source_must_be_meant() {
    let limits = Limits::default();
    assert_eq!(Rules::new(0, None, true, limits), Err(RulesError::NoSources));
    assert_eq!(Rules::new(1, None, false, limits), Err(RulesError::SingleSource));
    assert_eq!(Rules::new(5, Some(1), false, limits), Err(RulesError::SingleSource));
    assert!(matches!(Rules::new(3, Some(4), true, limits), Err(RulesError::ImpossibleQuorum { .. })));
    assert!(matches!(Rules::new(3, Some(0), true, limits), Err(RulesError::ImpossibleQuorum { .. })));
    let month = Limits { max_age: Duration::from_secs(31 * 86_400), ..limits };
    assert!(matches!(Rules::new(5, None, false, month), Err(RulesError::MaxAge { .. })));
    let rules = Rules::new(5, None, false, limits).unwrap();
    assert!(rules.tolerating(2).is_ok());
    assert_eq!(
        rules.tolerating(3),
        Err(RulesError::ImpossibleTolerance { liars: 3, configured: 5, most: 2 })
    );
    assert_eq!(Rules::new(5, None, false, limits).unwrap().quorum(), 3);
    assert_eq!(Rules::new(4, None, false, limits).unwrap().quorum(), 3);
    assert!(!estimate(&[vote(0, 0, 0, Leap::None)], limits).corroborated());
}

proptest! {
    /// An interval never narrows by getting older, and truth stays inside at any rate that is allowed.
    #[test]
    fn ageing_never_narrows_and_keeps_the_truth(
        width in 0_i64..SECOND,
        position in 0.0_f64..1.0,
        rate_ppb in -100_000_i64..=100_000,
        ages in prop::collection::vec(0_i64..86_000 * SECOND, 2..6),
    ) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a test's choice")]
        let truth_at_anchor = (width as f64 * position) as i64;
        let estimate = estimate(&[vote(0, 0, width, Leap::None)], Limits::default());
        let mut ages = ages;
        ages.sort_unstable();
        let mut last = Duration::ZERO;
        for elapsed in ages {
            let counted = elapsed + i64::try_from(i128::from(elapsed) * i128::from(rate_ppb) / 1_000_000_000).unwrap();
            let now = estimate.at(RawInstant::from_nanos(counted), SignedDuration::ZERO).unwrap();
            prop_assert!(now.contains(Timestamp::from_unix_nanos(truth_at_anchor + elapsed)));
            prop_assert!(now.half_width() >= last);
            last = now.half_width();
        }
    }
}
