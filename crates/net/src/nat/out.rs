//! Frames on their way to the guest: headers, checksums, fragments, and a short queue for when there is no room.

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv4DstUnreachable, Icmpv4Packet, Icmpv4Repr, IpProtocol,
    Ipv4Packet, Ipv4Repr, UDP_HEADER_LEN, UdpPacket, checksum,
};

use crate::{MAX_FRAME, MacAddr, Meta, Offloads, PartialChecksum, Port};

/// How many frames wait when the guest gives no room. TCP and datagram flows stop at the first; the rest is for
/// short answers (ARP, DHCP, ICMP, RST), which are dropped beyond.
const WAITING: usize = 64;

pub(super) const ETHERNET: usize = EthernetFrame::<&[u8]>::header_len();
pub(super) const IPV4: usize = smoltcp::wire::IPV4_HEADER_LEN;

/// What outlives a run: frames that found no room.
pub(super) struct Outbox {
    scratch: Vec<u8>,
    waiting: VecDeque<(Vec<u8>, Meta)>,
    mac: MacAddr,
    mtu: usize,
    ident: u16,
}

impl Outbox {
    pub(super) fn new(mac: MacAddr, mtu: u16) -> Self {
        Self { scratch: vec![0; MAX_FRAME], waiting: VecDeque::new(), mac, mtu: mtu.into(), ident: 0 }
    }

    /// The way to the guest through `port`.
    pub(super) fn to<'a>(&'a mut self, port: &'a mut dyn Port) -> Out<'a> {
        Out { partial: port.offloads().contains(Offloads::CHECKSUM), outbox: self, port }
    }
}

