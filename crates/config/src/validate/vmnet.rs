//! Checks of networks that macOS makes.

use std::net::{IpAddr, Ipv4Addr};

use super::devices::{Once, interface_name};
use crate::{Network, NetworkAttachment, Problem, Publish, PublishHost, Subnet, Vmnet, VmnetMode};

/// The most ports that are published.
const MAX_PORTS: usize = 1024;

/// `field` makes a field of the card from a key.
pub(super) fn check(vmnet: &Vmnet, field: &dyn Fn(&str) -> String, problems: &mut Vec<Problem>) {
    if vmnet.mode == VmnetMode::Host {
        host_only(vmnet, field, problems);
    }
    if let Some(interface) = &vmnet.external_interface {
        interface_name(interface, field("external-interface"), problems);
    }
    if !vmnet.ipv6 && vmnet.ipv6_prefix.is_some() {
        let what = "the network has no IPv6";
        problems.push(Problem::error(field("ipv6-prefix"), what, "remove it, or `ipv6=off`"));
    }
    address(vmnet, field, problems);
    ports(vmnet, field, problems);
}

/// What only a network that leads out has.
fn host_only(vmnet: &Vmnet, field: &dyn Fn(&str) -> String, problems: &mut Vec<Problem>) {
    let asked = [
        ("external-interface", vmnet.external_interface.is_some()),
        ("nat44", !vmnet.nat44),
        ("nat66", !vmnet.nat66),
        ("publish", !vmnet.publish.is_empty()),
    ];
    for (key, _) in asked.into_iter().filter(|(_, asked)| *asked) {
        let what = "a network of the host alone leads nowhere else";
        problems.push(Problem::error(field(key), what, "remove it, or use `vmnet=shared`"));
    }
}

fn address(vmnet: &Vmnet, field: &dyn Fn(&str) -> String, problems: &mut Vec<Problem>) {
    let Some(address) = vmnet.address else { return };
    let field = field("address");
    let Some(subnet) = vmnet.subnet else {
        let what = "in a network that macOS chooses, no address is known beforehand";
        return problems.push(Problem::error(field, what, "add its network, as subnet=192.168.70.0/24"));
    };
    let (first, last) = subnet.guests();
    if !(first..=last).contains(&address) {
        let what = format!("{address} is no address of a guest in {subnet}");
        return problems.push(Problem::error(field, what, format!("give {first} to {last}")));
    }
    if !vmnet.dhcp && vmnet.publish.is_empty() {
        let what = "without DHCP nobody gives it to the guest";
        problems.push(Problem::error(field, what, "remove it, or `dhcp=off`"));
    }
}

fn ports(vmnet: &Vmnet, field: &dyn Fn(&str) -> String, problems: &mut Vec<Problem>) {
    let mut hosts = Once::new();
    for publish in &vmnet.publish {
        match port(publish) {
            Err((what, mend)) => problems.push(Problem::error(field("publish"), what, mend)),
            Ok(()) => hosts.see(&publish.host, field("publish"), "publish each port of the host once", problems),
        }
    }
    let count: usize = vmnet.publish.iter().map(|publish| usize::from(publish.count)).sum();
    if count > MAX_PORTS {
        let what = format!("{count} ports are more than {MAX_PORTS}");
        problems.push(Problem::error(field("publish"), what, "publish fewer"));
    }
    if !vmnet.publish.is_empty() && vmnet.known_address().is_none() {
        let what = "ports lead to an address that is known beforehand";
        let mend = match (vmnet.subnet, vmnet.dhcp) {
            (None, _) => "add a network to have one in, as subnet=192.168.70.0/24",
            (Some(_), _) => "say with `address=` which one the guest has, or remove `dhcp=off`",
        };
        problems.push(Problem::error(field("publish"), what, mend));
    }
}

/// macOS forwards what comes in on the interfaces of the host, on all of them, and not from the host itself.
fn port(publish: &Publish) -> Result<(), (String, String)> {
    let instead = |port: u16, udp: &str| {
        let (port, guest) = (port.max(1), publish.guest_port);
        format!("write 0.0.0.0:{port}:{guest}{udp}, or use `nat`, whose ports are on the host's loopback")
    };
    match &publish.host {
        PublishHost::Unix(path) => {
            let what = format!("macOS forwards no socket, as {}", path.display());
            Err((what, "give a port, or use `nat`".to_owned()))
        }
        PublishHost::Tcp(_, 0) | PublishHost::Udp(_, 0) => {
            Err(("macOS chooses no port".to_owned(), "give one".to_owned()))
        }
        PublishHost::Tcp(IpAddr::V4(Ipv4Addr::UNSPECIFIED), _)
        | PublishHost::Udp(IpAddr::V4(Ipv4Addr::UNSPECIFIED), _) => Ok(()),
        PublishHost::Tcp(address, port) => Err((only(address), instead(*port, ""))),
        PublishHost::Udp(address, port) => Err((only(address), instead(*port, "/udp"))),
    }
}

fn only(address: &IpAddr) -> String {
    format!("macOS forwards from all interfaces of the host and never from loopback, not from {address} alone")
}

/// Networks that macOS could not tell apart.
pub(super) fn overlaps(networks: &[Network], problems: &mut Vec<Problem>) {
    let subnets: Vec<(usize, Subnet)> = networks
        .iter()
        .enumerate()
        .filter_map(|(index, network)| match &network.attachment {
            NetworkAttachment::Vmnet(vmnet) => vmnet.subnet.map(|subnet| (index, subnet)),
            _ => None,
        })
        .collect();
    for (place, (index, subnet)) in subnets.iter().enumerate() {
        if let Some((other, _)) = subnets[..place].iter().find(|(_, before)| before.overlaps(*subnet)) {
            let what = format!("{subnet} and that of network[{other}] have addresses in common");
            let mend = "give each its own: every card has a network to itself";
            problems.push(Problem::error(format!("network[{index}].subnet"), what, mend));
        }
    }
}
