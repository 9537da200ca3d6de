//! Deadlines, retries and pacing: many exchanges at once, on one thread.
//!
//! Exchanges are told apart by nonce and address. A datagram that is no reply to one of them is skipped, and the
//! exchange that it pretended to answer lives on: otherwise anybody could end a measurement with one packet. After every
//! batch of datagrams the deadlines have their turn: otherwise a flood of them could keep a measurement from ending.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use super::exchange::{Reply, ReplyLimits, Request, Travel};
use super::packet::{HEADER_LENGTH, Header};
use super::sockets::BATCH;
use super::stamp::Stamps;
use super::target::{Conversation, Target};
use super::transport::{Incoming, Outgoing, Sockets};
use super::{SourceError, Stray};
use crate::clock::MaxDrift;
use crate::time::{LocalClock, RawInstant, SignedDuration};

/// After a pause, so many packets may be made up for at once.
const BURST: i64 = 32;

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
    /// How many packets are sent a second, over all sources, so that asking many is no flood. Default 5,000; `None`: as
    /// fast as they can be sent.
    pub max_rate: Option<NonZeroU32>,
    /// How many replies are waited for at once. Default 4,096, and never more than the socket's buffer holds: what
    /// doesn't fit there is lost.
    pub max_in_flight: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            samples: 4,
            interval: Duration::from_millis(200),
            timeout: Duration::from_secs(1),
            retries: 1,
            max_rate: NonZeroU32::new(5_000),
            max_in_flight: 4_096,
        }
    }
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
    sockets: Box<dyn Sockets>,
) -> Vec<Conversation> {
    let targets: Vec<_> = targets.into_iter().map(|addresses| Target::new(addresses, pace)).collect();
    let askable = (0..targets.len()).filter(|&index| targets[index].conversation.address.is_some());
    let mut engine = Engine {
        ready: askable.collect(),
        pace,
        limits,
        max_drift,
        clock,
        sockets,
        stamps: Stamps::new(clock.system()),
        targets,
        asked: HashMap::new(),
        in_flight: HashMap::new(),
        expiring: VecDeque::new(),
        resting: VecDeque::new(),
        next_send: clock.raw(),
        stalled: false,
        nonces: Nonces::default(),
        outbox: Vec::with_capacity(BATCH),
        inbox: Vec::with_capacity(2 * BATCH),
    };
    engine.run();
    engine.targets.into_iter().map(|target| target.conversation).collect()
}

struct Engine<'a> {
    pace: &'a Pace,
    limits: &'a ReplyLimits,
    max_drift: MaxDrift,
    clock: &'a dyn LocalClock,
    sockets: Box<dyn Sockets>,
    stamps: Stamps,
    targets: Vec<Target>,
    /// Which target was asked at an address, to tell why nothing usable came from it.
    asked: HashMap<(IpAddr, u16), usize>,
    /// By nonce.
    in_flight: HashMap<u64, InFlight>,
    /// Targets that wait to be asked, in order.
    ready: VecDeque<usize>,
    /// When the wait for a nonce ends. All waits are equally long: the first to begin is the first to end.
    expiring: VecDeque<(RawInstant, u64)>,
    /// When a target's pause ends. All pauses are equally long.
    resting: VecDeque<(RawInstant, usize)>,
    /// Before this, `max_rate` lets nothing out.
    next_send: RawInstant,
    /// As many replies are waited for as may be: a reply or an expiry must come before the next send.
    stalled: bool,
    nonces: Nonces,
    /// What is about to be sent, all of it to one family.
    outbox: Vec<Outgoing>,
    inbox: Vec<Incoming>,
}

struct InFlight {
    target: usize,
    address: SocketAddr,
    request: Request,
    t1: RawInstant,
}

