//! The data of a command: Physical Region Page entries and lists (4.3), and the bytes behind them.

use vm_memory::{Bytes, GuestAddress, GuestMemory as _, Permissions};

use super::Status;
use super::command::Command;
use crate::GuestMemory;

/// Buffers in guest memory, one after the other, known to be there.
#[derive(Debug)]
pub(super) struct Data<'a> {
    memory: &'a GuestMemory,
    segments: Vec<(u64, usize)>,
    /// Where the next byte is: a segment and an offset in it.
    at: (usize, usize),
}

impl<'a> Data<'a> {
    /// The `len` bytes that the PRPs of `command` describe, which the controller reads or writes as `access` says.
    /// `len` is bounded by the largest transfer, and so is the work.
    pub(super) fn of(
        memory: &'a GuestMemory,
        command: &Command,
        page: usize,
        len: usize,
        access: Permissions,
    ) -> Result<Self, Status> {
        let mut data = Self { memory, segments: Vec::new(), at: (0, 0) };
        let first = command.prp1();
        if !first.is_multiple_of(4) {
            return Err(Status::PRP_OFFSET);
        }
        let part = len.min(page - offset(first, page));
        data.add(first, part, access)?;
        let mut left = len - part;
        if left == 0 {
            return Ok(data);
        }
        if left <= page {
            if offset(command.prp2(), page) != 0 {
                return Err(Status::PRP_OFFSET);
            }
            data.add(command.prp2(), left, access)?;
            return Ok(data);
        }
        let mut list = command.prp2();
        if !list.is_multiple_of(8) {
            return Err(Status::PRP_OFFSET);
        }
        while left > 0 {
            let (room, wanted) = ((page - offset(list, page)) / 8, left.div_ceil(page));
            let mut bytes = vec![0; room.min(wanted) * 8];
            memory.read_slice(&mut bytes, GuestAddress(list)).map_err(|_| Status::DATA_TRANSFER)?;
            let mut entries = bytes.as_chunks::<8>().0.iter().map(|entry| u64::from_le_bytes(*entry));
            // A list that is not enough ends in a pointer to the next, which begins its page and so has entries.
            let next = if wanted > room { entries.next_back() } else { None };
            for entry in entries {
                if offset(entry, page) != 0 {
                    return Err(Status::PRP_OFFSET);
                }
                let part = left.min(page);
                data.add(entry, part, access)?;
                left -= part;
            }
            if let Some(next) = next {
                if offset(next, page) != 0 {
                    return Err(Status::PRP_OFFSET);
                }
                list = next;
            }
        }
        Ok(data)
    }

    fn add(&mut self, addr: u64, len: usize, access: Permissions) -> Result<(), Status> {
        if !self.memory.check_range(GuestAddress(addr), len, access) {
            return Err(Status::DATA_TRANSFER);
        }
        match self.segments.last_mut() {
            Some((last, length)) if *last + *length as u64 == addr => *length += len,
            _ => self.segments.push((addr, len)),
        }
        Ok(())
    }

    /// Address and length of the next piece of at most `want` bytes; `None` at the end. It is passed over.
    fn piece(&mut self, want: usize) -> Option<(GuestAddress, usize)> {
        let (addr, len) = *self.segments.get(self.at.0)?;
        let piece = (GuestAddress(addr + self.at.1 as u64), want.min(len - self.at.1));
        self.at.1 += piece.1;
        if self.at.1 == len {
            self.at = (self.at.0 + 1, 0);
        }
        Some(piece)
    }

    /// Reads the next bytes of the guest.
    pub(super) fn read(&mut self, mut buf: &mut [u8]) -> Result<(), Status> {
        while !buf.is_empty() {
            let (addr, len) = self.piece(buf.len()).ok_or(Status::DATA_TRANSFER)?;
            let (part, rest) = buf.split_at_mut(len);
            self.memory.read_slice(part, addr).map_err(|_| Status::DATA_TRANSFER)?;
            buf = rest;
        }
        Ok(())
    }

    /// Writes the next bytes to the guest.
    pub(super) fn write(&mut self, mut buf: &[u8]) -> Result<(), Status> {
        while !buf.is_empty() {
            let (addr, len) = self.piece(buf.len()).ok_or(Status::DATA_TRANSFER)?;
            let (part, rest) = buf.split_at(len);
            self.memory.write_slice(part, addr).map_err(|_| Status::DATA_TRANSFER)?;
            buf = rest;
        }
        Ok(())
    }
}

fn offset(addr: u64, page: usize) -> usize {
    (addr % page as u64) as usize
}
