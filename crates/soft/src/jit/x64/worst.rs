//! Pages made to be slow to translate: what is done at one pause of the guest is bounded for these, too.

use hv::GuestMemory;
use vm_memory::{Bytes, GuestAddress};

use super::{Assembler, Place};
use crate::code::{CodeCache, PAGE_OPS};
use crate::jit::region::{MAX_LEN, Region};
use crate::jit::site::SiteRange;
use crate::ram::Ram;

/// Most bytes of code for each instruction of a region: a store with its site, and what is behind that.
const MAX_BYTES: usize = 250;

/// Word `at` of a page.
type Page = fn(at: u32) -> u32;

/// Registers in the fields that most instructions have: Rd or Rt, and Rn.
fn fields(d: u32, n: u32) -> u32 {
    n << 5 | d
}

const PAGES: &[(&str, Page)] = &[
    // BR, as many as fit; and more, for which the cases are dropped again.
    ("jumps by register", |at| if at < 250 { 0xd61f_0000 | fields(0, at % 30) } else { 0 }),
    ("too many jumps by register", |at| if at % 4 == 3 { 0xd61f_0000 } else { 0x9100_0421 }),
    // BL to the first word, CBZ over the RET behind it.
    ("calls and returns", |at| {
        [0x9400_0000 | (0u32.wrapping_sub(at) & 0x3ff_ffff), 0xb400_0040, 0xd65f_03c0][at as usize % 3]
    }),
    // CBNZ to the start, of another register each time.
    ("loops", |at| 0xb500_0000 | fields(at % 30, 0u32.wrapping_sub(at) & 0x7_ffff)),
    ("ways out", |at| 0xb500_0000 | fields(at % 30, 0x400)),
    ("ways out inside the page", |at| 0xb400_0000 | fields(at % 30, 300 + at / 2)),
    // LDR Xt, [Xn], #8 over each other, in a loop that the last word closes.
    (
        "loads in a loop",
        |at| if at % 256 == 255 { 0x17ff_ff01 } else { 0xf840_8400 | fields(at * 11 % 30, at * 7 % 30) },
    ),
    ("stores of vectors in a loop", |at| {
        if at % 256 == 255 { 0x17ff_ff01 } else { 0x3c81_0400 | fields(at % 32, at * 7 % 30) }
    }),
    ("FMADD", |at| 0x1f40_0000 | (at % 32) << 16 | (at * 3 % 32) << 10 | fields(at * 7 % 32, at * 5 % 32)),
    ("FDIV of vectors", |at| 0x6e20_fc00 | (at % 32) << 16 | fields(at * 7 % 32, at * 3 % 32)),
    // CCMP on LS, which needs a call where flags are not known, behind a label each time.
    ("conditions", |at| if at % 2 == 0 { 0xfa41_9000 } else { 0x5400_0029 }),
    ("additions", |at| 0x8b00_0000 | (at % 30) << 16 | fields(at * 7 % 30, at * 3 % 30)),
];

#[test]
fn no_page_makes_a_translation_long() {
    for (name, word) in PAGES {
        let memory = GuestMemory::from_ranges(&[(GuestAddress(0), 4096)]).unwrap();
        for at in 0..PAGE_OPS as u32 {
            memory.write_obj(word(at), GuestAddress(u64::from(at) * 4)).unwrap();
        }
        let ram = Ram::new(memory);
        let mut cache = CodeCache::new(1);
        let page = cache.page(0, ram.page(0).unwrap()).0;
        (0..PAGE_OPS).for_each(|at| _ = page.allocated_word(at));
        let Some(region) = Region::of(page, 0, false) else { continue };
        let instructions = region.slots.len();
        assert!(instructions <= MAX_LEN, "{name}: {instructions} instructions");
        let (mut sites, mut assembler) = (SiteRange::new(1 << 16), Assembler::new(0));
        let translation = super::translate(&region, page, Place::default(), &mut sites, &mut assembler);
        let bytes = translation.expect("every first word has a translation").code.len();
        assert!(bytes <= 1024 + instructions * MAX_BYTES, "{name}: {bytes} bytes for {instructions} instructions");
    }
}
