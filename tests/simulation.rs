//! 160,000 simulated measurements through the whole engine: clocks that run wrong, are slewed, stepped and
//! suspended, paths that are asymmetric and lossy, servers that are as wrong as they admit, and liars that know everything
//! and collude. With at most as many liars as the estimate says it tolerates, true time is inside its interval, now and
//! later, or there is none.
//!
//! `SKEWGATE_TEST_SEED=… cargo test --test simulation truth -- --nocapture` runs one of them alone,
//! `cargo run --release --example soak` more of them.

mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use world::{Tally, run};

/// Enough for a hundred thousand of them to be published with no more liars than are tolerated.
const RUNS: u64 = 160_000;

/// Each thread takes so many seeds at a time.
const SHARE: u64 = 500;

fn tally_of(share: u64) -> Result<Tally, String> {
    let mut tally = Tally::default();
    for seed in share * SHARE..(share + 1) * SHARE {
        let outcome = run(seed).map_err(|why| format!("SKEWGATE_TEST_SEED={seed}: {why}"))?;
        tally.count(&outcome);
    }
    Ok(tally)
}

#[test]
fn truth_is_inside_with_as_many_liars_as_are_tolerated() {
    if let Ok(seed) = std::env::var("SKEWGATE_TEST_SEED") {
        let seed = seed.parse().expect("SKEWGATE_TEST_SEED is a number");
        println!("{:#?}", run(seed).unwrap_or_else(|why| panic!("{why}")));
        return;
    }
    let shares = AtomicU64::new(0);
    let work = || {
        let mut tally = Tally::default();
        loop {
            let share = shares.fetch_add(1, Ordering::Relaxed);
            if share * SHARE >= RUNS {
                return Ok(tally);
            }
            // One failure is enough: nothing is left for the other threads then.
            tally.add(&tally_of(share).inspect_err(|_| shares.store(RUNS, Ordering::Relaxed))?);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let parts: Vec<Result<Tally, String>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a run fails, it doesn't panic")).collect()
    });
    let mut tally = Tally::default();
    for part in parts {
        tally.add(&part.unwrap_or_else(|why| panic!("{why}")));
    }
    println!("{tally}");
    assert!(tally.published >= 100_000, "the simulation must show something: {tally}");
    assert!(tally.inside >= 250_000, "most estimates must be looked at later: {tally}");
    assert!(tally.lied_to >= 30_000, "the liars must get through: {tally}");
    assert!(tally.kernel_stamped >= 100_000, "stamps of the kernel must count: {tally}");
    assert!(
        tally.beyond.silently_wrong > 0,
        "liars must be able to do harm where no promise is made: {tally}"
    );
    let party = tally.apart_from_a_party;
    assert!(party.contested >= 500 && party.refused >= 500, "{tally}");
    assert_eq!((party.right, party.silently_wrong), (0, 0), "{tally}");
}

#[test]
fn a_seed_decides_everything() {
    for seed in 0..300 {
        assert_eq!(run(seed), run(seed), "SKEWGATE_TEST_SEED={seed}");
    }
}
