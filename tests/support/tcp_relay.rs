//! A bad network between a store and its server: a TCP relay that delays, cuts connections in the middle of what they
//! carry, and swallows answers. What happens depends on the seed, on which connection it is, and on how much it has carried.
//!
//! It needs nothing of skewgate: `#[path = "support/tcp_relay.rs"] mod tcp_relay;` in a test file.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fastrand::Rng;

/// How long a thread of the relay may sleep before it looks whether it should end.
const TICK: Duration = Duration::from_millis(20);

/// What happens to the bytes of a connection. The default is a good network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weather {
    /// Each piece takes up to so long, evenly spread; no piece overtakes another.
    pub(crate) delay: Duration,
    /// Of 1,000 pieces, so many end their connection: half of these before they are passed on, half after some of their bytes.
    pub(crate) cut_per_mille: u16,
    /// What the server sends doesn't arrive, and nobody is told. A connection that has lost something once carries no answer
    /// ever after: TCP loses the end of what is sent, never its middle.
    pub(crate) swallow_answers: bool,
}

/// A running relay; it cuts everything and stops when dropped.
#[derive(Debug)]
pub(crate) struct TcpRelay {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    server: Mutex<SocketAddr>,
    seed: u64,
    weather: Mutex<Weather>,
    /// Every connection there is now, by both ends.
    streams: Mutex<Vec<(TcpStream, TcpStream)>>,
    cuts: AtomicU64,
    stop: AtomicBool,
}

impl TcpRelay {
    /// In front of the server at this address, in good weather.
    pub(crate) fn to(server: SocketAddr, seed: u64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free TCP port on loopback");
        let address = listener.local_addr().expect("the address of a bound socket");
        let shared = Arc::new(Shared {
            server: Mutex::new(server),
            seed,
            weather: Mutex::default(),
            streams: Mutex::default(),
            cuts: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let inside = shared.clone();
        let thread = thread::spawn(move || inside.accept(&listener));
        Self { address, shared, thread: Some(thread) }
    }

    /// Where clients connect to.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, for connections that exist too.
    pub(crate) fn set(&self, weather: Weather) {
        *lock(&self.shared.weather) = weather;
    }

    /// New connections lead to another server, as behind a virtual address after a failover. Those that exist stay.
    pub(crate) fn lead_to(&self, server: SocketAddr) {
        *lock(&self.shared.server) = server;
    }

    /// Ends every connection that exists.
    pub(crate) fn cut_all(&self) {
        for (client, server) in lock(&self.shared.streams).drain(..) {
            cut(&client, &server);
        }
    }

    /// How many connections the weather has cut.
    pub(crate) fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for TcpRelay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
        self.cut_all();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "a thread of the relay panicked");
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Out,
    Back,
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        let mut threads = Vec::new();
        for number in 0_u64.. {
            let Ok((client, _)) = listener.accept() else { continue };
            if self.stop.load(Ordering::SeqCst) {
                break;
            }
            // Nobody there: the client sees a connection that ends at once.
            let server = *lock(&self.server);
            let Ok(server) = TcpStream::connect(server) else { continue };
            for stream in [&client, &server] {
                stream.set_nodelay(true).expect("an open socket");
                stream.set_read_timeout(Some(TICK)).expect("a timeout that is not zero");
            }
            let again = |stream: &TcpStream| stream.try_clone().expect("a second handle of a socket");
            lock(&self.streams).push((again(&client), again(&server)));
            let seed = self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            for (from, to, direction) in
                [(again(&client), again(&server), Direction::Out), (server, client, Direction::Back)]
            {
                let (shared, random) = (self.clone(), Rng::with_seed(seed ^ direction as u64));
                threads.push(thread::spawn(move || shared.carry(&from, &to, direction, random)));
            }
        }
        for thread in threads {
            thread.join().expect("a thread that carries bytes doesn't panic");
        }
    }

    fn carry(&self, mut from: &TcpStream, mut to: &TcpStream, direction: Direction, mut random: Rng) {
        let mut buffer = [0; 4096];
        let mut deaf = false;
        while !self.stop.load(Ordering::SeqCst) {
            let length = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                Err(_) => break,
            };
            let weather = *lock(&self.weather);
            // Drawn for every piece, so that one weather's numbers don't depend on another's.
            let (delay, fate, part) = (up_to(weather.delay, &mut random), random.u64(..), random.u64(..));
            thread::sleep(delay);
            deaf |= weather.swallow_answers && direction == Direction::Back;
            if deaf {
                continue;
            }
            if fate % 1_000 < u64::from(weather.cut_per_mille) {
                let some =
                    if fate.is_multiple_of(2) { 0 } else { usize::try_from(part).unwrap_or(0) % length };
                let _ = to.write_all(&buffer[..some]);
                self.cuts.fetch_add(1, Ordering::SeqCst);
                break;
            }
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        cut(from, to);
    }
}

/// Fails only where a stream has ended already.
fn cut(client: &TcpStream, server: &TcpStream) {
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn up_to(longest: Duration, random: &mut Rng) -> Duration {
    Duration::from_nanos(random.u64(..=u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX)))
}
