//! The host: its clocks, its sockets, and the network behind them.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use skewgate::clock::MaxDrift;
use skewgate::ntp::{HEADER_LENGTH, Header, Incoming, Outgoing, Sockets, Transport, WireTimestamp};
use skewgate::time::{LocalClock, RawInstant, SignedDuration, SystemReading, Timestamp, sim::SimClock};

use super::Dice;
use super::liar::Coalition;
use super::server::{Question, Server};
use super::weather::Weather;

const MICRO: i64 = 1_000;
const MILLI: i64 = 1_000_000;

/// A host in its network, as the engine sees it: both its clock and its transport.
#[derive(Clone)]
pub(super) struct Host(Arc<Mutex<World>>);

impl Host {
    pub(super) fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("no run panics with the world in its hands")
    }
}

pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) clock: SimClock,
    pub(super) raw_rate_ppb: i64,
    pub(super) max_drift: MaxDrift,
    pub(super) weather: Weather,
    pub(super) servers: Vec<Server>,
    pub(super) coalition: Coalition,
    agenda: BinaryHeap<Appointment>,
    appointments: u64,
    inbox: VecDeque<Arrival>,
    /// The raw clock as it was read since the last datagrams were sent: each of these has its T1 among them.
    readings: Vec<RawInstant>,
    /// Points of the raw timeline and true time there, between which the raw clock's rate doesn't change.
    history: Vec<(RawInstant, Timestamp)>,
    /// Which way the system clock was stepped since it was read.
    pub(super) stepped: i64,
    /// True time when the system clock was read last.
    pub(super) truth_at_reading: Timestamp,
}

struct Appointment {
    at: Timestamp,
    number: u64,
    event: Event,
}

/// In the order of time, and of making: the earliest is the greatest.
impl Ord for Appointment {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Appointment {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Appointment {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Appointment {}

pub(super) enum Event {
    AtServer(Question),
    /// A liar has the question and looks at what the others have answered so far.
    Deliberation(Question),
    AtHost(Reply),
    Mischief,
}

#[derive(Clone, Copy)]
pub(super) struct Reply {
    pub(super) from: SocketAddr,
    pub(super) header: Header,
    pub(super) length: usize,
    pub(super) server: usize,
}

struct Arrival {
    reply: Reply,
    raw: RawInstant,
    stamp: Option<Timestamp>,
}

impl World {
    pub(super) fn new(mut dice: Dice, clock: SimClock, max_drift: MaxDrift) -> Self {
        let weather = Weather::roll(&mut dice);
        let mut world = Self {
            coalition: Coalition::roll(&mut dice),
            raw_rate_ppb: 0,
            max_drift,
            weather,
            servers: Vec::new(),
            agenda: BinaryHeap::new(),
            appointments: 0,
            inbox: VecDeque::new(),
            readings: Vec::new(),
            history: Vec::new(),
            stepped: 0,
            truth_at_reading: clock.truth(),
            clock,
            dice,
        };
        world.wander();
        world.slew();
        world
    }

    // --- Time ------------------------------------------------------------------------------------------------

    pub(super) fn after(&mut self, nanos: i64, event: Event) {
        self.appointments += 1;
        let at = self.clock.truth() + SignedDuration::from_nanos(nanos);
        self.agenda.push(Appointment { at, number: self.appointments, event });
    }

    /// Lets true time pass, with all that happens meanwhile.
    pub(super) fn pass(&mut self, nanos: i64) {
        self.run_until(self.clock.truth() + SignedDuration::from_nanos(nanos));
    }

    fn run_until(&mut self, end: Timestamp) {
        while self.agenda.peek().is_some_and(|next| next.at <= end) {
            let Some(next) = self.agenda.pop() else { return };
            self.advance_to(next.at);
            self.happen(next.event);
        }
        self.advance_to(end);
    }

    /// What was due while the host slept happens when it wakes.
    fn advance_to(&self, time: Timestamp) {
        let ahead = time - self.clock.truth();
        if ahead > SignedDuration::ZERO {
            self.clock.advance(ahead.unsigned_abs());
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::AtServer(question) => self.ask(&question),
            Event::Deliberation(question) => self.deliberate(&question),
            Event::AtHost(reply) => self.arrive(reply),
            Event::Mischief => self.do_mischief(),
        }
    }

