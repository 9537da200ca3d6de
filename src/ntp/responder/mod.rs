//! A small time server.
//!
//! [`Responder::serve`] answers clients with this host's system clock, so that a host without an NTP server can be
//! measured. It sets no clock and asks nobody. [`Responder::spawn`] is the same server with a [`Script`] in place of
//! the honest answer, for tests and demonstrations: right, wrong by a known amount, late, garbage, or silent.
//!
//! ```text
//! socket.rs   a socket that answers from the address that was asked
//! access.rs   networks, and who may ask
//! rate.rs     how often, in a table of fixed size
//! service.rs  what to do with a datagram, and what an honest reply says: pure
//! script.rs   what a scripted reply says
//! ```

mod access;
mod rate;
mod script;
mod service;
mod socket;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

pub use access::{AllowList, Network, NetworkError};
pub use rate::RateLimit;
pub use script::{Rewrite, Script};
pub use service::{Announcement, Service};

use super::packet::{HEADER_LENGTH, Header, WireTimestamp};
use crate::time::{LocalClock, RawInstant, Timestamp};
use service::{Decision, Door, measure_precision, rate_kiss};
use socket::{Path, Socket};

/// How long a blocking read takes before the thread looks whether it should stop.
const STOP_INTERVAL: Duration = Duration::from_millis(50);

/// A running server; it stops when dropped.
#[derive(Debug)]
pub struct Responder {
    address: SocketAddr,
    counters: Arc<Counters>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    answered: AtomicU64,
    kissed: AtomicU64,
    limited: AtomicU64,
    denied: AtomicU64,
    malformed: AtomicU64,
    failed: AtomicU64,
}

/// What became of the datagrams that came in so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Requests that were answered.
    pub answered: u64,
    /// Requests that came too soon and were told so.
    pub kissed: u64,
    /// Requests that came too soon and got no answer.
    pub limited: u64,
    /// Datagrams from where nobody may ask.
    pub denied: u64,
    /// Datagrams that are no request of a client in version 3 or 4, or were sent to more than this host.
    pub malformed: u64,
    /// Of the replies to all these, those that the operating system did not send.
    pub failed: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answered, kissed, limited, denied, malformed, failed } = self;
        write!(
            f,
            "{answered} answered, {kissed} told to ask more rarely, {limited} too many, {denied} not allowed, \
             {malformed} no requests, {failed} replies not sent"
        )
    }
}

impl Responder {
    /// Listens on `address` (port 0: any) and answers with the system clock of `clock`.
    ///
    /// A request is answered if it is one: mode 3, version 3 or 4, at least 48 bytes, sent to one of this host's own
    /// addresses, by a host that is allowed, not too often. The reply has 48 bytes, is never longer than the request, and comes
    /// from the address that was asked (on Linux; elsewhere bind to that address). T2 is read after the receive and T3
    /// before the send, so what this process loses in between widens a client's bound, and the truth stays inside.
    ///
    /// ```
    /// use skewgate::ntp::{Announcement, Options, Responder, Service, Source, measure};
    /// use skewgate::time::{SignedDuration, os::OsClock};
    ///
    /// // Nothing listens unless it is called, and then only here. The default allows private addresses.
    /// let announcement = Announcement::synchronised(3).ok_or("a stratum from 1 to 15")?;
    /// let server = Responder::serve("127.0.0.1:0".parse()?, Service { announcement, ..Service::default() }, OsClock)?;
    ///
    /// let options = Options { allow_single: true, ..Options::default() };
    /// let measurement = measure(&[Source::new(server.address().into())], &options, &OsClock)?;
    /// let offset = measurement.estimate?.system_offset(&measurement.reading, measurement.suspended)?;
    /// assert!(offset.contains(SignedDuration::ZERO));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The operating system's error where the address can't be had: [`ErrorKind::AddrInUse`],
    /// [`ErrorKind::AddrNotAvailable`], [`ErrorKind::PermissionDenied`] for ports below 1024.
    pub fn serve(
        address: SocketAddr,
        service: Service,
        clock: impl LocalClock + 'static,
    ) -> io::Result<Self> {
        let door = Door::new(service.allow, service.rate_limit);
        Self::start(address, door, Answers::Honest(service.announcement), clock)
    }

