//! Addresses of code: tagged ones, ones that are not aligned, and pages that are larger than those of the translations that are cached.

use crate::machine::{Program, same_everywhere};

/// Goes to tagged addresses by BLR in a hot loop and by ERET, with TBI0 set. The vector notes where it came from.
const TAGGED: Program = &[
    (
        0x1000,
        &[
            0xd538_2041, // mrs x1, tcr_el1
            0xb25b_0021, // orr x1, x1, #0x2000000000
            0xd518_2041, // msr tcr_el1, x1
            0xd503_3fdf, // isb
            0xd280_14a7, // mov x7, #0xa5
            0x1000_01e2, // adr x2, 1050 callee
            0xb348_1ce2, // bfi x2, x7, #56, #8
            0xd280_7d04, // mov x4, #0x3e8
            0xd63f_0040, // blr x2
            0xf100_0484, // subs x4, x4, #0x1
            0x54ff_ffc1, // b.ne 1020 again
            0xd280_78a6, // mov x6, #0x3c5
            0xd518_4006, // msr spsr_el1, x6
            0x1000_0085, // adr x5, 1044 returned
            0xb348_1ce5, // bfi x5, x7, #56, #8
            0xd518_4025, // msr elr_el1, x5
            0xd69f_03e0, // eret
            0x1000_0005, // adr x5, 1044 returned
            0xd400_0001, // svc #0x0
            0x17ff_fded, // b 800 finish
            0x1000_0000, // adr x0, 1050 callee
            0xaa1e_03e3, // mov x3, x30
            0xd65f_03c0, // ret
        ],
    ),
    (
        0x8200,
        &[
            0xd538_4028, // mrs x8, elr_el1
            0xd69f_03e0, // eret
        ],
    ),
];

/// A branch to a tagged address leaves no tag in the program counter (DDI 0487, AArch64.BranchAddr).
#[test]
fn the_tag_of_an_address_does_not_reach_the_program_counter() {
    let end = same_everywhere(TAGGED, |end| end.registers());
    assert_eq!((end.x(0), end.x(3)), (0x4000_1050, 0x4000_1024), "after BLR");
    assert_eq!((end.x(5), end.x(8)), (0x4000_1044, 0x4000_104c), "after ERET, and in ELR_EL1");
}

/// Turns to a granule of 16 KiB and calls a function in the third 4 KiB of a page, maps another page there,
/// invalidates the TLB for the page's first address, and calls again.
const REMAPPED_GRANULE: Program = &[
    (
        0x1000,
        &[
            0xd2a8_0009, // mov x9, #0x40000000
            0xd280_e06a, // mov x10, #0x703
            0xaa0a_0121, // orr x1, x9, x10
            0x9140_b122, // add x2, x9, #0x2c, lsl #12
            0xd280_1003, // mov x3, #0x80
            0xf800_8441, // str x1, [x2], #8
            0x9140_1021, // add x1, x1, #0x4, lsl #12
            0xf100_0463, // subs x3, x3, #0x1
            0x54ff_ffa1, // b.ne 1014 fill
            0xd280_e061, // mov x1, #0x703
            0xf2a8_0081, // movk x1, #0x4004, lsl #16
            0x9140_a12b, // add x11, x9, #0x28, lsl #12
            0xf900_0161, // str x1, [x11]
            0xd538_1004, // mrs x4, sctlr_el1
            0x927f_f885, // and x5, x4, #0xfffffffffffffffe
            0xd518_1005, // msr sctlr_el1, x5
            0xd503_3fdf, // isb
            0xd538_2042, // mrs x2, tcr_el1
            0xb271_0041, // orr x1, x2, #0x8000
            0xd518_2041, // msr tcr_el1, x1
            0x9140_8121, // add x1, x9, #0x20, lsl #12
            0xd518_2001, // msr ttbr0_el1, x1
            0xd508_871f, // tlbi vmalle1
            0xd503_3b9f, // dsb ish
            0xd503_3fdf, // isb
            0xd518_1004, // msr sctlr_el1, x4
            0xd503_3fdf, // isb
            0xd2a8_4008, // mov x8, #0x42000000
            0x9140_0908, // add x8, x8, #0x2, lsl #12
            0xd280_7d07, // mov x7, #0x3e8
            0xd63f_0100, // blr x8
            0xf100_04e7, // subs x7, x7, #0x1
            0x54ff_ffc1, // b.ne 1078 first
            0xf940_0161, // ldr x1, [x11]
            0x9140_1021, // add x1, x1, #0x4, lsl #12
            0xf900_0161, // str x1, [x11]
            0xd503_3a9f, // dsb ishst
            0xd2a8_4001, // mov x1, #0x42000000
            0xd34c_fc21, // lsr x1, x1, #12
            0xd508_8721, // tlbi vae1, x1
            0xd503_3b9f, // dsb ish
            0xd503_3fdf, // isb
            0xd280_0147, // mov x7, #0xa
            0xd63f_0100, // blr x8
            0xf100_04e7, // subs x7, x7, #0x1
            0x54ff_ffc1, // b.ne 10ac second
            0x17ff_fdd2, // b 800 finish
        ],
    ),
    // Tables of levels 1 and 2; those of level 3 are the program's to write.
    (0x2_0000, &[0x4002_4003, 0]),
    (0x2_4100, &[0x4002_c003, 0, 0x4002_8003, 0]),
    (
        0x4_2000,
        &[
            0x9100_0400, // add x0, x0, #0x1
            0xd65f_03c0, // ret
        ],
    ),
    (
        0x4_6000,
        &[
            0x9140_0400, // add x0, x0, #0x1, lsl #12
            0xd65f_03c0, // ret
        ],
    ),
];

