//! UDP through the router, and the DNS relay.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use net::nat::{self, Config};
use net::{MacAddr, Meta, Offloads, PartialChecksum, Port, SegmentKind, Segments};
use smoltcp::iface::SocketHandle;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::udp;
use smoltcp::wire::{EthernetFrame, Icmpv4Message, Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Packet, UdpPacket};

use super::guest::{GATEWAY, GATEWAY_MAC, GUEST, Guest, MAC, noise};
use super::local::{frame, udp as udp_frame};

fn socket(guest: &mut Guest, port: u16) -> SocketHandle {
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 64], vec![0; 1 << 17]);
    let mut socket = udp::Socket::new(buffer(), buffer());
    socket.bind(port).unwrap();
    guest.sockets.add(socket)
}

fn receive(guest: &mut Guest, handle: SocketHandle) -> (Vec<u8>, udp::UdpMetadata) {
    guest.until("a datagram has come", |g| {
        let socket = g.socket::<udp::Socket<'_>>(handle);
        socket.recv().ok().map(|(bytes, from)| (bytes.to_vec(), from))
    })
}

/// A server that answers what it gets with its `name` before it, `count` times.
fn echo(name: &'static str, count: usize) -> SocketAddr {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 65536];
        for _ in 0..count {
            let (len, from) = server.recv_from(&mut bytes).unwrap();
            server.send_to(&[name.as_bytes(), &bytes[..len]].concat(), from).unwrap();
        }
    });
    address
}

#[test]
fn datagrams_go_and_come_back() {
    let server = echo("re: ", 6);
    let mut guest = Guest::new();
    let (a, b) = (socket(&mut guest, 5000), socket(&mut guest, 5001));
    for n in 0..3u8 {
        for handle in [a, b] {
            let target = (GATEWAY, server.port());
            guest.socket::<udp::Socket<'_>>(handle).send_slice(&[n], target).unwrap();
            let (bytes, from) = receive(&mut guest, handle);
            assert_eq!((&bytes[..], from.endpoint), (&[b'r', b'e', b':', b' ', n][..], target.into()));
        }
    }
    assert_eq!(guest.router.flows().datagram, 2);
}

#[test]
fn large_datagrams_travel_in_fragments() {
    let server = echo("", 2);
    let mut guest = Guest::new();
    for len in [9000, 60000] {
        let payload = noise(4, len);
        let whole = udp_frame(MAC, GATEWAY_MAC, (GUEST, 5000), (GATEWAY, server.port()), &payload);
        let data = &whole[34..];
        for (n, piece) in data.chunks(1480).enumerate().rev() {
            let mut bytes =
                frame(MAC, GATEWAY_MAC, GUEST, GATEWAY, IpProtocol::Udp, piece.len(), |b| b.copy_from_slice(piece));
            let mut ip = Ipv4Packet::new_unchecked(&mut bytes[14..]);
            ip.set_dont_frag(false);
            ip.set_ident(77);
            ip.set_frag_offset((n * 1480) as u16);
            ip.set_more_frags(n * 1480 + piece.len() < data.len());
            ip.fill_checksum();
            guest.cable.to_router.push_back(bytes);
        }
        let mut got = vec![0; data.len()];
        let (mut have, mut total) = (0, usize::MAX);
        while have < total {
            while guest.cable.to_guest.is_empty() {
                let wait = !guest.cable.arm();
                guest.router.turn(&mut guest.cable, wait).unwrap();
            }
            let bytes = guest.cable.to_guest.pop_front().unwrap();
            assert!(bytes.len() <= 1514);
            let ip = Ipv4Packet::new_checked(&bytes[14..]).unwrap();
            assert!(ip.verify_checksum());
            let (at, piece) = (usize::from(ip.frag_offset()), ip.payload());
            got[at..at + piece.len()].copy_from_slice(piece);
            have += piece.len();
            if !ip.more_frags() {
                total = at + piece.len();
            }
        }
        let udp = UdpPacket::new_checked(&got[..]).unwrap();
        assert!(udp.verify_checksum(&GATEWAY.into(), &GUEST.into()));
        assert!(udp.payload() == payload, "{len}");
    }
}

#[test]
fn a_closed_port_is_reported() {
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut guest = Guest::new();
    let ask = || udp_frame(MAC, GATEWAY_MAC, (GUEST, 5000), (GATEWAY, closed), b"?");
    let mut answers = guest.inject(ask());
    for _ in 0..100 {
        if !answers.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
        answers = guest.inject(ask());
    }
    let frame = EthernetFrame::new_checked(&answers[0][..]).unwrap();
    let ip = Ipv4Packet::new_checked(frame.payload()).unwrap();
    let icmp = Icmpv4Packet::new_checked(ip.payload()).unwrap();
    assert_eq!((icmp.msg_type(), icmp.msg_code()), (Icmpv4Message::DstUnreachable, 3));
    let inner = Ipv4Packet::new_unchecked(icmp.data());
    assert_eq!((inner.src_addr(), inner.dst_addr()), (GUEST, GATEWAY));
    let ports = UdpPacket::new_unchecked(&icmp.data()[20..]);
    assert_eq!((ports.src_port(), ports.dst_port()), (5000, closed));
}

