//! The software TLB for data: 4 KiB pages, two ways, tagged with the translation context.
//!
//! The first way is probed in line by the interpreter; the second is looked at on a miss and swapped in. Larger blocks
//! are entered page by page, and remembered by 2 MiB number, so that an invalidation by address inside one drops all.

use std::ops::RangeInclusive;

use crate::code::PAGE_SIZE;

/// Sets of the TLB.
pub(crate) const SETS: usize = 1024;
/// A tag that no access has.
const INVALID: u64 = u64::MAX;
/// Bits of the set of 2 MiB regions.
const REGION_BITS: usize = 1 << 15;

/// What a page may be used for directly.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Entry {
    /// Page address and context for loads, or [`INVALID`].
    pub read: u64,
    /// The same for stores.
    pub write: u64,
    /// Host address minus virtual address.
    pub addend: u64,
    /// The mapping is not global.
    pub non_global: bool,
}

const EMPTY: Entry = Entry { read: INVALID, write: INVALID, addend: 0, non_global: false };

/// The TLB of one CPU.
#[repr(C)]
pub(crate) struct Tlb {
    /// One more than the times that something was dropped which might have been copied ([`crate::jit`]'s sites).
    pub drops: u64,
    first: [Entry; SETS],
    second: [Entry; SETS],
    /// Which 2 MiB regions, hashed, hold pages of blocks of that size or more.
    regions: [u64; REGION_BITS / 64],
    /// A block of more than 2 MiB is cached: any invalidation by address drops everything.
    giant: bool,
    /// log2 of the largest page below 2 MiB that was entered: its pages go together.
    granule_bits: u8,
}

/// Offset of the first way in [`Tlb`].
pub(crate) const FIRST_WAY: usize = std::mem::offset_of!(Tlb, first);

impl Tlb {
    /// An empty TLB.
    pub fn new() -> Self {
        Self {
            drops: 1,
            first: [EMPTY; SETS],
            second: [EMPTY; SETS],
            regions: [0; REGION_BITS / 64],
            giant: false,
            granule_bits: 12,
        }
    }

    #[inline(always)]
    fn set(va: u64) -> usize {
        (va / PAGE_SIZE) as usize % SETS
    }

    /// The host address for a load of `size` bytes at `va`, none of it outside the page.
    ///
    /// The last byte's page is compared: the page after this one is never in the same set, so an access over the end
    /// of the page misses.
    #[inline(always)]
    pub fn read(&self, va: u64, size: u64, context: u64) -> Option<u64> {
        let e = &self.first[Self::set(va)];
        let tag = (va.wrapping_add(size - 1) & !(PAGE_SIZE - 1)) | context;
        (e.read == tag).then(|| e.addend.wrapping_add(va))
    }

    /// The host address for a store.
    #[inline(always)]
    pub fn write(&self, va: u64, size: u64, context: u64) -> Option<u64> {
        let e = &self.first[Self::set(va)];
        let tag = (va.wrapping_add(size - 1) & !(PAGE_SIZE - 1)) | context;
        (e.write == tag).then(|| e.addend.wrapping_add(va))
    }

    /// Brings the second way's entry for `va` to the front; whether there was one.
    pub fn promote(&mut self, va: u64, context: u64, write: bool) -> bool {
        let set = Self::set(va);
        let tag = (va & !(PAGE_SIZE - 1)) | context;
        let e = &self.second[set];
        let hit = if write { e.write == tag } else { e.read == tag };
        if hit {
            std::mem::swap(&mut self.first[set], &mut self.second[set]);
        }
        hit
    }

    /// Enters the page of `va`, which lies in a page or block of `1 << bits` bytes.
    pub fn insert(&mut self, va: u64, context: u64, entry: Entry, bits: u8) {
        self.note_block(va, bits);
        let set = Self::set(va);
        let tag = (va & !(PAGE_SIZE - 1)) | context;
        // The same page with fewer rights must not stay in the other way, to be promoted later.
        if self.first[set].read != tag && self.first[set].write != tag {
            self.second[set] = self.first[set];
        } else if self.second[set].read == tag || self.second[set].write == tag {
            self.second[set] = EMPTY;
        }
        self.first[set] = entry;
    }

