//! The NVM command set (6), done on the controller's I/O threads.

use std::io::{IoSlice, IoSliceMut};

use block::Error;
use vm_memory::Permissions;

use super::command::Command;
use super::core::Core;
use super::data::Data;
use super::spec::{BROADCAST, nvm};
use super::{Status, status};

/// Bytes between guest memory and the disk at once.
const BUFFER: usize = 256 << 10;
/// The largest transfer in bytes, which Identify tells as a power of two of 4 KiB pages.
pub(super) const MAX_TRANSFER: usize = 4096 << MAX_TRANSFER_SHIFT;
/// The power.
pub(super) const MAX_TRANSFER_SHIFT: u8 = 8;

/// A command on its way: the controller and a buffer of the thread that does it.
pub(super) struct Io<'a> {
    pub(super) core: &'a Core,
    pub(super) buffer: &'a mut Vec<u8>,
}

/// Where on the disk, in bytes.
#[derive(Clone, Copy)]
struct Place {
    offset: u64,
    len: usize,
}

impl Io<'_> {
    /// Does a command of an I/O queue.
    pub(super) fn perform(&mut self, command: &Command) -> Result<(), Status> {
        let flush = command.opcode() == nvm::FLUSH;
        if command.is_beyond_us() {
            return Err(Status::INVALID_FIELD);
        }
        if command.namespace() != 1 && !(flush && command.namespace() == BROADCAST) {
            return Err(Status::INVALID_NAMESPACE);
        }
        match command.opcode() {
            nvm::FLUSH => self.flush(),
            nvm::READ => self.read(command),
            nvm::COMPARE => self.compare(command),
            nvm::WRITE => self.change(|io| io.write(command)),
            nvm::WRITE_ZEROES => self.change(|io| io.write_zeroes(command)),
            nvm::DATASET_MANAGEMENT => self.change(|io| io.manage(command)),
            _ => Err(Status::INVALID_OPCODE),
        }
    }

    /// A command that changes the disk, which is looked at first: a command that fails so changes nothing.
    fn change(&mut self, what: impl FnOnce(&mut Self) -> Result<(), Status>) -> Result<(), Status> {
        if self.core.namespace.disk.read_only() {
            return Err(Status::WRITE_PROTECTED);
        }
        what(self)
    }

    /// Whether what the command writes has to be on the medium when it completes.
    fn is_durable(&self, command: &Command) -> bool {
        command.dword(12) & nvm::FUA != 0 || !self.core.write_cache()
    }

    fn flush(&self) -> Result<(), Status> {
        self.core.namespace.disk.flush().map_err(self.failed(Status::WRITE_FAULT))
    }

    fn read(&mut self, command: &Command) -> Result<(), Status> {
        let Place { offset, len } = self.place(command)?;
        let mut data = self.data(command, len, Permissions::Write)?;
        if command.dword(12) & nvm::FUA != 0 {
            // What is read has to be on the medium.
            self.flush()?;
        }
        let disk = &self.core.namespace.disk;
        for (at, part) in parts(len) {
            let buffer = fit(self.buffer, part);
            let read = disk.read(offset + at as u64, &mut [IoSliceMut::new(buffer)]);
            read.map_err(|error| log(self.core, &error, Status::READ_ERROR))?;
            data.write(buffer)?;
        }
        self.core.namespace.health.read(len as u64);
        Ok(())
    }

    fn compare(&mut self, command: &Command) -> Result<(), Status> {
        let Place { offset, len } = self.place(command)?;
        let mut data = self.data(command, len, Permissions::Read)?;
        let disk = &self.core.namespace.disk;
        for (at, part) in parts(len) {
            let (ours, theirs) = fit(self.buffer, 2 * part).split_at_mut(part);
            let read = disk.read(offset + at as u64, &mut [IoSliceMut::new(ours)]);
            read.map_err(|error| log(self.core, &error, Status::READ_ERROR))?;
            data.read(theirs)?;
            if ours != theirs {
                return Err(Status::COMPARE_FAILURE);
            }
        }
        self.core.namespace.health.read(len as u64);
        Ok(())
    }

    fn write(&mut self, command: &Command) -> Result<(), Status> {
        let Place { offset, len } = self.place(command)?;
        let mut data = self.data(command, len, Permissions::Read)?;
        let durable = self.is_durable(command);
        // Of several parts each alone would cost as much as a flush of all.
        let whole = len <= BUFFER;
        let disk = &self.core.namespace.disk;
        for (at, part) in parts(len) {
            let buffer = fit(self.buffer, part);
            data.read(buffer)?;
            let (at, slices) = (offset + at as u64, [IoSlice::new(buffer)]);
            let written = if durable && whole { disk.write_durable(at, &slices) } else { disk.write(at, &slices) };
            written.map_err(|error| log(self.core, &error, Status::WRITE_FAULT))?;
        }
        if durable && !whole {
            self.flush()?;
        }
        self.core.namespace.health.wrote(len as u64);
        Ok(())
    }

    fn write_zeroes(&self, command: &Command) -> Result<(), Status> {
        let Place { offset, len } = self.place(command)?;
        let unmap = command.dword(12) & nvm::DEALLOCATE != 0;
        let disk = &self.core.namespace.disk;
        disk.write_zeroes(offset, len as u64, unmap).map_err(self.failed(Status::WRITE_FAULT))?;
        if self.is_durable(command) {
            self.flush()?;
        }
        Ok(())
    }

    /// Dataset Management: of its attributes all but one are hints.
    fn manage(&self, command: &Command) -> Result<(), Status> {
        let mut ranges = vec![0; (command.dword(10) as usize & 0xff) * nvm::RANGE + nvm::RANGE];
        self.data(command, ranges.len(), Permissions::Read)?.read(&mut ranges)?;
        if command.dword(11) & nvm::DATASET_DEALLOCATE == 0 {
            return Ok(());
        }
        let namespace = &self.core.namespace;
        let mut places = Vec::new();
        for [_, _, _, _, blocks @ .., a, b, c, d, e, f, g, h] in ranges.as_chunks::<{ nvm::RANGE }>().0 {
            let (first, count) = (u64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), u32::from_le_bytes(*blocks));
            let end = first.checked_add(count.into()).filter(|end| *end <= namespace.blocks());
            end.ok_or(Status::OUT_OF_RANGE)?;
            places.push((first * namespace.block, u64::from(count) * namespace.block));
        }
        for (offset, len) in places {
            namespace.disk.discard(offset, len).map_err(self.failed(Status::WRITE_FAULT))?;
        }
        Ok(())
    }

    /// Starting LBA and Number of Logical Blocks, if they are on the disk as it is now.
    fn place(&self, command: &Command) -> Result<Place, Status> {
        let namespace = &self.core.namespace;
        let (first, count) = (command.qword(10), u64::from(command.dword(12) & 0xffff) + 1);
        match first.checked_add(count) {
            Some(end) if end <= namespace.blocks() => {
                Ok(Place { offset: first * namespace.block, len: (count * namespace.block) as usize })
            }
            _ => Err(Status::OUT_OF_RANGE),
        }
    }

    fn data<'m>(&self, command: &Command, len: usize, access: Permissions) -> Result<Data<'m>, Status>
    where
        Self: 'm,
    {
        if len > MAX_TRANSFER {
            return Err(Status::INVALID_FIELD);
        }
        Data::of(&self.core.memory, command, self.core.page(), len, access)
    }

    fn failed(&self, medium: Status) -> impl FnOnce(Error) -> Status {
        move |error| log(self.core, &error, medium)
    }
}

fn log(core: &Core, error: &Error, medium: Status) -> Status {
    let status = status::of(error, medium);
    if status.is_media_error() {
        core.namespace.failed(error);
        core.warn();
    }
    status
}

/// Cuts `len` bytes into offsets and lengths of what goes through the buffer at once.
fn parts(len: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..len).step_by(BUFFER).map(move |at| (at, (len - at).min(BUFFER)))
}

fn fit(buffer: &mut Vec<u8>, len: usize) -> &mut [u8] {
    buffer.resize(buffer.len().max(len), 0);
    &mut buffer[..len]
}
