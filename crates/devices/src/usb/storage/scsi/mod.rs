//! The SCSI target in a drive: one logical unit, a disk that can be taken out.

mod blocks;
mod identity;
mod mode;
pub(super) mod spec;

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

use block::{Disk, Error};

use self::spec::{Sense, opcode};
use super::Medium;

/// The data of a command.
pub(super) enum Transfer {
    /// None; the command is done.
    None,
    /// None; the sense data says why.
    Failed,
    /// These bytes for the host.
    Bytes(Vec<u8>),
    /// A range of the disk, for the host.
    FromDisk { offset: u64, len: u64 },
    /// A range of the disk, from the host.
    ToDisk { offset: u64, len: u64 },
    /// So many bytes from the host, and then [`Target::finish`].
    Parameters { job: Job, len: u32 },
}

/// What is to be done with a parameter list.
pub(super) enum Job {
    /// Discard the ranges in the list.
    Unmap,
    /// Write the block again and again.
    WriteSame { offset: u64, len: u64, unmap: bool },
}

/// The target.
///
/// Glue: the medium. State: the sense data of the last command, and whether the host keeps the medium from being
/// taken out.
pub(super) struct Target {
    medium: Arc<Medium>,
    sense: Sense,
    prevented: bool,
    /// [`Medium::insertions`] that the host was told of.
    seen: u64,
    /// The disk's size, as the host knows it.
    size: u64,
}

impl Target {
    pub(super) fn new(medium: Arc<Medium>) -> Self {
        let (seen, size) = (medium.insertions(), medium.disk().map_or(0, |disk| disk.size()));
        Self { medium, sense: Sense::NONE, prevented: false, seen, size }
    }

    /// Begins the command in `cdb`, or does it when it has no data from the host.
    pub(super) fn begin(&mut self, cdb: &[u8; 16]) -> Transfer {
        let result = self.changed(cdb[0]).and_then(|()| self.perform(cdb));
        if cdb[0] != opcode::REQUEST_SENSE {
            self.sense = Sense::NONE;
        }
        result.unwrap_or_else(|sense| {
            self.sense = sense;
            Transfer::Failed
        })
    }

    /// Reports once that the medium may be another or has another size, to a command that does not ask for something
    /// else (SAM-5, 5.14).
    fn changed(&mut self, command: u8) -> Result<(), Sense> {
        if matches!(command, opcode::INQUIRY | opcode::REPORT_LUNS | opcode::REQUEST_SENSE) {
            return Ok(());
        }
        let (insertions, size) = (self.medium.insertions(), self.medium.disk().map_or(self.size, |disk| disk.size()));
        let (seen, known) = (self.seen, self.size);
        (self.seen, self.size) = (insertions, size);
        match (insertions == seen, size == known) {
            (true, true) => Ok(()),
            (true, false) => Err(Sense::CAPACITY_CHANGED),
            (false, _) => Err(Sense::MEDIUM_CHANGED),
        }
    }

    fn perform(&mut self, cdb: &[u8; 16]) -> Result<Transfer, Sense> {
        match cdb[0] {
            opcode::TEST_UNIT_READY => self.disk().map(|_| Transfer::None),
            opcode::REQUEST_SENSE => self.request_sense(cdb),
            opcode::INQUIRY => self.inquiry(cdb),
            opcode::REPORT_LUNS => Self::report_luns(cdb),
            opcode::MODE_SENSE_6 | opcode::MODE_SENSE_10 => self.mode_sense(cdb),
            opcode::START_STOP_UNIT => self.start_stop(cdb[4]),
            opcode::PREVENT_ALLOW => {
                self.prevented = cdb[4] & 1 != 0;
                Ok(Transfer::None)
            }
            _ => self.block_command(cdb),
        }
    }

    /// The disk, if it is there.
    fn disk(&self) -> Result<&Arc<dyn Disk>, Sense> {
        self.medium.disk().ok_or(Sense::NO_MEDIUM)
    }

