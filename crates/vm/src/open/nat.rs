//! A network behind NAT, as the configuration says it.

use std::net::SocketAddr;

use config::{Destination, Nat, PublishHost};
use net::MacAddr;
use net::nat::{self, Card, Config, Egress, Forward, HostEnd};

/// The network of the card `mac`.
pub(super) fn config(nat: &Nat, mac: MacAddr) -> Config {
    let mut config = Config::on_free_networks();
    if let Some(subnet) = nat.subnet {
        config.gateway = subnet.gateway();
        config.prefix = subnet.prefix;
    }
    if !nat.ipv6 {
        config.prefix6 = None;
    }
    config.machine = Some(Card { mac, name: nat.hostname.as_deref().map(str::to_ascii_lowercase) });
    config.host_access = nat.host_access;
    let list = |list: &[Destination]| list.iter().map(destination).collect();
    config.egress = Egress { allow: list(&nat.allow), deny: list(&nat.deny) };
    config.forwards = nat.publish.iter().flat_map(forwards).collect();
    config
}

fn destination(destination: &Destination) -> nat::Destination {
    let ports = destination.ports.map(|(first, last)| first..=last);
    nat::Destination::new(destination.address, destination.prefix, ports)
}

/// The forwards that a published range of ports is.
pub(crate) fn forwards(publish: &config::Publish) -> Vec<Forward> {
    let forward = |n: u16| {
        let host = match &publish.host {
            PublishHost::Tcp(address, port) => HostEnd::Tcp(SocketAddr::new(*address, port.saturating_add(n))),
            PublishHost::Udp(address, port) => HostEnd::Udp(SocketAddr::new(*address, port.saturating_add(n))),
            PublishHost::Unix(path) => HostEnd::Unix(path.clone()),
        };
        Forward { host, guest_port: publish.guest_port.saturating_add(n) }
    };
    (0..publish.count).map(forward).collect()
}
