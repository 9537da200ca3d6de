//! Sweeps, one after the other, on a thread of their own.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tracing::{error, info, warn};

use skewgate::fleet::{Alarms, History, HistoryError, Report, Standing, SweepError, Transition, sweep_over};
use skewgate::ntp::{Sockets, Transport, Udp};
use skewgate::time::os::OsClock;
use skewgate::time::{LocalClock, SignedDuration};

use super::history::Keeper;
use super::log::TARGET;
use super::notify::{Document, Notifier, Owed};
use super::reload::{Change, Source};
use super::state::{Shared, Shown, Swept, uptime};
use crate::cli::WatchOptions;
use crate::fleet::Finding;
use crate::output::{Status, harmless, length};

/// What the loop is told between two sweeps, and during one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Read the inventory again.
    Reload,
    Stop,
}

/// The network, until nobody wants to know any more.
struct Until(Arc<AtomicBool>);

impl Transport for Until {
    fn open(&self) -> Box<dyn Sockets> {
        Udp.open()
    }

    fn cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// All that a sweep needs, and all that it changes.
pub(super) struct Sweeps<'a> {
    options: &'a WatchOptions,
    source: Source,
    keeper: Arc<Keeper>,
    alarms: Alarms,
    /// What was said, and told to everybody.
    told: Standing,
    notifier: Notifier,
    shared: Arc<Shared>,
    /// Set from outside: a sweep that is under way ends soon.
    stopping: Arc<AtomicBool>,
    generation: u64,
    /// Whether the last one was late: it is told when that begins and ends, not each time.
    late: bool,
}

impl<'a> Sweeps<'a> {
    pub(super) fn new(
        options: &'a WatchOptions,
        source: Source,
        keeper: Arc<Keeper>,
        notifier: Notifier,
        shared: Arc<Shared>,
        stopping: Arc<AtomicBool>,
    ) -> Result<Self, HistoryError> {
        let confirm = NonZeroU32::new(options.confirm).unwrap_or(NonZeroU32::MIN);
        // What was said before the last end is not said again.
        let told = keeper.with(History::standing)?.unwrap_or_else(|| Alarms::new(confirm).standing());
        let alarms = Alarms::resumed(confirm, told.clone());
        let (generation, late) = (0, false);
        Ok(Self { options, source, keeper, alarms, told, notifier, shared, stopping, generation, late })
    }

    /// How many hosts there are.
    pub(super) fn hosts(&self) -> usize {
        self.source.current().hosts().len()
    }

    /// Until it is told to stop, or nobody is left who could tell it.
    pub(super) fn run(mut self, orders: &Receiver<Order>) -> Untold {
        let mut begun = uptime();
        loop {
            // Nobody is told of a sweep that was called off, and that may fail.
            if self.sweep().is_none() {
                return self.end();
            }
            let took = (uptime() - begun).unsigned_abs();
            self.tell_late(took);
            let mut due = begun + SignedDuration::from(self.options.every());
            if due < uptime() {
                due = uptime();
            }
            if !self.wait(due, orders) {
                return self.end();
            }
            begun = due;
        }
    }

    /// Nothing more is found: what is in the queues is the last.
    pub(super) fn end(self) -> Untold {
        Untold { owed: self.notifier.owed().clone(), standing: self.alarms.standing(), keeper: self.keeper }
    }

    /// Whether another sweep is wanted.
    fn wait(&mut self, due: SignedDuration, orders: &Receiver<Order>) -> bool {
        loop {
            // A new inventory may settle in the meantime.
            let next = self.source.settles_at().map_or(due, |settled| due.min(settled));
            let left = next - uptime();
            let left = if left.is_negative() { Duration::ZERO } else { left.unsigned_abs() };
            match orders.recv_timeout(left) {
                Ok(Order::Reload) => self.look_at_inventory(true),
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => {
                    self.look_at_inventory(false);
                    if uptime() >= due {
                        return true;
                    }
                }
            }
        }
    }

    /// One sweep, and all that follows from it; `None` where it was called off.
    pub(super) fn sweep(&mut self) -> Option<Status> {
        self.shared.beat();
        let inventory = self.source.current().clone();
        let network = Until(self.stopping.clone());
        let options = self.options.sweeping.sweep();
        let shared = self.shared.clone();
        // However long it takes, it is alive as long as it gets on.
        match sweep_over(&network, &inventory, &options, &OsClock, &mut |_| shared.beat()) {
            Ok(report) => Some(self.found(Arc::new(report))),
            Err(SweepError::Cancelled) => None,
            Err(error) => {
                self.failed(&error);
                Some(Status::Unknown)
            }
        }
    }

