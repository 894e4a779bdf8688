//! A DHCPv4 server (RFC 2131, options RFC 2132) for one small network. A card's address is fixed from the first time
//! that it asks, the first card gets the first address after the gateway's, and nothing that the guest remembers
//! from elsewhere changes that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smoltcp::wire::{
    DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpFlags, DhcpMessageType as Message, DhcpOpCode, DhcpOption, DhcpPacket,
    EthernetAddress,
};

use super::ledger::Ledger;
use super::out::Out;
use super::{Config, names};
use crate::MacAddr;

/// How long a lease is good, in seconds: a day, since nobody else wants the address.
const LEASE_SECONDS: u32 = 86400;
/// How many cards are remembered; beyond it the one that asked longest ago is forgotten.
pub(super) const MAX_LEASES: usize = 256;
/// The shortest message with options that old clients accept (RFC 1542, 2.1).
const MIN_MESSAGE: usize = 300;
/// The longest message sent: 576 bytes less headers, which every client accepts (RFC 2131, 2).
const MAX_MESSAGE: usize = 548;
const FIXED_PART: usize = 240;
const MAGIC: u32 = 0x6382_5363;

/// Option codes of RFC 2132.
mod option {
    pub(super) const SUBNET_MASK: u8 = 1;
    pub(super) const ROUTER: u8 = 3;
    pub(super) const NAME_SERVER: u8 = 6;
    pub(super) const HOST_NAME: u8 = 12;
    pub(super) const DOMAIN_NAME: u8 = 15;
    pub(super) const MTU: u8 = 26;
    pub(super) const BROADCAST: u8 = 28;
    pub(super) const REQUESTED: u8 = 50;
    pub(super) const LEASE_TIME: u8 = 51;
    pub(super) const MESSAGE_TYPE: u8 = 53;
    pub(super) const SERVER: u8 = 54;
    pub(super) const CLIENT: u8 = 61;
}

/// An address that was given to a card of the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The card.
    pub mac: MacAddr,
    /// Its address.
    pub address: Ipv4Addr,
    /// Whether the card has taken it: it was acknowledged, not just offered.
    pub bound: bool,
    /// What its machine is called, as the configuration or the guest says.
    pub name: Option<String>,
    /// It is the machine's of the configuration, and never given to another.
    pub reserved: bool,
    /// The IPv6 address in this network that the machine has made for itself, once it was seen with one.
    pub address6: Option<Ipv6Addr>,
}

/// The leases of a network as they are now, for whoever wants to look.
#[derive(Debug, Clone, Default)]
pub struct Leases(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    list: Mutex<Vec<Lease>>,
    /// How often something has changed that outlives the router: an offer does not.
    changes: AtomicU64,
}

impl Leases {
    /// What an earlier router of the network has left, and the lease of the configuration's machine, if it names one.
    pub(super) fn new(config: &Config) -> Self {
        let leases = Self::default();
        let earlier = config.ledger.clone().and_then(|path| Ledger(path).read());
        for lease in earlier.map(|entries| entries.leases).unwrap_or_default() {
            let mut list = leases.lock();
            let is_new = list.iter().all(|l| l.mac != lease.mac && l.address != lease.address);
            if is_new && config.is_host(lease.address) && lease.address != config.gateway {
                list.push(lease);
            }
        }
        if let Some(machine) = &config.machine {
            leases.offer(machine.mac, config);
            leases.lock().iter_mut().for_each(|lease| {
                lease.reserved = true;
                lease.name = machine.name.clone();
            });
        }
        leases
    }

    /// Where forwards lead: the card of the configuration's machine, or the first that has taken an address.
    pub(super) fn machine(&self) -> Option<Lease> {
        let leases = self.lock();
        leases.iter().find(|l| l.reserved).or_else(|| leases.iter().find(|l| l.bound)).cloned()
    }

