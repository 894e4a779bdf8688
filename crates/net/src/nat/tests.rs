//! What time does to connections: the router's clock is put forward, with a guest that says exactly what it is told to.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    IpProtocol, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber, UdpPacket, UdpRepr,
};

use super::out::{ETHERNET, IPV4};
use super::*;

const GUEST: Ipv4Addr = Ipv4Addr::new(192, 168, 64, 2);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 64, 1);
const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 7]);

#[derive(Default)]
struct Wire {
    to_router: VecDeque<Vec<u8>>,
    to_guest: VecDeque<Vec<u8>>,
}

impl Port for Wire {
    fn pull(&mut self, frame: &mut Vec<u8>) -> Option<Meta> {
        *frame = self.to_router.pop_front()?;
        Some(Meta::default())
    }

    fn push(&mut self, frame: &[u8], _: Meta) -> bool {
        self.to_guest.push_back(frame.to_vec());
        true
    }

    fn offloads(&self) -> Offloads {
        Offloads::empty()
    }

    fn flush(&mut self) {}

    fn arm(&mut self) -> bool {
        !self.to_router.is_empty()
    }
}

/// A router and what is on its wire.
struct Line {
    router: Nat,
    wire: Wire,
    /// How much the guest has room for.
    window: u16,
}

/// What the tests look at of a segment to the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    port: u16,
    seq: TcpSeqNumber,
    ack: Option<TcpSeqNumber>,
    rst: bool,
    len: usize,
}

impl Line {
    fn new(config: Config) -> Self {
        let machine = Some(Card { mac: MAC, name: None });
        let router = Nat::new(Config { host_access: true, machine, ..config }).unwrap();
        Self { router, wire: Wire::default(), window: 65000 }
    }

    /// So much time goes by.
    fn pass(&mut self, seconds: u64) {
        self.router.clock.before += Duration::from_secs(seconds);
        while self.router.turn(&mut self.wire, false).unwrap() {}
    }

    fn packet(&mut self, protocol: IpProtocol, len: usize, fill: impl FnOnce(&mut [u8])) {
        let ip =
            Ipv4Repr { src_addr: GUEST, dst_addr: GATEWAY, next_header: protocol, payload_len: len, hop_limit: 64 };
        let gateway = self.router.config.gateway_mac;
        let mut frame = [&gateway.0[..], &MAC.0, &[8, 0]].concat();
        frame.resize(ETHERNET + IPV4 + len, 0);
        ip.emit(&mut Ipv4Packet::new_unchecked(&mut frame[ETHERNET..]), &ChecksumCapabilities::default());
        fill(&mut frame[ETHERNET + IPV4..]);
        self.wire.to_router.push_back(frame);
    }

    /// The guest sends a segment without data from its port 5000.
    fn send(&mut self, to: u16, control: TcpControl, seq: i32, ack: Option<TcpSeqNumber>) {
        self.send_data(to, control, seq, ack, b"");
    }

    fn send_data(&mut self, to: u16, control: TcpControl, seq: i32, ack: Option<TcpSeqNumber>, payload: &[u8]) {
        let segment = TcpRepr {
            src_port: 5000,
            dst_port: to,
            control,
            seq_number: TcpSeqNumber(seq),
            ack_number: ack,
            window_len: self.window,
            window_scale: None,
            max_seg_size: Some(1460).filter(|_| control == TcpControl::Syn),
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload,
        };
        let caps = ChecksumCapabilities::default();
        self.packet(IpProtocol::Tcp, segment.buffer_len(), |bytes| {
            segment.emit(&mut TcpPacket::new_unchecked(bytes), &GUEST.into(), &GATEWAY.into(), &caps);
        });
    }

    fn datagram(&mut self, to: u16) {
        let (udp, caps) = (UdpRepr { src_port: 5000, dst_port: to }, ChecksumCapabilities::default());
        self.packet(IpProtocol::Udp, udp.header_len() + 1, |bytes| {
            let mut packet = UdpPacket::new_unchecked(bytes);
            udp.emit(&mut packet, &GUEST.into(), &GATEWAY.into(), 1, |room| room.fill(7), &caps);
        });
        while self.router.turn(&mut self.wire, false).unwrap() || !self.wire.to_router.is_empty() {}
    }

    /// The next segment to the guest, if there is one.
    fn next(&mut self) -> Option<Seen> {
        while let Some(frame) = self.wire.to_guest.pop_front() {
            let ip = Ipv4Packet::new_checked(&frame[ETHERNET..]).unwrap();
            if ip.next_header() == IpProtocol::Tcp {
                let tcp = TcpPacket::new_checked(ip.payload()).unwrap();
                let ack = tcp.ack().then(|| tcp.ack_number());
                let (port, seq, rst, len) = (tcp.src_port(), tcp.seq_number(), tcp.rst(), tcp.payload().len());
                return Some(Seen { port, seq, ack, rst, len });
            }
        }
        None
    }

    /// The next segment to the guest, which comes without time going by.
    fn wait(&mut self) -> Seen {
        for _ in 0..10_000 {
            if let Some(seen) = self.next() {
                return seen;
            }
            std::thread::sleep(Duration::from_millis(1));
            self.router.turn(&mut self.wire, false).unwrap();
        }
        panic!("nothing comes");
    }
}

/// Reads until there is an end or an error.
fn end_of(mut stream: TcpStream) -> std::io::Result<usize> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.read(&mut [0; 10])
}

