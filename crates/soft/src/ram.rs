//! The guest's RAM as the CPU reaches it: host pointers, and single-copy atomic accesses through them.

#![allow(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use hv::GuestMemory;
use vm_memory::{Address, GuestMemoryBackend as _, GuestMemoryRegion, MemoryRegionAddress};

use crate::code::PAGE_SIZE;

/// Guest RAM with the host address of each region. Holds the mapping, so that pointers from it stay valid.
#[derive(Clone)]
pub(crate) struct Ram {
    regions: Arc<[Region]>,
    _memory: GuestMemory,
}

struct Region {
    base: u64,
    len: u64,
    host: *mut u8,
}

// SAFETY: a region is an address range of a shared mapping that `Ram` keeps alive; all accesses through it are by the
// functions of this file, which are atomic or volatile.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Ram {
    /// The regions of `memory`, which are whole pages.
    pub fn new(memory: GuestMemory) -> Self {
        let regions = memory
            .iter()
            .map(|r| Region {
                base: r.start_addr().raw_value(),
                len: r.len() / PAGE_SIZE * PAGE_SIZE,
                host: r.get_host_address(MemoryRegionAddress(0)).expect("a region starts inside itself"),
            })
            .collect();
        Self { regions, _memory: memory }
    }

    /// The host page of the guest-physical address `pa`, if it is RAM.
    pub fn page(&self, pa: u64) -> Option<HostPage> {
        let base = pa & !(PAGE_SIZE - 1);
        let region = self.regions.iter().find(|r| base.wrapping_sub(r.base) < r.len)?;
        Some(HostPage(region.host.wrapping_add((base - region.base) as usize)))
    }

    /// A pointer to the 8 aligned bytes at `pa`.
    fn descriptor(&self, pa: u64) -> Option<&AtomicU64> {
        let page = self.page(pa)?;
        // SAFETY: the page is mapped as long as `self` lives, and the address is aligned to 8.
        Some(unsafe { AtomicU64::from_ptr(page.0.add((pa & (PAGE_SIZE - 8)) as usize).cast()) })
    }
}

impl arm64::mmu::TableMemory for Ram {
    fn read(&mut self, pa: u64) -> Option<u64> {
        Some(self.descriptor(pa)?.load(Ordering::Acquire))
    }

    fn compare_exchange(&mut self, pa: u64, old: u64, new: u64) -> Option<Result<u64, u64>> {
        Some(self.descriptor(pa)?.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire))
    }
}

/// The host address of a page of guest RAM, valid as long as its [`Ram`].
#[derive(Clone, Copy)]
pub(crate) struct HostPage(*mut u8);

impl HostPage {
    /// No page.
    pub const fn none() -> Self {
        Self(std::ptr::null_mut())
    }

    /// The host address.
    pub fn address(self) -> u64 {
        self.0 as u64
    }

    /// The byte at `offset`, below the page size.
    pub fn at(self, offset: u64) -> HostPtr {
        HostPtr(self.0.wrapping_add((offset & (PAGE_SIZE - 1)) as usize))
    }

    /// Instruction word `index`, below 1024.
    pub fn word(self, index: usize) -> u32 {
        self.at(index as u64 * 4).load::<u32>()
    }
}

/// The host address of bytes in guest RAM: made from a TLB entry or a [`HostPage`], valid until the TLB changes.
#[derive(Clone, Copy)]
pub(crate) struct HostPtr(pub(crate) *mut u8);

/// Plain data of 1 to 16 bytes, little-endian in guest memory.
pub trait Scalar: Copy {
    /// Bytes.
    const SIZE: u64;
    /// From the lowest bytes of `v`.
    fn from_u64(v: u64) -> Self;
    /// From the lowest bytes of `v`.
    fn from_u128(v: u128) -> Self;
    /// Zero-extended.
    fn to_u128(self) -> u128;
}

macro_rules! scalars {
    ($($t:ty),*) => {$(
        impl Scalar for $t {
            const SIZE: u64 = size_of::<$t>() as u64;
            #[inline(always)]
            fn from_u64(v: u64) -> Self {
                v as $t
            }
            #[inline(always)]
            fn from_u128(v: u128) -> Self {
                v as $t
            }
            #[inline(always)]
            fn to_u128(self) -> u128 {
                self as u128
            }
        }
    )*};
}
scalars!(u8, u16, u32, u64, u128);

/// Lets a volatile access be unaligned: one host instruction on every host that we run on.
#[repr(C, packed)]
struct Unaligned<T>(T);

impl HostPtr {
    /// Loads `T` from any alignment; single-copy atomic up to 8 bytes where it is aligned.
    #[inline(always)]
    pub fn load<T: Scalar>(self) -> T {
        // SAFETY: the bytes are guest RAM inside one page (see the type). Other threads may write them: the access is
        // volatile and any bit pattern is a `T`.
        unsafe { self.0.cast::<Unaligned<T>>().read_volatile().0 }
    }

