//! Kills a service again and again: `cargo run --release --features embedded --example store_soak -- --seed 1 --kills 2000`.
//!
//! The store is on the disk that `TMPDIR` names. What must be true after each kill is in `tests/kills`. Prints what was seen
//! in one line; the exit status is 1 where something was lost, or where no kill hit a write or no two attempts met: then
//! nothing was shown.

#[path = "../tests/kills/mod.rs"]
mod kills;

use std::process::{Command, ExitCode};

use clap::Parser;
use indicatif::ProgressBar;
use kills::{Service, is_child, live};

/// Kills a service again and again, and looks whether anything was lost. The exit status is 1 then, and where nothing was shown.
#[derive(Parser)]
struct Arguments {
    /// Decides what the service does, and when it is killed.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// How often.
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    kills: u64,
}

fn main() -> ExitCode {
    if is_child() {
        live();
        return ExitCode::SUCCESS;
    }
    let Arguments { seed, kills } = Arguments::parse();
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => {
            eprintln!("store_soak: this program has no path: {error}");
            return ExitCode::from(2);
        }
    };
    let mut service = Service::new(seed);
    // Where nobody looks at a terminal, nothing is shown.
    let progress = ProgressBar::new(kills);
    let mut failed = false;
    for kill in 0..kills {
        if let Err(error) = service.live_and_die(Command::new(&program)) {
            progress.suspend(|| eprintln!("store_soak: seed {seed}, kill {kill}: {error}"));
            failed = true;
            break;
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    let seen = service.seen;
    println!("{seen}");
    if failed || seen.lost > 0 {
        return ExitCode::FAILURE;
    }
    if seen.killed_in_write == 0 || seen.races == 0 {
        eprintln!("store_soak: nothing was shown: no kill hit a write, or no two attempts met");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
