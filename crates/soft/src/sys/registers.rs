//! System registers: storage, and what MRS and MSR do with each.

use arm64::id;
use arm64::pstate;
use arm64::sysreg::{self as r, encoding_of_instruction, is_icc, mdscr, sctlr};

use crate::cpu::Cpu;
use crate::isa::Insn;
use crate::shared::{TIMER_HZ, signal};
use crate::trap::Trap;

/// The registers that are plain storage, and those whose writes have effects.
#[derive(Debug, Clone)]
pub(crate) struct SysRegs {
    pub sctlr: u64,
    pub actlr: u64,
    pub cpacr: u64,
    pub ttbr0: u64,
    pub ttbr1: u64,
    pub tcr: u64,
    pub mair: u64,
    pub amair: u64,
    pub esr: u64,
    pub far: u64,
    pub afsr: [u64; 2],
    pub vbar: u64,
    /// Where the CPU was started.
    pub rvbar: u64,
    pub contextidr: u64,
    pub tpidr_el0: u64,
    pub tpidrro_el0: u64,
    pub tpidr_el1: u64,
    /// Software context numbers of EL0 and EL1, which nothing here is keyed by.
    pub scxtnum: [u64; 2],
    pub spsr: u64,
    pub elr: u64,
    pub par: u64,
    pub csselr: u64,
    pub cntkctl: u64,
    /// What software is told of the counter's frequency.
    pub cntfrq: u64,
    /// CTL and CVAL of the virtual and the physical timer.
    pub timers: [Timer; 2],
    pub mdscr: u64,
    pub mdccint: u64,
    pub os_lock: bool,
    pub os_double_lock: u64,
    pub claim: u64,
    pub breakpoints: [[u64; 2]; id::BREAKPOINTS as usize],
    pub watchpoints: [[u64; 2]; id::WATCHPOINTS as usize],
}

/// A timer of the generic timer: an interrupt when the counter reaches a value.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Timer {
    /// ENABLE and IMASK.
    pub control: u64,
    /// CVAL.
    pub compare: u64,
    /// The level that the interrupt controller was told last.
    pub level: bool,
}

impl SysRegs {
    /// The registers after a reset that starts the CPU at `entry`.
    pub fn reset(entry: u64) -> Self {
        Self {
            sctlr: sctlr::RES1,
            actlr: 0,
            cpacr: 0,
            ttbr0: 0,
            ttbr1: 0,
            tcr: 0,
            mair: 0,
            amair: 0,
            esr: 0,
            far: 0,
            afsr: [0; 2],
            vbar: 0,
            rvbar: entry,
            contextidr: 0,
            tpidr_el0: 0,
            tpidrro_el0: 0,
            tpidr_el1: 0,
            scxtnum: [0; 2],
            spsr: 0,
            elr: 0,
            par: 0,
            csselr: 0,
            cntkctl: 0,
            cntfrq: TIMER_HZ,
            timers: [Timer::default(); 2],
            mdscr: 0,
            mdccint: 0,
            os_lock: true,
            os_double_lock: 0,
            claim: 0,
            breakpoints: [[0; 2]; id::BREAKPOINTS as usize],
            watchpoints: [[0; 2]; id::WATCHPOINTS as usize],
        }
    }

    /// The current ASID: of TTBR1 or TTBR0 as `TCR_EL1.A1` says.
    pub fn asid(&self) -> u64 {
        let ttbr = if self.tcr & r::tcr::A1 != 0 { self.ttbr1 } else { self.ttbr0 };
        ttbr >> 48
    }
}

/// The number of a debug register pair `n` if `reg` is one of op2 `op2`.
fn debug_pair(reg: u16, op2: u16) -> Option<usize> {
    (reg & !(15 << 3) == r::encoding(2, 0, 0, 0, op2)).then_some((reg >> 3 & 15) as usize)
}

/// MRS.
pub(crate) fn mrs(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let reg = encoding_of_instruction(i.0);
    let value = if cpu.el0() { cpu.read_el0(reg, i.rd())? } else { cpu.read_el1(reg)? };
    cpu.set_reg(i.rd(), value);
    Ok(())
}

/// MSR (register).
pub(crate) fn msr(cpu: &mut Cpu, i: Insn) -> Result<(), Trap> {
    let reg = encoding_of_instruction(i.0);
    let value = cpu.reg(i.rd());
    if cpu.el0() { cpu.write_el0(reg, value, i.rd()) } else { cpu.write_el1(reg, value) }
}

impl Cpu {
    /// The trap of EL0's access to a register that EL1 keeps for itself.
    fn sysreg_trap(&self, reg: u16, rt: usize, read: bool) -> Trap {
        Trap::Exception { esr: arm64::esr::sysreg(reg, rt as u8, read), far: None }
    }

