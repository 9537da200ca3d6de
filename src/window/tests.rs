use super::centres::Belief;
use super::*;
use crate::token::{DriftModel, Measurement};
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
    // The token shows something from 39 s ago to 2 s ahead.
    assert_eq!(offsets(&settled(NOON), NOON), [(-2, 0)]);
    assert_eq!(offsets(&settled(NOON + 10), NOON), [(-1, 0)]);
    assert_eq!(offsets(&settled(NOON + 28), NOON), [(-1, 1)]);
}

#[test]
fn ends_belong_to_the_window() {
    let settled = |nanos| {
        let time = at(NOON + 28) + SignedDuration::from_nanos(nanos);
        // Updated at the end of the step: no growth since then blurs the edge.
        compute(TimeInterval::around(time, Duration::ZERO), drift(0, 1, NOON + 30), 1).unwrap()
    };
    assert_eq!(offsets(&settled(-1), NOON), [(-1, 0)]);
    assert_eq!(offsets(&settled(0), NOON), [(-1, 1)]);
}

#[test]
fn two_centres_are_two_runs_and_merge_where_they_touch() {
    let window = |ahead| compute(known(NOON + 12, 0), drift(ahead, 1, NOON), 1).unwrap();
    assert_eq!(offsets(&window(150), NOON), [(0, 0), (4, 5)]);
    assert_eq!(offsets(&window(-150), NOON), [(-6, -5), (0, 0)]);
    assert_eq!(offsets(&window(60), NOON), [(0, 2)]);
    assert_eq!(window(60).width(), 3);
    assert_eq!(window(150).width(), 3);
    assert_eq!(window(150).top().get(), NOON / 30 + 5);
    assert_eq!(window(-150).top().get(), NOON / 30);
}

/// A token that was set by hand, 200 s off: four steps where it was seen, and two where a right clock would be.
#[test]
fn a_token_that_is_known_to_ten_seconds_is_looked_for_at_both_centres_at_every_phase() {
    for second in 0..30 {
        let window = compute(known(NOON + second, 0), drift(200, 10, NOON), 1).unwrap();
        assert!(!window.learned_left_out(), "{second} s: {} steps", window.width());
    }
}

/// Most tokens are right. One whose mean says nothing against that is looked for there, whatever the mean's uncertainty;
/// one whose mean does is looked for where it was seen.
#[test]
fn a_token_that_may_be_right_is_held_to_be() {
    let window = |ahead, deviation| compute(known(NOON + 15, 0), drift(ahead, deviation, NOON), 1).unwrap();
    // From 15 − 39 s to 15 + 2 s. In full it would reach to 15 + 2·10 + 1 s, into the next step.
    assert_eq!(offsets(&window(0, 10), NOON), [(-1, 0)]);
    // 20 s behind with σ = 10 s may be right; the learned centre reaches back to 15 − 38 − 20 − 20/6 s.
    assert_eq!(offsets(&window(-20, 10), NOON), [(-2, 0)]);
    // 21 s isn't: from 15 − 38 − 21 − 20 s to 15 − 3 − 21 + 20 + 1 s.
    assert_eq!(offsets(&window(-21, 10), NOON), [(-3, 0)]);
    // Unseen for so long that 2 σ are 40 s: anywhere from 15 − 38 − 40 s to 15 − 3 + 40 + 1 s.
    assert_eq!(offsets(&window(0, 20), NOON), [(-3, 1)]);
}

/// It gets in at the first try if its owner types fast, and the second time however slow he is.
#[test]
fn a_phone_whose_clock_was_set_right_is_let_in() {
    let off = drift(-150, 5, NOON);
    let first = compute(known(NOON + 4, 0), off, 1).unwrap();
    assert_eq!(offsets(&first, NOON), [(-7, -5), (-1, 0)]);
    let model = DriftModel::default();
    let now = known(NOON + 4, 0);
    let measured = Measurement::new(&model, TimeStep::new(NOON / 30).unwrap(), PERIOD, T0, &now);
    let doubted = off.learn(&model, measured, false);
    assert!(doubted.outlier().is_some());
    let in_full = compute(known(NOON + 35, 0), doubted, 1).unwrap();
    assert_eq!(offsets(&in_full, NOON), [(-6, -4), (-1, 1)]);
}

