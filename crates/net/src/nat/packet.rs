//! IP packets of the guest, of both versions, as the rest of the router sees them: who, to whom, what.

use std::borrow::Cow;
use std::net::IpAddr;

use smoltcp::wire::{IpProtocol, Ipv4Packet, Ipv6Packet};

use super::out::{IPV4, IPV6};

/// How many extension headers an IPv6 packet may have. Nobody sends more than two.
const MAX_EXTENSIONS: usize = 8;

/// A packet whose lengths and header checksum are right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet<'a> {
    pub(super) source: IpAddr,
    pub(super) target: IpAddr,
    pub(super) protocol: IpProtocol,
    /// What is behind all IP headers.
    pub(super) payload: &'a [u8],
    /// The whole packet, without the padding of short frames.
    pub(super) bytes: &'a [u8],
    /// Its sender wants to be told when it is too large, rather than have it cut.
    pub(super) whole: bool,
    /// What of a larger packet this is.
    pub(super) fragment: Option<Fragment>,
    /// The transport checksum is right, or was left to us.
    pub(super) partial: bool,
    /// The payload of its transport stands for several of so many bytes.
    pub(super) segment: Option<usize>,
}

/// Which part of a packet a fragment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fragment {
    pub(super) ident: u32,
    /// Where the payload stands in the whole packet's, in bytes.
    pub(super) offset: usize,
    /// It is not the last one.
    pub(super) more: bool,
}

