//! Networks that macOS makes for a card (`vmnet`), one for each, and what it makes them of.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use config::{Ipv6Prefix, MacAddress, PublishHost, VmnetMode};

use super::{NetworkSource, Planner};
use crate::Api;

/// A network for one card: the arguments of `vmnet_network_configuration_create` and of the functions that change what
/// that made. What is `None` is as macOS has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vmnet {
    /// The mode.
    pub mode: VmnetMode,
    /// `set_external_interface`, by its BSD name.
    pub external_interface: Option<String>,
    /// `set_ipv4_subnet`: the address of the host, and the mask. The first address of the network in its place lets the
    /// machine fail when it is started.
    pub ipv4: Option<(Ipv4Addr, Ipv4Addr)>,
    /// `set_ipv6_prefix`, of [`Ipv6Prefix::BITS`].
    pub ipv6: Option<Ipv6Addr>,
    /// `set_mtu`, in bytes.
    pub mtu: Option<u16>,
    /// What it does not do, in the order of [`VmnetService`].
    pub without: Vec<VmnetService>,
    /// `add_dhcp_reservation`: which card gets which address.
    pub lease: Option<(MacAddress, Ipv4Addr)>,
    /// `add_port_forwarding_rule`.
    pub forwards: Vec<VmnetForward>,
}

/// What a network does unless it is told not to (`disable_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VmnetService {
    /// `dhcp`: addresses for guests.
    Dhcp,
    /// `dns_proxy`: the host's name servers at the gateway.
    DnsProxy,
    /// `nat44`: IPv4 in the host's name.
    Nat44,
    /// `nat66`: IPv6 in the host's name.
    Nat66,
    /// `router_advertisement`: the IPv6 network, announced.
    RouterAdvertisement,
}

/// A port of the host's interfaces that leads to the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VmnetForward {
    /// It is of UDP; else of TCP.
    pub udp: bool,
    /// The host's port.
    pub external_port: u16,
    /// The guest's port.
    pub internal_port: u16,
    /// The guest.
    pub internal_address: Ipv4Addr,
}

impl Planner<'_> {
    /// `None` when it is refused.
    pub(super) fn vmnet(
        &mut self,
        field: &str,
        network: &config::Network,
        options: &config::Vmnet,
    ) -> Option<NetworkSource> {
        self.need(&format!("{field}.vmnet"), Api::VmnetAttachment, "use `nat` or `shared`");
        if network.capture.is_some() {
            let what = "what passes in a network of macOS does not pass through Russet";
            self.refuse(format!("{field}.capture"), what, "remove it, or use `nat`, `shared` or a socket");
        }
        let address = options.known_address();
        let lease = match (address.filter(|_| options.dhcp), network.mac) {
            (Some(address), Some(mac)) => Some((mac, address)),
            (Some(_), None) => {
                let what = "an address is for a card whose hardware address is known";
                self.refuse(format!("{field}.mac"), what, "give one, as 52:54:00:12:34:56");
                return None;
            }
            (None, _) => None,
        };
        let without = [
            (options.dhcp, VmnetService::Dhcp),
            (options.dns, VmnetService::DnsProxy),
            (options.nat44, VmnetService::Nat44),
            (options.nat66 && options.ipv6, VmnetService::Nat66),
            (options.ipv6, VmnetService::RouterAdvertisement),
        ];
        Some(NetworkSource::Vmnet(Vmnet {
            mode: options.mode,
            external_interface: options.external_interface.clone(),
            ipv4: options.subnet.map(|subnet| (subnet.gateway(), subnet.mask())),
            ipv6: options.ipv6_prefix.map(|prefix| prefix.0),
            mtu: network.mtu,
            without: without.into_iter().filter(|(on, _)| !on).map(|(_, service)| service).collect(),
            lease,
            forwards: address.map(|address| forwards(options, address)).unwrap_or_default(),
        }))
    }
}

fn forwards(options: &config::Vmnet, internal_address: Ipv4Addr) -> Vec<VmnetForward> {
    let ports = options.publish.iter().filter_map(|publish| match publish.host {
        PublishHost::Tcp(_, port) => Some((false, port, publish)),
        PublishHost::Udp(_, port) => Some((true, port, publish)),
        // `validate()` refuses it.
        PublishHost::Unix(_) => None,
    });
    ports
        .flat_map(|(udp, port, publish)| {
            (0..publish.count).map(move |number| VmnetForward {
                udp,
                external_port: port.saturating_add(number),
                internal_port: publish.guest_port.saturating_add(number),
                internal_address,
            })
        })
        .collect()
}

impl fmt::Display for Vmnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.mode {
            VmnetMode::Shared => "VZVmnetNetworkDeviceAttachment shared",
            VmnetMode::Host => "VZVmnetNetworkDeviceAttachment host",
        })?;
        if let Some(interface) = &self.external_interface {
            write!(f, " through {interface:?}")?;
        }
        if let Some((host, mask)) = self.ipv4 {
            write!(f, ", host {host} mask {mask}")?;
        }
        if let Some(ipv6) = self.ipv6 {
            write!(f, ", {ipv6}/{}", Ipv6Prefix::BITS)?;
        }
        if let Some(mtu) = self.mtu {
            write!(f, ", packets of {mtu} bytes")?;
        }
        self.without.iter().try_for_each(|service| write!(f, ", no {service:?}"))?;
        if let Some((mac, address)) = self.lease {
            write!(f, "\n    {mac} has {address}")?;
        }
        self.forwards.iter().try_for_each(|forward| {
            let VmnetForward { udp, external_port, internal_port, internal_address } = forward;
            let protocol = if *udp { "udp" } else { "tcp" };
            write!(f, "\n    {protocol} {external_port} to {internal_address}:{internal_port}")
        })
    }
}