/// What a token's clock may have drifted by the latest time that it can be now, not by the earliest.
#[test]
fn the_deviation_is_that_of_the_latest_time() {
    // Half a second a second, so that the interval's width matters: 1 s at its beginning, 10 s at its end.
    let model = DriftModel { rate_error_ppb: 500_000_000, ..DriftModel::default() };
    let policy = WindowPolicy::builder().drift_model(model).build().unwrap();
    let now = known(NOON + 10, 10);
    let window = Window::compute(&policy, PERIOD, T0, &now, &drift(25, 1, NOON), 1).unwrap();
    // From 0 − 37 + 25 − 20 − 1 s to 20 − 3 + 25 + 20 + 1 s, rather than to 45 s.
    assert_eq!(offsets(&window, NOON), [(-2, 2)]);
}

#[test]
fn a_step_is_explained_by_what_was_learned_or_only_by_a_right_clock() {
    let window = compute(known(NOON + 10, 0), drift(65, 1, NOON), 1).unwrap();
    let centre = |offset: i64| window.centre(TimeStep::new(NOON / 30 + offset).unwrap());
    assert_eq!(offsets(&window, NOON), [(0, 2)]);
    assert_eq!([centre(0), centre(1), centre(2)], [Centre::Synchronised, Centre::Learned, Centre::Learned]);
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
    // 34 s between the longest and the shortest delay, 2 s of jitter and 4 σ: 120 s with σ = 21 s, at three or four steps.
    assert!(!left_out(20, 1));
    assert!(left_out(22, 1));
    assert!(!left_out(22, 2));
}

#[test]
fn an_uncertain_clock_widens_and_then_refuses() {
    let window = |half_width, second| compute(known(second, half_width), drift(0, 1, NOON), 1);
    let (sharp, vague) = (window(0, NOON + 10).unwrap(), window(39, NOON + 10).unwrap());
    assert!(vague.width() > sharp.width());
    for second in NOON..NOON + 30 {
        assert!(window(39, second).is_ok(), "41 s + 79 s are the 120 s that are allowed");
        assert_eq!(
            window(40, second),
            Err(WindowError::ClockTooUncertain {
                half_width: Duration::from_secs(40),
                allowed: Duration::from_millis(39_500)
            })
        );
    }
}

