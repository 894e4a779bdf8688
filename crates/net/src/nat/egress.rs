//! What of the outside a guest may reach: lists of networks and ports.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;

use smoltcp::wire::{IpAddress, IpCidr};

/// Which destinations are allowed. What is denied is denied; then, if anything is named as allowed, nothing else is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Egress {
    /// Without any, all is allowed that is not denied.
    pub allow: Vec<Destination>,
    /// Wins over `allow`.
    pub deny: Vec<Destination>,
}

/// A network, and maybe some of its ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    network: IpCidr,
    ports: Option<RangeInclusive<u16>>,
}

impl Egress {
    /// Whether the guest may reach `peer`. Messages without a port, such as pings, have port zero.
    #[must_use]
    pub fn permits(&self, peer: SocketAddr) -> bool {
        let inner = translated(peer.ip()).map(|address| SocketAddr::new(address.into(), peer.port()));
        let contains = |destination: &Destination| {
            destination.contains(peer) || inner.is_some_and(|inner| destination.contains(inner))
        };
        !self.deny.iter().any(contains) && (self.allow.is_empty() || self.allow.iter().any(contains))
    }
}

/// The IPv4 address that a translator on the way takes an IPv6 address for: of NAT64 (RFC 6052, 2.1) or 6to4 (RFC 3056, 2).
pub(super) fn translated(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    let bits = address.to_bits();
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(Ipv4Addr::from_bits(bits as u32)),
        [0x2002, ..] => Some(Ipv4Addr::from_bits((bits >> 80) as u32)),
        _ => None,
    }
}

impl Destination {
    /// The addresses whose first `prefix` bits are those of `address` (no more count than it has); `None`: all ports,
    /// and what has none.
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8, ports: Option<RangeInclusive<u16>>) -> Self {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        Self { network: IpCidr::new(address.into(), prefix.min(bits)), ports }
    }

    /// Whether `peer` is one of them. A list of ports is for TCP and UDP: no other message (port zero) is in it.
    #[must_use]
    pub fn contains(&self, peer: SocketAddr) -> bool {
        let ports = self.ports.as_ref().is_none_or(|ports| ports.contains(&peer.port()));
        ports && self.network.contains_addr(&IpAddress::from(peer.ip()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denied_wins_and_allowed_is_all_there_is() {
        let one = |(network, ports): &(&str, Option<RangeInclusive<u16>>)| {
            let (address, prefix) = network.split_once('/').unwrap();
            Destination::new(address.parse().unwrap(), prefix.parse().unwrap(), ports.clone())
        };
        type List<'a> = &'a [(&'a str, Option<RangeInclusive<u16>>)];
        let list = |list: List<'_>| list.iter().map(one).collect();
        let permits = |allow: List<'_>, deny: List<'_>, peer: &str| {
            Egress { allow: list(allow), deny: list(deny) }.permits(peer.parse().unwrap())
        };
        assert!(permits(&[], &[], "192.0.2.1:1"));
        assert!(!permits(&[], &[("192.0.2.0/24", None)], "192.0.2.1:1"));
        assert!(permits(&[], &[("192.0.2.0/24", Some(25..=25))], "192.0.2.1:26"));
        let some = [("10.0.0.0/8", Some(443..=443)), ("2001:db8::/32", None)];
        assert!(permits(&some, &[], "10.1.1.1:443"));
        assert!(!permits(&some, &[], "10.1.1.1:80"));
        assert!(permits(&some, &[], "[2001:db8::9]:80"));
        assert!(!permits(&[("10.0.0.0/8", None)], &[("10.1.0.0/16", None)], "10.1.1.1:80"));
        assert!(!permits(&[("10.0.0.0/8", Some(1..=65535))], &[], "10.1.1.1:0"), "a ping has no port");
        // The same network by way of a translator.
        for peer in ["[64:ff9b::10.1.1.1]:443", "[2002:a01:101::9]:443"] {
            assert!(permits(&some, &[], peer) && !permits(&[], &[("10.0.0.0/8", None)], peer), "{peer}");
        }
        assert!(permits(&[], &[("10.0.0.0/8", None)], "[64:ff9c::10.1.1.1]:443"));
    }
}
