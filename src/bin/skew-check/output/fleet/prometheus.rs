//! For Prometheus: OpenMetrics, written by its own library.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel, EncodeLabelSet, LabelSetEncoder, MetricEncoder,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use skewgate::fleet::{Host, HostReport, Report, State};
use skewgate::time::SignedDuration;

use crate::fleet::Finding;

/// What the names of all metrics begin with.
const PREFIX: &str = "skew_check";

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
type OfHost = (&'static str, &'static str, fn(&HostReport) -> Option<f64>);

const OF_HOSTS: [OfHost; 4] = [
    (
        "host_skew_seconds",
        "The middle of the interval that contains the clock of the host minus true time",
        |host| Some(seconds(host.skew?.midpoint())),
    ),
    ("host_skew_bound_seconds", "Half of the width of that interval", |host| {
        Some(seconds(host.skew?.half_width().into()))
    }),
    ("host_delay_seconds", "The smallest round trip to the host", |host| Some(seconds(host.reading?.delay))),
    ("host_stratum", "What the host says of its distance from a reference clock", |host| {
        Some(f64::from(host.identity?.stratum))
    }),
];

impl Collector for Sweep {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let report = &*self.0;
        for (name, help, value) in OF_HOSTS {
            let mut metric = gauge(&mut encoder, name, help)?;
            for (host, found) in report.rows() {
                if let Some(value) = value(found) {
                    metric.encode_family(&Labelled::host(report, host))?.encode_gauge(&value)?;
                }
            }
        }
        let mut metric = gauge(&mut encoder, "host_state", "1 for the state that the host is in")?;
        for (host, found) in report.rows() {
            let labels = Labelled { state: Some(found.state()), ..Labelled::host(report, host) };
            metric.encode_family(&labels)?.encode_gauge(&1_i64)?;
        }
        let mut metric = gauge(&mut encoder, "hosts", "How many hosts are in each state")?;
        for state in State::ALL {
            let count = i64::try_from(report.summary.count(state)).unwrap_or(i64::MAX);
            metric.encode_family(&[("state", state.name())])?.encode_gauge(&count)?;
        }
        if let Some(pair) = report.worst_pair {
            one(
                &mut encoder,
                "worst_pair_seconds",
                "The middle of the interval that contains the difference of the two clocks that are farthest apart",
                seconds(pair.skew.midpoint()),
            )?;
        }
        let margin = report.margin();
        if margin.unmeasured < report.hosts.len() {
            let help = "No clock that was measured is farther off than this";
            one(&mut encoder, "margin_seconds", help, seconds(margin.of_measured.into()))?;
        }
        let estimate = report.reference.last().and_then(|round| round.estimate.ok());
        let agreeing = estimate.map_or(0, |estimate| estimate.agreeing());
        let help = "How many reference sources agree; 0 where true time is not known";
        one(&mut encoder, "reference_agreeing", help, i64::try_from(agreeing).unwrap_or(i64::MAX))?;
        one(&mut encoder, "sweep_seconds", "How long the sweep took", seconds(report.took.into()))?;
        let at = SignedDuration::from_nanos(report.measured_at.as_unix_nanos());
        one(&mut encoder, "sweep_timestamp_seconds", "When it ended, by the clock of this host", seconds(at))
    }
}

fn gauge<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    name: &'static str,
    help: &'static str,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)
}

fn one(
    encoder: &mut DescriptorEncoder<'_>,
    name: &'static str,
    help: &'static str,
    value: impl prometheus_client::encoding::EncodeGaugeValue,
) -> fmt::Result {
    gauge(encoder, name, help)?.encode_gauge(&value)
}

/// What a series of a host is labelled with.
struct Labelled<'a> {
    report: &'a Report,
    host: &'a Host,
    state: Option<State>,
}

impl<'a> Labelled<'a> {
    const fn host(report: &'a Report, host: &'a Host) -> Self {
        Self { report, host, state: None }
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
        match self.state {
            Some(state) => ("state", state.name()).encode(encoder.encode_label()),
            None => Ok(()),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus knows no other numbers; nothing is computed from it here"
)]
fn seconds(length: SignedDuration) -> f64 {
    length.as_nanos() as f64 / 1e9
}
