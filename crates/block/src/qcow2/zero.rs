//! Zeroes and discards: whole clusters by their entries, the rest by writing.

use std::io::IoSlice;

use super::entry::{COPIED, Mapping, ZERO};
use super::tables::Slice;
use super::{Error, Qcow2};
use crate::Disk;

static ZEROES: [u8; 64 << 10] = [0; 64 << 10];

/// What is to become of whole clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// They read as zeroes and give their space back.
    Unmap,
    /// They read as zeroes and keep their space.
    Keep,
    /// They may read as anything and give their space back.
    Forget,
    /// They are not part of the disk any more.
    Remove,
}

impl Qcow2 {
    /// Makes a range, which was checked, read as zeroes.
    pub(super) fn zero(&self, offset: u64, len: u64, unmap: bool) -> Result<(), Error> {
        let (inner, end) = (self.whole_clusters(offset, len), offset + len);
        let Some(inner) = inner else { return self.zero_by_hand(offset, end) };
        self.zero_by_hand(offset, inner.start)?;
        let left = self.change(inner.start, inner.end, if unmap { Goal::Unmap } else { Goal::Keep })?;
        for (start, stop) in left {
            self.zero_by_hand(start, stop.min(end))?;
        }
        self.zero_by_hand(inner.end.min(end), end)
    }

    /// Gives back what whole clusters of a range, which was checked, take.
    pub(super) fn discard_clusters(&self, offset: u64, len: u64) -> Result<(), Error> {
        if let Some(inner) = self.whole_clusters(offset, len) {
            self.change(inner.start, inner.end, Goal::Forget)?;
        }
        Ok(())
    }

    /// Frees the clusters from `start` on, a multiple of the cluster size, to `end`.
    pub(super) fn remove_clusters(&self, start: u64, end: u64) -> Result<(), Error> {
        self.change(start, end.next_multiple_of(self.header.cluster_size()), Goal::Remove).map(drop)
    }

    /// The whole clusters of a range. The last cluster of the disk is whole when the range reaches the disk's end.
    fn whole_clusters(&self, offset: u64, len: u64) -> Option<std::ops::Range<u64>> {
        let size = self.header.cluster_size();
        let end = offset + len;
        let last = if end >= self.size() { end.next_multiple_of(size) } else { end / size * size };
        let first = offset.next_multiple_of(size);
        (first < last && len > 0).then_some(first..last)
    }

    fn zero_by_hand(&self, mut start: u64, end: u64) -> Result<(), Error> {
        while start < end {
            let extent = self.extent_at(start, end - start)?;
            if extent.kind.is_zero() {
                start += extent.len;
                continue;
            }
            let part = extent.len.min(ZEROES.len() as u64);
            self.write_runs(start, part, &[IoSlice::new(&ZEROES[..part as usize])])?;
            start += part;
        }
        Ok(())
    }

    /// Changes the entries of whole clusters. Returns the ranges where that cannot be done by an entry.
    fn change(&self, mut start: u64, end: u64, goal: Goal) -> Result<Vec<(u64, u64)>, Error> {
        let bits = self.header.cluster_bits;
        let mut left = Vec::new();
        while start < end {
            let first = start >> bits;
            let (_, index) = self.tables.place(first);
            let clusters = (self.tables.slice_len() - index as u64).min((end - start) >> bits);
            let next = start + (clusters << bits);
            let _claim = self.claims.claim(first..first + clusters);
            // Where there is no table, nothing is below and nothing is to be done.
            if self.tables.slice(first)?.is_some() || goal != Goal::Remove && self.below(start) {
                let unused = |host| self.no_longer_used(host, self.header.cluster_size());
                let table = self.tables.slice_for_change(first, self.refcounts()?, unused)?;
                for i in 0..clusters {
                    let at = start + (i << bits);
                    if !self.change_one(&table, index + i as usize, at, goal)? {
                        left.push((at, at + self.header.cluster_size()));
                    }
                }
            }
            start = next;
        }
        Ok(left)
    }

    /// Whether the file below has something at `offset`.
    fn below(&self, offset: u64) -> bool {
        self.backing.as_ref().is_some_and(|below| offset < below.size())
    }

    /// Changes one entry. `false`: it takes writing zeroes.
    fn change_one(&self, table: &Slice, index: usize, at: u64, goal: Goal) -> Result<bool, Error> {
        let v3 = self.header.version >= 3;
        let entry = table.get(index);
        let old = Mapping::decode(entry, &self.header)?;
        let new = match (goal, old) {
            (Goal::Keep, Mapping::Data { host, copied: true }) if v3 => host | COPIED | ZERO,
            (Goal::Keep, Mapping::Data { .. }) if !v3 => return Ok(false),
            (Goal::Keep, Mapping::Zero { .. }) => entry,
            (Goal::Remove, _) => 0,
            _ if !self.below(at) => 0,
            _ if v3 => ZERO,
            (Goal::Forget, _) => entry,
            _ => return Ok(false),
        };
        if new != entry {
            table.set(index, new);
            let kept = Mapping::decode(new, &self.header)?.owned(&self.header);
            if let Some((host, len)) = old.owned(&self.header).filter(|_| kept.is_none()) {
                self.no_longer_used(host, len);
            }
        }
        Ok(true)
    }
}
