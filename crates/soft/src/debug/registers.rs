//! Registers of a CPU that stands still.

use arm64::pstate;
use hv::debug::Registers;

use crate::cpu::{Cpu, SP};

/// The bits of PSTATE that a debugger may change.
const SETTABLE: u64 = pstate::NZCV | pstate::PAN | pstate::SS | pstate::IL | pstate::DAIF | pstate::MODE;

impl Cpu {
    pub(super) fn read_registers(&self) -> Registers {
        let mut x = [0; 31];
        x.copy_from_slice(&self.x[..31]);
        Registers {
            x,
            sp: self.x[SP],
            pc: self.pc,
            cpsr: self.spsr() as u32,
            v: self.v,
            fpsr: self.fpsr,
            fpcr: self.fpcr,
        }
    }

    pub(super) fn write_registers(&mut self, registers: &Registers) {
        let cpsr = u64::from(registers.cpsr);
        // The mode first: it decides which stack pointer is meant.
        if cpsr != self.spsr() && matches!(cpsr & pstate::MODE, pstate::EL0T | pstate::EL1T | pstate::EL1H) {
            self.set_pstate(cpsr & SETTABLE);
        }
        self.x[..31].copy_from_slice(&registers.x);
        self.x[SP] = registers.sp;
        self.pc = registers.pc;
        self.v = registers.v;
        (self.fpsr, self.fpcr) = (registers.fpsr, registers.fpcr);
    }

    pub(super) fn named_system_registers(&self) -> Vec<(&'static str, u64)> {
        let s = &self.sys;
        vec![
            ("SCTLR_EL1", s.sctlr),
            ("TCR_EL1", s.tcr),
            ("TTBR0_EL1", s.ttbr0),
            ("TTBR1_EL1", s.ttbr1),
            ("MAIR_EL1", s.mair),
            ("VBAR_EL1", s.vbar),
            ("ESR_EL1", s.esr),
            ("FAR_EL1", s.far),
            ("ELR_EL1", s.elr),
            ("SPSR_EL1", s.spsr),
            ("PAR_EL1", s.par),
            ("CPACR_EL1", s.cpacr),
        ]
    }
}
