//! What the last sweep found and how `watch` itself is: written by the sweeps, read by everybody who asks.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use axum::body::Bytes;
use axum::http::HeaderValue;
use serde::Serialize;

use skewgate::fleet::{Inventory, Report};
use skewgate::time::os::OsClock;
use skewgate::time::{LocalClock, SignedDuration, Timestamp};

use super::classic::classic;
use super::metrics::{self, Channel, Metrics};
use crate::fleet::Finding;
use crate::output::{fleet as output, harmless};

/// So many intervals may pass without a sweep that found something out.
const PATIENCE: u32 = 3;

/// A sweep may wait for names and for hosts that don't answer: before that it isn't said to hang.
const LEAST_PATIENCE: Duration = Duration::from_secs(600);

/// How long this host has been running: on the raw timeline, and also while it was suspended.
pub(super) fn uptime() -> SignedDuration {
    SignedDuration::from_nanos(OsClock.raw().as_nanos()) + OsClock.suspended()
}

/// What the last sweep found, in the forms that it is asked for: written once, whoever asks.
pub(super) struct Shown {
    pub(super) fleet: Bytes,
    pub(super) metrics: Bytes,
    /// The same, for who doesn't ask for OpenMetrics.
    pub(super) classic: Bytes,
    /// Changes with every sweep, and with every start.
    pub(super) tag: HeaderValue,
    inventory: Arc<Inventory>,
}

impl Shown {
    /// Whether a host of this name is in the inventory.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.inventory.hosts().iter().any(|host| host.as_given() == name)
    }

    /// `generation`: how many there were before.
    pub(super) fn new(finding: &Finding, generation: u64) -> io::Result<Self> {
        let report = &finding.report;
        let mut fleet = Vec::new();
        output::json::print(&mut fleet, finding)?;
        let metrics = metrics::of_sweep(report)?;
        let tag = format!("\"{:x}-{generation:x}\"", report.measured_at.as_unix_nanos());
        Ok(Self {
            fleet: fleet.into(),
            classic: classic(&metrics).into(),
            metrics: metrics.into(),
            tag: HeaderValue::try_from(tag).map_err(io::Error::other)?,
            inventory: report.inventory.clone(),
        })
    }
}

/// What all parts of `watch` share.
pub(super) struct Shared {
    pub(super) metrics: Metrics,
    interval: Duration,
    shown: ArcSwapOption<Shown>,
    health: Mutex<Health>,
}

/// How it goes, as it was seen last.
#[derive(Default)]
struct Health {
    started: SignedDuration,
    /// When the last sweep began, or got on.
    beat: SignedDuration,
    sweeps: u64,
    succeeded: Option<(SignedDuration, Timestamp)>,
    took: Duration,
    hosts: usize,
    sweep_error: Option<String>,
    reference_error: Option<String>,
    contested: bool,
    history_error: Option<String>,
    standing_error: Option<String>,
    /// Of each who is told: why the last document wasn't.
    notify_errors: BTreeMap<Channel, String>,
    inventory_error: Option<String>,
    inventory_since: Option<Timestamp>,
}

/// What `/healthz` answers.
#[derive(Debug, Serialize)]
pub(super) struct HealthObject {
    schema: &'static str,
    status: &'static str,
    /// Why it isn't well.
    reasons: Vec<Remark>,
    /// What deserves a look although it goes on.
    warnings: Vec<Remark>,
    hosts: usize,
    interval_ns: u64,
    sweeps: u64,
    last_success: Option<String>,
    last_sweep_took_ns: u64,
    inventory_since: Option<String>,
}

#[derive(Debug, Serialize)]
struct Remark {
    code: &'static str,
    detail: String,
}

impl HealthObject {
    pub(super) fn is_well(&self) -> bool {
        self.reasons.is_empty()
    }
}

/// What became of a sweep.
pub(super) struct Swept<'a> {
    pub(super) report: &'a Report,
    pub(super) history_error: Option<String>,
}

impl Shared {
    pub(super) fn new(interval: Duration, hosts: usize) -> Self {
        let health = Health {
            started: uptime(),
            beat: uptime(),
            hosts,
            inventory_since: Some(OsClock.system().realtime),
            ..Health::default()
        };
        Self {
            metrics: Metrics::new(interval),
            interval,
            shown: ArcSwapOption::empty(),
            health: Mutex::new(health),
        }
    }

    /// What the last sweep found; `None` before the first has ended.
    pub(super) fn shown(&self) -> Option<Arc<Shown>> {
        self.shown.load_full()
    }

    pub(super) fn show(&self, shown: Shown) {
        self.shown.store(Some(Arc::new(shown)));
    }

    pub(super) fn swept(&self, swept: Swept<'_>) {
        let Swept { report, history_error } = swept;
        let estimate = report.reference.last().map(|round| round.estimate);
        let mut health = self.health();
        health.sweeps += 1;
        health.succeeded = Some((uptime(), report.measured_at));
        health.took = report.took;
        health.hosts = report.hosts.len();
        health.sweep_error = None;
        health.history_error = history_error;
        health.contested = matches!(estimate, Some(Ok(estimate)) if estimate.contested());
        health.reference_error = match estimate {
            Some(Ok(_)) => None,
            Some(Err(error)) => Some(error.to_string()),
            None => Some("no reference source was asked".to_owned()),
        };
        drop(health);
        self.metrics.sweeps.inc();
        self.metrics.succeeded(report.measured_at);
    }

