use super::*;
use crate::token::DriftModel;
use proptest::prelude::*;

const PERIOD: Duration = Duration::from_secs(30);
const T0: Timestamp = Timestamp::from_unix_nanos(0);
/// The beginning of a step.
const NOON: i64 = 1_780_315_200;

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_seconds(second).unwrap()
}

fn known(second: i64, half_width: u64) -> TimeInterval {
    TimeInterval::around(at(second), Duration::from_secs(half_width))
}

fn drift(ahead: i64, deviation: u64, second: i64) -> Drift {
    Drift::from_parts(
        SignedDuration::from_secs(ahead),
        deviation * deviation * 1_000_000_000_000,
        at(second),
        None,
    )
}

fn compute(now: TimeInterval, drift: Drift, codes: u8) -> Result<Window, WindowError> {
    Window::compute(&WindowPolicy::default(), PERIOD, T0, &now, &drift, codes)
}

/// The window's runs relative to the step of `second`.
fn offsets(window: &Window, second: i64) -> Vec<(i64, i64)> {
    let base = second.div_euclid(30);
    window.ranges().iter().map(|range| (range.first().get() - base, range.last().get() - base)).collect()
}

#[test]
fn a_right_token_and_a_right_clock_need_two_or_three_steps() {
    let settled = |second| compute(known(second, 0), drift(0, 1, second), 1).unwrap();
    // The token shows something from 33 s ago to 3 s ahead.
    assert_eq!(offsets(&settled(NOON), NOON), [(-2, 0)]);
    assert_eq!(offsets(&settled(NOON + 10), NOON), [(-1, 0)]);
    assert_eq!(offsets(&settled(NOON + 27), NOON), [(-1, 1)]);
}

#[test]
fn ends_belong_to_the_window() {
    let settled = |nanos| {
        let time = at(NOON + 27) + SignedDuration::from_nanos(nanos);
        // Updated at the end of the step: no growth since then blurs the edge.
        compute(TimeInterval::around(time, Duration::ZERO), drift(0, 1, NOON + 30), 1).unwrap()
    };
    assert_eq!(offsets(&settled(-1), NOON), [(-1, 0)]);
    assert_eq!(offsets(&settled(0), NOON), [(-1, 1)]);
}

#[test]
fn two_centres_are_two_runs_and_merge_where_they_touch() {
    let window = |ahead| compute(known(NOON + 10, 0), drift(ahead, 1, NOON), 1).unwrap();
    assert_eq!(offsets(&window(150), NOON), [(-1, 0), (4, 5)]);
    assert_eq!(offsets(&window(-150), NOON), [(-6, -5), (-1, 0)]);
    assert_eq!(offsets(&window(60), NOON), [(-1, 2)]);
    assert_eq!(window(60).width(), 4);
    assert_eq!(window(150).width(), 4);
    assert_eq!(window(150).top().get(), NOON / 30 + 5);
    assert_eq!(window(-150).top().get(), NOON / 30);
}

/// A token that was set by hand, 200 s off: four steps where it was seen, and three where a right clock would be.
#[test]
fn a_token_that_is_known_to_ten_seconds_is_looked_for_at_both_centres_at_every_phase() {
    for second in 0..30 {
        let window = compute(known(NOON + second, 0), drift(200, 10, NOON), 1).unwrap();
        assert!(!window.learned_left_out(), "{second} s: {} steps", window.width());
    }
}

/// What a token's clock may have drifted by the latest time that it can be now, not by the earliest.
#[test]
fn the_deviation_is_that_of_the_latest_time() {
    // Half a second a second, so that the interval's width matters: 1 s at its beginning, 10 s at its end.
    let model = DriftModel { rate_error_ppb: 500_000_000, ..DriftModel::default() };
    let policy = WindowPolicy::builder().drift_model(model).build().unwrap();
    let now = known(NOON + 10, 10);
    let window = Window::compute(&policy, PERIOD, T0, &now, &drift(0, 1, NOON), 1).unwrap();
    // From 0 − 30 − 20 − 1 s to 20 + 20 + 1 s, rather than to 23 s.
    assert_eq!(offsets(&window, NOON), [(-2, 1)]);
}

