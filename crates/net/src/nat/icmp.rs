//! ICMP of both versions and ARP, as far as the gateway answers them itself (RFC 792, 826, 4443).

use std::net::{IpAddr, SocketAddr};

use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetAddress, Icmpv4Packet, IpProtocol, TcpPacket, checksum};

use super::Config;
use super::out::{IPV4, IPV6, Out};
use super::packet::Packet;
use crate::MacAddr;

/// The bytes before the data of all messages that matter here.
const HEADER: usize = 8;
/// An ICMPv6 error does not make a packet longer than every link carries (RFC 4443, 2.4).
const IPV6_MIN_MTU: usize = 1280;

/// Types of messages.
mod kind {
    pub(super) const V4_ECHO_REPLY: u8 = 0;
    pub(super) const V4_UNREACHABLE: u8 = 3;
    pub(super) const V4_ECHO: u8 = 8;
    pub(super) const V6_UNREACHABLE: u8 = 1;
    pub(super) const V6_TOO_BIG: u8 = 2;
    pub(super) const V6_ECHO: u8 = 128;
    pub(super) const V6_ECHO_REPLY: u8 = 129;
}

/// Why a packet did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreachable {
    Net,
    Host,
    Port,
    Prohibited,
    /// It is larger than the way, which takes so many bytes of an IP packet.
    TooBig(u16),
}

impl Unreachable {
    /// Type, code, and the last 32 bits of the header.
    fn numbers(self, v6: bool) -> (u8, u8, u32) {
        match (self, v6) {
            (Self::Net, false) => (kind::V4_UNREACHABLE, 0, 0),
            (Self::Host, false) => (kind::V4_UNREACHABLE, 1, 0),
            (Self::Port, false) => (kind::V4_UNREACHABLE, 3, 0),
            // RFC 1191, 4.
            (Self::TooBig(mtu), false) => (kind::V4_UNREACHABLE, 4, mtu.into()),
            // RFC 1812, 5.2.7.1.
            (Self::Prohibited, false) => (kind::V4_UNREACHABLE, 13, 0),
            (Self::Net, true) => (kind::V6_UNREACHABLE, 0, 0),
            (Self::Prohibited, true) => (kind::V6_UNREACHABLE, 1, 0),
            (Self::Host, true) => (kind::V6_UNREACHABLE, 3, 0),
            (Self::Port, true) => (kind::V6_UNREACHABLE, 4, 0),
            (Self::TooBig(mtu), true) => (kind::V6_TOO_BIG, 0, mtu.into()),
        }
    }
}

/// Answers who asks for the gateway's Ethernet address.
pub(super) fn arp(config: &Config, from: MacAddr, payload: &[u8], out: &mut Out<'_>) {
    let Ok(Ok(ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr,
        source_protocol_addr,
        target_protocol_addr,
        ..
    })) = ArpPacket::new_checked(payload).map(|p| ArpRepr::parse(&p))
    else {
        return;
    };
    // An address that looks for itself (RFC 5227) is zero here and is answered too if it wants to be the gateway's.
    if operation != ArpOperation::Request || target_protocol_addr != config.gateway {
        return;
    }
    let reply = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: EthernetAddress(config.gateway_mac.0),
        source_protocol_addr: config.gateway,
        target_hardware_addr: source_hardware_addr,
        target_protocol_addr: source_protocol_addr,
    };
    out.arp(from, reply.buffer_len(), |bytes| reply.emit(&mut ArpPacket::new_unchecked(bytes)));
}

/// The checksum of an ICMP or ICMPv6 message is right.
pub(super) fn is_intact(packet: &Packet<'_>) -> bool {
    match (packet.source, packet.target) {
        (IpAddr::V4(_), _) => Icmpv4Packet::new_checked(packet.payload).is_ok_and(|p| p.verify_checksum()),
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let len = packet.payload.len() as u32;
            let pseudo = checksum::pseudo_header_v6(&from, &to, IpProtocol::Icmpv6, len);
            packet.partial || checksum::combine(&[pseudo, checksum::data(packet.payload)]) == 0xffff
        }
        _ => false,
    }
}

