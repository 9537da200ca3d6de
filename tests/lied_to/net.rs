//! The time sources and the way to them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use fastrand::Rng;
use skewgate::clock::Leap;
use skewgate::ntp::{
    HEADER_LENGTH, Header, Incoming, Outgoing, ReferenceId, Sockets, Transport, WireTimestamp,
};
use skewgate::time::sim::SimClock;
use skewgate::time::{SignedDuration, Timestamp};

/// How many there are: two may lie.
pub(crate) const SOURCES: usize = 5;

/// What a source says at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// The truth, as well as it knows it.
    Truth,
    Silence,
    /// A time that is off by so much, which it doesn't admit.
    Off(SignedDuration),
    /// Likewise, and that it may be wrong by so much more than others.
    OffAndUnsure(SignedDuration, Duration),
}

type Speech = Box<dyn Fn(usize, Timestamp) -> Says + Send>;

struct World {
    clock: Arc<SimClock>,
    speech: Speech,
    /// splitmix64.
    dice: Rng,
    /// By arrival: true time, which one.
    travelling: BinaryHeap<Reverse<(Timestamp, usize)>>,
    datagrams: Vec<Incoming>,
}

/// The network, as the engine sees it.
#[derive(Clone)]
pub(crate) struct Net(Arc<Mutex<World>>);

impl Net {
    pub(crate) fn new(clock: Arc<SimClock>) -> Self {
        let speech: Speech = Box::new(|_, _| Says::Truth);
        let (travelling, datagrams) = (BinaryHeap::new(), Vec::new());
        Self(Arc::new(Mutex::new(World { clock, speech, dice: Rng::with_seed(7), travelling, datagrams })))
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        (1..).take(SOURCES).map(|host| SocketAddr::from(([192, 0, 2, host], 123)))
    }

    /// What each source says from now on, given the number of the source and true time.
    pub(crate) fn set(&self, speech: impl Fn(usize, Timestamp) -> Says + Send + 'static) {
        self.world().speech = Box::new(speech);
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("no test panics in the network")
    }
}

impl World {
    fn micros(&mut self, limit: u64) -> Duration {
        Duration::from_micros(self.dice.u64(..limit))
    }

    fn send(&mut self, packet: &Outgoing) {
        let IpAddr::V4(address) = packet.address.ip() else { return };
        let source = usize::from(address.octets()[3] - 1);
        let (off, unsure) = match (self.speech)(source, self.clock.truth()) {
            Says::Silence => return,
            Says::Truth => (SignedDuration::ZERO, Duration::ZERO),
            Says::Off(off) => (off, Duration::ZERO),
            Says::OffAndUnsure(off, unsure) => (off, unsure),
        };
        let (out, back) = (self.micros(30_000), self.micros(30_000));
        // As wrong as it admits, at times.
        let wrong = SignedDuration::from(self.micros(10_000)) - SignedDuration::from_millis(5);
        let time = self.clock.truth() + SignedDuration::from(out) + wrong + off;
        let request = Header::from_bytes(&packet.bytes);
        let reply = Header {
            leap: Leap::None,
            mode: 4,
            stratum: 2,
            precision: -23,
            root_delay: Duration::from_millis(4),
            root_dispersion: Duration::from_millis(4) + unsure,
            reference_id: ReferenceId::from_bytes([198, 51, 100, address.octets()[3]]),
            reference: WireTimestamp::from_timestamp(time - SignedDuration::from_secs(60)),
            origin: request.transmit,
            receive: WireTimestamp::from_timestamp(time),
            transmit: WireTimestamp::from_timestamp(time),
            ..request
        };
        let arrival = self.clock.truth() + SignedDuration::from(out + back);
        self.travelling.push(Reverse((arrival, self.datagrams.len())));
        let bytes = reply.to_bytes();
        self.datagrams.push(Incoming { from: packet.address, bytes, length: HEADER_LENGTH, stamp: None });
    }
}

impl Transport for Net {
    fn open(&self) -> Box<dyn Sockets> {
        let mut world = self.world();
        // What is still on its way goes to a port that is closed.
        world.travelling.clear();
        world.datagrams.clear();
        drop(world);
        Box::new(self.clone())
    }
}

impl Sockets for Net {
    fn room(&mut self, _: SocketAddr) -> io::Result<usize> {
        Ok(256)
    }

    fn send(&mut self, batch: &[Outgoing]) -> (usize, Option<io::Error>) {
        batch.iter().for_each(|packet| self.world().send(packet));
        (batch.len(), None)
    }

    fn receive(&mut self, take: &mut dyn FnMut(&Incoming)) {
        let mut world = self.world();
        let truth = world.clock.truth();
        while let Some(&Reverse((arrival, index))) = world.travelling.peek()
            && arrival <= truth
        {
            world.travelling.pop();
            let stamp = Some(skewgate::time::LocalClock::system(&*world.clock).realtime);
            take(&Incoming { stamp, ..world.datagrams[index] });
        }
    }

    fn wait(&mut self, timeout: Duration) {
        let mut world = self.world();
        let arrival = world.travelling.peek().map(|Reverse((arrival, _))| *arrival - world.clock.truth());
        let until = arrival.map_or(timeout, |until| timeout.min(until.unsigned_abs()));
        let late = world.micros(300);
        world.clock.advance(until + late);
    }

    fn local_address(&self, _: SocketAddr) -> Option<IpAddr> {
        None
    }
}
