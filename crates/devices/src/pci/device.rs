//! Devices that a board puts into its slots.

use std::sync::Arc;

use super::Slot;
use crate::GuestMemory;

/// A device that outlives boards: each board, and each slot that it is put into, gets a function of it. It is in one
/// slot at a time.
pub trait PciDevice: Send + Sync {
    /// Makes the function in `slot`, as it is after power-on: the guest sees it from now on, and it reaches `memory`.
    /// It ends with [`FunctionHooks::reset`](super::FunctionHooks::reset), after which `plug` may be called again.
    fn plug(self: Arc<Self>, slot: Slot, memory: GuestMemory);
}
