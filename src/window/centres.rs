//! Where a code may have been read: around the clock that the token was seen to have, and around a right one.
//!
//! Both in full are a union of three to seven steps. For a single code, at a millionth of a chance each, that is more than
//! what is known calls for:
//!
//! - Most tokens are phones that follow the network's time. Where what was learned agrees with a right clock, |μ| ≤ kσ, the
//!   token is *held to be right*: a right clock within a second says more than a mean that is known to ±6 s. The
//!   learned centre is looked for at a sixth of its kσ, for clocks that are in truth some seconds off.
//! - A token with |μ| > kσ is *elsewhere*. A right clock is still looked for, in case somebody has set it right, but
//!   with a shorter delay: its owner gets in at once as a rule, and with the next code otherwise. Once he did, and until that is borne
//!   out, in full.
//! - A token that wasn't seen for so long that kσ exceeds the time that a user may take could be anywhere: both in full.

use crate::time::{SignedDuration, TimeInterval, Timestamp};
use crate::token::Drift;

use super::WindowPolicy;

/// Where a token is held to be right, its learned centre is looked for at this fraction of kσ: for a token that is
/// some seconds off in truth. Without a learned centre a simulated population has 0.2 % of its right codes refused; at a half
/// of kσ it is 0.01 % less than at a sixth, and a tenth of a code more.
const SHARE_WHERE_RIGHT: i64 = 6;

/// A stretch of a token's own time, ends included.
#[derive(Clone, Copy)]
pub(super) struct Reach {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

impl Reach {
    pub(super) fn length(self) -> SignedDuration {
        self.to - self.from
    }

    /// What is in both.
    pub(super) fn overlap(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), to: self.to.min(other.to) }
    }
}

/// What a token's clock may show when a code is read now, if it is `ahead` give or take `slack`.
pub(super) fn reach(
    policy: &WindowPolicy,
    now: &TimeInterval,
    ahead: SignedDuration,
    slack: SignedDuration,
) -> Reach {
    within(now, ahead, slack + policy.jitter, SignedDuration::ZERO, policy.entry_delay)
}

/// The same where its user takes from `least` to `most` to submit it.
fn within(
    now: &TimeInterval,
    ahead: SignedDuration,
    slack: SignedDuration,
    least: SignedDuration,
    most: SignedDuration,
) -> Reach {
    Reach { from: now.earliest() - most + ahead - slack, to: now.latest() - least + ahead + slack }
}

/// What is believed about a token's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belief {
    /// It is right, as most are.
    Right,
    /// It is where it was seen, which isn't where a right clock is.
    Elsewhere,
    /// Anything.
    Unsure,
}

impl Belief {
    /// What a `drift` with this kσ says.
    pub(super) fn about(policy: &WindowPolicy, drift: &Drift, slack: SignedDuration) -> Self {
        if slack > policy.entry_delay {
            Self::Unsure
        } else if (-slack..=slack).contains(&drift.mean()) {
            Self::Right
        } else if drift.outlier().is_none() {
            Self::Elsewhere
        } else {
            Self::Unsure
        }
    }
}

/// Where codes are looked for.
pub(super) struct Centres {
    pub(super) belief: Belief,
    pub(super) synchronised: Reach,
    /// The same where no other centre is looked for.
    pub(super) synchronised_alone: Reach,
    pub(super) learned: Reach,
    /// Where a code says something about the clock that was learned, scanned or not.
    pub(super) explained: Reach,
}

impl Centres {
    /// For an attempt of so many codes.
    pub(super) fn of(policy: &WindowPolicy, now: &TimeInterval, drift: &Drift, codes: u8) -> Self {
        let slack = policy.slack(drift, now.latest());
        let synchronised_alone = reach(policy, now, SignedDuration::ZERO, policy.synchronised_slack);
        let explained = reach(policy, now, drift.mean(), slack);
        let belief = Belief::about(policy, drift, slack);
        if codes > 1 {
            return Self {
                belief,
                synchronised: synchronised_alone,
                synchronised_alone,
                learned: explained,
                explained,
            };
        }
        // What was learned of a token, was learned of its user too: the mean of somebody hasty is ahead of his clock. So
        // nothing is expected from beyond it without any delay, while a right clock's codes may come at once.
        let learned = |slack: SignedDuration| {
            let (least, most) = (policy.least_entry_delay, policy.entry_delay);
            within(now, drift.mean(), slack + policy.jitter, least, most)
        };
        let (synchronised, learned) = match belief {
            Belief::Right => (
                synchronised_alone,
                learned(SignedDuration::from_nanos(slack.as_nanos() / SHARE_WHERE_RIGHT)),
            ),
            Belief::Elsewhere => {
                const ZERO: SignedDuration = SignedDuration::ZERO;
                (within(now, ZERO, ZERO, ZERO, policy.repaired_entry_delay), learned(slack))
            }
            Belief::Unsure => (synchronised_alone, learned(slack)),
        };
        Self { belief, synchronised, synchronised_alone, learned, explained }
    }

    /// Whether a window around both is within the limits wherever in a step it begins.
    pub(super) fn fit_anywhere(&self, policy: &WindowPolicy, period: i64, codes: u8) -> bool {
        let (synchronised, learned) = (self.synchronised, self.learned);
        // A stretch of n periods touches n + 1 steps, of a little more n + 2 at most.
        let steps = |reach: Reach| ((reach.length().as_nanos() - 1).div_euclid(period) + 2).unsigned_abs();
        let hull = Reach { from: synchronised.from.min(learned.from), to: synchronised.to.max(learned.to) };
        let apart = learned.to < synchronised.from || synchronised.to < learned.from;
        let steps = if apart { steps(synchronised) + steps(learned) } else { steps(hull) };
        let too_old = codes <= 1 && learned.length() > policy.max_code_age;
        !too_old && steps <= policy.most_steps(codes)
    }
}
