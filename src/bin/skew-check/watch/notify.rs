//! Who is told of changes: a webhook, a program. Each has a queue and a worker of its own; a sweep never waits for either.

mod command;
mod document;
mod webhook;

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tracing::{error, warn};

use super::log::TARGET;
use super::metrics::{Channel, Outcome};
use super::state::Shared;
use crate::cli::WatchOptions;
pub(super) use document::Document;

/// So many sweeps' changes wait for a webhook or a program that is slow or away; what comes then is dropped, and counted.
const QUEUE: usize = 64;

/// The queues of those who are told.
pub(super) struct Notifier {
    queues: Vec<(Channel, Sender<Arc<Document>>)>,
    shared: Arc<Shared>,
}

/// What tells them.
pub(super) struct Workers(Vec<JoinHandle<()>>);

impl Notifier {
    /// Starts a worker for each that was named.
    pub(super) fn start(options: &WatchOptions, shared: &Arc<Shared>, runtime: &Handle) -> (Self, Workers) {
        let (mut queues, mut workers) = (Vec::new(), Vec::new());
        if let Some(url) = &options.webhook {
            let (queue, waiting) = channel(QUEUE);
            let webhook = webhook::Webhook::new(url.clone(), options.notify_timeout());
            workers.push(runtime.spawn(webhook.work(waiting, shared.clone())));
            queues.push((Channel::webhook, queue));
        }
        if let Some(program) = &options.command {
            let (queue, waiting) = channel(QUEUE);
            let program = command::Program::new(program, &options.command_arg, options.notify_timeout());
            workers.push(runtime.spawn(program.work(waiting, shared.clone())));
            queues.push((Channel::command, queue));
        }
        (Self { queues, shared: shared.clone() }, Workers(workers))
    }

    /// Whether anybody is told.
    pub(super) fn is_wanted(&self) -> bool {
        !self.queues.is_empty()
    }

    /// Hands it on, and returns at once.
    pub(super) fn tell(&self, document: Document) {
        let document = Arc::new(document);
        for (channel, queue) in &self.queues {
            if queue.try_send(document.clone()).is_err() {
                self.shared.metrics.notified(*channel, Outcome::dropped);
                error!(
                    target: TARGET,
                    event = "notification_dropped",
                    ?channel,
                    changes = document.changes,
                    "too many changes wait to be told: these are not"
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

/// Counts and logs what became of telling a document.
fn told(shared: &Shared, channel: Channel, document: &Document, result: Result<(), String>) {
    match result {
        Ok(()) => shared.metrics.notified(channel, Outcome::delivered),
        Err(problem) => {
            shared.metrics.notified(channel, Outcome::failed);
            warn!(
                target: TARGET,
                event = "notification_failed",
                ?channel,
                changes = document.changes,
                problem = crate::output::harmless(&problem),
                "changes could not be told"
            );
        }
    }
}

/// What waits, one after the other.
type Waiting = Receiver<Arc<Document>>;
