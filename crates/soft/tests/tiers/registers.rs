//! Which system registers there are, and who may read and write them: every encoding of `MRS` and `MSR` is tried; and
//! the bits of `SCTLR_EL1`.

use arm64::sysreg::{self as r, dbgbcr_el1, dbgbvr_el1, dbgwcr_el1, dbgwvr_el1};
use soft::JitMode;

use crate::machine::{DATA, End, Program, run, same_everywhere};

/// What EL1 and EL0 may do with the registers of a CPU of Armv8.0-A without EL2, EL3, AArch32, performance monitors and
/// an interrupt controller, with the features of `arm64::id::SOFT` (DDI 0487, D17): `r` read, `w` write. What EL1 may
/// keep from EL0 is allowed. The space of features is beside this.
const REGISTERS: &[(u16, &str, &str)] = &[
    (r::MIDR_EL1, "r-", "--"),
    (r::MPIDR_EL1, "r-", "--"),
    (r::REVIDR_EL1, "r-", "--"),
    (r::CCSIDR_EL1, "r-", "--"),
    (r::CLIDR_EL1, "r-", "--"),
    (r::AIDR_EL1, "r-", "--"),
    (r::CSSELR_EL1, "rw", "--"),
    (r::CTR_EL0, "r-", "r-"),
    (r::DCZID_EL0, "r-", "r-"),
    (r::SCTLR_EL1, "rw", "--"),
    (r::ACTLR_EL1, "rw", "--"),
    (r::CPACR_EL1, "rw", "--"),
    (r::TTBR0_EL1, "rw", "--"),
    (r::TTBR1_EL1, "rw", "--"),
    (r::TCR_EL1, "rw", "--"),
    (r::SPSR_EL1, "rw", "--"),
    (r::ELR_EL1, "rw", "--"),
    (r::SP_EL0, "rw", "--"),
    (r::SPSEL, "rw", "--"),
    (r::CURRENTEL, "r-", "--"),
    (r::PAN, "rw", "--"),
    (r::AFSR0_EL1, "rw", "--"),
    (r::AFSR1_EL1, "rw", "--"),
    (r::ESR_EL1, "rw", "--"),
    (r::FAR_EL1, "rw", "--"),
    (r::PAR_EL1, "rw", "--"),
    (r::MAIR_EL1, "rw", "--"),
    (r::AMAIR_EL1, "rw", "--"),
    (r::VBAR_EL1, "rw", "--"),
    // Of the highest exception level, and so of EL1 here. `RMR_EL1` need not exist without AArch32.
    (r::RVBAR_EL1, "r-", "--"),
    (r::ISR_EL1, "r-", "--"),
    (r::CONTEXTIDR_EL1, "rw", "--"),
    (r::TPIDR_EL1, "rw", "--"),
    (r::SCXTNUM_EL1, "rw", "--"),
    (r::CNTKCTL_EL1, "rw", "--"),
    (r::NZCV, "rw", "rw"),
    (r::DAIF, "rw", "rw"),
    (r::FPCR, "rw", "rw"),
    (r::FPSR, "rw", "rw"),
    (r::TPIDR_EL0, "rw", "rw"),
    (r::TPIDRRO_EL0, "rw", "r-"),
    (r::SCXTNUM_EL0, "rw", "rw"),
    // Written by the highest exception level.
    (r::CNTFRQ_EL0, "rw", "r-"),
    (r::CNTPCT_EL0, "r-", "r-"),
    (r::CNTVCT_EL0, "r-", "r-"),
    (r::CNTP_TVAL_EL0, "rw", "rw"),
    (r::CNTP_CTL_EL0, "rw", "rw"),
    (r::CNTP_CVAL_EL0, "rw", "rw"),
    (r::CNTV_TVAL_EL0, "rw", "rw"),
    (r::CNTV_CTL_EL0, "rw", "rw"),
    (r::CNTV_CVAL_EL0, "rw", "rw"),
    (r::OSDTRRX_EL1, "rw", "--"),
    (r::MDCCINT_EL1, "rw", "--"),
    (r::MDSCR_EL1, "rw", "--"),
    (r::OSDTRTX_EL1, "rw", "--"),
    (r::OSECCR_EL1, "rw", "--"),
    (r::MDRAR_EL1, "r-", "--"),
    (r::OSLAR_EL1, "-w", "--"),
    (r::OSLSR_EL1, "r-", "--"),
    (r::OSDLR_EL1, "rw", "--"),
    (r::DBGPRCR_EL1, "rw", "--"),
    (r::DBGCLAIMSET_EL1, "rw", "--"),
    (r::DBGCLAIMCLR_EL1, "rw", "--"),
    (r::DBGAUTHSTATUS_EL1, "r-", "--"),
    (r::MDCCSR_EL0, "r-", "r-"),
    (r::DBGDTR_EL0, "rw", "rw"),
    (r::DBGDTRRX_EL0, "rw", "rw"),
];

