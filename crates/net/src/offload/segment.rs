//! Cuts a frame that stands for several, as a card with TSO or USO does.

use smoltcp::wire::checksum::{combine, data};

use super::checksum::never_zero;
use super::headers::{Ip, be16};
use crate::{MAX_FRAME, Meta, SegmentKind};

/// The most segments that one frame is cut into: a guest may ask for one byte in each. TCP over the smallest packets
/// of IPv4 (RFC 791, 576 bytes less options) is far below.
const MAX_SEGMENTS: usize = 2048;

/// TCP flags (RFC 9293, 3.1).
mod flag {
    pub(super) const FIN: u8 = 0x01;
    pub(super) const PSH: u8 = 0x08;
    pub(super) const CWR: u8 = 0x80;
}

/// A frame on its way to being cut: where its parts are and how far it is done. It does not hold the frame, so that it
/// can wait beside it until the wire takes more.
#[derive(Debug, Clone)]
pub struct Segmenter {
    ip: Ip,
    kind: SegmentKind,
    header: usize,
    size: usize,
    done: usize,
}

impl Segmenter {
    /// For `frame` with [`Meta::segments`]. `None`: it cannot be cut, because its headers are not what `meta` says or it
    /// would be more than 2,048 segments.
    #[must_use]
    pub fn new(frame: &[u8], meta: Meta) -> Option<Self> {
        let (partial, segments) = (meta.partial?, meta.segments?);
        let (header, ip) = (meta.header_len(frame)?, Ip::parse(frame)?);
        let protocol = match segments.kind {
            SegmentKind::Tcp4 | SegmentKind::Tcp6 => 6,
            SegmentKind::Udp => 17,
        };
        let version = match segments.kind {
            SegmentKind::Tcp4 => !ip.v6,
            SegmentKind::Tcp6 => ip.v6,
            SegmentKind::Udp => true,
        };
        let size = usize::from(segments.size);
        let right = version
            && ip.protocol == protocol
            && !ip.fragment
            && ip.transport == usize::from(partial.start)
            && frame.len() <= MAX_FRAME
            && header <= ip.end
            && (ip.end - header).div_ceil(size) <= MAX_SEGMENTS;
        right.then_some(Self { ip, kind: segments.kind, header, size, done: 0 })
    }

    /// Writes the next segment of `frame`, the one that this was made for, over `out`: whole, with all checksums.
    /// `false` when there is none left.
    pub fn next(&mut self, frame: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(payload) = frame.get(self.header..self.ip.end) else { return false };
        let (first, len) = (self.done == 0, (payload.len() - self.done.min(payload.len())).min(self.size));
        // A frame without payload is one segment.
        if len == 0 && !(first && payload.is_empty()) {
            return false;
        }
        let part = &payload[self.done..self.done + len];
        let (index, offset) = (self.done / self.size, self.done);
        self.done += len.max(1);
        let last = self.done >= payload.len();
        out.clear();
        out.extend_from_slice(&frame[..self.header]);
        out.extend_from_slice(part);
        self.set_ip(out, index);
        self.set_transport(out, offset, first, last);
        true
    }

    fn set_ip(&self, out: &mut [u8], index: usize) {
        let (at, len) = (self.ip.at, out.len() - self.ip.at);
        if self.ip.v6 {
            out[at + 4..at + 6].copy_from_slice(&((len - 40) as u16).to_be_bytes());
            return;
        }
        let ident = be16(out, at + 4).unwrap_or(0).wrapping_add(index as u16);
        out[at + 2..at + 4].copy_from_slice(&(len as u16).to_be_bytes());
        out[at + 4..at + 6].copy_from_slice(&ident.to_be_bytes());
        out[at + 10..at + 12].fill(0);
        let sum = !data(&out[at..self.ip.transport]);
        out[at + 10..at + 12].copy_from_slice(&sum.to_be_bytes());
    }

    fn set_transport(&self, out: &mut [u8], offset: usize, first: bool, last: bool) {
        let at = self.ip.transport;
        let len = out.len() - at;
        let field = match self.kind {
            SegmentKind::Udp => {
                out[at + 4..at + 6].copy_from_slice(&(len as u16).to_be_bytes());
                at + 6
            }
            SegmentKind::Tcp4 | SegmentKind::Tcp6 => {
                let seq = out[at + 4..at + 8].try_into().map_or(0, u32::from_be_bytes).wrapping_add(offset as u32);
                out[at + 4..at + 8].copy_from_slice(&seq.to_be_bytes());
                if !last {
                    out[at + 13] &= !(flag::FIN | flag::PSH);
                }
                if !first {
                    out[at + 13] &= !flag::CWR;
                }
                at + 16
            }
        };
        out[field..field + 2].fill(0);
        let pseudo = self.ip.pseudo(out, len).unwrap_or(0);
        let sum = never_zero(!combine(&[pseudo, data(&out[at..])]));
        out[field..field + 2].copy_from_slice(&sum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests;
