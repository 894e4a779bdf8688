//! Which clusters of the file are in use, and the search for free ones.
//!
//! Counts change in memory and are written by [`Refcounts::write_dirty`]. The order in which that reaches the disk
//! with the tables that refer to the clusters is the business of `flush`.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::bytes;
use super::dirty::Dirty;
use super::header::{self, Header, MAX_REFTABLE};
use super::{Error, counts};
use crate::Disk;
use crate::store::{read_vec, write_all};

/// Bits 9 to 63 of an entry of the refcount table.
const BLOCK_OFFSET: u64 = !0x1ff;
/// Unchanged refcount blocks that are kept in memory, in bytes.
const KEEP: usize = 8 << 20;
/// By how much the file grows at once, at most and at least.
const GROWTH: std::ops::Range<u64> = 1 << 20..64 << 20;

/// A run of clusters that was free.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allocation {
    /// Where it begins in the file.
    pub(super) host: u64,
    /// How many clusters.
    pub(super) clusters: u64,
    /// Nobody has ever written there: it reads as zeroes.
    pub(super) fresh: bool,
}

/// The refcounts.
pub(super) struct Refcounts(Mutex<State>);

struct State {
    store: Arc<dyn Disk>,
    cluster_bits: u32,
    order: u32,
    table_offset: u64,
    table: Vec<u64>,
    /// Entries of the table that are not written yet.
    table_dirty: BTreeSet<usize>,
    blocks: HashMap<usize, Block>,
    /// No cluster before this one is free.
    search_from: u64,
    /// No cluster from this one on was ever written.
    fresh_from: u64,
    /// The cluster after the last one in use.
    end: u64,
    /// What must not be handed out even when its refcount says that it is free, which is how a damaged image would
    /// have us write over its own tables.
    reserved: Vec<std::ops::Range<u64>>,
}

struct Block {
    bytes: Vec<u8>,
    dirty: Dirty,
}

impl Refcounts {
    /// Reads the refcount table of an image whose header was checked.
    pub(super) fn load(store: Arc<dyn Disk>, header: &Header) -> Result<Self, Error> {
        let len = (u64::from(header.reftable_clusters) << header.cluster_bits) as usize;
        let table = bytes::table(&read_vec(&*store, header.reftable_offset, len)?).collect();
        let clusters = store.size().div_ceil(header.cluster_size());
        let run = |offset: u64, len: u64| {
            let first = offset >> header.cluster_bits;
            first..first + len.div_ceil(header.cluster_size())
        };
        Ok(Self(Mutex::new(State {
            cluster_bits: header.cluster_bits,
            order: header.refcount_order,
            table_offset: header.reftable_offset,
            table,
            table_dirty: BTreeSet::new(),
            blocks: HashMap::new(),
            search_from: 1,
            fresh_from: clusters,
            end: clusters,
            reserved: vec![
                run(header.l1_offset, u64::from(header.l1_entries) * 8),
                run(header.reftable_offset, len as u64),
                run(header.snapshots_offset, u64::from(header.snapshots > 0)),
            ],
            store,
        })))
    }

