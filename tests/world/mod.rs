//! A host, a network and time servers that are simulated: the whole engine runs in them, from sockets and clocks to
//! the estimate. Everything follows from a seed; the nonces, which are the operating system's, decide nothing.
//!
//! ```text
//! host.rs      the host's clocks and sockets, and the network behind them
//! weather.rs   load, loss, and what goes wrong with the clocks at the worst moment
//! server.rs    servers that are as wrong as they admit, and those that are silent, unsynchronised or send kisses
//! liar.rs      liars who know the truth, this host's clock and every honest reply, and collude
//! run.rs       one measurement and what is checked of it
//! fleet.rs     one sweep of a fleet and what is checked of it
//! tally.rs     what runs came to
//! ```
//!
//! What is simulated is what DESIGN.md assumes, and no more:
//!
//! - the raw clock's rate is wrong by φ at the most;
//! - the system clock is slewed by 83,333 ppm at the most, on top of a frequency of 500 ppm;
//! - it is not stepped there and back again between two readings of it;
//! - a suspend takes longer than a millisecond.

#[allow(dead_code, reason = "each test file uses a part of it")]
mod fleet;
mod host;
mod liar;
mod run;
mod server;
mod tally;
mod weather;

#[allow(unused_imports, reason = "each test file uses a part of it")]
pub(crate) use fleet::{Found, sweep_once};
#[allow(unused_imports, reason = "each test file uses a part of it")]
pub(crate) use run::run;
pub(crate) use tally::Tally;

use fastrand::Rng;

/// What is chosen by chance, in a way that a seed repeats.
pub(crate) struct Dice(Rng);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    fn roll(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// From `low` to `high`, ends included.
    fn between(&mut self, low: i64, high: i64) -> i64 {
        self.0.i64(low..=high)
    }

    fn count(&mut self, low: usize, high: usize) -> usize {
        self.0.usize(low..=high)
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.count(0, choices.len() - 1)]
    }

    /// True once in so many times; for 0: never.
    fn once_in(&mut self, times: u64) -> bool {
        times != 0 && self.roll().is_multiple_of(times)
    }

    /// Mostly a fraction of `scale`, seldom a thousand times as much.
    fn heavy_tailed(&mut self, scale: i64) -> i64 {
        let doublings = self.roll().trailing_zeros().min(13);
        self.between(0, scale << doublings >> 3)
    }

    /// Of any order of magnitude from `low` to `high`.
    fn magnitude(&mut self, low: i64, high: i64) -> i64 {
        let octaves = (high / low).ilog2();
        let from = low << self.count(0, octaves as usize);
        self.between(from, from.saturating_mul(2)).min(high)
    }
}
