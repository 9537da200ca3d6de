//! Inventories as TOML.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::{Group, GroupId, Host, InventoryBuilder, InventoryError, Labels, Thresholds};
use crate::fleet::Upstream;
use crate::ntp::Source;

/// What is in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    reference: Vec<Entry<Source>>,
    upstreams: Option<Vec<Entry<Upstream>>>,
    warning: Option<Spanned<Entry<Length>>>,
    critical: Option<Spanned<Entry<Length>>>,
    measures: Option<Entry<super::Measures>>,
    labels: Option<Spanned<Labels>>,
    #[serde(default)]
    hosts: Vec<Entry<Host>>,
    #[serde(default)]
    group: BTreeMap<String, Spanned<GroupTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupTable {
    upstreams: Option<Vec<Entry<Upstream>>>,
    warning: Option<Spanned<Entry<Length>>>,
    critical: Option<Spanned<Entry<Length>>>,
    measures: Option<Entry<super::Measures>>,
    labels: Option<Spanned<Labels>>,
    #[serde(default)]
    hosts: Vec<Entry<Host>>,
}

impl InventoryBuilder {
    /// What is in a TOML file, beside what is here already.
    ///
    /// ```
    /// use skewgate::fleet::Inventory;
    ///
    /// let mut inventory = Inventory::builder();
    /// inventory.toml(r#"
    ///     reference = ["ntp1.example.org", "ntp2.example.org", { source = "ntp3.example.org", smeared = true }]
    ///     upstreams = ["10.0.0.1", "10.0.0.2", "clock:GPS"]
    ///     warning = "100ms"
    ///     critical = "1s"
    ///     hosts = ["bastion.example.org"]
    ///
    ///     [group.databases]
    ///     warning = "5ms"
    ///     measures = "system"
    ///     labels = { tier = "back" }
    ///     hosts = ["db1.example.org", { host = "db2.example.org:1123", labels = { rack = "7" } }]
    /// "#)?;
    /// let inventory = inventory.build()?;
    /// assert_eq!((inventory.hosts().len(), inventory.groups()[1].name()), (3, Some("databases")));
    ///
    /// let error = Inventory::builder().toml("warning = \"1s\"\nhosts = [\"a..b\"]").map(|_| ()).unwrap_err();
    /// assert!(error.to_string().starts_with("line 2, column 10: this is not a host name"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InventoryError::At`] with the line and the column of what is wrong.
    pub fn toml(&mut self, text: &str) -> Result<&mut Self, InventoryError> {
        let file: File = toml::from_str(text).map_err(|error| {
            let problem = InventoryError::Toml { detail: plain(error.message()) };
            located(text, error.span().map_or(0, |span| span.start), problem)
        })?;
        let ungrouped = self.ungrouped();
        let common = Common {
            upstreams: file.upstreams,
            warning: file.warning,
            critical: file.critical,
            measures: file.measures,
            labels: file.labels,
        };
        *ungrouped = common.apply(text, std::mem::take(ungrouped))?;
        let ungrouped = ungrouped.clone();
        for Entry(source) in file.reference {
            self.reference(source);
        }
        self.put_hosts(file.hosts, GroupId::default());
        for (name, table) in file.group {
            let at = table.span().start;
            let GroupTable { upstreams, warning, critical, measures, labels, hosts } = table.into_inner();
            let common = Common { upstreams, warning, critical, measures, labels };
            let named = Group::named(&name, &ungrouped).map_err(|problem| located(text, at, problem))?;
            let group = common.apply(text, named)?;
            let id = self.group(group).map_err(|problem| located(text, at, problem))?;
            self.put_hosts(hosts, id);
        }
        Ok(self)
    }

    fn put_hosts(&mut self, hosts: Vec<Entry<Host>>, group: GroupId) {
        for Entry(host) in hosts {
            self.host(host.in_group(group));
        }
    }
}

/// What can be said of all hosts, and of those of a group.
struct Common {
    upstreams: Option<Vec<Entry<Upstream>>>,
    warning: Option<Spanned<Entry<Length>>>,
    critical: Option<Spanned<Entry<Length>>>,
    measures: Option<Entry<super::Measures>>,
    labels: Option<Spanned<Labels>>,
}

