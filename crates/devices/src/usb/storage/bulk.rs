//! The bulk-only transport: command, data, status (Bulk-Only Transport 1.0, chapters 3, 5 and 6).

use std::sync::Arc;

use super::Medium;
use super::scsi::{Job, Target, Transfer};
use super::spec::{self, Status};
use crate::usb::{In, Out};

/// The transport's state, and the SCSI target behind it.
pub(super) struct Bulk {
    target: Target,
    /// The largest packet of the endpoints.
    packet: usize,
    halted_in: bool,
    halted_out: bool,
    phase: Phase,
    tag: u32,
    /// Bytes that the host still gives or expects.
    host_left: u32,
    /// Bytes of the host's that meant nothing.
    residue: u32,
    /// Bytes that the command still gives or expects.
    device_left: u64,
    status: Status,
}

enum Phase {
    /// A command is expected.
    Command,
    /// Data for the host.
    DataIn(Source),
    /// Data from the host.
    DataOut(Sink),
    /// The status is expected to be read.
    Status,
    /// What came was no command: nothing but a reset helps (6.6.1).
    Broken,
}

/// Where data for the host comes from.
enum Source {
    Bytes { bytes: Vec<u8>, at: usize },
    Disk { at: u64 },
}

/// Where data from the host goes.
enum Sink {
    Disk { at: u64 },
    Parameters { job: Job, bytes: Vec<u8> },
    Nowhere,
}

impl Bulk {
    pub(super) fn new(medium: Arc<Medium>, packet: usize) -> Self {
        Self {
            target: Target::new(medium),
            packet,
            halted_in: false,
            halted_out: false,
            phase: Phase::Command,
            tag: 0,
            host_left: 0,
            residue: 0,
            device_left: 0,
            status: Status::Passed,
        }
    }

    /// Whether the endpoint is halted, to be looked at and set; `None` when there is no such endpoint.
    pub(super) fn halted(&mut self, address: u8) -> Option<&mut bool> {
        match address {
            spec::BULK_IN => Some(&mut self.halted_in),
            spec::BULK_OUT => Some(&mut self.halted_out),
            _ => None,
        }
    }

    /// The host clears a halt. After something that was no command it stays until the reset (6.6.1).
    pub(super) fn clear_halt(&mut self, address: u8) {
        let broken = matches!(self.phase, Phase::Broken);
        if let Some(halted) = self.halted(address) {
            *halted = broken;
        }
    }

    /// The configuration is set: endpoints are as new.
    pub(super) fn clear_halts(&mut self) {
        (self.halted_in, self.halted_out) = (false, false);
    }

    /// The class's reset: ready for a command; halts stay (3.1).
    pub(super) fn reset_recovery(&mut self) {
        self.phase = Phase::Command;
    }

