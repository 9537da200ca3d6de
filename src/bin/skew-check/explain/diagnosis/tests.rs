use skewgate::otp::{Algorithm, Digits, Format, Secret};
use skewgate::token::{Bucket, Budget, Charge, Drift, TokenState};
use skewgate::validator::Advice;

use super::super::key::{Parameters, Reading};
use super::*;

/// Noon, 5 s into a step.
const NOON: i64 = 1_780_315_205;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(NOON + seconds).unwrap()
}

fn key() -> Key {
    Key {
        secret: Secret::from_bytes(b"12345678901234567890").unwrap(),
        parameters: Parameters {
            algorithm: Algorithm::Sha1,
            format: Format::default(),
            period: Duration::from_secs(30),
            t0: Timestamp::from_unix_nanos(0),
        },
        reading: Reading::Base32,
        others: vec![(Reading::Characters, Secret::from_bytes(b"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap())],
        warnings: Vec::new(),
    }
}

/// However soon.
const RESYNCHRONISE: Remedy = Remedy::Resynchronise { wait: Duration::ZERO };

fn remedy(diagnosis: &Diagnosis) -> Option<Remedy> {
    diagnosis
        .remedy
        .map(|remedy| if let Remedy::Resynchronise { .. } = remedy { RESYNCHRONISE } else { remedy })
}

/// What a token shows whose clock is so many seconds ahead.
fn shown(key: &Key, parameters: &Parameters, ahead: i64) -> Code {
    let totp = parameters.totp(&key.secret).unwrap();
    totp.code_at(totp.step_at(at(ahead)).unwrap())
}

fn step(ahead: i64) -> TimeStep {
    TimeStep::new((NOON + ahead).div_euclid(30)).unwrap()
}

struct World {
    key: Key,
    standing: Standing,
    state_known: bool,
    policy: Policy,
    time: Result<TimeInterval, String>,
}

impl World {
    fn new() -> Self {
        let drift = Drift::from_parts(SignedDuration::ZERO, 0, at(0), None);
        let token = TokenState { epoch: 0, watermark: None, nonce: [0; 8], drift };
        Self {
            key: key(),
            standing: Standing { token, budget: Budget::full(at(0)), not_before: None },
            state_known: false,
            policy: Policy::default(),
            time: Ok(TimeInterval::around(at(0), Duration::from_millis(10))),
        }
    }

    fn explain(&self, codes: &[Code]) -> Diagnosis {
        let totp = self.key.parameters.totp(&self.key.secret).unwrap();
        let case = Case {
            key: &self.key,
            totp: &totp,
            codes,
            policy: &self.policy,
            standing: &self.standing,
            state_known: self.state_known,
            time: self.time.clone(),
            host_clock: at(0),
            search: Duration::from_secs(86_400),
        };
        case.explain().unwrap()
    }

    /// Codes that a token shows whose clock is so many seconds ahead.
    fn tried(&self, ahead: &[i64]) -> Diagnosis {
        let codes: Vec<Code> =
            ahead.iter().map(|ahead| shown(&self.key, &self.key.parameters, *ahead)).collect();
        self.explain(&codes)
    }
}

fn cause(diagnosis: &Diagnosis) -> &'static str {
    diagnosis.cause.name()
}

#[test]
fn a_right_code_is_accepted_and_its_token_may_be_right() {
    let found = World::new().tried(&[0]);
    assert_eq!(cause(&found), "accepted");
    let fit = found.fit.unwrap();
    assert_eq!((fit.step, fit.steps_off), (step(0), Some(0)));
    assert!(fit.ahead.contains(SignedDuration::ZERO));
    assert_eq!(cause(&World::new().tried(&[-30, 0])), "accepted");
    // Nobody types a code before it is shown.
    let found = World::new().tried(&[-29]);
    assert_eq!(cause(&found), "accepted");
    assert!(found.fit.unwrap().ahead.contains(SignedDuration::ZERO));
}

/// As the validator does first of all.
#[test]
fn a_token_that_was_enrolled_with_other_parameters_is_unsuited() {
    let mut world = World { state_known: true, ..World::new() };
    assert_eq!(cause(&world.tried(&[0])), "token_unsuited");
    world.time = Err("no sources".into());
    assert_eq!(cause(&world.tried(&[0])), "token_unsuited");
    world.time = Ok(TimeInterval::around(at(0), Duration::from_millis(10)));
    // What an enrolment with SHA-1, 30 s, T0 = 0 and six digits leaves in the epoch's lowest bits.
    world.standing.token.epoch = 30_881;
    assert_eq!(cause(&world.tried(&[0])), "accepted");
}

#[test]
fn a_clock_that_is_off_is_told_and_its_truth_is_inside() {
    for (ahead, expected, helps) in [
        (-100, "too_old", RESYNCHRONISE),
        (100, "too_new", RESYNCHRONISE),
        (-3_600, "too_old", Remedy::SetClock),
        (80_000, "too_new", Remedy::SetClock),
    ] {
        let found = World::new().tried(&[ahead]);
        assert_eq!(cause(&found), expected, "{ahead}");
        let fit = found.fit.unwrap();
        assert_eq!(fit.step, step(ahead));
        // Read as it was tried.
        assert!(fit.ahead.contains(SignedDuration::from_secs(ahead)), "{ahead}: {fit:?}");
        assert_eq!(remedy(&found), Some(helps), "{ahead}");
        let top = step(30).get() - 1;
        let off = if ahead > 0 { fit.step.get() - top } else { fit.step.get() - step(-39).get() };
        assert_eq!(fit.steps_off, Some(off), "{ahead}");
    }
    // Two codes reach no further than one where nothing is uncertain.
    assert_eq!(cause(&World::new().tried(&[-130, -100])), "too_old");
}

#[test]
fn what_was_learned_of_a_token_moves_its_window() {
    let mut world = World::new();
    let settled = 25_000_000_000_000;
    world.standing.token.drift = Drift::from_parts(SignedDuration::from_secs(600), settled, at(-60), None);
    let found = world.tried(&[600]);
    assert_eq!(cause(&found), "accepted");
    assert_eq!(found.window.unwrap().ranges().len(), 2);
    // Between both runs: the nearest end counts.
    let found = world.tried(&[480]);
    assert_eq!((cause(&found), remedy(&found)), ("too_old", Some(RESYNCHRONISE)));
    assert_eq!(cause(&world.tried(&[120])), "too_new");
    // The search is around where the token is believed to be.
    assert_eq!(cause(&world.tried(&[86_700])), "too_new");
    assert_eq!(cause(&world.tried(&[-86_200])), "fits_nowhere");
    // So long unseen that only two codes are looked for there.
    world.standing.token.drift =
        Drift::from_parts(SignedDuration::from_secs(600), settled, at(-30 * 86_400), None);
    let found = world.tried(&[600]);
    assert_eq!((cause(&found), remedy(&found)), ("too_new", Some(Remedy::TwoCodes)));
    assert!(found.window.unwrap().learned_left_out());
    assert_eq!(cause(&world.tried(&[570, 600])), "accepted");
}

#[test]
fn a_resynchronisation_that_would_come_too_early_is_told() {
    let mut world = World::new();
    let wait = |world: &World| match world.tried(&[-100]).remedy {
        Some(Remedy::Resynchronise { wait }) => wait.as_secs(),
        other => panic!("{other:?}"),
    };
    let learned = |seconds| Drift::from_parts(SignedDuration::ZERO, 0, at(seconds), None);
    world.standing.token.drift = learned(-3_600);
    assert_eq!(wait(&world), 0);
    world.standing.token.drift = learned(-60);
    let just_before = wait(&world);
    assert!((560..=720).contains(&just_before), "{just_before}");
    world.standing.token.drift = learned(-3_600);
    world.standing.not_before = Some(at(-60));
    let restored = wait(&world);
    assert!((just_before..=720).contains(&restored), "{restored}");
}

#[test]
fn used_codes_are_told_from_wrong_ones() {
    let mut world = World::new();
    world.standing.token.watermark = Some(step(0));
    let found = world.tried(&[0]);
    assert_eq!((cause(&found), found.fit.unwrap().dead.is_some()), ("replay", true));
    world.standing.token.watermark = Some(step(-30));
    assert_eq!(cause(&world.tried(&[0])), "accepted");
    assert_eq!(cause(&world.tried(&[-30, 0])), "partly_used");
    world.standing.token.watermark = Some(step(600));
    assert_eq!(cause(&world.tried(&[0])), "watermark_ahead");
    // It ran ahead until it was set right.
    world.standing.token.drift =
        Drift::from_parts(SignedDuration::from_secs(600), 25_000_000_000_000, at(-60), None);
    let found = world.tried(&[0]);
    let Cause::Replay(Death::Used, Advice::RetryAfter(wait)) = found.cause else {
        panic!("{:?}", found.cause)
    };
    assert!((600..=660).contains(&wait.as_secs()), "{wait:?}");
}

#[test]
fn an_old_code_says_nothing_of_the_clock_and_one_of_a_clock_set_back_has_to_wait() {
    let mut world = World::new();
    world.standing.token.watermark = Some(step(-180));
    // The very code that let him in three minutes ago.
    let found = world.tried(&[-180]);
    let dead = |found: &Diagnosis| found.fit.unwrap().dead.map(|dead| (dead.by, dead.wait.as_secs()));
    assert_eq!((cause(&found), dead(&found)), ("too_old", Some((Death::Used, 30))));
    assert_eq!(dead(&world.tried(&[-240])), Some((Death::Used, 90)));
    // It ran ahead until it was set right, and its code was typed a little late.
    world.standing.token.drift =
        Drift::from_parts(SignedDuration::from_secs(100), 25_000_000_000_000, at(-60), None);
    world.standing.token.watermark = Some(step(40));
    world.time = Ok(TimeInterval::around(at(8), Duration::from_millis(10)));
    let found = world.tried(&[-10]);
    assert_eq!((cause(&found), found.remedy), ("too_old", Some(Remedy::AsMany)));
    // Until the step after that of 12:00:30 to 12:01:00, from 12:00:13 on.
    assert_eq!(dead(&found), Some((Death::Used, 47)));
    // Above what is dead nothing has to wait.
    assert_eq!(dead(&world.tried(&[300])), None);
}

#[test]
fn what_a_restore_kills_is_not_called_used() {
    let mut world = World::new();
    world.standing.not_before = Some(at(0));
    let found = world.tried(&[0]);
    assert!(
        matches!(found.cause, Cause::Replay(Death::Restored, Advice::WaitForNextCode)),
        "{:?}",
        found.cause
    );
    assert!(found.fit.unwrap().dead.is_some());
    let dead = found.dead.unwrap();
    assert_eq!(dead, (step(0), Death::Restored));
    // Older ones were used; of several codes the first counts.
    world.standing.token.watermark = Some(step(-30));
    assert!(matches!(world.tried(&[0]).cause, Cause::Replay(Death::Restored, _)));
    assert!(matches!(world.tried(&[-30]).cause, Cause::Replay(Death::Used, _)));
    assert!(matches!(world.tried(&[-30, 0]).cause, Cause::Replay(Death::Used, _)));
    assert_eq!(world.tried(&[0]).dead, Some(dead));
    world.standing.token.watermark = Some(dead.0);
    assert_eq!(world.tried(&[0]).dead, Some((dead.0, Death::Used)));
    assert!(matches!(world.tried(&[0]).cause, Cause::Replay(Death::Used, _)));
    // Half of a pair.
    world.standing.token.watermark = None;
    world.standing.not_before = Some(at(-30));
    let found = world.tried(&[-30, 0]);
    assert!(matches!(found.cause, Cause::PartlyUsed(Death::Restored)), "{found:?}");
    assert_eq!(found.fit.unwrap().dead, None);
    world.standing.token.watermark = Some(step(-30));
    assert!(matches!(world.tried(&[-30, 0]).cause, Cause::PartlyUsed(Death::Used)));
}

#[test]
fn codes_of_a_time_to_come_are_dead_by_whatever_reaches_further() {
    let mut world = World::new();
    world.standing.not_before = Some(at(300));
    let found = world.tried(&[0]);
    assert_eq!((cause(&found), found.dead), ("watermark_ahead", Some((step(300), Death::Restored))));
    assert!(found.fit.unwrap().dead.is_some());
    world.standing.token.watermark = Some(step(900));
    let found = world.tried(&[0]);
    assert_eq!((cause(&found), found.dead), ("watermark_ahead", Some((step(900), Death::Used))));
    // Nothing is judged without the time, and what is dead is known all the same.
    world.time = Err("no source answered".into());
    assert_eq!(world.tried(&[0]).dead, Some((step(900), Death::Used)));
}

#[test]
fn what_is_not_looked_at_is_told_why_and_where_it_fits_all_the_same() {
    let mut world = World::new();
    let dear = Charge { bucket: Bucket::Blind, cost: Odds::from_e12(28_000_000) };
    world.standing.budget = Budget::full(at(0)).charge(dear, at(0));
    let found = world.tried(&[0]);
    assert_eq!(cause(&found), "consecutive_codes_needed");
    assert_eq!(found.fit.unwrap().step, step(0));
    assert_eq!(cause(&world.tried(&[-30, 0])), "accepted");
    // Neither for one code nor for half a pair.
    let spent = |bucket: Bucket| Charge { bucket, cost: bucket.capacity() };
    let empty = Budget::full(at(0)).charge(spent(Bucket::Blind), at(0)).charge(spent(Bucket::Partial), at(0));
    world.standing.budget = empty;
    assert_eq!(cause(&world.tried(&[0])), "throttled");

    let mut world = World::new();
    world.policy = Policy::nist();
    world.standing.budget = Budget::from_parts(at(0), at(0), 100);
    assert_eq!(cause(&world.tried(&[0])), "locked");

    let mut world = World::new();
    world.time = Err("no source answered".into());
    let found = world.tried(&[0]);
    assert_eq!((cause(&found), found.fit.unwrap().step), ("time_unknown", step(0)));

    let mut world = World::new();
    world.key.parameters.format = Digits::TEN.into();
    assert_eq!(cause(&world.tried(&[0])), "token_unsuited");
}

/// Who asks has another clock than the validator.
#[test]
fn a_poor_clock_here_is_not_taken_for_the_validators() {
    let mut world = World::new();
    for (ahead, seconds, expected) in [
        (0, 1, "accepted"),
        (0, 5, "accepted"),
        // Ten seconds before, its step was still to come.
        (0, 10, "clock_too_poor"),
        (-30, 10, "accepted"),
        (-70, 10, "too_old"),
        (-70, 30, "clock_too_poor"),
        // Right in the middle or elsewhere in between, and at neither end.
        (0, 300, "clock_too_poor"),
        (150, 300, "clock_too_poor"),
        (-300, 60, "too_old"),
        (300, 60, "too_new"),
    ] {
        world.time = Ok(TimeInterval::around(at(0), Duration::from_secs(seconds)));
        let found = world.tried(&[ahead]);
        assert_eq!(cause(&found), expected, "{ahead} {seconds}");
        let fit = found.fit.unwrap();
        assert!(fit.step == step(ahead) && fit.ahead.contains(SignedDuration::from_secs(ahead)), "{fit:?}");
    }
    // Where its clock was learned to be, a moment counts that is none of a right clock's.
    world.time = Ok(TimeInterval::around(at(0), Duration::from_secs(120)));
    world.standing.token.drift =
        Drift::from_parts(SignedDuration::from_secs(600), 25_000_000_000_000, at(-60), None);
    assert_eq!(cause(&world.tried(&[600])), "clock_too_poor");
    assert_eq!(cause(&world.tried(&[300])), "too_old");
    world.time = Ok(TimeInterval::around(at(0), Duration::from_secs(300)));
    assert_eq!(cause(&world.tried(&[450])), "clock_too_poor");
}

#[test]
fn other_parameters_are_found() {
    let world = World::new();
    let own = &world.key.parameters;
    for parameters in [
        Parameters { algorithm: Algorithm::Sha256, ..own.clone() },
        Parameters { algorithm: Algorithm::Sha512, format: Digits::EIGHT.into(), ..own.clone() },
        Parameters { period: Duration::from_secs(60), ..own.clone() },
        Parameters { format: Format::Steam, ..own.clone() },
    ] {
        let found = world.explain(&[shown(&world.key, &parameters, 0)]);
        assert_eq!(cause(&found), "other_parameters", "{parameters:?}");
        let other = found.alternative.unwrap();
        assert_eq!(
            (other.parameters.algorithm, other.parameters.format, other.parameters.period),
            (parameters.algorithm, parameters.format, parameters.period)
        );
        assert_eq!(other.reading, Reading::Base32);
        assert!(other.luck > Odds::of_guess(1, 22, 1) && other.luck < Odds::from_e12(10_000_000_000));
    }
    let (reading, secret) = &world.key.others[0];
    let totp = own.totp(secret).unwrap();
    let found = world.explain(&[totp.code_at(step(0))]);
    assert_eq!((cause(&found), found.alternative.unwrap().reading), ("other_parameters", *reading));
}

#[test]
fn what_fits_nowhere_is_told_apart() {
    let world = World::new();
    let code = |text: &str| Code::parse(text).unwrap();
    // Chosen so that they fit nowhere within the day.
    assert_eq!(cause(&world.explain(&[code("000000")])), "fits_nowhere");
    assert_eq!(cause(&world.explain(&[code("00000001")])), "other_format");
    assert_eq!(cause(&world.tried(&[0, -30])), "wrong_order");
    let found = world.tried(&[-90, 0]);
    assert_eq!((cause(&found), &found.apart[..]), ("not_consecutive", &[Some(step(-90)), Some(step(0))][..]));
    // Each of them is right, and nothing is made of that but an explanation.
    let found = world.tried(&[0, 0]);
    assert_eq!((cause(&found), &found.apart[..]), ("not_consecutive", &[Some(step(0)); 2][..]));
    let half = [shown(&world.key, &world.key.parameters, 0), code("000000")];
    assert_eq!(world.explain(&half).apart, [Some(step(0)), None]);
}

#[test]
fn where_the_codes_fit_as_they_should_nothing_else_is_offered() {
    let found = World::new().tried(&[7_170, 7_200]);
    assert_eq!(cause(&found), "too_new");
    assert!(found.alternative.is_none());
}

#[test]
fn of_two_alternatives_the_nearer_counts() {
    let mut world = World::new();
    let other = Parameters { algorithm: Algorithm::Sha256, ..world.key.parameters.clone() };
    // Some secret has two equal codes within the hour.
    let (near, far) = (0_u32..)
        .find_map(|number| {
            let bytes = [&number.to_be_bytes()[..], &[7; 16]].concat();
            world.key.secret = Secret::from_bytes(&bytes).unwrap();
            let mut seen = std::collections::HashMap::new();
            (0..110).map(|number| if number % 2 == 0 { number / 2 } else { -number / 2 - 1 }).find_map(
                |off| {
                    let code = shown(&world.key, &other, off * 30).expose().to_string();
                    seen.insert(code, off).map(|nearer| (nearer * 30, off * 30))
                },
            )
        })
        .expect("there is no end to secrets");
    let found = world.explain(&[shown(&world.key, &other, far)]);
    assert_eq!((cause(&found), found.alternative.unwrap().step), ("other_parameters", step(near)));
}

/// The nearest of several: two steps with one code.
#[test]
fn of_two_fits_the_nearer_counts() {
    let world = World::new();
    let totp = world.key.parameters.totp(&world.key.secret).unwrap();
    let mut first_seen = std::collections::HashMap::new();
    let (near, far) = (-2_880..2_880)
        .map(|number| step(0).get() + number)
        .find_map(|number| {
            let code = totp.code_at(TimeStep::new(number).unwrap()).expose().to_string();
            first_seen.insert(code, number).map(|earlier| (earlier, number))
        })
        .map(|(one, other)| {
            let distance = |number: i64| (number - step(0).get()).abs();
            if distance(one) < distance(other) { (one, other) } else { (other, one) }
        })
        .expect("5760 codes of a million: some two are equal");
    let found = world.explain(&[totp.code_at(TimeStep::new(far).unwrap())]);
    assert_eq!((found.fit.unwrap().step.get(), found.other_fits), (near, 1));
}

#[test]
fn the_reasons_have_the_names_of_the_events() {
    let names: Vec<_> = skewgate::event::Outcome::ALL.iter().map(|outcome| outcome.name()).collect();
    let mut world = World::new();
    world.standing.token.watermark = Some(step(0));
    assert!(names.contains(&cause(&world.tried(&[0]))));
    for reason in [
        Reason::Locked { failures: 1 },
        Reason::Throttled { retry_after: FAR },
        Reason::BudgetAhead { retry_after: FAR },
        Reason::ConsecutiveCodesNeeded { count: 2 },
        Reason::WatermarkAhead { retry_after: FAR },
    ] {
        assert!(names.contains(&Cause::NotAdmitted(reason).name()));
    }
}
