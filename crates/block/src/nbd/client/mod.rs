//! The client: an export of an NBD server as a disk.
//!
//! # When the server goes away
//!
//! Requests wait while the connection is made anew, at most [`ClientOptions::reconnect_for`] from its loss; then they fail
//! with an I/O error, and so does each later request that finds the server still gone. The disk is usable again as
//! soon as the server is. A server counts as gone when it closes the connection, breaks the protocol, or sends
//! nothing for [`ClientOptions::answer_within`] while something was asked of it.
//!
//! No acknowledged write is lost when the server's process or host dies and comes back with what was flushed: writes
//! that no flush has covered yet are kept here (64 MiB; then the client flushes by itself) and are written again on the
//! new connection before anything else happens on it. Requests without an answer are then sent again: all that this
//! client sends may be done twice. A flush which the *server* refuses is another matter: from then on every flush
//! fails, as [`Disk`] wants it; one that failed because the server was gone may succeed later, since nothing was lost.
//!
//! An export that comes back with another size, other block sizes or fewer abilities is refused for good: it is not
//! the disk that the guest has mounted.
//!
//! A server without flushes is one that writes through, as for Linux's own client; it is logged.

mod align;
mod handshake;
mod journal;
mod link;
mod reply;
mod session;

use std::io::{self, IoSlice, IoSliceMut};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use self::align::Gate;
use self::link::Request;
use self::session::Session;
use super::spec::{STATE_HOLE, STATE_ZERO, cmd, cmd_flag, errno, flag};
use super::{Error, Uri};
use crate::{Disk, Error as DiskError, Extent, ExtentKind, Geometry, check_bounds, raw};

/// The longest range of a request without payload, in bytes: a multiple of every block size.
const LONGEST: u64 = 1 << 30;
/// The most zeroes that are sent at once to a server that cannot make them.
const ZEROES: u64 = 1 << 20;

/// How to use an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOptions {
    /// Refuse every change, also when the server would take it.
    pub read_only: bool,
    /// How long the server may be silent while something was asked of it.
    pub answer_within: Duration,
    /// How long requests wait for a server that has gone.
    pub reconnect_for: Duration,
    /// Connections at most, where the server lets a client have several.
    pub connections: usize,
}

impl Default for ClientOptions {
    /// Writable, 30 s of silence, 60 s of absence, 4 connections.
    fn default() -> Self {
        Self {
            read_only: false,
            answer_within: Duration::from_secs(30),
            reconnect_for: Duration::from_secs(60),
            connections: 4,
        }
    }
}

/// An export of a server as a disk. See the module for what happens when the server goes away.
pub struct Client {
    session: Session,
    size: u64,
    flags: u16,
    read_only: bool,
    /// The unit of addresses that the server takes, in bytes.
    block: u64,
    /// The longest payload that it takes, in bytes.
    max: u64,
    geometry: Geometry,
    id: String,
    gate: Gate,
    /// The server has refused a flush.
    flush_failed: AtomicBool,
}

impl Client {
    /// Connects; does not wait for a server that is not there.
    ///
    /// # Errors
    /// Why the export cannot be had.
    pub fn connect(uri: &Uri, options: &ClientOptions) -> Result<Self, Error> {
        let (session, offer) = Session::start(uri, options)?;
        let read_only = offer.has(flag::READ_ONLY);
        if read_only && !options.read_only {
            let what = "the server offers it read-only; attach it read-only".to_owned();
            return Err(Error::Refused { export: uri.export.clone(), what });
        }
        if !options.read_only && !offer.has(flag::SEND_FLUSH) {
            tracing::warn!(%uri, "the server has no flush: it is taken to write through");
        }
        let logical_block = offer.min.max(512);
        let preferred = if offer.preferred.is_power_of_two() { offer.preferred } else { 4096 };
        let geometry = Geometry {
            logical_block,
            physical_block: logical_block.max(4096),
            discard_granularity: preferred.max(logical_block),
        };
        Ok(Self {
            session,
            size: offer.size,
            flags: offer.flags,
            read_only: options.read_only,
            block: offer.min.into(),
            max: offer.max.into(),
            geometry,
            id: raw::stable_id(Path::new(&format!("{}/{}", uri.address, uri.export))),
            gate: Gate::default(),
            flush_failed: AtomicBool::new(false),
        })
    }

    fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    fn check_change(&self, offset: u64, len: u64) -> Result<(), DiskError> {
        if self.read_only {
            return Err(DiskError::ReadOnly);
        }
        check_bounds(offset, len, self.size)
    }

