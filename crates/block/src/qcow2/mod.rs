//! qcow2, QEMU's copy-on-write format: versions 2 and 3, compressed clusters, files below, clusters of 512 bytes to
//! 2 MiB (QEMU `docs/interop/qcow2.txt`).
//!
//! **What holds after a crash.** Data, counts and tables are written in an order with barriers between them, so that
//! whatever part of what came after the last flush reaches the disk, the image is consistent (clusters may leak) and
//! has all that was flushed:
//!
//! 1. Data goes to the file at once; an entry which refers to it is set in memory, after the count of its cluster.
//! 2. A flush copies the changed entries, writes the counts, waits until data and counts are durable, writes entries
//!    of the refcount table if there are any and waits, writes the copied entries of L1 and L2 tables and waits.
//! 3. A cluster that nothing refers to any more is free when that is durable and nobody still reads or writes it.
//!
//! **Threads.** Reads and writes to clusters that exist run side by side, with no lock but the shared side of a gate.
//! Who changes the mapping of a cluster has a claim on it; others who want to wait.

mod bytes;
mod check;
mod claims;
mod compressed;
mod counts;
mod create;
mod dirty;
mod entry;
mod flush;
mod header;
mod pack;
mod read;
mod refcount;
mod resize;
mod tables;
mod write;
mod zero;

use std::io::{IoSlice, IoSliceMut};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};

use self::claims::Claims;
use self::compressed::Inflated;
use self::refcount::Refcounts;
use self::tables::Tables;
use crate::{Disk, Error, Extent, ExtentKind, Geometry, SizeWatcher, SizeWatchers, check_bounds, pieces, store};

pub use self::check::{Report, check, repair};
pub use self::create::{CreateOptions, create, set_backing};
pub use self::header::{BackingName, Compression, Header, MAGIC};
pub use self::pack::{Packer, compress};

/// L2 tables in memory, in bytes: enough for 256 GiB with clusters of 64 KiB.
pub const L2_CACHE: usize = 32 << 20;

/// Entries of L2 tables that one step of a long request changes at most.
const STEP_ENTRIES: u64 = 512 << 10;

/// A qcow2 image as a disk.
pub struct Qcow2 {
    store: Arc<dyn Disk>,
    /// As it was when it was opened, but for what can change, which is beside it.
    header: Header,
    size: AtomicU64,
    l1_offset: AtomicU64,
    backing: Option<Arc<dyn Disk>>,
    tables: Tables,
    /// `None`: opened read-only.
    refcounts: Option<Refcounts>,
    claims: Claims,
    /// Shared by requests, held alone to know that none is under way.
    gate: RwLock<()>,
    /// What nothing refers to any more, in memory: bytes in the file.
    unused: Mutex<Vec<(u64, u64)>>,
    flushing: Mutex<()>,
    resizing: Mutex<()>,
    /// A flush has failed; see [`Disk`].
    failed: AtomicBool,
    inflated: Inflated,
    watchers: SizeWatchers,
}

/// What the top file says of a range, whatever is below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// The file below knows, or it is a hole where there is none.
    Below,
    /// Reads as zeroes.
    Zero,
    /// In this file at this offset.
    Data(u64),
    /// Compressed in this file.
    Compressed,
}

impl Qcow2 {
    /// Reads the header of the image in `store`.
    pub fn header_of(store: &dyn Disk) -> Result<Header, Error> {
        let len = store.size().min(header::MAX_HEADER as u64) as usize;
        Header::parse(&store::read_vec(store, 0, len)?)
    }

    /// Opens the image in `store`, with `backing` as the file below, which the header's name must stand for. Writable
    /// when the store is.
    pub fn open(store: Arc<dyn Disk>, backing: Option<Arc<dyn Disk>>) -> Result<Self, Error> {
        Self::open_with_cache(store, backing, L2_CACHE)
    }

    /// The same with so many bytes of L2 tables in memory.
    pub fn open_with_cache(store: Arc<dyn Disk>, backing: Option<Arc<dyn Disk>>, cache: usize) -> Result<Self, Error> {
        let mut header = Self::header_of(&*store)?;
        if header.backing.is_some() != backing.is_some() {
            return Err(Error::image("its header and its opener disagree on whether there is a backing file"));
        }
        let refcounts = match store.read_only() {
            true => None,
            false => {
                refuse_to_write(&header)?;
                if header.autoclear != 0 {
                    // Bitmaps and the like would be wrong after the first write.
                    header.autoclear = 0;
                    store::write_all(&*store, header::FEATURES.start as u64 + 16, &[0; 8])?;
                }
                let cluster = header.cluster_size();
                if !store.size().is_multiple_of(cluster) {
                    store.resize(store.size().next_multiple_of(cluster))?;
                }
                Some(Refcounts::load(store.clone(), &header)?)
            }
        };
        Ok(Self {
            size: AtomicU64::new(header.size),
            l1_offset: AtomicU64::new(header.l1_offset),
            tables: Tables::load(store.clone(), &header, cache)?,
            refcounts,
            claims: Claims::default(),
            gate: RwLock::new(()),
            unused: Mutex::default(),
            flushing: Mutex::new(()),
            resizing: Mutex::new(()),
            failed: AtomicBool::new(false),
            inflated: Inflated::default(),
            watchers: SizeWatchers::default(),
            store,
            header,
            backing,
        })
    }

