//! The guest of all networks: smoltcp's TCP/IP.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant as Clock};

use anyhow::{Result, bail};
use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::{AnySocket, tcp};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr};

use super::card::{Card, Wire};

pub(super) const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 64, 2);
pub(super) const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 64, 1);
/// The buffers of a connection that carries much.
pub(super) const LARGE: usize = 2 << 20;
/// How long the guest sleeps at most.
const NAP: Duration = Duration::from_millis(1);

/// The guest.
pub(super) struct Guest {
    card: Card,
    interface: Interface,
    pub(super) sockets: SocketSet<'static>,
    next_port: u16,
    start: Clock,
}

impl Guest {
    pub(super) fn new(wire: Box<dyn Wire>) -> Self {
        let mut card = Card::new(wire);
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(MAC)));
        config.random_seed = 42;
        let mut interface = Interface::new(config, &mut card, Instant::ZERO);
        interface.update_ip_addrs(|all| {
            let pushed = all.push(IpCidr::new(ADDRESS.into(), 24));
            debug_assert!(pushed.is_ok());
        });
        Self { card, interface, sockets: SocketSet::new(Vec::new()), next_port: 20000, start: Clock::now() }
    }

    /// Takes what has come and sends what there is; sleeps if there was nothing.
    pub(super) fn step(&mut self) {
        let now = Instant::from_micros(self.start.elapsed().as_micros() as i64);
        let before = self.card.frames;
        let result = self.interface.poll(now, &mut self.card, &mut self.sockets);
        self.card.wire.flush();
        if self.card.frames == before && result == PollResult::None {
            self.card.wire.wait(NAP);
        }
    }

    /// Steps until `done` gives something.
    pub(super) fn until<T>(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> Option<T>) -> Result<T> {
        let start = Clock::now();
        loop {
            self.step();
            if let Some(value) = done(self) {
                return Ok(value);
            }
            if start.elapsed() > Duration::from_secs(60) {
                bail!("waited in vain until {what}");
            }
        }
    }

    pub(super) fn socket<S: AnySocket<'static>>(&mut self, handle: SocketHandle) -> &mut S {
        self.sockets.get_mut(handle)
    }

    pub(super) fn tcp(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Begins a connection to a port of the host.
    pub(super) fn dial(&mut self, port: u16, size: usize) -> Result<SocketHandle> {
        let buffer = || tcp::SocketBuffer::new(vec![0; size]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_ack_delay(None);
        socket.set_nagle_enabled(false);
        self.redial(&mut socket, port)?;
        Ok(self.sockets.add(socket))
    }

    fn redial(&mut self, socket: &mut tcp::Socket<'static>, port: u16) -> Result<()> {
        self.next_port = if self.next_port >= 60000 { 20000 } else { self.next_port + 1 };
        let dialled = socket.connect(self.interface.context(), (GATEWAY, port), self.next_port);
        dialled.map_err(|error| anyhow::anyhow!("dialling: {error}"))
    }
}
