//! One thread writes, many writes at a time.
//!
//! Durability costs a wait for the disk, as long for one write as for a thousand. So what came while the disk was busy goes
//! into one transaction, and each write is answered once that is durable. Without load a write waits for itself alone.
//!
//! Those who were just answered often come back at once, the first of them a moment before the others. So after a transaction of
//! many the next one is held open for as many, half of the time that the disk took at the most.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use redb::{Database, ReadableDatabase, WriteTransaction};

use crate::store::{Change, Seen, StoreError, Written};
use crate::time::os::OsClock;
use crate::time::{LocalClock, RawInstant, SignedDuration, Timestamp};
use crate::token::TokenKey;

use super::STORE;
use super::answer::Answer;
use super::journal::Journal;
use super::pending::{Entries, Pending};
use super::table::{self, META, NOT_BEFORE, Snapshot};

/// The most writes in one transaction: less work than a wait for the disk.
const MOST_AT_ONCE: usize = 256;

/// While the journal is settled, so many for each change that is added to it. More than one, or there was no end to it; a task
/// may change two entries.
const SETTLED_FOR_EACH: usize = 4;

/// But for that, the most that a transaction settles: each may rewrite a page, and until the one after it the file holds both.
const MOST_SETTLED: usize = 3 * MOST_AT_ONCE;

/// No transaction is held open for longer, however long the disk took last: those who wait in it have a deadline.
const LONGEST_HELD: Duration = Duration::from_millis(20);

/// How many a transaction that is held open waits for at once.
const AT_A_TIME: usize = 16;

/// The most that wait. Somebody waits for each of them, and at the pace of a slow disk this is a second.
const MOST_WAITING: usize = 8_192;

pub(super) enum Task {
    Change(TokenKey, Change),
    NotBefore(Timestamp),
    #[cfg(test)]
    Panic,
}

type Answered = Answer<Result<Written, StoreError>>;

/// Whom to tell, and since when they have waited.
struct Promise {
    answer: Answered,
    since: RawInstant,
    overdue: bool,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Task, Promise)>,
    /// What the present transaction is for: older than all that waits.
    working: Vec<Promise>,
    closing: bool,
    /// How many the writer waits for; 0 where it is at work.
    wanted: usize,
    /// The watch sleeps until it's told that there is something to watch.
    watch_sleeps: bool,
}

impl Queue {
    /// The oldest of what waits, for the transaction that is under way.
    fn take(&mut self, most: usize) -> Vec<Task> {
        let count = self.waiting.len().min(most);
        let (tasks, promises): (Vec<_>, Vec<_>) = self.waiting.drain(..count).unzip();
        self.working.extend(promises);
        tasks
    }
}

/// The last transaction.
struct Last {
    count: usize,
    /// The disk.
    took: Duration,
    ended: RawInstant,
}

struct Shared {
    queue: Mutex<Queue>,
    /// For the writer: there is something to write, or it's time to end.
    work: Condvar,
    /// For the watch: there is something that may become overdue, or it's time to end.
    watch: Condvar,
    deadline: Duration,
    /// What is on the disk, or why nothing works any more.
    standing: RwLock<Result<Snapshot, Stopped>>,
}

/// Why nothing works any more.
#[derive(Clone, Debug, thiserror::Error)]
enum Stopped {
    #[error("a write failed and isn't known to be on the disk: {0}; open the store again")]
    WriteFailed(Arc<str>),
    #[error("the thread that writes has ended: open the store again")]
    Ended,
}

impl From<redb::Error> for Stopped {
    fn from(error: redb::Error) -> Self {
        Self::WriteFailed(error.to_string().into())
    }
}

impl From<Stopped> for StoreError {
    fn from(stopped: Stopped) -> Self {
        Self::Failed { store: STORE, source: stopped.into() }
    }
}

/// The threads, until [closed](Self::close).
pub(super) struct Writer {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(
        database: Arc<Database>,
        journal: Journal,
        kept: Snapshot,
        deadline: Duration,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            work: Condvar::new(),
            watch: Condvar::new(),
            deadline,
            standing: RwLock::new(Ok(kept)),
        });
        let mut writer = Self { shared: Arc::clone(&shared), threads: Vec::with_capacity(2) };
        let named = |name: &str| thread::Builder::new().name(name.into());
        let end = End(Arc::clone(&shared));
        writer
            .threads
            .push(named("skewgate-writer").spawn(move || end.0.write_until_closed(&database, journal))?);
        writer.threads.push(named("skewgate-watch").spawn(move || shared.watch_until_closed())?);
        Ok(writer)
    }

    /// Looks at what is on the disk, unless nothing works any more. The next transaction's waits for that.
    pub(super) fn kept<T>(&self, look: impl FnOnce(&Snapshot) -> T) -> Result<T, StoreError> {
        self.shared.standing().as_ref().map(look).map_err(|stopped| stopped.clone().into())
    }

    /// Does `task`, and is ready once that is durable. It is queued when this is polled for the first time.
    pub(super) async fn write(&self, task: Task) -> Result<Written, StoreError> {
        let answer = Answer::new();
        self.shared.queue(task, answer.clone())?;
        answer.come().await
    }

    #[cfg(test)]
    pub(super) fn queue_for_test(&self, task: Task, answer: Answered) {
        self.shared.queue(task, answer).unwrap();
    }
}

