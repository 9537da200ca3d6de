//! How a store on Redis is opened.

use std::sync::Mutex;
use std::time::Duration;

use ::redis::{ConnectionInfo, IntoConnectionInfo as _, RedisError, Value, cmd};

use super::deadline::Deadline;
use super::durability::check;
use super::identity::Memory;
use super::node::{Node, Silence};
use super::redirection::Redirection;
use super::script::Scripts;
use super::topology::{Topology, demoted, first};
use super::{Confirmation, DEFAULT_DEADLINE, Loss, MARKER, RedisConnectError, RedisStore, all};

/// Opening takes some round trips to every node, and looks through all keys where the store seems to be new.
const OPENING: u32 = 10;

/// How many connections a node gets where `WAIT` blocks them for a while each.
const LANES: usize = 8;

/// How a store on Redis is opened; see [`RedisStore::builder`].
#[derive(Clone, Debug)]
pub struct RedisBuilder {
    addresses: Vec<Address>,
    prefix: String,
    deadline: Duration,
    confirmation: Confirmation,
    accepted: Vec<Loss>,
}

/// An address; there may be a password in it.
#[derive(Clone)]
struct Address(String);

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(address)")
    }
}

impl RedisBuilder {
    pub(super) fn new(address: &str) -> Self {
        Self {
            addresses: vec![Address(address.to_owned())],
            prefix: "skewgate:".to_owned(),
            deadline: DEFAULT_DEADLINE,
            confirmation: Confirmation::Primary,
            accepted: Vec::new(),
        }
    }

    /// Another node of the same Cluster, in case the first one is down when the store is opened. All have the same user and password.
    #[must_use]
    pub fn node(mut self, address: &str) -> Self {
        self.addresses.push(Address(address.to_owned()));
        self
    }

    /// What all keys begin with: `skewgate:`, if nothing is said. Stores that share a server need different prefixes of which
    /// none begins with another.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// How long each operation may take, a new connection included: 500 ms, if nothing is said.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Who must have a write before it counts: the primary alone, if nothing is said.
    #[must_use]
    pub const fn confirmation(mut self, confirmation: Confirmation) -> Self {
        self.confirmation = confirmation;
        self
    }

    /// Takes a server that may lose this. Each kind has to be named.
    #[must_use]
    pub fn accept_loss(mut self, loss: Loss) -> Self {
        self.accepted.push(loss);
        self
    }

    /// Opens the store: reads who has which keys, looks at the settings of every primary, and writes down who they are where
    /// there is no store yet.
    ///
    /// # Errors
    ///
    /// [`RedisConnectError`] where the servers can't be reached, may lose what isn't accepted, or an option makes no sense.
    pub async fn connect(self) -> Result<RedisStore, RedisConnectError> {
        let deadline = Deadline::after(self.deadline.saturating_mul(OPENING));
        let seeds = self.seeds()?;
        let lanes = if self.confirmation == Confirmation::Primary { 1 } else { LANES };
        let topology = Topology::discover(seeds, lanes, deadline).await?;
        let primaries = topology.primaries();
        if !topology.is_cluster && self.addresses.len() > 1 {
            let node = primaries.first().map_or_else(String::new, |node| node.address.to_string());
            return Err(RedisConnectError::NotACluster { node });
        }
        for node in &primaries {
            // In a Cluster whoever has a key is found anew each time.
            if !topology.is_cluster && topology.read_at(node, [], deadline).await?.is_none() {
                return Err(RedisConnectError::Replica { node: node.address.to_string() });
            }
            check(node, &self.accepted, deadline).await?;
        }
        let remembers = !self.accepted.iter().any(|loss| matches!(loss, Loss::AtRestart | Loss::Unchecked));
        let store = RedisStore {
            marker: [self.prefix.as_bytes(), MARKER].concat(),
            prefix: self.prefix,
            deadline: self.deadline,
            confirmation: self.confirmation,
            remembers,
            topology,
            scripts: Scripts::new(),
            memory: Mutex::new(Memory::default()),
        };
        for node in &primaries {
            store.try_commands(node, deadline).await?;
        }
        store.begin(deadline).await?;
        Ok(store)
    }

    fn seeds(&self) -> Result<Vec<ConnectionInfo>, RedisConnectError> {
        let usable = |byte: u8| byte.is_ascii_alphanumeric() || b":-_./".contains(&byte);
        if self.prefix.is_empty() || self.prefix.len() > 64 || !self.prefix.bytes().all(usable) {
            return Err(RedisConnectError::Prefix { got: self.prefix.clone() });
        }
        let read = |Address(address): &Address| -> Result<ConnectionInfo, RedisError> {
            let info = address.as_str().into_connection_info()?;
            // Small requests that somebody waits for.
            let tcp = info.tcp_settings().clone().set_nodelay(true);
            Ok(info.set_tcp_settings(tcp))
        };
        let seeds: Result<Vec<_>, _> = self.addresses.iter().map(read).collect();
        // Its detail may repeat a part of the address.
        seeds.map_err(|error| RedisConnectError::Address { what: error.category().to_owned() })
    }
}

impl RedisStore {
    /// Tries what is needed only now and then, such as a script in full after the server was started anew: a right that is missing would
    /// show when everybody is refused for it.
    async fn try_commands(&self, node: &Node, deadline: Deadline) -> Result<(), RedisConnectError> {
        let nothing = &self.scripts.nothing;
        let mut commands = all(&[nothing.in_full(&[], &[]), nothing.by_name(&[], &[]), cmd("PING")]);
        if self.topology.is_cluster {
            // Of no consequence: no command after it names a key.
            commands.add_command(cmd("ASKING"));
        }
        if let Some(wait) = self.wait_for(0) {
            commands.add_command(wait);
        }
        let said = node.ask(&commands, deadline).await.map_err(Silence::into_error)?;
        let refused = said.values.into_iter().find_map(|value| match value {
            // Whoever asks for a state waits until it is ready.
            _ if Redirection::of(std::slice::from_ref(&value)).is_some() => None,
            Value::ServerError(error) => Some(error.to_string()),
            _ => None,
        });
        refused.map_or(Ok(()), |said| {
            Err(RedisConnectError::CommandRefused { node: node.address.to_string(), said })
        })
    }

    /// Writes down who the primaries are, if this is a new store: there is neither a marker nor an account.
    async fn begin(&self, deadline: Deadline) -> Result<(), RedisConnectError> {
        let slot = self.slot(&self.marker);
        let mut exists = cmd("EXISTS");
        exists.arg(&self.marker);
        let reading = self.topology.read(slot, [&exists], deadline).await?;
        if first::<bool>(reading.answer.values)? || self.has_accounts(deadline).await? {
            return Ok(());
        }
        let identities = self.identities(deadline).await?;
        let arguments: Vec<_> = identities.into_iter().map(String::into_bytes).collect();
        self.run(&self.scripts.begin, slot, &[&self.marker], &arguments, deadline).await?;
        Ok(())
    }

    /// The identities of all primaries.
    pub(super) async fn identities(&self, deadline: Deadline) -> Result<Vec<String>, RedisConnectError> {
        let mut identities = Vec::new();
        for node in self.topology.primaries() {
            let (_, identity) =
                self.topology.read_at(&node, [], deadline).await?.ok_or_else(|| demoted(&node))?;
            identities.push(identity);
        }
        Ok(identities)
    }
}
