//! What was found, and what to do about it, in sentences.

use std::time::Duration;

use skewgate::clock::OffsetInterval;
use skewgate::otp::Format;
use skewgate::time::SignedDuration;
use skewgate::validator::{Advice, Reason, TokenFault};
use skewgate::window::WindowError;

use super::diagnosis::Remedy;
use super::search::Alternative;
use super::{Cause, Death, Finding, Fit, Reading};

/// Nearly all time zones are whole numbers of halves of an hour apart. Quarters are too near to each other: luck would find one too often.
const ZONE: i64 = 1_800;
/// From UTC-12 to UTC+14; and from UTC-9:30 to UTC+14.
const WIDEST_HOURS: i64 = 26 * 3_600;
const WIDEST_HALVES: i64 = 23 * 3_600 + 1_800;
/// What is known no better than this isn't known to the minute.
const ZONE_SLACK: Duration = Duration::from_secs(90);

/// What the validator would answer, and why.
pub(crate) fn sentence(finding: &Finding) -> String {
    let diagnosis = &finding.diagnosis;
    let what = if finding.codes.len() > 1 { "the codes" } else { "the code" };
    let (is, fits, belongs) =
        if finding.codes.len() > 1 { ("are", "fit", "belong") } else { ("is", "fits", "belongs") };
    let off = |fit: &Fit| {
        let steps = fit.steps_off.unwrap_or(0).unsigned_abs();
        let length = finding.parameters.period.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX));
        format!("{} ({})", count(steps, "step"), span(length))
    };
    match (&diagnosis.cause, &diagnosis.fit) {
        (Cause::Accepted, Some(fit)) => format!("{what} {fits} step {}, inside of the window", fit.step),
        (Cause::Accepted, None) => format!("{what} {fits}"),
        (Cause::TimeUnknown(why), _) => format!("it isn't known what time it is: {why}"),
        (Cause::ClockTooPoor, fit) => {
            let step = fit.map_or(String::new(), |fit| format!(" step {}", fit.step));
            let width =
                finding.time.map_or(Duration::ZERO, |time| (time.latest() - time.earliest()).unsigned_abs());
            format!(
                "{what} {fits}{step}, and whether that is accepted depends on when in {} it was tried: this host's clock isn't known better",
                span(width)
            )
        }
        (Cause::NotAdmitted(reason), Some(fit)) => {
            format!("{what} {fits} step {}, but would not be looked at: {}", fit.step, why(reason))
        }
        (Cause::NotAdmitted(reason), None) => {
            format!("{what} would not be looked at, and {fits} nowhere near: {}", why(reason))
        }
        (Cause::Replay(Death::Used, _), _) => {
            format!("{what} {fits} where codes are dead: used before, or older than one that was used")
        }
        (Cause::Replay(Death::Restored, _), _) => {
            format!("{what} {fits} where codes are dead for all tokens: {REPLACED}, and {COULD_BE_USED}")
        }
        (Cause::PartlyUsed(Death::Used), _) => {
            "the codes fit inside of the window, but not all of them above the watermark: one was used before"
                .into()
        }
        (Cause::PartlyUsed(Death::Restored), _) => format!(
            "the codes fit inside of the window, but not all of them above what is dead for all tokens: {REPLACED}, and {COULD_BE_USED}"
        ),
        (Cause::TooOld, Some(fit)) => {
            format!("{what} {belongs} to a time before the window: {} too old{}", off(fit), dead(fit))
        }
        (Cause::TooNew, Some(fit)) => {
            format!("{what} {belongs} to a time after the window: {} too new{}", off(fit), dead(fit))
        }
        (Cause::TooOld | Cause::TooNew, None) => format!("{what} {is} outside of the window"),
        (Cause::OtherParameters, _) => {
            let others = diagnosis.alternative.as_ref().map(|other| differences(finding, other));
            format!("{what} {fits} {}", others.unwrap_or_default())
        }
        (Cause::WrongOrder, _) => "the codes fit one after the other if the last one was shown first".into(),
        (Cause::NotConsecutive, _) => {
            format!("the codes weren't shown one after the other: {}", apart(finding))
        }
        (Cause::OtherFormat, _) => {
            let shown = finding.codes.iter().find(|format| **format != finding.parameters.format);
            let shown = shown.copied().unwrap_or_default();
            format!(
                "the token's codes have {}, and {what} {}",
                looks(finding.parameters.format),
                looks(shown)
            )
        }
        (Cause::FitsNowhere, _) => format!(
            "{what} {fits} nowhere within {} of the time, nor nearer by with another hash, period or number of digits",
            span(finding.searched)
        ),
    }
}

