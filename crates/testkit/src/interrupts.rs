//! Where messages of PCI functions arrive.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use devices::irq::{Msi, MsiSink};
use parking_lot::{Condvar, Mutex};

/// Counts messages by requester ID and data.
#[derive(Default)]
pub struct Interrupts {
    counts: Mutex<HashMap<(u32, u32), u64>>,
    changed: Condvar,
}

impl MsiSink for Interrupts {
    fn signal(&self, msi: Msi) {
        assert_eq!(msi.address, Self::ADDRESS, "a message to an address that the driver did not set");
        *self.counts.lock().entry((msi.device_id, msi.data)).or_default() += 1;
        self.changed.notify_all();
    }
}

impl Interrupts {
    /// The address which drivers set in their vectors.
    pub const ADDRESS: u64 = 0x1_0808_0040;

    /// How many messages have come.
    #[must_use]
    pub fn count(&self, device_id: u32, data: u32) -> u64 {
        self.counts.lock().get(&(device_id, data)).copied().unwrap_or(0)
    }

    /// Waits until more than `seen` messages have come; `false` when they do not in time.
    #[must_use]
    pub fn wait_past(&self, device_id: u32, data: u32, seen: u64, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        let mut counts = self.counts.lock();
        while counts.get(&(device_id, data)).copied().unwrap_or(0) <= seen {
            if self.changed.wait_until(&mut counts, end).timed_out() {
                return false;
            }
        }
        true
    }
}
