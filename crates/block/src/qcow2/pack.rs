//! Writing compressed clusters, one behind the other, into an image that is being made.

use std::ops::Range;

use flate2::{Compress, Compression as Level, FlushCompress, Status};

use super::entry::{self, Mapping};
use super::{Compression, Error, Qcow2};
use crate::store::write_all;
use crate::{Disk, check_bounds};

/// log2 of how far back QEMU's decompressor looks.
const WINDOW_BITS: u8 = 12;

/// An image that is being filled. It is the packer's alone, so that nobody has read from a place which is written later.
pub struct Packer {
    image: Qcow2,
    /// Bytes of the file that are counted and still free: what is left of the cluster that was begun last.
    room: Range<u64>,
}

impl Packer {
    /// Fills `image`, which must be writable and must compress by deflate, as new ones do.
    pub fn new(image: Qcow2) -> Result<Self, Error> {
        image.refcounts()?;
        if image.header.compression != Compression::Deflate {
            return Err(Error::Unsupported("compress by zstd"));
        }
        Ok(Self { image, room: 0..0 })
    }

    /// Bytes of a cluster.
    #[must_use]
    pub fn cluster_size(&self) -> u64 {
        self.image.header.cluster_size()
    }

    /// Writes a cluster that [`compress`] made smaller, at `offset` of the disk, a multiple of the cluster size.
    pub fn write_packed(&mut self, offset: u64, packed: &[u8]) -> Result<(), Error> {
        let len = packed.len() as u64;
        let size = self.cluster_size();
        debug_assert!(offset.is_multiple_of(size) && (1..size).contains(&len), "{len} bytes at {offset:#x}");
        check_bounds(offset, 1, self.image.size())?;
        self.image.relieve()?;
        self.make_room(len)?;
        let host = self.room.start;
        write_all(&*self.image.store, host, packed)?;
        let refcounts = self.image.refcounts()?;
        if !host.is_multiple_of(size) {
            // Shared with the cluster before. Those that follow are ours since they were allocated.
            refcounts.share(host)?;
        }
        self.room.start += len;
        self.refer(offset, entry::compressed(host, len, &self.image.header)?)
    }

    /// Writes a cluster, or the part of one with which the disk ends, as it is.
    pub fn write_plain(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.image.write(offset, &[std::io::IoSlice::new(bytes)])
    }

    /// Makes all of it durable.
    pub fn finish(self) -> Result<(), Error> {
        self.image.flush()
    }

    /// Allocates clusters until `len` bytes have room.
    fn make_room(&mut self, len: u64) -> Result<(), Error> {
        let left = self.room.end - self.room.start;
        if left >= len {
            return Ok(());
        }
        let (size, refcounts) = (self.cluster_size(), self.image.refcounts()?);
        if left > 0 {
            let more = refcounts.allocate_run((len - left).div_ceil(size))?;
            let bytes = more.clusters * size;
            if more.host == self.room.end {
                self.room.end += bytes;
                return Ok(());
            }
            // A table lies between: what is left stays unused.
            refcounts.release(more.host, bytes)?;
        }
        let new = refcounts.allocate_run(len.div_ceil(size))?;
        self.room = new.host..new.host + new.clusters * size;
        Ok(())
    }

    /// Sets the entry of the cluster at `offset`.
    fn refer(&self, offset: u64, entry: u64) -> Result<(), Error> {
        let image = &self.image;
        let cluster = offset >> image.header.cluster_bits;
        let unused = |host| image.no_longer_used(host, image.header.cluster_size());
        let table = image.tables.slice_for_change(cluster, image.refcounts()?, unused)?;
        let (_, index) = image.tables.place(cluster);
        let old = table.set(index, entry);
        if let Some((host, len)) = Mapping::decode(old, &image.header)?.owned(&image.header) {
            image.no_longer_used(host, len);
        }
        Ok(())
    }
}

/// Compresses a cluster; `None` where that would not make it smaller.
#[must_use]
pub fn compress(cluster: &[u8]) -> Option<Vec<u8>> {
    let mut packed = vec![0; cluster.len() - 1];
    let mut deflate = Compress::new_with_window_bits(Level::default(), false, WINDOW_BITS);
    let status = deflate.compress(cluster, &mut packed, FlushCompress::Finish).ok()?;
    packed.truncate(deflate.total_out() as usize);
    (status == Status::StreamEnd).then_some(packed)
}
