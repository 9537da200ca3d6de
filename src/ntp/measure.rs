//! One round over all sources: a report of each, their votes, an estimate.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::ask::{Addresses, Answer, AskOptions, ask_over};
use super::pace::Pace;
use super::report::{SourceReport, Verdict, Warning};
use super::resolve::{self, Family, Lookup};
use super::transport::{Transport, Udp};
use super::{KissCode, ReferenceId, ReplyLimits, Source, SourceError};
use crate::clock::{
    ClockEstimate, Limits, MaxDrift, NoEstimate, OffsetInterval, Rules, RulesError, SourceBound,
};
use crate::time::{LocalClock, RawInstant, SignedDuration, SystemReading};

/// A clock that was last set longer ago than this is worth a warning; its dispersion covers it. A day, in 2⁻³² s.
const STALE_AFTER: u64 = 86_400 << 32;

/// A leap second that one source smears and another doesn't makes them disagree by no more than this.
const SMEAR: SignedDuration = SignedDuration::from_secs(1);

/// Everything that can be set about a measurement. The default suits a handful of servers on the internet.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How each source is asked.
    pub pace: Pace,
    /// IPv4, IPv6, or both.
    pub family: Family,
    /// How long names may take to resolve, all of them together. Default 3 s. Nothing is sent before.
    pub resolve_timeout: Duration,
    /// What is refused in a reply.
    pub reply_limits: ReplyLimits,
    /// How many of the configured sources must agree; `None`: a majority.
    pub quorum: Option<usize>,
    /// Whether one source may be believed without another that bears it out. Default no.
    pub allow_single: bool,
    /// How many of the sources that answer must be allowed to lie: see [`Rules::tolerating`]. Default 0.
    pub tolerated_liars: usize,
    /// How long and how wide the estimate may become.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pace: Pace::default(),
            family: Family::Any,
            resolve_timeout: Duration::from_secs(3),
            reply_limits: ReplyLimits::default(),
            quorum: None,
            allow_single: false,
            tolerated_liars: 0,
            limits: Limits::default(),
        }
    }
}

impl Options {
    /// What they demand of so many votes.
    pub(crate) fn rules(&self, votes: usize) -> Result<Rules, RulesError> {
        Rules::new(votes, self.quorum, self.allow_single, self.limits)?.tolerating(self.tolerated_liars)
    }
}

/// What a round found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Measurement {
    /// One report for each source, in the order given.
    pub reports: Vec<SourceReport>,
    /// What the sources agree on.
    pub estimate: Result<ClockEstimate, NoEstimate>,
    /// The system clock right after the round: what offsets are relative to.
    pub reading: SystemReading,
    /// How long the host had been suspended since it booted at that reading.
    pub suspended: SignedDuration,
    /// What deserves a look although nothing was refused for it.
    pub warnings: Vec<Warning>,
}

/// Asks all sources at once and selects among what they say.
///
/// Blocks for about [`Pace::samples`] × ([`Pace::interval`] and a round trip); silent sources take
/// (1 + [`Pace::retries`]) × [`Pace::timeout`] for each address.
///
/// ```no_run
/// use skewgate::ntp::{Options, measure};
/// use skewgate::time::os::OsClock;
///
/// let sources = ["ntp1.example.org", "ntp2.example.org", "ntp3.example.org"].map(|name| name.parse().unwrap());
/// let measurement = measure(&sources, &Options::default(), &OsClock)?;
/// for report in &measurement.reports {
///     println!("{}: {:?}", report.source.as_given(), report.verdict);
/// }
/// let estimate = measurement.estimate?;
/// let offset = estimate.system_offset(&measurement.reading, measurement.suspended)?;
/// println!("this clock is {} ± {:?} behind", offset.midpoint(), offset.half_width());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// From async code, run it where blocking is allowed; here with tokio:
///
/// ```no_run
/// use skewgate::ntp::{Measurement, Options, Source, measure};
/// use skewgate::time::os::OsClock;
///
/// async fn look(sources: Vec<Source>) -> Result<Measurement, Box<dyn std::error::Error>> {
///     let round = move || measure(&sources, &Options::default(), &OsClock);
///     Ok(tokio::task::spawn_blocking(round).await??)
/// }
/// ```
///
/// # Errors
///
/// [`RulesError`] where the sources and the quorum make no sense together. Whatever goes wrong with a source
/// is in its report, and too little agreement in [`Measurement::estimate`].
pub fn measure(
    sources: &[Source],
    options: &Options,
    clock: &dyn LocalClock,
) -> Result<Measurement, RulesError> {
    measure_over(&Udp, sources, options, clock)
}