impl<'a> Packet<'a> {
    /// Reads a packet of either version.
    pub(super) fn parse(bytes: &'a [u8], partial: bool) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::v4(bytes, partial),
            _ => Self::v6(bytes, partial),
        }
    }

    /// Reads an IPv4 packet (RFC 791, 3.1) at the start of `bytes`.
    pub(super) fn v4(bytes: &'a [u8], partial: bool) -> Option<Self> {
        let ip = Ipv4Packet::new_checked(bytes).ok()?;
        if ip.version() != 4 || usize::from(ip.header_len()) < IPV4 || !ip.verify_checksum() {
            return None;
        }
        let (offset, more) = (usize::from(ip.frag_offset()), ip.more_frags());
        let fragment = (more || offset > 0).then(|| Fragment { ident: ip.ident().into(), offset, more });
        Some(Self {
            source: ip.src_addr().into(),
            target: ip.dst_addr().into(),
            protocol: ip.next_header(),
            payload: &bytes[usize::from(ip.header_len())..usize::from(ip.total_len())],
            bytes: &bytes[..usize::from(ip.total_len())],
            whole: ip.dont_frag(),
            fragment,
            partial: partial && fragment.is_none(),
            segment: None,
        })
    }

    /// Reads an IPv6 packet (RFC 8200, 3 and 4) at the start of `bytes`, and steps over its extension headers.
    pub(super) fn v6(bytes: &'a [u8], partial: bool) -> Option<Self> {
        let ip = Ipv6Packet::new_checked(bytes).ok()?;
        if ip.version() != 6 {
            return None;
        }
        let bytes = &bytes[..ip.total_len()];
        let mut packet = Self {
            source: ip.src_addr().into(),
            target: ip.dst_addr().into(),
            protocol: ip.next_header(),
            payload: &bytes[IPV6..],
            bytes,
            whole: true,
            fragment: None,
            partial,
            segment: None,
        };
        for _ in 0..MAX_EXTENSIONS {
            if !packet.step()? {
                packet.partial &= packet.fragment.is_none();
                return Some(packet);
            }
        }
        None
    }

    /// Steps over an extension header; `Some(false)`: there is none, `None`: it is wrong or not for us.
    fn step(&mut self) -> Option<bool> {
        let head = self.payload;
        let len = match self.protocol {
            IpProtocol::HopByHop | IpProtocol::Ipv6Opts => (usize::from(*head.get(1)?) + 1) * 8,
            // A route that is not finished would go on elsewhere (RFC 5095 forbids it).
            IpProtocol::Ipv6Route if *head.get(3)? == 0 => (usize::from(*head.get(1)?) + 1) * 8,
            IpProtocol::Ipv6Frag if self.fragment.is_none() => {
                let field = u16::from_be_bytes([*head.get(2)?, *head.get(3)?]);
                let ident = u32::from_be_bytes(head.get(4..8)?.try_into().ok()?);
                let fragment = Fragment { ident, offset: usize::from(field & !7), more: field & 1 != 0 };
                // A fragment that is the whole packet is legal (RFC 6946).
                self.fragment = (fragment.more || fragment.offset > 0).then_some(fragment);
                8
            }
            IpProtocol::Ipv6Route | IpProtocol::Ipv6Frag | IpProtocol::Ipv6NoNxt => return None,
            _ => return Some(false),
        };
        self.protocol = IpProtocol::from(*head.first()?);
        self.payload = head.get(len..)?;
        // What follows in a fragment is not to be looked at before it is whole.
        Some(self.fragment.is_none())
    }

    /// The packet with nothing between its header and its payload.
    pub(super) fn bare(&self) -> Cow<'a, [u8]> {
        match self.target {
            IpAddr::V6(_) if self.payload.len() + IPV6 != self.bytes.len() => {
                let mut bytes = [&self.bytes[..IPV6], self.payload].concat();
                let mut ip = Ipv6Packet::new_unchecked(&mut bytes[..]);
                ip.set_next_header(self.protocol);
                ip.set_payload_len(self.payload.len() as u16);
                Cow::Owned(bytes)
            }
            _ => Cow::Borrowed(self.bytes),
        }
    }

    /// How many bytes of headers stand before the payload when the packet is made anew.
    pub(super) fn header_len(&self) -> usize {
        match self.target {
            IpAddr::V4(_) => IPV4,
            IpAddr::V6(_) => IPV6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An IPv6 packet from fe80::1 to ff02::2 with the given next header and what follows the header.
    fn v6(next: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x60, 0, 0, 0, 0, rest.len() as u8, next, 255];
        bytes.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        bytes.extend([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        bytes.extend(rest);
        bytes
    }

    #[test]
    fn extension_headers_are_stepped_over() {
        let options = [17, 0, 1, 4, 0, 0, 0, 0, 9, 9];
        let bytes = v6(0, &options);
        let packet = Packet::v6(&bytes, false).unwrap();
        assert_eq!((packet.protocol, packet.payload), (IpProtocol::Udp, &[9, 9][..]));
        let bare = packet.bare();
        let bare = Packet::v6(&bare, false).unwrap();
        assert_eq!((bare.protocol, bare.payload, bare.bytes.len()), (IpProtocol::Udp, &[9, 9][..], 42));
        // The source route that is finished, and the one that is not.
        assert!(Packet::v6(&v6(43, &[6, 0, 0, 0, 0, 0, 0, 0]), false).is_some());
        assert!(Packet::v6(&v6(43, &[6, 0, 0, 1, 0, 0, 0, 0]), false).is_none());
    }

    #[test]
    fn fragments_are_told() {
        let bytes = v6(44, &[0, 0, 0, 9, 0, 0, 0, 7, 60]);
        let packet = Packet::v6(&bytes, true).unwrap();
        assert_eq!(packet.fragment, Some(Fragment { ident: 7, offset: 8, more: true }));
        assert_eq!((packet.protocol, packet.payload, packet.partial), (IpProtocol::HopByHop, &[60][..], false));
        let bytes = v6(44, &[17, 0, 0, 0, 0, 0, 0, 7, 60]);
        assert_eq!(Packet::v6(&bytes, true).unwrap().fragment, None);
    }

    #[test]
    fn chains_without_an_end_are_refused() {
        for rest in [&[0; 8 * 9][..], &[0, 200], &[0], &[]] {
            assert!(Packet::v6(&v6(0, rest), false).is_none(), "{rest:?}");
        }
        assert!(Packet::v6(&v6(44, &[44, 0, 0, 1, 0, 0, 0, 1, 17]), false).is_some());
        assert!(Packet::v6(&v6(59, &[]), false).is_none());
        assert!(Packet::v4(&v6(17, &[0; 8]), false).is_none());
        assert!(Packet::v6(&v6(17, &[0; 8])[..41], false).is_none());
    }
}