    fn read_el0(&mut self, reg: u16, rt: usize) -> Result<u64, Trap> {
        let kept = match reg {
            r::CTR_EL0 => self.sys.sctlr & sctlr::UCT == 0,
            r::CNTVCT_EL0 => self.sys.cntkctl & 2 == 0,
            r::CNTPCT_EL0 => self.sys.cntkctl & 1 == 0,
            r::CNTFRQ_EL0 => self.sys.cntkctl & 3 == 0,
            r::CNTV_TVAL_EL0 | r::CNTV_CTL_EL0 | r::CNTV_CVAL_EL0 => self.sys.cntkctl & 1 << 8 == 0,
            r::CNTP_TVAL_EL0 | r::CNTP_CTL_EL0 | r::CNTP_CVAL_EL0 => self.sys.cntkctl & 1 << 9 == 0,
            r::DAIF => self.sys.sctlr & sctlr::UMA == 0,
            r::SCXTNUM_EL0 => self.sys.sctlr & sctlr::TSCXT != 0,
            r::MDCCSR_EL0 | r::DBGDTR_EL0 | r::DBGDTRRX_EL0 => self.sys.mdscr & mdscr::TDCC != 0,
            r::NZCV | r::FPCR | r::FPSR | r::TPIDR_EL0 | r::TPIDRRO_EL0 | r::DCZID_EL0 => false,
            _ => return Err(Trap::Undefined),
        };
        if kept {
            return Err(self.sysreg_trap(reg, rt, true));
        }
        let value = self.read_el1(reg)?;
        // DCZID_EL0.DZP: DC ZVA is prohibited.
        let prohibited = reg == r::DCZID_EL0 && self.sys.sctlr & sctlr::DZE == 0;
        Ok(value | u64::from(prohibited) << 4)
    }

    fn write_el0(&mut self, reg: u16, value: u64, rt: usize) -> Result<(), Trap> {
        let kept = match reg {
            r::CNTV_TVAL_EL0 | r::CNTV_CTL_EL0 | r::CNTV_CVAL_EL0 => self.sys.cntkctl & 1 << 8 == 0,
            r::CNTP_TVAL_EL0 | r::CNTP_CTL_EL0 | r::CNTP_CVAL_EL0 => self.sys.cntkctl & 1 << 9 == 0,
            r::DAIF => self.sys.sctlr & sctlr::UMA == 0,
            r::SCXTNUM_EL0 => self.sys.sctlr & sctlr::TSCXT != 0,
            r::DBGDTR_EL0 | r::DBGDTRRX_EL0 => self.sys.mdscr & mdscr::TDCC != 0,
            r::NZCV | r::FPCR | r::FPSR | r::TPIDR_EL0 => false,
            _ => return Err(Trap::Undefined),
        };
        if kept {
            return Err(self.sysreg_trap(reg, rt, false));
        }
        self.write_el1(reg, value)
    }