    /// Stores `T` at any alignment; single-copy atomic up to 8 bytes where it is aligned.
    #[inline(always)]
    pub fn store<T: Scalar>(self, value: T) {
        // SAFETY: as in `load`.
        unsafe { self.0.cast::<Unaligned<T>>().write_volatile(Unaligned(value)) }
    }

    /// Fills `len` bytes of the page with zeroes.
    pub fn zero(self, len: usize) {
        // SAFETY: the caller stays inside the page; racing accesses of the guest see bytes or zeroes.
        unsafe { self.0.write_bytes(0, len) }
    }

    /// The aligned 8 bytes as an atomic.
    #[inline(always)]
    pub fn atomic64(&self) -> &AtomicU64 {
        debug_assert!((self.0 as usize).is_multiple_of(8));
        // SAFETY: guest RAM, aligned by the caller's check.
        unsafe { AtomicU64::from_ptr(self.0.cast()) }
    }

    /// The aligned 4 bytes as an atomic.
    #[inline(always)]
    pub fn atomic32(&self) -> &AtomicU32 {
        debug_assert!((self.0 as usize).is_multiple_of(4));
        // SAFETY: as above.
        unsafe { AtomicU32::from_ptr(self.0.cast()) }
    }

    /// The aligned 2 bytes as an atomic.
    #[inline(always)]
    pub fn atomic16(&self) -> &AtomicU16 {
        debug_assert!((self.0 as usize).is_multiple_of(2));
        // SAFETY: as above.
        unsafe { AtomicU16::from_ptr(self.0.cast()) }
    }

    /// The byte as an atomic.
    #[inline(always)]
    pub fn atomic8(&self) -> &AtomicU8 {
        // SAFETY: as above.
        unsafe { AtomicU8::from_ptr(self.0) }
    }

    /// Compares the aligned 16 bytes with `old` and replaces them by `new` if they are equal: `Ok`, or `Err` with what
    /// is there.
    #[inline]
    pub fn compare_exchange128(self, old: u128, new: u128) -> Result<u128, u128> {
        wide::compare_exchange(self.0, old, new)
    }
}

/// 16-byte compare-and-swap, which stable Rust has no portable type for.
mod wide {
    #[cfg(target_arch = "x86_64")]
    pub(super) fn compare_exchange(at: *mut u8, old: u128, new: u128) -> Result<u128, u128> {
        assert!((at as usize).is_multiple_of(16));
        let (mut lo, mut hi) = (old as u64, (old >> 64) as u64);
        // SAFETY: guest RAM, aligned to 16, on a CPU that has the instruction (`Vm::new` checks). RBX, which the
        // compiler keeps for itself and may use for any `reg` operand but `new_lo`, is put back.
        unsafe {
            std::arch::asm!(
                "xchg rbx, {new_lo}",
                "lock cmpxchg16b [rdi]",
                "mov rbx, {new_lo}",
                in("rdi") at,
                new_lo = inout(reg) new as u64 => _,
                in("rcx") (new >> 64) as u64,
                inout("rax") lo,
                inout("rdx") hi,
                options(nostack),
            );
        }
        let was = (hi as u128) << 64 | lo as u128;
        if was == old { Ok(was) } else { Err(was) }
    }

    #[cfg(target_arch = "aarch64")]
    pub(super) fn compare_exchange(at: *mut u8, old: u128, new: u128) -> Result<u128, u128> {
        assert!((at as usize).is_multiple_of(16));
        let (mut lo, mut hi): (u64, u64);
        let (old_lo, old_hi, new_lo, new_hi) = (old as u64, (old >> 64) as u64, new as u64, (new >> 64) as u64);
        // SAFETY: guest RAM, aligned to 16. A load-exclusive / store-exclusive pair over the 16 bytes; writing back
        // what was read makes the failing path single-copy atomic too.
        unsafe {
            std::arch::asm!(
                "2: ldaxp {lo}, {hi}, [{at}]",
                "cmp {lo}, {old_lo}",
                "ccmp {hi}, {old_hi}, #0, eq",
                "csel {t_lo}, {new_lo}, {lo}, eq",
                "csel {t_hi}, {new_hi}, {hi}, eq",
                "stlxp {status:w}, {t_lo}, {t_hi}, [{at}]",
                "cbnz {status:w}, 2b",
                at = in(reg) at, old_lo = in(reg) old_lo, old_hi = in(reg) old_hi,
                new_lo = in(reg) new_lo, new_hi = in(reg) new_hi,
                lo = out(reg) lo, hi = out(reg) hi, t_lo = out(reg) _, t_hi = out(reg) _, status = out(reg) _,
                options(nostack),
            );
        }
        let was = (hi as u128) << 64 | lo as u128;
        if was == old { Ok(was) } else { Err(was) }
    }
}
