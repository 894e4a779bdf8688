//! IPv6: how the guest learns of its network, and that what works over IPv4 works there.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, TcpListener, UdpSocket};

use net::nat::Config;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::udp;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv6Packet,
    Ipv6Repr, NdiscNeighborFlags, NdiscPrefixInfoFlags, NdiscRepr, UdpPacket,
};

use super::guest::{GATEWAY_MAC, GATEWAY6, GUEST6, Guest, MAC, noise};

/// The guest's link-local address.
const LINK: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 7);
const GATEWAY_LINK: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x52, 0x55ff, 0xfe53, 1);

/// An IPv6 frame of the guest.
fn frame(
    src_addr: Ipv6Addr,
    dst_addr: Ipv6Addr,
    next_header: IpProtocol,
    payload_len: usize,
    fill: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let ip = Ipv6Repr { src_addr, dst_addr, next_header, payload_len, hop_limit: 255 };
    let ethernet = EthernetRepr {
        src_addr: EthernetAddress(MAC),
        dst_addr: EthernetAddress(GATEWAY_MAC),
        ethertype: EthernetProtocol::Ipv6,
    };
    let mut bytes = vec![0; 14 + 40 + payload_len];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    ethernet.emit(&mut frame);
    let mut packet = Ipv6Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet);
    fill(packet.payload_mut());
    bytes
}

fn icmp(from: Ipv6Addr, to: Ipv6Addr, message: &Icmpv6Repr<'_>) -> Vec<u8> {
    frame(from, to, IpProtocol::Icmpv6, message.buffer_len(), |bytes| {
        message.emit(&from, &to, &mut Icmpv6Packet::new_unchecked(bytes), &ChecksumCapabilities::default());
    })
}

/// The one answer's addresses and ICMPv6 message, whose checksum is right.
fn answer(answers: &[Vec<u8>]) -> (Ipv6Addr, Ipv6Addr, &[u8]) {
    let [bytes] = answers else { panic!("{} answers", answers.len()) };
    let ip = Ipv6Packet::new_checked(&bytes[14..]).unwrap();
    let message = Icmpv6Packet::new_checked(ip.payload()).unwrap();
    assert!(message.verify_checksum(&ip.src_addr(), &ip.dst_addr()));
    assert_eq!(ip.hop_limit(), 255);
    (ip.src_addr(), ip.dst_addr(), &bytes[54..])
}

fn parse(message: &[u8]) -> NdiscRepr<'_> {
    NdiscRepr::parse(&Icmpv6Packet::new_checked(message).unwrap()).unwrap()
}

#[test]
fn the_router_advertises_network_and_name_server() {
    let mut guest = Guest::with(Config::default());
    let all_routers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
    let ask = |from| icmp(from, all_routers, &Icmpv6Repr::Ndisc(NdiscRepr::RouterSolicit { lladdr: None }));
    let answers = guest.inject(ask(LINK));
    let (from, to, message) = answer(&answers);
    assert_eq!((from, to), (GATEWAY_LINK, LINK));
    let NdiscRepr::RouterAdvert { router_lifetime, lladdr, mtu, prefix_info, .. } = parse(message) else { panic!() };
    let prefix = prefix_info.unwrap();
    assert!(router_lifetime.secs() >= 1800 && mtu == Some(1500) && lladdr.is_some());
    assert!(prefix.flags.contains(NdiscPrefixInfoFlags::ADDRCONF | NdiscPrefixInfoFlags::ON_LINK));
    assert_eq!((prefix.prefix.segments()[..4].to_vec(), prefix.prefix_len), (GUEST6.segments()[..4].to_vec(), 64));
    let dns = [&[25, 3, 0, 0][..], &9000u32.to_be_bytes(), &GATEWAY6.octets()].concat();
    assert!(message.windows(dns.len()).any(|window| window == dns));
    // Who has no address yet is answered as everybody is.
    let answers = guest.inject(ask(Ipv6Addr::UNSPECIFIED));
    assert_eq!(answer(&answers).1, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1));
    let mut silent = Guest::with(Config { prefix6: None, ..Config::default() });
    assert!(silent.inject(ask(LINK)).is_empty());
}

#[test]
fn neighbours_are_told_of_the_gateway_only() {
    let mut guest = Guest::with(Config::default());
    let mut ask = |from: Ipv6Addr, target: Ipv6Addr| {
        let solicit = NdiscRepr::NeighborSolicit { target_addr: target, lladdr: None };
        let answers = guest.inject(icmp(from, target, &Icmpv6Repr::Ndisc(solicit)));
        let (_, to, message) = (!answers.is_empty()).then(|| answer(&answers))?;
        let NdiscRepr::NeighborAdvert { flags, target_addr, lladdr } = parse(message) else { panic!() };
        assert_eq!(lladdr.unwrap().as_bytes(), GATEWAY_MAC);
        Some((to, target_addr, flags.contains(NdiscNeighborFlags::SOLICITED)))
    };
    assert_eq!(ask(LINK, GATEWAY6), Some((LINK, GATEWAY6, true)));
    assert_eq!(ask(GUEST6, GATEWAY_LINK), Some((GUEST6, GATEWAY_LINK, true)));
    let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    assert_eq!(ask(Ipv6Addr::UNSPECIFIED, GATEWAY6), Some((all, GATEWAY6, false)), "it is taken");
    assert_eq!(ask(Ipv6Addr::UNSPECIFIED, GUEST6), None, "the guest's probe for its own address");
}