#[test]
fn queries_reach_the_name_server_that_answers() {
    // The first is not there at all, the second never says anything.
    let dead = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mute = UdpSocket::bind("127.0.0.1:0").unwrap();
    let resolvers = vec![dead, mute.local_addr().unwrap(), echo("answer ", 2)];
    let mut guest = Guest::with(Config { resolvers: Some(resolvers), ..Config::default() });
    let handle = socket(&mut guest, 5000);
    let ask = |g: &mut Guest| g.socket::<udp::Socket<'_>>(handle).send_slice(b"query", (GATEWAY, 53)).unwrap();
    ask(&mut guest);
    mute.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    guest.until("the second was asked", |_| mute.recv(&mut [0; 100]).ok());
    // A client whose patience has ended asks again.
    std::thread::sleep(Duration::from_millis(1100));
    ask(&mut guest);
    let (bytes, from) = receive(&mut guest, handle);
    assert_eq!((&bytes[..], from.endpoint), (&b"answer query"[..], (GATEWAY, 53).into()));
    // The good one is kept.
    ask(&mut guest);
    assert_eq!(receive(&mut guest, handle).0, b"answer query");
}

#[test]
fn queries_that_are_asked_at_once_are_all_answered() {
    let dead = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for servers in [vec![echo("1 ", 4), echo("2 ", 4)], vec![dead, echo("1 ", 4)]] {
        let mut guest = Guest::with(Config { resolvers: Some(servers), ..Config::default() });
        let handle = socket(&mut guest, 5000);
        for query in [b"A", b"B"] {
            guest.socket::<udp::Socket<'_>>(handle).send_slice(query, (GATEWAY, 53)).unwrap();
        }
        let mut answers = [receive(&mut guest, handle).0, receive(&mut guest, handle).0];
        answers.sort();
        assert_eq!(answers, [b"1 A", b"1 B"]);
    }
}

#[test]
fn pings_go_out_where_the_host_lets_them() {
    // An address of the host that is not loopback, which answers without a network.
    let probe = UdpSocket::bind("0.0.0.0:0").unwrap();
    let Ok(SocketAddr::V4(host)) = probe.connect("192.0.2.1:9").and_then(|()| probe.local_addr()) else { return };
    let kinds = (rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM);
    if host.ip().is_loopback() || rustix::net::socket(kinds.0, kinds.1, Some(rustix::net::ipproto::ICMP)).is_err() {
        return;
    }
    let mut guest = Guest::with(Config::default());
    let message = Icmpv4Repr::EchoRequest { ident: 0x1e5, seq_no: 9, data: b"outward" };
    let ping = frame(MAC, GATEWAY_MAC, GUEST, *host.ip(), IpProtocol::Icmp, message.buffer_len(), |bytes| {
        message.emit(&mut Icmpv4Packet::new_unchecked(bytes), &ChecksumCapabilities::default());
    });
    guest.cable.to_router.push_back(ping);
    let start = std::time::Instant::now();
    while guest.cable.to_guest.is_empty() && start.elapsed() < Duration::from_secs(10) {
        guest.router.turn(&mut guest.cable, false).unwrap();
    }
    let bytes = guest.cable.to_guest.pop_front().expect("no echo");
    let ip = Ipv4Packet::new_checked(&bytes[14..]).unwrap();
    assert_eq!((ip.src_addr(), ip.dst_addr()), (*host.ip(), GUEST));
    let icmp = Icmpv4Packet::new_checked(ip.payload()).unwrap();
    let reply = Icmpv4Repr::parse(&icmp, &ChecksumCapabilities::default()).unwrap();
    assert_eq!(reply, Icmpv4Repr::EchoReply { ident: 0x1e5, seq_no: 9, data: b"outward" });
}

#[test]
fn a_flood_of_flows_stays_within_the_limit() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut guest = Guest::with(Config { host_access: true, max_datagram: 20, ..Config::default() });
    for port in 1000..3000 {
        guest.inject(udp_frame(MAC, GATEWAY_MAC, (GUEST, port), (GATEWAY, server.port()), b"x"));
    }
    assert_eq!(guest.router.flows().datagram, 20);
}