/// As [`measure`], over a network of the caller's: special sockets, or a simulation.
///
/// Names are looked up by this host's resolver all the same.
///
/// # Errors
///
/// As [`measure`].
pub fn measure_over(
    transport: &dyn Transport,
    sources: &[Source],
    options: &Options,
    clock: &dyn LocalClock,
) -> Result<Measurement, RulesError> {
    measure_except(transport, sources, &[], options, clock)
}

/// Likewise, leaving those sources alone whose kiss is still to be obeyed. They count as configured.
pub(crate) fn measure_except(
    transport: &dyn Transport,
    sources: &[Source],
    resting: &[Option<KissCode>],
    options: &Options,
    clock: &dyn LocalClock,
) -> Result<Measurement, RulesError> {
    // Before anything is sent: a quorum that can't be had is the caller's mistake, whatever resolves later.
    options.rules(sources.len())?;
    // From before the first exchange: a suspend in the middle of the round voids its estimate too.
    let suspended = clock.suspended();
    let resting = resting.iter().copied().chain(std::iter::repeat(None));
    let lookups = sources.iter().zip(resting).map(|(source, resting)| Lookup::of(source.address(), resting));
    let mut resolved =
        resolve::SYSTEM.resolve(lookups, options.family, options.resolve_timeout, clock, transport);
    let addresses = resolved.iter_mut().map(|found| match found {
        Ok(addresses) => Addresses::from(std::mem::take(addresses)),
        Err(_) => Vec::new().into(),
    });
    let max_drift = options.limits.max_drift;
    let AskOptions { purpose, .. } = AskOptions::default();
    let how = AskOptions { purpose, pace: options.pace, reply_limits: options.reply_limits, max_drift };
    let answers = ask_over(transport, addresses, &how, clock);
    let reading = clock.system();
    let slept = clock.suspended();

    let mut reports: Vec<SourceReport> = sources
        .iter()
        .zip(resolved)
        .zip(answers)
        .map(|((source, resolved), answer)| report(source, resolved.err(), answer, max_drift, &reading))
        .collect();

    let parties = Parties::of(&reports);
    let estimate = parties.estimate(&reports, options, suspended);
    for report in &mut reports {
        report.verdict = verdict(report, estimate.as_ref().ok());
    }
    let mut warnings = warnings(&parties, &reports);
    warnings.extend(mixed_smear(&reports, reading.after, max_drift));
    Ok(Measurement { reports, estimate, reading, suspended: slept, warnings })
}

fn report(
    source: &Source,
    unresolved: Option<SourceError>,
    answer: Answer,
    max_drift: MaxDrift,
    reading: &SystemReading,
) -> SourceReport {
    let Answer { address, samples, header, error } = answer;
    let error = error.map(|error| *error);
    let (bound, error) = match SourceBound::from_samples(&samples, max_drift) {
        Ok(bound) => (Some(bound), error),
        Err(_) if samples.is_empty() => (None, unresolved.or(error)),
        // It must be obeyed, whatever was said before it.
        Err(_) if matches!(error, Some(SourceError::Kiss(_))) => (None, error),
        Err(inconsistent) => (None, Some(inconsistent.into())),
    };
    let mut report =
        SourceReport { source: source.clone(), address, verdict: None, bound, offset: None, header, error };
    report.offset = report.vote().map(|vote| vote.offset_at(reading.after, max_drift).minus_system(reading));
    report
}

fn verdict(report: &SourceReport, estimate: Option<&ClockEstimate>) -> Option<Verdict> {
    match (report.vote(), estimate, &report.error) {
        (Some(vote), Some(estimate), _) if estimate.is_truechimer(&vote) => Some(Verdict::Truechimer),
        (Some(_), Some(_), _) => Some(Verdict::Falseticker),
        (Some(_), None, _) | (None, _, Some(SourceError::Cancelled)) => None,
        (None, _, Some(error)) => Some(error.into()),
        (None, _, None) => Some(Verdict::Unreachable),
    }
}

/// Which sources vote together: one vote for each group, and one for each address.
struct Parties {
    /// Indices of reports; every report is in exactly one.
    members: Vec<Vec<usize>>,
}

impl Parties {
    fn of(reports: &[SourceReport]) -> Self {
        let mut by_group: HashMap<&str, usize> = HashMap::new();
        let mut by_address: HashMap<SocketAddr, usize> = HashMap::new();
        let mut members: Vec<Vec<usize>> = Vec::new();
        for (index, report) in reports.iter().enumerate() {
            let (group, address) = (report.source.group_name(), report.address);
            let of_group = group.and_then(|group| by_group.get(group)).copied();
            let of_address = address.and_then(|address| by_address.get(&address)).copied();
            let party = match (of_group, of_address) {
                // Its group's party and its address's become one.
                (Some(party), Some(other)) if party != other => {
                    for member in std::mem::take(&mut members[other]) {
                        by_group.extend(reports[member].source.group_name().map(|group| (group, party)));
                        by_address.extend(reports[member].address.map(|address| (address, party)));
                        members[party].push(member);
                    }
                    party
                }
                (Some(party), _) | (None, Some(party)) => party,
                (None, None) => {
                    members.push(Vec::new());
                    members.len() - 1
                }
            };
            by_group.extend(group.map(|group| (group, party)));
            by_address.extend(address.map(|address| (address, party)));
            members[party].push(index);
        }
        members.retain(|party| !party.is_empty());
        Self { members }
    }

