//! Growing and shrinking.

use std::sync::atomic::Ordering;

use super::header::{MAX_L1, SIZE_AND_L1};
use super::{Error, Qcow2};
use crate::Disk;
use crate::store::write_all;

impl Qcow2 {
    /// Makes the disk `size` bytes long.
    pub(super) fn change_size(&self, size: u64) -> Result<(), Error> {
        let _resizing = self.resizing.lock();
        if self.header.snapshots > 0 {
            return Err(Error::Unsupported("be resized: the image has internal snapshots; convert it first"));
        }
        if !size.is_multiple_of(512) || size > i64::MAX as u64 {
            return Err(Error::Unsupported("have this size: choose a multiple of 512 bytes"));
        }
        let old = self.size();
        if size < old {
            self.size.store(size, Ordering::Release);
            // Nobody is beyond the new end any more.
            drop(self.gate.write());
            self.remove_clusters(size.next_multiple_of(self.header.cluster_size()), old)?;
            let _flushing = self.flushing.lock();
            self.flush_locked()?;
            return self.write_geometry(size);
        }
        let entries = self.header.l1_needed(size);
        if entries * 8 > MAX_L1 {
            return Err(Error::Unsupported("be so large with clusters of this size: convert it to larger clusters"));
        }
        self.grow_l1(entries as usize)?;
        // What was cut off from the last cluster, or is below and beyond the old end, must not come back.
        let below = self.backing.as_ref().map_or(0, |below| below.size());
        let end = old.next_multiple_of(self.header.cluster_size()).max(below).min(size);
        if end > old {
            self.zero(old, end - old, true)?;
        }
        let _flushing = self.flushing.lock();
        self.flush_locked()?;
        self.write_geometry(size)?;
        self.size.store(size, Ordering::Release);
        Ok(())
    }

    /// Moves the L1 table to where it has room for more entries.
    fn grow_l1(&self, entries: usize) -> Result<(), Error> {
        let old_len = self.tables.l1_len();
        if entries <= old_len {
            return Ok(());
        }
        let cluster = self.header.cluster_size();
        let refcounts = self.refcounts()?;
        // Nobody writes L1 entries meanwhile, to either table.
        let _flushing = self.flushing.lock();
        self.flush_locked()?;
        let clusters = (entries as u64 * 8).div_ceil(cluster);
        let new = refcounts.allocate_run(clusters)?;
        refcounts.reserve(new.host / cluster..new.host / cluster + clusters);
        self.tables.resize_l1(entries);
        let mut table = self.tables.l1_bytes();
        table.resize((clusters * cluster) as usize, 0);
        write_all(&*self.store, new.host, &table)?;
        // The table and the counts of all that it refers to, before the header refers to it.
        let counted = refcounts.write_dirty()?;
        self.store.flush()?;
        refcounts.write_table(&counted)?;
        self.store.flush()?;
        let old = self.l1_offset.swap(new.host, Ordering::AcqRel);
        self.write_geometry(self.size())?;
        match old_len {
            0 => Ok(()),
            _ => refcounts.release(old, old_len as u64 * 8),
        }
    }

    /// Writes size and place of the L1 table to the header: one write inside a sector, so that it is whole or not there.
    fn write_geometry(&self, size: u64) -> Result<(), Error> {
        let mut field = size.to_be_bytes().to_vec();
        field.extend(0u32.to_be_bytes()); // Not encrypted.
        field.extend((self.tables.l1_len() as u32).to_be_bytes());
        field.extend(self.l1_offset.load(Ordering::Acquire).to_be_bytes());
        write_all(&*self.store, SIZE_AND_L1.start as u64, &field)?;
        self.store.flush()
    }
}
