//! A network that macOS itself makes for a card: its mode, its addresses, what it serves, ports that lead to the guest.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::nat::{Publish, Subnet};

/// Options of a network of macOS's `vmnet`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vmnet {
    /// What lies behind the gateway.
    pub mode: VmnetMode,
    /// The IPv4 network; without it macOS chooses one in 192.168.0.0/16.
    pub subnet: Option<Subnet>,
    /// The guest's address in that network. macOS leases it to the card, or without `dhcp` the guest has it by itself.
    pub address: Option<Ipv4Addr>,
    /// The IPv6 network; without it macOS makes one up.
    pub ipv6_prefix: Option<Ipv6Prefix>,
    /// The host's interface through which a shared network leads out; without it the one that the host itself uses.
    pub external_interface: Option<String>,
    /// Ports of the host's interfaces that lead to the guest.
    pub publish: Vec<Publish>,
    /// Guests get addresses from macOS.
    pub dhcp: bool,
    /// The gateway answers for the host's name servers.
    pub dns: bool,
    /// IPv4 is translated to the host's address.
    pub nat44: bool,
    /// IPv6 is translated to the host's address.
    pub nat66: bool,
    /// The gateway announces an IPv6 network; without it IPv6 is not translated either.
    pub ipv6: bool,
}

impl Vmnet {
    /// A network of which nothing else is said.
    #[must_use]
    pub fn new(mode: VmnetMode) -> Self {
        Vmnet {
            mode,
            subnet: None,
            address: None,
            ipv6_prefix: None,
            external_interface: None,
            publish: Vec::new(),
            dhcp: true,
            dns: true,
            nat44: true,
            nat66: true,
            ipv6: true,
        }
    }

    /// The address at which the host knows the guest beforehand, if it does: the one that is given, or for published
    /// ports the first that a guest of the network can have.
    #[must_use]
    pub fn known_address(&self) -> Option<Ipv4Addr> {
        let first = || self.subnet.filter(|_| self.dhcp && !self.publish.is_empty()).map(|subnet| subnet.guests().0);
        self.address.or_else(first)
    }
}

/// What lies behind the gateway of a network of macOS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VmnetMode {
    /// The host, and through it what the host reaches.
    Shared,
    /// The host alone.
    Host,
}

/// An IPv6 network of 64 bits for guests, in the addresses that are nobody's (fd00::/8, RFC 4193), by its first address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv6Prefix(pub Ipv6Addr);

impl Ipv6Prefix {
    /// How many bits it has.
    pub const BITS: u8 = 64;
}

impl fmt::Display for Ipv6Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, Ipv6Prefix::BITS)
    }
}

impl FromStr for Ipv6Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let prefix = || {
            let address: Ipv6Addr = text.strip_suffix("/64")?.parse().ok()?;
            let free = address.octets()[0] == 0xfd && address.to_bits() as u64 == 0;
            free.then_some(Ipv6Prefix(address))
        };
        prefix().ok_or_else(|| {
            format!(
                "`{text}` is no IPv6 network for guests: write one of 64 bits in fd00::/8, as fd12:3456:789a:1::/64"
            )
        })
    }
}

impl Serialize for Ipv6Prefix {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ipv6Prefix {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        assert_eq!("fd00:1:2:3::/64".parse::<Ipv6Prefix>().unwrap().to_string(), "fd00:1:2:3::/64");
        for text in ["", "fd00::", "fd00::/48", "fd00::1/64", "2001:db8::/64", "fc00::/64", "10.0.0.0/64"] {
            assert!(text.parse::<Ipv6Prefix>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_guest_is_known_by_its_address_or_for_its_ports() {
        let mut network = Vmnet::new(VmnetMode::Shared);
        network.subnet = Some("192.168.70.0/24".parse().unwrap());
        assert_eq!(network.known_address(), None);
        network.publish = vec!["0.0.0.0:8080:80".parse().unwrap()];
        assert_eq!(network.known_address(), Some(Ipv4Addr::new(192, 168, 70, 2)));
        network.dhcp = false;
        assert_eq!(network.known_address(), None);
        network.address = Some(Ipv4Addr::new(192, 168, 70, 9));
        assert_eq!(network.known_address(), network.address);
    }
}
