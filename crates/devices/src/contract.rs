//! The contract of [`MmioDevice`] as a test that every implementer runs.

use crate::bus::MmioDevice;

/// A small generator of repeatable test values (Marsaglia's xorshift).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The next value; the seed must not be zero.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Fails unless the device, whose window has `size` bytes, answers any access: each width at each offset, aligned or
/// not, up to and beyond the end, with hostile values; and unless a read fills the whole of its buffer.
pub(crate) fn mmio(device: &dyn MmioDevice, size: u64) {
    let near = |at: u64| (at.saturating_sub(16)..at.saturating_add(16)).collect::<Vec<_>>();
    let mut offsets: Vec<u64> = (0..size.min(0x1100)).chain((0x1100..size).step_by(52)).collect();
    offsets.extend([near(size), near(0x1_0000), near(u64::MAX), vec![u64::MAX]].concat());
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for pass in 0..3 {
        for &offset in &offsets {
            for width in [1, 2, 4, 8] {
                fills(device, offset, width);
                let value = match pass {
                    0 => 0,
                    1 => u64::MAX,
                    _ => random.next(),
                };
                device.write(offset, &value.to_le_bytes()[..width]);
            }
        }
    }
}

/// A byte that a read leaves alone keeps what was in it before, whatever that was.
fn fills(device: &dyn MmioDevice, offset: u64, width: usize) {
    let mut left_alone = [true; 8];
    for pattern in [0x5a, 0xa5] {
        let mut data = [pattern; 8];
        device.read(offset, &mut data[..width]);
        for (left, byte) in left_alone.iter_mut().zip(data) {
            *left &= byte == pattern;
        }
    }
    assert!(!left_alone[..width].contains(&true), "a read of {width} bytes at {offset:#x} left bytes unfilled");
}
