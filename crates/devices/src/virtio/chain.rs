//! Descriptor chains, walked by the letter and bounded, and the bytes behind them.
//!
//! The walk is ours and not `virtio_queue::DescriptorChain`'s because that one ends a malformed chain silently, as if
//! it had been shorter; the device would then act on half a request.

use std::io;

use virtio_queue::desc::split::Descriptor;
use vm_memory::{Address, ByteValued, Bytes, GuestAddress, GuestMemoryBackend as _, VolatileSlice};

use super::spec::descriptor as flag;
use crate::GuestMemory;

/// The longest chain that is walked when it is in an indirect table. The standard bounds a chain by the queue size
/// (2.7.5.3.1), Linux exceeds that in indirect tables; 1024 is what it can count on elsewhere.
const MAX_INDIRECT: usize = 1024;

/// Why a chain or a ring is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The available index is further ahead than the ring is long.
    #[error("the available index is more than a queue ahead")]
    AvailIndex,
    /// The ring or a descriptor table is not in guest memory.
    #[error("a ring or a descriptor table is outside guest memory")]
    Ring,
    /// A descriptor number beyond its table.
    #[error("a descriptor number is beyond its table")]
    Index,
    /// The chain is longer than its table, which means that it loops.
    #[error("the descriptor chain has a loop or is too long")]
    Loop,
    /// A buffer outside guest memory.
    #[error("a buffer is outside guest memory")]
    Buffer,
    /// An indirect table where none may be, or one of a wrong size (2.7.5.3.1).
    #[error("an indirect descriptor table is wrong")]
    Indirect,
    /// A buffer for reading after one for writing (2.7.4.2).
    #[error("a readable buffer follows a writable one")]
    Order,
    /// The chain has more than 2^32 bytes (2.7.5.2).
    #[error("the chain has more than 4 GiB")]
    TooLong,
    /// The chain breaks the rules of the device class.
    #[error("{0}")]
    Class(&'static str),
}

/// One buffer of a chain, known to be in guest memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    addr: GuestAddress,
    len: u32,
}

/// A request: the buffers that the device reads, and the ones that it writes. It has to be given back to the queue
/// that it came from, by [`Virtqueue::complete`](super::Virtqueue::complete) or
/// [`Virtqueue::put_back`](super::Virtqueue::put_back).
#[derive(Debug)]
#[must_use = "a chain has to be completed or put back"]
pub struct Chain {
    head: u16,
    segments: Vec<Segment>,
    readable: usize,
}

impl Chain {
    /// Walks the chain which begins at descriptor `head` of the table at `table` with `size` entries.
    pub(super) fn walk(
        memory: &GuestMemory,
        table: GuestAddress,
        size: u16,
        head: u16,
        indirect_allowed: bool,
    ) -> Result<Self, Malformed> {
        let mut chain = Self { head, segments: Vec::new(), readable: 0 };
        let (mut table, mut entries, mut index) = (table, u32::from(size), head);
        let (mut indirect, mut left, mut total) = (false, usize::from(size), 0u64);
        loop {
            if u32::from(index) >= entries {
                return Err(Malformed::Index);
            }
            let at = table.checked_add(u64::from(index) * u64::from(flag::SIZE)).ok_or(Malformed::Ring)?;
            let descriptor = read_descriptor(memory, at).ok_or(Malformed::Ring)?;
            if descriptor.flags() & flag::INDIRECT != 0 {
                let bytes = descriptor.len();
                let wrong = !indirect_allowed
                    || indirect
                    || descriptor.flags() & flag::NEXT != 0
                    || bytes == 0
                    || !bytes.is_multiple_of(flag::SIZE);
                if wrong {
                    return Err(Malformed::Indirect);
                }
                (table, entries, index, indirect) = (descriptor.addr(), bytes / flag::SIZE, 0, true);
                left = left.max(MAX_INDIRECT).min(entries as usize);
                continue;
            }
            left = left.checked_sub(1).ok_or(Malformed::Loop)?;
            total += u64::from(descriptor.len());
            chain.add(memory, descriptor)?;
            if total > 1 << 32 {
                return Err(Malformed::TooLong);
            }
            if descriptor.flags() & flag::NEXT == 0 {
                return Ok(chain);
            }
            index = descriptor.next();
        }
    }

    fn add(&mut self, memory: &GuestMemory, descriptor: Descriptor) -> Result<(), Malformed> {
        let writable = descriptor.flags() & flag::WRITE != 0;
        if !writable && self.readable < self.segments.len() {
            return Err(Malformed::Order);
        }
        if descriptor.len() == 0 {
            return Ok(());
        }
        if !memory.check_range(descriptor.addr(), descriptor.len() as usize) {
            return Err(Malformed::Buffer);
        }
        self.segments.push(Segment { addr: descriptor.addr(), len: descriptor.len() });
        self.readable += usize::from(!writable);
        Ok(())
    }

    /// The number of the chain's first descriptor, by which the driver knows it.
    #[must_use]
    pub fn head(&self) -> u16 {
        self.head
    }

    /// How many bytes there are to read.
    #[must_use]
    pub fn readable_len(&self) -> u64 {
        self.segments[..self.readable].iter().map(|s| u64::from(s.len)).sum()
    }

    /// How many bytes there is room to write.
    #[must_use]
    pub fn writable_len(&self) -> u64 {
        self.segments[self.readable..].iter().map(|s| u64::from(s.len)).sum()
    }

    /// The bytes that the driver sends, from their beginning.
    #[must_use]
    pub fn reader<'a>(&'a self, memory: &'a GuestMemory) -> Reader<'a> {
        Reader(Cursor { memory, segments: &self.segments[..self.readable], offset: 0, done: 0 })
    }

