//! One UDP or ping flow: its socket of the host, with datagrams out and in, many with one system call.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mio::net::UdpSocket;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, ipproto};
use smoltcp::time::{Duration, Instant};

use super::Client;
use crate::MacAddr;
use crate::nat::icmp::{self, Unreachable};
use crate::nat::packet::Packet;
use crate::nat::relay::Relay;
use crate::nat::sys::{self, Inbox};
use crate::nat::table::{Key, Kind};
use crate::nat::train::Train;
use crate::nat::{Turn, quote};

/// How long a flow may be idle: UDP (RFC 4787, REQ-5 wants two minutes or more), DNS queries, pings.
const UDP_IDLE: Duration = Duration::from_secs(180);
const DNS_IDLE: Duration = Duration::from_secs(20);
const PING_IDLE: Duration = Duration::from_secs(30);
/// How many datagrams one flow may receive before the next one has its turn.
const BUDGET: usize = 64;

/// A flow.
pub(super) struct Flow {
    pub(super) key: Key,
    pub(super) mac: MacAddr,
    pub(super) socket: Arc<UdpSocket>,
    pub(super) used: Instant,
    pub(super) queued: bool,
    /// Datagrams are sent whole or not at all; `None`: as the host likes.
    pub(super) whole: Option<bool>,
    /// The largest datagrams that the host cuts from what it is given.
    largest_cut: usize,
    relay: Option<Relay>,
    pub(super) client: Option<Client>,
}

impl Flow {
    /// A flow of the guest, or of a client of a forwarded port, that was not used yet.
    pub(super) fn new(
        key: Key,
        mac: MacAddr,
        socket: Arc<UdpSocket>,
        used: Instant,
        relay: Option<Relay>,
        client: Option<Client>,
    ) -> Self {
        Self { key, mac, socket, used, queued: false, whole: None, largest_cut: usize::MAX, relay, client }
    }

    /// Whether its datagrams go in trains: they are nobody's to look at.
    pub(super) fn gathers(&self) -> bool {
        self.key.kind == Kind::Udp && self.relay.is_none()
    }

    /// How long it may be idle.
    pub(super) fn patience(&self) -> Duration {
        match (&self.relay, self.key.kind) {
            (Some(_), _) => DNS_IDLE,
            (None, Kind::Ping) => PING_IDLE,
            _ => UDP_IDLE,
        }
    }

    /// From now on datagrams are sent whole, or cut up where need be, as the guest's are; those of a socket that several
    /// share as the host likes.
    pub(super) fn send_as(&mut self, whole: bool) {
        if self.whole.replace(whole) != Some(whole) && self.client.is_none() && self.relay.is_none() {
            sys::send_whole(&self.socket, self.key.peer.is_ipv6(), whole);
        }
    }

    /// Sends a datagram of a flow that does not [gather](Self::gathers).
    pub(super) fn send(&mut self, payload: &[u8], turn: &mut Turn<'_>) -> io::Result<()> {
        if let Some(relay) = &mut self.relay {
            let servers = turn.resolvers.list(turn.now);
            relay.ask(payload, servers, &self.socket, turn.now)?;
        }
        self.send_one(payload)
    }

    fn target(&self) -> Option<SocketAddr> {
        self.client.map(|(_, client)| client)
    }

    fn send_one(&self, bytes: &[u8]) -> io::Result<()> {
        try_twice(|| match self.target() {
            Some(client) => self.socket.send_to(bytes, client).map(drop),
            None => self.socket.send(bytes).map(drop),
        })
    }

    /// Sends a train, with one call if the host cuts it.
    pub(super) fn send_train(&mut self, train: &Train) -> io::Result<()> {
        if train.is_long() && train.size() <= self.largest_cut {
            match try_twice(|| sys::send_cut(&self.socket, self.target(), train.bytes(), train.size())) {
                // It does not cut at all, or not to this size for this way.
                Err(error) if refused_as_it_is(&error) => self.largest_cut = train.size() - 1,
                result => return result,
            }
        }
        train.datagrams().try_for_each(|datagram| self.send_one(datagram))
    }