impl Engine<'_> {
    fn run(&mut self) {
        loop {
            let now = self.clock.raw();
            self.expire(now);
            self.wake(now);
            self.send_ready(now);
            if self.ready.is_empty() && self.resting.is_empty() && self.in_flight.is_empty() {
                return;
            }
            if self.receive() {
                continue;
            }
            let pause = self.idle_until().map_or(SignedDuration::ZERO, |next| next - self.clock.raw());
            if pause > SignedDuration::ZERO {
                self.sockets.wait(pause.unsigned_abs());
            }
        }
    }

    /// When the next thing happens that is not a datagram.
    fn idle_until(&self) -> Option<RawInstant> {
        let expires = self.expiring.front().map(|&(due, _)| due);
        let rested = self.resting.front().map(|&(due, _)| due);
        let paced = (!self.ready.is_empty() && !self.stalled).then_some(self.next_send);
        [expires, rested, paced].into_iter().flatten().min()
    }

    /// Gives up on replies that took too long.
    fn expire(&mut self, now: RawInstant) {
        while let Some(&(due, nonce)) = self.expiring.front() {
            // Those that were answered are gone from `in_flight`, and nobody need wait for them.
            if due > now && self.in_flight.contains_key(&nonce) {
                return;
            }
            self.expiring.pop_front();
            let Some(InFlight { target: index, .. }) = self.in_flight.remove(&nonce) else { continue };
            let target = &mut self.targets[index];
            target.unanswered += 1;
            if target.unanswered <= self.pace.retries {
                self.ready.push_back(index);
            } else {
                let silence = target.silence(self.pace.timeout);
                self.give_up_on_address(index, silence);
            }
        }
    }

    /// Targets whose pause is over are asked again.
    fn wake(&mut self, now: RawInstant) {
        while let Some(&(due, index)) = self.resting.front()
            && due <= now
        {
            self.resting.pop_front();
            self.ready.push_back(index);
        }
    }

    /// Another address, or the end: what was measured so far counts.
    fn give_up_on_address(&mut self, index: usize, error: SourceError) {
        if self.targets[index].next_address() {
            self.ready.push_back(index);
        } else {
            self.targets[index].conversation.error = Some(error);
        }
    }

    /// Sends a batch at the most: then it is time to look for replies.
    fn send_ready(&mut self, now: RawInstant) {
        let gap = SignedDuration::from_nanos(
            self.pace.max_rate.map_or(0, |rate| 1_000_000_000 / i64::from(rate.get())),
        );
        self.next_send =
            self.next_send.max(now + -SignedDuration::from_nanos(gap.as_nanos().saturating_mul(BURST)));
        self.stalled = false;
        while self.outbox.len() < BATCH && self.next_send <= now && !self.stalled {
            let Some(index) = self.ready.pop_front() else { break };
            match self.prepare(index) {
                Ok(Prepared::Yes) => self.next_send = self.next_send + gap,
                Ok(Prepared::OtherFamily) => {
                    self.ready.push_front(index);
                    break;
                }
                Ok(Prepared::NoRoom) => {
                    self.ready.push_front(index);
                    self.stalled = true;
                }
                Err(error) => self.give_up_on_sending(index, &error),
            }
        }
        self.flush();
    }

    /// Puts a request to a target into the outbox.
    fn prepare(&mut self, index: usize) -> io::Result<Prepared> {
        let target = &mut self.targets[index];
        let address = target.conversation.address.ok_or(io::ErrorKind::AddrNotAvailable)?;
        if self.outbox.first().is_some_and(|packet| packet.address.is_ipv4() != address.is_ipv4()) {
            return Ok(Prepared::OtherFamily);
        }
        let most = self.sockets.room(address)?.min(self.pace.max_in_flight).max(1);
        if self.in_flight.len() >= most {
            return Ok(Prepared::NoRoom);
        }
        let nonce = self.nonces.draw()?;
        let request = Request::new(nonce).map_err(io::Error::other)?;
        // T1 is read for each packet; until it goes out with its batch, the bound widens by what that takes.
        let t1 = self.clock.raw();
        let bytes = *request.bytes();
        self.asked.insert((address.ip(), address.port()), index);
        self.in_flight.insert(nonce, InFlight { target: index, address, request, t1 });
        self.expiring.push_back((t1 + SignedDuration::from(self.pace.timeout), nonce));
        self.outbox.push(Outgoing { address, bytes });
        Ok(Prepared::Yes)
    }

    /// Sends what is in the outbox; a packet that can't be sent is its target's error.
    fn flush(&mut self) {
        let mut outbox = std::mem::take(&mut self.outbox);
        let mut from = 0;
        while from < outbox.len() {
            let (sent, error) = self.sockets.send(&outbox[from..]);
            from += sent;
            if let (Some(error), Some(packet)) = (error, outbox.get(from)) {
                if let Some(failed) = self.in_flight.remove(&Header::from_bytes(&packet.bytes).transmit.0) {
                    self.give_up_on_sending(failed.target, &error);
                }
                from += 1;
            }
        }
        outbox.clear();
        self.outbox = outbox;
    }

    fn give_up_on_sending(&mut self, index: usize, error: &io::Error) {
        if let Some(address) = self.targets[index].conversation.address {
            self.give_up_on_address(index, SourceError::Send { address, detail: error.to_string() });
        }
    }

    /// Takes in what has arrived, at most a batch of each family. False where nothing has.
    fn receive(&mut self) -> bool {
        let mut inbox = std::mem::take(&mut self.inbox);
        self.sockets.receive(&mut |datagram| inbox.push(*datagram));
        let something = !inbox.is_empty();
        if something {
            // After the system call: stamps are earlier than this reading, and T4 never earlier than the stamp.
            self.stamps.read(self.clock.system());
        }
        for datagram in inbox.drain(..) {
            self.take_in(&datagram);
        }
        self.inbox = inbox;
        something
    }

    fn take_in(&mut self, datagram: &Incoming) {
        if datagram.length < HEADER_LENGTH {
            self.note_stray(datagram.from, Stray::TooShort { length: datagram.length });
            return;
        }
        let header = Header::from_bytes(&datagram.bytes);
        let nonce = header.origin.0;
        if self.in_flight.get(&nonce).is_none_or(|asked| !same_endpoint(asked.address, datagram.from)) {
            self.note_stray(datagram.from, Stray::WrongNonce);
            return;
        }
        let Some(asked) = self.in_flight.remove(&nonce) else { return };
        let target = &mut self.targets[asked.target];
        let (t4, reception) = self.stamps.arrival(datagram.stamp);
        let travel = Travel {
            t1: asked.t1,
            t4,
            reception,
            local: target.local_address(&header, asked.address, &*self.sockets),
        };
        let judged = asked.request.judge(&datagram.bytes, &travel, self.limits, self.max_drift);
        self.conclude(asked.target, header, judged);
    }

    fn conclude(&mut self, index: usize, header: Header, judged: Result<Reply, SourceError>) {
        let target = &mut self.targets[index];
        target.begin_anew();
        match judged {
            Ok(reply) => {
                target.conversation.samples.push(reply.sample);
                target.conversation.header = Some(header);
                let wanted = usize::try_from(self.pace.samples).unwrap_or(usize::MAX);
                if target.conversation.samples.len() < wanted {
                    let due = self.clock.raw() + SignedDuration::from(self.pace.interval);
                    self.resting.push_back((due, index));
                }
            }
            // A kiss ends the asking; what was measured before it stays true.
            Err(SourceError::Kiss(kiss)) => {
                target.conversation.header.get_or_insert(header);
                target.conversation.error = Some(SourceError::Kiss(kiss));
            }
            // One bad reply spoils the burst: a server that is wrong now can't be trusted a second ago.
            Err(error) => {
                target.conversation.samples.clear();
                target.conversation.header = Some(header);
                target.conversation.error = Some(error);
            }
        }
    }

    /// Remembers why nothing usable came from an address that was asked.
    fn note_stray(&mut self, from: SocketAddr, stray: Stray) {
        if let Some(&index) = self.asked.get(&(from.ip(), from.port())) {
            let target = &mut self.targets[index];
            target.strays = target.strays.saturating_add(1);
            target.stray = Some(stray);
        }
    }
}

enum Prepared {
    Yes,
    /// A batch goes to one family.
    OtherFamily,
    /// As many replies are waited for as may be.
    NoRoom,
}

/// Scope and flow of an IPv6 address are of no account: the kernel fills them in.
fn same_endpoint(one: SocketAddr, other: SocketAddr) -> bool {
    one.ip() == other.ip() && one.port() == other.port()
}

/// Random numbers of the operating system, drawn many at a time.
struct Nonces {
    drawn: [[u8; 8]; BATCH],
    used: usize,
}

impl Default for Nonces {
    fn default() -> Self {
        Self { drawn: [[0; 8]; BATCH], used: BATCH }
    }
}

impl Nonces {
    /// A fresh one. Never zero, which would look like "no origin timestamp".
    fn draw(&mut self) -> io::Result<u64> {
        loop {
            if self.used >= BATCH {
                getrandom::fill(self.drawn.as_flattened_mut()).map_err(io::Error::other)?;
                self.used = 0;
            }
            let nonce = u64::from_ne_bytes(self.drawn[self.used]);
            self.used += 1;
            if nonce != 0 {
                return Ok(nonce);
            }
        }
    }
}