#[test]
fn what_egress_forbids_is_refused_and_names_are_answered_here() {
    let machine = Some(nat::Card { mac: MacAddr(MAC), name: Some("web".into()) });
    let denied = nat::Destination::new([192, 0, 2, 0].into(), 24, Some(7..=7));
    let egress = nat::Egress { deny: vec![denied], ..nat::Egress::default() };
    // Nobody is asked: the only name server is silent.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let resolvers = Some(vec![silent.local_addr().unwrap()]);
    let mut guest = Guest::with(Config { machine, egress, resolvers, ..Config::default() });
    let target = [192, 0, 2, 1].into();
    let answers = guest.inject(udp_frame(MAC, GATEWAY_MAC, (GUEST, 5000), (target, 7), b"?"));
    assert_eq!(answers[0][34..36], [3, 13], "administratively prohibited");
    assert_eq!(guest.router.flows().datagram, 0);

    let question = |name: &str| {
        let mut query = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            query.push(label.len() as u8);
            query.extend(label.bytes());
        }
        [&query[..], &[0, 0, 1, 0, 1]].concat()
    };
    for (name, last) in [("web", 2), ("web.internal", 2), ("host.internal", 1)] {
        let query = question(name);
        let answers = guest.inject(udp_frame(MAC, GATEWAY_MAC, (GUEST, 5000), (GATEWAY, 53), &query));
        assert_eq!(answers.len(), 1, "{name}");
        assert!(answers[0].ends_with(&[192, 168, 64, last]), "{name}");
    }
    let query = question("other.example");
    assert!(guest.inject(udp_frame(MAC, GATEWAY_MAC, (GUEST, 5000), (GATEWAY, 53), &query)).is_empty());
    let mut bytes = [0; 100];
    let len = silent.recv(&mut bytes).unwrap();
    assert_eq!(bytes[..len], query);
}

#[test]
fn datagrams_that_are_sent_as_one_arrive_one_by_one() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut guest = Guest::new();
    let payload = noise(5, 2500);
    let whole = udp_frame(MAC, GATEWAY_MAC, (GUEST, 5000), (GATEWAY, server.local_addr().unwrap().port()), &payload);
    let partial = Some(PartialChecksum { start: 34, offset: 6 });
    let segments = Some(Segments { kind: SegmentKind::Udp, size: 1000 });
    guest.cable.metas.push_back(Meta { partial, segments, ..Meta::default() });
    guest.inject(whole);
    let mut bytes = [0; 3000];
    for piece in payload.chunks(1000) {
        let len = server.recv(&mut bytes).unwrap();
        assert!(bytes[..len] == *piece);
    }
}

/// Lengths that go together, and such that do not.
const LENGTHS: [usize; 17] = [1000, 1000, 1000, 300, 1000, 1000, 0, 0, 5, 5, 1400, 1400, 1400, 1400, 1401, 1, 1000];

#[test]
fn datagrams_that_are_sent_at_once_arrive_one_by_one_and_in_order() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut guest = Guest::new();
    let target = (GATEWAY, server.local_addr().unwrap().port());
    for len in LENGTHS {
        guest.cable.to_router.push_back(udp_frame(MAC, GATEWAY_MAC, (GUEST, 5000), target, &noise(len as u64, len)));
    }
    // Another flow in between, and more than the host takes at once.
    let other = |n: u8| udp_frame(MAC, GATEWAY_MAC, (GUEST, 5001), target, &[n; 7]);
    guest.cable.to_router.insert(2, other(0));
    guest.cable.to_router.extend((1..100).map(other));
    while guest.router.turn(&mut guest.cable, false).unwrap() || !guest.cable.to_router.is_empty() {}
    let mut bytes = [0; 3000];
    let mut got = std::collections::HashMap::<_, Vec<Vec<u8>>>::new();
    for _ in 0..LENGTHS.len() + 100 {
        let (len, from) = server.recv_from(&mut bytes).unwrap();
        got.entry(from).or_default().push(bytes[..len].to_vec());
    }
    let mut flows: Vec<_> = got.into_values().collect();
    flows.sort_by_key(Vec::len);
    assert!(flows[0].iter().eq(&LENGTHS.map(|len| noise(len as u64, len))));
    assert!(flows[1].iter().eq(&(0..100).map(|n| vec![n; 7]).collect::<Vec<_>>()));
}

#[test]
fn a_burst_to_the_guest_is_cut_by_a_card_that_does_that_and_here_for_others() {
    let sent = LENGTHS.map(|len| noise(len as u64, len));
    for offloads in [Offloads::empty(), Offloads::CHECKSUM, Offloads::CHECKSUM | Offloads::USO] {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut guest = Guest::new();
        guest.cable.offloads = offloads;
        let target = (GATEWAY, server.local_addr().unwrap().port());
        guest.inject(udp_frame(MAC, GATEWAY_MAC, (GUEST, 5000), target, b"hello"));
        let (_, from) = server.recv_from(&mut [0; 9]).unwrap();
        for bytes in &sent {
            server.send_to(bytes, from).unwrap();
        }
        while guest.cable.to_guest.iter().map(|frame| frame.len() - 42).sum::<usize>() < LENGTHS.iter().sum() {
            guest.router.turn(&mut guest.cable, false).unwrap();
        }
        let frames: Vec<_> = guest.cable.to_guest.drain(..).collect();
        assert!(frames.iter().all(|frame| net::offload::verify(frame)), "{offloads:?}");
        assert!(frames.iter().flat_map(|frame| &frame[42..]).eq(sent.iter().flatten()), "{offloads:?}");
        // 1000 three times and 300, 1000 twice, 1400 four times, 1401 and 1. How many come together is the host's to say.
        let cut = guest.cable.cut;
        assert!(if offloads.contains(Offloads::USO) { (1..=4).contains(&cut) } else { cut == 0 }, "{cut} frames");
        assert!(frames.len() <= LENGTHS.len() && (cut > 0) == (frames.len() < LENGTHS.len()), "{}", frames.len());
    }
}