/// Reads the register of every encoding into X0 and writes it back, at EL1 and then at EL0, with the MMU off. Each
/// attempt leaves a byte: 0, or 0x80 and the class of its exception.
const TRY: Program = &[
    (
        0x1000,
        &[
            0xd2a8_0041, // mov x1, #0x40020000
            0xd538_1003, // mrs x3, sctlr_el1
            0x927f_f863, // and x3, x3, #0xfffffffffffffffe
            0xb277_0063, // orr x3, x3, #0x200
            0xb271_0063, // orr x3, x3, #0x8000
            0xd518_1003, // msr sctlr_el1, x3
            0xd503_3fdf, // isb
            0xd280_6063, // mov x3, #0x303
            0xd518_e103, // msr cntkctl_el1, x3
            0x9140_0782, // add x2, x28, #0x1, lsl #12
            0xd61f_0020, // br x1
        ],
    ),
    // What is tried at EL1 has ended by SVC: once more at EL0.
    (
        0x8200,
        &[
            0xd538_520a, // mrs x10, esr_el1
            0xd35a_fd49, // lsr x9, x10, #26
            0xf100_553f, // cmp x9, #0x15
            0x5400_00c0, // b.eq 8224
            0xb279_0129, // orr x9, x9, #0x80
            0xd538_402a, // mrs x10, elr_el1
            0x9100_114a, // add x10, x10, #0x4
            0xd518_402a, // msr elr_el1, x10
            0xd69f_03e0, // eret
            0xd280_780a, // mov x10, #0x3c0
            0xd518_400a, // msr spsr_el1, x10
            0xd518_4021, // msr elr_el1, x1
            0x9140_4782, // add x2, x28, #0x11, lsl #12
            0xd69f_03e0, // eret
        ],
    ),
    (
        0x8400,
        &[
            0xd538_520a, // mrs x10, esr_el1
            0xd35a_fd49, // lsr x9, x10, #26
            0xf100_553f, // cmp x9, #0x15
            0x54fc_1fa0, // b.eq 800 finish
            0xb279_0129, // orr x9, x9, #0x80
            0xd538_402a, // mrs x10, elr_el1
            0x9100_114a, // add x10, x10, #0x4
            0xd518_402a, // msr elr_el1, x10
            0xd69f_03e0, // eret
        ],
    ),
];

/// Where [`TRY`] goes on.
const ATTEMPTS: u64 = 0x2_0000;
/// Offsets in RAM of what the attempts at EL1 and at EL0 left.
const LOGS: [usize; 2] = [DATA + 0x1000, DATA + 0x1_1000];
/// The encodings of `MRS` and `MSR` (register): those with op0 2 and 3.
const ENCODINGS: std::ops::Range<u32> = 0x8000..0x1_0000;

/// Reads and writes every register.
fn attempts() -> Vec<u32> {
    const ZERO: u32 = 0xd280_0009; // mov x9, #0x0
    const NOTE: u32 = 0x3800_1449; // strb w9, [x2], #1
    let of = |encoding: u32| [ZERO, 0xd520_0000 | encoding << 5, NOTE, ZERO, 0xd500_0000 | encoding << 5, NOTE];
    // svc #0x0
    ENCODINGS.flat_map(of).chain([0xd400_0001]).collect()
}

/// What came of reading and of writing a register, as [`REGISTERS`] has it, or the class of an exception that is not the
/// one of undefined instructions.
fn allowed(end: &End, log: usize, encoding: u16) -> String {
    let at = log + 2 * (usize::from(encoding) - ENCODINGS.start as usize);
    let byte = |at: usize| end.word(at & !7).to_le_bytes()[at & 7];
    let letter = |byte, letter: &str| match byte {
        0 => letter.to_owned(),
        0x80 => "-".to_owned(),
        class => format!("({:#x})", class & 0x7f),
    };
    letter(byte(at), "r") + &letter(byte(at + 1), "w")
}

#[test]
fn the_registers_of_the_architecture_are_there_and_no_others() {
    let all: Program = [TRY, &[(ATTEMPTS, attempts().leak())]].concat().leak();
    let end = run(all, 1, JitMode::On);
    let expected = |encoding: u16| {
        let is_feature = encoding >> 7 == 3 << 7 && (1..8).contains(&(encoding >> 3 & 15));
        let breakpoint = |n| [dbgbvr_el1(n), dbgbcr_el1(n)].contains(&encoding);
        let watchpoint = |n| [dbgwvr_el1(n), dbgwcr_el1(n)].contains(&encoding);
        match REGISTERS.iter().find(|register| register.0 == encoding) {
            Some((_, el1, el0)) => [*el1, *el0],
            None if is_feature => ["r-", "--"],
            None if (0..6).any(breakpoint) || (0..4).any(watchpoint) => ["rw", "--"],
            None => ["--", "--"],
        }
    };
    let mut wrong = Vec::new();
    for encoding in ENCODINGS.map(|encoding| encoding as u16) {
        let is = LOGS.map(|log| allowed(&end, log, encoding));
        if is != expected(encoding) {
            wrong.push(format!("{}: {is:?}, not {:?}", r::name(encoding), expected(encoding)));
        }
    }
    assert!(wrong.is_empty(), "at EL1 and at EL0:\n{}", wrong.join("\n"));
}

/// Writes zeros and, but for the MMU, ones to SCTLR_EL1, and reads it back.
const CONTROL: Program = &[(
    0x1000,
    &[
        0xd538_1001, // mrs x1, sctlr_el1
        0xd518_101f, // msr sctlr_el1, xzr
        0xd503_3fdf, // isb
        0xd538_1002, // mrs x2, sctlr_el1
        0x9280_0020, // mov x0, #0xfffffffffffffffe
        0xd518_1000, // msr sctlr_el1, x0
        0xd503_3fdf, // isb
        0xd538_1003, // mrs x3, sctlr_el1
        0xd518_1001, // msr sctlr_el1, x1
        0xd503_3fdf, // isb
        0x17ff_fdf6, // b 800 finish
    ],
)];

/// DDI 0487, SCTLR_EL1: bits 29, 28, 22 and 11 without FEAT_LSMAOC and FEAT_ExS, ITD and SED without AArch32 at EL0.
#[test]
fn bits_of_sctlr_without_a_meaning_keep_their_value() {
    let end = same_everywhere(CONTROL, |end| end.registers());
    assert_eq!(end.x(2), 0x3040_0980, "after zeros");
    assert_eq!(end.x(3), 0x34dd_db9e, "after ones");
}
