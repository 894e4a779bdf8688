//! The user-mode router under any frames: raw ones, and such whose headers and checksums are right around any content,
//! so that the fuzzer gets past them. A server of the host listens, so that connections come to stand.
#![no_main]

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use net::nat::{Config, Nat};
use net::{Meta, Offloads, Port};

#[derive(Arbitrary, Debug)]
enum Frame {
    Raw(Vec<u8>),
    /// An IPv4 packet to the gateway.
    Packet {
        protocol: u8,
        fragment: u16,
        payload: Vec<u8>,
    },
    /// An IPv6 packet to the gateway, from the guest's own address or its link-local one.
    Packet6 {
        link: bool,
        next: u8,
        payload: Vec<u8>,
    },
    /// An ICMPv6 message of neighbour discovery to the gateway.
    Neighbour {
        kind: u8,
        payload: Vec<u8>,
    },
    /// A UDP datagram to a port of the gateway.
    Udp {
        port: Port53,
        payload: Vec<u8>,
    },
    /// A segment to the server. The acknowledgement is right but for `ack`.
    Tcp {
        port: u8,
        seq: u32,
        ack: i16,
        flags: u8,
        window: u16,
        options: Vec<u8>,
        payload: Vec<u8>,
    },
    /// The server sends something, or closes what it has.
    Server(bool),
}

/// Ports behind which something of the router's parses.
#[derive(Arbitrary, Debug)]
enum Port53 {
    Dhcp,
    Dns,
    Other,
}

#[derive(Default)]
struct Wire {
    to_router: Option<Vec<u8>>,
    /// The sequence number after the last that the server's side has sent.
    next: u32,
}

impl Port for Wire {
    fn pull(&mut self, frame: &mut Vec<u8>) -> Option<Meta> {
        *frame = self.to_router.take()?;
        // Checksums count as right, or the fuzzer would have to guess them.
        let partial = Some(net::PartialChecksum { start: 34, offset: 16 });
        Some(Meta { partial, ..Meta::default() })
    }

    fn push(&mut self, frame: &[u8], _: Meta) -> bool {
        if let (Some(6), Some(seq)) = (frame.get(23), frame.get(38..42)) {
            let (headers, syn) = (usize::from(frame[46] >> 4) * 4 + 34, u32::from(frame[47] & 3 != 0));
            let seq = u32::from_be_bytes(seq.try_into().unwrap());
            self.next = seq.wrapping_add((frame.len() - headers) as u32).wrapping_add(syn);
        }
        true
    }

    fn offloads(&self) -> Offloads {
        Offloads::CHECKSUM
    }

    fn flush(&mut self) {}

    fn arm(&mut self) -> bool {
        false
    }
}

fn ip(protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0x52, 0x55, 0x53, 0, 1, 2, 0, 0, 0, 0, 7, 8, 0, 0x45, 0];
    frame.extend((20 + payload.len().min(65515) as u16).to_be_bytes());
    frame.extend([0, 1]);
    frame.extend(fragment.to_be_bytes());
    frame.extend([64, protocol, 0, 0, 192, 168, 64, 2, 192, 168, 64, 1]);
    let sum = !smoltcp::wire::checksum::data(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame.extend(payload);
    frame
}

fn ip6(link: bool, next: u8, payload: &[u8]) -> Vec<u8> {
    let gateway = [0xfd, 0x72, 0x75, 0x73, 0x73, 0x65, 0x74, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let mut guest = gateway;
    guest[15] = 2;
    if link {
        guest[..8].copy_from_slice(&[0xfe, 0x80, 0, 0, 0, 0, 0, 0]);
    }
    let mut frame = vec![2, 0x52, 0x55, 0x53, 0, 1, 2, 0, 0, 0, 0, 7, 0x86, 0xdd, 0x60, 0, 0, 0];
    let payload = &payload[..payload.len().min(65535)];
    frame.extend((payload.len() as u16).to_be_bytes());
    frame.extend([next, 255]);
    frame.extend(guest);
    frame.extend(gateway);
    frame.extend(payload);
    frame
}

fuzz_target!(|frames: Vec<Frame>| {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let server = listener.local_addr().unwrap().port();
    let mut router = Nat::new(Config {
        outside: false,
        host_access: true,
        resolvers: Some(vec![listener.local_addr().unwrap()]),
        ..Config::default()
    })
    .unwrap();
    let (mut wire, mut accepted) = (Wire::default(), Vec::new());
    for frame in frames {
        wire.to_router = match frame {
            Frame::Raw(bytes) => Some(bytes),
            Frame::Packet { protocol, fragment, payload } => Some(ip(protocol, fragment, &payload)),
            Frame::Packet6 { link, next, payload } => Some(ip6(link, next, &payload)),
            Frame::Neighbour { kind, payload } => {
                Some(ip6(true, 58, &[&[133 + kind % 5, 0, 0, 0][..], &payload].concat()))
            }
            Frame::Udp { port, payload } => {
                // Never to a real service of the host: the router's own servers, or a port that is refused.
                let port = match port {
                    Port53::Dhcp => 67u16,
                    Port53::Dns => 53,
                    Port53::Other => server,
                };
                let header = [[0, 68], port.to_be_bytes(), (8 + payload.len() as u16).to_be_bytes(), [0, 0]];
                Some(ip(17, 0, &[header.as_flattened(), &payload].concat()))
            }
            Frame::Tcp { port, seq, ack, flags, window, options, payload } => {
                let options = &options[..options.len().min(40) & !3];
                let mut tcp = vec![0x80, port];
                tcp.extend(server.to_be_bytes());
                tcp.extend(seq.to_be_bytes());
                tcp.extend(wire.next.wrapping_add_signed(ack.into()).to_be_bytes());
                tcp.extend([((5 + options.len() / 4) << 4) as u8, flags]);
                tcp.extend(window.to_be_bytes());
                tcp.extend([0; 4]);
                tcp.extend(options);
                tcp.extend(payload);
                Some(ip(6, 0, &tcp))
            }
            Frame::Server(true) => {
                accepted.iter_mut().for_each(|s: &mut std::net::TcpStream| drop(s.write(&[7; 3000])));
                None
            }
            Frame::Server(false) => {
                accepted.clear();
                None
            }
        };
        for _ in 0..3 {
            router.turn(&mut wire, false).unwrap();
        }
        if let Ok((stream, _)) = listener.accept()
            && stream.set_nonblocking(true).is_ok()
        {
            accepted.push(stream);
        }
    }
    assert!(router.flows().tcp <= 256, "connections that nobody asked for");
});