    /// Reads any range: of whole blocks, in pieces that the server takes.
    fn read_range(&self, offset: u64, len: u64, mut each: impl FnMut(&[u8])) -> Result<(), DiskError> {
        let (mut at, end) = (offset, offset + len);
        while at < end {
            let from = at - at % self.block;
            let to = end.next_multiple_of(self.block).min(from + self.max).min(self.size);
            let request = Request::new(cmd::READ, 0, from, (to - from) as u32);
            let reply = self.session.submit(&request, &[])?.map_err(|e| refused("read", e))?;
            let stop = end.min(to);
            each(&reply.data[(at - from) as usize..(stop - from) as usize]);
            at = stop;
        }
        Ok(())
    }

    /// Writes whole blocks, in pieces that the server takes.
    fn write_blocks(&self, offset: u64, bufs: &[IoSlice<'_>], flags: u16) -> Result<(), DiskError> {
        let len: u64 = bufs.iter().map(|b| b.len() as u64).sum();
        let put = |offset: u64, bufs: &[IoSlice<'_>], len: u64| {
            let request = Request::new(cmd::WRITE, flags, offset, len as u32);
            self.session.submit(&request, bufs)?.map_err(|e| refused("write", e)).map(|_| ())
        };
        if len <= self.max {
            return put(offset, bufs, len);
        }
        let (mut at, mut piece) = (offset, Vec::with_capacity(self.max as usize));
        for mut buf in bufs.iter().map(|b| &**b) {
            while !buf.is_empty() {
                let part = buf.len().min(self.max as usize - piece.len());
                piece.extend_from_slice(&buf[..part]);
                buf = &buf[part..];
                if piece.len() as u64 == self.max {
                    put(at, &[IoSlice::new(&piece)], self.max)?;
                    at += self.max;
                    piece.clear();
                }
            }
        }
        if piece.is_empty() { Ok(()) } else { put(at, &[IoSlice::new(&piece)], piece.len() as u64) }
    }

    /// Writes any range: where it does not fit the server's blocks, reads their rest first.
    fn write_range(&self, offset: u64, bufs: &[IoSlice<'_>], flags: u16) -> Result<(), DiskError> {
        let len: u64 = bufs.iter().map(|b| b.len() as u64).sum();
        self.check_change(offset, len)?;
        if len == 0 {
            return Ok(());
        }
        let (from, to) = (offset - offset % self.block, (offset + len).next_multiple_of(self.block).min(self.size));
        if (from, to) == (offset, offset + len) {
            let _turn = self.gate.shared(self.block > 1);
            return self.write_blocks(offset, bufs, flags);
        }
        let _turn = self.gate.alone();
        let mut bytes = Vec::with_capacity((to - from) as usize);
        self.read_range(from, offset - from, |part| bytes.extend_from_slice(part))?;
        bufs.iter().for_each(|buf| bytes.extend_from_slice(buf));
        self.read_range(offset + len, to - offset - len, |part| bytes.extend_from_slice(part))?;
        self.write_blocks(from, &[IoSlice::new(&bytes)], flags)
    }

    /// Calls `each` for the whole blocks of a range, in pieces.
    fn blocks(
        &self,
        offset: u64,
        len: u64,
        mut each: impl FnMut(u64, u32) -> Result<(), DiskError>,
    ) -> Result<(), DiskError> {
        let end = offset + len;
        let (mut at, end) =
            (offset.next_multiple_of(self.block), if end == self.size { end } else { end - end % self.block });
        while at < end {
            let part = (end - at).min(LONGEST);
            each(at, part as u32)?;
            at += part;
        }
        Ok(())
    }

    fn zeroes_by_hand(&self, mut offset: u64, mut len: u64) -> Result<(), DiskError> {
        let zeroes = vec![0; len.min(ZEROES) as usize];
        while len > 0 {
            let part = len.min(ZEROES);
            self.write_range(offset, &[IoSlice::new(&zeroes[..part as usize])], 0)?;
            (offset, len) = (offset + part, len - part);
        }
        Ok(())
    }
}

impl Disk for Client {
    fn size(&self) -> u64 {
        self.size
    }

    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn read(&self, offset: u64, bufs: &mut [IoSliceMut<'_>]) -> Result<(), DiskError> {
        let len = bufs.iter().map(|b| b.len() as u64).sum();
        check_bounds(offset, len, self.size)?;
        let mut bufs = bufs.iter_mut().map(|b| &mut **b);
        let mut room: &mut [u8] = &mut [];
        self.read_range(offset, len, |mut part| {
            while !part.is_empty() {
                if room.is_empty() {
                    let Some(next) = bufs.next() else { return };
                    room = next;
                    continue;
                }
                let n = room.len().min(part.len());
                let (now, later) = std::mem::take(&mut room).split_at_mut(n);
                now.copy_from_slice(&part[..n]);
                (room, part) = (later, &part[n..]);
            }
        })
    }

    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> Result<(), DiskError> {
        self.write_range(offset, bufs, 0)
    }

    fn write_durable(&self, offset: u64, bufs: &[IoSlice<'_>]) -> Result<(), DiskError> {
        if self.has(flag::SEND_FUA) {
            return self.write_range(offset, bufs, cmd_flag::FUA);
        }
        self.write_range(offset, bufs, 0)?;
        self.flush()
    }

    fn flush(&self) -> Result<(), DiskError> {
        if self.read_only || !self.has(flag::SEND_FLUSH) {
            return Ok(());
        }
        if self.flush_failed.load(Ordering::Acquire) {
            return Err(DiskError::FlushFailed);
        }
        let done = self.session.submit(&Request::new(cmd::FLUSH, 0, 0, 0), &[])?;
        done.map(|_| ()).map_err(|error| {
            self.flush_failed.store(true, Ordering::Release);
            refused("flush", error)
        })
    }

    fn discard(&self, offset: u64, len: u64) -> Result<(), DiskError> {
        self.check_change(offset, len)?;
        if !self.has(flag::SEND_TRIM) {
            return Ok(());
        }
        let _turn = self.gate.shared(self.block > 1);
        self.blocks(offset, len, |offset, len| {
            let done = self.session.submit(&Request::new(cmd::TRIM, 0, offset, len), &[])?;
            done.map(|_| ()).map_err(|e| refused("discard", e))
        })
    }

    fn write_zeroes(&self, offset: u64, len: u64, unmap: bool) -> Result<(), DiskError> {
        self.check_change(offset, len)?;
        let (first, end) = (offset.next_multiple_of(self.block), offset + len);
        let last = if end == self.size { end } else { end - end % self.block };
        if !self.has(flag::SEND_WRITE_ZEROES) || first >= last {
            return self.zeroes_by_hand(offset, len);
        }
        self.zeroes_by_hand(offset, first - offset)?;
        self.zeroes_by_hand(last, end - last)?;
        let _turn = self.gate.shared(self.block > 1);
        let flags = if unmap { 0 } else { cmd_flag::NO_HOLE };
        self.blocks(first, last - first, |offset, len| {
            let done = self.session.submit(&Request::new(cmd::WRITE_ZEROES, flags, offset, len), &[])?;
            done.map(|_| ()).map_err(|e| refused("write zeroes", e))
        })
    }

    /// The protocol has no command for it but an experimental one (`NBD_CMD_RESIZE`), which no server offers.
    fn resize(&self, _: u64) -> Result<(), DiskError> {
        let told = "be resized: its NBD server says how large it is. Resize it there and attach it anew";
        Err(if self.read_only { DiskError::ReadOnly } else { DiskError::Unsupported(told) })
    }

    fn set_patience(&self, patient: bool) {
        self.session.set_patience(patient);
    }

    fn extent(&self, offset: u64, len: u64) -> Result<Extent, DiskError> {
        check_bounds(offset, len, self.size)?;
        let data = Extent { len, kind: ExtentKind::Data };
        if !self.session.knows_extents() || len == 0 {
            return Ok(data);
        }
        let from = offset - offset % self.block;
        let to = (offset + len).next_multiple_of(self.block).min(self.size).min(from + LONGEST);
        let request = Request::new(cmd::BLOCK_STATUS, cmd_flag::REQ_ONE, from, (to - from) as u32);
        // A server that cannot tell leaves it to reading.
        let Ok(reply) = self.session.submit(&request, &[])? else { return Ok(data) };
        let Some((known, state)) = reply.extents.first() else { return Ok(data) };
        let end = (from + u64::from(*known)).min(offset + len);
        if end <= offset {
            return Ok(data);
        }
        let kind = match (state & STATE_ZERO != 0, state & STATE_HOLE != 0) {
            (true, true) => ExtentKind::Hole,
            (true, false) => ExtentKind::Zero,
            (false, _) => ExtentKind::Data,
        };
        Ok(Extent { len: end - offset, kind })
    }
}

/// The server's error as the disk's.
fn refused(what: &'static str, error: u32) -> DiskError {
    let source = match error {
        errno::EPERM => io::ErrorKind::PermissionDenied.into(),
        errno::ENOMEM => io::ErrorKind::OutOfMemory.into(),
        errno::EINVAL => io::ErrorKind::InvalidInput.into(),
        errno::ENOSPC => io::ErrorKind::StorageFull.into(),
        errno::ENOTSUP => io::ErrorKind::Unsupported.into(),
        errno::ESHUTDOWN => io::Error::other("the NBD server shuts down"),
        errno::EIO => io::Error::other("input/output error at the NBD server"),
        other => io::Error::other(format!("error {other} of the NBD server")),
    };
    DiskError::Io { what, source }
}
