//! An access to registers.

use arbitrary::Arbitrary;
use devices::bus::Bus;

/// A naturally aligned read or write of 1, 2, 4 or 8 bytes.
#[derive(Arbitrary, Debug, Clone, Copy)]
pub struct Access {
    /// Where, from the beginning of what is accessed.
    pub offset: u32,
    size: u8,
    /// What is written; `None` reads.
    value: Option<u64>,
}

impl Access {
    /// Makes the access at `base`, within `window` bytes.
    pub fn make(self, bus: &Bus, base: u64, window: u64) {
        let len = 1 << (self.size % 4);
        let at = base + u64::from(self.offset) % window / len * len;
        let mut data = self.value.unwrap_or(0).to_le_bytes();
        let data = &mut data[..len as usize];
        if self.value.is_some() {
            bus.write(at, data);
        } else {
            bus.read(at, data);
        }
    }
}
