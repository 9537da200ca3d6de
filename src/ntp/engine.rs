//! Sockets, deadlines and retries: many exchanges at once, on one thread.
//!
//! Two unconnected sockets at the most, one for each family, on random ports (RFC 9109); exchanges are told
//! apart by nonce and address. A datagram that is no reply to one of them is skipped, and the exchange that
//! it pretended to answer lives on: otherwise anybody could end a measurement with one packet.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::exchange::{Reply, ReplyLimits, Request, Travel};
use super::packet::{HEADER_LENGTH, Header};
use super::{SourceError, Stray};
use crate::clock::{MaxDrift, Sample};
use crate::time::{LocalClock, RawInstant, SignedDuration};

/// How the sources are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How many replies are wanted from each source. Default 4.
    pub samples: u32,
    /// The pause between a reply and the next request to the same source. Default 200 ms.
    pub interval: Duration,
    /// How long a reply is waited for. Default 1 s.
    pub timeout: Duration,
    /// How often a request is sent again when there is no reply, before the next address of the source is
    /// tried. Default 1.
    pub retries: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { samples: 4, interval: Duration::from_millis(200), timeout: Duration::from_secs(1), retries: 1 }
    }
}

/// What became of one source.
#[derive(Clone, Debug)]
pub(super) struct Conversation {
    /// The address that answered, or the last one that was asked.
    pub(super) address: Option<SocketAddr>,
    /// The samples of the replies that were accepted.
    pub(super) samples: Vec<Sample>,
    /// The header of the last reply, accepted or refused.
    pub(super) header: Option<Header>,
    /// Why there are no samples, or no more.
    pub(super) error: Option<SourceError>,
}

/// Asks every target at once: each a list of addresses, the first that answers is kept to.
///
/// Blocks until each has given its samples, refused, or stayed silent long enough.
pub(super) fn converse(
    targets: Vec<Vec<SocketAddr>>,
    pace: &Pace,
    limits: &ReplyLimits,
    max_drift: MaxDrift,
    clock: &dyn LocalClock,
) -> Vec<Conversation> {
    let mut engine = Engine {
        pace,
        limits,
        max_drift,
        clock,
        sockets: Sockets::default(),
        targets: targets.into_iter().map(Target::new).collect(),
        in_flight: HashMap::new(),
        timers: BinaryHeap::new(),
    };
    engine.run();
    engine.targets.into_iter().map(|target| target.conversation).collect()
}

struct Engine<'a> {
    pace: &'a Pace,
    limits: &'a ReplyLimits,
    max_drift: MaxDrift,
    clock: &'a dyn LocalClock,
    sockets: Sockets,
    targets: Vec<Target>,
    /// By nonce.
    in_flight: HashMap<u64, InFlight>,
    timers: BinaryHeap<Reverse<Timer>>,
}

