//! A network behind network address translation: its addresses, what the guest may reach, ports that lead to it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::str::FromStr;

/// Options of a network behind NAT. The default is what `nat` alone means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nat {
    /// The IPv4 network; without it 192.168.64.0/24, or another one that the host does not use.
    pub subnet: Option<Subnet>,
    /// The guest has an IPv6 network, too.
    pub ipv6: bool,
    /// The gateway's addresses stand for the host.
    pub host_access: bool,
    /// If there are any, the guest reaches nothing else outside.
    pub allow: Vec<Destination>,
    /// What the guest does not reach; wins over `allow`.
    pub deny: Vec<Destination>,
    /// Ports of the host that lead to the guest.
    pub publish: Vec<Publish>,
    /// What the machine is called on its network; without it what the guest says.
    pub hostname: Option<String>,
}

impl Default for Nat {
    fn default() -> Self {
        Nat {
            subnet: None,
            ipv6: true,
            host_access: false,
            allow: Vec::new(),
            deny: Vec::new(),
            publish: Vec::new(),
            hostname: None,
        }
    }
}

/// An IPv4 network: its first address and the length of its prefix, 8 to 30.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    /// The network's own address, whose host bits are zero.
    pub address: Ipv4Addr,
    /// The length of the prefix in bits.
    pub prefix: u8,
}

impl Subnet {
    /// The first and the last address of a guest: not the network's own, its gateway's, which follows that, or the one
    /// of all.
    #[must_use]
    pub fn guests(self) -> (Ipv4Addr, Ipv4Addr) {
        let (network, hosts) = (self.address.to_bits(), u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0));
        ((network + 2).into(), (network + hosts - 1).into())
    }

    /// Its gateway.
    #[must_use]
    pub fn gateway(self) -> Ipv4Addr {
        (self.address.to_bits() | 1).into()
    }

    /// The bits of an address that say which network it is of.
    #[must_use]
    pub fn mask(self) -> Ipv4Addr {
        (!u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0)).into()
    }

    /// Whether an address can be in both.
    #[must_use]
    pub fn overlaps(self, other: Subnet) -> bool {
        let both = self.mask().to_bits() & other.mask().to_bits();
        (self.address.to_bits() ^ other.address.to_bits()) & both == 0
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let subnet = || {
            let (address, prefix) = text.split_once('/')?;
            let (address, prefix) = (address.parse::<Ipv4Addr>().ok()?, prefix.parse::<u8>().ok()?);
            let inside = (8..=30).contains(&prefix) && address.to_bits().trailing_zeros() >= 32 - u32::from(prefix);
            let usable = !matches!(address.octets()[0], 0 | 127 | 224..);
            (inside && usable).then_some(Subnet { address, prefix })
        };
        subnet().ok_or_else(|| {
            format!("`{text}` is no network for guests: write its first address and 8 to 30 bits, as 192.168.70.0/24")
        })
    }
}

/// A network, and maybe some of its ports: `10.0.0.0/8`, `192.0.2.1:443`, `[2001:db8::/32]:8000-8099`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination {
    /// An address of the network.
    pub address: IpAddr,
    /// How many bits of the address count.
    pub prefix: u8,
    /// The first and the last port; without them all, and what has no ports.
    pub ports: Option<(u16, u16)>,
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Destination { address, prefix, ports } = self;
        match (ports, address) {
            (None, _) => return write!(f, "{address}/{prefix}"),
            (Some((first, _)), IpAddr::V4(address)) => write!(f, "{address}/{prefix}:{first}")?,
            (Some((first, _)), IpAddr::V6(address)) => write!(f, "[{address}/{prefix}]:{first}")?,
        }
        match ports {
            Some((first, last)) if first != last => write!(f, "-{last}"),
            _ => Ok(()),
        }
    }
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        destination(text).ok_or_else(|| {
            format!("`{text}` is no destination: write 10.0.0.0/8, 192.0.2.1:443 or [2001:db8::/32]:8000-8099")
        })
    }
}

fn destination(text: &str) -> Option<Destination> {
    let (network, ports) = match text.strip_prefix('[') {
        Some(rest) => {
            let (network, rest) = rest.split_once(']')?;
            (network, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None if text.matches(':').count() == 1 => {
            text.split_once(':').map(|(network, ports)| (network, Some(ports)))?
        }
        None => (text, None),
    };
    let (address, prefix) = match network.split_once('/') {
        Some((address, prefix)) => (address.parse::<IpAddr>().ok()?, Some(prefix.parse::<u8>().ok()?)),
        None => (network.parse::<IpAddr>().ok()?, None),
    };
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.unwrap_or(bits);
    let ports = match ports {
        None => None,
        Some(ports) => Some(range(ports).filter(|(first, _)| *first > 0)?),
    };
    (prefix <= bits).then_some(Destination { address, prefix, ports })
}

/// `first` or `first-last`.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
    (first <= last).then_some((first, last))
}

/// Ports of the host that lead to as many of the guest: `8080:80`, `0.0.0.0:8000-8009:8000-8009/udp`, `/run/s.sock:22`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// Where connections or datagrams come in; for several ports the first.
    pub host: PublishHost,
    /// The guest's port; for several the first.
    pub guest_port: u16,
    /// How many ports, at least one.
    pub count: u16,
}

