//! When something is due although nothing arrives: the ends of waits for replies, and of pauses between requests.

use std::collections::VecDeque;

use crate::time::{RawInstant, SignedDuration};

/// Deadlines and pauses of any number of exchanges. All waits for replies are equally long, and so are all pauses: what
/// began first ends first, so two queues are always in order, and every operation takes constant time.
pub(super) struct Timers {
    timeout: SignedDuration,
    interval: SignedDuration,
    /// When the wait for a nonce ends. Those that were answered stay until they are met.
    deadlines: VecDeque<(RawInstant, u64)>,
    /// When a target's pause ends.
    pauses: VecDeque<(RawInstant, usize)>,
}

impl Timers {
    /// None yet, with room for so many waits and so many pauses at once.
    pub(super) fn new(
        timeout: SignedDuration,
        interval: SignedDuration,
        waits: usize,
        pauses: usize,
    ) -> Self {
        Self {
            timeout,
            interval,
            deadlines: VecDeque::with_capacity(most_kept(waits) + 1),
            pauses: VecDeque::with_capacity(pauses),
        }
    }

    /// A request with this nonce was sent.
    pub(super) fn wait_for(&mut self, nonce: u64, sent: RawInstant) {
        self.deadlines.push_back((sent + self.timeout, nonce));
    }

    /// The last request that is waited for was not sent after all.
    pub(super) fn take_back(&mut self, nonce: u64) {
        if self.deadlines.back().is_some_and(|&(_, last)| last == nonce) {
            self.deadlines.pop_back();
        }
    }

    /// A target answered, and is to be asked again later.
    pub(super) fn pause(&mut self, target: usize, answered: RawInstant) {
        self.pauses.push_back((answered + self.interval, target));
    }

    /// The next nonce whose wait is over. `waited_for` says whether a reply to one is still to come.
    pub(super) fn next_expired(&mut self, now: RawInstant, waited_for: impl Fn(u64) -> bool) -> Option<u64> {
        while let Some(&(due, nonce)) = self.deadlines.front() {
            let waiting = waited_for(nonce);
            if waiting && due > now {
                return None;
            }
            self.deadlines.pop_front();
            if waiting {
                return Some(nonce);
            }
        }
        None
    }

    /// Forgets those that were answered, where they are the most: behind a single silent server there would be one for
    /// every packet of its whole timeout.
    pub(super) fn forget_answered(&mut self, waits: usize, waited_for: impl Fn(u64) -> bool) {
        if self.deadlines.len() > most_kept(waits) {
            self.deadlines.retain(|&(_, nonce)| waited_for(nonce));
        }
    }

    /// The next target whose pause is over.
    pub(super) fn next_rested(&mut self, now: RawInstant) -> Option<usize> {
        let &(due, target) = self.pauses.front()?;
        if due > now {
            return None;
        }
        self.pauses.pop_front();
        Some(target)
    }

    /// When the next of all these is due.
    pub(super) fn next(&self) -> Option<RawInstant> {
        let deadline = self.deadlines.front().map(|&(due, _)| due);
        let rested = self.pauses.front().map(|&(due, _)| due);
        deadline.into_iter().chain(rested).min()
    }

    /// No target pauses.
    pub(super) fn nobody_rests(&self) -> bool {
        self.pauses.is_empty()
    }
}

/// Twice as many as are waited for: what `forget_answered` walks through, it at least halves.
const fn most_kept(waits: usize) -> usize {
    2 * waits + 64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: i64) -> RawInstant {
        RawInstant::from_nanos(nanos)
    }

    fn timers() -> Timers {
        Timers::new(SignedDuration::from_nanos(100), SignedDuration::from_nanos(10), 4, 2)
    }

    #[test]
    fn waits_end_in_order_and_only_where_there_is_no_reply() {
        let mut timers = timers();
        for nonce in 1..=4 {
            timers.wait_for(nonce, at(nonce.cast_signed()));
        }
        let unanswered = |nonce| nonce != 1 && nonce != 3;
        assert_eq!(timers.next_expired(at(50), unanswered), None);
        assert_eq!(timers.next(), Some(at(102)), "the answered one is gone before its time");
        assert_eq!(timers.next_expired(at(102), unanswered), Some(2));
        assert_eq!(timers.next_expired(at(103), unanswered), None);
        assert_eq!(timers.next_expired(at(104), unanswered), Some(4));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn what_was_not_sent_is_not_waited_for() {
        let mut timers = timers();
        timers.wait_for(1, at(1));
        timers.wait_for(2, at(2));
        timers.take_back(1);
        timers.take_back(2);
        assert_eq!((timers.deadlines.len(), timers.next_expired(at(200), |_| true)), (1, Some(1)));
    }

    #[test]
    fn pauses_end_in_order() {
        let mut timers = timers();
        timers.pause(7, at(0));
        timers.pause(5, at(3));
        timers.wait_for(1, at(0));
        assert_eq!((timers.next(), timers.next_rested(at(9))), (Some(at(10)), None));
        assert_eq!((timers.next_rested(at(12)), timers.next_rested(at(12))), (Some(7), None));
        assert_eq!((timers.next_rested(at(13)), timers.nobody_rests()), (Some(5), true));
        assert_eq!(timers.next(), Some(at(100)));
    }

    #[test]
    fn behind_a_silent_server_there_is_no_heap_of_answered_ones() {
        let mut timers = timers();
        let capacity = timers.deadlines.capacity();
        let silent = |nonce| nonce == 0;
        for nonce in 0..100_000 {
            timers.wait_for(nonce, at(0));
            timers.forget_answered(4, silent);
        }
        assert_eq!(timers.deadlines.capacity(), capacity);
        assert_eq!(timers.next_expired(at(100), silent), Some(0));
        assert_eq!(timers.next_expired(at(100), silent), None);
    }
}
