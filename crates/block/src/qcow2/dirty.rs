//! A table in memory of which only the parts that changed are written.

use std::sync::atomic::{AtomicU64, Ordering};

/// Which of the up to 64 equal parts of a table have changed.
#[derive(Default)]
pub(super) struct Dirty(AtomicU64);

/// Bytes of the part in which the unit of disks lies.
const MIN_PART: usize = 512;

/// Bytes of each part of a table of `len` bytes, a power of two.
fn part(len: usize) -> usize {
    (len / 64).max(MIN_PART)
}

impl Dirty {
    /// The byte at `at` of a table of `len` bytes has changed. Called after the change.
    pub(super) fn set(&self, at: usize, len: usize) {
        self.0.fetch_or(1 << (at / part(len)), Ordering::AcqRel);
    }

    /// All of a table of `len` bytes is to be written.
    pub(super) fn set_all(&self, len: usize) {
        (0..len).step_by(part(len)).for_each(|at| self.set(at, len));
    }

    /// Whether anything has changed.
    pub(super) fn any(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    /// The byte ranges that have changed since the last call; adjacent ones are one.
    pub(super) fn take(&self, len: usize) -> Vec<std::ops::Range<usize>> {
        let bits = self.0.swap(0, Ordering::AcqRel);
        let part = part(len);
        let mut ranges: Vec<std::ops::Range<usize>> = Vec::new();
        for i in (0..64).filter(|i| bits & 1 << i != 0) {
            let range = i * part..((i + 1) * part).min(len);
            match ranges.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => ranges.push(range),
            }
        }
        ranges
    }
}
