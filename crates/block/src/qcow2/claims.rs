//! Who changes the mapping of which guest clusters: one at a time for each.

use std::ops::Range;

use parking_lot::{Condvar, Mutex};

/// The ranges of guest clusters whose mapping someone is changing.
#[derive(Default)]
pub(super) struct Claims {
    taken: Mutex<Vec<Range<u64>>>,
    given_back: Condvar,
}

/// A range that is ours until this is dropped.
pub(super) struct Claim<'a> {
    claims: &'a Claims,
    range: Range<u64>,
}

impl Claims {
    /// Waits until nobody else has a cluster of `range`. Nobody claims a second range while holding one.
    pub(super) fn claim(&self, range: Range<u64>) -> Claim<'_> {
        let mut taken = self.taken.lock();
        while taken.iter().any(|t| t.start < range.end && range.start < t.end) {
            self.given_back.wait(&mut taken);
        }
        taken.push(range.clone());
        Claim { claims: self, range }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut taken = self.claims.taken.lock();
        if let Some(at) = taken.iter().position(|t| *t == self.range) {
            taken.swap_remove(at);
        }
        drop(taken);
        self.claims.given_back.notify_all();
    }
}
