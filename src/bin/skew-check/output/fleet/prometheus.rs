//! For Prometheus: OpenMetrics, written by its own library.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel, EncodeLabelSet, LabelSetEncoder, MetricEncoder,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use skewgate::fleet::{Host, HostReport, Report, State};
use skewgate::ntp::{Measurement, Verdict};
use skewgate::time::SignedDuration;

use crate::fleet::Finding;

/// What the names of all metrics begin with.
pub(crate) const PREFIX: &str = "skew_check";

/// Prints a finding. All hosts are in it, whatever is listed elsewhere: a series that comes and goes is no history.
pub(crate) fn print(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    print_sweep(out, finding.report.clone())?;
    print_with(out, |text| encode_eof(text))
}

/// The metrics of a sweep, without what ends a page of metrics: others may follow.
pub(crate) fn print_sweep(out: &mut impl Write, report: Arc<Report>) -> io::Result<()> {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Sweep(report)));
    print_with(out, |text| encode_registry(text, &registry))
}

fn print_with<W: Write>(out: &mut W, encode: impl FnOnce(&mut Text<'_, W>) -> fmt::Result) -> io::Result<()> {
    let mut text = Text { out, error: None };
    let encoded = encode(&mut text);
    match (text.error, encoded) {
        (Some(error), _) => Err(error),
        (None, Err(error)) => Err(io::Error::other(error)),
        (None, Ok(())) => Ok(()),
    }
}

/// What is encoded is a text; where it goes may fail for a reason.
struct Text<'a, W> {
    out: &'a mut W,
    error: Option<io::Error>,
}

impl<W: Write> fmt::Write for Text<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.out.write_all(text.as_bytes()).map_err(|error| {
            self.error = Some(error);
            fmt::Error
        })
    }
}

/// A sweep's metrics, made when they are asked for: no second copy of them is held.
struct Sweep(Arc<Report>);

impl fmt::Debug for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sweep of {} hosts", self.0.hosts.len())
    }
}

/// What is told of each host that has it.
type OfHost = (&'static str, &'static str, Option<&'static Unit>, fn(&HostReport) -> Option<f64>);

/// Where a metric has a unit, its name ends with it.
const SECONDS: Option<&Unit> = Some(&Unit::Seconds);

const OF_HOSTS: [OfHost; 4] = [
    (
        "host_skew",
        "The middle of the interval that contains the clock of the host minus true time",
        SECONDS,
        |host| Some(seconds(host.skew?.midpoint())),
    ),
    ("host_skew_bound", "Half of the width of that interval", SECONDS, |host| {
        Some(seconds(host.skew?.half_width().into()))
    }),
    ("host_delay", "The smallest round trip to the host", SECONDS, |host| Some(seconds(host.reading?.delay))),
    ("host_stratum", "What the host says of its distance from a reference clock", None, |host| {
        Some(f64::from(host.identity?.stratum))
    }),
];

impl Collector for Sweep {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let report = &*self.0;
        hosts(&mut encoder, report)?;
        fleet(&mut encoder, report)?;
        reference(&mut encoder, report)?;
        one(&mut encoder, "sweep", "How long the sweep took", SECONDS, seconds(report.took.into()))?;
        let at = SignedDuration::from_nanos(report.measured_at.as_unix_nanos());
        one(&mut encoder, "sweep_timestamp", "When it ended, by the clock of this host", SECONDS, seconds(at))
    }
}

/// Each host.
fn hosts(encoder: &mut DescriptorEncoder<'_>, report: &Report) -> fmt::Result {
    for (name, help, unit, value) in OF_HOSTS {
        let mut metric = gauge(encoder, name, help, unit)?;
        for (host, found) in report.rows() {
            if let Some(value) = value(found) {
                metric.encode_family(&Labelled::host(report, host))?.encode_gauge(&value)?;
            }
        }
    }
    // Not a StateSet, which OpenMetrics has for this: seven series of eight would say no. A series that ends is seen to end.
    let mut metric = gauge(encoder, "host_state", "1 for the state that the host is in", None)?;
    for (host, found) in report.rows() {
        let labels = Labelled { word: Some(("state", found.state().name())), ..Labelled::host(report, host) };
        metric.encode_family(&labels)?.encode_gauge(&1_i64)?;
    }
    let mut metric = gauge(encoder, "host_flag", "1 for each thing that holds of the host", None)?;
    for (host, found) in report.rows() {
        for flag in found.flags.iter() {
            let labels = Labelled { word: Some(("flag", flag.name())), ..Labelled::host(report, host) };
            metric.encode_family(&labels)?.encode_gauge(&1_i64)?;
        }
    }
    Ok(())
}

