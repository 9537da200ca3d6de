//! A UDP socket that answers from the address that was asked.
//!
//! One that is bound to 0.0.0.0 would otherwise send from whatever address the route back prefers, and the
//! client, which asked another, would rightly take the reply for a forgery (RFC 5905 §9.2, RFC 9109 §3).

#[cfg(target_os = "linux")]
pub(super) use linux::{Path, Socket};
#[cfg(not(target_os = "linux"))]
pub(super) use plain::{Path, Socket};

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{self, IoSlice, IoSliceMut};
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
    use nix::sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
    };

    /// For requests that wait, in bytes: about five thousand of them.
    const WANTED_BUFFER: usize = 4 << 20;

    #[derive(Debug)]
    pub(in crate::ntp::responder) struct Socket {
        socket: UdpSocket,
        /// Room for one packet-information message.
        control: Vec<u8>,
    }

    /// Where a datagram came from, and to which address.
    #[derive(Clone, Copy, Debug)]
    pub(in crate::ntp::responder) struct Path {
        pub(in crate::ntp::responder) from: SocketAddr,
        asked: Option<Asked>,
    }

    #[derive(Clone, Copy, Debug)]
    enum Asked {
        V4(in_pktinfo),
        V6(in6_pktinfo),
    }

    impl Path {
        /// Whether it was sent to this host alone. One datagram to a broadcast or multicast address would
        /// otherwise be answered by every host that hears it.
        pub(in crate::ntp::responder) fn is_unicast(&self) -> bool {
            match self.asked {
                None => true,
                // For a broadcast the kernel says here which of its addresses it would answer from.
                Some(Asked::V4(info)) => info.ipi_addr.s_addr == info.ipi_spec_dst.s_addr,
                // Not so for IPv4 on an IPv6 socket. The broadcast address of a subnet passes here, and the kernel
                // refuses to send from it.
                Some(Asked::V6(info)) => match IpAddr::V6(info.ipi6_addr.s6_addr.into()).to_canonical() {
                    IpAddr::V4(asked) => !asked.is_broadcast() && !asked.is_multicast(),
                    IpAddr::V6(asked) => !asked.is_multicast(),
                },
            }
        }
    }

    impl Socket {
        pub(in crate::ntp::responder) fn bind(address: SocketAddr, timeout: Duration) -> io::Result<Self> {
            let socket = UdpSocket::bind(address)?;
            socket.set_read_timeout(Some(timeout))?;
            // The system's default holds 256 requests: clients that ask many hosts in one burst would lose the others. The
            // kernel gives what its limits allow.
            rustix::net::sockopt::set_socket_recv_buffer_size(&socket, WANTED_BUFFER)?;
            match address {
                SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
                SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?,
            }
            Ok(Self { socket, control: nix::cmsg_space!(in_pktinfo, in6_pktinfo) })
        }

        pub(in crate::ntp::responder) fn local_addr(&self) -> io::Result<SocketAddr> {
            self.socket.local_addr()
        }

        /// How many bytes came (at most those that fit), and which way.
        pub(in crate::ntp::responder) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Path)> {
            let mut parts = [IoSliceMut::new(buffer)];
            let message = recvmsg::<SockaddrStorage>(
                self.socket.as_raw_fd(),
                &mut parts,
                Some(&mut self.control),
                MsgFlags::empty(),
            )?;
            let from = message.address.as_ref().and_then(to_std).ok_or(io::ErrorKind::InvalidData)?;
            let asked = message.cmsgs()?.find_map(|control| match control {
                ControlMessageOwned::Ipv4PacketInfo(info) => Some(Asked::V4(info)),
                ControlMessageOwned::Ipv6PacketInfo(info) => Some(Asked::V6(info)),
                _ => None,
            });
            Ok((message.bytes, Path { from, asked }))
        }

        /// Back to where it came from, from the address that was asked.
        pub(in crate::ntp::responder) fn send(&self, datagram: &[u8], path: &Path) -> io::Result<()> {
            let (v4, v6);
            let control = match path.asked {
                None => None,
                Some(Asked::V4(info)) => {
                    // Interface 0: the route decides. The way back need not be the way that it came.
                    v4 = in_pktinfo {
                        ipi_ifindex: 0,
                        ipi_spec_dst: info.ipi_spec_dst,
                        ipi_addr: in_addr { s_addr: Ipv4Addr::UNSPECIFIED.to_bits() },
                    };
                    Some(ControlMessage::Ipv4PacketInfo(&v4))
                }
                Some(Asked::V6(info)) => {
                    let asked = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                    v6 = in6_pktinfo {
                        // A link-local address means nothing without its interface (RFC 4007 §6).
                        ipi6_ifindex: if asked.is_unicast_link_local() { info.ipi6_ifindex } else { 0 },
                        ipi6_addr: in6_addr { s6_addr: asked.octets() },
                    };
                    Some(ControlMessage::Ipv6PacketInfo(&v6))
                }
            };
            let to = SockaddrStorage::from(path.from);
            sendmsg(
                self.socket.as_raw_fd(),
                &[IoSlice::new(datagram)],
                control.as_slice(),
                MsgFlags::empty(),
                Some(&to),
            )?;
            Ok(())
        }
    }

    fn to_std(address: &SockaddrStorage) -> Option<SocketAddr> {
        match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
            (Some(&v4), _) => Some(SocketAddrV4::from(v4).into()),
            (None, Some(&v6)) => Some(SocketAddrV6::from(v6).into()),
            (None, None) => None,
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod plain {
    use std::io;
    use std::net::{SocketAddr, UdpSocket};
    use std::time::Duration;

    /// Answers from the address that the route prefers: bind it to the one that clients ask.
    #[derive(Debug)]
    pub(in crate::ntp::responder) struct Socket(UdpSocket);

    #[derive(Clone, Copy, Debug)]
    pub(in crate::ntp::responder) struct Path {
        pub(in crate::ntp::responder) from: SocketAddr,
    }

    impl Path {
        /// Not known here.
        pub(in crate::ntp::responder) const fn is_unicast(&self) -> bool {
            true
        }
    }

    impl Socket {
        pub(in crate::ntp::responder) fn bind(address: SocketAddr, timeout: Duration) -> io::Result<Self> {
            let socket = UdpSocket::bind(address)?;
            socket.set_read_timeout(Some(timeout))?;
            Ok(Self(socket))
        }

        pub(in crate::ntp::responder) fn local_addr(&self) -> io::Result<SocketAddr> {
            self.0.local_addr()
        }

        pub(in crate::ntp::responder) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Path)> {
            let (length, from) = self.0.recv_from(buffer)?;
            Ok((length, Path { from }))
        }

        pub(in crate::ntp::responder) fn send(&self, datagram: &[u8], path: &Path) -> io::Result<()> {
            self.0.send_to(datagram, path.from).map(drop)
        }
    }
}
