//! The first table as a picture: right codes refused, on a logarithmic axis, over codes accepted.

use std::fmt::{self, Write};

use super::study::{Clock, Row};

const WIDTH: f64 = 820.0;
const HEIGHT: f64 = 520.0;
/// Where the axes are.
const LEFT: f64 = 84.0;
const RIGHT: f64 = 780.0;
const TOP: f64 = 84.0;
const BOTTOM: f64 = 452.0;
/// Of the axes: codes, and percent in powers of ten.
const MOST_CODES: f64 = 16.0;
const LOWEST_POWER: i32 = -3;
const HIGHEST_POWER: i32 = 2;

const INK: &str = "#1f2933";
const FAINT: &str = "#7b8794";
const GRID: &str = "#e4e7eb";
const PEER: &str = "#52606d";
const OURS: &str = "#c2410c";

/// A picture of all rows that says what it shows.
pub(crate) fn draw(rows: &[Row]) -> String {
    let mut out = String::new();
    // Writing to a string can't fail.
    let _ = picture(&mut out, rows);
    out
}

fn picture(out: &mut String, rows: &[Row]) -> fmt::Result {
    writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" font-family="system-ui, 'DejaVu Sans', sans-serif" font-size="13">"#
    )?;
    writeln!(out, r#"<rect width="100%" height="100%" fill="white"/>"#)?;
    label(
        out,
        LEFT,
        30.0,
        "start",
        INK,
        "Right codes refused, over codes accepted",
        "font-size=\"17\" font-weight=\"600\"",
    )?;
    legend(out)?;
    axes(out)?;
    let mut names: Vec<&str> = rows.iter().map(|row| row.validator.as_str()).collect();
    names.dedup();
    for name in names {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.validator == name).collect();
        validator(out, name, &rows)?;
    }
    writeln!(out, "</svg>")
}

fn legend(out: &mut String) -> fmt::Result {
    let entries = [
        ("validator's clock right", Clock::Right),
        ("45 s wrong", Clock::Wrong),
        ("45 s wrong, monitored", Clock::WrongMonitored),
    ];
    let mut x = LEFT + 6.0;
    for (text, clock) in entries {
        dot(out, x, 56.0, INK, clock)?;
        label(out, x + 12.0, 60.5, "start", INK, text, "")?;
        x += 190.0;
    }
    Ok(())
}

fn axes(out: &mut String) -> fmt::Result {
    for power in LOWEST_POWER..=HIGHEST_POWER {
        let percent = 10.0_f64.powi(power);
        let y = y_of(percent);
        line(out, (LEFT, y), (RIGHT, y), GRID, "")?;
        label(out, LEFT - 10.0, y + 4.5, "end", FAINT, &format!("{percent} %"), "")?;
    }
    for codes in [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0] {
        let x = x_of(codes);
        line(out, (x, BOTTOM), (x, BOTTOM + 5.0), FAINT, "")?;
        label(out, x, BOTTOM + 21.0, "middle", FAINT, &format!("{codes}"), "")?;
    }
    line(out, (LEFT, BOTTOM), (RIGHT, BOTTOM), FAINT, "")?;
    label(
        out,
        f64::midpoint(LEFT, RIGHT),
        BOTTOM + 46.0,
        "middle",
        INK,
        "codes accepted at a time, on average: what a guess is worth",
        "",
    )?;
    let middle = f64::midpoint(TOP, BOTTOM);
    let turned = format!("transform=\"rotate(-90 22 {middle})\"");
    label(out, 22.0, middle, "middle", INK, "right codes refused (first attempts)", &turned)
}

/// One dot for each clock; those above each other are joined.
fn validator(out: &mut String, name: &str, rows: &[&Row]) -> fmt::Result {
    let ours = name == "skewgate";
    let colour = if ours { OURS } else { PEER };
    // For peers a monitor changes nothing.
    let shown: Vec<(f64, f64, Clock)> = rows
        .iter()
        .filter(|row| ours || row.clock != Clock::WrongMonitored)
        .map(|row| (x_of(row.mean_codes()), y_of(row.false_reject_percent()), row.clock))
        .collect();
    for pair in shown.windows(2) {
        if let [(x1, y1, _), (x2, y2, _)] = pair {
            line(out, (*x1, *y1), (*x2, *y2), colour, "stroke-width=\"1.5\" stroke-dasharray=\"2 3\"")?;
        }
    }
    for (x, y, clock) in &shown {
        dot(out, *x, *y, colour, *clock)?;
    }
    let Some((x, y)) = shown.iter().map(|(x, y, _)| (*x, *y)).reduce(|a, b| (a.0.max(b.0), a.1.max(b.1)))
    else {
        return Ok(());
    };
    if ours {
        let text = format!("skewgate, {:.1} codes", rows.first().map_or(0.0, |row| row.mean_codes()));
        label(out, x + 12.0, y + 4.5, "start", colour, &text, "font-weight=\"700\"")
    } else {
        label(out, x, y + 20.0, "middle", colour, name.trim_start_matches("fixed "), "")
    }
}

fn dot(out: &mut String, x: f64, y: f64, colour: &str, clock: Clock) -> fmt::Result {
    let fill = if clock == Clock::Right { colour } else { "white" };
    writeln!(
        out,
        r#"<circle cx="{x:.1}" cy="{y:.1}" r="5.5" fill="{fill}" stroke="{colour}" stroke-width="2"/>"#
    )?;
    if clock == Clock::WrongMonitored {
        writeln!(out, r#"<circle cx="{x:.1}" cy="{y:.1}" r="2.5" fill="{colour}"/>"#)?;
    }
    Ok(())
}

fn line(out: &mut String, from: (f64, f64), to: (f64, f64), colour: &str, more: &str) -> fmt::Result {
    let ((x1, y1), (x2, y2)) = (from, to);
    writeln!(out, r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{colour}" {more}/>"#)
}

fn label(
    out: &mut String,
    x: f64,
    y: f64,
    anchor: &str,
    colour: &str,
    text: &str,
    more: &str,
) -> fmt::Result {
    writeln!(
        out,
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="{colour}" {more}>{text}</text>"#
    )
}

fn x_of(codes: f64) -> f64 {
    LEFT + (RIGHT - LEFT) * codes / MOST_CODES
}

/// What is below the axis is drawn on it.
fn y_of(percent: f64) -> f64 {
    let (lowest, highest) = (f64::from(LOWEST_POWER), f64::from(HIGHEST_POWER));
    let power = percent.max(1e-9).log10().clamp(lowest, highest);
    BOTTOM - (BOTTOM - TOP) * (power - lowest) / (highest - lowest)
}
