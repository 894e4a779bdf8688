//! What of the outside a guest may reach: lists of networks and ports.

use std::net::{IpAddr, SocketAddr};
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
        let named = |list: &[Destination]| list.iter().any(|destination| destination.contains(peer));
        !named(&self.deny) && (self.allow.is_empty() || named(&self.allow))
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
    }
}
