//! TCP through the router: data, ends, resets, refusals, limits, back-pressure.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use net::Offloads;
use net::nat::Config;
use smoltcp::socket::tcp::State;
use smoltcp::wire::{EthernetFrame, Icmpv4DstUnreachable, Icmpv4Message, Icmpv4Packet, IpProtocol, Ipv4Packet};

use super::guest::{GATEWAY, Guest, noise};

const MEGA: usize = 1 << 20;

/// A server for one connection, on a thread.
fn serve<T: Send + 'static>(f: impl FnOnce(TcpStream) -> T + Send + 'static) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (address, std::thread::spawn(move || f(listener.accept().unwrap().0)))
}

#[test]
fn half_close_works_both_ways() {
    // The guest ends first and still gets the answer.
    let (address, server) = serve(|mut s| {
        let mut request = String::new();
        s.read_to_string(&mut request).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        s.write_all(request.to_uppercase().as_bytes()).unwrap();
    });
    let mut guest = Guest::new();
    let c = guest.connect(address);
    guest.write(c, b"hello");
    guest.tcp(c).close();
    assert_eq!(guest.read_to_end(c), b"HELLO");
    server.join().unwrap();
    guest.idle();

    // The server ends first and still gets the rest.
    let (address, server) = serve(|mut s| {
        s.write_all(b"your turn").unwrap();
        s.shutdown(Shutdown::Write).unwrap();
        let mut rest = String::new();
        s.read_to_string(&mut rest).unwrap();
        rest
    });
    let c = guest.connect(address);
    assert_eq!(guest.read_to_end(c), b"your turn");
    guest.write(c, b"and the rest");
    guest.step();
    guest.tcp(c).close();
    guest.idle();
    assert_eq!(server.join().unwrap(), "and the rest");
}

#[test]
fn a_refusal_is_a_reset() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut guest = Guest::new();
    let c = guest.dial(closed);
    guest.until("refused", |g| (g.tcp(c).state() == State::Closed).then_some(()));
    guest.idle();
}

#[test]
fn resets_pass_both_ways() {
    let (address, server) = serve(|s| {
        rustix::net::sockopt::set_socket_linger(&s, Some(Duration::ZERO)).unwrap();
    });
    let mut guest = Guest::new();
    let c = guest.dial(address);
    guest.until("reset by the server", |g| (g.tcp(c).state() == State::Closed).then_some(()));
    server.join().unwrap();
    guest.idle();

    let (address, server) = serve(|mut s| s.read(&mut [0; 10]).map_err(|e| e.kind()));
    let c = guest.connect(address);
    guest.tcp(c).abort();
    guest.idle();
    assert_eq!(server.join().unwrap(), Err(ErrorKind::ConnectionReset));
}

#[test]
fn what_is_not_allowed_says_so() {
    let mut guest = Guest::with(Config::default());
    for (target, reason) in [
        ("127.0.0.1:80", Icmpv4DstUnreachable::CommProhibited),
        ("0.0.0.1:80", Icmpv4DstUnreachable::CommProhibited),
        ("192.168.64.9:80", Icmpv4DstUnreachable::HostUnreachable),
    ] {
        let target: SocketAddr = target.parse().unwrap();
        let syn = super::hostile::syn(target);
        let answers = guest.inject(syn);
        assert_eq!(answers.len(), 1, "{target}");
        let frame = EthernetFrame::new_checked(&answers[0][..]).unwrap();
        let ip = Ipv4Packet::new_checked(frame.payload()).unwrap();
        assert_eq!((ip.next_header(), ip.src_addr()), (IpProtocol::Icmp, GATEWAY));
        let icmp = Icmpv4Packet::new_checked(ip.payload()).unwrap();
        assert!(icmp.verify_checksum());
        assert_eq!((icmp.msg_type(), icmp.msg_code()), (Icmpv4Message::DstUnreachable, reason.into()), "{target}");
    }
    // The gateway is there but has no such door: a reset.
    let (address, _server) = serve(drop);
    let c = guest.dial(address);
    guest.until("refused", |g| (g.tcp(c).state() == State::Closed).then_some(()));
    assert_eq!(guest.router.flows().tcp, 0);
}

