//! The L1 table, and the parts of L2 tables that are in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};

use super::bytes;
use super::dirty::Dirty;
use super::entry::{self, COPIED};
use super::refcount::Refcounts;
use super::{Error, Header};
use crate::Disk;
use crate::store::{read_vec, write_all};

/// Entries of a slice at most: 64 KiB.
const SLICE_ENTRIES: u64 = 8192;
const SHARDS: usize = 16;

/// A part of an L2 table, in memory.
pub(super) struct Slice {
    /// Where it is in the file.
    host: u64,
    entries: Box<[AtomicU64]>,
    dirty: Dirty,
}

impl Slice {
    pub(super) fn get(&self, index: usize) -> u64 {
        self.entries[index].load(Ordering::Acquire)
    }

    /// Sets an entry, and returns the old one. The caller has a claim on the guest cluster, and the data and the
    /// count of the new cluster are where a flush finds them.
    pub(super) fn set(&self, index: usize, entry: u64) -> u64 {
        let old = self.entries[index].swap(entry, Ordering::AcqRel);
        self.dirty.set(index * 8, self.entries.len() * 8);
        old
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

type Shard = RwLock<HashMap<u64, Arc<Slice>>>;

/// L1 and L2 tables.
pub(super) struct Tables {
    store: Arc<dyn Disk>,
    header: Header,
    l1: RwLock<Vec<u64>>,
    /// Entries of the L1 table that are not written, with their values.
    l1_dirty: Mutex<BTreeMap<usize, u64>>,
    /// Held while an L2 table is made.
    making: Mutex<()>,
    shards: [Shard; SHARDS],
    /// Slices in memory, and how many may be.
    count: AtomicUsize,
    limit: usize,
}

/// What is to be written of the tables: where, and the bytes.
#[derive(Default)]
pub(super) struct Changes {
    l2: Vec<(u64, Vec<u8>)>,
    l1: BTreeMap<usize, u64>,
    /// Keeps the slices in memory until their changes are written: they would be read again without them.
    slices: Vec<Arc<Slice>>,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.l2.is_empty() && self.l1.is_empty()
    }
}

impl Tables {
    /// Reads the L1 table of an image whose header was checked. `cache` is the size of L2 tables in memory, in bytes.
    pub(super) fn load(store: Arc<dyn Disk>, header: &Header, cache: usize) -> Result<Self, Error> {
        let l1: Vec<u64> =
            bytes::table(&read_vec(&*store, header.l1_offset, header.l1_entries as usize * 8)?).collect();
        let slice = SLICE_ENTRIES.min(header.l2_entries()) as usize * 8;
        Ok(Self {
            store,
            header: header.clone(),
            l1: RwLock::new(l1),
            l1_dirty: Mutex::default(),
            making: Mutex::new(()),
            shards: Default::default(),
            count: AtomicUsize::new(0),
            limit: (cache / slice).max(SHARDS * 4),
        })
    }

    /// How many entries a slice has.
    pub(super) fn slice_len(&self) -> u64 {
        SLICE_ENTRIES.min(self.header.l2_entries())
    }

    /// Where the entry of a guest cluster is: the key of its slice and the index in it.
    pub(super) fn place(&self, cluster: u64) -> (u64, usize) {
        (cluster / self.slice_len(), (cluster % self.slice_len()) as usize)
    }

    /// The slice for a guest cluster; `None` where there is no L2 table.
    pub(super) fn slice(&self, cluster: u64) -> Result<Option<Arc<Slice>>, Error> {
        let (key, _) = self.place(cluster);
        let shard = &self.shards[key as usize % SHARDS];
        if let Some(slice) = shard.read().get(&key) {
            return Ok(Some(slice.clone()));
        }
        // Loaded under the lock: a copy that was read before someone else changed and dropped it must not come in.
        let mut shard = shard.write();
        if let Some(slice) = shard.get(&key) {
            return Ok(Some(slice.clone()));
        }
        let l1_entry = self.l1.read().get((cluster / self.header.l2_entries()) as usize).copied().unwrap_or(0);
        let Some((table, _)) = entry::l1(l1_entry, &self.header)? else { return Ok(None) };
        let len = self.slice_len() * 8;
        let host = table + key * len % self.header.cluster_size();
        let entries = bytes::table(&read_vec(&*self.store, host, len as usize)?).map(AtomicU64::new).collect();
        let slice = Arc::new(Slice { host, entries, dirty: Dirty::default() });
        if self.count.load(Ordering::Relaxed) >= self.limit && self.shed(&mut shard) == 0 {
            tracing::trace!("all of a shard of the L2 cache is in use");
        }
        shard.insert(key, slice.clone());
        self.count.fetch_add(1, Ordering::Relaxed);
        Ok(Some(slice))
    }

    /// Drops the slices of a shard that nobody uses and that are written, and counts them.
    fn shed(&self, shard: &mut HashMap<u64, Arc<Slice>>) -> usize {
        let before = shard.len();
        let keep = before / 2;
        let mut left = before;
        shard.retain(|_, slice| {
            let unused = left > keep && Arc::get_mut(slice).is_some_and(|slice| !slice.dirty.any());
            left -= usize::from(unused);
            !unused
        });
        self.count.fetch_sub(before - left, Ordering::Relaxed);
        before - left
    }