/// The way to the guest.
pub(super) struct Out<'a> {
    outbox: &'a mut Outbox,
    port: &'a mut dyn Port,
    partial: bool,
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

    /// Sends an IPv4 packet of `len` bytes that `fill` writes whole, except for the checksum of TCP. The header has
    /// no options.
    pub(super) fn tcp_packet<R>(&mut self, to: MacAddr, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        self.ethernet(to, EthernetProtocol::Ipv4);
        let result = fill(&mut self.outbox.scratch[ETHERNET..ETHERNET + len]);
        let meta = self.finish(len, 16);
        self.send(ETHERNET + len, meta);
        result
    }

    /// Sends a UDP datagram whose payload `fill` writes, and gives its length. `None` from `fill`: nothing to send.
    pub(super) fn udp(
        &mut self,
        to: MacAddr,
        (source, source_port): (Ipv4Addr, u16),
        (target, target_port): (Ipv4Addr, u16),
        fill: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<()> {
        let at = ETHERNET + IPV4;
        let len = UDP_HEADER_LEN + fill(&mut self.outbox.scratch[at + UDP_HEADER_LEN..at + 65515])?;
        let mut udp = UdpPacket::new_unchecked(&mut self.outbox.scratch[at..at + len]);
        udp.set_src_port(source_port);
        udp.set_dst_port(target_port);
        udp.set_len(len as u16);
        udp.set_checksum(0);
        self.ipv4(to, source, target, IpProtocol::Udp, len);
        Ok(())
    }

    /// Sends an ICMP message which `fill` writes, checksum and all.
    pub(super) fn icmp(
        &mut self,
        to: MacAddr,
        source: Ipv4Addr,
        target: Ipv4Addr,
        fill: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<()> {
        let at = ETHERNET + IPV4;
        let len = fill(&mut self.outbox.scratch[at..at + 65515])?;
        self.ipv4(to, source, target, IpProtocol::Icmp, len);
        Ok(())
    }

    /// Tells the guest that its packet (an IPv4 packet as it sent it) did not arrive (RFC 792).
    pub(super) fn unreachable(&mut self, to: MacAddr, source: Ipv4Addr, packet: &[u8], reason: Icmpv4DstUnreachable) {
        let Ok(ip) = Ipv4Packet::new_checked(packet) else { return };
        let Ok(header) = Ipv4Repr::parse(&ip, &ChecksumCapabilities::ignored()) else { return };
        let target = header.src_addr;
        let payload = ip.payload();
        let data = &payload[..payload.len().min(8)];
        let message = Icmpv4Repr::DstUnreachable { reason, header, data };
        let sent = self.icmp(to, source, target, |bytes| {
            let bytes = &mut bytes[..message.buffer_len()];
            message.emit(&mut Icmpv4Packet::new_unchecked(bytes), &ChecksumCapabilities::default());
            Ok(message.buffer_len())
        });
        debug_assert!(sent.is_ok());
    }

    /// Puts the header before the `len` bytes of payload in the scratch frame and sends them, in fragments if need
    /// be. UDP gets its checksum here.
    fn ipv4(&mut self, to: MacAddr, source: Ipv4Addr, target: Ipv4Addr, protocol: IpProtocol, len: usize) {
        self.ethernet(to, EthernetProtocol::Ipv4);
        let whole = IPV4 + len <= self.outbox.mtu;
        self.header(source, target, protocol, len, None);
        let meta = match protocol {
            IpProtocol::Udp => {
                self.partial &= whole;
                let meta = self.finish(IPV4 + len, 6);
                self.partial = self.port.offloads().contains(Offloads::CHECKSUM);
                meta
            }
            _ => Meta::default(),
        };
        if whole {
            return self.send(ETHERNET + IPV4 + len, meta);
        }
        let payload = self.outbox.scratch[ETHERNET + IPV4..][..len].to_vec();
        let piece = (self.outbox.mtu - IPV4) & !7;
        self.outbox.ident = self.outbox.ident.wrapping_add(1);
        for (n, bytes) in payload.chunks(piece).enumerate() {
            let offset = n * piece;
            self.outbox.scratch[ETHERNET + IPV4..][..bytes.len()].copy_from_slice(bytes);
            let more = offset + bytes.len() < len;
            self.header(source, target, protocol, bytes.len(), Some((offset as u16, more)));
            self.send(ETHERNET + IPV4 + bytes.len(), Meta::default());
        }
    }

    fn header(&mut self, from: Ipv4Addr, to: Ipv4Addr, protocol: IpProtocol, len: usize, part: Option<(u16, bool)>) {
        let ident = self.outbox.ident;
        let mut ip = Ipv4Packet::new_unchecked(&mut self.outbox.scratch[ETHERNET..]);
        ip.set_version(4);
        ip.set_header_len(IPV4 as u8);
        ip.set_dscp(0);
        ip.set_ecn(0);
        ip.set_total_len((IPV4 + len) as u16);
        ip.clear_flags();
        ip.set_dont_frag(part.is_none());
        ip.set_ident(part.map_or(0, |_| ident));
        ip.set_more_frags(part.is_some_and(|(_, more)| more));
        ip.set_frag_offset(part.map_or(0, |(offset, _)| offset));
        ip.set_hop_limit(64);
        ip.set_next_header(protocol);
        ip.set_src_addr(from);
        ip.set_dst_addr(to);
        ip.fill_checksum();
    }

    /// Sets the transport checksum of the IPv4 packet of `len` bytes in the scratch frame, whose field is `field`
    /// bytes into the transport header: whole, or partial where the port takes that.
    fn finish(&mut self, len: usize, field: usize) -> Meta {
        let packet = &mut self.outbox.scratch[ETHERNET..ETHERNET + len];
        let ip = Ipv4Packet::new_unchecked(&packet[..]);
        let protocol = ip.next_header();
        let pseudo = checksum::pseudo_header_v4(&ip.src_addr(), &ip.dst_addr(), protocol, (len - IPV4) as u32);
        let transport = &mut packet[IPV4..];
        transport[field..field + 2].fill(0);
        if self.partial {
            transport[field..field + 2].copy_from_slice(&pseudo.to_be_bytes());
            let partial = PartialChecksum { start: (ETHERNET + IPV4) as u16, offset: field as u16 };
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