/// Moves `up` and `down` at the same time, with whatever the cable does to them.
fn transfer(mut guest: Guest, up: usize, down: usize) -> Guest {
    let (sent, wanted) = (noise(1, up), noise(2, down));
    let answer = wanted.clone();
    let (address, server) = serve(move |mut s| {
        let mut writer = s.try_clone().unwrap();
        let writing = std::thread::spawn(move || {
            writer.write_all(&answer).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut got = Vec::new();
        s.read_to_end(&mut got).unwrap();
        writing.join().unwrap();
        got
    });
    let c = guest.connect(address);
    let (mut got, mut left, mut closed) = (Vec::new(), &sent[..], false);
    guest.until("all is over", |g| {
        let socket = g.tcp(c);
        if !closed {
            let count = socket.send_slice(left).unwrap();
            left = &left[count..];
            if left.is_empty() {
                socket.close();
                closed = true;
            }
        }
        while socket.can_recv() {
            socket.recv(|data| (data.len(), got.extend_from_slice(data))).unwrap();
        }
        (closed && !socket.may_recv()).then_some(())
    });
    guest.idle();
    assert!(server.join().unwrap() == sent, "what the guest sent arrived changed");
    assert!(got == wanted, "what the host sent arrived changed");
    guest
}

#[test]
fn megabytes_arrive_as_they_were_sent() {
    transfer(Guest::new(), 10 * MEGA, 0);
    transfer(Guest::new(), 0, 10 * MEGA);
    transfer(Guest::new(), 10 * MEGA, 10 * MEGA);
}

#[test]
fn partial_checksums_are_right() {
    let mut guest = Guest::new();
    guest.cable.offloads = Offloads::CHECKSUM;
    transfer(guest, MEGA, MEGA);
}

#[test]
fn what_the_card_cuts_up_is_sent_at_once() {
    let mut guest = Guest::new();
    guest.cable.offloads = Offloads::all();
    let guest = transfer(guest, MEGA, 10 * MEGA);
    assert!(guest.cable.cut > 50, "{}", guest.cable.cut);
}

#[test]
fn little_room_and_losses_are_overcome() {
    let mut guest = Guest::new();
    guest.cable.room = 3;
    transfer(guest, MEGA, MEGA);
    let mut guest = Guest::new();
    guest.cable.lose = 203;
    transfer(guest, MEGA / 4, MEGA / 4);
}

#[test]
fn a_reader_that_waits_stops_the_writer() {
    let (address, server) = serve(|mut s| {
        std::thread::sleep(Duration::from_millis(700));
        let mut got = Vec::new();
        s.read_to_end(&mut got).unwrap();
        got
    });
    let mut guest = Guest::new();
    let c = guest.connect(address);
    let sent = noise(3, 32 * MEGA);
    let mut left = &sent[..];
    let start = std::time::Instant::now();
    while start.elapsed() < Duration::from_millis(500) {
        guest.step();
        let count = guest.tcp(c).send_slice(left).unwrap();
        left = &left[count..];
    }
    // Loopback sockets take some megabytes, the router half of one; the rest has to wait in the guest.
    assert!(left.len() > 16 * MEGA, "{} bytes went somewhere", sent.len() - left.len());
    guest.write(c, left);
    guest.tcp(c).close();
    guest.idle();
    assert!(server.join().unwrap() == sent);
}

#[test]
fn a_guest_that_does_not_read_stops_the_server() {
    let total = 32 * MEGA;
    let (address, server) = serve(move |mut s| {
        s.set_nonblocking(true).unwrap();
        let data = vec![7; MEGA];
        let (mut written, mut idle) = (0, 0);
        while idle < 30 {
            match s.write(&data) {
                Ok(count) => (written, idle) = (written + count, 0),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    idle += 1;
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(e) => panic!("{e}"),
            }
            assert!(written < total, "nothing stops the server");
        }
        written
    });
    let mut guest = Guest::new();
    let c = guest.connect(address);
    guest.until("the server has stopped", |_| server.is_finished().then_some(()));
    let written = server.join().unwrap();
    assert_eq!(guest.read_to_end(c).len(), written);
}

#[test]
fn the_gateway_relays_dns_by_tcp() {
    let (address, server) = serve(|mut s| {
        let mut query = [0; 5];
        s.read_exact(&mut query).unwrap();
        s.write_all(&query).unwrap();
    });
    let mut guest = Guest::with(Config { resolvers: Some(vec![address]), ..Config::default() });
    let c = guest.dial_to((GATEWAY, 53).into());
    guest.until("connected", |g| g.tcp(c).can_send().then_some(()));
    guest.write(c, b"query");
    assert_eq!(guest.read_to_end(c), b"query");
    server.join().unwrap();
}

#[test]
fn hundreds_of_connections_come_and_go() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let total = 600;
    let server = std::thread::spawn(move || {
        let echo = |s: TcpStream| {
            let mut s = s;
            let mut name = [0; 4];
            s.read_exact(&mut name).unwrap();
            s.write_all(&name).unwrap();
        };
        listener.incoming().take(total).for_each(|s| echo(s.unwrap()));
    });
    let mut guest = Guest::new();
    let mut round = 0u32;
    while round < total as u32 {
        let all: Vec<_> = (round..round + 100).map(|n| (n, guest.dial(address))).collect();
        for (n, c) in &all {
            guest.until("connected", |g| g.tcp(*c).can_send().then_some(()));
            guest.write(*c, &n.to_le_bytes());
        }
        for (n, c) in all {
            assert_eq!(guest.read_to_end(c), n.to_le_bytes());
            guest.tcp(c).close();
            guest.until("closed", |g| (g.tcp(c).state() == State::Closed || !g.tcp(c).is_active()).then_some(()));
            guest.sockets.remove(c);
        }
        round += 100;
    }
    server.join().unwrap();
    guest.idle();
}

#[test]
fn beyond_the_limit_the_guest_waits_and_then_gets_through() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut guest = Guest::with(Config { host_access: true, max_tcp: 2, ..Config::default() });
    let first = guest.connect(address);
    let _second = guest.connect(address);
    let third = guest.dial(address);
    for _ in 0..200 {
        guest.step();
    }
    assert_eq!((guest.router.flows().tcp, guest.tcp(third).state()), (2, State::SynSent));
    guest.tcp(first).abort();
    guest.until("through", |g| (g.tcp(third).state() == State::Established).then_some(()));
}
