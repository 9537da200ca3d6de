//! What is counted of `watch` itself, and a page of all metrics: OpenMetrics.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use skewgate::fleet::{Condition, Report, State};
use skewgate::time::Timestamp;

use crate::output::fleet::prometheus::{self, PREFIX, seconds};

/// As OpenMetrics 1.0 asks.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Where changes are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names of the labels' values")]
pub(super) enum Channel {
    webhook,
    command,
}

/// What became of telling it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the names of the labels' values")]
pub(super) enum Outcome {
    delivered,
    failed,
    dropped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Notified {
    channel: Channel,
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct To {
    to: &'static str,
}

type Seconds = Gauge<f64, AtomicU64>;

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    pub(super) sweeps: Counter,
    pub(super) sweep_errors: Counter,
    pub(super) late_sweeps: Counter,
    pub(super) reloads: Counter,
    pub(super) reload_errors: Counter,
    pub(super) history_errors: Counter,
    transitions: Family<To, Counter>,
    notifications: Family<Notified, Counter>,
    last_success: Seconds,
    interval: Seconds,
    healthy: Gauge,
}

impl Metrics {
    pub(super) fn new(interval: Duration) -> Self {
        let metrics = Self::default();
        metrics.interval.set(interval.as_secs_f64());
        // A series that is there from the beginning can be seen to grow.
        for channel in [Channel::webhook, Channel::command] {
            for outcome in [Outcome::delivered, Outcome::failed, Outcome::dropped] {
                drop(metrics.notifications.get_or_create(&Notified { channel, outcome }));
            }
        }
        let of_the_fleet = [Condition::Measured, Condition::NoReference, Condition::SweepFailed];
        let of_hosts = State::ALL.iter().map(|state| Condition::Host(*state)).chain([Condition::Removed]);
        for condition in of_hosts.chain(of_the_fleet) {
            drop(metrics.transitions.get_or_create(&To { to: condition.name() }));
        }
        metrics
    }

    pub(super) fn notified(&self, channel: Channel, outcome: Outcome) {
        self.notifications.get_or_create(&Notified { channel, outcome }).inc();
    }

    pub(super) fn transition(&self, to: &'static str) {
        self.transitions.get_or_create(&To { to }).inc();
    }

    pub(super) fn succeeded(&self, at: Timestamp) {
        self.last_success.set(seconds(skewgate::time::SignedDuration::from_nanos(at.as_unix_nanos())));
    }

    /// The end of the page, behind the metrics of the last sweep, which were written when it ended: only the few that are here are
    /// written for each who asks, however many hosts there are.
    pub(super) fn page_end(&self, healthy: bool) -> Result<String, std::fmt::Error> {
        self.healthy.set(i64::from(healthy));
        let mut page = String::with_capacity(4096);
        encode_registry(&mut page, &self.registry())?;
        encode_eof(&mut page)?;
        Ok(page)
    }

    fn registry(&self) -> Registry {
        let mut all = Registry::with_prefix(PREFIX);
        let registry = all.sub_registry_with_prefix("watch");
        registry.register("sweeps", "Sweeps that found something out", self.sweeps.clone());
        registry.register("sweep_errors", "Sweeps that found out nothing", self.sweep_errors.clone());
        registry.register(
            "sweeps_late",
            "Sweeps that took longer than the interval and delayed the next",
            self.late_sweeps.clone(),
        );
        registry.register("inventory_reloads", "New inventories that were taken", self.reloads.clone());
        registry.register(
            "inventory_reload_errors",
            "New inventories that were broken: the one before counts on",
            self.reload_errors.clone(),
        );
        registry.register(
            "history_errors",
            "Sweeps that could not be written to the history",
            self.history_errors.clone(),
        );
        registry.register(
            "transitions",
            "Changes that count: what a host or the fleet has become",
            self.transitions.clone(),
        );
        registry.register(
            "notifications",
            "What became of telling a webhook or a program of changes",
            self.notifications.clone(),
        );
        registry.register_with_unit(
            "last_success_timestamp",
            "When the last sweep that found something out ended, by the clock of this host; 0 before the first",
            Unit::Seconds,
            self.last_success.clone(),
        );
        registry.register_with_unit(
            "interval",
            "How long it is from the beginning of a sweep to that of the next",
            Unit::Seconds,
            self.interval.clone(),
        );
        registry.register("healthy", "1 where /healthz says so, else 0", self.healthy.clone());
        // A gauge, not an Info, which promtool doesn't know: the series is the same.
        let build = Family::<Vec<(&'static str, &'static str)>, Gauge>::default();
        build.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION"))]).set(1);
        registry.register("build_info", "Which skew-check this is", build);
        all
    }
}

/// The metrics of a sweep, as they are shown until the next.
pub(super) fn of_sweep(report: &Arc<Report>) -> io::Result<String> {
    let mut text = Vec::new();
    prometheus::print_sweep(&mut text, report.clone())?;
    String::from_utf8(text).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_there_before_they_count() {
        let metrics = Metrics::new(Duration::from_millis(1_500));
        metrics.notified(Channel::webhook, Outcome::dropped);
        let page = metrics.page_end(true).unwrap();
        for line in [
            "skew_check_watch_sweeps_total 0",
            "skew_check_watch_notifications_total{channel=\"webhook\",outcome=\"dropped\"} 1",
            "skew_check_watch_notifications_total{channel=\"command\",outcome=\"failed\"} 0",
            "skew_check_watch_transitions_total{to=\"skewed\"} 0",
            "skew_check_watch_transitions_total{to=\"removed\"} 0",
            "skew_check_watch_transitions_total{to=\"measured\"} 0",
            "skew_check_watch_transitions_total{to=\"no-reference\"} 0",
            "skew_check_watch_transitions_total{to=\"sweep-failed\"} 0",
            "skew_check_watch_interval_seconds 1.5",
            "skew_check_watch_healthy 1",
        ] {
            assert!(page.lines().any(|shown| shown == line), "{line}\n{page}");
        }
        assert!(page.ends_with("# EOF\n"));
    }
}
