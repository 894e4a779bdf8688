//! Addresses of cards on macOS's own networks: the framework's NAT, and vmnet.
//!
//! macOS's DHCP server (`bootpd`) keeps what it has leased in a text file. Each lease is a block of `key=value` lines in
//! braces. The bytes of hardware addresses have no leading zeros there, and come after their type (1 is Ethernet, RFC 826)
//! and a comma.

use std::fs::File;
use std::io::Read;
use std::net::Ipv4Addr;
use std::path::Path;

use config::{MacAddress, Network, NetworkAttachment, Publish};
use vz::{NetworkSource, Object, Plan};

/// Where macOS keeps its leases.
pub(super) const FILE: &str = "/var/db/dhcpd_leases";

/// How much of the file is read, in bytes: its names come from guests.
const MAX_FILE: u64 = 4 << 20;

/// A card on a network of macOS's own, as whoever runs the machine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacosCard {
    /// The card's Ethernet address.
    pub mac: MacAddress,
    /// The IPv4 address that macOS has leased to it. A guest that asks by another identifier than its hardware address
    /// is not found.
    pub address: Option<Ipv4Addr>,
    /// The ports that macOS forwards to it.
    pub published: Vec<Publish>,
}

/// The cards of a machine that are on macOS's own networks.
pub(super) struct Leases(Vec<MacosCard>);

impl Leases {
    /// Those of a plan, which was made from these networks.
    pub(super) fn new(networks: &[Network], plan: &Plan) -> Self {
        let cards = plan.objects.iter().filter_map(|object| match object {
            Object::Network(card) => Some(card),
            _ => None,
        });
        let own = networks.iter().zip(cards).filter_map(|(network, card)| {
            let published = match (&card.source, &network.attachment) {
                (NetworkSource::Vmnet(_), NetworkAttachment::Vmnet(options)) => options.publish.clone(),
                (NetworkSource::Nat, _) => Vec::new(),
                _ => return None,
            };
            Some(MacosCard { mac: card.mac?, address: None, published })
        });
        Self(own.collect())
    }

    /// The cards, with what is leased to them by a file of macOS's; with nothing when it cannot be read.
    pub(super) fn cards(&self, file: &Path) -> Vec<MacosCard> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut bytes = Vec::new();
        let read = File::open(file).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes));
        if let Err(error) = read {
            // macOS makes it with its first lease.
            tracing::debug!(file = %file.display(), %error, "the leases of macOS are not read");
        }
        let text = String::from_utf8_lossy(&bytes);
        let leased = |card: &MacosCard| MacosCard { address: address(&text, card.mac), ..card.clone() };
        self.0.iter().map(leased).collect()
    }
}

/// An address, for whom, and until when, in seconds since 1970.
struct Lease {
    mac: MacAddress,
    address: Ipv4Addr,
    end: u64,
}

/// The address of the card's lease that ends last: the server keeps old ones, too.
fn address(text: &str, mac: MacAddress) -> Option<Ipv4Addr> {
    let leases = text.split("\n}").filter_map(lease).filter(|lease| lease.mac == mac);
    leases.max_by_key(|lease| lease.end).map(|lease| lease.address)
}

/// A block; `None` where it is of no Ethernet card, or not understood.
fn lease(block: &str) -> Option<Lease> {
    let value = |key| block.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
    let mac = ethernet(value("hw_address")?.strip_prefix("1,")?)?;
    let end = value("lease").and_then(|end| u64::from_str_radix(end.strip_prefix("0x")?, 16).ok());
    Some(Lease { mac, address: value("ip_address")?.parse().ok()?, end: end.unwrap_or(0) })
}

fn ethernet(text: &str) -> Option<MacAddress> {
    let bytes: Option<Vec<u8>> = text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    bytes?.try_into().ok().map(MacAddress)
}

#[cfg(test)]
mod tests {
    use config::{BootLoader, LinuxBoot, Machine, Nat, Vmnet, VmnetMode};
    use vz::{Entitlements, Host, Rosetta, Version};

    use super::*;

    const MAC: MacAddress = MacAddress([2, 0, 0xa, 0x5e, 0, 9]);

    fn block(hardware: &str, address: &str, end: &str) -> String {
        format!(
            "{{\n\tname=web\n\tip_address={address}\n\thw_address={hardware}\n\tidentifier={hardware}\n\t{end}\n}}\n"
        )
    }

