//! Writing: in place where a cluster is ours, else to a new one with what was around the data copied to it.

use std::io::{IoSlice, IoSliceMut};

use super::entry::{COPIED, Mapping};
use super::refcount::Allocation;
use super::tables::Slice;
use super::{Error, Qcow2};
use crate::Disk;
use crate::pieces::Source;

/// Clusters that one allocation takes at most, in bytes, so that a claim is not held for long.
const AT_ONCE: u64 = 4 << 20;

impl Qcow2 {
    /// Writes `len` bytes of `bufs` at `offset`, which was checked.
    pub(super) fn write_runs(&self, mut offset: u64, mut len: u64, bufs: &[IoSlice<'_>]) -> Result<(), Error> {
        let mut source = Source::new(bufs);
        while len > 0 {
            let run = self.run(offset, len)?;
            let done = match run.mapping.in_place() {
                Some(host) if run.len == len && source.is_untouched() => {
                    return self.write_to(host + run.within, bufs, run.len);
                }
                Some(host) => {
                    let mut part = Vec::new();
                    source.take(run.len, &mut part);
                    self.write_to(host + run.within, &part, run.len)?;
                    run.len
                }
                None => self.write_new(offset, len, &mut source)?,
            };
            (offset, len) = (offset + done, len - done);
        }
        Ok(())
    }

    /// Writes to where the file has a cluster of ours, if that lies in the file.
    fn write_to(&self, host: u64, bufs: &[IoSlice<'_>], len: u64) -> Result<(), Error> {
        if host.checked_add(len).is_none_or(|end| end > self.store.size()) {
            return Err(Error::image(format!("it refers to offset {host:#x}, behind its end")));
        }
        self.store.write(host, bufs)
    }

    /// Writes some of `len` bytes at `offset`, to new clusters unless someone has made them meanwhile; returns how many.
    fn write_new(&self, offset: u64, len: u64, source: &mut Source<'_>) -> Result<u64, Error> {
        let bits = self.header.cluster_bits;
        let size = self.header.cluster_size();
        let (first, within) = (offset >> bits, offset & (size - 1));
        let (_, index) = self.tables.place(first);
        let most = (self.tables.slice_len() - index as u64).min((AT_ONCE >> bits).max(1));
        let clusters = (within + len).div_ceil(size).min(most);
        let claim = self.claims.claim(first..first + clusters);
        let refcounts = self.refcounts()?;
        let table = self.tables.slice_for_change(first, refcounts, |host| self.no_longer_used(host, size))?;
        let clusters = self.to_allocate(&table, index, clusters as usize)?;
        if clusters == 0 {
            drop(claim);
            let run = self.run(offset, len)?;
            let Some(host) = run.mapping.in_place() else { return Ok(0) };
            let mut part = Vec::new();
            source.take(run.len, &mut part);
            self.write_to(host + run.within, &part, run.len)?;
            return Ok(run.len);
        }
        let new = match Mapping::decode(table.get(index), &self.header)? {
            Mapping::Zero { host: Some(host), copied: true } => {
                Place { host, clusters: 1, fresh: false, reserved: true }
            }
            _ => Place::from(refcounts.allocate(clusters as u64)?),
        };
        let len = ((new.clusters << bits) - within).min(len);
        if let Err(error) = self.write_around(offset, len, new, source) {
            if !new.reserved {
                refcounts.release(new.host, new.clusters << bits)?;
            }
            return Err(error);
        }
        for i in 0..new.clusters {
            let old = table.set(index + i as usize, (new.host + (i << bits)) | COPIED);
            let old = Mapping::decode(old, &self.header)?;
            if let Some((host, len)) = old.owned(&self.header).filter(|_| !new.reserved) {
                self.no_longer_used(host, len);
            }
        }
        drop(claim);
        Ok(len)
    }

    /// How many clusters from `index` on cannot be written in place.
    fn to_allocate(&self, table: &Slice, index: usize, most: usize) -> Result<usize, Error> {
        for i in 0..most {
            if Mapping::decode(table.get(index + i), &self.header)?.in_place().is_some() {
                return Ok(i);
            }
        }
        Ok(most)
    }

    /// Writes the data to new clusters, with what was before and after it in its first and last cluster.
    fn write_around(&self, offset: u64, len: u64, new: Place, source: &mut Source<'_>) -> Result<(), Error> {
        let bits = self.header.cluster_bits;
        let within = offset & (self.header.cluster_size() - 1);
        let behind = (new.clusters << bits) - within - len;
        let head = self.surrounding(offset - within, within, new.fresh)?;
        let tail = self.surrounding(offset + len, behind, new.fresh)?;
        let mut bufs = Vec::new();
        let mut at = new.host + within;
        if !head.is_empty() {
            at = new.host;
            bufs.push(IoSlice::new(&head));
        }
        source.take(len, &mut bufs);
        if !tail.is_empty() {
            bufs.push(IoSlice::new(&tail));
        }
        self.store.write(at, &bufs)
    }

    /// What is in `len` bytes at `offset` now; nothing where that needs not be written: zeroes on a file that has
    /// zeroes there.
    fn surrounding(&self, offset: u64, len: u64, fresh: bool) -> Result<Vec<u8>, Error> {
        let there = len.min(self.size().saturating_sub(offset));
        if len == 0 || fresh && self.is_zero(offset, there)? {
            return Ok(Vec::new());
        }
        let mut bytes = vec![0; len as usize];
        self.read_runs(offset, &mut [IoSliceMut::new(&mut bytes[..there as usize])])?;
        Ok(bytes)
    }
}

/// Where new clusters are.
#[derive(Clone, Copy)]
struct Place {
    host: u64,
    clusters: u64,
    /// The file has zeroes there.
    fresh: bool,
    /// It was already kept for this cluster.
    reserved: bool,
}

impl From<Allocation> for Place {
    fn from(new: Allocation) -> Self {
        Self { host: new.host, clusters: new.clusters, fresh: new.fresh, reserved: false }
    }
}
