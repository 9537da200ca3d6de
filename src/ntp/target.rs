//! A source that is being asked: where, how often, and what came of it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::ask::{Addresses, Answer, Samples};
use super::packet::Header;
use super::transport::Sockets;
use super::{SourceError, Stray};

/// A source that is being asked, at one of its addresses at a time.
pub(super) struct Target {
    addresses: Addresses,
    /// Which of the addresses is being asked.
    current: usize,
    /// Requests without a reply, since the last reply or change of address. The strays are those since then, too.
    pub(super) unanswered: u32,
    strays: u32,
    stray: Option<Stray>,
    /// The nonce of the first of these requests, once its time was over: the slowest path back has the longest time for it.
    expired: u64,
    /// A reply to that one came after all.
    late: bool,
    /// This host's address on the way to the current address, once it was looked up.
    local: Option<Option<IpAddr>>,
    pub(super) answer: Answer,
}

impl Target {
    /// Not asked yet.
    pub(super) fn new(addresses: Addresses) -> Self {
        let address = addresses.as_slice().first().copied();
        Self {
            addresses,
            current: 0,
            unanswered: 0,
            strays: 0,
            stray: None,
            expired: 0,
            late: false,
            local: None,
            answer: Answer { address, samples: Samples::default(), header: None, error: None },
        }
    }

    /// Turns to the next address, if there is one and this one never answered.
    pub(super) fn next_address(&mut self) -> bool {
        let next = self.current + 1;
        if !self.answer.samples.is_empty() || next >= self.addresses.as_slice().len() {
            return false;
        }
        self.current = next;
        self.begin_anew();
        self.local = None;
        self.answer.address = self.addresses.as_slice().get(next).copied();
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
        if !sockets.may_be_own(reply.reference_id) {
            return None;
        }
        *self.local.get_or_insert_with(|| sockets.local_address(address))
    }

    /// A reply came, or another address is asked: what was wrong before is forgotten.
    pub(super) fn begin_anew(&mut self) {
        self.unanswered = 0;
        self.strays = 0;
        self.stray = None;
        self.late = false;
    }

    /// The time for a reply to a request is over.
    pub(super) fn note_expired(&mut self, nonce: u64) {
        if self.unanswered == 0 {
            self.expired = nonce;
        }
        self.unanswered += 1;
    }

    /// Something came that is no reply to what is waited for.
    fn note_stray(&mut self, stray: Stray, origin: Option<u64>) {
        if self.unanswered > 0 && origin == Some(self.expired) {
            self.late = true;
        } else {
            self.strays = self.strays.saturating_add(1);
            self.stray = Some(stray);
        }
    }

    /// Why nothing usable came from the current address.
    pub(super) fn silence(&self, timeout: Duration) -> SourceError {
        match self.stray {
            _ if self.late => SourceError::LateReplies { timeout },
            Some(stray) if self.answer.samples.is_empty() => {
                SourceError::OnlyStrays { datagrams: self.strays, stray }
            }
            _ => SourceError::Timeout { requests: self.unanswered, timeout },
        }
    }
}

/// Where datagrams come from that are no replies. The list of who was asked where is made when the first one comes: mostly
/// there are none, and it takes as much memory as the addresses do.
#[derive(Default)]
pub(super) struct Strays {
    /// Every address of every target, in order.
    asked: Option<Vec<(IpAddr, u16, usize)>>,
}

impl Strays {
    /// Remembers a stray at the target that is being asked where it came from. Whoever floods this host with them costs it a
    /// search in order, not a walk over all targets.
    pub(super) fn note(
        &mut self,
        targets: &mut [Target],
        from: SocketAddr,
        stray: Stray,
        origin: Option<u64>,
    ) {
        let asked = self.asked.get_or_insert_with(|| {
            let mut asked: Vec<_> = targets
                .iter()
                .enumerate()
                .flat_map(|(index, target)| target.addresses.as_slice().iter().map(move |at| (at, index)))
                .map(|(at, index)| (at.ip(), at.port(), index))
                .collect();
            asked.sort_unstable();
            asked
        });
        let place = (from.ip(), from.port());
        let first = asked.partition_point(|&(ip, port, _)| (ip, port) < place);
        let named = asked.iter().skip(first).take_while(|&&(ip, port, _)| (ip, port) == place);
        // A target that has turned to another address isn't meant.
        let is_asked = |target: &Target| {
            target.answer.address.is_some_and(|address| (address.ip(), address.port()) == place)
        };
        if let Some(&(_, _, index)) = named.into_iter().find(|&&(_, _, index)| is_asked(&targets[index])) {
            targets[index].note_stray(stray, origin);
        }
    }
}

#[cfg(test)]
mod tests;
