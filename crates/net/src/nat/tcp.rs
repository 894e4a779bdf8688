//! TCP: a SYN of the guest makes a connection of the host, and its answer to the guest is the host's answer.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Token};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{TcpControl, TcpPacket, TcpRepr, TcpSeqNumber};

use super::Turn;
use super::flow::Flow;
use super::forward::guest_view;
use super::icmp::{self, Unreachable};
use super::out::Out;
use super::packet::Packet;
use super::sockets::Sockets;
use super::stream::Stream;
use super::table::{Key, Kind, Table};
use crate::MacAddr;

/// The port of DNS.
const DNS: u16 = 53;
/// The longest SYN: both headers with all their options. One with data is not taken (no server of ours asked for it).
const MAX_SYN: usize = 120;
/// Timers are not set closer than this, so that a timer that does nothing cannot keep the thread busy.
const TICK: Duration = Duration::from_millis(1);

/// How many timers may be out of use before they are cleared away.
const SPARE_TIMERS: usize = 1024;

/// Where a connection of the host's side leads: a card, its address and port, and another address if that refuses.
pub(super) type GuestEnd = (MacAddr, SocketAddr, Option<SocketAddr>);

/// All TCP connections of a network.
pub(super) struct Tcp {
    table: Table<Entry>,
    timers: BinaryHeap<Reverse<(Instant, Token)>>,
    next_token: usize,
    sockets: Sockets,
}

struct Entry {
    flow: Flow,
    queued: bool,
    timer: Option<Instant>,
}

impl Tcp {
    /// No connections. Their tokens are even, from 2.
    pub(super) fn new() -> Self {
        Self { table: Table::new(), timers: BinaryHeap::new(), next_token: 0, sockets: Sockets::default() }
    }

    /// Takes a segment of the guest.
    pub(super) fn input(&mut self, mac: MacAddr, packet: &Packet<'_>, turn: &mut Turn<'_>) {
        let Ok(tcp) = TcpPacket::new_checked(packet.payload) else { return };
        let checked = packet.partial || tcp.verify_checksum(&packet.source.into(), &packet.target.into());
        if !checked || tcp.src_port() == 0 || tcp.dst_port() == 0 {
            return;
        }
        let guest = (packet.source, tcp.src_port()).into();
        let key = Key { kind: Kind::Tcp, guest, peer: (packet.target, tcp.dst_port()).into() };
        if let Some(token) = self.table.find(&key) {
            let Some(entry) = self.table.get(token) else { return };
            entry.flow.input(mac, packet, &tcp, turn);
            self.queue(token);
        } else if tcp.rst() {
        } else if tcp.syn() && !tcp.ack() {
            if let Err(error) = self.open(key, mac, packet, turn) {
                refuse(mac, packet, &error, turn);
            }
        } else {
            reset(mac, packet, &tcp, &mut turn.out);
        }
    }

    fn open(&mut self, key: Key, mac: MacAddr, packet: &Packet<'_>, turn: &mut Turn<'_>) -> io::Result<()> {
        let syn = packet.bare();
        if syn.len() > MAX_SYN || self.table.len() >= turn.config.max_tcp {
            // Without an answer the guest tries again.
            tracing::debug!(connections = self.table.len(), "a SYN of the guest was dropped");
            return Ok(());
        }
        let to_relay = turn.config.is_gateway(key.peer.ip()) && key.peer.port() == DNS;
        let target = match to_relay {
            true => *turn.resolvers.list(turn.now).first().ok_or(ErrorKind::ConnectionRefused)?,
            false => turn.config.route(key.peer)?,
        };
        let mut stream = Stream::Tcp(TcpStream::connect(target)?);
        let token = self.token();
        turn.registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let flow = Flow::outward(mac, stream, syn.into_owned(), turn.seed(token));
        self.table.insert(token, key, Entry { flow, queued: false, timer: None });
        Ok(())
    }

    /// Whether another connection would be one too many.
    pub(super) fn is_full(&self, turn: &Turn<'_>) -> bool {
        self.table.len() >= turn.config.max_tcp
    }

    /// Makes `stream`, which somebody has opened from `port` of the host, a connection to `guest`. An error ends it.
    pub(super) fn dial(
        &mut self,
        mut stream: Stream,
        port: Option<u16>,
        (mac, guest, other): GuestEnd,
        turn: &mut Turn<'_>,
    ) -> io::Result<()> {
        let key = |peer| Key { kind: Kind::Tcp, guest, peer };
        let free = |peer| self.table.find(&key(peer)).is_none();
        let gateway = turn.config.gateway_of(guest).ok_or(ErrorKind::Unsupported)?;
        let peer = guest_view(gateway, port, free).ok_or(ErrorKind::AddrInUse)?;
        let token = self.token();
        turn.registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let socket = (turn.seed(token), self.sockets.take(self.table.len()));
        let flow = Flow::inward(mac, stream, (peer, guest, other), socket, turn).ok_or(ErrorKind::InvalidInput)?;
        self.table.insert(token, key(peer), Entry { flow, queued: false, timer: None });
        self.queue(token);
        Ok(())
    }