    /// The same to look at, from a file that is not written to.
    pub(super) fn load_to_read<'a>(store: &'a dyn Disk, header: &Header) -> Result<Reader<'a>, Error> {
        let len = (u64::from(header.reftable_clusters) << header.cluster_bits) as usize;
        let table = bytes::table(&read_vec(store, header.reftable_offset, len)?).collect();
        Ok(Reader { store, header: header.clone(), table, block: Default::default() })
    }

    /// Sets a count to what it should be.
    pub(super) fn correct(&self, cluster: u64, count: u64) -> Result<(), Error> {
        let mut state = self.0.lock();
        if state.count(cluster)? == count {
            return Ok(());
        }
        if !state.table_has(cluster) {
            return Err(Error::image("it has no room for the refcounts that it needs: convert it"));
        }
        state.set_count(cluster, count)
    }

    /// Takes up to `max` clusters that follow each other, at least one.
    pub(super) fn allocate(&self, max: u64) -> Result<Allocation, Error> {
        self.0.lock().allocate(max, false)
    }

    /// Takes exactly `clusters` that follow each other.
    pub(super) fn allocate_run(&self, clusters: u64) -> Result<Allocation, Error> {
        self.0.lock().allocate(clusters, true)
    }

    /// Counts one reference more to the cluster in use around `host`.
    pub(super) fn share(&self, host: u64) -> Result<(), Error> {
        let mut state = self.0.lock();
        let cluster = host >> state.cluster_bits;
        let count = state.count(cluster)?;
        if count >= counts::most(state.order) {
            return Err(Error::Unsupported("count so many references to a cluster"));
        }
        state.set_count(cluster, count + 1)
    }

    /// Counts one reference less to every cluster that `len` bytes at `host` touch. What is not used any more gives
    /// its space back and may be handed out at once.
    pub(super) fn release(&self, host: u64, len: u64) -> Result<(), Error> {
        self.0.lock().release(host, len)
    }

    /// Writes the counts that changed to the file, without waiting for it to be durable. Returns the entries of the
    /// refcount table that are to be written when that is durable.
    pub(super) fn write_dirty(&self) -> Result<Vec<usize>, Error> {
        let mut state = self.0.lock();
        state.write_blocks()?;
        let entries = std::mem::take(&mut state.table_dirty);
        state.shed();
        Ok(entries.into_iter().collect())
    }

    /// Writes these entries of the table.
    pub(super) fn write_table(&self, entries: &[usize]) -> Result<(), Error> {
        let state = self.0.lock();
        for &i in entries {
            write_all(&*state.store, state.table_offset + i as u64 * 8, &state.table[i].to_be_bytes())?;
        }
        Ok(())
    }

    /// These entries of the table are still to be written.
    pub(super) fn put_back(&self, entries: Vec<usize>) {
        self.0.lock().table_dirty.extend(entries);
    }

    /// Whether counts have changed that are not written.
    pub(super) fn is_dirty(&self) -> bool {
        let state = self.0.lock();
        !state.table_dirty.is_empty() || state.blocks.values().any(|block| block.dirty.any())
    }

    /// Bytes of the file up to the end of the last cluster in use.
    pub(super) fn end(&self) -> u64 {
        let state = self.0.lock();
        state.end << state.cluster_bits
    }

    /// The clusters in `range` must not be handed out.
    pub(super) fn reserve(&self, range: std::ops::Range<u64>) {
        self.0.lock().reserved.push(range);
    }
}

/// Counts, read one block at a time.
pub(super) struct Reader<'a> {
    store: &'a dyn Disk,
    header: Header,
    table: Vec<u64>,
    /// The block read last, with its index.
    block: std::cell::RefCell<(Option<usize>, Vec<u8>)>,
}

impl Reader<'_> {
    /// The count of a cluster.
    pub(super) fn count_of(&self, cluster: u64) -> Result<u64, Error> {
        let per_block = (self.header.cluster_size() * 8) >> self.header.refcount_order;
        let index = (cluster / per_block) as usize;
        let mut block = self.block.borrow_mut();
        if block.0 != Some(index) {
            let host = self.table.get(index).map_or(0, |entry| entry & BLOCK_OFFSET);
            let inside = host != 0 && host < self.store.size();
            let len = self.header.cluster_size() as usize;
            *block = (Some(index), if inside { read_vec(self.store, host, len)? } else { vec![0; len] });
        }
        Ok(counts::get(&block.1, self.header.refcount_order, (cluster % per_block) as usize))
    }
}

