//! `skew-check probe`: this host's clock against the sources.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use skewgate::clock::{ClockEstimate, OffsetInterval, RulesError};
use skewgate::ntp::{Measurement, measure};
use skewgate::time::os::OsClock;
use skewgate::time::{LocalClock, SignedDuration, TimeError, TimeInterval};

use crate::cli::{Format, ProbeOptions};
use crate::error::CliError;
use crate::output::{Bounded, Status, json, length, nagios, text};

/// Longer than this without a word, and a person at a terminal wonders.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a probe found, ready to be printed in any format.
pub(crate) struct Finding {
    pub(crate) status: Status,
    /// One sentence: what it means.
    pub(crate) reason: String,
    pub(crate) clock: Option<Clock>,
    pub(crate) measurement: Measurement,
    pub(crate) thresholds: Thresholds,
}

/// What is known of this host's clock.
pub(crate) struct Clock {
    pub(crate) estimate: ClockEstimate,
    /// True time minus this host's.
    pub(crate) offset: OffsetInterval,
    pub(crate) best_offset: SignedDuration,
    /// True time when the system clock was read.
    pub(crate) interval: TimeInterval,
}

/// How far off a clock may be.
#[derive(Clone, Copy)]
pub(crate) struct Thresholds {
    pub(crate) warning: Duration,
    pub(crate) critical: Duration,
}

/// Measures and prints.
pub(crate) fn run(options: &ProbeOptions) -> Result<Status, CliError> {
    let found = measured(options);
    let mut out = anstream::stdout().lock();
    match (&found, options.format) {
        (Ok(finding), Format::Text) => text::print(&mut out, finding, options)?,
        (Ok(finding), Format::Json) => json::print(&mut out, finding)?,
        (Ok(finding), Format::Nagios) => nagios::print(&mut out, finding)?,
        // A program that reads the result is told there, too, that there is none.
        (Err(error), Format::Json) => json::print_nothing(&mut out, error, OsClock.system().realtime)?,
        (Err(error), Format::Nagios) => nagios::print_nothing(&mut out, error)?,
        (Err(_), Format::Text) => {}
    }
    out.flush()?;
    found.map(|finding| finding.status)
}

fn measured(options: &ProbeOptions) -> Result<Finding, CliError> {
    let thresholds = Thresholds { warning: options.warning.into(), critical: options.critical.into() };
    if thresholds.warning > thresholds.critical {
        return Err(CliError::Thresholds { warning: options.warning, critical: options.critical });
    }
    if options.asking().shortest() >= PATIENCE && !options.quiet && std::io::stderr().is_terminal() {
        let shortest = humantime::format_duration(Duration::from_secs(options.asking().shortest().as_secs()));
        anstream::eprintln!("asking {} sources, at least {shortest} ...", options.sources().len());
    }
    let finding = probe(options, thresholds, &OsClock)?;
    if !options.quiet {
        for warning in &finding.measurement.warnings {
            anstream::eprintln!("warning: {warning}");
        }
    }
    Ok(finding)
}

fn probe(
    options: &ProbeOptions,
    thresholds: Thresholds,
    clock: &dyn LocalClock,
) -> Result<Finding, RulesError> {
    let measurement = measure(&options.sources(), &options.asking().measurement(), clock)?;
    let known = match measurement.estimate {
        Ok(estimate) => clock_of(estimate, &measurement).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let (status, reason, clock) = match known {
        Ok(clock) => {
            let (status, reason) = judge(&clock, thresholds);
            (status, reason, Some(clock))
        }
        Err(reason) => (Status::Unknown, format!("this clock's offset is not known: {reason}"), None),
    };
    Ok(Finding { status, reason, clock, measurement, thresholds })
}

pub(crate) fn clock_of(estimate: ClockEstimate, measurement: &Measurement) -> Result<Clock, TimeError> {
    let (reading, suspended) = (&measurement.reading, measurement.suspended);
    Ok(Clock {
        estimate,
        offset: estimate.system_offset(reading, suspended)?,
        best_offset: estimate.best_system_offset(reading),
        interval: estimate.at(reading.after, suspended)?,
    })
}

/// The status is about what is certain: delay on the way to the sources is never called a clock error, and
/// never hides one.
fn judge(clock: &Clock, thresholds: Thresholds) -> (Status, String) {
    let Thresholds { warning, critical } = thresholds;
    let (least, most) = certain(clock.offset);
    let sentence = sentence(clock.offset);
    let (status, mut reason) = if least > critical {
        (Status::Critical, format!("{sentence}: beyond {}", length(critical)))
    } else if least > warning {
        let perhaps = if most > critical { ", perhaps beyond what is critical" } else { "" };
        (Status::Warning, format!("{sentence}: beyond {}{perhaps}", length(warning)))
    } else if most <= warning {
        (Status::Ok, sentence)
    } else {
        let inconclusive = format!(
            "{sentence}: inconclusive, it could be more than {} off; ask nearer sources, or take more samples",
            length(warning)
        );
        (Status::Unknown, inconclusive)
    };
    if clock.estimate.contested() {
        reason.push_str("; the sources contradict each other in two parties, find out which is wrong");
    }
    if !clock.estimate.corroborated() {
        reason.push_str("; nothing bears out the only source");
    }
    let status = if clock.estimate.contested() { status.max(Status::Warning) } else { status };
    (status, reason)
}

/// How far off the clock is at the least, and at the most.
fn certain(offset: OffsetInterval) -> (Duration, Duration) {
    let ends = (offset.lo().unsigned_abs(), offset.hi().unsigned_abs());
    let least = if offset.contains(SignedDuration::ZERO) { Duration::ZERO } else { ends.0.min(ends.1) };
    (least, ends.0.max(ends.1))
}

/// What an offset means, in words.
fn sentence(offset: OffsetInterval) -> String {
    let (least, most) = certain(offset);
    if least.is_zero() {
        return format!("this clock is right, give or take {}", length(most));
    }
    let direction = if offset.midpoint().is_negative() { "ahead" } else { "behind" };
    let bounded = Bounded::new(offset);
    format!("this clock is {} {direction}, give or take {}", bounded.magnitude(), bounded.half_width())
}
