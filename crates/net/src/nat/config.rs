//! What a NAT network is: its addresses, what the guest may reach, and its limits.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use smoltcp::wire::Ipv4Cidr;

use crate::MacAddr;

/// How a [`Nat`](super::Nat) network is set up. [`Config::default`] is what a user gets who says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The gateway's address: router, DHCP and DNS server. Default 192.168.64.1.
    pub gateway: Ipv4Addr,
    /// Length of the network's prefix in bits, 8 to 30. Default 24.
    pub prefix: u8,
    /// The gateway's Ethernet address.
    pub gateway_mac: MacAddr,
    /// The largest IP packet on the wire, 576 to 65535 bytes; told to the guest by DHCP. Default 1500.
    pub mtu: u16,
    /// Whether the guest reaches anything outside. Without it the guest has DHCP and the gateway's ping only.
    pub outside: bool,
    /// Whether the gateway's address stands for the host: a connection to it arrives at the host's 127.0.0.1. The
    /// DNS port stays the relay's. The host's loopback addresses themselves are never reachable.
    pub host_access: bool,
    /// Where DNS queries to the gateway go; `None`: to the name servers in `/etc/resolv.conf`, read again as it
    /// changes.
    pub resolvers: Option<Vec<SocketAddr>>,
    /// How many TCP connections there may be at once; a SYN beyond is dropped, so that the guest tries again.
    pub max_tcp: usize,
    /// How many UDP and ping flows there may be at once; the one that was idle longest makes room.
    pub max_datagram: usize,
}

impl Default for Config {
    fn default() -> Self {
        // Sockets are file descriptors, of which the rest of the process wants some too.
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        let files = usize::try_from(files).unwrap_or(usize::MAX);
        Self {
            gateway: Ipv4Addr::new(192, 168, 64, 1),
            prefix: 24,
            gateway_mac: MacAddr([0x02, 0x52, 0x55, 0x53, 0x00, 0x01]),
            mtu: 1500,
            outside: true,
            host_access: false,
            resolvers: None,
            max_tcp: (files / 2).min(4096),
            max_datagram: (files / 4).min(1024),
        }
    }
}

impl Config {
    /// What is wrong with it, as (field, sentence).
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if !(8..=30).contains(&self.prefix) {
            problems.push(("prefix", format!("{} bits do not make a network: choose 8 to 30", self.prefix)));
        } else if !self.is_host(self.gateway) || !reachable(self.gateway) {
            let reason = "cannot be a gateway: choose a unicast address inside the network, such as 192.168.64.1";
            problems.push(("gateway", format!("{} {reason}", self.gateway)));
        }
        if self.mtu < 576 {
            problems.push(("mtu", format!("{} is below the 576 bytes that IPv4 needs: choose 576 to 65535", self.mtu)));
        }
        if !self.gateway_mac.is_unicast() {
            problems.push(("gateway_mac", format!("{} is a group address: choose another", self.gateway_mac)));
        }
        problems
    }

    /// The network.
    pub(super) fn cidr(&self) -> Ipv4Cidr {
        Ipv4Cidr::new(self.gateway, self.prefix)
    }

    /// The network's broadcast address.
    pub(super) fn broadcast(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.gateway.to_bits() | u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0))
    }

    /// Whether `address` can be a machine's on this network: inside, and neither of the two special ones.
    pub(super) fn is_host(&self, address: Ipv4Addr) -> bool {
        let first = self.cidr().network().address();
        self.cidr().contains_addr(&address) && address != first && address != self.broadcast()
    }

    /// Where a connection of the guest to `peer` goes on the host. The check is made here, on the address that is
    /// about to be connected to, because no name or earlier answer can get around it then.
    pub(super) fn route(&self, peer: SocketAddr) -> Result<SocketAddr, Refused> {
        let IpAddr::V4(address) = peer.ip() else { return Err(Refused::Prohibited) };
        if address == self.gateway {
            return match self.host_access {
                true => Ok((Ipv4Addr::LOCALHOST, peer.port()).into()),
                false => Err(Refused::Closed),
            };
        }
        if self.cidr().contains_addr(&address) {
            return Err(Refused::Nobody);
        }
        if !self.outside || !reachable(address) {
            return Err(Refused::Prohibited);
        }
        Ok(peer)
    }
}

/// Why a destination is not connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// The gateway has no such service.
    Closed,
    /// There is no such machine on the guest's network.
    Nobody,
    /// It is not allowed.
    Prohibited,
}

/// Whether this is an address that packets of the guest may leave for: not the host itself (127/8, and 0/8, which
/// hosts take for themselves), not a group, not reserved.
fn reachable(address: Ipv4Addr) -> bool {
    !matches!(address.octets()[0], 0 | 127 | 224..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(config: &Config, peer: &str) -> Result<SocketAddr, Refused> {
        config.route(peer.parse().unwrap())
    }

    #[test]
    fn the_host_is_out_of_reach_unless_allowed() {
        let shut = Config::default();
        for peer in ["127.0.0.1:80", "127.255.3.4:80", "0.0.0.0:80", "0.1.2.3:80", "255.255.255.255:9", "224.0.0.1:9"] {
            assert_eq!(route(&shut, peer), Err(Refused::Prohibited), "{peer}");
        }
        for peer in ["[::1]:80", "[::ffff:127.0.0.1]:80", "[::]:80"] {
            assert_eq!(route(&shut, peer), Err(Refused::Prohibited), "{peer}");
        }
        assert_eq!(route(&shut, "192.168.64.1:80"), Err(Refused::Closed));
        assert_eq!(route(&shut, "192.168.64.77:80"), Err(Refused::Nobody));
        assert_eq!(route(&shut, "192.0.2.1:80"), Ok("192.0.2.1:80".parse().unwrap()));

        let open = Config { host_access: true, ..Config::default() };
        assert_eq!(route(&open, "192.168.64.1:80"), Ok("127.0.0.1:80".parse().unwrap()));
        assert_eq!(route(&open, "127.0.0.1:80"), Err(Refused::Prohibited));
        let isolated = Config { outside: false, ..Config::default() };
        assert_eq!(route(&isolated, "192.0.2.1:80"), Err(Refused::Prohibited));
    }

    #[test]
    fn problems_name_the_field() {
        assert_eq!(Config::default().problems(), []);
        let fields = |c: Config| c.problems().into_iter().map(|p| p.0).collect::<Vec<_>>();
        let d = Config::default;
        assert_eq!(fields(Config { prefix: 31, mtu: 100, ..d() }), ["prefix", "mtu"]);
        for gateway in [[192, 168, 64, 0], [192, 168, 64, 255], [127, 0, 0, 1], [240, 0, 0, 1]] {
            assert_eq!(fields(Config { gateway: gateway.into(), ..d() }), ["gateway"]);
        }
        assert_eq!(fields(Config { gateway_mac: MacAddr([1; 6]), ..d() }), ["gateway_mac"]);
    }
}
