//! Disks: what a controller (virtio-blk, NVMe, USB) or an NBD server stands on, whatever holds the bytes.
//!
//! A [`Disk`] is an array of bytes with a durability point. It knows no virtio and no guest memory. Raw files and
//! block devices are [`RawDisk`], [`qcow2`] is QEMU's format, [`vmdk`] reads VMware's and [`vhdx`] Hyper-V's, [`image`]
//! opens files of any format. With the feature `contract`, the module `contract` has the tests which every implementer of the trait passes
//! and a disk in memory for the tests of controllers.

use std::io::{IoSlice, IoSliceMut};
use std::sync::Weak;

use vm_memory::VolatileSlice;

#[cfg(feature = "contract")]
pub mod contract;
mod error;
mod extent;
pub mod image;
mod lock;
pub mod nbd;
pub mod pace;
mod pieces;
pub mod qcow2;
mod raw;
mod read_only;
mod recent;
mod resize;
mod store;
mod sys;
mod throttle;
pub mod vhdx;
pub mod vmdk;
mod volatile;

pub use error::Error;
pub use extent::{Extent, ExtentKind};
pub use pace::Pace;
pub use raw::{Caching, RawDisk, RawOptions, SyncMode};
pub use resize::{SizeWatcher, SizeWatchers};
pub use throttle::{Limits, Throttle};

/// The block sizes of a disk, in bytes; each is a power of two, at least 512. They are advice: a [`Disk`] takes any
/// offset and length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// The smallest unit that a guest should address.
    pub logical_block: u32,
    /// The unit that the medium writes without reading first; at least `logical_block`.
    pub physical_block: u32,
    /// The unit in which discards give memory back; discards of less may do nothing.
    pub discard_granularity: u32,
}

impl Default for Geometry {
    /// 512-byte sectors on 4 KiB pages.
    fn default() -> Self {
        Self { logical_block: 512, physical_block: 4096, discard_granularity: 4096 }
    }
}

/// A disk.
///
/// **Threads.** Every method may be called from any thread, from several at once, and blocks until it is done. An
/// implementer takes no lock that a caller could hold. Requests that overlap in bytes and in time may take effect in
/// any order, and byte by byte in a mixed order; a caller who wants an order waits for the first to return.
///
/// **Durability.** A write, discard or write-zeroes that has returned is seen by every later read of this disk. It
/// survives the end of the process, but survives the loss of power only when a [`flush`](Disk::flush) that was
/// *called* after it returned has itself returned `Ok`. Once a flush has failed, every later one fails: the system
/// may have dropped what it could not write, and nobody can know what. A format whose tables find no space before
/// anything was handed over to be made durable keeps them, says [`StorageFull`](std::io::ErrorKind::StorageFull), and
/// may succeed later.
///
/// **Errors.** After an error the bytes of the range hold the old or the new contents in any mixture; bytes outside
/// are untouched. A range that does not lie within the disk is [`Error::OutOfBounds`], and nothing was done. An empty
/// range inside the bounds does nothing.
pub trait Disk: Send + Sync {
    /// The size in bytes. It may change when the disk is resized; a request is checked against it as it is then.
    fn size(&self) -> u64;

    /// The block sizes. They do not change while the disk is open.
    fn geometry(&self) -> Geometry;

    /// Whether every change is refused with [`Error::ReadOnly`]. Does not change while the disk is open.
    fn read_only(&self) -> bool;

    /// A name which stays the same each time that this disk is opened, for logs and as the default serial number:
    /// at most 20 printable ASCII characters, and nothing in it that a guest should not know (no paths).
    fn id(&self) -> &str;

    /// Fills `bufs`, one after the other, from `offset`.
    fn read(&self, offset: u64, bufs: &mut [IoSliceMut<'_>]) -> Result<(), Error>;

    /// Writes `bufs`, one after the other, at `offset`.
    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> Result<(), Error>;

    /// Like [`read`](Disk::read), into memory that others may use at the same time, such as a guest's. A disk that
    /// hands its buffers on to the system overrides it; others fill a buffer of their own, which is then copied.
    fn read_volatile(&self, offset: u64, bufs: &[VolatileSlice<'_>]) -> Result<(), Error> {
        volatile::read_by_copy(self, offset, bufs)
    }

    /// Like [`write`](Disk::write), from memory that others may use at the same time: what they change meanwhile is
    /// written or not.
    fn write_volatile(&self, offset: u64, bufs: &[VolatileSlice<'_>]) -> Result<(), Error> {
        volatile::write_by_copy(self, offset, bufs)
    }

    /// Makes everything that had returned before this call durable: see above.
    fn flush(&self) -> Result<(), Error>;

    /// Tells that the contents of the range are not needed. Afterwards it reads as anything, until it is written
    /// again; a disk that cannot give space back does nothing and returns `Ok`.
    fn discard(&self, offset: u64, len: u64) -> Result<(), Error>;

    /// Makes the range read as zeroes. With `unmap` the space may be given back; without it, it stays allocated, so
    /// that a later write to the range does not run out of space where the disk can promise that.
    fn write_zeroes(&self, offset: u64, len: u64, unmap: bool) -> Result<(), Error>;

    /// Writes `bufs` so that they are durable when it returns: a write with `FUA`. Other writes may stay volatile.
    fn write_durable(&self, offset: u64, bufs: &[IoSlice<'_>]) -> Result<(), Error> {
        self.write(offset, bufs)?;
        self.flush()
    }

    /// What is at `offset`, where a range of `len` bytes begins, at least 1: a run of one kind which ends in the
    /// range. It may be shorter than what there is of this kind, but is never empty, so that a caller gets through
    /// the disk. A write at the same time may make the answer old.
    fn extent(&self, offset: u64, len: u64) -> Result<Extent, Error> {
        check_bounds(offset, len, self.size())?;
        Ok(Extent { len, kind: ExtentKind::Data })
    }

    /// Makes the disk `size` bytes long. What is added reads as zeroes; what is cut off is lost, and requests to it
    /// that are under way end in any way. The new size is durable as a write is, after a flush. Tells the watchers.
    fn resize(&self, size: u64) -> Result<(), Error> {
        let _ = size;
        Err(if self.read_only() { Error::ReadOnly } else { Error::Unsupported("be resized") })
    }

    /// From now on tells `watcher` when the size has changed, by whoever. A disk whose size never changes does nothing.
    fn watch_size(&self, watcher: Weak<dyn SizeWatcher>) {
        let _ = watcher;
    }

    /// Whether requests may wait for something else than the medium: for their turn under a limit, for a server that is
    /// gone. Where a machine is stopped at once they may not: those that wait, and later ones, go on or fail with
    /// [`Error::Cancelled`] until it is said otherwise. A disk over others tells them.
    fn set_patience(&self, patient: bool) {
        let _ = patient;
    }
}

/// Checks that `len` bytes at `offset` lie within `size` bytes, for implementers.
pub fn check_bounds(offset: u64, len: u64, size: u64) -> Result<(), Error> {
    match offset.checked_add(len) {
        Some(end) if end <= size => Ok(()),
        _ => Err(Error::OutOfBounds { offset, len, size }),
    }
}