#[test]
fn a_step_is_explained_by_what_was_learned_or_only_by_a_right_clock() {
    let window = compute(known(NOON + 10, 0), drift(45, 1, NOON), 1).unwrap();
    let centre = |offset: i64| window.centre(TimeStep::new(NOON / 30 + offset).unwrap());
    assert_eq!(offsets(&window, NOON), [(-1, 1)]);
    assert_eq!([centre(-1), centre(0), centre(1)], [Centre::Synchronised, Centre::Learned, Centre::Learned]);
}

#[test]
fn a_token_unseen_for_months_gets_in_with_a_right_clock_or_two_codes() {
    let seen = drift(100, 5, NOON - 90 * 86_400);
    let one = compute(known(NOON + 10, 0), seen, 1).unwrap();
    assert!(one.learned_left_out());
    assert_eq!(offsets(&one, NOON), [(-1, 0)]);
    let two = compute(known(NOON + 10, 0), seen, 2).unwrap();
    assert!(!two.learned_left_out());
    assert!(two.contains(TimeStep::new((NOON + 100 + 70) / 30).unwrap()));
    assert!(two.width() <= 19);

    let years = compute(known(NOON, 0), drift(100, 5, NOON - 900 * 86_400), 3).unwrap();
    assert!(years.learned_left_out(), "never clamped: left out, and said so");
}

#[test]
fn a_single_code_is_not_looked_for_beyond_its_greatest_age_however_few_the_steps() {
    let left_out = |deviation, codes| {
        let (period, drift) = (Duration::from_secs(60), drift(0, deviation, NOON));
        let window =
            Window::compute(&WindowPolicy::default(), period, T0, &known(NOON, 0), &drift, codes).unwrap();
        window.learned_left_out()
    };
    // 30 s of delay, 2 s of jitter and 4 σ: 120 s with σ = 22 s, at three or four steps.
    assert!(!left_out(22, 1));
    assert!(left_out(23, 1));
    assert!(!left_out(23, 2));
}

#[test]
fn an_uncertain_clock_widens_and_then_refuses() {
    let window = |half_width, second| compute(known(second, half_width), drift(0, 1, NOON), 1);
    let (sharp, vague) = (window(0, NOON + 10).unwrap(), window(40, NOON + 10).unwrap());
    assert!(vague.width() > sharp.width());
    for second in NOON..NOON + 30 {
        assert!(window(42, second).is_ok(), "36 s + 84 s are the 120 s that are allowed");
        assert_eq!(
            window(43, second),
            Err(WindowError::ClockTooUncertain {
                half_width: Duration::from_secs(43),
                allowed: Duration::from_secs(42)
            })
        );
    }
}

#[test]
fn periods_that_need_too_many_steps_are_refused() {
    let compute = |period| {
        let period = Duration::from_secs(period);
        Window::compute(&WindowPolicy::default(), period, T0, &known(NOON, 0), &drift(0, 1, NOON), 1)
    };
    for period in [0, 1, 6] {
        assert!(matches!(compute(period), Err(WindowError::PeriodTooShort { .. })), "{period}");
    }
    for period in [7, 30, 60, 86_400] {
        assert!(compute(period).unwrap().width() <= 7);
    }
}

#[test]
fn before_the_first_steps_there_is_no_window() {
    let compute = |second, codes| {
        Window::compute(
            &WindowPolicy::default(),
            PERIOD,
            at(NOON),
            &known(second, 0),
            &drift(0, 1, NOON),
            codes,
        )
    };
    assert!(matches!(compute(NOON - 4, 1), Err(WindowError::BeforeFirstStep { .. })));
    assert_eq!(compute(NOON, 1).unwrap().ranges()[0].first(), TimeStep::ZERO);
    // Two codes can't end before step 1, three not before step 2.
    assert!(matches!(compute(NOON, 2), Err(WindowError::BeforeFirstStep { .. })));
    assert_eq!(compute(NOON + 40, 2).unwrap().ranges()[0].first().get(), 1);
    assert!(matches!(compute(NOON + 40, 3), Err(WindowError::BeforeFirstStep { .. })));
}

#[test]
fn an_enrolment_reaches_as_far_as_its_codes_pay_for() {
    let window =
        |codes| Window::for_enrolment(&WindowPolicy::default(), PERIOD, T0, &known(NOON, 0), codes).unwrap();
    assert_eq!(offsets(&window(1), NOON), [(-1, 1)]);
    assert_eq!(offsets(&window(2), NOON), [(-20, 20)]);
    assert_eq!(offsets(&window(3), NOON), [(-120, 120)]);
}

