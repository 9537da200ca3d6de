//! Right codes that are refused, codes that are accepted, years of attack: skewgate beside fixed windows.
//!
//! `cargo run --release --example population -- [--seed N] [--json] [--svg FILE] [--users N] [--years N]`

mod chart;
mod report;
mod study;

use std::process::ExitCode;

use study::{Figures, Study};

const USAGE: &str = "population [--seed N] [--json] [--svg FILE] [--users N] [--years N]

  --seed N    default 1
  --json      one object of JSON instead of tables
  --svg FILE  also draw the first table
  --users N   how many log in, for each validator and clock; default 100000
  --years N   of attack that are drawn, for each attacker; default 2000. A twentieth of them, and 20 at least, are
              weighed, which is all that JSON shows";

struct Arguments {
    study: Study,
    help: bool,
    json: bool,
    svg: Option<String>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let study = Study { seed: 1, users: 100_000, years: 100, drawn_years: 2_000 };
        let mut arguments = Self { study, help: false, json: false, svg: None };
        while let Some(option) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{option} needs a value"));
            let number = |word: String| {
                word.parse::<u64>().map_err(|_| format!("{option} needs a number, this is none: {word}"))
            };
            match option.as_str() {
                "--seed" => arguments.study.seed = number(value()?)?,
                "--users" => arguments.study.users = number(value()?)?,
                "--years" => {
                    let years = number(value()?)?;
                    (arguments.study.drawn_years, arguments.study.years) =
                        (years, years.div_ceil(20).max(20));
                }
                "--help" => arguments.help = true,
                "--json" => arguments.json = true,
                "--svg" => arguments.svg = Some(value()?),
                _ => return Err(format!("there is no option {option}")),
            }
        }
        if arguments.json {
            arguments.study.drawn_years = 0;
        }
        Ok(arguments)
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("population: {why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if arguments.help {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("population: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let figures: Figures = arguments.study.run()?;
    if let Some(file) = &arguments.svg {
        std::fs::write(file, chart::draw(&figures.rows)).map_err(|error| format!("{file}: {error}"))?;
    }
    if arguments.json {
        println!("{}", report::json(arguments.study.seed, &figures.rows)?);
    } else {
        print!("{}", report::text(&arguments.study, &figures, &arguments.study.presets()?));
    }
    Ok(())
}
