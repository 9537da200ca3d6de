//! Which hosts there are, and what is expected of them.

mod error;
#[cfg(feature = "inventory")]
mod file;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::Upstream;
use crate::ntp::{Source, SourceAddr, SourceAddrError};
pub use error::InventoryError;

/// Names and values that hosts are told apart by, beside what they are called: a site, a rack, an owner.
pub type Labels = BTreeMap<String, String>;

/// How far off a clock may be. The warning comes first: it is never above what is critical.
///
/// ```
/// use skewgate::fleet::Thresholds;
/// use std::time::Duration;
///
/// let strict = Thresholds::new(Duration::from_millis(10), Duration::from_millis(50))?;
/// assert!(Thresholds::new(strict.critical(), strict.warning()).is_err());
/// # Ok::<(), skewgate::fleet::InventoryError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    warning: Duration,
    critical: Duration,
}

impl Thresholds {
    /// Beyond `warning`, either way, a clock is skewed; beyond `critical` that is critical.
    ///
    /// # Errors
    ///
    /// [`InventoryError::Thresholds`] where the warning is above what is critical.
    pub fn new(warning: Duration, critical: Duration) -> Result<Self, InventoryError> {
        if warning > critical {
            return Err(InventoryError::Thresholds { warning, critical });
        }
        Ok(Self { warning, critical })
    }

    /// Beyond this a clock is skewed. Default 100 ms.
    #[must_use]
    pub const fn warning(self) -> Duration {
        self.warning
    }

    /// Beyond this it is a matter for the night. Default 1 s.
    #[must_use]
    pub const fn critical(self) -> Duration {
        self.critical
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { warning: Duration::from_millis(100), critical: Duration::from_secs(1) }
    }
}

/// Which of a host's clocks its answers show. It can't be measured, only be known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Measures {
    /// The time that its server serves: chronyd corrects what it answers, and can be right while the kernel's clock, which
    /// programs read, is still off.
    Served,
    /// The system clock: what ntpd and [`Responder`](crate::ntp::Responder) answer with.
    System,
    /// Nobody said.
    #[default]
    Unknown,
}

impl Measures {
    /// The name in inventories and reports: stable.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::System => "system",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Measures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Measures {
    type Err = InventoryError;

    fn from_str(text: &str) -> Result<Self, InventoryError> {
        [Self::Served, Self::System, Self::Unknown]
            .into_iter()
            .find(|measures| measures.name() == text)
            .ok_or(InventoryError::Measures)
    }
}

/// A host of the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// How its user wrote it: a hundred thousand of them are held, so there is no room to spare.
    given: Box<str>,
    address: SourceAddr,
    group: GroupId,
    measures: Option<Measures>,
    labels: Option<Box<Labels>>,
}

impl Host {
    /// How its user wrote it: printable ASCII.
    #[must_use]
    pub fn as_given(&self) -> &str {
        &self.given
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> &SourceAddr {
        &self.address
    }

    /// The group that it belongs to.
    #[must_use]
    pub const fn group(&self) -> GroupId {
        self.group
    }

    /// Its own labels, without its group's.
    #[must_use]
    pub fn labels(&self) -> Option<&Labels> {
        self.labels.as_deref()
    }

    /// It answers with this clock, whatever its group does.
    #[must_use]
    pub const fn with_measures(mut self, measures: Measures) -> Self {
        self.measures = Some(measures);
        self
    }

    /// With labels of its own.
    ///
    /// # Errors
    ///
    /// [`InventoryError::LabelName`] or [`InventoryError::LabelValue`] where one can't be a label.
    pub fn with_labels(mut self, labels: Labels) -> Result<Self, InventoryError> {
        check_labels(&labels)?;
        self.labels = (!labels.is_empty()).then(|| labels.into());
        Ok(self)
    }

    /// In a group of the same inventory.
    #[must_use]
    pub const fn in_group(mut self, group: GroupId) -> Self {
        self.group = group;
        self
    }
}

/// It is read as a [`SourceAddr`] is: nothing that could drive a terminal or a browser gets past it.
impl FromStr for Host {
    type Err = SourceAddrError;

    fn from_str(text: &str) -> Result<Self, SourceAddrError> {
        let address = text.parse()?;
        Ok(Self { given: text.into(), address, group: GroupId::default(), measures: None, labels: None })
    }
}

/// A group of one inventory. The default is the group of those that were put into none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(u32);

impl GroupId {
    /// Its place in [`Inventory::groups`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What holds for several hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    name: Option<Box<str>>,
    /// How far off their clocks may be.
    pub thresholds: Thresholds,
    /// Which clock they answer with.
    pub measures: Measures,
    /// Whom they may follow. Nobody in particular where it is empty: then it isn't looked at.
    pub upstreams: Vec<Upstream>,
    labels: Labels,
}

impl Group {
    /// A group of this name, with what holds for those that are in no group.
    ///
    /// # Errors
    ///
    /// [`InventoryError::GroupName`] where that is empty, or has control characters in it.
    pub fn named(name: &str, otherwise: &Self) -> Result<Self, InventoryError> {
        if name.trim().is_empty() || name.len() > LONGEST_TEXT || !is_plain(name) {
            return Err(InventoryError::GroupName);
        }
        Ok(Self { name: Some(name.into()), ..otherwise.clone() })
    }

    /// What it is called; `None` for those that are in no group.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What all its hosts are labelled with.
    #[must_use]
    pub const fn labels(&self) -> &Labels {
        &self.labels
    }

