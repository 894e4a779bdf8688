//! Hosts other than Linux, whose routing table no file shows: what their interfaces' addresses say has to do. Their
//! sockets cut datagrams up where need be.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use rustix::io::Errno;
use smoltcp::wire::{IpCidr, Ipv4Cidr};

/// The networks around the addresses from which the host would send to some well-known private networks, as far as a
/// socket tells; nothing is sent.
pub(in crate::nat) fn routes() -> Vec<IpCidr> {
    let private = ["10.0.0.1:9", "172.16.0.1:9", "192.168.64.2:9", "192.168.65.2:9", "192.168.1.1:9"];
    let source = |target: &&str| {
        let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
        socket.connect(target).ok()?;
        match socket.local_addr().ok()?.ip() {
            std::net::IpAddr::V4(address) => Some(IpCidr::Ipv4(Ipv4Cidr::new(address, 24))),
            std::net::IpAddr::V6(_) => None,
        }
    };
    private.iter().filter_map(source).collect()
}

/// These hosts have no such choice by socket.
pub(in crate::nat) fn send_whole(_: &mio::net::UdpSocket, _: bool, _: bool) {}

/// These hosts do not tell.
pub(in crate::nat) fn path_mtu(_: &mio::net::UdpSocket, _: bool) -> Option<u16> {
    None
}

/// What was received with one call: one datagram.
#[derive(Default)]
pub(in crate::nat) struct Inbox {
    bytes: Vec<u8>,
    message: Option<(SocketAddr, usize)>,
}

impl Inbox {
    /// Receives what waits at a socket, as far as there is room; whether there may be more.
    pub(in crate::nat) fn receive(&mut self, socket: &mio::net::UdpSocket) -> io::Result<bool> {
        self.message = None;
        self.bytes.resize(65536, 0);
        let (len, from) = socket.recv_from(&mut self.bytes)?;
        self.message = Some((from, len));
        Ok(true)
    }

    /// The datagrams that were received and who has sent them, in their order.
    pub(in crate::nat) fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        self.message.map(|(from, len)| (from, &self.bytes[..len])).into_iter()
    }
}

/// These hosts merge none.
pub(in crate::nat) fn merge(_: &mio::net::UdpSocket) {}

/// These hosts cut nothing.
pub(in crate::nat) fn send_cut(_: &mio::net::UdpSocket, _: Option<SocketAddr>, _: &[u8], _: usize) -> io::Result<()> {
    Err(Errno::OPNOTSUPP.into())
}