    /// The host reads.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> In {
        if self.halted_in {
            return In::Stall(0);
        }
        match self.phase {
            Phase::Command | Phase::DataOut(_) => In::Nak,
            Phase::DataIn(_) => self.read_data(buffer),
            Phase::Status => self.read_status(buffer),
            Phase::Broken => self.halt_in(0),
        }
    }

    fn halt_in(&mut self, sent: usize) -> In {
        self.halted_in = true;
        In::Stall(sent)
    }

    fn read_data(&mut self, buffer: &mut [u8]) -> In {
        let limit = self.device_left.min(self.host_left.into());
        let len = limit.min(buffer.len() as u64) as usize;
        let got = match self.fill(&mut buffer[..len]) {
            true => len,
            false => {
                self.status = Status::Failed;
                self.device_left = 0;
                0
            }
        };
        self.device_left -= (got as u64).min(self.device_left);
        self.host_left -= got as u32;
        self.residue -= got as u32;
        if self.device_left > 0 && self.host_left > 0 {
            return In::Full;
        }
        self.phase = Phase::Status;
        let whole_packets = got.is_multiple_of(self.packet);
        // The host expects more than there is: a short packet, or a halt where there is none (6.7.2).
        let missing = self.host_left > 0;
        self.halted_in = missing;
        match got < buffer.len() {
            true if missing && whole_packets => In::Stall(got),
            true => In::Short(got),
            false => In::Full,
        }
    }

    /// Fills the buffer from the source; `false` when the disk fails.
    fn fill(&mut self, buffer: &mut [u8]) -> bool {
        let Phase::DataIn(source) = &mut self.phase else { return false };
        match source {
            Source::Bytes { bytes, at } => {
                // `device_left` is what is left of them.
                buffer.copy_from_slice(&bytes[*at..*at + buffer.len()]);
                *at += buffer.len();
                true
            }
            Source::Disk { at } => {
                let offset = *at;
                *at += buffer.len() as u64;
                self.target.read(offset, buffer)
            }
        }
    }

    fn read_status(&mut self, buffer: &mut [u8]) -> In {
        let mut csw = [0; spec::CSW_SIZE];
        csw[..4].copy_from_slice(&spec::CSW_SIGNATURE.to_le_bytes());
        csw[4..8].copy_from_slice(&self.tag.to_le_bytes());
        csw[8..12].copy_from_slice(&self.residue.to_le_bytes());
        csw[12] = self.status as u8;
        // A host with less room than that has lost its way.
        let Some(room) = buffer.get_mut(..spec::CSW_SIZE) else { return self.halt_in(0) };
        room.copy_from_slice(&csw);
        self.phase = Phase::Command;
        if buffer.len() == spec::CSW_SIZE { In::Full } else { In::Short(spec::CSW_SIZE) }
    }

    /// The host writes.
    pub(super) fn write(&mut self, data: &[u8]) -> Out {
        if self.halted_out {
            return Out::Stall;
        }
        match self.phase {
            Phase::Command => self.command(data),
            Phase::DataOut(_) => self.write_data(data),
            Phase::DataIn(_) | Phase::Status => Out::Nak,
            Phase::Broken => self.halt_out(),
        }
    }

    fn halt_out(&mut self) -> Out {
        self.halted_out = true;
        Out::Stall
    }

    fn write_data(&mut self, data: &[u8]) -> Out {
        let given = data.len().min(self.host_left as usize);
        let taken = (given as u64).min(self.device_left) as usize;
        self.host_left -= given as u32;
        match self.put(&data[..taken]) {
            true => {
                self.device_left -= taken as u64;
                self.residue -= taken as u32;
            }
            false => {
                // The rest is taken and means nothing (6.7.3).
                self.status = Status::Failed;
                self.device_left = 0;
                self.phase = Phase::DataOut(Sink::Nowhere);
            }
        }
        if self.host_left == 0 {
            self.finish_out();
        }
        if given < data.len() { self.halt_out() } else { Out::Taken }
    }

    /// Gives data to the sink; `false` when the disk fails.
    fn put(&mut self, data: &[u8]) -> bool {
        let Phase::DataOut(sink) = &mut self.phase else { return false };
        match sink {
            Sink::Disk { at } => {
                let offset = *at;
                *at += data.len() as u64;
                data.is_empty() || self.target.write(offset, data)
            }
            Sink::Parameters { bytes, .. } => {
                bytes.extend_from_slice(data);
                true
            }
            Sink::Nowhere => true,
        }
    }

    /// All data has come: the command can end.
    fn finish_out(&mut self) {
        let passed = match std::mem::replace(&mut self.phase, Phase::Status) {
            // The cache is write-through.
            Phase::DataOut(Sink::Disk { .. }) => self.target.flush(),
            Phase::DataOut(Sink::Parameters { job, bytes }) if self.device_left == 0 => {
                self.target.finish(&job, &bytes)
            }
            _ => true,
        };
        if !passed && self.status == Status::Passed {
            self.status = Status::Failed;
        }
    }

    /// A command block wrapper, if it is one.
    fn command(&mut self, data: &[u8]) -> Out {
        let word = |at: usize| u32::from_le_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]]);
        let valid = data.len() == spec::CBW_SIZE && word(0) == spec::CBW_SIGNATURE;
        if !valid || data[13] & 0xf != 0 || !(1..=16).contains(&(data[14] & 0x1f)) {
            self.phase = Phase::Broken;
            self.halted_in = true;
            return self.halt_out();
        }
        let mut cdb = [0; 16];
        let length = usize::from(data[14] & 0x1f);
        cdb[..length].copy_from_slice(&data[15..15 + length]);
        (self.tag, self.host_left, self.status) = (word(4), word(8), Status::Passed);
        self.residue = self.host_left;
        let host_reads = data[12] & spec::CBW_IN != 0;
        let transfer = self.target.begin(&cdb);
        self.begin_data(transfer, host_reads);
        Out::Taken
    }

    /// Brings together what the command and the host want: the thirteen cases (6.7).
    fn begin_data(&mut self, transfer: Transfer, host_reads: bool) {
        let (device_left, device_reads, source, sink) = match transfer {
            Transfer::None => (0, host_reads, None, None),
            Transfer::Failed => {
                self.status = Status::Failed;
                (0, host_reads, None, None)
            }
            Transfer::Bytes(bytes) => (bytes.len() as u64, true, Some(Source::Bytes { bytes, at: 0 }), None),
            Transfer::FromDisk { offset, len } => (len, true, Some(Source::Disk { at: offset }), None),
            Transfer::ToDisk { offset, len } => (len, false, None, Some(Sink::Disk { at: offset })),
            Transfer::Parameters { job, len } => {
                (len.into(), false, None, Some(Sink::Parameters { job, bytes: Vec::new() }))
            }
        };
        let wrong_way = device_left > 0 && device_reads != host_reads;
        // The host's length is that of what it allocated; a command that has more to give, or wants more, is another
        // command than the host thinks.
        if wrong_way || device_left > u64::from(self.host_left) {
            self.status = Status::PhaseError;
        }
        self.device_left = if wrong_way { 0 } else { device_left };
        self.phase = match (self.host_left, host_reads) {
            (0, _) => Phase::Status,
            (_, true) => {
                Phase::DataIn(source.filter(|_| !wrong_way).unwrap_or(Source::Bytes { bytes: Vec::new(), at: 0 }))
            }
            (_, false) => Phase::DataOut(sink.filter(|_| !wrong_way).unwrap_or(Sink::Nowhere)),
        };
    }
}
