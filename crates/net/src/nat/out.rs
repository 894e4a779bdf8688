//! Frames on their way to the guest: headers, checksums, fragments, and a short queue for when there is no room.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};

use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, Ipv6Packet, UDP_HEADER_LEN, UdpPacket,
    checksum,
};

use super::train::Train;
use crate::{MAX_FRAME, MacAddr, Meta, Offloads, PartialChecksum, Port, SegmentKind, Segments};

/// How many frames wait when the guest gives no room. TCP and datagram flows stop at the first; the rest is for
/// short answers (ARP, DHCP, ICMP, RST), which are dropped beyond.
const WAITING: usize = 64;

pub(super) const ETHERNET: usize = EthernetFrame::<&[u8]>::header_len();
pub(super) const IPV4: usize = smoltcp::wire::IPV4_HEADER_LEN;
pub(super) const IPV6: usize = smoltcp::wire::IPV6_HEADER_LEN;
/// The fragment header of IPv6 (RFC 8200, 4.5).
const FRAGMENT: usize = 8;
/// A TCP header without options.
pub(super) const TCP: usize = smoltcp::wire::TCP_HEADER_LEN;
/// The largest IP packet.
const MAX_PACKET: usize = 65535;
/// Where the checksum is in the headers of TCP, UDP and ICMPv6.
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;
const ICMPV6_CHECKSUM: usize = 2;

/// What outlives a run: frames that found no room.
pub(super) struct Outbox {
    scratch: Vec<u8>,
    waiting: VecDeque<(Vec<u8>, Meta)>,
    mac: MacAddr,
    mtu: usize,
    ident: u32,
}

impl Outbox {
    pub(super) fn new(mac: MacAddr, mtu: u16) -> Self {
        Self { scratch: vec![0; MAX_FRAME], waiting: VecDeque::new(), mac, mtu: mtu.into(), ident: 0 }
    }

    /// The way to the guest through `port`.
    pub(super) fn to<'a>(&'a mut self, port: &'a mut dyn Port) -> Out<'a> {
        Out { offloads: port.offloads(), outbox: self, port }
    }
}

/// The way to the guest.
pub(super) struct Out<'a> {
    outbox: &'a mut Outbox,
    port: &'a mut dyn Port,
    offloads: Offloads,
}

