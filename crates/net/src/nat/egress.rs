//! What of the outside a guest may reach: lists of networks and ports.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use smoltcp::wire::{IpAddress, IpCidr};

/// Which destinations are allowed. What is denied is denied; then, if anything is named as allowed, nothing else is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Egress {
    /// Without any, all is allowed that is not denied.
    pub allow: Vec<Destination>,
    /// Wins over `allow`.
    pub deny: Vec<Destination>,
}

/// A network, and maybe some of its ports: `10.0.0.0/8`, `192.0.2.1:443`, `[2001:db8::/32]:8000-8099`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    network: IpCidr,
    ports: Option<RangeInclusive<u16>>,
}

impl Egress {
    /// Whether the guest may reach `peer`. Messages without a port, such as pings, have port zero.
    #[must_use]
    pub fn permits(&self, peer: SocketAddr) -> bool {
        let named = |list: &[Destination]| list.iter().any(|destination| destination.contains(peer));
        !named(&self.deny) && (self.allow.is_empty() || named(&self.allow))
    }
}

impl Destination {
    /// Whether `peer` is one of them. A list of ports is for TCP and UDP: no other message (port zero) is in it.
    #[must_use]
    pub fn contains(&self, peer: SocketAddr) -> bool {
        let ports = self.ports.as_ref().is_none_or(|ports| ports.contains(&peer.port()));
        ports && self.network.contains_addr(&IpAddress::from(peer.ip()))
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(ports) = &self.ports else { return write!(f, "{}", self.network) };
        match self.network {
            IpCidr::Ipv4(network) => write!(f, "{network}:{}", ports.start())?,
            IpCidr::Ipv6(network) => write!(f, "[{network}]:{}", ports.start())?,
        }
        match ports.start() == ports.end() {
            true => Ok(()),
            false => write!(f, "-{}", ports.end()),
        }
    }
}

/// Why a text is not a [`Destination`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseDestinationError(String);

impl fmt::Display for ParseDestinationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        write!(f, "`{text}` is no destination: write 10.0.0.0/8, 192.0.2.1:443 or [2001:db8::/32]:8000-8099")
    }
}

impl std::error::Error for ParseDestinationError {}

impl FromStr for Destination {
    type Err = ParseDestinationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ParseDestinationError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Destination> {
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
    if prefix > bits {
        return None;
    }
    let ports = match ports {
        None => None,
        Some(ports) => {
            let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
            let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
            Some((first > 0 && first <= last).then_some(first..=last)?)
        }
    };
    Some(Destination { network: IpCidr::new(address.into(), prefix), ports })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms() {
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
    fn denied_wins_and_allowed_is_all_there_is() {
        let list = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect();
        let permits = |allow: &[&str], deny: &[&str], peer: &str| {
            Egress { allow: list(allow), deny: list(deny) }.permits(peer.parse().unwrap())
        };
        assert!(permits(&[], &[], "192.0.2.1:1"));
        assert!(!permits(&[], &["192.0.2.0/24"], "192.0.2.1:1"));
        assert!(permits(&[], &["192.0.2.0/24:25"], "192.0.2.1:26"));
        assert!(permits(&["10.0.0.0/8:443", "2001:db8::/32"], &[], "10.1.1.1:443"));
        assert!(!permits(&["10.0.0.0/8:443", "2001:db8::/32"], &[], "10.1.1.1:80"));
        assert!(permits(&["10.0.0.0/8:443", "2001:db8::/32"], &[], "[2001:db8::9]:80"));
        assert!(!permits(&["10.0.0.0/8"], &["10.1.0.0/16"], "10.1.1.1:80"));
        assert!(!permits(&["10.0.0.0/8:1-65535"], &[], "10.1.1.1:0"), "a ping has no port");
    }
}