impl State {
    fn cluster(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// How many counts are in a block.
    fn per_block(&self) -> u64 {
        (self.cluster() * 8) >> self.order
    }

    fn allocate(&mut self, wanted: u64, exact: bool) -> Result<Allocation, Error> {
        // A block takes a cluster of each range, so that longer runs than a range are only found behind all.
        let (start, found) = match exact && wanted + 1 >= self.per_block() {
            true => (self.lay_behind(wanted)?, wanted),
            false => self.find(wanted, exact)?,
        };
        self.grow_file((start + found) << self.cluster_bits)?;
        for at in start..start + found {
            self.set_count(at, 1)?;
        }
        if self.search_from == start || !exact {
            self.search_from = start + found;
        }
        let fresh = start >= self.fresh_from;
        self.mark_used(start + found);
        Ok(Allocation { host: start << self.cluster_bits, clusters: found, fresh })
    }

    /// The first run of free clusters, and its length: `wanted` or, unless `exact`, less.
    fn find(&mut self, wanted: u64, exact: bool) -> Result<(u64, u64), Error> {
        let (mut start, mut found) = (self.search_from, 0);
        while found < wanted {
            let at = start + found;
            if !self.table_has(at) {
                if found > 0 && !exact {
                    break;
                }
                self.add_block(at)?;
                (start, found) = (at, 0);
                continue;
            }
            let count = self.count(at)?;
            if count == 0 && !self.reserved.iter().any(|r| r.contains(&at)) {
                found += 1;
            } else if count != 0 && at >= self.end {
                return Err(Error::image("it counts references to clusters behind its end"));
            } else if found > 0 && !exact {
                break;
            } else {
                (start, found) = (at + 1, 0);
            }
        }
        Ok((start, found))
    }

    /// Clusters up to `end` are in use.
    fn mark_used(&mut self, end: u64) {
        self.fresh_from = self.fresh_from.max(end);
        self.end = self.end.max(end);
    }

    fn release(&mut self, host: u64, len: u64) -> Result<(), Error> {
        let first = host >> self.cluster_bits;
        let last = host.saturating_add(len - 1) >> self.cluster_bits;
        let mut free = first..first;
        for at in first..=last {
            // A count of 0 is a damaged image; `check` reports it.
            let count = self.count(at)?;
            if count > 0 {
                self.set_count(at, count - 1)?;
            }
            if count == 1 {
                self.search_from = self.search_from.min(at);
                free = if free.end == at { free.start..at + 1 } else { self.give_back(free, at) };
            }
        }
        self.give_back(free, 0);
        Ok(())
    }

    /// Frees the clusters in the file; advice, since they are free in any case. Returns the run that begins at `next`.
    fn give_back(&self, free: std::ops::Range<u64>, next: u64) -> std::ops::Range<u64> {
        if !free.is_empty() {
            let len = (free.end - free.start) << self.cluster_bits;
            let start = free.start << self.cluster_bits;
            let _ = self.store.discard(start, len.min(self.store.size().saturating_sub(start)));
        }
        next..next + 1
    }

    fn table_has(&self, cluster: u64) -> bool {
        let index = (cluster / self.per_block()) as usize;
        self.table.get(index).is_some_and(|entry| entry & BLOCK_OFFSET != 0)
    }

    /// The count of a cluster; 0 where there is no block for it.
    fn count(&mut self, cluster: u64) -> Result<u64, Error> {
        let (order, index) = (self.order, (cluster % self.per_block()) as usize);
        Ok(self.block(cluster)?.map_or(0, |block| counts::get(&block.bytes, order, index)))
    }

    fn set_count(&mut self, cluster: u64, count: u64) -> Result<(), Error> {
        let (order, index) = (self.order, (cluster % self.per_block()) as usize);
        let Some(block) = self.block(cluster)? else { return Ok(()) };
        counts::set(&mut block.bytes, order, index, count);
        block.dirty.set(counts::byte(order, index), block.bytes.len());
        Ok(())
    }

    fn block(&mut self, cluster: u64) -> Result<Option<&mut Block>, Error> {
        let index = (cluster / self.per_block()) as usize;
        let host = self.table.get(index).map_or(0, |entry| entry & BLOCK_OFFSET);
        if host == 0 {
            return Ok(None);
        }
        if !self.blocks.contains_key(&index) {
            if !host.is_multiple_of(self.cluster()) {
                return Err(Error::image(format!("a refcount block at {host:#x} cannot be")));
            }
            self.shed();
            let bytes = read_vec(&*self.store, host, self.cluster() as usize)?;
            self.blocks.insert(index, Block { bytes, dirty: Dirty::default() });
        }
        Ok(self.blocks.get_mut(&index))
    }

    /// Forgets unchanged blocks when there are many.
    fn shed(&mut self) {
        if self.blocks.len() << self.cluster_bits > KEEP {
            self.blocks.retain(|_, block| block.dirty.any());
        }
    }

    /// Makes a refcount block for the range around `cluster`, in the first cluster of that range.
    fn add_block(&mut self, cluster: u64) -> Result<(), Error> {
        let index = (cluster / self.per_block()) as usize;
        if index >= self.table.len() {
            self.grow_table(index)?;
        }
        if self.table[index] & BLOCK_OFFSET == 0 {
            self.insert_block(index, index as u64 * self.per_block())?;
        }
        Ok(())
    }

    /// Puts an empty block for the range `index` into the cluster `home` of that range, and counts that.
    fn insert_block(&mut self, index: usize, home: u64) -> Result<(), Error> {
        if home == 0 || self.reserved.iter().any(|r| r.contains(&home)) {
            return Err(Error::image("it has no refcounts for its own tables"));
        }
        self.grow_file((home + 1) << self.cluster_bits)?;
        let bytes = vec![0; self.cluster() as usize];
        let dirty = Dirty::default();
        // All of it is new: what was in that cluster before must not be taken for counts.
        (0..bytes.len()).step_by(512).for_each(|at| dirty.set(at, bytes.len()));
        self.blocks.insert(index, Block { bytes, dirty });
        self.table[index] = home << self.cluster_bits;
        self.table_dirty.insert(index);
        self.mark_used(home + 1);
        self.set_count(home, 1)
    }

    /// Moves the refcount table to a longer one, which has room for the entry `index`: behind everything that the
    /// old one can count.
    fn grow_table(&mut self, index: usize) -> Result<(), Error> {
        let per_cluster = self.cluster() / 8;
        let base = self.table.len() as u64;
        let clusters = ((index as u64 + 1).max(base * 2) + base / 8).div_ceil(per_cluster) + 1;
        if clusters << self.cluster_bits > MAX_REFTABLE {
            return Err(Error::image("it has as many clusters as its cluster size allows: convert it to larger ones"));
        }
        let old = (self.table_offset, base * 8);
        self.table.resize((clusters * per_cluster) as usize, 0);
        let home = self.lay_behind(clusters)?;
        self.reserved.push(home..home + clusters);
        // The new table is durable with all that it refers to before the header names it.
        self.write_blocks()?;
        self.table_offset = home << self.cluster_bits;
        write_all(&*self.store, self.table_offset, &bytes::encode(self.table.iter().copied()))?;
        self.store.flush()?;
        let mut field = self.table_offset.to_be_bytes().to_vec();
        field.extend((clusters as u32).to_be_bytes());
        write_all(&*self.store, header::REFTABLE.start as u64, &field)?;
        self.store.flush()?;
        self.table_dirty.clear();
        self.reserved.retain(|r| r.start != old.0 >> self.cluster_bits);
        self.release(old.0, old.1)
    }

    /// Takes a run of clusters behind all ranges that have a block, with the blocks that count it before it, and
    /// returns where it begins.
    fn lay_behind(&mut self, clusters: u64) -> Result<u64, Error> {
        let per_block = self.per_block();
        let first = self.table.iter().rposition(|entry| entry & BLOCK_OFFSET != 0).map_or(0, |last| last + 1);
        let blocks = (1..).find(|k| k * per_block >= clusters + k).unwrap_or(1);
        if first + blocks as usize > self.table.len() {
            self.grow_table(first + blocks as usize)?;
            return self.lay_behind(clusters);
        }
        let base = first as u64 * per_block;
        let home = base + blocks;
        self.grow_file((home + clusters) << self.cluster_bits)?;
        for block in 0..blocks {
            self.insert_block(first + block as usize, base + block)?;
        }
        for at in home..home + clusters {
            self.set_count(at, 1)?;
        }
        self.mark_used(home + clusters);
        Ok(home)
    }

    fn write_blocks(&mut self) -> Result<(), Error> {
        for (index, block) in &self.blocks {
            for range in block.dirty.take(block.bytes.len()) {
                let at = (self.table[*index] & BLOCK_OFFSET) + range.start as u64;
                write_all(&*self.store, at, &block.bytes[range])
                    .inspect_err(|_| block.dirty.set_all(block.bytes.len()))?;
            }
        }
        Ok(())
    }

    /// Makes the file at least `len` bytes long, with some room where it can grow.
    fn grow_file(&mut self, len: u64) -> Result<(), Error> {
        let size = self.store.size();
        if len <= size {
            return Ok(());
        }
        let room = (size / 16).clamp(GROWTH.start, GROWTH.end).next_multiple_of(self.cluster());
        match self.store.resize((len + room).next_multiple_of(self.cluster())) {
            Err(Error::Unsupported(_)) => {
                Err(Error::Io { what: "make the image longer", source: io::ErrorKind::StorageFull.into() })
            }
            other => other,
        }
    }
}
