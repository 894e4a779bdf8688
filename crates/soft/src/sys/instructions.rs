//! Exception generation, hints, barriers and PSTATE: the system instructions that are not register accesses.

use std::sync::atomic::{
    Ordering::{Acquire, Release, SeqCst},
    fence,
};

use arm64::esr;
use arm64::pstate;
use arm64::sysreg::sctlr;

use crate::cpu::Cpu;
use crate::interp::{Op, branch, handlers};
use crate::isa::Insn;
use crate::shared::signal;
use crate::trap::Trap;

pub(crate) use super::maintenance::sys;
pub(crate) use super::registers::{mrs, msr};

handlers! {
    fn nop(_cpu, op) {}
    fn barrier(_cpu, op) { fence(SeqCst); }
    fn load_barrier(_cpu, op) { fence(Acquire); }
    fn store_barrier(_cpu, op) { fence(Release); }
}

/// The hints that do nothing here: NOP, YIELD, and those of features that are not offered.
pub(crate) fn lower_hint(_: Insn, _: u32) -> Option<Op> {
    Some(Op::new(nop))
}

/// DMB: the types in `CRm<1:0>` are loads before anything, stores before stores, and everything.
pub(crate) fn lower_dmb(i: Insn, _: u32) -> Option<Op> {
    Some(Op::new(match i.bits(8, 2) {
        1 => load_barrier,
        2 => store_barrier,
        _ => barrier,
    }))
}

/// DSB: also waits for the maintenance that was broadcast.
pub(crate) fn dsb(cpu: &mut Cpu, _: Insn) -> Result<(), Trap> {
    fence(SeqCst);
    cpu.complete_maintenance();
    Ok(())
}

/// ISB: changes of context take effect at once here; what is left to do is to fetch through the translations of now.
pub(crate) fn lower_isb(_: Insn, _: u32) -> Option<Op> {
    Some(Op::new(branch::fetch_again))
}

/// CLREX.
pub(crate) fn clrex(cpu: &mut Cpu, _: Insn) -> Result<(), Trap> {
    cpu.exclusive = None;
    Ok(())
}

/// The trap of WFI or WFE at EL0 that EL1 asked for.
fn wait_trap(cpu: &Cpu, allowed: u64, wfe: bool) -> Result<(), Trap> {
    if cpu.el0() && cpu.sys.sctlr & allowed == 0 {
        return Err(Trap::Exception { esr: esr::wfx(wfe), far: None });
    }
    Ok(())
}

/// WFI.
pub(crate) fn wfi(cpu: &mut Cpu, _: Insn) -> Result<(), Trap> {
    wait_trap(cpu, sctlr::NTWI, false)?;
    cpu.pc += 4;
    Err(Trap::WaitForInterrupt)
}

/// WFE.
pub(crate) fn wfe(cpu: &mut Cpu, _: Insn) -> Result<(), Trap> {
    wait_trap(cpu, sctlr::NTWE, true)?;
    cpu.pc += 4;
    Err(Trap::WaitForEvent)
}

/// SEV.
pub(crate) fn sev(cpu: &mut Cpu, _: Insn) -> Result<(), Trap> {
    cpu.shared.cpus.iter().for_each(|other| other.raise(signal::EVENT));
    Ok(())
}

/// SEVL.
pub(crate) fn sevl(cpu: &mut Cpu, _: Insn) -> Result<(), Trap> {
    cpu.event = true;
    Ok(())
}

/// MSR SPSel, #imm.
pub(crate) fn msr_spsel(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    if cpu.el0() {
        return Err(Trap::Undefined);
    }
    let pstate = cpu.spsr() & !1 | u64::from(i.bit(8));
    cpu.set_pstate(pstate);
    Ok(())
}

/// MSR PAN, #imm.
pub(crate) fn msr_pan(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    if cpu.el0() {
        return Err(Trap::Undefined);
    }
    cpu.write_pan(i.bit(8));
    Ok(())
}

/// The DAIF bits of an MSR DAIFSet or DAIFClr, if this exception level may write them.
fn daif_mask(cpu: &Cpu, i: Insn) -> Result<u64, Trap> {
    if cpu.el0() && cpu.sys.sctlr & sctlr::UMA == 0 {
        let reg = arm64::sysreg::encoding_of_instruction(i.0);
        return Err(Trap::Exception { esr: esr::sysreg(reg, 31, false), far: None });
    }
    Ok(u64::from(i.bits(8, 4)) << 6)
}

/// MSR DAIFSet, #imm.
pub(crate) fn msr_daif_set(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    cpu.pstate |= daif_mask(cpu, i)?;
    Ok(())
}

/// MSR DAIFClr, #imm.
pub(crate) fn msr_daif_clear(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let mask = daif_mask(cpu, i)?;
    cpu.write_daif(cpu.pstate & pstate::DAIF & !mask)
}

/// MRS of NZCV.
pub(crate) fn mrs_nzcv(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    cpu.set_reg(i.rd(), u64::from(cpu.nzcv));
    Ok(())
}

/// MSR of NZCV.
pub(crate) fn msr_nzcv(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    cpu.nzcv = (cpu.reg(i.rd()) & pstate::NZCV) as u32;
    Ok(())
}

/// SVC.
pub(crate) fn svc(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    cpu.pc += 4;
    Err(Trap::Exception { esr: esr::svc(i.bits(5, 16) as u16), far: None })
}

/// HVC: firmware calls; undefined at EL0.
pub(crate) fn hvc(cpu: &mut Cpu, _: Insn) -> Result<(), Trap> {
    if cpu.el0() {
        return Err(Trap::Undefined);
    }
    cpu.pc += 4;
    cpu.call_firmware()?;
    Err(Trap::Resume)
}

/// BRK.
pub(crate) fn brk(_: &mut Cpu, i: Insn) -> Result<(), Trap> {
    Err(Trap::Exception { esr: esr::brk(i.bits(5, 16) as u16), far: None })
}

/// ERET.
pub(crate) fn eret(cpu: &mut Cpu, _: Insn) -> Result<(), Trap> {
    cpu.return_from_exception()
}
