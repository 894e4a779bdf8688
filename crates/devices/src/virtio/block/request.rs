//! Requests (virtio 1.3, 5.2.6).

use std::io::{self, Read, Write};
use std::sync::atomic::Ordering;

use block::Error;
use block::pace::Kind;

use super::Shared;
use super::spec::{HEADER, ID, SECTOR, SEGMENT, SEGMENT_UNMAP, Status, request as kind};
use crate::GuestMemory;
use crate::virtio::{Chain, Malformed, Reader, Writer};

/// Sectors of a discard segment: 1 GiB.
pub(super) const MAX_DISCARD_SECTORS: u32 = 1 << 21;
/// Segments of a discard request.
pub(super) const MAX_DISCARD_SEGMENTS: u32 = 32;
/// Sectors of a write-zeroes segment: 64 MiB, since the host may have to write them, and a stop waits for it.
pub(super) const MAX_ZEROES_SECTORS: u32 = 1 << 17;
/// Segments of a write-zeroes request.
pub(super) const MAX_ZEROES_SEGMENTS: u32 = 1;

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

/// A request of the driver.
pub(super) struct Request<'a> {
    /// `None`: the chain ends before its header does.
    header: Option<Header>,
    /// Behind the header.
    reader: Reader<'a>,
    writer: Writer<'a>,
    /// For data in `writer`, in bytes: its last one is the status.
    room: u64,
}

#[derive(Clone, Copy)]
struct Header {
    kind: u32,
    sector: u64,
}

impl<'a> Request<'a> {
    /// What is in `chain`, which has to have room for a status.
    pub(super) fn new(chain: &'a Chain, memory: &'a GuestMemory) -> Result<Self, Malformed> {
        let room = chain.writable_len().checked_sub(1);
        let room = room.ok_or(Malformed::Class("a block request has no room for its status"))?;
        let mut reader = chain.reader(memory);
        let mut bytes = [0; HEADER];
        let header = reader.read_exact(&mut bytes).is_ok().then(|| {
            let [t0, t1, t2, t3, _, _, _, _, sector @ ..] = bytes;
            Header { kind: u32::from_le_bytes([t0, t1, t2, t3]), sector: u64::from_le_bytes(sector) }
        });
        Ok(Self { header, reader, writer: chain.writer(memory), room })
    }

    /// What its pace is measured with: its kind, and how many bytes it moves.
    pub(super) fn pace(&self) -> (Kind, u64) {
        match self.header.map(|header| header.kind) {
            Some(kind::IN) => (Kind::Read, self.room),
            Some(kind::OUT) => (Kind::Write, self.reader.remaining()),
            _ => (Kind::Other, 0),
        }
    }
}

impl Shared {
    /// Does a request. How many bytes were written to its buffers, from the first on.
    pub(super) fn serve(&self, request: Request<'_>) -> u32 {
        let (kind, bytes) = request.pace();
        let Request { header, reader, mut writer, room } = request;
        let done = header.map_or(Err(WRONG), |header| {
            self.pace.time(kind, bytes, || self.perform(header, reader, &mut writer, room))
        });
        let status = match done {
            Ok(()) => Status::Ok,
            Err(Failure(status, error)) => {
                error.inspect(|error| self.log(error));
                status
            }
        };
        // Only what was written without a gap counts; the status is the last byte of all (5.2.6).
        let gap = room - u64::from(writer.written()).min(room);
        let before = writer.written();
        writer.skip(gap);
        // The chain was checked to be in guest memory, which does not go away.
        let put = writer.write_all(&[status as u8]);
        if gap == 0 && put.is_ok() { writer.written() } else { before }
    }

    /// Does what `header` says with the data in `reader`, or with room for `room` bytes of data in `writer`.
    fn perform(
        &self,
        header: Header,
        mut reader: Reader<'_>,
        writer: &mut Writer<'_>,
        room: u64,
    ) -> Result<(), Failure> {
        match header.kind {
            kind::IN => self.read(header.sector, writer, room),
            kind::OUT => self.change(|| self.write(header.sector, &mut reader)),
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

    fn read(&self, sector: u64, writer: &mut Writer<'_>, len: u64) -> Result<(), Failure> {
        let (offset, len) = self.place(sector, len)?;
        // They count as written when they are.
        let slices = writer.clone().slices(len)?;
        self.disk.read_volatile(offset, &slices)?;
        writer.skip(len);
        Ok(())
    }

    fn write(&self, sector: u64, reader: &mut Reader<'_>) -> Result<(), Failure> {
        let (offset, len) = self.place(sector, reader.remaining())?;
        Ok(self.disk.write_volatile(offset, &reader.slices(len)?)?)
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
