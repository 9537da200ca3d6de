use std::sync::Condvar;

use super::*;
use crate::ntp::{Sockets, Udp};
use crate::time::os::OsClock;

fn resolve_all(
    resolver: &'static Resolver,
    sources: &[&SourceAddr],
    family: Family,
    deadline: Duration,
) -> Vec<Result<Vec<SocketAddr>, SourceError>> {
    let lookups = sources.iter().map(|source| Lookup::of(source, None));
    resolver.resolve(lookups, family, deadline, &OsClock, &Udp)
}

fn resolve_one(text: &str, family: Family) -> Result<Vec<SocketAddr>, SourceError> {
    let source: SourceAddr = text.parse().unwrap();
    resolve_all(&SYSTEM, &[&source], family, Duration::from_secs(5)).remove(0)
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
    let source: SourceAddr = "nowhere.invalid".parse().unwrap();
    let start = OsClock.raw();
    let lookup = [Lookup::of(&source, None)].into_iter();
    let found = SYSTEM.resolve(lookup, Family::Any, Duration::from_secs(600), &OsClock, &Unwanted);
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
    let found = SYSTEM.resolve(lookups.into_iter(), Family::Any, Duration::ZERO, &OsClock, &Udp);
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

// --- A resolver that hangs ---------------------------------------------------------------------------------

/// Whether it hangs, for names that begin with "hang".
struct Hanging {
    hangs: Mutex<bool>,
    mended: Condvar,
}

impl Hanging {
    const fn new() -> Self {
        Self { hangs: Mutex::new(true), mended: Condvar::new() }
    }

    fn find(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if name.starts_with("hang") {
            drop(self.mended.wait_while(self.hangs.lock().unwrap(), |hangs| *hangs).unwrap());
        }
        Ok(vec![SocketAddr::from(([192, 0, 2, 1], port))])
    }

    fn mend(&self) {
        *self.hangs.lock().unwrap() = false;
        self.mended.notify_all();
    }
}

fn under_way(resolver: &'static Resolver) -> usize {
    resolver.under_way.lock().unwrap().len()
}

const SHORT: Duration = Duration::from_millis(20);
/// So long that it is over only where something is wrong.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_name_that_hangs_gathers_few_threads_and_keeps_no_other_out() {
    static HANGING: Hanging = Hanging::new();
    static RESOLVER: Resolver = Resolver::new(|name, port| HANGING.find(name, port));
    let [hangs, well] = ["hangs.example", "well.example"].map(|name| name.parse::<SourceAddr>().unwrap());
    for round in 0..3 * MAX_OF_ONE_NAME {
        let found = resolve_all(&RESOLVER, &[&hangs, &well], Family::Any, SHORT);
        let error = match round < MAX_OF_ONE_NAME {
            true => SourceError::ResolveTimeout { deadline: SHORT },
            false => SourceError::ResolverBusy,
        };
        assert_eq!(found[0], Err(error), "round {round}");
        // Its own deadline is as short; a machine that is busy may take longer.
        if found[1].is_err() {
            assert_eq!(found[1], Err(SourceError::ResolveTimeout { deadline: SHORT }), "round {round}");
        }
        assert!(resolve_all(&RESOLVER, &[&well], Family::Any, LONG)[0].is_ok(), "round {round}");
        let stuck = RESOLVER.under_way.lock().unwrap().iter().filter(|name| *name == "hangs.example").count();
        assert_eq!(stuck, MAX_OF_ONE_NAME.min(round + 1));
    }
    HANGING.mend();
    // It has its turn as soon as one of those that hung has ended.
    assert!(resolve_all(&RESOLVER, &[&hangs], Family::Any, LONG)[0].is_ok());
    while under_way(&RESOLVER) > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn however_many_names_hang_the_threads_are_bounded() {
    static HANGING: Hanging = Hanging::new();
    static RESOLVER: Resolver = Resolver::new(|name, port| HANGING.find(name, port));
    let names: Vec<SourceAddr> =
        (0..MAX_UNDER_WAY + 20).map(|number| format!("hangs{number}.example").parse().unwrap()).collect();
    let names: Vec<&SourceAddr> = names.iter().collect();
    let found = resolve_all(&RESOLVER, &names, Family::Any, SHORT);
    let busy = found.iter().filter(|found| **found == Err(SourceError::ResolverBusy)).count();
    assert_eq!((busy, under_way(&RESOLVER)), (20, MAX_UNDER_WAY));
    let well: SourceAddr = "well.example".parse().unwrap();
    assert_eq!(resolve_all(&RESOLVER, &[&well], Family::Any, SHORT)[0], Err(SourceError::ResolverBusy));
    HANGING.mend();
    // More than there are places: they take turns, and all are found.
    assert!(resolve_all(&RESOLVER, &names, Family::Any, LONG).iter().all(Result::is_ok));
    while under_way(&RESOLVER) > 0 {
        std::thread::yield_now();
    }
}
