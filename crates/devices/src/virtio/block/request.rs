//! Requests (virtio 1.3, 5.2.6), done one after the other on a queue's own thread.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use block::Error;

use super::Shared;
use super::spec::{HEADER, ID, SECTOR, SEGMENT, SEGMENT_UNMAP, Status, request as kind};
use crate::virtio::{Chain, Malformed, Reader, Virtqueue, Waker, Writer};

/// Sectors of a discard segment: 1 GiB.
pub(super) const MAX_DISCARD_SECTORS: u32 = 1 << 21;
/// Segments of a discard request.
pub(super) const MAX_DISCARD_SEGMENTS: u32 = 32;
/// Sectors of a write-zeroes segment: 64 MiB, since the host may have to write them, and a stop waits for it.
pub(super) const MAX_ZEROES_SECTORS: u32 = 1 << 17;
/// Segments of a write-zeroes request.
pub(super) const MAX_ZEROES_SEGMENTS: u32 = 1;

/// Bytes between guest memory and the disk at once.
const BUFFER: usize = 256 << 10;

/// A queue, and what its thread needs to serve it.
pub(super) struct Lane {
    queue: Virtqueue,
    shared: Arc<Shared>,
    buffer: Vec<u8>,
}

/// Why a request failed: the status for the guest, and the disk's error if it was that.
struct Failure(Status, Option<Error>);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = if matches!(error, Error::Unsupported(_)) { Status::Unsupp } else { Status::IoErr };
        Self(status, Some(error))
    }
}

/// Guest memory that cannot be reached, or buffers that are too short.
impl From<io::Error> for Failure {
    fn from(_: io::Error) -> Self {
        Self(Status::IoErr, None)
    }
}

const WRONG: Failure = Failure(Status::IoErr, None);
const UNKNOWN: Failure = Failure(Status::Unsupp, None);

impl Lane {
    pub(super) fn new(queue: Virtqueue, shared: Arc<Shared>) -> Self {
        Self { queue, shared, buffer: Vec::new() }
    }

    pub(super) fn into_queue(self) -> Virtqueue {
        self.queue
    }

    /// Serves what is in the queue.
    pub(super) fn turn(&mut self, waker: &Waker) {
        loop {
            self.queue.disable_notification();
            while !waker.is_stopping()
                && let Some(chain) = self.queue.pop()
            {
                self.serve(chain);
                // After each, since the next may take long; a driver that wants fewer says so.
                self.queue.signal();
            }
            if waker.is_stopping() || !self.queue.enable_notification() {
                return;
            }
        }
    }

    fn serve(&mut self, chain: Chain) {
        let room = chain.writable_len();
        let Some(data) = room.checked_sub(1) else {
            self.queue.fail(Malformed::Class("a block request has no room for its status"));
            return;
        };
        let memory = self.queue.memory();
        let mut writer = chain.writer(memory);
        let done = self.shared.perform(chain.reader(memory), &mut writer, data, &mut self.buffer);
        let status = match done {
            Ok(()) => Status::Ok,
            Err(Failure(status, error)) => {
                error.inspect(|error| self.shared.log(error));
                status
            }
        };
        // Only what was written without a gap counts; the status is the last byte of all (5.2.6).
        let gap = data - u64::from(writer.written()).min(data);
        let before = writer.written();
        writer.skip(gap);
        // The chain was checked to be in guest memory, which does not go away.
        let put = writer.write_all(&[status as u8]);
        let written = if gap == 0 && put.is_ok() { writer.written() } else { before };
        self.queue.complete(chain, written);
    }
}

impl Shared {
    /// Does the request in `reader`, with room for `room` bytes of data in `writer`.
    fn perform(
        &self,
        mut reader: Reader<'_>,
        writer: &mut Writer<'_>,
        room: u64,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let mut header = [0; HEADER];
        reader.read_exact(&mut header)?;
        let [t0, t1, t2, t3, _, _, _, _, sector @ ..] = header;
        let sector = u64::from_le_bytes(sector);
        match u32::from_le_bytes([t0, t1, t2, t3]) {
            kind::IN => self.read(sector, writer, room, buffer),
            kind::OUT => self.change(|| self.write(sector, &mut reader, buffer)),
            kind::FLUSH => Ok(self.disk.flush()?),
            kind::GET_ID if room < ID as u64 => Err(WRONG),
            kind::GET_ID => Ok(writer.write_all(&self.serial)?),
            kind::DISCARD => self.change(|| self.discard(&mut reader)),
            kind::WRITE_ZEROES => self.change(|| self.write_zeroes(&mut reader)),
            _ => Err(UNKNOWN),
        }
    }

