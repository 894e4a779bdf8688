//! The code that representative instructions become, kept in `golden.txt`: a longer sequence shows as a difference.
//!
//! Each line is the instructions, how many bytes they become, and these bytes. The ways out behind a region are not in
//! it. `UPDATE_GOLDEN=1 cargo test -p russet-soft golden` writes the file anew.

use std::fmt::Write as _;

use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use hv::GuestMemory;
use vm_memory::{Bytes, GuestAddress};

use super::{Assembler, Emitter, Features, POOL, Place};
use crate::code::CodeCache;
use crate::jit::region::Region;
use crate::ram::Ram;

const CASES: &[(&str, &[u32])] = &[
    ("add x0, x1, #16", &[0x9100_4020]),
    ("add w0, w1, w2", &[0x0b02_0020]),
    ("add x0, x1, x2, lsl #3", &[0x8b02_0c20]),
    ("add x0, x1, w2, uxtw #2", &[0x8b22_4820]),
    ("sub x0, x1, x2", &[0xcb02_0020]),
    ("sub w0, w1, #1", &[0x5100_0420]),
    ("subs x0, x1, x2", &[0xeb02_0020]),
    ("cmp w1, #10; b.lt .+8", &[0x7100_283f, 0x5400_004b]),
    ("cmp x1, x2; b.eq .+8", &[0xeb02_003f, 0x5400_0040]),
    ("tst x1, #0xff; b.ne .+8", &[0xf240_1c3f, 0x5400_0041]),
    ("adds w0, w1, w2; csel w3, w4, w5, lt", &[0x2b02_0020, 0x1a85_b083]),
    ("cmp x3, x4; ccmp x1, x2, #4, ne; b.eq .+8", &[0xeb04_007f, 0xfa42_1024, 0x5400_0040]),
    ("and x0, x1, #0xff00", &[0x9278_1c20]),
    ("orr w0, w1, w2", &[0x2a02_0020]),
    ("eor x0, x1, x2, ror #7", &[0xcac2_1c20]),
    ("bic x0, x1, x2", &[0x8a22_0020]),
    ("mov x0, x1", &[0xaa01_03e0]),
    ("mov x0, #0x12340000", &[0xd2a2_4680]),
    ("movk x0, #0xbeef, lsl #32", &[0xf2d7_dde0]),
    ("adrp x0, .+0x10000", &[0x9000_0080]),
    ("ubfx x0, x1, #4, #12", &[0xd344_3c20]),
    ("ubfiz x0, x1, #4, #5", &[0xd37c_1020]),
    ("sbfx w0, w1, #3, #5", &[0x1303_1c20]),
    ("lsl x0, x1, #3", &[0xd37d_f020]),
    ("lsr w0, w1, #7", &[0x5307_7c20]),
    ("sxtw x0, w1", &[0x9340_7c20]),
    ("uxtb w0, w1", &[0x5300_1c20]),
    ("bfi x0, x1, #8, #4", &[0xb378_0c20]),
    ("extr x0, x1, x2, #9", &[0x93c2_2420]),
    ("ror w0, w1, #7", &[0x1381_1c20]),
    ("cset w0, eq", &[0xeb02_003f, 0x1a9f_17e0]),
    ("adds x0, x1, x2; adcs x3, x4, x5; adc x6, xzr, xzr", &[0xab02_0020, 0xba05_0083, 0x9a1f_03e6]),
    ("udiv x0, x1, x2", &[0x9ac2_0820]),
    ("clz w0, w1", &[0x5ac0_1020]),
    ("lslv x0, x1, x2", &[0x9ac2_2020]),
    ("mul x0, x1, x2", &[0x9b02_7c20]),
    ("msub w0, w1, w2, w3", &[0x1b02_8c20]),
    ("umull x0, w1, w2", &[0x9ba2_7c20]),
    ("umulh x0, x1, x2", &[0x9bc2_7c20]),
    ("rev x0, x1", &[0xdac0_0c20]),
    ("ldr x0, [x1, #8]", &[0xf940_0420]),
    ("stp x29, x30, [sp, #-32]!; str x19, [sp, #16]", &[0xa9be_7bfd, 0xf900_0bf3]),
    ("ldr w0, [x1, w2, uxtw #2]", &[0xb862_5820]),
    ("ldrb w0, [x1], #1", &[0x3840_1420]),
    ("ldrsw x0, [x1]", &[0xb980_0020]),
    ("str x0, [x1, #-16]!", &[0xf81f_0c20]),
    ("strh w0, [x1, x2]", &[0x7822_6820]),
    ("ldp x0, x2, [x1], #16", &[0xa8c1_0820]),
    ("stp x0, x2, [x1, #-32]!", &[0xa9be_0820]),
    ("ldr q0, [x1]", &[0x3dc0_0020]),
    ("str d0, [x1, #8]", &[0xfd00_0420]),
    ("cbz x0, .+8", &[0xb400_0040]),
    ("tbnz w0, #5, .+8", &[0x3728_0040]),
    ("fadd d0, d1, d2", &[0x1e62_2820]),
    ("fmul s0, s1, s2", &[0x1e22_0820]),
    ("fmadd d0, d1, d2, d3", &[0x1f42_0c20]),
    ("fcmp d0, d1; b.gt .+8", &[0x1e61_2000, 0x5400_004c]),
    ("fcmp d0, d1; fcsel d2, d3, d4, mi", &[0x1e61_2000, 0x1e64_4c62]),
    ("fcvtzs x0, d1", &[0x9e78_0020]),
    ("scvtf d0, x1", &[0x9e62_0020]),
    ("fmov x0, d1", &[0x9e66_0020]),
    ("fadd v0.4s, v1.4s, v2.4s", &[0x4e22_d420]),
    ("add v0.16b, v1.16b, v2.16b", &[0x4e22_8420]),
    ("add v0.8b, v1.8b, v2.8b", &[0x0e22_8420]),
    ("cmeq v0.16b, v1.16b, #0", &[0x4e20_9820]),
    ("umaxp v0.4s, v1.4s, v2.4s", &[0x6ea2_a420]),
    ("umull v0.2d, v1.2s, v2.2s", &[0x2ea2_c020]),
    ("dup v0.16b, w1", &[0x4e01_0c20]),
    ("ext v0.16b, v1.16b, v2.16b, #3", &[0x6e02_1820]),
    ("ldp q0, q1, [x1], #32", &[0xacc1_0420]),
    ("ld1 {v0.16b, v1.16b}, [x1], #32", &[0x4cdf_a020]),
    ("nop", &[0xd503_201f]),
];