/// All of them together.
fn fleet(encoder: &mut DescriptorEncoder<'_>, report: &Report) -> fmt::Result {
    let mut metric = gauge(encoder, "hosts", "How many hosts are in each state", None)?;
    for state in State::ALL {
        let count = count(report.summary.count(state));
        metric.encode_family(&[("state", state.name())])?.encode_gauge(&count)?;
    }
    let help = "Beyond this a skew is a warning, or critical: of each group that has hosts";
    let mut metric = gauge(encoder, "threshold", help, SECONDS)?;
    for found in report.groups() {
        let group = &report.inventory.groups()[found.group.index()];
        let thresholds = [("warning", group.thresholds.warning()), ("critical", group.thresholds.critical())];
        for (severity, threshold) in thresholds {
            // Empty is the same as none: so are the hosts labelled that are in no group.
            let labels = [("group", group.name().unwrap_or_default()), ("severity", severity)];
            metric.encode_family(&labels)?.encode_gauge(&seconds(threshold.into()))?;
        }
    }
    if let Some(pair) = report.worst_pair {
        let help = "The middle of the interval that contains the difference of the two clocks that are farthest apart";
        one(encoder, "worst_pair", help, SECONDS, seconds(pair.skew.midpoint()))?;
        let help = "Half of the width of that interval";
        one(encoder, "worst_pair_bound", help, SECONDS, seconds(pair.skew.half_width().into()))?;
    }
    let margin = report.margin();
    if margin.unmeasured < report.hosts.len() {
        let help = "No clock that was measured is farther off than this";
        one(encoder, "margin", help, SECONDS, seconds(margin.of_measured.into()))?;
    }
    Ok(())
}

/// What hosts were compared with.
fn reference(encoder: &mut DescriptorEncoder<'_>, report: &Report) -> fmt::Result {
    let round = report.reference.last();
    let estimate = round.and_then(|round| round.estimate.ok());
    let agreeing = estimate.map_or(0, |estimate| estimate.agreeing());
    let help = "How many reference sources agree; 0 where true time is not known";
    one(encoder, "reference_agreeing", help, None, count(agreeing))?;
    let configured = estimate.map_or(report.inventory.references().len(), |estimate| estimate.configured());
    let help = "How many votes the reference sources have: several entries for one address have one";
    one(encoder, "reference_configured", help, None, count(configured))?;
    if let Some((estimate, round)) = estimate.zip(round) {
        let help = "How many of the sources that answered may lie without an interval becoming untrue";
        one(encoder, "reference_tolerated_liars", help, None, count(estimate.tolerated_liars()))?;
        let help = "1 where reference sources that contradict the others agree with each other";
        one(encoder, "reference_contested", help, None, i64::from(estimate.contested()))?;
        if let Ok(offset) = estimate.system_offset(&round.reading, round.suspended) {
            let help = "Half of the width of the interval that contains true time";
            one(encoder, "reference_bound", help, SECONDS, seconds(offset.half_width().into()))?;
        }
    }
    let Some(Measurement { reports, .. }) = round else { return Ok(()) };
    let help = "1 for what is held of the reference source";
    let mut metric = gauge(encoder, "reference_source", help, None)?;
    let mut told = BTreeSet::new();
    for source in reports {
        let verdict = source.verdict.as_ref().map_or_else(|| "undecided".to_owned(), Verdict::to_string);
        // One that is listed twice would be one series twice.
        if told.insert((source.source.as_given(), verdict.clone())) {
            let labels = [("source", source.source.as_given()), ("verdict", &verdict)];
            metric.encode_family(&labels)?.encode_gauge(&1_i64)?;
        }
    }
    Ok(())
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn gauge<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    name: &'static str,
    help: &'static str,
    unit: Option<&'static Unit>,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    encoder.encode_descriptor(name, help, unit, MetricType::Gauge)
}

fn one(
    encoder: &mut DescriptorEncoder<'_>,
    name: &'static str,
    help: &'static str,
    unit: Option<&'static Unit>,
    value: impl prometheus_client::encoding::EncodeGaugeValue,
) -> fmt::Result {
    gauge(encoder, name, help, unit)?.encode_gauge(&value)
}

/// What a series of a host is labelled with.
struct Labelled<'a> {
    report: &'a Report,
    host: &'a Host,
    /// A name of our own, and a word.
    word: Option<(&'static str, &'static str)>,
}

impl<'a> Labelled<'a> {
    const fn host(report: &'a Report, host: &'a Host) -> Self {
        Self { report, host, word: None }
    }
}

impl EncodeLabelSet for Labelled<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let group = self.report.inventory.group_of(self.host);
        ("host", self.host.as_given()).encode(encoder.encode_label())?;
        if let Some(name) = group.name() {
            ("group", name).encode(encoder.encode_label())?;
        }
        let own = self.host.labels();
        for (name, value) in group.labels() {
            // A host's own takes the place of its group's.
            if !own.is_some_and(|own| own.contains_key(name)) {
                (name.as_str(), value.as_str()).encode(encoder.encode_label())?;
            }
        }
        for (name, value) in own.into_iter().flatten() {
            (name.as_str(), value.as_str()).encode(encoder.encode_label())?;
        }
        match self.word {
            Some(word) => word.encode(encoder.encode_label()),
            None => Ok(()),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus knows no other numbers; nothing is computed from it here"
)]
pub(crate) fn seconds(length: SignedDuration) -> f64 {
    length.as_nanos() as f64 / 1e9
}
