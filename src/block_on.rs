//! Waiting for a future without an async runtime.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Runs a future to its end on this thread, which sleeps while the future waits.
///
/// For callers without an async runtime, with the memory store: its futures never wait for anything but another
/// thread. A store that talks to a network needs its own runtime's `block_on`.
///
/// Never on a thread of an async runtime: nothing else runs there while it sleeps, and if what it waits for is one of that
/// thread's own tasks, which has its turn for the same token, it sleeps for ever. There, `await` instead.
///
/// ```
/// assert_eq!(skewgate::block_on(async { 6 * 7 }), 42);
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    thread_local!(static WAKER: Waker = unpark_this_thread());
    let mut future = pin!(future);
    WAKER
        .try_with(|waker| poll_to_the_end(future.as_mut(), waker))
        // While a thread ends its local values may be gone.
        .unwrap_or_else(|_| poll_to_the_end(future, &unpark_this_thread()))
}

fn poll_to_the_end<F: Future>(mut future: Pin<&mut F>, waker: &Waker) -> F::Output {
    let mut context = Context::from_waker(waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            // An unpark that came before makes this return at once, so no wake-up between the two is lost; one that
            // was meant for something else costs a poll.
            Poll::Pending => thread::park(),
        }
    }
}

fn unpark_this_thread() -> Waker {
    Waker::from(Arc::new(Unpark(thread::current())))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[test]
    fn sleeps_until_another_thread_wakes_it() {
        let mut polls = 0;
        let answer = block_on(poll_fn(|context| {
            polls += 1;
            if polls == 3 {
                return Poll::Ready("done");
            }
            let waker = context.waker().clone();
            thread::spawn(move || waker.wake());
            Poll::Pending
        }));
        assert_eq!(answer, "done");
    }
}
