//! The way from the host outward, in a network namespace: what is too large for it, and what is down.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};

use super::guest::{GATEWAY, GATEWAY_MAC, GUEST, Guest, MAC, noise};
use super::hostile::syn_from;
use super::local::udp;
use super::namespace::{inside, run};

/// The type and code of an ICMP message in a frame, and the last 16 bits of its header.
fn icmp(frame: &[u8]) -> Option<(u8, u8, u16)> {
    let is_icmp = frame.get(12..14)? == [8, 0] && frame[23] == 1;
    is_icmp.then(|| (frame[34], frame[35], u16::from_be_bytes([frame[40], frame[41]])))
}

#[test]
fn what_is_too_large_for_the_way_is_told_with_the_size_that_fits() {
    if !inside("way::what_is_too_large_for_the_way_is_told_with_the_size_that_fits") {
        return;
    }
    run("ip link set lo mtu 1300");
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = (GATEWAY, server.local_addr().unwrap().port());
    let mut guest = Guest::new();
    let datagram = |len: usize| udp(MAC, GATEWAY_MAC, (GUEST, 5000), target, &noise(len as u64, len));
    // One by itself, and several that go together.
    for count in [1, 3] {
        guest.cable.to_router.extend((1..count).map(|_| datagram(1400)));
        let answers = guest.inject(datagram(1400));
        assert_eq!(answers.iter().filter_map(|frame| icmp(frame)).next(), Some((3, 4, 1300)), "{count}");
    }
    // What fits goes through, together and by itself, also after that.
    guest.cable.to_router.extend((0..3).map(|_| datagram(1200)));
    assert!(guest.inject(datagram(1272)).is_empty());
    let mut bytes = [0; 2000];
    let got = [0; 4].map(|_| server.recv(&mut bytes).unwrap());
    assert_eq!(got, [1200, 1200, 1200, 1272]);
}

#[test]
fn an_interface_that_is_down_is_a_dead_way_and_a_way_again_when_it_is_up() {
    if !inside("way::an_interface_that_is_down_is_a_dead_way_and_a_way_again_when_it_is_up") {
        return;
    }
    run("ip tuntap add far mode tap");
    run("ip addr add 198.51.100.1/24 dev far");
    run("ip link set far up");
    let server = TcpListener::bind("198.51.100.1:0").unwrap();
    let target = server.local_addr().unwrap();
    let mut guest = Guest::new();
    let mut call = |port: u16, target: SocketAddr| {
        let mut answers = guest.inject(syn_from(port, target));
        for _ in 0..2000 {
            if !answers.is_empty() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
            guest.router.turn(&mut guest.cable, false).unwrap();
            answers.extend(guest.cable.to_guest.drain(..));
        }
        answers
    };
    let far = "198.51.100.9:9".parse().unwrap();
    let flags = |answers: &[Vec<u8>]| answers.first().map(|frame| (frame[23], frame[47] & 0x12));
    assert_eq!(flags(&call(50_000, target)), Some((6, 0x12)), "it answers");
    run("ip link set far down");
    let answers = call(50_001, far);
    assert_eq!(answers.iter().filter_map(|frame| icmp(frame)).next().map(|(kind, code, _)| (kind, code)), Some((3, 0)));
    run("ip link set far up");
    assert_eq!(flags(&call(50_002, target)), Some((6, 0x12)), "it answers again");
}

#[test]
fn a_connection_outlives_an_interface_that_goes_down_and_up() {
    if !inside("way::a_connection_outlives_an_interface_that_goes_down_and_up") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut guest = Guest::new();
    let c = guest.connect(listener.local_addr().unwrap());
    let (mut server, _) = listener.accept().unwrap();
    server.set_nonblocking(true).unwrap();
    run("ip link set lo down");
    guest.write(c, b"into the dark");
    server.write_all(b"and back").unwrap();
    for _ in 0..300 {
        guest.step();
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!((server.read(&mut [0]).is_err(), guest.tcp(c).recv_queue()), (true, 0), "nothing passes");
    run("ip link set lo up");
    let mut bytes = [0; 13];
    guest.until("the server has it", |_| server.read_exact(&mut bytes).ok());
    assert_eq!(&bytes, b"into the dark");
    guest.until("the guest has it", |g| (g.tcp(c).recv_queue() == 8).then_some(()));
}
