//! Ports of the host that lead to the guest.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::JoinHandle;
use std::time::Duration;

use net::nat::{Config, Forward, ForwardError, HostEnd};
use net::{MacAddr, Offloads};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::State;
use smoltcp::socket::udp;
use smoltcp::wire::IpAddress;

use super::guest::{GATEWAY, GATEWAY_MAC, GATEWAY6, GUEST, GUEST6, Guest, MAC, forwarding, local, noise};
use super::local::udp as udp_frame;

/// What a client does on its own thread.
fn client<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    std::thread::spawn(run)
}

#[track_caller]
fn established(guest: &mut Guest, socket: SocketHandle) {
    guest.until("somebody calls", |g| (g.tcp(socket).state() == State::Established).then_some(()));
}

#[test]
fn a_connection_arrives_and_both_ways_end_by_themselves() {
    let (mut guest, at) = forwarding(&[local(HostEnd::Tcp, 22)]);
    let socket = guest.listen(22, 1 << 16);
    let (sent, wanted) = (noise(1, 300_000), noise(2, 200_000));
    let (to_send, address) = (sent.clone(), at[0]);
    let peer = client(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&to_send).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        got
    });
    established(&mut guest, socket);
    assert_eq!(guest.tcp(socket).remote_endpoint().unwrap().addr, GATEWAY.into());
    assert!(guest.read_to_end(socket) == sent);
    guest.write(socket, &wanted);
    guest.tcp(socket).close();
    guest.idle();
    assert!(peer.join().unwrap() == wanted);
}

#[test]
fn a_port_where_nobody_listens_resets_and_so_does_the_guest() {
    let (mut guest, at) = forwarding(&[local(HostEnd::Tcp, 22)]);
    let address = at[0];
    let call = move || {
        client(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.read(&mut [0]).map_err(|e| e.kind())
        })
    };
    let peer = call();
    guest.until("the client knows", |_| peer.is_finished().then_some(()));
    assert_eq!(peer.join().unwrap(), Err(ErrorKind::ConnectionReset));
    let (socket, peer) = (guest.listen(22, 4096), call());
    established(&mut guest, socket);
    guest.tcp(socket).abort();
    guest.until("the client knows", |_| peer.is_finished().then_some(()));
    assert_eq!(peer.join().unwrap(), Err(ErrorKind::ConnectionReset));
    guest.idle();
}

#[test]
fn a_client_that_is_gone_ends_the_guests_connection() {
    let (mut guest, at) = forwarding(&[local(HostEnd::Tcp, 22)]);
    let socket = guest.listen(22, 4096);
    let stream = TcpStream::connect(at[0]).unwrap();
    established(&mut guest, socket);
    // With data that it has not read, its end is a reset.
    guest.write(socket, b"unread");
    guest.until("it is there", |_| (stream.peek(&mut [0; 6]).unwrap_or(0) == 6).then_some(()));
    drop(stream);
    guest.until("the guest knows", |g| (g.tcp(socket).state() == State::Closed).then_some(()));
    guest.idle();
}

#[test]
fn datagrams_come_and_answers_go_to_who_asked() {
    let (mut guest, at) = forwarding(&[local(HostEnd::Udp, 53)]);
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 8], vec![0; 8192]);
    let mut socket = udp::Socket::new(buffer(), buffer());
    socket.bind(53).unwrap();
    let handle = guest.sockets.add(socket);
    let clients: Vec<_> = (0..3).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    for round in 0..2u8 {
        for (n, client) in clients.iter().enumerate() {
            client.send_to(&[n as u8, round], at[0]).unwrap();
            let (bytes, from) = guest.until("it has come", |g| {
                let socket = g.socket::<udp::Socket<'_>>(handle);
                socket.recv().ok().map(|(bytes, from)| (bytes.to_vec(), from.endpoint))
            });
            assert_eq!((&bytes[..], from.addr), (&[n as u8, round][..], GATEWAY.into()));
            guest.socket::<udp::Socket<'_>>(handle).send_slice(&[9, n as u8, round], from).unwrap();
            client.set_nonblocking(true).unwrap();
            let mut answer = [0; 10];
            let (len, from) = guest.until("the answer has come", |_| client.recv_from(&mut answer).ok());
            assert_eq!((&answer[..len], from), (&[9, n as u8, round][..], at[0]));
        }
    }
    assert_eq!(guest.router.flows().datagram, 3);
}

