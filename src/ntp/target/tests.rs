use super::*;
use crate::ntp::{HEADER_LENGTH, Incoming, Outgoing, ReferenceId};

/// A host with one address.
struct Host(IpAddr);

impl Sockets for Host {
    fn room(&mut self, _: SocketAddr) -> std::io::Result<usize> {
        Ok(1)
    }

    fn send(&mut self, batch: &[Outgoing]) -> (usize, Option<std::io::Error>) {
        (batch.len(), None)
    }

    fn receive(&mut self, _: &mut dyn FnMut(&Incoming)) {}

    fn wait(&mut self, _: Duration) {}

    fn may_be_own(&self, id: ReferenceId) -> bool {
        id == ReferenceId::of_address(self.0)
    }

    fn local_address(&self, _: SocketAddr) -> Option<IpAddr> {
        Some(self.0)
    }
}

#[test]
fn the_local_address_is_known_where_a_reply_names_it() {
    // The hash of the third looks like a loopback address.
    for (own, server) in [
        ("192.0.2.1", "192.0.2.9:123"),
        ("2001:db8::1", "[2001:db8::9]:123"),
        ("2001:db8::b3", "[2001:db8::9]:123"),
    ] {
        let (own, server): (IpAddr, SocketAddr) = (own.parse().unwrap(), server.parse().unwrap());
        let id = ReferenceId::of_address(own);
        for (stratum, id, known) in [
            (2, id, true),
            (15, id, true),
            (1, id, false),
            (2, ReferenceId::from_bytes([192, 0, 2, 2]), false),
        ] {
            let mut reply = Header::from_bytes(&[0; HEADER_LENGTH]);
            (reply.stratum, reply.reference_id) = (stratum, id);
            let local = Target::new(server.into()).local_address(&reply, server, &Host(own));
            assert_eq!(local, known.then_some(own), "{stratum} {id:?} {server}");
        }
    }
}

#[test]
fn a_reference_clock_is_not_this_host() {
    let own = IpAddr::from([127, 127, 1, 1]);
    let server: SocketAddr = "127.0.0.1:123".parse().unwrap();
    let mut reply = Header::from_bytes(&[0; HEADER_LENGTH]);
    (reply.stratum, reply.reference_id) = (2, ReferenceId::of_address(own));
    assert_eq!(Target::new(server.into()).local_address(&reply, server, &Host(own)), None);
}