/// An echo request's identifier, if that is what the message is.
pub(super) fn echo_request(packet: &Packet<'_>) -> Option<u16> {
    let header = packet.payload.get(..HEADER)?;
    let wanted = if packet.source.is_ipv4() { kind::V4_ECHO } else { kind::V6_ECHO };
    (header[0] == wanted && header[1] == 0 && is_intact(packet)).then(|| u16::from_be_bytes([header[4], header[5]]))
}

/// Answers an echo request to the gateway.
pub(super) fn pong(to: MacAddr, packet: &Packet<'_>, out: &mut Out<'_>) {
    let sent = out.icmp(to, packet.target, packet.source, |bytes| {
        let bytes = &mut bytes[..packet.payload.len()];
        bytes.copy_from_slice(packet.payload);
        let ident = u16::from_be_bytes([bytes[4], bytes[5]]);
        become_reply(bytes, ident, packet.source.is_ipv4());
        Ok(bytes.len())
    });
    debug_assert!(sent.is_ok());
}

/// Makes an echo message of at least 8 bytes the reply under `ident`. That of version 6 has no checksum yet.
pub(super) fn become_reply(bytes: &mut [u8], ident: u16, v4: bool) {
    bytes[0] = if v4 { kind::V4_ECHO_REPLY } else { kind::V6_ECHO_REPLY };
    bytes[4..6].copy_from_slice(&ident.to_be_bytes());
    if v4 {
        Icmpv4Packet::new_unchecked(bytes).fill_checksum();
    }
}

/// Tells the guest that its packet (an IP packet as it sent it) did not arrive.
pub(super) fn unreachable(config: &Config, to: MacAddr, packet: &Packet<'_>, reason: Unreachable, out: &mut Out<'_>) {
    let gateway = match packet.source {
        IpAddr::V4(_) => IpAddr::V4(config.gateway),
        IpAddr::V6(_) => match config.gateway6() {
            Some(gateway) => gateway.into(),
            None => return,
        },
    };
    let (kind, code, value) = reason.numbers(packet.source.is_ipv6());
    // RFC 792 wants the header and eight bytes; RFC 4443 as much as fits.
    let most = match packet.source {
        IpAddr::V4(_) => packet.bytes.len() - packet.payload.len() + 8,
        IpAddr::V6(_) => IPV6_MIN_MTU - IPV6 - HEADER,
    };
    let data = &packet.bytes[..packet.bytes.len().min(most)];
    let sent = out.icmp(to, gateway, packet.source, |bytes| {
        let bytes = &mut bytes[..HEADER + data.len()];
        bytes[..4].copy_from_slice(&[kind, code, 0, 0]);
        bytes[4..HEADER].copy_from_slice(&value.to_be_bytes());
        bytes[HEADER..].copy_from_slice(data);
        if packet.source.is_ipv4() {
            Icmpv4Packet::new_unchecked(&mut *bytes).fill_checksum();
        }
        Ok(bytes.len())
    });
    debug_assert!(sent.is_ok());
}

/// If the guest says that a TCP segment of ours did not arrive: from where it came, and to where.
pub(super) fn refused_segment(packet: &Packet<'_>) -> Option<(SocketAddr, SocketAddr)> {
    let header = packet.payload.get(..HEADER)?;
    let wanted = if packet.source.is_ipv4() { kind::V4_UNREACHABLE } else { kind::V6_UNREACHABLE };
    if header[0] != wanted || !is_intact(packet) {
        return None;
    }
    let inner = &packet.payload[HEADER..];
    let (source, target, rest): (IpAddr, IpAddr, _) = match inner.first()? >> 4 {
        4 if inner.len() >= IPV4 && inner[9] == u8::from(IpProtocol::Tcp) => {
            let address = |at: usize| <[u8; 4]>::try_from(&inner[at..at + 4]).map(IpAddr::from);
            (address(12).ok()?, address(16).ok()?, inner.get(usize::from(inner[0] & 15) * 4..)?)
        }
        6 if inner.len() >= IPV6 && inner[6] == u8::from(IpProtocol::Tcp) => {
            let address = |at: usize| <[u8; 16]>::try_from(&inner[at..at + 16]).map(IpAddr::from);
            (address(8).ok()?, address(24).ok()?, &inner[IPV6..])
        }
        _ => return None,
    };
    let ports = rest.get(..4)?;
    let tcp = TcpPacket::new_unchecked(ports);
    Some(((source, tcp.src_port()).into(), (target, tcp.dst_port()).into()))
}
