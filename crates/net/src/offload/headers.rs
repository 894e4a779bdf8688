//! Where the headers of a frame are.

use smoltcp::wire::checksum;

/// EtherTypes of an 802.1Q and an 802.1ad tag.
const TAGS: [u16; 2] = [0x8100, 0x88a8];
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// IPv6 extension headers that may stand before TCP or UDP (RFC 8200, 4.1): hop-by-hop, routing, destination.
const EXTENSIONS: [u8; 3] = [0, 43, 60];
/// More extension headers than this and the packet is left alone.
const MAX_EXTENSIONS: usize = 8;

/// An IP header in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ip {
    /// Where it is.
    pub(super) at: usize,
    /// Where the transport header is.
    pub(super) transport: usize,
    /// Where the packet ends by its own account, which is not beyond the frame.
    pub(super) end: usize,
    pub(super) v6: bool,
    pub(super) protocol: u8,
    /// It is a fragment: what is at `transport` may be no header.
    pub(super) fragment: bool,
}

pub(super) fn be16(frame: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?))
}

impl Ip {
    /// The IP header of `frame`, under at most two VLAN tags; `None` when it has none that is right.
    pub(super) fn parse(frame: &[u8]) -> Option<Self> {
        let mut at = 12;
        let mut kind = be16(frame, at)?;
        for _ in 0..2 {
            if TAGS.contains(&kind) {
                at += 4;
                kind = be16(frame, at)?;
            }
        }
        at += 2;
        match kind {
            IPV4 => Self::v4(frame, at),
            IPV6 => Self::v6(frame, at),
            _ => None,
        }
    }

    fn v4(frame: &[u8], at: usize) -> Option<Self> {
        let head = frame.get(at..at + 20)?;
        let (len, total) = (usize::from(head[0] & 15) * 4, usize::from(be16(head, 2)?));
        let right = head[0] >> 4 == 4 && len >= 20 && total >= len && at + total <= frame.len();
        let fragment = be16(head, 6)? & 0x3fff != 0;
        let ip = Self { at, transport: at + len, end: at + total, v6: false, protocol: head[9], fragment };
        right.then_some(ip)
    }

    fn v6(frame: &[u8], at: usize) -> Option<Self> {
        let head = frame.get(at..at + 40)?;
        let end = at + 40 + usize::from(be16(head, 4)?);
        if head[0] >> 4 != 6 || end > frame.len() {
            return None;
        }
        let (mut protocol, mut transport) = (head[6], at + 40);
        for _ in 0..MAX_EXTENSIONS {
            if !EXTENSIONS.contains(&protocol) {
                break;
            }
            protocol = *frame.get(transport)?;
            transport += 8 + 8 * usize::from(*frame.get(transport + 1)?);
        }
        // 44 is the fragment header, which is none of the protocols that are looked into.
        (transport <= end).then_some(Self { at, transport, end, v6: true, protocol, fragment: false })
    }

    /// The sum of the pseudo-header for `len` bytes of transport header and payload (RFC 9293, 3.1; RFC 8200, 8.1).
    pub(super) fn pseudo(&self, frame: &[u8], len: usize) -> Option<u16> {
        let (from, to) = if self.v6 { (8, 40) } else { (12, 20) };
        let addresses = checksum::data(frame.get(self.at + from..self.at + to)?);
        Some(checksum::combine(&[addresses, self.protocol.into(), u16::try_from(len).ok()?]))
    }
}
