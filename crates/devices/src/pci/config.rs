//! The bytes of a function's configuration space, and which of their bits the guest can write.

use super::spec;

/// The conventional 256 bytes of configuration space. Everything beyond reads as zero: no function of ours has an
/// extended capability.
#[derive(Clone)]
pub struct ConfigSpace {
    bytes: [u8; 256],
    writable: [u8; 256],
    /// Where the next capability's offset goes: the header's pointer or that of the last capability.
    link: u16,
    end: u16,
}

impl Default for ConfigSpace {
    fn default() -> Self {
        Self { bytes: [0; 256], writable: [0; 256], link: spec::CAPABILITIES, end: spec::HEADER_END }
    }
}

impl ConfigSpace {
    /// Reads `data.len()` bytes; zeroes beyond the end.
    pub fn read(&self, offset: u16, data: &mut [u8]) {
        for (i, byte) in data.iter_mut().enumerate() {
            *byte = self.bytes.get(usize::from(offset) + i).copied().unwrap_or(0);
        }
    }

    /// Writes as the guest: only bits that are writable change.
    pub fn write(&mut self, offset: u16, data: &[u8]) {
        for (i, &byte) in data.iter().enumerate() {
            let at = usize::from(offset) + i;
            if let Some(old) = self.bytes.get_mut(at) {
                *old = *old & !self.writable[at] | byte & self.writable[at];
            }
        }
    }

    /// Sets bytes and which of their bits the guest can write. `offset` and both lengths are the device's own.
    pub(super) fn define(&mut self, offset: u16, value: &[u8], writable: &[u8]) {
        let at = usize::from(offset);
        self.bytes[at..at + value.len()].copy_from_slice(value);
        self.writable[at..at + writable.len()].copy_from_slice(writable);
    }

    /// Appends a capability with `body` after its two-byte header, and returns its offset.
    ///
    /// # Panics
    ///
    /// When the 192 bytes for capabilities are full, which is a mistake in the device.
    pub(super) fn add_capability(&mut self, id: u8, body: &[u8], writable: &[u8]) -> u16 {
        let at = self.end;
        self.bytes[usize::from(self.link)] = at as u8;
        self.define(at, &[id, 0], &[0, 0]);
        self.define(at + 2, body, writable);
        let status = self.u16(spec::STATUS) | spec::STATUS_CAPABILITIES;
        self.define(spec::STATUS, &status.to_le_bytes(), &[0, 0]);
        self.link = at + 1;
        self.end = (at + 2 + body.len() as u16).next_multiple_of(4);
        at
    }

    /// The 16 bits at `offset`.
    #[must_use]
    pub fn u16(&self, offset: u16) -> u16 {
        let mut b = [0; 2];
        self.read(offset, &mut b);
        u16::from_le_bytes(b)
    }

    /// The 32 bits at `offset`.
    #[must_use]
    pub fn u32(&self, offset: u16) -> u32 {
        let mut b = [0; 4];
        self.read(offset, &mut b);
        u32::from_le_bytes(b)
    }
}