#[test]
fn an_invalidation_by_address_reaches_all_code_of_a_large_page() {
    let end = same_everywhere(REMAPPED_GRANULE, |end| end.x(0));
    assert_eq!(end.x(0), 10 << 12 | 1000);
}

/// Goes to addresses that are not multiples of 4 by BLR, BR and RET, to a page that is not mapped, and by ERET to EL1 and
/// EL0. The vectors collect ESR, and how FAR and ELR differ from the address; X30 is compared with the word behind BLR.
const MISALIGNED: Program = &[
    (
        0x1000,
        &[
            0xd280_4b04, // mov x4, #0x258
            0xd280_78a6, // mov x6, #0x3c5
            0xd280_7807, // mov x7, #0x3c0
            0x1000_03e2, // adr x2, 1088 target
            0xd2a0_03ec, // mov x12, #0x1f0000
            0xb262_018c, // orr x12, x12, #0x40000000
            0x1000_0065, // adr x5, 1024 called
            0x9100_0443, // add x3, x2, #0x1
            0xd63f_0060, // blr x3
            0xca05_03c1, // eor x1, x30, x5
            0xaa01_016b, // orr x11, x11, x1
            0x1000_0065, // adr x5, 1038 gone
            0x9100_0843, // add x3, x2, #0x2
            0xd61f_0060, // br x3
            0x1000_0085, // adr x5, 1048 returned
            0x9100_0c43, // add x3, x2, #0x3
            0xaa03_03fe, // mov x30, x3
            0xd65f_03c0, // ret
            0x1000_0065, // adr x5, 1054 far
            0x9100_0983, // add x3, x12, #0x2
            0xd61f_0060, // br x3
            0x1000_00a5, // adr x5, 1068 same
            0x9100_0443, // add x3, x2, #0x1
            0xd518_4006, // msr spsr_el1, x6
            0xd518_4023, // msr elr_el1, x3
            0xd69f_03e0, // eret
            0x1000_00a5, // adr x5, 107c lower
            0x9100_0843, // add x3, x2, #0x2
            0xd518_4007, // msr spsr_el1, x7
            0xd518_4023, // msr elr_el1, x3
            0xd69f_03e0, // eret
            0xf100_0484, // subs x4, x4, #0x1
            0x54ff_fcc1, // b.ne 1018 again
            0x17ff_fddf, // b 800 finish
            0xd420_0000, // brk #0x0
        ],
    ),
    (
        0x8200,
        &[
            0x9100_0508, // add x8, x8, #0x1
            0xd538_5200, // mrs x0, esr_el1
            0xaa00_014a, // orr x10, x10, x0
            0xd538_6000, // mrs x0, far_el1
            0xca03_0000, // eor x0, x0, x3
            0xaa00_016b, // orr x11, x11, x0
            0xd538_4020, // mrs x0, elr_el1
            0xca03_0000, // eor x0, x0, x3
            0xaa00_016b, // orr x11, x11, x0
            0xd518_4025, // msr elr_el1, x5
            0xd518_4006, // msr spsr_el1, x6
            0xd69f_03e0, // eret
        ],
    ),
    (
        0x8400,
        &[
            0x9100_0529, // add x9, x9, #0x1
            0x17ff_ff80, // b 8204 fault
        ],
    ),
];

/// DDI 0487, D1.4.10.1: the branch is done, and what it leads to faults before its translation is looked up.
#[test]
fn a_misaligned_program_counter_faults_where_a_branch_leads() {
    let end = same_everywhere(MISALIGNED, |end| end.registers());
    assert_eq!((end.x(8), end.x(9)), (600 * 5, 600), "faults at EL1 and at EL0");
    assert_eq!(end.x(10), 0x22 << 26 | 1 << 25, "ESR_EL1");
    assert_eq!(end.x(11), 0, "bits that differ in FAR_EL1, ELR_EL1 and X30");
}