/// Left out, its right codes would be taken for wrong ones, and be paid for.
#[test]
fn what_a_poor_clock_hides_is_not_left_out() {
    // Four minutes ahead, and well known.
    let settled = |second| drift(240, 5, second);
    let at_phase = |phase: i64, half_width: Duration| {
        let now = TimeInterval::around(at(NOON + phase), half_width);
        compute(now, settled(NOON + phase), 1)
    };
    let mut refused = 0;
    for (phase, half_width) in (0..30).flat_map(|phase| [(phase, 20), (phase, 30), (phase, 35)]) {
        match at_phase(phase, Duration::from_secs(half_width)) {
            Ok(window) => assert!(!window.learned_left_out(), "{phase} {half_width}"),
            Err(WindowError::ClockTooUncertain { half_width: known, allowed }) => {
                refused += 1;
                assert_eq!(known, Duration::from_secs(half_width));
                assert!(allowed < known);
                for phase in 0..30 {
                    assert!(
                        !at_phase(phase, allowed).unwrap().learned_left_out(),
                        "as well known as was asked for"
                    );
                }
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!((30..90).contains(&refused), "{refused}: never with a clock like this, always with a poorer one");
    // What isn't known itself is left out whatever the clock: a phone gets in as ever.
    let unseen = drift(240, 5, NOON - 90 * 86_400);
    for half_width in [0, 20, 35] {
        assert!(compute(known(NOON, half_width), unseen, 1).unwrap().learned_left_out());
    }
    // The same for a token that may be right.
    let slow = |ahead, deviation, half_width| {
        let (period, drift) = (Duration::from_secs(60), drift(ahead, deviation, NOON));
        Window::compute(&WindowPolicy::default(), period, T0, &known(NOON, half_width), &drift, 1)
    };
    assert!(!slow(0, 20, 0).unwrap().learned_left_out());
    assert!(slow(0, 20, 10).unwrap().learned_left_out());
    // It may be the age that is too great because of the clock.
    assert!(!slow(240, 15, 0).unwrap().learned_left_out());
    assert!(matches!(slow(240, 15, 14), Err(WindowError::ClockTooUncertain { .. })));
}

#[test]
fn no_clock_is_resynchronised_that_is_further_off_than_any_may_be() {
    let top = |ahead, unseen_days: i64| {
        let drift = drift(ahead, 5, NOON - unseen_days * 86_400);
        let now = known(NOON, 0);
        Window::for_resynchronisation(&WindowPolicy::default(), PERIOD, T0, &now, &drift, 2).unwrap()
    };
    let limit = TimeStep::new((NOON + 3_600 + 1) / 30).unwrap();
    assert_eq!(top(3_580, 1).top(), limit);
    assert_eq!(top(3_600, 1_000).top(), limit);
    assert_eq!(top(-3_600, 1_000).ranges()[0].first().get(), (NOON - 3_600 - 37 - 1) / 30);
    assert!(top(3_000, 1).top() < limit);
    // Under a policy that allowed more it may have been anywhere: a right clock is found.
    assert!(top(5_000, 1).contains(TimeStep::new(NOON / 30).unwrap()));
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
    for preset in [WindowPolicy::strict(), WindowPolicy::hardware_tokens(), WindowPolicy::nist()] {
        assert_eq!(preset.to_builder().build(), Ok(preset));
    }
    for steps in [0, 1, 8] {
        assert_eq!(builder().max_steps(steps).build(), Err(PolicyError::MaxSteps { got: steps, most: 7 }));
    }
    for steps in [6, 20, 241] {
        assert_eq!(
            builder().max_steps_consecutive(steps).build(),
            Err(PolicyError::MaxStepsConsecutive { got: steps, least: 7, most: 19 })
        );
    }
    for delays in
        [builder().least_entry_delay(Duration::from_secs(38)), builder().entry_delay(Duration::from_secs(4))]
    {
        assert!(matches!(delays.build(), Err(PolicyError::EntryDelays { .. })));
    }
    assert_eq!(builder().sigmas(0).build(), Err(PolicyError::NoSigmas));
    assert_eq!(builder().sigmas(11).build(), Err(PolicyError::ManySigmas { got: 11 }));
    let got = Duration::from_secs(86_401);
    let model = DriftModel { max_drift: got, ..DriftModel::default() };
    assert_eq!(builder().drift_model(model).build(), Err(PolicyError::MaxDrift { got }));
    let model = DriftModel { rate_error_ppb: 1_000_000_001, ..DriftModel::default() };
    assert_eq!(builder().drift_model(model).build(), Err(PolicyError::RateError { got: 1_000_000_001 }));
    let longer = builder().build().unwrap().entry_delay() + Duration::from_nanos(1);
    for model in [
        DriftModel { mean_delay: longer, ..DriftModel::default() },
        DriftModel { delay_deviation: longer, ..DriftModel::default() },
    ] {
        assert!(matches!(builder().drift_model(model).build(), Err(PolicyError::Delays { .. })));
    }
    assert!(matches!(
        builder().entry_delay(Duration::from_secs(117)).build(),
        Err(PolicyError::CodesTooYoung { .. })
    ));
}

/// When the service starts, not at its first login.
#[test]
fn policies_that_no_usual_token_fits_are_refused() {
    let (minute, hair) = (Duration::from_secs(60), Duration::from_nanos(1));
    for max_steps in 2..=7 {
        let build = |span: Duration| {
            let builder = WindowPolicy::builder().max_steps(max_steps).max_code_age(10 * minute);
            builder.entry_delay(span - Duration::from_secs(4)).build()
        };
        let span = (max_steps - 1) * minute;
        assert_eq!(build(span), Err(PolicyError::StepsTooFew { max_steps, span }));
        // The window itself has the same limit.
        let policy = build(span - hair).unwrap();
        let window = |period| Window::for_enrolment(&policy, period, T0, &known(NOON, 0), 1);
        assert!(window(minute).is_ok());
        assert!(matches!(window(minute - hair), Err(WindowError::PeriodTooShort { .. })));
    }
}

/// What the documentation of `nist` and of `strict` says: how long neither centre accepts a code for, and how long two consecutive ones live.
#[test]
fn codes_live_as_long_as_their_policy_says() {
    let step = TimeStep::new(NOON / 30).unwrap();
    for (policy, single, pair) in [(WindowPolicy::nist(), 120, 210), (WindowPolicy::strict(), 105, 270)] {
        let mut longest = [0, 0];
        for (ahead, deviation) in
            [-300, 0, 300].into_iter().flat_map(|ahead| (0..100).map(move |d| (ahead, d)))
        {
            for codes in [1, 2] {
                let mut lives = [0, 0];
                for second in NOON - 600..NOON + 600 {
                    let drift = drift(ahead, deviation, second);
                    let window =
                        Window::compute(&policy, PERIOD, T0, &known(second, 0), &drift, codes).unwrap();
                    if window.contains(step) {
                        lives[usize::from(window.centre(step) == Centre::Learned)] += 1;
                    }
                }
                let [right, learned] = lives;
                // Both ends belong to it. Two codes are shown around both centres.
                let (lived, limit) =
                    if codes == 1 { (right.max(learned), single) } else { (right + learned, pair) };
                assert!((31..=limit + 1).contains(&lived), "{lives:?}: {codes}, {ahead} s ± {deviation} s");
                longest[usize::from(codes) - 1] = lived.max(longest[usize::from(codes) - 1]);
            }
        }
        // Nearly: so nothing less could be said.
        assert!(longest[0] > single - 10 && longest[1] > pair - 10, "{longest:?}");
    }
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
        mean in -3_600_000_000_000_i64..3_600_000_000_000, deviation_micros in 0_u64..20_000_000,
        off_in_thousandths in -2_000_i64..=2_000, delay in 0_i64..=37_000_000_000, codes in 1_u8..=3,
    ) {
        let drift = Drift::from_parts(
            SignedDuration::from_nanos(mean), deviation_micros * deviation_micros, Timestamp::from_unix_nanos(truth), None,
        );
        let now = TimeInterval::new(
            Timestamp::from_unix_nanos(truth - before), Timestamp::from_unix_nanos(truth + after),
        ).unwrap();
        let policy = WindowPolicy::default();
        let slack = policy.slack(&drift, now.latest());
        let belief = Belief::about(&policy, &drift, slack);
        let window = match compute(now, drift, codes) {
            Err(WindowError::ClockTooUncertain { allowed, .. }) => {
                prop_assert!(belief == Belief::Elsewhere && allowed < now.half_width());
                return Ok(());
            }
            other => other.unwrap(),
        };
        let belief = if codes > 1 { Belief::Unsure } else { belief };
        let shown = |offset: i64, delay: i64| TimeStep::new((truth - delay + offset).div_euclid(30_000_000_000)).unwrap();

        // What was learned, give or take 2 σ. A sixth of that where the token is held to be right.
        let learned = i64::try_from(deviation_micros).unwrap() * off_in_thousandths;
        let step = shown(mean + learned, delay);
        prop_assert_eq!(window.centre(step), Centre::Learned);
        let step = match (belief, codes) {
            (Belief::Right, _) => shown(mean + learned / 6, delay.max(3_000_000_000)),
            (_, 1) => shown(mean + learned, delay.max(3_000_000_000)),
            _ => step,
        };
        // Left out is said, not silent.
        prop_assert!(window.contains(step) || window.learned_left_out());
        prop_assert!(!window.learned_left_out() || window.width() <= 7);

        // A right clock, and for a short while after reading even that of a token which is known to be elsewhere.
        if belief != Belief::Elsewhere || window.learned_left_out() {
            prop_assert!(window.contains(shown(off_in_thousandths * 1_000_000, delay)));
        }
        prop_assert!(window.contains(shown(0, delay.min(5_000_000_000))));
    }

    #[test]
    fn one_code_is_looked_for_only_where_two_are(
        second in 1_000_000_000_i64..2_000_000_000, half_width in 0_u64..=20,
        ahead in -200_i64..=200, deviation in 0_u64..10,
    ) {
        let window = |codes| compute(known(second, half_width), drift(ahead, deviation, second), codes);
        let (Ok(one), Ok(two)) = (window(1), window(2)) else {
            prop_assert!(half_width > 0);
            return Ok(());
        };
        prop_assert!(one.ranges().iter().flat_map(|range| range.steps()).all(|step| two.contains(step)));
        prop_assert!(one.top() <= two.top());
    }

    #[test]
    fn runs_are_disjoint_ascending_and_within_the_limits(
        second in 1_000_000_000_i64..2_000_000_000, half_width in 0_u64..=39,
        ahead in -3_600_i64..=3_600, deviation in 0_u64..400, codes in 1_u8..=3,
    ) {
        let Ok(window) = compute(known(second, half_width), drift(ahead, deviation, second), codes) else {
            prop_assert!(half_width > 0);
            return Ok(());
        };
        let most = if codes == 1 { 7 } else { 19 };
        prop_assert!(window.width() <= most);
        if let [low, high] = window.ranges() {
            prop_assert!(low.last().get() + 1 < high.first().get());
        }
        prop_assert!(window.contains(window.top()));
    }

    #[test]
    fn a_wider_interval_never_loses_a_step(
        second in 1_000_000_000_i64..2_000_000_000, narrow in 0_u64..=20, wider in 0_u64..=19,
    ) {
        let window = |half_width| compute(known(second, half_width), drift(0, 1, second), 1).unwrap();
        let (inner, outer) = (window(narrow), window(narrow + wider));
        prop_assert!(inner.ranges().iter().flat_map(|range| range.steps()).all(|step| outer.contains(step)));
    }
}
