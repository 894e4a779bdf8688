//! One TCP connection: smoltcp's TCP towards the guest, a socket of the host on the other side, and what is read on
//! the one written to the other. Both buffers are bounded, so a slow reader on either side stops the other's writer.
//!
//! Each connection has a smoltcp interface of its own, with one socket in it: then a segment costs the same however
//! many connections there are.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

use smoltcp::iface::{Config as InterfaceConfig, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::phy::{Checksum, ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::Socket as AnySocket;
use smoltcp::socket::tcp::{Socket, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr, IpListenEndpoint, TcpPacket};

use super::Turn;
use super::mss;
use super::out::Out;
use super::packet::Packet;
use super::sockets::Sockets;
use super::stream::Stream;
use super::tcp::{GuestEnd, refuse};
use crate::MacAddr;

/// A guest that does not answer so long, nor when it is asked, has lost the connection.
const PATIENCE: Duration = Duration::from_secs(300);
/// A guest that does not answer a connection to it so long is not there.
const DIAL_PATIENCE: Duration = Duration::from_secs(30);

/// How long the acknowledgement of a segment that is not full may wait for an answer of the host's to go with, or for
/// more data (RFC 9293, 3.8.6.3 allows half a second). A guest that writes in small pieces then sends larger ones, for
/// it waits with them while something is on its way, and is interrupted once for many.
const ACK_DELAY: Duration = Duration::from_millis(1);
/// A socket that has carried more bytes than this is not used again: its buffers have come to take memory.
const LITTLE: usize = 64 << 10;

/// A connection.
pub(super) struct Flow {
    mac: MacAddr,
    stream: Stream,
    readable: bool,
    writable: bool,
    seed: u64,
    stage: Stage,
    /// Of a connection to the guest: from where, and another address of the guest's for when this one refuses.
    other: Option<(u16, SocketAddr)>,
}

/// A connection to another address of the guest's: the host's side, from which port, and where to.
pub(super) type SecondTry = (Stream, u16, GuestEnd);

enum Stage {
    /// The host connects; the guest's SYN waits for the outcome.
    Connecting(Vec<u8>),
    Open(Box<Open>),
    Gone,
}

struct Open {
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    v6: bool,
    /// The guest's maximum segment size, once it has told it.
    mss: usize,
    /// We call the guest, and it has not answered yet.
    dialling: bool,
    /// The host's side has no more data to read.
    host_done: bool,
    /// The guest's side has no more data, and the host's has been told so.
    guest_done: bool,
    /// The guest's FIN was seen, maybe with data before it that is still to be written.
    guest_finished: bool,
    /// How many bytes went, both ways.
    carried: usize,
}

impl Flow {
    /// A connection that the host has begun with `stream`, for the guest's `syn`, an IP packet.
    pub(super) fn outward(mac: MacAddr, stream: Stream, syn: Vec<u8>, seed: u64) -> Self {
        Self { mac, stream, readable: false, writable: false, seed, stage: Stage::Connecting(syn), other: None }
    }

    /// A connection of somebody at the host, `stream`, that becomes one from `gateway` to `guest`, or to its `other`
    /// address if that refuses.
    pub(super) fn inward(
        mac: MacAddr,
        stream: Stream,
        (gateway, guest, other): (SocketAddr, SocketAddr, Option<SocketAddr>),
        (seed, socket): (u64, Socket<'static>),
        turn: &mut Turn<'_>,
    ) -> Option<Self> {
        stream.tune();
        let open = Open::dial(gateway, guest, seed, socket, turn)?;
        let other = other.map(|other| (gateway.port(), other));
        Some(Self { mac, stream, readable: true, writable: true, seed, stage: Stage::Open(Box::new(open)), other })
    }

    /// What a connection that is over leaves: what is to be tried now, and its socket, if that is worth using again.
    pub(super) fn end(self) -> (Option<SecondTry>, Option<Socket<'static>>) {
        let Stage::Open(open) = self.stage else { return (None, None) };
        let other = self.other.filter(|_| open.dialling);
        let again = other.map(|(port, guest)| (self.stream, port, (self.mac, guest, None)));
        (again, open.into_socket())
    }

    /// The host's socket became ready.
    pub(super) fn event(&mut self, readable: bool, writable: bool) {
        self.readable |= readable;
        self.writable |= writable;
    }

    /// Takes a segment of the guest.
    pub(super) fn input(&mut self, mac: MacAddr, packet: &Packet<'_>, tcp: &TcpPacket<&[u8]>, turn: &mut Turn<'_>) {
        self.mac = mac;
        match &mut self.stage {
            Stage::Connecting(_) if tcp.rst() => self.stage = Stage::Gone,
            Stage::Open(open) => open.input(self.mac, packet, tcp, turn),
            _ => {}
        }
    }

    /// The guest's network says that it takes no such connection.
    pub(super) fn refused(&mut self) {
        if let Stage::Open(open) = &mut self.stage
            && open.dialling
        {
            open.socket().abort();
        }
    }

    /// Does what there is to do, with `open` connections in all. `false`: the connection is over.
    pub(super) fn serve(&mut self, open: usize, sockets: &mut Sockets, turn: &mut Turn<'_>) -> bool {
        if let Stage::Connecting(syn) = &self.stage {
            if !self.writable {
                return true;
            }
            let Some(packet) = Packet::parse(syn, true) else { return false };
            match self.stream.failure() {
                Some(error) if error.kind() == ErrorKind::NotConnected => {
                    self.writable = false;
                    return true;
                }
                Some(error) => {
                    refuse(self.mac, &packet, &error, turn);
                    return false;
                }
                None => {}
            }
            self.stream.tune();
            let socket = sockets.take(open);
            let Ok(tcp) = TcpPacket::new_checked(packet.payload) else { return false };
            let Some(mut opened) = Open::answer(&packet, tcp.dst_port(), self.seed, socket, turn) else { return false };
            opened.input(self.mac, &packet, &tcp, turn);
            self.stage = Stage::Open(Box::new(opened));
        }
        let Stage::Open(open) = &mut self.stage else { return false };
        open.guest_to_host(&mut self.stream, &mut self.writable);
        open.host_to_guest(&mut self.stream, &mut self.readable);
        open.transmit(self.mac, turn);
        if open.broken() {
            if !open.dialling || self.other.is_none() {
                // The peer shall see a reset too.
                self.stream.reset_when_dropped();
            }
            return false;
        }
        !open.finished(turn.now)
    }

    /// When [`serve`](Self::serve) wants to be called without anything else happening.
    pub(super) fn deadline(&mut self, now: Instant) -> Option<Instant> {
        match &mut self.stage {
            Stage::Open(open) => open.deadline(now),
            _ => None,
        }
    }
}

impl Open {
    /// The gateway's side of a connection, as `ours`.
    fn interface(ours: IpAddress, seed: u64, turn: &mut Turn<'_>) -> Interface {
        let mut config = InterfaceConfig::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let v6 = matches!(ours, IpAddress::Ipv6(_));
        let mut wire = Wire { mac: MacAddr([0; 6]), mss: 0, v6, packet: None, out: &mut turn.out };
        let mut interface = Interface::new(config, &mut wire, turn.now);
        // The address that the guest called is ours here, and everything is next to it.
        interface.update_ip_addrs(|all| {
            let pushed = all.push(IpCidr::new(ours, 0));
            debug_assert!(pushed.is_ok());
        });
        interface
    }

    fn with(interface: Interface, socket: Socket<'static>, v6: bool, dialling: bool) -> Self {
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let handle = sockets.add(socket);
        Self {
            interface,
            sockets,
            handle,
            v6,
            mss: mss::DEFAULT,
            dialling,
            host_done: false,
            guest_done: false,
            guest_finished: false,
            carried: 0,
        }
    }

    /// A connection that the guest's `syn` begins.
    fn answer(
        syn: &Packet<'_>,
        port: u16,
        seed: u64,
        mut socket: Socket<'static>,
        turn: &mut Turn<'_>,
    ) -> Option<Self> {
        let interface = Self::interface(syn.target.into(), seed, turn);
        socket.set_timeout(Some(PATIENCE));
        socket.listen(IpListenEndpoint { addr: Some(syn.target.into()), port }).ok()?;
        Some(Self::with(interface, socket, syn.target.is_ipv6(), false))
    }

    /// A connection to the guest.
    fn dial(
        gateway: SocketAddr,
        guest: SocketAddr,
        seed: u64,
        mut socket: Socket<'static>,
        turn: &mut Turn<'_>,
    ) -> Option<Self> {
        let mut interface = Self::interface(gateway.ip().into(), seed, turn);
        socket.set_timeout(Some(DIAL_PATIENCE));
        socket.connect(interface.context(), guest, gateway).ok()?;
        Some(Self::with(interface, socket, guest.is_ipv6(), true))
    }

    fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    fn into_socket(mut self) -> Option<Socket<'static>> {
        match self.sockets.remove(self.handle) {
            AnySocket::Tcp(socket) if self.carried <= LITTLE => Some(socket),
            _ => None,
        }
    }

    /// Takes a segment of the guest.
    fn input(&mut self, mac: MacAddr, packet: &Packet<'_>, tcp: &TcpPacket<&[u8]>, turn: &mut Turn<'_>) {
        let mut bytes = packet.bare();
        if tcp.syn() {
            // Our TCP is to make segments as large as the card takes; the card cuts them to the guest's size.
            let largest = turn.out.largest(self.v6);
            let header = packet.header_len();
            let link = turn.out.mtu() - header - super::out::TCP;
            if let Some(told) = bytes.to_mut().get_mut(header..).and_then(|tcp| mss::replace(tcp, largest - header)) {
                self.mss = told.clamp(mss::LEAST, link);
                if largest == turn.out.mtu() {
                    bytes.to_mut().get_mut(header..).and_then(|tcp| mss::replace(tcp, self.mss));
                }
            }
        }
        let is_full = tcp.payload().len() >= self.mss;
        self.socket().set_ack_delay((!is_full).then_some(ACK_DELAY));
        let mut wire = Wire { mac, mss: self.mss, v6: self.v6, packet: Some(&bytes), out: &mut turn.out };
        self.interface.poll_ingress_single(turn.now, &mut wire, &mut self.sockets);
        if self.dialling && self.socket().state() == State::Established {
            self.dialling = false;
            self.socket().set_timeout(Some(PATIENCE));
        }
    }

    fn transmit(&mut self, mac: MacAddr, turn: &mut Turn<'_>) {
        let mut wire = Wire { mac, mss: self.mss, v6: self.v6, packet: None, out: &mut turn.out };
        while self.interface.poll_egress(turn.now, &mut wire, &mut self.sockets) != PollResult::None {}
    }

    /// Writes what the guest has sent.
    fn guest_to_host(&mut self, stream: &mut Stream, writable: &mut bool) {
        let handle = self.handle;
        let socket = self.sockets.get_mut::<Socket<'_>>(handle);
        while *writable && socket.can_recv() {
            let written = socket.recv(|data| match stream.write(data) {
                Ok(count) => (count, Ok(count)),
                Err(error) => (0, Err(error.kind())),
            });
            match written {
                Ok(Ok(count)) => self.carried += count,
                Ok(Err(ErrorKind::Interrupted)) => {}
                Ok(Err(ErrorKind::WouldBlock)) => *writable = false,
                Ok(Err(_)) | Err(_) => return socket.abort(),
            }
        }
        self.guest_finished |=
            matches!(socket.state(), State::CloseWait | State::LastAck | State::Closing | State::TimeWait);
        if self.guest_finished && !self.guest_done && socket.recv_queue() == 0 {
            self.guest_done = true;
            if stream.finish().is_err() {
                socket.abort();
            }
        }
    }

    /// Reads what the guest is to get.
    fn host_to_guest(&mut self, stream: &mut Stream, readable: &mut bool) {
        let handle = self.handle;
        let socket = self.sockets.get_mut::<Socket<'_>>(handle);
        while *readable && !self.host_done && socket.can_send() {
            let read = socket.send(|room| match stream.read(room) {
                Ok(count) => (count, Ok(count)),
                Err(error) => (0, Err(error.kind())),
            });
            match read {
                Ok(Ok(0)) => self.host_done = true,
                Ok(Ok(count)) => self.carried += count,
                Ok(Err(ErrorKind::Interrupted)) => {}
                Ok(Err(ErrorKind::WouldBlock)) => *readable = false,
                Ok(Err(_)) | Err(_) => return socket.abort(),
            }
        }
        // In LAST-ACK smoltcp is deaf to the guest's window, so that a guest which had none would wait for a probe. Our
        // end may not come with the last data then.
        if self.host_done && (socket.state() != State::CloseWait || socket.send_queue() == 0) {
            socket.close();
        }
    }

    /// Whether the connection was reset, by either side, and both know it now.
    fn broken(&mut self) -> bool {
        let orderly = self.host_done && self.guest_finished;
        let socket = self.socket();
        socket.state() == State::Closed && socket.remote_endpoint().is_none() && !orderly
    }

    /// Whether both sides have had all data and the end of it. The guest's last FIN is acknowledged by then; should
    /// it come again, a reset is as good an answer, and nothing has to be remembered for a minute.
    fn finished(&mut self, now: Instant) -> bool {
        let ended = match self.socket().state() {
            State::Closed => true,
            // An acknowledgement that waits is the only thing which is due soon.
            State::TimeWait => self.deadline(now).is_none_or(|at| at > now + ACK_DELAY),
            _ => false,
        };
        ended && self.host_done && self.guest_done
    }

    /// When something has to be sent.
    fn deadline(&mut self, now: Instant) -> Option<Instant> {
        self.interface.poll_at(now, &self.sockets)
    }
}

/// The wire of one connection: at most one packet in, any number out as long as there is room.
struct Wire<'a, 'o> {
    mac: MacAddr,
    mss: usize,
    v6: bool,
    packet: Option<&'a [u8]>,
    out: &'a mut Out<'o>,
}

impl<'o> Device for Wire<'_, 'o> {
    type RxToken<'t>
        = Received<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Transmit<'t, 'o>
    where
        Self: 't;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Transmit<'_, 'o>)> {
        let packet = self.packet.take()?;
        Some((Received(packet), Transmit { mac: self.mac, mss: self.mss, out: self.out }))
    }

    fn transmit(&mut self, _: Instant) -> Option<Transmit<'_, 'o>> {
        (!self.out.blocked()).then_some(Transmit { mac: self.mac, mss: self.mss, out: self.out })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.out.largest(self.v6);
        // What comes in was checked already; TCP's checksum on the way out is `Out`'s, where it may be left partial.
        capabilities.checksum = ChecksumCapabilities::ignored();
        capabilities.checksum.ipv4 = Checksum::Tx;
        capabilities
    }
}

struct Received<'t>(&'t [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

struct Transmit<'t, 'o> {
    mac: MacAddr,
    mss: usize,
    out: &'t mut Out<'o>,
}

impl TxToken for Transmit<'_, '_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mtu = self.out.mtu();
        self.out.tcp_packet(self.mac, self.mss, len, |packet| {
            let result = f(packet);
            mss::limit(packet, mtu);
            result
        })
    }
}