struct InFlight {
    target: usize,
    address: SocketAddr,
    request: Request,
    t1: RawInstant,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Timer {
    due: RawInstant,
    action: Action,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Action {
    /// Send this target its next request.
    Send { target: usize },
    /// Give up on the reply with this nonce.
    Expire { nonce: u64 },
}

struct Target {
    addresses: Vec<SocketAddr>,
    /// Which of the addresses is being asked.
    current: usize,
    /// Requests without a reply, since the last reply or change of address.
    unanswered: u32,
    requests: u32,
    strays: u32,
    stray: Option<Stray>,
    /// This host's address on the way there: for reference loops.
    local: Option<IpAddr>,
    conversation: Conversation,
}

impl Target {
    fn new(addresses: Vec<SocketAddr>) -> Self {
        Self {
            current: 0,
            unanswered: 0,
            requests: 0,
            strays: 0,
            stray: None,
            local: addresses.first().copied().and_then(local_address_towards),
            conversation: Conversation {
                address: addresses.first().copied(),
                samples: Vec::new(),
                header: None,
                error: None,
            },
            addresses,
        }
    }

    /// Turns to the next address, if there is one and this one never answered.
    fn next_address(&mut self) -> bool {
        let next = self.current + 1;
        if !self.conversation.samples.is_empty() || next >= self.addresses.len() {
            return false;
        }
        self.current = next;
        self.unanswered = 0;
        self.conversation.address = self.addresses.get(next).copied();
        self.local = self.conversation.address.and_then(local_address_towards);
        true
    }

    fn silence(&self, timeout: Duration) -> SourceError {
        match self.stray {
            Some(stray) => SourceError::OnlyStrays { datagrams: self.strays, stray },
            None => SourceError::Timeout { requests: self.requests, timeout },
        }
    }
}

impl Engine<'_> {
    fn run(&mut self) {
        let start = self.clock.raw();
        for target in 0..self.targets.len() {
            if self.targets[target].conversation.address.is_some() {
                self.timers.push(Reverse(Timer { due: start, action: Action::Send { target } }));
            }
        }
        while let Some(&Reverse(next)) = self.timers.peek() {
            if self.clock.raw() >= next.due {
                self.timers.pop();
                match next.action {
                    Action::Send { target } => self.send(target),
                    Action::Expire { nonce } => self.expire(nonce),
                }
            } else if self.in_flight.is_empty() && !matches!(next.action, Action::Send { .. }) {
                // An expiry whose exchange is over.
                self.timers.pop();
            } else {
                self.sockets.wait((next.due - self.clock.raw()).unsigned_abs());
            }
            self.drain();
        }
    }

    fn send(&mut self, index: usize) {
        let Some(address) = self.targets[index].conversation.address else { return };
        match self.try_send(index, address) {
            Ok(()) => {}
            Err(error) => {
                let detail = error.to_string();
                self.give_up_on_address(index, SourceError::Send { address, detail });
            }
        }
    }

    fn try_send(&mut self, index: usize, address: SocketAddr) -> io::Result<()> {
        // Zero would look like "no origin timestamp".
        let nonce = loop {
            match getrandom::u64().map_err(io::Error::other)? {
                0 => {}
                nonce => break nonce,
            }
        };
        let request = Request::new(nonce).map_err(io::Error::other)?;
        let socket = self.sockets.towards(address)?;
        // T1 is read right before each packet: whatever comes between widens the bound.
        let t1 = self.clock.raw();
        socket.send_to(request.bytes(), address)?;
        self.targets[index].requests += 1;
        self.in_flight.insert(nonce, InFlight { target: index, address, request, t1 });
        let due = t1 + SignedDuration::from(self.pace.timeout);
        self.timers.push(Reverse(Timer { due, action: Action::Expire { nonce } }));
        Ok(())
    }

    fn expire(&mut self, nonce: u64) {
        // Gone: it was answered.
        let Some(InFlight { target: index, .. }) = self.in_flight.remove(&nonce) else { return };
        let target = &mut self.targets[index];
        target.unanswered += 1;
        if target.unanswered <= self.pace.retries {
            self.schedule(index, Duration::ZERO);
        } else {
            let silence = target.silence(self.pace.timeout);
            self.give_up_on_address(index, silence);
        }
    }

    /// Another address, or the end: what was measured so far counts.
    fn give_up_on_address(&mut self, index: usize, error: SourceError) {
        if self.targets[index].next_address() {
            self.schedule(index, Duration::ZERO);
        } else {
            self.targets[index].conversation.error = Some(error);
        }
    }

    fn schedule(&mut self, target: usize, pause: Duration) {
        let due = self.clock.raw() + SignedDuration::from(pause);
        self.timers.push(Reverse(Timer { due, action: Action::Send { target } }));
    }

    /// Takes in everything that has arrived.
    fn drain(&mut self) {
        // Longer replies (extension fields) are cut: the header is what counts.
        let mut buffer = [0; HEADER_LENGTH];
        while let Some((length, from)) = self.sockets.receive(&mut buffer) {
            let t4 = self.clock.raw();
            if length < HEADER_LENGTH {
                self.note_stray(from, Stray::TooShort { length });
                continue;
            }
            let header = Header::from_bytes(&buffer);
            let nonce = header.origin.0;
            if self.in_flight.get(&nonce).is_none_or(|asked| !same_endpoint(asked.address, from)) {
                self.note_stray(from, Stray::WrongNonce);
                continue;
            }
            if let Some(asked) = self.in_flight.remove(&nonce) {
                let travel = Travel { t1: asked.t1, t4, local: self.targets[asked.target].local };
                let judged = asked.request.judge(&buffer, &travel, self.limits, self.max_drift);
                self.targets[asked.target].conversation.header = Some(header);
                self.conclude(asked.target, judged);
            }
        }
    }

    fn conclude(&mut self, index: usize, judged: Result<Reply, SourceError>) {
        let target = &mut self.targets[index];
        target.unanswered = 0;
        match judged {
            Ok(reply) => {
                target.conversation.samples.push(reply.sample);
                let wanted = usize::try_from(self.pace.samples).unwrap_or(usize::MAX);
                if target.conversation.samples.len() < wanted {
                    self.schedule(index, self.pace.interval);
                }
            }
            // A kiss ends the asking; what was measured before it stays true.
            Err(SourceError::Kiss(kiss)) => target.conversation.error = Some(SourceError::Kiss(kiss)),
            // One bad reply spoils the burst: a server that is wrong now can't be trusted a second ago.
            Err(error) => {
                target.conversation.samples.clear();
                target.conversation.error = Some(error);
            }
        }
    }

    /// Remembers why nothing usable came from an address that is being asked.
    fn note_stray(&mut self, from: SocketAddr, stray: Stray) {
        for exchange in self.in_flight.values() {
            if same_endpoint(exchange.address, from) {
                let target = &mut self.targets[exchange.target];
                target.strays += 1;
                target.stray = Some(stray);
            }
        }
    }
}

/// Scope and flow of an IPv6 address are of no account: the kernel fills them in.
fn same_endpoint(one: SocketAddr, other: SocketAddr) -> bool {
    one.ip() == other.ip() && one.port() == other.port()
}

/// Which of this host's addresses a packet there would leave from. Nothing is sent.
fn local_address_towards(address: SocketAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind(any_port_of(address)).ok()?;
    socket.connect(address).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

fn any_port_of(address: SocketAddr) -> SocketAddr {
    let unspecified: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    SocketAddr::new(unspecified, 0)
}

#[derive(Default)]
struct Sockets {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
}

impl Sockets {
    fn towards(&mut self, address: SocketAddr) -> io::Result<&UdpSocket> {
        let place = if address.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        if place.is_none() {
            let socket = UdpSocket::bind(any_port_of(address))?;
            socket.set_nonblocking(true)?;
            *place = Some(socket);
        }
        place.as_ref().ok_or_else(|| ErrorKind::NotConnected.into())
    }

    fn both(&self) -> impl Iterator<Item = &UdpSocket> {
        self.v4.iter().chain(&self.v6)
    }

    /// Sleeps until a datagram arrives, at most for `timeout`. Waking too early is harmless.
    fn wait(&self, timeout: Duration) {
        let mut ready: Vec<PollFd<'_>> =
            self.both().map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
        let timeout = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        if poll(&mut ready, Some(&timeout)).is_err() {
            // Interrupted by a signal, or out of memory: the caller's loop looks at the time again.
            std::thread::yield_now();
        }
    }

    /// The next datagram that is there, from either socket.
    fn receive(&self, buffer: &mut [u8; HEADER_LENGTH]) -> Option<(usize, SocketAddr)> {
        self.both().find_map(|socket| {
            loop {
                match socket.recv_from(buffer) {
                    Ok(received) => return Some(received),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                    // An ICMP error of an earlier packet, or a signal: the next call looks further.
                    Err(error)
                        if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionRefused) => {}
                    Err(_) => return None,
                }
            }
        })
    }
}
