//! One attempt at a time for each token, in the order of arrival.
//!
//! Attempts on one token that run side by side would all be admitted on the same budget before any of them has paid.
//! Within a process they take turns; between processes the overdraft is at most one attempt each, since what is
//! charged is charged in full.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::task::{Poll, Waker};

use crate::store::StoreError;
use crate::sync::{Mutex, MutexGuard};
use crate::time::RawInstant;
use crate::token::TokenId;

use super::Reason;
use super::shell::Refusal;

/// How many attempts may wait for one token besides the one that has its turn. A person has one or two under way; these are so many that
/// it takes a flood from more than a hundred places at once to keep its owner out. It would not hold more connections open than that.
const WAITING: usize = 512;

/// How many of them may be one client's: a flood from one place leaves room for the owner, who waits for no more of it.
const WAITING_OF_ONE: usize = 4;

/// How many of them may be of no client that has a name: among those is the owner, where the caller names none.
const WAITING_UNNAMED: usize = WAITING / 2;

/// Enough that attempts on different tokens seldom meet at one lock, or at one that another core was the last to use; 64 KiB of them.
const LANES: usize = if cfg!(shuttle) { 16 } else { 512 };

/// Who has the turn for which token, and who waits for it.
#[derive(Debug)]
pub(super) struct Turns {
    lanes: Box<[Lane]>,
    hasher: RandomState,
}

/// The tokens on which attempts are under way: as a rule no more than a few in each lane, which are looked through. On cache lines of its own:
/// processors that work on different tokens don't wait for each other's memory.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Lane(Mutex<Queues>);

#[derive(Debug, Default)]
struct Queues {
    under_way: Vec<Queue>,
    /// How many turns were ever asked for here: the number of the last one.
    asked: u64,
}

/// Who has the turn, and who waits. That is the whole state: a turn is never handed to anybody who could drop it on the way. As a rule
/// nobody waits, and nothing is allocated.
#[derive(Debug)]
struct Queue {
    /// The hash of the token's name. Two tokens with one hash would wait for each other, which harms neither.
    token: u64,
    front: Place,
    waiting: VecDeque<Place>,
}

#[derive(Debug)]
struct Place {
    number: u64,
    /// A hash of the client's name, under keys that nobody outside knows: a client can't collide with another on purpose.
    client: u64,
    waker: Option<Waker>,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self { lanes: (0..LANES).map(|_| Lane::default()).collect(), hasher: RandomState::new() }
    }

    /// Takes a place at the end of the token's queue; `None` where the queue is full, or has as many of this client's
    /// attempts waiting as it may have.
    pub(super) fn queue(&self, id: &TokenId, client: Option<&str>) -> Option<Turn<'_>> {
        let most = if client.is_some() { WAITING_OF_ONE } else { WAITING_UNNAMED };
        let client = client.map_or(0, |client| self.hasher.hash_one(client));
        let token = id.name_hash();
        let mut queues = self.queues(token);
        queues.asked = queues.asked.wrapping_add(1);
        let number = queues.asked;
        let place = Place { number, client, waker: None };
        let turn = |front| Turn { turns: self, token, number, front };
        let Some(queue) = queues.under_way.iter_mut().find(|queue| queue.token == token) else {
            queues.under_way.push(Queue { token, front: place, waiting: VecDeque::new() });
            return Some(turn(true));
        };
        let own = queue.waiting.iter().filter(|place| place.client == client).count();
        if queue.waiting.len() >= WAITING || own >= most {
            return None;
        }
        queue.waiting.push_back(place);
        Some(turn(false))
    }

    /// Those that share a lock with this token's.
    fn queues(&self, token: u64) -> MutexGuard<'_, Queues> {
        let lane = usize::try_from(token % LANES as u64).unwrap_or(0);
        self.lanes[lane].0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in a token's queue. Dropping it, whether or not its turn had come, lets the next one in.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    token: u64,
    /// No other turn of this token has it.
    number: u64,
    /// Nobody was there before: its turn is now, and nobody takes it away.
    front: bool,
}