impl Writer {
    /// Writes what is waiting and ends the threads.
    pub(super) fn close(&mut self) {
        self.shared.lock().closing = true;
        self.shared.work.notify_all();
        self.shared.watch.notify_all();
        let here = thread::current().id();
        for thread in self.threads.drain(..) {
            // A waker may drop the last store on one of these threads, which then ends by itself.
            if thread.thread().id() != here {
                // What it panicked with was reported when it did.
                let _ = thread.join();
            }
        }
    }
}

/// Where one thread was started and the other couldn't be.
impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

/// However the writer ends, nobody waits for it for ever.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.stop(Stopped::Ended);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn standing(&self) -> RwLockReadGuard<'_, Result<Snapshot, Stopped>> {
        self.standing.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn standing_to_change(&self) -> RwLockWriteGuard<'_, Result<Snapshot, Stopped>> {
        self.standing.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this is read, with `changed` rows and, if settling has `ended`, without what was settled.
    fn publish(
        &self,
        database: &Database,
        journal: &mut Journal,
        changed: Entries,
        ended: bool,
    ) -> Result<(), Stopped> {
        let (mut now, rows) = read(database)?;
        let mut standing = self.standing_to_change();
        let kept = standing.as_mut().map_err(|stopped| stopped.clone())?;
        std::mem::swap(kept, &mut now);
        std::mem::swap(&mut kept.pending, &mut now.pending);
        kept.pending.add(changed);
        let settled = ended.then(|| journal.end_settling(&mut kept.pending));
        if journal.is_long(rows) {
            journal.begin_settling(&mut kept.pending);
        }
        // What was read before ends outside of the lock.
        drop(standing);
        drop((now, settled));
        Ok(())
    }

    fn queue(&self, task: Task, answer: Answered) -> Result<(), StoreError> {
        let promise = Promise { answer, since: OsClock.raw(), overdue: false };
        let mut queue = self.lock();
        // Under this lock the writer ends: what is queued now is either written or answered by `stop`.
        if let Err(stopped) = &*self.standing() {
            return Err(stopped.clone().into());
        }
        if queue.waiting.len() >= MOST_WAITING {
            return Err(StoreError::Overloaded { store: STORE, waiting: MOST_WAITING });
        }
        let wake_watch = std::mem::take(&mut queue.watch_sleeps);
        queue.waiting.push_back((task, promise));
        let wake_writer = queue.waiting.len() == queue.wanted;
        drop(queue);
        if wake_writer {
            self.work.notify_one();
        }
        if wake_watch {
            self.watch.notify_one();
        }
        Ok(())
    }

    /// From now on nothing works.
    fn stop(&self, why: Stopped) {
        let mut queue = self.lock();
        let mut standing = self.standing_to_change();
        if standing.is_ok() {
            *standing = Err(why.clone());
        }
        drop(standing);
        queue.closing = true;
        let mut promises = std::mem::take(&mut queue.working);
        promises.extend(queue.waiting.drain(..).map(|(_, promise)| promise));
        drop(queue);
        self.watch.notify_all();
        for promise in promises {
            promise.answer.give(Err(why.clone().into()));
        }
    }

    fn write_until_closed(&self, database: &Database, mut journal: Journal) {
        let mut last = Last { count: 0, took: Duration::ZERO, ended: OsClock.raw() };
        while let Some(tasks) = self.tasks(0, &last) {
            if let Err(why) = self.transact(database, &mut journal, tasks, &mut last) {
                return self.stop(why);
            }
        }
        // What isn't settled now will be when there is more: it is safe where it is.
        let _ = self.settle(database, &mut journal);
    }

    /// Does these tasks, and what comes while the transaction is held open. What can't be read is an error for that task alone. After an
    /// error of this it isn't known what is on the disk, and redb wants to be opened again; the same where what was committed can't be read.
    fn transact(
        &self,
        database: &Database,
        journal: &mut Journal,
        tasks: Vec<Task>,
        last: &mut Last,
    ) -> Result<(), Stopped> {
        let mut done = Done::default();
        let mut next = Some(tasks);
        while let Some(tasks) = next {
            let standing = self.standing();
            let kept = standing.as_ref().map_err(Clone::clone)?;
            for task in tasks {
                done.apply(task, kept);
            }
            drop(standing);
            next = self.tasks(done.answers.len(), last);
        }
        let Done { answers, changed, not_before } = done;
        let began = OsClock.raw();
        let mut took = Duration::ZERO;
        if !changed.is_empty() || not_before.is_some() {
            let standing = self.standing();
            let kept = standing.as_ref().map_err(Clone::clone)?;
            let ended = durably(database, |transaction| {
                if let Some(moment) = not_before {
                    transaction.open_table(META)?.insert(NOT_BEFORE, moment.as_unix_nanos())?;
                }
                journal.add(transaction, &changed)?;
                let count = (SETTLED_FOR_EACH * changed.len()).min(MOST_SETTLED);
                journal.settle(transaction, &kept.pending, count)
            })?;
            drop(standing);
            took = (OsClock.raw() - began).unsigned_abs();
            self.publish(database, journal, changed, ended)?;
        }
        let count = answers.len();
        self.answer(answers);
        *last = Last { count, took, ended: OsClock.raw() };
        Ok(())
    }

    /// Puts all that is pending where it belongs.
    fn settle(&self, database: &Database, journal: &mut Journal) -> Result<(), Stopped> {
        while !journal.is_empty() {
            if let Ok(kept) = &mut *self.standing_to_change() {
                journal.begin_settling(&mut kept.pending);
            }
            let standing = self.standing();
            let kept = standing.as_ref().map_err(Clone::clone)?;
            let ended =
                durably(database, |transaction| journal.settle(transaction, &kept.pending, MOST_SETTLED))?;
            drop(standing);
            self.publish(database, journal, Entries::new(), ended)?;
        }
        Ok(())
    }

    /// What else goes into a transaction of `count` tasks, as long as it is worth waiting for. The first one is waited for
    /// until the store closes.
    fn tasks(&self, count: usize, last: &Last) -> Option<Vec<Task>> {
        let mut queue = self.lock();
        loop {
            let passed = (OsClock.raw() - last.ended).unsigned_abs();
            let left = (last.took / 2).min(LONGEST_HELD).saturating_sub(passed);
            // A few at a time: each waking takes as long as writing several.
            let back = if left.is_zero() { 0 } else { last.count.saturating_sub(count).min(AT_A_TIME) };
            queue.wanted = if count == 0 { back.max(1) } else { back };
            if queue.waiting.len() >= queue.wanted || queue.closing {
                break;
            }
            queue = if left.is_zero() {
                self.work.wait(queue).unwrap_or_else(PoisonError::into_inner)
            } else {
                self.work.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0
            };
        }
        queue.wanted = 0;
        let tasks = queue.take(MOST_AT_ONCE.saturating_sub(count));
        (!tasks.is_empty()).then_some(tasks)
    }

    fn answer(&self, answers: Vec<Result<Written, StoreError>>) {
        let promises = std::mem::take(&mut self.lock().working);
        for (promise, answer) in promises.into_iter().zip(answers) {
            promise.answer.give(answer);
        }
    }

    /// Answers what takes too long. What waits then is not written any more; what is under way may be.
    fn watch_until_closed(&self) {
        let mut queue = self.lock();
        while !queue.closing {
            let working = queue.working.iter().filter(|promise| !promise.overdue);
            let Some(oldest) = working.chain(queue.waiting.front().map(|(_, promise)| promise)).next() else {
                queue.watch_sleeps = true;
                queue = self.watch.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = SignedDuration::from(self.deadline) - (OsClock.raw() - oldest.since);
            if left > SignedDuration::ZERO {
                let waited = self.watch.wait_timeout(queue, left.unsigned_abs());
                queue = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            let answer = match queue.working.iter_mut().find(|promise| !promise.overdue) {
                Some(promise) => {
                    promise.overdue = true;
                    Some(promise.answer.clone())
                }
                None => queue.waiting.pop_front().map(|(_, promise)| promise.answer),
            };
            drop(queue);
            if let Some(answer) = answer {
                answer.give(Err(StoreError::TimedOut { store: STORE, deadline: self.deadline }));
            }
            queue = self.lock();
        }
    }
}

/// What is on the disk, but for the journal, and how many rows it has.
fn read(database: &Database) -> Result<(Snapshot, u64), redb::Error> {
    let snapshot = Snapshot::of(&database.begin_read()?, Pending::default())?;
    let rows = snapshot.row_count()?;
    Ok((snapshot, rows))
}

/// A transaction that survives whatever comes, once this is `Ok`.
pub(super) fn durably<T>(
    database: &Database,
    work: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
) -> Result<T, redb::Error> {
    let mut transaction = database.begin_write()?;
    // Another wait for the disk, and worth it. With one phase an opening after a crash takes the transaction before, if the last
    // one doesn't look whole: were that for any other reason than that it was cut short, accepted codes would be forgotten.
    transaction.set_two_phase_commit(true);
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

/// What a transaction has done.
#[derive(Default)]
struct Done {
    /// What came of each task.
    answers: Vec<Result<Written, StoreError>>,
    changed: Entries,
    not_before: Option<Timestamp>,
}

impl Done {
    fn apply(&mut self, task: Task, kept: &Snapshot) {
        let not_before = kept.not_before.max(self.not_before);
        self.answers.push(match task {
            Task::Change(key, change) => {
                let now = Seen { not_before, ..Seen::default() };
                table::write(kept, &mut self.changed, &key, change, now).map_err(Into::into)
            }
            Task::NotBefore(moment) => {
                if not_before < Some(moment) {
                    self.not_before = Some(moment);
                }
                Ok(Written::Done)
            }
            #[cfg(test)]
            Task::Panic => panic!("as if there were a mistake in it"),
        });
    }
}
