//! Names to addresses, within a deadline.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::time::Duration;

use super::engine::LOOK_UP;
use super::source::Host;
use super::{KissCode, SourceAddr, SourceError, Transport};
use crate::time::LocalClock;

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

/// The addresses of every source, all looked up at once. A name that does not resolve is that source's error.
///
/// The system's resolver can't be interrupted: each name gets a thread of its own, and one that misses the
/// deadline is left behind to end by itself.
pub(super) fn resolve(
    lookups: impl Iterator<Item = Lookup>,
    family: Family,
    deadline: Duration,
    clock: &dyn LocalClock,
    transport: &dyn Transport,
) -> Vec<Result<Vec<SocketAddr>, SourceError>> {
    let start = clock.raw();
    let lookups: Vec<_> = lookups.collect();
    let left = || match transport.cancelled() {
        true => Duration::ZERO,
        false => deadline.saturating_sub((clock.raw() - start).unsigned_abs()),
    };
    let too_late = || match transport.cancelled() {
        true => SourceError::Cancelled,
        false => SourceError::ResolveTimeout { deadline },
    };
    let finish = |lookup: Lookup| pick(lookup.finish(&left, &too_late)?, family);
    lookups.into_iter().map(finish).collect()
}

/// A source that is being looked up.
#[derive(Debug)]
pub(super) enum Lookup {
    Done(SocketAddr),
    /// It isn't asked: nobody needs to know where it is.
    Resting(KissCode),
    Running(mpsc::Receiver<std::io::Result<Vec<SocketAddr>>>),
    Failed(std::io::Error),
}

impl Lookup {
    /// Of a source, unless its kiss is still to be obeyed.
    pub(super) fn of(source: &SourceAddr, resting: Option<KissCode>) -> Self {
        resting.map_or_else(|| Self::start(source), Self::Resting)
    }

    /// Its name is looked up from now on.
    fn start(source: &SourceAddr) -> Self {
        let port = source.port();
        match source.parsed_host() {
            Host::Address(address) => Self::Done(SocketAddr::new(*address, port)),
            Host::Name(name) => {
                let (sender, receiver) = mpsc::channel();
                let name = name.clone();
                let look_up = move || {
                    let found = (name.as_str(), port).to_socket_addrs().map(Iterator::collect);
                    // Nobody listens any more once the deadline is over.
                    let _ = sender.send(found);
                };
                match std::thread::Builder::new().name("skewgate-resolve".into()).spawn(look_up) {
                    Ok(_) => Self::Running(receiver),
                    Err(error) => Self::Failed(error),
                }
            }
        }
    }

    /// Waits for the time that is left. They run side by side, so those behind the first are mostly done by the time
    /// that they are looked at.
    fn finish(
        self,
        left: &dyn Fn() -> Duration,
        too_late: &dyn Fn() -> SourceError,
    ) -> Result<Vec<SocketAddr>, SourceError> {
        let found = match self {
            Self::Done(address) => return Ok(vec![address]),
            Self::Resting(kiss) => return Err(SourceError::Kiss(kiss)),
            Self::Running(receiver) => loop {
                let wait = left();
                match receiver.recv_timeout(wait.min(LOOK_UP)) {
                    Ok(found) => break found,
                    Err(mpsc::RecvTimeoutError::Timeout) if !wait.is_zero() => {}
                    Err(_) => return Err(too_late()),
                }
            },
            Self::Failed(error) => Err(error),
        };
        found.map_err(|error| SourceError::Unresolved { detail: error.to_string() })
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
mod tests {
    use super::*;
    use crate::ntp::{Sockets, Udp};
    use crate::time::os::OsClock;

    fn resolve_one(text: &str, family: Family) -> Result<Vec<SocketAddr>, SourceError> {
        let source: SourceAddr = text.parse().unwrap();
        resolve([Lookup::start(&source)].into_iter(), family, Duration::from_secs(5), &OsClock, &Udp)
            .remove(0)
    }

    /// Nobody wants the result.
    struct Unwanted;

    impl Transport for Unwanted {
        fn open(&self) -> Box<dyn Sockets> {
            Udp.open()
        }

        fn cancelled(&self) -> bool {
            true
        }
    }

    #[test]
    fn a_name_that_nobody_waits_for_is_no_timeout() {
        // Its lookup never ends.
        let (_sender, receiver) = mpsc::channel();
        let (left, too_late) = (|| Duration::ZERO, || SourceError::Cancelled);
        assert_eq!(Lookup::Running(receiver).finish(&left, &too_late), Err(SourceError::Cancelled));
        let source: SourceAddr = "nowhere.invalid".parse().unwrap();
        let start = OsClock.raw();
        let found = resolve(
            [Lookup::start(&source)].into_iter(),
            Family::Any,
            Duration::from_secs(600),
            &OsClock,
            &Unwanted,
        );
        assert!(!matches!(found[0], Err(SourceError::ResolveTimeout { .. })), "{found:?}");
        assert!((OsClock.raw() - start).unsigned_abs() < Duration::from_secs(60));
    }

    #[test]
    fn a_source_that_rests_is_not_looked_up() {
        let resting = [Some(KissCode::Rate), None, Some(KissCode::Deny)];
        let source: SourceAddr = "[::1]:5".parse().unwrap();
        let lookups: Vec<_> = resting.iter().map(|kiss| Lookup::of(&source, *kiss)).collect();
        assert!(matches!(
            lookups[..],
            [Lookup::Resting(KissCode::Rate), Lookup::Done(_), Lookup::Resting(KissCode::Deny)]
        ));
        let found = resolve(lookups.into_iter(), Family::Any, Duration::ZERO, &OsClock, &Udp);
        assert_eq!(found[0], Err(SourceError::Kiss(KissCode::Rate)));
        assert_eq!(found[1], Ok(vec!["[::1]:5".parse().unwrap()]));
    }

    #[test]
    fn addresses_need_no_resolver() {
        assert_eq!(resolve_one("[::1]:5", Family::Any), Ok(vec!["[::1]:5".parse().unwrap()]));
    }

    #[test]
    fn the_family_is_kept_to() {
        assert_eq!(resolve_one("::1", Family::V4), Err(SourceError::NoAddressOfFamily { family: "IPv4" }));
        assert!(resolve_one("localhost:7", Family::V4).unwrap().iter().all(SocketAddr::is_ipv4));
    }

    #[test]
    fn a_name_that_does_not_exist_is_that_sources_error() {
        // RFC 6761: .invalid never resolves.
        assert!(matches!(
            resolve_one("nowhere.invalid", Family::Any),
            Err(SourceError::Unresolved { .. } | SourceError::ResolveTimeout { .. })
        ));
    }
}
