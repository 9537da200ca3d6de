//! Every host of an inventory, asked at once. The only file of the fleet that does I/O.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::report::{Identity, Outcome};
use super::upstream::Approved;
use super::{Flag, HostReport, Inventory, Reading, Reference, Report, Upstream};
use crate::clock::{MaxDrift, RulesError, SUSPEND_THRESHOLD};
use crate::ntp::{
    Addresses, Answer, AskOptions, Family, Measurement, Options, Pace, Purpose, ReplyLimits, SourceAddr,
    SourceError, Transport, Udp, ask_watched, measure_over, resolve_many,
};
use crate::time::LocalClock;

/// Everything that can be set about a sweep.
#[derive(Clone, Copy, Debug)]
pub struct SweepOptions {
    /// How the hosts are asked.
    pub pace: Pace,
    /// IPv4, IPv6, or both.
    pub family: Family,
    /// How long names may take to resolve, all of them together. Default 30 s. No host is asked before.
    pub resolve_timeout: Duration,
    /// How long a host may hold a request, default 4 s: one that takes longer is rejected.
    pub max_hold: Duration,
    /// How far the rate of a host's clock may differ from that of the raw timeline. Default 1,000 ppm: half of it is a
    /// frequency error that a daemon is about to correct, half its correction. It carries the samples of one host from the
    /// first to the last.
    pub host_drift: MaxDrift,
    /// How the reference sources are asked, and what they must agree on.
    pub reference: Options,
    /// How often the reference is measured while hosts are asked. Default 10 s.
    pub reference_interval: Duration,
    /// How often hosts whose bound lies on both sides of the threshold are asked for as many samples again. Default 2.
    pub more_rounds: u32,
}

impl Default for SweepOptions {
    fn default() -> Self {
        Self {
            pace: Pace::default(),
            family: Family::Any,
            resolve_timeout: Duration::from_secs(30),
            max_hold: ReplyLimits::default().max_hold,
            host_drift: MaxDrift::from_ppm(1_000),
            reference: Options::default(),
            reference_interval: Duration::from_secs(10),
            more_rounds: 2,
        }
    }
}

/// What a sweep is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Names are looked up.
    Names,
    /// The reference sources are asked.
    Reference,
    /// The hosts are asked.
    Hosts,
    /// Those whose bound lies on both sides of the threshold are asked again.
    MoreSamples,
}

/// How far a sweep has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What it is at.
    pub phase: Phase,
    /// So many hosts are done with that.
    pub done: usize,
    /// Of so many; 0 where they can't be counted.
    pub of: usize,
}

/// Why there is no report. Whatever goes wrong with a host is in its report, and doesn't end a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// The reference sources and the quorum make no sense together.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The raw timeline stood still meanwhile: what was measured before can't be compared with what was measured after.
    #[error("this host was suspended for {slept:?} during the sweep: sweep again")]
    Suspended {
        /// How long it slept.
        slept: Duration,
    },
    /// [`Transport::cancelled`] ended it.
    #[error("the sweep was called off before it was done")]
    Cancelled,
}

