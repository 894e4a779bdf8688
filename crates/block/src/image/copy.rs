//! Work through whole disks: copying, giving zeroes back, moving a layer down.

use std::io::{IoSlice, IoSliceMut};
use std::ops::ControlFlow;

use super::Image;
use crate::qcow2::{Layer, Qcow2};
use crate::{Disk, Error};

/// Bytes read at once.
pub(super) const CHUNK: u64 = 2 << 20;
/// Zeroes are looked for in blocks of this size, in bytes.
const BLOCK: usize = 4096;

/// Is told how many bytes of the disk are done, and says whether to go on.
pub type Progress<'a> = dyn FnMut(u64) -> ControlFlow<()> + 'a;

/// Is given the bytes at an offset.
pub(super) type Visit<'a> = dyn FnMut(u64, &[u8]) -> Result<(), Error> + 'a;

/// Copies `from` to `to`, which is at least as long and reads as zeroes; zeroes are left out. Ends with a flush.
pub fn copy(from: &dyn Disk, to: &dyn Disk, progress: &mut Progress<'_>) -> Result<(), Error> {
    each_chunk(from, progress, &mut |offset, bytes| {
        for (at, data) in runs(bytes, |block| block.iter().any(|byte| *byte != 0)) {
            to.write(offset + at as u64, &[IoSlice::new(data)])?;
        }
        Ok(())
    })?;
    to.flush()
}

/// Gives the space of zeroes back that the disk holds as data. Returns how many bytes that was.
pub fn compact(disk: &dyn Disk, progress: &mut Progress<'_>) -> Result<u64, Error> {
    // Smaller pieces give nothing back.
    let granularity = u64::from(disk.geometry().discard_granularity).max(BLOCK as u64);
    let mut freed = 0;
    each_chunk(disk, progress, &mut |offset, bytes| {
        for (at, zeroes) in runs(bytes, |block| block.iter().all(|byte| *byte == 0)) {
            let start = (offset + at as u64).next_multiple_of(granularity);
            let mut end = offset + (at + zeroes.len()) as u64;
            if end < disk.size() {
                end = end / granularity * granularity;
            }
            if start < end {
                disk.write_zeroes(start, end - start, true)?;
                freed += end - start;
            }
        }
        Ok(())
    })?;
    disk.flush()?;
    Ok(freed)
}

/// Writes what the image `top` has over the disk `below` it to that disk, and then empties the image. At every point
/// in time the image reads as before.
pub fn commit(top: &Qcow2, below: &dyn Disk, progress: &mut Progress<'_>) -> Result<(), Error> {
    if below.size() < top.size() {
        below.resize(top.size())?;
    }
    let mut offset = 0;
    while offset < top.size() {
        go_on(progress, offset)?;
        let (len, layer) = top.layer(offset, (top.size() - offset).min(CHUNK))?;
        match layer {
            Layer::Below => {}
            Layer::Zero => below.write_zeroes(offset, len, true)?,
            Layer::Data(_) | Layer::Compressed => below.write(offset, &[IoSlice::new(&read(top, offset, len)?)])?,
        }
        offset += len;
    }
    below.flush()?;
    top.empty()
}

/// Writes to the image `top` what it has from below and what `new` has otherwise, so that it reads the same above
/// `new`; `None`: nothing is to be below.
pub fn keep_above(top: &Qcow2, new: Option<&dyn Disk>, progress: &mut Progress<'_>) -> Result<(), Error> {
    let mut offset = 0;
    while offset < top.size() {
        go_on(progress, offset)?;
        let (len, layer) = top.layer(offset, (top.size() - offset).min(CHUNK))?;
        if layer == Layer::Below {
            let old = read(top, offset, len)?;
            let there = new.map_or(0, |new| new.size().saturating_sub(offset)).min(len);
            let mut other = vec![0; len as usize];
            if let Some(new) = new.filter(|_| there > 0) {
                new.read(offset, &mut [IoSliceMut::new(&mut other[..there as usize])])?;
            }
            for (i, (old, other)) in old.chunks(BLOCK).zip(other.chunks(BLOCK)).enumerate() {
                if old != other {
                    top.write(offset + (i * BLOCK) as u64, &[IoSlice::new(old)])?;
                }
            }
        }
        offset += len;
    }
    top.flush()
}

/// The first byte in which two disks differ; the shorter one goes on with zeroes.
pub fn first_difference(a: &Image, b: &Image, progress: &mut Progress<'_>) -> Result<Option<u64>, Error> {
    let size = a.disk.size().max(b.disk.size());
    let mut offset = 0;
    while offset < size {
        go_on(progress, offset)?;
        let len = (size - offset).min(CHUNK);
        let padded = |disk: &dyn Disk| {
            let there = disk.size().saturating_sub(offset).min(len);
            let mut bytes = read(disk, offset.min(disk.size()), there)?;
            bytes.resize(len as usize, 0);
            Ok::<_, Error>(bytes)
        };
        let (left, right) = (padded(&*a.disk)?, padded(&*b.disk)?);
        if let Some(at) = left.iter().zip(&right).position(|(a, b)| a != b) {
            return Ok(Some(offset + at as u64));
        }
        offset += len;
    }
    Ok(None)
}

/// Calls `visit` with all that is not known to be zeroes, in pieces of which none lies on both sides of a multiple of
/// [`CHUNK`].
pub(super) fn each_chunk(disk: &dyn Disk, progress: &mut Progress<'_>, visit: &mut Visit<'_>) -> Result<(), Error> {
    let mut offset = 0;
    while offset < disk.size() {
        go_on(progress, offset)?;
        let extent = disk.extent(offset, disk.size() - offset)?;
        let end = offset + extent.len;
        // An extent is asked for once: to find its end can take as long as to read it.
        while offset < end && !extent.kind.is_zero() {
            go_on(progress, offset)?;
            let len = (end - offset).min(CHUNK - offset % CHUNK);
            visit(offset, &read(disk, offset, len)?)?;
            offset += len;
        }
        offset = end;
    }
    Ok(())
}

/// The longest runs of blocks for which `wanted` holds, with where they begin.
fn runs(bytes: &[u8], wanted: impl Fn(&[u8]) -> bool) -> Vec<(usize, &[u8])> {
    let mut found: Vec<std::ops::Range<usize>> = Vec::new();
    for (i, block) in bytes.chunks(BLOCK).enumerate() {
        if !wanted(block) {
            continue;
        }
        let (start, end) = (i * BLOCK, i * BLOCK + block.len());
        match found.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => found.push(start..end),
        }
    }
    found.into_iter().map(|range| (range.start, &bytes[range])).collect()
}

fn read(disk: &dyn Disk, offset: u64, len: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; len as usize];
    disk.read(offset, &mut [IoSliceMut::new(&mut bytes)])?;
    Ok(bytes)
}

fn go_on(progress: &mut Progress<'_>, done: u64) -> Result<(), Error> {
    match progress(done) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Cancelled),
    }
}
