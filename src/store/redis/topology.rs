//! Which server has which key: one server, or the primaries of a Cluster.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redis::{Cmd, ConnectionAddr, ConnectionInfo, Pipeline, RedisError, ServerErrorKind, Value, cmd, pipe};

use crate::store::StoreError;

use super::deadline::Deadline;
use super::identity::of_primary;
use super::node::{Node, Said, Silence, Way};
use super::redirection::Redirection;
use super::{all, failed};

/// How often a server may send us on to another one. A slot that moves takes two.
const REDIRECTIONS: usize = 8;

/// How long to wait where a server isn't ready: a slot is being moved, or it reads its files after a start.
const NOT_READY: Duration = Duration::from_millis(20);

/// The servers, and who has which hash slots.
pub(super) struct Topology {
    seeds: Vec<ConnectionInfo>,
    lanes: usize,
    pub(super) is_cluster: bool,
    /// Every server that was ever met.
    nodes: Mutex<HashMap<Arc<str>, Arc<Node>>>,
    ranges: Mutex<Arc<[Range]>>,
    /// Something has gone wrong since `ranges` was read.
    stale: AtomicBool,
    reading: tokio::sync::Mutex<()>,
}

type Range = (RangeInclusive<u16>, Arc<Node>);

/// What a server said.
pub(super) struct Answer {
    pub(super) node: Arc<Node>,
    pub(super) values: Vec<Value>,
    /// Another node sent us on, since the slot is being moved.
    pub(super) asked: bool,
}

/// What a primary said, and who it was then.
pub(super) struct Reading {
    pub(super) answer: Answer,
    pub(super) identity: String,
}

/// Whether commands may be sent once more when their connection is lost.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// They only read.
    Harmless,
    /// They may have been done already, and would be done twice.
    Never,
}

impl Topology {
    /// Finds out what there is behind `seeds`.
    pub(super) async fn discover(
        seeds: Vec<ConnectionInfo>,
        lanes: usize,
        deadline: Deadline,
    ) -> Result<Self, StoreError> {
        let mut topology = Self {
            seeds,
            lanes,
            is_cluster: false,
            nodes: Mutex::default(),
            ranges: Mutex::new(Arc::new([])),
            stale: AtomicBool::new(true),
            reading: tokio::sync::Mutex::default(),
        };
        let mut first = Err(failed("no address was given"));
        for seed in &topology.seeds {
            first = topology.look(seed, deadline).await;
            if first.is_ok() {
                break;
            }
        }
        let (node, is_cluster) = first?;
        topology.is_cluster = is_cluster;
        if is_cluster {
            topology.read_slots(deadline).await?;
        } else {
            *lock(&topology.ranges) = Arc::new([(0..=u16::MAX, node)]);
            topology.stale.store(false, Ordering::Relaxed);
        }
        Ok(topology)
    }

    async fn look(&self, seed: &ConnectionInfo, deadline: Deadline) -> Result<(Arc<Node>, bool), StoreError> {
        let node = self.node_at(seed.clone()).map_err(failed)?;
        let mut info = pipe();
        info.cmd("INFO").arg("cluster");
        let said = node.ask(&info, deadline).await.map_err(Silence::into_error)?;
        let text: String = first(said.values)?;
        Ok((node, text.lines().any(|line| line.trim() == "cluster_enabled:1")))
    }

    /// Every server that has slots.
    pub(super) fn primaries(&self) -> Vec<Arc<Node>> {
        let mut primaries: Vec<Arc<Node>> = Vec::new();
        for (_, node) in lock(&self.ranges).iter() {
            if !primaries.iter().any(|known| known.address == node.address) {
                primaries.push(node.clone());
            }
        }
        primaries
    }

    /// Who has `slot`, as far as is known.
    pub(super) fn node_of(&self, slot: u16) -> Option<Arc<Node>> {
        lock(&self.ranges).iter().find(|(range, _)| range.contains(&slot)).map(|(_, node)| node.clone())
    }

    /// Sends commands that write to whoever has `slot`. The first one must name a key of it: where that wasn't run, none was.
    pub(super) async fn write(
        &self,
        slot: u16,
        commands: &Pipeline,
        deadline: Deadline,
    ) -> Result<Answer, StoreError> {
        let (answer, way) = self.ask(slot, commands, Repeat::Never, deadline).await?;
        if matches!(answer.values.first(), Some(Value::ServerError(error)) if error.kind() == Some(ServerErrorKind::ReadOnly))
        {
            self.leave(&answer.node, way);
        }
        Ok(answer)
    }

