//! The network's addresses: the default ones, or others when the host uses those itself.

use std::net::{Ipv4Addr, Ipv6Addr};

use smoltcp::wire::{IpCidr, Ipv4Cidr, Ipv6Cidr};

use super::sys;

/// Like that of Apple's framework.
pub(super) const DEFAULT: Ipv4Addr = Ipv4Addr::new(192, 168, 64, 0);
pub(super) const PREFIX: u8 = 24;
/// A unique local network (RFC 4193). Nobody outside sees it, so that all machines may have the same.
pub(super) const DEFAULT6: Ipv6Addr = Ipv6Addr::new(0xfd72, 0x7573, 0x7365, 0x7400, 0, 0, 0, 0);
pub(super) const PREFIX6: u8 = 64;

/// A network that the host does not route: 192.168.64.0/24, or the first after it that is free.
pub(super) fn free() -> (Ipv4Addr, Ipv6Addr) {
    choose(&sys::routes())
}

/// Whether the host routes neither.
pub(super) fn is_free(v4: Ipv4Cidr, v6: Option<Ipv6Addr>) -> bool {
    let routes = sys::routes();
    let v6 = v6.map(|network| Ipv6Cidr::new(network, PREFIX6));
    !routes.iter().any(|route| overlaps4(route, v4) || v6.is_some_and(|v6| overlaps6(route, v6)))
}

fn choose(routes: &[IpCidr]) -> (Ipv4Addr, Ipv6Addr) {
    let first = DEFAULT.octets()[2];
    let near = (first..=254).chain(1..first).map(|n| Ipv4Addr::new(192, 168, n, 0));
    let far = (16..32).map(|n| Ipv4Addr::new(172, n, 64, 0)).chain((0..=254).map(|n| Ipv4Addr::new(10, n, 64, 0)));
    let taken = |network: &Ipv4Addr| routes.iter().any(|route| overlaps4(route, Ipv4Cidr::new(*network, PREFIX)));
    let v4 = near.chain(far).find(|network| !taken(network)).unwrap_or(DEFAULT);
    let taken = |network: &Ipv6Addr| routes.iter().any(|route| overlaps6(route, Ipv6Cidr::new(*network, PREFIX6)));
    let nets = (0..256u128).map(|n| Ipv6Addr::from_bits(DEFAULT6.to_bits() + (n << 64)));
    // A host that routes all of fc00::/7 somewhere routes ours there too; it is still the guest's own network.
    let v6 = nets.clone().find(|network| !taken(network)).unwrap_or(DEFAULT6);
    (v4, v6)
}

/// Whether one of the two contains the other.
fn overlaps4(route: &IpCidr, network: Ipv4Cidr) -> bool {
    let IpCidr::Ipv4(route) = route else { return false };
    route.contains_addr(&network.address()) || network.contains_addr(&route.address())
}

fn overlaps6(route: &IpCidr, network: Ipv6Cidr) -> bool {
    let IpCidr::Ipv6(route) = route else { return false };
    route.contains_addr(&network.address()) || network.contains_addr(&route.address())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(routes: &[&str]) -> (String, String) {
        let routes: Vec<_> = routes.iter().map(|r| r.parse().unwrap()).collect();
        let (v4, v6) = choose(&routes);
        (v4.to_string(), v6.to_string())
    }

    #[test]
    fn a_network_that_the_host_routes_is_left_alone() {
        let v6 = "fd72:7573:7365:7400::".to_owned();
        let cases: [(&[&str], &str); 6] = [
            (&[], "192.168.64.0"),
            (&["192.168.1.0/24", "10.0.0.0/8"], "192.168.64.0"),
            (&["192.168.64.0/24"], "192.168.65.0"),
            (&["192.168.64.128/25", "192.168.65.7/32", "192.168.66.0/23"], "192.168.68.0"),
            (&["192.168.0.0/16"], "172.16.64.0"),
            (&["192.168.0.0/16", "172.16.0.0/12", "10.0.0.0/9"], "10.128.64.0"),
        ];
        for (routes, wanted) in cases {
            assert_eq!(chosen(routes), (wanted.to_owned(), v6.clone()), "{routes:?}");
        }
        assert_eq!(chosen(&["fd72:7573:7365:7400::/64"]).1, "fd72:7573:7365:7401::");
        assert_eq!(chosen(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]).0, "192.168.64.0", "nothing is free");
    }
}
