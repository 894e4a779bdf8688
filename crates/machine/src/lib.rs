//! The board: memory map, device tree, loaders, vCPU threads, start, stop and reset.
//!
//! This is the only place where engines ([`hv`]) and devices ([`devices`]) meet, and the only one that knows
//! addresses and interrupt numbers.

mod error;
pub mod layout;
pub mod loader;
pub mod memory;

pub use error::Error;
