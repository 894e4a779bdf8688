//! The board: memory map, device tree, loaders, vCPU threads, start, stop and reset.
//!
//! This is the only place where engines ([`hv`]) and devices ([`devices`]) meet, and the only one that knows
//! addresses and interrupt numbers.

mod board;
mod boot;
mod cpu;
mod debug;
mod error;
mod glue;
mod hotplug;
pub mod layout;
pub mod loader;
mod machine;
pub mod memory;
mod reclaim;
mod serial;
mod tree;

pub use board::{MakeVm, Parts};
pub use boot::{Boot, FirmwareBoot, LinuxBoot};
pub use debug::{DebugError, Debugger, Notice, Order};
pub use error::Error;
pub use hotplug::HotPlugError;
pub use machine::{Control, Counters, End, Event, Machine, Outcome};
pub use reclaim::Reclaim;
