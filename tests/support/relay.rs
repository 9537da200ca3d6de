//! A bad network between a client and a time server: a UDP relay that delays, loses, duplicates and
//! reorders. What happens to a packet depends on the seed and on how many came before it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fastrand::Rng;
use skewgate::ntp::Source;
use skewgate::time::{LocalClock, RawInstant, SignedDuration, os::OsClock};

/// How long a reordered packet is held back at the most: longer than any random delay, so that it is
/// overtaken, and longer than a client waits, so that it is a stray when it arrives.
const MAX_HOLD_BACK: Duration = Duration::from_millis(300);

/// Longer than any packet of NTP without extension fields.
const MAX_DATAGRAM: usize = 1_024;

/// What happens to packets that go one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Way {
    /// The least time that a packet takes.
    pub(crate) delay: Duration,
    /// Up to this is added, evenly spread.
    pub(crate) jitter: Duration,
    /// Of a hundred packets, so many are lost.
    pub(crate) loss: u8,
    /// Of a hundred, so many arrive twice.
    pub(crate) duplication: u8,
    /// Of a hundred, so many are held back and overtaken.
    pub(crate) reordering: u8,
}

/// A network: the way to the server, the way back, and the seed of everything that is random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// Where every random number comes from.
    pub(crate) seed: u64,
    /// To the server.
    pub(crate) out: Way,
    /// To the client.
    pub(crate) back: Way,
}

impl Route {
    /// Fixed delays, nothing else.
    pub(crate) fn delays(out: Duration, back: Duration) -> Self {
        let way = |delay| Way { delay, ..Way::default() };
        Self { seed: 0, out: way(out), back: way(back) }
    }

    /// Up to 80 ms of delay and 40 ms of jitter each way, 20 % loss, some duplicates, some reordering.
    pub(crate) fn random(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let mut way = || Way {
            delay: up_to(Duration::from_millis(80), &mut random),
            jitter: up_to(Duration::from_millis(40), &mut random),
            loss: 20,
            duplication: 20,
            reordering: 10,
        };
        Self { seed, out: way(), back: way() }
    }
}

/// A running relay; it stops when dropped. For one client at a time: replies go to whoever asked last.
#[derive(Debug)]
pub(crate) struct Relay {
    address: SocketAddr,
    sockets: [Arc<UdpSocket>; 2],
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Relay {
    /// In front of the server at this (IPv4) address.
    pub(crate) fn to(server: SocketAddr, route: &Route) -> Self {
        let [front, behind] = [(); 2].map(|()| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free UDP port on loopback");
            Arc::new(socket)
        });
        let address = front.local_addr().expect("the address of a bound socket");
        let stop = Arc::new(AtomicBool::new(false));
        let (arrivals, arrived) = channel();
        let mut threads: Vec<_> = [(&front, Direction::Out), (&behind, Direction::Back)]
            .map(|(socket, direction)| listen(socket.clone(), direction, stop.clone(), arrivals.clone()))
            .into();
        let delivery = Delivery {
            front: front.clone(),
            behind: behind.clone(),
            server,
            client: None,
            // The two ways don't share their random numbers: how packets interleave changes nothing.
            lanes: [
                Lane { way: route.out, random: Rng::with_seed(route.seed ^ 0x6f75_7400) },
                Lane { way: route.back, random: Rng::with_seed(route.seed ^ 0x6261_636b) },
            ],
            queue: BinaryHeap::new(),
            count: 0,
        };
        threads.push(thread::spawn(move || delivery.run(&arrived)));
        Self { address, sockets: [front, behind], stop, threads }
    }