/// Where a published port begins.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PublishHost {
    /// TCP at an address and port; port zero lets the host choose.
    Tcp(IpAddr, u16),
    /// UDP at an address and port.
    Udp(IpAddr, u16),
    /// A unix stream socket, which is made.
    Unix(PathBuf),
}

impl fmt::Display for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = |first: u16| match self.count {
            0 | 1 => first.to_string(),
            count => format!("{first}-{}", first.saturating_add(count - 1)),
        };
        let bracketed = |address: &IpAddr| match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        let guest = ports(self.guest_port);
        match &self.host {
            PublishHost::Tcp(address, port) => write!(f, "{}:{}:{guest}", bracketed(address), ports(*port)),
            PublishHost::Udp(address, port) => write!(f, "{}:{}:{guest}/udp", bracketed(address), ports(*port)),
            PublishHost::Unix(path) => write!(f, "{}:{guest}", path.display()),
        }
    }
}

impl FromStr for Publish {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        publish(text).ok_or_else(|| {
            format!(
                "`{text}` publishes no port: write HOSTPORT:GUESTPORT, as 8080:80, 0.0.0.0:8000-8009:8000-8009, \
                 5353:53/udp or ./ssh.sock:22"
            )
        })
    }
}

fn publish(text: &str) -> Option<Publish> {
    let (rest, udp) = match text.strip_suffix("/udp") {
        Some(rest) => (rest, true),
        None => (text.strip_suffix("/tcp").unwrap_or(text), false),
    };
    let (host, guest) = rest.rsplit_once(':')?;
    let (guest_port, last) = range(guest).filter(|(first, _)| *first > 0)?;
    let count = last - guest_port + 1;
    if host.contains('/') {
        let single = count == 1 && !udp;
        return single.then(|| Publish { host: PublishHost::Unix(host.into()), guest_port, count });
    }
    let (address, port) = match host.rsplit_once(':') {
        Some((address, port)) => {
            let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
            (bare.parse().ok()?, port)
        }
        None => (IpAddr::V4(Ipv4Addr::LOCALHOST), host),
    };
    let (first, last) = range(port)?;
    let same = last - first == count - 1 && (first > 0 || count == 1);
    let host = if udp { PublishHost::Udp(address, first) } else { PublishHost::Tcp(address, first) };
    same.then_some(Publish { host, guest_port, count })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations() {
        for text in ["10.0.0.0/8", "192.0.2.1/32:443", "[2001:db8::/32]:8000-8099", "2001:db8::/32", "0.0.0.0/0:25"] {
            assert_eq!(text.parse::<Destination>().unwrap().to_string(), text);
        }
        assert_eq!("192.0.2.1:443".parse::<Destination>().unwrap().to_string(), "192.0.2.1/32:443");
        let wrong = ["", "10", "10.0.0.0/33", "::/129", "10.0.0.1:0", "10.0.0.1:9-8", "[::1]443", "[::1", "a.example"];
        for text in wrong {
            assert!(text.parse::<Destination>().is_err(), "{text}");
        }
    }

    #[test]
    fn published_ports() {
        let forms = [
            ("8080:80", "127.0.0.1:8080:80"),
            ("8080:80/tcp", "127.0.0.1:8080:80"),
            ("0:22", "127.0.0.1:0:22"),
            ("0.0.0.0:53:53/udp", "0.0.0.0:53:53/udp"),
            ("[::1]:8000-8009:80-89", "[::1]:8000-8009:80-89"),
            ("::1:8000:80", "[::1]:8000:80"),
            ("/run/a:b.sock:22", "/run/a:b.sock:22"),
            ("./s:22", "./s:22"),
        ];
        for (text, wanted) in forms {
            let publish: Publish = text.parse().unwrap();
            assert_eq!(publish.to_string(), wanted);
            assert_eq!(wanted.parse(), Ok(publish));
        }
        let wrong =
            ["", "80", "80:", ":80", "80:0", "80:70000", "a:80:80", "80-89:80", "0-9:1-10", "./s:22/udp", "./s:1-2"];
        for text in wrong {
            assert!(text.parse::<Publish>().is_err(), "{text}");
        }
    }

    #[test]
    fn subnets() {
        assert_eq!("192.168.70.0/24".parse::<Subnet>().unwrap().to_string(), "192.168.70.0/24");
        for text in ["192.168.70.1/24", "192.168.70.0", "10.0.0.0/31", "0.0.0.0/0", "127.0.0.0/8", "224.0.0.0/8"] {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
        let subnet = |text: &str| text.parse::<Subnet>().unwrap();
        let small = subnet("10.0.0.4/30");
        assert_eq!((small.gateway(), small.mask()), ([10, 0, 0, 5].into(), [255, 255, 255, 252].into()));
        assert_eq!(small.guests(), ([10, 0, 0, 6].into(), [10, 0, 0, 6].into()));
        assert_eq!(subnet("10.0.0.0/8").guests().1, Ipv4Addr::new(10, 255, 255, 254));
        assert!(small.overlaps(subnet("10.0.0.0/8")) && subnet("10.0.0.0/8").overlaps(small));
        assert!(!small.overlaps(subnet("10.0.0.8/30")));
    }
}
