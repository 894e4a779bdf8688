//! UDP and ping flows: each is a socket of the host that talks to one peer, or one peer of a forwarded port. A flow
//! that was idle for long is closed.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mio::net::UdpSocket;
use mio::{Interest, Token};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, ipproto};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::UdpPacket;

use super::forward::guest_view;
use super::icmp::{self, Unreachable};
use super::packet::Packet;
use super::relay::{DNS, Relay};
use super::table::{Key, Kind, Table};
use super::{Leases, Turn, names, quote, sys};
use crate::MacAddr;

/// How long a flow may be idle: UDP (RFC 4787, REQ-5 wants two minutes or more), DNS queries, pings.
const UDP_IDLE: Duration = Duration::from_secs(180);
const DNS_IDLE: Duration = Duration::from_secs(20);
const PING_IDLE: Duration = Duration::from_secs(30);
/// How often idle flows are looked for.
const SWEEP: Duration = Duration::from_secs(5);
/// How many datagrams one flow may receive before the next one has its turn.
const BUDGET: usize = 64;

/// All UDP and ping flows of a network.
pub(super) struct Datagrams {
    table: Table<Flow>,
    /// The flows of forwarded ports, by port and who sends there.
    clients: HashMap<Client, Token>,
    next_token: usize,
    sweep: Option<Instant>,
}

/// Somebody who sends to a forwarded port.
type Client = (Token, SocketAddr);

struct Flow {
    key: Key,
    mac: MacAddr,
    socket: Arc<UdpSocket>,
    used: Instant,
    queued: bool,
    /// Datagrams are sent whole or not at all; `None`: as the host likes.
    whole: Option<bool>,
    relay: Option<Relay>,
    client: Option<Client>,
}

impl Datagrams {
    /// No flows. Their tokens are odd.
    pub(super) fn new() -> Self {
        Self { table: Table::new(), clients: HashMap::new(), next_token: 1, sweep: None }
    }

    /// Takes a UDP packet of the guest.
    pub(super) fn udp(&mut self, mac: MacAddr, packet: &Packet<'_>, leases: &Leases, turn: &mut Turn<'_>) {
        let Ok(udp) = UdpPacket::new_checked(packet.payload) else { return };
        let unchecked = udp.checksum() == 0 && packet.source.is_ipv4();
        let checked = packet.partial || unchecked || udp.verify_checksum(&packet.source.into(), &packet.target.into());
        if !checked || udp.src_port() == 0 || udp.dst_port() == 0 {
            return;
        }
        let (guest, peer) = ((packet.source, udp.src_port()).into(), (packet.target, udp.dst_port()).into());
        let payload = udp.payload();
        if is_relay(peer, turn)
            && let Some(answer) = names::answer(payload, turn.config, leases)
        {
            let sent = turn.out.udp(mac, peer, guest, |bytes| {
                bytes[..answer.len()].copy_from_slice(&answer);
                Ok(answer.len())
            });
            debug_assert!(sent.is_ok());
            return;
        }
        self.send(Key { kind: Kind::Udp, guest, peer }, mac, packet, payload, turn);
    }

    /// Takes an ICMP packet of the guest to elsewhere: pings go on, the rest has no way.
    pub(super) fn ping(&mut self, mac: MacAddr, packet: &Packet<'_>, turn: &mut Turn<'_>) {
        let Some(ident) = icmp::echo_request(packet) else { return };
        let key = Key { kind: Kind::Ping, guest: (packet.source, ident).into(), peer: (packet.target, 0).into() };
        self.send(key, mac, packet, packet.payload, turn);
    }

    fn send(&mut self, key: Key, mac: MacAddr, packet: &Packet<'_>, payload: &[u8], turn: &mut Turn<'_>) {
        let token = match self.table.find(&key) {
            Some(token) => Ok(token),
            None => self.open(key, mac, turn),
        };
        let sent = token.and_then(|token| {
            let Some(flow) = self.table.get(token) else { return Ok(()) };
            (flow.mac, flow.used) = (mac, turn.now);
            flow.send_as(packet.whole);
            let mut pieces = payload.chunks(packet.segment.unwrap_or(usize::MAX)).peekable();
            if pieces.peek().is_none() {
                return flow.send(payload, turn);
            }
            pieces.try_for_each(|piece| flow.send(piece, turn))
        });
        let Err(error) = sent else { return };
        let reason = match error.kind() {
            ErrorKind::ConnectionRefused => Unreachable::Port,
            ErrorKind::HostUnreachable => Unreachable::Host,
            ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable | ErrorKind::Unsupported => Unreachable::Net,
            ErrorKind::PermissionDenied => Unreachable::Prohibited,
            _ if Errno::from_io_error(&error) == Some(Errno::MSGSIZE) => {
                let flow = self.table.find(&key).and_then(|token| self.table.get(token));
                let mtu = flow.and_then(|flow| sys::path_mtu(&flow.socket, key.peer.is_ipv6()));
                match mtu.filter(|mtu| usize::from(*mtu) < packet.bytes.len()) {
                    Some(mtu) => Unreachable::TooBig(mtu),
                    None => return,
                }
            }
            // A full socket loses datagrams, as any full wire does.
            _ => return tracing::debug!(%error, "a datagram of the guest was not sent"),
        };
        icmp::unreachable(turn.config, mac, packet, reason, &mut turn.out);
    }

