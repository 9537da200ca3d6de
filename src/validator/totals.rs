//! What a validator has seen since it was made: for metrics.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

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

/// How many copies there are of what is counted at every attempt.
const STRIPES: usize = 16;

/// The counters behind [`Totals`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    outcomes: [Stripe; STRIPES],
    /// Apart from the others: only failures write here.
    price_e15: Aligned,
}

/// On cache lines of its own: processors that work at the same time don't wait for each other's memory.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe([AtomicU64; Outcome::ALL.len()]);

#[derive(Debug, Default)]
#[repr(align(128))]
struct Aligned(AtomicU64);

impl Counters {
    /// The sum of all prices, this one included.
    pub(super) fn count(&self, outcome: Outcome, price: Odds) -> u64 {
        // In the order of their declaration, as `ALL` is: a test of the events says so.
        let stripe = self.outcomes.get(own_stripe()).and_then(|stripe| stripe.0.get(outcome as usize));
        if let Some(counter) = stripe {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        // Rounded up: no price counts as nothing.
        let price = price.as_e18().div_ceil(1_000);
        let Aligned(sum) = &self.price_e15;
        if price == 0 {
            return sum.load(Ordering::Relaxed);
        }
        sum.fetch_add(price, Ordering::Relaxed).saturating_add(price)
    }

    pub(super) fn totals(&self) -> Totals {
        let outcomes = Outcome::ALL.iter().enumerate().map(|(at, outcome)| {
            let counts = self.outcomes.iter().filter_map(|stripe| stripe.0.get(at));
            (*outcome, counts.map(|count| count.load(Ordering::Relaxed)).sum())
        });
        Totals { outcomes: outcomes.collect(), price_e15: self.price_e15.0.load(Ordering::Relaxed) }
    }
}

/// Each thread has one, drawn in turn.
fn own_stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
    OWN.try_with(|own| *own).unwrap_or(0)
}
