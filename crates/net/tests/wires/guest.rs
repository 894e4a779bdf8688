//! A guest's TCP/IP behind a card: smoltcp's.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant as Clock};

use net::{Backend, MacAddr, Meta, Offloads, offload};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{dhcpv4, tcp, udp};
use smoltcp::time::Instant;
use smoltcp::wire::{DhcpOption, EthernetAddress, HardwareAddress, IpCidr, Ipv4Cidr};

use crate::card::{Card, PATIENCE};

pub(crate) struct Guest {
    pub(crate) card: Card,
    interface: Interface,
    sockets: SocketSet<'static>,
    start: Clock,
    /// Frames to be cut that came.
    pub(crate) large: usize,
}

/// The card as smoltcp wants it.
struct Nic<'a> {
    card: &'a Card,
    large: &'a mut usize,
}
struct Received(Vec<u8>);
struct Sent<'a>(&'a Card);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Sent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.send(&frame, Meta::default());
        result
    }
}

impl Device for Nic<'_> {
    type RxToken<'a>
        = Received
    where
        Self: 'a;
    type TxToken<'a>
        = Sent<'a>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sent<'_>)> {
        let (mut frame, meta) = self.card.receive_within(Duration::ZERO)?;
        *self.large += usize::from(meta.segments.is_some());
        if let Some(partial) = meta.partial {
            offload::finish(&mut frame, partial);
        }
        Some((Received(frame), Sent(self.card)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sent<'_>> {
        Some(Sent(self.card))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

impl Guest {
    /// A guest with a card in `network`.
    pub(crate) fn new(network: impl Backend + 'static, offloads: Offloads, mac: u8) -> Self {
        let card = Card::plug(network, offloads);
        let mac = MacAddr([2, 0, 0, 0, 0, mac]);
        let config = Config::new(HardwareAddress::Ethernet(EthernetAddress(mac.0)));
        let mut large = 0;
        let interface = Interface::new(config, &mut Nic { card: &card, large: &mut large }, Instant::ZERO);
        Self { card, interface, sockets: SocketSet::new(Vec::new()), start: Clock::now(), large }
    }

    /// Like [`new`](Self::new), with an address of 10.0.0.0/24.
    pub(crate) fn at(network: impl Backend + 'static, offloads: Offloads, last: u8) -> Self {
        let mut guest = Self::new(network, offloads, last);
        guest.set_address(Ipv4Cidr::new(Ipv4Addr::new(10, 0, 0, last), 24));
        guest
    }

    fn set_address(&mut self, address: Ipv4Cidr) {
        self.interface.update_ip_addrs(|all| {
            all.clear();
            all.push(IpCidr::Ipv4(address)).unwrap();
        });
    }

    pub(crate) fn address(&self) -> Ipv4Addr {
        self.interface.ipv4_addr().expect("it has an address")
    }

    /// Lets the stack work, after waiting a little for a frame.
    pub(crate) fn turn(&mut self) {
        let now = Instant::from_micros(self.start.elapsed().as_micros() as i64);
        let mut nic = Nic { card: &self.card, large: &mut self.large };
        self.interface.poll(now, &mut nic, &mut self.sockets);
        std::thread::sleep(Duration::from_micros(200));
    }

    /// Gets an address by DHCP, and a route; the router's address.
    pub(crate) fn dhcp(&mut self) -> Ipv4Addr {
        self.dhcp_with(&[])
    }

    /// The same, with options in what it says, such as its name.
    pub(crate) fn dhcp_with(&mut self, options: &'static [DhcpOption<'static>]) -> Ipv4Addr {
        self.card.wait_carrier(true);
        let mut socket = dhcpv4::Socket::new();
        socket.set_outgoing_options(options);
        let handle = self.sockets.add(socket);
        let end = Clock::now() + PATIENCE;
        loop {
            assert!(Clock::now() < end, "no lease");
            self.turn();
            let lease = match self.sockets.get_mut::<dhcpv4::Socket<'_>>(handle).poll() {
                Some(dhcpv4::Event::Configured(lease)) => lease,
                _ => continue,
            };
            let (address, router) = (lease.address, lease.router.unwrap());
            self.sockets.remove(handle);
            self.set_address(address);
            self.interface.routes_mut().add_default_ipv4_route(router).unwrap();
            return router;
        }
    }

    /// The IPv4 address that the name server at `router` has for a name, if it has just that one.
    pub(crate) fn resolve(&mut self, router: Ipv4Addr, name: &str) -> Option<Ipv4Addr> {
        // Number 1, recursion desired, one question, for an IPv4 address (RFC 1035, 4.1).
        let mut query = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            query.push(label.len() as u8);
            query.extend(label.bytes());
        }
        query.extend([0, 0, 1, 0, 1]);
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 2], vec![0; 2048]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(5353).unwrap();
        socket.send_slice(&query, (router, 53)).unwrap();
        let handle = self.sockets.add(socket);
        let end = Clock::now() + PATIENCE;
        let answer = loop {
            assert!(Clock::now() < end, "no answer for {name}");
            self.turn();
            if let Ok((bytes, _)) = self.sockets.get_mut::<udp::Socket<'_>>(handle).recv() {
                break bytes.to_vec();
            }
        };
        self.sockets.remove(handle);
        let address = answer.last_chunk::<4>().copied().map(Ipv4Addr::from);
        address.filter(|_| answer[6..8] == [0, 1])
    }

    fn socket(&mut self) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 256 << 10]);
        self.sockets.add(tcp::Socket::new(buffer(), buffer()))
    }

    pub(crate) fn listen(&mut self, port: u16) -> SocketHandle {
        let handle = self.socket();
        self.tcp(handle).listen(port).unwrap();
        handle
    }

    pub(crate) fn connect(&mut self, to: (Ipv4Addr, u16)) -> SocketHandle {
        let handle = self.socket();
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        socket.connect(self.interface.context(), to, 40_000 + to.1 % 1000).unwrap();
        handle
    }

    pub(crate) fn tcp(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Sends `data` and takes as much back as `data` is long, from one who answers with the same.
    pub(crate) fn echo(&mut self, handle: SocketHandle, data: &[u8], mut meanwhile: impl FnMut()) {
        let (mut sent, mut back, end) = (0, Vec::new(), Clock::now() + PATIENCE);
        while back.len() < data.len() {
            assert!(Clock::now() < end, "{} of {} bytes came back", back.len(), data.len());
            self.turn();
            meanwhile();
            let socket = self.tcp(handle);
            if socket.can_send() && sent < data.len() {
                sent += socket.send_slice(&data[sent..]).unwrap();
            }
            if socket.can_recv() {
                socket.recv(|bytes| (bytes.len(), back.extend_from_slice(bytes))).unwrap();
            }
        }
        assert!(back == data, "what came back is not what was sent");
    }

    /// Answers with what came.
    pub(crate) fn answer(&mut self, handle: SocketHandle) {
        self.turn();
        let socket = self.tcp(handle);
        while socket.can_recv() && socket.can_send() {
            let mut chunk = [0; 4096];
            let room = (socket.send_capacity() - socket.send_queue()).min(chunk.len());
            let count = socket.recv_slice(&mut chunk[..room]).unwrap();
            if count == 0 {
                break;
            }
            assert_eq!(socket.send_slice(&chunk[..count]), Ok(count));
        }
    }
}

/// Bytes that tell where they belong.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|n| (n ^ n >> 8 ^ n >> 16) as u8).collect()
}

/// Sends `len` bytes from `a` to `b` and back over `client`, a new connection, or the one that is there.
pub(crate) fn talk(a: &mut Guest, client: SocketHandle, b: &mut Guest, server: SocketHandle, len: usize) {
    a.echo(client, &pattern(len), || b.answer(server));
}
