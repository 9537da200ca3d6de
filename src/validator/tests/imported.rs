use super::*;

fn service() -> Service<MemoryStore> {
    let service = Service::new(MemoryStore::new());
    service.set(10);
    service
}

fn import(service: &Service<MemoryStore>, known: Imported) -> Result<Enrolment, EnrolError> {
    block_on(service.gate.enrol_imported(&token(), known))
}

#[test]
fn what_the_other_system_used_stays_used() {
    let service = service();
    let last_used = TimeStep::new(NOON / 30);
    import(&service, Imported { last_used, ahead: None }).unwrap();
    assert!(matches!(service.refusal(&one(0)).reason(), Reason::Replay));
    assert!(matches!(service.refusal(&one(-30)).reason(), Reason::Replay));
    service.set(35);
    assert!(service.show(&one(30)).is_accepted());
    assert!(matches!(import(&service, Imported::default()), Err(EnrolError::AlreadyEnrolled)));
}

#[test]
fn where_it_did_not_say_nothing_of_before_is_taken() {
    let service = service();
    import(&service, Imported::default()).unwrap();
    for second in [-30, 0, 10] {
        assert!(!service.show(&one(second)).is_accepted());
    }
    service.set(100);
    assert!(service.show(&one(95)).is_accepted());
}

#[test]
fn where_the_clock_was_is_taken_over() {
    let service = service();
    let known = Imported { last_used: TimeStep::new(1), ahead: Some(SignedDuration::from_secs(120)) };
    import(&service, known).unwrap();
    assert!(service.show(&one(10 + 120)).is_accepted());
}

#[test]
fn the_time_must_be_known() {
    let service = service();
    service.time.set(Err(TimeError::NotMeasured));
    assert!(matches!(import(&service, Imported::default()), Err(EnrolError::ClockUntrusted(_))));
    assert!(service.store.is_empty());
}

#[test]
fn a_clock_that_could_not_be_looked_for_is_refused() {
    let hour = SignedDuration::from_secs(3_600);
    for (ahead, fits) in [
        (hour, true),
        (-hour, true),
        (hour + SignedDuration::from_nanos(1), false),
        (-hour - SignedDuration::from_nanos(1), false),
        (SignedDuration::from_nanos(i64::MIN), false),
    ] {
        let service = service();
        let known = Imported { last_used: TimeStep::new(1), ahead: Some(ahead) };
        match import(&service, known) {
            Ok(enrolment) => assert!(fits && enrolment.drift.mean() == ahead, "{ahead}"),
            Err(EnrolError::TooFarOff { ahead: got, limit }) => {
                assert!(!fits && got == ahead && limit == Duration::from_secs(3_600), "{ahead}");
                assert!(service.store.is_empty(), "nothing is written");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// A job that imports all users runs again.
#[test]
fn who_was_removed_and_is_imported_again_brings_no_used_code_back() {
    let service = service();
    let known = Imported { last_used: TimeStep::new(NOON / 30 - 100), ahead: None };
    import(&service, known).unwrap();
    assert!(service.show(&one(0)).is_accepted());
    block_on(service.gate.remove(&token())).unwrap();
    import(&service, known).unwrap();
    for second in [-30, 0, 30] {
        assert!(!service.show(&one(second)).is_accepted(), "{second}");
    }
    service.set(100);
    assert!(service.show(&one(90)).is_accepted());
}

#[test]
fn seconds_are_not_taken_for_steps() {
    let service = service();
    let furthest = (NOON + 10 + 3_600) / 30;
    for (step, fits) in [(NOON, false), (furthest + 1, false), (furthest, true)] {
        let last_used = TimeStep::new(step);
        let ended = import(&service, Imported { last_used, ahead: None });
        assert_eq!(ended.is_ok(), fits, "{step}");
        if let Err(error) = ended {
            assert!(matches!(error, EnrolError::UsedInTheFuture { .. }));
            assert!(error.to_string().contains("not of seconds"), "{error}");
            assert!(service.store.is_empty());
        }
    }
}

#[test]
fn its_event_tells_of_no_code() {
    let enrolment = import(&service(), Imported::default()).unwrap();
    assert_eq!((enrolment.events[0].outcome, enrolment.events[0].step_offset), (Outcome::Enrolled, None));
}

/// Nothing is known of when it was used last, and nobody makes a mistake: what its user is told to do leads in.
#[test]
fn who_follows_the_advice_after_an_import_gets_in() {
    for policy in [Policy::default(), Policy::strict(), Policy::hardware_tokens(), Policy::nist()] {
        for (second, half_width) in (0..30).step_by(3).flat_map(|second| [(second, 50), (second, 1_000)]) {
            let service = Service::new(MemoryStore::new());
            let gate = Validator::builder(service.store.clone(), service.time.clone()).policy(policy);
            let gate = gate.build().unwrap();
            let mut now = Timestamp::from_unix_seconds(NOON + second).unwrap();
            let set = |now| {
                let half_width = Duration::from_millis(half_width);
                service.time.set(Ok(TimeInterval::around(now, half_width)));
            };
            let shows = |now: Timestamp| totp().code_at(totp().step_at(now).unwrap());
            set(now);
            block_on(gate.enrol_imported(&token(), Imported::default())).unwrap();
            let (mut count, mut waited) = (1, Duration::ZERO);
            for attempt in 0.. {
                let mut codes = vec![shows(now)];
                for _ in 1..count {
                    now = now + SignedDuration::from_secs(30);
                    codes.push(shows(now));
                }
                set(now);
                let attempted = Attempt::consecutive(codes).unwrap();
                let refused = match block_on(gate.validate(Some(&token()), &attempted)) {
                    Verdict::Accepted(_) => break,
                    Verdict::Refused(refused) => refused,
                };
                let wait = match refused.advice() {
                    Advice::RetryAfter(wait) => wait,
                    Advice::WaitForNextCode => Duration::from_secs(30),
                    Advice::ShowConsecutive(codes) => {
                        count = usize::from(codes);
                        Duration::ZERO
                    }
                    advice => panic!("{advice:?}: {refused:?}"),
                };
                now = now + SignedDuration::from(wait);
                waited += wait;
                assert!(attempt < 2 && waited <= Duration::from_secs(95), "{refused:?}");
            }
            assert_eq!(count, 1, "waiting is enough");
        }
    }
}
