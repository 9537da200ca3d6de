//! Kills a service again and again: `cargo run --release --features embedded --example store_soak -- --seed 1 --kills 2000`.
//!
//! The store is on the disk that `TMPDIR` names. What must be true after each kill is in `tests/kills`. Prints what was seen
//! in one line; the exit status is 1 where something was lost, or where no kill hit a write or no two attempts met: then
//! nothing was shown.

#[path = "../tests/kills/mod.rs"]
mod kills;

use std::process::{Command, ExitCode};

use kills::{Service, is_child, live};

const USAGE: &str = "store_soak [--seed S] [--kills N]

  --seed S    default 1
  --kills N   default 2000";

fn arguments(mut words: impl Iterator<Item = String>) -> Result<(u64, u64), String> {
    let (mut seed, mut kills) = (1, 2_000);
    while let Some(option) = words.next() {
        let wanted = match option.as_str() {
            "--seed" => &mut seed,
            "--kills" => &mut kills,
            _ => return Err(format!("there is no option {option}")),
        };
        let word = words.next().ok_or_else(|| format!("{option} needs a number"))?;
        *wanted = word.parse().map_err(|_| format!("{option} needs a number, this is none: {word}"))?;
    }
    Ok((seed, kills))
}

fn main() -> ExitCode {
    if is_child() {
        live();
        return ExitCode::SUCCESS;
    }
    let (seed, kills) = match arguments(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("store_soak: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => {
            eprintln!("store_soak: this program has no path: {error}");
            return ExitCode::from(2);
        }
    };
    let mut service = Service::new(seed);
    let mut failed = false;
    for kill in 0..kills {
        if let Err(error) = service.live_and_die(Command::new(&program)) {
            eprintln!("store_soak: seed {seed}, kill {kill}: {error}");
            failed = true;
            break;
        }
        if kill % 100 == 99 {
            eprintln!("{}", service.seen);
        }
    }
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