    /// True time when the raw clock showed `raw`, at some point of the past.
    pub(super) fn truth_at(&mut self, raw: RawInstant) -> Timestamp {
        self.remember();
        let later = self.history.partition_point(|(point, _)| *point <= raw).min(self.history.len() - 1);
        let (end, truth_at_end) = self.history[later];
        let (start, truth_at_start) = self.history[later.saturating_sub(1)];
        let counted = i128::from((end - start).as_nanos()).max(1);
        let passed = i128::from((truth_at_end - truth_at_start).as_nanos());
        let since = i128::from((raw - start).as_nanos()) * passed / counted;
        truth_at_start + SignedDuration::saturating_from_nanos(since)
    }

    pub(super) fn remember(&mut self) {
        self.history.push((self.clock.raw(), self.clock.truth()));
    }

    // --- Datagrams ---------------------------------------------------------------------------------------------

    fn leave(&mut self, packet: &Outgoing, t1: RawInstant) {
        self.maybe_mischief();
        let Some(server) = self.servers.iter().position(|server| server.address == packet.address) else {
            return;
        };
        let nonce = Header::from_bytes(&packet.bytes).transmit;
        let question = Question { server, nonce, t1, asked_at: self.clock.truth() };
        self.servers[server].asked(question);
        for _ in 0..self.copies() {
            let wait = self.dice.between(0, self.weather.leaving);
            let way = self.servers[server].path.out(&mut self.dice);
            self.after(wait + way, Event::AtServer(question));
        }
    }

    /// None where it is lost, two where it is duplicated.
    fn copies(&mut self) -> u32 {
        if self.dice.once_in(self.weather.loss) {
            0
        } else {
            1 + u32::from(self.dice.once_in(self.weather.duplication))
        }
    }

    fn ask(&mut self, question: &Question) {
        if self.dice.once_in(self.weather.strays) {
            self.send_stray(question);
        }
        let server = &mut self.servers[question.server];
        if server.is_liar() {
            self.after(self.coalition.first_thought, Event::Deliberation(*question));
        } else if let Some((hold, header)) = server.answer(self.clock.truth(), question.nonce, &mut self.dice)
        {
            self.reply(question.server, hold, header);
        }
    }

    pub(super) fn reply(&mut self, server: usize, hold: i64, header: Header) {
        for _ in 0..self.copies() {
            let way = self.servers[server].path.back(&mut self.dice);
            self.reply_on_the_way(server, hold + way, header);
        }
    }

    pub(super) fn reply_on_the_way(&mut self, server: usize, way: i64, header: Header) {
        let from = self.servers[server].address;
        self.after(way, Event::AtHost(Reply { from, header, length: HEADER_LENGTH, server }));
    }

    /// Somebody who can't see the requests forges a reply to one, or there is noise.
    fn send_stray(&mut self, question: &Question) {
        let off = SignedDuration::from_nanos(self.dice.magnitude(MICRO, 3_600_000 * MILLI));
        let forged = self.servers[question.server].forgery(self.clock.truth() + off, question.nonce);
        let real = self.servers[question.server].address;
        let (from, header, length) = match self.dice.count(0, 4) {
            // The right nonce from elsewhere: it would have to be guessed, and the address counts too.
            0 => (SocketAddr::new(Ipv4Addr::new(203, 0, 113, 9).into(), 123), forged, HEADER_LENGTH),
            1 => (SocketAddr::new(real.ip(), 124), forged, HEADER_LENGTH),
            2 => (real, forged, self.dice.count(0, HEADER_LENGTH - 1)),
            // The right address and no idea of the nonce.
            _ => (real, Header { origin: WireTimestamp(question.nonce.0 ^ 1), ..forged }, HEADER_LENGTH),
        };
        let way = self.dice.between(0, 20 * MILLI);
        self.after(way, Event::AtHost(Reply { from, header, length, server: question.server }));
    }

