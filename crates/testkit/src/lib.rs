//! The guest's side of virtio, for tests: a machine without CPUs, and a driver that works a device by its PCI registers
//! and its rings as a guest would.
//!
//! ```
//! use std::sync::Arc;
//! use testkit::Guest;
//!
//! let guest = Guest::new();
//! let mut driver = guest.plug(Arc::new(devices::virtio::entropy::Entropy::new(std::io::repeat(7))));
//! driver.init(0);
//! assert_eq!(driver.request(0, &[], &[4]).data, [7; 4]);
//! ```
//!
//! [`nvme::Driver`] is the same for NVMe, and [`disk`] has what every controller of disks has to pass, whatever it is.
//!
//! Everything here panics when the device does not do what it has to: it is for tests only. [`contract`] has the tests
//! which every virtio device has to pass.

pub mod contract;
pub mod disk;
mod driver;
mod guest;
mod interrupts;
pub mod malformed;
pub mod nvme;
pub mod pci;
mod ring;
pub mod xhci;

pub use driver::{Driver, Refused};
pub use guest::Guest;
pub use interrupts::Interrupts;
pub use ring::{Buffer, Ring, Used};

/// How long a device may take for anything before a test fails.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);
