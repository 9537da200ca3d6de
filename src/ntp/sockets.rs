//! Datagrams in batches, with the kernel's receive stamps where there are any.
//!
//! On Linux a system call moves up to [`BATCH`] datagrams; elsewhere one. rustix sends and nix receives, because each does
//! only its half safely: rustix has no `recvmmsg`, and nix's results of `sendmmsg` read addresses that nobody wrote.

use std::cell::OnceCell;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt;

use super::packet::{HEADER_LENGTH, ReferenceId};
use super::transport::{Incoming, Outgoing, Sockets};

/// How many datagrams a system call moves at the most.
pub(super) const BATCH: usize = 32;

/// What a reply in a socket's receive buffer takes up: the kernel counts its own book-keeping (a buffer of
/// 212,992 bytes holds 256 replies). A network driver may make it more; then the kernel drops, and `make_room` learns.
const BUFFERED_DATAGRAM: usize = 832;

/// How much is asked of the kernel for replies that wait, in bytes. It gives what its limits allow.
const WANTED_BUFFER: usize = 4 << 20;

/// How many replies surely fit. Linux gives the room of those that were received back in lumps of up to a quarter of the
/// buffer (`udp_rmem_release`): only three quarters can be counted on.
const fn room(buffer: usize) -> usize {
    let room = buffer / 4 * 3 / BUFFERED_DATAGRAM;
    if room > 0 { room } else { 1 }
}

/// Two unconnected sockets at the most, one for each family, on random ports (RFC 9109).
#[derive(Default)]
pub(super) struct UdpSockets {
    v4: Option<Socket>,
    v6: Option<Socket>,
    /// The reference identifiers of this host's addresses, once they were needed, where they can be known.
    own: OnceCell<Option<Vec<ReferenceId>>>,
}

impl Sockets for UdpSockets {
    fn room(&mut self, address: SocketAddr) -> io::Result<usize> {
        Ok(self.towards(address)?.room)
    }

    fn send(&mut self, batch: &[Outgoing]) -> (usize, Option<io::Error>) {
        let Some(first) = batch.first() else { return (0, None) };
        match self.towards(first.address) {
            Ok(socket) => socket.send(batch),
            Err(error) => (0, Some(error)),
        }
    }

    /// At most a batch of each family.
    fn receive(&mut self, take: &mut dyn FnMut(&Incoming)) {
        for socket in self.v4.iter_mut().chain(&mut self.v6) {
            // An ICMP error of an earlier packet, or a signal: the next call looks further.
            if let Ok(received) = socket.batch.receive(&socket.udp, take) {
                socket.make_room(received);
            }
        }
    }

    fn wait(&mut self, timeout: Duration) {
        let timeout = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        let listen = |socket: &Socket, other: Option<&Socket>| {
            let mut both = [
                PollFd::new(&socket.udp, PollFlags::IN),
                PollFd::new(&other.unwrap_or(socket).udp, PollFlags::IN),
            ];
            poll(&mut both, Some(&timeout))
        };
        let woken = match (&self.v4, &self.v6) {
            (Some(socket), other) | (other @ None, Some(socket)) => listen(socket, other.as_ref()),
            (None, None) => poll(&mut [], Some(&timeout)),
        };
        if woken.is_err() {
            // Interrupted by a signal, or out of memory: the caller's loop looks at the time again.
            std::thread::yield_now();
        }
    }

    /// To ask the kernel for its way to a server takes half as long as asking the server; of many servers hardly one
    /// follows this host.
    fn may_be_own(&self, id: ReferenceId) -> bool {
        let listed = || platform::own_addresses().map(|own| own.map(ReferenceId::of_address).collect());
        self.own.get_or_init(listed).as_ref().is_none_or(|own| own.contains(&id))
    }

    fn local_address(&self, towards: SocketAddr) -> Option<IpAddr> {
        let socket = UdpSocket::bind(any_port_of(towards)).ok()?;
        socket.connect(towards).ok()?;
        Some(socket.local_addr().ok()?.ip())
    }
}

impl UdpSockets {
    fn towards(&mut self, address: SocketAddr) -> io::Result<&mut Socket> {
        let place = if address.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        if place.is_none() {
            *place = Some(Socket::bind(address)?);
        }
        place.as_mut().ok_or_else(|| ErrorKind::NotConnected.into())
    }
}

struct Socket {
    udp: UdpSocket,
    /// How many replies may be waited for.
    room: usize,
    /// How many datagrams the kernel has dropped because there was no room, where it says so.
    dropped: u32,
    /// Datagrams still to be received before the room is looked at again.
    unsettled: usize,
    batch: platform::Batch,
}

/// What a call received.
#[derive(Default)]
struct Received {
    count: usize,
    /// How many datagrams the socket had dropped in all when the last one of these arrived.
    dropped: u32,
}

