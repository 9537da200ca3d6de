//! What a validator has seen since it was made: for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::event::Outcome;
use crate::token::Odds;

/// How often each outcome occurred, and what was paid altogether, in this process since the validator was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Every [`Outcome`] and how often it occurred.
    pub outcomes: Vec<(Outcome, u64)>,
    /// The sum of all prices, in 10⁻¹⁵: so many break-ins are to be expected of all that was tried, at most. Where it grows much
    /// faster than it used to, somebody is guessing.
    pub price_e15: u64,
}

/// The counters behind [`Totals`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    price_e15: AtomicU64,
}

impl Counters {
    /// The sum of all prices, this one included.
    pub(super) fn count(&self, outcome: Outcome, price: Odds) -> u64 {
        // In the order of their declaration, as `ALL` is: a test of the events says so.
        if let Some(counter) = self.outcomes.get(outcome as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        // Rounded up: no price counts as nothing.
        let price = price.as_e18().div_ceil(1_000);
        if price == 0 {
            return self.price_e15.load(Ordering::Relaxed);
        }
        self.price_e15.fetch_add(price, Ordering::Relaxed).saturating_add(price)
    }

    pub(super) fn totals(&self) -> Totals {
        let outcomes = Outcome::ALL.iter().zip(&self.outcomes);
        Totals {
            outcomes: outcomes.map(|(outcome, count)| (*outcome, count.load(Ordering::Relaxed))).collect(),
            price_e15: self.price_e15.load(Ordering::Relaxed),
        }
    }
}
