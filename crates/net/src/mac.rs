//! Ethernet addresses.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// An address made from `seed` (say, a machine's identifier and the number of its network card): the same seed
    /// gives the same address on every host and in every release. It is unicast and locally administered (IEEE 802,
    /// 8.2), so it cannot be that of a real card.
    #[must_use]
    pub fn derive(seed: &[u8]) -> Self {
        // FNV-1a, 64 bits, folded to the 46 that are free: fixed by its definition, and no secret is involved.
        let hash = seed
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |h: u64, b| (h ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3));
        let b = (hash ^ (hash >> 48)).to_le_bytes();
        Self([b[0] & 0xfc | 0x02, b[1], b[2], b[3], b[4], b[5]])
    }

    /// Whether this can be the address of a card: not a group address and not zero.
    #[must_use]
    pub fn is_unicast(self) -> bool {
        self.0[0] & 1 == 0 && self.0 != [0; 6]
    }

    /// The link-local IPv6 address that follows from it; the lower half is that of any network (RFC 4291, appendix A).
    #[must_use]
    pub fn link_local(self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.0;
        let word = |high, low| u16::from_be_bytes([high, low]);
        Ipv6Addr::new(0xfe80, 0, 0, 0, word(a ^ 2, b), word(c, 0xff), word(0xfe, d), word(e, f))
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Why a text is not an Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseMacError;

impl fmt::Display for ParseMacError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an Ethernet address: write six bytes in hexadecimal with colons, like 52:54:00:12:34:56")
    }
}

impl std::error::Error for ParseMacError {}

impl FromStr for MacAddr {
    type Err = ParseMacError;

    fn from_str(text: &str) -> Result<Self, ParseMacError> {
        let mut parts = text.split([':', '-']);
        let mut address = [0; 6];
        for byte in &mut address {
            let part = parts.next().filter(|p| matches!(p.len(), 1 | 2) && p.bytes().all(|b| b.is_ascii_hexdigit()));
            *byte = part.and_then(|p| u8::from_str_radix(p, 16).ok()).ok_or(ParseMacError)?;
        }
        parts.next().is_none().then_some(Self(address)).ok_or(ParseMacError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_addresses_are_stable_distinct_and_local() {
        let all: Vec<_> = (0..1000u32).map(|n| MacAddr::derive(&n.to_le_bytes())).collect();
        assert!(all.iter().all(|m| m.is_unicast() && m.0[0] & 2 == 2));
        assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), all.len());
        assert_eq!(MacAddr::derive(b"a machine/0").to_string(), MacAddr::derive(b"a machine/0").to_string());
        // Written down, for machines rely on it from release to release.
        assert_eq!(MacAddr::derive(b"").to_string(), "d6:e8:22:84:e4:9c");
    }

    #[test]
    fn text_forms() {
        let mac = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0xff]);
        for text in ["52:54:00:12:34:ff", "52-54-0-12-34-FF"] {
            assert_eq!(text.parse(), Ok(mac));
        }
        for text in ["", "52:54:00:12:34", "52:54:00:12:34:56:78", "52:54:00:12:34:+f", "52:54:00:12:34:123"] {
            assert_eq!(text.parse::<MacAddr>(), Err(ParseMacError), "{text}");
        }
        assert_eq!(mac.to_string().parse(), Ok(mac));
    }
}