impl Socket {
    fn bind(towards: SocketAddr) -> io::Result<Self> {
        let udp = UdpSocket::bind(any_port_of(towards))?;
        udp.set_nonblocking(true)?;
        platform::prepare(&udp)?;
        // Some systems refuse what is above their limit, others give less: what it became is read back.
        let _ = sockopt::set_socket_recv_buffer_size(&udp, WANTED_BUFFER);
        let room = room(sockopt::socket_recv_buffer_size(&udp)?);
        let batch = platform::Batch::of(towards);
        Ok(Self { udp, room, dropped: 0, unsettled: 0, batch })
    }

    /// Where datagrams were dropped, they take more room than was reckoned, or somebody else's take it: half as many are waited
    /// for. Once for each time that the buffer fills, as those that were in it tell of the same drops.
    fn make_room(&mut self, received: Received) {
        self.unsettled = self.unsettled.saturating_sub(received.count);
        if received.count > 0 && received.dropped != self.dropped {
            self.dropped = received.dropped;
            if self.unsettled == 0 {
                self.unsettled = self.room;
                self.room = (self.room / 2).max(BATCH.min(self.room));
                tracing::debug!(room = self.room, "the kernel dropped datagrams for want of room");
            }
        }
    }

    fn send(&mut self, batch: &[Outgoing]) -> (usize, Option<io::Error>) {
        let mut sent = 0;
        while let Some(rest) = batch.get(sent..).filter(|rest| !rest.is_empty()) {
            match platform::send(&self.udp, rest) {
                Ok(count) => sent += count.max(1),
                Err(error) if is_full(&error) => return (sent, Some(ErrorKind::WouldBlock.into())),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return (sent, Some(error)),
            }
        }
        (sent, None)
    }
}

/// There is no room to send at the moment: EAGAIN, and ENOBUFS of the BSDs and of full queues.
fn is_full(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
        || error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error())
}

fn any_port_of(address: SocketAddr) -> SocketAddr {
    let unspecified: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    SocketAddr::new(unspecified, 0)
}

#[cfg(target_os = "linux")]
mod platform {
    use std::io::{self, IoSlice, IoSliceMut};
    use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
    use std::os::fd::AsRawFd;

