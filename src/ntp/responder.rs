//! A scripted time server, for demonstrations and tests.
//!
//! It answers as its [`Script`] says: right, wrong by a known amount, late, with any header, with garbage, or
//! not at all. It is no server for production: it neither limits rates nor keeps an allow-list, so bind it to
//! loopback.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::packet::{HEADER_LENGTH, Header, ReferenceId, WireTimestamp};
use crate::clock::Leap;
use crate::time::{LocalClock, SignedDuration, Timestamp};

/// How long a blocking read takes before the thread looks whether it should stop.
const STOP_INTERVAL: Duration = Duration::from_millis(50);

/// What a [`Responder`] answers. The default is an honest server of stratum 2.
#[derive(Clone)]
pub struct Script {
    /// How far its clock is ahead of this host's.
    pub offset: SignedDuration,
    /// How long it holds a request.
    pub hold: Duration,
    /// The leap indicator.
    pub leap: Leap,
    /// The stratum.
    pub stratum: u8,
    /// The reference identifier.
    pub reference_id: ReferenceId,
    /// The root delay.
    pub root_delay: Duration,
    /// The root dispersion.
    pub root_dispersion: Duration,
    /// Turns the finished reply into the datagrams that are sent in its place: none, another, several.
    pub rewrite: Rewrite,
}

/// What is done to a reply before it is sent.
#[derive(Clone, Default)]
pub enum Rewrite {
    /// It goes out as it is.
    #[default]
    Nothing,
    /// Nothing is sent.
    Silence,
    /// These datagrams are sent in its place; the number says how many requests came before.
    With(Arc<dyn Fn(Header, u32) -> Vec<Vec<u8>> + Send + Sync>),
}

impl fmt::Debug for Rewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Silence => "Silence",
            Self::With(_) => "With(..)",
        })
    }
}

impl Default for Script {
    fn default() -> Self {
        Self {
            offset: SignedDuration::ZERO,
            hold: Duration::ZERO,
            leap: Leap::None,
            stratum: 2,
            reference_id: ReferenceId::from_bytes([192, 0, 2, 1]),
            root_delay: Duration::from_micros(500),
            root_dispersion: Duration::from_micros(500),
            rewrite: Rewrite::Nothing,
        }
    }
}

impl Script {
    /// Right in everything but the time: ahead by `offset`.
    #[must_use]
    pub fn ahead_by(offset: SignedDuration) -> Self {
        Self { offset, ..Self::default() }
    }

    /// Never answers.
    #[must_use]
    pub fn silent() -> Self {
        Self { rewrite: Rewrite::Silence, ..Self::default() }
    }

    /// Answers what `rewrite` makes of each honest reply and of the number of requests before.
    #[must_use]
    pub fn rewriting(rewrite: impl Fn(Header, u32) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self { rewrite: Rewrite::With(Arc::new(rewrite)), ..Self::default() }
    }

    fn reply(&self, request: &Header, received: Timestamp, sent: Timestamp) -> Header {
        Header {
            leap: self.leap,
            version: request.version,
            mode: 4,
            stratum: self.stratum,
            poll: request.poll,
            precision: -23,
            root_delay: self.root_delay,
            root_dispersion: self.root_dispersion,
            reference_id: self.reference_id,
            reference: WireTimestamp::from_timestamp(received + self.offset - SignedDuration::from_secs(16)),
            origin: request.transmit,
            receive: WireTimestamp::from_timestamp(received + self.offset),
            transmit: WireTimestamp::from_timestamp(sent + self.offset),
        }
    }
}

/// A running server; it stops when dropped.
#[derive(Debug)]
pub struct Responder {
    address: SocketAddr,
    requests: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Responder {
    /// Listens on `address` (port 0: any) and answers from `clock` as the script says.
    ///
    /// ```
    /// use skewgate::ntp::{Options, Responder, Script, Source, measure};
    /// use skewgate::time::{SignedDuration, os::OsClock};
    /// use std::time::Duration;
    ///
    /// let server = Responder::spawn("127.0.0.1:0".parse()?, Script::ahead_by(SignedDuration::from_secs(40)), OsClock)?;
    /// let options = Options { allow_single: true, ..Options::default() };
    /// let estimate = measure(&[Source::new(server.address().into())], &options, &OsClock)?.estimate?;
    /// assert!(!estimate.corroborated());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The operating system's error where the address can't be had.
    pub fn spawn(address: SocketAddr, script: Script, clock: impl LocalClock + 'static) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(STOP_INTERVAL))?;
        let address = socket.local_addr()?;
        let (stop, requests) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (stopped, counter) = (Arc::clone(&stop), Arc::clone(&requests));
        let thread = std::thread::Builder::new().name("skewgate-responder".into()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if let Err(error) = answer_one(&socket, &script, &clock, &counter)
                    && !matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    )
                {
                    tracing::debug!(%error, "the responder could not receive or send");
                }
            }
        })?;
        Ok(Self { address, requests, stop, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests came in so far.
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the script is the script's; it has been printed.
            let _ = thread.join();
        }
    }
}

fn answer_one(
    socket: &UdpSocket,
    script: &Script,
    clock: &impl LocalClock,
    requests: &AtomicU32,
) -> io::Result<()> {
    let mut buffer = [0; HEADER_LENGTH];
    let (length, from) = socket.recv_from(&mut buffer)?;
    let received = clock.system().realtime;
    let Some(request) = buffer.get(..length).and_then(Header::parse) else { return Ok(()) };
    // Only clients are answered: two responders that answer each other would never end.
    if request.mode != 3 {
        return Ok(());
    }
    let before = requests.fetch_add(1, Ordering::Relaxed);
    if !script.hold.is_zero() {
        std::thread::sleep(script.hold);
    }
    let reply = script.reply(&request, received, clock.system().realtime);
    let datagrams = match &script.rewrite {
        Rewrite::Nothing => vec![reply.to_bytes().to_vec()],
        Rewrite::Silence => Vec::new(),
        Rewrite::With(rewrite) => rewrite(reply, before),
    };
    for datagram in datagrams {
        socket.send_to(&datagram, from)?;
    }
    Ok(())
}