    fn found(&mut self, report: Arc<Report>) -> Status {
        // First of all: an alarm doesn't wait for a disk.
        let transitions = self.alarms.judge(&report);
        self.tell(&transitions, Some(&report));
        let listed = (0..report.hosts.len()).collect();
        let finding = Finding::new(report.clone(), listed);
        let status = finding.status;
        match Shown::new(&finding, self.generation) {
            Ok(shown) => self.shared.show(shown),
            Err(problem) => error!(target: TARGET, event = "sweep_not_shown", %problem, "this is a bug"),
        }
        self.generation += 1;
        let history_error = self.keeper.append(&report).err().map(|error| self.history_failed(&error));
        let is_kept = history_error.is_none();
        self.shared.swept(Swept { report: &report, history_error });
        if is_kept {
            self.keep_told();
        }
        status
    }

    fn failed(&mut self, problem: &SweepError) {
        warn!(target: TARGET, event = "sweep_failed", %problem, "this sweep found out nothing");
        self.shared.failed(&problem.to_string());
        let transition = self.alarms.judge_failure(OsClock.system().realtime);
        self.tell(transition.as_slice(), None);
        self.keep_told();
    }

    fn tell(&self, transitions: &[Transition], report: Option<&Report>) {
        for transition in transitions {
            transition.emit();
            self.shared.metrics.transition(transition.to.name());
        }
        if self.notifier.is_wanted() {
            let at = report.map_or_else(|| OsClock.system().realtime, |report| report.measured_at);
            if let Some(document) = Document::new(transitions, at, report) {
                self.notifier.tell(document);
            }
        }
    }

    /// What was said is kept last, once everybody was told: what ends in between is told again, and not lost.
    fn keep_told(&mut self) {
        let owed = self.notifier.owed();
        if !owed.is_told() {
            return;
        }
        if owed.has_dropped() {
            // As after a restart: what was dropped is told, and what came since a second time.
            owed.forget_dropped();
            let confirm = NonZeroU32::new(self.options.confirm).unwrap_or(NonZeroU32::MIN);
            self.alarms = Alarms::resumed(confirm, self.told.clone());
            return;
        }
        self.told = self.alarms.standing();
        let kept = keep(&self.keeper, &self.told);
        self.shared.standing_kept(kept.err().map(|problem| problem.to_string()));
    }

    fn history_failed(&self, problem: &HistoryError) -> String {
        error!(target: TARGET, event = "history_failed", %problem, "the history lacks this sweep");
        self.shared.metrics.history_errors.inc();
        problem.to_string()
    }

    fn look_at_inventory(&mut self, again: bool) {
        match self.source.look(&self.options.sweeping, uptime(), again) {
            Change::None => {}
            Change::Taken => {
                let hosts = self.source.current().hosts().len();
                info!(target: TARGET, event = "inventory_reloaded", hosts, "a new inventory counts from now on");
                self.shared.reloaded(None);
            }
            Change::Broken(problem) => {
                let problem = harmless(&problem.to_string());
                warn!(target: TARGET, event = "inventory_broken", %problem, "the inventory before it counts on");
                self.shared.reloaded(Some(problem));
            }
        }
    }

    fn tell_late(&mut self, took: Duration) {
        let late = took > self.options.every();
        if late {
            self.shared.metrics.late_sweeps.inc();
        }
        if std::mem::replace(&mut self.late, late) != late {
            let (took, every) = (length(took), length(self.options.every()));
            match late {
                true => {
                    warn!(target: TARGET, event = "sweeps_late", took, every, "sweeps take longer than the interval: each begins when the one before has ended")
                }
                false => {
                    info!(target: TARGET, event = "sweeps_in_time", took, every, "sweeps are shorter than the interval again")
                }
            }
        }
    }
}

/// What may still be told when the sweeps have ended.
pub(super) struct Untold {
    owed: Arc<Owed>,
    standing: Standing,
    keeper: Arc<Keeper>,
}

impl Untold {
    /// Keeps what was said, where all of it was told by now. Else it is told after the next start, once more where it was in part.
    pub(super) fn keep(self) {
        if self.owed.is_told() && !self.owed.has_dropped() {
            // It is told in there that this failed.
            let _ = keep(&self.keeper, &self.standing);
        } else {
            warn!(target: TARGET, event = "notifications_left", "it ended before all changes were told: that is done after the next start");
        }
    }
}

fn keep(keeper: &Keeper, told: &Standing) -> Result<(), HistoryError> {
    let kept = keeper.with(|history| history.set_standing(told));
    if let Err(problem) = &kept {
        error!(target: TARGET, event = "alarms_not_kept", %problem, "it isn't kept which changes were told: a restart tells them again");
    }
    kept
}