    /// The packet size of the way to the peer, if one of `len` bytes is too large for it.
    pub(super) fn narrow_way(&self, len: usize) -> Option<u16> {
        sys::path_mtu(&self.socket, self.key.peer.is_ipv6()).filter(|mtu| usize::from(*mtu) < len)
    }

    /// Receives datagrams, many with one call; whether there may be more.
    pub(super) fn receive(&mut self, inbox: &mut Inbox, train: &mut Train, turn: &mut Turn<'_>) -> bool {
        let (guest, peer, mac) = (self.key.guest, self.key.peer, self.mac);
        let mut budget = BUDGET;
        while budget > 0 {
            if turn.out.blocked() {
                return true;
            }
            let more = match inbox.receive(&self.socket).map_err(|e| e.kind()) {
                Ok(more) => more,
                Err(ErrorKind::WouldBlock) => return false,
                Err(kind) => {
                    self.refused(kind, turn);
                    budget -= 1;
                    continue;
                }
            };
            self.used = turn.now;
            if let Some(relay) = &mut self.relay {
                relay.answered();
            }
            for (_, datagram) in inbox.datagrams() {
                budget = budget.saturating_sub(1);
                if !train.add(datagram) {
                    turn.out.train(mac, peer, guest, train);
                    train.clear();
                    let added = train.add(datagram);
                    debug_assert!(added, "an empty train takes anything");
                }
            }
            turn.out.train(mac, peer, guest, train);
            train.clear();
            if !more {
                return false;
            }
        }
        true
    }

    /// Receives answers to pings; whether there may be more.
    pub(super) fn receive_pings(&mut self, turn: &mut Turn<'_>) -> bool {
        let (guest, peer, socket) = (self.key.guest, self.key.peer.ip(), &self.socket);
        for _ in 0..BUDGET {
            if turn.out.blocked() {
                return true;
            }
            let received = turn.out.icmp(self.mac, peer, guest.ip(), |bytes| {
                let len = socket.recv(bytes)?;
                echo_reply(&mut bytes[..len], guest.port(), guest.is_ipv4())
            });
            match received.map_err(|e| e.kind()) {
                Ok(()) => self.used = turn.now,
                Err(ErrorKind::WouldBlock) => return false,
                // What does not arrive is not told: there is no socket of the guest that would want to know.
                Err(_) => {}
            }
        }
        true
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
        // The guest finds its socket by the addresses and ports of the packet that failed; the rest is lost.
        let bytes = quote::udp(self.key.guest, self.key.peer);
        if let Some(packet) = Packet::parse(&bytes, true) {
            icmp::unreachable(turn.config, self.mac, &packet, reason, &mut turn.out);
        }
    }
}

/// A UDP socket of the host for talking to `target`.
pub(super) fn bound(target: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = if target.is_ipv4() { [0, 0, 0, 0].into() } else { [0u16; 8].into() };
    UdpSocket::bind((any, 0).into())
}

/// A ping socket (Linux `net.ipv4.ping_group_range`; macOS has them for everybody). The kernel chooses the
/// identifier and lets only echo requests out.
pub(super) fn ping_socket(target: SocketAddr) -> io::Result<UdpSocket> {
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

/// Sends what the peer is to get; the first error may be the answer to an earlier datagram.
fn try_twice(send: impl Fn() -> io::Result<()>) -> io::Result<()> {
    match send() {
        Err(error) if !refused_as_it_is(&error) => send(),
        result => result,
    }
}

/// Whether sending the same again the same way is of no use.
fn refused_as_it_is(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MSGSIZE | Errno::INVAL | Errno::IO | Errno::NOPROTOOPT | Errno::OPNOTSUPP)
    )
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
