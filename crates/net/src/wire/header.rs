//! The header before a frame on a tap and between machines of a shared network: `struct virtio_net_hdr` without
//! `num_buffers` (virtio 1.3, 5.1.6), little-endian.

use crate::{Meta, PartialChecksum, SegmentKind, Segments};

const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;

/// The header.
pub(crate) struct VnetHeader;

impl VnetHeader {
    /// Its bytes.
    pub(crate) const SIZE: usize = 10;

    /// The header of `frame`.
    pub(crate) fn encode(frame: &[u8], meta: Meta) -> [u8; Self::SIZE] {
        let mut head = [0; Self::SIZE];
        let mut put = |at: usize, value: u16| head[at..at + 2].copy_from_slice(&value.to_le_bytes());
        if let Some(segments) = meta.segments {
            put(2, meta.header_len(frame).unwrap_or(0) as u16);
            put(4, segments.size);
        }
        if let Some(partial) = meta.partial {
            put(6, partial.start);
            put(8, partial.offset);
        }
        head[0] = match (meta.partial, meta.verified) {
            (Some(_), _) => NEEDS_CSUM,
            (None, true) => DATA_VALID,
            (None, false) => 0,
        };
        head[1] = match meta.segments.map(|segments| segments.kind) {
            None => 0,
            Some(SegmentKind::Tcp4) => 1,
            Some(SegmentKind::Tcp6) => 4,
            Some(SegmentKind::Udp) => 5,
        };
        head
    }

    /// What a header says of `frame`; `None` when it is wrong.
    pub(crate) fn decode(head: [u8; Self::SIZE], frame: &[u8]) -> Option<Meta> {
        let field = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let partial = (head[0] & NEEDS_CSUM != 0).then(|| PartialChecksum { start: field(6), offset: field(8) });
        let kind = match head[1] {
            0 => None,
            1 => Some(SegmentKind::Tcp4),
            4 => Some(SegmentKind::Tcp6),
            5 => Some(SegmentKind::Udp),
            _ => return None,
        };
        let segments = kind.map(|kind| Segments { kind, size: field(4) });
        let meta = Meta { partial, segments, verified: head[0] & DATA_VALID != 0 };
        meta.check(frame).then_some(meta)
    }
}
