//! A source that is being asked: where, how often, and what came of it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::packet::Header;
use super::transport::Sockets;
use super::{Pace, SourceError, Stray};
use crate::clock::Sample;

/// What became of one source.
#[derive(Clone, Debug)]
pub(super) struct Conversation {
    /// The address that answered, or the last one that was asked.
    pub(super) address: Option<SocketAddr>,
    /// The samples of the replies that were accepted.
    pub(super) samples: Vec<Sample>,
    /// The header of the last reply that was accepted; where none was, of the last one that was refused.
    pub(super) header: Option<Header>,
    /// Why there are no samples, or no more.
    pub(super) error: Option<SourceError>,
}

/// A source that is being asked, at one of its addresses at a time.
pub(super) struct Target {
    addresses: Vec<SocketAddr>,
    /// Which of the addresses is being asked.
    current: usize,
    /// Requests without a reply, since the last reply or change of address. The strays are those since then, too.
    pub(super) unanswered: u32,
    pub(super) strays: u32,
    pub(super) stray: Option<Stray>,
    /// This host's address on the way to the current address, once it was looked up.
    local: Option<Option<IpAddr>>,
    pub(super) conversation: Conversation,
}

impl Target {
    /// Not asked yet; its samples have their place already, so that a reply costs no allocation.
    pub(super) fn new(addresses: Vec<SocketAddr>, pace: &Pace) -> Self {
        let samples = usize::try_from(pace.samples).unwrap_or(usize::MAX).min(64);
        Self {
            current: 0,
            unanswered: 0,
            strays: 0,
            stray: None,
            local: None,
            conversation: Conversation {
                address: addresses.first().copied(),
                samples: if addresses.is_empty() { Vec::new() } else { Vec::with_capacity(samples) },
                header: None,
                error: None,
            },
            addresses,
        }
    }

    /// Turns to the next address, if there is one and this one never answered.
    pub(super) fn next_address(&mut self) -> bool {
        let next = self.current + 1;
        if !self.conversation.samples.is_empty() || next >= self.addresses.len() {
            return false;
        }
        self.current = next;
        self.begin_anew();
        self.local = None;
        self.conversation.address = self.addresses.get(next).copied();
        true
    }

    /// This host's address on the way there, looked up only where the reply could name it as its reference.
    pub(super) fn local_address(
        &mut self,
        reply: &Header,
        address: SocketAddr,
        sockets: &dyn Sockets,
    ) -> Option<IpAddr> {
        // A hash, which IPv6 upstreams are named by, may look like a loopback address.
        if reply.stratum < 2 || address.is_ipv4() && reply.reference_id.as_ipv4().is_loopback() {
            return None;
        }
        *self.local.get_or_insert_with(|| sockets.local_address(address))
    }

    /// A reply came, or another address is asked: what was wrong before is forgotten.
    pub(super) fn begin_anew(&mut self) {
        self.unanswered = 0;
        self.strays = 0;
        self.stray = None;
    }

    /// Why nothing usable came from the current address.
    pub(super) fn silence(&self, timeout: Duration) -> SourceError {
        match self.stray {
            Some(stray) if self.conversation.samples.is_empty() => {
                SourceError::OnlyStrays { datagrams: self.strays, stray }
            }
            _ => SourceError::Timeout { requests: self.unanswered, timeout },
        }
    }
}

#[cfg(test)]
mod tests;
