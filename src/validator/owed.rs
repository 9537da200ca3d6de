//! What attempts owe that were given up while it was being written.
//!
//! Whoever drops such an attempt, as a service does whose client has gone away, gives its turn back; but its price may be written a moment later.
//! What is loaded meanwhile doesn't know of it. Attempts that are given up one after the other would all be admitted on the same budget, and once all were paid
//! for, their token's owner would be kept out for days. So they count here until their prices must have been written, or never will be:
//! for that time perhaps twice.

use std::collections::{HashMap, VecDeque};
use std::sync::PoisonError;

use crate::store::Failure;
use crate::sync::{AtomicBool, Mutex, Ordering};
use crate::time::os::OsClock;
use crate::time::{LocalClock, RawInstant, SignedDuration, Timestamp};
use crate::token::{Budget, Charge, TokenId};

/// As long as a write may be under way after nobody waits for it any more: twice the longest deadline that stores have on their own.
const HELD: SignedDuration = SignedDuration::from_secs(10);

/// More than a store has under way. The oldest make room for the newest.
const MOST: usize = 65_536;

/// So many of one budget are kept apart. Pairs cost next to nothing, so no budget ends a flood of them.
const MOST_OF_ONE: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Owed {
    /// Set while there is any: as a rule there is none, and nobody waits for the lock.
    any: AtomicBool,
    debts: Mutex<Debts>,
}

#[derive(Debug, Default)]
struct Debts {
    /// By the hash of the budget's name, oldest first.
    of: HashMap<u64, VecDeque<(Charge, Timestamp)>>,
    /// Since when, and whose; oldest first.
    since: VecDeque<(RawInstant, u64)>,
}

impl Owed {
    /// To be kept while `failure` is written, and [answered](Owing::answered) once it is known that it was, or never will be.
    pub(super) fn while_written(&self, budget: &TokenId, failure: &Failure) -> Owing<'_> {
        let debt = (failure.charge, failure.from);
        Owing { owed: self, budget: budget.name_hash(), debt: Some(debt) }
    }

    /// The budget after all that is owed by it has been paid. Failures in a row are counted by the row alone: an account that isn't locked must
    /// not be called so.
    pub(super) fn charge(&self, name: &TokenId, budget: Budget) -> Budget {
        if !self.any.load(Ordering::SeqCst) {
            return budget;
        }
        self.with_debts(|debts| {
            debts.forget_older(OsClock.raw(), HELD);
            let owed = debts.of.get(&name.name_hash()).into_iter().flatten();
            owed.fold(budget, |budget, (charge, from)| budget.charge(*charge, *from))
        })
    }

    /// The budget is full again, whatever was owed.
    pub(super) fn forget(&self, name: &TokenId) {
        self.with_debts(|debts| {
            let budget = name.name_hash();
            debts.of.remove(&budget);
            debts.since.retain(|(_, whose)| *whose != budget);
        });
    }

    fn with_debts<T>(&self, act: impl FnOnce(&mut Debts) -> T) -> T {
        let mut debts = self.debts.lock().unwrap_or_else(PoisonError::into_inner);
        let done = act(&mut debts);
        self.any.store(!debts.since.is_empty(), Ordering::SeqCst);
        done
    }
}

impl Debts {
    fn forget_older(&mut self, now: RawInstant, age: SignedDuration) {
        while self.since.front().is_some_and(|(since, _)| now - *since > age) {
            self.forget_oldest();
        }
    }

    fn add(&mut self, budget: u64, debt: (Charge, Timestamp), now: RawInstant) {
        let own = self.of.entry(budget).or_default();
        let (charge, from) = debt;
        let are_many = own.len() >= MOST_OF_ONE;
        let alike = own.iter_mut().rev().find(|(other, _)| other.bucket == charge.bucket);
        if let (true, Some((sum, latest))) = (are_many, alike) {
            sum.cost = sum.cost.saturating_add(charge.cost);
            *latest = (*latest).max(from);
            return;
        }
        own.push_back(debt);
        self.since.push_back((now, budget));
        if self.since.len() > MOST {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((_, budget)) = self.since.pop_front() else { return };
        if let Some(own) = self.of.get_mut(&budget) {
            own.pop_front();
            if own.is_empty() {
                self.of.remove(&budget);
            }
        }
    }
}

/// A price that is being written. Where this is dropped before that was answered, it is owed.
#[derive(Debug)]
pub(super) struct Owing<'a> {
    owed: &'a Owed,
    budget: u64,
    debt: Option<(Charge, Timestamp)>,
}

