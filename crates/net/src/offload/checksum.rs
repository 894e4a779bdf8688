//! Transport checksums: the rest of a partial one, and the check of a whole one.

use smoltcp::wire::checksum::{combine, data};

use super::headers::{Ip, be16};
use crate::PartialChecksum;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Finishes the checksum that `partial` describes. Nothing happens when it is not inside the frame.
pub fn finish(frame: &mut [u8], partial: PartialChecksum) {
    let (start, field) = (usize::from(partial.start), usize::from(partial.start) + usize::from(partial.offset));
    if field + 2 > frame.len() {
        return;
    }
    let sum = never_zero(!data(&frame[start..]));
    frame[field..field + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Zero means "no checksum" to UDP (RFC 768); the other zero of one's complement is the same number to everybody.
pub(super) fn never_zero(sum: u16) -> u16 {
    if sum == 0 { 0xffff } else { sum }
}

/// Whether the TCP or UDP checksum of `frame` is there and right. `false` for all other frames, for fragments, and
/// for UDP over IPv4 without a checksum: of these the receiver has to judge by itself.
#[must_use]
pub fn verify(frame: &[u8]) -> bool {
    let checked = || {
        let ip = Ip::parse(frame)?;
        let transport = frame.get(ip.transport..ip.end)?;
        let there = match ip.protocol {
            TCP => transport.len() >= 20,
            UDP => be16(transport, 6)? != 0 && usize::from(be16(transport, 4)?) == transport.len(),
            _ => false,
        };
        let sum = combine(&[ip.pseudo(frame, transport.len())?, data(transport)]);
        Some(there && !ip.fragment && sum == 0xffff)
    };
    checked().unwrap_or(false)
}
