//! Waiting for what a monitor finds.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::Health;
use super::shared::Shared;

/// Tells of each round, and of each step of the system clock and each suspend as it is noticed. Made by
/// [`Monitor::changes`](super::Monitor::changes).
///
/// Nothing is queued: whoever is slow sees the latest state, once.
#[derive(Debug)]
pub struct Changes {
    shared: Arc<Shared>,
    number: u64,
    seen: u64,
}

impl Changes {
    pub(super) fn of(shared: Arc<Shared>) -> Self {
        let (number, seen) = {
            let mut state = shared.state();
            state.watchers += 1;
            (state.watchers, state.version)
        };
        Self { shared, number, seen }
    }

    /// Waits for a change since the last that was seen, at most so long; `None` where there was none.
    ///
    /// # Errors
    ///
    /// [`MonitorGone`] once the monitor was dropped.
    pub fn wait(&mut self, timeout: Duration) -> Result<Option<Health>, MonitorGone> {
        let seen = self.seen;
        let state = self.shared.wait_while(timeout, |state| state.version == seen && !state.stop);
        let (version, stopped) = (state.version, state.stop);
        drop(state);
        if stopped {
            return Err(MonitorGone);
        }
        self.seen = version;
        Ok((version != seen).then(|| self.shared.health()))
    }

    /// The next change, on any executor.
    ///
    /// # Errors
    ///
    /// [`MonitorGone`] once the monitor was dropped.
    pub async fn next(&mut self) -> Result<Health, MonitorGone> {
        poll_fn(|context| {
            let mut state = self.shared.state();
            if state.stop {
                return Poll::Ready(Err(MonitorGone));
            }
            if state.version == self.seen {
                state.wakers.insert(self.number, context.waker().clone());
                return Poll::Pending;
            }
            self.seen = state.version;
            drop(state);
            Poll::Ready(Ok(self.shared.health()))
        })
        .await
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.shared.state().wakers.remove(&self.number);
    }
}

/// The monitor was dropped: nothing changes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the monitor was dropped: keep it as long as its changes are of interest")]
pub struct MonitorGone;
