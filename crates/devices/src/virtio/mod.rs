//! Virtio devices: what a device class is ([`VirtioDevice`]), its queues, and the transport that carries it.
//!
//! The standard is "Virtual I/O Device (VIRTIO) Version 1.3", OASIS; section numbers in this folder are of that
//! document. A device class knows no transport: it sees the features that were negotiated, guest memory, its queues
//! and [`Interrupt`]. `pci` is the transport; the other folders are one class each.

pub mod balloon;
pub mod block;
mod chain;
pub mod console;
mod device;
pub mod entropy;
pub mod net;
pub mod pci;
mod queue;
pub mod spec;
mod worker;

pub use chain::{Chain, Malformed, Reader, Writer};
pub use device::{ActivateError, Activation, Interrupt, VirtioDevice};
pub use queue::Virtqueue;
pub use worker::{Waker, Worker};