    /// Asks the primary that has `slot`, and in the same round trip who that is. The first command must name a key of it. Where a replica
    /// answers, which knows what once was, it is tried once more by another connection.
    pub(super) async fn read<'a>(
        &self,
        slot: u16,
        commands: impl IntoIterator<Item = &'a Cmd>,
        deadline: Deadline,
    ) -> Result<Reading, StoreError> {
        let commands = with_info(commands);
        let mut again = true;
        loop {
            let (mut answer, way) = self.ask(slot, &commands, Repeat::Harmless, deadline).await?;
            if let Some(identity) = of_primary(answer.values.pop(), &answer.node.address)? {
                return Ok(Reading { answer, identity });
            }
            if !self.leave(&answer.node, way) || !std::mem::take(&mut again) {
                return Err(demoted(&answer.node));
            }
        }
    }

    /// The same at one node. Nothing where it is a replica.
    pub(super) async fn read_at<'a>(
        &self,
        node: &Node,
        commands: impl IntoIterator<Item = &'a Cmd>,
        deadline: Deadline,
    ) -> Result<Option<(Vec<Value>, String)>, StoreError> {
        let commands = with_info(commands);
        let mut again = true;
        loop {
            let Said { mut values, way } =
                node.ask(&commands, deadline).await.map_err(Silence::into_error)?;
            if let Some(identity) = of_primary(values.pop(), &node.address)? {
                return Ok(Some((values, identity)));
            }
            if !self.leave(node, way) || !std::mem::take(&mut again) {
                return Ok(None);
            }
        }
    }

    /// Goes away from a server that was demoted; false where there is no other way yet.
    fn leave(&self, node: &Node, way: Way) -> bool {
        self.stale.store(self.is_cluster, Ordering::Relaxed);
        node.leave(way)
    }

    /// Sends commands to whoever has `slot`. The first one must name a key of it: where that wasn't run, none was.
    async fn ask(
        &self,
        slot: u16,
        commands: &Pipeline,
        repeat: Repeat,
        deadline: Deadline,
    ) -> Result<(Answer, Way), StoreError> {
        let mut unready = None;
        match (self.ask_until_ready(slot, commands, repeat, deadline, &mut unready).await, unready) {
            // That time is over says less than why.
            (Err(StoreError::TimedOut { store, deadline }), Some(said)) => {
                Err(StoreError::NotReady { store, deadline, said })
            }
            (asked, _) => asked,
        }
    }

    /// `unready` becomes what a server said last that wasn't ready.
    async fn ask_until_ready(
        &self,
        slot: u16,
        commands: &Pipeline,
        repeat: Repeat,
        deadline: Deadline,
        unready: &mut Option<String>,
    ) -> Result<(Answer, Way), StoreError> {
        let (mut sent_on, mut asking, mut redirections, mut broken) = (None, false, 0, false);
        loop {
            let asked = std::mem::take(&mut asking);
            let node = match sent_on.take() {
                Some(node) => node,
                None => self.find(slot, deadline).await?,
            };
            let said = if asked {
                node.ask(&with_asking(commands), deadline).await.map(|mut said| {
                    said.values.remove(0);
                    said
                })
            } else {
                node.ask(commands, deadline).await
            };
            let Said { values, way } = match said {
                Ok(said) => said,
                Err(silence) => {
                    // Another server may have its slots by now.
                    self.stale.store(self.is_cluster, Ordering::Relaxed);
                    match silence {
                        Silence::Broken(_) if repeat == Repeat::Harmless && !broken => {
                            broken = true;
                            continue;
                        }
                        silence => return Err(silence.into_error()),
                    }
                }
            };
            let Some(redirection) = Redirection::of(&values) else {
                return Ok((Answer { node, values, asked }, way));
            };
            match redirection {
                Redirection::Later(said) => {
                    *unready = Some(format!("{}: {said}", node.address));
                    // A replica reads its primary's data, or waits for it: by now its address may be another one's.
                    self.leave(&node, way);
                    deadline.wait(tokio::time::sleep(NOT_READY)).await?;
                }
                Redirection::Moved(to) => {
                    self.stale.store(self.is_cluster, Ordering::Relaxed);
                    sent_on = Some(self.node_named(&to, &node)?);
                    redirections += 1;
                }
                Redirection::Ask(to) => {
                    sent_on = Some(self.node_named(&to, &node)?);
                    asking = true;
                    redirections += 1;
                }
            }
            if redirections > REDIRECTIONS {
                return Err(failed("its nodes send us round in circles: see CLUSTER NODES on each of them"));
            }
        }
    }

    async fn find(&self, slot: u16, deadline: Deadline) -> Result<Arc<Node>, StoreError> {
        self.refresh(deadline).await?;
        self.node_of(slot)
            .ok_or_else(|| failed(format!("no node has the hash slot {slot}: see CLUSTER SLOTS")))
    }

    /// Reads who has which slots, if that may have changed.
    pub(super) async fn refresh(&self, deadline: Deadline) -> Result<(), StoreError> {
        if self.stale.load(Ordering::Relaxed) { self.read_slots(deadline).await } else { Ok(()) }
    }

    /// Reads who has which slots from the first node that knows.
    async fn read_slots(&self, deadline: Deadline) -> Result<(), StoreError> {
        let _one_at_a_time = deadline.wait(self.reading.lock()).await?;
        if !self.stale.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut nodes = self.primaries();
        nodes.extend(self.seeds.iter().filter_map(|seed| self.node_at(seed.clone()).ok()));
        let mut slots = pipe();
        slots.cmd("CLUSTER").arg("SLOTS");
        let mut last = failed("no node of the cluster is known");
        for (at, node) in nodes.iter().enumerate() {
            // A host that is down must not use up all the time.
            let patience = if at + 1 < nodes.len() { deadline.share(3) } else { deadline };
            let said = node.ask(&slots, patience).await.map_err(Silence::into_error);
            match said
                .and_then(|said| first::<Value>(said.values))
                .and_then(|value| self.ranges_of(&value, node))
            {
                Ok(ranges) => {
                    *lock(&self.ranges) = ranges.into();
                    self.stale.store(false, Ordering::Relaxed);
                    return Ok(());
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// `[[first, last, [host, port, id, …], replicas …], …]`
    fn ranges_of(&self, slots: &Value, asked: &Arc<Node>) -> Result<Vec<Range>, StoreError> {
        let unreadable = || failed("an answer to CLUSTER SLOTS that can't be read");
        let Value::Array(slots) = slots else { return Err(unreadable()) };
        let mut ranges = Vec::with_capacity(slots.len());
        for range in slots {
            let Value::Array(parts) = range else { return Err(unreadable()) };
            let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = &parts[..] else {
                return Err(unreadable());
            };
            let [host, Value::Int(port), ..] = &primary[..] else { return Err(unreadable()) };
            let host = match host {
                Value::BulkString(host) => String::from_utf8_lossy(host).into_owned(),
                // A node that doesn't know its own address is where it was asked.
                _ => String::new(),
            };
            let (Ok(first), Ok(last)) = (u16::try_from(*first), u16::try_from(*last)) else {
                return Err(unreadable());
            };
            ranges.push((first..=last, self.node_named(&format!("{host}:{port}"), asked)?));
        }
        Ok(ranges)
    }

    /// The node at `host:port`; without a host, that of the node which said so.
    fn node_named(&self, address: &str, asked: &Arc<Node>) -> Result<Arc<Node>, StoreError> {
        let unreadable = || failed(format!("the address {address:?} of a node can't be read"));
        let (host, port) = address.rsplit_once(':').ok_or_else(unreadable)?;
        let port = port.parse().map_err(|_| unreadable())?;
        let host = match host {
            "" | "?" => asked.address.rsplit_once(':').map_or("", |(host, _)| host),
            host => host,
        };
        let seed = self.seeds.first().ok_or_else(unreadable)?;
        let address = match seed.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
                host: host.to_owned(),
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host.to_owned(), port),
        };
        self.node_at(seed.clone().set_addr(address)).map_err(failed)
    }

    fn node_at(&self, info: ConnectionInfo) -> Result<Arc<Node>, RedisError> {
        let mut nodes = lock(&self.nodes);
        if let Some(node) = nodes.get(info.addr().to_string().as_str()) {
            return Ok(node.clone());
        }
        let node = Arc::new(Node::new(info, self.lanes)?);
        nodes.insert(node.address.clone(), node.clone());
        Ok(node)
    }
}

/// The commands, and who is asked.
fn with_info<'a>(commands: impl IntoIterator<Item = &'a Cmd>) -> Pipeline {
    let mut info = cmd("INFO");
    // After the others: whoever they came from is known then, or had been replaced already.
    info.arg("replication");
    let mut commands = all(commands);
    commands.add_command(info);
    commands
}

pub(super) fn demoted(node: &Node) -> StoreError {
    failed(format!("{} isn't a primary any more: states are read from primaries only", node.address))
}

fn with_asking(commands: &Pipeline) -> Pipeline {
    let mut asking = Pipeline::with_capacity(commands.len() + 1);
    asking.add_command(cmd("ASKING"));
    for command in commands.cmd_iter() {
        asking.add_command(command.clone());
    }
    asking
}

/// The answer to the only command.
pub(super) fn first<T: ::redis::FromRedisValue>(values: Vec<Value>) -> Result<T, StoreError> {
    super::read(values.into_iter().next().unwrap_or_default())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
