//! Requests become calls of the disk.

use std::io::{self, IoSlice, IoSliceMut};

use super::handshake::CONTEXT_ID;
use super::request::Request;
use crate::nbd::spec::{self, STATE_HOLE, STATE_ZERO, chunk, cmd, cmd_flag, errno};
use crate::pace::Kind;
use crate::{Disk, Error, ExtentKind, Pace};

/// How much is read at once to warm the cache, in bytes.
const CACHE_PIECE: usize = 256 << 10;
/// The most extents in one answer.
const MAX_EXTENTS: usize = 4096;

/// The disk of a connection, and how long it takes.
pub(super) struct Medium<'a> {
    disk: &'a dyn Disk,
    pace: Pace,
}

impl<'a> Medium<'a> {
    pub(super) fn new(disk: &'a dyn Disk) -> Self {
        Self { disk, pace: Pace::default() }
    }

    /// Whether a request has to wait.
    pub(super) fn is_slow(&self, request: &Request) -> bool {
        self.pace.is_slow(request.pace())
    }

    /// Does a request that has neither payload nor data in its answer.
    pub(super) fn plain(&self, request: &Request) -> Result<(), u32> {
        self.pace.time(Kind::Other, 0, || plain(self.disk, request))
    }

    /// Writes a payload.
    pub(super) fn write(&self, offset: u64, payload: &[u8], durable: bool) -> Result<(), u32> {
        let bufs = [IoSlice::new(payload)];
        let write = || if durable { self.disk.write_durable(offset, &bufs) } else { self.disk.write(offset, &bufs) };
        self.pace.time(Kind::Write, payload.len() as u64, write).map_err(|e| error(&e))
    }

    /// Makes durable what was written.
    pub(super) fn flush(&self) -> Result<(), u32> {
        self.pace.time(Kind::Other, 0, || self.disk.flush()).map_err(|e| error(&e))
    }

    /// Fills `buf`.
    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), u32> {
        let len = buf.len() as u64;
        let read = || self.disk.read(offset, &mut [IoSliceMut::new(buf)]);
        self.pace.time(Kind::Read, len, read).map_err(|e| error(&e))
    }

    /// The whole answer to `NBD_CMD_BLOCK_STATUS`.
    pub(super) fn block_status(&self, request: &Request) -> Result<Vec<u8>, u32> {
        self.pace.time(Kind::Other, 0, || block_status(self.disk, request))
    }
}

fn plain(disk: &dyn Disk, request: &Request) -> Result<(), u32> {
    let (offset, len) = (request.offset, u64::from(request.len));
    let done = match request.kind {
        cmd::FLUSH => return disk.flush().map_err(|e| error(&e)),
        cmd::TRIM => disk.discard(offset, len),
        cmd::CACHE => return warm(disk, offset, len).map_err(|e| error(&e)),
        cmd::WRITE_ZEROES => {
            if request.has(cmd_flag::FAST_ZERO) && !is_zero(disk, offset, len) {
                // Whether it would be quick is not known, and the client has a better way then.
                return Err(errno::ENOTSUP);
            }
            disk.write_zeroes(offset, len, !request.has(cmd_flag::NO_HOLE))
        }
        _ => return Err(errno::EINVAL),
    };
    let durable = done.and_then(|()| if request.has(cmd_flag::FUA) { disk.flush() } else { Ok(()) });
    durable.map_err(|e| error(&e))
}

fn block_status(disk: &dyn Disk, request: &Request) -> Result<Vec<u8>, u32> {
    let end = request.offset + u64::from(request.len);
    let most = if request.has(cmd_flag::REQ_ONE) { 1 } else { MAX_EXTENTS };
    let mut extents: Vec<(u32, u32)> = Vec::new();
    let mut at = request.offset;
    while at < end {
        let extent = disk.extent(at, end - at).map_err(|e| error(&e))?;
        let state = match extent.kind {
            ExtentKind::Data => 0,
            ExtentKind::Zero => STATE_ZERO,
            ExtentKind::Hole => STATE_HOLE | STATE_ZERO,
        };
        let len = extent.len.clamp(1, end - at);
        // The sum is at most the length of the request, which has 32 bits.
        if let Some((sum, _)) = extents.last_mut().filter(|(_, last)| *last == state) {
            *sum += len as u32;
        } else if extents.len() < most {
            extents.push((len as u32, state));
        } else {
            break;
        }
        at += len;
    }
    let mut reply =
        chunk_header(request.cookie, chunk::DONE, chunk::BLOCK_STATUS, 4 + 8 * extents.len() as u32).to_vec();
    reply.extend(CONTEXT_ID.to_be_bytes());
    for (len, state) in extents {
        reply.extend(len.to_be_bytes());
        reply.extend(state.to_be_bytes());
    }
    Ok(reply)
}

/// The beginning of a chunk with `len` bytes of payload.
pub(super) fn chunk_header(cookie: u64, flags: u16, kind: u16, len: u32) -> [u8; spec::CHUNK_LEN] {
    let mut header = [0; spec::CHUNK_LEN];
    header[..4].copy_from_slice(&spec::STRUCTURED_REPLY_MAGIC.to_be_bytes());
    header[4..6].copy_from_slice(&flags.to_be_bytes());
    header[6..8].copy_from_slice(&kind.to_be_bytes());
    header[8..16].copy_from_slice(&cookie.to_be_bytes());
    header[16..].copy_from_slice(&len.to_be_bytes());
    header
}

/// A simple reply, without payload.
pub(super) fn simple_header(cookie: u64, error: u32) -> [u8; spec::SIMPLE_REPLY_LEN] {
    let mut header = [0; spec::SIMPLE_REPLY_LEN];
    header[..4].copy_from_slice(&spec::SIMPLE_REPLY_MAGIC.to_be_bytes());
    header[4..8].copy_from_slice(&error.to_be_bytes());
    header[8..].copy_from_slice(&cookie.to_be_bytes());
    header
}

/// The whole answer to a request that has no data in its answer, or failed.
pub(super) fn answer(request: &Request, structured: bool, done: Result<(), u32>) -> Vec<u8> {
    match done {
        Err(error) if structured && request.is_answered_in_chunks() => {
            let mut reply = chunk_header(request.cookie, chunk::DONE, chunk::ERROR, 6).to_vec();
            reply.extend(error.to_be_bytes());
            reply.extend([0; 2]);
            reply
        }
        done => simple_header(request.cookie, done.err().unwrap_or(0)).to_vec(),
    }
}

fn warm(disk: &dyn Disk, mut offset: u64, mut len: u64) -> Result<(), Error> {
    let mut buf = vec![0; CACHE_PIECE.min(len as usize)];
    while len > 0 {
        let part = len.min(CACHE_PIECE as u64);
        disk.read(offset, &mut [IoSliceMut::new(&mut buf[..part as usize])])?;
        (offset, len) = (offset + part, len - part);
    }
    Ok(())
}

fn is_zero(disk: &dyn Disk, offset: u64, len: u64) -> bool {
    len == 0 || disk.extent(offset, len).is_ok_and(|extent| extent.kind.is_zero() && extent.len >= len)
}

/// The protocol's word for an error of the disk.
fn error(error: &Error) -> u32 {
    match error {
        Error::OutOfBounds { .. } => errno::EINVAL,
        Error::ReadOnly => errno::EPERM,
        Error::Unsupported(_) => errno::ENOTSUP,
        Error::Io { source, .. } => match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => errno::ENOSPC,
            io::ErrorKind::OutOfMemory => errno::ENOMEM,
            _ => errno::EIO,
        },
        _ => errno::EIO,
    }
}
