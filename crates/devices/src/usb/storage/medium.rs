//! What is in a drive: a disk, which the guest and the host can eject and put back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use block::Disk;

/// A disk in a drive. It outlives the machine's resets: what was ejected stays so.
pub struct Medium {
    disk: Arc<dyn Disk>,
    serial: String,
    loaded: AtomicBool,
    /// Requests that failed on the host, for a log that the guest cannot fill.
    failures: AtomicU64,
    /// How often the medium was put in.
    insertions: AtomicU64,
}

impl Medium {
    /// `disk`, put in. `serial` is the drive's serial number, of which 20 printable ASCII characters are used;
    /// `None` takes the disk's own.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, serial: Option<&str>) -> Arc<Self> {
        let serial = serial.unwrap_or(disk.id()).chars().filter(char::is_ascii_graphic).take(20).collect();
        let (loaded, failures, insertions) = (AtomicBool::new(true), AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { disk, serial, loaded, failures, insertions })
    }

    /// Takes the disk out. The guest finds an empty drive.
    pub fn eject(&self) {
        self.loaded.store(false, Ordering::Release);
    }

    /// Puts the disk in again; the guest is told that it may be another.
    pub fn insert(&self) {
        if !self.loaded.swap(true, Ordering::AcqRel) {
            self.insertions.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Whether it is in the drive.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    /// The disk, if it is in the drive.
    pub(super) fn disk(&self) -> Option<&Arc<dyn Disk>> {
        self.is_loaded().then_some(&self.disk)
    }

    /// Logs the first, second, fourth... failure of the disk: the guest can make many.
    pub(super) fn failed(&self, error: &block::Error) {
        let count = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_power_of_two() {
            tracing::warn!(disk = self.disk.id(), %error, count, "a command of the guest failed");
        }
    }

    pub(super) fn insertions(&self) -> u64 {
        self.insertions.load(Ordering::Acquire)
    }

    pub(super) fn serial(&self) -> &str {
        &self.serial
    }
}
