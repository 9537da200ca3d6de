//! Who is told of changes: a webhook, a program. Each has a queue and a worker of its own; a sweep never waits for either.

mod command;
mod document;
mod webhook;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tracing::{error, warn};

use super::log::TARGET;
use super::metrics::{Channel, Outcome};
use super::state::Shared;
use crate::cli::WatchOptions;
use crate::output::harmless;
pub(super) use document::Document;

/// So many sweeps' changes wait for a webhook or a program that is slow or away; what comes then is dropped, and counted.
const QUEUE: usize = 64;

/// The queues of those who are told.
pub(super) struct Notifier {
    queues: Vec<(Channel, Sender<Arc<Document>>)>,
    shared: Arc<Shared>,
    owed: Arc<Owed>,
}

/// What tells them.
pub(super) struct Workers(Vec<JoinHandle<()>>);

/// What is to be told and wasn't yet.
#[derive(Debug, Default)]
pub(super) struct Owed {
    /// Once for each who is to be told.
    documents: AtomicUsize,
    /// Something was for the queue, and found no room there.
    dropped: AtomicBool,
}

impl Owed {
    /// Whether all that is in the queues was told, or refused for good.
    pub(super) fn is_told(&self) -> bool {
        self.documents.load(Ordering::Acquire) == 0
    }

    /// Whether something never got into a queue.
    pub(super) fn has_dropped(&self) -> bool {
        self.dropped.load(Ordering::Acquire)
    }

    /// It is told in another way.
    pub(super) fn forget_dropped(&self) {
        self.dropped.store(false, Ordering::Release);
    }
}

/// What waits for one of them, one after the other.
struct Waiting {
    channel: Channel,
    queue: Receiver<Arc<Document>>,
    shared: Arc<Shared>,
    owed: Arc<Owed>,
}

impl Notifier {
    /// Starts a worker for each that was named.
    pub(super) fn start(options: &WatchOptions, shared: &Arc<Shared>, runtime: &Handle) -> (Self, Workers) {
        let mut notifier = Self { queues: Vec::new(), shared: shared.clone(), owed: Arc::default() };
        let mut workers = Vec::new();
        if let Some(url) = &options.webhook {
            let webhook = webhook::Webhook::new(url.clone(), options.notify_timeout(), options.once);
            workers.push(runtime.spawn(webhook.work(notifier.queue(Channel::webhook))));
        }
        if let Some(program) = &options.command {
            let program = command::Program::new(program, &options.command_arg, options.notify_timeout());
            workers.push(runtime.spawn(program.work(notifier.queue(Channel::command))));
        }
        (notifier, Workers(workers))
    }

    fn queue(&mut self, channel: Channel) -> Waiting {
        let (sender, queue) = self::channel(QUEUE);
        self.queues.push((channel, sender));
        Waiting { channel, queue, shared: self.shared.clone(), owed: self.owed.clone() }
    }

    /// Whether anybody is told.
    pub(super) fn is_wanted(&self) -> bool {
        !self.queues.is_empty()
    }

    pub(super) const fn owed(&self) -> &Arc<Owed> {
        &self.owed
    }

    /// Hands it on, and returns at once.
    pub(super) fn tell(&self, document: Document) {
        let document = Arc::new(document);
        for (channel, queue) in &self.queues {
            // Before it is there: whoever takes it counts it down.
            self.owed.documents.fetch_add(1, Ordering::AcqRel);
            if queue.try_send(document.clone()).is_err() {
                self.owed.documents.fetch_sub(1, Ordering::AcqRel);
                self.owed.dropped.store(true, Ordering::Release);
                self.shared.metrics.notified(*channel, Outcome::dropped);
                error!(
                    target: TARGET,
                    event = "notification_dropped",
                    ?channel,
                    changes = document.changes,
                    "too many changes wait to be told: these are told once the others were"
                );
            }
        }
    }
}

impl Workers {
    /// Waits until all that is in the queues has been told. They end only once the [`Notifier`] is gone.
    pub(super) async fn done(self) {
        for worker in self.0 {
            // One that panicked has nothing more to tell.
            let _ = worker.await;
        }
    }
}

impl Waiting {
    async fn next(&mut self) -> Option<Arc<Document>> {
        self.queue.recv().await
    }

    fn delivered(&self) {
        self.shared.metrics.notified(self.channel, Outcome::delivered);
        self.shared.notified(self.channel, None);
        self.settled();
    }

    /// It is told to nobody any more: to try again would be of no use.
    fn refused(&self, document: &Document, problem: &str) {
        self.failed(document, problem);
        self.settled();
    }

    /// It could not be told, and is owed still.
    fn failed(&self, document: &Document, problem: &str) {
        let (channel, problem) = (self.channel, harmless(problem));
        self.shared.metrics.notified(channel, Outcome::failed);
        warn!(
            target: TARGET,
            event = "notification_failed",
            ?channel,
            changes = document.changes,
            problem,
            "changes could not be told"
        );
        self.shared.notified(channel, Some(problem));
    }

    fn settled(&self) {
        self.owed.documents.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use skewgate::fleet::{Alarms, Transition};
    use skewgate::time::Timestamp;

    use super::*;

    fn transition() -> Transition {
        let mut alarms = Alarms::new(std::num::NonZeroU32::MIN);
        alarms.judge_failure(Timestamp::from_unix_nanos(1)).unwrap()
    }

    #[tokio::test]
    async fn what_is_owed_is_what_nobody_has_taken_or_refused() {
        let shared = Arc::new(Shared::new(Duration::from_secs(60), 1));
        let mut notifier = Notifier { queues: Vec::new(), shared, owed: Arc::default() };
        let mut waiting = notifier.queue(Channel::webhook);
        let tell = || {
            let document = Document::new(&[transition()], Timestamp::from_unix_nanos(1), None);
            notifier.tell(document.unwrap());
        };
        let owed = notifier.owed().clone();
        assert!(owed.is_told());
        for _ in 0..QUEUE {
            tell();
        }
        assert!(!owed.is_told() && !owed.has_dropped());
        tell();
        assert!(owed.has_dropped(), "there was no room");
        for place in 0..QUEUE {
            assert!(!owed.is_told(), "{place}");
            let document = waiting.next().await.unwrap();
            waiting.failed(&document, "not yet");
            assert!(!owed.is_told(), "{place}");
            match place % 2 {
                0 => waiting.delivered(),
                _ => waiting.refused(&document, "never"),
            }
        }
        assert!(owed.is_told() && owed.has_dropped());
        owed.forget_dropped();
        assert!(owed.is_told() && !owed.has_dropped());
    }
}
