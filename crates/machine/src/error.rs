//! What keeps a machine from being built or started.

use crate::loader::LoadError;

/// Why a machine could not be built or started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Memory size out of bounds.
    #[error("a machine cannot have {mib} MiB of memory: choose an even number from {min} to {max}")]
    MemorySize {
        /// What was asked for.
        mib: u64,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// The host did not give the address space.
    #[error("the host cannot map {mib} MiB of guest memory: {reason}")]
    Memory {
        /// The size.
        mib: u64,
        /// The host's reason.
        reason: String,
    },
    /// The number of CPUs is out of bounds.
    #[error("a machine cannot have {cpus} CPUs: choose from 1 to {max}")]
    CpuCount {
        /// What was asked for.
        cpus: u32,
        /// The most.
        max: u32,
    },
    /// Kernel or initial RAM disk.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The device tree could not be written.
    #[error("the device tree cannot be made: {0}")]
    DeviceTree(String),
    /// A device could not be put on the board.
    #[error("the {device} cannot be put on the board: {reason}")]
    Device {
        /// Its name.
        device: &'static str,
        /// Why.
        reason: String,
    },
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] hv::Error),
    /// A thread could not be started.
    #[error("a thread for a CPU cannot be started: {0}")]
    Thread(std::io::Error),
}
