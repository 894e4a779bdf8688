//! What the gateway does itself: DHCP, ARP, ping; and a router on its own thread.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use net::nat::{Config, Nat};
use net::{Backend, Link, MacAddr, Meta, Offloads, Port};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::{dhcpv4, icmp};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress, EthernetFrame,
    EthernetProtocol, EthernetRepr, Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
};

use super::guest::{GATEWAY, GATEWAY_MAC, GUEST, Guest, MAC};

#[test]
fn dhcp_gives_the_first_address_and_the_gateway() {
    let mut guest = Guest::with(Config::default());
    guest.interface.update_ip_addrs(|all| all.clear());
    let handle = guest.sockets.add(dhcpv4::Socket::new());
    let leases = guest.router.leases();
    let lease = guest.until("there is a lease", |g| match g.socket::<dhcpv4::Socket<'_>>(handle).poll()? {
        dhcpv4::Event::Configured(lease) => {
            Some((lease.address, lease.router, lease.dns_servers.to_vec(), lease.server.address))
        }
        dhcpv4::Event::Deconfigured => None,
    });
    let (address, router, servers, server) = lease;
    assert_eq!((address.address(), address.prefix_len()), (GUEST, 24));
    assert_eq!((router, servers, server), (Some(GATEWAY), vec![GATEWAY], GATEWAY));
    assert_eq!(leases.address(MacAddr(MAC)), Some(GUEST));
}

/// What the server says to `message` for `wanted` from the card `mac`: type, address, and to whom.
fn ask(
    guest: &mut Guest,
    mac: [u8; 6],
    message: DhcpMessageType,
    wanted: Option<Ipv4Addr>,
) -> Option<(DhcpMessageType, Ipv4Addr, Ipv4Addr)> {
    let dhcp = DhcpRepr {
        message_type: message,
        transaction_id: 99,
        secs: 0,
        client_hardware_address: EthernetAddress(mac),
        client_ip: Ipv4Addr::UNSPECIFIED,
        your_ip: Ipv4Addr::UNSPECIFIED,
        server_ip: Ipv4Addr::UNSPECIFIED,
        router: None,
        subnet_mask: None,
        relay_agent_ip: Ipv4Addr::UNSPECIFIED,
        broadcast: false,
        requested_ip: wanted,
        client_identifier: Some(EthernetAddress(mac)),
        server_identifier: None,
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: None,
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    let mut payload = vec![0; dhcp.buffer_len()];
    dhcp.emit(&mut DhcpPacket::new_unchecked(&mut payload)).unwrap();
    let answers = guest.inject(udp(mac, [0xff; 6], (Ipv4Addr::UNSPECIFIED, 68), (Ipv4Addr::BROADCAST, 67), &payload));
    assert!(answers.len() <= 1);
    let frame = EthernetFrame::new_checked(answers.first()?).unwrap();
    let ip = Ipv4Packet::new_checked(frame.payload()).unwrap();
    let udp = UdpPacket::new_checked(ip.payload()).unwrap();
    assert!(ip.verify_checksum() && udp.verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into()));
    assert_eq!((udp.src_port(), udp.dst_port()), (67, 68));
    let packet = DhcpPacket::new_checked(udp.payload()).unwrap();
    let reply = DhcpRepr::parse(&packet).unwrap();
    assert_eq!((reply.transaction_id, reply.client_identifier), (99, Some(EthernetAddress(mac))));
    Some((reply.message_type, reply.your_ip, ip.dst_addr()))
}

#[test]
fn dhcp_corrects_who_remembers_another_address() {
    use DhcpMessageType::{Ack, Discover, Nak, Offer, Release, Request};
    let mut guest = Guest::with(Config::default());
    let (second, elsewhere) = ([2, 0, 0, 0, 0, 8], Ipv4Addr::new(10, 0, 0, 5));
    let third = Ipv4Addr::new(192, 168, 64, 3);
    assert_eq!(ask(&mut guest, MAC, Request, Some(elsewhere)), Some((Nak, [0; 4].into(), Ipv4Addr::BROADCAST)));
    assert_eq!(ask(&mut guest, MAC, Discover, Some(elsewhere)), Some((Offer, GUEST, GUEST)));
    assert_eq!(ask(&mut guest, second, Discover, Some(GUEST)), Some((Offer, third, third)));
    assert_eq!(ask(&mut guest, MAC, Request, Some(GUEST)), Some((Ack, GUEST, GUEST)));
    assert_eq!(guest.router.leases().address(MacAddr(second)), None);
    assert_eq!(ask(&mut guest, MAC, Release, None), None);
    assert_eq!(guest.router.leases().address(MacAddr(MAC)), None);
    assert_eq!(ask(&mut guest, [3, 0, 0, 0, 0, 8], Discover, None), None, "a group has no address");
}

