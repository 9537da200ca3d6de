use super::*;

fn receive_all(sockets: &mut UdpSockets, count: usize) -> Vec<Incoming> {
    let mut received = Vec::new();
    // Seconds, on a machine that has other things to do.
    for _ in 0..250 {
        received.extend(receive_present(sockets));
        if received.len() >= count {
            break;
        }
        sockets.wait(Duration::from_millis(20));
    }
    received
}

/// What is there already.
fn receive_present(sockets: &mut UdpSockets) -> Vec<Incoming> {
    let mut received = Vec::new();
    loop {
        let before = received.len();
        sockets.receive(&mut |datagram| received.push(*datagram));
        if received.len() == before {
            return received;
        }
    }
}

/// A socket that sends every datagram back.
fn echo(address: &str, count: usize) -> (SocketAddr, std::thread::JoinHandle<()>) {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let here = socket.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let mut buffer = [0; 2_000];
        for _ in 0..count {
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            socket.send_to(&buffer[..length], from).unwrap();
        }
    });
    (here, thread)
}

#[test]
fn batches_of_any_size_come_back_whole_in_both_families() {
    for family in ["127.0.0.1:0", "[::1]:0"] {
        // More than one batch, and one that is not full; twice, because headers are used again.
        let (address, thread) = echo(family, 2 * 70);
        let mut sockets = UdpSockets::default();
        for round in 0..2_u8 {
            let batch: Vec<_> = (0..70_u8)
                .map(|index| Outgoing { address, bytes: [index ^ (round << 7); HEADER_LENGTH] })
                .collect();
            assert!(matches!(sockets.send(&batch), (70, None)));
            let mut received = receive_all(&mut sockets, 70);
            received.sort_by_key(|datagram| datagram.bytes);
            let mut expected: Vec<_> = batch.iter().map(|packet| packet.bytes).collect();
            expected.sort_unstable();
            assert_eq!(received.iter().map(|datagram| datagram.bytes).collect::<Vec<_>>(), expected);
            assert!(received.iter().all(|datagram| datagram.from == address && datagram.length == 48));
            if cfg!(target_os = "linux") {
                assert!(received.iter().all(|datagram| datagram.stamp.is_some()), "{family}");
            }
        }
        thread.join().unwrap();
    }
}

#[test]
fn short_and_long_datagrams_say_how_much_there_is() {
    let mut sockets = UdpSockets::default();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let outgoing = Outgoing { address: peer.local_addr().unwrap(), bytes: [1; HEADER_LENGTH] };
    assert!(matches!(sockets.send(&[outgoing]), (1, None)));
    let (_, from) = peer.recv_from(&mut [0; 100]).unwrap();
    for length in [0, 1, 47, 48, 49, 1_400] {
        peer.send_to(&vec![7; length], from).unwrap();
    }
    let lengths: Vec<_> = receive_all(&mut sockets, 6).iter().map(|datagram| datagram.length).collect();
    assert_eq!(lengths, [0, 1, 47, 48, 48, 48]);
}

#[test]
#[cfg(target_os = "linux")]
fn this_hosts_addresses_are_its_own_and_no_others() {
    let sockets = UdpSockets::default();
    let own = |address: &str| sockets.may_be_own(ReferenceId::of_address(address.parse().unwrap()));
    assert!(own("127.0.0.1") && own("::1"));
    // For documentation (RFC 5737, RFC 3849): no host has them.
    assert!(!own("203.0.113.77") && !own("2001:db8::77"));
}

#[test]
fn an_address_that_can_not_be_sent_to_is_an_error() {
    let mut sockets = UdpSockets::default();
    let outgoing = Outgoing { address: "255.255.255.255:9".parse().unwrap(), bytes: [0; HEADER_LENGTH] };
    assert!(matches!(sockets.send(&[outgoing]), (0, Some(_))));
}

/// Fills the buffer with so many datagrams of this length. On loopback they are there when they have been sent.
fn fill(sockets: &mut UdpSockets, peer: &UdpSocket, count: usize, length: usize) {
    let outgoing = Outgoing { address: peer.local_addr().unwrap(), bytes: [1; HEADER_LENGTH] };
    assert!(matches!(sockets.send(&[outgoing]), (1, None)));
    let (_, from) = peer.recv_from(&mut [0; 100]).unwrap();
    for _ in 0..count {
        peer.send_to(&vec![7; length], from).unwrap();
    }
}

#[test]
fn as_many_replies_fit_as_there_is_room_for() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let mut sockets = UdpSockets::default();
        let peer = UdpSocket::bind(address).unwrap();
        let room = sockets.room(peer.local_addr().unwrap()).unwrap();
        // More than once: the kernel owes room that it hasn't given back yet.
        for _ in 0..3 {
            fill(&mut sockets, &peer, room, HEADER_LENGTH);
            assert_eq!(receive_all(&mut sockets, room).len(), room, "{address}");
        }
        assert_eq!(sockets.room(peer.local_addr().unwrap()).unwrap(), room);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn where_datagrams_are_dropped_fewer_replies_are_waited_for() {
    let mut sockets = UdpSockets::default();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = peer.local_addr().unwrap();
    let room = sockets.room(address).unwrap();
    // Somebody else's datagrams, and large ones: a good deal of them doesn't fit.
    fill(&mut sockets, &peer, 2 * room, 1_400);
    assert!(receive_present(&mut sockets).len() < 2 * room);
    // The first that tells of it finds no room for the count, the second does.
    for _ in 0..2 {
        fill(&mut sockets, &peer, 1, HEADER_LENGTH);
        assert_eq!(receive_all(&mut sockets, 1).len(), 1);
    }
    assert_eq!(sockets.room(address).unwrap(), room / 2, "once for one full buffer");
    fill(&mut sockets, &peer, 100, HEADER_LENGTH);
    let stamped = receive_all(&mut sockets, 100);
    assert!(stamped.iter().all(|datagram| datagram.stamp.is_some()));
    assert_eq!(sockets.room(address).unwrap(), room / 2, "nothing was dropped since");
}
