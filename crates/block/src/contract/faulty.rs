//! A disk on a medium that fills up and fails, below what is tested: a format, a controller, a server.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{MemoryDisk, Random};
use crate::{Disk, Error, Extent, Geometry};

/// What takes space on the medium at once, in bytes.
const PAGE: u64 = 4096;
/// What is written as a whole, in bytes.
const SECTOR: usize = 512;

/// A disk whose changes fail: because the medium is full, or now and then.
pub struct FaultyDisk {
    disk: Arc<MemoryDisk>,
    faults: Mutex<Faults>,
}

struct Faults {
    /// Pages that take space.
    pages: BTreeSet<u64>,
    /// How many more there may be.
    space: u64,
    /// To write over a page takes another one.
    copies: bool,
    /// One change in so many fails with an I/O error; 0: none does.
    one_in: u64,
    failing_flushes: bool,
    random: Random,
}

impl FaultyDisk {
    /// `disk`, of which nothing takes space yet, without faults. `seed` decides which changes fail and how.
    #[must_use]
    pub fn new(disk: Arc<MemoryDisk>, seed: u64) -> Self {
        let faults = Faults {
            pages: BTreeSet::new(),
            space: u64::MAX,
            copies: false,
            one_in: 0,
            failing_flushes: false,
            random: Random::new(seed),
        };
        Self { disk, faults: Mutex::new(faults) }
    }

    /// From now on there is room for so many bytes more; `None`: for any.
    pub fn leave_space(&self, bytes: Option<u64>) {
        self.faults.lock().space = bytes.map_or(u64::MAX, |bytes| bytes / PAGE);
    }

    /// From now on the medium is one that copies on write: what was written before takes space again.
    pub fn copy_on_write(&self) {
        self.faults.lock().copies = true;
    }

    /// From now on one change in `one_in` fails with an I/O error; 0: none does. A write that fails has written some
    /// of its sectors.
    pub fn fail_changes(&self, one_in: u64) {
        self.faults.lock().one_in = one_in;
    }

    /// From now on (or no longer) flushes fail.
    pub fn fail_flushes(&self, failing: bool) {
        self.faults.lock().failing_flushes = failing;
    }

    /// Writes `data`, or some of its sectors and fails.
    fn put(&self, offset: u64, data: &[u8]) -> Result<(), Error> {
        let mut faults = self.faults.lock();
        let room = faults.take(offset, data.len() as u64);
        if room == data.len() as u64 && !faults.is_due() {
            drop(faults);
            return self.disk.write(offset, &[IoSlice::new(data)]);
        }
        let full = room < data.len() as u64;
        for (n, sector) in data.chunks(SECTOR).enumerate() {
            let at = (n * SECTOR) as u64;
            // A full medium takes what fits, a bad one anything.
            let taken = if full { at + sector.len() as u64 <= room } else { faults.random.below(2) == 0 };
            if taken {
                self.disk.write(offset + at, &[IoSlice::new(sector)])?;
            }
        }
        Err(failure(full))
    }

    /// A change of another kind: all or nothing.
    fn change(&self, free: Option<(u64, u64)>) -> Result<(), Error> {
        let mut faults = self.faults.lock();
        if faults.is_due() {
            return Err(failure(false));
        }
        if let Some((offset, len)) = free {
            let whole = offset.div_ceil(PAGE)..(offset + len) / PAGE;
            let before = faults.pages.len();
            faults.pages.retain(|page| !whole.contains(page));
            faults.space = faults.space.saturating_add((before - faults.pages.len()) as u64);
        }
        Ok(())
    }
}

impl Faults {
    /// Takes space for a range; how many bytes of it there is room for.
    fn take(&mut self, offset: u64, len: u64) -> u64 {
        for page in offset / PAGE..(offset + len).div_ceil(PAGE) {
            if self.copies || !self.pages.contains(&page) {
                if self.space == 0 {
                    return (page * PAGE).saturating_sub(offset);
                }
                self.space -= 1;
                self.pages.insert(page);
            }
        }
        len
    }

    fn is_due(&mut self) -> bool {
        self.one_in > 0 && self.random.below(self.one_in) == 0
    }
}

fn failure(full: bool) -> Error {
    let source = if full { ErrorKind::StorageFull.into() } else { io::Error::other("told to fail") };
    Error::Io { what: "fault injection", source }
}

impl Disk for FaultyDisk {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn geometry(&self) -> Geometry {
        self.disk.geometry()
    }

    fn read_only(&self) -> bool {
        Disk::read_only(&*self.disk)
    }

    fn id(&self) -> &str {
        self.disk.id()
    }

    fn read(&self, offset: u64, bufs: &mut [IoSliceMut<'_>]) -> Result<(), Error> {
        self.disk.read(offset, bufs)
    }

    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> Result<(), Error> {
        let data: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        crate::check_bounds(offset, data.len() as u64, self.size())?;
        self.put(offset, &data)
    }

    fn flush(&self) -> Result<(), Error> {
        if self.faults.lock().failing_flushes {
            return Err(failure(false));
        }
        self.disk.flush()
    }

    fn discard(&self, offset: u64, len: u64) -> Result<(), Error> {
        self.change(Some((offset, len)))?;
        self.disk.discard(offset, len)
    }

    fn write_zeroes(&self, offset: u64, len: u64, unmap: bool) -> Result<(), Error> {
        crate::check_bounds(offset, len, self.size())?;
        if !unmap {
            return self.put(offset, &vec![0; len as usize]);
        }
        self.change(Some((offset, len)))?;
        self.disk.write_zeroes(offset, len, unmap)
    }

    fn extent(&self, offset: u64, len: u64) -> Result<Extent, Error> {
        self.disk.extent(offset, len)
    }

    fn resize(&self, size: u64) -> Result<(), Error> {
        self.change(None)?;
        self.disk.resize(size)
    }
}