#[test]
fn a_guest_that_is_silent_is_asked_and_then_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut line = Line::new(Config::default());
    line.send(port, TcpControl::Syn, 99, None);
    let answer = line.wait();
    assert_eq!((answer.port, answer.ack), (port, Some(TcpSeqNumber(100))));
    line.send(port, TcpControl::None, 100, Some(answer.seq + 1));
    line.pass(0);
    let (server, _) = listener.accept().unwrap();
    for _ in 0..10 {
        line.pass(50);
        assert_eq!(line.next(), None, "nobody is asked yet");
        line.pass(11);
        // One byte before what it has, which it acknowledges again (RFC 9293, 3.8.4).
        let probe = line.wait();
        assert_eq!((probe.seq, probe.ack, probe.rst), (answer.seq, Some(TcpSeqNumber(100)), false));
        line.send(port, TcpControl::None, 100, Some(answer.seq + 1));
        line.pass(0);
    }
    assert_eq!(line.router.flows().tcp, 1);
    line.pass(301);
    assert!(line.wait().rst);
    assert_eq!(line.router.flows().tcp, 0);
    assert_eq!(end_of(server).map_err(|e| e.kind()), Err(ErrorKind::ConnectionReset));
}

#[test]
fn a_guest_that_does_not_answer_a_call_is_given_up() {
    let host = HostEnd::Tcp("127.0.0.1:0".parse().unwrap());
    let mut line = Line::new(Config { forwards: vec![Forward { host, guest_port: 22 }], ..Config::default() });
    let HostEnd::Tcp(at) = line.router.control().list()[0].host else { panic!() };
    let client = TcpStream::connect(at).unwrap();
    let first = line.wait();
    assert_eq!((first.ack, first.rst), (None, false));
    // It is called again and again before that.
    line.pass(2);
    assert_eq!(line.wait(), first);
    assert_eq!(line.router.flows().tcp, 1);
    line.pass(31);
    assert_eq!(line.router.flows().tcp, 0);
    assert_eq!(end_of(client).map_err(|e| e.kind()), Err(ErrorKind::ConnectionReset));
}

#[test]
fn flows_of_datagrams_end_when_they_are_idle() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = server.local_addr().unwrap();
    let mut line = Line::new(Config { resolvers: Some(vec![at]), ..Config::default() });
    line.datagram(at.port());
    line.datagram(53);
    assert_eq!(line.router.flows().datagram, 2);
    line.pass(15);
    assert_eq!(line.router.flows().datagram, 2);
    line.pass(15);
    assert_eq!(line.router.flows().datagram, 1, "the query has waited long enough");
    line.pass(145);
    // What comes or goes keeps it.
    line.datagram(at.port());
    line.pass(175);
    assert_eq!(line.router.flows().datagram, 1);
    line.pass(10);
    assert_eq!(line.router.flows().datagram, 0);
}

#[test]
fn the_acknowledgement_of_a_small_segment_waits_but_comes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut line = Line::new(Config::default());
    line.send(port, TcpControl::Syn, 99, None);
    let next = line.wait().seq + 1;
    line.send_data(port, TcpControl::None, 100, Some(next), b"small");
    assert_eq!(line.wait().ack, Some(TcpSeqNumber(105)));
    // Also the last one of a connection that is over for the host: it must not be forgotten before.
    let (mut server, _) = listener.accept().unwrap();
    server.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(line.wait().seq, next);
    line.send_data(port, TcpControl::Fin, 105, Some(next + 1), b"last");
    let last = line.wait();
    assert_eq!((last.ack, last.rst), (Some(TcpSeqNumber(110)), false));
    let mut all = String::new();
    server.read_to_string(&mut all).unwrap();
    assert_eq!(all, "smalllast");
    line.pass(0);
    assert_eq!(line.router.flows().tcp, 0);
}

#[test]
fn a_guest_without_room_gets_the_rest_when_it_has_some_also_after_both_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut line = Line::new(Config::default());
    line.window = 1000;
    line.send(port, TcpControl::Syn, 99, None);
    let next = line.wait().seq + 1;
    line.send(port, TcpControl::Fin, 100, Some(next));
    assert_eq!(line.wait().ack, Some(TcpSeqNumber(101)));
    let (mut server, _) = listener.accept().unwrap();
    server.write_all(&[7; 3000]).unwrap();
    drop(server);
    assert_eq!((line.wait().len, line.next()), (1000, None));
    line.window = 0;
    line.send(port, TcpControl::None, 101, Some(next + 1000));
    line.pass(0);
    line.window = 5000;
    line.send(port, TcpControl::None, 101, Some(next + 1000));
    assert_eq!((line.wait().len, line.wait().len), (1460, 540));
    line.send(port, TcpControl::None, 101, Some(next + 3000));
    let end = line.wait();
    assert_eq!((end.seq, end.len, end.rst), (next + 3000, 0, false));
    line.send(port, TcpControl::None, 101, Some(next + 3001));
    line.pass(0);
    assert_eq!(line.router.flows().tcp, 0);
}

#[test]
fn time_stands_still_between_runs() {
    let mut clock = Clock::default();
    let before = clock.now();
    clock.stop();
    std::thread::sleep(Duration::from_millis(500));
    let after = clock.now();
    assert!(after >= before && (after - before).total_millis() < 400);
}