    /// The card uses `address`, which is of this network. Of several addresses that a machine has at a time, the one
    /// that follows from its Ethernet address counts, or else the first.
    pub(super) fn seen(&self, mac: MacAddr, address: Ipv6Addr) {
        let of_card = mac.link_local().octets()[8..] == address.octets()[8..];
        if let Some(lease) = self.lock().iter_mut().find(|l| l.mac == mac)
            && (of_card || lease.address6.is_none())
        {
            lease.address6 = Some(address);
        }
    }

    /// The card has come up anew, and makes addresses anew.
    pub(super) fn unseen(&self, mac: MacAddr) {
        self.lock().iter_mut().filter(|l| l.mac == mac).for_each(|lease| lease.address6 = None);
    }

    /// The IPv6 address of a card that was seen with one.
    #[must_use]
    pub fn address6(&self, mac: MacAddr) -> Option<Ipv6Addr> {
        self.lock().iter().find(|l| l.mac == mac)?.address6
    }

    /// The address that is the machine's of the configuration, whether it has taken it or not.
    #[must_use]
    pub fn reserved(&self) -> Option<Ipv4Addr> {
        self.lock().iter().find(|l| l.reserved).map(|l| l.address)
    }

    /// All leases, the one that was used longest ago first.
    #[must_use]
    pub fn list(&self) -> Vec<Lease> {
        self.lock().clone()
    }

    /// The address of a card that has one.
    #[must_use]
    pub fn address(&self, mac: MacAddr) -> Option<Ipv4Addr> {
        self.lock().iter().find(|l| l.mac == mac && l.bound).map(|l| l.address)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Lease>> {
        self.0.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that is another after each change of what outlives the router.
    pub(super) fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Acquire)
    }

    fn changed(&self) {
        self.0.changes.fetch_add(1, Ordering::Release);
    }

    /// The lease of `mac`, made if need be and moved to the end; `None` when the network is full.
    fn offer(&self, mac: MacAddr, config: &Config) -> Option<Ipv4Addr> {
        let mut leases = self.lock();
        if let Some(at) = leases.iter().position(|l| l.mac == mac) {
            let lease = leases.remove(at);
            let address = lease.address;
            leases.push(lease);
            return Some(address);
        }
        let free = |leases: &[Lease]| {
            let candidates = (1..=MAX_LEASES as u32).map(|n| Ipv4Addr::from_bits(config.gateway.to_bits() + n));
            let below = (1..=MAX_LEASES as u32).map(|n| Ipv4Addr::from_bits(config.gateway.to_bits() - n));
            let mut hosts = candidates.chain(below).filter(|a| config.is_host(*a));
            hosts.find(|a| leases.iter().all(|l| l.address != *a))
        };
        if leases.len() >= MAX_LEASES || free(&leases).is_none() {
            let oldest = leases.iter().position(|lease| !lease.reserved)?;
            leases.remove(oldest);
        }
        let address = free(&leases)?;
        leases.push(Lease { mac, address, bound: false, name: None, reserved: false, address6: None });
        Some(address)
    }

    /// Calls the machine of a card `name`, unless it or another is called something already.
    fn call(&self, mac: MacAddr, name: &str) {
        let mut leases = self.lock();
        if leases.iter().any(|lease| lease.mac != mac && lease.name.as_deref() == Some(name)) {
            return;
        }
        if let Some(lease) = leases.iter_mut().find(|l| l.mac == mac && !(l.reserved && l.name.is_some())) {
            if lease.name.as_deref() != Some(name) {
                self.changed();
            }
            lease.name = Some(name.to_owned());
        }
    }

    fn name(&self, mac: MacAddr) -> Option<String> {
        self.lock().iter().find(|l| l.mac == mac)?.name.clone()
    }

    fn bind(&self, mac: MacAddr, bound: bool) {
        if let Some(lease) = self.lock().iter_mut().find(|l| l.mac == mac)
            && std::mem::replace(&mut lease.bound, bound) != bound
        {
            self.changed();
        }
    }
}

/// A request as far as it matters here.
struct Request<'a> {
    message: Message,
    transaction: u32,
    mac: MacAddr,
    current: Ipv4Addr,
    requested: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
    client: Option<&'a [u8]>,
    name: Option<String>,
    broadcast: bool,
}

