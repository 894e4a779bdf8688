//! Commands on blocks (SBC-3, chapter 5).

use std::io::IoSlice;

use super::spec::{READ_CAPACITY_16, Sense, opcode};
use super::{Job, Target, Transfer};

/// Blocks of a WRITE SAME at most, since the host may have to write them all.
pub(super) const MAX_BLOCKS_WRITE_SAME: u32 = 1 << 17;
/// Ranges of an UNMAP at most.
pub(super) const MAX_UNMAP_RANGES: usize = 256;
/// Bytes of all its ranges at most.
pub(super) const MAX_UNMAP_BYTES: u64 = 1 << 40;

/// Bytes of the header of an UNMAP parameter list and of each range in it (SBC-3, 5.28.2).
const UNMAP_HEADER: usize = 8;
const UNMAP_RANGE: usize = 16;
/// The longest list.
const MAX_UNMAP_LIST: usize = UNMAP_HEADER + MAX_UNMAP_RANGES * UNMAP_RANGE;
/// Bytes that are written at once to repeat a block.
const REPEAT: usize = 64 << 10;

impl Target {
    /// A command on blocks, or one that there is not.
    pub(super) fn block_command(&self, cdb: &[u8; 16]) -> Result<Transfer, Sense> {
        match cdb[0] {
            opcode::READ_CAPACITY_10 => self.read_capacity_10(),
            opcode::SERVICE_ACTION_IN_16 if cdb[1] & 0x1f == READ_CAPACITY_16 => self.read_capacity_16(cdb),
            opcode::READ_10 | opcode::READ_12 | opcode::READ_16 => {
                let (offset, len) = self.range(cdb)?;
                Ok(if len == 0 { Transfer::None } else { Transfer::FromDisk { offset, len } })
            }
            opcode::WRITE_10 | opcode::WRITE_12 | opcode::WRITE_16 => {
                self.writable()?;
                let (offset, len) = self.range(cdb)?;
                Ok(if len == 0 { Transfer::None } else { Transfer::ToDisk { offset, len } })
            }
            // Without comparison: every block that is there can be read.
            opcode::VERIFY_10 | opcode::VERIFY_16 if cdb[1] & 6 == 0 => self.range(cdb).map(|_| Transfer::None),
            opcode::VERIFY_10 | opcode::VERIFY_16 => Err(Sense::INVALID_FIELD),
            opcode::SYNCHRONIZE_CACHE_10 | opcode::SYNCHRONIZE_CACHE_16 => {
                self.range(cdb)?;
                self.flush_disk().map(|()| Transfer::None)
            }
            opcode::UNMAP => self.begin_unmap(cdb),
            opcode::WRITE_SAME_10 | opcode::WRITE_SAME_16 => self.begin_write_same(cdb),
            _ => Err(Sense::INVALID_COMMAND),
        }
    }

    /// Offset and length in bytes of the blocks in a command of any length, if they are all there.
    fn range(&self, cdb: &[u8; 16]) -> Result<(u64, u64), Sense> {
        let word = |at: usize| u32::from_be_bytes([cdb[at], cdb[at + 1], cdb[at + 2], cdb[at + 3]]);
        let (first, count) = match cdb[0] >> 5 {
            // 10, 16 and 12 bytes: group codes 1 and 2, 4, 5 (SPC-4, 4.2.5.1).
            4 => (u64::from(word(2)) << 32 | u64::from(word(6)), word(10)),
            5 => (word(2).into(), word(6)),
            _ => (word(2).into(), u16::from_be_bytes([cdb[7], cdb[8]]).into()),
        };
        self.place(first, count)
    }

    fn place(&self, first: u64, count: u32) -> Result<(u64, u64), Sense> {
        let disk = self.disk()?;
        let block = Self::block(disk);
        match first.checked_add(count.into()) {
            Some(end) if end <= disk.size() / block => Ok((first * block, u64::from(count) * block)),
            _ => Err(Sense::OUT_OF_RANGE),
        }
    }

    fn read_capacity_10(&self) -> Result<Transfer, Sense> {
        let disk = self.disk()?;
        let block = Self::block(disk);
        let last = u32::try_from((disk.size() / block).saturating_sub(1)).unwrap_or(u32::MAX);
        Ok(Transfer::Bytes([last.to_be_bytes(), (block as u32).to_be_bytes()].concat()))
    }