impl Owing<'_> {
    pub(super) fn answered(mut self) {
        self.debt = None;
    }
}

impl Drop for Owing<'_> {
    fn drop(&mut self) {
        let Some(debt) = self.debt else { return };
        let now = OsClock.raw();
        self.owed.with_debts(|debts| {
            debts.forget_older(now, HELD);
            debts.add(self.budget, debt, now);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{Bucket, Odds};

    const NOW: Timestamp = Timestamp::from_unix_nanos(1_780_000_000_000_000_000);

    fn failure() -> Failure {
        let charge = Charge { bucket: Bucket::Blind, cost: Odds::from_e12(1) };
        Failure { charge, from: NOW, burn: None, epoch: 1 }
    }

    fn paid(times: usize) -> Budget {
        let pay = |budget: Budget, _| budget.charge(failure().charge, NOW);
        (0..times).fold(Budget::full(NOW), pay)
    }

    fn ids() -> [TokenId; 2] {
        ["a", "b"].map(|name| TokenId::new(name).unwrap())
    }

    #[test]
    fn what_was_given_up_is_owed_and_what_was_answered_is_not() {
        let (owed, [a, b]) = (Owed::default(), ids());
        owed.while_written(&a, &failure()).answered();
        assert_eq!(owed.charge(&a, Budget::full(NOW)), paid(0));
        for times in 1..=3 {
            drop(owed.while_written(&a, &failure()));
            assert_eq!(owed.charge(&a, Budget::full(NOW)), paid(times));
            assert_eq!(owed.charge(&b, Budget::full(NOW)), paid(0));
        }
        drop(owed.while_written(&b, &failure()));
        owed.forget(&a);
        assert_eq!(owed.charge(&a, Budget::full(NOW)), paid(0));
        assert_eq!(owed.charge(&b, Budget::full(NOW)), paid(1));
    }

    #[test]
    fn nothing_is_owed_for_long_and_nothing_is_left_behind() {
        let (owed, [a, b]) = (Owed::default(), ids());
        for _ in 0..2 {
            drop(owed.while_written(&a, &failure()));
        }
        let between = OsClock.raw();
        drop(owed.while_written(&b, &failure()));
        owed.with_debts(|debts| debts.forget_older(between, SignedDuration::ZERO));
        assert_eq!(owed.charge(&a, Budget::full(NOW)), paid(0));
        assert_eq!(owed.charge(&b, Budget::full(NOW)), paid(1));
        owed.with_debts(|debts| {
            debts.forget_older(OsClock.raw(), SignedDuration::ZERO);
            assert!(debts.of.is_empty() && debts.since.is_empty());
        });
        assert!(!owed.any.load(Ordering::SeqCst));
    }

    #[test]
    fn a_flood_has_an_end() {
        let (owed, [a, b]) = (Owed::default(), ids());
        for _ in 0..1_000 {
            drop(owed.while_written(&a, &failure()));
        }
        // All that is owed counts, but for what is rounded up a thousand times.
        let full_at = |budget: Budget| budget.full_at(Bucket::Blind);
        let less = full_at(paid(1_000)) - full_at(owed.charge(&a, Budget::full(NOW)));
        assert!((0..1_000).contains(&less.as_nanos()), "{less:?}");
        owed.with_debts(|debts| assert_eq!(debts.since.len(), MOST_OF_ONE));
        owed.with_debts(|debts| {
            for number in 0..MOST as u64 {
                debts.add(number, (failure().charge, NOW), OsClock.raw());
            }
            assert_eq!((debts.since.len(), debts.of.len()), (MOST, MOST));
        });
        assert_eq!(owed.charge(&a, Budget::full(NOW)), paid(0));
        assert_eq!(owed.charge(&b, Budget::full(NOW)), paid(0));
    }
}
