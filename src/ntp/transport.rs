//! Where datagrams travel: this host's UDP sockets, or a network that is simulated.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::packet::{HEADER_LENGTH, ReferenceId};
use super::sockets::UdpSockets;
use crate::time::Timestamp;

/// Where datagrams travel. [`Udp`] is this host's network; tests bring one of their own, together with a
/// [`LocalClock`](crate::time::LocalClock) that goes with it, and so does whoever must send from special sockets.
pub trait Transport: Send + Sync {
    /// Sockets for one round: on ports that nobody outside of this host can know (RFC 9109).
    fn open(&self) -> Box<dyn Sockets>;

    /// True once nobody wants the result any more: the round ends within about a tenth of a second, with what it has. Sources
    /// that were not done have the error [`SourceError::Cancelled`](super::SourceError::Cancelled).
    fn cancelled(&self) -> bool {
        false
    }
}

/// What a round sends and receives with.
pub trait Sockets {
    /// How many replies can wait to be received on the way back from an address: what is more than that may be lost. It is
    /// asked for each request, and may change.
    ///
    /// # Errors
    ///
    /// Nothing can be sent there, because there is no socket to be had.
    fn room(&mut self, address: SocketAddr) -> io::Result<usize>;

    /// Sends datagrams, all of them to one family, without waiting. How many went out, and why the next one didn't. Where there
    /// is no room to send at the moment, that is [`io::ErrorKind::WouldBlock`]: the rest is sent later. It is an error of
    /// the source only where nothing at all goes out for [`Pace::timeout`](super::Pace::timeout).
    fn send(&mut self, batch: &[Outgoing]) -> (usize, Option<io::Error>);

    /// Shows `take` what has arrived, without waiting. It need not be all of it: the caller comes back.
    fn receive(&mut self, take: &mut dyn FnMut(&Incoming));

    /// Sleeps until a datagram arrives, at most for `timeout`. Waking too early is harmless.
    fn wait(&mut self, timeout: Duration);

    /// Whether `id` may be the reference identifier of one of this host's addresses: only then [`Self::local_address`] is
    /// asked whether it is the one on the way to a server. True where that isn't known.
    fn may_be_own(&self, id: ReferenceId) -> bool {
        let _ = id;
        true
    }

    /// Which of this host's addresses a datagram there would leave from, where that is known. Nothing is sent.
    fn local_address(&self, towards: SocketAddr) -> Option<IpAddr>;
}

/// A request on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Where to.
    pub address: SocketAddr,
    /// The datagram.
    pub bytes: [u8; HEADER_LENGTH],
}

/// A datagram that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Where from.
    pub from: SocketAddr,
    /// Its beginning; only `length` bytes of it where it is shorter.
    pub bytes: [u8; HEADER_LENGTH],
    /// At most [`HEADER_LENGTH`]: what is behind the header is cut off.
    pub length: usize,
    /// When the kernel received it, by the system clock.
    pub stamp: Option<Timestamp>,
}

/// This host's network.
#[derive(Clone, Copy, Debug, Default)]
pub struct Udp;

impl Transport for Udp {
    fn open(&self) -> Box<dyn Sockets> {
        Box::new(UdpSockets::default())
    }
}
