//! Syndromes: the values of `ESR_EL1` (DDI 0487, D17.2.37).
//!
//! Each function makes a whole value with IL set, since every A64 instruction is 32 bits long.

/// Exception classes, `ESR_EL1.EC`.
pub mod ec {
    /// Unknown reason: an undefined instruction.
    pub const UNKNOWN: u64 = 0x00;
    /// A trapped `WFI` or `WFE`.
    pub const WFX: u64 = 0x01;
    /// A trapped access to SVE, AdvSIMD or floating point.
    pub const FP_ACCESS: u64 = 0x07;
    /// Illegal execution state.
    pub const ILLEGAL_STATE: u64 = 0x0e;
    /// `SVC` in AArch64.
    pub const SVC64: u64 = 0x15;
    /// `HVC` in AArch64.
    pub const HVC64: u64 = 0x16;
    /// `SMC` in AArch64.
    pub const SMC64: u64 = 0x17;
    /// A trapped `MSR`, `MRS` or system instruction.
    pub const SYSREG: u64 = 0x18;
    /// Instruction abort from EL0.
    pub const INSTRUCTION_ABORT_LOWER: u64 = 0x20;
    /// Instruction abort from EL1.
    pub const INSTRUCTION_ABORT_SAME: u64 = 0x21;
    /// Misaligned PC.
    pub const PC_ALIGNMENT: u64 = 0x22;
    /// Data abort from EL0.
    pub const DATA_ABORT_LOWER: u64 = 0x24;
    /// Data abort from EL1.
    pub const DATA_ABORT_SAME: u64 = 0x25;
    /// Misaligned SP.
    pub const SP_ALIGNMENT: u64 = 0x26;
    /// A trapped floating-point exception.
    pub const FP_EXCEPTION: u64 = 0x2c;
    /// SError.
    pub const SERROR: u64 = 0x2f;
    /// Breakpoint from EL0; from EL1 it is one more.
    pub const BREAKPOINT_LOWER: u64 = 0x30;
    /// Software step from EL0; from EL1 it is one more.
    pub const STEP_LOWER: u64 = 0x32;
    /// Watchpoint from EL0; from EL1 it is one more.
    pub const WATCHPOINT_LOWER: u64 = 0x34;
    /// `BRK` in AArch64.
    pub const BRK64: u64 = 0x3c;
}

/// Fault status codes, `DFSC` and `IFSC`, of faults that no table walk reports (those are [`crate::mmu::Fault::fsc`]).
pub mod fsc {
    /// Synchronous external abort, not on a table walk.
    pub const EXTERNAL: u64 = 0x10;
    /// Alignment.
    pub const ALIGNMENT: u64 = 0x21;
    /// Debug exception.
    pub const DEBUG: u64 = 0x22;
    /// An exclusive or atomic access to memory that cannot do it (implementation defined).
    pub const UNSUPPORTED_ATOMIC: u64 = 0x35;
}

const IL: u64 = 1 << 25;
/// Condition code "always", valid: what AArch64 reports for conditional traps.
const CV_ALWAYS: u64 = 1 << 24 | 0xe << 20;
const CM: u64 = 1 << 8;
const WNR: u64 = 1 << 6;

/// A value of `ESR_EL1` from an exception class and an ISS of 25 bits.
#[must_use]
pub const fn syndrome(class: u64, iss: u64) -> u64 {
    class << 26 | IL | (iss & 0x1ff_ffff)
}

/// Undefined instruction.
#[must_use]
pub const fn undefined() -> u64 {
    syndrome(ec::UNKNOWN, 0)
}

/// Floating point or AdvSIMD while `CPACR_EL1.FPEN` forbids it.
#[must_use]
pub const fn fp_access() -> u64 {
    syndrome(ec::FP_ACCESS, CV_ALWAYS)
}

/// `WFI` (false) or `WFE` (true) at EL0 while `SCTLR_EL1` traps it.
#[must_use]
pub const fn wfx(wfe: bool) -> u64 {
    syndrome(ec::WFX, CV_ALWAYS | wfe as u64)
}

/// `PSTATE.IL` was set.
#[must_use]
pub const fn illegal_state() -> u64 {
    syndrome(ec::ILLEGAL_STATE, 0)
}

/// `SVC #imm16`.
#[must_use]
pub const fn svc(imm16: u16) -> u64 {
    syndrome(ec::SVC64, imm16 as u64)
}

/// `HVC #imm16`.
#[must_use]
pub const fn hvc(imm16: u16) -> u64 {
    syndrome(ec::HVC64, imm16 as u64)
}

/// `SMC #imm16`.
#[must_use]
pub const fn smc(imm16: u16) -> u64 {
    syndrome(ec::SMC64, imm16 as u64)
}

