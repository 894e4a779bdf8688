//! UDP and ping flows: each is one connected socket of the host, closed when it was idle for long.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mio::net::UdpSocket;
use mio::{Interest, Token};
use rustix::net::{AddressFamily, SocketType, ipproto};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{Icmpv4DstUnreachable, Icmpv4Packet, IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket};

use super::table::{Key, Kind, Table};
use super::{Refused, Turn, icmp};
use crate::MacAddr;

/// The port of DNS.
const DNS: u16 = 53;
/// How long a flow may be idle: UDP (RFC 4787, REQ-5 wants two minutes or more), DNS queries, pings.
const UDP_IDLE: Duration = Duration::from_secs(180);
const DNS_IDLE: Duration = Duration::from_secs(20);
const PING_IDLE: Duration = Duration::from_secs(30);
/// How often idle flows are looked for.
const SWEEP: Duration = Duration::from_secs(5);
/// How many datagrams one flow may receive before the next one has its turn.
const BUDGET: usize = 64;
/// A name server that is silent so long is given up when the guest asks again.
const DNS_SILENCE: Duration = Duration::from_secs(1);
/// DNS queries that are kept to be asked again elsewhere, and their length in bytes. Resolvers ask for both kinds of
/// address at once.
const MAX_QUERIES: usize = 4;
const MAX_QUERY: usize = 1024;

/// All UDP and ping flows of a network.
pub(super) struct Datagrams {
    table: Table<Flow>,
    next_token: usize,
    sweep: Option<Instant>,
}

struct Flow {
    key: Key,
    mac: MacAddr,
    socket: UdpSocket,
    used: Instant,
    queued: bool,
    relay: Option<Relay>,
}

/// DNS queries on their way through the name servers.
struct Relay {
    servers: Vec<SocketAddr>,
    at: usize,
    /// What was asked since the last answer, and since when.
    queries: Vec<Vec<u8>>,
    asked: Instant,
}

impl Datagrams {
    /// No flows. Their tokens are odd.
    pub(super) fn new() -> Self {
        Self { table: Table::new(), next_token: 1, sweep: None }
    }

    /// Takes a UDP packet of the guest.
    pub(super) fn udp(&mut self, mac: MacAddr, ip: &Ipv4Packet<&[u8]>, partial: bool, turn: &mut Turn<'_>) {
        let Ok(udp) = UdpPacket::new_checked(ip.payload()) else { return };
        let (source, target) = (ip.src_addr(), ip.dst_addr());
        let checked = partial || udp.checksum() == 0 || udp.verify_checksum(&source.into(), &target.into());
        if !checked || udp.src_port() == 0 || udp.dst_port() == 0 {
            return;
        }
        let guest = (source, udp.src_port()).into();
        let key = Key { kind: Kind::Udp, guest, peer: (target, udp.dst_port()).into() };
        self.send(key, mac, ip, udp.payload(), turn);
    }

    /// Takes an ICMP packet of the guest to elsewhere: pings go on, the rest has no way.
    pub(super) fn ping(&mut self, mac: MacAddr, ip: &Ipv4Packet<&[u8]>, turn: &mut Turn<'_>) {
        let Some((ident, message)) = icmp::echo_request(ip) else { return };
        let key = Key { kind: Kind::Ping, guest: (ip.src_addr(), ident).into(), peer: (ip.dst_addr(), 0).into() };
        self.send(key, mac, ip, message, turn);
    }

    fn send(&mut self, key: Key, mac: MacAddr, ip: &Ipv4Packet<&[u8]>, payload: &[u8], turn: &mut Turn<'_>) {
        let token = match self.table.find(&key) {
            Some(token) => Ok(token),
            None => self.open(key, mac, turn),
        };
        let sent = token.and_then(|token| {
            let Some(flow) = self.table.get(token) else { return Ok(()) };
            (flow.mac, flow.used) = (mac, turn.now);
            flow.send(payload, turn.now)
        });
        let Err(error) = sent else { return };
        let reason = match error.kind() {
            ErrorKind::ConnectionRefused => Icmpv4DstUnreachable::PortUnreachable,
            ErrorKind::HostUnreachable => Icmpv4DstUnreachable::HostUnreachable,
            ErrorKind::NetworkUnreachable => Icmpv4DstUnreachable::NetUnreachable,
            ErrorKind::PermissionDenied => Icmpv4DstUnreachable::CommProhibited,
            // A full socket loses datagrams, as any full wire does.
            _ => return tracing::debug!(%error, "a datagram of the guest was not sent"),
        };
        turn.out.unreachable(mac, turn.config.gateway, ip.as_ref(), reason);
    }

