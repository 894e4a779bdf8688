//! Flushing: what makes an image consistent at every point in time. The order is explained in the module's root.

use std::io;
use std::sync::atomic::Ordering;

use super::refcount::Refcounts;
use super::tables::Changes;
use super::{Error, Qcow2};

/// So many bytes that are no longer used may wait for a moment without requests; more wait for none to be under way.
const PATIENCE: u64 = 64 << 20;

impl Qcow2 {
    /// Makes everything that had returned before durable.
    pub(super) fn flush_all(&self) -> Result<(), Error> {
        let _flushing = self.flushing.lock();
        self.flush_locked()
    }

    /// The same for who holds the lock `flushing`.
    pub(super) fn flush_locked(&self) -> Result<(), Error> {
        if self.failed.load(Ordering::Acquire) {
            return Err(Error::FlushFailed);
        }
        self.flush_in_order().inspect_err(|error| {
            if !is_full(error) {
                self.failed.store(true, Ordering::Release);
            }
        })
    }

    fn flush_in_order(&self) -> Result<(), Error> {
        let refcounts = self.refcounts()?;
        // First what is unused, then the entries, so that the entries that let go of it are among those written; last
        // the counts, which are raised before an entry is set.
        let mut unused = std::mem::take(&mut *self.unused.lock());
        let changes = self.tables.take_changes();
        match self.write_in_order(refcounts, &changes) {
            Ok(()) => {
                drop(changes);
                self.reuse(unused)
            }
            Err(error) => {
                self.tables.put_back(changes);
                self.unused.lock().append(&mut unused);
                Err(error)
            }
        }
    }

    fn write_in_order(&self, refcounts: &Refcounts, changes: &Changes) -> Result<(), Error> {
        let entries = refcounts.write_dirty()?;
        let written = self.store.flush().and_then(|()| match entries.is_empty() {
            true => Ok(()),
            false => refcounts.write_table(&entries).and_then(|()| self.store.flush()),
        });
        written.inspect_err(|_| refcounts.put_back(entries))?;
        if !changes.is_empty() {
            self.tables.write(changes, self.l1_offset.load(Ordering::Acquire))?;
            self.store.flush()?;
        }
        Ok(())
    }

    /// Frees clusters when no request that may still use them is under way.
    fn reuse(&self, mut unused: Vec<(u64, u64)>) -> Result<(), Error> {
        if unused.is_empty() {
            return Ok(());
        }
        match self.gate.try_write() {
            Some(nobody) => drop(nobody),
            None if unused.iter().map(|(_, len)| len).sum::<u64>() < PATIENCE => {
                self.unused.lock().append(&mut unused);
                return Ok(());
            }
            None => drop(self.gate.write()),
        }
        unused.sort_unstable();
        let refcounts = self.refcounts()?;
        let cluster = self.header.cluster_size();
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for (host, len) in unused {
            match runs.last_mut() {
                // Compressed clusters share clusters of the file, and each counts.
                Some((start, so_far)) if *start + *so_far == host && host % cluster == 0 && *so_far % cluster == 0 => {
                    *so_far += len;
                }
                _ => runs.push((host, len)),
            }
        }
        runs.into_iter().try_for_each(|(host, len)| refcounts.release(host, len))
    }

    /// Writes tables out when too much of them has changed to stay in memory. Called before the gate is entered.
    pub(super) fn relieve(&self) -> Result<(), Error> {
        if self.tables.is_full() {
            self.flush_all()?;
            self.tables.shed_all();
        }
        Ok(())
    }

    /// Leaves the file as a program expects it that opens it next: no leaks, no room at the end.
    pub(super) fn close(&self) {
        let Some(refcounts) = &self.refcounts else { return };
        if self.failed.load(Ordering::Acquire) {
            return;
        }
        // The second time for what the first one has freed.
        for _ in 0..2 {
            let changed = refcounts.is_dirty() || self.tables.is_dirty() || !self.unused.lock().is_empty();
            if changed && let Err(error) = self.flush_all() {
                tracing::error!(disk = self.store.id(), "writing the tables of an image at its end: {error}");
                return;
            }
        }
        if refcounts.end() < self.store.size() {
            let _ = self.store.resize(refcounts.end());
        }
    }
}

/// Whether there was no space for tables. The file below has not lost anything, and all that was not written is kept:
/// the next flush may succeed.
fn is_full(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull)
}
