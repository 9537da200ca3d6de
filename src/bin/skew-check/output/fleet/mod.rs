//! How a sweep is shown.

pub(crate) mod json;
pub(crate) mod nagios;
mod plot;
pub(crate) mod prometheus;
pub(crate) mod svg;
pub(crate) mod text;

use skewgate::fleet::{Flag, Flags, Group, Host, HostReport, Report, Severity, State};

use super::{Bounded, Status, length};

/// What flags come to for a monitoring system: what matters most counts, whatever the state is called.
pub(crate) fn status(flags: Flags) -> Status {
    Severity::of(flags).into()
}

/// Why a host is not in sync, in a sentence; `None` where it is.
pub(crate) fn why(host: &HostReport, group: &Group) -> Option<String> {
    let (warning, critical) = (group.thresholds.warning(), group.thresholds.critical());
    let error = host.error.as_ref().map(|error| error.to_string());
    let mut why = match host.state() {
        State::InSync => None,
        State::Unreachable | State::Rejected => Some(error.unwrap_or_else(|| "it was not asked".to_owned())),
        State::Skewed => {
            let beyond = if host.flags.contains(Flag::Critical) { critical } else { warning };
            let perhaps = host.most() > Some(critical) && !host.flags.contains(Flag::Critical);
            let perhaps = if perhaps { ", perhaps beyond what is critical" } else { "" };
            host.skew.map(|_| format!("{}: beyond {}{perhaps}", off(host), length(beyond)))
        }
        State::Unsynchronised => Some("it says that nobody sets its clock".to_owned()),
        State::Inconclusive if host.skew.is_none() => {
            Some("true time is not known: there is nothing to compare it with".to_owned())
        }
        State::Inconclusive => {
            let way_out = match is_reference_wider(host) {
                true => "use better reference sources, or nearer ones",
                false => "ask it from nearer, or take more samples",
            };
            let off = off(host);
            Some(format!("{off}: inconclusive, it could be more than {} off; {way_out}", length(warning)))
        }
        State::ForeignReference => Some(match host.identity {
            Some(identity) => {
                let id = identity.reference_id.to_text(identity.stratum);
                format!("it follows {id}, which is none of the approved upstreams")
            }
            None => "it follows none of the approved upstreams".to_owned(),
        }),
        State::ReferenceUnknown => Some("its reference identifier does not tell whom it follows".to_owned()),
        _ => None,
    };
    if host.flags.contains(Flag::Unsteady) {
        let steps = "its replies contradict each other: its clock was stepped, or is slewed fast";
        why = Some(why.map_or_else(|| steps.to_owned(), |why| format!("{why}; {steps}")));
    }
    why
}

/// Whether what isn't known is more of true time than of the host's clock.
fn is_reference_wider(host: &HostReport) -> bool {
    let widths =
        host.skew.zip(host.reading).map(|(skew, reading)| (skew.half_width(), reading.clock.half_width()));
    widths.is_some_and(|(all, own)| own < all.saturating_sub(own))
}

/// How far off a host's clock is, in words.
pub(crate) fn off(host: &HostReport) -> String {
    let (Some(skew), Some(least), Some(most)) = (host.skew, host.least(), host.most()) else {
        return "its skew is not known".to_owned();
    };
    if least.is_zero() {
        return format!("its clock is right, give or take {}", length(most));
    }
    let direction = if skew.midpoint().is_negative() { "behind" } else { "ahead" };
    let bounded = Bounded::new(skew);
    format!("its clock is {} {direction}, give or take {}", bounded.magnitude(), bounded.half_width())
}

/// All hosts in a sentence: how many are in which state, which is worst, and which are farthest apart.
pub(crate) fn summing_up(report: &Report) -> String {
    let summary = &report.summary;
    let count = |state: &State| match summary.count(*state) {
        0 => None,
        count => Some(format!("{count} {state}")),
    };
    let mut counts: Vec<String> = State::ALL.iter().rev().filter_map(count).collect();
    if summary.hosts() == 1 {
        counts =
            State::ALL.iter().filter(|state| summary.count(**state) == 1).map(State::to_string).collect();
    }
    let hosts =
        if summary.hosts() == 1 { "1 host is".to_owned() } else { format!("{} hosts:", summary.hosts()) };
    let mut sentence = format!("{hosts} {}", counts.join(", "));
    if let Some(Err(error)) = report.reference.last().map(|round| round.estimate) {
        sentence.push_str(&format!("; true time is not known: {error}"));
    }
    let worst = report
        .rows()
        .filter(|(_, host)| host.flags.contains(Flag::Skewed))
        .max_by_key(|(_, host)| host.least());
    if let Some((given, host)) = worst {
        sentence.push_str(&format!("; worst is {}: {}", given.as_given(), off(host)));
    }
    if let Some(pair) = report.worst_pair {
        let name = |index: usize| report.inventory.hosts()[index].as_given();
        let bounded = Bounded::new(pair.skew);
        if pair.skew.lo().as_nanos() > 0 {
            sentence.push_str(&format!(
                "; {} and {} are {} apart, give or take {}",
                name(pair.a),
                name(pair.b),
                bounded.magnitude(),
                bounded.half_width()
            ));
        } else {
            sentence.push_str("; no two are surely apart");
        }
    }
    sentence
}

/// The name of a host's group, if it is in one.
pub(crate) fn group_name<'a>(report: &'a Report, host: &Host) -> Option<&'a str> {
    report.inventory.group_of(host).name()
}