fn parse<'a>(packet: &'a DhcpPacket<&'a [u8]>) -> Option<Request<'a>> {
    let ours = packet.opcode() == DhcpOpCode::Request
        && packet.magic_number() == MAGIC
        && packet.hardware_len() == 6
        && packet.relay_agent_ip().is_unspecified();
    let mac = MacAddr(packet.client_hardware_address().0);
    if !ours || !mac.is_unicast() {
        return None;
    }
    let mut request = Request {
        message: Message::Unknown(0),
        transaction: packet.transaction_id(),
        mac,
        current: packet.client_ip(),
        requested: None,
        server: None,
        client: None,
        name: None,
        broadcast: packet.flags().contains(DhcpFlags::BROADCAST),
    };
    for DhcpOption { kind, data } in packet.options() {
        let address = || <[u8; 4]>::try_from(data).ok().map(Ipv4Addr::from);
        match kind {
            option::MESSAGE_TYPE => request.message = Message::from(*data.first()?),
            option::REQUESTED => request.requested = address(),
            option::SERVER => request.server = address(),
            option::CLIENT => request.client = Some(data),
            option::HOST_NAME => request.name = names::machine_name(data),
            _ => {}
        }
    }
    Some(request)
}

/// Answers a message to the server's port.
pub(super) fn input(leases: &Leases, config: &Config, payload: &[u8], out: &mut Out<'_>) {
    let Ok(packet) = DhcpPacket::new_checked(payload) else { return };
    let Some(request) = parse(&packet) else { return };
    if request.server.is_some_and(|s| s != config.gateway) {
        return;
    }
    let message = match request.message {
        Message::Discover => Message::Offer,
        Message::Request => Message::Ack,
        Message::Inform => return reply(leases, config, &request, Message::Ack, None, out),
        Message::Release => return leases.bind(request.mac, false),
        _ => return,
    };
    let Some(address) = leases.offer(request.mac, config) else { return };
    if message == Message::Ack {
        let wanted = request.requested.unwrap_or(request.current);
        if wanted != address {
            return reply(leases, config, &request, Message::Nak, None, out);
        }
        leases.bind(request.mac, true);
        if let Some(name) = &request.name {
            leases.call(request.mac, name);
        }
    }
    reply(leases, config, &request, message, Some(address), out);
}

fn reply(
    leases: &Leases,
    config: &Config,
    request: &Request<'_>,
    message: Message,
    address: Option<Ipv4Addr>,
    out: &mut Out<'_>,
) {
    // RFC 2131, 4.1: where the answer goes.
    let everyone = (MacAddr([0xff; 6]), Ipv4Addr::BROADCAST);
    let (mac, target) = match address {
        _ if message == Message::Nak => everyone,
        _ if config.is_host(request.current) => (request.mac, request.current),
        Some(address) if !request.broadcast => (request.mac, address),
        _ => everyone,
    };
    let name = leases.name(request.mac);
    let source = (IpAddr::V4(config.gateway), DHCP_SERVER_PORT).into();
    let mut bytes = [0; MAX_MESSAGE];
    match emit(config, request, message, address, name.as_deref(), &mut bytes) {
        Ok(end) => out.udp(mac, source, (IpAddr::V4(target), DHCP_CLIENT_PORT).into(), &bytes[..end.max(MIN_MESSAGE)]),
        Err(_) => tracing::debug!("a DHCP answer did not fit"),
    }
}