impl Out<'_> {
    /// Whether frames are waiting for room: what can wait shall wait too.
    pub(super) fn blocked(&self) -> bool {
        !self.outbox.waiting.is_empty()
    }

    pub(super) fn port(&mut self) -> &mut dyn Port {
        self.port
    }

    pub(super) fn mtu(&self) -> usize {
        self.outbox.mtu
    }

    /// The largest TCP packet that may be sent at once, to be cut up by the card or the guest if need be.
    pub(super) fn largest(&self, v6: bool) -> usize {
        let offload = if v6 { Offloads::TSO6 } else { Offloads::TSO4 };
        if self.offloads.contains(offload | Offloads::CHECKSUM) { MAX_PACKET } else { self.outbox.mtu }
    }

    /// Tries again to deliver what waits.
    pub(super) fn drain(&mut self) {
        while let Some((frame, meta)) = self.outbox.waiting.front() {
            if !self.port.push(frame, *meta) {
                return;
            }
            self.outbox.waiting.pop_front();
        }
    }

    /// Sends the first `len` bytes of the scratch frame.
    fn send(&mut self, len: usize, meta: Meta) {
        let frame = &self.outbox.scratch[..len];
        if self.outbox.waiting.is_empty() && self.port.push(frame, meta) {
            return;
        }
        if self.outbox.waiting.len() < WAITING {
            self.outbox.waiting.push_back((frame.to_vec(), meta));
        }
    }

    fn ethernet(&mut self, to: MacAddr, protocol: EthernetProtocol) {
        let mut frame = EthernetFrame::new_unchecked(&mut self.outbox.scratch[..]);
        frame.set_dst_addr(EthernetAddress(to.0));
        frame.set_src_addr(EthernetAddress(self.outbox.mac.0));
        frame.set_ethertype(protocol);
    }

    /// Sends an ARP packet of `len` bytes that `fill` writes.
    pub(super) fn arp(&mut self, to: MacAddr, len: usize, fill: impl FnOnce(&mut [u8])) {
        self.ethernet(to, EthernetProtocol::Arp);
        fill(&mut self.outbox.scratch[ETHERNET..ETHERNET + len]);
        self.send(ETHERNET + len, Meta::default());
    }

    /// Sends a TCP packet of `len` bytes that `fill` writes whole, except for its checksum. The IP header has neither
    /// options nor extensions. `len` may be up to [`largest`](Self::largest); the segments that it is cut into then
    /// have at most `mss` bytes of data and TCP options.
    pub(super) fn tcp_packet<R>(
        &mut self,
        to: MacAddr,
        mss: usize,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        let packet = &mut self.outbox.scratch[ETHERNET..ETHERNET + len];
        let result = fill(packet);
        let v6 = packet[0] >> 4 == 6;
        let header = if v6 { IPV6 } else { IPV4 };
        let tcp_header = usize::from(packet[header + 12] >> 4) * 4;
        let size = (mss + TCP).saturating_sub(tcp_header).max(1);
        let kind = if v6 { SegmentKind::Tcp6 } else { SegmentKind::Tcp4 };
        let segments = (len - header - tcp_header > size).then_some(Segments { kind, size: size as u16 });
        self.ethernet(to, if v6 { EthernetProtocol::Ipv6 } else { EthernetProtocol::Ipv4 });
        let meta = self.finish(len, TCP_CHECKSUM, self.offloads.contains(Offloads::CHECKSUM));
        self.send(ETHERNET + len, Meta { segments, ..meta });
        result
    }

    /// Sends a TCP segment without data whose header `fill` writes, except for the checksum.
    pub(super) fn tcp_segment(
        &mut self,
        to: MacAddr,
        source: IpAddr,
        target: IpAddr,
        len: usize,
        fill: impl FnOnce(&mut [u8]),
    ) {
        let header = header_len(source);
        fill(&mut self.outbox.scratch[ETHERNET + header..][..len]);
        self.ip(to, source, target, IpProtocol::Tcp, len, 64);
    }

    /// Sends a UDP datagram. One that fits into no IP packet is lost, as on any wire.
    pub(super) fn udp(&mut self, to: MacAddr, source: SocketAddr, target: SocketAddr, payload: &[u8]) {
        if let Some(len) = self.datagram(source, target, payload) {
            self.ip(to, source.ip(), target.ip(), IpProtocol::Udp, len, 64);
        }
    }

    /// Sends datagrams of UDP: as one frame to a card that cuts it, or one by one.
    pub(super) fn train(&mut self, to: MacAddr, source: SocketAddr, target: SocketAddr, train: &Train) {
        let header = header_len(source.ip());
        let segment = header + UDP_HEADER_LEN + train.size();
        let cut = self.offloads.contains(Offloads::USO | Offloads::CHECKSUM) && segment <= self.outbox.mtu;
        if train.is_long()
            && cut
            && let Some(len) = self.datagram(source, target, train.bytes())
        {
            let segments = Segments { kind: SegmentKind::Udp, size: train.size() as u16 };
            self.ethernet(to, if source.is_ipv4() { EthernetProtocol::Ipv4 } else { EthernetProtocol::Ipv6 });
            self.header(source.ip(), target.ip(), IpProtocol::Udp, len, 64, None);
            let meta = self.finish(header + len, UDP_CHECKSUM, true);
            return self.send(ETHERNET + header + len, Meta { segments: Some(segments), ..meta });
        }
        train.datagrams().for_each(|datagram| self.udp(to, source, target, datagram));
    }

    /// Writes a UDP header and `payload` behind where the IP header of a packet from `source` will be, and gives their
    /// length.
    fn datagram(&mut self, source: SocketAddr, target: SocketAddr, payload: &[u8]) -> Option<usize> {
        let at = ETHERNET + header_len(source.ip());
        let len = UDP_HEADER_LEN + payload.len();
        let room = self.outbox.scratch[at..ETHERNET + MAX_PACKET].get_mut(..len)?;
        room[UDP_HEADER_LEN..].copy_from_slice(payload);
        let mut udp = UdpPacket::new_unchecked(room);
        udp.set_src_port(source.port());
        udp.set_dst_port(target.port());
        udp.set_len(len as u16);
        udp.set_checksum(0);
        Some(len)
    }

    /// Sends an ICMP or ICMPv6 message which `fill` writes, and gives its length. ICMPv6 gets its checksum here.
    pub(super) fn icmp(
        &mut self,
        to: MacAddr,
        source: IpAddr,
        target: IpAddr,
        fill: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<()> {
        let at = ETHERNET + header_len(source);
        let len = fill(&mut self.outbox.scratch[at..ETHERNET + MAX_PACKET])?;
        let protocol = if source.is_ipv4() { IpProtocol::Icmp } else { IpProtocol::Icmpv6 };
        // Neighbour discovery believes only what has not been through a router (RFC 4861, 6.1.1).
        let hops = if source.is_ipv4() { 64 } else { 255 };
        self.ip(to, source, target, protocol, len, hops);
        Ok(())
    }

    /// Puts the header before the `len` bytes of payload in the scratch frame and sends them, in fragments if need
    /// be. All but ICMPv4 get their checksum here.
    fn ip(&mut self, to: MacAddr, source: IpAddr, target: IpAddr, protocol: IpProtocol, len: usize, hops: u8) {
        let header = header_len(source);
        self.ethernet(to, if source.is_ipv4() { EthernetProtocol::Ipv4 } else { EthernetProtocol::Ipv6 });
        self.header(source, target, protocol, len, hops, None);
        let whole = header + len <= self.outbox.mtu;
        let field = match protocol {
            IpProtocol::Udp => Some(UDP_CHECKSUM),
            IpProtocol::Tcp => Some(TCP_CHECKSUM),
            IpProtocol::Icmpv6 => Some(ICMPV6_CHECKSUM),
            _ => None,
        };
        let offload = self.offloads.contains(Offloads::CHECKSUM);
        let partial = offload && whole && protocol != IpProtocol::Icmpv6;
        let meta = field.map_or_else(Meta::default, |field| self.finish(header + len, field, partial));
        if whole {
            return self.send(ETHERNET + header + len, meta);
        }
        self.outbox.ident = self.outbox.ident.wrapping_add(1);
        let payload = self.outbox.scratch[ETHERNET + header..][..len].to_vec();
        let extension = if source.is_ipv4() { 0 } else { FRAGMENT };
        let piece = (self.outbox.mtu - header - extension) & !7;
        for (n, bytes) in payload.chunks(piece).enumerate() {
            let offset = n * piece;
            self.outbox.scratch[ETHERNET + header + extension..][..bytes.len()].copy_from_slice(bytes);
            let part = Some((offset as u16, offset + bytes.len() < len));
            self.header(source, target, protocol, extension + bytes.len(), hops, part);
            self.send(ETHERNET + header + extension + bytes.len(), Meta::default());
        }
    }

    /// Writes the IP header of a packet with `len` bytes behind it, or of a part of one: its offset, and whether
    /// more parts follow.
    fn header(
        &mut self,
        from: IpAddr,
        to: IpAddr,
        protocol: IpProtocol,
        len: usize,
        hops: u8,
        part: Option<(u16, bool)>,
    ) {
        let ident = self.outbox.ident;
        let bytes = &mut self.outbox.scratch[ETHERNET..];
        match (from, to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let mut ip = Ipv4Packet::new_unchecked(bytes);
                ip.set_version(4);
                ip.set_header_len(IPV4 as u8);
                ip.set_dscp(0);
                ip.set_ecn(0);
                ip.set_total_len((IPV4 + len) as u16);
                ip.clear_flags();
                ip.set_dont_frag(part.is_none());
                ip.set_ident(part.map_or(0, |_| ident as u16));
                ip.set_more_frags(part.is_some_and(|(_, more)| more));
                ip.set_frag_offset(part.map_or(0, |(offset, _)| offset));
                ip.set_hop_limit(hops);
                ip.set_next_header(protocol);
                ip.set_src_addr(from);
                ip.set_dst_addr(to);
                ip.fill_checksum();
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                if let Some((offset, more)) = part {
                    let head = &mut bytes[IPV6..IPV6 + FRAGMENT];
                    head[..2].copy_from_slice(&[protocol.into(), 0]);
                    head[2..4].copy_from_slice(&(offset | u16::from(more)).to_be_bytes());
                    head[4..].copy_from_slice(&ident.to_be_bytes());
                }
                let mut ip = Ipv6Packet::new_unchecked(bytes);
                ip.set_version(6);
                ip.set_traffic_class(0);
                ip.set_flow_label(0);
                ip.set_payload_len(len as u16);
                ip.set_next_header(if part.is_some() { IpProtocol::Ipv6Frag } else { protocol });
                ip.set_hop_limit(hops);
                ip.set_src_addr(from);
                ip.set_dst_addr(to);
            }
            _ => debug_assert!(false, "a packet is of one version"),
        }
    }

    /// Sets the transport checksum of the IP packet of `len` bytes in the scratch frame, whose field is `field`
    /// bytes into the transport header: whole, or partial where the port takes that.
    fn finish(&mut self, len: usize, field: usize, partial: bool) -> Meta {
        let packet = &mut self.outbox.scratch[ETHERNET..ETHERNET + len];
        let (header, protocol, pseudo) = match packet[0] >> 4 {
            6 => {
                let ip = Ipv6Packet::new_unchecked(&packet[..]);
                let (protocol, len) = (ip.next_header(), (len - IPV6) as u32);
                (IPV6, protocol, checksum::pseudo_header_v6(&ip.src_addr(), &ip.dst_addr(), protocol, len))
            }
            _ => {
                let ip = Ipv4Packet::new_unchecked(&packet[..]);
                let (protocol, len) = (ip.next_header(), (len - IPV4) as u32);
                (IPV4, protocol, checksum::pseudo_header_v4(&ip.src_addr(), &ip.dst_addr(), protocol, len))
            }
        };
        let transport = &mut packet[header..];
        transport[field..field + 2].fill(0);
        if partial {
            transport[field..field + 2].copy_from_slice(&pseudo.to_be_bytes());
            let partial = PartialChecksum { start: (ETHERNET + header) as u16, offset: field as u16 };
            return Meta { partial: Some(partial), ..Meta::default() };
        }
        let mut sum = !checksum::combine(&[pseudo, checksum::data(transport)]);
        if sum == 0 && protocol == IpProtocol::Udp {
            // Zero means "no checksum" (RFC 768).
            sum = 0xffff;
        }
        transport[field..field + 2].copy_from_slice(&sum.to_be_bytes());
        Meta::default()
    }
}

/// The length of the header of a packet from `source`.
fn header_len(source: IpAddr) -> usize {
    match source {
        IpAddr::V4(_) => IPV4,
        IpAddr::V6(_) => IPV6,
    }
}
