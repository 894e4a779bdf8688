//! Sockets: of a datagram and a stream kind, by path and by descriptor, against what vfkit's peers do and each other.

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::Duration;

use net::{Meta, Offloads, PartialChecksum, SegmentKind, Segments, socket};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::card::{Card, PATIENCE};
use crate::guest::{Guest, talk};

fn frame(n: u8, len: usize) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, n][..], &vec![n; len - 6]].concat()
}

#[test]
fn vfkits_handshake_and_frames_and_a_peer_that_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peer.sock");
    let listen = || {
        let peer = UnixDatagram::bind(&path).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        peer
    };
    let accept = |peer: &UnixDatagram| {
        let mut magic = [0; 100];
        let (count, from) = peer.recv_from(&mut magic).unwrap();
        assert_eq!(&magic[..count], b"VFKT");
        peer.connect(from.as_pathname().expect("the other end has an address")).unwrap();
    };
    let peer = listen();
    let card = Card::plug(socket::datagram(&path, true, 1500).unwrap(), Offloads::empty());
    accept(&peer);
    for n in 0..100 {
        card.send(&frame(n, 60 + usize::from(n)), Meta::default());
        let mut got = [0; 2000];
        let count = peer.recv(&mut got).unwrap();
        assert_eq!(got[..count], frame(n, 60 + usize::from(n)));
        peer.send(&frame(n, 1514)).unwrap();
        assert_eq!(card.receive(), (frame(n, 1514), Meta::default()));
    }
    // What is no frame: empty, too short, too long.
    for len in [0, 13, 65_600] {
        let _ = peer.send(&vec![9; len]);
    }
    peer.send(&frame(1, 14)).unwrap();
    assert_eq!(card.receive().0, frame(1, 14));

    drop(peer);
    std::fs::remove_file(&path).unwrap();
    card.send(&frame(1, 60), Meta::default());
    card.wait_carrier(false);
    let peer = listen();
    accept(&peer);
    card.wait_carrier(true);
    peer.send(&frame(7, 60)).unwrap();
    assert_eq!(card.receive().0, frame(7, 60));
}

#[test]
fn nobody_at_a_path_is_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nobody.sock");
    assert!(socket::datagram(&path, true, 1500).is_err());
    assert!(socket::stream(&path, 1500).is_err());
    std::fs::write(&path, "precious").unwrap();
    assert!(socket::listen(&path, 1500).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[test]
fn a_stream_is_as_qemu_speaks_it() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let card = Card::plug(socket::connected(ours.into(), 1500).unwrap(), Offloads::CHECKSUM);
    let mut peer = theirs;
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    card.send(&frame(3, 60), Meta::default());
    let mut got = [0; 64];
    peer.read_exact(&mut got).unwrap();
    assert_eq!(got[..4], 60u32.to_be_bytes());
    assert_eq!(got[4..], frame(3, 60));
    // In pieces, and two at once.
    let bytes = [&60u32.to_be_bytes()[..], &frame(4, 60), &1514u32.to_be_bytes(), &frame(5, 1514)].concat();
    for piece in bytes.chunks(41) {
        peer.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(card.receive().0, frame(4, 60));
    assert_eq!(card.receive().0, frame(5, 1514));
    // A peer that speaks something else is hung up on.
    peer.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    card.wait_carrier(false);
    assert_eq!(peer.read(&mut got).unwrap(), 0);
}

#[test]
fn what_the_guest_left_open_is_done_before_a_plain_wire() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let card = Card::plug(socket::connected(ours.into(), 1500).unwrap(), Offloads::all());
    let mut large = [&[2; 12][..], &[8, 0, 0x45, 0], &3028u16.to_be_bytes(), &[0, 0, 0x40, 0, 64, 17, 0, 0]].concat();
    large.extend([[10, 0, 0, 1], [10, 0, 0, 2], [0, 9, 0, 9], [0x0b, 0xc0, 0, 0]].concat());
    large.extend([0x77; 3000]);
    let partial = Some(PartialChecksum { start: 34, offset: 6 });
    let segments = Some(Segments { kind: SegmentKind::Udp, size: 1000 });
    card.send(&large, Meta { partial, segments, verified: false });
    let mut peer = theirs;
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    for _ in 0..3 {
        let mut got = [0; 4 + 1042];
        peer.read_exact(&mut got).unwrap();
        assert_eq!(got[..4], 1042u32.to_be_bytes());
        assert!(net::offload::verify(&got[4..]));
        // It comes back with its checksum looked at already, for a card that can be told.
        peer.write_all(&got).unwrap();
        let (frame, meta) = card.receive();
        assert_eq!((&frame[..], meta.verified), (&got[4..], true));
    }
}

fn pair(kind: SocketType) -> (OwnedFd, OwnedFd) {
    let (left, right) = socketpair(AddressFamily::UNIX, kind, SocketFlags::empty(), None).unwrap();
    // By a call of its own, for a Mac has no flag for it: a child that kept an end would keep the line up.
    for end in [&left, &right] {
        fcntl_setfd(end, FdFlags::CLOEXEC).unwrap();
    }
    (left, right)
}

#[test]
fn two_machines_on_one_socket_talk() {
    for kind in [SocketType::DGRAM, SocketType::SEQPACKET, SocketType::STREAM] {
        let (left, right) = pair(kind);
        let mut a = Guest::at(socket::connected(left, 1500).unwrap(), Offloads::empty(), 1);
        let mut b = Guest::at(socket::connected(right, 1500).unwrap(), Offloads::CHECKSUM, 2);
        let (server, client) = (b.listen(80), a.connect((Ipv4Addr::new(10, 0, 0, 2), 80)));
        talk(&mut a, client, &mut b, server, 300_000);
    }
}

#[test]
fn two_machines_by_a_path_one_listening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wire.sock");
    let mut a = Guest::at(socket::listen(&path, 1500).unwrap(), Offloads::empty(), 1);
    a.card.wait_carrier(false);
    for _ in 0..2 {
        let mut b = Guest::at(socket::stream(&path, 1500).unwrap(), Offloads::empty(), 2);
        a.card.wait_carrier(true);
        let (server, client) = (b.listen(80), a.connect((Ipv4Addr::new(10, 0, 0, 2), 80)));
        talk(&mut a, client, &mut b, server, 10_000);
        a.tcp(client).abort();
        drop(b);
        a.card.wait_carrier(false);
    }
    drop(a);
    assert!(!path.exists());
}

#[test]
fn a_descriptor_that_is_no_connected_socket_is_refused() {
    let file = tempfile::tempfile().unwrap();
    assert!(socket::connected(file.into(), 1500).is_err());
    assert!(socket::connected(UnixDatagram::unbound().unwrap().into(), 1500).is_err());
}
