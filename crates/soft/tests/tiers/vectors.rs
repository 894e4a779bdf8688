//! Floating point and vectors.

use crate::machine::{DATA, End, Program, same_everywhere};

/// Arithmetic, comparisons and conversions of all pairs of twelve special numbers, with FPSR cleared at times and FPCR
/// asking for every rounding mode and for flush-to-zero at others. X0 to X6 hold what it came to.
const SPECIAL: Program = &[(
    0x1000,
    &[
        0xd280_4b09, // mov x9, #0x258
        0x1000_08aa, // adr x10, 1118
        0xd280_000b, // mov x11, #0x0
        0xd51b_441f, // msr fpcr, xzr
        0xd51b_443f, // msr fpsr, xzr
        0xd280_000c, // mov x12, #0x0
        0xfc6b_7940, // ldr d0, [x10, x11, lsl #3]
        0xfc6c_7941, // ldr d1, [x10, x12, lsl #3]
        0x1e61_2802, // fadd d2, d0, d1
        0x1e61_0803, // fmul d3, d0, d1
        0x1e61_1804, // fdiv d4, d0, d1
        0x1f41_0805, // fmadd d5, d0, d1, d2
        0x1e60_3826, // fsub d6, d1, d0
        0x1e61_5807, // fmin d7, d0, d1
        0x1e61_6810, // fmaxnm d16, d0, d1
        0x1e61_2000, // fcmp d0, d1
        0x9a8c_c16d, // csel x13, x11, x12, gt
        0x1e63_4c51, // fcsel d17, d2, d3, mi
        0x9e78_0002, // fcvtzs x2, d0
        0x1e79_0023, // fcvtzu w3, d1
        0x9e62_0052, // scvtf d18, x2
        0x1e62_4013, // fcvt s19, d0
        0x1e22_c274, // fcvt d20, s19
        0x1e61_c015, // fsqrt d21, d0
        0x1e67_4036, // frintx d22, d1
        0x4e61_cc17, // fmla v23.2d, v0.2d, v1.2d
        0x4e21_d418, // fadd v24.4s, v0.4s, v1.4s
        0x6e21_dc59, // fmul v25.4s, v2.4s, v1.4s
        0x6e22_1f5a, // eor v26.16b, v26.16b, v2.16b
        0x6e23_1f5a, // eor v26.16b, v26.16b, v3.16b
        0x6e24_1f5a, // eor v26.16b, v26.16b, v4.16b
        0x6e25_1f5a, // eor v26.16b, v26.16b, v5.16b
        0x6e26_1f5a, // eor v26.16b, v26.16b, v6.16b
        0x4ee7_875a, // add v26.2d, v26.2d, v7.2d
        0x6e30_1f5a, // eor v26.16b, v26.16b, v16.16b
        0x6e31_1f5a, // eor v26.16b, v26.16b, v17.16b
        0x4ef2_875a, // add v26.2d, v26.2d, v18.2d
        0x6e34_1f5a, // eor v26.16b, v26.16b, v20.16b
        0x6e35_1f5a, // eor v26.16b, v26.16b, v21.16b
        0x4ef6_875a, // add v26.2d, v26.2d, v22.2d
        0x6e37_1f5a, // eor v26.16b, v26.16b, v23.16b
        0x4eb8_875a, // add v26.4s, v26.4s, v24.4s
        0x6e39_1f5a, // eor v26.16b, v26.16b, v25.16b
        0xcac4_1da4, // eor x4, x13, x4, ror #7
        0x8b02_0084, // add x4, x4, x2
        0xca03_0084, // eor x4, x4, x3
        0x9100_058c, // add x12, x12, #0x1
        0xf100_319f, // cmp x12, #0xc
        0x54ff_fac1, // b.ne 1018
        0xd53b_4425, // mrs x5, fpsr
        0xcac6_14a6, // eor x6, x5, x6, ror #5
        0x9240_0127, // and x7, x9, #0x1
        0xb400_0047, // cbz x7, 10d8
        0xd51b_443f, // msr fpsr, xzr
        0x9278_0927, // and x7, x9, #0x700
        0xd372_c4e7, // lsl x7, x7, #14
        0xd51b_4407, // msr fpcr, x7
        0x9100_056b, // add x11, x11, #0x1
        0xf100_317f, // cmp x11, #0xc
        0x9a8b_03eb, // csel x11, xzr, x11, eq
        0xf100_0529, // subs x9, x9, #0x1
        0x54ff_f901, // b.ne 1014
        0xd51b_441f, // msr fpcr, xzr
        0x9e66_0340, // fmov x0, d26
        0x9eae_0341, // fmov x1, v26.d[1]
        0xaa04_03e2, // mov x2, x4
        0xaa05_03e3, // mov x3, x5
        0xd280_000a, // mov x10, #0x0
        0x17ff_fdbc, // b finish
        0xd503_201f, // nop
        0x0000_0000, // .word 0x00000000
        0x0000_0000, // .word 0x00000000
        0x0000_0000, // .word 0x00000000
        0x8000_0000, // .word 0x80000000
        0x0000_0000, // .word 0x00000000
        0x3ff0_0000, // .word 0x3ff00000
        0x5444_2d18, // .word 0x54442d18
        0xc009_21fb, // .word 0xc00921fb
        0x0000_0000, // .word 0x00000000
        0x0010_0000, // .word 0x00100000
        0xffff_ffff, // .word 0xffffffff
        0x000f_ffff, // .word 0x000fffff
        0xffff_ffff, // .word 0xffffffff
        0x7fef_ffff, // .word 0x7fefffff
        0x0000_0000, // .word 0x00000000
        0x7ff0_0000, // .word 0x7ff00000
        0x0000_1234, // .word 0x00001234
        0x7ff8_0000, // .word 0x7ff80000
        0x0000_0001, // .word 0x00000001
        0xfff0_0000, // .word 0xfff00000
        0xffe0_0000, // .word 0xffe00000
        0x41df_ffff, // .word 0x41dfffff
        0x0000_0001, // .word 0x00000001
        0x3ca0_0000, // .word 0x3ca00000
    ],
)];