impl Turn<'_> {
    /// Waits until this place is the front one.
    ///
    /// # Errors
    ///
    /// [`Reason::Busy`] where those who wait were sent away by [`end`](Self::end).
    pub(super) async fn come(&self) -> Result<(), Reason> {
        if self.front {
            return Ok(());
        }
        poll_fn(|context| {
            // Dropped after the lock is let go: dropping a waker may run whatever its runtime likes.
            let _replaced;
            let mut queues = self.turns.queues(self.token);
            let queue = queues.under_way.iter_mut().find(|queue| queue.token == self.token);
            let Some(queue) = queue else { return Poll::Ready(Err(Reason::Busy)) };
            match queue.waiting.iter_mut().find(|place| place.number == self.number) {
                // The waker is kept under the lock under which the front is replaced: no wake-up falls between.
                Some(place) => {
                    let known = place.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
                    if !known {
                        _replaced = place.waker.replace(context.waker().clone());
                    }
                    Poll::Pending
                }
                None if queue.front.number == self.number => Poll::Ready(Ok(())),
                None => Poll::Ready(Err(Reason::Busy)),
            }
        })
        .await
    }

    /// Lets the next one in. Where the store has kept this one waiting in vain, those who wait behind it are sent away: each of them would
    /// wait as long, one after the other.
    pub(super) fn end<T>(self, ended: Result<T, Refusal>) -> Result<T, Refusal> {
        use StoreError::{NotReady, TimedOut};
        if let Err(Refusal { reason: Reason::StoreFailed(TimedOut { .. } | NotReady { .. }), .. }) = &ended {
            self.send_others_away();
        }
        ended
    }

    fn send_others_away(&self) {
        let waiting = {
            let mut queues = self.turns.queues(self.token);
            let queue = queues.under_way.iter_mut().find(|queue| queue.front.number == self.number);
            queue.map(|queue| std::mem::take(&mut queue.waiting)).unwrap_or_default()
        };
        waiting.into_iter().filter_map(|place| place.waker).for_each(wake);
    }

    /// Eight bytes that no other write of this token has, for the one write of this turn: a hash, under the validator's own random
    /// keys, of which turn this is, and of the moment.
    ///
    /// Other processes have other keys. The copies of a process that a fork or a snapshot of its machine makes have the same ones, and
    /// count alike: they would have to write about the same token in the same nanosecond.
    pub(super) fn nonce(&self, moment: RawInstant) -> [u8; 8] {
        let moment = moment.as_nanos().cast_unsigned();
        self.turns.hasher.hash_one(u128::from(self.number) << 64 | u128::from(moment)).to_le_bytes()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // Dropped after the lock is let go, with its waker.
        let _own;
        let mut queues = self.turns.queues(self.token);
        let Some(at) = queues.under_way.iter().position(|queue| queue.token == self.token) else { return };
        let Some(queue) = queues.under_way.get_mut(at) else { return };
        let mut next = None;
        if queue.front.number != self.number {
            let at = queue.waiting.iter().position(|place| place.number == self.number);
            _own = at.and_then(|at| queue.waiting.remove(at));
        } else if let Some(mut place) = queue.waiting.pop_front() {
            next = place.waker.take();
            _own = Some(std::mem::replace(&mut queue.front, place));
        } else {
            queues.under_way.swap_remove(at);
        }
        drop(queues);
        // Outside of the lock: a waker may run the woken future on this thread.
        if let Some(waker) = next {
            wake(waker);
        }
    }
}

