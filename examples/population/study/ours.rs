//! The library's own decisions, in simulated time.

use std::time::Duration;

use skewgate::otp::{Match, Secret, Totp, TotpError};
use skewgate::store::{Acceptance, Change, Row, Seen, Written};
use skewgate::time::{SignedDuration, TimeInterval, Timestamp};
use skewgate::token::{Bucket, Budget, Charge, Drift, Measurement, Odds, TokenState};
use skewgate::validator::decide::{Admission, Decision, Found, Purpose, Standing, admit, judge};
use skewgate::validator::{Advice, Policy, Reason};
use skewgate::window::{Window, WindowPolicy};

use super::chance::Dice;
use super::clock::{Clock, time_step};
use super::gate::{Answer, Gate};

/// What a policy and a token are made of; the same for all who are simulated.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    policy: Policy,
    totp: Totp,
    pub(crate) clock: Clock,
}

impl Setup {
    pub(crate) fn new(policy: WindowPolicy, clock: Clock) -> Result<Self, Box<dyn std::error::Error>> {
        Ok(Self { policy: policy.into(), totp: totp(b"a secret of twenty by")?, clock })
    }
}

pub(crate) fn totp(key: &[u8]) -> Result<Totp, Box<dyn std::error::Error>> {
    let made: Result<Totp, TotpError> = Totp::builder(&Secret::from_bytes(key)?).build();
    Ok(made?)
}

/// One token, as a store keeps it.
pub(crate) struct Skewgate<'s> {
    pub(crate) setup: &'s Setup,
    standing: Standing,
}

impl<'s> Skewgate<'s> {
    /// Not enrolled yet: nothing is known.
    pub(crate) fn new(setup: &'s Setup) -> Self {
        let never = Timestamp::from_unix_nanos(0);
        let drift = Drift::from_parts(SignedDuration::ZERO, u64::MAX, never, None);
        let token = TokenState { epoch: 0, watermark: None, nonce: [0; 8], drift };
        Self { setup, standing: Standing { token, budget: Budget::full(never), not_before: None } }
    }

    pub(crate) fn admit(&self, now: &TimeInterval, codes: u8) -> Result<Admission<'s>, Reason> {
        admit(&self.standing, &self.setup.policy, &self.setup.totp, now, Purpose::LogIn, codes)
    }

    /// Decides, and writes what follows.
    pub(crate) fn settle(&mut self, admission: &Admission<'_>, found: &Found) -> Decision {
        let decision = judge(admission, found);
        let change = match decision {
            Decision::Accept { first, step, drift } => {
                let (epoch, seen, nonce, failure_limit) = (0, Seen::default(), [0; 8], u32::MAX);
                Change::Accept(Acceptance {
                    first,
                    step,
                    drift,
                    epoch,
                    seen,
                    nonce,
                    failure_limit,
                    authenticates: true,
                })
            }
            Decision::Replay { .. } => return decision,
            Decision::Wrong { failure, .. } => Change::Fail(failure),
        };
        let Standing { token, budget, .. } = self.standing;
        let mut row = Row { token: Some(token), budget: Some(budget) };
        assert_eq!(change.apply(&mut row, Seen::default()), Written::Done, "nobody else writes");
        if let Row { token: Some(token), budget: Some(budget) } = row {
            self.standing = Standing { token, budget, not_before: None };
        }
        decision
    }

    /// How long until a wrong single code can be paid for.
    pub(crate) fn wait_for_single(&self, now: &TimeInterval) -> Duration {
        let totp = &self.setup.totp;
        let (policy, drift) = (self.setup.policy.window(), &self.standing.token.drift);
        Window::compute(policy, totp.period(), totp.t0(), now, drift, 1)
            .ok()
            .and_then(|window| {
                let guess = totp.format().guess_odds_numerator();
                let charge = Charge { bucket: Bucket::Blind, cost: Odds::of_guess(window.width(), guess, 1) };
                self.standing.budget.wait_to_pay(charge, 1, now.earliest())
            })
            .unwrap_or(Duration::MAX)
    }

    /// When the blind bucket is full again.
    pub(crate) fn full_at(&self) -> Timestamp {
        self.standing.budget.full_at(Bucket::Blind)
    }
}

/// What a search finds of the token's own codes, the last one of `step`: they are right there, and (but for a millionth)
/// nowhere else.
pub(crate) fn found_by(admission: &Admission<'_>, step: i64, codes: u8) -> Found {
    let last = time_step(step);
    let first = time_step(step - i64::from(codes) + 1);
    let inside = admission.window().contains(last);
    let unused = |step| admission.watermark().is_none_or(|watermark| step > watermark);
    admission.found(Match {
        fresh: (inside && unused(first)).then_some(last),
        replayed: inside && !unused(last),
        right_at_best: if inside { codes } else { 0 },
    })
}

impl Gate for Skewgate<'_> {
    fn enrol(&mut self, dice: &mut Dice, truth: f64, step: i64, codes: u8) -> bool {
        let (now, totp) = (self.setup.clock.interval(dice, truth), &self.setup.totp);
        let (policy, period, t0) = (self.setup.policy.window(), totp.period(), totp.t0());
        let step = time_step(step);
        let reached =
            Window::for_enrolment(policy, period, t0, &now, codes).is_ok_and(|window| window.contains(step));
        if reached {
            let model = policy.drift_model();
            let token = &mut self.standing.token;
            token.drift = Drift::first(model, Measurement::new(model, step, period, t0, &now));
            token.watermark = Some(step);
            self.standing.budget = Budget::full(now.earliest());
        }
        reached
    }

    fn show(&mut self, dice: &mut Dice, truth: f64, step: i64, codes: u8) -> Answer {
        let now = self.setup.clock.interval(dice, truth);
        let admission = match self.admit(&now, codes) {
            Ok(admission) => admission,
            Err(reason) => return Answer { refused: Some(advice(&reason)), codes: None },
        };
        let refused = match self.settle(&admission, &found_by(&admission, step, codes)) {
            Decision::Accept { .. } => None,
            Decision::Replay { advice } | Decision::Wrong { advice, .. } => Some(advice),
        };
        Answer { refused, codes: Some(admission.window().width()) }
    }
}

/// What a validator tells a user whom it doesn't look at.
fn advice(reason: &Reason) -> Advice {
    match reason {
        Reason::ConsecutiveCodesNeeded { count } => Advice::ShowConsecutive(*count),
        Reason::WatermarkAhead { retry_after } | Reason::Throttled { retry_after } => {
            Advice::RetryAfter(*retry_after)
        }
        _ => Advice::TellOperator,
    }
}