/// In words for who has no code of the validator's service before him.
fn why(reason: &Reason) -> String {
    match reason {
        Reason::TokenUnsuited(TokenFault::OtherParameters) => {
            "this token was enrolled with another hash, period, T0 or number of digits".into()
        }
        other => other.to_string(),
    }
}

/// Why not even a longer window would help.
fn dead(fit: &Fit) -> String {
    match fit.dead.map(|dead| dead.by) {
        None => String::new(),
        Some(Death::Used) => {
            ", and at or below the newest used step: an old code typed again, or the token's clock was set back".into()
        }
        Some(Death::Restored) => format!(", and dead for all tokens: {REPLACED}, and {COULD_BE_USED}"),
    }
}

/// By whom a code was used.
const USED: &str = "If the export was made after this attempt, it may know of this very login; if the user knows of none, somebody else has \
                    used the code";

/// Why codes are dead that nobody is known to have used.
const REPLACED: &str = "the store was restored, or another node of it took over";
const COULD_BE_USED: &str = "codes of until then could have been used";

/// An export says what is so now, not what was so at the attempt.
const MAYBE_SINCE: &str = "If the export was made after this attempt, the store may have been restored since";

/// What to do about it.
pub(crate) fn advice(finding: &Finding) -> String {
    let diagnosis = &finding.diagnosis;
    match &diagnosis.cause {
        Cause::Accepted if finding.state_known => {
            "if it was refused nevertheless, the export is older than that, or the validator didn't know the time to a second: its \
             event log says which"
                .into()
        }
        Cause::Accepted => "if it was refused nevertheless, it was used before, too much was guessed, or the validator didn't \
             know the time to a second: its event log says which"
            .into(),
        Cause::TimeUnknown(_) => "see `skew-check probe`, and name more sources".into(),
        Cause::ClockTooPoor => "measure this host's clock with --source, or ask again on a host whose clock is known better, such as the validator's"
            .into(),
        Cause::NotAdmitted(reason) => about_reason(reason, diagnosis.dead.map(|(_, death)| death)),
        Cause::Replay(Death::Restored, Advice::RetryAfter(wait)) => {
            format!("wait {}, then type the code that the token shows. {MAYBE_SINCE}", span(*wait))
        }
        Cause::Replay(Death::Restored, _) => format!("wait for the next code. {MAYBE_SINCE}"),
        Cause::PartlyUsed(death) => {
            let (count, else_then) = (finding.codes.len(), if *death == Death::Used { USED } else { MAYBE_SINCE });
            format!("wait for the next code, and have the user type {count} from there on. {else_then}")
        }
        Cause::Replay(Death::Used, Advice::RetryAfter(wait)) => format!(
            "wait {}, if the token's clock ran ahead when that code was used, and was set right since: until then all that it shows counts as \
             used; otherwise only for the next code. {USED}",
            span(*wait)
        ),
        Cause::Replay(Death::Used, _) => format!("wait for the next code. {USED}"),
        Cause::TooOld | Cause::TooNew => about_clock(finding),
        Cause::OtherParameters => {
            "make the validator's row of this token say the same as the token, or enrol it anew".into()
        }
        Cause::WrongOrder => "type the older code first".into(),
        Cause::NotConsecutive => {
            "type a code, wait for the next one, and type that: none left out, none twice".into()
        }
        Cause::OtherFormat => {
            "is it the right entry of the app? Otherwise make the validator's row of this token say the same as the token".into()
        }
        Cause::FitsNowhere => {
            "is it the right entry of the app, and typed as it was shown? Otherwise the token has another secret: enrol it anew. A \
             clock that is further off is found with a longer --search"
                .into()
        }
    }
}