/// Asks every host and the reference sources, and says whose clock is off.
///
/// Blocks for about (hosts × [`Pace::samples`]) / [`Pace::max_rate`], and for two rounds over the reference; a second thread measures
/// the reference while the hosts are asked. `progress` is called often: it must not take long.
///
/// # Errors
///
/// [`SweepError`] where nothing can be said of any host.
pub fn sweep(
    inventory: &Arc<Inventory>,
    options: &SweepOptions,
    clock: &dyn LocalClock,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, SweepError> {
    sweep_over(&Udp, inventory, options, clock, progress)
}

/// As [`sweep`], over a network of the caller's: special sockets, or a simulation.
///
/// # Errors
///
/// As [`sweep`].
pub fn sweep_over(
    transport: &dyn Transport,
    inventory: &Arc<Inventory>,
    options: &SweepOptions,
    clock: &dyn LocalClock,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, SweepError> {
    options.reference.rules(inventory.references().len())?;
    let (start, suspended) = (clock.raw(), clock.suspended());
    let mut sweep = Sweep { transport, inventory, options, clock, rounds: Vec::new(), outcomes: Vec::new() };
    let addresses = sweep.resolve(progress);
    let approved = sweep.approved();
    sweep.measure_reference(progress)?;
    sweep.ask_all(addresses, progress)?;
    sweep.measure_reference(progress)?;
    for _ in 0..options.more_rounds {
        let undecided = sweep.undecided(&approved);
        if undecided.is_empty() {
            break;
        }
        sweep.ask_again(&undecided, progress)?;
        sweep.measure_reference(progress)?;
    }
    let slept = clock.suspended() - suspended;
    if slept > SUSPEND_THRESHOLD {
        return Err(SweepError::Suspended { slept: slept.unsigned_abs() });
    }
    if transport.cancelled() {
        return Err(SweepError::Cancelled);
    }
    let took = (clock.raw() - start).unsigned_abs();
    let Sweep { rounds, outcomes, .. } = sweep;
    let (reference, measured_at) = (Reference::new(rounds), clock.system().realtime);
    Ok(Report::new(inventory.clone(), reference, outcomes, &approved, measured_at, took))
}

struct Sweep<'a> {
    transport: &'a dyn Transport,
    inventory: &'a Inventory,
    options: &'a SweepOptions,
    clock: &'a dyn LocalClock,
    rounds: Vec<Measurement>,
    /// One for each host, in order.
    outcomes: Vec<Outcome>,
}

impl Sweep<'_> {
    fn lookup<'b>(
        &self,
        hosts: impl Iterator<Item = &'b SourceAddr>,
        family: Family,
        done: &mut dyn FnMut(),
    ) -> Vec<Result<Addresses, SourceError>> {
        let timeout = self.options.resolve_timeout;
        resolve_many(hosts, family, timeout, self.clock, self.transport, done)
    }

    /// Where the hosts are; none for those that can't be found, which have an outcome then.
    fn resolve(&mut self, progress: &mut dyn FnMut(Progress)) -> Vec<Addresses> {
        let hosts = self.inventory.hosts();
        let mut done = counting(Phase::Names, hosts.len(), progress);
        let found = self.lookup(hosts.iter().map(|host| host.address()), self.options.family, &mut done);
        let mut outcomes = Vec::with_capacity(hosts.len());
        let addresses = found.into_iter().map(|found| {
            let (addresses, error) = match found {
                Ok(addresses) => (addresses, None),
                Err(error) => (Vec::new().into(), Some(error.into())),
            };
            outcomes.push(Outcome { error, ..Outcome::default() });
            addresses
        });
        let addresses = addresses.collect();
        self.outcomes = outcomes;
        addresses
    }

    /// The approved upstreams of each group, by address. All families: a host may follow a server over another one than it is
    /// asked over.
    fn approved(&self) -> Vec<Approved> {
        let mut servers: Vec<&SourceAddr> = Vec::new();
        for upstream in self.inventory.groups().iter().flat_map(|group| &group.upstreams) {
            match upstream {
                Upstream::Server(server) if !servers.contains(&server) => servers.push(server),
                _ => {}
            }
        }
        let found = self.lookup(servers.iter().copied(), Family::Any, &mut || {});
        let found: HashMap<&SourceAddr, &[SocketAddr]> = servers
            .into_iter()
            .zip(&found)
            .filter_map(|(server, found)| Some((server, found.as_ref().ok()?.as_slice())))
            .collect();
        let groups = self.inventory.groups().iter();
        groups.map(|group| Approved::new(&group.upstreams, |server| found.get(server).copied())).collect()
    }

    fn measure_reference(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(), SweepError> {
        progress(Progress { phase: Phase::Reference, done: 0, of: 0 });
        let references = self.inventory.references();
        let round = measure_over(self.transport, references, &self.options.reference, self.clock)?;
        self.rounds.push(round);
        Ok(())
    }

    fn how(&self) -> AskOptions {
        AskOptions {
            purpose: Purpose::ClockReading,
            pace: self.options.pace,
            reply_limits: ReplyLimits { max_hold: self.options.max_hold, ..ReplyLimits::default() },
            max_drift: self.options.host_drift,
        }
    }

    fn ask_all(
        &mut self,
        addresses: Vec<Addresses>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), SweepError> {
        let askable = addresses.iter().filter(|addresses| !addresses.as_slice().is_empty()).count();
        let answers = self.ask(addresses, &mut counting(Phase::Hosts, askable, progress))?;
        for (outcome, answer) in self.outcomes.iter_mut().zip(answers) {
            // One that was not asked keeps its error.
            if answer.address.is_some() {
                *outcome = outcome_of(answer, self.options.host_drift);
            }
        }
        Ok(())
    }

    /// The hosts of which more samples may tell whether they are off: what is not certain is theirs more than the
    /// reference's.
    fn undecided(&self, approved: &[Approved]) -> Vec<(usize, SocketAddr)> {
        let reference = Reference::new(self.rounds.clone());
        let undecided = |(index, outcome): (usize, &Outcome)| {
            let (reading, address) = (outcome.reading?, outcome.address?);
            let host = &self.inventory.hosts()[index];
            let group = self.inventory.group_of(host);
            let report =
                HostReport::of(outcome.clone(), group, approved.get(host.group().index())?, &reference);
            let truth = reference.offset_at(reading.anchor)?;
            let may_help = reading.clock.half_width() > truth.half_width();
            (report.flags.contains(Flag::Inconclusive) && may_help).then_some((index, address))
        };
        self.outcomes.iter().enumerate().filter_map(undecided).collect()
    }

    fn ask_again(
        &mut self,
        hosts: &[(usize, SocketAddr)],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), SweepError> {
        // Where they answered before.
        let addresses = hosts.iter().map(|&(_, address)| address.into()).collect();
        let answers = self.ask(addresses, &mut counting(Phase::MoreSamples, hosts.len(), progress))?;
        let host_drift = self.options.host_drift;
        for (&(index, _), answer) in hosts.iter().zip(answers) {
            let outcome = &mut self.outcomes[index];
            let (Some(before), Some(later)) =
                (outcome.reading, Reading::from_samples(&answer.samples, host_drift))
            else {
                continue;
            };
            outcome.reading = Some(before.and_later(later, host_drift));
            outcome.identity = answer.header.as_ref().map(Identity::from).or(outcome.identity);
        }
        Ok(())
    }

    /// Asks hosts while another thread goes on measuring the reference.
    fn ask(&mut self, addresses: Vec<Addresses>, done: &mut dyn FnMut()) -> Result<Vec<Answer>, SweepError> {
        let how = self.how();
        let unwanted = AtomicBool::new(false);
        let quiet = Until { transport: self.transport, unwanted: &unwanted };
        let (stop, stopped) = mpsc::channel::<()>();
        let (references, options, clock) = (self.inventory.references(), self.options, self.clock);
        let quiet = &quiet;
        let measure = move || {
            let mut rounds = Vec::new();
            while stopped.recv_timeout(options.reference_interval) == Err(mpsc::RecvTimeoutError::Timeout) {
                rounds.extend(measure_over(quiet, references, &options.reference, clock));
            }
            rounds
        };
        let (answers, rounds) = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("skewgate-reference".into());
            let measuring = thread.spawn_scoped(scope, measure);
            let answers = ask_watched(self.transport, addresses, &how, clock, done);
            unwanted.store(true, Ordering::Relaxed);
            drop(stop);
            // Without the thread there are the rounds before and after: wider bounds, as true.
            (answers, measuring.ok().and_then(|thread| thread.join().ok()).unwrap_or_default())
        });
        self.rounds.extend(rounds);
        match self.transport.cancelled() {
            true => Err(SweepError::Cancelled),
            false => Ok(answers),
        }
    }
}

fn outcome_of(answer: Answer, host_drift: MaxDrift) -> Outcome {
    Outcome {
        address: answer.address,
        reading: Reading::from_samples(&answer.samples, host_drift),
        identity: answer.header.as_ref().map(Identity::from),
        error: answer.error,
    }
}

/// Tells of one more each time that it is called.
fn counting(phase: Phase, of: usize, progress: &mut dyn FnMut(Progress)) -> impl FnMut() {
    progress(Progress { phase, done: 0, of });
    let mut done = 0;
    move || {
        done += 1;
        progress(Progress { phase, done, of });
    }
}

/// A network that is of use until the hosts have been asked: a round that isn't done by then gives way to the last one.
struct Until<'a> {
    transport: &'a dyn Transport,
    unwanted: &'a AtomicBool,
}

impl Transport for Until<'_> {
    fn open(&self) -> Box<dyn crate::ntp::Sockets> {
        self.transport.open()
    }

    fn cancelled(&self) -> bool {
        self.unwanted.load(Ordering::Relaxed) || self.transport.cancelled()
    }
}