    /// A request that changes the disk. Where the guest has no write-back cache, it is durable when it completes; the
    /// cache's mode is asked for afterwards, so that the guest may change it at any time (5.2.6.2).
    fn change(&self, what: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
        if self.disk.read_only() {
            return Err(WRONG);
        }
        what()?;
        if !self.writeback.load(Ordering::Acquire) {
            self.disk.flush()?;
        }
        Ok(())
    }

    fn read(&self, sector: u64, writer: &mut Writer<'_>, len: u64, buffer: &mut Vec<u8>) -> Result<(), Failure> {
        let (mut offset, mut left) = self.place(sector, len)?;
        while left > 0 {
            let part = left.min(BUFFER as u64) as usize;
            buffer.resize(buffer.len().max(part), 0);
            self.disk.read(offset, &mut [IoSliceMut::new(&mut buffer[..part])])?;
            writer.write_all(&buffer[..part])?;
            (offset, left) = (offset + part as u64, left - part as u64);
        }
        Ok(())
    }

    fn write(&self, sector: u64, reader: &mut Reader<'_>, buffer: &mut Vec<u8>) -> Result<(), Failure> {
        let (mut offset, mut left) = self.place(sector, reader.remaining())?;
        while left > 0 {
            let part = left.min(BUFFER as u64) as usize;
            buffer.resize(buffer.len().max(part), 0);
            reader.read_exact(&mut buffer[..part])?;
            self.disk.write(offset, &[IoSlice::new(&buffer[..part])])?;
            (offset, left) = (offset + part as u64, left - part as u64);
        }
        Ok(())
    }

    fn discard(&self, reader: &mut Reader<'_>) -> Result<(), Failure> {
        // All are looked at before the first is done. A discard has no flags.
        for Segment { offset, len, .. } in self.segments(reader, MAX_DISCARD_SEGMENTS, MAX_DISCARD_SECTORS, 0)? {
            self.disk.discard(offset, len)?;
        }
        Ok(())
    }

    fn write_zeroes(&self, reader: &mut Reader<'_>) -> Result<(), Failure> {
        for segment in self.segments(reader, MAX_ZEROES_SEGMENTS, MAX_ZEROES_SECTORS, SEGMENT_UNMAP)? {
            self.disk.write_zeroes(segment.offset, segment.len, segment.flags & SEGMENT_UNMAP != 0)?;
        }
        Ok(())
    }

    /// The segments of a discard or write-zeroes request: at most `most`, of at most `sectors` sectors each, with no
    /// flags but `flags`, all on the disk.
    fn segments(&self, reader: &mut Reader<'_>, most: u32, sectors: u32, flags: u32) -> Result<Vec<Segment>, Failure> {
        let bytes = reader.remaining();
        if !bytes.is_multiple_of(SEGMENT as u64) || bytes / SEGMENT as u64 > u64::from(most) {
            return Err(WRONG);
        }
        let mut segments = Vec::new();
        for _ in 0..bytes / SEGMENT as u64 {
            let (mut sector, mut count, mut given) = ([0; 8], [0; 4], [0; 4]);
            reader.read_exact(&mut sector)?;
            reader.read_exact(&mut count)?;
            reader.read_exact(&mut given)?;
            let (count, given) = (u32::from_le_bytes(count), u32::from_le_bytes(given));
            if given & !flags != 0 {
                return Err(UNKNOWN);
            }
            if count > sectors {
                return Err(WRONG);
            }
            let (offset, len) = self.place(u64::from_le_bytes(sector), u64::from(count) * SECTOR)?;
            segments.push(Segment { offset, len, flags: given });
        }
        Ok(segments)
    }

    /// Offset and length in bytes, if that is whole sectors on the disk as the guest sees it.
    fn place(&self, sector: u64, len: u64) -> Result<(u64, u64), Failure> {
        let size = self.disk.size() / SECTOR * SECTOR;
        let offset = sector.checked_mul(SECTOR).ok_or(WRONG)?;
        match offset.checked_add(len) {
            Some(end) if end <= size && len.is_multiple_of(SECTOR) => Ok((offset, len)),
            _ => Err(WRONG),
        }
    }

    /// Logs the first, second, fourth... failure: the guest can make many.
    fn log(&self, error: &Error) {
        let count = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_power_of_two() {
            tracing::warn!(disk = self.disk.id(), %error, count, "a request of the guest failed");
        }
    }
}

struct Segment {
    offset: u64,
    len: u64,
    flags: u32,
}
