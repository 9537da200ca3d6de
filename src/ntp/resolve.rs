//! Names to addresses, within a deadline.

mod many;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::engine::LOOK_UP;
use super::source::Host;
use super::{KissCode, SourceAddr, SourceError, Transport};
use crate::time::LocalClock;
pub(crate) use many::resolve_many;

/// Which addresses of a name are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// Both, in the resolver's order.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

impl Family {
    fn has(self, address: &SocketAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Any => "IP",
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// How many names may be under way at once in a process. Where more are wanted, they wait for their turn.
const MAX_UNDER_WAY: usize = 64;

/// How often one name may be under way at once: a single one whose servers hang must not keep the others out.
const MAX_OF_ONE_NAME: usize = 8;

/// Looks names up, each in a thread of its own.
///
/// The system's resolver can't be interrupted: a thread that misses the deadline is left behind to end by itself. One that
/// hangs would gather a thread for each name and round, so that they are counted.
pub(super) struct Resolver {
    find: Find,
    under_way: Mutex<Vec<String>>,
}

type Find = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// The one of this host.
pub(super) static SYSTEM: Resolver =
    Resolver::new(|name, port| (name, port).to_socket_addrs().map(Iterator::collect));

impl Resolver {
    const fn new(find: Find) -> Self {
        Self { find, under_way: Mutex::new(Vec::new()) }
    }

    /// The addresses of every source, all looked up at once. A name that does not resolve is that source's error.
    pub(super) fn resolve(
        &'static self,
        lookups: impl Iterator<Item = Lookup>,
        family: Family,
        deadline: Duration,
        clock: &dyn LocalClock,
        transport: &dyn Transport,
    ) -> Vec<Result<Vec<SocketAddr>, SourceError>> {
        let start = clock.raw();
        let mut lookups: Vec<_> = lookups.collect();
        let left = || match transport.cancelled() {
            true => Duration::ZERO,
            false => deadline.saturating_sub((clock.raw() - start).unsigned_abs()),
        };
        let mut found = Vec::with_capacity(lookups.len());
        for index in 0..lookups.len() {
            let addresses = loop {
                // Whenever one has ended there may be room for those that wait.
                lookups.iter_mut().skip(index).for_each(|lookup| lookup.begin(self));
                let wait = left();
                match lookups[index].look(wait.min(LOOK_UP)) {
                    Some(addresses) => break addresses,
                    None if !wait.is_zero() => {}
                    None if transport.cancelled() => break Err(SourceError::Cancelled),
                    None if lookups[index].waits() => break Err(SourceError::ResolverBusy),
                    None => break Err(SourceError::ResolveTimeout { deadline }),
                }
            };
            found.push(addresses.and_then(|addresses| pick(addresses, family)));
        }
        found
    }

    /// `None` where as many are under way as may be.
    fn place(&'static self, name: &str) -> Option<Place> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let of_name = under_way.iter().filter(|other| *other == name).count();
        if under_way.len() >= MAX_UNDER_WAY || of_name >= MAX_OF_ONE_NAME {
            return None;
        }
        under_way.push(name.to_owned());
        Some(Place { resolver: self, name: name.to_owned() })
    }
}

/// A thread's place among those that are under way.
struct Place {
    resolver: &'static Resolver,
    name: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut under_way = self.resolver.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mine) = under_way.iter().position(|name| *name == self.name) {
            under_way.swap_remove(mine);
        }
    }
}

/// A source that is being looked up.
#[derive(Debug)]
pub(super) enum Lookup {
    Done(SocketAddr),
    /// It isn't asked: nobody needs to know where it is.
    Resting(KissCode),
    /// For a place.
    Waiting(String, u16),
    Running(mpsc::Receiver<io::Result<Vec<SocketAddr>>>),
    Failed(io::Error),
}

impl Lookup {
    /// Of a source, unless its kiss is still to be obeyed.
    pub(super) fn of(source: &SourceAddr, resting: Option<KissCode>) -> Self {
        match (resting, source.parsed_host()) {
            (Some(kiss), _) => Self::Resting(kiss),
            (None, Host::Address(address)) => Self::Done(SocketAddr::new(*address, source.port())),
            (None, Host::Name(name)) => Self::Waiting(name.clone(), source.port()),
        }
    }

    const fn waits(&self) -> bool {
        matches!(self, Self::Waiting(..))
    }

    /// Its name is looked up from now on, if there is a place.
    fn begin(&mut self, resolver: &'static Resolver) {
        let Self::Waiting(name, port) = self else { return };
        let Some(place) = resolver.place(name) else { return };
        let (sender, receiver) = mpsc::channel();
        let port = *port;
        let look_up = move || {
            let found = (resolver.find)(&place.name, port);
            // Before anybody hears of it: who waits for a place looks then.
            drop(place);
            // Nobody listens any more once the deadline is over.
            let _ = sender.send(found);
        };
        *self = match std::thread::Builder::new().name("skewgate-resolve".into()).spawn(look_up) {
            Ok(_) => Self::Running(receiver),
            Err(error) => Self::Failed(error),
        };
    }

    /// What was found, if it is within this time. They run side by side, so those behind the first are mostly done by the time
    /// that they are looked at.
    fn look(&self, wait: Duration) -> Option<Result<Vec<SocketAddr>, SourceError>> {
        let unresolved = |error: &io::Error| SourceError::Unresolved { detail: error.to_string() };
        match self {
            Self::Done(address) => Some(Ok(vec![*address])),
            Self::Resting(kiss) => Some(Err(SourceError::Kiss(*kiss))),
            Self::Waiting(..) => {
                std::thread::sleep(wait);
                None
            }
            Self::Running(receiver) => match receiver.recv_timeout(wait) {
                Ok(found) => Some(found.map_err(|error| unresolved(&error))),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => {
                    Some(Err(unresolved(&io::Error::other("the resolver failed"))))
                }
            },
            Self::Failed(error) => Some(Err(unresolved(error))),
        }
    }
}

/// An IPv4 address as what it is: written as an IPv6 address (`::ffff:192.0.2.1`) it would be another source, with a vote
/// of its own.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn pick(addresses: Vec<SocketAddr>, family: Family) -> Result<Vec<SocketAddr>, SourceError> {
    let picked: Vec<SocketAddr> =
        addresses.into_iter().map(canonical).filter(|address| family.has(address)).collect();
    if picked.is_empty() { Err(SourceError::NoAddressOfFamily { family: family.name() }) } else { Ok(picked) }
}

#[cfg(test)]
mod tests;