/// RET, behind each case.
const RET: u32 = 0xd65f_03c0;

/// What `words` become where X0 to X9 have registers of the host.
fn code_of(words: &[u32]) -> Vec<u8> {
    let memory = GuestMemory::from_ranges(&[(GuestAddress(0), 4096)]).unwrap();
    for (at, word) in words.iter().chain([&RET]).enumerate() {
        memory.write_obj(*word, GuestAddress(at as u64 * 4)).unwrap();
    }
    let ram = Ram::new(memory);
    let mut cache = CodeCache::new(1);
    let page = cache.page(0, ram.page(0).unwrap()).0;
    let region = Region::of(page, 0, true).unwrap();
    let mut emitter =
        Emitter::new(&region, page, Place::default(), Features { bmi2: true, vectors: true }, Assembler::new(0));
    (0..POOL.len()).for_each(|at| emitter.map[at] = Some(POOL[at]));
    let mut end = 0;
    for (at, slot) in region.slots.iter().enumerate() {
        if slot.index == words.len() {
            end = emitter.asm.offset().0;
        }
        let label = emitter.labels[&slot.index];
        dynasm!(emitter.asm ; .arch x64 ; =>label);
        emitter.slot(at);
    }
    emitter.stubs();
    let mut code = emitter.asm.finalize().unwrap();
    code.truncate(end);
    code
}

#[test]
fn instructions_become_the_code_that_is_kept() {
    let mut now = String::new();
    for (name, words) in CASES {
        let code = code_of(words);
        let hex: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(now, "{name} | {} | {hex}", code.len()).unwrap();
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/jit/x64/golden.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap();
    for (now, kept) in now.lines().zip(kept.lines()) {
        assert_eq!(now, kept, "UPDATE_GOLDEN=1 keeps the new code");
    }
    assert_eq!(now.lines().count(), kept.lines().count());
}
