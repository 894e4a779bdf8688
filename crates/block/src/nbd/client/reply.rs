//! Answers to requests: simple ones, and chunks.

use std::io;

use super::link::Request;
use crate::nbd::Error;
use crate::nbd::spec::{self, chunk, cmd};
use crate::nbd::stream::Input;

/// The longest payload of a chunk which is not data, in bytes.
const MAX_OTHER: u32 = 64 << 10;

/// What came of a request so far.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) request: Request,
    /// Of a read; zeroes until it has come.
    pub(super) data: Vec<u8>,
    /// How much of it has come.
    received: u64,
    /// Of a block status: lengths and states.
    pub(super) extents: Vec<(u32, u32)>,
    pub(super) error: Option<u32>,
}

/// The beginning of an answer.
pub(super) struct Head {
    pub(super) cookie: u64,
    kind: Kind,
}

enum Kind {
    Simple { error: u32 },
    Chunk { flags: u16, kind: u16, len: u32 },
}

impl Head {
    pub(super) fn receive(input: &mut Input) -> Result<Self, Error> {
        let io = Error::io;
        match input.u32().map_err(io("receive"))? {
            spec::SIMPLE_REPLY_MAGIC => {
                let error = input.u32().map_err(io("receive"))?;
                Ok(Self { cookie: input.u64().map_err(io("receive"))?, kind: Kind::Simple { error } })
            }
            spec::STRUCTURED_REPLY_MAGIC => {
                let (flags, kind) = (input.u16().map_err(io("receive"))?, input.u16().map_err(io("receive"))?);
                let cookie = input.u64().map_err(io("receive"))?;
                let len = input.u32().map_err(io("receive"))?;
                Ok(Self { cookie, kind: Kind::Chunk { flags, kind, len } })
            }
            _ => Err(Error::Protocol("an answer without its magic number")),
        }
    }
}

impl Reply {
    pub(super) fn to(request: Request) -> Self {
        Self { request, data: Vec::new(), received: 0, extents: Vec::new(), error: None }
    }

    /// Takes the rest of an answer. `true`: it was the last.
    pub(super) fn receive(
        &mut self,
        head: &Head,
        structured: bool,
        context: Option<u32>,
        input: &mut Input,
    ) -> Result<bool, Error> {
        match head.kind {
            Kind::Simple { error: 0 } => self.simple(structured, input).map(|()| true),
            Kind::Simple { error } => {
                self.error = Some(error);
                Ok(true)
            }
            Kind::Chunk { .. } if !structured => Err(Error::Protocol("a chunk that was not agreed on")),
            Kind::Chunk { flags, kind, len } => {
                self.chunk(kind, len, context, input)?;
                let last = flags & chunk::DONE != 0;
                let whole = self.request.kind != cmd::READ || self.received == u64::from(self.request.len);
                if last && self.error.is_none() && !whole {
                    return Err(Error::Protocol("a read with a part missing"));
                }
                Ok(last)
            }
        }
    }

    fn simple(&mut self, structured: bool, input: &mut Input) -> Result<(), Error> {
        match self.request.kind {
            cmd::READ | cmd::BLOCK_STATUS if structured => Err(Error::Protocol("a read without chunks")),
            cmd::READ => {
                self.make_room();
                input.fill_exact(&mut self.data).map_err(Error::io("receive"))
            }
            _ => Ok(()),
        }
    }

    fn chunk(&mut self, kind: u16, len: u32, context: Option<u32>, input: &mut Input) -> Result<(), Error> {
        let io = Error::io;
        match (kind, self.request.kind) {
            (chunk::NONE, _) if len == 0 => Ok(()),
            (chunk::OFFSET_DATA, cmd::READ) if len >= 8 => {
                let offset = input.u64().map_err(io("receive"))?;
                let room = self.part(offset, u64::from(len) - 8)?;
                input.fill_exact(room).map_err(io("receive"))
            }
            (chunk::OFFSET_HOLE, cmd::READ) if len == 12 => {
                let offset = input.u64().map_err(io("receive"))?;
                let hole = input.u32().map_err(io("receive"))?;
                self.part(offset, hole.into())?.fill(0);
                Ok(())
            }
            (chunk::BLOCK_STATUS, cmd::BLOCK_STATUS) if len >= 12 && len % 8 == 4 && len <= MAX_OTHER => {
                if Some(input.u32().map_err(io("receive"))?) != context {
                    return Err(Error::Protocol("the status of another context"));
                }
                for _ in 0..len / 8 {
                    let (len, state) = (input.u32().map_err(io("receive"))?, input.u32().map_err(io("receive"))?);
                    self.extents.push((len, state));
                }
                // More than one answer of 64 KiB makes no sense, and shall not fill the memory.
                if self.extents.len() > MAX_OTHER as usize { Err(Error::Protocol("no end of extents")) } else { Ok(()) }
            }
            (error, _) if error & chunk::ERROR_BIT != 0 && (6..=MAX_OTHER).contains(&len) => {
                let code = input.u32().map_err(io("receive"))?;
                self.error = Some(if code == 0 { spec::errno::EIO } else { code });
                input.skip(u64::from(len) - 4).map_err(io("receive"))
            }
            _ => Err(Error::Protocol("a chunk that does not belong there")),
        }
    }

    /// The part of the data at `offset` of the export.
    fn part(&mut self, offset: u64, len: u64) -> Result<&mut [u8], Error> {
        let start = offset.checked_sub(self.request.offset);
        let end = start.and_then(|start| start.checked_add(len));
        let (Some(start), Some(end)) = (start, end.filter(|end| *end <= self.request.len.into())) else {
            return Err(Error::Protocol("data that was not asked for"));
        };
        self.make_room();
        self.received += len;
        Ok(&mut self.data[start as usize..end as usize])
    }

    fn make_room(&mut self) {
        if self.data.is_empty() {
            self.data = vec![0; self.request.len as usize];
        }
    }
}

/// Whether a receive that failed waited in vain.
pub(super) fn timed_out(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if matches!(source.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut))
}
