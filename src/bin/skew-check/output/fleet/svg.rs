//! A picture: every host's interval against its thresholds. No script, no font, no style from elsewhere.

use std::io::{self, Write};
use std::time::Duration;

use skewgate::fleet::{HostReport, Thresholds};
use skewgate::time::SignedDuration;

use super::super::{Bounded, Status};
use super::status;
use crate::fleet::Finding;

/// All in pixels.
const ROW: usize = 18;
const TOP: usize = 64;
const NAMES: i64 = 260;
const STATES: i64 = 130;
/// From zero to the warning threshold; from there to the critical one; and beyond it.
const INNER: i64 = 200;
const OUTER: i64 = 100;
const BEYOND: i64 = 20;
const ZERO: i64 = NAMES + STATES + INNER + OUTER + BEYOND;
const FIGURES: i64 = ZERO + INNER + OUTER + BEYOND + 10;
const WIDTH: i64 = FIGURES + 200;

const STYLE: &str = "\
text{font:12px ui-monospace,monospace;fill:#222}\
.bg{fill:#fff}.mark{stroke:#999;stroke-dasharray:3 3}.zero{stroke:#777}\
.ok{fill:#1a7f37;stroke:#1a7f37}.doubt{fill:#9a6700;stroke:#9a6700}.bad{fill:#cf222e;stroke:#cf222e}\
text.ok,text.doubt,text.bad{stroke:none}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.bg{fill:#111}.ok{fill:#3fb950;stroke:#3fb950}\
.doubt{fill:#d29922;stroke:#d29922}.bad{fill:#f85149;stroke:#f85149}}";

/// Prints a finding.
pub(crate) fn print(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let rows = finding.listed().count();
    let height = TOP + ROW * (rows + 1);
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\" aria-labelledby=\"title desc\">"
    )?;
    let sentence = escaped(&finding.reason);
    writeln!(out, "<title id=\"title\">Clock skew, {}</title>", finding.report.measured_at)?;
    writeln!(out, "<desc id=\"desc\">{}: {sentence}</desc>", finding.status.shout())?;
    writeln!(out, "<style>{STYLE}</style><rect class=\"bg\" width=\"100%\" height=\"100%\"/>")?;
    let class = class(finding.status);
    writeln!(out, "<text class=\"{class}\" x=\"10\" y=\"20\">{}: {sentence}</text>", finding.status.shout())?;
    let bottom = height - ROW / 2;
    for (x, class, label) in [
        (ZERO - INNER - OUTER, "mark", "-critical"),
        (ZERO - INNER, "mark", "-warning"),
        (ZERO, "zero", "0"),
        (ZERO + INNER, "mark", "+warning"),
        (ZERO + INNER + OUTER, "mark", "+critical"),
    ] {
        writeln!(out, "<text x=\"{x}\" y=\"44\" text-anchor=\"middle\">{label}</text>")?;
        writeln!(out, "<line class=\"{class}\" x1=\"{x}\" y1=\"50\" x2=\"{x}\" y2=\"{bottom}\"/>")?;
    }
    for (index, (host, found)) in finding.listed().enumerate() {
        let group = finding.report.inventory.group_of(host);
        write_host(out, TOP + ROW * index, host.as_given(), group.thresholds, found)?;
    }
    writeln!(out, "</svg>")
}

fn write_host(
    out: &mut impl Write,
    top: usize,
    name: &str,
    thresholds: Thresholds,
    found: &HostReport,
) -> io::Result<()> {
    let (base, middle) = (top + 13, top + ROW / 2);
    let (class, state) = (class(status(found.flags)), found.state());
    let figures = found
        .skew
        .map(Bounded::new)
        .map_or_else(String::new, |skew| format!("{} ± {}", skew.middle(), skew.half_width()));
    writeln!(out, "<g><title>{}: {state} {}</title>", escaped(name), escaped(&figures))?;
    let name = shortened(name);
    writeln!(out, "<text x=\"10\" y=\"{base}\">{}</text>", escaped(&name))?;
    writeln!(out, "<text class=\"{class}\" x=\"{NAMES}\" y=\"{base}\">{state}</text>")?;
    if let Some(skew) = found.skew {
        let (left, right) = (x(skew.lo(), thresholds), x(skew.hi(), thresholds));
        // A bound that is narrower than this is still to be seen.
        let (left, width) = (left.min(right - 2), (right - left).max(2));
        let y = middle.saturating_sub(4);
        writeln!(out, "<rect class=\"{class}\" x=\"{left}\" y=\"{y}\" width=\"{width}\" height=\"8\"/>")?;
        for (end, beyond) in
            [(skew.lo(), ZERO - INNER - OUTER - BEYOND), (skew.hi(), ZERO + INNER + OUTER + BEYOND)]
        {
            if end.unsigned_abs() > thresholds.critical() && x(end, thresholds) == beyond {
                let tip = if beyond < ZERO { beyond - 6 } else { beyond + 6 };
                let (above, below) = (middle.saturating_sub(6), middle + 6);
                writeln!(
                    out,
                    "<path class=\"{class}\" d=\"M{beyond} {above}L{tip} {middle}L{beyond} {below}Z\"/>"
                )?;
            }
        }
    }
    writeln!(out, "<text x=\"{FIGURES}\" y=\"{base}\">{}</text></g>", escaped(&figures))
}

/// Evenly up to the warning, evenly from there to what is critical; beyond that at the end.
fn x(offset: SignedDuration, thresholds: Thresholds) -> i64 {
    let nanos = |length: Duration| i128::try_from(length.as_nanos()).unwrap_or(i128::MAX);
    let (warning, critical) = (nanos(thresholds.warning()), nanos(thresholds.critical()));
    let (size, inner, outer) = (nanos(offset.unsigned_abs()), i128::from(INNER), i128::from(OUTER));
    let distance = if size > critical {
        inner + outer + i128::from(BEYOND)
    } else if size > warning {
        inner + (size - warning) * outer / (critical - warning)
    } else {
        (size * inner).checked_div(warning).unwrap_or(0)
    };
    let distance = i64::try_from(distance).unwrap_or(INNER + OUTER + BEYOND);
    if offset.is_negative() { ZERO - distance } else { ZERO + distance }
}

const fn class(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Warning | Status::Unknown => "doubt",
        Status::Critical => "bad",
    }
}

fn shortened(name: &str) -> String {
    const MOST: usize = 32;
    let mut short: String = name.chars().take(MOST).collect();
    if name.chars().count() > MOST {
        short.push('…');
    }
    short
}

/// As text and in attributes: no name becomes a tag. What XML has no character for is left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_a_tag_an_attribute_or_a_control() {
        let hostile = "<script>alert('1')</script>\"&\u{1b}[2J\u{0}\u{ffff}ü";
        let shown = "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&amp;[2Jü";
        assert_eq!(escaped(hostile), shown);
    }
}