    fn read_capacity_16(&self, cdb: &[u8; 16]) -> Result<Transfer, Sense> {
        let disk = self.disk()?;
        let block = Self::block(disk);
        let mut data = vec![0; 32];
        data[..8].copy_from_slice(&(disk.size() / block).saturating_sub(1).to_be_bytes());
        data[8..12].copy_from_slice(&(block as u32).to_be_bytes());
        data[13] = (u64::from(disk.geometry().physical_block) / block).max(1).ilog2() as u8 & 0xf;
        // Space can be given back.
        data[14] = if disk.read_only() { 0 } else { 0x80 };
        data.truncate(u32::from_be_bytes([cdb[10], cdb[11], cdb[12], cdb[13]]) as usize);
        Ok(Transfer::Bytes(data))
    }

    fn begin_unmap(&self, cdb: &[u8; 16]) -> Result<Transfer, Sense> {
        self.writable()?;
        let len = u16::from_be_bytes([cdb[7], cdb[8]]);
        match usize::from(len) {
            0 => Ok(Transfer::None),
            UNMAP_HEADER..=MAX_UNMAP_LIST => Ok(Transfer::Parameters { job: Job::Unmap, len: len.into() }),
            _ => Err(Sense::PARAMETER_LENGTH),
        }
    }

    pub(super) fn unmap(&self, list: &[u8]) -> Result<(), Sense> {
        let disk = self.writable()?;
        let (_, ranges) = list.split_at_checked(UNMAP_HEADER).ok_or(Sense::PARAMETER_LENGTH)?;
        let said = usize::from(u16::from_be_bytes([list[2], list[3]]));
        let ranges = ranges.get(..said).unwrap_or(ranges);
        let mut places = Vec::new();
        let mut total = 0u64;
        for range in ranges.as_chunks::<UNMAP_RANGE>().0 {
            let [first @ .., c3, c2, c1, c0, _, _, _, _] = *range;
            let (offset, len) = self.place(u64::from_be_bytes(first), u32::from_be_bytes([c3, c2, c1, c0]))?;
            total = total.saturating_add(len);
            places.push((offset, len));
        }
        if total > MAX_UNMAP_BYTES {
            return Err(Sense::INVALID_PARAMETER);
        }
        // All were looked at before the first is done.
        places
            .iter()
            .try_for_each(|&(offset, len)| disk.discard(offset, len))
            .map_err(|e| self.failed(&e, Sense::WRITE_ERROR))
    }

    fn begin_write_same(&self, cdb: &[u8; 16]) -> Result<Transfer, Sense> {
        let disk = self.writable()?;
        let (offset, len) = self.range(cdb)?;
        let block = Self::block(disk);
        let (unmap, no_data) = (cdb[1] & 8 != 0, cdb[0] == opcode::WRITE_SAME_16 && cdb[1] & 1 != 0);
        // A count of zero would be "to the end", which the block limits page says is not offered.
        if len == 0 || len > u64::from(MAX_BLOCKS_WRITE_SAME) * block || cdb[1] & 0x10 != 0 {
            return Err(Sense::INVALID_FIELD);
        }
        if no_data {
            let zeroed = disk.write_zeroes(offset, len, unmap).and_then(|()| disk.flush());
            zeroed.map_err(|e| self.failed(&e, Sense::WRITE_ERROR))?;
            return Ok(Transfer::None);
        }
        Ok(Transfer::Parameters { job: Job::WriteSame { offset, len, unmap }, len: block as u32 })
    }

    pub(super) fn write_same(&self, offset: u64, len: u64, unmap: bool, block: &[u8]) -> Result<(), Sense> {
        let disk = self.writable()?;
        let error = |e| self.failed(&e, Sense::WRITE_ERROR);
        if block.iter().all(|byte| *byte == 0) {
            return disk.write_zeroes(offset, len, unmap).map_err(error);
        }
        let repeated = block.repeat((REPEAT / block.len().max(1)).max(1));
        let (mut at, end) = (offset, offset + len);
        while at < end {
            let part = (end - at).min(repeated.len() as u64);
            disk.write(at, &[IoSlice::new(&repeated[..part as usize])]).map_err(error)?;
            at += part;
        }
        Ok(())
    }
}
