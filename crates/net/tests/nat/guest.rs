//! The guest's side of the wire: smoltcp's stack as the guest, and the router under test, in lock-step on one thread.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant as Clock};

use net::nat::{self, Config, Forward, HostEnd, Nat};
use net::{MacAddr, Meta, Offloads, Port};
use smoltcp::iface::{Config as InterfaceConfig, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{AnySocket, tcp};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr, IpEndpoint};

pub(crate) const GUEST: Ipv4Addr = Ipv4Addr::new(192, 168, 64, 2);
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 64, 1);
pub(crate) const GUEST6: Ipv6Addr = Ipv6Addr::new(0xfd72, 0x7573, 0x7365, 0x7400, 0, 0, 0, 0x22);
pub(crate) const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfd72, 0x7573, 0x7365, 0x7400, 0, 0, 0, 1);
pub(crate) const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];
pub(crate) const GATEWAY_MAC: [u8; 6] = [0x02, 0x52, 0x55, 0x53, 0, 1];

/// The wire: what is on it, how much fits, and what gets lost.
#[derive(Default)]
pub(crate) struct Cable {
    pub(crate) to_router: VecDeque<Vec<u8>>,
    pub(crate) to_guest: VecDeque<Vec<u8>>,
    /// What is known of the first frames to the router; nothing of the rest.
    pub(crate) metas: VecDeque<Meta>,
    /// How many frames to the guest find room at once; zero: any number.
    pub(crate) room: usize,
    /// Every so-many-th frame to the guest is lost; zero: none.
    pub(crate) lose: usize,
    /// What the guest's card takes, and does.
    pub(crate) offloads: Offloads,
    /// How many frames to the guest stood for several.
    pub(crate) cut: usize,
    pushed: usize,
    starved: bool,
}

impl Port for Cable {
    fn pull(&mut self, frame: &mut Vec<u8>) -> Option<Meta> {
        *frame = self.to_router.pop_front()?;
        Some(self.metas.pop_front().unwrap_or_default())
    }

    fn push(&mut self, frame: &[u8], meta: Meta) -> bool {
        if self.room > 0 && self.to_guest.len() >= self.room {
            self.starved = true;
            return false;
        }
        self.pushed += 1;
        if self.lose > 0 && self.pushed.is_multiple_of(self.lose) {
            return true;
        }
        let mut frame = frame.to_vec();
        if let Some(partial) = meta.partial {
            assert!(self.offloads.contains(meta.needs()) && meta.check(&frame), "{meta:?} that nobody asked for");
            self.cut += usize::from(meta.segments.is_some_and(|s| (536..=1460).contains(&s.size)));
            let (start, field) = (usize::from(partial.start), usize::from(partial.start + partial.offset));
            let sum = !smoltcp::wire::checksum::data(&frame[start..]);
            frame[field..field + 2].copy_from_slice(&sum.to_be_bytes());
        }
        self.to_guest.push_back(frame);
        true
    }

    fn offloads(&self) -> Offloads {
        self.offloads
    }

    fn flush(&mut self) {}

    fn arm(&mut self) -> bool {
        !self.to_router.is_empty() || std::mem::take(&mut self.starved)
    }
}

/// The guest's card.
struct Card<'a>(&'a mut Cable);
pub(crate) struct Received(Vec<u8>);
pub(crate) struct Sent<'a>(&'a mut VecDeque<Vec<u8>>);

