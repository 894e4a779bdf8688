//! Requests on memory that others use at the same time: straight from and to the system, or by copy.

use std::io::{self, IoSlice, IoSliceMut};

use vm_memory::VolatileSlice;

use crate::raw::IOV_MAX;
use crate::{Disk, Error, check_bounds};

/// Bytes that are copied at once.
const PIECE: usize = 256 << 10;

/// Fills `bufs` by way of a buffer.
pub(crate) fn read_by_copy<D: Disk + ?Sized>(disk: &D, offset: u64, bufs: &[VolatileSlice<'_>]) -> Result<(), Error> {
    by_copy(disk, offset, bufs, |at, buffer, parts| {
        disk.read(at, &mut [IoSliceMut::new(buffer)])?;
        let mut rest = &*buffer;
        for part in parts {
            part.copy_from(rest);
            rest = &rest[part.len()..];
        }
        Ok(())
    })
}

/// Writes `bufs` by way of a buffer.
pub(crate) fn write_by_copy<D: Disk + ?Sized>(disk: &D, offset: u64, bufs: &[VolatileSlice<'_>]) -> Result<(), Error> {
    by_copy(disk, offset, bufs, |at, buffer, parts| {
        let mut rest = &mut *buffer;
        for part in parts {
            let copied = part.copy_to(rest);
            rest = &mut rest[copied..];
        }
        disk.write(at, &[IoSlice::new(buffer)])
    })
}

/// Calls `step` with each piece: where it is, a buffer of its length, and its memory. Nothing is done when the whole
/// does not lie on the disk.
fn by_copy<D: Disk + ?Sized>(
    disk: &D,
    mut offset: u64,
    bufs: &[VolatileSlice<'_>],
    mut step: impl FnMut(u64, &mut [u8], &[VolatileSlice<'_>]) -> Result<(), Error>,
) -> Result<(), Error> {
    let lens = bufs.iter().map(|b| b.len() as u64).try_fold(0u64, u64::checked_add);
    let len = lens.ok_or(Error::Unsupported("hold so many bytes"))?;
    check_bounds(offset, len, disk.size())?;
    let mut buffer = vec![0; len.min(PIECE as u64) as usize];
    let mut rest = bufs.to_vec();
    while !rest.is_empty() {
        let parts = take(&mut rest, PIECE)?;
        let len = parts.iter().map(VolatileSlice::len).sum();
        step(offset, &mut buffer[..len], &parts)?;
        offset += len as u64;
    }
    Ok(())
}

/// Does all of `bufs` by a `call` that may do less than it is asked to.
pub(crate) fn transfer(
    mut offset: u64,
    bufs: &[VolatileSlice<'_>],
    call: impl Fn(u64, &[VolatileSlice<'_>]) -> io::Result<usize>,
) -> io::Result<()> {
    for chunk in bufs.chunks(IOV_MAX) {
        let mut left: usize = chunk.iter().map(VolatileSlice::len).sum();
        let mut rest = Vec::new();
        while left > 0 {
            let parts = if rest.is_empty() { chunk } else { &rest[..] };
            let done = match call(offset, parts) {
                // A file that someone has cut short.
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(done) => done.min(left),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            (offset, left) = (offset + done as u64, left - done);
            if left > 0 {
                let mut undone = parts.to_vec();
                take(&mut undone, done).map_err(io::Error::other)?;
                rest = undone;
            }
        }
    }
    Ok(())
}

/// Takes the first `len` bytes, or all when there are fewer, from the front of `bufs`.
fn take<'a>(bufs: &mut Vec<VolatileSlice<'a>>, mut len: usize) -> Result<Vec<VolatileSlice<'a>>, Error> {
    let mut taken = Vec::new();
    let whole = bufs.iter().take_while(|buf| len.checked_sub(buf.len()).map(|left| len = left).is_some()).count();
    taken.extend(bufs.drain(..whole));
    if let Some(first) = bufs.first_mut().filter(|_| len > 0) {
        let (part, rest) = first.split_at(len).map_err(|e| Error::Io { what: "split", source: io::Error::other(e) })?;
        taken.push(part);
        *first = rest;
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_leaves_is_asked_for_again() {
        let mut memory = [0u8; 10];
        let (a, rest) = memory.split_at_mut(3);
        let (empty, b) = rest.split_at_mut(0);
        let bufs = [a, empty, b].map(VolatileSlice::from);
        // Two bytes at a time, each the offset that it was asked for.
        let call = |at: u64, parts: &[VolatileSlice<'_>]| {
            let mut left = 2;
            for part in parts {
                let here = part.len().min(left);
                let bytes: Vec<u8> = (0..here).map(|i| at as u8 + (2 - left + i) as u8).collect();
                part.copy_from(&bytes);
                left -= here;
            }
            Ok(2 - left)
        };
        transfer(5, &bufs, call).unwrap();
        assert_eq!(memory, [5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
        let end = transfer(0, &[VolatileSlice::from(&mut memory[..])], |_, _| Ok(0));
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn bytes_are_taken_across_slices() {
        let mut memory = [0u8; 8];
        let (a, b) = memory.split_at_mut(3);
        let mut bufs = vec![VolatileSlice::from(a), VolatileSlice::from(b)];
        let lens = |bufs: &[VolatileSlice<'_>]| bufs.iter().map(VolatileSlice::len).collect::<Vec<_>>();
        assert_eq!(lens(&take(&mut bufs, 5).unwrap()), [3, 2]);
        assert_eq!(lens(&take(&mut bufs, 9).unwrap()), [3]);
        assert!(bufs.is_empty());
    }
}
