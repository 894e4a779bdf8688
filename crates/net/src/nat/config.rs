//! What a NAT network is: its addresses, what the guest may reach, and its limits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use smoltcp::wire::{Ipv4Cidr, Ipv6Cidr};

use super::egress::translated;
use super::ledger::{Entries, Ledger};
use super::{Egress, Forward, subnet};
use crate::MacAddr;

/// How a [`Nat`](super::Nat) network is set up. [`Config::default`] is what a user gets who says nothing, on a host
/// that does not use the network itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The gateway's address: router, DHCP and DNS server. Default 192.168.64.1.
    pub gateway: Ipv4Addr,
    /// Length of the network's prefix in bits, 8 to 30. Default 24.
    pub prefix: u8,
    /// The IPv6 network, of 64 bits; the gateway is its first address. `None`: there is no IPv6. Default
    /// fd72:7573:7365:7400::.
    pub prefix6: Option<Ipv6Addr>,
    /// The gateway's Ethernet address.
    pub gateway_mac: MacAddr,
    /// The largest IP packet on the wire, 1280 to 65535 bytes (576 without IPv6); told to the guest by DHCP and
    /// router advertisement. Default 1500.
    pub mtu: u16,
    /// The machine's card and name: it has the first free address from the start, and forwards go there.
    pub machine: Option<Card>,
    /// Whether the guest reaches anything outside. Without it the guest has DHCP and the gateway's ping only.
    pub outside: bool,
    /// Whether the gateway's addresses stand for the host: a connection to them arrives at the host's 127.0.0.1 or
    /// ::1. The DNS port stays the relay's. The host's loopback addresses themselves are never reachable; its other
    /// addresses are what any neighbour on its networks sees, and `egress` may deny them.
    pub host_access: bool,
    /// What of the outside the guest may reach, by address and port. The DNS relay is not asked.
    pub egress: Egress,
    /// Ports of the host that lead to the machine from the start.
    pub forwards: Vec<Forward>,
    /// Where DNS queries to the gateway go; `None`: to the name servers in `/etc/resolv.conf`, read again as it
    /// changes.
    pub resolvers: Option<Vec<SocketAddr>>,
    /// The file in which the leases are kept for the next router of the same network, which has to have the same
    /// addresses: see [`Config::resumed`]. `None`: they end with this one.
    pub ledger: Option<PathBuf>,
    /// How many TCP connections there may be at once; a SYN beyond is dropped, so that the guest tries again.
    pub max_tcp: usize,
    /// How many UDP and ping flows there may be at once; the one that was idle longest makes room.
    pub max_datagram: usize,
}

/// A card that is known before it asks for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Its address.
    pub mac: MacAddr,
    /// What its machine is called: letters, digits and hyphens.
    pub name: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        // Sockets are file descriptors, of which the rest of the process wants some too.
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        let files = usize::try_from(files).unwrap_or(usize::MAX);
        Self {
            gateway: first(subnet::DEFAULT),
            prefix: subnet::PREFIX,
            prefix6: Some(subnet::DEFAULT6),
            gateway_mac: MacAddr([0x02, 0x52, 0x55, 0x53, 0x00, 0x01]),
            mtu: 1500,
            machine: None,
            outside: true,
            host_access: false,
            egress: Egress::default(),
            forwards: Vec::new(),
            resolvers: None,
            ledger: None,
            max_tcp: (files / 2).min(4096),
            max_datagram: (files / 4).min(1024),
        }
    }
}

impl Config {
    /// The default, on networks that the host does not route: 192.168.64.0/24 if it is free.
    #[must_use]
    pub fn on_free_networks() -> Self {
        let (v4, v6) = subnet::free();
        Self { gateway: first(v4), prefix6: Some(v6), ..Self::default() }
    }

    /// The default on the network whose leases are in the file `ledger`, unless the host has come to route that itself; or
    /// on a free one, whose leases will be there.
    #[must_use]
    pub fn resumed(ledger: PathBuf) -> Self {
        let earlier = Ledger(ledger.clone()).read().map(|entries| {
            let Entries { gateway, prefix, prefix6, .. } = entries;
            Self { gateway, prefix, prefix6, ..Self::default() }
        });
        let usable = |config: &Self| config.problems().is_empty() && subnet::is_free(config.cidr(), config.prefix6);
        let config = earlier.filter(usable).unwrap_or_else(Self::on_free_networks);
        Self { ledger: Some(ledger), ..config }
    }

