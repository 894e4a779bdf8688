//! Writes that the server has acknowledged and no flush has covered.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use super::link::Request;
use crate::nbd::spec::cmd;

/// How many bytes are kept; then it is time to flush.
const MAX_BYTES: usize = 64 << 20;
/// How many writes are kept.
const MAX_ENTRIES: usize = 64 << 10;

/// A change that can be made again.
pub(super) struct Entry {
    pub(super) request: Request,
    pub(super) data: Vec<u8>,
}

impl Entry {
    /// What has to be kept of a request. A discarded range may hold anything, so a discard is not done again.
    pub(super) fn of(request: &Request, payload: &[IoSlice<'_>]) -> Option<Arc<Self>> {
        let kept = matches!(request.kind, cmd::WRITE | cmd::WRITE_ZEROES);
        kept.then(|| {
            let mut data = Vec::with_capacity(request.payload() as usize);
            payload.iter().for_each(|part| data.extend_from_slice(part));
            Arc::new(Self { request: *request, data })
        })
    }
}

/// The changes in the order in which they were acknowledged.
#[derive(Default)]
pub(super) struct Journal {
    entries: VecDeque<Arc<Entry>>,
    bytes: usize,
    /// How many were forgotten: the number of the first one.
    first: u64,
}

impl Journal {
    pub(super) fn push(&mut self, entry: Arc<Entry>) {
        self.bytes += entry.data.len();
        self.entries.push_back(entry);
    }

    /// The number that the next one gets.
    pub(super) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// All below `end` are durable.
    pub(super) fn forget_below(&mut self, end: u64) {
        while self.first < end {
            let Some(entry) = self.entries.pop_front() else { return };
            self.bytes -= entry.data.len();
            self.first += 1;
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= MAX_BYTES || self.entries.len() >= MAX_ENTRIES
    }

    pub(super) fn entries(&self) -> Vec<Arc<Entry>> {
        self.entries.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nbd::spec::cmd_flag;

    #[test]
    fn what_a_flush_covered_is_forgotten_and_the_rest_kept() {
        let mut journal = Journal::default();
        let entry = |kind, len| Entry::of(&Request::new(kind, cmd_flag::FUA, 0, len), &[IoSlice::new(&[1; 9])]);
        assert!(entry(cmd::TRIM, 9).is_none() && entry(cmd::READ, 9).is_none());
        journal.push(entry(cmd::WRITE, 9).unwrap());
        let flushed = journal.end();
        journal.push(entry(cmd::WRITE, 9).unwrap());
        journal.forget_below(flushed);
        journal.forget_below(flushed);
        assert_eq!((journal.entries().len(), journal.bytes, journal.end()), (1, 9, 2));
        journal.forget_below(u64::MAX);
        assert_eq!((journal.entries().len(), journal.bytes, journal.end()), (0, 0, 2));
    }
}
