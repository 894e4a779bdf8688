//! Which pair of queues a received packet goes to: that by which its flow sent last (virtio 1.3, 5.1.6.5.5).

/// Flows that are told apart.
const SLOTS: usize = 256;

/// The pair by which each flow sent last.
pub(super) struct Steering([u8; SLOTS]);

impl Steering {
    pub(super) fn new() -> Self {
        Self([0; SLOTS])
    }

    /// The driver has sent `frame` by `pair`.
    pub(super) fn learn(&mut self, frame: &[u8], pair: usize) {
        self.0[slot(frame)] = pair as u8;
    }

    /// The pair for `frame` to the driver, of `pairs`.
    pub(super) fn choose(&self, frame: &[u8], pairs: usize) -> usize {
        usize::from(self.0[slot(frame)]) % pairs.max(1)
    }
}

/// A number of the flow of `frame`, the same for both directions; 0 for what is neither IPv4 nor IPv6.
fn slot(frame: &[u8]) -> usize {
    let flow = match frame.get(12..14) {
        Some([0x08, 0x00]) => fold(frame, 26..34, 23, 14 + 4 * usize::from(frame.get(14).unwrap_or(&5) & 15)),
        Some([0x86, 0xdd]) => fold(frame, 22..54, 20, 54),
        _ => None,
    };
    flow.unwrap_or(0) as usize % SLOTS
}

/// Both addresses, and the ports at `transport` when the byte at `protocol` is TCP or UDP.
fn fold(frame: &[u8], addresses: std::ops::Range<usize>, protocol: usize, transport: usize) -> Option<u32> {
    let xor = |hash: u32, bytes: &[u8]| bytes.chunks(2).fold(hash, |h, b| h ^ u32::from(b[0]) << 8 ^ u32::from(b[1]));
    let mut hash = xor(0, frame.get(addresses)?);
    if matches!(frame.get(protocol)?, 6 | 17) {
        hash = xor(hash, frame.get(transport..transport + 4)?);
    }
    // The best bits of a multiplicative hash are its upper ones.
    Some(hash.wrapping_mul(0x9e37_79b1) >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_of_a_flow_have_one_slot_and_flows_spread() {
        let frame = |from: [u8; 4], to: [u8; 4], ports: [u8; 4]| {
            let mut frame = [&[0; 12][..], &[8, 0, 0x45], &[0; 8], &[6, 0, 0]].concat();
            frame.extend(from.into_iter().chain(to).chain(ports));
            frame
        };
        let mut slots = std::collections::HashSet::new();
        for port in 0..64 {
            let (up, down) = ([192, 168, 64, 2], [10, 0, 0, 1]);
            let sent = slot(&frame(up, down, [200, port, 0, 80]));
            assert_eq!(sent, slot(&frame(down, up, [0, 80, 200, port])));
            slots.insert(sent);
        }
        assert!(slots.len() > 32, "{} slots", slots.len());
        assert_eq!(slot(&[0; 60]), 0);
        assert_eq!(slot(&[8, 0]), 0);
    }
}
