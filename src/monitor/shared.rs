//! What a monitor's thread and its readers share.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use arc_swap::ArcSwapOption;

use super::{Counts, Health, RoundError};
use crate::clock::ClockEstimate;
use crate::ntp::{Measurement, Source};
use crate::time::{LocalClock, TimeError, TimeInterval};

pub(super) struct Shared {
    pub(super) clock: Arc<dyn LocalClock>,
    /// Read at every login: no lock.
    estimate: ArcSwapOption<ClockEstimate>,
    state: Mutex<State>,
    /// Notified together with `State::wakers`.
    changed: Condvar,
}

/// Everything that is not read at every login.
#[derive(Default)]
pub(super) struct State {
    /// Counts the changes.
    pub(super) version: u64,
    /// The thread is to end, or has ended.
    pub(super) stop: bool,
    /// Sources to measure from the next round on.
    pub(super) new_sources: Option<Vec<Source>>,
    pub(super) last: Option<Arc<Measurement>>,
    pub(super) last_error: Option<RoundError>,
    pub(super) counts: Counts,
    /// Tasks that wait for a change, each by the number of its `Changes`: one that was dropped leaves at most one behind.
    pub(super) wakers: HashMap<u64, Waker>,
    /// How many `Changes` there have been.
    pub(super) watchers: u64,
}

impl Shared {
    pub(super) fn new(clock: Arc<dyn LocalClock>) -> Self {
        Self { clock, estimate: ArcSwapOption::empty(), state: Mutex::default(), changed: Condvar::new() }
    }

    pub(super) fn now(&self) -> Result<TimeInterval, TimeError> {
        self.now_by(self.estimate.load().as_deref())
    }

    fn now_by(&self, estimate: Option<&ClockEstimate>) -> Result<TimeInterval, TimeError> {
        estimate.ok_or(TimeError::NotMeasured)?.at(self.clock.raw(), self.clock.suspended())
    }

    pub(super) fn estimate(&self) -> Option<ClockEstimate> {
        self.estimate.load().as_deref().copied()
    }

    pub(super) fn publish(&self, estimate: ClockEstimate) {
        self.estimate.store(Some(Arc::new(estimate)));
    }

    pub(super) fn health(&self) -> Health {
        let estimate = self.estimate();
        let now = self.now_by(estimate.as_ref());
        let state = self.state();
        Health {
            now,
            estimate,
            age: estimate.map(|estimate| estimate.age(self.clock.raw())),
            last_measurement: state.last.clone(),
            last_error: state.last_error,
            counts: state.counts,
            running: !state.stop,
        }
    }

    /// A panic in another thread leaves whole values behind.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something and tells everybody who waits for a change.
    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        state.version += 1;
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.changed.notify_all();
        // Not under the lock: a waker may run its task at once.
        for waker in wakers.into_values() {
            // A task that panics is its own executor's matter, and no reason to stop measuring.
            let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
    }

    /// Waits until something is so no more, at most so long.
    pub(super) fn wait_while(
        &self,
        timeout: Duration,
        condition: impl Fn(&State) -> bool,
    ) -> MutexGuard<'_, State> {
        let state = self.state();
        self.changed
            .wait_timeout_while(state, timeout, |state| condition(state))
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("estimate", &self.estimate()).finish_non_exhaustive()
    }
}