    /// The header as it was when the image was opened.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What this file itself says of a run that begins at `offset`; see [`Disk::extent`].
    pub fn layer(&self, offset: u64, len: u64) -> Result<(u64, Layer), Error> {
        check_bounds(offset, len, self.size())?;
        let _gate = self.gate.read();
        let run = self.run(offset, len)?;
        Ok((run.len, run.layer()))
    }

    /// Drops all that this file itself has, so that what is below shows.
    pub fn empty(&self) -> Result<(), Error> {
        self.check_change(0, 0)?;
        let step = STEP_ENTRIES << self.header.cluster_bits;
        for start in (0..self.size()).step_by(step as usize) {
            self.relieve()?;
            let _gate = self.gate.read();
            self.remove_clusters(start, start.saturating_add(step).min(self.size()))?;
        }
        self.flush_all()
    }

    fn refcounts(&self) -> Result<&Refcounts, Error> {
        self.refcounts.as_ref().ok_or(Error::ReadOnly)
    }

    fn check_change(&self, offset: u64, len: u64) -> Result<(), Error> {
        self.refcounts()?;
        check_bounds(offset, len, self.size())
    }

    /// Does a long request in steps, between which tables can be written out.
    fn in_steps(
        &self,
        mut offset: u64,
        mut len: u64,
        step: impl Fn(u64, u64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // As many entries as 4 MiB of tables have. Steps begin where a cluster does.
        let most = STEP_ENTRIES << self.header.cluster_bits;
        while len > 0 {
            let part = (most - offset % most).min(len);
            self.relieve()?;
            let _gate = self.gate.read();
            step(offset, part)?;
            (offset, len) = (offset + part, len - part);
        }
        Ok(())
    }

    /// Notes that nothing refers to `len` bytes at `host` any more.
    fn no_longer_used(&self, host: u64, len: u64) {
        self.unused.lock().push((host, len));
    }
}

/// Images that can be read but not be written.
fn refuse_to_write(header: &Header) -> Result<(), Error> {
    if header.corrupt {
        return Err(Error::image("it is marked as corrupt: open it read-only, or repair it with `russet disk check`"));
    }
    if header.dirty {
        return Err(Error::image(
            "it was not closed and its refcounts are not up to date: repair it with `russet disk check --repair`",
        ));
    }
    Ok(())
}

impl Disk for Qcow2 {
    fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    fn geometry(&self) -> Geometry {
        let granularity = self.header.cluster_size() as u32;
        Geometry { discard_granularity: granularity.max(512), ..self.store.geometry() }
    }

    fn read_only(&self) -> bool {
        self.refcounts.is_none()
    }

    fn id(&self) -> &str {
        self.store.id()
    }

    fn read(&self, offset: u64, bufs: &mut [IoSliceMut<'_>]) -> Result<(), Error> {
        check_bounds(offset, pieces::total(bufs.iter().map(|b| b.len()))?, self.size())?;
        let _gate = self.gate.read();
        self.read_runs(offset, bufs)
    }

    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> Result<(), Error> {
        let len = pieces::total(bufs.iter().map(|b| b.len()))?;
        self.check_change(offset, len)?;
        self.relieve()?;
        let _gate = self.gate.read();
        self.write_runs(offset, len, bufs)
    }

    fn flush(&self) -> Result<(), Error> {
        if self.refcounts.is_none() {
            return Ok(());
        }
        self.flush_all()
    }

    fn discard(&self, offset: u64, len: u64) -> Result<(), Error> {
        self.check_change(offset, len)?;
        self.in_steps(offset, len, |at, len| self.discard_clusters(at, len))
    }

    fn write_zeroes(&self, offset: u64, len: u64, unmap: bool) -> Result<(), Error> {
        self.check_change(offset, len)?;
        self.in_steps(offset, len, |at, len| self.zero(at, len, unmap))
    }

    fn extent(&self, offset: u64, len: u64) -> Result<Extent, Error> {
        check_bounds(offset, len, self.size())?;
        let _gate = self.gate.read();
        self.extent_at(offset, len)
    }

    fn resize(&self, size: u64) -> Result<(), Error> {
        self.refcounts()?;
        self.change_size(size)?;
        self.watchers.tell(size);
        Ok(())
    }

    fn watch_size(&self, watcher: Weak<dyn SizeWatcher>) {
        self.watchers.add(watcher);
    }

    fn set_patience(&self, patient: bool) {
        self.store.set_patience(patient);
        self.backing.iter().for_each(|below| below.set_patience(patient));
    }
}

impl Drop for Qcow2 {
    fn drop(&mut self) {
        self.close();
    }
}
