//! How long requests take: whether a thread of its own pays for one, and whether others should wait until it is done.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Above this a request is long: a change of threads costs about a third. In nanoseconds.
const LONG: u32 = 30_000;
/// What one request may add, so that a single hiccup is soon forgotten, in nanoseconds.
const MOST: u32 = 1_000_000;
/// Bytes that are moved in a nanosecond: that part of the time is the processor's, and not waited for.
const BYTES_PER_NS: u64 = 2;
/// The weight of the newest request in the average, as a power of two.
const WEIGHT: u32 = 3;

/// What requests are told apart by: a medium may be quick to read and slow to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Reads.
    Read,
    /// Writes.
    Write,
    /// Flushes, discards, zeroes.
    Other,
}

/// Averages of the time that requests of each kind waited, for whoever serves a disk and has threads to choose from.
pub struct Pace([AtomicU32; 3]);

impl Default for Pace {
    /// Nothing is known yet: reads and writes mostly meet a cache, a flush mostly a medium.
    fn default() -> Self {
        Self([AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(2 * LONG)])
    }
}

impl Pace {
    /// Whether requests of this kind have to wait for the medium.
    #[must_use]
    pub fn is_slow(&self, kind: Kind) -> bool {
        self.of(kind).load(Ordering::Relaxed) > LONG
    }

    /// Whether a request that moves so many bytes is likely to take long: it waits for the medium, or has much to move.
    #[must_use]
    pub fn is_long(&self, kind: Kind, bytes: u64) -> bool {
        self.of(kind).load(Ordering::Relaxed).saturating_add(moving(bytes)) > LONG
    }

    /// Whether others of its kind can be done at the same time as such a long request, and be done sooner by that. Files
    /// are read by many at once, but take one write at a time: of writes only the waits are shared.
    #[must_use]
    pub fn is_shared(&self, kind: Kind) -> bool {
        kind == Kind::Read || self.is_slow(kind)
    }

    /// Does `work`, what a request that moves so many bytes asks of the disk and nothing else, and keeps account of how
    /// long it waited.
    pub fn time<T>(&self, kind: Kind, bytes: u64, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = work();
        self.took(kind, bytes, start.elapsed());
        done
    }

    fn took(&self, kind: Kind, bytes: u64, time: Duration) {
        let waited = u32::try_from(time.as_nanos()).unwrap_or(u32::MAX).saturating_sub(moving(bytes)).min(MOST);
        let average = self.of(kind);
        let old = average.load(Ordering::Relaxed);
        // Threads may overwrite each other's: it stays an average.
        average.store(old - (old >> WEIGHT) + (waited >> WEIGHT), Ordering::Relaxed);
    }

    fn of(&self, kind: Kind) -> &AtomicU32 {
        &self.0[kind as usize]
    }
}

/// How long a processor takes to move so many bytes, in nanoseconds.
fn moving(bytes: u64) -> u32 {
    u32::try_from(bytes / BYTES_PER_NS).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_noticed_and_forgotten() {
        let pace = Pace::default();
        pace.took(Kind::Read, 4096, Duration::from_micros(10));
        assert!(!pace.is_slow(Kind::Read));
        pace.took(Kind::Read, 4096, Duration::from_secs(9));
        assert!(pace.is_slow(Kind::Read) && !pace.is_slow(Kind::Write));
        let quick = (0..1000).take_while(|_| {
            pace.took(Kind::Read, 4096, Duration::from_micros(2));
            pace.is_slow(Kind::Read)
        });
        assert!((1..40).contains(&quick.count()));
    }

    #[test]
    fn bytes_are_moved_and_not_waited_for() {
        let pace = Pace::default();
        (0..100).for_each(|_| pace.took(Kind::Write, 1 << 20, Duration::from_micros(500)));
        assert!(!pace.is_slow(Kind::Write) && !pace.is_long(Kind::Write, 4096));
        assert!(pace.is_long(Kind::Write, 1 << 20) && pace.is_long(Kind::Read, 1 << 20));
        assert!(pace.is_shared(Kind::Read) && !pace.is_shared(Kind::Write));
        (0..100).for_each(|_| pace.took(Kind::Write, 1 << 20, Duration::from_millis(5)));
        assert!(pace.is_shared(Kind::Write));
    }

    #[test]
    fn a_flush_is_long_until_some_were_quick() {
        let pace = Pace::default();
        assert!(pace.is_long(Kind::Other, 0) && !pace.is_long(Kind::Read, 4096));
        (0..8).for_each(|_| pace.took(Kind::Other, 0, Duration::from_micros(1)));
        assert!(!pace.is_long(Kind::Other, 0));
    }

    #[test]
    fn what_was_timed_is_returned_and_counts() {
        let pace = Pace::default();
        assert_eq!(pace.time(Kind::Read, 0, || std::thread::sleep(Duration::from_millis(5))), ());
        assert!(pace.is_slow(Kind::Read));
    }
}