    pub(super) fn failed(&self, error: &str) {
        self.health().sweep_error = Some(error.to_owned());
        self.metrics.sweep_errors.inc();
    }

    pub(super) fn reloaded(&self, broken: Option<String>) {
        let now = OsClock.system().realtime;
        let mut health = self.health();
        match &broken {
            None => {
                health.inventory_since = Some(now);
                self.metrics.reloads.inc();
            }
            Some(_) => drop(self.metrics.reload_errors.inc()),
        }
        health.inventory_error = broken;
    }

    /// What became of telling somebody of changes.
    pub(super) fn notified(&self, channel: Channel, problem: Option<String>) {
        let errors = &mut self.health().notify_errors;
        match problem {
            Some(problem) => drop(errors.insert(channel, problem)),
            None => drop(errors.remove(&channel)),
        }
    }

    /// What became of keeping which alarms were told.
    pub(super) fn standing_kept(&self, problem: Option<String>) {
        self.health().standing_error = problem;
    }

    /// A sweep begins, or gets on.
    pub(super) fn beat(&self) {
        self.health().beat = uptime();
    }

    /// Whether sweeps still begin one after the other and get on, whatever they find out.
    pub(super) fn is_moving(&self) -> bool {
        let health = self.health();
        let patience = self.interval.max(health.took).saturating_mul(PATIENCE).max(LEAST_PATIENCE);
        (uptime() - health.beat).unsigned_abs() <= patience
    }

    /// How it is now.
    pub(super) fn how_it_is(&self) -> HealthObject {
        let health = self.health();
        let now = uptime();
        // Where a sweep takes longer than the interval, that is how often they can be.
        let patience = self.interval.max(health.took).saturating_mul(PATIENCE);
        let since = health.succeeded.map_or(health.started, |(at, _)| at);
        let silent = (now - since).unsigned_abs() > patience;
        let mut reasons = Vec::new();
        let mut remark = |code, detail: Option<&str>| {
            reasons.extend(detail.map(|detail| Remark { code, detail: harmless(detail) }));
        };
        match (health.succeeded, silent) {
            (None, false) => remark("starting", Some("the first sweep has not ended yet")),
            (_, true) => {
                remark("no_recent_sweep", Some("no sweep has found anything out for three intervals"))
            }
            (Some(_), false) => {}
        }
        remark("sweep_failed", health.sweep_error.as_deref());
        remark("reference_unknown", health.reference_error.as_deref());
        remark("history_not_written", health.history_error.as_deref());
        let mut warnings = Vec::new();
        if let Some(error) = &health.inventory_error {
            warnings.push(Remark { code: "inventory_broken", detail: harmless(error) });
        }
        for (channel, error) in &health.notify_errors {
            let detail = harmless(&format!("{channel:?}: {error}"));
            warnings.push(Remark { code: "notifications_failing", detail });
        }
        if let Some(error) = &health.standing_error {
            warnings.push(Remark { code: "alarms_not_kept", detail: harmless(error) });
        }
        if health.contested {
            let detail = "the reference sources contradict each other in two parties".to_owned();
            warnings.push(Remark { code: "reference_contested", detail });
        }
        if health.took > self.interval {
            let detail = "a sweep takes longer than the interval, and delays the next".to_owned();
            warnings.push(Remark { code: "sweeps_late", detail });
        }
        HealthObject {
            schema: "skew-check/health/1",
            status: if reasons.is_empty() { "ok" } else { "failing" },
            reasons,
            warnings,
            hosts: health.hosts,
            interval_ns: crate::output::nanos(self.interval),
            sweeps: health.sweeps,
            last_success: health.succeeded.map(|(_, at)| at.to_string()),
            last_sweep_took_ns: crate::output::nanos(health.took),
            inventory_since: health.inventory_since.map(|at| at.to_string()),
        }
    }

    /// Nothing in here can be half done when a thread ends in the middle of it.
    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_wrong_beside_the_sweeps_is_a_warning_until_it_is_over() {
        let shared = Shared::new(Duration::from_secs(60), 1);
        let warnings = || {
            let health = serde_json::to_value(shared.how_it_is()).unwrap();
            let warnings = health["warnings"].as_array().unwrap().iter();
            warnings.map(|one| format!("{}: {}", one["code"], one["detail"])).collect::<Vec<_>>()
        };
        assert_eq!(warnings(), [""; 0]);
        shared.standing_kept(Some("no room".to_owned()));
        assert_eq!(warnings(), ["\"alarms_not_kept\": \"no room\""]);
        shared.standing_kept(None);
        shared.notified(Channel::command, Some("it ended with \u{1b}[2J".to_owned()));
        shared.notified(Channel::webhook, Some("no answer".to_owned()));
        shared.notified(Channel::webhook, Some("again none".to_owned()));
        let both = warnings();
        assert!(both.len() == 2 && !both.concat().contains('\u{1b}'), "{both:?}");
        assert_eq!(both[0], "\"notifications_failing\": \"webhook: again none\"");
        shared.notified(Channel::command, None);
        assert_eq!(warnings(), [both[0].as_str()]);
        shared.notified(Channel::webhook, None);
        assert_eq!(warnings(), [""; 0]);
    }

    #[test]
    fn a_sweep_that_gets_on_is_alive_however_long_it_takes() {
        let shared = Shared::new(Duration::from_secs(1), 1);
        shared.health().beat = uptime() - SignedDuration::from_secs(601);
        assert!(!shared.is_moving());
        shared.beat();
        assert!(shared.is_moving());
    }
}