#[test]
fn the_gateway_answers_pings_and_refuses_the_rest() {
    let mut guest = Guest::with(Config::default());
    let request = Icmpv6Repr::EchoRequest { ident: 5, seq_no: 6, data: b"are you there" };
    let answers = guest.inject(icmp(GUEST6, GATEWAY6, &request));
    let (from, to, message) = answer(&answers);
    assert_eq!(
        (from, to, message[0], &message[4..8], &message[8..]),
        (GATEWAY6, GUEST6, 129, &[0, 5, 0, 6][..], &b"are you there"[..])
    );
    // Where the host's loopback would be, in all its disguises.
    for target in ["::1", "::ffff:127.0.0.1", "::ffff:0:0", "::", "::7f00:1"] {
        let target: Ipv6Addr = target.parse().unwrap();
        let packet = udp_frame(target, 53, b"?");
        let answers = guest.inject(packet);
        if !target.is_unspecified() {
            assert_eq!(answer(&answers).2[..2], [1, 1], "{target}");
        }
    }
    assert_eq!(guest.router.flows().datagram, 0);
}

fn udp_frame(target: Ipv6Addr, port: u16, payload: &[u8]) -> Vec<u8> {
    frame(GUEST6, target, IpProtocol::Udp, 8 + payload.len(), |bytes| {
        let mut udp = UdpPacket::new_unchecked(bytes);
        udp.set_src_port(5000);
        udp.set_dst_port(port);
        udp.set_len(8 + payload.len() as u16);
        udp.payload_mut().copy_from_slice(payload);
        udp.fill_checksum(&GUEST6.into(), &target.into());
    })
}

#[test]
fn megabytes_arrive_as_they_were_sent() {
    let listener = TcpListener::bind("[::1]:0").expect("these tests need IPv6 on loopback");
    let address = listener.local_addr().unwrap();
    let sent = noise(1, 3 << 20);
    let wanted = sent.clone();
    let server = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut got = vec![0; wanted.len()];
        stream.read_exact(&mut got).unwrap();
        assert!(got == wanted);
        stream.write_all(&got).unwrap();
    });
    let mut guest = Guest::new();
    guest.cable.offloads = net::Offloads::all();
    let c = guest.dial_to((GATEWAY6, address.port()).into());
    guest.until("connected", |g| g.tcp(c).can_send().then_some(()));
    guest.write(c, &sent);
    assert!(guest.read_to_end(c) == sent);
    assert!(guest.cable.cut > 10, "{}", guest.cable.cut);
    guest.tcp(c).close();
    guest.idle();
    server.join().unwrap();
}

#[test]
fn datagrams_go_and_come_back_large_ones_in_fragments() {
    let server = UdpSocket::bind("[::1]:0").expect("these tests need IPv6 on loopback");
    let address = server.local_addr().unwrap();
    let mut guest = Guest::new();
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 8], vec![0; 8192]);
    let mut socket = udp::Socket::new(buffer(), buffer());
    socket.bind(5000).unwrap();
    let handle = guest.sockets.add(socket);
    guest.socket::<udp::Socket<'_>>(handle).send_slice(b"hello", (GATEWAY6, address.port())).unwrap();
    server.set_nonblocking(true).unwrap();
    let mut bytes = [0; 4000];
    let (len, from) = guest.until("it has come", |_| server.recv_from(&mut bytes).ok());
    assert_eq!(&bytes[..len], b"hello");
    server.send_to(b"welcome", from).unwrap();
    let got = guest.until("the answer has come", |g| {
        g.socket::<udp::Socket<'_>>(handle).recv().ok().map(|(bytes, _)| bytes.to_vec())
    });
    assert_eq!(got, b"welcome");

    // Larger ones, cut up by the guest and by the router.
    let payload = noise(2, 3000);
    let whole = udp_frame(GATEWAY6, address.port(), &payload);
    let data = &whole[54..];
    for (n, piece) in data.chunks(1448).enumerate().rev() {
        let more = u16::from(n * 1448 + piece.len() < data.len());
        let bytes = frame(GUEST6, GATEWAY6, IpProtocol::Ipv6Frag, 8 + piece.len(), |bytes| {
            bytes[0] = 17;
            bytes[2..4].copy_from_slice(&((n * 1448) as u16 | more).to_be_bytes());
            bytes[4..8].copy_from_slice(&[0, 0, 0, 9]);
            bytes[8..].copy_from_slice(piece);
        });
        guest.inject(bytes);
    }
    let (len, from) = server.recv_from(&mut bytes).unwrap();
    assert!(bytes[..len] == payload);
    server.send_to(&payload, from).unwrap();
    let mut got = vec![0; data.len()];
    let mut have = 0;
    while have < got.len() {
        while guest.cable.to_guest.is_empty() {
            guest.router.turn(&mut guest.cable, true).unwrap();
        }
        let bytes = guest.cable.to_guest.pop_front().unwrap();
        assert!(bytes.len() <= 1514);
        let packet = Ipv6Packet::new_checked(&bytes[14..]).unwrap();
        assert_eq!((packet.next_header(), packet.payload()[0]), (IpProtocol::Ipv6Frag, 17));
        let at = usize::from(u16::from_be_bytes([packet.payload()[2], packet.payload()[3]]) & !7);
        let piece = &packet.payload()[8..];
        got[at..at + piece.len()].copy_from_slice(piece);
        have += piece.len();
    }
    let udp = UdpPacket::new_checked(&got[..]).unwrap();
    assert!(udp.verify_checksum(&GATEWAY6.into(), &GUEST6.into()) && udp.payload() == payload);
}