#[test]
fn bursts_come_and_go_in_the_order_of_each_client() {
    let (mut guest, at) = forwarding(&[local(HostEnd::Udp, 53)]);
    guest.cable.offloads = Offloads::CHECKSUM | Offloads::USO;
    let clients = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    // Both in turn, then each at once; and lengths that go together, and such that do not.
    let sent: Vec<_> = (0..20).map(|n| (n % 2, 600)).chain((0..60).map(|n| (n / 30, 600 + n % 30 / 20))).collect();
    let datagram = |n: usize| [&[n as u8], &noise(n as u64 + 1, sent[n].1)[..]].concat();
    for (n, (client, _)) in sent.iter().enumerate() {
        clients[*client].send_to(&datagram(n), at[0]).unwrap();
    }
    let wanted = |client| -> Vec<_> { (0..sent.len()).filter(|n| sent[*n].0 == client).map(datagram).collect() };
    let total = |client| wanted(client).concat().len();
    let mut frames = Vec::new();
    while frames.iter().map(|frame: &Vec<u8>| frame.len() - 42).sum::<usize>() < total(0) + total(1) {
        guest.router.turn(&mut guest.cable, true).unwrap();
        frames.extend(guest.cable.to_guest.drain(..));
    }
    assert!(frames.iter().all(|frame| net::offload::verify(frame)));
    assert!(guest.cable.cut > 1 && frames.len() < sent.len(), "{} frames, {} cut", frames.len(), guest.cable.cut);
    // The port of a client is the gateway's in the guest's eyes. All that has come is sent back.
    for (n, client) in clients.iter().enumerate() {
        let port = client.local_addr().unwrap().port();
        let of_client = |frame: &&Vec<u8>| frame[34..36] == port.to_be_bytes();
        let bytes: Vec<_> = frames.iter().filter(of_client).flat_map(|frame| &frame[42..]).copied().collect();
        assert!(bytes == wanted(n).concat(), "client {n}");
        for datagram in wanted(n) {
            guest.cable.to_router.push_back(udp_frame(MAC, GATEWAY_MAC, (GUEST, 53), (GATEWAY, port), &datagram));
        }
    }
    while guest.router.turn(&mut guest.cable, false).unwrap() || !guest.cable.to_router.is_empty() {}
    for (n, client) in clients.iter().enumerate() {
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut bytes = [0; 2000];
        for datagram in wanted(n) {
            let (len, from) = client.recv_from(&mut bytes).unwrap();
            assert!((&bytes[..len], from) == (&datagram[..], at[0]), "client {n}");
        }
    }
}

