//! `explain` for a reader: what was compared, a verdict, and what to do. No code is shown, and nothing of the secret.

use std::io::{self, Write};

use skewgate::time::{SignedDuration, TimeInterval};
use skewgate::token::Odds;
use skewgate::window::Window;

use super::{BAD, Bounded, DOUBTFUL, FAINT, GOOD, STRONG, Status, harmless, length, styled};
use crate::explain::{
    Death, Finding, Fit, Knowledge, VALIDATORS_CLOCK, advice, count, differences, drift, looks, sentence,
    span,
};

/// Prints a finding.
pub(crate) fn print(out: &mut impl Write, finding: &Finding, quiet: bool) -> io::Result<()> {
    if !quiet {
        print_facts(out, finding)?;
        writeln!(out)?;
    }
    let verdict = match finding.status {
        Status::Ok => styled(GOOD, "ACCEPTED"),
        Status::Unknown => styled(DOUBTFUL, "UNKNOWN"),
        Status::Warning | Status::Critical => {
            format!("{} ({})", styled(BAD, "REFUSED"), finding.diagnosis.cause.name())
        }
    };
    writeln!(out, "{verdict}: {}", harmless(&sentence(finding)))?;
    writeln!(out, "{} {}", styled(STRONG, "what to do:"), advice(finding))
}

fn print_facts(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let (parameters, diagnosis) = (&finding.parameters, &finding.diagnosis);
    fact(
        out,
        "token",
        &format!(
            "{}, {}, a code every {}, since {:.0}",
            parameters.algorithm,
            looks(parameters.format),
            span(parameters.period),
            parameters.t0
        ),
    )?;
    fact(out, "tried at", &format!("{:.3} by this host's clock", finding.tried_at))?;
    fact(out, "true time", &true_time(finding))?;
    fact(out, "token's clock", &believed(finding))?;
    match &diagnosis.window {
        Some(window) => fact(out, "window", &steps(window, finding))?,
        None => fact(out, "window", "none")?,
    }
    match &diagnosis.fit {
        Some(fit) => print_fit(out, finding, fit)?,
        None => fact(out, "fits", "nowhere in the search")?,
    }
    if let Some(other) = &diagnosis.alternative {
        let text = format!(
            "step {}, {} (a made-up code would fit in one of these ways with a chance of {})",
            other.step,
            differences(finding, other),
            percent(other.luck)
        );
        fact(out, "would fit", &text)?;
    }
    Ok(())
}

fn print_fit(out: &mut impl Write, finding: &Finding, fit: &Fit) -> io::Result<()> {
    let until = fit.shown_from + SignedDuration::from(finding.parameters.period);
    let place = match fit.steps_off {
        None => String::new(),
        Some(0) => ", inside of the window".to_owned(),
        Some(off) if off < 0 => format!(", {} before the window", count(off.unsigned_abs(), "step")),
        Some(off) => format!(", {} after the window", count(off.unsigned_abs(), "step")),
    };
    let text = format!(
        "step {}, which the token shows from {:.0} to {until:.0} on its own clock{place}",
        fit.step, fit.shown_from
    );
    fact(out, "fits", &text)?;
    if fit.steps_off != Some(0) {
        let others = match finding.diagnosis.other_fits {
            0 => String::new(),
            others => format!("; {} more", count(u64::try_from(others).unwrap_or(u64::MAX), "step")),
        };
        let text = format!(
            "a made-up code fits within {} with a chance of {}{others}",
            span(finding.searched),
            percent(finding.diagnosis.luck)
        );
        fact(out, "", &text)?;
    }
    let clock = format!("{}; best guess {}", drift(fit.ahead), direction(fit.ahead_best));
    fact(out, "so its clock is", &clock)
}

fn fact(out: &mut impl Write, name: &str, text: &str) -> io::Result<()> {
    writeln!(out, "{} {}", styled(FAINT, format!("{name:<15}")), harmless(text))
}

fn true_time(finding: &Finding) -> String {
    let interval = finding.time.map(|time| shown(&time));
    match (&finding.knowledge, interval) {
        (Knowledge::Stated(error), Some(interval)) => {
            format!("{interval}, as this clock is stated to be right to {}", length(*error))
        }
        (Knowledge::Measured { clock: Some(clock), .. }, Some(interval)) => {
            let (offset, estimate) = (Bounded::new(clock.offset), &clock.estimate);
            format!(
                "{interval}, as {} of {} sources say that this clock is {} ± {} behind",
                estimate.agreeing(),
                estimate.configured(),
                offset.middle(),
                offset.half_width()
            )
        }
        _ => "not known; what follows believes this host's clock".to_owned(),
    }
}

/// To the millisecond, rounded outward: what is shown contains what is known.
fn shown(time: &TimeInterval) -> String {
    let latest = time.latest() + SignedDuration::from_nanos(999_999);
    format!("between {:.3} and {latest:.3}", time.earliest())
}

fn believed(finding: &Finding) -> String {
    let (drift, policy) = (&finding.standing.token.drift, finding.policy.window());
    if !finding.state_known {
        return "taken to be right: the validator may have learned better".to_owned();
    }
    let latest = finding.time.map_or(finding.tried_at, |time| time.latest());
    let deviation = drift.deviation_at(policy.drift_model(), latest).saturating_mul(policy.sigmas());
    format!("learned to be {}, give or take {}", direction(drift.mean()), span(deviation))
}

fn steps(window: &Window, finding: &Finding) -> String {
    let ranges: Vec<_> =
        window.ranges().iter().map(|range| format!("{} to {}", range.first(), range.last())).collect();
    let left_out = if window.learned_left_out() {
        "; its learned clock is too uncertain for a single code, so only a right clock is looked for"
    } else {
        ""
    };
    let dead = match finding.diagnosis.dead {
        Some((step, Death::Used)) => format!("; dead up to {step}"),
        Some((step, Death::Restored)) => format!("; dead up to {step} since a restore or failover"),
        None => String::new(),
    };
    let poor = finding.time.is_some_and(|time| time.half_width() > VALIDATORS_CLOCK);
    let when = if poor { " in the middle of that time" } else { "" };
    format!("steps {} ({} of them){when}{dead}{left_out}", ranges.join(" and "), window.width())
}

fn direction(ahead: SignedDuration) -> String {
    let direction = if ahead.is_negative() { "behind" } else { "ahead" };
    format!("{} {direction}", span(ahead.unsigned_abs()))
}

/// A chance in percent, rounded up to two places.
fn percent(odds: Odds) -> String {
    let hundredths = odds.as_e18().div_ceil(100_000_000_000_000);
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}