    fn open(&mut self, key: Key, mac: MacAddr, turn: &mut Turn<'_>) -> io::Result<Token> {
        let gateway = IpAddr::V4(turn.config.gateway);
        let relay = (key.kind == Kind::Udp && key.peer.port() == DNS && key.peer.ip() == gateway).then(|| {
            let servers = turn.resolvers.list(turn.now).to_vec();
            Relay { servers, at: 0, queries: Vec::new(), asked: turn.now }
        });
        let target = match &relay {
            Some(relay) => *relay.servers.first().ok_or(ErrorKind::ConnectionRefused)?,
            None => turn.config.route(key.peer).map_err(|refused| match refused {
                Refused::Closed => ErrorKind::ConnectionRefused,
                Refused::Nobody => ErrorKind::HostUnreachable,
                Refused::Prohibited => ErrorKind::PermissionDenied,
            })?,
        };
        if self.table.len() >= turn.config.max_datagram {
            let oldest = self.table.iter().min_by_key(|(_, flow)| flow.used).map(|(token, _)| token);
            oldest.and_then(|token| self.table.remove(token));
        }
        let mut socket = match key.kind {
            Kind::Ping => ping_socket().map_err(|error| {
                // An answer "prohibited" would be wrong in the guest's log: say nothing, as a fire wall does.
                tracing::debug!(%error, "no unprivileged ping on this host, see net.ipv4.ping_group_range");
                io::Error::other(error)
            })?,
            _ => connected(target)?,
        };
        if key.kind == Kind::Ping {
            socket.connect(target)?;
        }
        self.next_token += 2;
        let token = Token(self.next_token);
        turn.registry.register(&mut socket, token, Interest::READABLE)?;
        self.table.insert(token, key, Flow { key, mac, socket, used: turn.now, queued: false, relay });
        self.sweep.get_or_insert(turn.now + SWEEP);
        Ok(token)
    }

    /// The flow's socket has something.
    pub(super) fn event(&mut self, token: Token) {
        if let Some(flow) = self.table.get(token)
            && !std::mem::replace(&mut flow.queued, true)
        {
            self.table.queue(token);
        }
    }

    /// Carries what has come to the guest, as long as that has room.
    pub(super) fn serve(&mut self, turn: &mut Turn<'_>) {
        for _ in 0..self.table.waiting() {
            if turn.out.blocked() {
                return;
            }
            let Some(token) = self.table.next() else { return };
            let Some(flow) = self.table.get(token) else { continue };
            flow.queued = flow.receive(turn);
            if flow.queued {
                self.table.queue(token);
            }
        }
    }

    /// Whether flows have something to do at once.
    pub(super) fn busy(&self) -> bool {
        self.table.waiting() > 0
    }

    /// Closes flows that were idle for too long, if it is time to look.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.sweep.is_none_or(|at| now < at) {
            return;
        }
        let idle: Vec<_> = self.table.iter().filter(|(_, f)| f.used + f.patience() <= now).map(|(t, _)| t).collect();
        for token in idle {
            self.table.remove(token);
        }
        self.sweep = (self.table.len() > 0).then_some(now + SWEEP);
    }

    /// When [`expire`](Self::expire) wants to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.sweep
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}

impl Flow {
    fn patience(&self) -> Duration {
        match (&self.relay, self.key.kind) {
            (Some(_), _) => DNS_IDLE,
            (None, Kind::Ping) => PING_IDLE,
            _ => UDP_IDLE,
        }
    }

    fn send(&mut self, payload: &[u8], now: Instant) -> io::Result<()> {
        if let Some(relay) = &mut self.relay {
            if relay.queries.is_empty() {
                relay.asked = now;
            } else if relay.asked + DNS_SILENCE <= now {
                relay.asked = now;
                relay.queries.clear();
                relay.next_server(&self.socket)?;
            }
            if relay.queries.len() < MAX_QUERIES && payload.len() <= MAX_QUERY {
                relay.queries.push(payload.to_vec());
            }
        }
        // The first error may be the answer to an earlier datagram.
        self.socket.send(payload).or_else(|_| self.socket.send(payload)).map(|_| ())
    }

    /// Receives datagrams; whether there may be more.
    fn receive(&mut self, turn: &mut Turn<'_>) -> bool {
        for _ in 0..BUDGET {
            if turn.out.blocked() {
                return true;
            }
            let received = self.receive_one(turn);
            match received.map_err(|e| e.kind()) {
                Ok(()) => self.used = turn.now,
                Err(ErrorKind::WouldBlock) => return false,
                Err(ErrorKind::Interrupted) => {}
                Err(kind) => self.refused(kind, turn),
            }
        }
        true
    }

    fn receive_one(&mut self, turn: &mut Turn<'_>) -> io::Result<()> {
        let (IpAddr::V4(guest), IpAddr::V4(peer)) = (self.key.guest.ip(), self.key.peer.ip()) else {
            return Err(ErrorKind::Unsupported.into());
        };
        let (socket, mac) = (&self.socket, self.mac);
        match self.key.kind {
            Kind::Ping => turn.out.icmp(mac, peer, guest, |bytes| {
                let len = socket.recv(bytes)?;
                echo_reply(&mut bytes[..len], self.key.guest.port())
            }),
            _ => {
                let (from, to) = ((peer, self.key.peer.port()), (guest, self.key.guest.port()));
                turn.out.udp(mac, from, to, |bytes| socket.recv(bytes))?;
                if let Some(relay) = &mut self.relay {
                    relay.queries.clear();
                }
                Ok(())
            }
        }
    }

