//! What was said of one host, and what it has shown since. Pure.

use std::num::NonZeroU32;

use super::{Alarm, Condition, Subject, Transition};
use crate::fleet::Severity;
use crate::time::Timestamp;

/// An all-clear takes so many doublings of sweeps at the most.
const MOST_RELAPSES: u8 = 5;

/// A host that was well for so many times `confirm` sweeps is like one that never was otherwise. More than what an all-clear takes at
/// the most: else a host whose good times are a little longer than that would always begin anew.
const CALM: u32 = 64;

/// What a host has to be at least, for each run.
const THRESHOLDS: [Severity; 3] = [Severity::Warning, Severity::Unknown, Severity::Critical];

/// So many sweeps in a row were at a threshold or above it, or, below zero, were not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) count: i32,
    /// When the first of them was.
    pub(super) since: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Track {
    /// What was last said.
    pub(super) said: Severity,
    pub(super) condition: Condition,
    pub(super) since: Timestamp,
    /// One for each of [`THRESHOLDS`].
    pub(super) runs: [Run; THRESHOLDS.len()],
    /// What it showed last of each severity.
    pub(super) latest: [Condition; Severity::ALL.len()],
    /// How often it became worse again soon after it was said to be better.
    pub(super) relapses: u8,
    /// For how many sweeps it has been better; `None` where it was not bad lately, or has become worse since.
    pub(super) calm: Option<u32>,
}

impl Track {
    /// Of somebody who is well until it shows otherwise.
    pub(super) const fn new(well: Condition) -> Self {
        let never = Timestamp::from_unix_nanos(0);
        Self {
            said: Severity::Ok,
            condition: well,
            since: never,
            runs: [Run { count: 0, since: never }; THRESHOLDS.len()],
            latest: [well; Severity::ALL.len()],
            relapses: 0,
            calm: None,
        }
    }

    pub(super) const fn severity(&self) -> Severity {
        self.said
    }

    pub(super) const fn condition(&self) -> Condition {
        self.condition
    }

    pub(super) const fn alarm<'a>(&self, host: Option<&'a str>) -> Alarm<'a> {
        Alarm { host, condition: self.condition, severity: self.said, since: self.since }
    }

    /// Whether it is like one that was never seen.
    pub(super) fn is_quiet(&self) -> bool {
        self.said == Severity::Ok && self.calm.is_none() && self.runs.iter().all(|run| run.count <= 0)
    }

    /// What a sweep shows; and what is to be said now, of the fleet unless somebody puts another name to it.
    pub(super) fn show(
        &mut self,
        confirm: NonZeroU32,
        severity: Severity,
        condition: Condition,
        at: Timestamp,
    ) -> Option<Transition> {
        let calm = CALM.saturating_mul(confirm.get());
        // Nothing asks for more: who is as before is kept as before, and nothing has to be written.
        let most = i32::try_from(calm).unwrap_or(i32::MAX);
        for (run, threshold) in self.runs.iter_mut().zip(THRESHOLDS) {
            run.count_one(severity >= threshold, at, most);
        }
        self.latest[severity as usize] = condition;
        self.calm = self.calm.map(|calm| calm.saturating_add(1));
        if self.calm.is_some_and(|sweeps| sweeps >= calm) {
            (self.calm, self.relapses) = (None, 0);
        }
        let (to, since) = self.worse(confirm).or_else(|| self.better(confirm))?;
        if to < self.said {
            self.calm = Some(0);
        } else if self.calm.take().is_some() {
            self.relapses = self.relapses.saturating_add(1).min(MOST_RELAPSES);
        }
        let (from, from_severity) = (self.condition, self.said);
        (self.said, self.condition, self.since) = (to, self.latest[to as usize], since);
        let (to, to_severity) = (self.condition, self.said);
        Some(Transition {
            subject: Subject::Fleet,
            from,
            from_severity,
            to,
            to_severity,
            since,
            at,
            skew: None,
        })
    }

    /// What all of the last sweeps were at least, where that is more than was said.
    fn worse(&self, confirm: NonZeroU32) -> Option<(Severity, Timestamp)> {
        let enough = i32::try_from(confirm.get()).unwrap_or(i32::MAX);
        let runs = self.runs.iter().zip(THRESHOLDS).rev();
        let mut borne_out = runs.filter(|(run, threshold)| *threshold > self.said && run.count >= enough);
        borne_out.next().map(|(run, threshold)| (threshold, run.since))
    }

    /// What all of the last sweeps were at most, where that is less than was said.
    fn better(&self, confirm: NonZeroU32) -> Option<(Severity, Timestamp)> {
        let enough = confirm.get().saturating_mul(1 << self.relapses.min(MOST_RELAPSES));
        let enough = i32::try_from(enough).unwrap_or(i32::MAX);
        // Below the threshold at the same place.
        let runs = self.runs.iter().zip(Severity::ALL);
        let mut borne_out = runs.filter(|(run, severity)| *severity < self.said && run.count <= -enough);
        borne_out.next().map(|(run, severity)| (severity, run.since))
    }
}

impl Run {
    fn count_one(&mut self, above: bool, at: Timestamp, most: i32) {
        let one = if above { 1 } else { -1 };
        if self.count != 0 && (self.count > 0) == above {
            self.count = self.count.saturating_add(one).clamp(-most, most);
        } else {
            *self = Self { count: one, since: at };
        }
    }
}
