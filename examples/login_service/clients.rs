//! How many guesses a client address has: passwords are guessed at, too, and the gate doesn't see those.
//!
//! A try is taken before anything is worked on and given back where it was no guess: counted only afterwards, any number of guesses
//! that are sent at once would be judged. So what is owed has an end, too: a try comes back within an interval, whatever was sent.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use skewgate::time::os::OsClock;
use skewgate::time::{LocalClock, RawInstant, SignedDuration};

/// So many tries at once, and one more in each interval.
const AT_ONCE: u32 = 20;
const INTERVAL: Duration = Duration::from_secs(30);

/// Addresses beyond that are forgotten once they could try again anyway.
const MOST: usize = 10_000;

/// When each address will have all of its tries again.
#[derive(Default)]
pub(crate) struct Clients(Mutex<HashMap<IpAddr, RawInstant>>);

/// One of an address's tries. It is spent unless it is given back: so it is where a client goes away before the answer.
#[must_use]
pub(crate) struct Try(IpAddr);

impl Clients {
    /// # Errors
    ///
    /// How long this address has to wait for its next try.
    pub(crate) fn take(&self, address: IpAddr) -> Result<Try, Duration> {
        let (network, now) = (network(address), OsClock.raw());
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= MOST {
            table.retain(|_, full_at| *full_at > now);
        }
        let full_at = table.entry(network).or_insert(now);
        let over = *full_at - now - SignedDuration::from(INTERVAL * (AT_ONCE - 1));
        if over > SignedDuration::ZERO {
            return Err(over.unsigned_abs());
        }
        *full_at = (*full_at).max(now) + SignedDuration::from(INTERVAL);
        Ok(Try(network))
    }

    /// It was no guess.
    pub(crate) fn give_back(&self, Try(network): Try) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(full_at) = table.get_mut(&network) {
            *full_at = *full_at + -SignedDuration::from(INTERVAL);
        }
    }
}

/// An IPv6 subscriber has 2⁶⁴ addresses or more.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}
