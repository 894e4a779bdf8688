//! A disk that does so many bytes and requests in a second and no more.

use std::io::{IoSlice, IoSliceMut};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use vm_memory::VolatileSlice;

use crate::{Disk, Error, Extent, Geometry, SizeWatcher};

/// So much may be done at once after a pause.
const BURST: Duration = Duration::from_millis(100);

/// The most of each in a second; `None`: no limit. Reads and writes count together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes read, written and zeroed.
    pub bytes: Option<u64>,
    /// Requests, flushes left out.
    pub requests: Option<u64>,
}

/// A disk with [`Limits`]. A request that comes too early waits, in the thread that makes it.
pub struct Throttle {
    disk: Arc<dyn Disk>,
    bytes: Option<Bucket>,
    requests: Option<Bucket>,
    /// See [`Disk::set_patience`].
    patient: Mutex<bool>,
    changed: Condvar,
}

/// The time at which all that was let through would be done at the rate of the limit.
struct Bucket {
    per_second: u64,
    done: Mutex<Instant>,
}

impl Bucket {
    fn new(per_second: u64) -> Self {
        Self { per_second: per_second.max(1), done: Mutex::new(Instant::now()) }
    }

    /// How long to wait before `amount` more may be done.
    fn take(&self, amount: u64, now: Instant) -> Duration {
        let mut done = self.done.lock();
        let wait = done.saturating_duration_since(now + BURST);
        *done = (*done).max(now) + Duration::from_secs_f64(amount as f64 / self.per_second as f64);
        wait
    }
}

impl Throttle {
    /// Limits `disk`.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, limits: Limits) -> Self {
        let (bytes, requests) = (limits.bytes.map(Bucket::new), limits.requests.map(Bucket::new));
        Self { disk, bytes, requests, patient: Mutex::new(true), changed: Condvar::new() }
    }

    fn wait(&self, bytes: u64) {
        let now = Instant::now();
        let one = self.requests.as_ref().map_or(Duration::ZERO, |bucket| bucket.take(1, now));
        let all = self.bytes.as_ref().map_or(Duration::ZERO, |bucket| bucket.take(bytes, now));
        let wait = one.max(all);
        if !wait.is_zero() {
            let mut patient = self.patient.lock();
            self.changed.wait_while_until(&mut patient, |patient| *patient, now + wait);
        }
    }
}

impl Disk for Throttle {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn geometry(&self) -> Geometry {
        self.disk.geometry()
    }

    fn read_only(&self) -> bool {
        self.disk.read_only()
    }

    fn id(&self) -> &str {
        self.disk.id()
    }

    fn read(&self, offset: u64, bufs: &mut [IoSliceMut<'_>]) -> Result<(), Error> {
        self.wait(bufs.iter().map(|b| b.len() as u64).sum());
        self.disk.read(offset, bufs)
    }

    fn write(&self, offset: u64, bufs: &[IoSlice<'_>]) -> Result<(), Error> {
        self.wait(bufs.iter().map(|b| b.len() as u64).sum());
        self.disk.write(offset, bufs)
    }

    fn read_volatile(&self, offset: u64, bufs: &[VolatileSlice<'_>]) -> Result<(), Error> {
        self.wait(bufs.iter().map(|b| b.len() as u64).sum());
        self.disk.read_volatile(offset, bufs)
    }

    fn write_volatile(&self, offset: u64, bufs: &[VolatileSlice<'_>]) -> Result<(), Error> {
        self.wait(bufs.iter().map(|b| b.len() as u64).sum());
        self.disk.write_volatile(offset, bufs)
    }

    fn write_durable(&self, offset: u64, bufs: &[IoSlice<'_>]) -> Result<(), Error> {
        self.wait(bufs.iter().map(|b| b.len() as u64).sum());
        self.disk.write_durable(offset, bufs)
    }

    fn flush(&self) -> Result<(), Error> {
        self.disk.flush()
    }

    fn discard(&self, offset: u64, len: u64) -> Result<(), Error> {
        self.wait(0);
        self.disk.discard(offset, len)
    }

    fn write_zeroes(&self, offset: u64, len: u64, unmap: bool) -> Result<(), Error> {
        // With unmap it is done by tables.
        self.wait(if unmap { 0 } else { len.min(self.disk.size()) });
        self.disk.write_zeroes(offset, len, unmap)
    }

    fn extent(&self, offset: u64, len: u64) -> Result<Extent, Error> {
        self.disk.extent(offset, len)
    }

    fn resize(&self, size: u64) -> Result<(), Error> {
        self.disk.resize(size)
    }

    fn watch_size(&self, watcher: Weak<dyn SizeWatcher>) {
        self.disk.watch_size(watcher);
    }

    fn set_patience(&self, patient: bool) {
        *self.patient.lock() = patient;
        self.changed.notify_all();
        self.disk.set_patience(patient);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_its_rate_and_a_burst_through() {
        let start = Instant::now();
        let bucket = Bucket { per_second: 1000, done: Mutex::new(start) };
        // 100 ms of burst at once, then as fast as the rate.
        for _ in 0..101 {
            assert_eq!(bucket.take(1, start), Duration::ZERO);
        }
        let late = (0..1000).map(|_| bucket.take(1, start)).max().unwrap();
        assert!((late.as_secs_f64() - 1.0).abs() < 0.01, "{late:?} for 1000 at 1000 a second");
        // After a long pause again a burst, and no more than that.
        let later = start + Duration::from_secs(60);
        assert_eq!(bucket.take(101, later), Duration::ZERO);
        assert!(bucket.take(1, later) <= Duration::from_millis(2));
        assert!(bucket.take(100, later) < Duration::from_millis(10) && !bucket.take(1, later).is_zero());
    }
}
