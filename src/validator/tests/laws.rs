//! What holds for every order of calls and times.

use super::faults::Scripted;
use super::*;
use crate::window::Window;
use proptest::prelude::*;

/// One login: by how much the clock moves, how well it is known, what is shown.
#[derive(Clone, Debug)]
struct Login {
    clock_moves: i64,
    half_width: u64,
    steps_off: i64,
    codes: usize,
    wrong: bool,
}

fn login() -> impl Strategy<Value = Login> {
    let moves = prop_oneof![4 => 0_i64..40, 2 => -90_i64..90, 1 => -100_000_i64..100_000];
    (moves, 0_u64..45, -4_i64..=4, 1_usize..=3, prop::bool::weighted(0.1)).prop_map(
        |(clock_moves, half_width, steps_off, codes, wrong)| Login {
            clock_moves,
            half_width,
            steps_off,
            codes,
            wrong,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_step_is_accepted_twice_under_any_order_of_calls_and_times(logins in prop::collection::vec(login(), 1..60)) {
        let service = service();
        let mut second = 0_i64;
        let mut accepted = HashSet::new();
        let mut shown_and_accepted = HashSet::new();
        for login in logins {
            second += login.clock_moves;
            let middle = Timestamp::from_unix_seconds(NOON + second).unwrap();
            service.time.set(Ok(TimeInterval::around(middle, Duration::from_secs(login.half_width))));
            let last = (NOON + second).div_euclid(30) + login.steps_off;
            let first = last - i64::try_from(login.codes).unwrap() + 1;
            let steps: Vec<_> = (first..=last).map(|step| TimeStep::new(step).unwrap()).collect();
            let codes = if login.wrong {
                vec![Code::parse("000000").unwrap(); login.codes]
            } else {
                steps.iter().map(|step| totp().code_at(*step)).collect()
            };
            let (before, budget) = (service.state(), service.budget());
            match service.show(&Attempt::consecutive(codes).unwrap()) {
                Verdict::Accepted(won) => {
                    prop_assert!(!login.wrong);
                    prop_assert_eq!(Some(&won.step), steps.last());
                    prop_assert!(before.watermark.is_none_or(|watermark| watermark < steps[0]));
                    prop_assert!(accepted.insert(won.step));
                    for step in steps {
                        prop_assert!(shown_and_accepted.insert(step), "{} was part of an accepted attempt", step);
                    }
                    prop_assert_eq!(service.state().watermark, Some(won.step));
                    prop_assert_eq!(service.budget().without_failures(), budget.without_failures(), "a success refunds nothing");
                }
                Verdict::Refused(refused) => {
                    let after = service.state();
                    prop_assert_eq!(after.drift, before.drift);
                    prop_assert!(after.watermark >= before.watermark);
                    // Only a failure of several codes burns steps.
                    let may_burn = login.codes > 1 && matches!(refused.reason(), Reason::Wrong);
                    prop_assert!(may_burn || after.watermark == before.watermark);
                    let price = refused.events()[0].price;
                    prop_assert_eq!(matches!(refused.reason(), Reason::Wrong), price > Odds::ZERO);
                    prop_assert_eq!(service.budget() == budget, price == Odds::ZERO);
                }
            }
        }
    }

    #[test]
    fn an_owner_gets_in_with_one_code_or_with_the_two_that_were_asked_for(
        off in -580_i64..580, delays in prop::collection::vec(0_i64..=30, 12), gap in prop_oneof![60_i64..1_000, 60_i64..1_000_000],
    ) {
        // Enrolled with two codes, then logging in with whatever delay up to the policy's.
        let policy = WindowPolicy::default();
        // In a store whose budgets are full at first, so that every failure here can be paid for.
        let service = Service::new(Scripted::default());
        block_on(service.gate.enrol(&token(), &two(off - 10))).unwrap();
        let (mut second, mut failures) = (0, 0);
        for delay in delays {
            second += gap;
            service.set(second);
            let (drift, now) = (service.state().drift, service.time.now().unwrap());
            let window = Window::compute(&policy, totp().period(), totp().t0(), &now, &drift, 1).unwrap();
            if let Verdict::Refused(refused) = service.show(&one(second - delay + off)) {
                // Whom one code can't reach is told so, never to wait or to come back.
                let reachable = !window.learned_left_out();
                let expected = if reachable { Advice::TryAgain } else { Advice::ShowConsecutive(2) };
                prop_assert_eq!(refused.advice(), expected, "{:?}", refused);
                failures += u32::from(reachable);
                second += 40;
                service.set(second);
                prop_assert!(service.show(&two(second - 10 + off)).is_accepted(), "two codes always get in");
            }
        }
        // Uniform delays are far from the 10 ± 7 s of the model, and still:
        prop_assert!(failures <= 3, "{} of 12", failures);
    }
}