    fn writable(&self) -> Result<&Arc<dyn Disk>, Sense> {
        self.disk().and_then(|disk| if disk.read_only() { Err(Sense::WRITE_PROTECTED) } else { Ok(disk) })
    }

    /// Bytes of a block.
    fn block(disk: &Arc<dyn Disk>) -> u64 {
        disk.geometry().logical_block.into()
    }

    /// In fixed format (SPC-4, 4.5.3). Asking makes it forgotten.
    fn request_sense(&mut self, cdb: &[u8; 16]) -> Result<Transfer, Sense> {
        // Descriptor format is not offered.
        if cdb[1] & 1 != 0 {
            return Err(Sense::INVALID_FIELD);
        }
        let mut sense = std::mem::replace(&mut self.sense, Sense::NONE);
        if sense == Sense::NONE {
            sense = self.disk().err().unwrap_or(sense);
        }
        let mut data = vec![0; 18];
        (data[0], data[2], data[7], data[12], data[13]) = (0x70, sense.0, 10, sense.1, sense.2);
        data.truncate(cdb[4].into());
        Ok(Transfer::Bytes(data))
    }

    /// With the bit LOEJ the medium is taken out or put in; without it there is nothing that could stop.
    fn start_stop(&mut self, flags: u8) -> Result<Transfer, Sense> {
        let (load_eject, start) = (flags & 2 != 0, flags & 1 != 0);
        if !load_eject {
            return self.disk().map(|_| Transfer::None);
        }
        if start {
            self.medium.insert();
        } else if self.prevented {
            return Err(Sense::REMOVAL_PREVENTED);
        } else if self.medium.is_loaded() {
            self.flush_disk()?;
            self.medium.eject();
        }
        Ok(Transfer::None)
    }

    /// Reads for [`Transfer::FromDisk`]; `false` leaves a sense.
    pub(super) fn read(&mut self, offset: u64, buffer: &mut [u8]) -> bool {
        let mut buffer = [IoSliceMut::new(buffer)];
        let result =
            self.disk().and_then(|disk| disk.read(offset, &mut buffer).map_err(|e| self.failed(&e, Sense::READ_ERROR)));
        self.keep(result)
    }

    /// Writes for [`Transfer::ToDisk`]; `false` leaves a sense.
    pub(super) fn write(&mut self, offset: u64, data: &[u8]) -> bool {
        let data = [IoSlice::new(data)];
        let result =
            self.writable().and_then(|disk| disk.write(offset, &data).map_err(|e| self.failed(&e, Sense::WRITE_ERROR)));
        self.keep(result)
    }

    /// Makes what was written durable; `false` leaves a sense.
    pub(super) fn flush(&mut self) -> bool {
        let result = self.flush_disk();
        self.keep(result)
    }

    /// Ends a command with its parameter list; `false` leaves a sense.
    pub(super) fn finish(&mut self, job: &Job, parameters: &[u8]) -> bool {
        let result = match job {
            Job::Unmap => self.unmap(parameters),
            Job::WriteSame { offset, len, unmap } => self.write_same(*offset, *len, *unmap, parameters),
        };
        let result = result.and_then(|()| self.flush_disk());
        self.keep(result)
    }

    fn flush_disk(&self) -> Result<(), Sense> {
        self.disk()?.flush().map_err(|e| self.failed(&e, Sense::WRITE_ERROR))
    }

    /// What a disk's error is to the guest; `medium` is for those that the host's storage is to blame for.
    fn failed(&self, error: &Error, medium: Sense) -> Sense {
        self.medium.failed(error);
        match error {
            Error::ReadOnly => Sense::WRITE_PROTECTED,
            Error::OutOfBounds { .. } => Sense::OUT_OF_RANGE,
            Error::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => Sense::NO_SPACE,
            _ => medium,
        }
    }

    fn keep(&mut self, result: Result<(), Sense>) -> bool {
        if let Err(sense) = result {
            self.sense = sense;
        }
        result.is_ok()
    }
}
