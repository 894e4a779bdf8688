//! Linux: the routing tables as text (proc(5)), path MTU discovery by socket (ip(7), ipv6(7)).

use mio::net::UdpSocket;
use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery};
use smoltcp::wire::{IpCidr, Ipv4Cidr, Ipv6Cidr};

/// The networks that the host routes, the default routes and those of loopback left out. Empty when the host does not
/// say.
pub(in crate::nat) fn routes() -> Vec<IpCidr> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let mut routes = v4(&read("/proc/net/route"));
    routes.extend(v6(&read("/proc/net/ipv6_route")));
    routes
}

/// Lines of interface, destination, gateway, flags, .., mask as the eighth; numbers as they stand in memory.
fn v4(text: &str) -> Vec<IpCidr> {
    let route = |line: &str| {
        let mut words = line.split_whitespace();
        let address = u32::from_str_radix(words.nth(1)?, 16).ok()?;
        let mask = u32::from_str_radix(words.nth(5)?, 16).ok()?;
        let prefix = mask.count_ones() as u8;
        (prefix > 0).then(|| IpCidr::Ipv4(Ipv4Cidr::new(address.to_ne_bytes().into(), prefix)))
    };
    text.lines().skip(1).filter_map(route).collect()
}

/// Lines of destination, its prefix length in hexadecimal, .., interface as the last.
fn v6(text: &str) -> Vec<IpCidr> {
    let route = |line: &str| {
        let mut words = line.split_whitespace();
        let address = u128::from_str_radix(words.next()?, 16).ok()?;
        let prefix = u8::from_str_radix(words.next()?, 16).ok()?;
        let elsewhere = (1..=128).contains(&prefix) && words.last()? != "lo";
        elsewhere.then(|| IpCidr::Ipv6(Ipv6Cidr::new(address.into(), prefix)))
    };
    text.lines().filter_map(route).collect()
}

/// Has the datagrams of a socket sent whole or not at all, or cut up where need be.
pub(in crate::nat) fn send_whole(socket: &UdpSocket, v6: bool, whole: bool) {
    // What fails here only costs the guest some knowledge of the path.
    let _ = match (v6, whole) {
        (false, true) => sockopt::set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DO),
        (false, false) => sockopt::set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DONT),
        (true, true) => sockopt::set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DO),
        (true, false) => sockopt::set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DONT),
    };
}

/// The largest IP packet that gets to where a socket is connected to, as far as the host knows.
pub(in crate::nat) fn path_mtu(socket: &UdpSocket, v6: bool) -> Option<u16> {
    let mtu = if v6 { sockopt::ipv6_mtu(socket) } else { sockopt::ip_mtu(socket) };
    Some(u16::try_from(mtu.ok()?).unwrap_or(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn routing_tables() {
        let text = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                    eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                    virbr0\t0040A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\nrubbish\n";
        assert_eq!(v4(text), [IpCidr::Ipv4(Ipv4Cidr::new([192, 168, 64, 0].into(), 24))]);
        let zero = "00000000000000000000000000000000";
        let line = |to: &str, prefix: &str, interface: &str| {
            format!("{to} {prefix} {zero} 00 {zero} 00000100 00000001 00000000 00000001 {interface}\n")
        };
        let ula = "fd000000000000010000000000000000";
        let text = [line(ula, "40", "eth0"), line(ula, "80", "lo"), line(zero, "00", "eth0")].concat();
        assert_eq!(v6(&text), [IpCidr::Ipv6(Ipv6Cidr::new("fd00:0:0:1::".parse().unwrap(), 64))]);
    }
}