/// What the validator says itself, and what else helps, given by what the newest dead step is dead.
fn about_reason(reason: &Reason, dead: Option<Death>) -> String {
    match (reason, reason.advice()) {
        (Reason::WatermarkAhead { .. }, advice) if dead == Some(Death::Restored) => {
            let wait = match advice {
                Advice::RetryAfter(wait) => format!("wait {}", span(wait)),
                _ => "authenticate the user otherwise until that has passed".into(),
            };
            format!("{wait}: {REPLACED}, and {COULD_BE_USED}; a reset changes nothing. {MAYBE_SINCE}")
        }
        (Reason::ClockUntrusted(_), Advice::ShowConsecutive(count)) => format!(
            "have the user type {count} codes, one after the other, new ones; a single one is judged by a validator that knows the time \
             better than this host: see `skew-check probe`"
        ),
        (Reason::ClockUntrusted(_), _) => {
            "see `skew-check probe`: a validator that knows the time no better than this host needs better time sources".into()
        }
        (_, Advice::ShowConsecutive(count)) => {
            format!("have the user type {count} codes, one after the other, new ones")
        }
        (Reason::Throttled { .. }, _) => {
            "wait; or find out who guesses, then have an administrator reset the token".into()
        }
        (Reason::BudgetAhead { .. } | Reason::WatermarkAhead { .. }, Advice::RetryAfter(wait)) => {
            format!("wait {}; or authenticate the user otherwise, then reset the token", span(wait))
        }
        (Reason::Locked { .. } | Reason::BudgetAhead { .. } | Reason::WatermarkAhead { .. }, _) => {
            "authenticate the user otherwise, then reset the token".into()
        }
        (Reason::TokenUnsuited(TokenFault::OtherParameters), _) => {
            "are --algorithm, --digits, --period and --t0, or the URI, those of the user table? If so, that row was changed after the \
             enrolment: put it back, or enrol the token anew"
                .into()
        }
        (Reason::TokenUnsuited(TokenFault::Digits { .. }), _) => {
            "is --digits, or the URI, what the token shows? If so, have the user enrol one that shows 6 to 8 digits".into()
        }
        (Reason::TokenUnsuited(TokenFault::NoWindow(WindowError::BeforeFirstStep { .. })), _) => {
            "are --t0 and --at right? If so, the token begins later".into()
        }
        (Reason::TokenUnsuited(_), _) => {
            "is --period, or the URI, what the token has? If so, have the user enrol one with a period of 30 s or 60 s".into()
        }
        _ => "ask whoever runs the validator".into(),
    }
}

fn about_clock(finding: &Finding) -> String {
    let diagnosis = &finding.diagnosis;
    let (Some(fit), Some(remedy)) = (&diagnosis.fit, diagnosis.remedy) else { return String::new() };
    let mut text = String::new();
    let again = fit.dead.is_some_and(|dead| dead.by == Death::Used);
    if again {
        text.push_str(
            "type what the token shows now: an old code says nothing of its clock. Only if it showed this one when it was typed: ",
        );
    }
    if let Some(zone) = time_zone(fit.ahead) {
        text.push_str(&format!("that is {} to the minute: a wrong time zone or summer time; ", span(zone)));
    }
    let late = matches!(diagnosis.cause, Cause::TooOld)
        && fit.ahead.hi().unsigned_abs() <= finding.policy.window().max_code_age();
    if late && !again {
        text.push_str("either it was typed too late, or the token's clock is behind; ");
    }
    let dead_for = fit.dead.map_or(Duration::ZERO, |dead| dead.wait);
    let longer = match remedy {
        Remedy::Resynchronise { wait } => wait > dead_for,
        Remedy::SetClock => true,
        Remedy::AsMany | Remedy::TwoCodes => false,
    };
    if !longer && !dead_for.is_zero() {
        text.push_str(&format!("wait {}, as all that it shows until then is dead; then ", span(dead_for)));
    }
    text.push_str(match remedy {
        Remedy::AsMany if finding.codes.len() == 1 => "type the code that it shows",
        Remedy::AsMany => "type new codes, one after the other",
        Remedy::TwoCodes => {
            "two consecutive codes let such a token in as it is; a phone's clock is set right by automatic date and time"
        }
        Remedy::Resynchronise { .. } => {
            "resynchronise the token with two consecutive codes, or set its clock: on a phone, automatic date and time"
        }
        Remedy::SetClock => {
            "set the token's clock: on a phone, automatic date and time; one that can't be set is enrolled anew, with two or three \
             consecutive codes"
        }
    });
    if finding.codes.len() == 1 && fit.steps_off.is_some_and(|off| off.unsigned_abs() > 120) {
        text.push_str("; so far away one code may fit by luck: ask for two consecutive ones to be sure");
    }
    if let Remedy::Resynchronise { wait } = remedy
        && finding.state_known
        && longer
    {
        text.push_str(&format!(
            "; a resynchronisation is refused for the next {}: the token's clock was learned just before, or the store was restored",
            span(wait)
        ));
    }
    if !finding.state_known {
        text.push_str(
            "; the validator may have learned where this token's clock is and look there, too: --state says",
        );
    }
    text
}

