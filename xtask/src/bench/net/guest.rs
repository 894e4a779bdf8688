//! The guest of all networks: smoltcp's TCP/IP.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant as Clock};

use anyhow::{Result, bail};
use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr, IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr};

use super::card::{Card, Wire};

pub(super) const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 64, 2);
pub(super) const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 64, 1);
/// The buffers of a connection that carries much.
pub(super) const LARGE: usize = 2 << 20;
/// How long the guest sleeps at most.
pub(super) const NAP: Duration = Duration::from_millis(1);

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

    /// CPU time that the network has taken, in seconds.
    pub(super) fn cpu(&self) -> f64 {
        self.card.wire.cpu()
    }

    /// The wire itself, past the guest's own TCP/IP.
    pub(super) fn wire(&mut self) -> &mut dyn Wire {
        &mut *self.card.wire
    }

    /// The frame of a datagram to a port of the host; the router's Ethernet address is that of the last frame.
    pub(super) fn datagram(&self, from: u16, port: u16, payload: &[u8]) -> Vec<u8> {
        let caps = ChecksumCapabilities::default();
        let udp = UdpRepr { src_port: from, dst_port: port };
        let payload_len = udp.header_len() + payload.len();
        let (src_addr, dst_addr, next_header) = (ADDRESS, GATEWAY, IpProtocol::Udp);
        let ip = Ipv4Repr { src_addr, dst_addr, next_header, payload_len, hop_limit: 64 };
        let mut bytes = [&self.card.router[..], &MAC, &[8, 0]].concat();
        let at = bytes.len();
        bytes.resize(at + ip.buffer_len() + payload_len, 0);
        ip.emit(&mut Ipv4Packet::new_unchecked(&mut bytes[at..]), &caps);
        let mut packet = UdpPacket::new_unchecked(&mut bytes[at + ip.buffer_len()..]);
        let fill = |room: &mut [u8]| room.copy_from_slice(payload);
        udp.emit(&mut packet, &src_addr.into(), &dst_addr.into(), payload.len(), fill, &caps);
        bytes
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