    #[test]
    fn a_lease_is_found_by_the_bytes_of_the_hardware_address() {
        let text = block("1,2:0:a:5e:0:8", "192.168.64.2", "lease=0x1") + &block("1,2:0:a:5e:0:9", "192.168.64.3", "");
        assert_eq!(address(&text, MAC), Some(Ipv4Addr::new(192, 168, 64, 3)));
        assert_eq!(address(&text, MacAddress([2, 0, 0xa, 0x5e, 0, 7])), None);
    }

    #[test]
    fn the_lease_that_ends_last_is_the_cards_in_any_order() {
        let old = block("1,2:0:a:5e:0:9", "192.168.64.3", "lease=0x65000000");
        let new = block("1,2:0:a:5e:0:9", "192.168.65.4", "lease=0x65000e10");
        for text in [format!("{old}{new}"), format!("{new}{old}")] {
            assert_eq!(address(&text, MAC), Some(Ipv4Addr::new(192, 168, 65, 4)));
        }
    }

    #[test]
    fn what_is_no_lease_of_an_ethernet_card_is_passed_over() {
        let good = block("1,2:0:a:5e:0:9", "192.168.64.3", "lease=soon");
        let others = [
            // A guest that asks by an identifier of its own (RFC 4361).
            block("ff,f1:f5:dd:7f:0:2:0:0:ab:11", "192.168.64.9", "lease=0x7fffffff"),
            block("1,2:0:a:5e:0", "192.168.64.9", "lease=0x7fffffff"),
            block("1,2:0:a:5e:0:100", "192.168.64.9", "lease=0x7fffffff"),
            block("1,2:0:a:5e:0:9", "here", "lease=0x7fffffff"),
            "{\n}\n{ =\n\0}}}\n".to_owned(),
        ];
        for other in others {
            assert_eq!(address(&other, MAC), None, "{other}");
            assert_eq!(address(&format!("{other}{good}"), MAC), Some(Ipv4Addr::new(192, 168, 64, 3)), "{other}");
        }
    }

    #[test]
    fn only_cards_on_networks_of_macos_are_looked_up() {
        let loader = LinuxBoot { kernel: "/Image".into(), initrd: None, cmdline: String::new() };
        let mut machine = Machine::new(BootLoader::Linux(loader));
        let mut vmnet = Vmnet::new(VmnetMode::Shared);
        vmnet.subnet = Some("192.168.70.0/24".parse().unwrap());
        vmnet.publish = vec!["0.0.0.0:8080:80".parse().unwrap()];
        let ours = Nat { subnet: Some("10.77.0.0/24".parse().unwrap()), ..Nat::default() };
        let attachments = [
            NetworkAttachment::Nat(ours),
            NetworkAttachment::Vmnet(vmnet.clone()),
            NetworkAttachment::Nat(Nat::default()),
        ];
        for (n, attachment) in (7..).zip(attachments) {
            let mac = Some(MacAddress([2, 0, 0xa, 0x5e, 0, n]));
            machine.network.push(Network { mac, ..Network::of(attachment) });
        }
        let host = Host {
            macos: Version::new(26, 0),
            apple_silicon: true,
            supported: true,
            cpus: 1..=8,
            memory: 128..=16384,
            entitlements: Entitlements { virtualization: true, networking: false },
            rosetta: Rosetta::NotInstalled,
            nested: false,
            bridged: Vec::new(),
            macos_guests: Vec::new(),
        };
        let plan = vz::plan(&machine, &host).unwrap();
        let leases = Leases::new(&machine.network, &plan);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("leases");
        let card = |n, address, published| MacosCard { mac: MacAddress([2, 0, 0xa, 0x5e, 0, n]), address, published };
        assert_eq!(leases.cards(&file), [card(8, None, vmnet.publish.clone()), card(9, None, Vec::new())]);
        let text = block("1,2:0:a:5e:0:7", "10.77.0.2", "") + &block("1,2:0:a:5e:0:9", "192.168.64.3", "");
        std::fs::write(&file, text).unwrap();
        let leased = Some(Ipv4Addr::new(192, 168, 64, 3));
        assert_eq!(leases.cards(&file), [card(8, None, vmnet.publish), card(9, leased, Vec::new())]);
    }
}
