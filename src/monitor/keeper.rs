//! When to measure, what to publish, and what to notice meanwhile: all that the monitor's thread does, without the
//! thread. It never waits but for replies; it says how long to wait, so that a simulation can drive it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::RoundError;
use super::event::ClockEvent;
use super::shared::Shared;
use crate::clock::{ClockEstimate, NoEstimate, SUSPEND_THRESHOLD};
use crate::ntp::{
    Backoff, KissCode, Measurement, Options, Source, SourceAddr, SourceError, SourceReport, Transport,
    Verdict, measure_except,
};
use crate::time::{RawInstant, SignedDuration, SystemReading, TimeInterval};

/// How often the clocks are looked at between two rounds.
const LOOK_UP: Duration = Duration::from_secs(1);

/// The pause after a round that leaves no interval to give out, or an estimate to be confirmed. It doubles up to the
/// interval: sources that don't answer, or not alike, are not helped by being asked more (RFC 8633 §3).
const HURRY: Duration = Duration::from_secs(5);

/// So long before the published estimate expires, there is another round.
const MARGIN: Duration = Duration::from_secs(60);

/// A smaller change of REALTIME − BOOTTIME can't be told from the noise of reading two clocks.
const STEP_THRESHOLD: SignedDuration = SignedDuration::from_millis(1);

pub(super) struct Keeper {
    pub(super) sources: Vec<Source>,
    options: Options,
    pub(super) interval: Duration,
    transport: Box<dyn Transport>,
    pub(super) shared: Arc<Shared>,
    dice: Box<dyn FnMut() -> u32 + Send>,
    /// For each source: the kiss that is obeyed, and what was last told of it.
    backoffs: Vec<Backoff>,
    verdicts: Vec<Verdict>,
    /// Sources that went away while a kiss of theirs was to be obeyed.
    former: Vec<Former>,
    /// A new estimate that contradicts the published one.
    unconfirmed: Option<ClockEstimate>,
    /// When the next round begins.
    pub(super) due: RawInstant,
    /// The pause after the next round that settles nothing.
    hurry: Duration,
    pub(super) spur: Spur,
    /// What was last seen of the clocks.
    suspended: SignedDuration,
    system: Option<SystemReading>,
    /// Whether there was an interval to give out when it was last looked at.
    trusted: bool,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Measure.
    Round,
    /// Look again after at most so long.
    Wait(Duration),
}

/// Rounds out of turn, because the system clock was stepped or the sources were replaced. The first is at once; where that
/// goes on, the rounds keep a distance that doubles up to the interval: a clock that is stepped every second must not
/// become a flood of requests.
#[derive(Default)]
pub(super) struct Spur {
    last_round: Option<RawInstant>,
    distance: Duration,
    given: bool,
}

impl Spur {
    /// Something happened: when to measure.
    pub(super) fn give(&mut self, now: RawInstant) -> RawInstant {
        self.given = true;
        self.after(self.distance, now)
    }

    /// Now, or so long after the last round began.
    fn after(&self, distance: Duration, now: RawInstant) -> RawInstant {
        let kept = self.last_round.map(|last| last + SignedDuration::from(distance));
        kept.map_or(now, |kept| kept.max(now))
    }

    /// A round begins.
    pub(super) fn take(&mut self, now: RawInstant, interval: Duration) {
        let longer = self.distance.saturating_mul(2).max(HURRY).min(interval);
        self.distance = if self.given { longer } else { Duration::ZERO };
        self.given = false;
        self.last_round = Some(now);
    }
}

/// A source that is configured no more.
struct Former {
    address: SourceAddr,
    backoff: Backoff,
    verdict: Verdict,
}

impl Keeper {
    /// `dice` shortens and stretches the pauses by up to a tenth.
    pub(super) fn new(
        sources: Vec<Source>,
        options: Options,
        interval: Duration,
        transport: Box<dyn Transport>,
        shared: Arc<Shared>,
        dice: Box<dyn FnMut() -> u32 + Send>,
    ) -> Self {
        Self {
            backoffs: vec![Backoff::default(); sources.len()],
            // Only what is not as it should be is worth a word in the beginning.
            verdicts: vec![Verdict::Truechimer; sources.len()],
            sources,
            former: Vec::new(),
            options,
            interval,
            transport,
            dice,
            unconfirmed: None,
            due: shared.clock.raw(),
            hurry: HURRY,
            spur: Spur::default(),
            suspended: shared.clock.suspended(),
            system: None,
            trusted: false,
            shared,
        }
    }

