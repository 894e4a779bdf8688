//! Taps and bridges, in a network namespace of their own: the other end is the kernel's TCP/IP.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use net::{Meta, Offloads, PartialChecksum, SegmentKind, Segments, tap};

use crate::card::PATIENCE;
use crate::guest::{Guest, pattern};
use crate::namespace::{inside, run};

/// Sends `len` bytes to a server of the kernel at 10.0.0.254 and takes them back.
fn through_the_kernel(guest: &mut Guest, port: u16, len: usize) {
    let listener = TcpListener::bind((Ipv4Addr::new(10, 0, 0, 254), port)).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut all = vec![0; len];
        stream.read_exact(&mut all).unwrap();
        stream.write_all(&all).unwrap();
    });
    let client = guest.connect((Ipv4Addr::new(10, 0, 0, 254), port));
    guest.echo(client, &pattern(len), || {});
    server.join().unwrap();
}

/// One frame that stands for ten datagrams to the kernel.
fn datagrams(guest: &Guest) {
    let socket = UdpSocket::bind((Ipv4Addr::new(10, 0, 0, 254), 99)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    // Where the kernel is: the answer to an ARP request.
    let ask = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 2], &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &[2, 0, 0, 0, 0, 2]].concat();
    let ask = [&ask[..], &[10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 10, 0, 0, 254]].concat();
    let end = Instant::now() + PATIENCE;
    let reply = loop {
        // The kernel sends nothing until it has noticed that the tap has somebody at its other end.
        assert!(Instant::now() < end, "the kernel does not answer");
        guest.card.send(&ask, Meta::default());
        let came = std::iter::from_fn(|| guest.card.receive_within(Duration::from_millis(300)));
        if let Some((reply, _)) = came.take(20).find(|(f, _)| f.starts_with(&[2, 0, 0, 0, 0, 2]) && f[12..14] == [8, 6])
        {
            break reply;
        }
    };
    let mut large = [&reply[6..12], &[2, 0, 0, 0, 0, 2], &[8, 0, 0x45, 0], &1028u16.to_be_bytes()].concat();
    large.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 2, 10, 0, 0, 254, 0, 77, 0, 99, 0x03, 0xf0, 0, 0]);
    let words = |bytes: &[u8]| bytes.chunks(2).map(|b| u32::from(b[0]) << 8 | u32::from(b[1])).sum::<u32>();
    let sum = words(&large[14..34]);
    let header = !((sum & 0xffff) + (sum >> 16)) as u16;
    large[24..26].copy_from_slice(&header.to_be_bytes());
    // The pseudo-header is left to be completed.
    let sum = words(&large[26..34]) + 17 + 1008;
    large[40..42].copy_from_slice(&(((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes());
    large.extend((0..10).flat_map(|n| [n; 100]));
    let partial = Some(PartialChecksum { start: 34, offset: 6 });
    let segments = Some(Segments { kind: SegmentKind::Udp, size: 100 });
    guest.card.send(&large, Meta { partial, segments, verified: false });
    for n in 0..10 {
        let mut got = [0; 2000];
        let count = socket.recv(&mut got).expect("a datagram comes");
        assert_eq!(got[..count], [n; 100]);
    }
}

#[test]
fn a_tap_by_name_with_and_without_offloads() {
    if !inside("tap::a_tap_by_name_with_and_without_offloads") {
        return;
    }
    for (port, offloads) in [(80, Offloads::all()), (81, Offloads::empty()), (82, Offloads::CHECKSUM)] {
        run("ip tuntap add dev tap7 mode tap");
        run("ip addr add 10.0.0.254/24 dev tap7");
        run("ip link set tap7 up");
        let mut guest = Guest::at(tap::open("tap7").unwrap(), offloads, 2);
        datagrams(&guest);
        through_the_kernel(&mut guest, port, 1_000_000);
        let large = guest.large > 0;
        assert_eq!(large, offloads.contains(Offloads::TSO4), "{} frames to be cut", guest.large);
        drop(guest);
        run("ip tuntap del dev tap7 mode tap");
    }
}

#[test]
fn a_tap_without_the_virtio_header_by_descriptor() {
    if !inside("tap::a_tap_without_the_virtio_header_by_descriptor") {
        return;
    }
    // With the header by `open`; what another program has made may be without.
    let made = tap::open("tap8").unwrap();
    drop(made);
    let plain = open_plain_tap();
    run("ip addr add 10.0.0.254/24 dev plain0");
    run("ip link set plain0 up");
    let mut guest = Guest::at(tap::opened(plain).unwrap(), Offloads::all(), 2);
    datagrams(&guest);
    through_the_kernel(&mut guest, 80, 300_000);
}

/// A tap as an older program makes it, by the one way that needs no ioctl of ours: a helper opens it and we inherit it.
fn open_plain_tap() -> std::os::fd::OwnedFd {
    let script = "import fcntl,os,socket,struct,sys\n\
        fd=os.open('/dev/net/tun',os.O_RDWR)\n\
        fcntl.ioctl(fd,0x400454ca,struct.pack('16sH22x',b'plain0',0x1002))\n\
        s=socket.socket(fileno=0)\n\
        socket.send_fds(s,[b'x'],[fd])";
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let theirs: std::os::fd::OwnedFd = theirs.into();
    let status = Command::new("python3").args(["-c", script]).stdin(theirs).status().unwrap();
    assert!(status.success());
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = rustix::net::RecvAncillaryBuffer::new(&mut space);
    let (mut byte, flags) = ([0], rustix::net::RecvFlags::empty());
    rustix::net::recvmsg(&ours, &mut [std::io::IoSliceMut::new(&mut byte)], &mut control, flags).unwrap();
    let message = control.drain().next().expect("a descriptor comes");
    match message {
        rustix::net::RecvAncillaryMessage::ScmRights(mut fds) => fds.next().unwrap(),
        _ => panic!("another message"),
    }
}

#[test]
fn a_bridge_gets_a_tap_and_loses_it_with_the_machine() {
    if !inside("tap::a_bridge_gets_a_tap_and_loses_it_with_the_machine") {
        return;
    }
    run("ip link add br0 type bridge");
    run("ip link add veth0 type veth peer name veth1");
    run("ip link set veth0 master br0");
    run("ip addr add 10.0.0.254/24 dev veth1");
    for interface in ["br0", "veth0", "veth1"] {
        run(&format!("ip link set {interface} up"));
    }
    // By the bridge's name, and by that of an interface in it.
    for (port, interface) in [(80, "br0"), (81, "veth0")] {
        let mut guest = Guest::at(tap::bridged(interface).unwrap(), Offloads::all(), 2);
        let members = || std::fs::read_dir("/sys/class/net/br0/brif").map_or(0, |all| all.count());
        assert_eq!(members(), 2);
        through_the_kernel(&mut guest, port, 300_000);
        drop(guest);
        assert_eq!(members(), 1);
    }
    let text = tap::bridged("veth1").err().unwrap().to_string();
    assert!(text.contains("ip link add br0 type bridge"), "{text}");
}

#[test]
fn errors_say_how_to_go_on() {
    let error = |result: Result<_, tap::TapError>| result.map(drop).unwrap_err().to_string();
    assert!(error(tap::bridged("no-such-if")).contains("`ip link` lists"));
    for name in ["", "with/slash", "sixteen-bytes-xx", "%d", ".."] {
        assert!(error(tap::open(name)).contains("cannot be the name"), "{name}");
    }
    let file = tempfile::tempfile().unwrap();
    assert!(error(tap::opened(file.into())).contains("not a tap"));
    // Two commands, for who may not.
    let forbidden = tap::TapError::Forbidden("tap0".to_owned()).to_string();
    assert_eq!(forbidden.matches("sudo ip").count(), 2, "{forbidden}");
}
