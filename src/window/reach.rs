//! How far tokens reach beyond the window of a login: when they are resynchronised, and in what they may have used before.

use std::time::Duration;

use crate::otp::TimeStep;
use crate::time::{SignedDuration, TimeInterval, Timestamp};
use crate::token::Drift;

use super::centres::reach;
use super::{Grid, Span, Window, WindowError, WindowPolicy, check_clock};

/// How much further than its drift could have grown a token is looked for when it is resynchronised: somebody may have set its
/// clock. RFC 6238 §6 leaves the size open. Five minutes: a clock that is set by hand is seldom more than three off.
pub const RESYNCHRONISATION_SLACK: Duration = Duration::from_secs(300);

const ZERO: SignedDuration = SignedDuration::ZERO;

impl Window {
    /// The window of a resynchronisation: as far around the learned centre as the token's drift could have grown to, and 300 s
    /// more, but no clock further off than the policy's `max_drift`; and the synchronised centre.
    ///
    /// # Errors
    ///
    /// As [`compute`](Self::compute).
    pub fn for_resynchronisation(
        policy: &WindowPolicy,
        period: Duration,
        t0: Timestamp,
        now: &TimeInterval,
        drift: &Drift,
        codes: u8,
    ) -> Result<Self, WindowError> {
        let grid = Grid { period: check_clock(policy, period, now)?, t0 };
        let first = i64::from(codes.saturating_sub(1));
        let furthest = SignedDuration::from(policy.drift_model().max_drift);
        let slack = Self::resynchronisation_reach(policy, now.latest(), drift);
        let learned = grid.span(
            reach(policy, now, drift.mean(), slack.into()).overlap(reach(policy, now, ZERO, furthest)),
            first,
        );
        let synchronised = grid.span(reach(policy, now, ZERO, policy.synchronised_slack), first);
        let (ranges, runs) = Span::runs(synchronised, learned)
            .ok_or_else(|| WindowError::BeforeFirstStep { latest: now.latest(), t0, period, codes })?;
        Ok(Self { ranges, runs, learned, learned_left_out: false })
    }

    /// How far from where it was last seen a token with this `drift` is looked for when it is resynchronised.
    #[must_use]
    pub fn resynchronisation_reach(policy: &WindowPolicy, now: Timestamp, drift: &Drift) -> Duration {
        let grown = policy.slack(drift, now).unsigned_abs();
        grown.min(policy.drift_model().max_drift).saturating_add(RESYNCHRONISATION_SLACK)
    }

    /// The newest step that any login could have used until `moment`, by a token with this `drift`: the top of the window of
    /// then. `None` where that is before the token's first step.
    #[must_use]
    pub fn newest_until(
        policy: &WindowPolicy,
        period: Duration,
        t0: Timestamp,
        moment: Timestamp,
        drift: &Drift,
    ) -> Option<TimeStep> {
        let grid = Grid { period: SignedDuration::from(period).as_nanos().max(1), t0 };
        let then = TimeInterval::around(moment, Duration::ZERO);
        let learned = grid.span(reach(policy, &then, drift.mean(), policy.slack(drift, moment)), 0);
        let synchronised = grid.span(reach(policy, &then, ZERO, policy.synchronised_slack), 0);
        TimeStep::new(learned.last.max(synchronised.last))
    }
}