    /// Listens on `address` (port 0: any) and answers from `clock` as the script says: private addresses only, as often as
    /// they ask.
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
        let door = Door::new(AllowList::default(), None);
        let start = clock.raw();
        Self::start(address, door, Answers::Scripted { script, start }, clock)
    }

    fn start(
        address: SocketAddr,
        door: Door,
        answers: Answers,
        clock: impl LocalClock + 'static,
    ) -> io::Result<Self> {
        let socket = Socket::bind(address, STOP_INTERVAL)?;
        let address = socket.local_addr()?;
        let (stop, counters) = (Arc::new(AtomicBool::new(false)), Arc::new(Counters::default()));
        let precision = measure_precision(&clock);
        let mut server = Server { socket, door, answers, clock, precision, counters: Arc::clone(&counters) };
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("skewgate-responder".into()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                server.take_one();
            }
        })?;
        Ok(Self { address, counters, stop, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests came in so far from those who may ask.
    #[must_use]
    pub fn requests(&self) -> u32 {
        u32::try_from(self.counters.requests.load(Ordering::Relaxed)).unwrap_or(u32::MAX)
    }

    /// What became of what came in.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { requests: _, answered, kissed, limited, denied, malformed, failed } = &*self.counters;
        Tally {
            answered: load(answered),
            kissed: load(kissed),
            limited: load(limited),
            denied: load(denied),
            malformed: load(malformed),
            failed: load(failed),
        }
    }

    /// False once its thread has ended, which only a panic of a script or a clock can bring about.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
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

#[derive(Debug)]
enum Answers {
    Honest(Announcement),
    Scripted { script: Script, start: RawInstant },
}

#[derive(Debug)]
struct Server<C> {
    socket: Socket,
    door: Door,
    answers: Answers,
    clock: C,
    precision: i8,
    counters: Arc<Counters>,
}

impl<C: LocalClock> Server<C> {
    /// Waits for a datagram, not for long, and does what it deserves.
    fn take_one(&mut self) {
        let mut buffer = [0; HEADER_LENGTH];
        let (length, path) = match self.socket.receive(&mut buffer) {
            Ok(received) => received,
            Err(error) => {
                if !matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) {
                    tracing::debug!(%error, "the responder could not receive");
                    // It may last; a loop without a pause would help nobody.
                    std::thread::sleep(STOP_INTERVAL);
                }
                return;
            }
        };
        let received = self.clock.system();
        let decision = if path.is_unicast() {
            self.door.judge(buffer.get(..length).unwrap_or(&buffer), path.from, received.after)
        } else {
            Decision::Malformed
        };
        let counters = Arc::clone(&self.counters);
        let before = match decision {
            Decision::Answer(_) | Decision::Kiss(_) | Decision::Limited => count(&counters.requests),
            Decision::Denied | Decision::Malformed => 0,
        };
        match decision {
            Decision::Answer(request) => self.answer(&request, &path, received.realtime, before),
            Decision::Kiss(request) => {
                let kiss = rate_kiss(&request, received.realtime, self.precision);
                self.send_stamped(kiss, &path, &counters.kissed);
            }
            Decision::Limited => drop(count(&counters.limited)),
            Decision::Denied => drop(count(&counters.denied)),
            Decision::Malformed => drop(count(&counters.malformed)),
        }
    }

    fn answer(&self, request: &Header, path: &Path, received: Timestamp, before: u64) {
        match &self.answers {
            Answers::Honest(announcement) => {
                let reply = announcement.reply(request, received, self.precision);
                self.send_stamped(reply, path, &self.counters.answered);
            }
            Answers::Scripted { script, start } => {
                let received = script.shows(received, self.clock.raw() - *start);
                if !script.hold.is_zero() {
                    std::thread::sleep(script.hold);
                }
                let sent = self.clock.system();
                let reply = script.reply(request, received, script.shows(sent.realtime, sent.after - *start));
                for datagram in script.datagrams(reply, u32::try_from(before).unwrap_or(u32::MAX)) {
                    self.send(&datagram, path, &self.counters.answered);
                }
            }
        }
    }

    /// Reads T3 as late as can be.
    fn send_stamped(&self, mut reply: Header, path: &Path, counter: &AtomicU64) {
        reply.transmit = WireTimestamp::from_timestamp(self.clock.system().realtime);
        self.send(&reply.to_bytes(), path, counter);
    }

    fn send(&self, datagram: &[u8], path: &Path, counter: &AtomicU64) {
        // Before the send: who holds the reply finds it counted.
        count(counter);
        if let Err(error) = self.socket.send(datagram, path) {
            count(&self.counters.failed);
            tracing::debug!(%error, to = %path.from, "the responder could not send");
        }
    }
}

/// One more; returns how many there were.
fn count(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed)
}