/// With what the codes fit that isn't as it was given.
pub(crate) fn differences(finding: &Finding, other: &Alternative) -> String {
    let (own, other, reading) = (&finding.parameters, &other.parameters, other.reading);
    let mut parts = Vec::new();
    if other.format != own.format {
        parts.push(format!("{} instead of {}", looks(other.format), looks(own.format)));
    }
    if other.algorithm != own.algorithm {
        parts.push(format!("{} instead of {}", other.algorithm, own.algorithm));
    }
    if other.period != own.period {
        parts.push(format!("a period of {} instead of {}", span(other.period), span(own.period)));
    }
    if reading != finding.reading {
        parts.push(match reading {
            Reading::Base32 => "the secret read as base32".into(),
            Reading::Hex => "the secret read as hexadecimal digits".into(),
            Reading::Characters => "the characters of the secret's text taken for the secret".into(),
        });
    }
    format!("with {}", parts.join(", and "))
}

fn apart(finding: &Finding) -> String {
    let codes = finding.diagnosis.apart.iter().enumerate().map(|(index, step)| match step {
        Some(step) => format!("number {} fits step {step}", index + 1),
        None => format!("number {} fits nowhere", index + 1),
    });
    codes.collect::<Vec<_>>().join(", ")
}

/// What a format's codes have.
pub(crate) fn looks(format: Format) -> String {
    match format {
        Format::Decimal(digits) => count(u64::try_from(digits.get()).unwrap_or(0), "digit"),
        _ => format!("{} of Steam's characters", format.length()),
    }
}

/// How far off a token's clock is.
pub(crate) fn drift(ahead: OffsetInterval) -> String {
    let (lo, hi) = (ahead.lo(), ahead.hi());
    if ahead.contains(SignedDuration::ZERO) {
        return format!(
            "at most {} behind and {} ahead of true time: it may be right",
            span(lo.unsigned_abs()),
            span(hi.unsigned_abs())
        );
    }
    let (near, far, direction) = if lo.is_negative() { (hi, lo, "behind") } else { (lo, hi, "ahead of") };
    let near = Duration::from_secs(near.unsigned_abs().as_secs());
    format!("{} to {} {direction} true time", span(near), span(far.unsigned_abs()))
}

/// By which time zone a clock may be off, if by one.
fn time_zone(ahead: OffsetInterval) -> Option<Duration> {
    let middle = ahead.midpoint().as_nanos() / 1_000_000_000;
    let zone = (middle + middle.signum() * ZONE / 2) / ZONE * ZONE;
    let widest = if zone % 3_600 == 0 { WIDEST_HOURS } else { WIDEST_HALVES };
    let near = ahead.half_width() <= ZONE_SLACK && ahead.contains(SignedDuration::from_secs(zone));
    (near && zone != 0 && zone.abs() <= widest).then(|| Duration::from_secs(zone.unsigned_abs()))
}

