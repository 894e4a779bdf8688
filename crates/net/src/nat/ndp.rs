//! Neighbour discovery (RFC 4861): the gateway advertises itself as router, with the network for addresses that
//! guests make themselves (RFC 4862) and the DNS relay (RFC 8106), and answers who looks for its Ethernet address.

use std::net::{IpAddr, Ipv6Addr};

use smoltcp::time::{Duration, Instant};

use super::out::Out;
use super::packet::Packet;
use super::{Config, Leases, icmp, names, subnet};
use crate::MacAddr;

/// How long, in seconds, a guest may use the router without hearing of it again: the longest there is (6.2.1).
const LIFETIME: u16 = 9000;
/// How often guests hear of it without asking.
const INTERVAL: Duration = Duration::from_secs(3000);
/// All nodes on the link, and what Ethernet calls them (RFC 2464, 7).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: MacAddr = MacAddr([0x33, 0x33, 0, 0, 0, 1]);
/// What has not been through a router (6.1.1).
const HOP_LIMIT: u8 = 255;
/// Where the hop limit is in an IPv6 header.
const HOP_LIMIT_AT: usize = 7;

/// Types of messages.
mod kind {
    pub(super) const ROUTER_SOLICITATION: u8 = 133;
    pub(super) const ROUTER_ADVERTISEMENT: u8 = 134;
    pub(super) const NEIGHBOR_SOLICITATION: u8 = 135;
    pub(super) const NEIGHBOR_ADVERTISEMENT: u8 = 136;
}

/// The router as its guests know it.
#[derive(Default)]
pub(super) struct Advertiser {
    next: Option<Instant>,
}

impl Advertiser {
    /// Takes an ICMPv6 message; whether it was one of neighbour discovery.
    pub(super) fn input(
        &mut self,
        config: &Config,
        leases: &Leases,
        from: MacAddr,
        packet: &Packet<'_>,
        now: Instant,
        out: &mut Out<'_>,
    ) -> bool {
        let Some(kind) = packet.payload.first().copied() else { return false };
        if !(kind::ROUTER_SOLICITATION..=137).contains(&kind) {
            return false;
        }
        let valid = packet.payload.get(1) == Some(&0) && packet.bytes[HOP_LIMIT_AT] == HOP_LIMIT;
        if !valid || config.prefix6.is_none() || !icmp::is_intact(packet) {
            return true;
        }
        let IpAddr::V6(source) = packet.source else { return true };
        match kind {
            kind::ROUTER_SOLICITATION => {
                leases.unseen(from);
                self.next.get_or_insert(now + INTERVAL);
                match source.is_unspecified() {
                    true => advertise(config, ALL_NODES_MAC, ALL_NODES, out),
                    false => advertise(config, from, source, out),
                }
            }
            kind::NEIGHBOR_SOLICITATION => {
                let target = packet.payload.get(8..24).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
                let Some(target) = target.map(Ipv6Addr::from) else { return true };
                if config.is_gateway(target.into()) {
                    neighbor(config, from, source, target, out);
                }
                // It asks with its own address, or whether another has what is to become its own (RFC 4862, 5.4).
                let own = if source.is_unspecified() { target } else { source };
                if config.is_guest(own.into()) && !own.is_unicast_link_local() {
                    leases.seen(from, own);
                }
            }
            _ => {}
        }
        true
    }

    /// Advertises again, if it is time and anybody has ever asked.
    pub(super) fn expire(&mut self, config: &Config, now: Instant, out: &mut Out<'_>) {
        if self.next.is_some_and(|at| at <= now) {
            self.next = Some(now + INTERVAL);
            advertise(config, ALL_NODES_MAC, ALL_NODES, out);
        }
    }

    /// When [`expire`](Self::expire) wants to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next
    }
}

/// Sends a router advertisement (4.2).
fn advertise(config: &Config, to: MacAddr, target: Ipv6Addr, out: &mut Out<'_>) {
    let (Some(network), Some(gateway)) = (config.prefix6, config.gateway6()) else { return };
    let mut message = vec![kind::ROUTER_ADVERTISEMENT, 0, 0, 0, 64, 0];
    message.extend(LIFETIME.to_be_bytes());
    message.extend([0; 8]);
    // Source link-layer address (4.6.1), MTU (4.6.4).
    message.extend([1, 1]);
    message.extend(config.gateway_mac.0);
    message.extend([5, 1, 0, 0, 0, 0]);
    message.extend(config.mtu.to_be_bytes());
    // Prefix (4.6.2): on this link, and for addresses that guests make themselves; for ever.
    message.extend([3, 4, subnet::PREFIX6, 0xc0]);
    message.extend([0xff; 8]);
    message.extend([0; 4]);
    message.extend(network.octets());
    // Recursive DNS server (RFC 8106, 5.1).
    message.extend([25, 3, 0, 0, 0, 0]);
    message.extend(LIFETIME.to_be_bytes());
    message.extend(gateway.octets());
    // DNS search list (RFC 8106, 5.2), padded to eight bytes.
    let mut domain = vec![names::DOMAIN.len() as u8];
    domain.extend(names::DOMAIN.bytes());
    domain.push(0);
    domain.resize(domain.len().next_multiple_of(8), 0);
    message.extend([31, (1 + domain.len() / 8) as u8, 0, 0, 0, 0]);
    message.extend(LIFETIME.to_be_bytes());
    message.extend(domain);
    send(config.gateway_link(), to, target, &message, out);
}

/// Sends a neighbour advertisement for an address of the gateway (4.4).
fn neighbor(config: &Config, from: MacAddr, source: Ipv6Addr, target: Ipv6Addr, out: &mut Out<'_>) {
    // Who looks for an address that it wants for itself has none yet, and everybody hears the answer (7.2.4).
    let probe = source.is_unspecified();
    let flags = if probe { 0xa0 } else { 0xe0 };
    let mut message = vec![kind::NEIGHBOR_ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0];
    message.extend(target.octets());
    message.extend([2, 1]);
    message.extend(config.gateway_mac.0);
    let (to, source) = if probe { (ALL_NODES_MAC, ALL_NODES) } else { (from, source) };
    send(target, to, source, &message, out);
}

fn send(source: Ipv6Addr, to: MacAddr, target: Ipv6Addr, message: &[u8], out: &mut Out<'_>) {
    let sent = out.icmp(to, source.into(), target.into(), |bytes| {
        bytes[..message.len()].copy_from_slice(message);
        Ok(message.len())
    });
    debug_assert!(sent.is_ok());
}
