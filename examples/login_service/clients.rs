//! How many failures a client address may have: passwords are guessed at, too, and the gate doesn't see those.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use skewgate::time::os::OsClock;
use skewgate::time::{LocalClock, RawInstant, SignedDuration};

/// So many failures at once, and one more in each interval.
const AT_ONCE: u32 = 20;
const INTERVAL: Duration = Duration::from_secs(30);

/// Addresses beyond that are forgotten once they could try again anyway.
const MOST: usize = 10_000;

/// When each address will have all of its tries again.
#[derive(Default)]
pub(crate) struct Clients(Mutex<HashMap<IpAddr, RawInstant>>);

impl Clients {
    /// How long this address has to wait before it is listened to; `None`: not at all.
    pub(crate) fn wait(&self, address: IpAddr) -> Option<Duration> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = *table.get(&network(address))?;
        let over = full_at - OsClock.raw() - SignedDuration::from(INTERVAL * (AT_ONCE - 1));
        (over > SignedDuration::ZERO).then(|| over.unsigned_abs())
    }

    pub(crate) fn failed(&self, address: IpAddr) {
        let now = OsClock.raw();
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= MOST {
            table.retain(|_, full_at| *full_at > now);
        }
        let full_at = table.entry(network(address)).or_insert(now);
        *full_at = (*full_at).max(now) + SignedDuration::from(INTERVAL);
    }
}

/// An IPv6 subscriber has 2⁶⁴ addresses or more.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}
