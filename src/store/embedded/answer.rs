//! An answer that one thread gives and a future waits for, on whatever executor.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// One end is kept by who waits, a clone by who answers. The first answer counts.
#[derive(Debug)]
pub(super) struct Answer<T>(Arc<Mutex<State<T>>>);

#[derive(Debug)]
enum State<T> {
    Open(Option<Waker>),
    Given(T),
    /// Given and taken.
    Taken,
}

impl<T> Clone for Answer<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Answer<T> {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State::Open(None))))
    }

    /// Gives the answer, unless there is one. What is woken may run on this thread.
    pub(super) fn give(&self, answer: T) {
        let mut state = self.lock();
        if let State::Open(waker) = &mut *state {
            let waker = waker.take();
            *state = State::Given(answer);
            drop(state);
            if let Some(waker) = waker {
                // One that panics does so for itself: others wait for this thread.
                let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
            }
        }
    }

    /// Waits for the answer. Only one may wait, once.
    pub(super) async fn come(self) -> T {
        poll_fn(|context| {
            // Dropped after the lock is let go: dropping a waker may run whatever its runtime likes.
            let _replaced;
            let mut state = self.lock();
            match &mut *state {
                State::Open(waker) => {
                    if !waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
                        _replaced = waker.replace(context.waker().clone());
                    }
                    Poll::Pending
                }
                State::Given(_) => match std::mem::replace(&mut *state, State::Taken) {
                    State::Given(answer) => Poll::Ready(answer),
                    State::Open(_) | State::Taken => Poll::Pending,
                },
                State::Taken => Poll::Pending,
            }
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block_on;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake};

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn an_answer_reaches_another_thread() {
        for _ in 0..200 {
            let answer = Answer::new();
            let waiting = answer.clone();
            let waiter = std::thread::spawn(move || block_on(waiting.come()));
            answer.give(7);
            assert_eq!(waiter.join().unwrap(), 7);
        }
    }

    #[test]
    fn the_first_answer_counts() {
        let answer = Answer::new();
        answer.give(1);
        answer.give(2);
        assert_eq!(block_on(answer.come()), 1);
    }

    #[test]
    fn the_last_waker_is_woken_once() {
        let (first, last) = (Arc::new(Counter::default()), Arc::new(Counter::default()));
        let answer = Answer::new();
        let mut comes = Box::pin(answer.clone().come());
        for counter in [&first, &last, &last] {
            let waker = Waker::from(Arc::clone(counter));
            assert!(comes.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        answer.give(());
        answer.give(());
        assert_eq!((first.0.load(Ordering::SeqCst), last.0.load(Ordering::SeqCst)), (0, 1));
        assert!(comes.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }

    #[test]
    fn a_waker_that_panics_harms_nobody_else() {
        struct Broken;
        impl Wake for Broken {
            fn wake(self: Arc<Self>) {
                panic!("as if a runtime had a mistake in it");
            }
        }
        let answer = Answer::new();
        let mut comes = Box::pin(answer.clone().come());
        let waker = Waker::from(Arc::new(Broken));
        assert!(comes.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        answer.give(7);
        assert!(comes.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }

    #[test]
    fn nobody_needs_to_wait() {
        let answer = Answer::new();
        drop(answer.clone().come());
        answer.give(());
    }
}
