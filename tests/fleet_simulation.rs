//! Thousands of simulated sweeps through the whole engine: clocks that run wrong, are slewed, stepped and suspended, paths that are
//! asymmetric and lossy, and hosts whose clocks are off by microseconds or by decades. Each host's true skew is inside its bound,
//! none is called skewed that isn't, or in sync that is off, and the worst pair is as far apart as it is.
//!
//! `SKEWGATE_TEST_SEED=… cargo test --test fleet_simulation true` runs one of them alone.

#[allow(dead_code, unused_imports, reason = "each test file uses a part of it")]
mod world;

use world::{Found, sweep_once};

const RUNS: u64 = 2_000;

#[test]
fn the_true_skew_is_inside_and_no_state_is_wrong() {
    let seed = std::env::var("SKEWGATE_TEST_SEED").ok();
    let seed = seed.map(|seed| seed.parse::<u64>().expect("SKEWGATE_TEST_SEED is a number"));
    let seeds = seed.map_or(0..RUNS, |seed| seed..seed + 1);
    let mut found = Found::default();
    for seed in seeds.clone() {
        if let Err(why) = sweep_once(seed, &mut found) {
            panic!("SKEWGATE_TEST_SEED={seed}: {why}");
        }
    }
    println!("{found:#?}");
    if seeds.count() > 1 {
        assert!(found.compared >= 10_000 && found.pairs >= 1_000, "{found:?}");
        let each = [found.in_sync, found.skewed, found.inconclusive, found.unsynchronised, found.silent];
        assert!(each.into_iter().all(|count| count >= 100), "{found:?}");
    }
}