    /// Looks at the clocks, and says what to do.
    pub(super) fn look(&mut self) -> Next {
        self.notice_suspend();
        self.notice_step();
        self.take_new_sources();
        self.tell_trust();
        let left = self.due - self.shared.clock.raw();
        if left <= SignedDuration::ZERO { Next::Round } else { Next::Wait(left.unsigned_abs().min(LOOK_UP)) }
    }

    /// Measures once, and settles when the next time will be.
    pub(super) fn round(&mut self) {
        self.spur.take(self.shared.clock.raw(), self.interval);
        // A defect in a round must not end all rounds: the estimate would die a day later, with nobody to say why.
        let result = catch_unwind(AssertUnwindSafe(|| self.measure())).unwrap_or(Err(RoundError::Panicked));
        if self.shared.state().stop {
            // It was broken off: what it found says nothing of the sources.
            return;
        }
        let error = result.err();
        if let Some(error) = &error {
            ClockEvent::RoundFailed { error }.emit();
        }
        let now = self.shared.clock.raw();
        let holds = self.shared.estimate().filter(|_| self.shared.now().is_ok());
        let waits_for_another = matches!(error, Some(RoundError::Contradicts { .. }));
        let left = match holds {
            Some(estimate) if !waits_for_another => estimate.expires() - now,
            _ => SignedDuration::ZERO,
        };
        self.due = now + SignedDuration::from(self.next_pause(left.max(SignedDuration::ZERO).unsigned_abs()));
        self.shared.change(|state| {
            state.last_error = error;
            state.counts.rounds += 1;
            state.counts.failed_rounds += u64::from(error.is_some());
        });
        self.tell_trust();
    }

    /// The interval, where the published estimate outlives it. Otherwise sooner: while it is `left`, but no sooner than
    /// the rounds that settle nothing allow, whose pauses double.
    pub(super) fn next_pause(&mut self, left: Duration) -> Duration {
        // Between nine and eleven tenths of it.
        let jittered = |length: Duration, share: u32| length / 1_000 * (900 + share % 201);
        let share = (self.dice)();
        if left > self.interval / 10 * 11 {
            self.hurry = HURRY;
            return jittered(self.interval, share);
        }
        let in_time = (left / 11 * 10).saturating_sub(MARGIN);
        let length = in_time.max(self.hurry).min(self.interval);
        self.hurry = self.hurry.saturating_mul(2).min(self.interval);
        jittered(length, share)
    }

    fn measure(&mut self) -> Result<(), RoundError> {
        let clock = &*self.shared.clock;
        let now = clock.raw();
        let resting: Vec<_> = self.backoffs.iter().map(|backoff| backoff.obeyed(now)).collect();
        let measurement = measure_except(&*self.transport, &self.sources, &resting, &self.options, clock)
            .map_err(NoEstimate::TooFewVotes)?;
        if self.shared.state().stop {
            return Ok(());
        }
        self.note_kisses(&measurement, &resting);
        self.tell_verdicts(&measurement.reports);
        let estimate = measurement.estimate;
        self.shared.state().last = Some(Arc::new(measurement));
        self.consider(estimate?)
    }

    fn note_kisses(&mut self, measurement: &Measurement, resting: &[Option<KissCode>]) {
        let now = self.shared.clock.raw();
        let max_age = self.options.limits.max_age;
        for ((backoff, report), resting) in self.backoffs.iter_mut().zip(&measurement.reports).zip(resting) {
            let kiss = match report.error {
                Some(SourceError::Kiss(kiss)) => Some(kiss),
                _ => None,
            };
            if resting.is_none() {
                let answered = report.bound.is_some() || report.header.is_some();
                backoff.note(kiss, answered, now, self.interval, max_age);
            }
        }
    }

    /// Publishes an estimate; one that contradicts the published one only when a second round bears it out.
    /// Either the old or the new one is wrong then, and whoever forged the new one must do it twice.
    pub(super) fn consider(&mut self, new: ClockEstimate) -> Result<(), RoundError> {
        let clock = &*self.shared.clock;
        let (raw, suspended) = (clock.raw(), clock.suspended());
        let now = new.at(raw, suspended).map_err(RoundError::Useless)?;
        // Nothing can be said of one that does not hold any more.
        let gap_to = |old: ClockEstimate| old.at(raw, suspended).ok().map(|old| gap(&old, &now));
        let published = self.shared.estimate();
        match published.and_then(gap_to) {
            Some(Some(by)) => {
                if self.unconfirmed.and_then(gap_to) != Some(None) {
                    self.unconfirmed = Some(new);
                    return Err(RoundError::Contradicts { by });
                }
                ClockEvent::JumpConfirmed.emit();
            }
            // Whoever delays packets can make a new one wide: it must not take the place of one that lasts longer.
            Some(None) if published.is_some_and(|old| old.expires() > new.expires()) => {
                return Err(RoundError::Wide { half_width: now.half_width() });
            }
            _ => {}
        }
        self.unconfirmed = None;
        self.shared.publish(new);
        if new.contested() && !published.is_some_and(|published| published.contested()) {
            ClockEvent::Contested.emit();
        }
        Ok(())
    }