#[test]
fn special_numbers_and_modes_do_not_depend_on_the_tier() {
    let end = same_everywhere(SPECIAL, |end| end.registers());
    assert_ne!((end.x(0), end.x(4)), (0, 0));
}

/// A loop of vector loads and stores, pairs and structures, that runs hot, then into pages that are not mapped; the
/// handler keeps what it sees and maps the page.
const FAULT: Program = &[
    (
        0x1000,
        &[
            0xd280_3209, // mov x9, #0x190
            0xd2a8_03c2, // mov x2, #0x401e0000
            0xd280_0286, // mov x6, #0x14
            0x9400_000e, // bl 1044
            0xf100_0529, // subs x9, x9, #0x1
            0x54ff_ff81, // b.ne 1004
            0xd2a8_03c2, // mov x2, #0x401e0000
            0xf29f_e602, // movk x2, #0xff30
            0xd280_4b06, // mov x6, #0x258
            0x9400_0008, // bl 1044
            0x9e66_0000, // fmov x0, d0
            0x9eae_0001, // fmov x1, v0.d[1]
            0x0e14_3cc2, // mov w2, v6.s[2]
            0x6e30_a8c7, // umaxv b7, v6.16b
            0x0e01_3ce3, // umov w3, v7.b[0]
            0x9e66_00a4, // fmov x4, d5
            0x17ff_fdf0, // b finish
            0xacc2_8440, // ldp q0, q1, [x2], #80
            0x6e20_1ca5, // eor v5.16b, v5.16b, v0.16b
            0x4ea1_84c6, // add v6.4s, v6.4s, v1.4s
            0x4cdf_a042, // ld1 {v2.16b, v3.16b}, [x2], #32
            0x4e20_9844, // cmeq v4.16b, v2.16b, #0
            0x0f0c_8487, // shrn v7.8b, v4.8h, #4
            0x6e27_1ca5, // eor v5.16b, v5.16b, v7.16b
            0x4e43_1850, // uzp1 v16.8h, v2.8h, v3.8h
            0x4e01_2051, // tbl v17.16b, {v2.16b, v3.16b}, v1.16b
            0x4e30_84c6, // add v6.16b, v6.16b, v16.16b
            0x6e31_1c00, // eor v0.16b, v0.16b, v17.16b
            0xadbd_1845, // stp q5, q6, [x2, #-96]!
            0x0c9f_a040, // st1 {v0.8b, v1.8b}, [x2], #16
            0x3c80_9040, // stur q0, [x2, #9]
            0xf100_04c6, // subs x6, x6, #0x1
            0x54ff_fe21, // b.ne 1044
            0xd65f_03c0, // ret
        ],
    ),
    (
        0x8200,
        &[
            0xd538_6014, // mrs x20, far_el1
            0xd538_4036, // mrs x22, elr_el1
            0xf940_0398, // ldr x24, [x28]
            0x9101_0318, // add x24, x24, #0x40
            0xf900_0398, // str x24, [x28]
            0x8b1c_0318, // add x24, x24, x28
            0xa900_5b14, // stp x20, x22, [x24]
            0xad00_9700, // stp q0, q5, [x24, #16]
            0xa903_1b02, // stp x2, x6, [x24, #48]
            0xd2a8_0039, // mov x25, #0x40010000
            0xf284_0019, // movk x25, #0x2000
            0xd34c_5294, // ubfx x20, x20, #12, #9
            0xf874_7b35, // ldr x21, [x25, x20, lsl #3]
            0xb240_06b5, // orr x21, x21, #0x3
            0xf834_7b35, // str x21, [x25, x20, lsl #3]
            0xd503_3a9f, // dsb ishst
            0xd503_3fdf, // isb
            0xd69f_03e0, // eret
        ],
    ),
];

#[test]
fn vectors_are_exact_at_a_fault_in_a_hot_loop() {
    let seen = |end: &End| (DATA..DATA + 0xc00).step_by(8).map(|at| end.word(at)).collect::<Vec<_>>();
    let end = same_everywhere(FAULT, |end| (end.registers(), seen(end)));
    assert!(end.word(DATA) >= 64 * 4, "there were faults");
}
