//! Puts the fragments of the guest's packets together again (RFC 791, 3.2; RFC 8200, 4.5), within strict bounds.

use std::collections::HashMap;
use std::net::IpAddr;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpProtocol, Ipv4Packet, Ipv6Packet};

use super::out::{IPV4, IPV6};
use super::packet::{Fragment, Packet};

/// How many packets may be in pieces at once; with 64 KiB each this bounds the memory to 1 MiB.
const PACKETS: usize = 16;
/// How many pieces a packet may have: 64 KiB in pieces of a 576-byte wire are 119.
const PIECES: usize = 128;
/// How long the pieces of one packet may take.
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    source: IpAddr,
    target: IpAddr,
    protocol: IpProtocol,
    ident: u32,
}

struct Pieces {
    until: Instant,
    /// Offset and bytes, by offset; they do not overlap.
    pieces: Vec<(usize, Vec<u8>)>,
    /// The length of the whole payload, once the last piece is here.
    total: Option<usize>,
    /// The header without options or extensions.
    header: Vec<u8>,
    protocol: IpProtocol,
}

/// Packets in pieces.
#[derive(Default)]
pub(super) struct Fragments {
    packets: HashMap<Key, Pieces>,
}

impl Fragments {
    /// Takes a fragment; gives the packet, without options, if it was the last that was missing. Pieces that
    /// overlap, which only attackers send, spoil the packet.
    pub(super) fn add(&mut self, packet: &Packet<'_>, now: Instant) -> Option<Vec<u8>> {
        let fragment = packet.fragment?;
        self.packets.retain(|_, p| p.until > now);
        let Packet { source, target, protocol, .. } = *packet;
        let key = Key { source, target, protocol, ident: fragment.ident };
        if !self.packets.contains_key(&key) && self.packets.len() >= PACKETS {
            let oldest = *self.packets.iter().min_by_key(|(_, p)| p.until)?.0;
            self.packets.remove(&oldest);
        }
        let entry = self.packets.entry(key).or_insert_with(|| Pieces {
            until: now + PATIENCE,
            pieces: Vec::new(),
            total: None,
            header: packet.bytes[..packet.header_len()].to_vec(),
            protocol,
        });
        match entry.add(fragment, packet.payload) {
            Some(false) => None,
            Some(true) => self.packets.remove(&key).map(Pieces::join),
            None => {
                self.packets.remove(&key);
                None
            }
        }
    }
}

impl Pieces {
    /// Whether the packet is complete; `None`: it is spoilt.
    fn add(&mut self, fragment: Fragment, bytes: &[u8]) -> Option<bool> {
        let start = fragment.offset;
        let end = start + bytes.len();
        let whole = bytes.len().is_multiple_of(8) || !fragment.more;
        if bytes.is_empty() || !whole || end > 65535 - self.header.len() || self.pieces.len() >= PIECES {
            return None;
        }
        if !fragment.more && self.total.replace(end).is_some_and(|total| total != end) {
            return None;
        }
        let at = self.pieces.partition_point(|(offset, _)| *offset < start);
        let clear_before = at.checked_sub(1).is_none_or(|i| self.pieces[i].0 + self.pieces[i].1.len() <= start);
        let clear_after = self.pieces.get(at).is_none_or(|(offset, _)| end <= *offset);
        if !clear_before || !clear_after {
            return None;
        }
        self.pieces.insert(at, (start, bytes.to_vec()));
        let last = self.pieces.last().map_or(0, |(offset, bytes)| offset + bytes.len());
        let have: usize = self.pieces.iter().map(|(_, bytes)| bytes.len()).sum();
        match self.total {
            Some(total) if last > total => None,
            total => Some(total == Some(have)),
        }
    }

    fn join(self) -> Vec<u8> {
        let mut packet = self.header;
        let v6 = packet.len() == IPV6;
        packet.extend(self.pieces.iter().flat_map(|(_, bytes)| bytes));
        let len = packet.len();
        if v6 {
            let mut ip = Ipv6Packet::new_unchecked(&mut packet[..]);
            ip.set_payload_len((len - IPV6) as u16);
            ip.set_next_header(self.protocol);
            return packet;
        }
        let mut ip = Ipv4Packet::new_unchecked(&mut packet[..]);
        ip.set_header_len(IPV4 as u8);
        ip.set_total_len(len as u16);
        ip.set_more_frags(false);
        ip.set_frag_offset(0);
        ip.fill_checksum();
        packet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(ident: u16, offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; IPV4 + payload.len()];
        let mut ip = Ipv4Packet::new_unchecked(&mut bytes[..]);
        ip.set_version(4);
        ip.set_header_len(IPV4 as u8);
        ip.set_total_len((IPV4 + payload.len()) as u16);
        ip.set_ident(ident);
        ip.set_more_frags(more);
        ip.set_frag_offset(offset);
        ip.fill_checksum();
        ip.payload_mut().copy_from_slice(payload);
        bytes
    }

    fn add(f: &mut Fragments, now: u64, bytes: &[u8]) -> Option<Vec<u8>> {
        let packet = Packet::v4(bytes, false).unwrap();
        f.add(&packet, Instant::from_secs(now as i64)).map(|p| p[IPV4..].to_vec())
    }

    #[test]
    fn pieces_in_any_order_make_the_packet() {
        let payload: Vec<u8> = (0..30).collect();
        let parts = [(0, true, 0..16), (16, true, 16..24), (24, false, 24..30)];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
            let mut f = Fragments::default();
            let got = order.map(|i: usize| {
                let (offset, more, range) = parts[i].clone();
                add(&mut f, 0, &fragment(7, offset, more, &payload[range]))
            });
            assert_eq!(got, [None, None, Some(payload.clone())], "{order:?}");
            assert!(f.packets.is_empty());
        }
    }

    #[test]
    fn overlaps_and_lies_spoil_the_packet() {
        let spoilt = [(8, true, 16), (0, true, 8), (8, true, 7), (65528, true, 8), (8, true, 0)];
        for (offset, more, len) in spoilt {
            let mut f = Fragments::default();
            assert_eq!(add(&mut f, 0, &fragment(1, 0, true, &[0; 16])), None);
            assert_eq!(add(&mut f, 0, &fragment(1, offset, more, &vec![0; len])), None);
            assert!(f.packets.is_empty(), "{offset} {len}");
        }
        let mut f = Fragments::default();
        add(&mut f, 0, &fragment(1, 16, false, &[0; 8]));
        add(&mut f, 0, &fragment(1, 24, true, &[0; 8]));
        assert!(f.packets.is_empty(), "a piece beyond the last");
    }

    #[test]
    fn memory_is_bounded_in_number_and_time() {
        let mut f = Fragments::default();
        for ident in 0..1000 {
            add(&mut f, 0, &fragment(ident, 0, true, &[0; 8]));
        }
        assert_eq!(f.packets.len(), PACKETS);
        add(&mut f, 100, &fragment(2000, 0, true, &[0; 8]));
        assert_eq!(f.packets.len(), 1);
        for n in 1..1000 {
            add(&mut f, 100, &fragment(2000, 8 * n, true, &[0; 8]));
        }
        assert!(f.packets.values().all(|p| p.pieces.len() <= PIECES));
    }
}