    fn read_el1(&mut self, reg: u16) -> Result<u64, Trap> {
        if let Some(value) = id::SOFT.read(reg) {
            return Ok(value);
        }
        if matches!(reg, r::FPCR | r::FPSR) && !self.fp_enabled {
            return Err(Trap::Exception { esr: arm64::esr::fp_access(), far: None });
        }
        let s = &self.sys;
        Ok(match reg {
            r::MPIDR_EL1 => id::mpidr(self.index),
            r::CCSIDR_EL1 => id::ccsidr(s.csselr),
            r::CSSELR_EL1 => s.csselr,
            r::SCTLR_EL1 => s.sctlr,
            r::ACTLR_EL1 => s.actlr,
            r::CPACR_EL1 => s.cpacr,
            r::TTBR0_EL1 => s.ttbr0,
            r::TTBR1_EL1 => s.ttbr1,
            r::TCR_EL1 => s.tcr,
            r::MAIR_EL1 => s.mair,
            r::AMAIR_EL1 => s.amair,
            r::ESR_EL1 => s.esr,
            r::FAR_EL1 => s.far,
            r::AFSR0_EL1 => s.afsr[0],
            r::AFSR1_EL1 => s.afsr[1],
            r::VBAR_EL1 => s.vbar,
            r::RVBAR_EL1 => s.rvbar,
            r::CONTEXTIDR_EL1 => s.contextidr,
            r::TPIDR_EL0 => s.tpidr_el0,
            r::TPIDRRO_EL0 => s.tpidrro_el0,
            r::TPIDR_EL1 => s.tpidr_el1,
            r::SCXTNUM_EL0 => s.scxtnum[0],
            r::SCXTNUM_EL1 => s.scxtnum[1],
            r::SPSR_EL1 => s.spsr,
            r::ELR_EL1 => s.elr,
            r::PAR_EL1 => s.par,
            r::CNTKCTL_EL1 => s.cntkctl,
            r::SP_EL0 if self.sp_index() == 1 => self.sp[0],
            r::SPSEL => self.pstate & 1,
            r::CURRENTEL => self.pstate & 0xc,
            r::DAIF => self.pstate & pstate::DAIF,
            r::PAN => self.pstate & pstate::PAN,
            r::FPCR => u64::from(self.fpcr),
            r::FPSR => u64::from(self.fpsr),
            r::ISR_EL1 => {
                let pending = self.shared.cpus[self.index as usize].pending();
                u64::from(pending & signal::IRQ != 0) << 7 | u64::from(pending & signal::FIQ != 0) << 6
            }
            r::CNTFRQ_EL0 => s.cntfrq,
            r::CNTVCT_EL0 | r::CNTPCT_EL0 => self.shared.count(),
            r::CNTV_CTL_EL0 | r::CNTP_CTL_EL0 => self.timer_control(usize::from(reg == r::CNTP_CTL_EL0)),
            r::CNTV_CVAL_EL0 => s.timers[0].compare,
            r::CNTP_CVAL_EL0 => s.timers[1].compare,
            r::CNTV_TVAL_EL0 | r::CNTP_TVAL_EL0 => {
                let timer = &s.timers[usize::from(reg == r::CNTP_TVAL_EL0)];
                timer.compare.wrapping_sub(self.shared.count()) as u32 as u64
            }
            r::MDSCR_EL1 => s.mdscr,
            r::MDCCINT_EL1 => s.mdccint,
            r::OSLSR_EL1 => 8 | u64::from(s.os_lock) << 1,
            r::OSDLR_EL1 => s.os_double_lock,
            r::DBGCLAIMSET_EL1 => 0xff,
            r::DBGCLAIMCLR_EL1 => s.claim,
            r::MDRAR_EL1 | r::DBGPRCR_EL1 | r::DBGAUTHSTATUS_EL1 | r::MDCCSR_EL0 | r::OSECCR_EL1 => 0,
            r::OSDTRRX_EL1 | r::OSDTRTX_EL1 | r::DBGDTR_EL0 | r::DBGDTRRX_EL0 => 0,
            _ if is_icc(reg) => {
                let gic = self.env.gic.clone().ok_or(Trap::Undefined)?;
                return gic.read_icc(self.index, reg).ok_or(Trap::Undefined);
            }
            _ => return self.debug_register(reg).map(|v| *v).ok_or(Trap::Undefined),
        })
    }

    /// Breakpoint and watchpoint registers: value and control.
    fn debug_register(&mut self, reg: u16) -> Option<&mut u64> {
        let s = &mut *self.sys;
        for op2 in 4..8 {
            if let Some(n) = debug_pair(reg, op2) {
                let pair = if op2 < 6 { s.breakpoints.get_mut(n) } else { s.watchpoints.get_mut(n) };
                return pair.map(|pair| &mut pair[usize::from(op2 & 1)]);
            }
        }
        None
    }