    /// The room for the device's answer, from its beginning.
    #[must_use]
    pub fn writer<'a>(&'a self, memory: &'a GuestMemory) -> Writer<'a> {
        Writer(Cursor { memory, segments: &self.segments[self.readable..], offset: 0, done: 0 })
    }

    /// Addresses and lengths of the buffers that the device may write, for a class which is about the memory itself
    /// (the balloon's free page reports).
    pub fn writable_ranges(&self) -> impl Iterator<Item = (GuestAddress, u32)> + '_ {
        self.segments[self.readable..].iter().map(|s| (s.addr, s.len))
    }
}

/// The descriptor at `at`. Almost all are in one region, where this is much quicker than what `read_obj` does for any.
fn read_descriptor(memory: &GuestMemory, at: GuestAddress) -> Option<Descriptor> {
    match memory.get_slice(at, flag::SIZE as usize) {
        Ok(slice) => slice.read_obj(0).ok(),
        Err(_) => memory.read_obj(at).ok(),
    }
}

/// A place in a list of buffers.
#[derive(Clone)]
struct Cursor<'a> {
    memory: &'a GuestMemory,
    segments: &'a [Segment],
    /// In the first of `segments`.
    offset: u32,
    done: u64,
}

impl<'a> Cursor<'a> {
    fn remaining(&self) -> u64 {
        self.segments.iter().map(|s| u64::from(s.len)).sum::<u64>() - u64::from(self.offset)
    }

    /// The address here and how many of `want` bytes are in one piece from it; zero at the end.
    fn piece(&self, want: u64) -> (GuestAddress, usize) {
        let Some(s) = self.segments.first() else { return (GuestAddress(0), 0) };
        let len = u64::from(s.len - self.offset).min(want);
        (s.addr.unchecked_add(u64::from(self.offset)), len as usize)
    }

    fn advance(&mut self, len: usize) {
        self.done += len as u64;
        self.offset += len as u32;
        if self.segments.first().is_some_and(|s| s.len == self.offset) {
            (self.segments, self.offset) = (&self.segments[1..], 0);
        }
    }

    fn skip(&mut self, mut count: u64) {
        loop {
            let (_, len) = self.piece(count);
            if len == 0 {
                return;
            }
            self.advance(len);
            count -= len as u64;
        }
    }

    /// The host's view of the next `count` bytes, which are passed over.
    fn slices(&mut self, mut count: u64) -> io::Result<Vec<VolatileSlice<'a>>> {
        let mut all = Vec::with_capacity(self.segments.len());
        loop {
            let (addr, len) = self.piece(count);
            if len == 0 {
                return Ok(all);
            }
            if let Ok(whole) = self.memory.get_slice(addr, len) {
                all.push(whole);
            } else {
                for part in self.memory.get_slices(addr, len) {
                    all.push(part.map_err(io::Error::other)?);
                }
            }
            self.advance(len);
            count -= len as u64;
        }
    }
}

/// Reads what the driver sends. The guest may change the bytes meanwhile: read each once, then check.
#[derive(Clone)]
pub struct Reader<'a>(Cursor<'a>);

impl<'a> Reader<'a> {
    /// Bytes that are left.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.0.remaining()
    }

    /// Reads a structure of the standard (little-endian plain data). An error when too few bytes are left.
    pub fn read_obj<T: ByteValued + Default>(&mut self) -> io::Result<T> {
        let mut value = T::default();
        io::Read::read_exact(self, value.as_mut_slice())?;
        Ok(value)
    }

    /// Passes over `count` bytes, or all when there are fewer.
    pub fn skip(&mut self, count: u64) {
        self.0.skip(count);
    }

    /// The host memory of the next `count` bytes (or of all when there are fewer), for vectored output; they are
    /// passed over.
    pub fn slices(&mut self, count: u64) -> io::Result<Vec<VolatileSlice<'a>>> {
        self.0.slices(count)
    }
}

impl io::Read for Reader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut total = 0;
        while total < buf.len() {
            let (addr, len) = self.0.piece((buf.len() - total) as u64);
            if len == 0 {
                break;
            }
            self.0.memory.read_slice(&mut buf[total..total + len], addr).map_err(io::Error::other)?;
            self.0.advance(len);
            total += len;
        }
        Ok(total)
    }
}

/// Writes the device's answer.
#[derive(Clone)]
pub struct Writer<'a>(Cursor<'a>);

impl<'a> Writer<'a> {
    /// Room that is left, in bytes.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.0.remaining()
    }

    /// Bytes written or passed over: what [`Virtqueue::complete`](super::Virtqueue::complete) wants to know. A chain
    /// may be one byte longer than this can count; it saturates.
    #[must_use]
    pub fn written(&self) -> u32 {
        u32::try_from(self.0.done).unwrap_or(u32::MAX)
    }

    /// Writes a structure of the standard (little-endian plain data). An error when there is too little room.
    pub fn write_obj<T: ByteValued>(&mut self, value: T) -> io::Result<()> {
        io::Write::write_all(self, value.as_slice())
    }

    /// Passes over `count` bytes, or all when there are fewer: they count as written.
    pub fn skip(&mut self, count: u64) {
        self.0.skip(count);
    }

    /// The host memory of the next `count` bytes (or of all when there are fewer), for vectored input; they are
    /// passed over and count as written.
    pub fn slices(&mut self, count: u64) -> io::Result<Vec<VolatileSlice<'a>>> {
        self.0.slices(count)
    }
}

impl io::Write for Writer<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut total = 0;
        while total < buf.len() {
            let (addr, len) = self.0.piece((buf.len() - total) as u64);
            if len == 0 {
                break;
            }
            self.0.memory.write_slice(&buf[total..total + len], addr).map_err(io::Error::other)?;
            self.0.advance(len);
            total += len;
        }
        Ok(total)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