#[test]
fn a_unix_socket_leads_to_a_port() {
    let folder = std::env::temp_dir().join(format!("russet-unix-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("ssh");
    let ssh = Forward { host: HostEnd::Unix(path.clone()), guest_port: 22 };
    // What a killed process has left is replaced, what is no socket is not.
    std::fs::write(&path, "precious").unwrap();
    let taken = Config { forwards: vec![ssh.clone()], ..Config::default() };
    assert!(net::nat::Nat::new(taken).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    std::fs::remove_file(&path).unwrap();
    drop(UnixListener::bind(&path).unwrap());
    let (mut guest, _) = forwarding(&[ssh]);
    let socket = guest.listen(22, 4096);
    let mut stream = UnixStream::connect(&path).unwrap();
    established(&mut guest, socket);
    stream.write_all(b"hello").unwrap();
    guest.until("it has come", |g| (g.tcp(socket).recv_queue() == 5).then_some(()));
    guest.write(socket, b"to you");
    guest.tcp(socket).close();
    let peer = client(move || {
        let mut got = Vec::new();
        stream.read_to_end(&mut got).map(|_| got)
    });
    guest.until("all is said", |_| peer.is_finished().then_some(()));
    assert_eq!(peer.join().unwrap().unwrap(), b"to you");
    drop(guest);
    assert!(!path.exists(), "the socket goes with the network");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn forwards_come_and_go_while_it_runs() {
    let (mut guest, _) = forwarding(&[]);
    let control = guest.router.control();
    let Forward { host, .. } = control.add(&local(HostEnd::Tcp, 80)).unwrap();
    let HostEnd::Tcp(address) = host else { panic!() };
    let socket = guest.listen(80, 4096);
    let stream = TcpStream::connect(address).unwrap();
    established(&mut guest, socket);
    let mut taken = Config { forwards: control.list(), ..Config::default() };
    let error = net::nat::Nat::new(taken.clone()).err().expect("the port is taken").to_string();
    assert!(error.contains("something has it already"), "{error}");
    control.remove(&host).unwrap();
    assert!(matches!(control.remove(&host), Err(ForwardError::Unknown(_))));
    guest.step();
    assert_eq!(TcpStream::connect(address).map_err(|e| e.kind()).err(), Some(ErrorKind::ConnectionRefused));
    // What stands goes on, and the port is free.
    guest.write(socket, b"still");
    stream.set_nonblocking(true).unwrap();
    guest.until("it has come", |_| (stream.peek(&mut [0; 5]).unwrap_or(0) == 5).then_some(()));
    taken.forwards = vec![Forward { host, guest_port: 80 }];
    assert!(net::nat::Nat::new(taken).is_ok());
}

#[test]
fn a_guest_whose_fire_wall_refuses_is_like_a_closed_port() {
    let (mut guest, at) = forwarding(&[local(HostEnd::Tcp, 22)]);
    let mut stream = TcpStream::connect(at[0]).unwrap();
    // The guest's own stack is silent here: its frames are taken from the wire.
    while guest.cable.to_guest.is_empty() {
        guest.router.turn(&mut guest.cable, true).unwrap();
    }
    let syn = guest.cable.to_guest.pop_front().unwrap();
    let refusal = super::local::frame(
        MAC,
        super::guest::GATEWAY_MAC,
        super::guest::GUEST,
        GATEWAY,
        smoltcp::wire::IpProtocol::Icmp,
        36,
        |bytes| {
            bytes[..2].copy_from_slice(&[3, 3]);
            bytes[8..].copy_from_slice(&syn[14..42]);
            smoltcp::wire::Icmpv4Packet::new_unchecked(bytes).fill_checksum();
        },
    );
    guest.inject(refusal);
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(stream.read(&mut [0]).map_err(|e| e.kind()), Err(ErrorKind::ConnectionReset));
}

/// A forward of some port of the host's IPv6 loopback.
fn local6(host: fn(SocketAddr) -> HostEnd, guest_port: u16) -> Forward {
    Forward { host: host("[::1]:0".parse().unwrap()), guest_port }
}

/// The guest asks with its own IPv6 address who the gateway is, so that the router knows the address.
fn show_address(guest: &mut Guest) {
    let socket = guest.dial_to((GATEWAY6, 9).into());
    guest.until("it is refused", |g| (g.tcp(socket).state() == State::Closed).then_some(()));
    assert_eq!(guest.router.leases().address6(MacAddr(MAC)), Some(GUEST6));
}

#[test]
fn by_ipv6_to_ipv6_as_soon_as_the_guest_has_it() {
    let (mut guest, at) = forwarding(&[local6(HostEnd::Tcp, 22), local6(HostEnd::Udp, 53)]);
    for wanted in [IpAddress::from(GATEWAY), GATEWAY6.into()] {
        let socket = guest.listen(22, 4096);
        let mut stream = TcpStream::connect(at[0]).unwrap();
        established(&mut guest, socket);
        assert_eq!(guest.tcp(socket).remote_endpoint().unwrap().addr, wanted);
        stream.write_all(b"hello").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(guest.read_to_end(socket), b"hello");
        guest.write(socket, b"and back");
        guest.tcp(socket).close();
        guest.idle();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"and back");
        show_address(&mut guest);
    }
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 4], vec![0; 4096]);
    let mut socket = udp::Socket::new(buffer(), buffer());
    socket.bind(53).unwrap();
    let socket = guest.sockets.add(socket);
    let client = UdpSocket::bind("[::1]:0").unwrap();
    client.send_to(b"query", at[1]).unwrap();
    let from = guest.until("it comes", |g| {
        g.socket::<udp::Socket<'_>>(socket).recv().ok().map(|(bytes, from)| {
            assert_eq!(bytes, b"query");
            from.endpoint
        })
    });
    assert_eq!(from.addr, GATEWAY6.into());
    guest.socket::<udp::Socket<'_>>(socket).send_slice(b"answer", from).unwrap();
    client.set_nonblocking(true).unwrap();
    let mut bytes = [0; 9];
    let (len, from) = guest.until("the answer is there", |_| client.recv_from(&mut bytes).ok());
    assert_eq!((&bytes[..len], from), (&b"answer"[..], at[1]));
}

#[test]
fn a_server_that_listens_to_ipv4_only_is_found_there() {
    let (mut guest, at) = forwarding(&[local6(HostEnd::Tcp, 22)]);
    show_address(&mut guest);
    let socket = guest.listen(22, 4096);
    guest.tcp(socket).abort();
    guest.tcp(socket).listen((GUEST, 22)).unwrap();
    let mut stream = TcpStream::connect(at[0]).unwrap();
    stream.write_all(b"hello").unwrap();
    established(&mut guest, socket);
    assert_eq!(guest.tcp(socket).remote_endpoint().unwrap().addr, GATEWAY.into());
    guest.write(socket, b"hi");
    guest.until("it is there", |_| (stream.peek(&mut [0; 2]).unwrap_or(0) == 2).then_some(()));
    guest.tcp(socket).abort();
    // And one that listens to nothing refuses.
    guest.idle();
    let mut stream = TcpStream::connect(at[0]).unwrap();
    let peer = client(move || stream.read(&mut [0]).map_err(|e| e.kind()));
    guest.until("the client knows", |_| peer.is_finished().then_some(()));
    assert_eq!(peer.join().unwrap(), Err(ErrorKind::ConnectionReset));
}
