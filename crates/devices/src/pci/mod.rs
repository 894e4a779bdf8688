//! PCI Express as the guest meets it: a host bridge with ECAM, functions with BARs that the guest places, and MSI-X.
//!
//! The standards are "PCI Local Bus Specification 3.0" (configuration header, MSI-X) and "PCI Express Base
//! Specification" (ECAM, root ports, hot plug). Bus 0 has integrated endpoints without legacy interrupts and, where the
//! board wants them, [`RootPort`]s into whose slots devices come and go while the machine runs. A device makes its
//! function with [`FunctionBuilder`] on a [`Slot`] of the [`HostBridge`]; [`PciDevice`] is one that can do so for each
//! board anew.

mod bus;
mod config;
mod device;
mod fdt;
mod function;
mod host;
mod msix;
mod port;
mod requester;
pub mod spec;

pub use config::ConfigSpace;
pub use device::PciDevice;
pub use function::{BarKind, Function, FunctionBuilder, FunctionHooks, Identity};
pub use host::{HostBridge, Layout, PciError, Slot, Window};
pub use msix::Msix;
pub use port::{Removal, RootPort};
pub use requester::{Permit, Requester};
