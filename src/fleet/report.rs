//! What a sweep found. Pure.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::upstream::{Approved, Follows};
use super::{
    Flag, Flags, Group, GroupId, Host, Inventory, Measures, Pair, Reading, Reference, State, Summary,
};
use crate::clock::{Leap, OffsetInterval};
use crate::ntp::{Header, ReferenceId, SourceError, Verdict};
use crate::time::{SignedDuration, Timestamp};

/// What a sweep found: all that outputs and a history need, and nothing that changes any more.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Which hosts were asked.
    pub inventory: Arc<Inventory>,
    /// What the system clock of the host that measured showed at the end.
    pub measured_at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What the hosts were compared with.
    pub reference: Reference,
    /// One for each host of the inventory, in its order.
    pub hosts: Vec<HostReport>,
    /// The two that are farthest apart; `None` where fewer than two were read.
    pub worst_pair: Option<Pair>,
    /// How many are in which state.
    pub summary: Summary,
}

/// What came of one host.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HostReport {
    /// The address that answered, or the last one that was asked; `None` where the name did not resolve.
    pub address: Option<SocketAddr>,
    /// What its replies prove of its clock.
    pub reading: Option<Reading>,
    /// Its time minus true time: positive where it is ahead. `None` where it was not read, or true time is not known.
    pub skew: Option<OffsetInterval>,
    /// What it says of itself.
    pub identity: Option<Identity>,
    /// All that holds of it.
    pub flags: Flags,
    /// Why it was not read, or not to the end.
    pub error: Option<Box<SourceError>>,
}

/// What a host says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The leap indicator.
    pub leap: Leap,
    /// Steps from a reference clock; 0 and 16 upwards mean none.
    pub stratum: u8,
    /// Who or what it follows.
    pub reference_id: ReferenceId,
}

impl Identity {
    /// Whether it says that it knows the time.
    #[must_use]
    pub const fn is_synchronised(&self) -> bool {
        !matches!(self.leap, Leap::Unsynchronised) && self.stratum >= 1 && self.stratum < 16
    }
}

impl From<&Header> for Identity {
    fn from(header: &Header) -> Self {
        Self { leap: header.leap, stratum: header.stratum, reference_id: header.reference_id }
    }
}

/// How far off any host may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Margin {
    /// No host that was compared with true time is farther off, either way.
    pub of_measured: Duration,
    /// Of so many hosts nothing is known.
    pub unmeasured: usize,
}

impl Margin {
    /// How far off any host may be; `None` where nothing is known of some.
    ///
    /// It is what [`WindowPolicyBuilder::synchronised_slack`](crate::window::WindowPolicyBuilder::synchronised_slack) wants to
    /// know of tokens whose codes are made by the hosts of this fleet, and
    /// [`SystemTime::with_max_error`](crate::time::os::SystemTime::with_max_error) where these validate. It was so during the
    /// sweep: clocks that nobody sets drift on.
    ///
    /// ```
    /// use skewgate::{fleet::Report, window::{PolicyError, WindowPolicy}};
    ///
    /// fn policy(report: &Report) -> Result<WindowPolicy, PolicyError> {
    ///     let builder = WindowPolicy::builder();
    ///     match report.margin().whole() {
    ///         Some(margin) => builder.synchronised_slack(margin).build(),
    ///         None => builder.build(),
    ///     }
    /// }
    /// ```
    #[must_use]
    pub const fn whole(&self) -> Option<Duration> {
        if self.unmeasured == 0 { Some(self.of_measured) } else { None }
    }

    fn add(&mut self, host: &HostReport) {
        match host.most() {
            Some(most) => self.of_measured = self.of_measured.max(most),
            None => self.unmeasured += 1,
        }
    }
}

/// What the hosts of one group come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupSummary {
    /// Which group.
    pub group: GroupId,
    /// How many of its hosts are in which state.
    pub summary: Summary,
    /// How far off any of them may be.
    pub margin: Margin,
}

/// What came of asking one host, before anything is made of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub(super) address: Option<SocketAddr>,
    pub(super) reading: Option<Reading>,
    pub(super) identity: Option<Identity>,
    pub(super) error: Option<Box<SourceError>>,
}

impl HostReport {
    /// What the outcome means for a host of this group.
    pub(super) fn of(outcome: Outcome, group: &Group, approved: &Approved, reference: &Reference) -> Self {
        let Outcome { address, reading, identity, error } = outcome;
        let truth = reading.and_then(|reading| reference.offset_at(reading.anchor));
        let reading = match (reading, truth) {
            (Some(reading), Some(truth)) => Some(reading.in_era_of(truth)),
            _ => reading,
        };
        let skew = reading.and_then(|reading| reading.skew(truth?));
        let mut report = Self { address, reading, skew, identity, flags: Flags::default(), error };
        report.flags = report.flags(group, approved);
        report
    }