    fn write_el1(&mut self, reg: u16, value: u64) -> Result<(), Trap> {
        if matches!(reg, r::FPCR | r::FPSR) && !self.fp_enabled {
            return Err(Trap::Exception { esr: arm64::esr::fp_access(), far: None });
        }
        let s = &mut *self.sys;
        match reg {
            r::SCTLR_EL1 => return self.write_sctlr(value),
            r::TTBR0_EL1 | r::TTBR1_EL1 | r::TCR_EL1 => return self.write_translation(reg, value),
            r::CPACR_EL1 => {
                s.cpacr = value & 3 << 20;
                self.update_context();
            }
            r::CSSELR_EL1 => s.csselr = value & 0xf,
            r::ACTLR_EL1 => s.actlr = 0,
            r::MAIR_EL1 => {
                s.mair = value;
                self.flush_tlb();
            }
            r::AMAIR_EL1 => s.amair = 0,
            r::ESR_EL1 => s.esr = value,
            r::FAR_EL1 => s.far = value,
            r::AFSR0_EL1 | r::AFSR1_EL1 => {}
            r::VBAR_EL1 => s.vbar = value & !0x7ff,
            r::CONTEXTIDR_EL1 => s.contextidr = value & 0xffff_ffff,
            r::TPIDR_EL0 => s.tpidr_el0 = value,
            r::TPIDRRO_EL0 => s.tpidrro_el0 = value,
            r::TPIDR_EL1 => s.tpidr_el1 = value,
            r::SCXTNUM_EL0 => s.scxtnum[0] = value,
            r::SCXTNUM_EL1 => s.scxtnum[1] = value,
            r::SPSR_EL1 => s.spsr = value,
            r::ELR_EL1 => s.elr = value,
            r::PAR_EL1 => s.par = value,
            r::CNTKCTL_EL1 => s.cntkctl = value & 0x3ff,
            r::CNTFRQ_EL0 => s.cntfrq = value & 0xffff_ffff,
            r::SP_EL0 if self.pstate & 1 == 1 => self.sp[0] = value,
            r::SPSEL => {
                let pstate = self.spsr() & !1 | value & 1;
                self.set_pstate(pstate);
            }
            r::DAIF => return self.write_daif(value & pstate::DAIF),
            r::PAN => self.write_pan(value & pstate::PAN != 0),
            r::FPCR => self.fpcr = (value & 0x07c0_0000) as u32,
            r::FPSR => self.fpsr = (value & 0x0800_009f) as u32,
            r::CNTV_CTL_EL0 | r::CNTV_CVAL_EL0 | r::CNTV_TVAL_EL0 => self.write_timer(0, reg, value),
            r::CNTP_CTL_EL0 | r::CNTP_CVAL_EL0 | r::CNTP_TVAL_EL0 => self.write_timer(1, reg, value),
            r::MDSCR_EL1 => {
                s.mdscr = value & 0xffff_ffff;
                return self.resume();
            }
            r::MDCCINT_EL1 => s.mdccint = value & 3 << 29,
            r::OSLAR_EL1 => s.os_lock = value & 1 != 0,
            r::OSDLR_EL1 => s.os_double_lock = value & 1,
            r::DBGCLAIMSET_EL1 => s.claim |= value & 0xff,
            r::DBGCLAIMCLR_EL1 => s.claim &= !value,
            r::DBGPRCR_EL1 | r::OSECCR_EL1 | r::OSDTRRX_EL1 | r::OSDTRTX_EL1 | r::DBGDTR_EL0 | r::DBGDTRRX_EL0 => {}
            _ if is_icc(reg) => {
                let gic = self.env.gic.clone().ok_or(Trap::Undefined)?;
                if !gic.write_icc(self.index, reg, value) {
                    return Err(Trap::Undefined);
                }
                return self.resume_if_interrupted();
            }
            _ => *self.debug_register(reg).ok_or(Trap::Undefined)? = value,
        }
        Ok(())
    }

    fn write_sctlr(&mut self, value: u64) -> Result<(), Trap> {
        // Bits of features that are not offered, and both endianness bits, stay clear.
        const WRITABLE: u64 = sctlr::M
            | sctlr::A
            | sctlr::C
            | sctlr::SA
            | sctlr::SA0
            | sctlr::UMA
            | sctlr::I
            | sctlr::DZE
            | sctlr::UCT
            | sctlr::NTWI
            | sctlr::NTWE
            | sctlr::WXN
            | sctlr::SPAN
            | sctlr::TSCXT
            | sctlr::UCI;
        self.sys.sctlr = value & WRITABLE | sctlr::RES1;
        self.flush_tlb();
        self.resume()
    }

    /// TTBR0, TTBR1 and TCR. Another ASID hides what is not global; the rest is for the guest to invalidate.
    fn write_translation(&mut self, reg: u16, value: u64) -> Result<(), Trap> {
        let s = &mut *self.sys;
        let before = s.asid();
        match reg {
            r::TTBR0_EL1 => s.ttbr0 = value,
            r::TTBR1_EL1 => s.ttbr1 = value,
            _ => {
                s.tcr = value;
                self.flush_tlb();
                return self.resume();
            }
        }
        if s.asid() != before {
            self.tlb.clear_non_global();
            self.itlb.clear();
        }
        Ok(())
    }

    /// Sets the interrupt masks.
    pub(crate) fn write_daif(&mut self, daif: u64) -> Result<(), Trap> {
        let unmasked = self.pstate & !daif & pstate::DAIF;
        self.pstate = self.pstate & !pstate::DAIF | daif;
        if unmasked & pstate::D != 0 && self.sys.mdscr & mdscr::SS != 0 {
            return self.resume();
        }
        if unmasked != 0 { self.resume_if_interrupted() } else { Ok(()) }
    }

    /// Sets PSTATE.PAN.
    pub(crate) fn write_pan(&mut self, pan: bool) {
        self.pstate = self.pstate & !pstate::PAN | if pan { pstate::PAN } else { 0 };
        self.update_context();
    }

    /// Leaves the interpreter after this instruction.
    pub(crate) fn resume(&mut self) -> Result<(), Trap> {
        self.pc += 4;
        Err(Trap::Resume)
    }

    /// Leaves the interpreter after this instruction when an interrupt waits that is not masked.
    pub(crate) fn resume_if_interrupted(&mut self) -> Result<(), Trap> {
        let pending = self.shared.cpus[self.index as usize].pending();
        let irq = pending & signal::IRQ != 0 && self.pstate & pstate::I == 0;
        let fiq = pending & signal::FIQ != 0 && self.pstate & pstate::F == 0;
        if irq || fiq { self.resume() } else { Ok(()) }
    }
}
