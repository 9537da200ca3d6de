//! What the study found, as tables and as JSON.

use std::fmt::{self, Write};

use serde::Serialize;

use super::study::{Clock, Crowd, Figures, Preset, Row, Study, sum_of_prices};

/// What a program reads.
#[derive(Serialize)]
struct Output<'r> {
    seed: u64,
    rows: Vec<OutputRow<'r>>,
}

#[derive(Serialize)]
struct OutputRow<'r> {
    validator: &'r str,
    clock: &'static str,
    false_reject_percent: f64,
    mean_codes: f64,
    year_break_in_percent: f64,
}

/// One line.
pub(crate) fn json(seed: u64, rows: &[Row]) -> Result<String, serde_json::Error> {
    fn row(row: &Row) -> OutputRow<'_> {
        OutputRow {
            validator: &row.validator,
            clock: row.clock.name(),
            false_reject_percent: rounded(row.false_reject_percent()),
            mean_codes: rounded(row.mean_codes()),
            year_break_in_percent: rounded(row.year_break_in_percent()),
        }
    }
    serde_json::to_string(&Output { seed, rows: rows.iter().map(row).collect() })
}

/// To four places: more are chance.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// Tables, as Markdown has them.
pub(crate) fn text(study: &Study, figures: &Figures, presets: &[Preset]) -> String {
    let mut out = String::new();
    // Writing to a string can't fail.
    let _ = tables(&mut out, study, figures).and_then(|()| policies(&mut out, presets));
    out
}

fn policies(out: &mut String, presets: &[Preset]) -> fmt::Result {
    writeln!(out, "\n| policy | tokens | right codes refused | logins without success | codes accepted |")?;
    writeln!(out, "| --- | --- | --- | --- | --- |")?;
    for Preset { policy, population, crowd } in presets {
        let (refused, without) = (refused(crowd), crowd.locked_out_percent());
        writeln!(
            out,
            "| {policy} | {population} | {refused} | {without:.3} % | {:.2} |",
            crowd.codes.mean()
        )?;
    }
    Ok(())
}

/// In percent, with 1.96 standard errors.
fn refused(crowd: &Crowd) -> String {
    let Crowd { false_rejects, .. } = crowd;
    format!("{:.3} % ± {:.3}", 100.0 * false_rejects.mean(), 196.0 * false_rejects.error())
}

fn tables(out: &mut String, study: &Study, figures: &Figures) -> fmt::Result {
    writeln!(out, "{} users, 20 logins each, seed {}\n", study.users, study.seed)?;
    writeln!(
        out,
        "| validator | its clock | right codes refused | logins without success | codes accepted | broken into within a year |"
    )?;
    writeln!(out, "| --- | --- | --- | --- | --- | --- |")?;
    // To the peers a monitor makes no difference.
    let differs = |row: &&Row| row.validator == "skewgate" || row.clock != Clock::WrongMonitored;
    for row in figures.rows.iter().filter(differs) {
        writeln!(
            out,
            "| {} | {} | {} | {:.3} % | {:.2} | {:.2} % |",
            row.validator,
            row.clock.name(),
            refused(&row.crowd),
            row.crowd.locked_out_percent(),
            row.mean_codes(),
            row.year_break_in_percent(),
        )?;
    }
    writeln!(out, "\n± is 1.96 standard errors, over users.\n")?;
    writeln!(out, "| attacker | clock | years | guesses a year | broken into | at most (95 %) |")?;
    writeln!(out, "| --- | --- | --- | --- | --- | --- |")?;
    for siege in &figures.sieges {
        let how = siege.broken.map_or_else(
            || format!("{:.3} %, weighed", 100.0 * siege.chance),
            |broken| format!("{broken} years, {:.3} %, drawn", 100.0 * siege.chance),
        );
        writeln!(
            out,
            "| {} | {} | {} | {:.0} | {how} | {:.3} % |",
            siege.attacker.name(),
            siege.clock.name(),
            siege.years,
            siege.guesses,
            100.0 * siege.upper,
        )?;
    }
    writeln!(out, "\nAll prices that can be paid within a year come to {:.4} %.", 100.0 * sum_of_prices())
}