    fn flags(&self, group: &Group, approved: &Approved) -> Flags {
        let Some(reading) = self.reading else {
            let answered =
                self.error.as_ref().is_some_and(|error| Verdict::from(&**error) != Verdict::Unreachable);
            return Flags::default().with(if answered { Flag::Rejected } else { Flag::Unreachable });
        };
        let (warning, critical) = (group.thresholds.warning(), group.thresholds.critical());
        let (least, most) = (self.least(), self.most());
        let surely = |threshold| least.is_some_and(|least| least > threshold);
        let perhaps = most.is_none_or(|most| most > warning);
        let synchronised = self.identity.is_some_and(|identity| identity.is_synchronised());
        let follows = match self.identity {
            Some(Identity { stratum, reference_id, .. }) if synchronised => {
                approved.judge(self.address.map(|address| address.ip()), stratum, reference_id)
            }
            // It follows nobody.
            _ => Follows::Approved,
        };
        Flags::default()
            .with_if(Flag::Skewed, surely(warning))
            .with_if(Flag::Critical, surely(critical))
            .with_if(Flag::Unsynchronised, !synchronised)
            .with_if(Flag::Inconclusive, !surely(warning) && perhaps)
            .with_if(Flag::ForeignReference, follows == Follows::Foreign)
            .with_if(Flag::ReferenceUnknown, follows == Follows::Unknown)
            .with_if(Flag::Unsteady, reading.unsteady)
    }

    /// The first thing to know of it.
    #[must_use]
    pub fn state(&self) -> State {
        State::of(self.flags)
    }

    /// How far off its clock is at the least, either way.
    #[must_use]
    pub fn least(&self) -> Option<Duration> {
        let skew = self.skew?;
        let ends = (skew.lo().unsigned_abs(), skew.hi().unsigned_abs());
        Some(if skew.contains(SignedDuration::ZERO) { Duration::ZERO } else { ends.0.min(ends.1) })
    }

    /// How far off its clock is at the most, either way.
    #[must_use]
    pub fn most(&self) -> Option<Duration> {
        let skew = self.skew?;
        Some(skew.lo().unsigned_abs().max(skew.hi().unsigned_abs()))
    }
}

impl Report {
    /// From outcomes in the order of the inventory's hosts, and the approved upstreams of each of its groups.
    pub(super) fn new(
        inventory: Arc<Inventory>,
        reference: Reference,
        outcomes: Vec<Outcome>,
        approved: &[Approved],
        measured_at: Timestamp,
        took: Duration,
    ) -> Self {
        let nobody = Approved::default();
        let hosts: Vec<HostReport> = inventory
            .hosts()
            .iter()
            .zip(outcomes)
            .map(|(host, outcome)| {
                let approved = approved.get(host.group().index()).unwrap_or(&nobody);
                HostReport::of(outcome, inventory.group_of(host), approved, &reference)
            })
            .collect();
        let mut summary = Summary::default();
        for host in &hosts {
            summary.add(host.state());
        }
        let read = hosts
            .iter()
            .enumerate()
            .filter_map(|(index, host)| Some((index, host.reading.as_ref()?, host.skew?)));
        let worst_pair = Pair::worst(read, &reference);
        Self { inventory, measured_at, took, reference, hosts, worst_pair, summary }
    }

    /// Every host with what came of it, in the order of the inventory.
    pub fn rows(&self) -> impl Iterator<Item = (&Host, &HostReport)> {
        self.inventory.hosts().iter().zip(&self.hosts)
    }

    /// Which clock a host of it answers with.
    #[must_use]
    pub fn measures(&self, host: &Host) -> Measures {
        self.inventory.measures(host)
    }

    /// How far off any host may be.
    #[must_use]
    pub fn margin(&self) -> Margin {
        let mut margin = Margin::default();
        self.hosts.iter().for_each(|host| margin.add(host));
        margin
    }

    /// What each group with hosts in it comes to, in the order of the inventory's groups.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupSummary> {
        let mut groups: Vec<GroupSummary> = Vec::new();
        let mut places = vec![None; self.inventory.groups().len()];
        for (host, report) in self.rows() {
            let group = host.group();
            let place = *places[group.index()].get_or_insert_with(|| {
                groups.push(GroupSummary { group, summary: Summary::default(), margin: Margin::default() });
                groups.len() - 1
            });
            groups[place].summary.add(report.state());
            groups[place].margin.add(report);
        }
        groups.sort_by_key(|group| group.group);
        groups
    }
}

#[cfg(test)]
mod tests;
