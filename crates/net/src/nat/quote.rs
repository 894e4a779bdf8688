//! Packets of the guest made up again, for errors that come when the packet itself is long gone.

use std::net::{IpAddr, SocketAddr};

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IpProtocol, Ipv4Packet, Ipv4Repr, Ipv6Packet, Ipv6Repr, UDP_HEADER_LEN, UdpPacket};

/// The headers of a UDP packet from `guest` to `peer`.
pub(super) fn udp(guest: SocketAddr, peer: SocketAddr) -> Vec<u8> {
    let (payload_len, hop_limit, next_header) = (UDP_HEADER_LEN, 64, IpProtocol::Udp);
    let mut bytes = match (guest.ip(), peer.ip()) {
        (IpAddr::V4(src_addr), IpAddr::V4(dst_addr)) => {
            let ip = Ipv4Repr { src_addr, dst_addr, next_header, payload_len, hop_limit };
            let mut bytes = vec![0; ip.buffer_len() + payload_len];
            ip.emit(&mut Ipv4Packet::new_unchecked(&mut bytes[..]), &ChecksumCapabilities::default());
            bytes
        }
        (IpAddr::V6(src_addr), IpAddr::V6(dst_addr)) => {
            let ip = Ipv6Repr { src_addr, dst_addr, next_header, payload_len, hop_limit };
            let mut bytes = vec![0; ip.buffer_len() + payload_len];
            ip.emit(&mut Ipv6Packet::new_unchecked(&mut bytes[..]));
            bytes
        }
        _ => return Vec::new(),
    };
    let at = bytes.len() - UDP_HEADER_LEN;
    let mut udp = UdpPacket::new_unchecked(&mut bytes[at..]);
    udp.set_src_port(guest.port());
    udp.set_dst_port(peer.port());
    udp.set_len(UDP_HEADER_LEN as u16);
    bytes
}