/// A UDP frame of the guest.
pub(crate) fn udp(
    from: [u8; 6],
    to: [u8; 6],
    source: (Ipv4Addr, u16),
    target: (Ipv4Addr, u16),
    payload: &[u8],
) -> Vec<u8> {
    let udp = UdpRepr { src_port: source.1, dst_port: target.1 };
    let len = udp.header_len() + payload.len();
    frame(from, to, source.0, target.0, IpProtocol::Udp, len, |bytes| {
        let (a, b) = (source.0.into(), target.0.into());
        let fill = |room: &mut [u8]| room.copy_from_slice(payload);
        udp.emit(&mut UdpPacket::new_unchecked(bytes), &a, &b, payload.len(), fill, &ChecksumCapabilities::default());
    })
}

/// An IPv4 frame of the guest.
pub(crate) fn frame(
    from: [u8; 6],
    to: [u8; 6],
    src_addr: Ipv4Addr,
    dst_addr: Ipv4Addr,
    next_header: IpProtocol,
    payload_len: usize,
    fill: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let ip = Ipv4Repr { src_addr, dst_addr, next_header, payload_len, hop_limit: 64 };
    let ethernet = EthernetRepr {
        src_addr: EthernetAddress(from),
        dst_addr: EthernetAddress(to),
        ethertype: EthernetProtocol::Ipv4,
    };
    let mut bytes = vec![0; 14 + 20 + payload_len];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    ethernet.emit(&mut frame);
    let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet, &ChecksumCapabilities::default());
    fill(packet.payload_mut());
    bytes
}

fn arp(guest: &mut Guest, source: Ipv4Addr, target: Ipv4Addr) -> Option<EthernetAddress> {
    let request = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: EthernetAddress(MAC),
        source_protocol_addr: source,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: target,
    };
    let mut bytes = vec![0; 60];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    frame.set_src_addr(EthernetAddress(MAC));
    frame.set_dst_addr(EthernetAddress::BROADCAST);
    frame.set_ethertype(EthernetProtocol::Arp);
    request.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
    let answers = guest.inject(bytes);
    let frame = EthernetFrame::new_checked(answers.first()?).unwrap();
    assert_eq!(frame.dst_addr(), EthernetAddress(MAC));
    match ArpRepr::parse(&ArpPacket::new_checked(frame.payload()).unwrap()).unwrap() {
        ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply, source_hardware_addr, source_protocol_addr, ..
        } => {
            assert_eq!(source_protocol_addr, target);
            Some(source_hardware_addr)
        }
        other => panic!("{other}"),
    }
}

#[test]
fn arp_is_answered_for_the_gateway_only() {
    let mut guest = Guest::with(Config::default());
    assert_eq!(arp(&mut guest, GUEST, GATEWAY), Some(EthernetAddress(GATEWAY_MAC)));
    assert_eq!(arp(&mut guest, GUEST, Ipv4Addr::new(192, 168, 64, 3)), None);
    assert_eq!(arp(&mut guest, Ipv4Addr::UNSPECIFIED, GUEST), None, "the guest's probe for its own address");
}

