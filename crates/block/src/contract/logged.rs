//! A disk that logs what it is told, below what is tested: what a loss of power leaves of it at any point.

use std::io::{IoSlice, IoSliceMut};

use parking_lot::Mutex;

use super::{MemoryDisk, Random};
use crate::{Disk, Error, Geometry};

enum Op {
    Write(u64, Vec<u8>),
    Discard(u64, u64),
    Resize(u64),
    Flush,
}

/// A disk in memory, and all that was ever done to it.
pub struct LoggedDisk {
    disk: MemoryDisk,
    log: Mutex<Vec<Op>>,
}

impl Default for LoggedDisk {
    /// Of no bytes.
    fn default() -> Self {
        Self { disk: MemoryDisk::new(0), log: Mutex::default() }
    }
}

impl LoggedDisk {
    /// How many operations there were.
    pub fn operations(&self) -> usize {
        self.log.lock().len()
    }

    /// The bytes that a loss of power after so many operations may leave: of those since the last flush none, all, or
    /// each piece of `piece` bytes by chance.
    pub fn crashed(&self, after: usize, piece: usize, random: &mut Random) -> Vec<u8> {
        let log = self.log.lock();
        let durable = log[..after].iter().rposition(|op| matches!(op, Op::Flush)).unwrap_or(0);
        let mut file: Vec<u8> = Vec::new();
        for (i, op) in log[..after].iter().enumerate() {
            let luck = if i <= durable { 1 } else { random.below(4) };
            match op {
                Op::Write(offset, bytes) => {
                    let piece = if luck == 1 { bytes.len().max(1) } else { piece };
                    for (n, part) in bytes.chunks(piece).enumerate() {
                        if luck == 0 || luck > 1 && random.below(2) == 0 {
                            continue;
                        }
                        let at = *offset as usize + n * piece;
                        if file.len() < at + part.len() {
                            file.resize(at + part.len(), 0);
                        }
                        file[at..at + part.len()].copy_from_slice(part);
                    }
                }
                Op::Discard(offset, len) if luck > 0 => {
                    let end = file.len().min((offset + len) as usize);
                    file[(*offset as usize).min(end)..end].fill(0xdb);
                }
                Op::Resize(size) => file.resize(*size as usize, 0),
                Op::Discard(..) | Op::Flush => {}
            }
        }
        file
    }

    fn note(&self, op: Op) {
        self.log.lock().push(op);
    }
}

impl Disk for LoggedDisk {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn geometry(&self) -> Geometry {
        self.disk.geometry()
    }

    fn read_only(&self) -> bool {
        false
    }

    fn id(&self) -> &'static str {
        "logged"
    }

    fn read(&self, offset: u64, bufs: &mut [IoSliceMut<'_>]) -> Result<(), Error> {
        self.disk.read(offset, bufs)
    }

    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> Result<(), Error> {
        self.disk.write(offset, bufs)?;
        self.note(Op::Write(offset, bufs.iter().flat_map(|buf| buf.iter().copied()).collect()));
        Ok(())
    }

    /// It counts from when it is noted, so that whoever is told of it finds it there.
    fn flush(&self) -> Result<(), Error> {
        self.note(Op::Flush);
        Ok(())
    }

    fn discard(&self, offset: u64, len: u64) -> Result<(), Error> {
        self.disk.discard(offset, len)?;
        self.note(Op::Discard(offset, len));
        Ok(())
    }

    fn write_zeroes(&self, offset: u64, len: u64, _: bool) -> Result<(), Error> {
        self.write(offset, &[IoSlice::new(&vec![0; len as usize])])
    }

    fn resize(&self, size: u64) -> Result<(), Error> {
        self.disk.resize(size)?;
        self.note(Op::Resize(size));
        Ok(())
    }
}
