//! Networks of ours beside a machine of the framework: frames between its datagrams and what a card is plugged into.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;

use config::{Capture, MacAddress, Nat, Network, NetworkAttachment, SocketType, Subnet};
use vm::VirtualMachine;
use vz::Resource;

use crate::double::{Double, PATIENCE};
use crate::passt::Passt;
use crate::{machine, made, on_framework};

const CARD: [u8; 6] = [2, 0, 0, 0, 0, 9];

fn frames(resources: &mut [Resource]) -> UnixDatagram {
    let found = resources.iter_mut().find(|resource| matches!(resource, Resource::Frames(_)));
    let Resource::Frames(socket) = std::mem::replace(found.unwrap(), Resource::Later) else { panic!("no frames") };
    let socket = UnixDatagram::from(socket);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// A machine with a card, and the framework's end of that.
fn plugged(network: Network) -> (tempfile::TempDir, VirtualMachine, UnixDatagram) {
    let (folder, mut machine) = machine();
    machine.network.push(Network { mac: Some(MacAddress(CARD)), ..network });
    let (vm, mut mac) = made(&machine);
    (folder, vm, frames(&mut mac.resources))
}

fn unix_socket(path: &Path, kind: SocketType, listen: bool) -> Network {
    let vfkit_magic = kind == SocketType::Unixgram;
    Network::of(NetworkAttachment::UnixSocket { path: path.to_owned(), kind, vfkit_magic, listen })
}

fn recorded(mut network: Network, path: &Path) -> Network {
    network.capture = Some(Capture { path: path.to_owned(), snap_len: None, limit: None });
    network
}

fn frame(n: u8, len: usize) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, n][..], &vec![n; len - 6]].concat()
}

/// `asking` wants to know who has `wanted` (RFC 826).
fn ask(asking: [u8; 4], wanted: [u8; 4]) -> Vec<u8> {
    let mut ask = vec![0xff; 6];
    ask.extend(CARD);
    ask.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    ask.extend(CARD);
    ask.extend(asking);
    ask.extend([0; 6]);
    ask.extend(wanted);
    ask
}

/// The answer to that.
fn answered(socket: &UnixDatagram) -> Vec<u8> {
    let mut frame = [0; 2048];
    loop {
        let count = socket.recv(&mut frame).unwrap();
        if count >= 42 && frame[12..14] == [8, 6] && frame[21] == 2 {
            return frame[..count].to_vec();
        }
    }
}

/// Frames go both ways between a card and a stream, each after its length.
fn frames_go_over(stream: &mut UnixStream, card: &UnixDatagram) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for len in [14, 60, 1514] {
        card.send(&frame(1, len)).unwrap();
        let mut got = vec![0; 4 + len];
        stream.read_exact(&mut got).unwrap();
        assert_eq!(got, [&(len as u32).to_be_bytes()[..], &frame(1, len)].concat());
        // As the kernel may cut it.
        for piece in [&(len as u32).to_be_bytes()[..], &frame(2, len)].concat().chunks(11) {
            stream.write_all(piece).unwrap();
        }
        let mut got = [0; 2048];
        let count = card.recv(&mut got).unwrap();
        assert_eq!(got[..count], frame(2, len));
    }
}

#[test]
fn our_network_answers_in_datagrams() {
    let subnet = Some(Subnet { address: [10, 77, 0, 0].into(), prefix: 24 });
    let nat = NetworkAttachment::Nat(Nat { subnet, ..Nat::default() });
    let (_folder, vm, card) = plugged(Network::of(nat));
    assert_eq!(vm.cards()[0].mac(), MacAddress(CARD));
    let ask = ask([10, 77, 0, 2], [10, 77, 0, 1]);
    card.send(&ask).unwrap();
    let answer = answered(&card);
    assert_eq!((&answer[..6], &answer[28..32]), (&CARD[..], &[10, 77, 0, 1][..]));
    drop(vm);
    assert!(card.send(&ask).is_err(), "the other end is closed");
}

#[test]
fn a_stream_is_carried_in_datagrams_whoever_connects() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (_kernel, vm, card) = plugged(unix_socket(&path, SocketType::Unixstream, false));
    let (mut stream, _) = listener.accept().unwrap();
    frames_go_over(&mut stream, &card);
    // What is no frame ends the stream, and another is tried.
    stream.write_all(&[0xff; 4]).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    frames_go_over(&mut stream, &card);
    drop(vm);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);

    let path = folder.path().join("ours.sock");
    let (_kernel, vm, card) = plugged(unix_socket(&path, SocketType::Unixstream, true));
    let mut stream = UnixStream::connect(&path).unwrap();
    frames_go_over(&mut stream, &card);
    drop(vm);
    assert!(!path.exists());
}

