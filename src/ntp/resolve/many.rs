//! The names of a fleet: many more than threads.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::{Family, SYSTEM, pick};
use crate::ntp::engine::LOOK_UP;
use crate::ntp::source::Host;
use crate::ntp::{Addresses, SourceAddr, SourceError, Transport};
use crate::time::LocalClock;

/// So many names of a list are looked up at once: a thread each, which mostly waits.
const AT_ONCE: usize = 64;

/// How long a thread waits for its place among all that are under way in this process.
const BUSY: Duration = Duration::from_millis(10);

/// The addresses of any number of hosts, so many names at a time. `done` is called once for each that is settled. None are looked up
/// any more after the deadline.
pub(crate) fn resolve_many<'a>(
    hosts: impl Iterator<Item = &'a SourceAddr>,
    family: Family,
    deadline: Duration,
    clock: &dyn LocalClock,
    transport: &dyn Transport,
    done: &mut dyn FnMut(),
) -> Vec<Result<Addresses, SourceError>> {
    let start = clock.raw();
    let mut names = Vec::new();
    let mut resolved = Vec::with_capacity(hosts.size_hint().0);
    for (index, host) in hosts.enumerate() {
        resolved.push(match host.parsed_host() {
            Host::Address(address) => {
                done();
                let address = SocketAddr::new(*address, host.port());
                let other = SourceError::NoAddressOfFamily { family: family.name() };
                if family.has(&address) { Ok(address.into()) } else { Err(other) }
            }
            Host::Name(name) => {
                names.push((index, name.clone(), host.port()));
                Err(SourceError::ResolveTimeout { deadline })
            }
        });
    }
    let mut left = names.len();
    let found = look_up_all(names);
    while left > 0 {
        let wait = deadline.saturating_sub((clock.raw() - start).unsigned_abs());
        match found.answers.recv_timeout(wait.min(LOOK_UP)) {
            Ok((index, answer)) => {
                left -= 1;
                done();
                let picked = answer
                    .map_err(|error| SourceError::Unresolved { detail: error.to_string() })
                    .and_then(|addresses| pick(addresses, family));
                resolved[index] = picked.map(Addresses::from);
            }
            Err(mpsc::RecvTimeoutError::Timeout) if !wait.is_zero() && !transport.cancelled() => {}
            Err(_) => break,
        }
    }
    resolved
}

type Found = (usize, io::Result<Vec<SocketAddr>>);

/// Lookups that go on until it is dropped; those that have begun then end by themselves.
struct Lookups {
    answers: mpsc::Receiver<Found>,
    unwanted: Arc<AtomicBool>,
}

impl Drop for Lookups {
    fn drop(&mut self) {
        self.unwanted.store(true, Ordering::Relaxed);
    }
}

fn look_up_all(names: Vec<(usize, String, u16)>) -> Lookups {
    let (sender, answers) = mpsc::channel();
    let unwanted = Arc::new(AtomicBool::new(false));
    let threads = names.len().min(AT_ONCE);
    let names = Arc::new((names, AtomicUsize::new(0)));
    for _ in 0..threads {
        let (names, sender, unwanted) = (names.clone(), sender.clone(), unwanted.clone());
        let look_up = move || {
            let (names, next) = &*names;
            while let Some((index, name, port)) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                let place = loop {
                    if unwanted.load(Ordering::Relaxed) {
                        return;
                    }
                    match SYSTEM.place(name) {
                        Some(place) => break place,
                        None => std::thread::sleep(BUSY),
                    }
                };
                let found = (SYSTEM.find)(name, *port);
                drop(place);
                if unwanted.load(Ordering::Relaxed) || sender.send((*index, found)).is_err() {
                    return;
                }
            }
        };
        // With fewer threads it takes longer; with none at all, every name is one that was not resolved in time.
        if std::thread::Builder::new().name("skewgate-resolve".into()).spawn(look_up).is_err() {
            break;
        }
    }
    Lookups { answers, unwanted }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ntp::Udp;
    use crate::time::os::OsClock;

    #[test]
    fn many_are_settled_one_by_one_each_at_its_place() {
        let texts = ["[::1]:5", "nowhere.invalid", "127.0.0.1:7", "localhost:9"];
        let hosts: Vec<SourceAddr> = texts.map(|text| text.parse().unwrap()).into();
        let mut settled = 0;
        let long = Duration::from_secs(60);
        let found = resolve_many(hosts.iter(), Family::V4, long, &OsClock, &Udp, &mut || settled += 1);
        assert_eq!(found[0], Err(SourceError::NoAddressOfFamily { family: "IPv4" }));
        assert!(matches!(found[1], Err(SourceError::Unresolved { .. })), "{:?}", found[1]);
        assert_eq!(found[2].as_ref().unwrap().as_slice(), ["127.0.0.1:7".parse().unwrap()]);
        assert!(found[3].as_ref().unwrap().as_slice().contains(&"127.0.0.1:9".parse().unwrap()));
        assert_eq!(settled, 4);
        let none = resolve_many(hosts.iter(), Family::Any, Duration::ZERO, &OsClock, &Udp, &mut || {});
        assert!(matches!(none[1], Err(SourceError::ResolveTimeout { .. } | SourceError::Unresolved { .. })));
        assert!(none[2].is_ok(), "an address needs no resolver");
    }
}