    fn open(&mut self, key: Key, mac: MacAddr, turn: &mut Turn<'_>) -> io::Result<Token> {
        let relay = (key.kind == Kind::Udp && is_relay(key.peer, turn))
            .then(|| Relay::new(turn.resolvers.list(turn.now), turn.now));
        let target = match &relay {
            Some(relay) => relay.server().ok_or(ErrorKind::ConnectionRefused)?,
            None => turn.config.route(key.peer)?,
        };
        self.make_room(turn);
        let mut socket = match key.kind {
            Kind::Ping => ping_socket(target).map_err(|error| {
                // An answer "prohibited" would be wrong in the guest's log: say nothing, as a fire wall does.
                tracing::debug!(%error, "no unprivileged ping on this host, see net.ipv4.ping_group_range");
                io::Error::other(error)
            })?,
            _ => bound(target)?,
        };
        socket.connect(target)?;
        let token = self.token();
        turn.registry.register(&mut socket, token, Interest::READABLE)?;
        let socket = Arc::new(socket);
        let flow = Flow { key, mac, socket, used: turn.now, queued: false, whole: None, relay, client: None };
        self.table.insert(token, key, flow);
        self.sweep.get_or_insert(turn.now + SWEEP);
        Ok(token)
    }

    /// Carries a datagram that `from` has sent to a forwarded port, `listener` with its `socket`, to `guest`.
    pub(super) fn dial(
        &mut self,
        (listener, socket): (Token, &Arc<UdpSocket>),
        from: SocketAddr,
        (mac, guest): (MacAddr, SocketAddr),
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) {
        let client = (listener, from);
        let key = |peer| Key { kind: Kind::Udp, guest, peer };
        let known = self.clients.get(&client).copied();
        let token = match known.filter(|token| self.table.get(*token).is_some_and(|flow| flow.key.guest == guest)) {
            Some(token) => token,
            None => {
                let free = |peer| self.table.find(&key(peer)).is_none();
                let Some(peer) = guest_view(turn.config.gateway.into(), Some(from.port()), free) else { return };
                self.make_room(turn);
                let token = self.token();
                let socket = socket.clone();
                let flow = Flow {
                    key: key(peer),
                    mac,
                    socket,
                    used: turn.now,
                    queued: false,
                    whole: None,
                    relay: None,
                    client: Some(client),
                };
                self.table.insert(token, key(peer), flow);
                self.clients.insert(client, token);
                self.sweep.get_or_insert(turn.now + SWEEP);
                token
            }
        };
        let Some(flow) = self.table.get(token) else { return };
        (flow.mac, flow.used) = (mac, turn.now);
        let sent = turn.out.udp(mac, flow.key.peer, guest, |bytes| {
            let bytes = bytes.get_mut(..payload.len()).ok_or(ErrorKind::InvalidData)?;
            bytes.copy_from_slice(payload);
            Ok(payload.len())
        });
        if let Err(error) = sent {
            tracing::debug!(%error, "a forwarded datagram is too long");
        }
    }

    fn make_room(&mut self, turn: &Turn<'_>) {
        if self.table.len() >= turn.config.max_datagram {
            let oldest = self.table.iter().min_by_key(|(_, flow)| flow.used).map(|(token, _)| token);
            oldest.into_iter().for_each(|token| self.remove(token));
        }
    }

    fn remove(&mut self, token: Token) {
        if let Some(client) = self.table.remove(token).and_then(|flow| flow.client) {
            self.clients.remove(&client);
        }
    }

    /// Forgets who has sent to a forwarded port that is gone.
    pub(super) fn forget(&mut self, listener: Token) {
        let gone: Vec<_> = self.clients.iter().filter(|((l, _), _)| *l == listener).map(|(_, t)| *t).collect();
        gone.into_iter().for_each(|token| self.remove(token));
    }