    /// Where the client sends to.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// As a configured source.
    pub(crate) fn source(&self) -> Source {
        Source::new(self.address.into())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for socket in &self.sockets {
            // Wakes the thread that waits there. If that fails its read timeout does it.
            if let Ok(address) = socket.local_addr() {
                let _ = socket.send_to(&[], address);
            }
        }
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "a thread of the relay panicked");
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Direction {
    Out,
    Back,
}

/// A datagram as it came in.
struct Arrival {
    at: RawInstant,
    from: SocketAddr,
    direction: Direction,
    bytes: Vec<u8>,
}

/// A datagram on its way. Ordered by when it is due, then by when it came.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Packet {
    due: RawInstant,
    number: u64,
    direction: Direction,
    bytes: Vec<u8>,
}

fn listen(
    socket: Arc<UdpSocket>,
    direction: Direction,
    stop: Arc<AtomicBool>,
    arrivals: Sender<Arrival>,
) -> JoinHandle<()> {
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout that is not zero");
    thread::spawn(move || {
        let mut buffer = [0; MAX_DATAGRAM];
        while !stop.load(Ordering::SeqCst) {
            // An error is a timeout, or that an earlier packet found nobody.
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            let at = OsClock.raw();
            if length > 0
                && arrivals.send(Arrival { at, from, direction, bytes: buffer[..length].to_vec() }).is_err()
            {
                return;
            }
        }
    })
}

/// One way, and its random numbers.
struct Lane {
    way: Way,
    random: Rng,
}

impl Lane {
    /// How long each copy of the next packet takes: none, one, or two copies.
    fn fate(&mut self) -> Vec<Duration> {
        let copies = if self.random.u8(..100) < self.way.loss {
            0
        } else if self.random.u8(..100) < self.way.duplication {
            2
        } else {
            1
        };
        (0..copies)
            .map(|_| {
                let mut delay = self.way.delay + up_to(self.way.jitter, &mut self.random);
                if self.random.u8(..100) < self.way.reordering {
                    delay += up_to(MAX_HOLD_BACK, &mut self.random);
                }
                delay
            })
            .collect()
    }
}

/// The thread that sends each packet when it is due.
struct Delivery {
    front: Arc<UdpSocket>,
    behind: Arc<UdpSocket>,
    server: SocketAddr,
    client: Option<SocketAddr>,
    lanes: [Lane; 2],
    queue: BinaryHeap<Reverse<Packet>>,
    count: u64,
}

impl Delivery {
    fn run(mut self, arrived: &Receiver<Arrival>) {
        loop {
            let wait = match self.queue.peek() {
                Some(Reverse(next)) => (next.due - OsClock.raw()).max(SignedDuration::ZERO).unsigned_abs(),
                None => Duration::from_secs(1),
            };
            match arrived.recv_timeout(wait) {
                Ok(arrival) => self.take_in(arrival),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while self.queue.peek().is_some_and(|Reverse(next)| next.due <= OsClock.raw()) {
                if let Some(Reverse(packet)) = self.queue.pop() {
                    self.send(&packet);
                }
            }
        }
    }

    fn take_in(&mut self, arrival: Arrival) {
        let lane = match arrival.direction {
            Direction::Out => {
                self.client = Some(arrival.from);
                &mut self.lanes[0]
            }
            Direction::Back if arrival.from == self.server => &mut self.lanes[1],
            Direction::Back => return,
        };
        for delay in lane.fate() {
            self.count += 1;
            self.queue.push(Reverse(Packet {
                due: arrival.at + SignedDuration::from(delay),
                number: self.count,
                direction: arrival.direction,
                bytes: arrival.bytes.clone(),
            }));
        }
    }

    fn send(&self, packet: &Packet) {
        // A packet that can't be sent is lost, as on any network.
        let _ = match (packet.direction, self.client) {
            (Direction::Out, _) => self.behind.send_to(&packet.bytes, self.server),
            (Direction::Back, Some(client)) => self.front.send_to(&packet.bytes, client),
            (Direction::Back, None) => return,
        };
    }
}

fn up_to(longest: Duration, random: &mut Rng) -> Duration {
    Duration::from_nanos(random.u64(..=u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX)))
}
