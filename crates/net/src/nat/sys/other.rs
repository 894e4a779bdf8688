//! Hosts other than Linux, whose routing table no file shows: what their interfaces' addresses say has to do. Their
//! sockets cut datagrams up where need be.

use std::net::UdpSocket;

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