    /// The first usable source of each party speaks for it; silent parties count among the configured.
    fn estimate(
        &self,
        reports: &[SourceReport],
        options: &Options,
        suspended: SignedDuration,
    ) -> Result<ClockEstimate, NoEstimate> {
        let rules = options.rules(self.members.len()).map_err(NoEstimate::TooFewVotes)?;
        let votes: Vec<_> = self
            .members
            .iter()
            .filter_map(|party| party.iter().find_map(|&member| reports[member].vote()))
            .collect();
        ClockEstimate::from_votes(&votes, &rules, suspended)
    }
}

fn warnings(parties: &Parties, reports: &[SourceReport]) -> Vec<Warning> {
    let given = |index: usize| reports[index].source.as_given().to_owned();
    let mut warnings = Vec::new();
    for party in &parties.members {
        let grouped = party.iter().all(|&member| reports[member].source.group_name().is_some());
        if party.len() > 1 && !grouped {
            warnings.push(Warning::SharedVote { sources: party.iter().copied().map(given).collect() });
        }
    }
    // Two of one party share their upstream anyway: one of each is compared.
    let mut upstreams: Vec<(ReferenceId, Vec<String>)> = Vec::new();
    for party in &parties.members {
        let Some(&member) = party.iter().find(|&&member| reports[member].vote().is_some()) else { continue };
        let Some(id) = reports[member].upstream() else { continue };
        match upstreams.iter_mut().find(|(known, _)| *known == id) {
            Some((_, sources)) => sources.push(given(member)),
            None => upstreams.push((id, vec![given(member)])),
        }
    }
    for (reference_id, sources) in upstreams {
        if sources.len() > 1 {
            warnings.push(Warning::CommonUpstream { reference_id, sources });
        }
    }
    for report in reports.iter().filter(|report| report.vote().is_some()) {
        if report.header.is_some_and(|header| {
            // On the wire, as the reference time may lie in another era, or before the release date.
            let age = header.transmit.0.wrapping_sub(header.reference.0);
            header.reference.is_zero() || age > STALE_AFTER
        }) {
            warnings.push(Warning::StaleReference { source: report.source.as_given().to_owned() });
        }
        let smears = report.header.is_some_and(|header| header.reference_id == ReferenceId::CHRONY_SMEAR);
        if smears && !report.source.is_smeared() {
            warnings.push(Warning::UndeclaredSmear { source: report.source.as_given().to_owned() });
        }
    }
    warnings
}

/// Looks for declared sources and others that miss each other by no more than a smear explains.
fn mixed_smear(reports: &[SourceReport], now: RawInstant, max_drift: MaxDrift) -> Option<Warning> {
    let served = |report: &SourceReport| {
        report.bound.map(|SourceBound { anchor, bound, .. }| bound.aged(now - anchor, max_drift))
    };
    let (smeared, others): (Vec<_>, Vec<_>) = reports
        .iter()
        .filter_map(|report| Some((&report.source, served(report)?)))
        .partition(|(source, _)| source.is_smeared());
    let (smeared, others) = (just_missing(&smeared, &others), just_missing(&others, &smeared));
    (!smeared.is_empty()).then_some(Warning::MixedSmear { smeared, others })
}

/// Those of some sources that miss one of the others by no more than [`SMEAR`], as given.
fn just_missing(some: &[(&Source, OffsetInterval)], others: &[(&Source, OffsetInterval)]) -> Vec<String> {
    let sorted = |end: fn(OffsetInterval) -> SignedDuration| {
        let mut ends: Vec<_> = others.iter().map(|(_, other)| end(*other)).collect();
        ends.sort_unstable();
        ends
    };
    let (los, his) = (sorted(OffsetInterval::lo), sorted(OffsetInterval::hi));
    let just_missed = |offset: OffsetInterval| {
        let above = los.get(los.partition_point(|lo| *lo <= offset.hi()));
        let below = his[..his.partition_point(|hi| *hi < offset.lo())].last();
        above.is_some_and(|lo| *lo - offset.hi() <= SMEAR)
            || below.is_some_and(|hi| offset.lo() - *hi <= SMEAR)
    };
    let missing = some.iter().filter(|(_, offset)| just_missed(*offset));
    missing.map(|(source, _)| source.as_given().to_owned()).collect()
}
