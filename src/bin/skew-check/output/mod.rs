//! How results are shown.

pub(crate) mod explain_json;
pub(crate) mod explain_text;
pub(crate) mod fleet;
pub(crate) mod json;
pub(crate) mod nagios;
pub(crate) mod text;

use std::process::ExitCode;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use skewgate::clock::OffsetInterval;
use skewgate::fleet::Severity;
use skewgate::time::SignedDuration;

/// The result in a word. Ordered: where several hold, the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Ok,
    Warning,
    Unknown,
    Critical,
}

impl Status {
    /// In capitals, as monitoring systems show it.
    pub(crate) const fn shout(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Unknown => "UNKNOWN",
            Self::Critical => "CRITICAL",
        }
    }

    pub(crate) const fn style(self) -> Style {
        match self {
            Self::Ok => GOOD,
            Self::Warning | Self::Unknown => DOUBTFUL,
            Self::Critical => BAD,
        }
    }
}

impl From<Severity> for Status {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Ok => Self::Ok,
            Severity::Warning => Self::Warning,
            Severity::Unknown => Self::Unknown,
            Severity::Critical => Self::Critical,
        }
    }
}

impl From<Status> for ExitCode {
    /// As the Monitoring Plugins guidelines have it.
    fn from(status: Status) -> Self {
        match status {
            Status::Ok => Self::SUCCESS,
            Status::Warning => Self::from(1),
            Status::Critical => Self::from(2),
            Status::Unknown => Self::from(3),
        }
    }
}

pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const DOUBTFUL: Style = AnsiColor::Yellow.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
pub(crate) const FAINT: Style = Style::new().dimmed();
pub(crate) const STRONG: Style = Style::new().bold();

/// A text in a style. Streams of anstream drop the style where it is not wanted.
pub(crate) fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// The units that lengths are shown in, in nanoseconds.
const UNITS: [(u64, &str); 4] = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"), (1, "ns")];

/// An offset and how far off it may be, such that what is shown contains what is known: both at one resolution, the
/// half-width with two digits that count and rounded up by what the middle was rounded.
pub(crate) struct Bounded {
    resolution: u64,
    middle: i64,
    half_width: u64,
}

impl Bounded {
    pub(crate) fn new(offset: OffsetInterval) -> Self {
        let (middle, half_width) = (offset.midpoint().as_nanos(), nanos(offset.half_width()));
        let resolution = resolution(half_width, 2);
        let rounded = round(middle, resolution);
        let error = rounded.abs_diff(middle);
        Self {
            resolution,
            middle: rounded,
            half_width: round_up(half_width.saturating_add(error), resolution),
        }
    }

    /// The middle with its sign.
    pub(crate) fn middle(&self) -> String {
        format!("{}{}", if self.middle < 0 { '-' } else { '+' }, self.magnitude())
    }

    /// The middle with the other sign.
    pub(crate) fn flipped(&self) -> String {
        Self { middle: -self.middle, ..*self }.middle()
    }

    /// The middle without its sign.
    pub(crate) fn magnitude(&self) -> String {
        decimal(self.middle.unsigned_abs(), self.resolution)
    }

    pub(crate) fn half_width(&self) -> String {
        decimal(self.half_width, self.resolution)
    }

    /// Another offset at the same resolution.
    pub(crate) fn like(&self, offset: SignedDuration) -> String {
        Self { middle: round(offset.as_nanos(), self.resolution), ..*self }.middle()
    }
}

/// A length of time for a reader, rounded up to three digits that count: what is given as a bound stays one.
pub(crate) fn length(length: Duration) -> String {
    let length = nanos(length);
    let resolution = resolution(length, 3);
    let shown = decimal(round_up(length, resolution), resolution);
    match shown.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => shown,
    }
}

/// The power of ten that leaves so many digits of a number of nanoseconds.
fn resolution(nanos: u64, digits: u32) -> u64 {
    let length = nanos.checked_ilog10().map_or(1, |log| log + 1);
    10_u64.pow(length.saturating_sub(digits))
}