#[test]
fn policies_that_the_budget_cannot_pay_for_are_refused() {
    let builder = WindowPolicy::builder;
    assert_eq!(builder().build(), Ok(WindowPolicy::default()));
    assert!(builder().max_steps(6).build().is_ok());
    for steps in [0, 1, 8] {
        assert_eq!(builder().max_steps(steps).build(), Err(PolicyError::MaxSteps { got: steps, most: 7 }));
    }
    for steps in [6, 20, 241] {
        assert_eq!(
            builder().max_steps_consecutive(steps).build(),
            Err(PolicyError::MaxStepsConsecutive { got: steps, least: 7, most: 19 })
        );
    }
    assert_eq!(builder().sigmas(0).build(), Err(PolicyError::NoSigmas));
    assert!(matches!(
        builder().entry_delay(Duration::from_secs(115)).build(),
        Err(PolicyError::CodesTooYoung { .. })
    ));
}

#[test]
fn extremes_do_not_overflow() {
    for end in [i64::MIN, i64::MAX].map(Timestamp::from_unix_nanos) {
        for ahead in [SignedDuration::MIN, SignedDuration::MAX] {
            let drift = Drift::from_parts(ahead, u64::MAX, end, None);
            for now in [end, T0] {
                let now = TimeInterval::around(now, Duration::ZERO);
                for codes in 0..=3 {
                    let window = Window::compute(&WindowPolicy::default(), PERIOD, end, &now, &drift, codes);
                    assert!(
                        window.is_ok_and(|window| window.width() <= 7) || end != now.latest() || codes > 1
                    );
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn the_true_step_is_in_the_window_wherever_the_model_holds(
        truth in 1_000_000_000_000_000_000_i64..2_000_000_000_000_000_000,
        before in 0_i64..20_000_000_000, after in 0_i64..20_000_000_000,
        mean in -3_600_000_000_000_i64..3_600_000_000_000, deviation_micros in 0_u64..9_000_000,
        off_in_thousandths in -2_000_i64..=2_000, delay in 0_i64..=30_000_000_000, codes in 1_u8..=3,
    ) {
        let drift = Drift::from_parts(
            SignedDuration::from_nanos(mean), deviation_micros * deviation_micros, Timestamp::from_unix_nanos(truth), None,
        );
        let now = TimeInterval::new(
            Timestamp::from_unix_nanos(truth - before), Timestamp::from_unix_nanos(truth + after),
        ).unwrap();
        let offset = mean + i64::try_from(deviation_micros).unwrap() * off_in_thousandths;
        let shown = (truth - delay + offset).div_euclid(30_000_000_000);
        let window = compute(now, drift, codes).unwrap();
        let step = TimeStep::new(shown).unwrap();
        // Left out is said, not silent.
        prop_assert!(window.contains(step) || window.learned_left_out());
        prop_assert_eq!(window.centre(step), Centre::Learned);
        prop_assert!(!window.learned_left_out() || window.width() <= 7);

        // A right clock is in it always.
        let right = truth - delay + off_in_thousandths * 1_000_000;
        prop_assert!(window.contains(TimeStep::new(right.div_euclid(30_000_000_000)).unwrap()));
    }

    #[test]
    fn runs_are_disjoint_ascending_and_within_the_limits(
        second in 1_000_000_000_i64..2_000_000_000, half_width in 0_u64..=42,
        ahead in -3_600_i64..=3_600, deviation in 0_u64..400, codes in 1_u8..=3,
    ) {
        let window = compute(known(second, half_width), drift(ahead, deviation, second), codes).unwrap();
        let most = if codes == 1 { 7 } else { 19 };
        prop_assert!(window.width() <= most);
        if let [low, high] = window.ranges() {
            prop_assert!(low.last().get() + 1 < high.first().get());
        }
        prop_assert!(window.contains(window.top()));
    }

    #[test]
    fn a_wider_interval_never_loses_a_step(
        second in 1_000_000_000_i64..2_000_000_000, narrow in 0_u64..=20, wider in 0_u64..=20,
    ) {
        let window = |half_width| compute(known(second, half_width), drift(0, 1, second), 1).unwrap();
        let (inner, outer) = (window(narrow), window(narrow + wider));
        prop_assert!(inner.ranges().iter().flat_map(|range| range.steps()).all(|step| outer.contains(step)));
    }
}
