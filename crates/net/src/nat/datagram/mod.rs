//! UDP and ping flows: each is a socket of the host that talks to one peer, or one peer of a forwarded port. A flow
//! that was idle for long is closed.

mod flow;

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::UdpSocket;
use mio::{Interest, Token};
use rustix::io::Errno;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::UdpPacket;

use super::forward::guest_view;
use super::icmp::{self, Unreachable};
use super::packet::Packet;
use super::relay::{DNS, Relay};
use super::sys::Inbox;
use super::table::{Key, Kind, Table};
use super::train::Train;
use super::{Leases, Turn, names, quote, sys};
use crate::MacAddr;
use flow::{Flow, bound, ping_socket};

/// How often idle flows are looked for.
const SWEEP: Duration = Duration::from_secs(5);

/// All UDP and ping flows of a network.
pub(super) struct Datagrams {
    table: Table<Flow>,
    /// The flows of forwarded ports, by port and who sends there.
    clients: HashMap<Client, Token>,
    next_token: usize,
    sweep: Option<Instant>,
    /// What is on its way out, and whose it is; and room for what is on its way in.
    leaving: (Token, Train),
    inbox: Inbox,
    arriving: Train,
}

/// Somebody who sends to a forwarded port.
type Client = (Token, SocketAddr);

impl Datagrams {
    /// No flows. Their tokens are odd.
    pub(super) fn new() -> Self {
        Self {
            table: Table::new(),
            clients: HashMap::new(),
            next_token: 1,
            sweep: None,
            leaving: (Token(0), Train::default()),
            inbox: Inbox::default(),
            arriving: Train::default(),
        }
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
            return turn.out.udp(mac, peer, guest, &answer);
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
        let token = match token {
            Ok(token) => token,
            Err(error) => return complain(&error, None, mac, packet, turn),
        };
        let Some(flow) = self.table.get(token) else { return };
        (flow.mac, flow.used) = (mac, turn.now);
        if flow.whole != Some(packet.whole) && flow.gathers() {
            self.depart(turn);
        }
        let Some(flow) = self.table.get(token) else { return };
        flow.send_as(packet.whole);
        if !flow.gathers() {
            if let Err(error) = flow.send(payload, turn) {
                let way = flow.narrow_way(packet.bytes.len());
                complain(&error, way, mac, packet, turn);
            }
            return;
        }
        let size = packet.segment.unwrap_or(usize::MAX);
        for n in 0..payload.len().div_ceil(size).max(1) {
            let piece = &payload[n * size..payload.len().min((n + 1).saturating_mul(size))];
            if self.leaving.0 != token || !self.leaving.1.add(piece) {
                self.depart(turn);
                self.leaving.0 = token;
                let added = self.leaving.1.add(piece);
                debug_assert!(added, "an empty train takes anything");
            }
        }
    }

    /// Sends what the guest's datagrams were gathered to.
    pub(super) fn depart(&mut self, turn: &mut Turn<'_>) {
        let (token, train) = &mut self.leaving;
        if let Some(flow) = self.table.get(*token)
            && let Err(error) = flow.send_train(train)
        {
            // The guest finds its socket by the addresses and ports of the packet that failed; the rest is gone.
            let bytes = quote::udp(flow.key.guest, flow.key.peer);
            if let Some(packet) = Packet::parse(&bytes, true) {
                let way = flow.narrow_way(packet.bytes.len() + train.size());
                complain(&error, way, flow.mac, &packet, turn);
            }
        }
        train.clear();
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
        let flow = Flow::new(key, mac, socket, turn.now, relay, None);
        if flow.gathers() {
            sys::merge(&flow.socket);
        }
        self.table.insert(token, key, flow);
        self.sweep.get_or_insert(turn.now + SWEEP);
        Ok(token)
    }

    /// Carries to `guest` what has come to a forwarded port, `listener` with its `socket`; whether there may be more.
    pub(super) fn accept(
        &mut self,
        (listener, socket): (Token, &Arc<UdpSocket>),
        guest: (MacAddr, SocketAddr),
        turn: &mut Turn<'_>,
    ) -> io::Result<bool> {
        let (mut inbox, mut train) = (std::mem::take(&mut self.inbox), std::mem::take(&mut self.arriving));
        let received = inbox.receive(socket);
        let mut whose = None;
        for (from, datagram) in inbox.datagrams() {
            let Some(token) = self.client(((listener, from), socket), guest, turn) else { continue };
            if whose != Some(token) || !train.add(datagram) {
                self.arrive(whose.replace(token), &mut train, turn);
                let added = train.add(datagram);
                debug_assert!(added, "an empty train takes anything");
            }
        }
        self.arrive(whose, &mut train, turn);
        (self.inbox, self.arriving) = (inbox, train);
        received
    }

    /// The flow of somebody who sends to a forwarded port, whose socket is given, to `guest`.
    fn client(
        &mut self,
        (client, socket): (Client, &Arc<UdpSocket>),
        (mac, guest): (MacAddr, SocketAddr),
        turn: &Turn<'_>,
    ) -> Option<Token> {
        if let Some(token) = self.clients.get(&client)
            && let Some(flow) = self.table.get(*token)
            && flow.key.guest == guest
        {
            (flow.mac, flow.used) = (mac, turn.now);
            return Some(*token);
        }
        let key = |peer| Key { kind: Kind::Udp, guest, peer };
        let free = |peer| self.table.find(&key(peer)).is_none();
        let peer = guest_view(turn.config.gateway_of(guest)?, Some(client.1.port()), free)?;
        self.make_room(turn);
        let token = self.token();
        let flow = Flow::new(key(peer), mac, socket.clone(), turn.now, None, Some(client));
        self.table.insert(token, key(peer), flow);
        self.clients.insert(client, token);
        self.sweep.get_or_insert(turn.now + SWEEP);
        Some(token)
    }

    /// Gives the guest the datagrams of a flow.
    fn arrive(&mut self, token: Option<Token>, train: &mut Train, turn: &mut Turn<'_>) {
        if let Some(flow) = token.and_then(|token| self.table.get(token)) {
            turn.out.train(flow.mac, flow.key.peer, flow.key.guest, train);
        }
        train.clear();
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
            flow.queued = match flow.key.kind {
                Kind::Ping => flow.receive_pings(turn),
                _ => flow.receive(&mut self.inbox, &mut self.arriving, turn),
            };
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

/// Tells the guest why a datagram of its was not sent; `way`: the packet size of the way, if that is smaller.
fn complain(error: &io::Error, way: Option<u16>, mac: MacAddr, packet: &Packet<'_>, turn: &mut Turn<'_>) {
    let reason = match (error.kind(), way) {
        (ErrorKind::ConnectionRefused, _) => Unreachable::Port,
        (ErrorKind::HostUnreachable, _) => Unreachable::Host,
        (ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable | ErrorKind::Unsupported, _) => Unreachable::Net,
        (ErrorKind::PermissionDenied, _) => Unreachable::Prohibited,
        (_, Some(mtu)) if Errno::from_io_error(error) == Some(Errno::MSGSIZE) => Unreachable::TooBig(mtu),
        // A full socket loses datagrams, as any full wire does.
        _ => return tracing::debug!(%error, "a datagram of the guest was not sent"),
    };
    icmp::unreachable(turn.config, mac, packet, reason, &mut turn.out);
}

fn is_relay(peer: SocketAddr, turn: &Turn<'_>) -> bool {
    peer.port() == DNS && turn.config.is_gateway(peer.ip())
}
