//! ICMP and ARP as far as the gateway answers them itself.

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, Icmpv4Message, Icmpv4Packet, Icmpv4Repr, Ipv4Packet,
};

use super::Config;
use super::out::Out;
use crate::MacAddr;

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

/// An echo request's identifier and whole message, if that is what the ICMP packet is and its checksum is right.
pub(super) fn echo_request<'a>(ip: &Ipv4Packet<&'a [u8]>) -> Option<(u16, &'a [u8])> {
    let bytes = ip.payload();
    let message = Icmpv4Packet::new_checked(bytes).ok().filter(Icmpv4Packet::verify_checksum)?;
    (message.msg_type() == Icmpv4Message::EchoRequest && message.msg_code() == 0).then(|| (message.echo_ident(), bytes))
}

/// Answers an echo request to the gateway.
pub(super) fn pong(config: &Config, to: MacAddr, ip: &Ipv4Packet<&[u8]>, out: &mut Out<'_>) {
    let Ok(message) = Icmpv4Packet::new_checked(ip.payload()) else { return };
    let (ident, seq_no, data) = (message.echo_ident(), message.echo_seq_no(), message.data());
    let reply = Icmpv4Repr::EchoReply { ident, seq_no, data };
    let sent = out.icmp(to, config.gateway, ip.src_addr(), |bytes| {
        let bytes = &mut bytes[..reply.buffer_len()];
        reply.emit(&mut Icmpv4Packet::new_unchecked(bytes), &ChecksumCapabilities::default());
        Ok(reply.buffer_len())
    });
    debug_assert!(sent.is_ok());
}