    /// What was measured before a suspend is void: it is measured again at once, unless that was done just now.
    fn notice_suspend(&mut self) {
        let clock = &*self.shared.clock;
        let suspended = clock.suspended();
        let slept = suspended - self.suspended;
        if slept > SUSPEND_THRESHOLD {
            self.suspended = suspended;
            self.due = self.due.min(self.spur.after(HURRY, clock.raw()));
            ClockEvent::HostSuspended { slept }.emit();
            self.shared.change(|state| state.counts.suspends += 1);
        }
    }

    /// The estimate stands, since it does not use the system clock. But whoever steps that clock believes that it was
    /// wrong, or makes it so: reports should say soon by how much it is off now.
    fn notice_step(&mut self) {
        let clock = &*self.shared.clock;
        let system = clock.system();
        // An interrupted reading says nothing: the next look does.
        if system.after - system.before > STEP_THRESHOLD.half() {
            return;
        }
        let Some(before) = self.system.replace(system) else { return };
        let step = system.since_boot() - before.since_boot();
        if step.unsigned_abs() > STEP_THRESHOLD.unsigned_abs() {
            self.due = self.due.min(self.spur.give(clock.raw()));
            ClockEvent::ClockStepped { step }.emit();
            self.shared.change(|state| state.counts.clock_steps += 1);
        }
    }

    /// From here on other sources are measured, at once unless they change again and again. What is known of those that
    /// stay is kept, and a kiss of those that go: it is obeyed however often they come back.
    fn take_new_sources(&mut self) {
        let Some(sources) = self.shared.state().new_sources.take() else { return };
        let same = sources.len() == self.sources.len()
            && sources.iter().all(|source| count(&sources, source) == count(&self.sources, source));
        if same {
            // Their order means nothing.
            return;
        }
        let now = self.shared.clock.raw();
        let known = self.sources.iter().zip(self.backoffs.drain(..).zip(self.verdicts.drain(..)));
        for (source, (backoff, verdict)) in known {
            self.former.push(Former { address: source.address().clone(), backoff, verdict });
        }
        for source in &sources {
            let before = self.former.iter().position(|former| former.address == *source.address());
            let (backoff, verdict) = match before.map(|index| self.former.swap_remove(index)) {
                Some(former) => (former.backoff, former.verdict),
                None => (Backoff::default(), Verdict::Truechimer),
            };
            self.backoffs.push(backoff);
            self.verdicts.push(verdict);
        }
        self.former.retain(|former| former.backoff.obeyed(now).is_some());
        self.sources = sources;
        // It was what the old sources said.
        self.unconfirmed = None;
        self.due = self.due.min(self.spur.give(now));
        ClockEvent::SourcesReplaced { sources: self.sources.len() }.emit();
    }

    fn tell_trust(&mut self) {
        let now = self.shared.now();
        match now {
            Ok(now) if !self.trusted => ClockEvent::TimeFound { half_width: now.half_width() }.emit(),
            Err(error) if self.trusted => ClockEvent::TimeLost { error }.emit(),
            _ => {}
        }
        self.trusted = now.is_ok();
    }

    fn tell_verdicts(&mut self, reports: &[SourceReport]) {
        for (told, report) in self.verdicts.iter_mut().zip(reports) {
            let Some(verdict) = report.verdict.filter(|verdict| verdict != told) else { continue };
            *told = verdict;
            let reason = match (&report.error, report.offset) {
                (Some(error), _) => error.to_string(),
                (None, Some(offset)) => {
                    format!(
                        "true time would be {} ± {:?} from the system clock",
                        offset.midpoint(),
                        offset.half_width()
                    )
                }
                (None, None) => String::new(),
            };
            ClockEvent::SourceChanged { source: report.source.as_given(), verdict, reason }.emit();
        }
    }
}

/// How far a new interval is from an old one: positive where it is later, `None` where they overlap.
fn gap(old: &TimeInterval, new: &TimeInterval) -> Option<SignedDuration> {
    let (later, earlier) = (new.earliest() - old.latest(), new.latest() - old.earliest());
    if later > SignedDuration::ZERO {
        Some(later)
    } else {
        (earlier < SignedDuration::ZERO).then_some(earlier)
    }
}

fn count(sources: &[Source], source: &Source) -> usize {
    sources.iter().filter(|other| *other == source).count()
}