/// One that panics does so for itself: this attempt has its answer, and others wait to be woken.
fn wake(waker: Waker) {
    let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block_on;
    use std::future::Future;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake};

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn waker() -> (Arc<Counter>, Waker) {
        let counter = Arc::new(Counter::default());
        (Arc::clone(&counter), Waker::from(counter))
    }

    fn id(text: &str) -> TokenId {
        TokenId::new(text).unwrap()
    }

    #[test]
    fn the_queue_ends_and_each_token_has_its_own() {
        let (turns, a, b) = (Turns::new(), id("a"), id("b"));
        let client = |at: usize| format!("client {}", at / 3);
        let held: Vec<_> = (0..=WAITING).map(|at| turns.queue(&a, Some(&client(at))).unwrap()).collect();
        for client in [Some("client 0"), Some("another"), None] {
            assert!(turns.queue(&a, client).is_none());
        }
        assert!(turns.queue(&b, None).is_some());
        drop(held);
        assert!(turns.queue(&a, None).is_some());
    }

    #[test]
    fn one_client_has_few_of_the_waiting_places() {
        for (flood, owner, places) in [
            (Some("flood"), Some("owner"), WAITING_OF_ONE),
            (None, Some("owner"), WAITING_UNNAMED),
            (Some("flood"), None, WAITING_OF_ONE),
        ] {
            let (turns, a) = (Turns::new(), id("a"));
            let held: Vec<_> = std::iter::from_fn(|| turns.queue(&a, flood)).collect();
            assert_eq!(held.len(), 1 + places, "one has the turn, the others wait");
            assert!(turns.queue(&a, owner).is_some());
            drop(held);
            assert!(turns.queue(&a, flood).is_some());
        }
    }

    /// A waker that asks for the queue's lock when it is dropped, as one that drops a whole future would.
    #[test]
    fn wakers_are_dropped_outside_of_the_lock() {
        struct Nosy(Arc<Turns>);
        impl Wake for Nosy {
            fn wake(self: Arc<Self>) {}
        }
        impl Drop for Nosy {
            fn drop(&mut self) {
                assert!(self.0.lanes.iter().all(|lane| lane.0.try_lock().is_ok()), "dropped under the lock");
            }
        }
        let (turns, a) = (Arc::new(Turns::new()), id("a"));
        let nosy = || Waker::from(Arc::new(Nosy(Arc::clone(&turns))));
        let _first = turns.queue(&a, None).unwrap();
        let second = turns.queue(&a, None).unwrap();
        let mut comes = Box::pin(second.come());
        assert!(comes.as_mut().poll(&mut Context::from_waker(&nosy())).is_pending());
        assert!(comes.as_mut().poll(&mut Context::from_waker(&nosy())).is_pending());
        drop(comes);
        drop(second);
    }

    #[test]
    fn turns_come_in_order_of_arrival() {
        let (turns, a) = (Turns::new(), id("a"));
        let first = turns.queue(&a, None).unwrap();
        let second = turns.queue(&a, None).unwrap();
        let third = turns.queue(&a, None).unwrap();
        let ((second_woken, second_waker), (third_woken, third_waker)) = (waker(), waker());
        let mut second_comes = Box::pin(second.come());
        let mut third_comes = Box::pin(third.come());
        assert!(second_comes.as_mut().poll(&mut Context::from_waker(&second_waker)).is_pending());
        assert!(third_comes.as_mut().poll(&mut Context::from_waker(&third_waker)).is_pending());
        block_on(first.come()).unwrap();
        drop(first);
        assert_eq!((second_woken.0.load(Ordering::SeqCst), third_woken.0.load(Ordering::SeqCst)), (1, 0));
        assert!(third_comes.as_mut().poll(&mut Context::from_waker(&third_waker)).is_pending());
        assert!(second_comes.as_mut().poll(&mut Context::from_waker(&second_waker)).is_ready());
    }

    #[test]
    fn who_gives_up_waiting_is_skipped() {
        let (turns, a) = (Turns::new(), id("a"));
        let first = turns.queue(&a, None).unwrap();
        let second = turns.queue(&a, None).unwrap();
        let third = turns.queue(&a, None).unwrap();
        let (woken, third_waker) = waker();
        let mut third_comes = pin!(third.come());
        assert!(third_comes.as_mut().poll(&mut Context::from_waker(&third_waker)).is_pending());
        drop(second);
        drop(first);
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        assert!(third_comes.as_mut().poll(&mut Context::from_waker(&third_waker)).is_ready());
    }

    #[test]
    fn who_gives_up_after_being_woken_wakes_the_next() {
        let (turns, a) = (Turns::new(), id("a"));
        let first = turns.queue(&a, None).unwrap();
        let second = turns.queue(&a, None).unwrap();
        let third = turns.queue(&a, None).unwrap();
        let ((second_woken, second_waker), (third_woken, third_waker)) = (waker(), waker());
        assert!(Box::pin(second.come()).as_mut().poll(&mut Context::from_waker(&second_waker)).is_pending());
        assert!(Box::pin(third.come()).as_mut().poll(&mut Context::from_waker(&third_waker)).is_pending());
        drop(first);
        assert_eq!(second_woken.0.load(Ordering::SeqCst), 1);
        drop(second); // it had the turn, but was never polled again
        assert_eq!(third_woken.0.load(Ordering::SeqCst), 1);
        block_on(third.come()).unwrap();
    }

    #[test]
    fn who_is_sent_away_has_no_turn_and_takes_nobody_s() {
        let (turns, a) = (Turns::new(), id("a"));
        let first = turns.queue(&a, None).unwrap();
        let (second, third) = (turns.queue(&a, None).unwrap(), turns.queue(&a, None).unwrap());
        let (woken, second_waker) = waker();
        let mut second_comes = Box::pin(second.come());
        assert!(second_comes.as_mut().poll(&mut Context::from_waker(&second_waker)).is_pending());
        first.send_others_away();
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        // Those who come later are others.
        let fourth = turns.queue(&a, None).unwrap();
        assert!(matches!(block_on(second_comes), Err(Reason::Busy)));
        drop(first);
        block_on(fourth.come()).unwrap();
        assert!(matches!(block_on(third.come()), Err(Reason::Busy)));
        drop((second, third));
        let fifth = turns.queue(&a, None).unwrap();
        assert!(Box::pin(fifth.come()).as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        // Nor does who waits, and doesn't have the turn, send anybody away.
        fifth.send_others_away();
        drop(fourth);
        block_on(fifth.come()).unwrap();
    }

    #[test]
    fn a_waker_that_panics_keeps_nobody_from_being_woken() {
        struct Broken;
        impl Wake for Broken {
            fn wake(self: Arc<Self>) {
                panic!("as if a runtime had a mistake in it");
            }
        }
        let broken = || Waker::from(Arc::new(Broken));
        let (turns, a) = (Turns::new(), id("a"));
        let [first, second, third] = [(); 3].map(|()| turns.queue(&a, None).unwrap());
        let (woken, waker) = waker();
        for (turn, waker) in [(&second, broken()), (&third, waker)] {
            assert!(Box::pin(turn.come()).as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        first.send_others_away();
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        let fourth = turns.queue(&a, None).unwrap();
        assert!(Box::pin(fourth.come()).as_mut().poll(&mut Context::from_waker(&broken())).is_pending());
        drop(first);
        block_on(fourth.come()).unwrap();
    }

    #[test]
    fn no_two_writes_have_one_nonce() {
        let (turns, elsewhere, a) = (Turns::new(), Turns::new(), id("a"));
        let (now, later) = (RawInstant::from_nanos(1), RawInstant::from_nanos(2));
        // While the clock stands still, and in another process.
        let nonces = [&turns, &turns, &elsewhere].map(|turns| turns.queue(&a, None).unwrap().nonce(now));
        let different: std::collections::HashSet<_> = nonces.into_iter().collect();
        assert_eq!(different.len(), 3);
        // In a copy of the process, which has counted as many.
        let turn = turns.queue(&a, None).unwrap();
        assert_ne!(turn.nonce(now), turn.nonce(later));
    }

    #[test]
    fn nothing_is_left_behind() {
        let (turns, a) = (Turns::new(), id("a"));
        for _ in 0..3 {
            let (first, second) = (turns.queue(&a, None).unwrap(), turns.queue(&a, None).unwrap());
            block_on(first.come()).unwrap();
            drop(first);
            block_on(second.come()).unwrap();
        }
        assert!(turns.lanes.iter().all(|lane| lane.0.lock().unwrap().under_way.is_empty()));
    }

    #[test]
    fn only_one_has_the_turn_among_many_threads() {
        let (turns, a, inside, done) = (Turns::new(), id("a"), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 0..2_000 {
                        let turn = turns.queue(&a, None).unwrap();
                        if round % 7 == 0 {
                            continue; // gives up at once
                        }
                        block_on(turn.come()).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(done.load(Ordering::SeqCst), 4 * (2_000 - 286));
    }
}
