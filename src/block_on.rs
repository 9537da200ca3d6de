//! Waiting for a future without an async runtime.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Runs a future to its end on this thread, which sleeps while the future waits.
///
/// For callers without an async runtime, with the memory store or the embedded one: their futures never wait for anything but
/// another thread. A store that talks to a network needs a runtime of tokio, and that one's `block_on`, see below.
///
/// Never on a thread of an async runtime: nothing else runs there while it sleeps, and if what it waits for is one of that
/// thread's own tasks, which has its turn for the same token, it sleeps for ever. There, `await` instead.
///
/// ```
/// assert_eq!(skewgate::block_on(async { 6 * 7 }), 42);
/// ```
///
/// With Redis or PostgreSQL: a runtime with a thread of its own, for as long as the service lives. It is that thread which hears of
/// answers and deadlines; callers' threads, as many as there are, sleep until theirs has come. A current-thread runtime has none, and
/// its `Handle::block_on` may wait for ever.
///
/// ```no_run
/// # #[cfg(not(feature = "redis"))]
/// # fn main() {}
/// # #[cfg(feature = "redis")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use skewgate::store::RedisStore;
/// use skewgate::time::os::SystemTime;
/// use skewgate::validator::{Attempt, Validator};
/// use std::{sync::Arc, time::Duration};
///
/// let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
/// let store = runtime.block_on(RedisStore::connect("redis://redis.example.org"))?;
/// let clock = SystemTime::with_max_error(Duration::from_secs(1));
/// let gate = Validator::builder(Arc::new(store), Arc::new(clock)).build()?;
///
/// // On each thread that has logins to judge:
/// let (handle, gate) = (runtime.handle().clone(), gate.clone());
/// let verdict = handle.block_on(gate.validate(None, &Attempt::parse("755 224")?));
/// # Ok(())
/// # }
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
