use super::*;
use crate::ntp::{HEADER_LENGTH, ReferenceId, Transport, Udp};

#[test]
fn the_local_address_is_known_where_a_reply_could_name_it() {
    let (v4, v6): (SocketAddr, SocketAddr) = ("127.0.0.1:9".parse().unwrap(), "[::1]:9".parse().unwrap());
    // The last of these is the hash of 2001:db8::b3, and could be that of the local address.
    for (stratum, reference_id, at_v4, at_v6) in [
        (2, [192, 0, 2, 1], true, true),
        (15, [192, 0, 2, 1], true, true),
        (1, *b"GPS\0", false, false),
        (2, [127, 127, 1, 1], false, true),
        (2, [127, 194, 81, 155], false, true),
    ] {
        let mut reply = Header::from_bytes(&[0; HEADER_LENGTH]);
        (reply.stratum, reply.reference_id) = (stratum, ReferenceId::from_bytes(reference_id));
        for (server, known) in [(v4, at_v4), (v6, at_v6)] {
            let mut target = Target::new(server.into());
            let local = target.local_address(&reply, server, &*Udp.open());
            assert_eq!(local, known.then_some(server.ip()), "{stratum} {reference_id:?} {server}");
        }
    }
}
