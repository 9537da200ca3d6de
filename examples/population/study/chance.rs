//! Chance from a seed, and what is certain about it.

use std::f64::consts::TAU;

/// xoshiro256++ (Blackman and Vigna), seeded by splitmix64. Nothing here is secret.
pub(crate) struct Dice([u64; 4]);

impl Dice {
    /// Independent streams for each `subject` of a seed, so that neither threads nor their number change a figure.
    pub(crate) fn new(seed: u64, subject: u64) -> Self {
        let mut state = seed ^ subject.wrapping_mul(0xd605_bbb5_8c8a_bbfd);
        Self(std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }))
    }

    pub(crate) fn roll(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.0;
        let result = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// Between 0 and 1, both left out, in steps of 2⁻⁵³.
    fn unit(&mut self) -> f64 {
        (float(self.roll() >> 11) + 0.5) / float(1 << 53)
    }

    pub(crate) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Box and Muller's: mean 0, standard deviation 1.
    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (TAU * self.unit()).cos()
    }

    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.unit().ln()
    }
}

/// As an approximation: exact up to 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "counts of what was simulated are far below 2⁵³")]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

/// The whole number below or at `value`.
#[expect(clippy::cast_possible_truncation, reason = "nanoseconds of a few years at the most: it fits")]
pub(crate) fn whole(value: f64) -> i64 {
    value.floor() as i64
}

/// The largest chance for which `hits` of `trials` or fewer still come in 5 % of cases: the upper end of Clopper and
/// Pearson's one-sided 95 % interval.
pub(crate) fn upper_bound(hits: u64, trials: u64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if at_most(hits, trials, middle) > 0.05 {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The chance of `hits` or fewer in so many trials.
fn at_most(hits: u64, trials: u64, chance: f64) -> f64 {
    // In logarithms: the first terms of a large number of trials are too small for a float.
    let mut log_term = float(trials) * (-chance).ln_1p();
    let mut sum = log_term.exp();
    for hit in 1..=hits.min(trials) {
        log_term += (float(trials - hit + 1) / float(hit)).ln() + chance.ln() - (-chance).ln_1p();
        sum += log_term.exp();
    }
    sum
}

/// A sum of independent draws, and how sure their mean is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    draws: u64,
    sum: f64,
    squares: f64,
}

impl Tally {
    pub(crate) fn add(&mut self, draw: f64) {
        self.draws += 1;
        self.sum += draw;
        self.squares += draw * draw;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.draws += other.draws;
        self.sum += other.sum;
        self.squares += other.squares;
    }

    pub(crate) fn mean(&self) -> f64 {
        self.sum / float(self.draws.max(1))
    }

    /// The mean's standard error.
    pub(crate) fn error(&self) -> f64 {
        let draws = float(self.draws.max(2));
        let variance = (self.squares - self.sum * self.sum / draws).max(0.0) / (draws - 1.0);
        (variance / draws).sqrt()
    }

    /// One-sided, 95 %.
    pub(crate) fn upper_bound(&self) -> f64 {
        self.mean() + 1.645 * self.error()
    }
}