impl Common {
    fn apply(self, text: &str, mut group: Group) -> Result<Group, InventoryError> {
        let place = self.warning.as_ref().or(self.critical.as_ref()).map_or(0, |length| length.span().start);
        let length = |length: Option<Spanned<Entry<Length>>>, otherwise: Duration| {
            length.map_or(otherwise, |length| length.into_inner().0.0)
        };
        group.thresholds = Thresholds::new(
            length(self.warning, group.thresholds.warning()),
            length(self.critical, group.thresholds.critical()),
        )
        .map_err(|problem| located(text, place, problem))?;
        if let Some(upstreams) = self.upstreams {
            group.upstreams = upstreams.into_iter().map(|Entry(upstream)| upstream).collect();
        }
        if let Some(Entry(measures)) = self.measures {
            group.measures = measures;
        }
        if let Some(labels) = self.labels {
            let place = labels.span().start;
            group =
                group.with_labels(labels.into_inner()).map_err(|problem| located(text, place, problem))?;
        }
        Ok(group)
    }
}

/// With the line and the column of a place in the text.
fn located(text: &str, at: usize, problem: InventoryError) -> InventoryError {
    let before = text.get(..at).unwrap_or(text);
    let begin = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
    problem.at(line, 1 + before[begin..].chars().count())
}

/// What the reader says may repeat a part of the text.
fn plain(message: &str) -> String {
    message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A value that is written as a text, or as a table where there is more to say.
struct Entry<T>(T);

trait Written: Sized {
    /// What it is, for whoever wrote something else.
    const WHAT: &'static str;

    fn from_text(text: &str) -> Result<Self, InventoryError>;

    /// `None` where there is never more to say.
    fn from_table<'de, M: MapAccess<'de>>(_: M) -> Result<Option<Self>, M::Error> {
        Ok(None)
    }
}

impl<'de, T: Written> Deserialize<'de> for Entry<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor(PhantomData))
    }
}

struct EntryVisitor<T>(PhantomData<T>);

impl<'de, T: Written> Visitor<'de> for EntryVisitor<T> {
    type Value = Entry<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WHAT)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Entry<T>, E> {
        T::from_text(text).map(Entry).map_err(E::custom)
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Entry<T>, M::Error> {
        T::from_table(map)?.map(Entry).ok_or_else(|| M::Error::custom(format!("this must be {}", T::WHAT)))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceTable {
    source: Entry<Source>,
    group: Option<String>,
    #[serde(default)]
    smeared: bool,
}

impl Written for Source {
    const WHAT: &'static str =
        "a source: \"host:port\", or { source = \"host:port\", group = \"…\", smeared = true }";

    fn from_text(text: &str) -> Result<Self, InventoryError> {
        Ok(text.parse::<Self>()?)
    }

    fn from_table<'de, M: MapAccess<'de>>(map: M) -> Result<Option<Self>, M::Error> {
        let table = SourceTable::deserialize(MapAccessDeserializer::new(map))?;
        let source = table.source.0.smeared(table.smeared);
        Ok(Some(match table.group {
            Some(group) => source.group(group),
            None => source,
        }))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostTable {
    host: Entry<Host>,
    measures: Option<Entry<super::Measures>>,
    #[serde(default)]
    labels: Labels,
}

impl Written for Host {
    const WHAT: &'static str =
        "a host: \"host:port\", or { host = \"host:port\", labels = { … }, measures = \"…\" }";

    fn from_text(text: &str) -> Result<Self, InventoryError> {
        Ok(text.parse::<Self>()?)
    }

    fn from_table<'de, M: MapAccess<'de>>(map: M) -> Result<Option<Self>, M::Error> {
        let table = HostTable::deserialize(MapAccessDeserializer::new(map))?;
        let host = table.host.0.with_labels(table.labels).map_err(M::Error::custom)?;
        Ok(Some(match table.measures {
            Some(Entry(measures)) => host.with_measures(measures),
            None => host,
        }))
    }
}

impl Written for Upstream {
    const WHAT: &'static str = "an upstream: \"host\" or \"clock:GPS\"";

    fn from_text(text: &str) -> Result<Self, InventoryError> {
        Ok(text.parse::<Self>()?)
    }
}

impl Written for super::Measures {
    const WHAT: &'static str = "\"served\", \"system\" or \"unknown\"";

    fn from_text(text: &str) -> Result<Self, InventoryError> {
        text.parse()
    }
}

struct Length(Duration);

impl Written for Length {
    const WHAT: &'static str = "a length of time, such as \"250ms\"";

    fn from_text(text: &str) -> Result<Self, InventoryError> {
        let length = humantime::parse_duration(text);
        length.map(Self).map_err(|_| InventoryError::Toml {
            detail: "write a whole number and its unit, such as \"250ms\", \"2s\" or \"1m\"".to_owned(),
        })
    }
}
