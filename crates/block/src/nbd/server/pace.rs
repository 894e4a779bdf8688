//! How long requests take: whether a thread of its own pays for one.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::request::Request;
use crate::nbd::spec::cmd;

/// Above this average a request is given to another thread, in nanoseconds: a change of threads costs about a third.
const SLOW: u32 = 30_000;
/// What one request may add, so that a single hiccup is soon forgotten, in nanoseconds.
const MOST: u32 = 1_000_000;
/// Bytes that are moved in a nanosecond: that part of the time is the processor's, and not waited for.
const BYTES_PER_NS: u32 = 2;
/// The weight of the newest request in the average, as a power of two.
const WEIGHT: u32 = 3;

/// Averages of the time that requests waited, by kind: a medium may be quick to read and slow to write.
#[derive(Default)]
pub(super) struct Pace {
    reads: AtomicU32,
    writes: AtomicU32,
    others: AtomicU32,
}

impl Pace {
    /// Whether requests of this kind have to wait for the medium.
    pub(super) fn is_slow(&self, request: &Request) -> bool {
        self.of(request).load(Ordering::Relaxed) > SLOW
    }

    /// A request took `time`.
    pub(super) fn took(&self, request: &Request, time: Duration) {
        let moved = request.memory() as u32 / BYTES_PER_NS;
        let waited = u32::try_from(time.as_nanos()).unwrap_or(u32::MAX).saturating_sub(moved).min(MOST);
        let average = self.of(request);
        let old = average.load(Ordering::Relaxed);
        // Threads may overwrite each other's: it stays an average.
        average.store(old - (old >> WEIGHT) + (waited >> WEIGHT), Ordering::Relaxed);
    }

    fn of(&self, request: &Request) -> &AtomicU32 {
        match request.kind {
            cmd::READ => &self.reads,
            cmd::WRITE => &self.writes,
            _ => &self.others,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_noticed_and_forgotten() {
        let read = Request { flags: 0, kind: cmd::READ, cookie: 0, offset: 0, len: 4096 };
        let write = Request { kind: cmd::WRITE, ..read };
        let pace = Pace::default();
        pace.took(&read, Duration::from_micros(10));
        assert!(!pace.is_slow(&read));
        pace.took(&read, Duration::from_secs(9));
        assert!(pace.is_slow(&read) && !pace.is_slow(&write));
        let quick = (0..1000).take_while(|_| {
            pace.took(&read, Duration::from_micros(2));
            pace.is_slow(&read)
        });
        assert!((1..40).contains(&quick.count()));
        // A megabyte takes its time to copy.
        let long = Request { len: 1 << 20, ..write };
        (0..100).for_each(|_| pace.took(&long, Duration::from_micros(500)));
        assert!(!pace.is_slow(&long));
    }
}
