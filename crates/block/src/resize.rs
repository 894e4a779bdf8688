//! How a controller learns that its disk has another size.

use std::sync::Weak;

use parking_lot::Mutex;

/// Is told when the size of a disk has changed; see [`Disk::watch_size`](crate::Disk::watch_size).
pub trait SizeWatcher: Send + Sync {
    /// The disk has `size` bytes now, and its `size` says so. Called on the thread that resized it, or on a thread of
    /// the disk when someone else did, without a lock held; it may take locks, and must not wait for I/O of this disk.
    fn size_changed(&self, size: u64);
}

/// The watchers of a disk, for implementers. Those that have been dropped are forgotten.
#[derive(Default)]
pub struct SizeWatchers(Mutex<Vec<Weak<dyn SizeWatcher>>>);

impl SizeWatchers {
    /// Adds one.
    pub fn add(&self, watcher: Weak<dyn SizeWatcher>) {
        let mut watchers = self.0.lock();
        watchers.retain(|w| w.strong_count() > 0);
        watchers.push(watcher);
    }

    /// Tells them all, after the change and without a lock held.
    pub fn tell(&self, size: u64) {
        let watchers: Vec<_> = self.0.lock().iter().filter_map(Weak::upgrade).collect();
        for watcher in watchers {
            watcher.size_changed(size);
        }
    }
}

impl std::fmt::Debug for SizeWatchers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SizeWatchers({})", self.0.lock().len())
    }
}
