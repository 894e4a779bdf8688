//! Frames that no decent guest sends. The router must not panic, answer without end, or lose its other flows.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};

use net::nat::Config;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IpProtocol, Ipv4Packet, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber, UdpPacket};

use super::guest::{GATEWAY, GATEWAY_MAC, GUEST, Guest, MAC, Random, noise};
use super::local::{frame, udp};

/// A SYN of the guest.
pub(crate) fn syn(target: SocketAddr) -> Vec<u8> {
    syn_from(50000, target)
}

pub(crate) fn syn_from(src_port: u16, target: SocketAddr) -> Vec<u8> {
    let IpAddr::V4(address) = target.ip() else { panic!("IPv4 only") };
    let tcp = TcpRepr {
        src_port,
        dst_port: target.port(),
        control: TcpControl::Syn,
        seq_number: TcpSeqNumber(12345),
        ack_number: None,
        window_len: 65000,
        window_scale: Some(7),
        max_seg_size: Some(1460),
        sack_permitted: true,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    frame(MAC, GATEWAY_MAC, GUEST, address, IpProtocol::Tcp, tcp.buffer_len(), |bytes| {
        let (from, to) = (GUEST.into(), address.into());
        tcp.emit(&mut TcpPacket::new_unchecked(bytes), &from, &to, &ChecksumCapabilities::default());
    })
}

/// Changes some bytes, and sometimes the length; then makes the checksums right, so that it gets further in.
fn spoil(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..1 + random.below(4) {
        let at = 12 + random.below(bytes.len() - 12);
        bytes[at] = random.next() as u8;
    }
    if random.below(4) == 0 {
        bytes.truncate(14 + random.below(bytes.len() - 14));
    }
    let Ok(mut ip) = Ipv4Packet::new_checked(&mut bytes[14..]) else { return };
    ip.fill_checksum();
    let (protocol, from, to) = (ip.next_header(), ip.src_addr().into(), ip.dst_addr().into());
    match protocol {
        IpProtocol::Tcp => TcpPacket::new_checked(ip.payload_mut()).map(|mut p| p.fill_checksum(&from, &to)),
        IpProtocol::Udp => UdpPacket::new_checked(ip.payload_mut()).map(|mut p| p.fill_checksum(&from, &to)),
        _ => Ok(()),
    }
    .unwrap_or_default();
}

#[test]
fn noise_does_no_harm() {
    let mut guest = Guest::with(Config { outside: false, ..Config::default() });
    let mut random = Random(0x5eed);
    let patterns = [
        udp(MAC, [0xff; 6], (GUEST, 68), (GATEWAY, 67), &noise(5, 300)),
        udp(MAC, GATEWAY_MAC, (GUEST, 5353), (GATEWAY, 53), b"query"),
        syn("192.0.2.1:80".parse().unwrap()),
        frame(MAC, GATEWAY_MAC, GUEST, GATEWAY, IpProtocol::Icmp, 40, |b| b[0] = 8),
    ];
    for n in 0..60_000 {
        let mut bytes = match n % 6 {
            0 => noise(random.next() | 1, random.below(120)),
            5 => [&MAC[..], &MAC, &[8, (random.below(2) * 6) as u8], &noise(n as u64 + 1, 60)].concat(),
            _ => patterns[random.below(patterns.len())].clone(),
        };
        if bytes.len() > 20 {
            spoil(&mut bytes, &mut random);
        }
        let answers = guest.inject(bytes);
        assert!(answers.len() <= 1, "{} answers", answers.len());
        assert!(answers.iter().all(|a| a.len() <= 1514));
    }
    assert_eq!(guest.router.flows().tcp, 0);
}

#[test]
fn spoilt_segments_hit_their_own_connection_at_most() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut guest = Guest::new();
    let good = guest.connect(address);
    let (mut server, _) = listener.accept().unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut random = Random(77);
    let target = SocketAddr::new(GATEWAY.into(), address.port());
    let mut accepted = Vec::new();
    for n in 0..3000 {
        // A real handshake and a data segment, each spoilt now and then.
        let opening = syn_from(20000 + n, target);
        let answers = guest.inject(opening.clone());
        if let Ok((mut stream, _)) = listener.accept() {
            stream.write_all(b"some data for the guest").unwrap();
            accepted.push(stream);
        }
        let Some(answer) = answers.first().and_then(|a| TcpPacket::new_checked(a.get(34..)?).ok()) else { continue };
        for _ in 0..6 {
            let mut bytes = opening.clone();
            bytes.extend(noise(random.next() | 1, random.below(100)));
            let total = (bytes.len() - 14) as u16;
            let mut ip = Ipv4Packet::new_unchecked(&mut bytes[14..]);
            ip.set_total_len(total);
            let mut tcp = TcpPacket::new_unchecked(ip.payload_mut());
            tcp.set_syn(false);
            tcp.set_ack(true);
            tcp.set_seq_number(TcpSeqNumber(12346 + (random.below(3) * random.below(70000)) as i32));
            tcp.set_ack_number(answer.seq_number() + 1 + random.below(3) * random.below(70000));
            tcp.set_fin(random.below(8) == 0);
            tcp.set_window_len(random.next() as u16);
            spoil(&mut bytes, &mut random);
            guest.inject(bytes);
        }
        if accepted.len() > 50 {
            accepted.clear();
        }
    }
    // The decent connection beside them has not noticed.
    guest.write(good, b"still here");
    let mut bytes = [0; 10];
    guest.until("it arrived", |_| {
        server.set_nonblocking(true).unwrap();
        server.read_exact(&mut bytes).ok()
    });
    assert_eq!(&bytes, b"still here");
}

#[test]
fn a_flood_of_syns_stays_within_the_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = SocketAddr::new(GATEWAY.into(), listener.local_addr().unwrap().port());
    let mut guest = Guest::with(Config { host_access: true, max_tcp: 30, ..Config::default() });
    for port in 1000..5000 {
        guest.inject(syn_from(port, target));
    }
    assert_eq!(guest.router.flows().tcp, 30);
}
