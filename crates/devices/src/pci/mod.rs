//! PCI Express as the guest meets it: a host bridge with ECAM, functions with BARs that the guest places, and MSI-X.
//!
//! The standards are "PCI Local Bus Specification 3.0" (configuration header, MSI-X) and "PCI Express Base
//! Specification" (ECAM). There is one bus, number 0, and every function on it is an integrated endpoint without
//! legacy interrupts. A device makes its function with [`FunctionBuilder`] on a [`Slot`] of the [`HostBridge`].

mod config;
mod fdt;
mod function;
mod host;
mod msix;
pub mod spec;

pub use config::ConfigSpace;
pub use function::{BarKind, Function, FunctionBuilder, FunctionHooks, Identity};
pub use host::{HostBridge, Layout, PciError, Slot, Window};
pub use msix::Msix;
