//! Code that is changed while it is in use.

use crate::machine::{Program, same_everywhere};

/// A hot loop that adds 1, then 5, then 9: it patches itself and invalidates the instruction cache.
pub const PATCH: Program = &[(
    0x1000,
    &[
        0xd280_0064, // mov x4, #0x3
        0xd280_bb82, // mov x2, #0x5dc
        0x9100_0421, // add x1, x1, #0x1
        0x9100_0400, // add x0, x0, #0x1
        0xca00_0063, // eor x3, x3, x0
        0xf100_0442, // subs x2, x2, #0x1
        0x54ff_ff81, // b.ne 1008 program+0x8
        0x10ff_ff85, // adr x5, 100c site
        0xb940_00a6, // ldr w6, [x5]
        0x1140_04c6, // add w6, w6, #0x1, lsl #12
        0xb900_00a6, // str w6, [x5]
        0xd50b_7b25, // dc cvau, x5
        0xd503_3b9f, // dsb ish
        0xd50b_7525, // ic ivau, x5
        0xd503_3b9f, // dsb ish
        0xd503_3fdf, // isb
        0xf100_0484, // subs x4, x4, #0x1
        0x54ff_fe01, // b.ne 1004 program+0x4
        0x17ff_fdee, // b 800 finish
    ],
)];

#[test]
fn a_hot_loop_may_patch_itself() {
    let end = same_everywhere(PATCH, |end| end.registers());
    assert_eq!(end.x(0), 1500 * (1 + 5 + 9));
}

/// Patches the instruction behind a compare, then runs the compare for the first time, then invalidates the
/// instruction cache.
const LATE_COMPARE: Program = &[(
    0x1000,
    &[
        0x1000_0205, // adr x5, 1040 site
        0x9400_000f, // bl 1040 site
        0x5281_2826, // mov w6, #0x941
        0x72b2_2006, // movk w6, #0x9100, lsl #16
        0xb900_00a6, // str w6, [x5]
        0x9400_000a, // bl 103c compare
        0xd280_0000, // mov x0, #0x0
        0xd50b_7b25, // dc cvau, x5
        0xd503_3b9f, // dsb ish
        0xd50b_7525, // ic ivau, x5
        0xd503_3b9f, // dsb ish
        0xd503_3fdf, // isb
        0xd280_0001, // mov x1, #0x0
        0x9400_0003, // bl 1040 site
        0x17ff_fdf2, // b 800 finish
        0xf100_141f, // cmp x0, #0x5
        0x9100_0541, // add x1, x10, #0x1
        0xd65f_03c0, // ret
    ],
)];

#[test]
fn what_is_behind_a_compare_changes_when_the_cache_is_invalidated() {
    let end = same_everywhere(LATE_COMPARE, |end| end.x(1));
    assert_eq!(end.x(1), 2);
}

/// Changes the word behind a compare and its branch and invalidates, then the branch without invalidating, and runs
/// the branch alone, then both.
const FUSED: Program = &[(
    0x1000,
    &[
        0x1000_0365, // adr x5, 106c branch
        0xf100_001f, // cmp x0, #0x0
        0x9400_0018, // bl 1068 compare
        0xb940_04a6, // ldr w6, [x5, #4]
        0x1110_00c6, // add w6, w6, #0x400
        0xb900_04a6, // str w6, [x5, #4]
        0xd50b_7b25, // dc cvau, x5
        0xd503_3b9f, // dsb ish
        0xd50b_7525, // ic ivau, x5
        0xd503_3b9f, // dsb ish
        0xd503_3fdf, // isb
        0x1800_0267, // ldr w7, 1078 other
        0xb900_00a7, // str w7, [x5]
        0xd280_0008, // mov x8, #0x0
        0xf100_051f, // cmp x8, #0x1
        0x9400_000c, // bl 106c branch
        0xd280_0008, // mov x8, #0x0
        0x9400_0009, // bl 1068 compare
        0xd50b_7b25, // dc cvau, x5
        0xd503_3b9f, // dsb ish
        0xd50b_7525, // ic ivau, x5
        0xd503_3b9f, // dsb ish
        0xd503_3fdf, // isb
        0xd280_0008, // mov x8, #0x0
        0x9400_0002, // bl 1068 compare
        0x17ff_fde7, // b 800 finish
        0xf100_011f, // cmp x8, #0x0
        0x5400_0040, // b.eq 1074 branch+0x8
        0x9100_0529, // add x9, x9, #0x1
        0xd65f_03c0, // ret
        0xd2af_ffe3, // mov x3, #0x7fff0000
    ],
)];

#[test]
fn a_branch_fused_with_its_compare_is_not_decoded_anew() {
    let end = same_everywhere(FUSED, |end| (end.x(3), end.x(9)));
    assert_eq!(end.x(3), 0x7fff_0000);
    // Before the invalidation either instruction may be executed.
    assert!(matches!(end.x(9), 4 | 6), "{}", end.x(9));
}
