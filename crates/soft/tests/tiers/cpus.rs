//! What one CPU does to the code and the mappings that another is using.

use soft::JitMode;

use crate::machine::{Program, run};

const MODES: [JitMode; 3] = [JitMode::Off, JitMode::On, JitMode::Stress];

/// CPU 1 waits until the loop of CPU 0 is hot, then makes a NOP in it a branch out of it.
const PATCHED_BY_OTHER: Program = &[
    (
        0x1000,
        &[
            0xd280_0060, // mov x0, #0x3
            0xf2b8_8000, // movk x0, #0xc400, lsl #16
            0xd280_0021, // mov x1, #0x1
            0xd2a8_0002, // mov x2, #0x40000000
            0x1001_7f83, // adr x3, 4000 other
            0xd400_0002, // hvc #0x0
            0xd280_0000, // mov x0, #0x0
            0xd280_0001, // mov x1, #0x0
            0x9100_0442, // add x2, x2, #0x1
            0xca02_0063, // eor x3, x3, x2
            0xf900_0782, // str x2, [x28, #8]
            0xd503_201f, // nop
            0x17ff_fffc, // b 1020 program+0x20
            0xd280_0002, // mov x2, #0x0
            0xd280_0003, // mov x3, #0x0
            0xd280_00e1, // mov x1, #0x7
            0x17ff_fdf0, // b 800 finish
        ],
    ),
    (
        0x4000,
        &[
            0xf940_0781, // ldr x1, [x28, #8]
            0xd284_e202, // mov x2, #0x2710
            0xeb02_003f, // cmp x1, x2
            0x54ff_ffa3, // b.cc 4000 other
            0x10fe_80e5, // adr x5, 102c site
            0x1800_0106, // ldr w6, 4034 jump
            0xb900_00a6, // str w6, [x5]
            0xd50b_7b25, // dc cvau, x5
            0xd503_3b9f, // dsb ish
            0xd50b_7525, // ic ivau, x5
            0xd503_3b9f, // dsb ish
            0xd503_207f, // wfi
            0x17ff_ffff, // b 402c other+0x2c
            0x1400_0002, // b 403c jump+0x8
        ],
    ),
];

#[test]
fn a_hot_loop_ends_when_another_cpu_patches_it() {
    for jit in MODES {
        assert_eq!(run(PATCHED_BY_OTHER, 2, jit).x(1), 7, "{jit:?}");
    }
}

/// CPU 1 changes the page that the hot loop of CPU 0 reads, invalidates the TLBs, and says so, eight times.
const REMAPPED_BY_OTHER: Program = &[
    (
        0x1000,
        &[
            0xd280_0060, // mov x0, #0x3
            0xf2b8_8000, // movk x0, #0xc400, lsl #16
            0xd280_0021, // mov x1, #0x1
            0xd2a8_0002, // mov x2, #0x40000000
            0x1001_7f83, // adr x3, 4000 other
            0xd400_0002, // hvc #0x0
            0xd2a8_03c5, // mov x5, #0x401e0000
            0xd280_0006, // mov x6, #0x0
            0xd280_0107, // mov x7, #0x8
            0xd280_0002, // mov x2, #0x0
            0x9100_0442, // add x2, x2, #0x1
            0xf900_0782, // str x2, [x28, #8]
            0xf940_0b83, // ldr x3, [x28, #16]
            0xcb03_0064, // sub x4, x3, x3
            0xf864_68a1, // ldr x1, [x5, x4]
            0xeb07_007f, // cmp x3, x7
            0x54ff_ff41, // b.ne 1028 rounds+0x4
            0x8b00_2020, // add x0, x1, x0, lsl #8
            0xf900_0f87, // str x7, [x28, #24]
            0xf100_04e7, // subs x7, x7, #0x1
            0x54ff_fea1, // b.ne 1024 rounds
            0xd280_0002, // mov x2, #0x0
            0x17ff_fdea, // b 800 finish
        ],
    ),
    (
        0x4000,
        &[
            0xd280_0107, // mov x7, #0x8
            0xd2a8_0029, // mov x9, #0x40010000
            0xf284_0009, // movk x9, #0x2000
            0xf900_079f, // str xzr, [x28, #8]
            0xf940_0781, // ldr x1, [x28, #8]
            0xf11f_403f, // cmp x1, #0x7d0
            0x54ff_ffc3, // b.cc 4010 other+0x10
            0xf947_8122, // ldr x2, [x9, #3840]
            0xd270_0042, // eor x2, x2, #0x10000
            0xf907_8122, // str x2, [x9, #3840]
            0xd503_3a9f, // dsb ishst
            0xd2a8_03c3, // mov x3, #0x401e0000
            0xd34c_fc63, // lsr x3, x3, #12
            0xd508_8323, // tlbi vae1is, x3
            0xd503_3b9f, // dsb ish
            0xf900_0b87, // str x7, [x28, #16]
            0xf940_0f81, // ldr x1, [x28, #24]
            0xeb07_003f, // cmp x1, x7
            0x54ff_ffc1, // b.ne 4040 other+0x40
            0xf100_04e7, // subs x7, x7, #0x1
            0x54ff_fde1, // b.ne 400c other+0xc
            0xd503_207f, // wfi
            0x17ff_ffff, // b 4054 other+0x54
        ],
    ),
];

#[test]
fn a_hot_loop_sees_a_page_that_another_cpu_remapped() {
    for jit in MODES {
        let end = run(REMAPPED_BY_OTHER, 2, jit);
        let (a, b) = (end.word(0x18_0000), end.word(0x19_0000));
        let want = (0..8).fold(0u64, |all, round| (if round % 2 == 0 { b } else { a }).wrapping_add(all << 8));
        assert_eq!(end.x(0), want, "{jit:?}");
    }
}
