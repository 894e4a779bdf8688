//! MODE SENSE: the caching page, and whether the medium is write-protected (SPC-4, 7.5; SBC-3, 6.4).

use super::spec::{MODE_ALL, MODE_CACHING, MODE_DPOFUA, MODE_WRITE_PROTECT, Sense, opcode};
use super::{Target, Transfer};

impl Target {
    pub(super) fn mode_sense(&self, cdb: &[u8; 16]) -> Result<Transfer, Sense> {
        let [command, flags, page, subpage, l6, _, _, l10h, l10l, ..] = *cdb;
        let (control, code) = (page >> 6, page & 0x3f);
        // Saved values are not offered, nor are subpages other than "all".
        if control == 3 || !matches!(code, MODE_CACHING | MODE_ALL) || !matches!(subpage, 0 | 0xff) {
            return Err(Sense::INVALID_FIELD);
        }
        // The cache is write-through and cannot be changed, so that all values are alike: zero.
        let mut caching = [0; 20];
        (caching[0], caching[1]) = (MODE_CACHING, 18);
        let protected = self.medium.disk().is_some_and(|disk| disk.read_only());
        let specific = if protected { MODE_WRITE_PROTECT | MODE_DPOFUA } else { MODE_DPOFUA };
        let descriptor = if flags & 8 == 0 { self.block_descriptor() } else { Vec::new() };
        let length = (descriptor.len() + caching.len()) as u8;
        let mut data = match command {
            opcode::MODE_SENSE_6 => vec![length + 3, 0, specific, descriptor.len() as u8],
            _ => vec![0, length + 6, 0, specific, 0, 0, 0, descriptor.len() as u8],
        };
        data.extend(descriptor);
        data.extend(caching);
        let room = if command == opcode::MODE_SENSE_6 { l6.into() } else { u16::from_be_bytes([l10h, l10l]) };
        data.truncate(room.into());
        Ok(Transfer::Bytes(data))
    }

    /// How many blocks of what size (SBC-3, 6.4.2.2); none without a medium.
    fn block_descriptor(&self) -> Vec<u8> {
        let Some(disk) = self.medium.disk() else { return Vec::new() };
        let block = Self::block(disk);
        let blocks = u32::try_from(disk.size() / block).unwrap_or(u32::MAX);
        [blocks.to_be_bytes(), (block as u32 & 0xff_ffff).to_be_bytes()].concat()
    }
}