/// Writes the answer into `bytes`, which are zero; gives its length.
fn emit(
    config: &Config,
    request: &Request<'_>,
    message: Message,
    address: Option<Ipv4Addr>,
    name: Option<&str>,
    bytes: &mut [u8],
) -> Result<usize, smoltcp::wire::Error> {
    let mut packet = DhcpPacket::new_unchecked(&mut *bytes);
    packet.set_opcode(DhcpOpCode::Reply);
    packet.set_hardware_type(smoltcp::wire::ArpHardware::Ethernet);
    packet.set_hardware_len(6);
    packet.set_transaction_id(request.transaction);
    packet.set_client_hardware_address(EthernetAddress(request.mac.0));
    packet.set_magic_number(MAGIC);
    packet.set_flags(if request.broadcast { DhcpFlags::BROADCAST } else { DhcpFlags::empty() });
    if message != Message::Nak {
        packet.set_client_ip(request.current);
        packet.set_your_ip(address.unwrap_or(Ipv4Addr::UNSPECIFIED));
        packet.set_server_ip(config.gateway);
    }
    let gateway = config.gateway.octets();
    let mut length = FIXED_PART;
    let mut options = packet.options_mut();
    let mut add = |kind, data: &[u8]| {
        length += 2 + data.len();
        options.emit(DhcpOption { kind, data })
    };
    add(option::MESSAGE_TYPE, &[message.into()])?;
    add(option::SERVER, &gateway)?;
    if let Some(client) = request.client {
        add(option::CLIENT, client)?;
    }
    if message != Message::Nak {
        if address.is_some() {
            add(option::LEASE_TIME, &LEASE_SECONDS.to_be_bytes())?;
        }
        add(option::SUBNET_MASK, &config.cidr().netmask().octets())?;
        add(option::BROADCAST, &config.broadcast().octets())?;
        add(option::ROUTER, &gateway)?;
        add(option::NAME_SERVER, &gateway)?;
        add(option::DOMAIN_NAME, names::DOMAIN.as_bytes())?;
        add(option::MTU, &config.mtu.to_be_bytes())?;
        if let Some(name) = name {
            add(option::HOST_NAME, name.as_bytes())?;
        }
    }
    options.end()?;
    Ok(length + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(n: u8) -> MacAddr {
        MacAddr([2, 0, 0, 0, 0, n])
    }

    #[test]
    fn a_card_keeps_its_address_and_the_first_gets_the_first() {
        let (leases, config) = (Leases::default(), Config::default());
        let give = |n| leases.offer(mac(n), &config).unwrap().octets()[3];
        assert_eq!([give(1), give(2), give(1), give(3)], [2, 3, 2, 4]);
        assert_eq!(leases.address(mac(1)), None);
        leases.bind(mac(1), true);
        assert_eq!(leases.address(mac(1)), Some(Ipv4Addr::new(192, 168, 64, 2)));
    }

    #[test]
    fn a_full_network_forgets_who_asked_longest_ago() {
        let config = Config { prefix: 29, ..Config::default() };
        let leases = Leases::default();
        let give = |n| leases.offer(mac(n), &config).unwrap().octets()[3];
        assert_eq!([1, 2, 3, 4, 5].map(give), [2, 3, 4, 5, 6]);
        assert_eq!([1, 6, 1].map(give), [2, 3, 2]);
        assert_eq!(leases.list().len(), 5);
    }

    #[test]
    fn the_address_that_follows_from_the_card_counts() {
        let (leases, config) = (Leases::default(), Config::default());
        let [other, of_card]: [Ipv6Addr; 2] = ["fd72::1234", "fd72::ff:fe00:1"].map(|a| a.parse().unwrap());
        leases.seen(mac(1), other);
        assert_eq!(leases.address6(mac(1)), None, "nobody knows the card");
        leases.offer(mac(1), &config);
        for (seen, wanted) in
            [(other, other), ("fd72::5678".parse().unwrap(), other), (of_card, of_card), (other, of_card)]
        {
            leases.seen(mac(1), seen);
            assert_eq!(leases.address6(mac(1)), Some(wanted));
        }
        leases.unseen(mac(1));
        assert_eq!(leases.address6(mac(1)), None);
    }

    #[test]
    fn addresses_below_a_high_gateway_are_used() {
        let config = Config { gateway: Ipv4Addr::new(10, 0, 0, 254), ..Config::default() };
        assert_eq!(Leases::default().offer(mac(1), &config), Some(Ipv4Addr::new(10, 0, 0, 253)));
    }
}