    use nix::cmsg_space;
    use nix::sys::socket::{
        ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrIn, SockaddrIn6, SockaddrLike,
        recvmmsg, setsockopt, sockopt,
    };
    use nix::sys::time::TimeSpec;
    use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};

    use super::{BATCH, HEADER_LENGTH, Incoming, Outgoing, Received};
    use crate::time::{SignedDuration, Timestamp};

    /// Asks for receive stamps, before the first receive (see `take_all`), and for the count of dropped datagrams.
    pub(super) fn prepare(udp: &UdpSocket) -> io::Result<()> {
        setsockopt(udp, sockopt::ReceiveTimestampns, &true)?;
        setsockopt(udp, sockopt::RxqOvfl, &1)?;
        Ok(())
    }

    /// Those of all interfaces.
    pub(super) fn own_addresses() -> Option<impl Iterator<Item = IpAddr>> {
        let interfaces = nix::ifaddrs::getifaddrs().ok()?;
        Some(interfaces.filter_map(|interface| {
            let address = interface.address?;
            match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
                (Some(v4), _) => Some(v4.ip().into()),
                (None, Some(v6)) => Some(v6.ip().into()),
                (None, None) => None,
            }
        }))
    }

    /// What one message of `sendmmsg` points to.
    struct Parts<'p> {
        address: SocketAddrAny,
        bytes: [IoSlice<'p>; 1],
        control: SendAncillaryBuffer<'p, 'p, 'p>,
    }

    /// Sends at most a batch; how many went out.
    pub(super) fn send(udp: &UdpSocket, batch: &[Outgoing]) -> io::Result<usize> {
        let nobody = SocketAddr::from(([0; 4], 0));
        // On the stack, whatever the batch's size: nothing is allocated for a packet.
        let mut parts: [Parts<'_>; BATCH] = std::array::from_fn(|index| {
            let packet = batch.get(index);
            Parts {
                address: packet.map_or(nobody, |packet| packet.address).into(),
                bytes: [IoSlice::new(packet.map_or(&[], |packet| &packet.bytes))],
                control: SendAncillaryBuffer::default(),
            }
        });
        let mut headers = parts
            .each_mut()
            .map(|parts| MMsgHdr::new_with_addr(&parts.address, &parts.bytes, &mut parts.control));
        let count = batch.len().min(BATCH);
        Ok(sendmmsg(udp, &mut headers[..count], SendFlags::empty())?)
    }

    /// Where a batch of one family is received to.
    pub(super) struct Batch {
        buffers: [[u8; HEADER_LENGTH]; BATCH],
        headers: Headers,
    }

    enum Headers {
        V4(MultiHeaders<SockaddrIn>),
        V6(MultiHeaders<SockaddrIn6>),
    }

    fn headers<S: SockaddrLike + Copy>() -> MultiHeaders<S> {
        MultiHeaders::preallocate(BATCH, Some(cmsg_space!(TimeSpec, u32)))
    }

    impl Batch {
        pub(super) fn of(family: SocketAddr) -> Self {
            let headers = if family.is_ipv4() { Headers::V4(headers()) } else { Headers::V6(headers()) };
            Self { buffers: [[0; HEADER_LENGTH]; BATCH], headers }
        }

        /// Receives what is there, at most a batch.
        pub(super) fn receive(
            &mut self,
            udp: &UdpSocket,
            take: &mut dyn FnMut(&Incoming),
        ) -> io::Result<Received> {
            let buffers = &mut self.buffers;
            match &mut self.headers {
                Headers::V4(headers) => {
                    take_all(udp, headers, buffers, |from| SocketAddrV4::from(from).into(), take)
                }
                Headers::V6(headers) => {
                    take_all(udp, headers, buffers, |from| SocketAddrV6::from(from).into(), take)
                }
            }
        }
    }

    fn take_all<S: SockaddrLike + Copy>(
        udp: &UdpSocket,
        kept: &mut MultiHeaders<S>,
        buffers: &mut [[u8; HEADER_LENGTH]; BATCH],
        standard: impl Fn(S) -> SocketAddr,
        take: &mut dyn FnMut(&Incoming),
    ) -> io::Result<Received> {
        let mut slices = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        let messages = match recvmmsg(udp.as_raw_fd(), kept, &mut slices, MsgFlags::MSG_DONTWAIT, None) {
            Ok(messages) => messages,
            Err(nix::Error::EAGAIN) => return Ok(Received::default()),
            Err(error) => return Err(error.into()),
        };
        let mut received = Received::default();
        let mut cut = false;
        for message in messages {
            received.count += 1;
            cut |= message.flags.contains(MsgFlags::MSG_CTRUNC);
            let Some(from) = message.address else { continue };
            let mut bytes = [0; HEADER_LENGTH];
            let mut length = 0;
            for part in message.iovs() {
                length = part.len().min(HEADER_LENGTH);
                bytes[..length].copy_from_slice(&part[..length]);
            }
            let (stamp, dropped) = controls(&message);
            received.dropped = dropped;
            take(&Incoming { from: standard(from), bytes, length, stamp });
        }
        if cut {
            // nix never restores the length of a control buffer after a message that had less in it (nix#2813). All have a
            // stamp. The count comes with the first drop, and then with all: it is cut off that once.
            *kept = headers();
        }
        Ok(received)
    }

    /// When a datagram arrived, and how many the socket had dropped by then.
    fn controls<S>(message: &RecvMsg<'_, '_, S>) -> (Option<Timestamp>, u32) {
        let (mut stamp, mut dropped) = (None, 0);
        // Cut short, they can't be read: then it arrived when it was received.
        for control in message.cmsgs().into_iter().flatten() {
            match control {
                ControlMessageOwned::ScmTimestampns(at) => {
                    let since_epoch =
                        SignedDuration::from_secs(at.tv_sec()) + SignedDuration::from_nanos(at.tv_nsec());
                    stamp = Some(Timestamp::from_unix_nanos(0) + since_epoch);
                }
                ControlMessageOwned::RxqOvfl(count) => dropped = count,
                _ => {}
            }
        }
        (stamp, dropped)
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::io::{self, ErrorKind};
    use std::net::{IpAddr, SocketAddr, UdpSocket};

    use super::{HEADER_LENGTH, Incoming, Outgoing, Received};

    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    pub(super) fn prepare(_: &UdpSocket) -> io::Result<()> {
        Ok(())
    }

    /// Not known here.
    pub(super) const fn own_addresses() -> Option<std::iter::Empty<IpAddr>> {
        None
    }

    pub(super) fn send(udp: &UdpSocket, batch: &[Outgoing]) -> io::Result<usize> {
        let Some(packet) = batch.first() else { return Ok(0) };
        udp.send_to(&packet.bytes, packet.address).map(|_| 1)
    }

    pub(super) struct Batch;

    impl Batch {
        pub(super) const fn of(_: SocketAddr) -> Self {
            Self
        }

        pub(super) fn receive(
            &mut self,
            udp: &UdpSocket,
            take: &mut dyn FnMut(&Incoming),
        ) -> io::Result<Received> {
            let mut received = Received::default();
            while received.count < super::BATCH {
                let mut bytes = [0; HEADER_LENGTH];
                match udp.recv_from(&mut bytes) {
                    Ok((length, from)) => take(&Incoming { from, bytes, length, stamp: None }),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
                received.count += 1;
            }
            Ok(received)
        }
    }
}

#[cfg(test)]
mod tests;
