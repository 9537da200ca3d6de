use super::*;
use proptest::prelude::*;

const PERIOD: Duration = Duration::from_secs(30);
const T0: Timestamp = Timestamp::from_unix_nanos(0);
const START: i64 = 1_780_000_000;

fn model() -> DriftModel {
    DriftModel::default()
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_seconds(second).unwrap()
}

/// A code read from a token that is `ahead`, `delay` before `second`.
fn reading(second: i64, ahead: i64, delay: i64) -> Measurement {
    let step = TimeStep::new((second - delay + ahead).div_euclid(30)).unwrap();
    Measurement::new(&model(), step, PERIOD, T0, &TimeInterval::around(at(second), Duration::ZERO))
}

fn learned(ahead: i64, deviation: i64, second: i64) -> Drift {
    let variance = u64::try_from(deviation * deviation).unwrap() * 1_000_000_000_000;
    Drift::from_parts(seconds(ahead), variance, at(second), None)
}

#[test]
fn a_measurement_weighs_the_step_the_delay_and_the_clock() {
    let step = TimeStep::new(START / 30).unwrap();
    let sharp = TimeInterval::around(at(START), Duration::ZERO);
    let vague = TimeInterval::around(at(START), Duration::from_secs(30));
    let measured = |now| Measurement::new(&model(), step, PERIOD, T0, now);
    assert_eq!(measured(&sharp).variance, (75 + 49) * 1_000_000_000_000);
    assert_eq!(measured(&vague).variance, (75 + 49 + 300) * 1_000_000_000_000);
    // START is 10 s into its step, whose middle is 5 s later; the code was read 10 s earlier.
    assert_eq!(measured(&sharp).ahead(), seconds(5 + 10));
}

#[test]
fn the_mean_converges_on_a_token_that_is_off() {
    for ahead in [-170, -31, 0, 45, 180] {
        // Delays of 4, 9, 14 s; logins every 50 hours or so, at all phases of a step.
        let mut drift = Drift::first(&model(), reading(START, ahead, 9));
        let mut second = START;
        for login in 1..=40 {
            second += 180_000 + 7 * login;
            drift = drift.learn(&model(), reading(second, ahead, 4 + login % 3 * 5), true);
        }
        let error = (drift.mean() - seconds(ahead)).unsigned_abs();
        assert!(error < Duration::from_secs(6), "{ahead}: {}", drift.mean());
        let deviation = drift.deviation_at(&model(), at(second));
        assert!(deviation < Duration::from_secs(6), "{deviation:?}");
    }
}

#[test]
fn one_relayed_late_code_moves_the_mean_by_a_few_seconds_at_most() {
    let settled = learned(0, 5, START);
    for late in 0..=120 {
        let after = settled.learn(&model(), reading(START + 60, 0, 10 + late), true);
        let moved = (after.mean() - settled.mean()).unsigned_abs();
        assert!(moved <= Duration::from_secs(9), "{late} s late: {moved:?}");
    }
}

#[test]
fn an_outlier_restarts_only_with_a_second_one_that_agrees() {
    let settled = learned(0, 5, START);
    let once = settled.learn(&model(), reading(START + 60, 200, 10), true);
    assert_eq!((once.mean(), once.variance(), once.updated()), (seconds(0), settled.variance(), at(START)));
    assert!(once.outlier().is_some());

    let disagreeing = once.learn(&model(), reading(START + 120, -200, 10), true);
    assert_eq!(disagreeing.mean(), seconds(0));

    let confirmed = once.learn(&model(), reading(START + 120, 200, 10), true);
    assert!((confirmed.mean() - seconds(200)).unsigned_abs() < Duration::from_secs(16));
    assert_eq!(confirmed.outlier(), None);

    // Two, but not in a row.
    let back = once.learn(&model(), reading(START + 120, 0, 10), true);
    assert_eq!(back.outlier(), None);
    assert_eq!(back.learn(&model(), reading(START + 180, 200, 10), true).mean(), back.mean());
}

#[test]
fn what_only_a_right_clock_explains_counts_when_it_comes_twice() {
    // 40 s behind with σ = 11 s: a code of a right clock is no outlier by its distance.
    let slow = learned(-40, 11, START);
    let once = slow.learn(&model(), reading(START + 60, 0, 10), false);
    assert_eq!(once.mean(), slow.mean());
    let twice = once.learn(&model(), reading(START + 120, 0, 10), false);
    assert!((twice.mean() - seconds(0)).unsigned_abs() < Duration::from_secs(16));
}

#[test]
fn no_drift_beyond_the_maximum_is_learned() {
    let far = Drift::first(&model(), reading(START, 5_000, 10));
    assert_eq!(far.mean(), seconds(3600));
    let near = Drift::first(&model(), reading(START, -3_590, 10));
    assert!(near.learn(&model(), reading(START + 9, -3_610, 20), true).mean() >= seconds(-3600));
}

#[test]
fn extremes_do_not_overflow() {
    let ends = [Timestamp::from_unix_nanos(i64::MIN), Timestamp::from_unix_nanos(i64::MAX)];
    for now in ends {
        for ahead in [SignedDuration::MIN, SignedDuration::MAX] {
            for updated in ends {
                let drift = Drift::from_parts(ahead, u64::MAX, updated, Some(SignedDuration::MIN));
                let step = TimeStep::new(i64::MAX).unwrap();
                let now = TimeInterval::around(now, Duration::MAX);
                let measured = Measurement::new(&model(), step, Duration::MAX, updated, &now);
                for explained in [true, false] {
                    let after = drift.learn(&model(), measured, explained);
                    let _ = after.deviation_at(&model(), now.latest());
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn time_alone_never_makes_the_drift_more_certain(
        variance in any::<u64>(), updated in any::<i64>(), t1 in any::<i64>(), t2 in any::<i64>(),
    ) {
        let drift = Drift::from_parts(seconds(0), variance, Timestamp::from_unix_nanos(updated), None);
        let [early, late] = [t1.min(t2), t1.max(t2)].map(Timestamp::from_unix_nanos);
        prop_assert!(drift.deviation_at(&model(), early) <= drift.deviation_at(&model(), late));
        prop_assert!(drift.variance_at(&model(), early) >= variance);
    }

    #[test]
    fn a_clock_that_ran_backwards_counts_as_no_time_passed(
        deviation in 1_i64..100, ahead in -100_i64..100, back in 0_i64..1_000_000,
    ) {
        let drift = learned(ahead, deviation, START);
        let measured = reading(START - back, ahead, 10);
        let after = drift.learn(&model(), measured, true);
        let still = Drift { updated: measured.at, ..drift }.learn(&model(), measured, true);
        prop_assert_eq!(after, still);
        // Whatever the clock does afterwards, the growth since then is counted.
        prop_assert!(after.deviation_at(&model(), at(START)) >= after.deviation_at(&model(), at(START - back)));
    }

    #[test]
    fn a_measurement_never_widens_and_the_mean_stays_between(
        deviation in 1_i64..100, ahead in -100_i64..100, true_ahead in -100_i64..100, delay in 0_i64..30,
    ) {
        let drift = learned(ahead, deviation, START);
        let measured = reading(START, true_ahead, delay);
        let after = drift.learn(&model(), measured, true);
        prop_assert!(after.variance() <= drift.variance());
        let (low, high) = (drift.mean().min(measured.ahead()), drift.mean().max(measured.ahead()));
        prop_assert!(low <= after.mean() && after.mean() <= high);
    }
}
