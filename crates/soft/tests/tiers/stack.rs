//! The alignment of the stack pointer, which is looked at when it is the base of a load or store.

use crate::machine::{Program, same_everywhere};

/// Uses a stack pointer that is not a multiple of 16 for every kind of access, with the check on and off; then twice at
/// EL0 with the check off and on. The vector counts.
const MISALIGNED: Program = &[
    (
        0x1000,
        &[
            0xd280_4b02, // mov x2, #0x258
            0xd538_1001, // mrs x1, sctlr_el1
            0xb27d_0021, // orr x1, x1, #0x8
            0xd518_1001, // msr sctlr_el1, x1
            0xd503_3fdf, // isb
            0x9400_0017, // bl 1070 work
            0xaa0a_03e8, // mov x8, x10
            0xaa0b_03ed, // mov x13, x11
            0xd280_4b02, // mov x2, #0x258
            0x927c_f821, // and x1, x1, #0xfffffffffffffff7
            0xd518_1001, // msr sctlr_el1, x1
            0xd503_3fdf, // isb
            0x9400_0010, // bl 1070 work
            0xcb08_0149, // sub x9, x10, x8
            0x927f_f821, // and x1, x1, #0xfffffffffffffffe
            0xd518_1001, // msr sctlr_el1, x1
            0xd503_3fdf, // isb
            0x9101_2380, // add x0, x28, #0x48
            0xd518_4100, // msr sp_el0, x0
            0xd280_7800, // mov x0, #0x3c0
            0xd518_4000, // msr spsr_el1, x0
            0x1000_0060, // adr x0, 1060 user
            0xd518_4020, // msr elr_el1, x0
            0xd69f_03e0, // eret
            0xf940_03e0, // ldr x0, [sp]
            0xd400_0001, // svc #0x0
            0xf940_03e0, // ldr x0, [sp]
            0xd420_0000, // brk #0x0
            0x9101_239f, // add sp, x28, #0x48
            0xd100_43ff, // sub sp, sp, #0x10
            0xf940_03e0, // ldr x0, [sp]
            0xf841_07e0, // ldr x0, [sp], #16
            0xf81f_0fe0, // str x0, [sp, #-16]!
            0xa941_0fe0, // ldp x0, x3, [sp, #16]
            0xa901_0fe0, // stp x0, x3, [sp, #16]
            0xf865_6be0, // ldr x0, [sp, x5]
            0x3dc0_03e0, // ldr q0, [sp]
            0xad00_07e0, // stp q0, q1, [sp]
            0x4c40_73e0, // ld1 {v0.16b}, [sp]
            0xc85f_7fe0, // ldxr x0, [sp]
            0xc8df_ffe0, // ldar x0, [sp]
            0xf823_03e0, // ldadd x3, x0, [sp]
            0xf840_0be0, // ldtr x0, [sp]
            0xf980_03e0, // prfm pldl1keep, [sp]
            0xcb20_63e0, // sub x0, sp, x0
            0x9100_23ff, // add sp, sp, #0x8
            0xf940_03e0, // ldr x0, [sp]
            0x9100_43ff, // add sp, sp, #0x10
            0xa8ff_0fe0, // ldp x0, x3, [sp], #-16
            0xd100_13ff, // sub sp, sp, #0x4
            0xb940_03e0, // ldr w0, [sp]
            0xf100_0442, // subs x2, x2, #0x1
            0x54ff_fd01, // b.ne 1070 work
            0xd65f_03c0, // ret
        ],
    ),
    (
        0x8200,
        &[
            0xd538_5200, // mrs x0, esr_el1
            0xaa00_016b, // orr x11, x11, x0
            0x9100_054a, // add x10, x10, #0x1
            0xd538_4020, // mrs x0, elr_el1
            0x9100_1000, // add x0, x0, #0x4
            0xd518_4020, // msr elr_el1, x0
            0xd69f_03e0, // eret
        ],
    ),
    (
        0x8400,
        &[
            0xd538_520c, // mrs x12, esr_el1
            0xd35a_fd8c, // lsr x12, x12, #26
            0xf100_559f, // cmp x12, #0x15
            0x54fc_1fa1, // b.ne 800 finish
            0xb27c_0021, // orr x1, x1, #0x10
            0xd518_1001, // msr sctlr_el1, x1
            0xd69f_03e0, // eret
        ],
    ),
];

/// DDI 0487, D1.4.10.2: no matter what is added to it, and no fault by a prefetch or by arithmetic.
#[test]
fn a_misaligned_stack_pointer_is_no_base_where_that_is_checked() {
    let end = same_everywhere(MISALIGNED, |end| end.registers());
    assert_eq!(end.x(8), 600 * 14, "faults with SCTLR_EL1.SA");
    assert_eq!(end.x(9), 600, "faults without it: of LDTR, for EL0 has no rights there");
    assert_eq!((end.x(13) >> 26, end.x(13) & 0x3ff_ffff), (0x26, 1 << 25), "ESR_EL1");
    assert_eq!(end.x(12), 0x26, "the class at EL0 with SCTLR_EL1.SA0");
}
