//! Simulated measurements without end: `cargo run --release --example soak -- --runs 5000000 --seed 1`.
//!
//! Each run is one of tests/simulation.rs, at another seed: a host with wrong clocks, a bad network, servers, liars.
//! What did not hold is told with its seed, and the exit status is 1 then.

#[path = "../tests/world/mod.rs"]
mod world;

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use clap::Parser;
use indicatif::ProgressBar;
use world::{Tally, run};

/// Each thread takes so many seeds at a time.
const SHARE: u64 = 1_000;

/// Where this many runs have failed, more of them tell nothing new.
const ENOUGH_FAILURES: usize = 20;

/// Simulated measurements without end. What did not hold is told with its seed, and the exit status is 1 then.
#[derive(Parser)]
struct Arguments {
    /// How many.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    runs: u64,
    /// The seed of the first; those after it have the next ones. The default is behind those of tests/simulation.rs.
    #[arg(long, value_name = "S", default_value_t = 1_000_000)]
    seed: u64,
    /// How many at a time; otherwise as many as there are processors.
    #[arg(long, value_name = "T")]
    threads: Option<NonZeroUsize>,
}

#[derive(Default)]
struct Found {
    tally: Tally,
    done: u64,
    failures: Vec<(u64, String)>,
}

fn main() -> ExitCode {
    let Arguments { runs, seed, threads } = Arguments::parse();
    let threads = threads.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from);
    let (next, found) = (AtomicU64::new(0), Mutex::new(Found::default()));
    // Where nobody looks at a terminal, nothing is shown.
    let progress = ProgressBar::new(runs);
    thread::scope(|scope| {
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
                    progress.set_position(found.done);
                    if found.failures.len() >= ENOUGH_FAILURES {
                        return;
                    }
                }
            });
        }
    });
    let found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    progress.finish_and_clear();
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