pub(crate) fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// A length in whole seconds, rounded up.
pub(crate) fn span(length: Duration) -> String {
    let seconds = length.as_secs() + u64::from(length.subsec_nanos() > 0);
    let (days, rest) = (seconds / 86_400, Duration::from_secs(seconds % 86_400));
    // Months and years that are so many seconds aren't what anybody means by them.
    let days = (days > 0).then(|| count(days, "day").replace(' ', ""));
    let rest = (days.is_none() || !rest.is_zero()).then(|| humantime::format_duration(rest).to_string());
    days.into_iter().chain(rest).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use skewgate::validator::ClockFault;

    use super::*;

    fn ahead(lo: i64, hi: i64) -> OffsetInterval {
        OffsetInterval::new(SignedDuration::from_secs(lo), SignedDuration::from_secs(hi)).unwrap()
    }

    #[test]
    fn a_clock_is_behind_ahead_or_perhaps_right() {
        assert_eq!(drift(ahead(-151, -61)), "1m 1s to 2m 31s behind true time");
        assert_eq!(drift(ahead(3590, 3650)), "59m 50s to 1h 50s ahead of true time");
        assert_eq!(drift(ahead(-10, 50)), "at most 10s behind and 50s ahead of true time: it may be right");
    }

    #[test]
    fn what_to_do_about_a_reason_is_what_the_validator_says() {
        let wide = WindowError::ClockTooUncertain {
            half_width: Duration::from_secs(38),
            allowed: Duration::from_secs(9),
        };
        let seconds = Duration::from_secs;
        for (reason, expected) in [
            (
                Reason::ClockUntrusted(ClockFault::TooUncertainForOne(wide)),
                "have the user type 2 codes, one after",
            ),
            (Reason::ClockUntrusted(ClockFault::TooUncertain(wide)), "see `skew-check probe`"),
            (Reason::ConsecutiveCodesNeeded { count: 3 }, "have the user type 3 codes, one after"),
            (Reason::Throttled { retry_after: seconds(9) }, "wait; or find out"),
            (Reason::Throttled { retry_after: Duration::MAX }, "wait; or find out"),
            (Reason::WatermarkAhead { retry_after: seconds(281) }, "wait 4m 41s; or"),
            (Reason::BudgetAhead { retry_after: seconds(3_600) }, "wait 1h; or"),
            (
                Reason::WatermarkAhead { retry_after: seconds(3_601) },
                "authenticate the user otherwise, then reset",
            ),
            (
                Reason::BudgetAhead { retry_after: Duration::MAX },
                "authenticate the user otherwise, then reset",
            ),
            (Reason::Locked { failures: 100 }, "authenticate the user otherwise, then reset"),
            (Reason::TokenUnsuited(TokenFault::Digits { got: 10 }), "is --digits, or the URI,"),
        ] {
            let said = about_reason(&reason, Some(Death::Used));
            assert!(said.starts_with(expected), "{reason:?}: {said}");
        }
    }

    #[test]
    fn no_reset_is_advised_against_what_a_restore_keeps_dead() {
        for (seconds, expected) in
            [(281, "wait 4m 41s: the store"), (3_601, "authenticate the user otherwise until")]
        {
            let reason = Reason::WatermarkAhead { retry_after: Duration::from_secs(seconds) };
            let said = about_reason(&reason, Some(Death::Restored));
            assert!(said.starts_with(expected) && said.contains("a reset changes nothing"), "{said}");
        }
        // What guesses cost is forgiven all the same.
        let reason = Reason::BudgetAhead { retry_after: Duration::MAX };
        assert!(about_reason(&reason, Some(Death::Restored)).ends_with("then reset the token"));
    }

    #[test]
    fn lengths_are_days_and_less() {
        for (seconds, expected) in [
            (0, "0s"),
            (90, "1m 30s"),
            (86_400, "1day"),
            (86_401, "1day 1s"),
            (31 * 86_400, "31days"),
            (400 * 86_400 + 3_600, "400days 1h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn a_time_zone_is_recognised() {
        let hours = |lo, hi| time_zone(ahead(lo, hi)).map(|zone| zone.as_secs());
        assert_eq!(hours(3570, 3630), Some(3600));
        assert_eq!(hours(-7230, -7170), Some(7200));
        assert_eq!(hours(-19_830, -19_770), Some(19_800));
        assert_eq!(hours(-30, 30), None);
        assert_eq!(hours(1500, 1560), None);
        assert_eq!(hours(3800, 3860), None);
        // None of these was.
        assert_eq!(hours(-1751, -1682), None);
        assert_eq!(hours(-97_230, -97_170), None);
        assert_eq!(hours(3 * 86_400 - 30, 3 * 86_400 + 30), None);
        assert_eq!(hours(3000, 4200), None);
        // As far apart as any two.
        assert_eq!(hours(93_570, 93_630), Some(93_600));
        assert_eq!(hours(-84_630, -84_570), Some(84_600));
        assert_eq!(hours(88_170, 88_230), None);
    }
}
