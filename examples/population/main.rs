//! Right codes that are refused, codes that are accepted, years of attack: skewgate beside fixed windows.
//!
//! `cargo run --release --example population -- [--seed N] [--json] [--svg FILE] [--users N] [--years N]`

mod chart;
mod report;
mod study;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, value_parser};
use indicatif::ProgressBar;
use study::Study;

/// Right codes that are refused, codes that are accepted, years of attack: skewgate beside fixed windows.
#[derive(Parser)]
struct Arguments {
    /// The same seed gives the same figures.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// One object of JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Also draw the first table.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// How many log in, for each validator and clock.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = value_parser!(u64).range(1..))]
    users: u64,
    /// Years of attack that are drawn, for each attacker. A twentieth of them, and 20 at least, are weighed, which is all that JSON
    /// shows.
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    years: u64,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("population: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let study = Study {
        seed: arguments.seed,
        users: arguments.users,
        years: arguments.years.div_ceil(20).max(20),
        drawn_years: if arguments.json { 0 } else { arguments.years },
    };
    // For people: where nobody looks at a terminal, nothing is shown.
    let progress = ProgressBar::new_spinner();
    progress.enable_steady_tick(Duration::from_millis(100));
    let begins = |what: String| progress.set_message(what);

    let figures = study.run(&begins)?;
    if let Some(file) = &arguments.svg {
        let drawn = chart::draw(&figures.rows);
        std::fs::write(file, drawn).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let report = if arguments.json {
        report::json(study.seed, &figures.rows)? + "\n"
    } else {
        report::text(&study, &figures, &study.presets(&begins)?)
    };
    progress.finish_and_clear();
    print!("{report}");
    Ok(())
}
