//! A network card behind NAT, as whoever runs the machine sees it: its address, and the ports that lead to it.

use std::net::{Ipv4Addr, Ipv6Addr};

use config::{Publish, PublishHost};
use net::nat::{Control, Forward, HostEnd, Leases, Nat};

use crate::{Error, open};

/// A card on a network behind NAT. It lives as long as the machine object; a clone is the same card.
#[derive(Clone)]
pub struct NatCard {
    mac: [u8; 6],
    leases: Leases,
    control: Control,
}

impl NatCard {
    pub(crate) fn new(mac: net::MacAddr, nat: &Nat) -> Self {
        Self { mac: mac.0, leases: nat.leases(), control: nat.control() }
    }

    /// The card's Ethernet address.
    #[must_use]
    pub fn mac(&self) -> config::MacAddress {
        config::MacAddress(self.mac)
    }

    /// The IPv4 address that the card gets when it asks, known before the machine starts.
    #[must_use]
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.leases.reserved()
    }

    /// Whether the guest has taken [`address`](Self::address).
    #[must_use]
    pub fn is_leased(&self) -> bool {
        self.leases.address(net::MacAddr(self.mac)).is_some()
    }

    /// The IPv6 address that the guest has made for itself in the card's network, once it was seen with one.
    #[must_use]
    pub fn address6(&self) -> Option<Ipv6Addr> {
        self.leases.address6(net::MacAddr(self.mac))
    }

    /// Lets ports of the host lead to the guest from now on; gives them with what the host chose where a port was
    /// zero. Either all are there afterwards, or none.
    ///
    /// # Errors
    /// The host does not give one of the ports.
    pub fn publish(&self, publish: &Publish) -> Result<Vec<Publish>, Error> {
        let mut added = Vec::new();
        for forward in open::forwards(publish) {
            match self.control.add(&forward) {
                Ok(forward) => added.push(forward),
                Err(error) => {
                    // They were there a moment ago, so that nothing can go wrong.
                    added.iter().for_each(|forward| drop(self.control.remove(&forward.host)));
                    return Err(Error::Publish(error.to_string()));
                }
            }
        }
        Ok(added.into_iter().map(one).collect())
    }

    /// Lets ports of the host lead nowhere again: those at `host` and, for several, the ones after it. Connections
    /// that stand go on.
    ///
    /// # Errors
    /// One of them is not published.
    pub fn unpublish(&self, publish: &Publish) -> Result<(), Error> {
        let removed = open::forwards(publish).iter().try_for_each(|forward| self.control.remove(&forward.host));
        removed.map_err(|error| Error::Publish(error.to_string()))
    }

    /// The published ports, one by one.
    #[must_use]
    pub fn published(&self) -> Vec<Publish> {
        self.control.list().into_iter().map(one).collect()
    }
}

fn one(forward: Forward) -> Publish {
    let host = match forward.host {
        HostEnd::Tcp(address) => PublishHost::Tcp(address.ip(), address.port()),
        HostEnd::Udp(address) => PublishHost::Udp(address.ip(), address.port()),
        HostEnd::Unix(path) => PublishHost::Unix(path),
    };
    Publish { host, guest_port: forward.guest_port, count: 1 }
}
