//! The sockets of forwarded ports, on the network's thread.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mio::net::UdpSocket;
use mio::{Interest, Token};

use super::datagram::Datagrams;
use super::forward::{Bound, Forward, HostEnd, News};
use super::tcp::{GuestEnd, Tcp};
use super::{Control, Lease, Leases, Turn, sys};
use crate::MacAddr;

/// Tokens from here on are listeners'.
pub(super) const FIRST_TOKEN: usize = 1 << (usize::BITS - 1);
/// How many connections one of them may take before the next one has its turn, and how often it may ask for datagrams.
const CONNECTIONS: usize = 64;
const CALLS: usize = 4;

/// The sockets of forwarded ports.
pub(super) struct Listeners {
    control: Control,
    all: HashMap<Token, Listener>,
    next_token: usize,
    /// Some have more than they were allowed to take.
    busy: bool,
}

struct Listener {
    forward: Forward,
    socket: Socket,
    /// Somebody waits, or has waited.
    ready: bool,
}

enum Socket {
    Connections(Bound),
    Datagrams(Arc<UdpSocket>),
}

impl Listeners {
    pub(super) fn new(control: Control) -> Self {
        Self { control, all: HashMap::new(), next_token: FIRST_TOKEN, busy: false }
    }

    /// A listener's socket has something.
    pub(super) fn event(&mut self, token: Token) {
        if let Some(listener) = self.all.get_mut(&token) {
            listener.ready = true;
        }
    }

    /// Whether connections wait that can be taken at once.
    pub(super) fn busy(&self) -> bool {
        self.busy
    }

    /// Does what was asked of [`Control`].
    pub(super) fn hear(&mut self, datagrams: &mut Datagrams, turn: &Turn<'_>) {
        let news = std::mem::take(&mut self.control.lock().news);
        for news in news {
            match news {
                News::Added(forward, bound) => {
                    if let Err(error) = self.add(forward, bound, turn) {
                        tracing::error!(%error, "a port cannot be forwarded");
                    }
                }
                News::Removed(host) => self.remove(&host, datagrams),
            }
        }
    }

    fn add(&mut self, forward: Forward, mut bound: Bound, turn: &Turn<'_>) -> io::Result<()> {
        self.next_token += 1;
        let token = Token(self.next_token);
        match &mut bound {
            Bound::Tcp(socket) => turn.registry.register(socket, token, Interest::READABLE)?,
            Bound::Udp(socket) => turn.registry.register(socket, token, Interest::READABLE)?,
            Bound::Unix(socket) => turn.registry.register(&mut socket.listener, token, Interest::READABLE)?,
        }
        let socket = match bound {
            Bound::Udp(socket) => {
                sys::merge(&socket);
                Socket::Datagrams(Arc::new(socket))
            }
            bound => Socket::Connections(bound),
        };
        self.all.insert(token, Listener { forward, socket, ready: true });
        Ok(())
    }

    fn remove(&mut self, host: &HostEnd, datagrams: &mut Datagrams) {
        let token = self.all.iter().find(|(_, listener)| listener.forward.host == *host).map(|(token, _)| *token);
        if let Some(token) = token {
            self.all.remove(&token);
            datagrams.forget(token);
        }
    }

    /// Takes who waits.
    pub(super) fn serve(&mut self, leases: &Leases, tcp: &mut Tcp, datagrams: &mut Datagrams, turn: &mut Turn<'_>) {
        self.busy = false;
        if !self.all.values().any(|listener| listener.ready) {
            return;
        }
        let Some(machine) = leases.machine() else { return };
        for (token, listener) in &mut self.all {
            if !listener.ready || turn.out.blocked() {
                continue;
            }
            let (mac, guest, other) = guest_end(&listener.forward, &machine);
            let more = match &listener.socket {
                Socket::Connections(bound) => accept(bound, (mac, guest, other), tcp, turn),
                Socket::Datagrams(socket) => receive((*token, socket), (mac, guest), datagrams, turn),
            };
            match more {
                Ok(()) => self.busy = true,
                Err(error) if error.kind() == ErrorKind::WouldBlock => listener.ready = false,
                // Who waits is taken when there are fewer connections or descriptors: something happens then.
                Err(error) => tracing::debug!(%error, host = %listener.forward.host, "a forwarded port has to wait"),
            }
        }
    }
}

/// Where a forward leads: a card, its address and port, and the address that a connection tries when it is refused there.
/// IPv6 leads to IPv6, once the machine has such an address: a server there may listen to IPv4 only.
fn guest_end(forward: &Forward, machine: &Lease) -> GuestEnd {
    let at = |address: IpAddr| SocketAddr::new(address, forward.guest_port);
    let v6 = match forward.host {
        HostEnd::Tcp(host) | HostEnd::Udp(host) => host.is_ipv6(),
        HostEnd::Unix(_) => false,
    };
    let v4 = at(machine.address.into());
    match machine.address6.filter(|_| v6) {
        Some(address) => (machine.mac, at(address.into()), Some(v4)),
        None => (machine.mac, v4, None),
    }
}

/// Takes connections. An error says why there are no more now.
fn accept(bound: &Bound, guest: GuestEnd, tcp: &mut Tcp, turn: &mut Turn<'_>) -> io::Result<()> {
    for _ in 0..CONNECTIONS {
        if tcp.is_full(turn) {
            return Err(ErrorKind::QuotaExceeded.into());
        }
        match bound.accept() {
            Ok((stream, port)) => {
                if let Err(error) = tcp.dial(stream, port, guest, turn) {
                    tracing::debug!(%error, "a forwarded connection has ended before it began");
                }
            }
            // They had gone again.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Takes datagrams. An error says why there are no more now.
fn receive(
    listener: (Token, &Arc<UdpSocket>),
    guest: (MacAddr, SocketAddr),
    datagrams: &mut Datagrams,
    turn: &mut Turn<'_>,
) -> io::Result<()> {
    for _ in 0..CALLS {
        match datagrams.accept(listener, guest, turn) {
            Ok(false) => return Err(ErrorKind::WouldBlock.into()),
            Ok(true) if turn.out.blocked() => return Ok(()),
            Ok(true) => {}
            // An earlier answer did not arrive; whom it was for knows.
            Err(error) if error.kind() != ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
