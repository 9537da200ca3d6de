//! Simulated measurements without end: `cargo run --release --example soak -- --runs 5000000 --seed 1`.
//!
//! Each run is one of tests/simulation.rs, at another seed: a host with wrong clocks, a bad network, servers, liars.
//! What did not hold is told with its seed, and the exit status is 1 then.

#[path = "../tests/world/mod.rs"]
mod world;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use world::{Tally, run};

/// Each thread takes so many seeds at a time.
const SHARE: u64 = 1_000;

/// Where this many runs have failed, more of them tell nothing new.
const ENOUGH_FAILURES: usize = 20;

const USAGE: &str = "soak [--runs N] [--seed S] [--threads T]

  --runs N      how many runs, default 1000000
  --seed S      the seed of the first run, the next have those after it; default 1000000, behind those of tests/simulation.rs
  --threads T   default: as many as there are processors";

struct Arguments {
    runs: u64,
    seed: u64,
    threads: usize,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut arguments = Self { runs: 1_000_000, seed: 1_000_000, threads };
        while let Some(option) = words.next() {
            let mut number = || {
                let word = words.next().ok_or_else(|| format!("{option} needs a number"))?;
                word.parse::<u64>().map_err(|_| format!("{option} needs a number, this is none: {word}"))
            };
            match option.as_str() {
                "--runs" => arguments.runs = number()?,
                "--seed" => arguments.seed = number()?,
                "--threads" => {
                    arguments.threads =
                        usize::try_from(number()?.max(1)).map_err(|error| error.to_string())?;
                }
                _ => return Err(format!("there is no option {option}")),
            }
        }
        Ok(arguments)
    }
}

#[derive(Default)]
struct Found {
    tally: Tally,
    done: u64,
    failures: Vec<(u64, String)>,
}

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("soak: {why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let Arguments { runs, seed, threads } = arguments;
    let (next, found) = (AtomicU64::new(0), Mutex::new(Found::default()));
    let progress = std::io::stderr().is_terminal();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(SHARE, Ordering::Relaxed);
                    if first >= runs {
                        return;
                    }
                    let share = soak(seed.wrapping_add(first), SHARE.min(runs - first));
                    let mut found = found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    found.tally.add(&share.tally);
                    found.done += share.done;
                    found.failures.extend(share.failures);
                    if progress {
                        eprint!("\r{} of {runs} runs, {} failed", found.done, found.failures.len());
                        let _ = std::io::stderr().flush();
                    }
                    if found.failures.len() >= ENOUGH_FAILURES {
                        return;
                    }
                }
            });
        }
    });
    let found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if progress {
        eprintln!();
    }
    println!("{} runs from seed {seed} on\n{}", found.done, found.tally);
    for (seed, why) in &found.failures {
        println!("SKEWGATE_TEST_SEED={seed}: {why}");
    }
    if found.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn soak(first: u64, runs: u64) -> Found {
    let mut found = Found { done: runs, ..Found::default() };
    for seed in (0..runs).map(|run| first.wrapping_add(run)) {
        match run(seed) {
            Ok(outcome) => found.tally.count(&outcome),
            Err(why) => found.failures.push((seed, why)),
        }
    }
    found
}
