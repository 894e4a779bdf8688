//! Guest memory that goes back to the host.
#![allow(unsafe_code, reason = "madvise takes a pointer")]

use vm_memory::{GuestAddress, GuestMemoryBackend, GuestMemoryRegion};

use crate::GuestMemory;

/// Gives `len` bytes of RAM at guest-physical `addr` back to the host: what lies in whole pages of the host reads as
/// zeroes afterwards, or as before where the host has no use for it. What is not RAM is left out. Any thread, while
/// vCPUs run.
///
/// # Errors
/// When the host refuses; nothing is lost then.
pub fn release(memory: &GuestMemory, addr: u64, len: u64) -> std::io::Result<()> {
    let page = rustix::param::page_size() as u64;
    let (Some(start), Some(end)) = (addr.checked_next_multiple_of(page), addr.checked_add(len)) else { return Ok(()) };
    let end = end & !(page - 1);
    for region in memory.iter() {
        let base = region.start_addr().0;
        let from = start.max(base);
        let to = end.min(base.saturating_add(region.len()));
        if from >= to {
            continue;
        }
        // The guest's pages may be smaller than the host's, but a region begins and ends on one of the host's.
        let Ok(host) = memory.get_host_address(GuestAddress(from)) else { continue };
        #[cfg(target_os = "linux")]
        let advice = rustix::mm::Advice::LinuxDontNeed;
        #[cfg(not(target_os = "linux"))]
        let advice = rustix::mm::Advice::DontNeed;
        // SAFETY: `from..to` lies in one region, an anonymous private mapping that lives as long as `memory`. Guest
        // memory is only ever read as plain bytes that may change at any time, so that zeroes are as good as any.
        unsafe { rustix::mm::madvise(host.cast(), (to - from) as usize, advice) }?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use vm_memory::Bytes;

    use super::*;

    #[test]
    fn only_whole_pages_of_ram_go_back() {
        let page = rustix::param::page_size() as u64;
        let base = 0x4000_0000;
        let memory = GuestMemory::from_ranges(&[(GuestAddress(base), 8 * page as usize)]).unwrap();
        let fill = || memory.write_slice(&vec![7; 8 * page as usize], GuestAddress(base)).unwrap();
        let zeroes = || -> Vec<u64> {
            let byte = |n| memory.read_obj::<u8>(GuestAddress(base + n * page + 1)).unwrap();
            (0..8).filter(|n| byte(*n) == 0).collect()
        };
        for (addr, len, want) in [
            (base + 1, 2 * page, &[1][..]),
            (base, page, &[0]),
            (base + page, page - 1, &[]),
            (0, base + page, &[0]),
            (base + 6 * page, u64::MAX - base - 6 * page, &[6, 7]),
            (base + 2 * page, u64::MAX, &[]),
            (u64::MAX, 1, &[]),
            (base + 8 * page, page, &[]),
            (base, 0, &[]),
        ] {
            fill();
            release(&memory, addr, len).unwrap();
            assert_eq!(zeroes(), want, "{addr:#x}+{len:#x}");
        }
    }
}