/// `BRK #imm16`.
#[must_use]
pub const fn brk(imm16: u16) -> u64 {
    syndrome(ec::BRK64, imm16 as u64)
}

/// A trapped `MRS` (`read`), `MSR` or system instruction on the register or operation `encoding`
/// (see [`crate::sysreg::encoding`]) with general register `rt`.
#[must_use]
pub const fn sysreg(encoding: u16, rt: u8, read: bool) -> u64 {
    let e = encoding as u64;
    let (op0, op1, crn, crm, op2) = (e >> 14 & 3, e >> 11 & 7, e >> 7 & 15, e >> 3 & 15, e & 7);
    let iss = op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | (rt as u64 & 31) << 5 | crm << 1 | read as u64;
    syndrome(ec::SYSREG, iss)
}

/// Instruction abort with fault status `ifsc`, from EL0 or EL1.
#[must_use]
pub const fn instruction_abort(from_el0: bool, ifsc: u64) -> u64 {
    let class = if from_el0 { ec::INSTRUCTION_ABORT_LOWER } else { ec::INSTRUCTION_ABORT_SAME };
    syndrome(class, ifsc & 0x3f)
}

/// Data abort with fault status `dfsc`, from EL0 or EL1. ISV stays clear, as for any abort taken to EL1.
#[must_use]
pub const fn data_abort(from_el0: bool, dfsc: u64, write: bool) -> u64 {
    let class = if from_el0 { ec::DATA_ABORT_LOWER } else { ec::DATA_ABORT_SAME };
    syndrome(class, if write { WNR } else { 0 } | (dfsc & 0x3f))
}

/// Data abort of a cache maintenance or address translation instruction: CM and WnR are set.
#[must_use]
pub const fn cache_maintenance_abort(from_el0: bool, dfsc: u64) -> u64 {
    data_abort(from_el0, dfsc, true) | CM
}

/// The PC is not a multiple of 4.
#[must_use]
pub const fn pc_alignment() -> u64 {
    syndrome(ec::PC_ALIGNMENT, 0)
}

/// The SP is not a multiple of 16 where `SCTLR_EL1.SA` or `SA0` asks for that.
#[must_use]
pub const fn sp_alignment() -> u64 {
    syndrome(ec::SP_ALIGNMENT, 0)
}

/// A hardware breakpoint.
#[must_use]
pub const fn breakpoint(from_el0: bool) -> u64 {
    syndrome(ec::BREAKPOINT_LOWER + !from_el0 as u64, fsc::DEBUG)
}

/// A hardware watchpoint.
#[must_use]
pub const fn watchpoint(from_el0: bool, write: bool, cache_maintenance: bool) -> u64 {
    let bits = if write { WNR } else { 0 } | if cache_maintenance { CM } else { 0 };
    syndrome(ec::WATCHPOINT_LOWER + !from_el0 as u64, bits | fsc::DEBUG)
}

/// Software step. `stepped`: an instruction was stepped, so that EX is valid; `exclusive`: it was a load-exclusive.
#[must_use]
pub const fn software_step(from_el0: bool, stepped: bool, exclusive: bool) -> u64 {
    let iss = (stepped as u64) << 24 | ((stepped && exclusive) as u64) << 6 | fsc::DEBUG;
    syndrome(ec::STEP_LOWER + !from_el0 as u64, iss)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values as Linux prints them in its reports.
    #[test]
    fn syndromes_are_those_that_hardware_gives() {
        assert_eq!(svc(0), 0x5600_0000);
        assert_eq!(undefined(), 0x0200_0000);
        assert_eq!(brk(0x800), 0xf200_0800);
        assert_eq!(data_abort(false, 0x06, false), 0x9600_0006);
        assert_eq!(data_abort(false, 0x4f, true), 0x9600_004f);
        assert_eq!(instruction_abort(true, 0x07), 0x8200_0007);
        assert_eq!(cache_maintenance_abort(true, 0x07), 0x9200_0147);
        assert_eq!(fp_access(), 0x1fe0_0000);
        assert_eq!(software_step(true, true, false), 0xcb00_0022);
        assert_eq!(breakpoint(false), 0xc600_0022);
        assert_eq!(watchpoint(true, true, false), 0xd200_0062);
    }

    #[test]
    fn a_trapped_register_access_names_the_register() {
        // MRS X5, CTR_EL0 from EL0.
        let esr = sysreg(crate::sysreg::CTR_EL0, 5, true);
        assert_eq!(esr, 0x18 << 26 | 1 << 25 | 3 << 20 | 1 << 17 | 3 << 14 | 5 << 5 | 1);
    }
}