    /// The peer's host answered with an ICMP error: ask the next name server, or pass it on.
    fn refused(&mut self, kind: ErrorKind, turn: &mut Turn<'_>) {
        if let Some(relay) = &mut self.relay
            && !relay.queries.is_empty()
            && relay.at + 1 < relay.servers.len()
        {
            let asked = relay.next_server(&self.socket);
            let mut queries = relay.queries.iter();
            if let Err(error) = asked.and_then(|()| queries.try_for_each(|query| self.socket.send(query).map(drop))) {
                tracing::debug!(%error, "the next name server cannot be asked");
            }
            return;
        }
        let reason = match kind {
            ErrorKind::ConnectionRefused => Icmpv4DstUnreachable::PortUnreachable,
            ErrorKind::HostUnreachable => Icmpv4DstUnreachable::HostUnreachable,
            ErrorKind::NetworkUnreachable => Icmpv4DstUnreachable::NetUnreachable,
            _ => return,
        };
        let (IpAddr::V4(guest), IpAddr::V4(peer)) = (self.key.guest.ip(), self.key.peer.ip()) else { return };
        if self.key.kind == Kind::Udp {
            // The guest finds its socket by the addresses and ports of the packet that failed; the rest is lost.
            let packet = udp_header((guest, self.key.guest.port()), (peer, self.key.peer.port()));
            turn.out.unreachable(self.mac, turn.config.gateway, &packet, reason);
        }
    }
}

impl Relay {
    fn next_server(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.at = (self.at + 1) % self.servers.len();
        socket.connect(self.servers[self.at])
    }
}

/// A UDP socket of the host that talks to `target` only.
fn connected(target: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = if target.is_ipv4() { [0, 0, 0, 0].into() } else { [0u16; 8].into() };
    let socket = UdpSocket::bind((any, 0).into())?;
    socket.connect(target)?;
    Ok(socket)
}

/// A ping socket (Linux `net.ipv4.ping_group_range`; macOS has them for everybody). The kernel chooses the
/// identifier and lets only echo requests out.
fn ping_socket() -> io::Result<UdpSocket> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, Some(ipproto::ICMP))?;
    let socket = std::net::UdpSocket::from(socket);
    socket.set_nonblocking(true)?;
    Ok(UdpSocket::from_std(socket))
}

/// Makes what a ping socket received the reply to the guest's `ident`; gives its length.
fn echo_reply(bytes: &mut [u8], ident: u16) -> io::Result<usize> {
    // Some hosts leave the IP header before it.
    let header = match bytes.first() {
        Some(first) if first >> 4 == 4 => usize::from(first & 15) * 4,
        _ => 0,
    };
    if header > bytes.len() {
        return Err(ErrorKind::InvalidData.into());
    }
    bytes.copy_within(header.., 0);
    let len = bytes.len() - header;
    let mut message = Icmpv4Packet::new_checked(&mut bytes[..len]).map_err(|_| ErrorKind::InvalidData)?;
    message.set_echo_ident(ident);
    message.fill_checksum();
    Ok(len)
}

fn udp_header((guest, guest_port): (Ipv4Addr, u16), (peer, peer_port): (Ipv4Addr, u16)) -> Vec<u8> {
    let payload_len = smoltcp::wire::UDP_HEADER_LEN;
    let ip = Ipv4Repr { src_addr: guest, dst_addr: peer, next_header: IpProtocol::Udp, payload_len, hop_limit: 64 };
    let mut bytes = vec![0; ip.buffer_len() + payload_len];
    let mut packet = Ipv4Packet::new_unchecked(&mut bytes[..]);
    ip.emit(&mut packet, &smoltcp::phy::ChecksumCapabilities::default());
    let mut udp = UdpPacket::new_unchecked(packet.payload_mut());
    udp.set_src_port(guest_port);
    udp.set_dst_port(peer_port);
    udp.set_len(payload_len as u16);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_comes_back_under_the_guests_identifier() {
        // An echo reply with identifier 0x1234 and sequence number 1, as Linux and as macOS deliver it.
        let message = [0, 0, 0, 0, 0x12, 0x34, 0, 1, b'h', b'i'];
        let mut header = [0; 20];
        header[0] = 0x45;
        for before in [&[][..], &header] {
            let mut bytes = [before, &message].concat();
            let len = echo_reply(&mut bytes, 0xabcd).unwrap();
            let reply = Icmpv4Packet::new_checked(&bytes[..len]).unwrap();
            assert!(reply.verify_checksum());
            assert_eq!((reply.echo_ident(), reply.echo_seq_no(), reply.data()), (0xabcd, 1, &b"hi"[..]));
        }
        for short in [&[][..], &[0; 3], &[0x4f; 8]] {
            assert!(echo_reply(&mut short.to_vec(), 1).is_err());
        }
    }
}