    /// The guest has refused a connection at one of its addresses, and has another.
    fn dial_again(&mut self, mut stream: Stream, port: u16, end: GuestEnd, turn: &mut Turn<'_>) {
        let again = turn.registry.deregister(&mut stream).and_then(|()| self.dial(stream, Some(port), end, turn));
        if let Err(error) = again {
            tracing::debug!(%error, "a forwarded connection has ended before it began");
        }
    }

    /// The guest's network refuses a segment that went from `peer` to `guest`.
    pub(super) fn refused(&mut self, peer: SocketAddr, guest: SocketAddr) {
        if let Some(token) = self.table.find(&Key { kind: Kind::Tcp, guest, peer })
            && let Some(entry) = self.table.get(token)
        {
            entry.flow.refused();
            self.queue(token);
        }
    }

    fn token(&mut self) -> Token {
        self.next_token += 2;
        Token(self.next_token)
    }

    /// The connection's socket has something.
    pub(super) fn event(&mut self, token: Token, readable: bool, writable: bool) {
        if let Some(entry) = self.table.get(token) {
            entry.flow.event(readable, writable);
            self.queue(token);
        }
    }

    fn queue(&mut self, token: Token) {
        if let Some(entry) = self.table.get(token)
            && !std::mem::replace(&mut entry.queued, true)
        {
            self.table.queue(token);
        }
    }

    /// Carries data between the guest and the host's sockets, as long as the guest has room.
    pub(super) fn serve(&mut self, turn: &mut Turn<'_>) {
        for _ in 0..self.table.waiting() {
            if turn.out.blocked() {
                return;
            }
            let Some(token) = self.table.next() else { return };
            let open = self.table.len();
            let Some(entry) = self.table.get(token) else { continue };
            entry.queued = false;
            if !entry.flow.serve(open, &mut self.sockets, turn) {
                self.end(token, turn);
            } else if turn.out.blocked() {
                entry.queued = true;
                self.table.queue(token);
            } else if let Some(at) = entry.flow.deadline(turn.now).map(|at| at.max(turn.now + TICK))
                && entry.timer.is_none_or(|set| at < set)
            {
                entry.timer = Some(at);
                self.timers.push(Reverse((at, token)));
            }
        }
        self.tidy();
    }

    /// Forgets a connection that is over, or tries it at the guest's other address.
    fn end(&mut self, token: Token, turn: &mut Turn<'_>) {
        let Some(Entry { flow, .. }) = self.table.remove(token) else { return };
        let (again, socket) = flow.end();
        socket.into_iter().for_each(|socket| self.sockets.give(socket));
        if let Some((stream, port, guest)) = again {
            self.dial_again(stream, port, guest, turn);
        }
    }

    /// Forgets timers of connections that are gone, or that have another by now, when they are more than the rest.
    fn tidy(&mut self) {
        if self.timers.len() > 2 * self.table.len() + SPARE_TIMERS {
            let set = self.table.iter().filter_map(|(token, entry)| Some(Reverse((entry.timer?, token))));
            self.timers = set.collect();
        }
    }

    /// Whether connections have something to do at once.
    pub(super) fn busy(&self) -> bool {
        self.table.waiting() > 0
    }

    /// Queues the connections whose timers have run out.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(Reverse((at, token))) = self.timers.peek().copied()
            && at <= now
        {
            self.timers.pop();
            if let Some(entry) = self.table.get(token)
                && entry.timer == Some(at)
            {
                entry.timer = None;
                self.queue(token);
            }
        }
    }

    /// When [`expire`](Self::expire) wants to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}

/// Tells the guest why its SYN made no connection.
pub(super) fn refuse(mac: MacAddr, syn: &Packet<'_>, error: &io::Error, turn: &mut Turn<'_>) {
    let reason = match error.kind() {
        ErrorKind::HostUnreachable | ErrorKind::TimedOut => Unreachable::Host,
        // A host without a way, or without the version of the protocol.
        ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable | ErrorKind::Unsupported => Unreachable::Net,
        ErrorKind::PermissionDenied => Unreachable::Prohibited,
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => {
            let Ok(tcp) = TcpPacket::new_checked(syn.payload) else { return };
            return reset(mac, syn, &tcp, &mut turn.out);
        }
        // The host is short of something, descriptors or ports: the guest will try again.
        _ => return tracing::debug!(%error, "the host makes no connection now"),
    };
    icmp::unreachable(turn.config, mac, syn, reason, &mut turn.out);
}

/// Answers a segment of no connection (RFC 9293, 3.10.7.1).
fn reset(mac: MacAddr, packet: &Packet<'_>, tcp: &TcpPacket<&[u8]>, out: &mut Out<'_>) {
    let (seq_number, ack_number) = match tcp.ack() {
        true => (tcp.ack_number(), None),
        false => (TcpSeqNumber(0), Some(tcp.seq_number() + tcp.segment_len())),
    };
    let segment = TcpRepr {
        src_port: tcp.dst_port(),
        dst_port: tcp.src_port(),
        control: TcpControl::Rst,
        seq_number,
        ack_number,
        window_len: 0,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let (from, to) = (packet.target.into(), packet.source.into());
    out.tcp_segment(mac, packet.target, packet.source, segment.buffer_len(), |bytes| {
        segment.emit(&mut TcpPacket::new_unchecked(bytes), &from, &to, &ChecksumCapabilities::ignored());
    });
}