impl Device for Card<'_> {
    type RxToken<'t>
        = Received
    where
        Self: 't;
    type TxToken<'t>
        = Sent<'t>
    where
        Self: 't;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sent<'_>)> {
        let frame = self.0.to_guest.pop_front()?;
        Some((Received(frame), Sent(&mut self.0.to_router)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sent<'_>> {
        Some(Sent(&mut self.0.to_router))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Sent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.push_back(frame);
        result
    }
}

/// A guest, the wire and the router.
pub(crate) struct Guest {
    pub(crate) router: Nat,
    pub(crate) cable: Cable,
    pub(crate) interface: Interface,
    pub(crate) sockets: SocketSet<'static>,
    next_port: u16,
    start: Clock,
}

impl Guest {
    /// A guest with its address set, on a network where the gateway is also the host.
    pub(crate) fn new() -> Self {
        Self::with(Config { host_access: true, ..Config::default() })
    }

    pub(crate) fn with(config: Config) -> Self {
        let mut cable = Cable::default();
        let mut setup = InterfaceConfig::new(HardwareAddress::Ethernet(EthernetAddress(MAC)));
        setup.random_seed = 42;
        let mut interface = Interface::new(setup, &mut Card(&mut cable), Instant::ZERO);
        interface.update_ip_addrs(|all| {
            all.push(IpCidr::new(GUEST.into(), 24)).unwrap();
            all.push(IpCidr::new(GUEST6.into(), 64)).unwrap();
        });
        interface.routes_mut().add_default_ipv4_route(GATEWAY).unwrap();
        interface.routes_mut().add_default_ipv6_route(GATEWAY6).unwrap();
        let sockets = SocketSet::new(Vec::new());
        let router = Nat::new(config).unwrap();
        Self { router, cable, interface, sockets, next_port: 40000, start: Clock::now() }
    }

    /// Both stacks have a turn.
    pub(crate) fn step(&mut self) {
        let now = Instant::from_micros(self.start.elapsed().as_micros() as i64);
        self.interface.poll(now, &mut Card(&mut self.cable), &mut self.sockets);
        self.router.turn(&mut self.cable, false).unwrap();
        if self.cable.to_guest.is_empty() && self.cable.to_router.is_empty() {
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    /// Steps until `done` gives something.
    #[track_caller]
    pub(crate) fn until<T>(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> Option<T>) -> T {
        let start = Clock::now();
        loop {
            self.step();
            if let Some(value) = done(self) {
                return value;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        }
    }

    /// Gives a frame to the router and steps it, without the guest's own stack.
    pub(crate) fn inject(&mut self, frame: Vec<u8>) -> Vec<Vec<u8>> {
        self.cable.to_router.push_back(frame);
        while self.router.turn(&mut self.cable, false).unwrap() || !self.cable.to_router.is_empty() {}
        self.cable.to_guest.drain(..).collect()
    }

    pub(crate) fn socket<S: AnySocket<'static>>(&mut self, handle: SocketHandle) -> &mut S {
        self.sockets.get_mut(handle)
    }

    pub(crate) fn tcp(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// A socket that waits for a connection to a port of the guest.
    pub(crate) fn listen(&mut self, port: u16, size: usize) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; size]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_ack_delay(None);
        socket.listen(port).unwrap();
        self.sockets.add(socket)
    }

    /// Begins a connection to a port of the host, by the gateway's address.
    pub(crate) fn dial(&mut self, server: SocketAddr) -> SocketHandle {
        self.dial_to(IpEndpoint::new(GATEWAY.into(), server.port()))
    }

    pub(crate) fn dial_to(&mut self, target: IpEndpoint) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 1 << 18]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_ack_delay(None);
        self.next_port += 1;
        socket.connect(self.interface.context(), target, self.next_port).unwrap();
        self.sockets.add(socket)
    }

    /// A connection to a port of the host that stands.
    #[track_caller]
    pub(crate) fn connect(&mut self, server: SocketAddr) -> SocketHandle {
        let handle = self.dial(server);
        self.until("connected", |g| (g.tcp(handle).state() == tcp::State::Established).then_some(()));
        handle
    }

    /// All that comes until the host's end of data.
    #[track_caller]
    pub(crate) fn read_to_end(&mut self, handle: SocketHandle) -> Vec<u8> {
        let mut all = Vec::new();
        self.until("end of data", |g| {
            let socket = g.tcp(handle);
            while socket.can_recv() {
                socket.recv(|data| (data.len(), all.extend_from_slice(data))).unwrap();
            }
            (!socket.may_recv()).then_some(())
        });
        all
    }

    /// Steps until all of `data` is in the socket's buffer.
    #[track_caller]
    pub(crate) fn write(&mut self, handle: SocketHandle, mut data: &[u8]) {
        self.until("written", |g| {
            let count = g.tcp(handle).send_slice(data).unwrap();
            data = &data[count..];
            data.is_empty().then_some(())
        });
    }

    #[track_caller]
    pub(crate) fn idle(&mut self) {
        self.until("no flows are left", |g| (g.router.flows().tcp == 0).then_some(()));
    }
}

/// A forward of some port of the host's loopback.
pub(crate) fn local(host: fn(SocketAddr) -> HostEnd, guest_port: u16) -> Forward {
    Forward { host: host("127.0.0.1:0".parse().unwrap()), guest_port }
}

/// A guest whose card is known, with the given forwards; and where they are.
pub(crate) fn forwarding(forwards: &[Forward]) -> (Guest, Vec<SocketAddr>) {
    let machine = Some(nat::Card { mac: MacAddr(MAC), name: None });
    let guest = Guest::with(Config { machine, forwards: forwards.to_vec(), ..Config::default() });
    let address = |forward: Forward| match forward.host {
        HostEnd::Tcp(address) | HostEnd::Udp(address) => Some(address),
        HostEnd::Unix(_) => None,
    };
    let addresses = guest.router.control().list().into_iter().filter_map(address).collect();
    (guest, addresses)
}

/// Bytes that look like nothing in particular, the same for the same seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).collect();
    bytes.truncate(len);
    bytes
}

/// Marsaglia's xorshift64*.
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