    fn arrive(&mut self, reply: Reply) {
        let before = self.dice.once_in(2);
        if before {
            self.maybe_mischief();
        }
        let stamped = self.weather.stamps && !self.dice.once_in(30);
        let stamp = stamped.then(|| self.clock.system().realtime);
        if self.inbox.len() < self.weather.buffer {
            self.inbox.push_back(Arrival { reply, raw: self.clock.raw(), stamp });
        }
        if !before {
            self.maybe_mischief();
        }
    }

    /// Time that a reading of a clock takes.
    fn pass_reading(&mut self) {
        let interrupted = self.dice.once_in(self.weather.interrupts);
        let length = if interrupted { self.dice.heavy_tailed(MILLI) } else { self.weather.reading };
        self.pass(length);
    }

    fn pass_system_call(&mut self) {
        let length = self.dice.between(0, self.weather.system_call);
        self.pass(length);
    }
}

impl LocalClock for Host {
    fn raw(&self) -> RawInstant {
        let mut world = self.world();
        world.pass_reading();
        let raw = world.clock.raw();
        world.readings.push(raw);
        raw
    }

    fn suspended(&self) -> SignedDuration {
        let mut world = self.world();
        world.pass_reading();
        world.clock.suspended()
    }

    /// A step can fall between any two of these readings.
    fn system(&self) -> SystemReading {
        let mut world = self.world();
        world.pass_reading();
        let before = world.clock.raw();
        world.pass_reading();
        let realtime = world.clock.system().realtime;
        world.truth_at_reading = world.clock.truth();
        world.stepped = 0;
        world.pass_reading();
        let boottime = world.clock.system().boottime;
        world.pass_reading();
        SystemReading { before, realtime, boottime, after: world.clock.raw() }
    }
}

impl Transport for Host {
    fn open(&self) -> Box<dyn Sockets> {
        Box::new(self.clone())
    }
}

impl Sockets for Host {
    fn room(&mut self, address: SocketAddr) -> io::Result<usize> {
        let world = self.world();
        if address.is_ipv6() && !world.weather.ipv6 {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        Ok(world.weather.room)
    }

    fn send(&mut self, batch: &[Outgoing]) -> (usize, Option<io::Error>) {
        let mut world = self.world();
        let readings = std::mem::take(&mut world.readings);
        let t1s = &readings[readings.len().saturating_sub(batch.len())..];
        let most = if world.dice.once_in(60) { world.dice.count(1, batch.len()) } else { batch.len() };
        for (packet, t1) in batch[..most].iter().zip(t1s) {
            world.pass_system_call();
            world.leave(packet, *t1);
        }
        // The ones that stay are asked for again: their T1 are the last.
        world.readings.extend_from_slice(&t1s[most.min(t1s.len())..]);
        let refused = most < batch.len() && world.dice.once_in(4);
        (most, refused.then(|| io::ErrorKind::NetworkUnreachable.into()))
    }

    fn receive(&mut self, take: &mut dyn FnMut(&Incoming)) {
        let mut world = self.world();
        world.pass_system_call();
        let most = if world.dice.once_in(8) { 1 } else { 32 };
        let taken = world.inbox.len().min(most);
        let arrivals: Vec<Arrival> = world.inbox.drain(..taken).collect();
        for Arrival { reply, raw, stamp } in &arrivals {
            let (t4, max_drift) = (stamp.map_or_else(|| world.clock.raw(), |_| *raw), world.max_drift);
            world.servers[reply.server].overheard(reply, t4, max_drift);
        }
        // What arrives between the system call and the next reading of the clocks has to wait.
        world.pass_system_call();
        drop(world);
        for Arrival { reply: Reply { from, header, length, .. }, stamp, .. } in arrivals {
            take(&Incoming { from, bytes: header.to_bytes(), length, stamp });
        }
    }

    fn wait(&mut self, timeout: Duration) {
        let mut world = self.world();
        let end = world.clock.truth() + SignedDuration::from(timeout);
        while world.inbox.is_empty() && world.clock.truth() < end {
            let next = world.agenda.peek().map_or(end, |next| next.at.min(end));
            world.run_until(next);
        }
        let late = world.weather.oversleep;
        let late = world.dice.between(0, late);
        world.pass(late);
    }

    fn local_address(&self, _: SocketAddr) -> Option<IpAddr> {
        Some(Ipv4Addr::new(10, 0, 0, 1).into())
    }
}