    /// What is wrong with it, as (field, sentence).
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if !(8..=30).contains(&self.prefix) {
            problems.push(("prefix", format!("{} bits do not make a network: choose 8 to 30", self.prefix)));
        } else if !self.is_host(self.gateway) || !reachable(self.gateway) {
            let reason = "cannot be a gateway: choose a unicast address inside the network, such as 192.168.64.1";
            problems.push(("gateway", format!("{} {reason}", self.gateway)));
        }
        if let Some(network) = self.prefix6
            && (!reachable6(network) || network.to_bits() as u64 != 0)
        {
            let reason = "is no IPv6 network of 64 bits: choose one below fd00::/8, such as fd00:1:2:3::";
            problems.push(("prefix6", format!("{network} {reason}")));
        }
        let (least, version) = if self.prefix6.is_some() { (1280, 6) } else { (576, 4) };
        if self.mtu < least {
            let reason = format!("is below the {least} bytes that IPv{version} needs: choose {least} to 65535");
            problems.push(("mtu", format!("{} {reason}", self.mtu)));
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

    /// The gateway's address in the IPv6 network.
    pub(super) fn gateway6(&self) -> Option<Ipv6Addr> {
        self.prefix6.map(|network| Ipv6Addr::from_bits(network.to_bits() | 1))
    }

    /// The gateway's link-local address.
    pub(super) fn gateway_link(&self) -> Ipv6Addr {
        self.gateway_mac.link_local()
    }

    /// The gateway's address as who speaks to `guest`.
    pub(super) fn gateway_of(&self, guest: SocketAddr) -> Option<IpAddr> {
        if guest.is_ipv4() { Some(self.gateway.into()) } else { self.gateway6().map(IpAddr::V6) }
    }

    /// Whether `address` is one of the gateway's.
    pub(super) fn is_gateway(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => address == self.gateway,
            IpAddr::V6(address) => Some(address) == self.gateway6() || address == self.gateway_link(),
        }
    }

    /// Whether `address` can be a machine's on this network: inside, and neither of the two special ones.
    pub(super) fn is_host(&self, address: Ipv4Addr) -> bool {
        let first = self.cidr().network().address();
        self.cidr().contains_addr(&address) && address != first && address != self.broadcast()
    }

    /// Whether a packet from `address` can be a machine's on this network.
    pub(super) fn is_guest(&self, address: IpAddr) -> bool {
        !self.is_gateway(address)
            && match address {
                IpAddr::V4(address) => self.is_host(address),
                IpAddr::V6(address) => self.is_inside6(address) && !address.is_multicast(),
            }
    }

    fn is_inside6(&self, address: Ipv6Addr) -> bool {
        let network = self.prefix6.map(|network| Ipv6Cidr::new(network, subnet::PREFIX6));
        network.is_some_and(|network| network.contains_addr(&address)) || address.is_unicast_link_local()
    }

    /// Where a connection of the guest to `peer` goes on the host. The check is made here, on the address that is
    /// about to be connected to, because no name or earlier answer can get around it then.
    pub(super) fn route(&self, peer: SocketAddr) -> Result<SocketAddr, Refused> {
        if self.is_gateway(peer.ip()) {
            let loopback = if peer.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { IpAddr::from(Ipv6Addr::LOCALHOST) };
            return match self.host_access {
                true => Ok((loopback, peer.port()).into()),
                false => Err(Refused::Closed),
            };
        }
        let (inside, reachable) = match peer.ip() {
            IpAddr::V4(address) => (self.cidr().contains_addr(&address), reachable(address)),
            IpAddr::V6(address) => (self.is_inside6(address), reachable6(address)),
        };
        match () {
            () if inside => Err(Refused::Nobody),
            () if !self.outside || !reachable || !self.egress.permits(peer) => Err(Refused::Prohibited),
            () => Ok(peer),
        }
    }
}

