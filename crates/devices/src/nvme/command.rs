//! A command (4.2), and a completion of one (4.6).

use super::Status;
use super::spec::{COMMAND, COMPLETION};

/// A submission queue entry as it was fetched: the guest may change it in memory meanwhile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Command([u32; COMMAND / 4]);

impl Command {
    pub(super) fn new(bytes: &[u8; COMMAND]) -> Self {
        let mut dwords = [0; COMMAND / 4];
        for (dword, bytes) in dwords.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *dword = u32::from_le_bytes(*bytes);
        }
        Self(dwords)
    }

    pub(super) fn opcode(&self) -> u8 {
        self.0[0] as u8
    }

    /// Command Identifier.
    pub(super) fn id(&self) -> u16 {
        (self.0[0] >> 16) as u16
    }

    /// Whether it is a part of a fused operation, or its data are not described by PRPs: we have neither.
    pub(super) fn is_beyond_us(&self) -> bool {
        self.0[0] & (0b11 << 8 | 0b11 << 14) != 0
    }

    pub(super) fn namespace(&self) -> u32 {
        self.0[1]
    }

    /// Command Dword 10 to 15.
    pub(super) fn dword(&self, number: usize) -> u32 {
        self.0[number]
    }

    /// Two dwords, from `number` on.
    pub(super) fn qword(&self, number: usize) -> u64 {
        u64::from(self.0[number + 1]) << 32 | u64::from(self.0[number])
    }

    /// PRP Entry 1.
    pub(super) fn prp1(&self) -> u64 {
        self.qword(6)
    }

    /// PRP Entry 2.
    pub(super) fn prp2(&self) -> u64 {
        self.qword(8)
    }
}

/// What a completion tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Completion {
    pub(super) result: u32,
    pub(super) sq_head: u16,
    pub(super) sq_id: u16,
    pub(super) command_id: u16,
    pub(super) status: Status,
}

impl Completion {
    /// The entry's first three dwords, and the last, which is written after them: it has the phase tag.
    pub(super) fn encode(&self, phase: bool) -> ([u8; COMPLETION - 4], u32) {
        let mut head = [0; COMPLETION - 4];
        head[..4].copy_from_slice(&self.result.to_le_bytes());
        head[8..10].copy_from_slice(&self.sq_head.to_le_bytes());
        head[10..].copy_from_slice(&self.sq_id.to_le_bytes());
        let status = self.status.field() << 1 | u16::from(phase);
        (head, u32::from(status) << 16 | u32::from(self.command_id))
    }
}
