//! One TCP connection: smoltcp's TCP towards the guest, a socket of the host on the other side, and what is read on
//! the one written to the other. Both buffers are bounded, so a slow reader on either side stops the other's writer.
//!
//! Each connection has a smoltcp interface of its own, with one socket in it: then a segment costs the same however
//! many connections there are.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;
use smoltcp::iface::{Config as InterfaceConfig, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::phy::{Checksum, ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpCidr, IpListenEndpoint, Ipv4Packet, TcpPacket};

use super::Turn;
use super::out::Out;
use super::tcp::refuse;
use crate::MacAddr;

/// A guest that is silent so long is asked whether it still has the connection...
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// ...and one that does not answer so long has lost it.
const PATIENCE: Duration = Duration::from_secs(300);

/// The size of each of a connection's two buffers, in bytes, when there are `open` connections: with 4096 of them
/// they have at most 328 MiB together, and memory is only used as data comes.
fn buffer_size(open: usize) -> usize {
    match open {
        0..=32 => 512 << 10,
        33..=256 => 128 << 10,
        _ => 32 << 10,
    }
}

/// A connection.
pub(super) struct Flow {
    mac: MacAddr,
    stream: TcpStream,
    readable: bool,
    writable: bool,
    seed: u64,
    stage: Stage,
}

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
    /// The host's side has no more data to read.
    host_done: bool,
    /// The guest's side has no more data, and the host's has been told so.
    guest_done: bool,
    /// The guest's FIN was seen, maybe with data before it that is still to be written.
    guest_finished: bool,
}

impl Flow {
    /// A connection that the host has begun with `stream`, for the guest's `syn`, an IPv4 packet.
    pub(super) fn new(mac: MacAddr, stream: TcpStream, syn: Vec<u8>, seed: u64) -> Self {
        Self { mac, stream, readable: false, writable: false, seed, stage: Stage::Connecting(syn) }
    }

    /// The host's socket became ready.
    pub(super) fn event(&mut self, readable: bool, writable: bool) {
        self.readable |= readable;
        self.writable |= writable;
    }

    /// Takes a segment of the guest.
    pub(super) fn input(&mut self, mac: MacAddr, ip: &Ipv4Packet<&[u8]>, tcp: &TcpPacket<&[u8]>, turn: &mut Turn<'_>) {
        self.mac = mac;
        match &mut self.stage {
            Stage::Connecting(_) if tcp.rst() => self.stage = Stage::Gone,
            Stage::Open(open) => open.input(self.mac, ip.as_ref(), turn),
            _ => {}
        }
    }

    /// Does what there is to do, with `open` connections in all. `false`: the connection is over.
    pub(super) fn serve(&mut self, open: usize, turn: &mut Turn<'_>) -> bool {
        if let Stage::Connecting(syn) = &self.stage {
            if !self.writable {
                return true;
            }
            let failed = match self.stream.take_error() {
                Ok(failed) => failed.or_else(|| self.stream.peer_addr().err()),
                Err(error) => Some(error),
            };
            let Ok(packet) = Ipv4Packet::new_checked(&syn[..]) else { return false };
            match failed {
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
            // Both only cost speed when they fail.
            let _ = self.stream.set_nodelay(true);
            let _ = rustix::net::sockopt::set_socket_keepalive(&self.stream, true);
            let Some(mut opened) = Open::new(&packet, self.seed, buffer_size(open), turn) else { return false };
            opened.input(self.mac, packet.as_ref(), turn);
            self.stage = Stage::Open(Box::new(opened));
        }
        let Stage::Open(open) = &mut self.stage else { return false };
        open.guest_to_host(&mut self.stream, &mut self.writable);
        open.host_to_guest(&mut self.stream, &mut self.readable);
        open.transmit(self.mac, turn);
        if open.broken() {
            // The peer shall see a reset too.
            let _ = rustix::net::sockopt::set_socket_linger(&self.stream, Some(std::time::Duration::ZERO));
            return false;
        }
        !open.finished()
    }

    /// When [`serve`](Self::serve) wants to be called without anything else happening.
    pub(super) fn deadline(&mut self, now: Instant) -> Option<Instant> {
        match &mut self.stage {
            Stage::Open(open) => open.interface.poll_at(now, &open.sockets),
            _ => None,
        }
    }
}

impl Open {
    fn new(syn: &Ipv4Packet<&[u8]>, seed: u64, size: usize, turn: &mut Turn<'_>) -> Option<Self> {
        let mut config = InterfaceConfig::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut Wire::new(MacAddr([0; 6]), None, &mut turn.out), turn.now);
        // The address that the guest called is ours here, and everything is next to it.
        interface.update_ip_addrs(|all| {
            let pushed = all.push(IpCidr::new(syn.dst_addr().into(), 0));
            debug_assert!(pushed.is_ok());
        });
        let buffer = || SocketBuffer::new(vec![0; size]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(None);
        socket.set_keep_alive(Some(KEEP_ALIVE));
        socket.set_timeout(Some(PATIENCE));
        let port = TcpPacket::new_checked(syn.payload()).ok()?.dst_port();
        socket.listen(IpListenEndpoint { addr: Some(syn.dst_addr().into()), port }).ok()?;
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let handle = sockets.add(socket);
        Some(Self { interface, sockets, handle, host_done: false, guest_done: false, guest_finished: false })
    }

    fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    fn input(&mut self, mac: MacAddr, packet: &[u8], turn: &mut Turn<'_>) {
        let mut wire = Wire::new(mac, Some(packet), &mut turn.out);
        self.interface.poll_ingress_single(turn.now, &mut wire, &mut self.sockets);
    }

    fn transmit(&mut self, mac: MacAddr, turn: &mut Turn<'_>) {
        let mut wire = Wire::new(mac, None, &mut turn.out);
        while self.interface.poll_egress(turn.now, &mut wire, &mut self.sockets) != PollResult::None {}
    }

    /// Writes what the guest has sent.
    fn guest_to_host(&mut self, stream: &mut TcpStream, writable: &mut bool) {
        let handle = self.handle;
        let socket = self.sockets.get_mut::<Socket<'_>>(handle);
        while *writable && socket.can_recv() {
            let written = socket.recv(|data| match stream.write(data) {
                Ok(count) => (count, Ok(())),
                Err(error) => (0, Err(error.kind())),
            });
            match written {
                Ok(Ok(())) | Ok(Err(ErrorKind::Interrupted)) => {}
                Ok(Err(ErrorKind::WouldBlock)) => *writable = false,
                Ok(Err(_)) | Err(_) => return socket.abort(),
            }
        }
        self.guest_finished |=
            matches!(socket.state(), State::CloseWait | State::LastAck | State::Closing | State::TimeWait);
        if self.guest_finished && !self.guest_done && socket.recv_queue() == 0 {
            self.guest_done = true;
            if stream.shutdown(Shutdown::Write).is_err() {
                socket.abort();
            }
        }
    }

    /// Reads what the guest is to get.
    fn host_to_guest(&mut self, stream: &mut TcpStream, readable: &mut bool) {
        let handle = self.handle;
        let socket = self.sockets.get_mut::<Socket<'_>>(handle);
        while *readable && !self.host_done && socket.can_send() {
            let read = socket.send(|room| match stream.read(room) {
                Ok(count) => (count, Ok(count)),
                Err(error) => (0, Err(error.kind())),
            });
            match read {
                Ok(Ok(0)) => {
                    self.host_done = true;
                    socket.close();
                }
                Ok(Ok(_)) | Ok(Err(ErrorKind::Interrupted)) => {}
                Ok(Err(ErrorKind::WouldBlock)) => *readable = false,
                Ok(Err(_)) | Err(_) => return socket.abort(),
            }
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
    fn finished(&mut self) -> bool {
        let ended = matches!(self.socket().state(), State::Closed | State::TimeWait);
        ended && self.host_done && self.guest_done
    }
}

/// The wire of one connection: at most one packet in, any number out as long as there is room.
struct Wire<'a, 'o> {
    mac: MacAddr,
    packet: Option<&'a [u8]>,
    out: &'a mut Out<'o>,
}

impl<'a, 'o> Wire<'a, 'o> {
    fn new(mac: MacAddr, packet: Option<&'a [u8]>, out: &'a mut Out<'o>) -> Self {
        Self { mac, packet, out }
    }
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
        Some((Received(packet), Transmit { mac: self.mac, out: self.out }))
    }

    fn transmit(&mut self, _: Instant) -> Option<Transmit<'_, 'o>> {
        (!self.out.blocked()).then_some(Transmit { mac: self.mac, out: self.out })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.out.mtu();
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
    out: &'t mut Out<'o>,
}

impl TxToken for Transmit<'_, '_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.out.tcp_packet(self.mac, len, f)
    }
}
