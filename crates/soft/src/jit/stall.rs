//! How long the guest stood still because code was translated.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The time of the CPU that this thread has had: what else the host did is not in it.
pub(crate) fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The times that a CPU stood still, by [`now`].
#[derive(Debug, Default)]
pub(crate) struct Stalls {
    /// How many took longer than 100 us, and than 1 ms.
    over: [u64; 2],
    longest: Duration,
    longest_flush: Duration,
}

impl Stalls {
    /// Adds one.
    pub fn add(&mut self, time: Duration) {
        for (over, limit) in self.over.iter_mut().zip([100, 1000]) {
            *over += u64::from(time > Duration::from_micros(limit));
        }
        self.longest = self.longest.max(time);
    }

    /// Adds the part of one that went into the emptying of the buffer.
    pub fn add_flush(&mut self, time: Duration) {
        self.longest_flush = self.longest_flush.max(time);
    }

    /// All of it, as [`hv::Vcpu::counters`] names things.
    pub fn counters(&self) -> [(&'static str, u64); 4] {
        let microseconds = |time: Duration| time.as_micros() as u64;
        [
            ("translation stalls over 100 us", self.over[0]),
            ("translation stalls over 1 ms", self.over[1]),
            ("longest translation stall in us", microseconds(self.longest)),
            ("longest flush in us", microseconds(self.longest_flush)),
        ]
    }
}
