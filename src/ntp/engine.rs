//! Deadlines, retries and pacing: many exchanges at once, on one thread.
//!
//! Exchanges are told apart by nonce and address. A datagram that is no reply to one of them is skipped, and the
//! exchange that it pretended to answer lives on: otherwise anybody could end a measurement with one packet. The deadlines have
//! their turn when nothing waits to be received, as a reply that waits may have come in time, and after so many batches in any
//! case: otherwise a flood of datagrams could keep a measurement from ending.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::ask::{Addresses, Answer, AskOptions};
use super::exchange::{Purpose, Reply, ReplyLimits, Request, Travel};
use super::nonces::{ByNonce, Nonces};
use super::pace::Pace;
use super::packet::{HEADER_LENGTH, Header};
use super::sockets::BATCH;
use super::stamp::Stamps;
use super::target::{Strays, Target};
use super::timers::Timers;
use super::transport::{Incoming, Outgoing, Sockets, Transport};
use super::{Refusal, SourceError, Stray};
use crate::clock::MaxDrift;
use crate::time::{LocalClock, RawInstant, SignedDuration};

/// So many batches empty the largest buffer: what it held is looked at before anything expires, and no flood can keep that off.
const DRAIN: u32 = 512;

/// After a pause, so many packets may be made up for at once, but no more than a tenth of a second's worth.
const BURST: i64 = 32;

/// How long a wait goes on before it is asked whether the result is wanted still.
pub(super) const LOOK_UP: Duration = Duration::from_millis(100);

/// How long a full send buffer is left to drain before it is tried again.
const DRAINING: SignedDuration = SignedDuration::from_micros(500);

/// Asks every target at once: the first of its addresses that answers is kept to.
///
/// Blocks until each has given its samples, refused, or stayed silent long enough.
pub(super) fn converse(
    targets: Vec<Addresses>,
    options: &AskOptions,
    clock: &dyn LocalClock,
    transport: &dyn Transport,
    done: &mut dyn FnMut(),
) -> Vec<Answer> {
    let mut sockets = transport.open();
    let AskOptions { purpose, pace, reply_limits: limits, max_drift } = options;
    // In place, where it fits: the targets take the memory of their addresses, and the answers that of the targets.
    let targets: Vec<_> = targets.into_iter().map(Target::new).collect();
    let askable = (0..targets.len()).filter(|&index| targets[index].answer.address.is_some());
    let ready: VecDeque<usize> = askable.collect();
    // What is waited for at once has its place before the first packet: afterwards nothing is allocated for one.
    let first = ready.front().and_then(|&index| targets[index].answer.address);
    let room = first.and_then(|address| sockets.room(address).ok()).unwrap_or(0);
    let most = pace.max_in_flight.min(room).min(ready.len());
    let resting = if pace.samples > 1 { ready.len() } else { 0 };
    let mut engine = Engine {
        timers: Timers::new(pace.timeout.into(), pace.interval.into(), most, resting),
        // Twice as many: a table that is at most half full clears away what was removed without growing.
        in_flight: ByNonce::with_capacity_and_hasher(2 * most, Default::default()),
        ready,
        purpose: *purpose,
        done,
        pace,
        limits,
        max_drift: *max_drift,
        clock,
        transport,
        sockets,
        stamps: Stamps::new(clock.system()),
        targets,
        strays: Strays::default(),
        next_send: clock.raw(),
        blocked: [None; 2],
        stalled: false,
        nonces: Nonces::default(),
        request: Request::new(0),
        outbox: Vec::with_capacity(BATCH),
        inbox: Vec::with_capacity(2 * BATCH),
    };
    engine.run();
    engine.targets.into_iter().map(|target| target.answer).collect()
}

struct Engine<'a> {
    purpose: Purpose,
    /// Told of each target that is asked no more.
    done: &'a mut dyn FnMut(),
    pace: &'a Pace,
    limits: &'a ReplyLimits,
    max_drift: MaxDrift,
    clock: &'a dyn LocalClock,
    transport: &'a dyn Transport,
    sockets: Box<dyn Sockets>,
    stamps: Stamps,
    targets: Vec<Target>,
    strays: Strays,
    in_flight: ByNonce<InFlight>,
    /// Targets that wait to be asked, in order.
    ready: VecDeque<usize>,
    timers: Timers,
    /// Before this, `max_rate` lets nothing out.
    next_send: RawInstant,
    /// Since when the send buffer is full, for IPv4 and IPv6.
    blocked: [Option<RawInstant>; 2],
    /// As many replies are waited for as may be: a reply or an expiry must come before the next send.
    stalled: bool,
    nonces: Nonces,
    /// What every packet is made of: all but the nonce.
    request: Result<Request, Refusal>,
    /// What is about to be sent, all of it to one family.
    outbox: Vec<Outgoing>,
    inbox: Vec<Incoming>,
}

/// A request whose reply is waited for. A target has one at a time, at the address that its answer names.
struct InFlight {
    target: usize,
    t1: RawInstant,
}