    fn token(&mut self) -> Token {
        self.next_token += 2;
        Token(self.next_token)
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
        idle.into_iter().for_each(|token| self.remove(token));
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

fn is_relay(peer: SocketAddr, turn: &Turn<'_>) -> bool {
    peer.port() == DNS && turn.config.is_gateway(peer.ip())
}

impl Flow {
    fn patience(&self) -> Duration {
        match (&self.relay, self.key.kind) {
            (Some(_), _) => DNS_IDLE,
            (None, Kind::Ping) => PING_IDLE,
            _ => UDP_IDLE,
        }
    }

    /// From now on datagrams are sent whole, or cut up where need be, as the guest's are.
    fn send_as(&mut self, whole: bool) {
        if self.client.is_none() && self.relay.is_none() && self.whole.replace(whole) != Some(whole) {
            sys::send_whole(&self.socket, self.key.peer.is_ipv6(), whole);
        }
    }

    fn send(&mut self, payload: &[u8], turn: &mut Turn<'_>) -> io::Result<()> {
        if let Some((_, client)) = self.client {
            return self.socket.send_to(payload, client).map(drop);
        }
        if let Some(relay) = &mut self.relay {
            let servers = turn.resolvers.list(turn.now);
            relay.ask(payload, servers, &self.socket, turn.now)?;
        }
        // The first error may be the answer to an earlier datagram.
        match self.socket.send(payload) {
            Err(error) if Errno::from_io_error(&error) != Some(Errno::MSGSIZE) => self.socket.send(payload).map(drop),
            result => result.map(drop),
        }
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
        let (guest, peer) = (self.key.guest, self.key.peer);
        let (socket, mac) = (&self.socket, self.mac);
        match self.key.kind {
            Kind::Ping => turn.out.icmp(mac, peer.ip(), guest.ip(), |bytes| {
                let len = socket.recv(bytes)?;
                echo_reply(&mut bytes[..len], guest.port(), guest.is_ipv4())
            }),
            _ => {
                turn.out.udp(mac, peer, guest, |bytes| socket.recv(bytes))?;
                if let Some(relay) = &mut self.relay {
                    relay.answered();
                }
                Ok(())
            }
        }
    }

    /// The peer's host answered with an ICMP error: ask the next name server, or pass it on.
    fn refused(&mut self, kind: ErrorKind, turn: &mut Turn<'_>) {
        if self.relay.as_mut().is_some_and(|relay| relay.ask_another(&self.socket)) {
            return;
        }
        let reason = match kind {
            ErrorKind::ConnectionRefused => Unreachable::Port,
            ErrorKind::HostUnreachable => Unreachable::Host,
            ErrorKind::NetworkUnreachable => Unreachable::Net,
            _ => return,
        };
        if self.key.kind == Kind::Udp {
            // The guest finds its socket by the addresses and ports of the packet that failed; the rest is lost.
            let bytes = quote::udp(self.key.guest, self.key.peer);
            if let Some(packet) = Packet::parse(&bytes, true) {
                icmp::unreachable(turn.config, self.mac, &packet, reason, &mut turn.out);
            }
        }
    }
}

/// A UDP socket of the host for talking to `target`.
fn bound(target: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = if target.is_ipv4() { [0, 0, 0, 0].into() } else { [0u16; 8].into() };
    UdpSocket::bind((any, 0).into())
}

/// A ping socket (Linux `net.ipv4.ping_group_range`; macOS has them for everybody). The kernel chooses the
/// identifier and lets only echo requests out.
fn ping_socket(target: SocketAddr) -> io::Result<UdpSocket> {
    let (family, protocol) = match target {
        SocketAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
        SocketAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
    };
    let socket = rustix::net::socket(family, SocketType::DGRAM, Some(protocol))?;
    let socket = std::net::UdpSocket::from(socket);
    socket.set_nonblocking(true)?;
    Ok(UdpSocket::from_std(socket))
}

/// Makes what a ping socket received the reply to the guest's `ident`; gives its length.
fn echo_reply(bytes: &mut [u8], ident: u16, v4: bool) -> io::Result<usize> {
    // Some hosts leave the IPv4 header before it.
    let header = match bytes.first() {
        Some(first) if v4 && first >> 4 == 4 => usize::from(first & 15) * 4,
        _ => 0,
    };
    if header + 8 > bytes.len() {
        return Err(ErrorKind::InvalidData.into());
    }
    bytes.copy_within(header.., 0);
    let len = bytes.len() - header;
    icmp::become_reply(&mut bytes[..len], ident, v4);
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use smoltcp::wire::Icmpv4Packet;

    #[test]
    fn a_ping_comes_back_under_the_guests_identifier() {
        // An echo reply with identifier 0x1234 and sequence number 1, as Linux and as macOS deliver it.
        let message = [0, 0, 0, 0, 0x12, 0x34, 0, 1, b'h', b'i'];
        let mut header = [0; 20];
        header[0] = 0x45;
        for before in [&[][..], &header] {
            let mut bytes = [before, &message].concat();
            let len = echo_reply(&mut bytes, 0xabcd, true).unwrap();
            let reply = Icmpv4Packet::new_checked(&bytes[..len]).unwrap();
            assert!(reply.verify_checksum());
            assert_eq!((reply.echo_ident(), reply.echo_seq_no(), reply.data()), (0xabcd, 1, &b"hi"[..]));
        }
        for short in [&[][..], &[0; 3], &[0x4f; 8]] {
            assert!(echo_reply(&mut short.to_vec(), 1, true).is_err());
        }
    }
}
