//! How long an operation may take.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use crate::store::StoreError;

/// The end of one operation. Nothing is judged by it, it only ends waiting: so tokio's clock will do.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    length: Duration,
}

impl Deadline {
    pub(super) fn after(length: Duration) -> Self {
        Self { at: Instant::now() + length, length }
    }

    /// A part of what is left.
    pub(super) fn share(self, parts: u32) -> Self {
        let now = Instant::now();
        Self { at: now + self.at.saturating_duration_since(now) / parts.max(1), ..self }
    }

    pub(super) async fn wait<F: Future>(self, future: F) -> Result<F::Output, StoreError> {
        // Without a runtime there is no timer, and no connection either.
        Handle::try_current().map_err(|_| super::failed(NoRuntime))?;
        timeout_at(self.at, future).await.map_err(|_| self.passed())
    }

    pub(super) fn passed(self) -> StoreError {
        StoreError::TimedOut { store: super::NAME, deadline: self.length }
    }
}

/// There is no runtime of tokio.
#[derive(Debug, thiserror::Error)]
#[error(
    "Redis is reached through tokio, and this thread has none of its runtimes: use the runtime's `block_on`"
)]
struct NoRuntime;
