//! `skew-check`: whose clock is wrong, by how much, and how surely.
//!
//! Results go to standard output, diagnostics to standard error. Exit status: 0 ok, 1 warning, 2 critical,
//! 3 unknown, which includes wrong usage. `explain`: 0 where a code would be accepted, 1 where not, 3 unknown.

mod cli;
mod demo;
mod error;
mod explain;
mod fleet;
mod inventory;
mod manual;
mod output;
mod page;
mod probe;
mod respond;
#[cfg(feature = "watch")]
mod watch;

use std::process::ExitCode;

use cli::Command;
use output::Status;

fn main() -> ExitCode {
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed terminal is nobody to complain to.
            let _ = error.print();
            // `--help` and `--version` are no errors; for all else clap would exit with 2, which means critical.
            return if error.use_stderr() { Status::Unknown.into() } else { ExitCode::SUCCESS };
        }
    };
    cli.color.write_global();
    let done = match &cli.command {
        Command::Probe(options) => probe::run(options),
        #[cfg(feature = "watch")]
        Command::Watch(options) => watch::run(options),
        Command::Explain(options) => explain::run(options),
        Command::Fleet(options) => fleet::run(options),
        Command::Respond(options) => respond::run(options),
        Command::Demo => demo::run(),
        Command::Completions(options) => manual::complete(options),
        Command::Man(options) => manual::run(options),
    };
    match done {
        Ok(status) => status.into(),
        Err(error) => error.report(),
    }
}