#[test]
fn what_passes_through_a_socket_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peer.sock");
    let peer = UnixDatagram::bind(&path).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let record = folder.path().join("record.pcapng");
    let network = recorded(unix_socket(&path, SocketType::Unixgram, false), &record);
    let (_kernel, vm, card) = plugged(network);
    let mut got = [0; 2048];
    let (count, from) = peer.recv_from(&mut got).unwrap();
    assert_eq!(&got[..count], b"VFKT");
    peer.connect(from.as_pathname().unwrap()).unwrap();
    card.send(&frame(1, 60)).unwrap();
    assert_eq!(peer.recv(&mut got).unwrap(), 60);
    peer.send(&frame(2, 1514)).unwrap();
    assert_eq!(card.recv(&mut got).unwrap(), 1514);
    drop(vm);
    let record = fs::read(record).unwrap();
    let holds = |frame: &[u8]| record.windows(frame.len()).any(|window| window == frame);
    assert!(record.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) && holds(&frame(1, 60)) && holds(&frame(2, 1514)));
}

#[test]
fn a_descriptor_of_datagrams_is_the_cards_own_and_others_are_carried() {
    let (ours, peer) = UnixDatagram::pair().unwrap();
    let inherited = |fd: u32| Network::of(NetworkAttachment::Fd(fd));
    let (_kernel, vm, card) = plugged(inherited(ours.as_raw_fd() as u32));
    // It is not ours in between: what is no frame passes, too.
    card.send(b"hello").unwrap();
    let mut got = [0; 2048];
    assert_eq!(peer.recv(&mut got).unwrap(), 5);
    drop(vm);
    peer.send(&frame(2, 60)).unwrap();
    assert_eq!(card.recv(&mut got).unwrap(), 60);

    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.pcapng");
    let (_kernel, vm, card) = plugged(recorded(inherited(ours.as_raw_fd() as u32), &record));
    card.send(&frame(3, 60)).unwrap();
    assert_eq!((peer.recv(&mut got).unwrap(), got[6]), (60, 3));
    drop(vm);
    assert!(fs::read(record).unwrap().windows(60).any(|window| window == frame(3, 60)));

    let (ours, mut peer) = UnixStream::pair().unwrap();
    let (_kernel, vm, card) = plugged(inherited(ours.as_raw_fd() as u32));
    frames_go_over(&mut peer, &card);
    drop(vm);

    let file = OwnedFd::from(fs::File::open("/dev/null").unwrap());
    for (fd, reason) in [(file.as_raw_fd(), "taking the socket"), (1_000_000, "taking the descriptor")] {
        let (_kernel, mut machine) = machine();
        machine.network.push(inherited(fd as u32));
        let (double, _machines) = Double::new();
        let error = on_framework(&machine, double).err().unwrap().to_string();
        assert!(error.starts_with(&format!("network[0].fd: {reason}")), "{error}");
    }
}

#[test]
fn passt_answers_the_framework() {
    let passt = Passt::start(&["-a", "10.77.0.2", "-n", "24", "-g", "10.77.0.1"], PATIENCE);
    let (_kernel, _vm, card) = plugged(unix_socket(passt.path(), SocketType::Unixstream, false));
    card.send(&ask([10, 77, 0, 2], [10, 77, 0, 1])).unwrap();
    let answer = answered(&card);
    assert_eq!((&answer[..6], &answer[28..32]), (&CARD[..], &[10, 77, 0, 1][..]));
}

#[test]
fn a_card_of_the_frameworks_own_network_is_told_beside_ours() {
    let (_folder, mut machine) = machine();
    machine.network.push(Network::of(NetworkAttachment::Nat(Nat::default())));
    let ours = Nat { subnet: Some(Subnet { address: [10, 77, 0, 0].into(), prefix: 24 }), ..Nat::default() };
    machine.network.push(Network::of(NetworkAttachment::Nat(ours)));
    let (vm, mac) = made(&machine);
    let planned = mac.plan.objects.iter().find_map(|object| match object {
        vz::Object::Network(card) => card.mac,
        _ => None,
    });
    assert_eq!((vm.cards().len(), vm.macos_cards().len()), (1, 1));
    assert_eq!(Some(vm.macos_cards()[0].mac), planned);
}