impl Engine<'_> {
    fn run(&mut self) {
        // When the sockets were last begun to be emptied, and the batches since.
        let (mut since, mut batches) = (self.clock.raw(), 0);
        loop {
            let now = self.clock.raw();
            if batches == 0 {
                since = now;
            }
            let something = self.receive();
            batches = if something { batches + 1 } else { 0 };
            // A reply that was there before is in time, however long this thread was off the processor.
            if batches == 0 || batches >= DRAIN {
                self.expire(since);
                batches = 0;
            }
            self.timers.forget_answered(self.in_flight.len(), |nonce| self.in_flight.contains_key(&nonce));
            if self.transport.cancelled() {
                return self.call_off();
            }
            self.wake(now);
            self.send_ready(now);
            if self.ready.is_empty() && self.timers.nobody_rests() && self.in_flight.is_empty() {
                return;
            }
            if something {
                continue;
            }
            let pause = self.idle_until().map_or(SignedDuration::ZERO, |next| next - self.clock.raw());
            if pause > SignedDuration::ZERO {
                self.sockets.wait(pause.unsigned_abs().min(LOOK_UP));
            }
        }
    }

    /// Nobody wants the rest: those that are not done say so.
    fn call_off(&mut self) {
        for target in &mut self.targets {
            let answer = &mut target.answer;
            let done = answer.error.is_some() || answer.address.is_none();
            if !done && !enough(answer, self.pace) {
                answer.error = Some(SourceError::Cancelled.into());
            }
        }
    }

    /// When the next thing happens that is not a datagram.
    fn idle_until(&self) -> Option<RawInstant> {
        let paced = (!self.ready.is_empty() && !self.stalled).then_some(self.next_send);
        self.timers.next().into_iter().chain(paced).min()
    }

    /// Gives up on replies that took too long.
    fn expire(&mut self, now: RawInstant) {
        while let Some(nonce) = self.timers.next_expired(now, |nonce| self.in_flight.contains_key(&nonce)) {
            let Some(InFlight { target: index, .. }) = self.in_flight.remove(&nonce) else { continue };
            let target = &mut self.targets[index];
            target.note_expired(nonce);
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
        while let Some(index) = self.timers.next_rested(now) {
            self.ready.push_back(index);
        }
    }

    /// Another address, or the end: what was measured so far counts.
    fn give_up_on_address(&mut self, index: usize, error: SourceError) {
        if self.targets[index].next_address() {
            self.ready.push_back(index);
        } else {
            self.targets[index].answer.error = Some(error.into());
            (self.done)();
        }
    }

    /// How far apart `max_rate` wants packets to be.
    fn gap(&self) -> SignedDuration {
        SignedDuration::from_nanos(self.pace.max_rate.map_or(0, |rate| 1_000_000_000 / i64::from(rate.get())))
    }

    /// Sends a batch at the most: then it is time to look for replies.
    fn send_ready(&mut self, now: RawInstant) {
        let gap = self.gap();
        // One is sent at `now` itself.
        let made_up =
            self.pace.max_rate.map_or(BURST, |rate| (i64::from(rate.get()) / 10).clamp(1, BURST)) - 1;
        self.next_send = self.next_send.max(now + -SignedDuration::from_nanos(gap.as_nanos() * made_up));
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
        let address = target.answer.address.ok_or(io::ErrorKind::AddrNotAvailable)?;
        if self.outbox.first().is_some_and(|packet| packet.address.is_ipv4() != address.is_ipv4()) {
            return Ok(Prepared::OtherFamily);
        }
        let most = self.sockets.room(address)?.min(self.pace.max_in_flight).max(1);
        if self.in_flight.len() >= most {
            return Ok(Prepared::NoRoom);
        }
        let nonce = self.nonces.draw()?;
        let request = self.request.as_ref().map_err(|&refusal| io::Error::other(refusal))?.with_nonce(nonce);
        // T1 is read for each packet; until it goes out with its batch, the bound widens by what that takes.
        let t1 = self.clock.raw();
        self.in_flight.insert(nonce, InFlight { target: index, t1 });
        self.timers.wait_for(nonce, t1);
        self.outbox.push(Outgoing { address, bytes: *request.bytes() });
        Ok(Prepared::Yes)
    }

    /// Sends what is in the outbox. A packet that can't be sent is its target's error; where there is no room to send, the
    /// rest has to wait for it, and replies are taken in meanwhile.
    fn flush(&mut self) {
        let mut outbox = std::mem::take(&mut self.outbox);
        let family = usize::from(outbox.first().is_some_and(|packet| packet.address.is_ipv6()));
        let mut from = 0;
        while from < outbox.len() {
            let (sent, error) = self.sockets.send(&outbox[from..]);
            from += sent;
            if sent > 0 {
                self.blocked[family] = None;
            }
            // Sockets that send nothing and don't say why would be asked for ever.
            let error = error.or_else(|| (sent == 0).then(|| io::ErrorKind::WriteZero.into()));
            let (Some(mut error), Some(packet)) = (error, outbox.get(from)) else { continue };
            if error.kind() == io::ErrorKind::WouldBlock {
                let now = self.clock.raw();
                let since = *self.blocked[family].get_or_insert(now);
                if now - since < self.pace.timeout.into() {
                    self.take_back(&outbox[from..], now);
                    break;
                }
                error = io::Error::other(format!("no room in the send buffer for {:?}", self.pace.timeout));
            }
            if let Some(failed) = self.in_flight.remove(&Header::from_bytes(&packet.bytes).transmit.0) {
                self.give_up_on_sending(failed.target, &error);
            }
            from += 1;
        }
        outbox.clear();
        self.outbox = outbox;
    }

    /// Packets that found no room are made anew later, with a later T1: their targets are the next again.
    fn take_back(&mut self, unsent: &[Outgoing], now: RawInstant) {
        let gap = self.gap();
        // The last one first: that is the order in which they can be put back.
        for packet in unsent.iter().rev() {
            let nonce = Header::from_bytes(&packet.bytes).transmit.0;
            if let Some(unsent) = self.in_flight.remove(&nonce) {
                self.timers.take_back(nonce);
                self.ready.push_front(unsent.target);
                self.next_send = self.next_send + -gap;
            }
        }
        self.next_send = self.next_send.max(now + DRAINING);
        // Whatever room there was for replies has become larger.
        self.stalled = false;
    }

    fn give_up_on_sending(&mut self, index: usize, error: &io::Error) {
        if let Some(address) = self.targets[index].answer.address {
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
        } else {
            self.stamps.nothing_left();
        }
        for datagram in inbox.drain(..) {
            self.take_in(&datagram);
        }
        self.inbox = inbox;
        something
    }

    fn take_in(&mut self, datagram: &Incoming) {
        if datagram.length < HEADER_LENGTH {
            self.note_stray(datagram.from, Stray::TooShort { length: datagram.length }, None);
            return;
        }
        let header = Header::from_bytes(&datagram.bytes);
        // Anybody can send datagrams with a nonce of their own choice; from here on it is the one that was asked.
        let Entry::Occupied(waited) = self.in_flight.entry(header.origin.0) else {
            return self.note_stray(datagram.from, Stray::WrongNonce, Some(header.origin.0));
        };
        let target = &mut self.targets[waited.get().target];
        let address = match target.answer.address {
            Some(address) if same_endpoint(address, datagram.from) => address,
            _ => return self.note_stray(datagram.from, Stray::WrongNonce, None),
        };
        let asked = waited.remove();
        let (t4, reception) = self.stamps.arrival(datagram.stamp);
        // Whom a server follows matters to those who would follow it.
        let local = match self.purpose {
            Purpose::TrueTime => target.local_address(&header, address, &*self.sockets),
            Purpose::ClockReading => None,
        };
        let travel = Travel { t1: asked.t1, t4, reception, local };
        // There is one: this is a reply to what was made of it.
        let Ok(request) = &self.request else { return };
        let request = request.with_nonce(header.origin.0);
        let (bytes, limits, max_drift) = (&datagram.bytes, self.limits, self.max_drift);
        let judged = match self.purpose {
            Purpose::TrueTime => request.judge(bytes, &travel, limits, max_drift),
            Purpose::ClockReading => request.read_clock(bytes, &travel, limits, max_drift),
        };
        self.conclude(asked.target, header, judged);
    }

    fn conclude(&mut self, index: usize, header: Header, judged: Result<Reply, SourceError>) {
        let target = &mut self.targets[index];
        target.begin_anew();
        match judged {
            Ok(reply) => {
                let wanted = usize::try_from(self.pace.samples).unwrap_or(usize::MAX);
                target.answer.samples.push(reply.sample, wanted);
                target.answer.header = Some(header);
                if target.answer.samples.len() < wanted {
                    return self.timers.pause(index, self.stamps.latest());
                }
            }
            // A kiss ends the asking; what was measured before it stays true.
            Err(SourceError::Kiss(kiss)) => {
                target.answer.header.get_or_insert(header);
                target.answer.error = Some(SourceError::Kiss(kiss).into());
            }
            // One bad reply spoils the burst: a server that is wrong now can't be trusted a second ago.
            Err(error) => {
                target.answer.samples.clear();
                target.answer.header = Some(header);
                target.answer.error = Some(error.into());
            }
        }
        (self.done)();
    }

    /// Remembers why nothing usable came from an address that was asked.
    fn note_stray(&mut self, from: SocketAddr, stray: Stray, origin: Option<u64>) {
        self.strays.note(&mut self.targets, from, stray, origin);
    }
}

/// As many samples as are wanted; without a reply there never are.
fn enough(answer: &Answer, pace: &Pace) -> bool {
    u32::try_from(answer.samples.len()).is_ok_and(|got| got >= pace.samples.max(1))
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
