//! The file format: blocks of pcapng (draft-ietf-opsawg-pcapng, sections 4.1 to 4.3), little-endian.

use std::time::Duration;

use super::Direction;

/// What every file begins with.
pub(super) const MAGIC: [u8; 4] = SECTION.to_le_bytes();

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// LINKTYPE_ETHERNET.
const ETHERNET: u16 = 1;

/// Options, by the block that they are in.
mod option {
    pub(super) const COMMENT: u16 = 1;
    pub(super) const SECTION_APPLICATION: u16 = 4;
    pub(super) const INTERFACE_RESOLUTION: u16 = 9;
    pub(super) const PACKET_FLAGS: u16 = 2;
    pub(super) const PACKET_DROPS: u16 = 4;
}

/// Builds a block in `out`.
struct Block<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Block<'a> {
    fn new(out: &'a mut Vec<u8>, kind: u32) -> Self {
        let start = out.len();
        out.extend(kind.to_le_bytes());
        out.extend([0; 4]);
        Self { out, start }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.out.resize(self.out.len().next_multiple_of(4), 0);
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        self.out.extend(code.to_le_bytes());
        self.out.extend((value.len() as u16).to_le_bytes());
        self.bytes(value);
    }

    /// Ends the options and the block.
    fn end(self) {
        self.out.extend([0; 4]);
        let len = (self.out.len() - self.start + 4) as u32;
        self.out[self.start + 4..self.start + 8].copy_from_slice(&len.to_le_bytes());
        self.out.extend(len.to_le_bytes());
    }
}

/// The beginning of a file with one Ethernet interface, whose frames are cut to `snap_len` bytes. Times are in
/// nanoseconds.
pub(super) fn begin(out: &mut Vec<u8>, snap_len: u32, comment: &str) {
    let mut section = Block::new(out, SECTION);
    section.bytes(&BYTE_ORDER.to_le_bytes());
    section.bytes(&[1, 0, 0, 0]);
    // Of a length that is not known yet.
    section.bytes(&[0xff; 8]);
    section.option(option::SECTION_APPLICATION, concat!("Russet ", env!("CARGO_PKG_VERSION")).as_bytes());
    section.end();
    let mut interface = Block::new(out, INTERFACE);
    interface.bytes(&u32::from(ETHERNET).to_le_bytes());
    interface.bytes(&snap_len.to_le_bytes());
    interface.option(option::COMMENT, comment.as_bytes());
    interface.option(option::INTERFACE_RESOLUTION, &[9]);
    interface.end();
}

/// A frame of `len` bytes, of which `kept` are recorded, at `time` since 1970. `drops` frames before it were left out.
pub(super) fn packet(out: &mut Vec<u8>, time: Duration, direction: Direction, (kept, len): (&[u8], usize), drops: u64) {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let mut block = Block::new(out, PACKET);
    block.bytes(&0u32.to_le_bytes());
    block.bytes(&((nanoseconds >> 32) as u32).to_le_bytes());
    block.bytes(&(nanoseconds as u32).to_le_bytes());
    block.bytes(&(kept.len() as u32).to_le_bytes());
    block.bytes(&(len as u32).to_le_bytes());
    block.bytes(kept);
    block.option(option::PACKET_FLAGS, &(direction as u32).to_le_bytes());
    if drops > 0 {
        block.option(option::PACKET_DROPS, &drops.to_le_bytes());
    }
    block.end();
}
