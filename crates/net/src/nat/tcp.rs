//! TCP: a SYN of the guest makes a connection of the host, and its answer to the guest is the host's answer.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind};
use std::net::IpAddr;

use mio::net::TcpStream;
use mio::{Interest, Token};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    Icmpv4DstUnreachable, IpProtocol, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

use super::flow::Flow;
use super::out::Out;
use super::table::{Key, Kind, Table};
use super::{Refused, Turn};
use crate::MacAddr;

/// The port of DNS.
const DNS: u16 = 53;
/// The longest SYN: both headers with all their options. One with data is not taken (no server of ours asked for it).
const MAX_SYN: usize = 120;
/// Timers are not set closer than this, so that a timer that does nothing cannot keep the thread busy.
const TICK: Duration = Duration::from_millis(1);

/// All TCP connections of a network.
pub(super) struct Tcp {
    table: Table<Entry>,
    timers: BinaryHeap<Reverse<(Instant, Token)>>,
    next_token: usize,
}

struct Entry {
    flow: Flow,
    queued: bool,
    timer: Option<Instant>,
}

impl Tcp {
    /// No connections. Their tokens are even, from 2.
    pub(super) fn new() -> Self {
        Self { table: Table::new(), timers: BinaryHeap::new(), next_token: 0 }
    }

    /// Takes a segment of the guest, an IPv4 packet.
    pub(super) fn input(&mut self, mac: MacAddr, ip: &Ipv4Packet<&[u8]>, partial: bool, turn: &mut Turn<'_>) {
        let Ok(tcp) = TcpPacket::new_checked(ip.payload()) else { return };
        let (source, target) = (ip.src_addr(), ip.dst_addr());
        let checked = partial || tcp.verify_checksum(&source.into(), &target.into());
        if !checked || tcp.src_port() == 0 || tcp.dst_port() == 0 {
            return;
        }
        let (guest, peer) = ((source, tcp.src_port()).into(), (target, tcp.dst_port()).into());
        let key = Key { kind: Kind::Tcp, guest, peer };
        if let Some(token) = self.table.find(&key) {
            let Some(entry) = self.table.get(token) else { return };
            entry.flow.input(mac, ip, &tcp, turn);
            self.queue(token);
        } else if tcp.rst() {
        } else if tcp.syn() && !tcp.ack() {
            if let Err(error) = self.open(key, mac, ip, turn) {
                refuse(mac, ip, &error, turn);
            }
        } else {
            reset(mac, ip, &tcp, &mut turn.out);
        }
    }

    fn open(&mut self, key: Key, mac: MacAddr, ip: &Ipv4Packet<&[u8]>, turn: &mut Turn<'_>) -> io::Result<()> {
        let syn = ip.as_ref().get(..usize::from(ip.total_len())).unwrap_or_default();
        if syn.len() > MAX_SYN || self.table.len() >= turn.config.max_tcp {
            // Without an answer the guest tries again.
            tracing::debug!(connections = self.table.len(), "a SYN of the guest was dropped");
            return Ok(());
        }
        let to_relay = key.peer.ip() == IpAddr::V4(turn.config.gateway) && key.peer.port() == DNS;
        let target = match to_relay {
            true => *turn.resolvers.list(turn.now).first().ok_or(ErrorKind::ConnectionRefused)?,
            false => turn.config.route(key.peer).map_err(|refused| match refused {
                Refused::Closed => ErrorKind::ConnectionRefused,
                Refused::Nobody => ErrorKind::HostUnreachable,
                Refused::Prohibited => ErrorKind::PermissionDenied,
            })?,
        };
        let mut stream = TcpStream::connect(target)?;
        self.next_token += 2;
        let token = Token(self.next_token);
        turn.registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let flow = Flow::new(mac, stream, syn.to_vec(), turn.seed(token));
        self.table.insert(token, key, Entry { flow, queued: false, timer: None });
        Ok(())
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
            if !entry.flow.serve(open, turn) {
                self.table.remove(token);
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

/// Tells the guest why its SYN, an IPv4 packet, made no connection.
pub(super) fn refuse(mac: MacAddr, syn: &Ipv4Packet<&[u8]>, error: &io::Error, turn: &mut Turn<'_>) {
    let reason = match error.kind() {
        ErrorKind::HostUnreachable | ErrorKind::TimedOut => Icmpv4DstUnreachable::HostUnreachable,
        ErrorKind::NetworkUnreachable => Icmpv4DstUnreachable::NetUnreachable,
        ErrorKind::PermissionDenied => Icmpv4DstUnreachable::CommProhibited,
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => {
            let Ok(tcp) = TcpPacket::new_checked(syn.payload()) else { return };
            return reset(mac, syn, &tcp, &mut turn.out);
        }
        // The host is short of something, descriptors or ports: the guest will try again.
        _ => return tracing::debug!(%error, "the host makes no connection now"),
    };
    turn.out.unreachable(mac, turn.config.gateway, syn.as_ref(), reason);
}

/// Answers a segment of no connection (RFC 9293, 3.10.7.1).
pub(super) fn reset(mac: MacAddr, ip: &Ipv4Packet<&[u8]>, tcp: &TcpPacket<&[u8]>, out: &mut Out<'_>) {
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
    let header = Ipv4Repr {
        src_addr: ip.dst_addr(),
        dst_addr: ip.src_addr(),
        next_header: IpProtocol::Tcp,
        payload_len: segment.buffer_len(),
        hop_limit: 64,
    };
    out.tcp_packet(mac, header.buffer_len() + segment.buffer_len(), |bytes| {
        let mut packet = Ipv4Packet::new_unchecked(bytes);
        header.emit(&mut packet, &ChecksumCapabilities::default());
        let (from, to) = (header.src_addr.into(), header.dst_addr.into());
        let mut inner = TcpPacket::new_unchecked(packet.payload_mut());
        segment.emit(&mut inner, &from, &to, &ChecksumCapabilities::ignored());
    });
}