fn round_up(nanos: u64, resolution: u64) -> u64 {
    nanos.checked_next_multiple_of(resolution).unwrap_or(u64::MAX)
}

/// To the nearest multiple.
fn round(nanos: i64, resolution: u64) -> i64 {
    let resolution = i128::from(resolution);
    let rounded = (i128::from(nanos) + resolution / 2).div_euclid(resolution) * resolution;
    i64::try_from(rounded).unwrap_or(nanos)
}

/// A multiple of a resolution, exactly, in the largest unit that leaves a digit before the point.
fn decimal(nanos: u64, resolution: u64) -> String {
    let size = nanos.max(resolution);
    let (unit, name) = UNITS.into_iter().find(|&(unit, _)| size >= unit).unwrap_or((1, "ns"));
    let places = usize::try_from((unit / resolution).max(1).ilog10()).unwrap_or(0);
    let (whole, rest) = (nanos / unit, nanos % unit / resolution.min(unit));
    if places == 0 { format!("{whole} {name}") } else { format!("{whole}.{rest:0places$} {name}") }
}

/// In nanoseconds, at most about 584 years.
pub(crate) fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}

/// What comes from elsewhere (the operating system, the network), made harmless for a terminal.
pub(crate) fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unseen(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// What isn't seen itself, and may change how what is around it is seen.
pub(crate) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offset(middle: i64, half_width: i64) -> OffsetInterval {
        let end = |sign: i64| SignedDuration::from_nanos(middle + sign * half_width);
        OffsetInterval::new(end(-1), end(1)).unwrap()
    }

    /// What a shown length means, in nanoseconds.
    fn read(shown: &str) -> i64 {
        let (number, unit) = shown.split_once(' ').unwrap();
        let (_, zeros) =
            [("s", 9), ("ms", 6), ("µs", 3), ("ns", 0)].into_iter().find(|(name, _)| *name == unit).unwrap();
        let (whole, rest) = number.split_once('.').unwrap_or((number, ""));
        format!("{whole}{rest:0<zeros$}").parse().unwrap()
    }

    #[test]
    fn an_offset_is_shown_as_exactly_as_it_is_known() {
        for (middle, half_width, shown) in [
            (39_999_999_601, 840_427, ("+40.00000 s", "850 µs")),
            (40_001_000_000, 2_000_000, ("+40.0010 s", "2.0 ms")),
            (-6_584, 179_261, ("-10 µs", "190 µs")),
            (-90_000_012_345, 52_172, ("-90.000012 s", "53 µs")),
            (0, 0, ("+0 ns", "0 ns")),
            (7, 3, ("+7 ns", "3 ns")),
            (1_500_000_000, 12_000_000_000, ("+2 s", "13 s")),
        ] {
            let bounded = Bounded::new(offset(middle, half_width));
            assert_eq!((bounded.middle().as_str(), bounded.half_width().as_str()), shown);
        }
    }

    #[test]
    fn lengths_are_rounded_up_and_short() {
        for (nanos, shown) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (185_844, "186 µs"),
            (100_000_000, "100 ms"),
            (1_000_000_000, "1 s"),
            (1_500_000_001, "1.51 s"),
            (3_596_400_000_000_000, "3600000 s"),
        ] {
            assert_eq!(length(Duration::from_nanos(nanos)), shown);
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_contains_what_is_known(
            middle in -1_000_000_000_000_000_i64..1_000_000_000_000_000,
            magnitude in 0_u32..13,
            digits in 0_i64..10_000,
        ) {
            let half_width = digits * 10_i64.pow(magnitude) / 1_000;
            let known = offset(middle, half_width);
            let bounded = Bounded::new(known);
            let sign = if bounded.middle().starts_with('-') { -1 } else { 1 };
            let (middle, half_width) = (sign * read(&bounded.magnitude()), read(&bounded.half_width()));
            prop_assert!(middle - half_width <= known.lo().as_nanos());
            prop_assert!(known.hi().as_nanos() <= middle + half_width);
            prop_assert!(read(&length(known.half_width())) >= i64::try_from(nanos(known.half_width())).unwrap());
        }
    }
}
