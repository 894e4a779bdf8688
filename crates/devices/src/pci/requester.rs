//! A function as one that makes requests to memory by itself: who it is, and whether the guest lets it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};

use super::bus::Above;

/// Who makes a function's requests, and whether they get to memory. Clones are of the same function.
///
/// The guest changes its mind at any time, so a device looks when it begins something, and holds a [`Permit`] until it is
/// done with it.
#[derive(Clone)]
pub struct Requester(Arc<Shared>);

struct Shared {
    above: Arc<Above>,
    devfn: u8,
    /// Bus master enable of the function's command register.
    enabled: AtomicBool,
    /// How many permits there are.
    permits: Mutex<usize>,
    changed: Condvar,
}

/// Leave to reach memory, until it is dropped: who took it back waits for that.
pub struct Permit(Requester);

impl Requester {
    pub(super) fn new(above: Arc<Above>, devfn: u8) -> Self {
        let (enabled, permits, changed) = (AtomicBool::new(false), Mutex::default(), Condvar::new());
        Self(Arc::new(Shared { above, devfn, enabled, permits, changed }))
    }

    /// Whether the guest lets the function reach memory at this moment: the bus master enable of its command register
    /// (PCI 3.0, 6.2.2) and of the bridge above (PCI-to-PCI Bridge 1.2, 3.2.5.3).
    #[must_use]
    pub fn is_master(&self) -> bool {
        self.0.enabled.load(Ordering::SeqCst) && self.0.above.forwards()
    }

    /// Leave for one step of the device's work, which ends by itself; `None` when the guest does not let it.
    #[must_use]
    pub fn permit(&self) -> Option<Permit> {
        let mut permits = self.0.permits.lock();
        self.is_master().then(|| {
            *permits += 1;
            Permit(self.clone())
        })
    }

    /// The requester ID: bus, device and function in 16 bits.
    pub(super) fn id(&self) -> u32 {
        u32::from(self.0.above.number()) << 8 | u32::from(self.devfn())
    }

    pub(super) fn devfn(&self) -> u8 {
        self.0.devfn
    }

    /// The function's own enable is this now. Whether it was the other.
    pub(super) fn set_enabled(&self, enabled: bool) -> bool {
        self.0.enabled.swap(enabled, Ordering::SeqCst) != enabled
    }

    /// After a change: when there is no leave any more, waits until all that was given has ended.
    pub(super) fn settle(&self) {
        let mut permits = self.0.permits.lock();
        self.0.changed.notify_all();
        while *permits > 0 && !self.is_master() {
            self.0.changed.wait(&mut permits);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Shared { permits, changed, .. } = &*self.0.0;
        let mut permits = permits.lock();
        *permits -= 1;
        if *permits == 0 {
            changed.notify_all();
        }
    }
}