    /// With more labels for all its hosts: one of a name that it has takes its place.
    ///
    /// # Errors
    ///
    /// [`InventoryError::LabelName`] or [`InventoryError::LabelValue`] where one can't be a label.
    pub fn with_labels(mut self, labels: Labels) -> Result<Self, InventoryError> {
        check_labels(&labels)?;
        self.labels.extend(labels);
        Ok(self)
    }
}

/// In bytes: a group's name, a label's name or value.
const LONGEST_TEXT: usize = 200;

/// Labels that say what a host is; those of an inventory don't get in their way.
const OWN_LABELS: [&str; 7] = ["host", "address", "group", "state", "flag", "measures", "le"];

fn check_labels(labels: &Labels) -> Result<(), InventoryError> {
    for (name, value) in labels {
        // As Prometheus has it; what begins with two underscores is its own.
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic()) || name.starts_with('_');
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let taken = name.starts_with("__") || OWN_LABELS.contains(&name.as_str());
        if !begins || !plain || taken || name.len() > LONGEST_TEXT {
            return Err(InventoryError::LabelName);
        }
        if value.len() > LONGEST_TEXT || !is_plain(value) {
            return Err(InventoryError::LabelValue);
        }
    }
    Ok(())
}

fn is_plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// Which hosts there are, in what groups, and what they are compared with. It has a host and a source at the least, and
/// no host twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    references: Vec<Source>,
    groups: Vec<Group>,
    hosts: Vec<Host>,
}

impl Inventory {
    /// Nothing yet.
    pub fn builder() -> InventoryBuilder {
        InventoryBuilder { references: Vec::new(), groups: vec![Group::default()], hosts: Vec::new() }
    }

    /// The sources that every host is compared with.
    #[must_use]
    pub fn references(&self) -> &[Source] {
        &self.references
    }

    /// The groups; the first is that of the hosts that are in none.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The hosts, in the order in which they were added.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The group of a host of this inventory.
    #[must_use]
    pub fn group_of(&self, host: &Host) -> &Group {
        &self.groups[host.group.index()]
    }

    /// Which clock a host answers with: what was said of it, or else of its group.
    #[must_use]
    pub fn measures(&self, host: &Host) -> Measures {
        host.measures.unwrap_or_else(|| self.group_of(host).measures)
    }
}

/// An [`Inventory`] in the making.
#[derive(Clone, Debug)]
#[must_use = "nothing is checked as a whole before `build`"]
pub struct InventoryBuilder {
    references: Vec<Source>,
    groups: Vec<Group>,
    hosts: Vec<Host>,
}

impl InventoryBuilder {
    /// One source more that hosts are compared with.
    pub fn reference(&mut self, source: Source) -> &mut Self {
        self.references.push(source);
        self
    }

    /// These sources, in place of those that it had.
    pub fn set_references(&mut self, sources: Vec<Source>) -> &mut Self {
        self.references = sources;
        self
    }

    /// What holds for hosts that are in no group.
    pub fn ungrouped(&mut self) -> &mut Group {
        &mut self.groups[0]
    }

    /// All groups, that of the hosts in none too.
    pub fn groups_mut(&mut self) -> &mut [Group] {
        &mut self.groups
    }

    /// One group more.
    ///
    /// # Errors
    ///
    /// [`InventoryError::GroupTwice`] where it has one of that name.
    pub fn group(&mut self, group: Group) -> Result<GroupId, InventoryError> {
        if self.groups.iter().any(|other| other.name == group.name) {
            return Err(InventoryError::GroupTwice);
        }
        let id = u32::try_from(self.groups.len()).map_err(|_| InventoryError::GroupTwice)?;
        self.groups.push(group);
        Ok(GroupId(id))
    }

    /// One host more.
    pub fn host(&mut self, host: Host) -> &mut Self {
        self.hosts.push(host);
        self
    }

    /// Hosts from a text, one a line. Blank lines, and what is behind a `#`, are left out.
    ///
    /// ```
    /// use skewgate::fleet::Inventory;
    ///
    /// let mut inventory = Inventory::builder();
    /// inventory.reference("ntp.example.org".parse()?);
    /// let error = inventory.lines("web1\n  web2:99999 # the port is wrong\n").map(|_| ());
    /// assert_eq!(error.unwrap_err().to_string(), "line 2, column 3: the port must be a number from 1 to 65535");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InventoryError::At`] with the line and the column of the first that is no host.
    pub fn lines(&mut self, text: &str) -> Result<&mut Self, InventoryError> {
        for (index, line) in text.lines().enumerate() {
            let said = line.split_once('#').map_or(line, |(said, _)| said);
            let host = said.trim();
            if host.is_empty() {
                continue;
            }
            let column = 1 + said.chars().take_while(|c| c.is_whitespace()).count();
            let host: Host =
                host.parse().map_err(|error| InventoryError::Host(error).at(index + 1, column))?;
            self.hosts.push(host);
        }
        Ok(self)
    }

    /// The whole.
    ///
    /// # Errors
    ///
    /// [`InventoryError`] where there are no hosts, no sources, or a host twice.
    pub fn build(self) -> Result<Inventory, InventoryError> {
        let Self { references, groups, mut hosts } = self;
        if hosts.is_empty() {
            return Err(InventoryError::NoHosts);
        }
        if references.is_empty() {
            return Err(InventoryError::NoReferences);
        }
        let mut seen = HashMap::with_capacity(hosts.len());
        for (index, host) in hosts.iter().enumerate() {
            if let Some(first) = seen.insert(&host.address, index) {
                let [first, again] = [first, index].map(|index| hosts[index].given.to_string());
                return Err(InventoryError::HostTwice { first, again });
            }
        }
        hosts.shrink_to_fit();
        Ok(Inventory { references, groups, hosts })
    }
}

#[cfg(test)]
mod tests;
