//! Guest RAM: one region from [`RAM_BASE`] and one for firmware, given by the host page by page as it is touched.

use hv::GuestMemory;
use vm_memory::{GuestAddress, GuestMemoryBackend, GuestMemoryRegion};

use crate::Error;
use crate::layout::{FIRMWARE, RAM_BASE, RAM_MAX};

/// The smallest machine, in bytes: a kernel and its device tree have to fit.
pub const RAM_MIN: u64 = 16 << 20;

/// Maps `size` bytes of zeroes, a multiple of 2 MiB, without reserving host memory for them; and as RAM, too, the place
/// of firmware, if there is some.
///
/// # Errors
/// When the size is out of bounds or the host refuses.
pub fn map(size: u64, firmware: bool) -> Result<GuestMemory, Error> {
    if !(RAM_MIN..=RAM_MAX).contains(&size) || !size.is_multiple_of(2 << 20) {
        return Err(Error::MemorySize { mib: size >> 20, min: RAM_MIN >> 20, max: RAM_MAX >> 20 });
    }
    let bytes = usize::try_from(size).map_err(|_| Error::MemorySize {
        mib: size >> 20,
        min: RAM_MIN >> 20,
        max: usize::MAX as u64 >> 20,
    })?;
    let mut ranges = vec![(GuestAddress(RAM_BASE), bytes)];
    if firmware {
        ranges.insert(0, (GuestAddress(FIRMWARE.base), FIRMWARE.size as usize));
    }
    GuestMemory::from_ranges(&ranges).map_err(|e| Error::Memory { mib: size >> 20, reason: e.to_string() })
}

/// The first address behind RAM.
pub(crate) fn ram_end(memory: &GuestMemory) -> u64 {
    memory.iter().map(|r| r.start_addr().0 + r.len()).max().unwrap_or(RAM_BASE)
}
