//! A request of a client, checked.

use super::handshake::Agreed;
use crate::nbd::Error;
use crate::nbd::spec::{self, cmd, cmd_flag, errno, flag};
use crate::pace::Kind;

/// A request, without its payload.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) flags: u16,
    pub(super) kind: u16,
    pub(super) cookie: u64,
    pub(super) offset: u64,
    pub(super) len: u32,
}

impl Request {
    pub(super) fn parse(bytes: &[u8; spec::REQUEST_LEN]) -> Result<Self, Error> {
        let u64_at = |at: usize| u64::from_be_bytes(std::array::from_fn(|i| bytes[at + i]));
        let u32_at = |at: usize| u32::from_be_bytes(std::array::from_fn(|i| bytes[at + i]));
        let u16_at = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        if u32_at(0) != spec::REQUEST_MAGIC {
            return Err(Error::Protocol("a request without its magic number"));
        }
        Ok(Self { flags: u16_at(4), kind: u16_at(6), cookie: u64_at(8), offset: u64_at(16), len: u32_at(24) })
    }

    pub(super) fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// Whether the answer is in chunks, when they were agreed on.
    pub(super) fn is_answered_in_chunks(&self) -> bool {
        matches!(self.kind, cmd::READ | cmd::BLOCK_STATUS)
    }

    /// The bytes that follow the request.
    pub(super) fn payload(&self) -> u32 {
        if self.kind == cmd::WRITE { self.len } else { 0 }
    }

    /// What its pace is measured with.
    pub(super) fn pace(&self) -> Kind {
        match self.kind {
            cmd::READ => Kind::Read,
            cmd::WRITE => Kind::Write,
            _ => Kind::Other,
        }
    }

    /// What an execution of it has in memory.
    pub(super) fn memory(&self) -> usize {
        match self.kind {
            cmd::READ | cmd::WRITE => self.len as usize,
            _ => 0,
        }
    }

    /// Whether it may be done, else the error for the client.
    pub(super) fn check(&self, agreed: &Agreed<'_>) -> Result<(), u32> {
        let allowed = match self.kind {
            cmd::READ if agreed.structured => cmd_flag::DF,
            cmd::WRITE | cmd::TRIM => cmd_flag::FUA,
            cmd::WRITE_ZEROES => cmd_flag::FUA | cmd_flag::NO_HOLE | cmd_flag::FAST_ZERO,
            cmd::BLOCK_STATUS if agreed.base_allocation => cmd_flag::REQ_ONE,
            cmd::READ | cmd::FLUSH | cmd::CACHE => 0,
            _ => return Err(errno::EINVAL),
        };
        // Flags of FUA that mean nothing are let pass ("Command flags").
        if self.flags & !(allowed | cmd_flag::FUA) != 0 {
            return Err(errno::EINVAL);
        }
        let changes = matches!(self.kind, cmd::WRITE | cmd::TRIM | cmd::WRITE_ZEROES);
        if changes && agreed.flags & flag::READ_ONLY != 0 {
            return Err(errno::EPERM);
        }
        let long = matches!(self.kind, cmd::READ | cmd::WRITE) && self.len > spec::MAX_PAYLOAD;
        let empty = self.kind == cmd::BLOCK_STATUS && self.len == 0;
        if long || empty {
            return Err(errno::EINVAL);
        }
        let inside = self.offset.checked_add(self.len.into()).is_some_and(|end| end <= agreed.size);
        match self.kind {
            cmd::FLUSH => Ok(()),
            cmd::WRITE | cmd::WRITE_ZEROES if !inside => Err(errno::ENOSPC),
            _ if !inside => Err(errno::EINVAL),
            _ => Ok(()),
        }
    }
}