/// The first address of a network.
fn first(network: Ipv4Addr) -> Ipv4Addr {
    Ipv4Addr::from_bits(network.to_bits() | 1)
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

impl From<Refused> for std::io::Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Closed => Self::from(std::io::ErrorKind::ConnectionRefused),
            Refused::Nobody => Self::from(std::io::ErrorKind::HostUnreachable),
            Refused::Prohibited => Self::from(std::io::ErrorKind::PermissionDenied),
        }
    }
}

/// Whether this is an address that packets of the guest may leave for: not the host itself (127/8, and 0/8, which
/// hosts take for themselves), not a group, not reserved.
fn reachable(address: Ipv4Addr) -> bool {
    !matches!(address.octets()[0], 0 | 127 | 224..)
}

/// The same for IPv6: not the host itself (::, ::1), not an IPv4 address in disguise (::ffff:0:0/96, and the ::/96 of
/// old), which hosts may take for one of the former, nor one of those for a translator; not a group; not of the host's
/// links (fe80::/10).
fn reachable6(address: Ipv6Addr) -> bool {
    let disguised = address.to_ipv4().is_some() || translated(address.into()).is_some_and(|inner| !reachable(inner));
    !disguised && !address.is_multicast() && !address.is_unicast_link_local()
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
        for peer in ["[::1]:80", "[::ffff:127.0.0.1]:80", "[::]:80", "[::127.0.0.1]:80", "[ff02::1]:80"]
            .into_iter()
            .chain(["[64:ff9b::127.0.0.1]:80", "[64:ff9b::]:80", "[2002:7f00:1::1]:80"])
        {
            assert_eq!(route(&shut, peer), Err(Refused::Prohibited), "{peer}");
        }
        for gateway in ["192.168.64.1:80", "[fd72:7573:7365:7400::1]:80", "[fe80::52:55ff:fe53:1]:80"] {
            assert_eq!(route(&shut, gateway), Err(Refused::Closed));
        }
        for nobody in ["192.168.64.77:80", "[fd72:7573:7365:7400::2]:80", "[fe80::2]:80"] {
            assert_eq!(route(&shut, nobody), Err(Refused::Nobody));
        }
        for peer in ["192.0.2.1:80", "[2001:db8::1]:80", "[fd00::1]:80", "[64:ff9b::192.0.2.1]:80"] {
            assert_eq!(route(&shut, peer), Ok(peer.parse().unwrap()));
        }

        let open = Config { host_access: true, ..Config::default() };
        assert_eq!(route(&open, "192.168.64.1:80"), Ok("127.0.0.1:80".parse().unwrap()));
        assert_eq!(route(&open, "[fd72:7573:7365:7400::1]:80"), Ok("[::1]:80".parse().unwrap()));
        assert_eq!(route(&open, "127.0.0.1:80"), Err(Refused::Prohibited));
        assert_eq!(route(&open, "[::1]:80"), Err(Refused::Prohibited));
        let isolated = Config { outside: false, ..Config::default() };
        assert_eq!(route(&isolated, "192.0.2.1:80"), Err(Refused::Prohibited));
        let egress =
            Egress { deny: vec![crate::nat::Destination::new([192, 0, 2, 0].into(), 24, None)], ..Egress::default() };
        let fenced = Config { egress, ..Config::default() };
        assert_eq!(route(&fenced, "192.0.2.1:80"), Err(Refused::Prohibited));
    }

    #[test]
    fn problems_name_the_field() {
        assert_eq!(Config::default().problems(), []);
        let fields = |c: Config| c.problems().into_iter().map(|p| p.0).collect::<Vec<_>>();
        let d = Config::default;
        assert_eq!(fields(Config { prefix: 31, mtu: 100, ..d() }), ["prefix", "mtu"]);
        assert_eq!(fields(Config { mtu: 1000, prefix6: None, ..d() }), [""; 0]);
        for gateway in [[192, 168, 64, 0], [192, 168, 64, 255], [127, 0, 0, 1], [240, 0, 0, 1]] {
            assert_eq!(fields(Config { gateway: gateway.into(), ..d() }), ["gateway"]);
        }
        for network in ["::1", "fd00::1", "ff02::", "fe80::", "::"] {
            assert_eq!(fields(Config { prefix6: Some(network.parse().unwrap()), ..d() }), ["prefix6"], "{network}");
        }
        assert_eq!(fields(Config { gateway_mac: MacAddr([1; 6]), ..d() }), ["gateway_mac"]);
    }
}
