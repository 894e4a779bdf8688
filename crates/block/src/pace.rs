//! How long requests take: whether a thread of its own pays for one.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Above this average a request is given to another thread, in nanoseconds: a change of threads costs about a third.
const SLOW: u32 = 30_000;
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
#[derive(Default)]
pub struct Pace([AtomicU32; 3]);

impl Pace {
    /// Whether requests of this kind have to wait for the medium.
    #[must_use]
    pub fn is_slow(&self, kind: Kind) -> bool {
        self.of(kind).load(Ordering::Relaxed) > SLOW
    }

    /// Whether requests of any kind have to wait for the medium.
    #[must_use]
    pub fn is_any_slow(&self) -> bool {
        self.0.iter().any(|average| average.load(Ordering::Relaxed) > SLOW)
    }

    /// A request that moved so many bytes took `time`.
    pub fn took(&self, kind: Kind, bytes: u64, time: Duration) {
        let moved = u32::try_from(bytes / BYTES_PER_NS).unwrap_or(u32::MAX);
        let waited = u32::try_from(time.as_nanos()).unwrap_or(u32::MAX).saturating_sub(moved).min(MOST);
        let average = self.of(kind);
        let old = average.load(Ordering::Relaxed);
        // Threads may overwrite each other's: it stays an average.
        average.store(old - (old >> WEIGHT) + (waited >> WEIGHT), Ordering::Relaxed);
    }

    fn of(&self, kind: Kind) -> &AtomicU32 {
        &self.0[kind as usize]
    }
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
        // A megabyte takes its time to copy.
        (0..100).for_each(|_| pace.took(Kind::Write, 1 << 20, Duration::from_micros(500)));
        assert!(!pace.is_slow(Kind::Write));
    }
}