#[test]
fn the_gateway_answers_pings() {
    let mut guest = Guest::with(Config::default());
    let buffer = || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 4], vec![0; 4096]);
    let handle = guest.sockets.add(icmp::Socket::new(buffer(), buffer()));
    let socket = guest.socket::<icmp::Socket<'_>>(handle);
    socket.bind(icmp::Endpoint::Ident(0x22b)).unwrap();
    let request = Icmpv4Repr::EchoRequest { ident: 0x22b, seq_no: 1, data: b"are you there" };
    let room = socket.send(request.buffer_len(), GATEWAY.into()).unwrap();
    request.emit(&mut Icmpv4Packet::new_unchecked(room), &ChecksumCapabilities::default());
    let (reply, from) = guest.until("pong", |g| {
        let socket = g.socket::<icmp::Socket<'_>>(handle);
        socket.recv().ok().map(|(bytes, from)| (bytes.to_vec(), from))
    });
    let packet = Icmpv4Packet::new_checked(&reply[..]).unwrap();
    let reply = Icmpv4Repr::parse(&packet, &ChecksumCapabilities::default()).unwrap();
    assert_eq!(reply, Icmpv4Repr::EchoReply { ident: 0x22b, seq_no: 1, data: b"are you there" });
    assert_eq!(from, GATEWAY.into());
}

/// A port that other threads fill and look into: what the guest has sent, and what it has got.
#[derive(Clone, Default)]
struct Mailbox(Arc<Mutex<(Frames, Frames)>>);

type Frames = Vec<Vec<u8>>;

impl Port for Mailbox {
    fn pull(&mut self, frame: &mut Vec<u8>) -> Option<Meta> {
        *frame = self.0.lock().unwrap().0.pop()?;
        Some(Meta::default())
    }

    fn push(&mut self, frame: &[u8], _: Meta) -> bool {
        self.0.lock().unwrap().1.push(frame.to_vec());
        true
    }

    fn offloads(&self) -> Offloads {
        Offloads::empty()
    }

    fn flush(&mut self) {}

    fn arm(&mut self) -> bool {
        !self.0.lock().unwrap().0.is_empty()
    }
}

#[test]
fn a_link_wakes_stops_and_goes_on_where_it_was() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = (GATEWAY, listener.local_addr().unwrap().port()).into();
    let router = Nat::new(Config { host_access: true, ..Config::default() }).unwrap();
    let wake = router.wake();
    let router: net::SharedBackend = Arc::new(Mutex::new(Box::new(router)));
    let mailbox = Mailbox::default();
    let wait = |count: usize| {
        let start = Instant::now();
        while mailbox.0.lock().unwrap().1.len() < count {
            assert!(start.elapsed() < Duration::from_secs(20), "no answer");
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let mut port = mailbox.clone();
    let start = Instant::now();
    for round in 0..20u16 {
        let link = Link::start("net", router.clone(), wake.clone(), port).unwrap();
        std::thread::sleep(Duration::from_millis(u64::from(round % 3)));
        mailbox.0.lock().unwrap().0.push(super::hostile::syn_from(50000 + round, target));
        wake.wake();
        wait(usize::from(round) + 1);
        port = link.stop().expect("the thread ended well");
    }
    assert!(start.elapsed() < Duration::from_secs(6), "wakes are lost, only timers keep the network going");
    // The connections of the earlier links stand still.
    listener.set_nonblocking(true).unwrap();
    let accepted: Vec<_> = std::iter::from_fn(|| listener.accept().ok()).collect();
    assert_eq!(accepted.len(), 20);
    drop(router);
}

#[test]
fn a_router_that_is_killed_has_kept_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("leases");
    let config = || Config { gateway: Ipv4Addr::new(192, 168, 70, 1), ..Config::default() };
    let mut guest = Guest::with(Config { ledger: Some(ledger.clone()), ..config() });
    let handle = guest.sockets.add(dhcpv4::Socket::new());
    let address = guest.until("there is a lease", |g| match g.socket::<dhcpv4::Socket<'_>>(handle).poll() {
        Some(dhcpv4::Event::Configured(lease)) => Some(lease.address.address()),
        _ => None,
    });
    // It has no time to end; what the file says is all that is left of it.
    std::mem::forget(guest);
    let resumed = Config::resumed(ledger.clone());
    assert_eq!(resumed.gateway, Ipv4Addr::new(192, 168, 70, 1));
    let router = Nat::new(resumed).unwrap();
    assert_eq!(router.leases().address(MacAddr(MAC)), Some(address));
    // On another network it says nothing.
    let elsewhere = Nat::new(Config { ledger: Some(ledger), ..Config::default() }).unwrap();
    assert_eq!(elsewhere.leases().list(), []);
}
