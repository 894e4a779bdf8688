//! Parts of scattered buffers.

use std::io::{IoSlice, IoSliceMut};

use crate::Error;

/// The sum of the lengths. More than 2^64 bytes lie in no disk.
pub(crate) fn total(lens: impl Iterator<Item = usize>) -> Result<u64, Error> {
    lens.map(|l| l as u64).try_fold(0u64, u64::checked_add).ok_or(Error::Unsupported("hold so many bytes"))
}

/// Takes buffers to be written from the front.
pub(crate) struct Source<'a> {
    bufs: &'a [IoSlice<'a>],
    /// Bytes of the first buffer that are taken.
    taken: usize,
    untouched: bool,
}

impl<'a> Source<'a> {
    pub(crate) fn new(bufs: &'a [IoSlice<'a>]) -> Self {
        Self { bufs, taken: 0, untouched: true }
    }

    /// Whether nothing has been taken yet.
    pub(crate) fn is_untouched(&self) -> bool {
        self.untouched
    }

    /// Appends the next `len` bytes, which there are, to `out`.
    pub(crate) fn take<'b>(&mut self, mut len: u64, out: &mut Vec<IoSlice<'b>>)
    where
        'a: 'b,
    {
        self.untouched = false;
        while len > 0 {
            let Some((first, rest)) = self.bufs.split_first() else { return };
            let first: &'a [u8] = &first[self.taken..];
            let part = (first.len() as u64).min(len) as usize;
            if part > 0 {
                out.push(IoSlice::new(&first[..part]));
            }
            len -= part as u64;
            self.taken += part;
            if part == first.len() {
                (self.bufs, self.taken) = (rest, 0);
            }
        }
    }
}

/// Takes buffers to be filled from the front.
pub(crate) struct Target<'a> {
    bufs: std::vec::IntoIter<&'a mut [u8]>,
    next: &'a mut [u8],
}

impl<'a> Target<'a> {
    pub(crate) fn new(bufs: &'a mut [IoSliceMut<'_>]) -> Self {
        let bufs: Vec<&'a mut [u8]> = bufs.iter_mut().map(|b| &mut **b).collect();
        Self { bufs: bufs.into_iter(), next: &mut [] }
    }

    /// The next `len` bytes, which there are.
    pub(crate) fn take(&mut self, mut len: u64) -> Vec<IoSliceMut<'a>> {
        let mut out = Vec::new();
        while len > 0 {
            if self.next.is_empty() {
                let Some(next) = self.bufs.next() else { break };
                self.next = next;
                continue;
            }
            let next = std::mem::take(&mut self.next);
            let part = (next.len() as u64).min(len) as usize;
            let (part, rest) = next.split_at_mut(part);
            len -= part.len() as u64;
            out.push(IoSliceMut::new(part));
            self.next = rest;
        }
        out
    }
}
