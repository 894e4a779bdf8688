//! Reading: runs of guest clusters that are of one kind and follow each other in the file are one request below.

use std::io::IoSliceMut;

use super::entry::Mapping;
use super::{Error, Extent, ExtentKind, Layer, Qcow2};
use crate::pieces::Target;
use crate::store::read_padded;

/// Bytes of the disk whose mapping is of one kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// How many, at least 1.
    pub(super) len: u64,
    /// The mapping of the first cluster; the others follow it in the file.
    pub(super) mapping: Mapping,
    /// Where the run begins in the first cluster.
    pub(super) within: u64,
}

impl Run {
    pub(super) fn layer(&self) -> Layer {
        match self.mapping {
            Mapping::Unallocated => Layer::Below,
            Mapping::Zero { .. } => Layer::Zero,
            Mapping::Data { host, .. } => Layer::Data(host + self.within),
            Mapping::Compressed { .. } => Layer::Compressed,
        }
    }
}

impl Qcow2 {
    /// The run that begins at `offset` and ends in the next `len` bytes, at least 1. Ends at the end of a slice.
    pub(super) fn run(&self, offset: u64, len: u64) -> Result<Run, Error> {
        let bits = self.header.cluster_bits;
        let size = self.header.cluster_size();
        let (first, within) = (offset >> bits, offset & (size - 1));
        let (_, index) = self.tables.place(first);
        let wanted = (within + len).div_ceil(size).max(1);
        let Some(slice) = self.tables.slice(first)? else {
            // As far as this slice would reach.
            let clusters = (self.tables.slice_len() - index as u64).min(wanted);
            return Ok(Run { len: ((clusters << bits) - within).min(len), mapping: Mapping::Unallocated, within });
        };
        let decode = |i: usize| Mapping::decode(slice.get(i), &self.header);
        let mapping = decode(index)?;
        let last = (index as u64 + wanted).min(slice.len() as u64) as usize;
        let mut clusters = 1;
        while index + clusters < last && follows(mapping, clusters as u64 * size, decode(index + clusters)?) {
            clusters += 1;
        }
        Ok(Run { len: (((clusters as u64) << bits) - within).min(len), mapping, within })
    }

    /// Fills `bufs` from `offset`, which was checked.
    pub(super) fn read_runs(&self, mut offset: u64, bufs: &mut [IoSliceMut<'_>]) -> Result<(), Error> {
        let mut left: u64 = bufs.iter().map(|b| b.len() as u64).sum();
        if left == 0 {
            return Ok(());
        }
        let run = self.run(offset, left)?;
        if run.len == left {
            return self.read_run(offset, run, bufs);
        }
        let mut target = Target::new(bufs);
        let mut run = Some(run);
        while left > 0 {
            let next = match run.take() {
                Some(run) => run,
                None => self.run(offset, left)?,
            };
            self.read_run(offset, next, &mut target.take(next.len))?;
            (offset, left) = (offset + next.len, left - next.len);
        }
        Ok(())
    }

    fn read_run(&self, offset: u64, run: Run, bufs: &mut [IoSliceMut<'_>]) -> Result<(), Error> {
        match run.mapping {
            Mapping::Data { host, .. } => read_padded(&*self.store, host + run.within, bufs, run.len),
            Mapping::Zero { .. } => {
                bufs.iter_mut().for_each(|buf| buf.fill(0));
                Ok(())
            }
            Mapping::Unallocated => self.read_below(offset, run.len, bufs),
            Mapping::Compressed { host, len } => {
                let cluster = self.inflated.get((host, len), || self.inflate(host, len))?;
                let mut from = &cluster[run.within as usize..][..run.len as usize];
                for buf in bufs {
                    let (part, rest) = from.split_at(buf.len());
                    buf.copy_from_slice(part);
                    from = rest;
                }
                Ok(())
            }
        }
    }

    /// Reads what is below, which may be shorter; behind its end are zeroes.
    fn read_below(&self, offset: u64, len: u64, bufs: &mut [IoSliceMut<'_>]) -> Result<(), Error> {
        let there = self.backing.as_ref().map_or(0, |below| below.size().saturating_sub(offset)).min(len);
        match &self.backing {
            Some(below) if there == len => below.read(offset, bufs),
            Some(below) if there > 0 => {
                let mut target = Target::new(bufs);
                below.read(offset, &mut target.take(there))?;
                target.take(len - there).iter_mut().for_each(|buf| buf.fill(0));
                Ok(())
            }
            _ => {
                bufs.iter_mut().for_each(|buf| buf.fill(0));
                Ok(())
            }
        }
    }

    /// What is at `offset`, where `len` bytes begin that were checked.
    pub(super) fn extent_at(&self, offset: u64, len: u64) -> Result<Extent, Error> {
        if len == 0 {
            return Ok(Extent { len, kind: ExtentKind::Data });
        }
        let run = self.run(offset, len)?;
        let extent = |kind| Ok(Extent { len: run.len, kind });
        match run.mapping {
            Mapping::Data { .. } | Mapping::Compressed { .. } => extent(ExtentKind::Data),
            Mapping::Zero { host: Some(_), .. } => extent(ExtentKind::Zero),
            Mapping::Zero { host: None, .. } => extent(ExtentKind::Hole),
            Mapping::Unallocated => match &self.backing {
                Some(below) if offset < below.size() => below.extent(offset, run.len.min(below.size() - offset)),
                _ => extent(ExtentKind::Hole),
            },
        }
    }

    /// Whether `len` bytes at `offset` are known to read as zeroes.
    pub(super) fn is_zero(&self, mut offset: u64, mut len: u64) -> Result<bool, Error> {
        while len > 0 {
            let extent = self.extent_at(offset, len)?;
            if !extent.kind.is_zero() {
                return Ok(false);
            }
            (offset, len) = (offset + extent.len, len - extent.len);
        }
        Ok(true)
    }
}

/// Whether `next` is what comes `distance` bytes after `first` in the same run.
fn follows(first: Mapping, distance: u64, next: Mapping) -> bool {
    match (first, next) {
        (Mapping::Unallocated, Mapping::Unallocated) => true,
        (Mapping::Zero { host: None, .. }, Mapping::Zero { host: None, .. }) => true,
        (Mapping::Zero { host: Some(a), copied }, Mapping::Zero { host: Some(b), copied: c })
        | (Mapping::Data { host: a, copied }, Mapping::Data { host: b, copied: c }) => {
            copied == c && a.checked_add(distance) == Some(b)
        }
        _ => false,
    }
}