    /// Drops slices from all shards.
    pub(super) fn shed_all(&self) {
        for shard in &self.shards {
            self.shed(&mut shard.write());
        }
    }

    /// Whether something has changed that is not written.
    pub(super) fn is_dirty(&self) -> bool {
        !self.l1_dirty.lock().is_empty()
            || self.shards.iter().any(|shard| shard.read().values().any(|slice| slice.dirty.any()))
    }

    /// Whether more slices are in memory than should be, which happens when all have changed.
    pub(super) fn is_full(&self) -> bool {
        self.count.load(Ordering::Relaxed) > self.limit + SHARDS
    }

    /// The slice for a guest cluster, in an L2 table that may be written. The caller has a claim on the cluster.
    /// What an old table shared with a snapshot is given to `unused`.
    pub(super) fn slice_for_change(
        &self,
        cluster: u64,
        refcounts: &Refcounts,
        unused: impl FnOnce(u64),
    ) -> Result<Arc<Slice>, Error> {
        let index = (cluster / self.header.l2_entries()) as usize;
        let missing = || Error::image("its L1 table is too short");
        let ours = |l1_entry| entry::l1(l1_entry, &self.header).map(|table| table.is_some_and(|(_, copied)| copied));
        let l1_entry = *self.l1.read().get(index).ok_or_else(missing)?;
        if !ours(l1_entry)? {
            let _making = self.making.lock();
            let l1_entry = *self.l1.read().get(index).ok_or_else(missing)?;
            if !ours(l1_entry)? {
                self.make_table(index, l1_entry, refcounts, unused)?;
            }
        }
        self.slice(cluster)?.ok_or_else(missing)
    }

    /// Gives the L1 entry a table of its own, with zeroes or with what the shared one has. It is in the file before
    /// the entry can be.
    fn make_table(
        &self,
        index: usize,
        l1_entry: u64,
        refcounts: &Refcounts,
        unused: impl FnOnce(u64),
    ) -> Result<(), Error> {
        let cluster = self.header.cluster_size();
        let shared = entry::l1(l1_entry, &self.header)?.map(|(host, _)| host);
        let contents = match shared {
            Some(host) => read_vec(&*self.store, host, cluster as usize)?,
            None => vec![0; cluster as usize],
        };
        let table = refcounts.allocate(1)?;
        if let Err(error) = write_all(&*self.store, table.host, &contents) {
            refcounts.release(table.host, cluster)?;
            return Err(error);
        }
        self.set_l1(index, table.host | COPIED);
        // Nobody has changed a slice of the shared table, so that they can be dropped. After the L1 entry, from which
        // others load them.
        let slices = self.header.l2_entries() / self.slice_len();
        for key in index as u64 * slices..(index as u64 + 1) * slices {
            if self.shards[key as usize % SHARDS].write().remove(&key).is_some() {
                self.count.fetch_sub(1, Ordering::Relaxed);
            }
        }
        if let Some(host) = shared {
            unused(host);
        }
        Ok(())
    }

    fn set_l1(&self, index: usize, value: u64) {
        self.l1.write()[index] = value;
        self.l1_dirty.lock().insert(index, value);
    }

    /// What has changed until now.
    pub(super) fn take_changes(&self) -> Changes {
        let mut changes = Changes::default();
        for shard in &self.shards {
            let dirty: Vec<_> = shard.read().values().filter(|slice| slice.dirty.any()).cloned().collect();
            for slice in dirty {
                for range in slice.dirty.take(slice.entries.len() * 8) {
                    let entries = &slice.entries[range.start / 8..range.end / 8];
                    let bytes = bytes::encode(entries.iter().map(|e| e.load(Ordering::Acquire)));
                    changes.l2.push((slice.host + range.start as u64, bytes));
                }
                changes.slices.push(slice);
            }
        }
        changes.l1 = std::mem::take(&mut *self.l1_dirty.lock());
        changes
    }

    /// Writes changes to the file.
    pub(super) fn write(&self, changes: &Changes, l1_offset: u64) -> Result<(), Error> {
        for (at, bytes) in &changes.l2 {
            write_all(&*self.store, *at, bytes)?;
        }
        for (index, value) in &changes.l1 {
            write_all(&*self.store, l1_offset + *index as u64 * 8, &value.to_be_bytes())?;
        }
        Ok(())
    }

    /// These changes are still to be written, unless there are newer ones.
    pub(super) fn put_back(&self, changes: Changes) {
        changes.slices.iter().for_each(|slice| slice.dirty.set_all(slice.entries.len() * 8));
        let mut l1 = self.l1_dirty.lock();
        for (index, value) in changes.l1 {
            l1.entry(index).or_insert(value);
        }
    }

    /// Makes the L1 table `entries` long, with new ones empty.
    pub(super) fn resize_l1(&self, entries: usize) {
        self.l1.write().resize(entries, 0);
    }

    /// The L1 table as it is to be in the file.
    pub(super) fn l1_bytes(&self) -> Vec<u8> {
        bytes::encode(self.l1.read().iter().copied())
    }

    pub(super) fn l1_len(&self) -> usize {
        self.l1.read().len()
    }
}
