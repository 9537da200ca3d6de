//! What a guesser learns from the answers, and what it is worth.

use super::*;

/// A pair of which one code was right is paid for by another bucket than one of which none was, and an empty bucket shows:
/// whoever watches for that knows a code that is right. It must be dead by then.
#[test]
fn a_code_that_was_half_of_a_wrong_pair_is_never_accepted_again() {
    let nothing = Code::parse("000000").unwrap();
    for codes in [
        vec![shown(-30), nothing.clone()],
        vec![nothing.clone(), shown(0)],
        vec![shown(-60), shown(-30), nothing.clone()],
        vec![nothing.clone(), nothing, shown(0)],
    ] {
        let burnt = || {
            let service = service();
            service.set(10);
            let refused = service.refusal(&Attempt::consecutive(codes.clone()).unwrap());
            assert!(matches!(refused.reason(), Reason::Wrong));
            assert_eq!(refused.advice(), Advice::TryAgain, "as if all had been wrong");
            service
        };
        for code in &codes {
            for second in [10, 29, 30, 45, 60] {
                let service = burnt();
                service.set(second);
                assert!(!service.show(&Attempt::one(code.clone())).is_accepted(), "{second} s");
            }
        }
        // Codes that came afterwards are as good as ever, alone or as a pair.
        for attempt in [one(60), two(90)] {
            let service = burnt();
            service.set(95);
            assert!(service.show(&attempt).is_accepted());
        }
    }
}

/// Somebody saw a code being used, and guesses the one after it, or the one before: whether the guess is right leaves no trace. The one before is
/// looked for at a step after the window's.
#[test]
fn nothing_is_told_of_a_guess_beside_a_used_code() {
    let after = |codes: [Code; 2]| {
        let service = service();
        service.set(10);
        assert!(service.show(&one(0)).is_accepted());
        service.set(35);
        let refused = service.refusal(&Attempt::consecutive(codes).unwrap());
        assert!(matches!(refused.reason(), Reason::Wrong));
        (service.state(), service.budget(), refused.advice(), refused.events()[0].price)
    };
    let nothing = || Code::parse("000000").unwrap();
    let without_nonce = |(state, budget, advice, price): (TokenState, _, _, _)| {
        (TokenState { nonce: [0; 8], epoch: 0, ..state }, budget, advice, price)
    };
    for (right, wrong) in
        [([shown(0), shown(30)], [shown(0), nothing()]), ([shown(30), shown(0)], [nothing(), shown(0)])]
    {
        assert_eq!(without_nonce(after(right)), without_nonce(after(wrong)));
    }
}

/// Who shows consecutive codes and mistypes some of them goes on with what the token shows next, or shows now, though that may be dead
/// by then. Neither ends in a circle.
#[test]
fn an_owner_who_mistypes_gets_in_soon_after() {
    for count in [2_u32, 3] {
        for mistyped in 1..1_u32 << count {
            for overlapping in [false, true] {
                let service = service();
                let mut second = 10;
                let mut attempts = 0;
                loop {
                    let mut codes = Vec::new();
                    for at in 0..count {
                        second += if at == 0 { 0 } else { 30 };
                        service.set(second);
                        let wrong = attempts == 0 && mistyped >> at & 1 == 1;
                        codes.push(if wrong { Code::parse("000000").unwrap() } else { shown(second) });
                    }
                    if service.show(&Attempt::consecutive(codes).unwrap()).is_accepted() {
                        break;
                    }
                    attempts += 1;
                    second += if overlapping { 5 } else { 30 };
                    let most = if overlapping { 2 } else { 1 };
                    assert!(attempts <= most, "{count} codes, {mistyped:b} mistyped, {overlapping}");
                }
            }
        }
    }
}

/// The whole attack: empty the bucket of the half-right pairs down to one more of them, show pairs until the answer changes,
/// then show the codes of the last pair alone. Guesses are right a thousand times too often here, so that it takes moments.
#[test]
fn watching_a_bucket_run_dry_finds_no_code_that_is_still_good() {
    let mut random = fastrand::Rng::with_seed(1);
    let service = service();
    let (mut second, mut found) = (10_i64, 0);
    for _ in 0..20 {
        // The partial bucket can pay for one or two more.
        second += 86_400;
        let mut last: Option<[Code; 2]> = None;
        for _ in 0..2_000 {
            second += i64::from(random.u64(..40) == 0);
            service.set(second);
            let mut guess = || match random.u64(..500) {
                0 => shown(second),
                other => Code::parse(&format!("{:06}", 111_111 + 13 * other)).unwrap(),
            };
            let pair = [guess(), guess()];
            let refused = service.refusal(&Attempt::consecutive(pair.clone()).unwrap());
            if matches!(refused.reason(), Reason::Wrong) {
                last = Some(pair);
                continue;
            }
            // Another answer than before: by the pair before this one.
            let Some(last) = last.take() else { break };
            found += u32::from(last.iter().any(|code| *code.expose() == *shown(second).expose()));
            for code in last {
                assert!(!service.show(&Attempt::one(code)).is_accepted(), "a guess was confirmed and used");
            }
            break;
        }
    }
    assert!(found > 5, "{found}: the attack was not at full strength");
}
