//! Memory that the guest's balloon gives back.

use devices::virtio::balloon::MemoryReclaim;
use hv::GuestMemory;
use parking_lot::Mutex;

/// Gives memory of the machine's present board back to the host. Made before the balloon, which outlives boards.
#[derive(Default)]
pub struct Reclaim(Mutex<Option<GuestMemory>>);

impl Reclaim {
    /// One without a board.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn set(&self, memory: Option<GuestMemory>) {
        *self.0.lock() = memory;
    }
}

impl MemoryReclaim for Reclaim {
    fn release(&self, addr: u64, len: u64) {
        let memory = self.0.lock().clone();
        if let Some(Err(error)) = memory.map(|memory| hv::release(&memory, addr, len)) {
            tracing::debug!(%error, addr, len, "the host does not take memory back");
        }
    }
}
