//! `/metrics`: OpenMetrics text.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, EncodeMetric, LabelValueEncoder, text::encode,
};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use skewgate::time::SignedDuration;
use skewgate::validator::Validator;

use crate::clock::Clock;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    Load,
    Write,
    SetNotBefore,
}

impl Operation {
    const ALL: [Self; 3] = [Self::Load, Self::Write, Self::SetNotBefore];
}

impl EncodeLabelValue for Operation {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        fmt::Write::write_str(
            encoder,
            match self {
                Self::Load => "load",
                Self::Write => "write",
                Self::SetNotBefore => "set_not_before",
            },
        )
    }
}

/// Upper ends, in seconds: from memory to a database that is in trouble.
const LATENCIES: [f64; 15] =
    [5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabel {
    operation: Operation,
}

/// How quick the store is, and how often it fails.
#[derive(Clone, Debug)]
pub(crate) struct StoreMetrics {
    latency: Family<OperationLabel, Histogram>,
    failures: Family<OperationLabel, Counter>,
}

impl StoreMetrics {
    pub(crate) fn new() -> Self {
        let histogram = || Histogram::new(LATENCIES);
        let metrics = Self { latency: Family::new_with_constructor(histogram), failures: Family::default() };
        for operation in Operation::ALL {
            // Zero from the start: a rate needs a first value.
            drop(metrics.failures.get_or_create(&OperationLabel { operation }));
        }
        metrics
    }

    pub(crate) fn observe(&self, operation: Operation, took: Duration, done: bool) {
        let label = OperationLabel { operation };
        self.latency.get_or_create(&label).observe(took.as_secs_f64());
        if !done {
            self.failures.get_or_create(&label).inc();
        }
    }
}

pub(crate) struct Metrics(Registry);

impl Metrics {
    pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    pub(crate) fn new(store: StoreMetrics, gate: Validator, clock: Arc<Clock>) -> Self {
        let mut registry = Registry::with_prefix("skewgate");
        registry.register_with_unit(
            "store_latency",
            "How long the token store took",
            Unit::Seconds,
            store.latency,
        );
        registry.register("store_failures", "Operations of the token store that failed", store.failures);
        registry.register_collector(Box::new(GateCollector(gate)));
        registry.register_collector(Box::new(ClockCollector(clock)));
        Self(registry)
    }

    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0)?;
        Ok(text)
    }
}

/// What was decided.
#[derive(Debug)]
struct GateCollector(Validator);

impl Collector for GateCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let totals = self.0.totals();
        let help = "Verdicts, enrolments and what administrators did";
        let mut verdicts =
            encoder.encode_descriptor("verdicts", help, None, ConstCounter::new(0_u64).metric_type())?;
        for (outcome, count) in totals.outcomes {
            let label = [("outcome", outcome.name())];
            ConstCounter::new(count).encode(verdicts.encode_family(&label)?)?;
        }
        let help = "What was guessed at all tokens: so many break-ins are to be expected at most, in 1e-15";
        counter(&mut encoder, "price_e15", help, totals.price_e15)
    }
}

/// How well the time is known.
struct ClockCollector(Arc<Clock>);

impl fmt::Debug for ClockCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClockCollector").finish_non_exhaustive()
    }
}

impl Collector for ClockCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        let report = self.0.report();
        gauge(encoder, "clock_trusted", "1 where codes can be judged", i64::from(report.now.is_ok()))?;
        if let Ok(now) = &report.now {
            let help = "True time is within so much of the interval's middle";
            seconds(encoder, "clock_half_width", help, SignedDuration::from(now.half_width()))?;
        }
        let Some(measured) = report.measured else { return Ok(()) };
        if let Some(offset) = measured.offset {
            seconds(
                encoder,
                "clock_offset",
                "True time minus this host's clock, the likeliest value",
                offset,
            )?;
        }
        if let Some(age) = measured.age {
            seconds(
                encoder,
                "clock_age",
                "Since the last sample of what is known",
                SignedDuration::from(age),
            )?;
        }
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let help = "Time sources that agreed when the time was last measured, which clock_age says how long ago it was";
        gauge(encoder, "clock_agreeing_sources", help, count(measured.agreeing))?;
        gauge(encoder, "clock_configured_sources", "Time sources", count(measured.configured))?;
        let help = "1 where sources contradicted the others and agreed with each other, when the time was last measured";
        gauge(encoder, "clock_contested", help, i64::from(measured.contested))?;
        let counts = measured.counts;
        counter(encoder, "clock_rounds", "Rounds of asking all sources", counts.rounds)?;
        counter(encoder, "clock_failed_rounds", "Rounds that gave nothing", counts.failed_rounds)?;
        counter(encoder, "clock_steps", "Steps of this host's clock", counts.clock_steps)?;
        counter(encoder, "clock_suspends", "Suspends of this host", counts.suspends)
    }
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let counter = ConstCounter::new(value);
    let encoder = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
    counter.encode(encoder)
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: i64) -> fmt::Result {
    let gauge = ConstGauge::new(value);
    let encoder = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
    gauge.encode(encoder)
}

fn seconds(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    length: SignedDuration,
) -> fmt::Result {
    let size = length.unsigned_abs().as_secs_f64();
    let gauge = ConstGauge::new(if length.is_negative() { -size } else { size });
    let encoder = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), gauge.metric_type())?;
    gauge.encode(encoder)
}
