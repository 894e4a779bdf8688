//! The devices of the board, and the bus that they stand on.
//!
//! A device knows no engine, no file, no socket and no window: it sees guest memory, the bus, its interrupt lines
//! and the back ends that it was given. One folder per device; `spec.rs` in it names registers after the standard.

pub mod bus;
#[cfg(test)]
pub(crate) mod contract;
pub mod flash;
pub mod gic;
pub mod irq;
pub mod nvme;
pub mod pci;
pub mod pl011;
pub mod pl031;
pub mod pl061;
pub mod regs;
pub mod usb;
pub mod virtio;
pub mod xhci;

/// The guest's RAM: regions of host memory at guest-physical addresses.
pub type GuestMemory = vm_memory::GuestMemoryMmap<()>;