    /// Remembers that the page of `va` lies in a page or block of `1 << bits` bytes.
    pub fn note_block(&mut self, va: u64, bits: u8) {
        match bits {
            0..=12 => {}
            13..=20 => self.granule_bits = self.granule_bits.max(bits),
            21 => {
                let region = Self::region(va);
                self.regions[region / 64] |= 1 << (region % 64);
            }
            _ => self.giant = true,
        }
    }

    /// The tag of the page of `va` in `context`.
    pub fn tag(va: u64, context: u64) -> u64 {
        (va & !(PAGE_SIZE - 1)) | context
    }

    fn region(va: u64) -> usize {
        let n = (va << 8) >> 29;
        (n ^ n >> 15) as usize % REGION_BITS
    }

    /// Drops the page of `va` in every context, with all that may be of the same larger page: the addresses that were
    /// dropped. `None` when it was part of a block and everything was dropped.
    pub fn remove(&mut self, va: u64) -> Option<RangeInclusive<u64>> {
        self.drops += 1;
        let region = Self::region(va);
        if self.giant || self.regions[region / 64] >> (region % 64) & 1 != 0 {
            self.clear();
            return None;
        }
        let inside = (1 << self.granule_bits) - 1;
        let dropped = va & !inside..=va | inside;
        for page in dropped.clone().step_by(PAGE_SIZE as usize) {
            let set = Self::set(page);
            self.first[set] = EMPTY;
            self.second[set] = EMPTY;
        }
        Some(dropped)
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.drops += 1;
        self.first.fill(EMPTY);
        self.second.fill(EMPTY);
        self.regions.fill(0);
        self.giant = false;
        self.granule_bits = 12;
    }

    /// Drops the mappings that are not global.
    pub fn clear_non_global(&mut self) {
        self.drops += 1;
        for e in self.first.iter_mut().chain(&mut self.second) {
            if e.non_global {
                *e = EMPTY;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(va: u64) -> Entry {
        Entry { read: Tlb::tag(va, 1), write: INVALID, addend: 0x1000_0000, non_global: false }
    }

    #[test]
    fn an_access_over_the_end_of_a_page_misses() {
        let mut tlb = Tlb::new();
        tlb.insert(0x5000, 1, entry(0x5000), 12);
        tlb.insert(0x6000, 1, entry(0x6000), 12);
        assert_eq!(tlb.read(0x5ff8, 8, 1), Some(0x1000_5ff8));
        assert_eq!(tlb.read(0x5ff9, 8, 1), None);
        assert_eq!(tlb.read(0x5ff8, 8, 0), None);
        assert_eq!(tlb.write(0x5ff8, 8, 1), None);
    }

    #[test]
    fn two_pages_of_one_set_live_together() {
        let mut tlb = Tlb::new();
        let (a, b) = (0x5000, 0x5000 + SETS as u64 * PAGE_SIZE);
        tlb.insert(a, 1, entry(a), 12);
        tlb.insert(b, 1, entry(b), 12);
        assert_eq!(tlb.read(a, 1, 1), None);
        assert!(tlb.promote(a, 1, false));
        assert!(tlb.read(a, 1, 1).is_some());
        assert_eq!(tlb.remove(b), Some(b..=b + PAGE_SIZE - 1));
        assert!(!tlb.promote(b, 1, false) && tlb.read(b, 1, 1).is_none());
    }

    #[test]
    fn an_address_in_a_block_drops_the_whole_block() {
        let mut tlb = Tlb::new();
        tlb.insert(0x40_0000, 1, entry(0x40_0000), 21);
        tlb.insert(0x100_5000, 1, entry(0x100_5000), 12);
        assert!(tlb.remove(0x100_5000).is_some());
        assert!(tlb.remove(0x5f_f000).is_none());
        assert_eq!(tlb.read(0x40_0000, 1, 1), None);
    }
}
